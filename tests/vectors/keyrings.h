/*
 * Keyrings and CMMs from what manifests say of them.
 */
#ifndef TESTS_VECTORS_KEYRINGS_H
#define TESTS_VECTORS_KEYRINGS_H

#include "vectors/vectors.h"

/* A keyring that knows one data key and gives it for any EDKs. It counts how often it is asked. */
struct known_key {
    struct kf_view data_key; /* empty: as many zero bytes as the suite has */
    unsigned asked;
};
/* A default CMM on it; `known` has to outlive it. NULL and a failure if there is no memory. */
struct kf_cmm *known_key_cmm(struct known_key *known, struct verdict *verdict);

/* A default CMM on `keyring`, whose reference it takes over; NULL for NULL. */
struct kf_cmm *cmm_on(struct kf_keyring *keyring, struct verdict *verdict);

/*
 * A keyring, or a CMM, that a manifest of the framework describes, with the keys that the object `keys` has.
 * NULL and a failure or a skip if there can be none. If a multi-keyring works without a part that is not
 * supported, `left_out` says what that part needs.
 */
struct kf_keyring *described_keyring(struct vectors *vectors, const struct json *keys,
                                     const struct json *description, struct verdict *verdict,
                                     const char **left_out);
struct kf_cmm *described_cmm(struct vectors *vectors, const struct json *keys, const struct json *description,
                             struct verdict *verdict, const char **left_out);

/* A multi-keyring of all in an array of descriptions, for decryption. */
struct kf_keyring *described_keyrings(struct vectors *vectors, const struct json *keys,
                                      const struct json *descriptions, struct verdict *verdict,
                                      const char **left_out);

/* A multi-keyring of these, whose references it takes over; NULL for none, or after a failure. */
struct kf_keyring *multi_of(struct kf_keyring **keyrings, size_t count, struct verdict *verdict);

/* A required encryption context CMM on `cmm`, whose reference it takes over; NULL for NULL. */
struct kf_cmm *requiring_cmm(struct kf_cmm *cmm, const struct kf_view *names, size_t count,
                             struct verdict *verdict);

/* "sha256" and the like as OAEP; 0 if there is none. */
enum kf_rsa_padding oaep_padding(struct kf_view hash);

#endif
