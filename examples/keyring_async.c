/*
 * A keyring of your own that needs time: the vault of keyring_sync.c, but behind a counter with one clerk, a
 * thread.
 *
 * A poll must not wait. So the first one hands in a request and answers KF_PENDING; the clerk does the work
 * and wakes the call, which is polled again and finds the answer. Meanwhile the caller may have given up, so
 * a request belongs to both, the call and the clerk, and the last one frees it.
 */
#include <keyflight/keyflight.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BOXES 100
#define PROVIDER "my vault"

struct vault {
    pthread_mutex_t lock; /* guards what follows, and the requests */
    pthread_cond_t changed;
    struct request *first, **end; /* the requests that wait for the clerk */
    bool closing;
    pthread_t clerk;
    uint32_t used;
    struct kf_data_key boxes[BOXES];
};

struct request {
    struct vault *vault;
    struct request *next;
    struct kf_call_waker *waker;
    unsigned holders; /* the call and the clerk */
    bool answered;
    bool deposits; /* it puts data_key into the box; else it gets it from there */
    uint32_t box;
    struct kf_data_key data_key; /* length 0 if there is none */
};

/* ---- The clerk's side ---- */

static void serve_locked(struct vault *vault, struct request *request)
{
    if (!request->deposits) {
        if (request->box < vault->used)
            request->data_key = vault->boxes[request->box];
    } else if (vault->used < BOXES) {
        request->box = vault->used++;
        vault->boxes[request->box] = request->data_key;
    } else {
        request->data_key.length = 0;
    }
    request->answered = true;
}

static void request_release(struct request *request)
{
    pthread_mutex_lock(&request->vault->lock);
    const bool last = --request->holders == 0;
    pthread_mutex_unlock(&request->vault->lock);
    if (!last)
        return;
    kf_call_waker_unref(request->waker);
    explicit_bzero(request, sizeof *request);
    free(request);
}

static void *clerk(void *context)
{
    struct vault *vault = context;
    pthread_mutex_lock(&vault->lock);
    for (;;) {
        while (vault->first == NULL && !vault->closing)
            pthread_cond_wait(&vault->changed, &vault->lock);
        struct request *request = vault->first;
        if (request == NULL)
            break;
        vault->first = request->next;
        if (vault->first == NULL)
            vault->end = &vault->first;
        serve_locked(vault, request);
        pthread_mutex_unlock(&vault->lock);
        kf_call_waker_wake(request->waker); /* does nothing if the caller has given up */
        request_release(request);
        pthread_mutex_lock(&vault->lock);
    }
    pthread_mutex_unlock(&vault->lock);
    return NULL;
}

/* ---- The keyring's side ---- */

/* Keyflight calls this when the call ends, answered or cancelled. */
static void request_drop(void *state)
{
    request_release(state);
}

/* Hands a request in and keeps it with the call. */
static enum kf_code request_begin(struct vault *vault, struct kf_call *call, bool deposits, uint32_t box,
                                  const struct kf_data_key *data_key, struct kf_error *error)
{
    struct request *request = calloc(1, sizeof *request);
    struct kf_call_waker *waker = kf_call_waker_of(call);
    if (request == NULL || waker == NULL) {
        free(request);
        kf_call_waker_unref(waker);
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a request to the vault.");
    }
    *request = (struct request){.vault = vault,
                                .waker = waker,
                                .holders = 2,
                                .deposits = deposits,
                                .box = box,
                                .data_key = *data_key};
    kf_call_state_set(call, request, request_drop);
    pthread_mutex_lock(&vault->lock);
    *vault->end = request;
    vault->end = &request->next;
    pthread_cond_signal(&vault->changed);
    pthread_mutex_unlock(&vault->lock);
    return KF_PENDING;
}

/* Whether the clerk has answered. Polls may come for no reason. */
static bool request_is_answered(struct request *request)
{
    pthread_mutex_lock(&request->vault->lock);
    const bool answered = request->answered;
    pthread_mutex_unlock(&request->vault->lock);
    return answered;
}

