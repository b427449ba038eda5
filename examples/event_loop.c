/*
 * One thread drives a hundred encryptors while their keys are being fetched.
 *
 * A poll that has to wait answers KF_PENDING, and its waker is called once polling again is worth while. The
 * waker may come from another thread and must not block: it marks its job and writes to an eventfd, on which
 * the loop sleeps with everything else that it may have to listen to.
 */
#include <errno.h>
#include <keyflight/keyflight.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#define JOBS 100

struct job {
    struct kf_encryptor *encryptor; /* NULL once it is done */
    int loop_fd;
    atomic_bool ready; /* polling is worth while */
    struct kf_view plaintext;
    size_t taken; /* of it */
    uint8_t message[1024];
    size_t length;
};

static void wake(void *context)
{
    struct job *job = context;
    const uint64_t one = 1;
    atomic_store(&job->ready, true);
    /* Fails only if the loop was told to wake up more often than a 64-bit number can count. */
    if (write(job->loop_fd, &one, sizeof one) != (ssize_t)sizeof one)
        return;
}

static enum kf_code job_begin(struct job *job, struct kf_cmm *cmm, struct kf_view plaintext, int loop_fd,
                              struct kf_error *error)
{
    *job = (struct job){.loop_fd = loop_fd, .plaintext = plaintext, .ready = true};
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = plaintext.length; /* a stream of unknown length would not be cached */
    options.timeout_ms = 5000;
    return kf_encryptor_new(cmm, &options, error, &job->encryptor);
}

/* Goes on as far as it can. KF_PENDING: the waker will be called. */
static enum kf_code job_poll(struct job *job, struct kf_error *error)
{
    const struct kf_waker waker = {wake, job};
    atomic_store(&job->ready, false); /* before the poll, so that a wake during it counts */
    struct kf_io io = {.in = job->plaintext.data + job->taken,
                       .in_length = job->plaintext.length - job->taken,
                       .in_end = true,
                       .out = job->message + job->length,
                       .out_room = sizeof job->message - job->length};
    enum kf_code code = kf_encryptor_poll(job->encryptor, &io, &waker);
    job->taken += io.in_used;
    job->length += io.out_used;
    if (code == KF_PENDING)
        return code;
    if (code == KF_WANT_OUTPUT)
        code = kf_error_set(error, KF_E_LIMIT, "The message is longer than %zu bytes.", sizeof job->message);
    else if (code < KF_OK)
        *error = *kf_encryptor_error(job->encryptor); /* it ends with the encryptor */
    kf_encryptor_free(job->encryptor);
    job->encryptor = NULL;
    return code;
}

