/*
 * The operations of AWS KMS that keyrings need. Replies are checked as far as that does not depend on the
 * keyring: their shape, sizes, base64.
 */
#ifndef KFI_AWS_SERVICE_KMS_H
#define KFI_AWS_SERVICE_KMS_H

#include <keyflight/encryption_context.h>
#include <keyflight/materials.h>

#include "aws/service/request.h"

#define KFI_KMS_KEY_ID_MAX 2048
#define KFI_KMS_BLOB_MAX 6144 /* bytes of a ciphertext, as KMS itself allows */

/* Borrowed while the request is made. */
struct kfi_kms_arguments {
    const char *key_id;
    const struct kf_encryption_context *encryption_context; /* NULL: empty */
    const char *const *grant_tokens;
    size_t grant_token_count;
};

/* The fields of a reply, owned by the request. Those that the operation does not answer are empty. */
struct kfi_kms_answer {
    const char *key_id;           /* 1 to KFI_KMS_KEY_ID_MAX bytes */
    struct kf_view ciphertext;    /* 1 to KFI_KMS_BLOB_MAX bytes */
    struct kf_data_key plaintext; /* 1 to 32 bytes */
};

struct kfi_kms_request;

enum kf_code kfi_kms_generate_data_key(struct kfi_aws_service *service,
                                       const struct kfi_kms_arguments *arguments, size_t length,
                                       struct kf_error *error, struct kfi_kms_request **out);
enum kf_code kfi_kms_encrypt(struct kfi_aws_service *service, const struct kfi_kms_arguments *arguments,
                             struct kf_view plaintext, struct kf_error *error, struct kfi_kms_request **out);
enum kf_code kfi_kms_decrypt(struct kfi_aws_service *service, const struct kfi_kms_arguments *arguments,
                             struct kf_view ciphertext, struct kf_error *error, struct kfi_kms_request **out);

/*
 * As kfi_aws_request_poll, but with KF_OK comes the answer, which lives as long as the request. A reply that is
 * not what the operation promises is KF_E_REMOTE, and the sentence says what is wrong with it. The sentence does
 * not name the key; the caller adds that.
 */
enum kf_code kfi_kms_request_poll(struct kfi_kms_request *request, struct kf_call *call,
                                  struct kf_error *error, const struct kfi_kms_answer **out);
/* As kfi_aws_request_id and kfi_aws_request_error_code. */
const char *kfi_kms_request_id(const struct kfi_kms_request *request);
const char *kfi_kms_request_error_code(const struct kfi_kms_request *request);
void kfi_kms_request_free(struct kfi_kms_request *request); /* cancels, wipes; NULL is allowed */

#endif
