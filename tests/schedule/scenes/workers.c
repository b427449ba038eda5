/*
 * Scenes of keyrings that run on workers, or on several threads: blocking keyrings, multi-keyrings of unlike parts, and
 * CMMs that wait for each other in a circle.
 */
#include "schedule/scenes/workers.h"

#include <stdlib.h>

#include "schedule/scenes/show.h"
#include "schedule/seam.h"

/* ---- Blocking keyrings ---- */

static struct kf_keyring *wrap_blocking(struct show *show, struct kf_keyring *keyring)
{
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_keyring *blocking;
    struct kf_error error = KF_ERROR_INIT;
    (void)show;
    options.keyring = keyring;
    options.max_workers = 1 + (uint32_t)machine_random(3);
    CHECK(kf_blocking_keyring_new(&options, &error, &blocking) == KF_OK, "scene", "%s", error.text);
    kf_keyring_unref(keyring);
    return blocking;
}

/* With neither cancellations nor cleanups, and threads to be had, the number of fetches is exact. */
static void check_exact(const struct show *show, unsigned messages)
{
    const uint32_t expected = show_fetches(show, messages);
    if (!show->cancels && show->cleaning == 0 && !show->lacks_threads)
        CHECK(show->source.begun == expected && show->answered == messages, "P2",
              "%u messages need %u fetches, %u were made.", show->answered, expected, show->source.begun);
}

static void play_with(struct show *show)
{
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(4), messages = 1 + (unsigned)machine_random(3);
    options.max_flights = (uint32_t)machine_random(3);
    show->cancels = machine_random(2) == 0;
    show->cleaning = machine_random(3) == 0;
    show_open(show, 1 + machine_random(2), &options);
    const unsigned cleaning =
        show->cleaning > 0 ? machine_start("cleaning", show_clean_often, show, false) : 0;
    show_play(show, callers, messages, show_ask_often);
    if (show->cleaning > 0)
        machine_join(cleaning);
    seam_threads_fail(0);
    check_exact(show, callers * messages);
    show_close(show);
}

void scene_blocking(void)
{
    struct show show = {.source = {.latency_ms = machine_random(2) * 10}, .wrap = wrap_blocking};
    show.source.blocks = machine_random(2) == 0;
    show.source.way = show.source.blocks ? BY_SERVICE : ANY_WAY;
    play_with(&show);
}

/* ---- Multi-keyrings of unlike parts ---- */

struct mixed {
    struct show show;       /* first */
    struct source child[2]; /* the second one is behind a blocking keyring */
};

static struct kf_keyring *wrap_mixed(struct show *show, struct kf_keyring *generator)
{
    struct mixed *mixed = (struct mixed *)show;
    struct kf_keyring *children[2], *multi;
    struct kf_error error = KF_ERROR_INIT;
    source_open(&mixed->child[0]);
    source_open(&mixed->child[1]);
    children[0] = source_keyring(&mixed->child[0]);
    children[1] = wrap_blocking(show, source_keyring(&mixed->child[1]));
    CHECK(kf_multi_keyring_new(generator, children, 2, &error, &multi) == KF_OK, "scene", "%s", error.text);
    kf_keyring_unref(generator);
    kf_keyring_unref(children[0]);
    kf_keyring_unref(children[1]);
    return multi;
}

void scene_mixed(void)
{
    struct mixed mixed = {
        .show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}, .wrap = wrap_mixed}};
    mixed.child[0].way = ANY_WAY;
    mixed.child[1].blocks = machine_random(2) == 0;
    mixed.child[1].way = mixed.child[1].blocks ? BY_SERVICE : ANY_WAY;
    play_with(&mixed.show);
    source_close(&mixed.child[0]);
    source_close(&mixed.child[1]);
    kf_cleanup(); /* a worker that was abandoned may have set a timer */
}

/* ---- Circles ---- */

#define CIRCLE 2

/* Keyrings, each of which asks the CMM of the next one before it answers. */
struct circle {
    struct kf_cache *cache[CIRCLE];
    struct kf_cmm *cmm[CIRCLE];
    struct link {
        struct circle *circle;
        unsigned number;
    } links[CIRCLE];
};

/* A question to the next CMM, on behalf of a fetch. */
struct errand {
    struct kf_encryptor *encryptor;
    struct kf_call_waker *waker;
};

