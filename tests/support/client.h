/*
 * What the tests of encrypt.c and decrypt.c share: keys, short ways to a message, and streams that are fed in
 * any sizes.
 */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include <stdlib.h>

#include "support/support.h"

/* The eleven suites, in the order of their numbers. */
#define CLIENT_SUITES 11
extern const enum kf_suite client_suites[CLIENT_SUITES];

/* A raw AES keyring: namespace "tests", `name`, and a key of 32 bytes `fill`. */
struct kf_keyring *client_keyring(const char *name, uint8_t fill);

/* A default CMM on a keyring, whose reference it takes over. */
struct kf_cmm *client_cmm_on(struct kf_keyring *keyring);

/*
 * A default CMM on two keys, "one" (fill 1, which generates) and "two" (fill 2): its messages have two EDKs.
 */
struct kf_cmm *client_cmm_of_two(void);

/* The context of these pairs: keys and values in turn. */
#define client_context(...) client_context_of(__VA_ARGS__, (char *)NULL)
const struct kf_encryption_context *client_context_of(const char *key, ...) __attribute__((sentinel));

/* `length` bytes (at most 65,536) of a pattern that does not repeat with a block or a frame. */
struct kf_view client_plaintext(size_t length);

/* Options for this suite, with a policy that allows it. */
struct kf_encrypt_options client_encrypt_options(enum kf_suite suite, uint32_t frame_length,
                                                 const struct kf_encryption_context *context);
struct kf_decrypt_options client_decrypt_options(void); /* any suite */

/* A message made by one call; the caller frees it. */
struct kf_buf client_message(struct kf_cmm *cmm, const struct kf_encrypt_options *options,
                             struct kf_view plaintext);

/* Encrypts and decrypts with a default CMM on `keyring`, whose reference it takes over. */
enum kf_code client_round_trip(struct kf_keyring *keyring, struct kf_error *error);

/* One call decrypts `message` to `plaintext`. */
#define assert_decrypts(cmm, options, message, plaintext) \
    client_assert_decrypts((cmm), (options), (message), (plaintext), __FILE__, __LINE__)
void client_assert_decrypts(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                            struct kf_view message, struct kf_view plaintext, const char *file, int line);

/* One call fails with `code`, gives a sentence, and leaves no plaintext behind. */
#define assert_refused(cmm, options, message, code) \
    client_assert_refused((cmm), (options), (message), (code), __FILE__, __LINE__)
void client_assert_refused(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                           struct kf_view message, enum kf_code code, const char *file, int line);

#define assert_same_bytes(a, b)                                              \
    do {                                                                     \
        const struct kf_view bytes_a = (a), bytes_b = (b);                   \
        assert_int_equal(bytes_a.length, bytes_b.length);                    \
        if (bytes_a.length > 0)                                              \
            assert_memory_equal(bytes_a.data, bytes_b.data, bytes_a.length); \
    } while (0)

static inline struct kf_view buf_view(struct kf_buf buf)
{
    return kf_view_of(buf.data, buf.length);
}

/* ---- Streams ---- */

/* How many bytes the polls of a stream are offered: the first one, all others. */
struct feed {
    size_t first_in, in;
    size_t first_out, out;
    uint32_t seed; /* not 0: `in` and `out` are the most, and the sizes are random */
};
#define FEED_ALL                                  \
    {                                             \
        SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, 0 \
    }

struct streamed {
    enum kf_code code;
    struct kf_error error;
    uint8_t *bytes; /* what came out before the end or the error */
    size_t length;
    size_t taken; /* bytes of input */
};

static inline struct kf_view streamed_view(const struct streamed *streamed)
{
    return kf_view_of(streamed->bytes, streamed->length);
}

static inline void streamed_free(struct streamed *streamed)
{
    free(streamed->bytes);
}

/*
 * Drives one stream to its end or its error; it blocks while keys are fetched. Checks of every poll: The
 * counts stay within what was offered. The output is full before more room is wanted, and the input is used
 * up before more is wanted. Nothing is written behind the count. After an error the output is empty and both
 * counts are 0, at this poll and at every later one.
 */
void stream_encrypt(struct kf_cmm *cmm, const struct kf_encrypt_options *options, struct kf_view plaintext,
                    struct feed feed, struct streamed *out);
void stream_decrypt(struct kf_cmm *cmm, const struct kf_decrypt_options *options, struct kf_view message,
                    struct feed feed, struct streamed *out);

#endif
