/*
 * Trials: see trial.h. Called by main.c.
 */
#include "schedule/trial.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schedule/arena.h"

#define RUN_SECONDS 60 /* a run that takes longer hangs where no point is */
#define SHRINK_SECONDS 100
#define WARM_RUNS 4

struct found *trial_found(void)
{
    struct found *found =
        mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return found;
}

static void run_scene(const struct scene *scene, uint64_t seed, const struct choice_list *replayed,
                      struct choice_list *record)
{
    uint64_t settings = seed;
    alarm(RUN_SECONDS);
    arena_run_begin();
    choice_begin(choice_random_next(&settings), replayed, record);
    machine_plain_points_set(choice_random_next(&settings) % 16 == 0);
    machine_run(scene->run, choice_random_next(&settings));
    arena_run_end();
}

/* Lets the library make what it makes once in a process: no run begins differently from another one. */
static void warm_up(const struct trial *trial, struct found *found)
{
    static const struct choice_list none;
    for (size_t i = 0; i < trial->scene_count; i++) {
        found->scene = i;
        if (trial->replayed != NULL && i != trial->seed % trial->scene_count)
            continue;
        for (uint64_t seed = 0; seed < WARM_RUNS; seed++) {
            choice_begin(seed, &none, &found->record);
            machine_run(trial->scenes[i].run, seed);
        }
    }
}

/* A crash is a failure like others, with a report. */
static void on_crash(int number)
{
    machine_fail("crash", "Signal %d (%s).", number, strsignal(number));
}

static void catch_crashes(void)
{
    static char stack[64 * 1024];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    const stack_t apart = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
    sigaltstack(&apart, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

static void trial_run(const struct trial *trial, struct found *found)
{
    catch_crashes();
    report_begin(found, false);
    arena_install();
    warm_up(trial, found);
    report_begin(found, trial->report);
    for (uint64_t seed = trial->seed; found->runs < trial->runs && found->points < trial->points; seed++) {
        found->seed = seed;
        found->scene = seed % trial->scene_count;
        run_scene(&trial->scenes[found->scene], seed, trial->replayed, &found->record);
        found->runs++;
        found->points += machine_points();
        found->hash = choice_hash();
    }
}

bool trial_fails(const struct trial *trial, struct found *found)
{
    fflush(stdout);
    found->kind[0] = '\0';
    found->runs = found->points = 0;
    const pid_t child = fork();
    if (child == 0) {
        trial_run(trial, found);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("a trial");
        exit(2);
    }
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == REPORT_EXIT))
        return WEXITSTATUS(status) != 0;
    const bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    snprintf(found->kind, sizeof found->kind, "%s", hangs ? "hangs" : "crash");
    snprintf(found->text, sizeof found->text, "The run %s (status %#x).",
             hangs ? "hangs between two points" : "crashed", (unsigned)status);
    return true;
}

/* ---- Shrinking ---- */

/* Whether the run of this seed fails in the same way with these choices. */
static bool fails_alike(const struct trial *trial, uint64_t seed, const char *kind,
                        const struct choice_list *choices, struct found *found)
{
    struct trial again = *trial;
    again.seed = seed;
    again.runs = 1;
    again.points = UINT64_MAX;
    again.replayed = choices;
    again.report = false;
    return trial_fails(&again, found) && strcmp(found->kind, kind) == 0;
}

/* `from` without `length` choices from `at` on. */
static void without(const struct choice_list *from, size_t at, size_t length, struct choice_list *out)
{
    memcpy(out->list, from->list, at * sizeof *from->list);
    memcpy(out->list + at, from->list + at + length, (from->count - at - length) * sizeof *from->list);
    out->count = from->count - length;
}

static void take_over(const struct choice_list *from, struct choice_list *out)
{
    out->count = from->count;
    memcpy(out->list, from->list, from->count * sizeof *from->list);
}

bool trial_shrink(const struct trial *trial, struct found *found, struct choice_list *choices)
{
    static struct choice_list fewer;
    const struct found first = {.seed = found->seed};
    char kind[sizeof found->kind];
    const time_t end = time(NULL) + SHRINK_SECONDS;
    memcpy(kind, found->kind, sizeof kind);
    if (found->record.count > CHOICES_MAX)
        return false;
    take_over(&found->record, choices);
    if (!fails_alike(trial, first.seed, kind, choices, found))
        return false;
    for (size_t length = (choices->count + 1) / 2; length > 0 && time(NULL) < end;) {
        bool shrunk = false;
        for (size_t at = 0; at < choices->count && time(NULL) < end;) {
            const size_t taken = length < choices->count - at ? length : choices->count - at;
            without(choices, at, taken, &fewer);
            if (fails_alike(trial, first.seed, kind, &fewer, found)) {
                take_over(&fewer, choices);
                shrunk = true;
            } else {
                at += taken;
            }
        }
        if (length > 1)
            length = (length + 1) / 2;
        else if (!shrunk)
            length = 0;
    }
    return fails_alike(trial, first.seed, kind, choices, found);
}
