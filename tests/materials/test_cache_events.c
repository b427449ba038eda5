/*
 * Events: what a listener is told, that it can be matched with the key service's log, and that it lives as long as
 * somebody may tell it something. And low reuse: whose values keep a cache from working.
 */
#include "support/asker.h"

#include <stdio.h>
#include <stdlib.h>

#include "materials/cache/reuse.h"

#define EVENTS_MAX 20000

/* Events as they came; what they point to is copied. */
struct note {
    struct kf_cache_event event;
    char fingerprint[KF_FINGERPRINT_SIZE], key_arn[64], request_id[64], text[64], keys[128];
};

struct notes {
    pthread_mutex_t lock; /* guards what follows */
    size_t count;
    struct note all[EVENTS_MAX];
    unsigned dropped;
    struct kf_cache *asks; /* its statistics are read inside every event */
};

static struct notes notes;
static struct asker askers[40];

static void copy(char *to, size_t size, struct kf_view from)
{
    snprintf(to, size, "%.*s", (int)from.length, (const char *)from.data);
}

static void on_event(void *context, const struct kf_cache_event *event)
{
    struct notes *into = context;
    struct kf_cache_stats stats = {.size = sizeof stats};
    if (into->asks != NULL)
        kf_cache_stats_read(into->asks, &stats); /* no lock is held */
    pthread_mutex_lock(&into->lock);
    if (into->count < EVENTS_MAX) {
        struct note *note = &into->all[into->count++];
        *note = (struct note){.event = *event};
        if (event->fingerprint != NULL)
            copy(note->fingerprint, sizeof note->fingerprint, kf_view_text(event->fingerprint));
        copy(note->key_arn, sizeof note->key_arn, event->key_arn);
        copy(note->request_id, sizeof note->request_id, event->request_id);
        if (event->error != NULL)
            copy(note->text, sizeof note->text, kf_view_text(event->error->text));
        for (size_t i = 0; i < event->context_key_count; i++) {
            const size_t used = strlen(note->keys);
            copy(note->keys + used, sizeof note->keys - used, event->context_keys[i]);
            strcat(note->keys, ";");
        }
    }
    pthread_mutex_unlock(&into->lock);
}

static void on_drop(void *context)
{
    struct notes *from = context;
    from->dropped++;
}

static struct kf_cache_listener *listener_new(void)
{
    struct kf_cache_listener *listener;
    struct kf_error error = KF_ERROR_INIT;
    pthread_mutex_init(&notes.lock, NULL);
    notes.count = 0;
    notes.dropped = 0;
    notes.asks = NULL;
    assert_ok(kf_cache_listener_new(on_event, &notes, on_drop, &error, &listener), &error);
    return listener;
}

/* The next event, which has to be of this kind and about this flight. */
static const struct note *next(size_t *at, enum kf_cache_event_kind kind, uint64_t flight)
{
    assert_in_range(*at, 0, notes.count - 1);
    const struct note *note = &notes.all[(*at)++];
    assert_int_equal(note->event.kind, kind);
    assert_int_equal(note->event.flight, flight);
    return note;
}

/* A scene with a listener that nobody but its parts holds. */
static void heard_scene(struct scene *scene, struct kf_caching_cmm_options *options)
{
    options->listener = listener_new();
    scene_open(scene, 10, options);
    notes.asks = scene->cache;
    kf_cache_listener_unref(options->listener);
}

/* ---- The life of a key ---- */

static void the_life_of_a_key_is_told(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(3, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 5), KF_PENDING);
    scene_land(&scene, 0, KF_OK);
    scene_land(&scene, 1, KF_E_RETRY);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    size_t at = 0;
    assert_false(next(&at, KF_CACHE_MISS, 0)->event.decrypts);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_MISS, 1);
    const struct note *note = next(&at, KF_CACHE_LANDED, 0);
    const struct kf_edk edk = kf_encryption_materials_edk(askers[0].encryption_materials, 0);
    char fingerprint[KF_FINGERPRINT_SIZE];
    assert_ok(kf_edk_fingerprint(&edk, NULL, fingerprint), NULL);
    assert_string_equal(note->fingerprint, fingerprint);
    assert_null(note->event.key_arn.data); /* no key of AWS KMS */
    assert_int_equal(note->event.request_id.length, 0);
    note = next(&at, KF_CACHE_ENDED, 0);
    assert_int_equal(note->event.end, KF_CACHE_END_MESSAGES);
    assert_true(note->event.messages == 3 && note->event.bytes == 15);
    note = next(&at, KF_CACHE_FAILED, 1);
    assert_int_equal(note->event.error == NULL, 0);
    assert_string_equal(note->text, "The test told this call to fail.");
    assert_int_equal(at, notes.count);
    askers_leave(askers, 4);
    scene_close(&scene);
    assert_int_equal(notes.count, at);
    assert_int_equal(notes.dropped, 1);
}

