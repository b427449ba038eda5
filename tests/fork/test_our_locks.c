/*
 * In a child everything that was inherited can be freed, whichever lock of the library a thread of the parent had at the
 * fork, and the child can begin anew.
 *
 * A thread works, and it or the internal thread stops while it has the n-th lock that is taken, for all n. There the
 * process forks. The child frees what the threads were at work on, and then works itself. Had it to take an inherited
 * lock, it would never end.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <keyflight/aws_client.h>

#include "base/lock.h"
#include "support/client.h"

static struct {
    pthread_t forking;
    atomic_uint stop_at; /* which lock; 0: none */
    atomic_uint taken;
    atomic_bool stopped, forked;
} meeting;

/* The linker puts these in the place of kfi_lock_take (CMakeLists.txt). */
void __real_kfi_lock_take(struct kfi_lock *lock);
void __wrap_kfi_lock_take(struct kfi_lock *lock);

void __wrap_kfi_lock_take(struct kfi_lock *lock)
{
    __real_kfi_lock_take(lock);
    if (pthread_equal(pthread_self(), meeting.forking))
        return;
    if (atomic_fetch_add(&meeting.taken, 1) + 1 != meeting.stop_at)
        return;
    atomic_store(&meeting.stopped, true);
    while (!atomic_load(&meeting.forked))
        sched_yield();
}

/* ---- What there is at the fork ---- */

static struct {
    struct bell bell;
    struct told *told;
    struct kf_cmm *backing, *cmm; /* the second caches the first */
    struct kf_keyring *keyring, *blocking;
    struct kf_cmm *blocking_cmm;
    struct kf_aws_client *client;
    struct kf_encryptor *waiting, *ready; /* both made before; the first waits for the told */
    struct kf_aws_credentials_lookup *lookup;
    struct kf_jobs *jobs;
    struct kf_job *job;
    _Atomic(struct kf_encryptor *) polled; /* what the thread is at work on, or NULL */
} had;

/* ---- Credentials that never come ---- */

static enum kf_code never(void *self, struct kf_call *call, struct kf_error *error,
                          struct kf_aws_credentials_result *out)
{
    static char begun;
    (void)self;
    (void)error;
    (void)out;
    kf_call_state_set(call, &begun, NULL);
    return KF_PENDING;
}

static struct kf_aws_client *client_without_credentials(void)
{
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, never, NULL};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_client *client;
    options.region = "eu-west-1";
    assert_ok(kf_aws_credentials_provider_new(&vtable, NULL, &error, &options.credentials), &error);
    assert_ok(kf_aws_client_new(&options, &error, &client), &error);
    kf_aws_credentials_provider_unref(options.credentials);
    return client;
}

static void callback(void *context, const struct kf_job_result *result)
{
    (void)context;
    (void)result;
}

static struct kf_encryptor *begin(struct kf_cmm *cmm)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_encryptor *encryptor;
    options.plaintext_bound = 9;
    options.timeout_ms = 3600000;
    return kf_encryptor_new(cmm, &options, NULL, &encryptor) == KF_OK ? encryptor : NULL;
}

static enum kf_code poll_keys(struct kf_encryptor *encryptor)
{
    struct kf_io nothing = {.in = NULL};
    const struct kf_waker waker = bell_waker(&had.bell);
    return kf_encryptor_poll(encryptor, &nothing, &waker);
}

static void have_all(void)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_blocking_keyring_options blocking = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    const struct kf_waker waker = bell_waker(&had.bell);
    bell_init(&had.bell);
    had.told = told_new(&had.backing);
    assert_ok(kf_cache_new(10, &error, &caching.cache), &error);
    caching.cmm = had.backing;
    caching.max_age_ms = 3600000;
    caching.max_messages = 2;
    assert_ok(kf_caching_cmm_new(&caching, &error, &had.cmm), &error);
    kf_cache_unref(caching.cache);
    blocking.keyring = had.keyring = support_keyring();
    assert_ok(kf_blocking_keyring_new(&blocking, &error, &had.blocking), &error);
    assert_ok(kf_default_cmm_new(had.blocking, &error, &had.blocking_cmm), &error);

    had.ready = begin(had.cmm);
    assert_int_equal(poll_keys(had.ready), KF_PENDING);
    told_answer(had.told, 0, KF_OK);
    enum kf_code code;
    while ((code = poll_keys(had.ready)) == KF_PENDING)
        bell_wait(&had.bell);
    assert_int_equal(code, KF_WANT_OUTPUT);
    struct kf_encryptor *last = begin(had.cmm); /* uses the key up */
    assert_int_equal(poll_keys(last), KF_WANT_OUTPUT);
    kf_encryptor_free(last);
    had.waiting = begin(had.cmm);
    assert_int_equal(poll_keys(had.waiting), KF_PENDING);
    had.client = client_without_credentials();
    assert_ok(kf_aws_credentials_lookup_new(had.client, 0, &error, &had.lookup), &error);
    assert_int_equal(kf_aws_credentials_lookup_poll(had.lookup, &waker), KF_PENDING);
    struct kf_jobs_options jobs = KF_JOBS_OPTIONS_INIT;
    jobs.waker = waker;
    assert_ok(kf_jobs_new(&jobs, &error, &had.jobs), &error);
    assert_ok(kf_jobs_encrypt(had.jobs, had.cmm, NULL, kf_view_text("x"), callback, NULL, &error, &had.job),
              &error);
    assert_int_equal(kf_jobs_run(had.jobs, &error), KF_PENDING);
}

