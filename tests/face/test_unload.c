/*
 * Programs that load the shared libraries at run time, and unload them without kf_cleanup: the internal thread is
 * still in them, so they have to stay.
 */
#include "support/support.h"

#include <keyflight/aws.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A library, and what of it is called, found by name: this program has another copy of it in itself. */
struct plugin {
    char path[4096];
    void *library;
    enum kf_code (*default_cmm_new)(struct kf_keyring *keyring, struct kf_error *error, struct kf_cmm **out);
    void (*cmm_unref)(struct kf_cmm *cmm);
    void (*keyring_unref)(struct kf_keyring *keyring);
    enum kf_code (*encrypt)(struct kf_cmm *cmm, const struct kf_encrypt_options *options,
                            struct kf_view plaintext, struct kf_error *error, struct kf_buf *out);
    enum kf_code (*wake_in)(struct kf_call *call, uint64_t ms);
    void (*cleanup)(void);
};

static struct plugin plugin;

/* Finds a function. ISO C knows no conversion from an object's address, so its bytes are copied. */
#define FIND(function, name) find(name, &(function), sizeof(function))
static void find(const char *name, void *out, size_t size)
{
    void *const address = dlsym(plugin.library, name);
    assert_non_null(address);
    assert_int_equal(size, sizeof address);
    memcpy(out, &address, size);
}

static void load(const char *name)
{
    const int length =
        snprintf(plugin.path, sizeof plugin.path, "%s/lib%s.so", getenv("KEYFLIGHT_BUILD"), name);
    assert_in_range(length, 1, sizeof plugin.path - 1);
    plugin.library = dlopen(plugin.path, RTLD_NOW | RTLD_LOCAL);
    if (plugin.library == NULL)
        fail_msg("%s", dlerror());
    FIND(plugin.default_cmm_new, "kf_default_cmm_new");
    FIND(plugin.cmm_unref, "kf_cmm_unref");
    FIND(plugin.keyring_unref, "kf_keyring_unref");
    FIND(plugin.encrypt, "kf_encrypt");
    FIND(plugin.wake_in, "kf_call_wake_in");
    FIND(plugin.cleanup, "kf_cleanup");
}

/* Encrypts with `keyring`, which is released and has to fail with `expected`. */
static void use(struct kf_keyring *keyring, enum kf_code expected)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    struct kf_cmm *cmm;
    assert_ok(plugin.default_cmm_new(keyring, &error, &cmm), &error);
    plugin.keyring_unref(keyring);
    const enum kf_code code = plugin.encrypt(cmm, NULL, kf_view_text("text"), &error, &message);
    if (code != expected)
        fail_msg("%s: %s", kf_code_name(code), error.text);
    plugin.cmm_unref(cmm);
}

static void unload(void)
{
    assert_int_equal(dlclose(plugin.library), 0);
    void *const loaded = dlopen(plugin.path, RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(loaded);
    /* The internal thread leaves its sleep, and ends, in code that is there. */
    plugin.cleanup();
    assert_int_equal(dlclose(loaded), 0);
}

/* A keyring that is not done at first: its timer starts the internal thread. */
static enum kf_code wait_and_fail(void *self, struct kf_call *call,
                                  const struct kf_encryption_materials *materials, struct kf_error *error,
                                  struct kf_wrapped *out)
{
    bool *waited = self;
    (void)materials;
    (void)error;
    (void)out;
    if (*waited)
        return KF_E_KEYS;
    *waited = true;
    const enum kf_code code = plugin.wake_in(call, 1);
    return code == KF_OK ? KF_PENDING : code;
}

static enum kf_code never_decrypt(void *self, struct kf_call *call,
                                  const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                  size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    (void)self;
    (void)call;
    (void)materials;
    (void)edks;
    (void)edk_count;
    (void)error;
    (void)out;
    return KF_E_KEYS;
}

static void the_core_stays_loaded(void **state)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, wait_and_fail, never_decrypt, NULL, false};
    enum kf_code (*keyring_new)(const struct kf_keyring_vtable *vtable, void *self, struct kf_error *error,
                                struct kf_keyring **out);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    bool waited = false;
    (void)state;
    load("keyflight");
    FIND(keyring_new, "kf_keyring_new");
    assert_ok(keyring_new(&vtable, &waited, &error, &keyring), &error);
    use(keyring, KF_E_KEYS);
    assert_true(waited);
    unload();
}

static void the_library_for_aws_stays_loaded(void **state)
{
    struct kf_aws_client_options connecting = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_keyring_options ring = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    enum kf_code (*client_new)(const struct kf_aws_client_options *options, struct kf_error *error,
                               struct kf_aws_client **out);
    void (*client_unref)(struct kf_aws_client * client);
    enum kf_code (*keyring_new)(const struct kf_aws_kms_keyring_options *options, struct kf_error *error,
                                struct kf_keyring **out);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    (void)state;
    assert_int_equal(setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1), 0);
    assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "example", 1), 0);
    load("keyflight-aws");
    FIND(client_new, "kf_aws_client_new");
    FIND(client_unref, "kf_aws_client_unref");
    FIND(keyring_new, "kf_aws_kms_keyring_new");
    connecting.endpoint_url = "http://127.0.0.1:1"; /* nobody is there */
    connecting.max_attempts = 1;
    assert_ok(client_new(&connecting, &error, &ring.client), &error);
    ring.generator = "arn:aws:kms:us-west-2:111122223333:key/11111111-2222-3333-4444-555555555555";
    assert_ok(keyring_new(&ring, &error, &keyring), &error);
    client_unref(ring.client);
    use(keyring, KF_E_RETRY);
    unload();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_stays_loaded),
        cmocka_unit_test(the_library_for_aws_stays_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