static void errand_drop(void *state)
{
    struct errand *errand = state;
    kf_encryptor_free(errand->encryptor);
    kf_call_waker_unref(errand->waker);
    free(errand);
}

static void errand_wake(void *waker)
{
    kf_call_waker_wake(waker);
}

static enum kf_code circle_give(struct kf_error *error, struct kf_wrapped *out)
{
    const uint8_t bytes[32] = {1};
    const struct kf_edk edk = {kf_view_text("scene"), kf_view_text("key"), kf_view_of(bytes, sizeof bytes)};
    const enum kf_code code = kf_wrapped_data_key_set(out, kf_view_of(bytes, sizeof bytes), error);
    return code == KF_OK ? kf_wrapped_edk_add(out, &edk, error) : code;
}

static enum kf_code circle_encrypts(void *self, struct kf_call *call,
                                    const struct kf_encryption_materials *materials, struct kf_error *error,
                                    struct kf_wrapped *out)
{
    const struct link *link = self;
    struct circle *circle = link->circle;
    struct errand *errand = kf_call_state(call);
    struct kf_io nothing = {.in = NULL};
    (void)materials;
    if (errand == NULL) {
        struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
        if (machine_random(3) == 0)
            return circle_give(error, out); /* it asks nobody */
        errand = calloc(1, sizeof *errand);
        options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        options.plaintext_bound = 1;
        if (kf_encryptor_new(circle->cmm[(link->number + 1) % CIRCLE], &options, error, &errand->encryptor) !=
            KF_OK)
            machine_fail("scene", "%s", error->text);
        errand->waker = machine_random(2) == 0 ? kf_call_waker_of(call) : NULL;
        kf_call_state_set(call, errand, errand_drop);
    }
    const struct kf_waker waker = {errand_wake, errand->waker};
    const enum kf_code code =
        kf_encryptor_poll(errand->encryptor, &nothing, errand->waker != NULL ? &waker : NULL);
    if (code == KF_PENDING)
        return code;
    if (code < KF_OK)
        return kf_error_set(error, code, "%s", kf_encryptor_error(errand->encryptor)->text);
    return circle_give(error, out);
}

static enum kf_code circle_decrypts(void *self, struct kf_call *call,
                                    const struct kf_decryption_materials *materials,
                                    const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                    struct kf_data_key *out)
{
    (void)self;
    (void)call;
    (void)materials;
    (void)edks;
    (void)edk_count;
    (void)out;
    return kf_error_set(error, KF_E_KEYS, "This keyring only encrypts.");
}

static void *circle_ask(void *context)
{
    const struct link *link = *(struct link **)context;
    struct circle *circle = link->circle;
    const struct ask_options options = {.cmm = circle->cmm[link->number], .length = 1};
    struct caller caller;
    caller_begin(&caller, &options);
    const enum kf_code code = caller_wait(&caller, NULL, 0, machine_random(2) == 0);
    CHECK(code == KF_OK || code == KF_E_USAGE, "P4", "A caller in a circle fails: %s",
          kf_encryptor_error(caller.encryptor)->text);
    caller_end(&caller);
    return NULL;
}

void scene_circle(void)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable, .on_encrypt = circle_encrypts, .on_decrypt = circle_decrypts};
    struct circle circle = {.cache = {NULL}};
    struct link *asked[6];
    const size_t count = 2 + machine_random(4);
    for (unsigned i = 0; i < CIRCLE; i++) {
        struct kf_keyring *keyring;
        circle.links[i] = (struct link){&circle, i};
        CHECK(kf_keyring_new(&vtable, &circle.links[i], NULL, &keyring) == KF_OK, "scene", "No keyring.");
        circle.cache[i] = stage_cache(machine_random(2));
        struct kf_caching_cmm_options options =
            stage_options(circle.cache[i], keyring, 1 + (uint32_t)machine_random(2));
        options.max_flights = (uint32_t)machine_random(3);
        circle.cmm[i] = stage_cmm(&options);
        kf_keyring_unref(keyring);
    }
    for (size_t i = 0; i < count; i++)
        asked[i] = &circle.links[machine_random(CIRCLE)];
    stage_threads("caller", circle_ask, asked, sizeof asked[0], count);
    kf_cleanup();
    for (unsigned i = 0; i < CIRCLE; i++) {
        kf_cmm_unref(circle.cmm[i]);
        kf_cache_unref(circle.cache[i]);
    }
    kf_cleanup();
}
