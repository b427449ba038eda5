/*
 * Unwrapping by KMS: see kms_unwrap.h. Called by the KMS keyring and the discovery keyring.
 * (S: framework/aws-kms/aws-kms-keyring.md#ondecrypt, framework/aws-kms/aws-kms-discovery-keyring.md#ondecrypt)
 */
#include "aws/keyrings/kms_unwrap.h"

#include <stdio.h>

#include "aws/keyrings/kms_options.h"
#include "aws/service/endpoint.h"
#include "aws/service/kms.h"
#include "base/bytes.h"
#include "base/call.h"
#include "base/error.h"
#include "materials/materials.h"

#define REQUEST_ID_MAX 64

/* What OnDecrypt was called with. */
struct question {
    const struct kfi_kms_unwrapper *unwrapper;
    const struct kf_decryption_materials *materials;
    const struct kf_edk *edks;
    size_t edk_count;
};

/* How far it is. */
struct unwrapping {
    size_t next;                     /* the EDK whose turn it is */
    size_t tried;                    /* EDKs that KMS was asked about, or should have been */
    struct kfi_kms_request *request; /* about edks[next], or NULL */
    struct kf_error failed;          /* the sum of what failed, and what was said about it */
    char request_id[REQUEST_ID_MAX]; /* of the last request that failed */
};

static void unwrapping_drop(void *state)
{
    struct unwrapping *unwrapping = state;
    kfi_kms_request_free(unwrapping->request);
    kfi_free(unwrapping);
}

static bool is_of_kms(const struct kf_edk *edk)
{
    return kfi_view_equal(edk->provider_id, kf_view_text(KFI_KMS_PROVIDER_ID));
}

/* The ARN that an EDK of KMS names, which has to be that of a key. */
static bool arn_of(const struct kf_edk *edk, struct kfi_kms_arn *arn)
{
    return kfi_kms_text_is_plain(edk->provider_info, UINT16_MAX) &&
           kfi_kms_arn_parse(edk->provider_info, arn) && kfi_kms_arn_is_key(arn);
}

/*
 * An EDK that claims to be of KMS and names no key ends it before KMS is asked anything: the specification
 * wants the message refused, not the EDK passed over.
 */
static enum kf_code check_all(const struct question *question, struct kf_error *error)
{
    struct kfi_kms_arn arn;
    for (size_t i = 0; i < question->edk_count; i++) {
        const struct kf_edk *edk = &question->edks[i];
        if (is_of_kms(edk) && !arn_of(edk, &arn))
            return kf_error_set(
                error, KF_E_MALFORMED,
                "Encrypted data key %zu of %zu claims to be of AWS KMS but does not carry the "
                "ARN of a KMS key.",
                i + 1, question->edk_count);
    }
    return KF_OK;
}

/* Moves on to the next EDK that is meant; false if there is none. */
static bool find_next(const struct question *question, struct unwrapping *unwrapping, struct kfi_kms_arn *arn)
{
    const struct kfi_kms_unwrapper *unwrapper = question->unwrapper;
    for (; unwrapping->next < question->edk_count; unwrapping->next++) {
        const struct kf_edk *edk = &question->edks[unwrapping->next];
        if (is_of_kms(edk) && arn_of(edk, arn) &&
            unwrapper->is_meant(unwrapper->self, edk->provider_info, arn))
            return true;
    }
    return false;
}

static enum kf_code begin(const struct question *question, const struct kf_edk *edk,
                          const struct kfi_kms_arn *arn, struct kf_error *error, struct kfi_kms_request **out)
{
    const struct kfi_kms_access *access = question->unwrapper->access;
    struct kfi_aws_service *service = NULL;
    char key_id[KFI_KMS_KEY_ID_MAX + 1];
    if (edk->provider_info.length >= sizeof key_id || !kfi_aws_region_is_valid(arn->region))
        return kf_error_set(error, KF_E_KEYS, "No KMS key has such an ARN.");
    if (edk->ciphertext.length == 0 || edk->ciphertext.length > KFI_KMS_BLOB_MAX)
        return kf_error_set(error, KF_E_KEYS, "KMS makes no ciphertext of %zu bytes.",
                            edk->ciphertext.length);
    memcpy(key_id, edk->provider_info.data, edk->provider_info.length);
    key_id[edk->provider_info.length] = '\0';
    enum kf_code code = kfi_kms_service_in(access->client, arn->region, error, &service);
    if (code != KF_OK)
        return code;
    const struct kfi_kms_arguments arguments = {
        .key_id = key_id,
        .encryption_context = question->materials->head.context,
        .grant_tokens = (const char *const *)access->grant_tokens,
        .grant_token_count = access->grant_token_count,
    };
    return kfi_kms_decrypt(service, &arguments, edk->ciphertext, error, out);
}

/* Whether the answer is what was asked for: by that very key, and as long as a data key of the suite. */
static enum kf_code check(const struct kfi_kms_answer *answer, const struct kf_edk *edk, size_t length,
                          struct kf_error *error)
{
    if (!kfi_view_equal(kf_view_text(answer->key_id), edk->provider_info))
        return kf_error_set(error, KF_E_REMOTE,
                            "KMS says that it decrypted with another key than it was asked for, %.100s.",
                            answer->key_id);
    if (answer->plaintext.length != length)
        return kf_error_set(error, KF_E_REMOTE,
                            "KMS decrypted it to %zu bytes, where the suite's data key has %zu.",
                            answer->plaintext.length, length);
    return KF_OK;
}

/*
 * What a refusal of one EDK is, seen from the message: these say that the key does not open it, or can't be
 * used by this caller; another key may.
 */
