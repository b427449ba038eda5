/*
 * Fetches that would wait for each other in a circle. Each has a keyring that encrypts with the next CMM before it
 * wraps; what each thread waits for is forced by barriers. One of those in the circle is refused, and all others get
 * keys. Without that all of them would hang: the clock stands still, so that no limit ever ends a wait.
 */
#include "support/asker.h"

#include <string.h>
#include <unistd.h>

#define LINKS 4

/* A CMM of the circle: its keyring encrypts with the next one. */
struct link {
    struct kf_keyring *inner;
    struct kf_cmm *cmm, *next;
    bool polls;     /* it asks as an asynchronous keyring, through its call */
    unsigned asked; /* by the first fetch alone: later ones wrap at once. Under the lock */
    enum kf_code code;
    struct kf_error error;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside, width; /* fetches that are inside their keyrings; how many wait for each other there */
    struct kf_cache *cache;
    struct link links[LINKS];
    size_t count;
} circle;

/* All fetches of the circle are under way before any of them asks for the next. */
static void meet(void)
{
    pthread_mutex_lock(&circle.lock);
    circle.inside++;
    pthread_cond_broadcast(&circle.changed);
    while (circle.inside < circle.width)
        pthread_cond_wait(&circle.changed, &circle.lock);
    pthread_mutex_unlock(&circle.lock);
}

/* Encrypts with the next CMM, as a synchronous keyring does. */
static enum kf_code encrypt_blocking(struct link *link, struct kf_error *error)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_buf message = KF_BUF_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY; /* as encryption_request */
    const enum kf_code code = kf_encrypt(link->next, &options, kf_view_text("inner"), error, &message);
    kf_buf_free(&message);
    return code;
}

static enum kf_code ask_next(struct link *link, struct kf_call *call, struct kf_error *error)
{
    if (!link->polls)
        return encrypt_blocking(link, error);
    const struct kf_encryption_request request = encryption_request(1);
    const struct kf_encryption_materials *materials = NULL;
    const enum kf_code code =
        kf_cmm_get_encryption_materials(link->next, kf_call_child(call, 1), &request, error, &materials);
    kf_encryption_materials_unref(materials);
    return code;
}

static enum kf_code link_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    struct link *link = self;
    pthread_mutex_lock(&circle.lock);
    const bool first = kf_call_state(call) == NULL && link->asked++ == 0, again = kf_call_state(call) != NULL;
    pthread_mutex_unlock(&circle.lock);
    if (first)
        meet();
    if (first || again) {
        kf_call_state_set(call, link, NULL);
        const enum kf_code code = ask_next(link, call, error);
        if (code == KF_PENDING)
            return code;
        link->code = code;
        link->error = *error;
        if (code != KF_OK)
            return code;
    }
    return kf_keyring_on_encrypt(link->inner, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code link_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                 size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    struct link *link = self;
    return kf_keyring_on_decrypt(link->inner, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static void circle_open(size_t count, bool polls, uint32_t max_flights)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable, .on_encrypt = link_encrypt, .on_decrypt = link_decrypt};
    struct kf_error error = KF_ERROR_INIT;
    memset(&circle, 0, sizeof circle);
    pthread_mutex_init(&circle.lock, NULL);
    pthread_cond_init(&circle.changed, NULL);
    assert_ok(kf_cache_new(10, &error, &circle.cache), &error);
    circle.count = count;
    circle.width = (unsigned)count;
    for (size_t i = 0; i < count; i++) {
        struct link *link = &circle.links[i];
        struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
        link->polls = polls;
        link->inner = support_keyring();
        options.cache = circle.cache;
        options.max_age_ms = 1000000;
        options.max_messages = max_flights == 0 ? 10 : 1;
        options.max_flights = max_flights;
        assert_ok(kf_keyring_new(&vtable, link, &error, &options.keyring), &error);
        assert_ok(kf_caching_cmm_new(&options, &error, &link->cmm), &error);
        kf_keyring_unref(options.keyring);
    }
    for (size_t i = 0; i < count; i++)
        circle.links[i].next = circle.links[(i + 1) % count].cmm;
    support_clock_stop(1000000);
    alarm(60);
}

