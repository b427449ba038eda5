/*
 * What the tests share: see support.h.
 */
#include "support/support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

void support_assert_ok(enum kf_code code, const struct kf_error *error, const char *file, int line)
{
    if (code != KF_OK)
        print_error("%s: %s\n", kf_code_name(code), error != NULL ? error->text : "");
    _assert_int_equal((LargestIntegralType)code, KF_OK, file, line);
}

/* ---- Bells ---- */

void bell_init(struct bell *bell)
{
    pthread_mutex_init(&bell->lock, NULL);
    pthread_cond_init(&bell->changed, NULL);
    bell->rung = 0;
}

void bell_destroy(struct bell *bell)
{
    pthread_cond_destroy(&bell->changed);
    pthread_mutex_destroy(&bell->lock);
}

static void ring(void *context)
{
    struct bell *bell = context;
    pthread_mutex_lock(&bell->lock);
    bell->rung++;
    pthread_cond_broadcast(&bell->changed);
    pthread_mutex_unlock(&bell->lock);
}

struct kf_waker bell_waker(struct bell *bell)
{
    return (struct kf_waker){ring, bell};
}

void bell_wait(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    while (bell->rung == 0)
        pthread_cond_wait(&bell->changed, &bell->lock);
    bell->rung = 0;
    pthread_mutex_unlock(&bell->lock);
}

unsigned bell_rung(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    unsigned rung = bell->rung;
    pthread_mutex_unlock(&bell->lock);
    return rung;
}

/* ---- Keyrings and CMMs ---- */

struct kf_keyring *support_keyring(void)
{
    static const uint8_t key[32] = "0123456789abcdef0123456789abcde";
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text("tests");
    options.key_name = kf_view_text("key");
    options.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_aes_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

struct kf_cmm *support_cmm(void)
{
    struct kf_keyring *keyring = support_keyring();
    struct kf_cmm *cmm;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_default_cmm_new(keyring, &error, &cmm), &error);
    kf_keyring_unref(keyring);
    return cmm;
}

/* ---- The CMM that answers when told ---- */

struct told_call {
    struct told *told;
    struct kf_call_waker *waker;
    bool answered, dropped;
    enum kf_code code;
    struct told_call *next; /* in the order of beginning */
};

struct told {
    struct kf_cmm *inner;
    pthread_mutex_t lock; /* guards what follows, and the calls */
    pthread_cond_t changed;
    struct told_call *first, **end;
    unsigned begun, in_flight, peak, dropped;
    bool always;
    uint64_t last_bound;
};

static void told_drop(void *state)
{
    struct told_call *call = state;
    struct told *told = call->told;
    pthread_mutex_lock(&told->lock);
    call->dropped = true;
    if (!call->answered) {
        told->in_flight--;
        told->dropped++;
    }
    pthread_cond_broadcast(&told->changed);
    pthread_mutex_unlock(&told->lock);
}

/* Begins a call or goes on with it. KF_OK: it is passed to the inner CMM now. */
static enum kf_code told_poll(struct told *told, struct kf_call *call, struct kf_error *error)
{
    struct told_call *told_call = kf_call_state(call);
    pthread_mutex_lock(&told->lock);
    if (told_call == NULL) {
        told_call = calloc(1, sizeof *told_call);
        told_call->told = told;
        told_call->waker = kf_call_waker_of(call);
        told_call->answered = told->always || told_call->waker == NULL;
        told_call->code = told_call->waker != NULL ? KF_OK : KF_E_NO_MEMORY;
        *told->end = told_call;
        told->end = &told_call->next;
        told->begun++;
        if (!told_call->answered && ++told->in_flight > told->peak)
            told->peak = told->in_flight;
        kf_call_state_set(call, told_call, told_drop);
        pthread_cond_broadcast(&told->changed);
    }
    enum kf_code code = told_call->answered ? told_call->code : KF_PENDING;
    pthread_mutex_unlock(&told->lock);
    if (code < KF_OK)
        kf_error_set(error, code, "The test told this call to fail.");
    return code;
}