static void every_end_is_told_with_its_reason(void **state)
{
    (void)state;
    support_clock_stop(1000);
    struct kf_caching_cmm_options options = caching_options(10, 100);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 99), KF_OK);
    assert_int_equal(asker_ask(&askers[1], scene.cmm, 50), KF_OK); /* the better one */
    support_clock_advance(60000);
    assert_int_equal(asker_ask(&askers[2], scene.cmm, 100), KF_OK);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_OK);
    kf_cache_clear(scene.cache);
    static const enum kf_cache_end ends[] = {KF_CACHE_END_REPLACED, KF_CACHE_END_AGE, KF_CACHE_END_BYTES,
                                             KF_CACHE_END_CLEARED};
    size_t found = 0;
    for (size_t i = 0; i < notes.count; i++) {
        if (notes.all[i].event.kind != KF_CACHE_ENDED)
            continue;
        assert_int_equal(notes.all[i].event.flight, found);
        assert_int_equal(notes.all[i].event.end, ends[found++]);
    }
    assert_int_equal(found, 4);
    askers_leave(askers, 4);
    scene_close(&scene);
    support_clock_real();
}

static void fetches_ahead_and_waves_are_told(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(2, KF_MAX_BYTES_LIMIT);
    options.refresh_ahead_permille = 1;
    options.max_flights = 1;
    struct scene scene;
    heard_scene(&scene, &options);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    scene_land(&scene, 0, KF_OK);
    told_wait_begun(scene.told, 2);
    scene_land(&scene, 1, KF_OK);
    assert_int_equal(asker_ask(&askers[3], scene.cmm, 1), KF_OK);
    scene_land(&scene, 2, KF_OK);
    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_LANDED, 0);
    next(&at, KF_CACHE_ENDED, 0);
    assert_false(next(&at, KF_CACHE_MISS, 1)->event.refresh);
    next(&at, KF_CACHE_LANDED, 1);
    next(&at, KF_CACHE_ENDED, 1);
    assert_true(next(&at, KF_CACHE_MISS, 2)->event.refresh);
    assert_true(next(&at, KF_CACHE_LANDED, 2)->event.refresh);
    assert_int_equal(at, notes.count);
    askers_leave(askers, 4);
    scene_close(&scene);
}

static void a_seat_out_of_the_line_is_told(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(3, KF_MAX_BYTES_LIMIT);
    options.max_flights = 1;
    struct scene scene;
    heard_scene(&scene, &options);
    for (size_t i = 0; i < 6; i++) /* three are seated, three wait for their turn */
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    scene_land(&scene, 0, KF_OK);
    told_wait_begun(scene.told, 2);
    scene_land(&scene, 1, KF_OK);
    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_LANDED, 0);
    next(&at, KF_CACHE_ENDED, 0);
    next(&at, KF_CACHE_MISS, 1); /* for the first in the line */
    next(&at, KF_CACHE_COALESCED, 1);
    next(&at, KF_CACHE_COALESCED, 1);
    next(&at, KF_CACHE_LANDED, 1);
    next(&at, KF_CACHE_ENDED, 1);
    assert_int_equal(at, notes.count);
    const struct kf_cache_stats stats = scene_stats(&scene);
    assert_int_equal(stats.coalesced, 4); /* an event for each */
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    askers_leave(askers, 6);
    scene_close(&scene);
}

static void a_seat_that_was_given_up_goes_to_the_line_and_is_told(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(2, KF_MAX_BYTES_LIMIT);
    options.max_flights = 1;
    struct scene scene;
    heard_scene(&scene, &options);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    asker_leave(&askers[1]);
    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_COALESCED, 0); /* askers[2], in the seat of askers[1] */
    assert_int_equal(at, notes.count);
    scene_land(&scene, 0, KF_OK);
    assert_int_equal(asker_wait(&askers[2]), KF_OK);
    askers_leave(askers, 3);
    scene_close(&scene);
}

