/*
 * Keyflight: the words every other header uses.
 *
 * Codes and errors, views and buffers, wakers, and the few calls that concern the whole library. Everything
 * here may be called from any thread unless its comment says otherwise.
 *
 * How structs may grow. A program may run with a later release than the one it was built with, as long as the
 * name of the shared library (its SONAME) is the same.
 *
 * - Options, vtables, credentials, settings and statistics begin with `size`, which is sizeof of the struct as
 *   the caller knows it. They grow at their end. Begin them from their KF_…_INIT macro, or from the function
 *   kf_…_init, which does the same for bindings. What the library reads is refused with KF_E_USAGE if its size
 *   is none or is larger than the library's own, for an option must not be ignored. What the library fills is
 *   filled as far as its size says; if its size is none, nothing is written.
 * - What the library makes and others read through a pointer has no size: events and suites. They grow at
 *   their end.
 * - Every other struct keeps its size for good: views, buffers, errors, pairs, EDKs, data keys, wakers, kf_io,
 *   and the requests that CMMs copy and change. What a later release wants to tell a CMM comes by its call.
 *
 * Bindings. Constants are enumerators, or variables that are `static const` and have one literal as their
 * value, so that generators of bindings see them; macros are only what the preprocessor needs, and the
 * initialisers. No struct has a bit-field or a member without a name, and no function is inline. With KF_PLAIN
 * defined these headers are plain declarations: no attributes, and no headers of the C library, so that bool,
 * size_t, uint8_t, uint16_t, uint32_t and uint64_t have to be known already.
 */
#ifndef KEYFLIGHT_TYPES_H
#define KEYFLIGHT_TYPES_H

#ifdef KF_PLAIN
#define KF_ATTRIBUTE(attribute)
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define KF_ATTRIBUTE(attribute) __attribute__((attribute))
#endif

/* A function that the shared library exports. */
#define KF_API KF_ATTRIBUTE(visibility("default"))
/* A function that can fail: its code has to be looked at. */
#define KF_CODE KF_API KF_ATTRIBUTE(warn_unused_result) enum kf_code

