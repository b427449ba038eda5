/*
 * Bursts: hits, coalesced questions and misses are counted exactly, whatever the capacity, and all fetches of
 * a burst are under way at once (P1 to P4).
 */
#include "support/asker.h"

#define MANY 300

static struct asker askers[MANY];

/* Asks `count` times; how many were answered at once. */
static size_t ask_many(struct asker *first, size_t count, struct kf_cmm *cmm, uint64_t length)
{
    size_t answered = 0;
    for (size_t i = 0; i < count; i++)
        answered += asker_ask(&first[i], cmm, length) == KF_OK ? 1 : 0;
    return answered;
}

/* Everybody gets an answer, and it is KF_OK. */
static void all_are_answered(struct asker *first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asker_wait(&first[i]), KF_OK);
}

static size_t divided_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static void the_first_misses_the_second_coalesces_the_third_hits(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 10, &options);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 100), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 100), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 1);
    struct kf_cache_stats stats = scene_stats(&scene);
    assert_true(stats.flights_opened == 1 && stats.coalesced == 1 && stats.hits == 0 && stats.waiting == 2);
    assert_true(stats.entries == 0);

    /* Polled for no reason, they go on waiting, and are charged no second time. */
    for (int i = 0; i < 20; i++) {
        assert_int_equal(asker_poll(&askers[0]), KF_PENDING);
        assert_int_equal(asker_poll(&askers[1]), KF_PENDING);
    }
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(ask_many(&askers[2], 8, scene.cmm, 100), 8);
    assert_int_equal(told_begun(scene.told), 1);
    assert_int_equal(askers_usage(askers, 10).keys, 1);
    stats = scene_stats(&scene);
    assert_true(stats.flights_opened == 1 && stats.coalesced == 1 && stats.hits == 8 && stats.waiting == 0);

    /* The eleventh is one too many. */
    assert_int_equal(asker_ask(&askers[10], scene.cmm, 100), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 2);
    askers_leave(askers, 11);
    scene_close(&scene);
}

static void who_answers_at_once_keeps_nobody_waiting(void **state)
{
    (void)state;
    static const size_t capacities[] = {1, 2, 100};
    for (size_t c = 0; c < 3; c++) {
        const struct kf_caching_cmm_options options = caching_options(5, KF_MAX_BYTES_LIMIT);
        struct scene scene;
        scene_open(&scene, capacities[c], &options);
        told_answer_always(scene.told, true);
        assert_int_equal(ask_many(askers, 23, scene.cmm, 1), 23);
        const struct usage usage = askers_usage(askers, 23);
        assert_int_equal(usage.keys, 5);
        assert_int_equal(usage.most, 5);
        assert_int_equal(told_begun(scene.told), 5);
        askers_leave(askers, 23);
        scene_close(&scene);
    }
    /* Capacity 0 keeps nothing, and nobody came together: each has his own. */
    const struct kf_caching_cmm_options options = caching_options(5, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, 0, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(ask_many(askers, 7, scene.cmm, 1), 7);
    assert_int_equal(askers_usage(askers, 7).keys, 7);
    askers_leave(askers, 7);
    scene_close(&scene);
}

/* One cold burst; all its fetches land only when all of them are under way. */
static void burst(size_t capacity, size_t count, uint64_t max_messages, uint64_t max_bytes, uint64_t length,
                  size_t u)
{
    const struct kf_caching_cmm_options options = caching_options(max_messages, max_bytes);
    struct scene scene;
    scene_open(&scene, capacity, &options);
    assert_int_equal(ask_many(askers, count, scene.cmm, length), 0);
    const size_t expected = divided_up(count, u);
    assert_int_equal(told_begun(scene.told), expected);
    assert_int_equal(told_in_flight(scene.told), expected); /* side by side */
    scene_land_all(&scene, KF_OK);
    all_are_answered(askers, count);
    assert_int_equal(told_begun(scene.told), expected);

    const struct usage usage = askers_usage(askers, count);
    assert_int_equal(usage.answered, count);
    assert_int_equal(usage.keys, expected);
    assert_int_equal(usage.most, count < u ? count : u);
    assert_int_equal(usage.least, count % u == 0 ? u : count % u);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_int_equal(stats.flights_opened, expected);
    assert_int_equal(stats.coalesced, count - expected);
    assert_int_equal(stats.hits, 0);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.bypasses, 0);

    /* What is left serves whoever comes later, unless nothing is kept. */
    const size_t left = count % u == 0 ? 0 : u - count % u;
    if (capacity > 0 && left > 0 && count + left <= MANY) {
        assert_int_equal(ask_many(&askers[count], left, scene.cmm, length), left);
        assert_int_equal(askers_usage(askers, count + left).keys, expected);
        assert_int_equal(askers_usage(askers, count + left).most, u);
        askers_leave(&askers[count], left);
    }
    askers_leave(askers, count);
    scene_close(&scene);
}