static void circle_close(void)
{
    alarm(0);
    for (size_t i = 0; i < circle.count; i++) {
        kf_cmm_unref(circle.links[i].cmm);
        kf_keyring_unref(circle.links[i].inner);
    }
    kf_cache_unref(circle.cache);
    kf_cleanup();
    support_clock_real();
    pthread_cond_destroy(&circle.changed);
    pthread_mutex_destroy(&circle.lock);
}

/* A caller on a thread of its own. */
struct caller {
    pthread_t thread;
    struct kf_cmm *cmm;
    struct asker asker;
};

static void *caller_main(void *context)
{
    struct caller *caller = context;
    (void)asker_ask(&caller->asker, caller->cmm, 1);
    (void)asker_wait(&caller->asker);
    return NULL;
}

static void caller_start(struct caller *caller, struct kf_cmm *cmm)
{
    caller->cmm = cmm;
    assert_int_equal(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

/* One caller for each fetch of the circle, then bystanders. */
static void run_circle(size_t bystanders)
{
    struct caller callers[LINKS + 4];
    memset(callers, 0, sizeof callers);
    for (size_t i = 0; i < circle.count; i++)
        caller_start(&callers[i], circle.links[i].cmm);
    for (size_t i = 0; i < circle.count; i++)
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);

    size_t refused = 0;
    for (size_t i = 0; i < circle.count; i++) {
        const struct link *link = &circle.links[i];
        if (link->code == KF_OK)
            continue;
        assert_int_equal(link->code, KF_E_USAGE);
        assert_int_equal(callers[i].asker.code, KF_E_USAGE);
        refused += strstr(link->error.text, "in a circle") != NULL;
    }
    /* Those behind the one that was refused fail with it, since they asked for what it was to bring. */
    assert_true(refused >= 1);
    for (size_t i = 0; i < circle.count; i++)
        asker_leave(&callers[i].asker);

    /* Whoever asks now finds nothing in the way. */
    for (size_t i = 0; i < bystanders; i++) {
        struct asker asker;
        assert_int_equal(asker_ask(&asker, circle.links[i % circle.count].cmm, 1), KF_OK);
        asker_leave(&asker);
    }
}

static void two_synchronous_keyrings_do_not_wait_for_each_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        circle_open(2, false, 0);
        run_circle(4);
        circle_close();
    }
}

static void nor_do_more_of_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        circle_open(2 + i % 3, false, 0);
        run_circle(4);
        circle_close();
    }
}

static void nor_do_asynchronous_ones(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        circle_open(2 + i % 3, true, 0);
        run_circle(4);
        circle_close();
    }
}

/* Each waits in the line for a flight to begin, behind the one that is under way. */
static void nor_do_those_who_wait_in_line(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        circle_open(2 + i % 3, false, 1);
        run_circle(4);
        circle_close();
    }
}

/* A chain is no circle: the last fetch asks for nothing, and all get keys. */
static void a_chain_is_no_circle(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct caller callers[3];
        memset(callers, 0, sizeof callers);
        circle_open(3, i % 2 == 1, 0);
        circle.links[2].asked = 1; /* it wraps at once */
        circle.width = 2;
        for (size_t c = 0; c < 3; c++)
            caller_start(&callers[c], circle.links[c].cmm);
        for (size_t c = 0; c < 3; c++) {
            assert_int_equal(pthread_join(callers[c].thread, NULL), 0);
            assert_int_equal(callers[c].asker.code, KF_OK);
            asker_leave(&callers[c].asker);
        }
        circle_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_synchronous_keyrings_do_not_wait_for_each_other),
        cmocka_unit_test(nor_do_more_of_them),
        cmocka_unit_test(nor_do_asynchronous_ones),
        cmocka_unit_test(nor_do_those_who_wait_in_line),
        cmocka_unit_test(a_chain_is_no_circle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
