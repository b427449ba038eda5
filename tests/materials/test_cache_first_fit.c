/*
 * First fit, the oldest flight first: random lengths, limits and departures, against a model that looks at every
 * flight every time.
 */
#include "support/asker.h"

#define ASKERS 400
#define MAX_MESSAGES 9
#define MAX_BYTES 1000

static struct asker askers[ASKERS];

/* What the model knows of a flight: its use, and the limits of those who used it. */
struct modelled {
    uint64_t messages, bytes, max_messages, max_bytes;
};

static struct modelled flights[ASKERS];
static size_t flight_count;

static uint32_t seed;

static uint32_t random_below(uint32_t bound)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % bound;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The flight in which the model seats a message. */
static size_t model_ask(uint64_t length, uint64_t max_messages, uint64_t max_bytes)
{
    size_t i = 0;
    for (; i < flight_count; i++) {
        if (flights[i].messages < least(max_messages, flights[i].max_messages) &&
            flights[i].bytes + length <= least(max_bytes, flights[i].max_bytes))
            break;
    }
    if (i == flight_count)
        flights[flight_count++] = (struct modelled){0, 0, max_messages, max_bytes};
    flights[i].messages++;
    flights[i].bytes += length;
    flights[i].max_messages = least(max_messages, flights[i].max_messages);
    flights[i].max_bytes = least(max_bytes, flights[i].max_bytes);
    return i;
}

/* One run; the strict CMM, if there is one, asks now and then. */
static void agrees_with_the_model(uint32_t run, bool with_strict, bool with_departures)
{
    const struct kf_caching_cmm_options options = caching_options(MAX_MESSAGES, MAX_BYTES),
                                        strict_options = caching_options(4, 500);
    struct scene scene;
    size_t seats[ASKERS];
    scene_open(&scene, 0, &options);
    struct kf_cmm *strict = scene_cmm(&scene, &strict_options);
    seed = run;
    flight_count = 0;
    for (size_t i = 0; i < ASKERS; i++) {
        const bool by_strict = with_strict && random_below(5) == 0;
        const uint64_t length = random_below(by_strict ? 501 : MAX_BYTES + 1) >> random_below(4);
        assert_int_equal(asker_ask(&askers[i], by_strict ? strict : scene.cmm, length), KF_PENDING);
        seats[i] = by_strict ? model_ask(length, 4, 500) : model_ask(length, MAX_MESSAGES, MAX_BYTES);
        assert_int_equal(told_begun(scene.told), flight_count);
        const size_t other = random_below((uint32_t)i + 1);
        if (!with_departures || random_below(3) > 0 || askers[other].cmm == NULL)
            continue;
        flights[seats[other]].messages--;
        flights[seats[other]].bytes -= askers[other].encryption.plaintext_bound;
        asker_leave(&askers[other]);
    }
    scene_land_all(&scene, KF_OK);
    for (size_t i = 0; i < ASKERS; i++) {
        if (askers[i].cmm != NULL)
            assert_int_equal(asker_wait(&askers[i]), KF_OK);
    }
    for (size_t i = 0; i < ASKERS; i++) {
        for (size_t k = 0; k < i; k++) {
            if (askers[i].cmm != NULL && askers[k].cmm != NULL)
                assert_int_equal(askers_share_key(&askers[i], &askers[k]), seats[i] == seats[k]);
        }
    }
    askers_leave(askers, ASKERS);
    kf_cmm_unref(strict);
    scene_close(&scene);
}

static void random_lengths(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 5; run++)
        agrees_with_the_model(run, false, false);
}

static void random_lengths_and_departures(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 5; run++)
        agrees_with_the_model(run, false, true);
}

static void random_lengths_departures_and_limits(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 5; run++)
        agrees_with_the_model(run, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lengths),
        cmocka_unit_test(random_lengths_and_departures),
        cmocka_unit_test(random_lengths_departures_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
