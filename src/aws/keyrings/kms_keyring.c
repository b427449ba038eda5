/*
 * The KMS keyring. Each key has a keyring of its own; a multi-keyring puts several together, so that all keys wrap
 * side by side. (S: framework/aws-kms/aws-kms-multi-keyrings.md#aws-kms-multi-keyring)
 *
 * A data key in the clear lies in two places only: in the reply, which its request owns and wipes, and where the
 * caller wants it.
 */
#include <keyflight/aws_kms_keyring.h>

#include "aws/keyrings/kms_options.h"
#include "aws/keyrings/kms_unwrap.h"
#include "aws/service/kms.h"
#include "base/bytes.h"
#include "base/container.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/text.h"
#include "materials/materials.h"

/* The keyring of one key. (S: framework/aws-kms/aws-kms-keyring.md) */
struct kms_key {
    struct kfi_kms_unwrapper unwrapper;
    struct kfi_aws_service *service; /* of the key's region; lives as long as the client */
    char *name;
};

static struct kms_key *kms_key_of(const void *unwrapper)
{
    return KFI_CONTAINER(unwrapper, struct kms_key, unwrapper);
}

/* ---- One key: encryption ---- */

static void request_drop(void *state)
{
    kfi_kms_request_free(state);
}

/* GenerateDataKey if there is no data key yet, else Encrypt. */
static enum kf_code wrap_begin(const struct kms_key *key, const struct kf_encryption_materials *materials,
                               struct kf_error *error, struct kfi_kms_request **out)
{
    const struct kf_data_key *data_key = &materials->head.data_key;
    const struct kfi_kms_access *access = &key->unwrapper.access;
    const struct kfi_kms_arguments arguments = {
        .key_id = key->name,
        .encryption_context = materials->head.context,
        .grant_tokens = (const char *const *)access->grant_tokens,
        .grant_token_count = access->grant_token_count,
    };
    if (data_key->length > 0)
        return kfi_kms_encrypt(key->service, &arguments, kf_view_of(data_key->bytes, data_key->length), error,
                               out);
    return kfi_kms_generate_data_key(key->service, &arguments, materials->head.suite->info.data_key_length,
                                     error, out);
}

/* Puts into `out` what KMS answered, if that is what was asked for. */
static enum kf_code wrapped_take(const struct kfi_kms_answer *answer,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
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

static enum kf_code kms_key_on_encrypt(void *unwrapper, struct kf_call *call,
                                       const struct kf_encryption_materials *materials,
                                       struct kf_error *error, struct kf_wrapped *out)
{
    const struct kms_key *key = kms_key_of(unwrapper);
    struct kfi_kms_request *request = kf_call_state(call);
    struct kf_call *child = kf_call_child(call, 0);
    const struct kfi_kms_answer *answer = NULL;
    enum kf_code code = child != NULL ? KF_OK : kfi_no_memory(error);
    if (code == KF_OK && request == NULL) {
        code = wrap_begin(key, materials, error, &request);
        if (code == KF_OK)
            kf_call_state_set(call, request, request_drop);
    }
    if (code == KF_OK)
        code = kfi_kms_request_poll(request, child, error, &answer);
    if (code == KF_OK)
        code = wrapped_take(answer, materials, error, out);
    /* The id that is told is that of the request that generated the data key, or that failed. */
    const bool generates = materials->head.data_key.length == 0;
    if (request != NULL && (code < KF_OK || (code == KF_OK && generates)))
        kf_call_request_id_set(call, kf_view_text(kfi_kms_request_id(request)));
    if (code >= KF_OK)
        return code;
    return kf_error_set(error, code, "KMS key %s: %s", kfi_shown_text(key->name, 120).text, error->text);
}

/* ---- One key: decryption ---- */

/* Only the ARN of a key can be equal: an alias and a bare key id never are. */
static bool kms_key_is_meant(const struct kfi_kms_unwrapper *unwrapper, struct kf_view text,
                             const struct kfi_kms_arn *arn)
{
    (void)arn;
    return kfi_view_equal(text, kf_view_text(kms_key_of(unwrapper)->name));
}

static enum kf_code kms_key_none_meant(const struct kfi_kms_unwrapper *unwrapper, size_t edk_count,
                                       struct kf_error *error)
{
    const char *name = kms_key_of(unwrapper)->name;
    struct kfi_kms_arn arn;
    bool is_key = kfi_kms_arn_parse(kf_view_text(name), &arn) && kfi_kms_arn_is_key(&arn);
    return kf_error_set(error, KF_E_KEYS,
                        "None of the %zu encrypted data keys was made under the KMS key %s.%s", edk_count,
                        kfi_shown_text(name, 200).text,
                        is_key ? "" : " Decryption needs the ARN of the key: messages carry nothing else.");
}

/* ---- One key: the keyring ---- */

static void kms_key_destroy(void *unwrapper)
{
    struct kms_key *key = kms_key_of(unwrapper);
    kfi_kms_access_release(&key->unwrapper.access);
    kfi_free(key->name);
    kfi_free(key);
}

static enum kf_code kms_key_new(const struct kf_aws_kms_keyring_options *options, const char *name,
                                struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = kms_key_on_encrypt,
        .on_decrypt = kfi_kms_on_decrypt,
        .destroy = kms_key_destroy,
        .never_blocks = true,
    };
    struct kfi_aws_service *service = NULL;
    struct kf_view region;
    enum kf_code code = kfi_kms_name_check(name, error, &region);
    if (code == KF_OK)
        code = kfi_kms_service_in(options->client, region, error, &service);
    if (code != KF_OK)
        return code;
    struct kms_key *key = kfi_alloc_zeroed(sizeof *key);
    if (key == NULL)
        return kfi_no_memory(error);
    key->unwrapper.is_meant = kms_key_is_meant;
    key->unwrapper.none_meant = kms_key_none_meant;
    key->service = service;
    key->name = kfi_copy_text(name);
    code = key->name != NULL ? KF_OK : kfi_no_memory(error);
    if (code == KF_OK)
        code = kfi_kms_access_init(&key->unwrapper.access, options->client, options->grant_tokens,
                                   options->grant_token_count, error);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, &key->unwrapper, error, out);
    if (code != KF_OK)
        kms_key_destroy(&key->unwrapper);
    return code;
}