#ifdef __cplusplus
extern "C" {
#endif

/* The release that these headers belong to. */
#define KF_VERSION "0.1.0"
#define KF_VERSION_MAJOR 0
#define KF_VERSION_MINOR 1
#define KF_VERSION_PATCH 0

/* The release of the library that runs, as in KF_VERSION. Static storage. */
KF_API const char *kf_version(void);

/* What a function answers: 0 is done, positive is flow, negative is an error. */
enum kf_code {
    KF_OK = 0,

    KF_PENDING = 1,     /* not yet; the waker is called once polling again is worth while */
    KF_WANT_INPUT = 2,  /* give more input, or say that it ends */
    KF_WANT_OUTPUT = 3, /* give more room for output */

    KF_E_USAGE =
        -200, /* the call was wrong: an argument out of bounds, a missing option, a wrong order of calls */
    KF_E_POLICY = -201, /* refused by a policy: commitment, required context, unsigned-only, reserved names */
    KF_E_FORKED = -202, /* the operation began before a fork and can't go on in the child */
    KF_E_CLEANED_UP = -203, /* the operation was pending when kf_cleanup was called */

    KF_E_MALFORMED = -300, /* not a message, or one that breaks a rule of the format */
    KF_E_TRUNCATED = -301, /* the message ends too early */
    /* a tag, commitment or signature does not match: the message was changed, or the key is wrong */
    KF_E_FORGED = -302,
    KF_E_TRAILING = -303, /* bytes follow the end of the message */

    KF_E_KEYS = -400, /* no keyring could unwrap (or wrap) the data key */

    KF_E_REMOTE = -500, /* a service refused; asking again will not help */

    KF_E_LIMIT = -600, /* a limit set by the caller or the format was met */

    KF_E_SYSTEM = -700,    /* the operating system or the cryptographic library failed */
    KF_E_NO_MEMORY = -701, /* no memory */

    KF_E_BUG = -7000, /* a fault of Keyflight, or of a keyring or CMM that was plugged in: please report it */

    KF_E_RETRY = -7500,   /* a service failed in a way that may pass: asking again later may help */
    KF_E_TIMEOUT = -7501, /* a deadline, or the time limit of a fetch, passed: asking again may help */
};

/* What the caller can do about an error. The numbers are also the exit statuses of the program. */
enum kf_class {
    KF_CLASS_OK = 0,      /* done, or flow */
    KF_CLASS_USAGE = 2,   /* mend the call */
    KF_CLASS_MESSAGE = 3, /* discard the message */
    KF_CLASS_KEYS = 4,    /* use other keys */
    KF_CLASS_REMOTE = 5,  /* mend what the service complains of */
    KF_CLASS_LIMIT = 6,   /* raise the limit, or send less */
    KF_CLASS_SYSTEM = 7,  /* mend the machine */
    KF_CLASS_BUG = 70,    /* report it */
    KF_CLASS_RETRY = 75,  /* try again */
};

/* The class of `code`; KF_CLASS_OK for every non-negative code. */
KF_API enum kf_class kf_code_class(enum kf_code code);

/*
 * Every enum has a function kf_…_name, which answers text in static storage. Codes are named as they are here
 * ("KF_E_FORGED"), suites and commitment policies as in the specification. All others have the end of their
 * enumerator in small letters: "keys" for KF_CLASS_KEYS, "low-reuse" for KF_CACHE_LOW_REUSE. A number that is
 * none is "unknown", as a code "KF_E_BUG".
 */
KF_API const char *kf_code_name(enum kf_code code);
KF_API const char *kf_class_name(enum kf_class code_class);

/* Why something failed: a value of fixed size that owns nothing. */
struct kf_error {
    enum kf_code code;
    char text[508]; /* one sentence or more, UTF-8, NUL-terminated, never a secret */
};

#define KF_ERROR_INIT \
    {                 \
        KF_OK,        \
        {             \
            0         \
        }             \
    }

KF_API void kf_error_init(struct kf_error *out);

/*
 * Writes `code` and a printf-style sentence into `error` and returns `code`, so that a keyring or CMM can say
 * `return kf_error_set(error, KF_E_KEYS, "…")`. `error` may be NULL. A sentence that is too long is cut, and
 * then ends in "…".
 */
KF_API enum kf_code kf_error_set(struct kf_error *error, enum kf_code code, const char *format, ...)
    KF_ATTRIBUTE(format(printf, 3, 4));

/*
 * Bytes that somebody else owns. Text is UTF-8 without a terminator. A view with a length but no data is refused
 * by whatever function it is given to (KF_E_USAGE); where none can be answered it counts as no bytes.
 */
struct kf_view {
    const uint8_t *data; /* may be NULL if length is 0 */
    size_t length;       /* in bytes */
};

/* A view of `length` bytes at `data`. */
KF_API struct kf_view kf_view_of(const void *data, size_t length);

/* A view of a NUL-terminated string, without its NUL. */
KF_API struct kf_view kf_view_text(const char *text);

/*
 * A result that the library allocates and the caller owns. Start from KF_BUF_INIT; a buffer can be used for
 * one call after another and keeps its memory; kf_buf_free ends it. On an error its length is 0 and what was
 * written is wiped. The bytes that a call works on (plaintext, message) must not lie in the memory of a buffer that
 * it answers in: that is KF_E_USAGE, and then nothing at all is changed.
 */
struct kf_buf {
    uint8_t *data;
    size_t length;   /* bytes that count */
    size_t capacity; /* bytes allocated */
};

#define KF_BUF_INIT \
    {               \
        NULL, 0, 0  \
    }

KF_API void kf_buf_init(struct kf_buf *out);

/* Wipes and frees what `buf` holds and sets it to KF_BUF_INIT. */
KF_API void kf_buf_free(struct kf_buf *buf);

/* Moves what `buf` holds to the caller, and sets it to KF_BUF_INIT. */
KF_API struct kf_buf kf_buf_take(struct kf_buf *buf);

/*
 * How a pending operation says that polling it again is worth while. `wake` only posts (a semaphore, an
 * eventfd, a flag under a lock): it must not block and must not call Keyflight. It may be called from any
 * thread, more than once, for no reason, and before the poll that registered it has returned. Once a poll
 * returned anything but KF_PENDING, was given another waker, or the operation was freed, the old waker is not
 * running and never will be.
 */
struct kf_waker {
    void (*wake)(void *context);
    void *context;
};

/*
 * All memory of the library comes from here. `allocate` answers memory aligned for any object, or NULL;
 * `release` gets what `allocate` returned, never NULL. Both are called from any thread.
 */
struct kf_allocator {
    size_t size; /* sizeof(struct kf_allocator) */
    void *context;
    void *(*allocate)(void *context, size_t length);
    void (*release)(void *context, void *memory);
};

/*
 * Replaces malloc and free by `allocator`, which is copied. Has to come before any other call of the library,
 * from one thread; KF_E_USAGE if something was allocated already.
 */
KF_CODE kf_allocator_set(const struct kf_allocator *allocator);

struct ossl_lib_ctx_st;

/*
 * Takes all cryptography from the OpenSSL library context `library` (NULL: the default one) by the property
 * query `properties` (NULL: none; copied). With a query that names fips, signatures come from OpenSSL too.
 * Has to come before first use, from one thread. Errors: KF_E_USAGE (too late, or a query that can't be parsed),
 * KF_E_SYSTEM (an algorithm is missing there), KF_E_NO_MEMORY.
 */
KF_CODE kf_crypto_provider_set(struct ossl_lib_ctx_st *library, const char *properties);

/*
 * Stops the internal thread, if one was started. Pending fetches fail with KF_E_CLEANED_UP, their callers are
 * woken. Objects stay valid and the library can be used again. Not to be called from a waker, keyring, CMM or
 * destructor.
 */
KF_API void kf_cleanup(void);

#ifdef __cplusplus
}
#endif

#endif
