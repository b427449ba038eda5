/*
 * The promises P1 to P8, and the rules behind them, on a bare ledger: one thread, a clock that stands still until it is
 * moved, and nothing that has to be waited for.
 */
#include "support/support.h"

#include "support/bare_ledger.h"

/* A ledger, and shorthands for what its stories are made of. */
struct story {
    struct bare bare;
    struct kfi_policy policy;
    struct seat *seats[64];
    struct flight *flights[64];
    size_t seat_count, flight_count;
};

static struct story *story_open(struct story *story, size_t capacity, const struct kfi_policy *policy)
{
    *story = (struct story){.policy = *policy};
    bare_open(&story->bare, capacity);
    return story;
}

/* Asks under a policy; keeps the seat and the flight, and lets go of the materials of a hit. */
static enum ledger_look ask_under(struct story *story, unsigned key, const struct kfi_policy *policy,
                                  uint64_t length)
{
    struct seat *seat;
    struct flight *flight;
    const struct ledger_answer answer = bare_ask(&story->bare, key, policy, length, &seat, &flight);
    if (answer.look == KFI_LEDGER_HIT)
        kfi_materials_unref(answer.materials);
    if (seat != NULL)
        story->seats[story->seat_count++] = seat;
    if (flight != NULL)
        story->flights[story->flight_count++] = flight;
    return answer.look;
}

static enum ledger_look ask(struct story *story, unsigned key, uint64_t length)
{
    return ask_under(story, key, &story->policy, length);
}

static void ask_times(struct story *story, size_t times, uint64_t length)
{
    for (size_t i = 0; i < times; i++)
        ask(story, 0, length);
}

/* Lands a flight by the order in which the story opened it. */
static void land(struct story *story, size_t index, enum kf_code code)
{
    struct flight *flight = story->flights[index];
    story->flights[index] = NULL;
    bare_land(&story->bare, flight, code, NULL);
}

/* Lands it with another one at hand for those who wait for their turn; whether that was opened. */
static bool land_with_next(struct story *story, size_t index)
{
    struct flight *flight = story->flights[index], *next = bare_flight_new(0, &story->policy);
    story->flights[index] = NULL;
    if (!bare_land(&story->bare, flight, KF_OK, next))
        return false;
    story->flights[story->flight_count++] = next;
    return true;
}

/* Opens the flight that a hit asked for ahead of need. */
static void open_ahead(struct story *story)
{
    struct flight *flight = bare_flight_new(0, &story->policy);
    assert_true(kfi_ledger_open_ahead(&story->bare.ledger, flight, story->bare.now_ms, &story->bare.after));
    story->flights[story->flight_count++] = flight;
}

static void land_all(struct story *story)
{
    for (size_t i = 0; i < story->flight_count; i++) {
        if (story->flights[i] != NULL)
            land(story, i, KF_OK);
    }
}

/* What a seat came to: the number of the flight whose key it got, or -1 and the code. */
static int answer_of(struct story *story, size_t seat, enum kf_code *code)
{
    const struct kfi_materials *materials = NULL;
    const struct flight *flight = kfi_flights_of(&story->seats[seat]->base);
    *code = kfi_ledger_answer(story->seats[seat], &materials);
    kfi_materials_unref(materials);
    return *code == KF_OK && flight != NULL ? (int)flight->number : -1;
}

static void assert_answer(struct story *story, size_t seat, int flight)
{
    enum kf_code code;
    assert_int_equal(answer_of(story, seat, &code), flight);
    assert_int_equal(code, KF_OK);
}

static void assert_code(struct story *story, size_t seat, enum kf_code wanted)
{
    enum kf_code code;
    answer_of(story, seat, &code);
    assert_int_equal(code, wanted);
}

static void leave(struct story *story, size_t seat)
{
    bare_leave(&story->bare, story->seats[seat]);
    story->seats[seat] = NULL;
}

static struct kf_cache_stats stats(struct story *story)
{
    return bare_stats(&story->bare);
}

static const struct entry *entry_of(struct story *story, unsigned key)
{
    const struct place *place = bare_place(&story->bare, key);
    return place == NULL ? NULL : place->entry;
}

/* The end of the first entry that ended, and lets go of what rules left. */
static enum kf_cache_end first_end(struct story *story)
{
    struct kfi_link *link = kfi_list_first(&story->bare.after.ended);
    const enum kf_cache_end end = link == NULL ? 0 : KFI_CONTAINER(link, struct entry, by_use)->end;
    bare_tidy(&story->bare);
    return end;
}