static void a_burst_makes_as_many_calls_as_its_limit_demands(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 2, 100};
    static const size_t counts[] = {1, 4, 5, 6, 10, 51};
    static const uint64_t limits[] = {1, 2, 5, 50, KF_MAX_MESSAGES_LIMIT};
    for (size_t c = 0; c < 4; c++) {
        for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
            for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++)
                burst(capacities[c], counts[n], limits[l], KF_MAX_BYTES_LIMIT, 1024, (size_t)limits[l]);
        }
        burst(capacities[c], MANY, 5, KF_MAX_BYTES_LIMIT, 1024, 5);
        burst(capacities[c], MANY, 7, KF_MAX_BYTES_LIMIT, 1024, 7);
    }
}

static void bytes_limit_a_burst_as_messages_do(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 100};
    for (size_t c = 0; c < 3; c++) {
        burst(capacities[c], 25, 1000, 500, 100, 5); /* fits exactly */
        burst(capacities[c], 25, 1000, 499, 100, 4); /* does not, by one byte */
        burst(capacities[c], 25, 1000, 599, 100, 5);
        burst(capacities[c], 25, 3, 500, 100, 3);    /* messages come first */
        burst(capacities[c], 25, 1000, 100, 100, 1); /* each message takes a whole key */
        burst(capacities[c], 25, 5, 100, 0, 5);      /* empty messages take nothing */
        burst(capacities[c], 25, 5, 0, 0, 5);        /* not even of nothing */
        burst(capacities[c], 9, 2, KF_MAX_BYTES_LIMIT, KF_MAX_BYTES_LIMIT / 2, 2);
        burst(capacities[c], 9, 1000, KF_MAX_BYTES_LIMIT, KF_MAX_BYTES_LIMIT / 2 + 1, 1);
        burst(capacities[c], 9, 1000, KF_MAX_BYTES_LIMIT, KF_MAX_BYTES_LIMIT, 1);
    }
}

static void messages_longer_than_the_limit_go_past_the_cache(void **state)
{
    (void)state;
    static const uint64_t max_bytes[] = {0, 99};
    for (size_t b = 0; b < 2; b++) {
        /* Outside of the limits: even of max_messages 1, and beside a key that is there. */
        const struct kf_caching_cmm_options options = caching_options(1, max_bytes[b]);
        struct scene scene;
        scene_open(&scene, 10, &options);
        assert_int_equal(ask_many(askers, 20, scene.cmm, max_bytes[b] + 1), 0);
        assert_int_equal(told_begun(scene.told), 20);
        assert_int_equal(told_in_flight(scene.told), 20);
        told_answer_all(scene.told, KF_OK);
        all_are_answered(askers, 20);
        const struct usage usage = askers_usage(askers, 20);
        assert_int_equal(usage.keys, 20);
        const struct kf_cache_stats stats = scene_stats(&scene);
        assert_int_equal(stats.bypasses, 20);
        assert_int_equal(stats.flights_opened, 0);
        assert_int_equal(stats.entries, 0);
        askers_leave(askers, 20);
        scene_close(&scene);
    }
}

/* With `left` uses left in the entry, or in the free seats of a flight that is under way. */
static void warm_burst(bool landed, size_t capacity, size_t left, size_t count)
{
    const size_t u = 5;
    const struct kf_caching_cmm_options options = caching_options(u, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    scene_open(&scene, capacity, &options);
    const size_t before = u - left;
    assert_int_equal(ask_many(askers, before, scene.cmm, 10), 0);
    if (landed) {
        scene_land_all(&scene, KF_OK);
        all_are_answered(askers, before);
    }
    const size_t hits = ask_many(&askers[before], count, scene.cmm, 10);
    assert_int_equal(hits, !landed ? 0 : count < left ? count : left);
    const size_t expected = 1 + (count > left ? divided_up(count - left, u) : 0);
    assert_int_equal(told_begun(scene.told), expected);
    assert_int_equal(told_in_flight(scene.told), landed ? expected - 1 : expected);
    scene_land_all(&scene, KF_OK);
    all_are_answered(askers, before + count);
    const struct usage usage = askers_usage(askers, before + count);
    assert_int_equal(usage.keys, expected);
    assert_true(usage.most <= u);
    assert_int_equal(told_begun(scene.told), expected);
    askers_leave(askers, before + count);
    scene_close(&scene);
}

static void what_is_left_is_used_first(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 3, 4, 5, 9, 10, 44};
    for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
        for (size_t left = 1; left <= 4; left++) {
            warm_burst(true, 1, left, counts[n]);
            warm_burst(true, 50, left, counts[n]);
            warm_burst(false, 0, left, counts[n]);
            warm_burst(false, 1, left, counts[n]);
        }
    }
}

