/*
 * Requests: what the backing CMM is asked for when a key is fetched. A request is first only borrowed from whoever
 * asks; a fetch, which outlives its asker, has a counted copy.
 */
#ifndef KFI_MATERIALS_CACHE_REQUEST_H
#define KFI_MATERIALS_CACHE_REQUEST_H

#include <keyflight/cmm.h>

#include "materials/materials.h"

/* A request of either direction, and whom it goes to. Everything is borrowed. */
struct kfi_asked {
    enum kfi_direction direction;
    struct kf_cmm *backing;
    union {
        const struct kf_encryption_request *encryption;
        const struct kf_decryption_request *decryption;
    } request;
};

/*
 * One poll of the backing CMM, with a child of `call`. Materials that come out of a caching CMM already are refused,
 * and these are marked. `*out` becomes a reference. Errors: KF_E_USAGE (nested caching CMMs), and the CMM's.
 */
enum kf_code kfi_asked_poll(const struct kfi_asked *asked, struct kf_call *call, struct kf_error *error,
                            const struct kfi_materials **out);

struct kfi_request;

/* A copy with one reference, which holds all that it needs; NULL: no memory. */
struct kfi_request *kfi_request_copy(const struct kfi_asked *asked);
struct kfi_request *kfi_request_ref(struct kfi_request *request);
void kfi_request_unref(struct kfi_request *request); /* NULL is allowed */

/*
 * The same poll for materials that are to be shared: a suite without a key derivation is refused too (KF_E_POLICY),
 * since its keys must not serve several messages.
 */
enum kf_code kfi_request_poll(const struct kfi_request *request, struct kf_call *call, struct kf_error *error,
                              const struct kfi_materials **out);

/* The EDKs that the key of `materials` came with (encryption) or came out of (decryption). */
const struct kfi_edk_list *kfi_request_edks(const struct kfi_request *request,
                                            const struct kfi_materials *materials);

#endif
