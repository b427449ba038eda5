/*
 * The callers of a storm, and how many of them are driven at once: see scene.h. Called by run.c and by
 * bench/kms_storm. Never keeps a message: its header is read for the fingerprint, the rest is thrown away. On
 * the one thread it never polls a caller that was not woken, so a waker that stays silent shows as a caller
 * without an answer.
 */
#include "storm/scene.h"

#include <stdlib.h>
#include <string.h>

enum kf_code storm_fingerprint(struct kf_view message, struct kf_error *error, size_t *header_length,
                               uint64_t *out)
{
    const struct kf_header *header = NULL;
    enum kf_code code = kf_header_parse(message, 0, error, &header);
    if (code != KF_OK)
        return code;
    /* There is an EDK for each wrapping key. The first of them tells data keys apart. */
    struct kf_edk edk = kf_header_edk(header, 0);
    char text[KF_FINGERPRINT_SIZE];
    code = kf_edk_fingerprint(&edk, error, text);
    if (code == KF_OK) {
        *header_length = kf_header_length(header);
        *out = strtoull(text, NULL, 16);
    }
    kf_header_unref(header);
    return code;
}

enum kf_code storm_caller_begin(struct storm_caller *caller, uint64_t timeout_ms, struct kf_error *error)
{
    const struct storm_job *job = caller->job;
    if (job->messages != NULL) {
        struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
        options.commitment_policy = job->commitment_policy;
        options.timeout_ms = timeout_ms;
        return kf_decryptor_new(job->cmm, &options, error, &caller->decryptor);
    }
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.encryption_context = job->contexts[caller->context];
    options.suite = job->suite;
    options.commitment_policy = job->commitment_policy;
    options.plaintext_bound = job->bytes;
    options.timeout_ms = timeout_ms;
    return kf_encryptor_new(job->cmm, &options, error, &caller->encryptor);
}

void storm_caller_ask(struct storm_caller *caller, const struct kf_waker *waker)
{
    struct kf_io io = {0};
    enum kf_code code;
    if (caller->state == STORM_IDLE)
        caller->asked_ns = storm_now_ns();
    if (caller->encryptor != NULL) {
        code = kf_encryptor_poll(caller->encryptor, &io, waker);
    } else {
        /*
         * A decryptor asks once it has read the header. It gets only that, so it stops when it has its key.
         */
        const struct storm_message *message = &caller->job->messages[caller->context];
        io.in = message->bytes.data + caller->fed;
        io.in_length = message->header_length - caller->fed;
        code = kf_decryptor_poll(caller->decryptor, &io, waker);
        caller->fed += io.in_used;
    }
    if (code == KF_PENDING) {
        caller->state = STORM_WAITING;
    } else if (code < 0) {
        caller->left_ns = storm_now_ns();
        caller->state = STORM_FAILED;
    } else {
        caller->held_ns = storm_now_ns();
        caller->state = STORM_HOLDS;
    }
}

void storm_caller_end(struct storm_caller *caller)
{
    kf_encryptor_free(caller->encryptor);
    kf_decryptor_free(caller->decryptor);
    caller->encryptor = NULL;
    caller->decryptor = NULL;
}

/* Encrypts zeros; the front of the message is kept until its header is complete. */
static enum kf_code make_message(struct storm_caller *caller)
{
    static const uint8_t zeros[16384];
    uint8_t message[16384];
    size_t kept = 0;
    bool is_known = false;
    uint64_t left = caller->job->bytes;
    enum kf_code code;
    do {
        struct kf_io io = {.in = zeros, .in_length = left < sizeof zeros ? (size_t)left : sizeof zeros};
        io.in_end = io.in_length == left;
        io.out = message + kept;
        io.out_room = sizeof message - kept;
        code = kf_encryptor_poll(caller->encryptor, &io, NULL);
        if (code < 0)
            return code;
        left -= io.in_used;
        kept += io.out_used;
        if (!is_known) {
            size_t header_length;
            enum kf_code parsed =
                storm_fingerprint(kf_view_of(message, kept), NULL, &header_length, &caller->fingerprint);
            if (parsed < 0 || (parsed == KF_WANT_INPUT && (code == KF_OK || kept == sizeof message)))
                return KF_E_BUG;
            is_known = parsed == KF_OK;
        }
        if (is_known)
            kept = 0;
    } while (code != KF_OK);
    return KF_OK;
}

