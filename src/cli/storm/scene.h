/*
 * The actors of a storm: its callers, the key service, and the cache without coalescing. Included by run.c,
 * which brings them together, by judge.c and rows.c, which look at the callers, and by bench/storm and
 * bench/kms_storm, which drive callers of their own.
 */
#ifndef CLI_STORM_SCENE_H
#define CLI_STORM_SCENE_H

#include <pthread.h>
#include <time.h>

#include <keyflight/keyflight.h>

#include "storm/storm.h"

/* Nanoseconds on CLOCK_MONOTONIC, for the simulated round trip and for what is printed. */
static inline uint64_t storm_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- One caller (callers.c) ---- */

/* A message to be decrypted. */
struct storm_message {
    struct kf_buf bytes;
    size_t header_length;
    uint64_t fingerprint; /* of its encrypted data key */
};

/*
 * Answers the fingerprint of the encrypted data key in the header at the front of `message`. KF_WANT_INPUT if
 * the header is not complete.
 */
enum kf_code storm_fingerprint(struct kf_view message, struct kf_error *error, size_t *header_length,
                               uint64_t *out);

/* What the callers of a scenario have in common. */
struct storm_job {
    struct kf_cmm *cmm;
    enum kf_suite suite;
    enum kf_commitment_policy commitment_policy;
    uint64_t bytes; /* of plaintext */
    const struct kf_encryption_context **contexts;
    struct storm_message *messages; /* one for each context, to be decrypted; NULL: encrypt */
};

enum storm_state {
    STORM_IDLE,    /* has not asked yet */
    STORM_WAITING, /* has asked */
    STORM_HOLDS,   /* was answered and has its materials */
    STORM_DONE,    /* ... and has made or read its message */
    STORM_FAILED,  /* got an error */
    STORM_GAVE_UP, /* gave up before it was answered */
};

struct storm_queue;

/* Asks for the materials of one message, holds them, then makes (or reads) the message. */
struct storm_caller {
    const struct storm_job *job;
    size_t context; /* which of the job's */
    bool gives_up;  /* before the answer */
    size_t fed;     /* how much of the message to be decrypted was taken */
    enum storm_state state;
    uint64_t fingerprint; /* of the encrypted data key in its message, from STORM_DONE on */
    uint64_t asked_ns;
    uint64_t held_ns;
    uint64_t left_ns;               /* when it got an error or gave up */
    struct kf_encryptor *encryptor; /* either */
    struct kf_decryptor *decryptor; /* or this; NULL once it is done or gave up */

    struct storm_queue *queue; /* where its waker posts, */
    struct storm_caller *next; /* ... the caller behind this one in that queue, */
    bool queued;               /* ... and whether this one is in it; all under the queue's lock */
};

/*
 * Prepares a caller of which `job`, `context` and `gives_up` are set and all else is zero. `timeout_ms`
 * limits its wait (0: no limit).
 */
enum kf_code storm_caller_begin(struct storm_caller *caller, uint64_t timeout_ms, struct kf_error *error);

/*
 * Asks for the materials, or polls again. Waits for the answer if `waker` is NULL. Changes the caller's
 * state.
 */
void storm_caller_ask(struct storm_caller *caller, const struct kf_waker *waker);

/* Makes or reads the message of a caller that holds its materials. The message is thrown away. */
void storm_caller_finish(struct storm_caller *caller);

/* The caller waits no more. */
void storm_caller_give_up(struct storm_caller *caller);

/* Why a caller failed. */
void storm_caller_error(const struct storm_caller *caller, struct kf_error *out);

/* Frees what the caller has, in any state. */
void storm_caller_end(struct storm_caller *caller);

/* ---- Many callers on one thread (callers.c) ---- */

/* The callers whose wakers were called, and which are to be polled again. */
struct storm_queue {
    pthread_mutex_t ready_lock;
    pthread_cond_t ready;
    struct storm_caller *first;
    struct storm_caller *last;
};

void storm_queue_init(struct storm_queue *queue);
/* Only after every caller that asked through the queue has ended. */
void storm_queue_end(struct storm_queue *queue);