static void story_close(struct story *story)
{
    land_all(story);
    for (size_t i = 0; i < story->seat_count; i++) {
        if (story->seats[i] != NULL)
            leave(story, i);
    }
    bare_close(&story->bare);
}

/* ---- P1: no over-use ---- */

static void p1_no_key_is_charged_beyond_its_messages(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(3, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_COALESCED);
    land(&story, 0, KF_OK); /* two seats were taken: one message is left */
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_HIT);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    assert_int_equal(first_end(&story), KF_CACHE_END_MESSAGES);
    story_close(&story);
}

static void p1_no_key_is_charged_beyond_its_bytes(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(100, 100, 1000);
    story_open(&story, 10, &policy);
    assert_int_equal(ask(&story, 0, 60), KFI_LEDGER_OPENED);
    assert_int_equal(ask(&story, 0, 41), KFI_LEDGER_OPENED); /* the first has 40 left */
    assert_int_equal(ask(&story, 0, 40), KFI_LEDGER_COALESCED);
    assert_int_equal(story.bare.ledger.turns.flights.opened, 2);
    assert_int_equal(story.flights[0]->budget.bytes, 100);
    assert_int_equal(story.flights[1]->budget.bytes, 41);
    story_close(&story);
}

static void p1_no_key_is_handed_out_at_its_age(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(100, UINT64_MAX, 50);
    story_open(&story, 10, &policy);
    ask(&story, 0, 1);
    story.bare.now_ms += 1000; /* the age counts from the landing */
    land(&story, 0, KF_OK);
    story.bare.now_ms += 49;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_HIT);
    story.bare.now_ms += 1;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    assert_int_equal(first_end(&story), KF_CACHE_END_AGE);
    story_close(&story);
}

static void p1_a_key_carries_the_least_limits_of_those_who_used_it(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy wide = bare_policy(10, 1000, 1000), narrow = bare_policy(2, 50, 100);
    story_open(&story, 10, &wide);
    assert_int_equal(ask(&story, 0, 10), KFI_LEDGER_OPENED);
    land(&story, 0, KF_OK);
    assert_int_equal(ask_under(&story, 0, &narrow, 41), KFI_LEDGER_OPENED); /* 10 and 41 are more than 50 */
    assert_int_equal(ask_under(&story, 0, &narrow, 40), KFI_LEDGER_HIT);
    assert_int_equal(ask(&story, 0, 0), KFI_LEDGER_COALESCED); /* two messages were the least limit */
    assert_int_equal(ask_under(&story, 0, &narrow, 1),
                     KFI_LEDGER_OPENED); /* and so they are in that flight */
    story_close(&story);
}

static void p1_the_jitter_only_shortens_an_age(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(10, UINT64_MAX, 50);
    story_open(&story, 10, &policy);
    const struct ledger_question question = {bare_key(0), bare_direction(0), &policy, 1};
    struct seat *seat = bare_seat_new(&policy, 1);
    struct flight *flight = bare_flight_new(0, &policy);
    struct ledger_answer answer;
    flight->jitter_ms = 20;
    kfi_ledger_ask(&story.bare.ledger, &question, seat, flight, story.bare.now_ms, &answer,
                   &story.bare.after);
    assert_int_equal(answer.look, KFI_LEDGER_OPENED);
    bare_land(&story.bare, flight, KF_OK, NULL);
    bare_leave(&story.bare, seat);
    story.bare.now_ms += 29;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_HIT);
    story.bare.now_ms += 1;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    story_close(&story);
}

/* ---- P2: no stampede ---- */

static void p2_a_burst_opens_as_many_flights_as_the_limits_demand(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        struct story story;
        const struct kfi_policy policy = bare_policy(5, UINT64_MAX, 1000);
        story_open(&story, capacity, &policy);
        ask_times(&story, 23, 1);
        assert_int_equal(story.flight_count, 5);
        land_all(&story);
        for (size_t i = 0; i < 23; i++)
            assert_answer(&story, i, (int)i / 5); /* from the flight, whatever the cache keeps */
        story_close(&story);
    }
}

static void p2_what_is_left_of_the_entry_is_used_first(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(5, UINT64_MAX, 1000);
    story_open(&story, 1, &policy);
    ask(&story, 0, 1);
    land(&story, 0, KF_OK);
    ask_times(&story, 10, 1); /* 4 are left: 6 more need two flights */
    assert_int_equal(stats(&story).hits, 4);
    assert_int_equal(story.flight_count, 3);
    story_close(&story);
}

/* ---- P3: side by side ---- */