static void contexts_in_turns_do_not_disturb_each_other(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 2, 100};
    const size_t contexts = 6, count = 60;
    const struct kf_encryption_context *context[6];
    struct kf_error error = KF_ERROR_INIT;
    for (size_t i = 0; i < contexts; i++) {
        const char number[] = {(char)('0' + i), '\0'};
        assert_ok(kf_encryption_context_of(&error, &context[i], "tenant", number, (char *)NULL), &error);
    }
    for (size_t c = 0; c < 4; c++) {
        const struct kf_caching_cmm_options options = caching_options(4, KF_MAX_BYTES_LIMIT);
        struct scene scene;
        scene_open(&scene, capacities[c], &options);
        struct kf_encryption_request request = encryption_request(1);
        for (size_t i = 0; i < count; i++) {
            request.encryption_context = context[i % contexts];
            assert_int_equal(asker_encrypt(&askers[i], scene.cmm, &request), KF_PENDING);
        }
        /* 10 of each: three keys for each of six. */
        assert_int_equal(told_begun(scene.told), 18);
        assert_int_equal(told_in_flight(scene.told), 18);
        scene_land_all(&scene, KF_OK);
        all_are_answered(askers, count);
        const struct usage usage = askers_usage(askers, count);
        assert_int_equal(usage.keys, 18);
        assert_int_equal(usage.most, 4);
        for (size_t i = 0; i < count; i++) {
            const struct kf_encryption_materials *materials = askers[i].encryption_materials;
            assert_ptr_equal(kf_encryption_materials_encryption_context(materials), context[i % contexts]);
        }
        assert_int_equal(scene_stats(&scene).entries, capacities[c] < contexts ? capacities[c] : contexts);
        askers_leave(askers, count);
        scene_close(&scene);
    }
    for (size_t i = 0; i < contexts; i++)
        kf_encryption_context_unref(context[i]);
}

static void first_fit_is_the_oldest_flight_first(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, 100);
    struct scene scene;
    scene_open(&scene, 10, &options);
    static const struct {
        uint64_t length;
        unsigned flight; /* that it gets into */
    } order[] = {
        {60, 0}, /* 40 left */
        {70, 1}, /* 30 left */
        {80, 2}, /* 20 left */
        {30, 0}, /* 10 left */
        {30, 1}, /* none left */
        {15, 2}, /* 5 left */
        {10, 0}, /* none left */
        {6, 3},  /* 94 left */
        {5, 2},  /* none left: the older one first */
        {94, 3}, /* none left */
        {0, 0},  /* an empty message fits everywhere, so into the oldest */
        {1, 4},
    };
    const size_t count = sizeof order / sizeof order[0];
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, order[i].length), KF_PENDING);
    assert_int_equal(told_begun(scene.told), 5);
    scene_land_all(&scene, KF_OK);
    all_are_answered(askers, count);
    assert_int_equal(askers_usage(askers, count).keys, 5);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++)
            assert_int_equal(askers_share_key(&askers[i], &askers[k]), order[i].flight == order[k].flight);
    }
    askers_leave(askers, count);
    scene_close(&scene);
}

/* Questions and landings in a random order: as long as nothing is evicted no call is made too many. */
static void any_interleaving_is_exact(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 60; round++) {
        const uint64_t limit = 1 + (unsigned)round % 6;
        const struct kf_caching_cmm_options options = caching_options(limit, KF_MAX_BYTES_LIMIT);
        struct scene scene;
        scene_open(&scene, 1, &options);
        const size_t count = 40;
        bool landed[40] = {false};
        for (size_t asked = 0; asked < count;) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const unsigned choice = (unsigned)(seed >> 40);
            const unsigned begun = told_begun(scene.told);
            const unsigned index = begun > 0 ? choice / 4 % begun : 0;
            if (choice % 4 == 0 && begun > 0 && !landed[index]) {
                landed[index] = true;
                scene_land(&scene, index, KF_OK);
            } else {
                asker_ask(&askers[asked++], scene.cmm, 10);
            }
        }
        scene_land_all(&scene, KF_OK);
        all_are_answered(askers, count);
        const struct usage usage = askers_usage(askers, count);
        assert_int_equal(usage.answered, count);
        assert_int_equal(usage.keys, divided_up(count, (size_t)limit));
        assert_int_equal(told_begun(scene.told), usage.keys);
        assert_true(usage.most <= limit);
        askers_leave(askers, count);
        scene_close(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_misses_the_second_coalesces_the_third_hits),
        cmocka_unit_test(who_answers_at_once_keeps_nobody_waiting),
        cmocka_unit_test(a_burst_makes_as_many_calls_as_its_limit_demands),
        cmocka_unit_test(bytes_limit_a_burst_as_messages_do),
        cmocka_unit_test(messages_longer_than_the_limit_go_past_the_cache),
        cmocka_unit_test(what_is_left_is_used_first),
        cmocka_unit_test(contexts_in_turns_do_not_disturb_each_other),
        cmocka_unit_test(first_fit_is_the_oldest_flight_first),
        cmocka_unit_test(any_interleaving_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