static enum kf_code on_encrypt(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out)
{
    struct request *request = kf_call_state(call);
    const struct kf_view given = kf_encryption_materials_data_key(materials);
    if (request == NULL) {
        struct kf_data_key data_key = {.length = given.length};
        if (given.length > 0) {
            memcpy(data_key.bytes, given.data, given.length);
        } else {
            data_key.length = kf_suite_info_of(kf_encryption_materials_suite(materials))->data_key_length;
            if (getrandom(data_key.bytes, data_key.length, 0) != (ssize_t)data_key.length)
                return kf_error_set(error, KF_E_SYSTEM, "There are no random bytes.");
        }
        const enum kf_code code = request_begin(self, call, true, 0, &data_key, error);
        explicit_bzero(&data_key, sizeof data_key);
        return code;
    }
    if (!request_is_answered(request))
        return KF_PENDING;
    if (request->data_key.length == 0)
        return kf_error_set(error, KF_E_LIMIT, "All %d boxes of the vault are taken.", BOXES);
    enum kf_code code = KF_OK;
    if (given.length == 0)
        code = kf_wrapped_data_key_set(out, kf_view_of(request->data_key.bytes, request->data_key.length),
                                       error);
    const struct kf_edk edk = {.provider_id = kf_view_text(PROVIDER),
                               .ciphertext = kf_view_of(&request->box, sizeof request->box)};
    return code == KF_OK ? kf_wrapped_edk_add(out, &edk, error) : code;
}

/* The number of the box in the first EDK that is ours. An EDK may be forged, so check everything in it. */
static bool find_box(const struct kf_edk *edks, size_t edk_count, uint32_t *box)
{
    const struct kf_view provider = kf_view_text(PROVIDER);
    for (size_t i = 0; i < edk_count; i++) {
        if (edks[i].provider_id.length != provider.length ||
            memcmp(edks[i].provider_id.data, provider.data, provider.length) != 0 ||
            edks[i].ciphertext.length != sizeof *box)
            continue;
        memcpy(box, edks[i].ciphertext.data, sizeof *box);
        return true;
    }
    return false;
}

static enum kf_code on_decrypt(void *self, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    (void)materials;
    static const struct kf_data_key none;
    struct request *request = kf_call_state(call);
    uint32_t box;
    if (request == NULL && find_box(edks, edk_count, &box))
        return request_begin(self, call, false, box, &none, error);
    if (request != NULL && !request_is_answered(request))
        return KF_PENDING;
    if (request == NULL || request->data_key.length == 0)
        return kf_error_set(error, KF_E_KEYS, "None of the %zu encrypted data keys is in the vault.",
                            edk_count);
    *out = request->data_key;
    return KF_OK;
}

/* No call is under way any more, but the clerk may still have requests of callers that gave up. */
static void destroy(void *self)
{
    struct vault *vault = self;
    pthread_mutex_lock(&vault->lock);
    vault->closing = true;
    pthread_cond_signal(&vault->changed);
    pthread_mutex_unlock(&vault->lock);
    pthread_join(vault->clerk, NULL);
    pthread_cond_destroy(&vault->changed);
    pthread_mutex_destroy(&vault->lock);
    explicit_bzero(vault, sizeof *vault);
    free(vault);
}

static enum kf_code vault_keyring_new(struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {.size = sizeof vtable,
                                                    .on_encrypt = on_encrypt,
                                                    .on_decrypt = on_decrypt,
                                                    .destroy = destroy,
                                                    .never_blocks = true};
    struct vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a vault.");
    vault->end = &vault->first;
    pthread_mutex_init(&vault->lock, NULL);
    pthread_cond_init(&vault->changed, NULL);
    if (pthread_create(&vault->clerk, NULL, clerk, vault) != 0) {
        free(vault);
        return kf_error_set(error, KF_E_SYSTEM, "The vault finds no clerk.");
    }
    const enum kf_code code = kf_keyring_new(&vtable, vault, error, out);
    if (code != KF_OK)
        destroy(vault);
    return code;
}

int main(void)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;

    enum kf_code code = vault_keyring_new(&error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, &error, &cmm);
    kf_keyring_unref(keyring);
    /* These calls block until the clerk has answered. For a caller that must not block see event_loop_epoll.c. */
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("Kept in box 0, by a clerk."), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext);
    if (code == KF_OK)
        printf("%.*s\n", (int)plaintext.length, (const char *)plaintext.data);
    else
        fprintf(stderr, "%s: %s\n", kf_code_name(code), error.text);
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    return (int)kf_code_class(code);
}