/* Sleeps until something is worth while, or the first deadline. */
static enum kf_code loop_sleep(int loop_fd, const struct job *jobs, struct kf_error *error)
{
    uint64_t ms = KF_NO_DEADLINE, count;
    for (size_t i = 0; i < JOBS; i++) {
        const uint64_t deadline =
            jobs[i].encryptor != NULL ? kf_encryptor_deadline(jobs[i].encryptor) : KF_NO_DEADLINE;
        ms = deadline < ms ? deadline : ms;
    }
    struct pollfd fds[] = {{.fd = loop_fd, .events = POLLIN}}; /* and your sockets */
    if (poll(fds, 1, ms == KF_NO_DEADLINE ? -1 : (int)ms) < 0 && errno != EINTR)
        return kf_error_set(error, KF_E_SYSTEM, "The loop can't sleep.");
    if (fds[0].revents != 0 && read(loop_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return kf_error_set(error, KF_E_SYSTEM, "The loop can't read its wakes.");
    return KF_OK;
}

/* Runs all jobs to their end, or to the first error. */
static enum kf_code loop_run(int loop_fd, struct job *jobs, struct kf_error *error)
{
    for (size_t open = JOBS;;) {
        for (size_t i = 0; i < JOBS; i++) {
            struct job *job = &jobs[i];
            if (job->encryptor == NULL ||
                (!atomic_load(&job->ready) && kf_encryptor_deadline(job->encryptor) > 0))
                continue;
            const enum kf_code code = job_poll(job, error);
            if (code < KF_OK)
                return code;
            open -= job->encryptor == NULL;
        }
        if (open == 0)
            return KF_OK;
        const enum kf_code code = loop_sleep(loop_fd, jobs, error);
        if (code != KF_OK)
            return code;
    }
}

/* ---- A key service that takes 20 ms: a CMM that waits, and then asks the one inside ---- */

static enum kf_code slow_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_request *request, struct kf_error *error,
                                 const struct kf_encryption_materials **out)
{
    if (kf_call_state(call) == NULL) { /* the first poll */
        kf_call_state_set(call, self, NULL);
        const enum kf_code code = kf_call_wake_in(call, 20);
        return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "There is no timer to wait by.");
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code slow_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static void slow_destroy(void *self)
{
    kf_cmm_unref(self);
}

/*
 * A caching CMM in front of it: a data key serves ten messages, so that a hundred need ten fetches, all at
 * once.
 */
static enum kf_code cached_slow_cmm_new(struct kf_cache *cache, struct kf_error *error, struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {.size = sizeof vtable,
                                                .get_encryption_materials = slow_encrypt,
                                                .decrypt_materials = slow_decrypt,
                                                .destroy = slow_destroy};
    uint8_t key[32];
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return kf_error_set(error, KF_E_SYSTEM, "There are no random bytes.");
    struct kf_raw_aes_keyring_options raw = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    raw.key_namespace = kf_view_text("my application");
    raw.key_name = kf_view_text("2026");
    raw.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *inner = NULL, *slow = NULL;
    enum kf_code code = kf_raw_aes_keyring_new(&raw, error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, error, &inner);
    if (code == KF_OK)
        code = kf_cmm_new(&vtable, inner, error, &slow);
    if (code != KF_OK)
        kf_cmm_unref(inner); /* else it belongs to the slow one */

    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    caching.cache = cache;
    caching.cmm = slow;
    caching.max_messages = 10;
    caching.max_age_ms = 60000;
    if (code == KF_OK)
        code = kf_caching_cmm_new(&caching, error, out);
    kf_cmm_unref(slow);
    kf_keyring_unref(keyring);
    return code;
}

int main(void)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cache *cache = NULL;
    struct kf_cmm *cmm = NULL;
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    const int loop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    enum kf_code code = KF_OK;
    if (jobs == NULL || loop_fd < 0)
        code = kf_error_set(&error, KF_E_SYSTEM, "There is no memory, or no eventfd.");
    if (code == KF_OK)
        code = kf_cache_new(100, &error, &cache);
    if (code == KF_OK)
        code = cached_slow_cmm_new(cache, &error, &cmm);
    for (size_t i = 0; i < JOBS && code == KF_OK; i++)
        code = job_begin(&jobs[i], cmm, kf_view_text("One of a hundred."), loop_fd, &error);
    if (code == KF_OK)
        code = loop_run(loop_fd, jobs, &error);

    if (code == KF_OK) {
        struct kf_cache_stats stats = {.size = sizeof stats};
        kf_cache_stats_read(cache, &stats);
        printf("%d messages, %llu data keys.\n", JOBS, (unsigned long long)stats.flights_opened);
    } else {
        fprintf(stderr, "%s: %s\n", kf_code_name(code), error.text);
    }
    for (size_t i = 0; i < JOBS && jobs != NULL; i++)
        kf_encryptor_free(jobs[i].encryptor); /* cancels what is still waiting: afterwards no waker comes */
    free(jobs);
    kf_cmm_unref(cmm);
    kf_cache_unref(cache);
    kf_cleanup(); /* ends the thread that fetched the keys */
    if (loop_fd >= 0)
        close(loop_fd);
    return (int)kf_code_class(code);
}