static void a_seat_out_of_the_line_in_a_flight_of_another_cmm_is_told(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(2, KF_MAX_BYTES_LIMIT);
    const struct kf_caching_cmm_options unlimited = options;
    options.max_flights = 1;
    struct scene scene;
    heard_scene(&scene, &options);
    struct kf_cmm *other = scene_cmm(&scene, &unlimited); /* nobody hears it */
    for (size_t i = 0; i < 3; i++)                        /* the third waits for its turn */
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[3], other, 1),
                     KF_PENDING); /* opens a flight, in which a seat is left */
    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_COALESCED, 1); /* before any landing */
    scene_land(&scene, 0, KF_OK);
    next(&at, KF_CACHE_LANDED, 0);
    next(&at, KF_CACHE_ENDED, 0);
    assert_int_equal(at, notes.count);
    assert_int_equal(told_begun(scene.told), 2); /* no third flight was needed */
    scene_land(&scene, 1, KF_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    askers_leave(askers, 4);
    kf_cmm_unref(other);
    scene_close(&scene);
    assert_int_equal(notes.dropped, 1); /* no seat holds the listener any more */
}

static void a_flight_that_is_offered_to_the_line_is_told_before_the_seats_in_it(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(2, KF_MAX_BYTES_LIMIT);
    options.max_flights = 1;
    struct scene scene;
    heard_scene(&scene, &options);
    options.max_flights = 0;
    struct kf_cmm *other = scene_cmm(&scene, &options);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 1), KF_PENDING);
    assert_int_equal(asker_ask(&askers[3], other, 1), KF_PENDING);
    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    next(&at, KF_CACHE_COALESCED, 0);
    next(&at, KF_CACHE_MISS, 1);
    next(&at, KF_CACHE_COALESCED, 1);
    assert_int_equal(at, notes.count);
    scene_land(&scene, 1, KF_OK);
    scene_land(&scene, 0, KF_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(asker_wait(&askers[i]), KF_OK);
    askers_leave(askers, 4);
    kf_cmm_unref(other);
    scene_close(&scene);
}

static void the_listener_outlives_whoever_may_tell_it(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK);
    asker_leave(&askers[0]);
    kf_cmm_unref(scene.cmm);
    scene.cmm = NULL;
    assert_int_equal(notes.dropped, 0); /* the key in the cache holds it */
    kf_cache_clear(scene.cache);
    assert_int_equal(notes.all[notes.count - 1].event.end, KF_CACHE_END_CLEARED);
    assert_int_equal(notes.dropped, 1);
    scene_close(&scene);
}

/* ---- Matching with the service's log ---- */

/* A keyring as of AWS KMS: EDKs of two providers, and a request id. */
static enum kf_code kms_encrypt(void *self, struct kf_call *call,
                                const struct kf_encryption_materials *materials, struct kf_error *error,
                                struct kf_wrapped *out)
{
    static const uint8_t key[32] = {1};
    (void)self;
    (void)materials;
    const struct kf_edk edks[] = {
        {kf_view_text("vault"), kf_view_text("box 1"), kf_view_text("a")},
        {kf_view_text("aws-kms"), kf_view_text("arn:aws:kms:eu-west-1:1:key/1"), kf_view_text("b")},
        {kf_view_text("aws-kms"), kf_view_text("arn:aws:kms:eu-west-1:1:key/2"), kf_view_text("c")},
    };
    enum kf_code code = kf_wrapped_data_key_set(out, kf_view_of(key, sizeof key), error);
    for (size_t i = 0; i < 3 && code == KF_OK; i++)
        code = kf_wrapped_edk_add(out, &edks[i], error);
    kf_call_request_id_set(call, kf_view_text("an earlier one"));
    kf_call_request_id_set(kf_call_child(call, 0), kf_view_text("3f2504e0-4f89-41d3-9a0c-0305e82c3301"));
    return code;
}

static enum kf_code kms_decrypt(void *self, struct kf_call *call,
                                const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    char long_id[100];
    (void)self;
    (void)materials;
    (void)edks;
    (void)edk_count;
    (void)out;
    memset(long_id, 'x', sizeof long_id);
    kf_call_request_id_set(call, kf_view_of(long_id, sizeof long_id));
    return kf_error_set(error, KF_E_REMOTE, "AccessDeniedException");
}

