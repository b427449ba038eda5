/*
 * A keyring of one's own, synchronous: it answers at once and ignores its call. This one passes everything on to a
 * keyring that it wraps and counts how often it was asked.
 */
#include <keyflight/keyflight.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

struct counting {
    struct kf_keyring *inner;
    atomic_uint wrapped, unwrapped; /* many threads may ask at once */
};

static enum kf_code on_encrypt(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out)
{
    struct counting *counting = self;
    enum kf_code code = kf_keyring_on_encrypt(counting->inner, kf_call_child(call, 0), materials, error, out);
    if (code == KF_OK)
        atomic_fetch_add(&counting->wrapped, 1);
    return code;
}

static enum kf_code on_decrypt(void *self, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    struct counting *counting = self;
    enum kf_code code = kf_keyring_on_decrypt(counting->inner, kf_call_child(call, 0), materials, edks,
                                              edk_count, error, out);
    if (code == KF_OK)
        atomic_fetch_add(&counting->unwrapped, 1);
    return code;
}

static const struct kf_keyring_vtable vtable = {sizeof vtable, on_encrypt, on_decrypt, NULL};

int main(void)
{
    uint8_t key[32];
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct counting counting = {.inner = NULL};
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return KF_CLASS_SYSTEM;
    options.key_namespace = kf_view_text("example");
    options.key_name = kf_view_text("key 1");
    options.wrapping_key = kf_view(key, sizeof key);
    enum kf_code code = kf_raw_aes_keyring_new(&options, &error, &counting.inner);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, &counting, &error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, &error, &cmm);
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("hello"), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view(message.data, message.length), &error, NULL, &plaintext);
    if (code == KF_OK)
        printf("%.*s: wrapped %u, unwrapped %u\n", (int)plaintext.length, (const char *)plaintext.data,
               atomic_load(&counting.wrapped), atomic_load(&counting.unwrapped));
    else
        fprintf(stderr, "%s\n", error.text);
    kf_buf_free(&plaintext);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    kf_keyring_unref(counting.inner);
    return (int)kf_code_class(code);
}