static enum kf_code told_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_request *request, struct kf_error *error,
                                 const struct kf_encryption_materials **out)
{
    struct told *told = self;
    pthread_mutex_lock(&told->lock);
    told->last_bound = request->plaintext_bound;
    pthread_mutex_unlock(&told->lock);
    enum kf_code code = told_poll(told, call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_get_encryption_materials(told->inner, kf_call_child(call, 0), request, error, out);
}

static enum kf_code told_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    struct told *told = self;
    enum kf_code code = told_poll(told, call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_decrypt_materials(told->inner, kf_call_child(call, 0), request, error, out);
}

struct told *told_new(struct kf_cmm **cmm)
{
    static const struct kf_cmm_vtable vtable = {sizeof vtable, told_encrypt, told_decrypt, NULL, true};
    struct told *told = calloc(1, sizeof *told);
    struct kf_error error = KF_ERROR_INIT;
    told->inner = support_cmm();
    told->end = &told->first;
    pthread_mutex_init(&told->lock, NULL);
    pthread_cond_init(&told->changed, NULL);
    assert_ok(kf_cmm_new(&vtable, told, &error, cmm), &error);
    return told;
}

void told_free(struct told *told)
{
    while (told->first != NULL) {
        struct told_call *call = told->first;
        told->first = call->next;
        kf_call_waker_unref(call->waker);
        free(call);
    }
    kf_cmm_unref(told->inner);
    pthread_cond_destroy(&told->changed);
    pthread_mutex_destroy(&told->lock);
    free(told);
}

/* Under the lock. Answers the waker that has to be woken outside of it, if there is one. */
static struct kf_call_waker *answer_locked(struct told_call *call, enum kf_code code)
{
    if (call->answered || call->dropped)
        return NULL;
    call->answered = true;
    call->code = code;
    call->told->in_flight--;
    return kf_call_waker_ref(call->waker);
}

static void wake(struct kf_call_waker *waker)
{
    if (waker != NULL)
        kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
}

void told_answer(struct told *told, unsigned index, enum kf_code code)
{
    pthread_mutex_lock(&told->lock);
    struct told_call *call = told->first;
    for (unsigned i = 0; i < index; i++)
        call = call->next;
    struct kf_call_waker *waker = answer_locked(call, code);
    pthread_mutex_unlock(&told->lock);
    wake(waker);
}

void told_answer_all(struct told *told, enum kf_code code)
{
    pthread_mutex_lock(&told->lock);
    for (struct told_call *call = told->first; call != NULL; call = call->next) {
        struct kf_call_waker *waker = answer_locked(call, code);
        pthread_mutex_unlock(&told->lock);
        wake(waker);
        pthread_mutex_lock(&told->lock);
    }
    pthread_mutex_unlock(&told->lock);
}

void told_wake_all(struct told *told)
{
    pthread_mutex_lock(&told->lock);
    for (struct told_call *call = told->first; call != NULL; call = call->next) {
        struct kf_call_waker *waker = kf_call_waker_ref(call->waker);
        pthread_mutex_unlock(&told->lock);
        wake(waker);
        pthread_mutex_lock(&told->lock);
    }
    pthread_mutex_unlock(&told->lock);
}

void told_answer_always(struct told *told, bool always)
{
    pthread_mutex_lock(&told->lock);
    told->always = always;
    pthread_mutex_unlock(&told->lock);
}

static unsigned told_read(struct told *told, const unsigned *counter)
{
    pthread_mutex_lock(&told->lock);
    unsigned value = *counter;
    pthread_mutex_unlock(&told->lock);
    return value;
}

unsigned told_begun(struct told *told)
{
    return told_read(told, &told->begun);
}

unsigned told_in_flight(struct told *told)
{
    return told_read(told, &told->in_flight);
}

unsigned told_peak(struct told *told)
{
    return told_read(told, &told->peak);
}

unsigned told_dropped(struct told *told)
{
    return told_read(told, &told->dropped);
}

uint64_t told_last_bound(struct told *told)
{
    pthread_mutex_lock(&told->lock);
    uint64_t value = told->last_bound;
    pthread_mutex_unlock(&told->lock);
    return value;
}

static void told_wait(struct told *told, const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&told->lock);
    while (*counter < count)
        pthread_cond_wait(&told->changed, &told->lock);
    pthread_mutex_unlock(&told->lock);
}

void told_wait_begun(struct told *told, unsigned count)
{
    told_wait(told, &told->begun, count);
}

void told_wait_dropped(struct told *told, unsigned count)
{
    told_wait(told, &told->dropped, count);
}

/* ---- Clock ---- */

static uint64_t stopped_at;

void support_clock_stop(uint64_t ms)
{
    stopped_at = ms;
    kfi_clock_test_set(ms);
}

void support_clock_advance(uint64_t ms)
{
    stopped_at += ms;
    kfi_clock_test_set(stopped_at);
    kfi_thread_poke();
}

void support_clock_real(void)
{
    kfi_clock_test_set(UINT64_MAX);
}

/* ---- The internal thread ---- */

struct marker {
    struct kfi_task task; /* first */
    struct bell done;
};

static bool marker_run(struct kfi_task *task, bool stop)
{
    (void)stop;
    ring(&((struct marker *)task)->done);
    return true;
}

void support_settle(void)
{
    /*
     * A task runs after those that were woken before it. There are two tasks, because what a timer wakes
     * comes after the first.
     */
    for (int i = 0; i < 2; i++) {
        struct marker marker;
        struct kf_error error = KF_ERROR_INIT;
        bell_init(&marker.done);
        kfi_task_init(&marker.task, marker_run);
        kfi_task_wake(&marker.task);
        assert_ok(kfi_task_hand_over(&marker.task, &error), &error);
        bell_wait(&marker.done);
        bell_destroy(&marker.done);
    }
}

unsigned support_threads(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}

/* ---- Forked children ---- */

bool support_in_child(bool (*check)(void *context), void *context)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(check(context) ? 0 : 1);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
