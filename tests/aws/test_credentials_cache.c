/*
 * The cache of credentials: all callers share one fetch, which begins ahead of the expiry; the old credentials are used
 * as long as they have not expired.
 */
#include "secrets.h"

#include <sched.h>
#include <stdio.h>

#include "aws/service/credentials.h"
#include "base/call.h"

#define NOW 1000000ULL /* seconds of the wall clock */
#define HOUR 3600ULL
#define MANY 1000

/* ---- A provider that answers when told ---- */

static struct {
    pthread_mutex_t lock; /* guards the rest */
    unsigned begun, dropped;
    enum kf_code answer; /* KF_PENDING: not yet */
    uint64_t expires_at;
    struct kf_call_waker *waker; /* of the call that waits */
} vault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void vault_drop(void *state)
{
    (void)state;
    pthread_mutex_lock(&vault.lock);
    struct kf_call_waker *waker = vault.waker;
    vault.waker = NULL;
    vault.dropped++;
    pthread_mutex_unlock(&vault.lock);
    kf_call_waker_unref(waker);
}

/* Each fetch's access key id has its number. */
static enum kf_code vault_give(struct kf_error *error, struct kf_aws_credentials_result *out)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    char id[32];
    snprintf(id, sizeof id, "AKID%u", vault.begun);
    credentials.access_key_id = kf_view_text(id);
    credentials.secret_access_key = kf_view_text(SECRET "/key");
    credentials.session_token = kf_view_text(SECRET "/token");
    credentials.expires_at = vault.expires_at;
    return kf_aws_credentials_result_set(out, &credentials, error);
}

static enum kf_code vault_fetch(void *self, struct kf_call *call, struct kf_error *error,
                                struct kf_aws_credentials_result *out)
{
    struct kf_call_waker *waker = kf_call_waker_of(call);
    bool begins = kf_call_state(call) == NULL;
    if (begins)
        kf_call_state_set(call, self, vault_drop);
    pthread_mutex_lock(&vault.lock);
    if (begins) {
        vault.begun++;
        vault.waker = kf_call_waker_ref(waker);
    }
    enum kf_code code = vault.answer;
    if (code == KF_OK)
        code = vault_give(error, out);
    else if (code < KF_OK)
        kf_error_set(error, code, "The vault is shut.");
    pthread_mutex_unlock(&vault.lock);
    kf_call_waker_unref(waker);
    return code;
}

static const struct kf_aws_credentials_vtable vault_vtable = {sizeof vault_vtable, vault_fetch, NULL};

/* From now on all fetches answer this, including the one under way. */
static void vault_answer_until(enum kf_code code, uint64_t expires_at)
{
    pthread_mutex_lock(&vault.lock);
    vault.answer = code;
    vault.expires_at = expires_at;
    struct kf_call_waker *waker = kf_call_waker_ref(vault.waker);
    pthread_mutex_unlock(&vault.lock);
    if (waker != NULL && code != KF_PENDING)
        kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
}

static void vault_answer(enum kf_code code, uint64_t lifetime)
{
    vault_answer_until(code, kfi_aws_wall_clock() + lifetime);
}

static unsigned vault_begun(void)
{
    pthread_mutex_lock(&vault.lock);
    unsigned begun = vault.begun;
    pthread_mutex_unlock(&vault.lock);
    return begun;
}

/* ---- Askers ---- */

struct asker {
    struct kf_call call;
    struct bell bell;
    struct kf_error error;
    struct kfi_aws_credentials *got;
    enum kf_code code;
};

static struct kfi_aws_credentials_cache *cache;
static struct asker askers[MANY];

static enum kf_code ask(struct asker *asker)
{
    memset(&asker->error, 0, sizeof asker->error);
    asker->got = NULL;
    bell_init(&asker->bell);
    const struct kf_waker waker = bell_waker(&asker->bell);
    kfi_call_init(&asker->call, NULL);
    kfi_call_drive(&asker->call, &waker);
    return asker->code = kfi_aws_credentials_get(cache, &asker->call, &asker->error, &asker->got);
}

static enum kf_code wait_for(struct asker *asker)
{
    while (asker->code == KF_PENDING) {
        bell_wait(&asker->bell);
        asker->code = kfi_aws_credentials_get(cache, &asker->call, &asker->error, &asker->got);
    }
    return asker->code;
}

