/*
 * Message ids come out of blocks. No id is handed out twice: not by the block, not in another thread, and not in a
 * child, however it was forked. Nothing that was handed out stays in the block.
 */
#include "support/support.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite/libcrypto.h"
#include "suite/random.h"

#define ID 32

static bool is_zero(const uint8_t *bytes, size_t length)
{
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= bytes[i];
    return any == 0;
}

static void what_is_handed_out_is_wiped_in_the_block(void **state)
{
    (void)state;
    struct kfi_random_block *block = kfi_crypto_thread_begin();
    uint8_t ids[KFI_RANDOM_BLOCK / ID + 1][ID];
    for (size_t i = 0; i < KFI_RANDOM_BLOCK / ID; i++) {
        assert_int_equal(kfi_random_message_id(ids[i], ID, NULL), KF_OK);
        assert_int_equal(block->left, KFI_RANDOM_BLOCK - (i + 1) * ID);
        assert_true(is_zero(block->bytes + block->left, KFI_RANDOM_BLOCK - block->left));
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(ids[k], ids[i], ID);
    }
    assert_int_equal(kfi_random_message_id(ids[KFI_RANDOM_BLOCK / ID], ID, NULL), KF_OK);
    assert_int_equal(block->left, KFI_RANDOM_BLOCK - ID);
}

static void an_id_that_is_too_long_for_the_rest_is_of_a_new_block(void **state)
{
    (void)state;
    struct kfi_random_block *block = kfi_crypto_thread_begin();
    uint8_t id[ID];
    do {
        assert_int_equal(kfi_random_message_id(id, ID / 2, NULL), KF_OK);
    } while (block->left != ID / 2);
    assert_int_equal(kfi_random_message_id(id, ID, NULL), KF_OK);
    assert_int_equal(block->left, KFI_RANDOM_BLOCK - ID);
}

static void keys_are_not_taken_from_it(void **state)
{
    (void)state;
    struct kfi_random_block *block = kfi_crypto_thread_begin();
    uint8_t bytes[ID];
    assert_int_equal(kfi_random_message_id(bytes, ID, NULL), KF_OK);
    const struct kfi_random_block before = *block;
    assert_int_equal(kfi_random(bytes, ID, NULL), KF_OK);
    assert_memory_equal(block, &before, sizeof before);
}

static void a_block_is_kept_for_a_second(void **state)
{
    (void)state;
    struct kfi_random_block *block = kfi_crypto_thread_begin();
    uint8_t id[ID];
    kfi_crypto_thread_end();
    support_clock_stop(5000);
    assert_int_equal(kfi_random_message_id(id, ID, NULL), KF_OK);
    support_clock_advance(999);
    assert_int_equal(kfi_random_message_id(id, ID, NULL), KF_OK);
    assert_int_equal(block->left, KFI_RANDOM_BLOCK - 2 * ID);
    const struct kfi_random_block before = *block;
    support_clock_advance(1);
    assert_int_equal(kfi_random_message_id(id, ID, NULL), KF_OK);
    assert_int_equal(block->left, KFI_RANDOM_BLOCK - ID);
    assert_memory_not_equal(block->bytes, before.bytes, before.left);
    support_clock_real();
}

/* ---- Children ---- */

/* A fork, or the system call alone, which calls no handlers. */
static pid_t fork_either_way(bool bare)
{
    return bare ? (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
}

/* What the child's block has left is none of what the parent's has. */
static void check_child(bool bare)
{
    uint8_t in_child[KFI_RANDOM_BLOCK], in_parent[ID];
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(kfi_random_message_id(in_parent, ID, NULL), KF_OK);
    const pid_t child = fork_either_way(bare);
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        for (size_t i = 0; i < KFI_RANDOM_BLOCK; i += ID) {
            if (kfi_random_message_id(in_child + i, ID, NULL) != KF_OK)
                _exit(1);
        }
        _exit(write(ends[1], in_child, sizeof in_child) == (ssize_t)sizeof in_child ? 0 : 1);
    }
    assert_int_equal(read(ends[0], in_child, sizeof in_child), sizeof in_child);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    for (size_t k = 0; k < 2 * KFI_RANDOM_BLOCK / ID; k++) {
        assert_int_equal(kfi_random_message_id(in_parent, ID, NULL), KF_OK);
        for (size_t i = 0; i < KFI_RANDOM_BLOCK; i += ID)
            assert_memory_not_equal(in_parent, in_child + i, ID);
    }
}

static void a_child_does_not_go_on_with_a_block(void **state)
{
    (void)state;
    check_child(false);
}

static void nor_does_one_that_was_forked_without_handlers(void **state)
{
    (void)state;
    check_child(true);
}

/* ---- Threads ---- */

static pthread_key_t looks_at_the_end;
static bool was_wiped;

/* Made after the library's, this key's function runs after it. */
static void look_at_the_end(void *block)
{
    was_wiped = is_zero(block, sizeof(struct kfi_random_block));
}

static void *draw(void *out)
{
    struct kfi_random_block *block = kfi_crypto_thread_begin();
    pthread_setspecific(looks_at_the_end, block);
    const bool good = kfi_random_message_id(out, ID, NULL) == KF_OK && block->left > 0;
    return good ? NULL : out;
}

static void a_thread_has_its_own_and_it_is_wiped_at_its_end(void **state)
{
    (void)state;
    uint8_t here[ID], there[ID];
    pthread_t thread;
    void *failure;
    assert_int_equal(pthread_key_create(&looks_at_the_end, look_at_the_end), 0);
    assert_int_equal(kfi_random_message_id(here, ID, NULL), KF_OK);
    assert_int_equal(pthread_create(&thread, NULL, draw, there), 0);
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
    assert_true(was_wiped);
    assert_memory_not_equal(here, there, ID);
    pthread_key_delete(looks_at_the_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_out_is_wiped_in_the_block),
        cmocka_unit_test(an_id_that_is_too_long_for_the_rest_is_of_a_new_block),
        cmocka_unit_test(keys_are_not_taken_from_it),
        cmocka_unit_test(a_block_is_kept_for_a_second),
        cmocka_unit_test(a_child_does_not_go_on_with_a_block),
        cmocka_unit_test(nor_does_one_that_was_forked_without_handlers),
        cmocka_unit_test(a_thread_has_its_own_and_it_is_wiped_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