static void free_all(void)
{
    kf_encryptor_free(atomic_load(&had.polled));
    kf_encryptor_free(had.waiting);
    kf_encryptor_free(had.ready);
    kf_aws_credentials_lookup_free(had.lookup);
    kf_jobs_free(had.jobs);
    kf_aws_client_unref(had.client);
    kf_cmm_unref(had.cmm);
    kf_cmm_unref(had.blocking_cmm);
    kf_keyring_unref(had.blocking);
    kf_cleanup();
}

/* In the parent alone: these are the test's own. */
static void free_rest(void)
{
    kf_keyring_unref(had.keyring);
    kf_cmm_unref(had.backing);
    told_free(had.told);
    bell_destroy(&had.bell);
    memset(&had, 0, sizeof had);
}

/* ---- The thread that works ---- */

/* Begins something with `cmm` and gives it up again. */
static void begin_and_cancel(struct kf_cmm *cmm)
{
    struct kf_encryptor *encryptor = begin(cmm);
    atomic_store(&had.polled, encryptor);
    if (poll_keys(encryptor) == KF_PENDING)
        (void)poll_keys(encryptor);
    atomic_store(&had.polled, NULL);
    kf_encryptor_free(encryptor);
}

static void *work(void *unused)
{
    const struct kf_waker waker = bell_waker(&had.bell);
    struct kf_aws_credentials_lookup *lookup;
    begin_and_cancel(had.cmm); /* the second seat of the flight that waits */
    begin_and_cancel(had.blocking_cmm);
    if (kf_aws_credentials_lookup_new(had.client, 0, NULL, &lookup) == KF_OK) {
        (void)!kf_aws_credentials_lookup_poll(lookup, &waker);
        kf_aws_credentials_lookup_free(lookup);
    }
    told_answer_always(had.told, true);
    told_answer_all(had.told, KF_OK); /* the internal thread lands the flight */
    begin_and_cancel(had.cmm);
    return unused;
}

static bool begin_anew(void)
{
    struct kf_keyring *keyring = support_keyring();
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_buf message = KF_BUF_INIT;
    struct kf_cmm *cmm = NULL;
    options.keyring = keyring;
    options.max_age_ms = 3600000;
    bool good = kf_cache_new(10, NULL, &options.cache) == KF_OK &&
                kf_caching_cmm_new(&options, NULL, &cmm) == KF_OK &&
                kf_encrypt(cmm, NULL, kf_view_text("x"), NULL, &message) == KF_OK;
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    kf_keyring_unref(keyring);
    return good;
}

/* False: there is no lock of this number. */
static bool fork_at(unsigned stop_at)
{
    pthread_t thread;
    bool ended = false;
    have_all();
    meeting.stop_at = stop_at;
    atomic_store(&meeting.taken, 0);
    atomic_store(&meeting.stopped, false);
    atomic_store(&meeting.forked, false);
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    while (!ended && !atomic_load(&meeting.stopped)) {
        ended = pthread_tryjoin_np(thread, NULL) == 0;
        sched_yield();
    }
    if (atomic_load(&meeting.stopped)) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(10);
            free_all();
            _exit(begin_anew() ? 0 : 1);
        }
        atomic_store(&meeting.forked, true);
        int status = 0;
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("a child that was forked at lock %u did not end well (%#x)", stop_at, (unsigned)status);
    }
    meeting.stop_at = 0;
    const bool stopped = atomic_load(&meeting.stopped);
    atomic_store(&meeting.forked, true); /* it may still come to its stop */
    if (!ended)
        assert_int_equal(pthread_join(thread, NULL), 0);
    free_all();
    free_rest();
    return stopped;
}

static void what_is_inherited_can_be_freed_at_every_lock(void **state)
{
    (void)state;
    unsigned stop_at = 1;
    meeting.forking = pthread_self();
    while (fork_at(stop_at))
        stop_at++;
    assert_true(stop_at > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_inherited_can_be_freed_at_every_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