/* Decrypts the rest of the message; the plaintext must be as long as what was encrypted. */
static enum kf_code read_message(struct storm_caller *caller)
{
    const struct storm_message *message = &caller->job->messages[caller->context];
    uint8_t plaintext[16384];
    size_t read = caller->fed;
    uint64_t written = 0;
    enum kf_code code;
    do {
        struct kf_io io = {.in = message->bytes.data + read,
                           .in_length = message->bytes.length - read,
                           .in_end = true,
                           .out = plaintext,
                           .out_room = sizeof plaintext};
        code = kf_decryptor_poll(caller->decryptor, &io, NULL);
        if (code < 0)
            return code;
        read += io.in_used;
        written += io.out_used;
    } while (code != KF_OK);
    caller->fingerprint = message->fingerprint;
    return written == caller->job->bytes ? KF_OK : KF_E_BUG;
}

void storm_caller_finish(struct storm_caller *caller)
{
    enum kf_code code = caller->encryptor != NULL ? make_message(caller) : read_message(caller);
    caller->state = code == KF_OK ? STORM_DONE : STORM_FAILED;
    if (code == KF_OK)
        storm_caller_end(caller);
}

void storm_caller_give_up(struct storm_caller *caller)
{
    if (caller->left_ns == 0)
        caller->left_ns = storm_now_ns();
    caller->state = STORM_GAVE_UP;
    storm_caller_end(caller);
}

void storm_caller_error(const struct storm_caller *caller, struct kf_error *out)
{
    *out = caller->encryptor != NULL ? *kf_encryptor_error(caller->encryptor)
                                     : *kf_decryptor_error(caller->decryptor);
    if (out->code == KF_OK)
        (void)kf_error_set(out, KF_E_BUG,
                           "A message came out wrong: without a header, or of the wrong length.");
}

/* ---- Many on one thread ---- */

void storm_queue_init(struct storm_queue *queue)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->ready_lock, NULL);
    pthread_cond_init(&queue->ready, &monotonic);
    pthread_condattr_destroy(&monotonic);
    queue->first = NULL;
    queue->last = NULL;
}

void storm_queue_end(struct storm_queue *queue)
{
    pthread_cond_destroy(&queue->ready);
    pthread_mutex_destroy(&queue->ready_lock);
}

/* The waker of a caller: puts it into the queue. */
static void queue_post(void *context)
{
    struct storm_caller *caller = context;
    struct storm_queue *queue = caller->queue;
    pthread_mutex_lock(&queue->ready_lock);
    if (!caller->queued) {
        caller->queued = true;
        caller->next = NULL;
        if (queue->first == NULL)
            queue->first = caller;
        else
            queue->last->next = caller;
        queue->last = caller;
        pthread_cond_signal(&queue->ready);
    }
    pthread_mutex_unlock(&queue->ready_lock);
}

/* Takes the next caller that was woken; NULL if none is woken for `patience_ms`. */
static struct storm_caller *queue_take(struct storm_queue *queue, uint64_t patience_ms)
{
    uint64_t until_ns = storm_now_ns() + patience_ms * 1000000;
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int status = 0;
    pthread_mutex_lock(&queue->ready_lock);
    while (queue->first == NULL && status == 0)
        status = pthread_cond_timedwait(&queue->ready, &queue->ready_lock, &until);
    struct storm_caller *caller = queue->first;
    if (caller != NULL) {
        queue->first = caller->next;
        caller->queued = false;
    }
    pthread_mutex_unlock(&queue->ready_lock);
    return caller;
}

void storm_queue_ask(struct storm_queue *queue, struct storm_caller *caller)
{
    if (caller->state == STORM_IDLE) /* set once, as wakers read it */
        caller->queue = queue;
    struct kf_waker waker = {queue_post, caller};
    storm_caller_ask(caller, &waker);
}

