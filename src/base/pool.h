/*
 * Workers: threads of the library for work that may block, so that the internal thread need not do it. A process has one
 * pool of them, and starts them when there is work for them.
 *
 * Work stands in lanes. A lane has so much work under way at most, the rest waits in its line. What may begin always has
 * a worker: there are as many as are needed, up to the limits of all lanes together. So what blocks in one lane holds up
 * no other.
 *
 * A worker without work stays until kf_cleanup, or until a lane has gone without which there are too many. Called by
 * flight.c and by the blocking keyring.
 */
#ifndef KFI_BASE_POOL_H
#define KFI_BASE_POOL_H

#include <keyflight/types.h>

#include "base/list.h"

/* All under the pool's lock, but the limit, which never changes. */
struct kfi_lane {
    size_t limit;
    struct kfi_list line; /* struct kfi_work, by link: may not begin yet */
    size_t under_way;
    unsigned known_in; /* 1 + the generation of the process whose pool knows it; 0: none does yet */
};

/* A lane that nobody has used. */
#define KFI_LANE_INIT(limit)           \
    {                                  \
        (limit), {{NULL, NULL}}, 0, 0, \
    }

/*
 * The end of a lane that has no work any more. Workers that are too many then, and idle, end. `may_wait`: this waits for
 * them, which is short; so a program that is done with everything may exit without a thread of the library.
 */
void kfi_lane_end(struct kfi_lane *lane, bool may_wait);

/* A piece of work. Whoever submits it makes it, zeroed but for the functions. */
struct kfi_work {
    /* Under the pool's lock. */
    struct kfi_link link; /* in the lane's line, or ready to begin */
    struct kfi_lane *lane;
    bool ready;
    unsigned generation; /* of the process that submitted it */

    /* Does it, on a worker. It may block. */
    void (*run)(struct kfi_work *work);
    /*
     * The pool has done with it, and with its lane as far as this work needs it; both may go. `failure` is 0; or the
     * work was not run, and this is the error number of the thread that could not be started for it. Must not block.
     */
    void (*done)(struct kfi_work *work, int failure);
};

/* Puts work into a lane: it is run as soon as the lane's limit allows. Where no worker can be had, it is done at once. */
void kfi_pool_submit(struct kfi_lane *lane, struct kfi_work *work);

/* Takes back work that has not begun: true, and it will be neither run nor done. */
bool kfi_pool_withdraw(struct kfi_work *work);

/* What to answer where a worker could not be started: KF_E_SYSTEM or KF_E_NO_MEMORY, with a sentence. */
enum kf_code kfi_pool_failure(int failure, struct kf_error *error);

/* Whether this thread is a worker. */
bool kfi_pool_is_worker(void);

/*
 * Ends the workers there are, and waits for them: not for longer than a second, since one may be stuck in foreign code.
 * Such a one ends when it comes back. Work that stands in lanes is done first.
 */
void kfi_pool_cleanup(void);

#endif