/* ---- All keys ---- */

/* The name of key `index`; the generator, if there is one, is the first. */
static const char *name_at(const struct kf_aws_kms_keyring_options *options, size_t index)
{
    if (options->generator == NULL)
        return options->key_ids[index];
    return index == 0 ? options->generator : options->key_ids[index - 1];
}

static enum kf_code kms_keyring_options_check(const struct kf_aws_kms_keyring_options *options,
                                              struct kf_error *error)
{
    if (options->client == NULL)
        return kf_error_set(error, KF_E_USAGE, "A KMS keyring needs a client (option client).");
    if (options->generator == NULL && options->key_id_count == 0)
        return kf_error_set(error, KF_E_USAGE,
                            "A KMS keyring needs a key. Give option generator, key_ids or both.");
    if (options->key_id_count > 0 && options->key_ids == NULL)
        return kf_error_set(error, KF_E_USAGE, "Option key_ids is NULL, though key_id_count is not 0.");
    size_t count = options->key_id_count + (options->generator != NULL ? 1 : 0);
    for (size_t i = 0; i < count; i++) {
        struct kf_view region;
        const char *name = name_at(options, i);
        enum kf_code code = kfi_kms_name_check(name, error, &region);
        if (code != KF_OK)
            return code;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(name_at(options, j), name) == 0)
                return kf_error_set(error, KF_E_USAGE, "The KMS key %s is named twice. Name it once.",
                                    kfi_shown_text(name, 200).text);
        }
    }
    return kfi_kms_grant_tokens_check(options->grant_tokens, options->grant_token_count, error);
}

/* Makes the keyring out of `generator` and `keys`, which it fills and which the caller releases. */
static enum kf_code kms_keyring_build(const struct kf_aws_kms_keyring_options *options,
                                      struct kf_keyring **generator, struct kf_keyring **keys,
                                      struct kf_error *error, struct kf_keyring **out)
{
    enum kf_code code = KF_OK;
    if (options->generator != NULL)
        code = kms_key_new(options, options->generator, error, generator);
    for (size_t i = 0; i < options->key_id_count && code == KF_OK; i++)
        code = kms_key_new(options, options->key_ids[i], error, &keys[i]);
    if (code == KF_OK && options->key_id_count == 0)
        *out = kf_keyring_ref(*generator);
    else if (code == KF_OK)
        code = kf_multi_keyring_new(*generator, keys, options->key_id_count, error, out);
    return code;
}

enum kf_code kf_aws_kms_keyring_new(const struct kf_aws_kms_keyring_options *given, struct kf_error *error,
                                    struct kf_keyring **out)
{
    struct kf_aws_kms_keyring_options options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a KMS keyring", error);
    if (code == KF_OK)
        code = kms_keyring_options_check(&options, error);
    if (code != KF_OK)
        return code;
    struct kf_keyring *generator = NULL;
    struct kf_keyring **keys = kfi_alloc_zeroed(options.key_id_count * sizeof(struct kf_keyring *));
    if (keys == NULL)
        return kfi_no_memory(error);
    code = kms_keyring_build(&options, &generator, keys, error, out);
    /* The multi-keyring has references of its own. */
    kf_keyring_unref(generator);
    for (size_t i = 0; i < options.key_id_count; i++)
        kf_keyring_unref(keys[i]);
    kfi_free(keys);
    return code;
}