/* Asks for `caller` without waiting. */
void storm_queue_ask(struct storm_queue *queue, struct storm_caller *caller);

/*
 * Polls callers that are woken until none of the `count` callers waits. If none is woken for `patience_ms` it
 * returns: those that still wait were forgotten.
 */
void storm_queue_wait(struct storm_queue *queue, const struct storm_caller *callers, size_t count,
                      uint64_t patience_ms);

/* ---- Each caller on a thread of its own (callers.c) ---- */

/*
 * Lets `count` callers that have begun ask at once, each blocking on a thread of its own. Once all were
 * answered they make their messages. Errors: KF_E_SYSTEM (too many threads), KF_E_NO_MEMORY.
 */
enum kf_code storm_threads_run(struct storm_caller *callers, size_t count, struct kf_error *error);

/* Lets a blocking caller ask on this thread, and make its message once it is answered. */
void storm_threads_ask(struct storm_caller *caller);

/* ---- The key service (service.c) ---- */

/*
 * The CMM behind the cache. It counts the calls that reach it and passes them on to another CMM. In front of
 * a local key it simulates a service: each call first waits for a round trip. It is asynchronous, and written
 * against the public interface, as a user would write it.
 */
struct storm_service;

struct storm_service_counts {
    uint64_t calls;     /* begun */
    uint64_t answered;  /* of these, answered */
    uint64_t in_flight; /* under way now; whatever else is not answered was cancelled */
    uint64_t peak;      /* under way at once */
    bool key_lost;      /* a call began after a key had been lost */
};

/*
 * A service `rtt_ms` away (0: it answers at once) in front of `inner`, of which it takes a reference. Its
 * first `fail_first` calls fail. The caller owns one reference of `*out`; `*service` lives as long as that
 * CMM.
 */
enum kf_code storm_service_new(struct kf_cmm *inner, uint64_t rtt_ms, uint64_t fail_first,
                               struct kf_error *error, struct storm_service **service, struct kf_cmm **out);

/*
 * Sets a function that says how many keys with budget left were lost so far. Call this before the first call
 * to the service; `context` has to live as long as calls may come.
 */
void storm_service_watch(struct storm_service *service, uint64_t (*lost_keys)(void *context), void *context);

void storm_service_counts(struct storm_service *service, struct storm_service_counts *out);

/* Copies what is known of each call, in the order in which the calls began. The caller frees `*fetches`. */
enum kf_code storm_service_fetches_copy(struct storm_service *service, struct kf_error *error,
                                        struct storm_fetch **fetches, size_t *count);

/* ---- The cache without coalescing (naive.c) ---- */

/*
 * The bug, for comparison: a caching CMM that does what that of every other ESDK does. It looks, misses,
 * fetches and puts, and does not know who else is fetching. It is written against the public interface, as a
 * user would write it.
 */
struct storm_naive;

struct storm_naive_options {
    uint64_t max_messages;
    uint64_t max_bytes;
    uint64_t max_age_ms;
    uint64_t capacity;
};

/* The name of the pair of the encryption context by which it tells requests apart. */
#define STORM_NAIVE_KEY "context"

/*
 * Caches what `backing` answers, of which it takes a reference. The caller owns one reference of `*out`;
 * `*naive` lives as long as that CMM.
 */
enum kf_code storm_naive_new(struct kf_cmm *backing, const struct storm_naive_options *options,
                             struct kf_error *error, struct storm_naive **naive, struct kf_cmm **out);

/* How many keys with budget left ended by capacity or age; the argument is a struct storm_naive. */
uint64_t storm_naive_lost_keys(void *naive);

/* ---- Counting (judge.c) ---- */

/*
 * Counts what `count` callers show, of which the first `warm` were the warm-up, into `*out`, which is all
 * zero. Errors: KF_E_NO_MEMORY; the caller then owes nothing.
 */
enum kf_code storm_tally(const struct storm_caller *callers, size_t warm, size_t count,
                         struct kf_error *error, struct storm_result *out);

#endif