static void p3_a_flight_opens_as_soon_as_the_others_are_full(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 5, 1);
    assert_int_equal(bare_place(&story.bare, 0)->under_way, 3); /* none had to land first */
    assert_int_equal(stats(&story).waiting, 5);
    story_close(&story);
}

static void p3_with_max_flights_the_others_wait_for_their_turn_in_order(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    policy.max_flights = 1;
    story_open(&story, 10, &policy);
    ask_times(&story, 5, 1);
    assert_int_equal(story.flight_count, 1);
    assert_int_equal(stats(&story).queued, 3);
    assert_true(kfi_ledger_awaited(story.flights[0]));
    assert_true(land_with_next(&story, 0));
    assert_int_equal(bare_count(&story.bare.after.answered), 2);
    assert_int_equal(bare_count(&story.bare.after.seated), 1); /* the head opened, the next one was seated */
    bare_tidy(&story.bare);
    assert_int_equal(stats(&story).queued, 1);
    assert_int_equal(stats(&story).waves, 1);
    assert_true(land_with_next(&story, 1));
    assert_false(land_with_next(&story, 2)); /* nobody waits any more */
    const int flights[] = {0, 0, 1, 1, 2};
    for (size_t i = 0; i < 5; i++)
        assert_answer(&story, i, flights[i]);
    story_close(&story);
}

static void p3_whoever_waits_gets_what_the_landing_left(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(10, 100, 1000);
    policy.max_flights = 1;
    story_open(&story, 10, &policy);
    ask(&story, 0, 60);
    ask(&story, 0, 50); /* no room, and no other flight may begin */
    assert_int_equal(stats(&story).queued, 1);
    leave(&story, 0);
    assert_int_equal(stats(&story).queued, 0); /* the room went to whoever waited */
    assert_int_equal(bare_count(&story.bare.after.seated), 1);
    land(&story, 0, KF_OK);
    assert_answer(&story, 1, 0);
    story_close(&story);
}

static void p3_what_is_in_the_entry_goes_to_the_first_in_the_line_who_fits(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(10, 100, 1000);
    policy.max_flights = 1;
    policy.settle = true;
    story_open(&story, 10, &policy);
    ask(&story, 0, 60);
    land(&story, 0, KF_OK);
    ask(&story, 0, 50);
    assert_int_equal(ask(&story, 0, 95), KFI_LEDGER_QUEUED);
    assert_int_equal(ask(&story, 0, 70), KFI_LEDGER_QUEUED);
    kfi_materials_settle(entry_of(&story, 0)->materials, 40); /* there are 80 left now */
    assert_true(land_with_next(&story, 1));
    assert_int_equal(stats(&story).queued, 0);
    assert_null(story.seats[3]->base.flight);
    assert_code(&story, 3, KF_OK);
    assert_code(&story, 2, KF_PENDING);
    story_close(&story);
}

/* ---- P4: exactly once ---- */

static void p4_each_caller_gets_one_answer(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(5, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 3, 1);
    assert_code(&story, 1, KF_PENDING);
    land(&story, 0, KF_OK);
    assert_int_equal(bare_count(&story.bare.after.answered), 3);
    for (size_t i = 0; i < 3; i++)
        assert_answer(&story, i, 0);
    assert_int_equal(entry_of(&story, 0)->budget.messages, 3);
    leave(&story, 0); /* behind the landing the use stays charged */
    assert_int_equal(entry_of(&story, 0)->budget.messages, 3);
    story_close(&story);
}

static void p4_an_answer_out_of_the_line_is_handed_out_once(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(10, 100, 1000);
    policy.max_flights = 1;
    policy.settle = true;
    story_open(&story, 10, &policy);
    ask(&story, 0, 60);
    land(&story, 0, KF_OK);
    assert_int_equal(ask(&story, 0, 50), KFI_LEDGER_OPENED);
    assert_int_equal(ask(&story, 0, 70), KFI_LEDGER_QUEUED);
    bare_tidy(&story.bare);
    kfi_materials_settle(entry_of(&story, 0)->materials, 40);
    land(&story, 1, KF_OK);
    assert_int_equal(bare_count(&story.bare.after.answered), 2); /* whoever was seated, and whoever waited */
    const struct kfi_materials *materials, *again;
    assert_int_equal(kfi_ledger_answer(story.seats[2], &materials), KF_OK);
    assert_ptr_equal(materials, entry_of(&story, 0)->materials);
    kfi_materials_unref(materials);
    (void)kfi_ledger_answer(story.seats[2], &again);
    assert_null(again);
    assert_int_equal(entry_of(&story, 0)->budget.messages, 2);
    assert_int_equal(entry_of(&story, 0)->budget.bytes, 90);
    story_close(&story);
}

