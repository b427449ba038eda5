/*
 * A CMM of your own that needs time: it lets calls through at a fixed rate, so that a key service is never
 * asked more often.
 *
 * A call that comes too early is given its turn, sets a timer and answers KF_PENDING; nothing blocks, no
 * thread is needed, and any number of calls may wait. Put it behind a caching CMM: what the cache answers
 * needs no turn.
 */
#include <keyflight/keyflight.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct rate_cmm {
    struct kf_cmm *inner;
    uint64_t interval_ms;
    pthread_mutex_t lock; /* guards next_ms */
    uint64_t next_ms;     /* the first turn that is free */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * KF_OK once it is this call's turn. A turn that was given is not given again: whoever cancels leaves a gap.
 */
static enum kf_code wait_for_turn(struct rate_cmm *cmm, struct kf_call *call, struct kf_error *error)
{
    const uint64_t now = now_ms();
    uint64_t *turn_ms = kf_call_state(call);
    if (turn_ms == NULL) {
        turn_ms = malloc(sizeof *turn_ms);
        if (turn_ms == NULL)
            return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory to wait in.");
        pthread_mutex_lock(&cmm->lock);
        *turn_ms = cmm->next_ms > now ? cmm->next_ms : now;
        cmm->next_ms = *turn_ms + cmm->interval_ms;
        pthread_mutex_unlock(&cmm->lock);
        kf_call_state_set(call, turn_ms, free);
    }
    if (*turn_ms <= now)
        return KF_OK;
    /* It is polled again then, or earlier for no reason. So the clock decides, not the poll. */
    const enum kf_code code = kf_call_wake_in(call, *turn_ms - now);
    return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "There is no timer to wait by.");
}

static enum kf_code get_encryption_materials(void *self, struct kf_call *call,
                                             const struct kf_encryption_request *request,
                                             struct kf_error *error,
                                             const struct kf_encryption_materials **out)
{
    struct rate_cmm *cmm = self;
    const enum kf_code code = wait_for_turn(cmm, call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_get_encryption_materials(cmm->inner, kf_call_child(call, 0), request, error, out);
}

static enum kf_code decrypt_materials(void *self, struct kf_call *call,
                                      const struct kf_decryption_request *request, struct kf_error *error,
                                      const struct kf_decryption_materials **out)
{
    struct rate_cmm *cmm = self;
    const enum kf_code code = wait_for_turn(cmm, call, error);
    if (code != KF_OK)
        return code;
    return kf_cmm_decrypt_materials(cmm->inner, kf_call_child(call, 0), request, error, out);
}

static void destroy(void *self)
{
    struct rate_cmm *cmm = self;
    kf_cmm_unref(cmm->inner);
    pthread_mutex_destroy(&cmm->lock);
    free(cmm);
}

/* Takes a reference of `inner`. */
static enum kf_code rate_cmm_new(struct kf_cmm *inner, uint64_t interval_ms, struct kf_error *error,
                                 struct kf_cmm **out)
{
    static const struct kf_cmm_vtable vtable = {.size = sizeof vtable,
                                                .get_encryption_materials = get_encryption_materials,
                                                .decrypt_materials = decrypt_materials,
                                                .destroy = destroy,
                                                .never_blocks = true};
    struct rate_cmm *cmm = malloc(sizeof *cmm);
    if (cmm == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a CMM.");
    *cmm = (struct rate_cmm){.inner = kf_cmm_ref(inner), .interval_ms = interval_ms};
    pthread_mutex_init(&cmm->lock, NULL);
    const enum kf_code code = kf_cmm_new(&vtable, cmm, error, out);
    if (code != KF_OK)
        destroy(cmm);
    return code;
}

/* A default CMM on an AES key made now. */
static enum kf_code local_cmm_new(struct kf_error *error, struct kf_cmm **out)
{
    uint8_t key[32];
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return kf_error_set(error, KF_E_SYSTEM, "There are no random bytes.");
    struct kf_raw_aes_keyring_options raw = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    raw.key_namespace = kf_view_text("my application");
    raw.key_name = kf_view_text("2026");
    raw.wrapping_key = kf_view_of(key, sizeof key);
    struct kf_keyring *keyring = NULL;
    enum kf_code code = kf_raw_aes_keyring_new(&raw, error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, error, out);
    kf_keyring_unref(keyring);
    return code;
}

int main(void)
{
    const uint64_t interval_ms = 10;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *inner = NULL, *cmm = NULL;
    struct kf_buf message = KF_BUF_INIT;

    enum kf_code code = local_cmm_new(&error, &inner);
    if (code == KF_OK)
        code = rate_cmm_new(inner, interval_ms, &error, &cmm);
    const uint64_t begun = now_ms();
    for (int i = 0; i < 3 && code == KF_OK; i++)
        code = kf_encrypt(cmm, NULL, kf_view_text("One after the other."), &error, &message);
    const uint64_t took = now_ms() - begun;
    if (code == KF_OK && took < 2 * interval_ms)
        code = kf_error_set(&error, KF_E_BUG, "Three messages were through in only %llu ms.",
                            (unsigned long long)took);
    if (code == KF_OK)
        printf("Three messages, at least %llu ms apart.\n", (unsigned long long)interval_ms);
    else
        fprintf(stderr, "%s: %s\n", kf_code_name(code), error.text);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
    kf_cleanup(); /* ends the thread that kept the timers */
    return (int)kf_code_class(code);
}
