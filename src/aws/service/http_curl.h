/*
 * HTTP by libcurl: transfers, and the connections they share. http_curl.c, and http_sockets.c below it, are the
 * only files that know libcurl. Called by http.c, which decides when a transfer begins and when it is given up.
 */
#ifndef KFI_AWS_SERVICE_HTTP_CURL_H
#define KFI_AWS_SERVICE_HTTP_CURL_H

#include "aws/service/http.h"

/* Initialises libcurl, once in a process. False: libcurl can't be used. */
bool kfi_curl_init(void);

/* ---- One transfer: a request, and what came back. Used by one thread at a time ---- */

struct kfi_curl_transfer;

/*
 * Prepares a transfer as far as that is possible before it begins; all arguments are copied. `owner` is what
 * kfi_curl_next_ended answers. Errors: as kfi_http_exchange_start.
 */
enum kf_code kfi_curl_transfer_new(const struct kfi_http_request *request, const char *ca_bundle,
                                   const char *user_agent, void *owner, struct kf_error *error,
                                   struct kfi_curl_transfer **out);
void kfi_curl_transfer_free(struct kfi_curl_transfer *transfer); /* wipes; NULL is allowed */

/* Wipes and frees all but the reply and the endpoint. The transfer is not under way. */
void kfi_curl_transfer_close(struct kfi_curl_transfer *transfer);

/* scheme://host:port, for sentences. Never changes. */
const char *kfi_curl_transfer_endpoint(const struct kfi_curl_transfer *transfer);

/* How a transfer ended: as kfi_http_exchange_poll says it. */
enum kf_code kfi_curl_transfer_result(const struct kfi_curl_transfer *transfer, struct kf_error *error);
const struct kfi_http_reply *kfi_curl_transfer_reply(const struct kfi_curl_transfer *transfer);

/* ---- The connections, and the transfers under way. Used by one thread, but for kfi_curl_wake ---- */

struct kfi_curl;

enum kf_code kfi_curl_new(struct kf_error *error, struct kfi_curl **out); /* KF_E_NO_MEMORY, KF_E_SYSTEM */
void kfi_curl_free(struct kfi_curl *curl); /* closes every connection; no transfer is under way */

/* Begins a transfer, whose first step is done in the next turn. Errors: KF_E_NO_MEMORY, KF_E_SYSTEM. */
enum kf_code kfi_curl_begin(struct kfi_curl *curl, struct kfi_curl_transfer *transfer,
                            struct kf_error *error);

/* A transfer that has begun is under way no more. */
void kfi_curl_remove(struct kfi_curl *curl, struct kfi_curl_transfer *transfer);

/* The owner of a transfer that has ended and was not answered before, or NULL. It has to be removed. */
void *kfi_curl_next_ended(struct kfi_curl *curl);

/*
 * Sleeps until there is something to do, `ms` milliseconds at most, or until kfi_curl_wake. Then takes a few steps of
 * transfers, not all that could be taken: with steps left over, the next turn does not sleep.
 */
void kfi_curl_turn(struct kfi_curl *curl, uint64_t ms);

/* Ends the sleep that is under way, or else the next one. From any thread. */
void kfi_curl_wake(struct kfi_curl *curl);

#endif