/* ---- P5: failures stay local ---- */

static void p5_a_failure_answers_the_seated_and_is_forgotten(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 3, 1);
    land(&story, 0, KF_E_RETRY);
    assert_code(&story, 0, KF_E_RETRY);
    assert_code(&story, 1, KF_E_RETRY);
    assert_code(&story, 2, KF_PENDING); /* seated in another flight */
    land(&story, 1, KF_OK);
    assert_answer(&story, 2, 1);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_HIT);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    story_close(&story);
}

static void p5_with_a_backoff_the_next_ones_come_later(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(1, UINT64_MAX, 1000);
    policy.failure_backoff_ms = 10;
    story_open(&story, 10, &policy);
    ask_times(&story, 3, 1);
    for (size_t i = 0; i < 3; i++)
        land(&story, i, KF_E_RETRY); /* a burst fails once, not three times in a row */
    story.bare.now_ms += 9;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_REFUSED);
    story.bare.now_ms += 1;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    land(&story, 3, KF_E_RETRY);
    story.bare.now_ms += 19; /* doubled */
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_REFUSED);
    story.bare.now_ms += 1;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    land(&story, 4, KF_OK); /* ends the row */
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    land(&story, 5, KF_E_RETRY);
    story.bare.now_ms += 10;
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    assert_int_equal(stats(&story).failed_fast, 2);
    story_close(&story);
}

/* ---- P6: nobody holds the others up ---- */

static void p6_a_seat_that_is_given_up_can_be_taken_again(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(2, 100, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 4, 50);
    leave(&story, 0);
    assert_int_equal(ask(&story, 0, 50), KFI_LEDGER_COALESCED);
    assert_int_equal(story.flight_count, 2);
    land_all(&story);
    assert_answer(&story, 4, 0);
    story_close(&story);
}

static void p6_a_flight_that_nobody_waits_for_lands_with_usage_0(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask(&story, 0, 1);
    leave(&story, 0);
    land(&story, 0, KF_OK);
    assert_int_equal(entry_of(&story, 0)->budget.messages, 0);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_HIT);
    story_close(&story);
}

static void p6_whoever_waits_for_a_turn_is_answered_if_no_flight_can_follow(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(1, UINT64_MAX, 1000);
    policy.max_flights = 1;
    story_open(&story, 10, &policy);
    ask_times(&story, 3, 1);
    land(&story, 0, KF_OK);
    assert_code(&story, 1, KF_E_NO_MEMORY);
    assert_code(&story, 2, KF_E_NO_MEMORY);
    assert_null(bare_place(&story.bare, 0));
    story_close(&story);
}

/* ---- P6, where callers of unlike policies share a key ---- */

/* One message to a key, so that no flight ever has room for another caller. */
static struct kfi_policy single(uint32_t max_flights)
{
    struct kfi_policy policy = bare_policy(1, UINT64_MAX, 1000);
    policy.max_flights = max_flights;
    return policy;
}

static void p6_a_landing_opens_a_flight_for_the_first_in_the_line_whatever_others_have_under_way(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy narrow = single(1), wide = single(0);
    story_open(&story, 10, &wide);
    ask_times(&story, 3, 1);
    assert_int_equal(ask_under(&story, 0, &narrow, 1), KFI_LEDGER_QUEUED);
    assert_true(land_with_next(&story, 0));
    assert_int_equal(bare_place(&story.bare, 0)->under_way, 3); /* no more than before */
    land(&story, 3, KF_OK);
    assert_answer(&story, 3, 3);
    story_close(&story);
}

static void p6_a_landing_that_failed_opens_it_too(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy narrow = single(1), wide = single(0);
    story_open(&story, 10, &wide);
    ask_times(&story, 2, 1);
    ask_under(&story, 0, &narrow, 1);
    struct flight *next = bare_flight_new(0, &wide);
    assert_true(bare_land(&story.bare, story.flights[0], KF_E_RETRY, next));
    story.flights[0] = next;
    land(&story, 0, KF_OK);
    assert_answer(&story, 2, 2);
    story_close(&story);
}

static void p6_whoever_is_third_in_the_line_is_out_of_it_after_three_landings(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy narrow = single(1), wide = single(0);
    story_open(&story, 10, &wide);
    ask(&story, 0, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask_under(&story, 0, &narrow, 1), KFI_LEDGER_QUEUED);
    for (size_t landed = 0; landed < 3; landed++) {
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED); /* passes by */
        assert_true(land_with_next(&story, landed));
        assert_int_equal(stats(&story).queued, 2 - landed);
        assert_non_null(story.seats[1 + landed]->base.flight);
    }
    story_close(&story);
}

