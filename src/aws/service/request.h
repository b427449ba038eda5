/*
 * One request to an AWS service of the JSON protocol: credentials, signature, attempts, retries, and what the
 * service's errors mean. Poll and wake. Called by kms.c.
 */
#ifndef KFI_AWS_SERVICE_REQUEST_H
#define KFI_AWS_SERVICE_REQUEST_H

#include "aws/service/client.h"

struct kfi_aws_request;

/*
 * A request of `target` ("TrentService.Decrypt") with `body` (JSON; its memory is taken over in any case and
 * wiped at the end). `service` has to live as long, and `target` in static storage.
 */
enum kf_code kfi_aws_request_new(struct kfi_aws_service *service, const char *target, struct kf_buf *body,
                                 struct kf_error *error, struct kfi_aws_request **out);
void kfi_aws_request_free(struct kfi_aws_request *request); /* cancels; NULL is allowed */

/*
 * KF_PENDING (then `call` is woken), or KF_OK and the body of the reply (which may be a secret; it lives as
 * long as the request), or KF_E_REMOTE (refused), KF_E_RETRY (failed after the last attempt, throttled),
 * KF_E_TIMEOUT, or what the credentials or the transport said. The sentence names operation, HTTP status, the
 * service's code and message, and the request id. `call` is this request's alone.
 */
enum kf_code kfi_aws_request_poll(struct kfi_aws_request *request, struct kf_call *call,
                                  struct kf_error *error, struct kf_view *reply);

/*
 * The service's id of the last reply, "" if there was none; and its error's code ("DisabledException"), or
 * "".
 */
const char *kfi_aws_request_id(const struct kfi_aws_request *request);
const char *kfi_aws_request_error_code(const struct kfi_aws_request *request);

#endif
