/*
 * Keyflight: the words that every other header uses. Codes and errors, views and buffers, wakers, and the few
 * calls that concern the whole library.
 *
 * What holds everywhere, unless a comment says otherwise:
 *
 * - Functions may be called from any thread, and objects may be used by many threads at once.
 * - A pointer must not be NULL. `error` may be NULL: then the sentence is lost, and the code remains. Functions
 *   named _ref, _unref and _free take NULL and do nothing.
 * - What is passed in is borrowed until the function returns. "Copied" says that nobody looks at it later. A
 *   function that keeps an object takes a reference of its own.
 * - What a function makes comes last, in `*out`, and the caller owns it: one reference (_unref) or all of it
 *   (_free). After an error `*out` is NULL, and a buffer is empty. What a function answers directly is borrowed.
 * - The codes that a function may answer stand behind "Errors". KF_E_BUG may come from all of them.
 * - What stands behind "S:" is a file and a section of the AWS Encryption SDK's specification.
 *
 * Threads of the application.
 *
 * - Signals: no function fails or ends early because a signal came, whether or not its handler was installed with
 *   SA_RESTART. The library's own threads block all signals, so that no handler runs there. A handler must not call
 *   the library.
 * - Cancellation (pthread_cancel): no function is a cancellation point. Cancellation is off while one waits, reads a
 *   file, or calls a keyring, a CMM, a callback of jobs or a waker, so a thread that is cancelled meanwhile ends at its
 *   first cancellation point behind the function. Threads must not be cancelled asynchronously
 *   (PTHREAD_CANCEL_ASYNCHRONOUS) while they are in a function of the library.
 * - Stacks: 64 KiB are enough for every function, but what a keyring, CMM or callback of the application needs comes on
 *   top. The library's own threads have the stacks that the system gives by default, since such functions run there too.
 *
 * How structs may grow. A program may run with a later release than the one it was built with, as long as the
 * shared library has the same name (SONAME).
 *
 * - Options, vtables, credentials, settings and statistics begin with `size`: sizeof the struct, as the caller
 *   knows it. They grow at their end. Begin them from the macro KF_…_INIT, or from the function kf_…_init,
 *   which does the same for bindings; its `size` is sizeof the struct too. The library refuses what it reads
 *   with KF_E_USAGE if the size is no size, or is larger than its own: an option must not be ignored. It fills
 *   what it fills as far as the size says. If that is no size it writes nothing.
 * - What the library makes and others only read has no size: events, suites, results of jobs. It grows at its
 *   end. Don't copy it.
 * - All other structs keep their size for good: views, buffers, errors, pairs, EDKs, data keys, wakers,
 *   passphrases, struct kf_io, and the requests that a CMM gets. A CMM copies its request to change it, and the
 *   copy would say a size that it does not have. What a later release has to tell a CMM comes with its call.
 *
 * Bindings. Constants are enumerators, or variables that are `static const` and have one literal as value, so
 * that generators of bindings see them. Macros are only what the preprocessor needs, and the initialisers. No
 * struct has a bit-field or a member without a name, and no function is inline. With KF_PLAIN defined these
 * headers are plain declarations: no attributes, and no headers of the C library, so that bool, size_t, uint8_t,
 * uint16_t, uint32_t and uint64_t have to be known already.
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
/* A function that can fail. Compilers warn if the caller does not look at the code. */
#define KF_CODE KF_API KF_ATTRIBUTE(warn_unused_result) enum kf_code