static void p6_short_messages_pass_a_long_one_until_the_next_landing(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(100, 100, 1000);
    policy.max_flights = 1;
    story_open(&story, 10, &policy);
    ask(&story, 0, 60);
    assert_int_equal(ask(&story, 0, 50), KFI_LEDGER_QUEUED);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ask(&story, 0, 10), KFI_LEDGER_COALESCED);
    assert_int_equal(ask(&story, 0, 10), KFI_LEDGER_QUEUED);
    assert_true(land_with_next(&story, 0));
    assert_int_equal(stats(&story).queued, 0);
    land(&story, 1, KF_OK);
    assert_answer(&story, 1, 1);
    story_close(&story);
}

static void p6_a_flight_that_another_caller_opens_is_offered_to_the_line_at_once(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy wide = bare_policy(3, 100, 1000);
    struct kfi_policy narrow = wide;
    narrow.max_flights = 1;
    story_open(&story, 10, &narrow);
    ask(&story, 0, 60);
    for (uint64_t length = 50; length > 46; length--)
        assert_int_equal(ask(&story, 0, length), KFI_LEDGER_QUEUED);
    assert_int_equal(ask_under(&story, 0, &wide, 45), KFI_LEDGER_OPENED);
    assert_int_equal(bare_count(&story.bare.after.seated), 1); /* bytes for one more */
    assert_int_equal(stats(&story).queued, 3);
    land(&story, 1, KF_OK);
    assert_answer(&story, 1, 1); /* the first */
    assert_code(&story, 2, KF_PENDING);
    story_close(&story);
}

static void p6_a_flight_ahead_of_need_is_offered_to_the_line_at_once(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy wide = bare_policy(100, 100, 1000), narrow = wide;
    const struct kfi_policy one = single(0);
    wide.refresh_ahead_permille = 500;
    narrow.max_flights = 1;
    story_open(&story, 10, &wide);
    ask(&story, 0, 80);
    land(&story, 0, KF_OK);
    assert_int_equal(ask_under(&story, 0, &one, 50), KFI_LEDGER_OPENED);
    assert_int_equal(ask_under(&story, 0, &narrow, 50), KFI_LEDGER_QUEUED);
    assert_int_equal(ask(&story, 0, 10), KFI_LEDGER_HIT); /* asks for the next one */
    open_ahead(&story);
    assert_int_equal(stats(&story).queued, 0);
    assert_int_equal(bare_count(&story.bare.after.seated), 1);
    land(&story, 2, KF_OK);
    assert_answer(&story, 2, 2);
    story_close(&story);
}

static void p6_room_that_came_about_goes_to_the_first_in_the_line_who_fits(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(100, 100, 1000);
    policy.max_flights = 1;
    story_open(&story, 10, &policy);
    ask(&story, 0, 60);
    ask(&story, 0, 40);
    const uint64_t lengths[] = {70, 25, 60, 15, 10};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(&story, 0, lengths[i]), KFI_LEDGER_QUEUED);
    leave(&story, 1);
    assert_int_equal(stats(&story).queued, 3);
    assert_non_null(story.seats[3]->base.flight); /* 25 of the 40 */
    assert_non_null(story.seats[5]->base.flight); /* and 15 */
    leave(&story, 2);                             /* out of the line: nothing came about */
    assert_int_equal(stats(&story).queued, 2);
    leave(&story, 3);
    assert_non_null(story.seats[6]->base.flight);
    story_close(&story);
}

/* ---- P7: refusals cost nothing ---- */

static void p7_a_message_too_large_for_the_rest_leaves_the_entry_alone(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(10, 100, 1000);
    story_open(&story, 10, &policy);
    ask(&story, 0, 60);
    land(&story, 0, KF_OK);
    assert_int_equal(ask(&story, 0, 41), KFI_LEDGER_OPENED);
    assert_int_equal(entry_of(&story, 0)->budget.bytes, 60);
    assert_int_equal(ask(&story, 0, 40), KFI_LEDGER_HIT);
    assert_true(kfi_list_empty(&story.bare.after.ended));
    story_close(&story);
}

/* ---- P8: same question, same answer ---- */

