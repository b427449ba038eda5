/*
 * What the ledger's rules cost, counted in the steps that the program takes and not by a clock: for twice as many callers
 * a little more than twice as many steps, whatever the lengths are, and in whatever order callers give up.
 *
 * The rules are compiled into this test once more, so that they call a function wherever they branch
 * (tests/CMakeLists.txt). That function counts.
 */
#include "support/support.h"

#include <stdlib.h>

#include "support/bare_ledger.h"

#define CALLERS 2000 /* and twice, and four times as many */

/* Called by what is compiled for it, for each piece of code without a branch. */
void __sanitizer_cov_trace_pc(void);

static uint64_t steps;

void __sanitizer_cov_trace_pc(void)
{
    steps++;
}

/* ---- Scenes ---- */

/* Callers of one key, by the order in which they asked. */
struct scene {
    struct bare bare;
    size_t count;
    struct seat *seats[4 * CALLERS];
    struct flight *flights[4 * CALLERS];
    size_t flight_count;
    uint64_t total, longest; /* steps of the rules, and of the longest one that seated nobody else */
    uint64_t random;
};

static uint64_t random_below(struct scene *scene, uint64_t count)
{
    scene->random = scene->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (scene->random >> 33) % count;
}

static void note(struct scene *scene, uint64_t since)
{
    const uint64_t taken = steps - since;
    scene->total += taken;
    if (taken > scene->longest && bare_count(&scene->bare.after.seated) == 0)
        scene->longest = taken;
    bare_tidy(&scene->bare);
}

static void ask(struct scene *scene, const struct kfi_policy *policy, uint64_t length)
{
    const uint64_t since = steps;
    struct flight *flight;
    (void)bare_ask(&scene->bare, 0, policy, length, &scene->seats[scene->count], &flight);
    note(scene, since);
    assert_non_null(scene->seats[scene->count++]);
    if (flight != NULL)
        scene->flights[scene->flight_count++] = flight;
}

static void leave(struct scene *scene, size_t index)
{
    const uint64_t since = steps;
    bare_leave(&scene->bare, scene->seats[index]);
    note(scene, since);
    scene->seats[index] = NULL;
}

/* Lands a flight, which may answer many and seat many. */
static void land(struct scene *scene, struct flight *flight, const struct kfi_policy *next)
{
    const uint64_t since = steps;
    struct flight *following = next != NULL ? bare_flight_new(0, next) : NULL;
    if (bare_land(&scene->bare, flight, KF_OK, following))
        scene->flights[scene->flight_count++] = following;
    scene->total += steps - since;
    bare_tidy(&scene->bare);
}

/* All flights land, in the order in which they were opened, and each may be followed by one for the line. */
static void land_all(struct scene *scene, const struct kfi_policy *next)
{
    for (size_t i = 0; i < scene->flight_count; i++)
        land(scene, scene->flights[i], next);
}

/* ---- What callers do ---- */

static const struct kfi_policy plain = {.limits = {UINT64_MAX, 1000000, 1000}};
static const struct kfi_policy one_message = {.limits = {1, UINT64_MAX, 1000}};
static const struct kfi_policy one_flight = {.limits = {UINT64_MAX, 1000000, 1000}, .max_flights = 1};

static void equal_lengths(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(scene, &plain, 300000);
}

static void random_lengths(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(scene, &plain, 1 + random_below(scene, 1000000));
}

static void growing_lengths(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(scene, &plain, 1 + i * 1000000 / count);
}

static void shrinking_lengths(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(scene, &plain, 1000000 - i * 1000000 / count);
}

/* A flight for each, all full. */
static void fill(struct scene *scene, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(scene, &one_message, 1);
    assert_int_equal(scene->flight_count, count);
}

static void leaving_oldest_first(struct scene *scene, size_t count)
{
    fill(scene, count);
    for (size_t i = 0; i < count; i++)
        leave(scene, i);
}

static void leaving_newest_first(struct scene *scene, size_t count)
{
    fill(scene, count);
    for (size_t i = count; i-- > 0;)
        leave(scene, i);
}

static void leaving_in_any_order(struct scene *scene, size_t count)
{
    random_lengths(scene, count);
    for (size_t left = count; left > 0; left--) {
        const size_t at = random_below(scene, left);
        struct seat *seat = scene->seats[at];
        scene->seats[at] = scene->seats[left - 1];
        scene->seats[left - 1] = seat;
        leave(scene, left - 1);
    }
}

static void coming_and_going(struct scene *scene, size_t count)
{
    random_lengths(scene, count / 2);
    for (size_t i = 0; i < count / 2; i++) {
        const size_t at = random_below(scene, scene->count);
        if (scene->seats[at] != NULL)
            leave(scene, at);
        ask(scene, &plain, 1 + random_below(scene, 1000000));
    }
}

