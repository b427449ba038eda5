/*
 * A show: a source of data keys, a cache in front of it, and callers who ask, give up, and check what they get.
 */
#ifndef SCHEDULE_SCENES_SHOW_H
#define SCHEDULE_SCENES_SHOW_H

#include "schedule/scenes/stage.h"

#define CALLERS_MAX 8

/* What the threads of a scene have in common. */
struct show {
    struct source source;
    struct kf_keyring *(*wrap)(struct show *show,
                               struct kf_keyring *keyring); /* takes the keyring over, or NULL */
    struct kf_keyring *keyring;
    struct kf_cache *cache;
    struct kf_cmm *cmm[2]; /* of different limits; some scenes have one only */
    uint32_t limit[2];
    unsigned callers, contexts;
    unsigned asked; /* callers whose first poll has returned */
    bool cancels, expires, fails, starves, lacks_threads;
    uint64_t max_age_ms, timeout_ms;
    uint64_t cleared_begin, cleared_end; /* moments of the last kf_cache_clear that has ended */
    unsigned answered, refused, left;
    unsigned cleaning;   /* threads that call kf_cleanup */
    uint64_t overdue_ms; /* the time limit of a fetch, if fetches may come to it */
};

/* What one thread does. */
struct part {
    struct show *show;
    unsigned number, messages;
};

/* Options with a limit of 2 or 3 messages; the show sets cache and keyring. */
struct kf_caching_cmm_options show_options(void);
void show_open(struct show *show, size_t capacity, struct kf_caching_cmm_options *options);
/* Starts so many callers, and waits for them. `run` gets a struct part. */
void show_play(struct show *show, unsigned callers, unsigned messages, void *(*run)(void *));
void show_close(struct show *show);

/* How many fetches so many messages need. */
uint32_t show_fetches(const struct show *show, uint32_t messages);

/* One caller: asks until it is answered, or gives up on the way. */
void show_ask(struct part *part, bool may_cancel);
/* A thread that does so for each of its messages. */
void *show_ask_often(void *part);
/* A thread that calls kf_cleanup three times. */
void *show_clean_often(void *unused);

#endif