static void leave(struct asker *asker)
{
    kfi_call_end(&asker->call);
    kfi_aws_credentials_unref(asker->got);
    bell_destroy(&asker->bell);
}

/* A caller asks, and gets at once the credentials of this fetch. */
static void assert_gets(unsigned number)
{
    struct asker asker;
    char id[32];
    snprintf(id, sizeof id, "AKID%u", number);
    assert_ok(ask(&asker), &asker.error);
    assert_string_equal(asker.got->access_key_id, id);
    leave(&asker);
}

static int setup(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    kfi_aws_wall_clock_test_set(NOW);
    support_clock_stop(1000);
    vault.begun = vault.dropped = 0;
    vault_answer(KF_PENDING, 0);
    if (kf_aws_credentials_provider_new(&vault_vtable, &vault, &error, &provider) != KF_OK ||
        kfi_aws_credentials_cache_new(provider, 5000, &error, &cache) != KF_OK)
        return -1;
    kf_aws_credentials_provider_unref(provider);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kfi_aws_credentials_cache_unref(cache);
    kf_cleanup();
    support_clock_real();
    kfi_aws_wall_clock_test_set(UINT64_MAX);
    return 0;
}

/* ---- The cache ---- */

static void all_ask(enum kf_code expected)
{
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ask(&askers[i]), expected);
}

static void all_get(enum kf_code expected, const char *id)
{
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(wait_for(&askers[i]), expected);
        if (expected == KF_OK)
            assert_string_equal(askers[i].got->access_key_id, id);
        leave(&askers[i]);
    }
}

static void a_thousand_callers_make_one_fetch(void **state)
{
    (void)state;
    all_ask(KF_PENDING);
    assert_int_equal(vault_begun(), 1);
    vault_answer(KF_OK, HOUR);
    all_get(KF_OK, "AKID1");
    assert_int_equal(vault_begun(), 1);

    /* The same again once they have expired. */
    vault_answer(KF_PENDING, 0);
    kfi_aws_wall_clock_test_set(NOW + HOUR);
    all_ask(KF_PENDING);
    assert_int_equal(vault_begun(), 2);
    vault_answer(KF_OK, HOUR);
    all_get(KF_OK, "AKID2");
    all_ask(KF_OK);
    all_get(KF_OK, "AKID2");
    assert_int_equal(vault_begun(), 2);
    assert_int_equal(vault.dropped, 2);
}

static void what_was_fetched_is_all_there(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_ok(ask(&askers[0]), &askers[0].error);
    assert_string_equal(askers[0].got->secret_access_key, SECRET "/key");
    assert_string_equal(askers[0].got->session_token, SECRET "/token");
    assert_string_equal(askers[0].got->source, "a provider of the application");
    assert_int_equal(askers[0].got->expires_at, NOW + HOUR);
    leave(&askers[0]);
}

static void a_refresh_begins_ahead_and_nobody_waits(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_gets(1);
    vault_answer(KF_PENDING, 0);
    support_clock_advance(60000);
    kfi_aws_wall_clock_test_set(NOW + HOUR - KFI_AWS_REFRESH_AHEAD_S - 1);
    assert_gets(1);
    assert_int_equal(vault_begun(), 1);
    kfi_aws_wall_clock_test_set(NOW + HOUR - KFI_AWS_REFRESH_AHEAD_S);
    for (int i = 0; i < 10; i++)
        assert_gets(1);
    assert_int_equal(vault_begun(), 2);
    vault_answer(KF_OK, HOUR);
    support_settle();
    assert_gets(2);
    assert_int_equal(vault_begun(), 2);
}

static void a_call_can_ask_again(void **state)
{
    (void)state;
    assert_int_equal(ask(&askers[0]), KF_PENDING);
    vault_answer(KF_OK, HOUR);
    assert_int_equal(wait_for(&askers[0]), KF_OK);
    kfi_aws_credentials_refused(cache, askers[0].got);
    kfi_aws_credentials_unref(askers[0].got);
    vault_answer(KF_PENDING, 0);
    askers[0].code = KF_PENDING;
    assert_int_equal(kfi_aws_credentials_get(cache, &askers[0].call, &askers[0].error, &askers[0].got),
                     KF_PENDING);
    vault_answer(KF_OK, HOUR);
    assert_int_equal(wait_for(&askers[0]), KF_OK);
    assert_string_equal(askers[0].got->access_key_id, "AKID2");
    leave(&askers[0]);
}