static void landings_and_failures_name_key_and_request(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, kms_encrypt, kms_decrypt, NULL, false};
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    assert_ok(kf_keyring_new(&vtable, NULL, &error, &options.keyring), &error);
    options.listener = listener_new();
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_listener_unref(options.listener);
    kf_keyring_unref(options.keyring);

    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_OK);
    const struct kf_edk edk = kf_encryption_materials_edk(askers[0].encryption_materials, 0);
    const struct kf_decryption_request reading = decryption_request(&edk, 1);
    assert_int_equal(asker_decrypt(&askers[1], cmm, &reading), KF_E_REMOTE);

    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    const struct note *note = next(&at, KF_CACHE_LANDED, 0);
    assert_string_equal(note->key_arn, "arn:aws:kms:eu-west-1:1:key/1");
    assert_string_equal(note->request_id, "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    char fingerprint[KF_FINGERPRINT_SIZE];
    assert_ok(kf_edk_fingerprint(&edk, &error, fingerprint), &error);
    assert_string_equal(note->fingerprint, fingerprint); /* of the first EDK, whoever it is for */
    assert_true(next(&at, KF_CACHE_MISS, 1)->event.decrypts);
    note = next(&at, KF_CACHE_FAILED, 1);
    assert_true(note->event.decrypts);
    assert_int_equal(note->event.request_id.length, 63);
    askers_leave(askers, 2);

    /* Where the call is no fetch, there is nobody to tell: past the cache. */
    assert_int_equal(asker_ask(&askers[0], cmm, KF_LENGTH_UNKNOWN), KF_OK);
    assert_int_equal(notes.count, at);
    asker_leave(&askers[0]);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    assert_int_equal(notes.dropped, 1);
}

/* One keyring's service refuses, and another keyring opens the key: that request has nothing to do with it. */
static void a_key_has_not_the_id_of_what_was_refused_before(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, kms_encrypt, kms_decrypt, NULL, false};
    struct kf_caching_cmm_options options = caching_options(10, KF_MAX_BYTES_LIMIT);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *kms, *local = support_keyring();
    struct kf_cmm *cmm;
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    assert_ok(kf_keyring_new(&vtable, NULL, &error, &kms), &error);
    assert_ok(kf_multi_keyring_new(kms, &local, 1, &error, &options.keyring), &error);
    options.listener = listener_new();
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_listener_unref(options.listener);
    kf_keyring_unref(options.keyring);
    kf_keyring_unref(local);
    kf_keyring_unref(kms);

    struct kf_edk edks[4];
    assert_int_equal(asker_ask(&askers[0], cmm, 1), KF_OK);
    for (size_t i = 0; i < 4; i++)
        edks[i] = kf_encryption_materials_edk(askers[0].encryption_materials, i);
    const struct kf_decryption_request reading = decryption_request(edks, 4);
    assert_int_equal(asker_decrypt(&askers[1], cmm, &reading), KF_OK);
    assert_true(askers_share_key(&askers[0], &askers[1]));
    size_t at = 0;
    next(&at, KF_CACHE_MISS, 0);
    assert_string_equal(next(&at, KF_CACHE_LANDED, 0)->request_id, "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    next(&at, KF_CACHE_MISS, 1);
    assert_int_equal(next(&at, KF_CACHE_LANDED, 1)->event.request_id.length, 0);
    askers_leave(askers, 2);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
}

/* ---- Low reuse ---- */

/* Asks with the context {"app": app, "id": id, "tenant": tenant}, and is answered at once. */
static void ask_with(struct scene *scene, const char *tenant, unsigned id)
{
    struct kf_encryption_request request = encryption_request(1);
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    char value[16];
    snprintf(value, sizeof value, "secret-%u", id);
    assert_ok(kf_encryption_context_of(&error, &context, "app", "mail", "id", value, "tenant", tenant,
                                       (char *)NULL),
              &error);
    request.encryption_context = context;
    struct asker asker;
    assert_int_equal(asker_encrypt(&asker, scene->cmm, &request), KF_OK);
    asker_leave(&asker);
    kf_encryption_context_unref(context);
}

static size_t low_reuse_told(const struct note **last)
{
    size_t count = 0;
    for (size_t i = 0; i < notes.count; i++) {
        if (notes.all[i].event.kind == KF_CACHE_LOW_REUSE) {
            count++;
            *last = &notes.all[i];
        }
    }
    return count;
}

