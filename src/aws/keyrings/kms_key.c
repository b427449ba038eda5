/*
 * The keyring of one KMS key: see kms_key.h. Called by kms_keyring.c, which puts several together.
 *
 * A data key in the clear is only ever in the reply, which its request owns and wipes, and where the caller
 * wants it.
 */
#include "aws/keyrings/kms_key.h"

#include "aws/keyrings/kms_options.h"
#include "aws/keyrings/kms_unwrap.h"
#include "aws/service/kms.h"
#include "base/bytes.h"
#include "base/error.h"
#include "materials/materials.h"

struct kms_key {
    struct kfi_kms_access access;
    struct kfi_aws_service *service; /* of the key's region; lives as long as the client */
    char **name;                     /* one string */
};

/* ---- Encryption ---- */

static void request_drop(void *state)
{
    kfi_kms_request_free(state);
}

/* GenerateDataKey if there is no data key yet, else Encrypt. */
static enum kf_code begin(const struct kms_key *self, const struct kf_encryption_materials *materials,
                          struct kf_error *error, struct kfi_kms_request **out)
{
    const struct kf_data_key *data_key = &materials->head.data_key;
    const struct kfi_kms_arguments arguments = {
        .key_id = self->name[0],
        .encryption_context = materials->head.context,
        .grant_tokens = (const char *const *)self->access.grant_tokens,
        .grant_token_count = self->access.grant_token_count,
    };
    if (data_key->length > 0)
        return kfi_kms_encrypt(self->service, &arguments, kf_view_of(data_key->bytes, data_key->length),
                               error, out);
    return kfi_kms_generate_data_key(self->service, &arguments, materials->head.suite->info.data_key_length,
                                     error, out);
}

/* Takes over what KMS answered, if it is what was asked for. */
static enum kf_code take(const struct kfi_kms_answer *answer, const struct kf_encryption_materials *materials,
                         struct kf_error *error, struct kf_wrapped *out)
{
    const struct kf_edk edk = {
        .provider_id = kf_view_text(KFI_KMS_PROVIDER_ID),
        .provider_info = kf_view_text(answer->key_id),
        .ciphertext = answer->ciphertext,
    };
    const bool generated = materials->head.data_key.length == 0;
    const size_t length = materials->head.suite->info.data_key_length;
    struct kfi_kms_arn arn;
    if (!kfi_kms_text_is_plain(edk.provider_info, KFI_KMS_KEY_ID_MAX) ||
        !kfi_kms_arn_parse(edk.provider_info, &arn) || !kfi_kms_arn_is_key(&arn))
        return kf_error_set(
            error, KF_E_REMOTE,
            "KMS answered with a KeyId that is not the ARN of a key, so nobody could decrypt.");
    if (generated && answer->plaintext.length != length)
        return kf_error_set(error, KF_E_REMOTE, "KMS generated a data key of %zu bytes instead of %zu.",
                            answer->plaintext.length, length);
    enum kf_code code = KF_OK;
    if (generated)
        code = kf_wrapped_data_key_set(out, kf_view_of(answer->plaintext.bytes, length), error);
    return code == KF_OK ? kf_wrapped_edk_add(out, &edk, error) : code;
}

static enum kf_code on_encrypt(void *context, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out)
{
    const struct kms_key *self = context;
    struct kfi_kms_request *request = kf_call_state(call);
    struct kf_call *child = kf_call_child(call, 0);
    const struct kfi_kms_answer *answer = NULL;
    enum kf_code code = child != NULL ? KF_OK : kfi_no_memory(error);
    if (code == KF_OK && request == NULL) {
        code = begin(self, materials, error, &request);
        if (code == KF_OK)
            kf_call_state_set(call, request, request_drop);
    }
    if (code == KF_OK)
        code = kfi_kms_request_poll(request, child, error, &answer);
    if (code == KF_OK)
        code = take(answer, materials, error, out);
    /* Whose key it is counts, or who failed; not who wrapped it as well. */
    const bool generates = materials->head.data_key.length == 0;
    if (request != NULL && (code < KF_OK || (code == KF_OK && generates)))
        kf_call_request_id_set(call, kf_view_text(kfi_kms_request_id(request)));
    if (code >= KF_OK)
        return code;
    return kf_error_set(error, code, "KMS key %.120s: %s", self->name[0], error->text);
}

/* ---- Decryption ---- */

/* An alias or a bare key id never equals the ARN of a key. */
static bool is_meant(const void *context, struct kf_view text, const struct kfi_kms_arn *arn)
{
    (void)arn;
    const struct kms_key *self = context;
    return kfi_view_equal(text, kf_view_text(self->name[0]));
}

static enum kf_code none_meant(const void *context, size_t edk_count, struct kf_error *error)
{
    const struct kms_key *self = context;
    struct kfi_kms_arn arn;
    bool is_key = kfi_kms_arn_parse(kf_view_text(self->name[0]), &arn) && kfi_kms_arn_is_key(&arn);
    return kf_error_set(error, KF_E_KEYS,
                        "None of the %zu encrypted data keys was made under the KMS key %.200s.%s", edk_count,
                        self->name[0],
                        is_key ? "" : " Decryption needs the ARN of the key: messages carry nothing else.");
}

static enum kf_code on_decrypt(void *context, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    const struct kms_key *self = context;
    const struct kfi_kms_unwrapper unwrapper = {
        .access = &self->access,
        .self = self,
        .is_meant = is_meant,
        .none_meant = none_meant,
    };
    return kfi_kms_unwrap(&unwrapper, call, materials, edks, edk_count, error, out);
}

/* ---- The keyring ---- */

static void destroy(void *context)
{
    struct kms_key *self = context;
    kfi_kms_access_release(&self->access);
    kfi_free(self->name);
    kfi_free(self);
}

enum kf_code kfi_kms_key_keyring_new(struct kf_aws_client *client, const char *name,
                                     const char *const *grant_tokens, size_t grant_token_count,
                                     struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = on_encrypt,
        .on_decrypt = on_decrypt,
        .destroy = destroy,
    };
    struct kfi_aws_service *service = NULL;
    struct kf_view region;
    *out = NULL;
    enum kf_code code = kfi_kms_name_check(name, error, &region);
    if (code == KF_OK)
        code = kfi_kms_service_in(client, region, error, &service);
    if (code != KF_OK)
        return code;
    struct kms_key *self = kfi_alloc_zeroed(sizeof *self);
    if (self == NULL)
        return kfi_no_memory(error);
    self->service = service;
    self->name = kfi_kms_strings_copy(&name, 1);
    code = self->name != NULL ? KF_OK : kfi_no_memory(error);
    if (code == KF_OK)
        code = kfi_kms_access_init(&self->access, client, grant_tokens, grant_token_count, error);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, self, error, out);
    if (code != KF_OK)
        destroy(self);
    return code;
}