/* Only one flight at a time, and one caller whose message takes all of it: all others stand in the line. */
static void stand_in_line(struct scene *scene, size_t count)
{
    ask(scene, &one_flight, 1000000);
    for (size_t i = 1; i < count; i++)
        ask(scene, &one_flight, 1 + random_below(scene, 1000000));
    assert_int_equal(bare_stats(&scene->bare).queued, count - 1);
}

static void a_line_of_random_lengths(struct scene *scene, size_t count)
{
    stand_in_line(scene, count);
    land_all(scene, &one_flight);
    assert_int_equal(bare_stats(&scene->bare).queued, 0);
}

/* The flight's one seat is given up, taken by the first in the line who fits, given up by him, and so on. */
static void a_line_in_which_seats_come_free(struct scene *scene, size_t count)
{
    stand_in_line(scene, count);
    for (size_t i = 0; i < count; i++)
        leave(scene, i);
}

static void a_line_that_is_left_from_its_end(struct scene *scene, size_t count)
{
    stand_in_line(scene, count);
    for (size_t i = count; i-- > 0;)
        leave(scene, i);
}

/* Nobody in the line fits into what others open, and nobody who comes fits into what is under way. */
static void a_long_line_that_others_pass(struct scene *scene, size_t count)
{
    ask(scene, &plain, 600000);
    for (size_t i = 1; i < count / 2; i++)
        ask(scene, &one_flight, 500001 + random_below(scene, 100000));
    for (size_t i = 0; i < count / 2; i++)
        ask(scene, &plain, 600000);
}

/*
 * CMMs of unlike limits share the key. Looking for room may go down the tree in vain then (order.h), so that one step may
 * take more than log n; all together do not.
 */
static void unlike_limits(struct scene *scene, size_t count)
{
    static const struct kfi_policy policies[] = {{.limits = {UINT64_MAX, 1000000, 1000}},
                                                 {.limits = {3, 700000, 1000}},
                                                 {.limits = {2, 900000, 1000}}};
    for (size_t i = 0; i < count; i++) {
        const struct kfi_policy *policy = &policies[random_below(scene, 3)];
        ask(scene, policy, random_below(scene, policy->limits.max_bytes));
    }
}

/* ---- How it grows ---- */

struct cost {
    uint64_t total, longest;
};

static struct cost cost_of(void (*act)(struct scene *scene, size_t count), size_t count)
{
    static struct scene scene;
    memset(&scene, 0, sizeof scene);
    bare_open(&scene.bare, 10);
    act(&scene, count);
    const struct cost cost = {scene.total, scene.longest};
    if (bare_place(&scene.bare, 0) != NULL && bare_place(&scene.bare, 0)->under_way > 0)
        land_all(&scene, NULL);
    for (size_t i = 0; i < scene.count; i++) {
        if (scene.seats[i] != NULL)
            leave(&scene, i);
    }
    bare_close(&scene.bare);
    return cost;
}

/* n log n grows by 2.2 for n = 2000, a square by 4. A single rule (`each`) takes log n steps and some more. */
static void assert_grows(const char *name, void (*act)(struct scene *scene, size_t count), bool each)
{
    struct cost before = {0, 0};
    for (size_t count = CALLERS; count <= 4 * CALLERS; count *= 2) {
        const struct cost cost = cost_of(act, count);
        print_message("%-32s %5zu callers: %4.0f steps each, %5llu at most\n", name, count,
                      (double)cost.total / (double)count, (unsigned long long)cost.longest);
        assert_true(cost.total >= count); /* the rules are counted */
        if (before.total > 0) {
            assert_true(cost.total * 10 <= before.total * 25);
            assert_true(!each || cost.longest * 10 <= before.longest * 15);
        }
        before = cost;
    }
}

static void rules_take_log_n_steps_whatever_callers_do(void **state)
{
    (void)state;
#define GROWS(act) assert_grows(#act, act, act != unlike_limits)
    GROWS(equal_lengths);
    GROWS(random_lengths);
    GROWS(growing_lengths);
    GROWS(shrinking_lengths);
    GROWS(leaving_oldest_first);
    GROWS(leaving_newest_first);
    GROWS(leaving_in_any_order);
    GROWS(coming_and_going);
    GROWS(a_line_of_random_lengths);
    GROWS(a_line_in_which_seats_come_free);
    GROWS(a_line_that_is_left_from_its_end);
    GROWS(a_long_line_that_others_pass);
    GROWS(unlike_limits);
#undef GROWS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_take_log_n_steps_whatever_callers_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
