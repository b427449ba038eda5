/*
 * The keyring that blocks: see held.h.
 */
#include "support/held.h"

#include "base/thread.h"

static void held_pass(struct held *held)
{
    pthread_mutex_lock(&held->lock);
    const unsigned index = held->begun++;
    held->on_internal = held->on_internal || kfi_thread_is_internal();
    pthread_cond_broadcast(&held->changed);
    while (!held->all_free && !held->free[index % HELD_MAX])
        pthread_cond_wait(&held->changed, &held->lock);
    held->ended++;
    pthread_cond_broadcast(&held->changed);
    pthread_mutex_unlock(&held->lock);
}

static enum kf_code held_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    struct held *held = self;
    held_pass(held);
    return kf_keyring_on_encrypt(held->inner, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code held_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                 size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    struct held *held = self;
    held_pass(held);
    return kf_keyring_on_decrypt(held->inner, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

void held_open(struct held *held)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = held_encrypt,
        .on_decrypt = held_decrypt,
    };
    struct kf_error error = KF_ERROR_INIT;
    *held = (struct held){.inner = support_keyring()};
    pthread_mutex_init(&held->lock, NULL);
    pthread_cond_init(&held->changed, NULL);
    assert_ok(kf_keyring_new(&vtable, held, &error, &held->keyring), &error);
}

void held_close(struct held *held)
{
    kf_keyring_unref(held->keyring);
    kf_keyring_unref(held->inner);
    pthread_cond_destroy(&held->changed);
    pthread_mutex_destroy(&held->lock);
}

static void held_wait(struct held *held, const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&held->lock);
    while (*counter < count)
        pthread_cond_wait(&held->changed, &held->lock);
    pthread_mutex_unlock(&held->lock);
}

void held_wait_begun(struct held *held, unsigned count)
{
    held_wait(held, &held->begun, count);
}

void held_wait_ended(struct held *held, unsigned count)
{
    held_wait(held, &held->ended, count);
}

void held_let_go(struct held *held, unsigned index)
{
    pthread_mutex_lock(&held->lock);
    held->free[index] = true;
    pthread_cond_broadcast(&held->changed);
    pthread_mutex_unlock(&held->lock);
}

void held_let_go_all(struct held *held)
{
    pthread_mutex_lock(&held->lock);
    held->all_free = true;
    pthread_cond_broadcast(&held->changed);
    pthread_mutex_unlock(&held->lock);
}

static void *asking_main(void *context)
{
    struct asking_thread *thread = context;
    (void)asker_ask(&thread->asker, thread->cmm, 1);
    (void)asker_wait(&thread->asker);
    return NULL;
}

void asking_thread_start(struct asking_thread *thread, struct kf_cmm *cmm)
{
    *thread = (struct asking_thread){.cmm = cmm};
    assert_int_equal(pthread_create(&thread->thread, NULL, asking_main, thread), 0);
}

enum kf_code asking_thread_end(struct asking_thread *thread)
{
    assert_int_equal(pthread_join(thread->thread, NULL), 0);
    return thread->asker.code;
}