static void p8_only_equal_keys_share(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(10, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    for (unsigned key = 0; key < 3; key++)
        assert_int_equal(ask(&story, key, 1), KFI_LEDGER_OPENED);
    struct kfi_cache_key beside = bare_key(0);
    beside.beside[0] ^= 1; /* the identifier of the specification is the same */
    const struct ledger_question question = {beside, KFI_ENCRYPTION, &policy, 1};
    struct ledger_answer answer;
    kfi_ledger_ask(&story.bare.ledger, &question, NULL, NULL, story.bare.now_ms, &answer, &story.bare.after);
    assert_int_equal(answer.look, KFI_LEDGER_WANTS_FLIGHT);
    land_all(&story);
    kfi_ledger_ask(&story.bare.ledger, &question, NULL, NULL, story.bare.now_ms, &answer, &story.bare.after);
    assert_int_equal(answer.look, KFI_LEDGER_WANTS_FLIGHT);
    story_close(&story);
}

/* ---- The rules behind them ---- */

static void a_look_that_wants_memory_changes_nothing(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    policy.max_flights = 1;
    story_open(&story, 10, &policy);
    const struct ledger_question question = {bare_key(0), KFI_ENCRYPTION, &policy, 1};
    struct ledger_answer answer;
    struct seat *seat = bare_seat_new(&policy, 1);
    kfi_ledger_ask(&story.bare.ledger, &question, seat, NULL, story.bare.now_ms, &answer, &story.bare.after);
    assert_int_equal(answer.look, KFI_LEDGER_WANTS_FLIGHT);
    assert_null(seat->base.flight);
    assert_null(bare_place(&story.bare, 0));
    ask(&story, 0, 1);
    kfi_ledger_ask(&story.bare.ledger, &question, NULL, NULL, story.bare.now_ms, &answer, &story.bare.after);
    assert_int_equal(answer.look, KFI_LEDGER_WANTS_SEAT); /* in the flight */
    assert_int_equal(story.flights[0]->budget.messages, 1);
    ask(&story, 0, 1);
    kfi_ledger_ask(&story.bare.ledger, &question, NULL, NULL, story.bare.now_ms, &answer, &story.bare.after);
    assert_int_equal(answer.look, KFI_LEDGER_WANTS_SEAT); /* in the line */
    assert_int_equal(stats(&story).queued, 0);
    bare_seat_unref(seat);
    story_close(&story);
}

static void of_two_candidates_the_one_with_more_left_stays(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(4, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 5, 1); /* 4 in the first flight, 1 in the second */
    leave(&story, 0);        /* 3 in the first */
    land(&story, 1, KF_OK);
    land(&story, 0, KF_OK);
    assert_int_equal(entry_of(&story, 0)->flight, 1);
    assert_int_equal(first_end(&story), KF_CACHE_END_REPLACED);
    story_close(&story);
}

static void a_tie_keeps_the_later_expiry(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 4, 1);
    leave(&story, 0);
    leave(&story, 2); /* one message left in each */
    land(&story, 0, KF_OK);
    story.bare.now_ms += 1;
    land(&story, 1, KF_OK);
    assert_int_equal(entry_of(&story, 0)->flight, 1);
    story_close(&story);
}

static void the_key_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(10, UINT64_MAX, 1000);
    story_open(&story, 2, &policy);
    for (unsigned key = 0; key < 2; key++) {
        ask(&story, key, 1);
        land(&story, key, KF_OK);
    }
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_HIT); /* used last */
    ask(&story, 2, 1);
    land(&story, 2, KF_OK);
    assert_null(entry_of(&story, 1));
    assert_non_null(entry_of(&story, 0));
    assert_int_equal(first_end(&story), KF_CACHE_END_CAPACITY);
    story_close(&story);
}

static void a_clearing_ends_entries_and_bars_flights(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(10, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask(&story, 0, 1);
    land(&story, 0, KF_OK);
    ask(&story, 2, 1);
    bare_tidy(&story.bare);
    assert_false(
        kfi_ledger_sweep(&story.bare.ledger, kfi_ledger_clear(&story.bare.ledger), 1, &story.bare.after));
    assert_int_equal(first_end(&story), KF_CACHE_END_CLEARED);
    assert_int_equal(ask(&story, 2, 1), KFI_LEDGER_OPENED); /* not in the flight of before */
    leave(&story, 1);
    assert_int_equal(ask(&story, 2, 1), KFI_LEDGER_COALESCED);
    assert_int_equal(story.flights[1]->budget.messages, 0); /* nor after a seat became free in it */
    land(&story, 1, KF_OK);
    assert_null(entry_of(&story, 2));
    assert_int_equal(first_end(&story), KF_CACHE_END_CLEARED);
    story_close(&story);
}

static void a_seat_given_up_in_a_flight_that_was_full_is_barred_too(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(2, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 2, 1);
    kfi_ledger_clear(&story.bare.ledger);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_OPENED);
    leave(&story, 0);
    assert_int_equal(ask(&story, 0, 1), KFI_LEDGER_COALESCED);
    assert_int_equal(story.flights[1]->budget.messages, 2);
    story_close(&story);
}

