/*
 * What the tests share: cmocka with its includes, a CMM that answers when told, bells to wait on, and
 * helpers.
 */
#ifndef TESTS_SUPPORT_SUPPORT_H
#define TESTS_SUPPORT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include <keyflight/keyflight.h>

/* Fails the test, with the sentence, unless `code` is KF_OK. */
#define assert_ok(code, error) support_assert_ok((code), (error), __FILE__, __LINE__)
void support_assert_ok(enum kf_code code, const struct kf_error *error, const char *file, int line);

/* ---- Bells: wakers that a test can wait for, without sleeping ---- */

struct bell {
    pthread_mutex_t lock; /* guards rung */
    pthread_cond_t changed;
    unsigned rung;
};

void bell_init(struct bell *bell);
void bell_destroy(struct bell *bell);
struct kf_waker bell_waker(struct bell *bell);
/* Waits until the bell was rung, and resets it. */
void bell_wait(struct bell *bell);
/* How often it was rung since bell_init or the last bell_wait. */
unsigned bell_rung(struct bell *bell);

/* ---- Keyrings and CMMs ---- */

/* A raw AES keyring with a fixed key, namespace "tests", name "key". */
struct kf_keyring *support_keyring(void);

/* A default CMM on it. */
struct kf_cmm *support_cmm(void);

/*
 * A CMM that answers when told. Each call to it waits until the test answers it. With KF_OK it is then passed
 * to a default CMM, else it fails with the code. The calls are numbered from 0 in the order in which they
 * begin.
 */
struct told;

/* The test owns `*cmm` and the told, and frees the told last (told_free). */
struct told *told_new(struct kf_cmm **cmm);
void told_free(struct told *told);

void told_answer(struct told *told, unsigned index, enum kf_code code); /* call `index` has begun */
void told_answer_all(struct told *told, enum kf_code code); /* all that have begun and were not answered */
void told_answer_always(struct told *told, bool always);    /* from now on at once, when calls begin */
void told_wake_all(struct told *told);                      /* wakes every call ever begun, for no reason */

unsigned told_begun(struct told *told);                  /* calls ever begun */
unsigned told_in_flight(struct told *told);              /* begun, and neither answered nor dropped */
unsigned told_peak(struct told *told);                   /* the most that ever were in flight at once */
unsigned told_dropped(struct told *told);                /* dropped before they were answered */
void told_wait_begun(struct told *told, unsigned count); /* waits until so many calls have begun */
void told_wait_dropped(struct told *told, unsigned count);

/* The last request for encryption. */
uint64_t told_last_bound(struct told *told);

/* ---- Clock ---- */

/*
 * Stops the clock at `ms`; support_clock_advance moves it on and lets the internal thread look.
 * support_clock_real ends it.
 */
void support_clock_stop(uint64_t ms);
void support_clock_advance(uint64_t ms);
void support_clock_real(void);

/* ---- The internal thread ---- */

/*
 * Waits until the internal thread, which is started if there is none, has done what was due when this was
 * called: timers that the clock has reached, and tasks that were woken, with their landings. Not to be called
 * while a waker or a poll on that thread is held up.
 */
void support_settle(void);

/* How many threads this process has, and two: for comparing. One that was joined may be counted a moment longer. */
unsigned support_threads(void);

/* ---- Forked children ---- */

/*
 * Runs `check` in a forked child and answers what it answered; false also if the child died, or had not ended
 * after 60 seconds. `check` may use nothing of cmocka.
 */
bool support_in_child(bool (*check)(void *context), void *context);

/* ThreadSanitizer kills a forked child that starts a thread. */
#if defined(__SANITIZE_THREAD__)
#define SUPPORT_THREADS_IN_CHILDREN false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SUPPORT_THREADS_IN_CHILDREN false
#endif
#endif
#ifndef SUPPORT_THREADS_IN_CHILDREN
#define SUPPORT_THREADS_IN_CHILDREN true
#endif

#endif