static void close_to_the_expiry_callers_wait(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_gets(1);
    vault_answer(KF_PENDING, 0);
    support_clock_advance(60000);
    kfi_aws_wall_clock_test_set(NOW + HOUR - KFI_AWS_REFRESH_NOW_S - 1);
    assert_gets(1);
    assert_int_equal(vault_begun(), 2); /* in the background */
    kfi_aws_wall_clock_test_set(NOW + HOUR - KFI_AWS_REFRESH_NOW_S);
    all_ask(KF_PENDING); /* all wait for that fetch */
    assert_int_equal(vault_begun(), 2);
    vault_answer(KF_OK, HOUR);
    all_get(KF_OK, "AKID2");
}

static void a_refresh_that_fails_leaves_the_old_ones(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_gets(1);
    support_clock_advance(60000);
    vault_answer(KF_E_RETRY, 0);
    kfi_aws_wall_clock_test_set(NOW + HOUR - 200);
    assert_gets(1);
    assert_int_equal(vault_begun(), 2);
    /* The next refresh does not begin at once. */
    assert_gets(1);
    support_clock_advance(KFI_AWS_REFRESH_PAUSE_MS - 1);
    assert_gets(1);
    assert_int_equal(vault_begun(), 2);
    support_clock_advance(1);
    assert_gets(1);
    assert_int_equal(vault_begun(), 3);

    /* Close to the expiry callers wait for a refresh. If it fails they still get the old credentials. */
    support_clock_advance(KFI_AWS_REFRESH_PAUSE_MS);
    kfi_aws_wall_clock_test_set(NOW + HOUR - 1);
    vault_answer(KF_PENDING, 0);
    all_ask(KF_PENDING);
    vault_answer(KF_E_RETRY, 0);
    all_get(KF_OK, "AKID1");
    assert_int_equal(vault_begun(), 4);
    assert_gets(1); /* no other refresh begins at once */
    assert_int_equal(vault_begun(), 4);

    /* That ends with the expiry. */
    kfi_aws_wall_clock_test_set(NOW + HOUR);
    assert_int_equal(ask(&askers[0]), KF_E_RETRY);
    leave(&askers[0]);
    assert_int_equal(vault_begun(), 5);
}

static void credentials_of_a_short_life_are_not_asked_for_again_and_again(void **state)
{
    (void)state;
    vault_answer(KF_OK, 30);
    for (int i = 0; i < 10; i++)
        assert_gets(1);
    support_clock_advance(KFI_AWS_REFRESH_PAUSE_MS);
    assert_gets(2);
    assert_gets(2);
}

/* ---- A wall clock that is set ---- */

#define DAY (24 * HOUR)

/* Too early, the credentials serve on. A service that goes by the true time refuses them once, and all share the next. */
static void a_clock_that_is_set_back_costs_one_fetch(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_gets(1);
    kfi_aws_wall_clock_test_set(NOW - DAY);
    support_clock_advance(2 * HOUR * 1000);
    assert_gets(1);
    assert_int_equal(vault_begun(), 1);

    assert_ok(ask(&askers[0]), &askers[0].error);
    kfi_aws_credentials_refused(cache, askers[0].got);
    kfi_aws_credentials_refused(cache, askers[0].got); /* another request met the same */
    leave(&askers[0]);
    vault_answer(KF_PENDING, 0);
    all_ask(KF_PENDING);
    vault_answer(KF_OK, DAY + 3 * HOUR);
    all_get(KF_OK, "AKID2");
    assert_int_equal(vault_begun(), 2);
}

/*
 * Too late, all credentials seem to have expired, new ones too. All who ask share the fetch, and are told. What the
 * cache has comes back as soon as the clock is right.
 */
static void a_clock_that_is_set_forwards_is_named(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_gets(1);
    vault_answer(KF_PENDING, 0);
    kfi_aws_wall_clock_test_set(NOW + DAY);
    all_ask(KF_PENDING);
    assert_int_equal(vault_begun(), 2);
    vault_answer_until(KF_OK, NOW + HOUR); /* the vault goes by the true time */
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(wait_for(&askers[i]), KF_E_RETRY);
        assert_non_null(strstr(askers[i].error.text, "clock of this machine is wrong"));
        leave(&askers[i]);
    }
    assert_int_equal(vault_begun(), 2);
    kfi_aws_wall_clock_test_set(NOW + 1);
    assert_gets(1);
    assert_int_equal(vault_begun(), 2);
}