static void a_key_fetched_ahead_is_parked_until_the_entry_ends(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(3, UINT64_MAX, 1000);
    policy.refresh_ahead_permille = 400;
    story_open(&story, 10, &policy);
    ask(&story, 0, 1);
    land(&story, 0, KF_OK);
    struct seat *seat;
    struct flight *flight;
    struct ledger_answer answer = bare_ask(&story.bare, 0, &policy, 1, &seat, &flight);
    assert_true(answer.ahead); /* one of three is left */
    kfi_materials_unref(answer.materials);
    open_ahead(&story);
    land(&story, 1, KF_OK);
    assert_int_equal(bare_place(&story.bare, 0)->parked->flight, 1);
    assert_int_equal(stats(&story).parked, 1);
    answer = bare_ask(&story.bare, 0, &policy, 1, &seat, &flight);
    assert_false(answer.ahead); /* once for each entry */
    kfi_materials_unref(answer.materials);
    assert_int_equal(entry_of(&story, 0)->flight, 1);
    assert_int_equal(stats(&story).parked, 0);
    story_close(&story);
}

static void nothing_is_fetched_ahead_twice(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(3, UINT64_MAX, 1000);
    policy.refresh_ahead_permille = 999;
    story_open(&story, 10, &policy);
    ask(&story, 0, 1);
    land(&story, 0, KF_OK);
    ask(&story, 0, 1);
    open_ahead(&story);
    struct flight *again = bare_flight_new(0, &policy);
    assert_false(kfi_ledger_open_ahead(&story.bare.ledger, again, story.bare.now_ms, &story.bare.after));
    bare_flight_unref(again);
    story_close(&story);
}

static void a_parked_key_ends_for_its_own_reason(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(3, UINT64_MAX, 50);
    policy.refresh_ahead_permille = 999;
    story_open(&story, 1, &policy);
    ask(&story, 0, 1);
    land(&story, 0, KF_OK);
    ask(&story, 0, 1);
    open_ahead(&story);
    story.bare.now_ms += 40;
    land(&story, 1, KF_OK);
    story.bare.now_ms += 20; /* the entry has outlived its age, the parked key has not */
    ask(&story, 2, 1);
    land(&story, 2, KF_OK);
    assert_int_equal(stats(&story).ended_age, 1);
    assert_int_equal(stats(&story).ended_capacity, 1);
    story_close(&story);
}

static void bytes_that_were_given_back_can_be_used_again(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(10, 100, 1000);
    policy.settle = true;
    story_open(&story, 10, &policy);
    ask(&story, 0, 90);
    land(&story, 0, KF_OK);
    kfi_materials_settle(entry_of(&story, 0)->materials, 80);
    assert_int_equal(ask(&story, 0, 90), KFI_LEDGER_HIT);
    assert_int_equal(entry_of(&story, 0)->budget.bytes, 100);
    assert_int_equal(entry_of(&story, 0)->budget.messages, 2); /* never the message */
    assert_int_equal(stats(&story).settled_bytes, 80);
    story_close(&story);
}

