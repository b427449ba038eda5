/*
 * What scenes share: see stage.h.
 */
#include "schedule/scenes/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t moments;

uint64_t stage_moment(void)
{
    return ++moments;
}

/* ---- Bells ---- */

static void bell_ring(void *context)
{
    struct bell *bell = context;
    CHECK(!bell->closed, "waker", "A waker is called behind its end.");
    CHECK(bell->polled_by != machine_self() + 1, "waker",
          "A waker is called inside its own poll, by the same thread.");
    bell->running++;
    machine_point();
    bell->rung = true;
    machine_wake_all(bell);
    machine_point();
    bell->running--;
}

struct kf_waker bell_waker(struct bell *bell)
{
    return (struct kf_waker){bell_ring, bell};
}

void bell_wait(struct bell *bell, uint64_t ms)
{
    const uint64_t until = ms == UINT64_MAX ? MACHINE_NEVER : machine_now() + ms;
    while (!bell->rung && machine_now() < until)
        machine_wait("its waker", bell, until, false);
    bell->rung = false;
}

void bell_close(struct bell *bell)
{
    CHECK(bell->running == 0, "waker", "A waker is running behind its end.");
    bell->closed = true;
}

void bell_poll_begin(struct bell *bell)
{
    bell->polled_by = machine_self() + 1;
}

void bell_poll_end(struct bell *bell)
{
    bell->polled_by = 0;
}

/* ---- The source ---- */

#define KEY_BYTES 32

/* A fetch that has not been answered. The call has one reference, the service another one. */
struct request {
    struct source *source;
    struct kf_call_waker *waker;
    struct request *next;
    unsigned references, wakes;
    uint32_t number;
    bool answered, polled, dropped;
    uint64_t due;      /* BY_TIMER */
    enum kf_code code; /* why it cannot be waited for */
};

static void request_unref(struct request *request)
{
    if (--request->references == 0)
        free(request);
}

static void request_drop(void *state)
{
    struct request *request = state;
    CHECK(!request->polled && !request->dropped, "P4", "A fetch is dropped while it is polled, or twice.");
    request->dropped = true;
    request->source->under_way--;
    machine_wake_all(request);
    request_unref(request);
}

static void *service_main(void *context)
{
    struct source *source = context;
    for (;;) {
        if (source->latency_ms > 0)
            machine_sleep(machine_random(source->latency_ms + 1));
        while (!source->closing && (source->waiting == NULL || source->gated))
            machine_wait("requests", source, MACHINE_NEVER, false);
        struct request **place = &source->waiting, *request = *place;
        if (request == NULL)
            return NULL;
        while ((*place)->next != NULL && machine_random(2) == 0)
            place = &(*place)->next;
        request = *place;
        *place = request->next;
        request->answered = true;
        machine_wake_all(request);
        machine_point();
        if (request->waker != NULL) {
            kf_call_waker_wake(request->waker);
            kf_call_waker_unref(request->waker);
        }
        request_unref(request);
    }
}

static void request_to_service(struct request *request)
{
    struct source *source = request->source;
    request->references++;
    request->next = source->waiting;
    source->waiting = request;
    machine_wake_all(source);
    machine_point();
}

static struct request *request_new(struct source *source, struct kf_call *call, enum answer_way way)
{
    struct request *request = calloc(1, sizeof *request);
    request->source = source;
    request->references = 1;
    request->number = source->begun++;
    request->due = MACHINE_NEVER;
    CHECK(source->begun < KEYS_MAX, "scene", "More than %d fetches.", KEYS_MAX);
    source->keys[request->number] = (struct key){.begun = stage_moment(), .max_uses = UINT32_MAX};
    if (++source->under_way > source->peak)
        source->peak = source->under_way;
    kf_call_state_set(call, request, request_drop);
    if (way == BY_SERVICE) {
        request->waker = source->blocks ? NULL : kf_call_waker_of(call);
        request->code = source->blocks || request->waker != NULL ? KF_OK : KF_E_NO_MEMORY;
        if (request->code == KF_OK)
            request_to_service(request);
    } else if (way == BY_TIMER) {
        const uint64_t ms = machine_random(20);
        request->due = machine_now() + ms;
        request->code = kf_call_wake_in(call, ms);
    } else if (way == AFTER_WAKES) {
        request->wakes = 1 + (unsigned)machine_random(3);
    } else {
        request->answered = true;
    }
    return request;
}