static void whoever_comes_late_for_his_answer_gets_none_that_expired(void **state)
{
    (void)state;
    assert_int_equal(ask(&askers[0]), KF_PENDING);
    vault_answer(KF_OK, HOUR);
    bell_wait(&askers[0].bell); /* they are there */
    vault_answer(KF_PENDING, 0);
    kfi_aws_wall_clock_test_set(NOW + HOUR);
    assert_int_equal(kfi_aws_credentials_get(cache, &askers[0].call, &askers[0].error, &askers[0].got),
                     KF_PENDING);
    assert_null(askers[0].got);
    assert_int_equal(vault_begun(), 2);
    vault_answer(KF_OK, HOUR);
    assert_int_equal(wait_for(&askers[0]), KF_OK);
    assert_string_equal(askers[0].got->access_key_id, "AKID2");
    leave(&askers[0]);
}

static void a_failure_is_for_those_who_wait_and_then_forgotten(void **state)
{
    (void)state;
    all_ask(KF_PENDING);
    vault_answer(KF_E_REMOTE, 0);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(wait_for(&askers[i]), KF_E_REMOTE);
        assert_string_equal(askers[i].error.text, "The vault is shut.");
        leave(&askers[i]);
    }
    assert_int_equal(vault_begun(), 1);
    vault_answer(KF_OK, HOUR);
    assert_gets(2);
}

static void what_a_service_refused_is_fetched_anew(void **state)
{
    (void)state;
    vault_answer(KF_OK, KF_AWS_NEVER_EXPIRES - NOW);
    assert_int_equal(ask(&askers[0]), KF_OK);
    assert_int_equal(ask(&askers[1]), KF_OK);
    assert_int_equal(vault_begun(), 1);
    assert_int_equal(askers[0].got->expires_at, KF_AWS_NEVER_EXPIRES);
    kfi_aws_credentials_refused(cache, askers[0].got);
    assert_gets(2);
    /* A second refusal of the same credentials changes nothing, because others are there already. */
    kfi_aws_credentials_refused(cache, askers[1].got);
    assert_gets(2);
    assert_string_equal(askers[0].got->access_key_id, "AKID1"); /* whoever holds the old ones keeps them */
    leave(&askers[0]);
    leave(&askers[1]);
}

static void giving_up_stops_nobody(void **state)
{
    (void)state;
    assert_int_equal(ask(&askers[0]), KF_PENDING);
    assert_int_equal(ask(&askers[1]), KF_PENDING);
    leave(&askers[0]);
    vault_answer(KF_OK, HOUR);
    assert_int_equal(wait_for(&askers[1]), KF_OK);
    leave(&askers[1]);

    /* If the only caller gives up, its fetch goes on and serves the next. */
    kfi_aws_wall_clock_test_set(NOW + HOUR);
    vault_answer(KF_PENDING, 0);
    assert_int_equal(ask(&askers[0]), KF_PENDING);
    leave(&askers[0]);
    vault_answer(KF_OK, HOUR);
    support_settle();
    vault_answer(KF_PENDING, 0);
    assert_gets(2);
    assert_int_equal(vault_begun(), 2);
}

static void a_fetch_has_a_time_limit(void **state)
{
    (void)state;
    assert_int_equal(ask(&askers[0]), KF_PENDING);
    support_clock_advance(4999);
    support_settle();
    assert_int_equal(bell_rung(&askers[0].bell), 0);
    support_clock_advance(1);
    assert_int_equal(wait_for(&askers[0]), KF_E_TIMEOUT);
    assert_string_equal(askers[0].error.text, "AWS credentials did not come within 5000 ms.");
    leave(&askers[0]);
    assert_int_equal(vault.dropped, 1);
}

static void cleanup_ends_the_wait(void **state)
{
    (void)state;
    assert_int_equal(ask(&askers[0]), KF_PENDING);
    kf_cleanup();
    assert_int_equal(wait_for(&askers[0]), KF_E_CLEANED_UP);
    leave(&askers[0]);
    vault_answer(KF_OK, HOUR);
    assert_gets(2);
}

/* A provider that asks the cache that it serves. */
static enum kf_code ask_inside(void *self, struct kf_call *call, struct kf_error *error,
                               struct kf_aws_credentials_result *out)
{
    struct kfi_aws_credentials *credentials;
    (void)self;
    (void)out;
    return kfi_aws_credentials_get(cache, kf_call_child(call, 0), error, &credentials);
}