static void each_direction_has_its_own_statistics(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(10, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask(&story, 0, 1);
    ask(&story, 1, 1);
    ask(&story, 1, 1);
    kfi_ledger_bypass(&story.bare.ledger, KFI_DECRYPTION);
    struct kf_cache_stats encryption = {0}, decryption = {0};
    kfi_ledger_stats_add(&story.bare.ledger, KFI_ENCRYPTION, &encryption);
    kfi_ledger_stats_add(&story.bare.ledger, KFI_DECRYPTION, &decryption);
    assert_int_equal(encryption.waiting, 1);
    assert_int_equal(encryption.bypasses, 0);
    assert_int_equal(decryption.waiting, 2);
    assert_int_equal(decryption.coalesced, 1);
    assert_int_equal(decryption.bypasses, 1);
    story_close(&story);
}

static void a_place_goes_with_the_last_thing_in_it(void **state)
{
    (void)state;
    struct story story;
    const struct kfi_policy policy = bare_policy(1, UINT64_MAX, 1000);
    story_open(&story, 10, &policy);
    ask_times(&story, 2, 1);
    land(&story, 0, KF_OK);
    assert_non_null(bare_place(&story.bare, 0));
    land(&story, 1, KF_OK);
    assert_null(bare_place(&story.bare, 0));
    assert_int_equal(bare_count(&story.bare.after.places), 1);
    story_close(&story);
}

static void only_so_many_failures_are_remembered(void **state)
{
    (void)state;
    struct story story;
    struct kfi_policy policy = bare_policy(1, UINT64_MAX, 1000);
    policy.failure_backoff_ms = 1000;
    story_open(&story, 10, &policy);
    for (unsigned key = 0; key < 300; key++) {
        assert_int_equal(ask(&story, key, 1), KFI_LEDGER_OPENED);
        land(&story, 0, KF_E_RETRY);
        leave(&story, 0);
        story.seat_count = story.flight_count = 0;
        bare_tidy(&story.bare);
    }
    assert_int_equal(story.bare.ledger.turns.failure_count, 256);
    assert_null(bare_place(&story.bare, 43)); /* the oldest were forgotten */
    assert_int_equal(ask(&story, 44, 1), KFI_LEDGER_REFUSED);
    story_close(&story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p1_no_key_is_charged_beyond_its_messages),
        cmocka_unit_test(p1_no_key_is_charged_beyond_its_bytes),
        cmocka_unit_test(p1_no_key_is_handed_out_at_its_age),
        cmocka_unit_test(p1_a_key_carries_the_least_limits_of_those_who_used_it),
        cmocka_unit_test(p1_the_jitter_only_shortens_an_age),
        cmocka_unit_test(p2_a_burst_opens_as_many_flights_as_the_limits_demand),
        cmocka_unit_test(p2_what_is_left_of_the_entry_is_used_first),
        cmocka_unit_test(p3_a_flight_opens_as_soon_as_the_others_are_full),
        cmocka_unit_test(p3_with_max_flights_the_others_wait_for_their_turn_in_order),
        cmocka_unit_test(p3_whoever_waits_gets_what_the_landing_left),
        cmocka_unit_test(p3_what_is_in_the_entry_goes_to_the_first_in_the_line_who_fits),
        cmocka_unit_test(p4_each_caller_gets_one_answer),
        cmocka_unit_test(p4_an_answer_out_of_the_line_is_handed_out_once),
        cmocka_unit_test(p5_a_failure_answers_the_seated_and_is_forgotten),
        cmocka_unit_test(p5_with_a_backoff_the_next_ones_come_later),
        cmocka_unit_test(p6_a_seat_that_is_given_up_can_be_taken_again),
        cmocka_unit_test(p6_a_flight_that_nobody_waits_for_lands_with_usage_0),
        cmocka_unit_test(p6_whoever_waits_for_a_turn_is_answered_if_no_flight_can_follow),
        cmocka_unit_test(
            p6_a_landing_opens_a_flight_for_the_first_in_the_line_whatever_others_have_under_way),
        cmocka_unit_test(p6_a_landing_that_failed_opens_it_too),
        cmocka_unit_test(p6_whoever_is_third_in_the_line_is_out_of_it_after_three_landings),
        cmocka_unit_test(p6_short_messages_pass_a_long_one_until_the_next_landing),
        cmocka_unit_test(p6_a_flight_that_another_caller_opens_is_offered_to_the_line_at_once),
        cmocka_unit_test(p6_a_flight_ahead_of_need_is_offered_to_the_line_at_once),
        cmocka_unit_test(p6_room_that_came_about_goes_to_the_first_in_the_line_who_fits),
        cmocka_unit_test(p7_a_message_too_large_for_the_rest_leaves_the_entry_alone),
        cmocka_unit_test(p8_only_equal_keys_share),
        cmocka_unit_test(a_look_that_wants_memory_changes_nothing),
        cmocka_unit_test(of_two_candidates_the_one_with_more_left_stays),
        cmocka_unit_test(a_tie_keeps_the_later_expiry),
        cmocka_unit_test(the_key_used_longest_ago_makes_room),
        cmocka_unit_test(a_clearing_ends_entries_and_bars_flights),
        cmocka_unit_test(a_seat_given_up_in_a_flight_that_was_full_is_barred_too),
        cmocka_unit_test(a_key_fetched_ahead_is_parked_until_the_entry_ends),
        cmocka_unit_test(nothing_is_fetched_ahead_twice),
        cmocka_unit_test(a_parked_key_ends_for_its_own_reason),
        cmocka_unit_test(bytes_that_were_given_back_can_be_used_again),
        cmocka_unit_test(each_direction_has_its_own_statistics),
        cmocka_unit_test(a_place_goes_with_the_last_thing_in_it),
        cmocka_unit_test(only_so_many_failures_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
