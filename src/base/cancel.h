/*
 * Cancellation of threads (pthread_cancel). A thread that was cancelled in the middle of our work would leave seats
 * whose wakers are on its stack, flights that nobody drives, and locks of libcrypto that nobody leaves. So
 * cancellation is off while a thread is in here, and whoever was cancelled meanwhile ends behind our function.
 *
 * Called where a function of the library waits, reads files, or polls what belongs to the application.
 */
#ifndef KFI_BASE_CANCEL_H
#define KFI_BASE_CANCEL_H

#include <pthread.h>

/* Turns cancellation off for the calling thread. Answers how it was, for kfi_cancel_restore. */
static inline int kfi_cancel_disable(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

/* Makes it as it was. This is no cancellation point itself. */
static inline void kfi_cancel_restore(int before)
{
    pthread_setcancelstate(before, &before);
}

#endif
