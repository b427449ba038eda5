/*
 * What scenes share: a source of data keys that knows each by its number, callers that ask, and bells.
 *
 * Nothing here takes a lock: the machine runs one thread at a time, and what is here is no point unless it says so.
 */
#ifndef SCHEDULE_SCENES_STAGE_H
#define SCHEDULE_SCENES_STAGE_H

#include <keyflight/keyflight.h>

#include "schedule/scenes/scene.h"

/* ---- Bells: wakers to wait for ---- */

/* A waker that is a failure wherever the library may not call it. */
struct bell {
    bool rung, closed;
    unsigned running;
    unsigned polled_by; /* 1 and the thread that is inside a poll of its operation; 0: none is */
};

struct kf_waker bell_waker(struct bell *bell);
/* Waits until it was rung, `ms` milliseconds at most. */
void bell_wait(struct bell *bell, uint64_t ms);
/* From now on it must not be called, nor be running. */
void bell_close(struct bell *bell);
/* Around each poll: within it, the waker is not called by the same thread. */
void bell_poll_begin(struct bell *bell);
void bell_poll_end(struct bell *bell);

/* ---- The source ---- */

#define KEYS_MAX 512
#define CONTEXTS 2 /* different questions */

enum answer_way {
    AT_ONCE,     /* within the first poll */
    BY_SERVICE,  /* by a thread of its own, whenever that runs */
    BY_TIMER,    /* by a timer of the call */
    AFTER_WAKES, /* it wakes itself a few times before */
    ANY_WAY      /* each fetch draws one of these */
};

/* What is known of one data key. */
struct key {
    uint64_t begun;          /* moments, see stage_moment */
    uint64_t seen_ms;        /* when the first caller had it; 0: none has */
    uint32_t uses, max_uses; /* max_uses: the least limit of those who used it */
    bool failed;
};

struct source {
    enum answer_way way;
    uint64_t latency_ms;    /* the service sleeps up to so long before an answer */
    uint32_t fail_permille; /* so many of a thousand fetches fail */
    bool gated;             /* the service answers nothing */
    bool blocks;            /* BY_SERVICE: the poll itself waits */

    uint32_t begun, under_way, peak;
    struct key keys[KEYS_MAX];
    struct request *waiting; /* that the service has not answered */
    bool closing;
    unsigned service;  /* its thread */
    unsigned keyrings; /* that are not destroyed */
};

/* Starts the service. The source has to outlive all that asks it. */
void source_open(struct source *source);
/* One poll of a fetch: KF_PENDING, or KF_OK and the number of a key, or KF_E_RETRY. */
enum kf_code source_fetch(struct source *source, struct kf_call *call, struct kf_error *error,
                          uint32_t *number);
/* A keyring of this source. */
struct kf_keyring *source_keyring(struct source *source);
void source_gate_open(struct source *source);
/* Waits for the end of its keyrings, and then of the service. */
void source_close(struct source *source);

/* A number that grows with each call. */
uint64_t stage_moment(void);

/* ---- Callers ---- */

struct caller {
    struct kf_encryptor *encryptor;
    struct bell bell;
    enum kf_code code; /* KF_OK: it has a key */
    uint64_t asked, asked_ms;
    uint32_t key;
};

struct ask_options {
    struct kf_cmm *cmm;
    uint64_t length, timeout_ms;
    unsigned context; /* which question, below CONTEXTS */
};

/* Makes a caller; caller_poll asks. */
void caller_begin(struct caller *caller, const struct ask_options *options);
/* Polls once. KF_OK: it has a key, which is noted unless `source` is NULL. */
enum kf_code caller_poll(struct caller *caller, struct source *source, uint32_t max_uses);
/* Polls whenever the bell rings, or blocks, until there is an answer. */
enum kf_code caller_wait(struct caller *caller, struct source *source, uint32_t max_uses, bool blocking);
/* Ends the caller, whatever it waits for. */
void caller_end(struct caller *caller);

/* ---- The cache in front of a source ---- */

struct kf_caching_cmm_options stage_options(struct kf_cache *cache, struct kf_keyring *keyring,
                                            uint32_t max_messages);
struct kf_cmm *stage_cmm(const struct kf_caching_cmm_options *options);
struct kf_cache *stage_cache(size_t capacity);
struct kf_cache_stats stage_stats(struct kf_cache *cache);

/* Threads of a scene: starts `count` that run `run` with the elements of an array, and waits for them. */
void stage_threads(const char *name, void *(*run)(void *), void *elements, size_t size, size_t count);

#endif
