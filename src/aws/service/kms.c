/*
 * KMS: see kms.h. Called by the KMS keyrings. Bodies have the fields, and their order, that the AWS SDKs send.
 */
#include "aws/service/kms.h"

#include <stdio.h>

#include "aws/service/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"

#define TARGET_PREFIX "TrentService."

struct kfi_kms_request {
    const char *operation;
    bool has_ciphertext, has_plaintext; /* what its reply has to have, besides the key's id */
    struct kfi_aws_request *request;
    struct kfi_json json; /* the reply's strings, which the answer's key_id and ciphertext point into */
    struct kfi_kms_answer answer;
};

/* ---- Bodies ---- */

static void write_key_id(struct kfi_json_writer *writer, const char *key_id)
{
    kfi_json_write_raw(writer, "\"KeyId\":");
    kfi_json_write_string(writer, kf_view_text(key_id));
}

static void write_context(struct kfi_json_writer *writer, const struct kf_encryption_context *context)
{
    const size_t count = kf_encryption_context_count(context);
    kfi_json_write_raw(writer, "\"EncryptionContext\":{");
    for (size_t i = 0; i < count; i++) {
        const struct kf_pair pair = kf_encryption_context_at(context, i);
        kfi_json_write_raw(writer, i > 0 ? "," : "");
        kfi_json_write_string(writer, pair.key);
        kfi_json_write_raw(writer, ":");
        kfi_json_write_string(writer, pair.value);
    }
    kfi_json_write_raw(writer, "}");
}

/* The grant tokens, which are the last field, and the end of the body. */
static void write_grant_tokens(struct kfi_json_writer *writer, const struct kfi_kms_arguments *arguments)
{
    for (size_t i = 0; i < arguments->grant_token_count; i++) {
        kfi_json_write_raw(writer, i > 0 ? "," : ",\"GrantTokens\":[");
        kfi_json_write_string(writer, kf_view_text(arguments->grant_tokens[i]));
    }
    kfi_json_write_raw(writer, arguments->grant_token_count > 0 ? "]}" : "}");
}

/* Makes a request of the body that was written, and takes that over in any case. */
static enum kf_code kms_request_new(struct kfi_aws_service *service, const char *target,
                                    struct kfi_json_writer *writer, struct kf_error *error,
                                    struct kfi_kms_request **out)
{
    *out = NULL;
    enum kf_code code = writer->code;
    if (code == KF_E_LIMIT)
        code = kf_error_set(error, KF_E_LIMIT, "The request to KMS would be longer than %zu bytes.",
                            KFI_JSON_BODY_MAX);
    struct kfi_kms_request *request = code == KF_OK ? kfi_alloc_zeroed(sizeof *request) : NULL;
    if (code == KF_E_NO_MEMORY || (code == KF_OK && request == NULL))
        code = kfi_no_memory(error);
    if (code != KF_OK) {
        kf_buf_free(writer->buf);
        return code;
    }
    request->operation = target + sizeof TARGET_PREFIX - 1;
    code = kfi_aws_request_new(service, target, writer->buf, error, &request->request);
    if (code == KF_OK)
        *out = request;
    else
        kfi_free(request);
    return code;
}

enum kf_code kfi_kms_generate_data_key(struct kfi_aws_service *service,
                                       const struct kfi_kms_arguments *arguments, size_t length,
                                       struct kf_error *error, struct kfi_kms_request **out)
{
    struct kf_buf body = KF_BUF_INIT;
    struct kfi_json_writer writer = {&body, KF_OK};
    char number[32];
    snprintf(number, sizeof number, ",\"NumberOfBytes\":%zu", length);
    kfi_json_write_raw(&writer, "{");
    write_key_id(&writer, arguments->key_id);
    kfi_json_write_raw(&writer, ",");
    write_context(&writer, arguments->encryption_context);
    kfi_json_write_raw(&writer, number);
    write_grant_tokens(&writer, arguments);
    enum kf_code code = kms_request_new(service, TARGET_PREFIX "GenerateDataKey", &writer, error, out);
    if (code == KF_OK)
        (*out)->has_ciphertext = (*out)->has_plaintext = true;
    return code;
}

enum kf_code kfi_kms_encrypt(struct kfi_aws_service *service, const struct kfi_kms_arguments *arguments,
                             struct kf_view plaintext, struct kf_error *error, struct kfi_kms_request **out)
{
    struct kf_buf body = KF_BUF_INIT;
    struct kfi_json_writer writer = {&body, KF_OK};
    kfi_json_write_raw(&writer, "{");
    write_key_id(&writer, arguments->key_id);
    kfi_json_write_raw(&writer, ",\"Plaintext\":");
    kfi_json_write_base64(&writer, plaintext);
    kfi_json_write_raw(&writer, ",");
    write_context(&writer, arguments->encryption_context);
    write_grant_tokens(&writer, arguments);
    enum kf_code code = kms_request_new(service, TARGET_PREFIX "Encrypt", &writer, error, out);
    if (code == KF_OK)
        (*out)->has_ciphertext = true;
    return code;
}