void storm_queue_wait(struct storm_queue *queue, const struct storm_caller *callers, size_t count,
                      uint64_t patience_ms)
{
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++)
        waiting += callers[i].state == STORM_WAITING;
    while (waiting > 0) {
        struct storm_caller *caller = queue_take(queue, patience_ms);
        if (caller == NULL)
            return;
        /*
         * A waker may be called more than once and without need, and a caller that gave up may still be in
         * the queue.
         */
        if (caller->state != STORM_WAITING)
            continue;
        storm_queue_ask(queue, caller);
        waiting -= caller->state != STORM_WAITING;
    }
}

/* ---- Each on a thread of its own ---- */

/* Where each thread waits for all others: before they ask, and again before they make their messages. */
struct barrier {
    pthread_mutex_t arrivals_lock;
    pthread_cond_t complete;
    size_t size;
    size_t arrived;
    unsigned round;
    bool broken; /* not all threads could be started: none goes on */
};

struct thread {
    pthread_t id;
    struct barrier *barrier;
    struct storm_caller *caller;
};

static bool barrier_pass(struct barrier *barrier)
{
    pthread_mutex_lock(&barrier->arrivals_lock);
    unsigned round = barrier->round;
    if (++barrier->arrived == barrier->size) {
        barrier->arrived = 0;
        barrier->round++;
        pthread_cond_broadcast(&barrier->complete);
    }
    while (barrier->round == round && !barrier->broken)
        pthread_cond_wait(&barrier->complete, &barrier->arrivals_lock);
    bool passed = !barrier->broken;
    pthread_mutex_unlock(&barrier->arrivals_lock);
    return passed;
}

static void barrier_break(struct barrier *barrier)
{
    pthread_mutex_lock(&barrier->arrivals_lock);
    barrier->broken = true;
    pthread_cond_broadcast(&barrier->complete);
    pthread_mutex_unlock(&barrier->arrivals_lock);
}

/* Asks and waits for the answer. A blocking caller gives up by its deadline. */
static void thread_ask(struct storm_caller *caller)
{
    storm_caller_ask(caller, NULL);
    if (caller->state != STORM_FAILED || !caller->gives_up)
        return;
    struct kf_error error;
    storm_caller_error(caller, &error);
    if (error.code == KF_E_TIMEOUT)
        storm_caller_give_up(caller);
}

void storm_threads_ask(struct storm_caller *caller)
{
    thread_ask(caller);
    if (caller->state == STORM_HOLDS)
        storm_caller_finish(caller);
}

static void *thread_main(void *context)
{
    struct thread *thread = context;
    if (!barrier_pass(thread->barrier))
        return NULL;
    thread_ask(thread->caller);
    /* The first that are answered wait for the others to have asked: there are fewer cores than callers. */
    if (barrier_pass(thread->barrier) && thread->caller->state == STORM_HOLDS)
        storm_caller_finish(thread->caller);
    return NULL;
}

enum kf_code storm_threads_run(struct storm_caller *callers, size_t count, struct kf_error *error)
{
    struct thread *threads = calloc(count, sizeof *threads);
    if (threads == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for %zu threads.", count);
    struct barrier barrier = {.size = count};
    pthread_mutex_init(&barrier.arrivals_lock, NULL);
    pthread_cond_init(&barrier.complete, NULL);

    enum kf_code code = KF_OK;
    size_t started = 0;
    for (; started < count && code == KF_OK; started++) {
        struct thread *thread = &threads[started];
        *thread = (struct thread){.barrier = &barrier, .caller = &callers[started]};
        int number = pthread_create(&thread->id, NULL, thread_main, thread);
        if (number != 0) {
            code = kf_error_set(error, KF_E_SYSTEM, "Only %zu of %zu threads could be started: %s.", started,
                                count, strerror(number));
            barrier_break(&barrier);
            break;
        }
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i].id, NULL);
    pthread_cond_destroy(&barrier.complete);
    pthread_mutex_destroy(&barrier.arrivals_lock);
    free(threads);
    return code;
}
