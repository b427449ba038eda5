/*
 * A CMM of one's own, asynchronous, around another one: it holds each request for encryption back for some
 * milliseconds, as one does that keeps to a rate, by a timer of the library. Decryption it passes on at once: a
 * synchronous CMM is this and no more.
 */
#include <keyflight/keyflight.h>
#include <stdio.h>
#include <sys/random.h>

static enum kf_code get_encryption_materials(void *self, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error, struct kf_encryption_materials **out)
{
    static char held_back; /* any address will do as a state that says: the timer was set, and has woken us */
    if (kf_call_state(call) == NULL) {
        enum kf_code code = kf_call_wake_in(call, 5);
        if (code != KF_OK)
            return kf_error_set(error, code, "The timer can't be set.");
        kf_call_state_set(call, &held_back, NULL);
        return KF_PENDING;
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code decrypt_materials(void *self, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static const struct kf_cmm_vtable vtable = {sizeof vtable, get_encryption_materials, decrypt_materials, NULL};

int main(void)
{
    uint8_t key[32];
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *inner = NULL, *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return KF_CLASS_SYSTEM;
    options.key_namespace = kf_view_text("example");
    options.key_name = kf_view_text("key 1");
    options.wrapping_key = kf_view(key, sizeof key);
    enum kf_code code = kf_raw_aes_keyring_new(&options, &error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, &error, &inner);
    if (code == KF_OK)
        code = kf_cmm_new(&vtable, inner, &error, &cmm);
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("hello"), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view(message.data, message.length), &error, NULL, &plaintext);
    if (code == KF_OK)
        printf("%.*s\n", (int)plaintext.length, (const char *)plaintext.data);
    else
        fprintf(stderr, "%s\n", error.text);
    kf_buf_free(&plaintext);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
    kf_keyring_unref(keyring);
    kf_cleanup(); /* the timer had started the internal thread */
    return (int)kf_code_class(code);
}
