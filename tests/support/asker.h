/*
 * What the tests of CMMs share: askers, each of which asks a CMM one question step by step, as operations do;
 * and a scene: a caching CMM in front of a CMM that answers when told.
 */
#ifndef TESTS_SUPPORT_ASKER_H
#define TESTS_SUPPORT_ASKER_H

#include "support/support.h"

#include "base/call.h"

/* ---- Askers ---- */

/*
 * A caller that asks. All zero: it has not asked. Requests are copied as they are, so what they point to has
 * to live on.
 */
struct asker {
    struct kf_cmm *cmm;
    bool decrypts;
    struct kf_encryption_request encryption;
    struct kf_decryption_request decryption;
    struct kf_call call;
    struct bell bell;
    enum kf_code code; /* what the last poll answered */
    struct kf_error error;
    const struct kf_encryption_materials *encryption_materials; /* a reference, once the code is KF_OK */
    const struct kf_decryption_materials *decryption_materials;
};

/*
 * Requests to start from: suite 0478, the default policy, no context, `length` bytes of plaintext; or these
 * EDKs.
 */
struct kf_encryption_request encryption_request(uint64_t length);
struct kf_decryption_request decryption_request(const struct kf_edk *edks, size_t count);

/* Asks, which polls once. Answers what the poll answered. */
enum kf_code asker_encrypt(struct asker *asker, struct kf_cmm *cmm,
                           const struct kf_encryption_request *request);
enum kf_code asker_decrypt(struct asker *asker, struct kf_cmm *cmm,
                           const struct kf_decryption_request *request);
/* The first of these with the request of encryption_request. */
enum kf_code asker_ask(struct asker *asker, struct kf_cmm *cmm, uint64_t length);

/* Polls once more. The code has to be KF_PENDING. */
enum kf_code asker_poll(struct asker *asker);
/* Polls whenever the bell rings, until there is an answer. */
enum kf_code asker_wait(struct asker *asker);

/* Gives up, or releases the answer. Also for an asker that has not asked. */
void asker_leave(struct asker *asker);

/* The data key that it got, by encryption or decryption. */
struct kf_view asker_key(const struct asker *asker);
bool askers_share_key(const struct asker *a, const struct asker *b);
/*
 * Of those of `count` askers that have a key: how many keys they have; the most uses of one key; the least.
 */
struct usage {
    size_t answered, keys, most, least;
};
struct usage askers_usage(const struct asker *askers, size_t count);
void askers_leave(struct asker *askers, size_t count);

/* ---- A caching CMM in front of the CMM that answers when told ---- */

struct scene {
    struct told *told;
    struct kf_cmm *backing; /* the told one */
    struct kf_cache *cache;
    struct kf_cmm *cmm; /* the caching one */
};

/* Options with a max_age_ms of a minute and a named partition. The scene sets cache and CMM. */
struct kf_caching_cmm_options caching_options(uint64_t max_messages, uint64_t max_bytes);

void scene_open(struct scene *scene, size_t capacity, const struct kf_caching_cmm_options *options);
/* One more caching CMM on the same cache and backing CMM. */
struct kf_cmm *scene_cmm(struct scene *scene, const struct kf_caching_cmm_options *options);
/* Releases everything. Askers have left before. Parts that were released before have to be NULL. */
void scene_close(struct scene *scene);

struct kf_cache_stats scene_stats(struct scene *scene);

/* Answers every call that has begun, and waits until the flights have landed. */
void scene_land_all(struct scene *scene, enum kf_code code);
/* The same for one call. */
void scene_land(struct scene *scene, unsigned index, enum kf_code code);

#endif
