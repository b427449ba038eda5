/*
 * What lies between the critical sections of a landing: time passes there, and others come in.
 */
#include "support/asker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

/* ---- An allocator that moves the clock, once, where it is told to ---- */

#define BEFORE 1000
#define BEHIND 1500

static atomic_bool armed;

static void *give(void *context, size_t size)
{
    (void)context;
    if (atomic_exchange(&armed, false))
        kfi_clock_test_set(BEHIND);
    return malloc(size);
}

static void take(void *context, void *block)
{
    (void)context;
    free(block);
}

/* ---- A CMM whose answer is the last thing before the landing ---- */

static enum kf_code arming_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                               struct kf_error *error, const struct kf_encryption_materials **out)
{
    enum kf_code code = kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
    atomic_store(&armed, code == KF_OK);
    return code;
}

static enum kf_code no_decrypt(void *self, struct kf_call *call, const struct kf_decryption_request *request,
                               struct kf_error *error, const struct kf_decryption_materials **out)
{
    (void)self;
    (void)call;
    (void)request;
    *out = NULL;
    return kf_error_set(error, KF_E_USAGE, "It does not decrypt.");
}

static struct asker askers[4];

/*
 * Somebody waits for his turn, so that the landing makes the next flight, outside the lock: meanwhile half a second
 * passes. The key's age counts from the landing, not from the look before it.
 */
static void the_age_counts_from_behind_what_is_made_for_the_next_flight(void **state)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, arming_get, no_decrypt, NULL, false};
    struct kf_caching_cmm_options options = caching_options(10, 100);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *arming, *cmm;
    struct scene scene;
    (void)state;
    options.max_flights = 1;
    options.max_age_ms = 1000;
    support_clock_stop(BEFORE);
    scene_open(&scene, 10, &options);
    assert_ok(kf_cmm_new(&vtable, scene.backing, &error, &arming), &error);
    options.cache = scene.cache;
    options.cmm = arming;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);

    assert_int_equal(asker_ask(&askers[0], cmm, 60), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], cmm, 60), KF_PENDING);
    assert_int_equal(scene_stats(&scene).queued, 1);
    scene_land(&scene, 0, KF_OK);
    assert_false(armed);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    assert_int_equal(scene_stats(&scene).waves, 1);
    support_clock_stop(BEHIND + 999);
    assert_int_equal(asker_ask(&askers[2], cmm, 10), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[2]));
    support_clock_stop(BEHIND + 1000);
    assert_int_equal(asker_ask(&askers[3], cmm, 10), KF_PENDING);
    assert_int_equal(scene_stats(&scene).hits, 1);

    askers_leave(askers, 4);
    kf_cmm_unref(cmm);
    kf_cmm_unref(arming);
    scene_close(&scene);
    support_clock_real();
}

/* ---- A listener that is told last ---- */

static struct {
    struct kf_cmm *cmm; /* whose listener this is */
    struct asker *asker;
    unsigned told, told_late, dropped;
    unsigned early; /* told or dropped before its turn */
    bool lets_go;
} second;

static void second_told(void *context, const struct kf_cache_event *event)
{
    (void)context;
    second.told += event->kind == KF_CACHE_COALESCED;
    second.told_late += second.dropped > 0;
}

static void second_dropped(void *context)
{
    (void)context;
    second.dropped++;
}

/* The landing is told before the seats that it gave away: in between all the others let go of the second listener. */
static void first_told(void *context, const struct kf_cache_event *event)
{
    (void)context;
    if (event->kind != KF_CACHE_LANDED || !second.lets_go)
        return;
    second.lets_go = false;
    asker_leave(second.asker);
    kf_cmm_unref(second.cmm);
    second.early = second.told + second.dropped;
}

static void a_seat_keeps_its_listener_until_it_is_told(void **state)
{
    struct kf_caching_cmm_options options = caching_options(10, 100);
    struct kf_cache_listener *first, *last;
    struct kf_error error = KF_ERROR_INIT;
    struct scene scene;
    (void)state;
    options.max_flights = 1;
    assert_ok(kf_cache_listener_new(first_told, NULL, NULL, &error, &first), &error);
    assert_ok(kf_cache_listener_new(second_told, NULL, second_dropped, &error, &last), &error);
    options.listener = first;
    scene_open(&scene, 10, &options);
    options.listener = last;
    second.cmm = scene_cmm(&scene, &options);
    second.asker = &askers[2];
    second.lets_go = true;
    kf_cache_listener_unref(first);
    kf_cache_listener_unref(last);

    /* The landing opens a flight for the first of the two in line, in which the second gets a seat. */
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 60), KF_PENDING);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 50), KF_PENDING);
    assert_int_equal(asker_ask(&askers[2], second.cmm, 50), KF_PENDING);
    assert_int_equal(scene_stats(&scene).queued, 2);
    scene_land(&scene, 0, KF_OK);
    assert_false(second.lets_go);
    assert_int_equal(second.early, 0);
    assert_int_equal(second.told, 1);
    assert_int_equal(second.told_late, 0);
    assert_int_equal(second.dropped, 1);

    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_wait(&askers[1]), KF_OK);
    askers_leave(askers, 2);
    scene_close(&scene);
}

int main(void)
{
    const struct kf_allocator allocator = {sizeof allocator, NULL, give, take};
    if (kf_allocator_set(&allocator) != KF_OK)
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_age_counts_from_behind_what_is_made_for_the_next_flight),
        cmocka_unit_test(a_seat_keeps_its_listener_until_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
