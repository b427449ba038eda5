/*
 * Jitter of the age: each key's time is shorter by a random amount of its own, never longer, and never nothing.
 */
#include "support/asker.h"

#define AGE 1000
#define JITTER 400
#define KEYS 64

/* How long a fresh key is handed out, found by moving the clock on step by step. */
static uint64_t life(struct scene *scene)
{
    struct asker asker;
    kf_cache_clear(scene->cache);
    told_answer_always(scene->told, true);
    assert_int_equal(asker_ask(&asker, scene->cmm, 1), KF_OK);
    told_answer_always(scene->told, false);
    asker_leave(&asker);
    const unsigned begun = told_begun(scene->told);
    uint64_t age = 0;
    while (asker_ask(&asker, scene->cmm, 1) == KF_OK) {
        asker_leave(&asker);
        support_clock_advance(1);
        age++;
    }
    assert_int_equal(told_begun(scene->told), begun + 1);
    scene_land_all(scene, KF_E_RETRY);
    asker_leave(&asker);
    return age;
}

static void each_key_has_a_shorter_time_of_its_own(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(1000000, KF_MAX_BYTES_LIMIT);
    options.max_age_ms = AGE;
    options.max_age_jitter_ms = JITTER;
    struct scene scene;
    scene_open(&scene, 10, &options);
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < KEYS; i++) {
        const uint64_t age = life(&scene);
        assert_true(age >= AGE - JITTER && age <= AGE);
        least = age < least ? age : least;
        most = age > most ? age : most;
    }
    /* That 64 random numbers of 401 all lie within 40 of each other does not happen. */
    assert_true(most - least > 40);
    scene_close(&scene);
    support_clock_real();
}

static void without_it_the_time_is_exact(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(1000000, KF_MAX_BYTES_LIMIT);
    options.max_age_ms = 20;
    struct scene scene;
    scene_open(&scene, 10, &options);
    for (int i = 0; i < 5; i++)
        assert_int_equal(life(&scene), 20);
    scene_close(&scene);
    support_clock_real();
}

static void it_leaves_every_key_some_time(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(1000000, KF_MAX_BYTES_LIMIT);
    options.max_age_ms = 2;
    struct kf_error error = KF_ERROR_INIT;
    struct scene scene;
    struct kf_cmm *cmm;
    options.max_age_jitter_ms = 1;
    scene_open(&scene, 10, &options);
    for (int i = 0; i < KEYS; i++)
        assert_true(life(&scene) >= 1);
    options.cache = scene.cache;
    options.cmm = scene.backing;
    options.max_age_jitter_ms = 2;
    assert_int_equal(kf_caching_cmm_new(&options, &error, &cmm), KF_E_USAGE);
    assert_non_null(strstr(error.text, "max_age_jitter_ms"));
    scene_close(&scene);
    support_clock_real();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_a_shorter_time_of_its_own),
        cmocka_unit_test(without_it_the_time_is_exact),
        cmocka_unit_test(it_leaves_every_key_some_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