enum kf_code source_fetch(struct source *source, struct kf_call *call, struct kf_error *error,
                          uint32_t *number)
{
    struct request *request = kf_call_state(call);
    if (request == NULL)
        request = request_new(
            source, call, source->way == ANY_WAY ? (enum answer_way)machine_random(ANY_WAY) : source->way);
    CHECK(!request->polled, "overlap", "Two polls of one call overlap.");
    request->polled = true;
    machine_point();
    while (source->blocks && !request->answered)
        machine_wait("the service", request, MACHINE_NEVER, false);
    if (request->wakes > 0) {
        struct kf_call_waker *waker = kf_call_waker_of(call);
        request->answered = --request->wakes == 0;
        if (waker != NULL)
            kf_call_waker_wake(waker);
        else
            request->code = KF_E_NO_MEMORY;
        kf_call_waker_unref(waker);
    }
    const bool answered = request->answered || machine_now() >= request->due;
    request->polled = false;
    *number = request->number;
    if (request->code != KF_OK)
        return kf_error_set(error, request->code, "There is no timer, or no memory.");
    if (!answered)
        return KF_PENDING;
    if (machine_random(1000) >= source->fail_permille)
        return KF_OK;
    source->keys[*number].failed = true;
    return kf_error_set(error, KF_E_RETRY, "fetch %u fails", *number);
}

static enum kf_code source_encrypts(void *self, struct kf_call *call,
                                    const struct kf_encryption_materials *materials, struct kf_error *error,
                                    struct kf_wrapped *out)
{
    uint8_t bytes[KEY_BYTES] = {0};
    uint32_t number;
    enum kf_code code = source_fetch(self, call, error, &number);
    if (code != KF_OK)
        return code;
    memcpy(bytes, &number, sizeof number);
    const struct kf_edk edk = {kf_view_text("scene"), kf_view_text("key"), kf_view_of(bytes, sizeof bytes)};
    if (kf_encryption_materials_data_key(materials).length == 0)
        code = kf_wrapped_data_key_set(out, kf_view_of(bytes, sizeof bytes), error);
    return code == KF_OK ? kf_wrapped_edk_add(out, &edk, error) : code;
}

static enum kf_code source_decrypts_nothing(void *self, struct kf_call *call,
                                            const struct kf_decryption_materials *materials,
                                            const struct kf_edk *edks, size_t edk_count,
                                            struct kf_error *error, struct kf_data_key *out)
{
    (void)self;
    (void)call;
    (void)materials;
    (void)edks;
    (void)edk_count;
    (void)out;
    return kf_error_set(error, KF_E_KEYS, "This keyring only encrypts.");
}

void source_open(struct source *source)
{
    source->service = machine_start("service", service_main, source, false);
}

static void source_keyring_ends(void *self)
{
    struct source *source = self;
    source->keyrings--;
    machine_wake_all(&source->keyrings);
}

struct kf_keyring *source_keyring(struct source *source)
{
    static const struct kf_keyring_vtable vtable = {.size = sizeof vtable,
                                                    .on_encrypt = source_encrypts,
                                                    .on_decrypt = source_decrypts_nothing,
                                                    .destroy = source_keyring_ends};
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    if (kf_keyring_new(&vtable, source, &error, &keyring) != KF_OK)
        machine_fail("scene", "%s", error.text);
    source->keyrings++;
    return keyring;
}

void source_gate_open(struct source *source)
{
    source->gated = false;
    machine_wake_all(source);
}

void source_close(struct source *source)
{
    while (source->keyrings > 0)
        machine_wait("the end of keyrings", &source->keyrings, MACHINE_NEVER, false);
    source->closing = true;
    machine_wake_all(source);
    machine_join(source->service);
}

/* ---- Callers ---- */

static const struct kf_encryption_context *context_new(unsigned number)
{
    struct kf_pair pair = {kf_view_text("question"), kf_view_text(number == 0 ? "first" : "second")};
    const struct kf_encryption_context *context;
    return kf_encryption_context_new(&pair, 1, NULL, &context) == KF_OK ? context : NULL;
}

void caller_begin(struct caller *caller, const struct ask_options *options)
{
    struct kf_encrypt_options encrypt = KF_ENCRYPT_OPTIONS_INIT;
    const struct kf_encryption_context *context = context_new(options->context);
    struct kf_error error = KF_ERROR_INIT;
    *caller = (struct caller){.code = KF_PENDING};
    encrypt.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    encrypt.encryption_context = context;
    encrypt.plaintext_bound = options->length;
    encrypt.timeout_ms = options->timeout_ms;
    if (context == NULL || kf_encryptor_new(options->cmm, &encrypt, &error, &caller->encryptor) != KF_OK)
        caller->code = KF_E_NO_MEMORY;
    kf_encryption_context_unref(context);
}

