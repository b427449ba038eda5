/*
 * A CMM of your own that answers at once: it keeps tenants apart.
 *
 * It wraps another CMM. What is encrypted gets a pair "tenant" into its encryption context, whether or not
 * the caller thought of it; messages of another tenant are refused before a key is asked for. A CMM that
 * needs time is in cmm_async.c.
 */
#include <keyflight/keyflight.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct tenant_cmm {
    struct kf_cmm *inner;
    const char *tenant;
};

/* The pairs of `context`, and the tenant's pair. */
static enum kf_code add_tenant(const struct kf_encryption_context *context, const char *tenant,
                               struct kf_error *error, const struct kf_encryption_context **out)
{
    const size_t count = kf_encryption_context_count(context);
    struct kf_pair *pairs = malloc((count + 1) * sizeof *pairs);
    if (pairs == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for an encryption context.");
    for (size_t i = 0; i < count; i++)
        pairs[i] = kf_encryption_context_at(context, i);
    pairs[count] = (struct kf_pair){kf_view_text("tenant"), kf_view_text(tenant)};
    const enum kf_code code = kf_encryption_context_new(pairs, count + 1, error, out);
    free(pairs);
    return code;
}

static void request_drop(void *state)
{
    struct kf_encryption_request *changed = state;
    kf_encryption_context_unref(changed->encryption_context);
    free(changed);
}

/*
 * A request with the tenant in it. The CMM inside may need several polls, and what we pass to it has to live as
 * long as the call: it becomes the call's state.
 */
static enum kf_code change(const struct tenant_cmm *cmm, const struct kf_encryption_request *request,
                           struct kf_error *error, struct kf_encryption_request **out)
{
    struct kf_encryption_request *changed = malloc(sizeof *changed);
    if (changed == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a request.");
    *changed = *request;
    const enum kf_code code =
        add_tenant(request->encryption_context, cmm->tenant, error, &changed->encryption_context);
    if (code == KF_OK)
        *out = changed;
    else
        free(changed);
    return code;
}

static enum kf_code get_encryption_materials(void *self, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out)
{
    const struct tenant_cmm *cmm = self;
    struct kf_encryption_request *changed = kf_call_state(call);
    if (changed == NULL) {
        const enum kf_code code = change(cmm, request, error, &changed);
        if (code != KF_OK)
            return code;
        kf_call_state_set(call, changed, request_drop);
    }
    return kf_cmm_get_encryption_materials(cmm->inner, kf_call_child(call, 0), changed, error, out);
}

static enum kf_code decrypt_materials(void *self, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      const struct kf_decryption_materials **out)
{
    const struct tenant_cmm *cmm = self;
    struct kf_view tenant;
    if (!kf_encryption_context_get(request->encryption_context, kf_view_text("tenant"), &tenant) ||
        tenant.length != strlen(cmm->tenant) || memcmp(tenant.data, cmm->tenant, tenant.length) != 0)
        return kf_error_set(error, KF_E_POLICY, "This message does not belong to the tenant \"%s\".",
                            cmm->tenant);
    return kf_cmm_decrypt_materials(cmm->inner, kf_call_child(call, 0), request, error, out);
}

static void destroy(void *self)
{
    struct tenant_cmm *cmm = self;
    kf_cmm_unref(cmm->inner);
    free(cmm);
}

/* Takes a reference of `inner`; `tenant` has to outlive the CMM. */
static enum kf_code tenant_cmm_new(struct kf_cmm *inner, const char *tenant, struct kf_error *error,
                                   struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {.size = sizeof vtable,
                                                .get_encryption_materials = get_encryption_materials,
                                                .decrypt_materials = decrypt_materials,
                                                .destroy = destroy};
    struct tenant_cmm *cmm = malloc(sizeof *cmm);
    if (cmm == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a CMM.");
    *cmm = (struct tenant_cmm){kf_cmm_ref(inner), tenant};
    const enum kf_code code = kf_cmm_new(&vtable, cmm, error, out);
    if (code != KF_OK)
        destroy(cmm);
    return code;
}

/* A default CMM on an AES key made now. */
static enum kf_code local_cmm_new(struct kf_error *error, struct kf_cmm **out)
{
    uint8_t key[32];
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return kf_error_set(error, KF_E_SYSTEM, "There are no random bytes.");
    struct kf_raw_aes_keyring_options raw = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    raw.key_namespace = kf_view_text("my application");
    raw.key_name = kf_view_text("2026");
    raw.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *keyring = NULL;
    enum kf_code code = kf_raw_aes_keyring_new(&raw, error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, error, out);
    kf_keyring_unref(keyring);
    return code;
}

int main(void)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *inner = NULL, *red = NULL, *blue = NULL;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;

    enum kf_code code = local_cmm_new(&error, &inner);
    if (code == KF_OK)
        code = tenant_cmm_new(inner, "red", &error, &red);
    if (code == KF_OK)
        code = tenant_cmm_new(inner, "blue", &error, &blue);
    if (code == KF_OK)
        code = kf_encrypt(red, NULL, kf_view_text("For red eyes only."), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(red, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext);
    if (code == KF_OK) {
        printf("red reads: %.*s\n", (int)plaintext.length, (const char *)plaintext.data);
        code = kf_decrypt(blue, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext);
        printf("blue reads: %s (%s)\n", kf_code_name(code), error.text);
        code = code == KF_E_POLICY ? KF_OK : kf_error_set(&error, KF_E_BUG, "That was to be refused.");
    }
    if (code != KF_OK)
        fprintf(stderr, "%s: %s\n", kf_code_name(code), error.text);
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(red);
    kf_cmm_unref(blue);
    kf_cmm_unref(inner);
    return (int)kf_code_class(code);
}