static void low_reuse_names_the_keys_whose_values_are_always_new(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(1000, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    const struct note *last = NULL;
    for (unsigned i = 0; i < KFI_REUSE_PERIOD - 1; i++)
        ask_with(&scene, i % 2 ? "blue" : "green", i);
    assert_int_equal(low_reuse_told(&last), 0);
    ask_with(&scene, "blue", KFI_REUSE_PERIOD - 1);
    assert_int_equal(low_reuse_told(&last), 1);
    assert_string_equal(last->keys, "id;");
    assert_int_equal(last->event.misses, KFI_REUSE_PERIOD);
    for (unsigned i = KFI_REUSE_PERIOD; i < 2 * KFI_REUSE_PERIOD; i++)
        ask_with(&scene, "blue", i);
    assert_int_equal(low_reuse_told(&last), 2); /* once for each period */
    for (size_t i = 0; i < notes.count; i++)
        assert_null(strstr(notes.all[i].keys, "secret"));
    scene_close(&scene);
}

static void keys_that_are_used_again_are_no_low_reuse(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(1000, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    const struct note *last = NULL;
    /* Every value is new, but each is used twice: so the cache halves the calls. */
    for (unsigned i = 0; i < 4 * KFI_REUSE_PERIOD; i++)
        ask_with(&scene, "blue", i / 2);
    assert_int_equal(low_reuse_told(&last), 0);
    scene_close(&scene);
}

static void a_cold_start_of_many_tenants_is_no_low_reuse(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(1000, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    const struct note *last = NULL;
    /* Several restarts with 500 tenants: each comes once before the first comes again. */
    for (unsigned i = 0; i < 6 * 500; i++) {
        if (i % 1500 == 0)
            kf_cache_clear(scene.cache);
        ask_with(&scene, "blue", i % 500);
    }
    assert_int_equal(low_reuse_told(&last), 0);
    scene_close(&scene);
}

static void misses_for_other_reasons_are_no_low_reuse(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(1, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    const struct note *last = NULL;
    for (unsigned i = 0; i < 2 * KFI_REUSE_PERIOD; i++)
        ask_with(&scene, "blue", i % 50); /* a limit of one message: every one a miss, but few values */
    assert_int_equal(low_reuse_told(&last), 0);
    for (unsigned i = 0; i < 200; i++) { /* no context at all */
        assert_int_equal(asker_ask(&askers[0], scene.cmm, 1), KF_OK);
        asker_leave(&askers[0]);
    }
    assert_int_equal(low_reuse_told(&last), 0);
    scene_close(&scene);
}

static void contexts_of_another_kind_in_between_do_not_hide_it(void **state)
{
    (void)state;
    struct kf_caching_cmm_options options = caching_options(1, KF_MAX_BYTES_LIMIT);
    struct scene scene;
    heard_scene(&scene, &options);
    told_answer_always(scene.told, true);
    const struct note *last = NULL;
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_of(&error, &context, "kind", "other", (char *)NULL), &error);
    struct kf_encryption_request request = encryption_request(1);
    request.encryption_context = context;
    for (unsigned i = 0; i < KFI_REUSE_PERIOD; i++) {
        ask_with(&scene, "blue", i);
        if (i % 2 == 0) {
            assert_int_equal(asker_encrypt(&askers[0], scene.cmm, &request), KF_OK);
            asker_leave(&askers[0]);
        }
    }
    assert_int_equal(low_reuse_told(&last), 1);
    assert_string_equal(last->keys, "id;");
    kf_encryption_context_unref(context);
    scene_close(&scene);
}

static void a_listener_needs_a_function(void **state)
{
    (void)state;
    struct kf_cache_listener *listener;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_cache_listener_new(NULL, NULL, NULL, &error, &listener), KF_E_USAGE);
    assert_null(listener);
    kf_cache_listener_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_life_of_a_key_is_told),
        cmocka_unit_test(every_end_is_told_with_its_reason),
        cmocka_unit_test(fetches_ahead_and_waves_are_told),
        cmocka_unit_test(a_seat_out_of_the_line_is_told),
        cmocka_unit_test(a_seat_out_of_the_line_in_a_flight_of_another_cmm_is_told),
        cmocka_unit_test(a_flight_that_is_offered_to_the_line_is_told_before_the_seats_in_it),
        cmocka_unit_test(a_seat_that_was_given_up_goes_to_the_line_and_is_told),
        cmocka_unit_test(the_listener_outlives_whoever_may_tell_it),
        cmocka_unit_test(landings_and_failures_name_key_and_request),
        cmocka_unit_test(a_key_has_not_the_id_of_what_was_refused_before),
        cmocka_unit_test(low_reuse_names_the_keys_whose_values_are_always_new),
        cmocka_unit_test(keys_that_are_used_again_are_no_low_reuse),
        cmocka_unit_test(a_cold_start_of_many_tenants_is_no_low_reuse),
        cmocka_unit_test(misses_for_other_reasons_are_no_low_reuse),
        cmocka_unit_test(contexts_of_another_kind_in_between_do_not_hide_it),
        cmocka_unit_test(a_listener_needs_a_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
