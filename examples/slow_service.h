/*
 * What the examples of event loops share: a caching CMM in front of a key service that takes 20 ms, and what to
 * do about an error. The service is played by a CMM that waits and then asks a local one.
 */
#ifndef EXAMPLES_SLOW_SERVICE_H
#define EXAMPLES_SLOW_SERVICE_H

#include <keyflight/keyflight.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static atomic_uint slow_service_calls;

/* Ends the program on an error. */
static void demand(enum kf_code code, const struct kf_error *error)
{
    if (code >= KF_OK)
        return;
    fprintf(stderr, "%s: %s\n", kf_code_name(code), error->text);
    exit((int)kf_code_class(code));
}

static enum kf_code slow_service_encrypt(void *self, struct kf_call *call,
                                         const struct kf_encryption_request *request, struct kf_error *error,
                                         const struct kf_encryption_materials **out)
{
    if (kf_call_state(call) == NULL) { /* the first poll */
        atomic_fetch_add(&slow_service_calls, 1);
        kf_call_state_set(call, self, NULL);
        const enum kf_code code = kf_call_wake_in(call, 20);
        return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "There is no timer to wait by.");
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code slow_service_decrypt(void *self, struct kf_call *call,
                                         const struct kf_decryption_request *request, struct kf_error *error,
                                         const struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static void slow_service_destroy(void *self)
{
    kf_cmm_unref(self);
}

/* A default CMM on an AES key made now. */
static struct kf_cmm *local_cmm(void)
{
    uint8_t key[32];
    struct kf_error error = KF_ERROR_INIT;
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring;
    struct kf_cmm *cmm;
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        demand(kf_error_set(&error, KF_E_SYSTEM, "There are no random bytes."), &error);
    options.key_namespace = kf_view_text("my application");
    options.key_name = kf_view_text("2026");
    options.wrapping_key = kf_view_of(key, sizeof key);
    demand(kf_raw_aes_keyring_new(&options, &error, &keyring), &error);
    demand(kf_default_cmm_new(keyring, &error, &cmm), &error);
    kf_keyring_unref(keyring);
    return cmm;
}

/* A data key serves a thousand messages. */
static struct kf_cmm *slow_service_cmm(void)
{
    static const struct kf_cmm_vtable vtable = {.size = sizeof vtable,
                                                .get_encryption_materials = slow_service_encrypt,
                                                .decrypt_materials = slow_service_decrypt,
                                                .destroy = slow_service_destroy};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cmm *cmm;
    demand(kf_cmm_new(&vtable, local_cmm(), &error, &options.cmm), &error);
    demand(kf_cache_new(100, &error, &options.cache), &error);
    options.max_messages = 1000;
    options.max_age_ms = 60000;
    demand(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_unref(options.cache);
    kf_cmm_unref(options.cmm);
    return cmm;
}

#endif
