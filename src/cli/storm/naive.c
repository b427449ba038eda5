/*
 * Caching without coalescing: see scene.h. Called by the library, as a CMM. Keeps the limits: looking and
 * charging are one step under a lock. Never knows which fetches are under way.
 */
#include "storm/scene.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One cached key, of either direction. */
struct entry {
    struct entry *older;
    struct kf_view key; /* a view into the materials' encryption context */
    const struct kf_encryption_materials *encryption;
    const struct kf_decryption_materials *decryption;
    uint64_t messages;
    uint64_t bytes;
    uint64_t expires_ns;
};

struct storm_naive {
    struct kf_cmm *backing;
    struct storm_naive_options options;

    pthread_mutex_t entries_lock;
    struct entry *newest; /* used last */
    uint64_t count;
    uint64_t lost_keys;
};

static struct kf_view naive_key_of(const struct kf_encryption_context *context)
{
    struct kf_view key = {NULL, 0};
    kf_encryption_context_get(context, kf_view_text(STORM_NAIVE_KEY), &key);
    return key;
}

static void entry_free(struct entry *entry)
{
    kf_encryption_materials_unref(entry->encryption);
    kf_decryption_materials_unref(entry->decryption);
    free(entry);
}

/* Takes the entry of `key` out of the list; NULL if there is none. */
static struct entry *naive_take_locked(struct storm_naive *naive, struct kf_view key, bool encrypts)
{
    for (struct entry **link = &naive->newest; *link != NULL; link = &(*link)->older) {
        struct entry *entry = *link;
        if ((entry->encryption != NULL) == encrypts && entry->key.length == key.length &&
            (key.length == 0 || memcmp(entry->key.data, key.data, key.length) == 0)) {
            *link = entry->older;
            naive->count--;
            return entry;
        }
    }
    return NULL;
}

static bool naive_has_budget(const struct storm_naive *naive, const struct entry *entry, uint64_t bytes)
{
    return entry->encryption == NULL || (entry->messages < naive->options.max_messages &&
                                         bytes <= naive->options.max_bytes - entry->bytes);
}

/*
 * Puts an entry in front. If there are too many then, the one at the end is dropped: it was not used for
 * longest.
 */
static void naive_put_locked(struct storm_naive *naive, struct entry *entry)
{
    entry->older = naive->newest;
    naive->newest = entry;
    naive->count++;
    if (naive->count <= naive->options.capacity)
        return;
    struct entry **link = &naive->newest;
    while ((*link)->older != NULL)
        link = &(*link)->older;
    naive->lost_keys += naive_has_budget(naive, *link, 1);
    entry_free(*link);
    *link = NULL;
    naive->count--;
}

/*
 * Looks for a key that may encrypt one more message of `bytes`, charges it, and writes a reference of its
 * materials to `*out`. A key that may not is dropped, as the other ESDKs do.
 */
static bool naive_look(struct storm_naive *naive, struct kf_view key, uint64_t bytes, bool encrypts,
                       struct entry *out)
{
    bool found = false;
    pthread_mutex_lock(&naive->entries_lock);
    struct entry *entry = naive_take_locked(naive, key, encrypts);
    if (entry != NULL) {
        bool expired = storm_now_ns() >= entry->expires_ns;
        bool fits = naive_has_budget(naive, entry, bytes);
        found = fits && !expired;
        naive->lost_keys += fits && expired;
        if (found) {
            entry->messages++;
            entry->bytes += bytes;
            if (encrypts)
                out->encryption = kf_encryption_materials_ref(entry->encryption);
            else
                out->decryption = kf_decryption_materials_ref(entry->decryption);
            naive_put_locked(naive, entry);
        } else {
            entry_free(entry);
        }
    }
    pthread_mutex_unlock(&naive->entries_lock);
    return found;
}

