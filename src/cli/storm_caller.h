/*
 * One caller of a storm: asks for the materials of one message, holds them, then makes (or reads) the
 * message.
 */
#ifndef KF_CLI_STORM_CALLER_H
#define KF_CLI_STORM_CALLER_H

#include <keyflight/keyflight.h>

/* A message to be decrypted. */
struct storm_message {
    struct kf_buf bytes;
    size_t header_length;
    uint64_t fingerprint; /* of its encrypted data key */
};

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
    STORM_HOLDS,   /* was answered: has its materials */
    STORM_DONE,    /* ... and has made or read its message */
    STORM_FAILED,  /* was answered: an error */
    STORM_GAVE_UP, /* wanted no answer any more */
};

struct storm_queue;

struct storm_caller {
    const struct storm_job *job;
    size_t context; /* which of the job's */
    bool gives_up;  /* before the answer */
    size_t fed;     /* bytes of the message to be decrypted that were taken */
    enum storm_state state;
    uint64_t fingerprint; /* of the encrypted data key in its message; from STORM_DONE on */
    uint64_t asked_ns;
    uint64_t held_ns;
    struct kf_encryptor *encryptor; /* either */
    struct kf_decryptor *decryptor; /* or; NULL once it is done or gave up */

    struct storm_queue *queue; /* storm_poll.c: where the waker posts, */
    struct storm_caller *next; /* ... who is in it behind this one, */
    bool queued;               /* ... and whether this one is; all under the queue's lock */
};

/*
 * Prepares a caller that is all zero but for `job`, `context` and `gives_up`; `timeout_ms` limits its wait
 * (0: nothing does).
 */
enum kf_code storm_caller_begin(struct storm_caller *caller, uint64_t timeout_ms, struct kf_error *error);

/*
 * Asks, or asks again, for the materials; with `waker` NULL it waits for the answer. Moves the caller's
 * state on.
 */
void storm_caller_ask(struct storm_caller *caller, const struct kf_waker *waker);

/* Makes or reads the message of a caller that holds its materials, without keeping it. */
void storm_caller_finish(struct storm_caller *caller);

/* The caller waits no more. */
void storm_caller_give_up(struct storm_caller *caller);

/* Why a caller failed. */
void storm_caller_error(const struct storm_caller *caller, struct kf_error *out);

/* Frees what the caller has, in any state. */
void storm_caller_end(struct storm_caller *caller);

/*
 * The fingerprint of the encrypted data key in the header at the front of `message`; KF_WANT_INPUT if that
 * goes on.
 */
enum kf_code storm_fingerprint(struct kf_view message, struct kf_error *error, size_t *header_length,
                               uint64_t *out);

#endif