#ifdef __cplusplus
extern "C" {
#endif

/* The release that these headers belong to. */
#define KF_VERSION "0.1.0"
#define KF_VERSION_MAJOR 0
#define KF_VERSION_MINOR 1
#define KF_VERSION_PATCH 0

/* The release of the library that is loaded, as in KF_VERSION. Static storage. */
KF_API const char *kf_version(void);

/* What a function answers: 0 is done, positive is flow, negative is an error. */
enum kf_code {
    KF_OK = 0,

    KF_PENDING = 1,     /* not yet: the waker is called once polling again is worth while */
    KF_WANT_INPUT = 2,  /* give more input, or say that it ends */
    KF_WANT_OUTPUT = 3, /* give more room for output */

    /* The call was wrong: an argument out of bounds, a missing option, calls in a wrong order. */
    KF_E_USAGE = -200,
    /* A policy refused: commitment, required encryption context, unsigned_only, reserved names. */
    KF_E_POLICY = -201,
    /* The operation began before a fork. It can't go on in the child. */
    KF_E_FORKED = -202,
    /* The operation was pending when kf_cleanup was called. */
    KF_E_CLEANED_UP = -203,

    /* This is no message, or it breaks a rule of the format. */
    KF_E_MALFORMED = -300,
    /* The message ends too early. */
    KF_E_TRUNCATED = -301,
    /* A tag, a commitment or a signature does not match: the message was changed, or the key is wrong. */
    KF_E_FORGED = -302,
    /* Bytes follow the end of the message. */
    KF_E_TRAILING = -303,

    /* No keyring could wrap or unwrap the data key. */
    KF_E_KEYS = -400,

    /* A service refused. To ask again does not help. */
    KF_E_REMOTE = -500,

    /* A limit was met, of the caller's or of the format's. */
    KF_E_LIMIT = -600,

    /* The operating system or the cryptographic library failed. */
    KF_E_SYSTEM = -700,
    KF_E_NO_MEMORY = -701,

    /* Keyflight has a fault, or a keyring or CMM that was plugged in. Please report it. */
    KF_E_BUG = -7000,

    /* A service failed in a way that may pass. To ask again later may help. */
    KF_E_RETRY = -7500,
    /* A deadline passed, or the time limit of a fetch. To ask again may help. */
    KF_E_TIMEOUT = -7501,
};

/* What the caller can do about an error. The program exits with these numbers. */
enum kf_class {
    KF_CLASS_OK = 0,      /* nothing: it is no error */
    KF_CLASS_USAGE = 2,   /* mend the call */
    KF_CLASS_MESSAGE = 3, /* discard the message */
    KF_CLASS_KEYS = 4,    /* use other keys */
    KF_CLASS_REMOTE = 5,  /* mend what the service complains of */
    KF_CLASS_LIMIT = 6,   /* raise the limit, or send less */
    KF_CLASS_SYSTEM = 7,  /* mend the machine */
    KF_CLASS_BUG = 70,    /* report it */
    KF_CLASS_RETRY = 75,  /* try again */
};

/* The class of `code`: KF_CLASS_OK if it is not negative, KF_CLASS_BUG if it is no code. */
KF_API enum kf_class kf_code_class(enum kf_code code);

/*
 * The name of a code ("KF_E_FORGED"; "KF_E_BUG" for a number that is no code). Every other enum has such a function
 * too. Suites and commitment policies are named as in the specification. All others are named by the end of
 * their enumerator in small letters: "keys" for KF_CLASS_KEYS, "low-reuse" for KF_CACHE_LOW_REUSE. A number
 * without a name is "unknown". The text is in static storage.
 */
KF_API const char *kf_code_name(enum kf_code code);
KF_API const char *kf_class_name(enum kf_class code_class);

/* Why something failed. It owns nothing, so that it can be copied and dropped. */
struct kf_error {
    enum kf_code code;
    char text[508]; /* sentences for people, in UTF-8, with a NUL; never a secret */
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
 * Writes a code and a sentence, as printf does, and answers the code. So a keyring or CMM can say
 * `return kf_error_set(error, KF_E_KEYS, "…")`. A sentence that is too long is cut, and then ends in "…". An
 * argument may be the text of `error` itself.
 */
KF_API enum kf_code kf_error_set(struct kf_error *error, enum kf_code code, const char *format, ...)
    KF_ATTRIBUTE(format(printf, 3, 4));

/*
 * Bytes that somebody else owns. Text is UTF-8 without a NUL. Functions refuse a view with a length but no data
 * (KF_E_USAGE). Those that answer no code take it for no bytes.
 */
struct kf_view {
    const uint8_t *data; /* may be NULL if length is 0 */
    size_t length;       /* in bytes */
};

/* A view of `length` bytes at `data` (NULL if there are none). */
KF_API struct kf_view kf_view_of(const void *data, size_t length);

/* A view of a string, without its NUL. */
KF_API struct kf_view kf_view_text(const char *text);

/*
 * A result that the library allocates and the caller owns. Begin it from KF_BUF_INIT and end it by kf_buf_free.
 * It can be used for one call after another, and keeps its memory. After an error its length is 0, and what
 * was written is wiped. What a call works on (plaintext, message) must not lie in the memory of the buffer for
 * its answer: that is KF_E_USAGE, and then the buffer too stays as it was.
 */
struct kf_buf {
    uint8_t *data;
    size_t length;   /* of the result, in bytes */
    size_t capacity; /* of the memory at `data`, in bytes; for the library's use */
};

#define KF_BUF_INIT \
    {               \
        NULL, 0, 0  \
    }

KF_API void kf_buf_init(struct kf_buf *out);

/* Wipes and frees what `buf` holds, and sets it to KF_BUF_INIT. */
KF_API void kf_buf_free(struct kf_buf *buf);

/* Moves what `buf` holds into the buffer that is answered, and sets `buf` to KF_BUF_INIT. */
KF_API struct kf_buf kf_buf_take(struct kf_buf *buf);

/*
 * How a pending operation says that polling it again is worth while: it calls wake(context). That function only
 * posts: a semaphore, an eventfd, a flag under a lock.
 *
 * When: from the poll that was given it on, even before that poll returns; more than once; also for no reason. A poll
 * copies the waker. It is called no more, and is not running either, once a later poll has answered anything but
 * KF_PENDING or was given another waker, or the operation was freed.
 *
 * Where: on any thread, also on one that is inside a call for another operation. But a thread that is inside a poll of
 * the operation, or frees it, never calls its waker: that poll works off what it causes itself, and what is left is told
 * by another thread. No lock of the library is held meanwhile, but one of a keyring's may be.
 *
 * What it must not do: block, or call Keyflight. The one function that it may call is kf_call_waker_wake, so that a
 * keyring can poll an operation of its own. It may take a lock, but none that anybody holds while calling Keyflight,
 * for two reasons. A poll that ends, or is given another waker, and a free wait until a waker that runs on another
 * thread has returned: it would wait for the lock, and they for it. And a call may call the wakers of other operations
 * on its own thread.
 */
struct kf_waker {
    void (*wake)(void *context);
    void *context;
};

/*
 * Where the library gets its memory. `allocate` answers at least `length` bytes (1 or more), aligned for any
 * object, or NULL. `release` gets what `allocate` answered, never NULL. Both may be called from any thread.
 */
struct kf_allocator {
    size_t size; /* sizeof(struct kf_allocator) */
    void *context;
    void *(*allocate)(void *context, size_t length);
    void (*release)(void *context, void *memory);
};

/*
 * Replaces malloc and free by `allocator`, which is copied. Call it before any other function of the library, and
 * from one thread. Errors: KF_E_USAGE (a function is missing, or the library has allocated already).
 */
KF_CODE kf_allocator_set(const struct kf_allocator *allocator);

struct ossl_lib_ctx_st;

/*
 * Takes all cryptography from the OpenSSL library context `library` (NULL: the default one), by the property
 * query `properties` (NULL: none; copied). If the query names fips, signatures come from OpenSSL too. Call it
 * before the library is used, and from one thread. The library context has to outlive that use. Errors:
 * KF_E_USAGE (too late, or OpenSSL can't parse the query), KF_E_SYSTEM (an algorithm is missing there),
 * KF_E_NO_MEMORY.
 */
KF_CODE kf_crypto_provider_set(struct ossl_lib_ctx_st *library, const char *properties);

/*
 * Fork. The library goes on in the parent as if nothing had happened, and works in the child. The child begins with
 * empty caches and without threads. What was under way at the fork, also in the thread that forked, can only be
 * freed there; all else answers KF_E_FORKED. A keyring or CMM may fork and return in both processes. If it does so on
 * a thread of the library, nobody waits for it in the child: the thread ends there, and with it the process.
 *
 * A fork waits until no thread is inside OpenSSL or libcurl on the library's behalf, so that the child finds none of
 * their locks held. That takes microseconds, but seconds while an RSA key pair is generated, and for as long as an
 * OpenSSL provider waits for a device. Handlers of pthread_atfork that the application registers run before that
 * wait: they must not hold a lock that OpenSSL or libcurl need on other threads, such as one of functions given to
 * CRYPTO_set_mem_functions.
 *
 * Not covered are:
 * - OpenSSL, if the application uses the same library context itself, as for TLS: it has to keep its own uses apart
 *   from its forks. The same holds for algorithms that come from an OpenSSL engine;
 * - a fork from a signal handler that interrupted the library;
 * - vfork, _Fork and clone, which call no handlers. After them call exec or _exit, and nothing of the library.
 */

/*
 * Stops the internal thread, if one was started, and waits for its end. Fetches that are pending fail with
 * KF_E_CLEANED_UP, and their callers are woken, also those of a fetch in which a keyring blocks: only the caller whose
 * thread is inside the keyring stays there until it returns. Workers end too, once the work that was given to them is
 * done; if a keyring holds one for more than a second, it is left alone, and ends when it comes back. Objects stay valid, and the library can be used again. Don't
 * call it from a waker, a keyring, a CMM, a listener or a destructor.
 */
KF_API void kf_cleanup(void);

#ifdef __cplusplus
}
#endif

#endif