static void a_provider_must_not_ask_for_what_it_is_asked_for(void **state)
{
    (void)state;
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, ask_inside, NULL};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_aws_credentials_provider *provider;
    assert_ok(kf_aws_credentials_provider_new(&vtable, NULL, &error, &provider), &error);
    kfi_aws_credentials_cache_unref(cache);
    assert_ok(kfi_aws_credentials_cache_new(provider, 5000, &error, &cache), &error);
    kf_aws_credentials_provider_unref(provider);
    assert_int_equal(ask(&askers[0]), KF_E_USAGE);
    assert_non_null(strstr(askers[0].error.text, "must not use the client that it serves"));
    leave(&askers[0]);
}

/* ---- Fork ---- */

static bool has_its_own(void *unused)
{
    (void)unused;
    bool right = ask(&askers[0]) == KF_OK && strcmp(askers[0].got->access_key_id, "AKID2") == 0;
    leave(&askers[0]);
    kfi_aws_credentials_cache_unref(cache);
    return right;
}

static void a_child_fetches_for_itself(void **state)
{
    (void)state;
    vault_answer(KF_OK, HOUR);
    assert_gets(1);
    assert_true(support_in_child(has_its_own, NULL));
    assert_gets(1);
    assert_int_equal(vault_begun(), 1);

    /* The same in the middle of a fetch. The child's vault answers at once, the parent's only later. */
    kfi_aws_wall_clock_test_set(NOW + HOUR);
    vault_answer(KF_PENDING, 0);
    assert_int_equal(ask(&askers[1]), KF_PENDING);
    vault.begun = 1;
    pthread_mutex_lock(&vault.lock);
    vault.answer = KF_OK;
    vault.expires_at = NOW + 2 * HOUR;
    pthread_mutex_unlock(&vault.lock);
    assert_true(support_in_child(has_its_own, NULL));
    vault_answer(KF_OK, HOUR);
    assert_int_equal(wait_for(&askers[1]), KF_OK);
    leave(&askers[1]);
}

/* ---- Threads ---- */

#define THREADS 8
#define ROUNDS 50

static pthread_barrier_t barrier;
static atomic_uint wrong;

static void *ask_each_round(void *context)
{
    struct asker *asker = context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        enum kf_code code = ask(asker);
        pthread_barrier_wait(&barrier);
        if (round % 5 != 0 || asker != &askers[0])
            code = wait_for(asker);
        else
            kfi_call_end(&asker->call); /* it gives up, maybe during the landing */
        if (code < KF_OK)
            atomic_fetch_add(&wrong, 1);
        leave(asker);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void threads_share_one_fetch_each_round(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_each_round, &askers[i]), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        kfi_aws_wall_clock_test_set(NOW + (round + 1) * HOUR);
        vault_answer(KF_PENDING, 0);
        pthread_barrier_wait(&barrier); /* the threads begin to ask */
        pthread_barrier_wait(&barrier); /* all of them have asked */
        vault_answer(KF_OK, HOUR);
        pthread_barrier_wait(&barrier);
        assert_int_equal(vault_begun(), round + 1);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(wrong, 0);
}

#define cache_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    secrets_watch();
    const struct CMUnitTest tests[] = {
        cache_test(a_thousand_callers_make_one_fetch),
        cache_test(what_was_fetched_is_all_there),
        cache_test(a_refresh_begins_ahead_and_nobody_waits),
        cache_test(a_call_can_ask_again),
        cache_test(close_to_the_expiry_callers_wait),
        cache_test(a_refresh_that_fails_leaves_the_old_ones),
        cache_test(credentials_of_a_short_life_are_not_asked_for_again_and_again),
        cache_test(a_clock_that_is_set_back_costs_one_fetch),
        cache_test(a_clock_that_is_set_forwards_is_named),
        cache_test(whoever_comes_late_for_his_answer_gets_none_that_expired),
        cache_test(a_failure_is_for_those_who_wait_and_then_forgotten),
        cache_test(what_a_service_refused_is_fetched_anew),
        cache_test(giving_up_stops_nobody),
        cache_test(a_fetch_has_a_time_limit),
        cache_test(cleanup_ends_the_wait),
        cache_test(a_child_fetches_for_itself),
        cache_test(a_provider_must_not_ask_for_what_it_is_asked_for),
        cache_test(threads_share_one_fetch_each_round),
        cmocka_unit_test(no_secret_was_left_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
