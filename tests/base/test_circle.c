/*
 * Circles of fetches that wait for each other, on a graph without threads: each seat waits for one flight. What the cache
 * makes of it is tested in tests/materials.
 */
#include "support/support.h"

#include "base/circle.h"

#define FLIGHTS 4

static struct kfi_flight flights[FLIGHTS];

/* Somebody who is inside the fetch of one flight and waits for that of another. */
struct waiting {
    struct kfi_seat seat; /* first */
    struct kfi_flight *awaited;
};

static void awaited(struct kfi_seat *seat, struct kfi_circle_search *search)
{
    kfi_circle_meet(search, ((struct waiting *)seat)->awaited);
}

static const struct kfi_seat_class seat_class = {.size = sizeof(struct waiting), .awaited = awaited};

static void land(struct kfi_flight *flight)
{
    (void)flight;
}

static void graph_begin(void)
{
    static const struct kfi_flight_class flight_class = {.land = land, .destroy = land};
    for (size_t i = 0; i < FLIGHTS; i++)
        kfi_flight_init(&flights[i], &flight_class, 1000);
}

/* Whether it closes a circle if somebody inside of `inner` waits for `outer`. */
static bool waits(struct waiting *waiting, size_t inner, size_t outer)
{
    *waiting = (struct waiting){.seat = {.class = &seat_class}, .awaited = &flights[outer]};
    return kfi_circle_enter(&waiting->seat, &flights[inner], NULL);
}

static void leave(struct waiting *waiting)
{
    kfi_circle_leave(&waiting->seat);
}

static void a_fetch_does_not_wait_for_itself(void **state)
{
    (void)state;
    struct waiting one;
    graph_begin();
    assert_true(waits(&one, 0, 0));
}

static void circles_of_any_length_are_seen(void **state)
{
    (void)state;
    struct waiting chain[FLIGHTS - 1], last;
    graph_begin();
    for (size_t i = 0; i + 1 < FLIGHTS; i++)
        assert_false(waits(&chain[i], i, i + 1));
    for (size_t i = 1; i < FLIGHTS; i++)
        assert_true(waits(&last, i, 0));
    for (size_t i = 0; i + 1 < FLIGHTS; i++)
        leave(&chain[i]);
}

static void ways_that_meet_are_no_circle(void **state)
{
    (void)state;
    struct waiting ways[4], last;
    graph_begin();
    assert_false(waits(&ways[0], 2, 3));
    assert_false(waits(&ways[1], 1, 3));
    assert_false(waits(&ways[2], 0, 2));
    assert_false(waits(&ways[3], 0, 1));
    assert_true(waits(&last, 3, 0));
    for (size_t i = 0; i < 4; i++)
        leave(&ways[i]);
}

static void whoever_left_or_was_refused_is_in_no_circle(void **state)
{
    (void)state;
    struct waiting there, back;
    graph_begin();
    assert_false(waits(&there, 0, 1));
    assert_true(waits(&back, 1, 0));
    leave(&there);
    assert_false(waits(&back, 1, 0));
    assert_true(waits(&there, 0, 1));
    leave(&back);
    assert_false(waits(&there, 0, 1));
    leave(&there);
    leave(&there); /* who never said so, or has left, leaves nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_does_not_wait_for_itself),
        cmocka_unit_test(circles_of_any_length_are_seen),
        cmocka_unit_test(ways_that_meet_are_no_circle),
        cmocka_unit_test(whoever_left_or_was_refused_is_in_no_circle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
