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
#include "base/text.h"
#include "materials/materials.h"

#define REQUEST_ID_MAX 64
/* How much of an ARN goes into a sentence, and how much of one what was said of each EDK. */
#define ARN_SHOWN 120
#define SAID_ROOM 440

/* The arguments of OnDecrypt. */
struct question {
    const struct kfi_kms_unwrapper *unwrapper;
    const struct kf_decryption_materials *materials;
    const struct kf_edk *edks;
    size_t edk_count;
};

/* How far it has come. */
struct unwrapping {
    size_t next;                     /* the EDK whose turn it is */
    size_t tried;                    /* EDKs that were meant for the keyring and failed */
    struct kfi_kms_request *request; /* about edks[next], or NULL */
    enum kf_code failed;             /* the code of all that failed, taken together */
    struct kfi_listing said;         /* and what was said of each */
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

/* The ARN that an EDK of KMS names. False if it is not the ARN of a key. */
static bool arn_of(const struct kf_edk *edk, struct kfi_kms_arn *arn)
{
    return kfi_kms_text_is_plain(edk->provider_info, UINT16_MAX) &&
           kfi_kms_arn_parse(edk->provider_info, arn) && kfi_kms_arn_is_key(arn);
}

/*
 * Refuses the message, before anything is sent, if an EDK claims to be of KMS and does not name a key. The
 * specification does not allow to pass such an EDK over.
 */
static enum kf_code kms_edks_check(const struct question *question, struct kf_error *error)
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

/* Moves on to the next EDK that is meant for the keyring. False if there is none. */
static bool unwrapping_next(const struct question *question, struct unwrapping *unwrapping,
                            struct kfi_kms_arn *arn)
{
    const struct kfi_kms_unwrapper *unwrapper = question->unwrapper;
    for (; unwrapping->next < question->edk_count; unwrapping->next++) {
        const struct kf_edk *edk = &question->edks[unwrapping->next];
        if (is_of_kms(edk) && arn_of(edk, arn) && unwrapper->is_meant(unwrapper, edk->provider_info, arn))
            return true;
    }
    return false;
}

static enum kf_code decrypt_begin(const struct question *question, const struct kf_edk *edk,
                                  const struct kfi_kms_arn *arn, struct kf_error *error,
                                  struct kfi_kms_request **out)
{
    const struct kfi_kms_access *access = &question->unwrapper->access;
    struct kfi_aws_service *service = NULL;
    char key_id[KFI_KMS_KEY_ID_MAX + 1];
    if (edk->provider_info.length >= sizeof key_id || !kfi_aws_region_is_valid(arn->region))
        return kf_error_set(error, KF_E_KEYS, "This is not the ARN of a key that KMS could have made.");
    if (edk->ciphertext.length == 0 || edk->ciphertext.length > KFI_KMS_BLOB_MAX)
        return kf_error_set(error, KF_E_KEYS, "KMS never makes a ciphertext of %zu bytes.",
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

/* Checks that KMS used the very key that was asked for, and that the data key has the suite's length. */
static enum kf_code answer_check(const struct kfi_kms_answer *answer, const struct kf_edk *edk, size_t length,
                                 struct kf_error *error)
{
    if (!kfi_view_equal(kf_view_text(answer->key_id), edk->provider_info))
        return kf_error_set(
            error, KF_E_REMOTE,
            "KMS says that it decrypted with another key than the one that was asked for: %s.",
            kfi_shown_text(answer->key_id, ARN_SHOWN).text);
    if (answer->plaintext.length != length)
        return kf_error_set(error, KF_E_REMOTE,
                            "KMS decrypted it to %zu bytes, but a data key of the suite has %zu.",
                            answer->plaintext.length, length);
    return KF_OK;
}

/*
 * The code for the refusal of one EDK. KF_E_KEYS if the service's code says that the key does not open it, or that the
 * caller may not use the key: then another key may.
 */
static enum kf_code refusal_code(enum kf_code code, const char *service_code)
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

/* Whether the failure is about this EDK, so that the next is tried; else the machine or the library failed. */
static bool concerns_the_edk(enum kf_code code)
{
    enum kf_class class = kf_code_class(code);
    return class == KF_CLASS_REMOTE || class == KF_CLASS_KEYS || class == KF_CLASS_RETRY ||
           code == KF_E_USAGE || code == KF_E_LIMIT;
}

/*
 * The code for several failures together. A failure that may pass decides, because then asking again may help.
 * KF_E_KEYS remains only if all of them are that.
 */
static enum kf_code codes_sum(enum kf_code before, enum kf_code code)
{
    bool may_pass = kf_code_class(before) == KF_CLASS_RETRY;
    if (before == KF_E_KEYS || (!may_pass && kf_code_class(code) == KF_CLASS_RETRY))
        return code;
    return before;
}

/* Ends the attempt at edks[next], which failed: keeps code and sentence, and frees the request. */
static void unwrapping_fail(struct unwrapping *unwrapping, const struct kf_edk *edk, enum kf_code code,
                            const struct kf_error *error)
{
    if (unwrapping->request != NULL) {
        code = refusal_code(code, kfi_kms_request_error_code(unwrapping->request));
        snprintf(unwrapping->request_id, REQUEST_ID_MAX, "%s", kfi_kms_request_id(unwrapping->request));
    }
    unwrapping->failed = codes_sum(unwrapping->failed, code);
    kfi_listing_add(&unwrapping->said, " ", "Number %zu (%s): %s", unwrapping->next + 1,
                    kfi_shown(edk->provider_info, ARN_SHOWN).text, error->text);
    unwrapping->tried++;
    unwrapping->next++;
    kfi_kms_request_free(unwrapping->request);
    unwrapping->request = NULL;
}

/* One poll of the attempt at edks[next], which begins with it. */
static enum kf_code unwrapping_poll(const struct question *question, struct unwrapping *unwrapping,
                                    const struct kfi_kms_arn *arn, struct kf_call *call,
                                    struct kf_error *error, struct kf_data_key *out)
{
    const struct kf_edk *edk = &question->edks[unwrapping->next];
    const struct kfi_kms_answer *answer = NULL;
    enum kf_code code = KF_OK;
    if (unwrapping->request == NULL)
        code = decrypt_begin(question, edk, arn, error, &unwrapping->request);
    if (code == KF_OK)
        code = kfi_kms_request_poll(unwrapping->request, call, error, &answer);
    if (code == KF_OK)
        code = answer_check(answer, edk, question->materials->head.suite->info.data_key_length, error);
    if (code == KF_OK)
        *out = answer->plaintext;
    return code;
}

static enum kf_code unwrapping_new(const struct question *question, struct kf_call *call,
                                   struct kf_error *error, struct unwrapping **out)
{
    enum kf_code code = kms_edks_check(question, error);
    if (code != KF_OK)
        return code;
    struct unwrapping *unwrapping = kfi_alloc_zeroed(sizeof *unwrapping);
    if (unwrapping == NULL)
        return kfi_no_memory(error);
    unwrapping->failed = KF_E_KEYS;
    kfi_listing_begin(&unwrapping->said, SAID_ROOM);
    kf_call_state_set(call, unwrapping, unwrapping_drop);
    *out = unwrapping;
    return KF_OK;
}

enum kf_code kfi_kms_on_decrypt(void *context, struct kf_call *call,
                                const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    const struct kfi_kms_unwrapper *unwrapper = context;
    const struct question question = {unwrapper, materials, edks, edk_count};
    struct unwrapping *unwrapping = kf_call_state(call);
    struct kfi_kms_arn arn;
    enum kf_code code = unwrapping != NULL ? KF_OK : unwrapping_new(&question, call, error, &unwrapping);
    struct kf_call *child = kf_call_child(call, 0);
    if (code == KF_OK && child == NULL)
        code = kfi_no_memory(error);
    while (code == KF_OK && unwrapping_next(&question, unwrapping, &arn)) {
        code = unwrapping_poll(&question, unwrapping, &arn, child, error, out);
        if (code == KF_OK) {
            kf_call_request_id_set(call, kf_view_text(kfi_kms_request_id(unwrapping->request)));
            return KF_OK;
        }
        if (!concerns_the_edk(code))
            return code;
        unwrapping_fail(unwrapping, &edks[unwrapping->next], code, error);
        kfi_call_reset(child);
        code = KF_OK;
    }
    if (code != KF_OK)
        return code;
    if (unwrapping->tried == 0)
        return unwrapper->none_meant(unwrapper, edk_count, error);
    kf_call_request_id_set(call, kf_view_text(unwrapping->request_id));
    const char *said = kfi_listing_end(&unwrapping->said);
    if (unwrapping->tried == 1)
        return kf_error_set(error, unwrapping->failed, "AWS KMS did not open the encrypted data key. %s",
                            said);
    return kf_error_set(error, unwrapping->failed, "AWS KMS opened none of %zu encrypted data keys. %s",
                        unwrapping->tried, said);
}
