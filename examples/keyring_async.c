/*
 * A keyring of one's own, asynchronous: it waits for an answer that a thread of its own brings, and does not block
 * meanwhile. The state of its call is what the thread and the polls share, so both hold a reference: the call may be
 * cancelled, and dropped, before the thread is done.
 */
#include <keyflight/keyflight.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* One question to the service. */
struct question {
    atomic_int references;
    atomic_bool answered;
    struct kf_call_waker *waker; /* harmless once the call was dropped */
};

static void question_release(void *state)
{
    struct question *question = state;
    if (atomic_fetch_sub(&question->references, 1) > 1)
        return;
    kf_call_waker_unref(question->waker);
    free(question);
}

/* The service. A real one would send a request here and come back with the reply. */
static void *answer(void *context)
{
    struct question *question = context;
    atomic_store(&question->answered, true);
    kf_call_waker_wake(question->waker); /* now polling is worth while */
    question_release(question);
    return NULL;
}

static enum kf_code ask(struct kf_call *call, struct kf_error *error)
{
    pthread_t thread;
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is not enough memory.");
    atomic_init(&question->references, 2);
    question->waker = kf_call_waker(call);
    if (question->waker == NULL || pthread_create(&thread, NULL, answer, question) != 0) {
        kf_call_waker_unref(question->waker);
        free(question);
        return kf_error_set(error, KF_E_SYSTEM, "The service can't be asked.");
    }
    pthread_detach(thread);
    kf_call_state_set(call, question, question_release);
    return KF_PENDING;
}

/* KF_OK once the service has answered this call. */
static enum kf_code answered(struct kf_call *call, struct kf_error *error)
{
    struct question *question = kf_call_state(call);
    if (question == NULL)
        return ask(call, error);
    return atomic_load(&question->answered) ? KF_OK : KF_PENDING;
}

static enum kf_code on_encrypt(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out)
{
    enum kf_code code = answered(call, error);
    return code == KF_OK ? kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out) : code;
}

static enum kf_code on_decrypt(void *self, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    enum kf_code code = answered(call, error);
    if (code != KF_OK)
        return code;
    return kf_keyring_on_decrypt(self, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static const struct kf_keyring_vtable vtable = {sizeof vtable, on_encrypt, on_decrypt, NULL};

int main(void)
{
    uint8_t key[32];
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_keyring *local = NULL, *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return KF_CLASS_SYSTEM;
    options.key_namespace = kf_view_text("example");
    options.key_name = kf_view_text("key 1");
    options.wrapping_key = kf_view(key, sizeof key);
    enum kf_code code = kf_raw_aes_keyring_new(&options, &error, &local);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, local, &error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, &error, &cmm);
    if (code == KF_OK) /* blocks; kf_encryptor_poll with a waker would not */
        code = kf_encrypt(cmm, NULL, kf_view_text("hello"), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view(message.data, message.length), &error, NULL, &plaintext);
    if (code == KF_OK)
        printf("%.*s\n", (int)plaintext.length, (const char *)plaintext.data);
    else
        fprintf(stderr, "%s\n", error.text);
    kf_buf_free(&plaintext);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    kf_keyring_unref(local);
    return (int)kf_code_class(code);
}
