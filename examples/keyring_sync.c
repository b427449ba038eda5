/*
 * A keyring of your own that answers at once.
 *
 * It stands for a vault: data keys are deposited there, and what a message carries is the number of the box.
 * (Here the vault is an array; it is as safe as this process.) A keyring that needs time is in
 * keyring_async.c.
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
    pthread_mutex_t lock; /* guards what follows: keyrings are used by many threads at once */
    uint32_t used;
    struct kf_data_key boxes[BOXES];
};

static enum kf_code vault_deposit(struct vault *vault, struct kf_view data_key, struct kf_error *error,
                                  uint32_t *box)
{
    enum kf_code code = KF_OK;
    pthread_mutex_lock(&vault->lock);
    if (vault->used < BOXES) {
        *box = vault->used++;
        vault->boxes[*box].length = data_key.length;
        memcpy(vault->boxes[*box].bytes, data_key.data, data_key.length);
    } else {
        code = kf_error_set(error, KF_E_LIMIT, "All %d boxes of the vault are taken.", BOXES);
    }
    pthread_mutex_unlock(&vault->lock);
    return code;
}

static bool vault_fetch(struct vault *vault, uint32_t box, struct kf_data_key *data_key)
{
    pthread_mutex_lock(&vault->lock);
    const bool found = box < vault->used;
    if (found)
        *data_key = vault->boxes[box];
    pthread_mutex_unlock(&vault->lock);
    return found;
}

/* Wraps the data key that the materials have, or makes one and wraps that. */
static enum kf_code on_encrypt(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out)
{
    (void)call; /* for keyrings that need time */
    uint8_t made[KF_DATA_KEY_MAX];
    struct kf_view data_key = kf_encryption_materials_data_key(materials);
    enum kf_code code = KF_OK;
    if (data_key.length == 0) {
        data_key =
            kf_view_of(made, kf_suite_info_of(kf_encryption_materials_suite(materials))->data_key_length);
        if (getrandom(made, data_key.length, 0) != (ssize_t)data_key.length)
            return kf_error_set(error, KF_E_SYSTEM, "There are no random bytes.");
        code = kf_wrapped_data_key_set(out, data_key, error);
    }
    uint32_t box = 0;
    if (code == KF_OK)
        code = vault_deposit(self, data_key, error, &box);
    explicit_bzero(made, sizeof made);
    if (code != KF_OK)
        return code;
    const struct kf_edk edk = {
        .provider_id =
            kf_view_text(PROVIDER), /* says that it is ours: on decryption every keyring sees every EDK */
        .ciphertext =
            kf_view_of(&box, sizeof box) /* whatever this keyring needs to find the data key again */
    };
    return kf_wrapped_edk_add(out, &edk, error);
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
    (void)call;
    (void)materials;
    uint32_t box;
    if (find_box(edks, edk_count, &box) && vault_fetch(self, box, out))
        return KF_OK;
    return kf_error_set(error, KF_E_KEYS, "None of the %zu encrypted data keys is in the vault.", edk_count);
}

/* Called when the last reference goes, on whatever thread that is. */
static void destroy(void *self)
{
    struct vault *vault = self;
    pthread_mutex_destroy(&vault->lock);
    explicit_bzero(vault, sizeof *vault);
    free(vault);
}

static enum kf_code vault_keyring_new(struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable, .on_encrypt = on_encrypt, .on_decrypt = on_decrypt, .destroy = destroy};
    struct vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a vault.");
    pthread_mutex_init(&vault->lock, NULL);
    const enum kf_code code = kf_keyring_new(&vtable, vault, error, out);
    if (code != KF_OK)
        destroy(vault); /* it belongs to the keyring only once the keyring is made */
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
    kf_keyring_unref(keyring); /* the CMM holds it */
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("Kept in box 0."), &error, &message);
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