/* Keeps what was fetched, with references of its own, in the place of any other key for the same request. */
static void naive_put(struct storm_naive *naive, const struct entry *fetched)
{
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return;
    *entry = *fetched;
    if (entry->encryption != NULL)
        entry->encryption = kf_encryption_materials_ref(entry->encryption);
    else
        entry->decryption = kf_decryption_materials_ref(entry->decryption);
    entry->messages = 1;
    entry->expires_ns = storm_now_ns() + naive->options.max_age_ms * 1000000;
    pthread_mutex_lock(&naive->entries_lock);
    struct entry *former = naive_take_locked(naive, entry->key, entry->encryption != NULL);
    if (former != NULL)
        entry_free(former);
    naive_put_locked(naive, entry);
    pthread_mutex_unlock(&naive->entries_lock);
}

static enum kf_code naive_get_encryption_materials(void *self, struct kf_call *call,
                                                   const struct kf_encryption_request *request,
                                                   struct kf_error *error,
                                                   const struct kf_encryption_materials **out)
{
    struct storm_naive *naive = self;
    struct entry entry = {.key = naive_key_of(request->encryption_context),
                          .bytes = request->plaintext_bound};
    bool cached = kf_suite_info_of(request->suite)->derives && entry.bytes <= naive->options.max_bytes;
    if (cached && kf_call_state(call) == NULL) {
        if (naive_look(naive, entry.key, entry.bytes, true, &entry)) {
            *out = entry.encryption;
            return KF_OK;
        }
        kf_call_state_set(call, naive, NULL); /* missed: from now on this call fetches */
    }
    enum kf_code code =
        kf_cmm_get_encryption_materials(naive->backing, kf_call_child(call, 0), request, error, out);
    if (code == KF_OK && cached) {
        entry.encryption = *out;
        entry.key = naive_key_of(kf_encryption_materials_encryption_context(*out));
        naive_put(naive, &entry);
    }
    return code;
}

static enum kf_code naive_decrypt_materials(void *self, struct kf_call *call,
                                            const struct kf_decryption_request *request,
                                            struct kf_error *error,
                                            const struct kf_decryption_materials **out)
{
    struct storm_naive *naive = self;
    struct entry entry = {.key = naive_key_of(request->encryption_context)};
    bool cached = kf_suite_info_of(request->suite)->derives;
    if (cached && kf_call_state(call) == NULL) {
        if (naive_look(naive, entry.key, 0, false, &entry)) {
            *out = entry.decryption;
            return KF_OK;
        }
        kf_call_state_set(call, naive, NULL);
    }
    enum kf_code code = kf_cmm_decrypt_materials(naive->backing, kf_call_child(call, 0), request, error, out);
    if (code == KF_OK && cached) {
        entry.decryption = *out;
        entry.key = naive_key_of(kf_decryption_materials_encryption_context(*out));
        naive_put(naive, &entry);
    }
    return code;
}

static void naive_free(void *self)
{
    struct storm_naive *naive = self;
    for (struct entry *entry = naive->newest, *older; entry != NULL; entry = older) {
        older = entry->older;
        entry_free(entry);
    }
    kf_cmm_unref(naive->backing);
    pthread_mutex_destroy(&naive->entries_lock);
    free(naive);
}

enum kf_code storm_naive_new(struct kf_cmm *backing, const struct storm_naive_options *options,
                             struct kf_error *error, struct storm_naive **naive, struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, naive_get_encryption_materials,
                                                naive_decrypt_materials, naive_free, true};
    struct storm_naive *made = calloc(1, sizeof *made);
    if (made == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for the cache.");
    made->backing = kf_cmm_ref(backing);
    made->options = *options;
    pthread_mutex_init(&made->entries_lock, NULL);
    enum kf_code code = kf_cmm_new(&vtable, made, error, out);
    if (code != KF_OK)
        naive_free(made);
    else
        *naive = made;
    return code;
}

uint64_t storm_naive_lost_keys(void *context)
{
    struct storm_naive *naive = context;
    pthread_mutex_lock(&naive->entries_lock);
    uint64_t lost = naive->lost_keys;
    pthread_mutex_unlock(&naive->entries_lock);
    return lost;
}