static enum kf_code weigh(enum kf_code code, const char *service_code)
{
    static const char *const about_the_key[] = {"InvalidCiphertextException", "IncorrectKeyException",
                                                "NotFoundException",          "AccessDeniedException",
                                                "DisabledException",          "KMSInvalidStateException",
                                                "InvalidKeyUsageException",   "InvalidGrantTokenException"};
    for (size_t i = 0; code == KF_E_REMOTE && i < sizeof about_the_key / sizeof about_the_key[0]; i++) {
        if (strcmp(service_code, about_the_key[i]) == 0)
            return KF_E_KEYS;
    }
    return code;
}

/* Whether it is this EDK that failed, and the next may do better; else the machine or the library did. */
static bool concerns_the_edk(enum kf_code code)
{
    enum kf_class class = kf_code_class(code);
    return class == KF_CLASS_REMOTE || class == KF_CLASS_KEYS || class == KF_CLASS_RETRY ||
           code == KF_E_USAGE || code == KF_E_LIMIT;
}

/* Adds up: asking again helps if it helps with one EDK; that keys are missing is the sum only of that. */
static enum kf_code sum(enum kf_code before, enum kf_code code)
{
    bool may_pass = kf_code_class(before) == KF_CLASS_RETRY;
    if (before == KF_E_KEYS || (!may_pass && kf_code_class(code) == KF_CLASS_RETRY))
        return code;
    return before;
}

/* How much of an ARN goes into a sentence. */
static int arn_shown(struct kf_view arn)
{
    return arn.length < 120 ? (int)arn.length : 120;
}

/* Ends the attempt at edks[next]: frees its request, and keeps what was said. */
static void collect(struct unwrapping *unwrapping, const struct kf_edk *edk, enum kf_code code,
                    const struct kf_error *error)
{
    if (unwrapping->request != NULL) {
        code = weigh(code, kfi_kms_request_error_code(unwrapping->request));
        snprintf(unwrapping->request_id, REQUEST_ID_MAX, "%s", kfi_kms_request_id(unwrapping->request));
    }
    kf_error_set(&unwrapping->failed, sum(unwrapping->failed.code, code), "%s Number %zu (%.*s): %s",
                 unwrapping->failed.text, unwrapping->next + 1, arn_shown(edk->provider_info),
                 (const char *)edk->provider_info.data, error->text);
    unwrapping->tried++;
    unwrapping->next++;
    kfi_kms_request_free(unwrapping->request);
    unwrapping->request = NULL;
}

/* One poll of the attempt at edks[next], which is begun if it was not. */
static enum kf_code attempt(const struct question *question, struct unwrapping *unwrapping,
                            const struct kfi_kms_arn *arn, struct kf_call *call, struct kf_error *error,
                            struct kf_data_key *out)
{
    const struct kf_edk *edk = &question->edks[unwrapping->next];
    const struct kfi_kms_answer *answer = NULL;
    enum kf_code code = KF_OK;
    if (unwrapping->request == NULL)
        code = begin(question, edk, arn, error, &unwrapping->request);
    if (code == KF_OK)
        code = kfi_kms_request_poll(unwrapping->request, call, error, &answer);
    if (code == KF_OK)
        code = check(answer, edk, question->materials->head.suite->info.data_key_length, error);
    if (code == KF_OK)
        *out = answer->plaintext;
    return code;
}

static enum kf_code unwrapping_new(const struct question *question, struct kf_call *call,
                                   struct kf_error *error, struct unwrapping **out)
{
    enum kf_code code = check_all(question, error);
    if (code != KF_OK)
        return code;
    struct unwrapping *unwrapping = kfi_alloc_zeroed(sizeof *unwrapping);
    if (unwrapping == NULL)
        return kfi_no_memory(error);
    unwrapping->failed.code = KF_E_KEYS;
    kf_call_state_set(call, unwrapping, unwrapping_drop);
    *out = unwrapping;
    return KF_OK;
}

enum kf_code kfi_kms_unwrap(const struct kfi_kms_unwrapper *unwrapper, struct kf_call *call,
                            const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                            size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    const struct question question = {unwrapper, materials, edks, edk_count};
    struct unwrapping *unwrapping = kf_call_state(call);
    struct kfi_kms_arn arn;
    enum kf_code code = unwrapping != NULL ? KF_OK : unwrapping_new(&question, call, error, &unwrapping);
    struct kf_call *child = kf_call_child(call, 0);
    if (code == KF_OK && child == NULL)
        code = kfi_no_memory(error);
    while (code == KF_OK && find_next(&question, unwrapping, &arn)) {
        code = attempt(&question, unwrapping, &arn, child, error, out);
        if (code == KF_OK) {
            kf_call_request_id_set(call, kf_view_text(kfi_kms_request_id(unwrapping->request)));
            return KF_OK;
        }
        if (!concerns_the_edk(code))
            return code;
        collect(unwrapping, &edks[unwrapping->next], code, error);
        kfi_call_reset(child);
        code = KF_OK;
    }
    if (code != KF_OK)
        return code;
    if (unwrapping->tried == 0)
        return unwrapper->none_meant(unwrapper->self, edk_count, error);
    kf_call_request_id_set(call, kf_view_text(unwrapping->request_id));
    if (unwrapping->tried == 1)
        return kf_error_set(error, unwrapping->failed.code, "AWS KMS did not open the encrypted data key.%s",
                            unwrapping->failed.text);
    return kf_error_set(error, unwrapping->failed.code, "AWS KMS opened none of %zu encrypted data keys.%s",
                        unwrapping->tried, unwrapping->failed.text);
}
