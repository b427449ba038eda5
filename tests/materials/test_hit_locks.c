/*
 * A message from a cached key has nothing to do with the internal thread, so it does not take the lock of it, which is
 * one for the whole process. Counted by a pthread_mutex_lock that the linker puts in place of the real one.
 */
#include "support/support.h"

#include <stdatomic.h>

#include "base/thread.h"
#include "base/waker.h"

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);

static _Thread_local pthread_mutex_t *last; /* that this thread took */
static _Thread_local unsigned count;        /* how often this thread took the internal thread's */
static pthread_mutex_t *internal_lock;      /* NULL: not known yet */

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    last = lock;
    if (lock == internal_lock)
        count++;
    return __real_pthread_mutex_lock(lock);
}

/* Finds out which lock it is, before there are other threads. */
static int find_lock(void **state)
{
    (void)state;
    kfi_thread_poke();
    internal_lock = last;
    count = 0;
    kfi_thread_poke();
    return count == 1 ? 0 : -1;
}

static void a_hit_leaves_it_alone(void **state)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;
    struct kf_cmm *cmm;
    (void)state;
    options.max_age_ms = 1000000;
    options.keyring = support_keyring();
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    assert_ok(kf_encrypt(cmm, NULL, kf_view_text("text"), &error, &message), &error);
    assert_ok(kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext),
              &error);

    count = 0;
    assert_ok(kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext),
              &error);
    assert_int_equal(count, 0);
    assert_ok(kf_encrypt(cmm, NULL, kf_view_text("text"), &error, &message), &error);
    assert_int_equal(count, 0);
    kf_cache_stats_read(options.cache, &stats);
    assert_int_equal(stats.hits, 2);

    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    kf_keyring_unref(options.keyring);
}

static void a_timer_that_is_off_leaves_it_alone(void **state)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_timer timer = {.when = 0};
    struct kf_call_waker *waker = kfi_waker_new();
    (void)state;
    assert_non_null(waker);
    count = 0;
    kfi_timer_cancel(&timer);
    assert_int_equal(count, 0);
    for (int i = 0; i < 2; i++) {
        assert_ok(kfi_timer_set(&timer, UINT64_MAX, waker, &error), &error);
        count = 0;
        kfi_timer_cancel(&timer);
        assert_int_equal(count, 1);
        kfi_timer_cancel(&timer);
        assert_int_equal(count, 1);
    }
    kf_call_waker_unref(waker);
    kf_cleanup();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hit_leaves_it_alone),
        cmocka_unit_test(a_timer_that_is_off_leaves_it_alone),
    };
    return cmocka_run_group_tests(tests, find_lock, NULL);
}