/* Notes which key the caller has, and that it was not used too often. */
static void key_used(struct caller *caller, struct source *source, uint32_t max_uses)
{
    const struct kf_encryption_materials *materials = kf_encryptor_materials(caller->encryptor);
    CHECK(materials != NULL, "P4", "A caller was answered without materials.");
    const struct kf_view bytes = kf_encryption_materials_data_key(materials);
    memcpy(&caller->key, bytes.data, sizeof caller->key);
    CHECK(caller->key < source->begun, "use after free", "The data key of a caller is none of ours.");
    struct key *key = &source->keys[caller->key];
    CHECK(!key->failed, "P4", "A caller got the key of a fetch that failed.");
    key->uses++;
    if (key->max_uses > max_uses)
        key->max_uses = max_uses;
    if (key->seen_ms == 0)
        key->seen_ms = machine_now();
    CHECK(key->uses <= key->max_uses, "P1", "Key %u was used %u times, %u are allowed.", caller->key,
          key->uses, key->max_uses);
}

static enum kf_code caller_polled(struct caller *caller, struct source *source, uint32_t max_uses,
                                  const struct kf_waker *waker)
{
    struct kf_io nothing = {.in = NULL};
    if (caller->encryptor == NULL)
        return caller->code;
    CHECK(caller->code == KF_PENDING, "scene", "A caller asks who was answered.");
    if (caller->asked == 0) {
        caller->asked = stage_moment();
        caller->asked_ms = machine_now();
    }
    bell_poll_begin(&caller->bell);
    caller->code = kf_encryptor_poll(caller->encryptor, &nothing, waker);
    bell_poll_end(&caller->bell);
    if (caller->code == KF_PENDING)
        return KF_PENDING;
    bell_close(&caller->bell);
    if (caller->code == KF_WANT_OUTPUT) {
        caller->code = KF_OK;
        if (source != NULL)
            key_used(caller, source, max_uses);
    }
    CHECK(caller->code <= KF_OK && caller->code != KF_E_BUG, "P4", "A caller is answered with %s.",
          kf_code_name(caller->code));
    return caller->code;
}

enum kf_code caller_poll(struct caller *caller, struct source *source, uint32_t max_uses)
{
    const struct kf_waker waker = bell_waker(&caller->bell);
    return caller_polled(caller, source, max_uses, &waker);
}

enum kf_code caller_wait(struct caller *caller, struct source *source, uint32_t max_uses, bool blocking)
{
    if (blocking)
        return caller_polled(caller, source, max_uses, NULL);
    while (caller->code == KF_PENDING && caller_poll(caller, source, max_uses) == KF_PENDING)
        bell_wait(&caller->bell, kf_encryptor_deadline(caller->encryptor));
    return caller->code;
}

void caller_end(struct caller *caller)
{
    bell_poll_begin(&caller->bell);
    kf_encryptor_free(caller->encryptor);
    bell_poll_end(&caller->bell);
    if (!caller->bell.closed)
        bell_close(&caller->bell);
}

/* ---- The cache ---- */

struct kf_caching_cmm_options stage_options(struct kf_cache *cache, struct kf_keyring *keyring,
                                            uint32_t max_messages)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    options.cache = cache;
    options.keyring = keyring;
    options.max_age_ms = 86400000;
    options.max_messages = max_messages;
    options.partition_id = kf_view_text("scene");
    options.fetch_timeout_ms = 86400000;
    return options;
}

struct kf_cmm *stage_cmm(const struct kf_caching_cmm_options *options)
{
    struct kf_cmm *cmm;
    struct kf_error error = KF_ERROR_INIT;
    if (kf_caching_cmm_new(options, &error, &cmm) != KF_OK)
        machine_fail("scene", "%s", error.text);
    return cmm;
}

struct kf_cache *stage_cache(size_t capacity)
{
    struct kf_cache *cache;
    struct kf_error error = KF_ERROR_INIT;
    if (kf_cache_new(capacity, &error, &cache) != KF_OK)
        machine_fail("scene", "%s", error.text);
    return cache;
}

struct kf_cache_stats stage_stats(struct kf_cache *cache)
{
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    kf_cache_stats_read(cache, &stats);
    return stats;
}

void stage_threads(const char *name, void *(*run)(void *), void *elements, size_t size, size_t count)
{
    unsigned numbers[MACHINE_THREADS];
    for (size_t i = 0; i < count; i++) {
        char full[32];
        snprintf(full, sizeof full, "%s %zu", name, i);
        numbers[i] = machine_start(full, run, (char *)elements + i * size, false);
    }
    for (size_t i = 0; i < count; i++)
        machine_join(numbers[i]);
}
