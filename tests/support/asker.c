/*
 * Askers and scenes: see asker.h.
 */
#include "support/asker.h"

/* ---- Askers ---- */

struct kf_encryption_request encryption_request(uint64_t length)
{
    return (struct kf_encryption_request){
        .suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        .plaintext_bound = length,
    };
}

struct kf_decryption_request decryption_request(const struct kf_edk *edks, size_t count)
{
    return (struct kf_decryption_request){
        .suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        .edks = edks,
        .edk_count = count,
    };
}

static enum kf_code begin(struct asker *asker, struct kf_cmm *cmm)
{
    asker->cmm = kf_cmm_ref(cmm);
    asker->code = KF_PENDING;
    bell_init(&asker->bell);
    kfi_call_init(&asker->call, NULL);
    const struct kf_waker waker = bell_waker(&asker->bell);
    kfi_call_drive(&asker->call, &waker);
    return asker_poll(asker);
}

enum kf_code asker_encrypt(struct asker *asker, struct kf_cmm *cmm,
                           const struct kf_encryption_request *request)
{
    *asker = (struct asker){.encryption = *request};
    return begin(asker, cmm);
}

enum kf_code asker_decrypt(struct asker *asker, struct kf_cmm *cmm,
                           const struct kf_decryption_request *request)
{
    *asker = (struct asker){.decrypts = true, .decryption = *request};
    return begin(asker, cmm);
}

enum kf_code asker_ask(struct asker *asker, struct kf_cmm *cmm, uint64_t length)
{
    const struct kf_encryption_request request = encryption_request(length);
    return asker_encrypt(asker, cmm, &request);
}

enum kf_code asker_poll(struct asker *asker)
{
    assert_int_equal(asker->code, KF_PENDING);
    if (asker->decrypts)
        asker->code = kf_cmm_decrypt_materials(asker->cmm, &asker->call, &asker->decryption, &asker->error,
                                               &asker->decryption_materials);
    else
        asker->code = kf_cmm_get_encryption_materials(asker->cmm, &asker->call, &asker->encryption,
                                                      &asker->error, &asker->encryption_materials);
    const bool answered = asker->encryption_materials != NULL || asker->decryption_materials != NULL;
    assert_int_equal(answered, asker->code == KF_OK);
    if (asker->code != KF_PENDING)
        kfi_call_end(&asker->call);
    return asker->code;
}

enum kf_code asker_wait(struct asker *asker)
{
    while (asker->code == KF_PENDING) {
        bell_wait(&asker->bell);
        asker_poll(asker);
    }
    return asker->code;
}

void asker_leave(struct asker *asker)
{
    if (asker->cmm == NULL)
        return;
    kfi_call_end(&asker->call);
    kf_encryption_materials_unref(asker->encryption_materials);
    kf_decryption_materials_unref(asker->decryption_materials);
    kf_cmm_unref(asker->cmm);
    bell_destroy(&asker->bell);
    *asker = (struct asker){.cmm = NULL};
}

struct kf_view asker_key(const struct asker *asker)
{
    return asker->decrypts ? kf_decryption_materials_data_key(asker->decryption_materials)
                           : kf_encryption_materials_data_key(asker->encryption_materials);
}

static bool has_key(const struct asker *asker)
{
    return asker->cmm != NULL && asker->code == KF_OK;
}

bool askers_share_key(const struct asker *a, const struct asker *b)
{
    assert_true(has_key(a) && has_key(b));
    const struct kf_view key_a = asker_key(a), key_b = asker_key(b);
    return key_a.length == key_b.length && memcmp(key_a.data, key_b.data, key_a.length) == 0;
}

struct usage askers_usage(const struct asker *askers, size_t count)
{
    struct usage usage = {.least = SIZE_MAX};
    for (size_t i = 0; i < count; i++) {
        if (!has_key(&askers[i]))
            continue;
        usage.answered++;
        size_t uses = 0;
        bool first = true;
        for (size_t k = 0; k < count; k++) {
            if (!has_key(&askers[k]) || !askers_share_key(&askers[i], &askers[k]))
                continue;
            uses++;
            first = first && k >= i;
        }
        usage.keys += first ? 1 : 0;
        usage.most = uses > usage.most ? uses : usage.most;
        usage.least = uses < usage.least ? uses : usage.least;
    }
    return usage;
}

void askers_leave(struct asker *askers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        asker_leave(&askers[i]);
}

/* ---- Scenes ---- */

struct kf_caching_cmm_options caching_options(uint64_t max_messages, uint64_t max_bytes)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    options.max_messages = max_messages;
    options.max_bytes = max_bytes;
    options.max_age_ms = 60000;
    options.partition_id = kf_view_text("scene");
    options.fetch_timeout_ms = 3600000; /* so that a clock that is moved ends no fetch */
    return options;
}

struct kf_cmm *scene_cmm(struct scene *scene, const struct kf_caching_cmm_options *given)
{
    struct kf_caching_cmm_options options = *given;
    options.cache = scene->cache;
    options.cmm = scene->backing;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    return cmm;
}

void scene_open(struct scene *scene, size_t capacity, const struct kf_caching_cmm_options *options)
{
    struct kf_error error = KF_ERROR_INIT;
    scene->told = told_new(&scene->backing);
    assert_ok(kf_cache_new(capacity, &error, &scene->cache), &error);
    scene->cmm = scene_cmm(scene, options);
}

void scene_close(struct scene *scene)
{
    kf_cmm_unref(scene->cmm);
    kf_cache_unref(scene->cache);
    kf_cmm_unref(scene->backing);
    /* Fetches that are under way end here, so that nothing uses the told CMM any more. */
    kf_cleanup();
    told_free(scene->told);
}

struct kf_cache_stats scene_stats(struct scene *scene)
{
    struct kf_cache_stats stats = {.size = sizeof stats};
    kf_cache_stats_read(scene->cache, &stats);
    return stats;
}

void scene_land_all(struct scene *scene, enum kf_code code)
{
    told_answer_all(scene->told, code);
    support_settle();
}

void scene_land(struct scene *scene, unsigned index, enum kf_code code)
{
    told_answer(scene->told, index, code);
    support_settle();
}