enum kf_code kfi_kms_decrypt(struct kfi_aws_service *service, const struct kfi_kms_arguments *arguments,
                             struct kf_view ciphertext, struct kf_error *error, struct kfi_kms_request **out)
{
    struct kf_buf body = KF_BUF_INIT;
    struct kfi_json_writer writer = {&body, KF_OK};
    kfi_json_write_raw(&writer, "{\"CiphertextBlob\":");
    kfi_json_write_base64(&writer, ciphertext);
    kfi_json_write_raw(&writer, ",");
    write_context(&writer, arguments->encryption_context);
    kfi_json_write_raw(&writer, ",");
    write_key_id(&writer, arguments->key_id);
    write_grant_tokens(&writer, arguments);
    enum kf_code code = kms_request_new(service, TARGET_PREFIX "Decrypt", &writer, error, out);
    if (code == KF_OK)
        (*out)->has_plaintext = true;
    return code;
}

/* ---- Replies ---- */

/* Fills the answer. Says what is wrong with the fields of the reply; NULL: nothing. */
static const char *answer_take(struct kfi_kms_request *request, struct kfi_json_member *key_id,
                               struct kfi_json_member *ciphertext, struct kfi_json_member *plaintext)
{
    struct kfi_kms_answer *answer = &request->answer;
    if (key_id->text == NULL || key_id->length == 0)
        return "it has no KeyId";
    if (key_id->length > KFI_KMS_KEY_ID_MAX)
        return "its KeyId is too long";
    answer->key_id = key_id->text;
    if (request->has_ciphertext) {
        uint8_t *bytes = (uint8_t *)ciphertext->text; /* in place */
        size_t length = 0;
        if (bytes == NULL ||
            !kfi_base64_decode(ciphertext->text, ciphertext->length, bytes, KFI_KMS_BLOB_MAX, &length) ||
            length == 0)
            return "its CiphertextBlob is missing or not base64 of 1 to 6144 bytes";
        answer->ciphertext = kf_view_of(bytes, length);
    }
    if (request->has_plaintext) {
        struct kf_data_key *key = &answer->plaintext;
        if (plaintext->text == NULL ||
            !kfi_base64_decode(plaintext->text, plaintext->length, key->bytes, sizeof key->bytes,
                               &key->length) ||
            key->length == 0)
            return "its Plaintext is missing or not base64 of 1 to 32 bytes";
        kfi_wipe(plaintext->text, plaintext->length);
    }
    return NULL;
}

static enum kf_code read_reply(struct kfi_kms_request *request, struct kf_view reply, struct kf_error *error)
{
    enum {
        KEY_ID,
        CIPHERTEXT,
        PLAINTEXT
    };
    struct kfi_json_member members[] = {
        [KEY_ID] = {.name = "KeyId"},
        [CIPHERTEXT] = {.name = "CiphertextBlob"},
        [PLAINTEXT] = {.name = "Plaintext"},
    };
    struct kf_error said = KF_ERROR_INIT;
    enum kf_code code =
        kfi_json_read(reply, members, sizeof members / sizeof members[0], &said, &request->json);
    if (code == KF_E_NO_MEMORY)
        return kfi_no_memory(error);
    const char *wrong = said.text;
    if (code == KF_OK)
        wrong = answer_take(request, &members[KEY_ID], &members[CIPHERTEXT], &members[PLAINTEXT]);
    if (wrong == NULL)
        return KF_OK;
    return kf_error_set(error, KF_E_REMOTE,
                        "The reply to %s can't be used: %s (request id %s). Does the endpoint belong to KMS?",
                        request->operation, wrong, kfi_kms_request_id(request));
}

enum kf_code kfi_kms_request_poll(struct kfi_kms_request *request, struct kf_call *call,
                                  struct kf_error *error, const struct kfi_kms_answer **out)
{
    struct kf_view reply;
    *out = NULL;
    enum kf_code code = kfi_aws_request_poll(request->request, call, error, &reply);
    if (code == KF_OK)
        code = read_reply(request, reply, error);
    if (code == KF_OK)
        *out = &request->answer;
    return code;
}

const char *kfi_kms_request_id(const struct kfi_kms_request *request)
{
    return kfi_aws_request_id(request->request);
}

const char *kfi_kms_request_error_code(const struct kfi_kms_request *request)
{
    return kfi_aws_request_error_code(request->request);
}

void kfi_kms_request_free(struct kfi_kms_request *request)
{
    if (request == NULL)
        return;
    kfi_aws_request_free(request->request);
    kfi_json_free(&request->json);
    kfi_free_secret(request, sizeof *request);
}
