/*
 * A keyring that blocks, as one on a device that hangs: each call to it is held inside until the test lets it go. It
 * then wraps as the keyring of support_keyring does. The calls are numbered from 0 in the order in which they come.
 */
#ifndef TESTS_SUPPORT_HELD_H
#define TESTS_SUPPORT_HELD_H

#include "support/asker.h"

#define HELD_MAX 64

struct held {
    struct kf_keyring *keyring; /* the test's reference */
    struct kf_keyring *inner;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned begun, ended;
    bool free[HELD_MAX]; /* may go on */
    bool all_free;
    bool on_internal; /* some call came on the internal thread */
};

void held_open(struct held *held);
/* Ends it. The test has released everything that uses the keyring, and no call is inside. */
void held_close(struct held *held);

void held_wait_begun(struct held *held, unsigned count);
void held_wait_ended(struct held *held, unsigned count);
void held_let_go(struct held *held, unsigned index);
/* All that are inside, and all that come. */
void held_let_go_all(struct held *held);

/* A thread that asks a CMM, and waits for the answer. */
struct asking_thread {
    struct asker asker;
    struct kf_cmm *cmm;
    pthread_t thread;
};
void asking_thread_start(struct asking_thread *thread, struct kf_cmm *cmm);
/* Waits for its end: what it was answered. The asker is to be left. */
enum kf_code asking_thread_end(struct asking_thread *thread);

#endif
