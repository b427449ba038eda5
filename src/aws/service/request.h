/*
 * One request to an AWS service that speaks the JSON protocol: credentials, signature, attempts, retries, and what
 * the service's errors mean. Called by kms.c.
 */
#ifndef KFI_AWS_SERVICE_REQUEST_H
#define KFI_AWS_SERVICE_REQUEST_H

#include "aws/service/client.h"

struct kfi_aws_request;

/*
 * A request of `target` ("TrentService.Decrypt") with the JSON `body`, whose memory is taken over in any case and
 * wiped at the end. `service` has to outlive the request, and `target` is in static storage.
 */
enum kf_code kfi_aws_request_new(struct kfi_aws_service *service, const char *target, struct kf_buf *body,
                                 struct kf_error *error, struct kfi_aws_request **out);
void kfi_aws_request_free(struct kfi_aws_request *request); /* cancels; NULL is allowed */

/*
 * KF_PENDING, and then `call` is woken, which is this request's alone. KF_OK and the body of the reply, which may
 * be a secret and lives as long as the request. Or an error: KF_E_REMOTE (refused), KF_E_RETRY (the last attempt
 * failed too, or was throttled), KF_E_TIMEOUT, or the code of credentials that failed or an exchange that failed.
 * The sentence names the operation, the HTTP status, the service's code and message, and the request id.
 */
enum kf_code kfi_aws_request_poll(struct kfi_aws_request *request, struct kf_call *call,
                                  struct kf_error *error, struct kf_view *reply);

/* The id that the service gave the last reply, and the code of its error ("DisabledException"); else "". */
const char *kfi_aws_request_id(const struct kfi_aws_request *request);
const char *kfi_aws_request_error_code(const struct kfi_aws_request *request);

#endif
