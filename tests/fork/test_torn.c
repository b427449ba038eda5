/*
 * An operation that another thread was polling at the fork may be half changed. To free it in the child is allowed, and
 * touches nothing of it.
 *
 * A thread stops inside the allocator: it has released the memory of a buffer that still points there. To free that once
 * more would be the fault.
 */
#include "support/client.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the allocator sees. */
static struct {
    atomic_bool armed, stopped, forked;
    void *released; /* what the stopped thread has just released */
    bool again;     /* it was released once more */
} memory;

static void *allocate(void *context, size_t length)
{
    (void)context;
    return malloc(length);
}

static void release(void *context, void *bytes)
{
    (void)context;
    if (bytes == memory.released) {
        memory.again = true;
        return;
    }
    if (!atomic_exchange(&memory.armed, false)) {
        free(bytes);
        return;
    }
    memory.released = bytes;
    atomic_store(&memory.stopped, true);
    while (!atomic_load(&memory.forked))
        sched_yield();
    memory.released = NULL;
    free(bytes);
}

static struct kf_encryptor *encryptor;
static struct kf_decryptor *decryptor;
static struct kf_buf message;

/* Gathers a frame in two pieces: its buffer grows at the second, and the old memory is released. */
static void *encrypt_in_pieces(void *unused)
{
    uint8_t out[1000];
    struct kf_io io = {.in = (const uint8_t *)"one", .in_length = 3, .out = out, .out_room = sizeof out};
    bool good = kf_encryptor_poll(encryptor, &io, NULL) == KF_WANT_INPUT;
    atomic_store(&memory.armed, true);
    io.in_end = false;
    good = good && kf_encryptor_poll(encryptor, &io, NULL) == KF_WANT_INPUT;
    return good ? unused : encryptor;
}

static void *decrypt_in_pieces(void *unused)
{
    uint8_t out[1000];
    struct kf_io io = {.in = message.data, .in_length = 30, .out = out, .out_room = sizeof out};
    bool good = kf_decryptor_poll(decryptor, &io, NULL) == KF_WANT_INPUT;
    atomic_store(&memory.armed, true);
    io.in = message.data + 30;
    io.in_length = message.length - 31;
    good = good && kf_decryptor_poll(decryptor, &io, NULL) == KF_WANT_INPUT;
    return good ? unused : decryptor;
}

/* Forks while `work` is stopped; the child frees both. */
static void fork_inside(void *(*work)(void *))
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = support_cmm();
    pthread_t thread;
    void *failure;
    int status;
    assert_ok(kf_encryptor_new(cmm, NULL, &error, &encryptor), &error);
    assert_ok(kf_decryptor_new(cmm, NULL, &error, &decryptor), &error);
    assert_ok(kf_encrypt(cmm, NULL, kf_view_text("plaintext"), &error, &message), &error);
    atomic_store(&memory.stopped, false);
    atomic_store(&memory.forked, false);
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    while (!atomic_load(&memory.stopped))
        sched_yield();
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        kf_encryptor_free(encryptor);
        kf_decryptor_free(decryptor);
        _exit(memory.again ? 1 : 0);
    }
    atomic_store(&memory.forked, true);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
    assert_false(memory.again);
    kf_encryptor_free(encryptor);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void an_encryptor_is_left_alone(void **state)
{
    (void)state;
    fork_inside(encrypt_in_pieces);
}

static void so_is_a_decryptor(void **state)
{
    (void)state;
    fork_inside(decrypt_in_pieces);
}

int main(void)
{
    const struct kf_allocator allocator = {sizeof allocator, NULL, allocate, release};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_encryptor_is_left_alone),
        cmocka_unit_test(so_is_a_decryptor),
    };
    if (kf_allocator_set(&allocator) != KF_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
