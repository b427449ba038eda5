/*
 * bench/mixed: ten callers want data keys at once, of a multi-keyring that first asks a service and then has a step that
 * blocks. Are the steps side by side, and is another fetch held up by them? Prints the numbers to hold; exits 1 if one is
 * not held. Run it on a machine that does nothing else.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <keyflight/jobs.h>
#include <keyflight/keyflight.h>
#include <keyflight/raw_keyrings.h>

#define FETCHES 10
#define SERVICE_MS 50
#define STEP_MS 200
#define OTHER_MS 20
#define OTHERS 8 /* fetches of the other CMM, one after the other, in each run */
#define RUNS 5

static void demand(enum kf_code code, const struct kf_error *error)
{
    if (code >= KF_OK)
        return;
    fprintf(stderr, "bench/mixed: %s: %s\n", kf_code_name(code), error->text);
    exit(EXIT_FAILURE);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- Keyrings ---- */

struct step {
    struct kf_keyring *inner;
    unsigned ms;
    bool blocks; /* it sleeps; else it is woken by a timer of the library */
};

static enum kf_code take_step(const struct step *step, struct kf_call *call)
{
    if (step->blocks) {
        const struct timespec pause = {step->ms / 1000, (long)(step->ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
    } else if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, call, NULL);
        return kf_call_wake_in(call, step->ms) == KF_OK ? KF_PENDING : KF_E_SYSTEM;
    }
    return KF_OK;
}

static enum kf_code step_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    const struct step *step = self;
    const enum kf_code code = take_step(step, call);
    return code == KF_OK ? kf_keyring_on_encrypt(step->inner, kf_call_child(call, 0), materials, error, out)
                         : code;
}

static enum kf_code step_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                 size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    const struct step *step = self;
    return kf_keyring_on_decrypt(step->inner, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static struct kf_keyring *step_keyring(struct step *step)
{
    static const uint8_t key[32] = {1};
    const struct kf_keyring_vtable vtable = {.size = sizeof vtable,
                                             .on_encrypt = step_encrypt,
                                             .on_decrypt = step_decrypt,
                                             .never_blocks = !step->blocks};
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    options.key_name = kf_view_text("bench");
    options.wrapping_key = kf_view_of(key, sizeof key);
    demand(kf_raw_aes_keyring_new(&options, &error, &step->inner), &error);
    demand(kf_keyring_new(&vtable, step, &error, &keyring), &error);
    return keyring;
}

/* Each message has a fetch of its own. */
static struct kf_cmm *caching_cmm(struct kf_keyring *keyring)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;
    demand(kf_cache_new(0, &error, &options.cache), &error);
    options.keyring = keyring;
    options.max_age_ms = 60000;
    options.max_messages = 1;
    demand(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_unref(options.cache);
    return cmm;
}

/* ---- Runs ---- */

static void encrypt(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    demand(kf_encrypt(cmm, NULL, kf_view_text("x"), &error, &message), &error);
    kf_buf_free(&message);
}

/* The other CMM, on a thread of its own: how long its slowest fetch took. */
struct other {
    struct kf_cmm *cmm;
    double slowest_ms;
};

static void *encrypt_others(void *context)
{
    struct other *other = context;
    other->slowest_ms = 0;
    for (int i = 0; i < OTHERS; i++) {
        const double begin = now_ms();
        encrypt(other->cmm);
        const double took = now_ms() - begin;
        if (took > other->slowest_ms)
            other->slowest_ms = took;
    }
    return NULL;
}

static void note(void *unused, const struct kf_job_result *result)
{
    (void)unused;
    demand(result->code, result->error);
}

/* Ten callers at once: how long until the last has its message. */
static double encrypt_ten(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_jobs *jobs = NULL;
    const double begin = now_ms();
    demand(kf_jobs_new(NULL, &error, &jobs), &error);
    for (int i = 0; i < FETCHES; i++)
        demand(kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text("x"), note, NULL, &error, NULL), &error);
    demand(kf_jobs_run(jobs, &error), &error);
    const double took = now_ms() - begin;
    kf_jobs_free(jobs);
    return took;
}

static int by_size(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof *values, by_size);
    return values[RUNS / 2];
}

static bool report(const char *what, double value, const char *unit, bool held, const char *hold)
{
    printf("  %-24s %9.4g %-12s hold: %-14s %s\n", what, value, unit, hold, held ? "held" : "NOT HELD");
    return held;
}

int main(void)
{
    struct step service = {.ms = SERVICE_MS}, blocking = {.ms = STEP_MS, .blocks = true},
                quick = {.ms = OTHER_MS};
    struct kf_keyring *generator = step_keyring(&service), *child = step_keyring(&blocking);
    struct kf_keyring *lone = step_keyring(&quick), *multi = NULL;
    struct kf_error error = KF_ERROR_INIT;
    demand(kf_multi_keyring_new(generator, &child, 1, &error, &multi), &error);
    struct kf_cmm *mixed = caching_cmm(multi);
    struct other other = {.cmm = caching_cmm(lone)};

    printf("%d fetches, a service of %d ms and then a step that blocks for %d ms; beside them fetches of %d "
           "ms; %d runs:\n",
           FETCHES, SERVICE_MS, STEP_MS, OTHER_MS, RUNS);
    double steps[RUNS], alone[RUNS], beside[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        (void)encrypt_others(&other);
        alone[i] = other.slowest_ms;
        pthread_t thread;
        if (pthread_create(&thread, NULL, encrypt_others, &other) != 0)
            return EXIT_FAILURE;
        steps[i] = (encrypt_ten(mixed) - SERVICE_MS) / STEP_MS;
        pthread_join(thread, NULL);
        beside[i] = other.slowest_ms;
    }
    const double longer = median(beside) - median(alone), together = median(steps);
    bool held = report("time of all steps", together, "steps", together <= 1.25, "at most 1.25");
    held &= report("others wait longer by", longer, "ms", longer <= 5, "at most 5");

    kf_cmm_unref(mixed);
    kf_cmm_unref(other.cmm);
    kf_cleanup();
    struct kf_keyring *const all[] = {multi,         generator,      child,      lone,
                                      service.inner, blocking.inner, quick.inner};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kf_keyring_unref(all[i]);
    return held ? EXIT_SUCCESS : EXIT_FAILURE;
}
