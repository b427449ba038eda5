/*
 * Runs scenes under many schedules until one fails, or replays one seed: see README.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schedule/trial.h"

#define SELF_TEST_POINTS 1000000 /* for each faulty program */
#define SELF_TEST_SWITCHES 6     /* a failure of them is shrunk to so many choices at most */
#define SELF_TEST_SEEDS 50       /* of each scene, to see that a seed always makes the same choices */

static int usage(void)
{
    fputs("usage: run [--points N] [--seed N] [--scenario NAME]  random runs from a seed on, until so many "
          "points\n"
          "       run --replay --seed N --scenario NAME          one run, with a report\n"
          "       run --self-test                                whether faults are found, and seeds repeat\n"
          "       run --list                                     the scenarios\n",
          stderr);
    return 2;
}

static void print_failure(const struct trial *trial, struct found *found)
{
    static struct choice_list choices;
    const uint64_t seed = found->seed;
    const struct scene *scene = &trial->scenes[found->scene];
    const size_t before = found->record.count;
    printf("FAILED: %s\n%s\nscenario %s, seed %llu, after %llu runs\n", found->kind, found->text, scene->name,
           (unsigned long long)seed, (unsigned long long)found->runs);
    printf("to replay it: tests/schedule/run --replay --scenario %s --seed %llu\n", scene->name,
           (unsigned long long)seed);
    struct trial alone = *trial;
    alone.scenes = scene;
    alone.scene_count = 1;
    alone.seed = seed;
    alone.runs = 1;
    alone.points = UINT64_MAX;
    if (!trial_shrink(&alone, found, &choices)) {
        printf("It has %zu choices, and does not fail when they are replayed alone.\n", before);
        return;
    }
    printf("Its %zu choices were shrunk to %zu. Thread by thread, where the default was left; then where "
           "each is:\n",
           before, choices.count);
    alone.replayed = &choices;
    alone.report = true;
    trial_fails(&alone, found);
    printf("%s: %s\n", found->kind, found->text);
}

static bool repeats(const struct scene *scene, struct found *found)
{
    for (uint64_t seed = 1; seed <= SELF_TEST_SEEDS; seed++) {
        const struct trial once = {scene, 1, seed, 1, UINT64_MAX, NULL, false};
        if (trial_fails(&once, found))
            return false;
        const uint64_t hash = found->hash, points = found->points;
        if (trial_fails(&once, found) || found->hash != hash || found->points != points)
            return false;
    }
    return true;
}

static bool finds(const struct scene *program, struct found *found)
{
    static struct choice_list choices;
    const struct trial trial = {program, 1, 1, UINT64_MAX, SELF_TEST_POINTS, NULL, false};
    const bool failed = trial_fails(&trial, found);
    const uint64_t points = found->points;
    if (!failed || program->finds == NULL) {
        printf("%s: %s after %llu points\n", program->name, failed ? found->kind : "nothing",
               (unsigned long long)points);
        return !failed && program->finds == NULL;
    }
    const bool right = strcmp(found->kind, program->finds) == 0;
    const bool shrunk = trial_shrink(&trial, found, &choices) && choices.count <= SELF_TEST_SWITCHES;
    printf("%s: %s after %llu points, %zu choices\n", program->name, found->kind, (unsigned long long)points,
           choices.count);
    return right && shrunk;
}

static int self_test(struct found *found)
{
    unsigned passed = 0, failed = 0;
    for (size_t i = 0; i < faulty_count; i++) {
        const bool good = finds(&faulty[i], found);
        if (!good)
            printf("FAILED: the faulty program %s\n", faulty[i].name);
        passed += good;
        failed += !good;
    }
    for (size_t i = 0; i < scene_count; i++) {
        const bool good = repeats(&scenes[i], found);
        if (!good)
            printf("FAILED: the same seed does not make the same choices in %s\n", scenes[i].name);
        passed += good;
        failed += !good;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

static int search(const struct trial *trial, struct found *found)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const bool failed = trial_fails(trial, found);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    printf("%llu runs, %llu points, seeds from %llu on, %.1f s, %.0f points a second\n",
           (unsigned long long)found->runs, (unsigned long long)found->points,
           (unsigned long long)trial->seed, seconds, (double)found->points / seconds);
    if (failed)
        print_failure(trial, found);
    printf("%d passed, %d failed\n", failed ? 0 : (int)trial->scene_count, failed ? 1 : 0);
    return failed;
}

static int list(void)
{
    for (size_t i = 0; i < scene_count; i++)
        printf("%-16s %s\n", scenes[i].name, scenes[i].what);
    return 0;
}

/* Takes one scene: a real one, or a faulty program. */
static bool choose(struct trial *trial, const char *name)
{
    for (size_t i = 0; i < scene_count + faulty_count; i++) {
        const struct scene *scene = i < scene_count ? &scenes[i] : &faulty[i - scene_count];
        if (strcmp(scene->name, name) != 0)
            continue;
        trial->scenes = scene;
        trial->scene_count = 1;
        return true;
    }
    return false;
}

int main(int count, char **arguments)
{
    struct trial trial = {scenes, scene_count, 1, UINT64_MAX, 1000000, NULL, false};
    struct found *found = trial_found();
    for (int i = 1; i < count; i++) {
        const char *option = arguments[i], *value = i + 1 < count ? arguments[i + 1] : NULL;
        if (strcmp(option, "--list") == 0)
            return list();
        if (strcmp(option, "--self-test") == 0)
            return self_test(found);
        if (strcmp(option, "--replay") == 0) {
            trial.runs = 1;
            continue;
        }
        if (value == NULL)
            return usage();
        i++;
        if (strcmp(option, "--points") == 0)
            trial.points = (uint64_t)strtod(value, NULL);
        else if (strcmp(option, "--seed") == 0)
            trial.seed = strtoull(value, NULL, 10);
        else if (strcmp(option, "--scenario") != 0 || !choose(&trial, value))
            return usage();
    }
    return search(&trial, found);
}
