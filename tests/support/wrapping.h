/*
 * Asking a keyring directly, without a message around it.
 */
#ifndef TESTS_SUPPORT_WRAPPING_H
#define TESTS_SUPPORT_WRAPPING_H

#include "support/client.h"

#include "materials/materials.h"

/*
 * Has `keyring` wrap `data_key` (NULL: a new one) for the context {a: value}; the caller frees `*out`
 * (kfi_wrapped_free), whatever the code.
 */
enum kf_code wrapping_wrap(struct kf_keyring *keyring, enum kf_suite suite, const char *value,
                           const struct kf_data_key *data_key, struct kf_error *error,
                           struct kf_wrapped *out);

/* Has it unwrap one of `edks`. An error has to have a sentence, and to leave no trace of a data key. */
enum kf_code wrapping_unwrap(struct kf_keyring *keyring, enum kf_suite suite, const char *value,
                             const struct kf_edk *edks, size_t count, struct kf_error *error,
                             struct kf_data_key *out);

#endif
