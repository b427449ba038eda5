/*
 * The allocator and the wiping of secrets.
 */
#include "support/support.h"

#include <stdlib.h>

#include "base/memory.h"

/* An allocator that counts, and looks at memory that is given back. */
static struct {
    size_t made, held;
    size_t last_length;
    size_t watched; /* bytes of the next release to look at */
    bool was_zero;  /* what the look found */
} counted;

static void *allocate(void *context, size_t length)
{
    assert_ptr_equal(context, &counted);
    counted.made++;
    counted.held++;
    counted.last_length = length;
    return malloc(length);
}

static void release(void *context, void *memory)
{
    assert_ptr_equal(context, &counted);
    assert_non_null(memory);
    const uint8_t *bytes = memory;
    counted.was_zero = true;
    for (size_t i = 0; i < counted.watched; i++)
        counted.was_zero = counted.was_zero && bytes[i] == 0;
    counted.watched = 0;
    counted.held--;
    free(memory);
}

static const struct kf_allocator counting = {sizeof counting, &counted, allocate, release};

/* This test comes first: later no allocator can be set. */
static void an_allocator_is_taken_before_first_use_only(void **state)
{
    (void)state;
    struct kf_allocator wrong = counting;
    assert_int_equal(kf_allocator_set(NULL), KF_E_USAGE);
    wrong.size = sizeof wrong - 1;
    assert_int_equal(kf_allocator_set(&wrong), KF_E_USAGE);
    wrong = counting;
    wrong.allocate = NULL;
    assert_int_equal(kf_allocator_set(&wrong), KF_E_USAGE);
    wrong = counting;
    wrong.release = NULL;
    assert_int_equal(kf_allocator_set(&wrong), KF_E_USAGE);

    struct kf_allocator copied = counting;
    assert_int_equal(kf_allocator_set(&copied), KF_OK);
    copied.allocate = NULL; /* the library has a copy of its own */

    void *memory = kfi_alloc(10);
    assert_non_null(memory);
    assert_int_equal(counted.made, 1);
    assert_int_equal(counted.last_length, 10);
    assert_int_equal(kf_allocator_set(&counting), KF_E_USAGE);
    kfi_free(memory);
    assert_int_equal(counted.held, 0);
    kfi_free(NULL);
    assert_int_equal(counted.held, 0);
}

static void all_memory_comes_from_the_allocator(void **state)
{
    (void)state;
    size_t made = counted.made;
    const struct kf_encryption_context *context;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryption_context_of(&error, &context, "a", "b", (char *)NULL), &error);
    assert_true(counted.made > made);
    kf_encryption_context_unref(context);
    assert_int_equal(counted.held, 0);
}

static void nothing_is_still_one_byte(void **state)
{
    (void)state;
    uint8_t *memory = kfi_alloc(0);
    assert_non_null(memory);
    assert_true(counted.last_length >= 1);
    kfi_free(memory);
    memory = kfi_alloc_zeroed(0);
    assert_non_null(memory);
    assert_true(counted.last_length >= 1);
    kfi_free(memory);
    memory = kfi_copy(kf_view_of(NULL, 0));
    assert_non_null(memory);
    assert_true(counted.last_length >= 1);
    kfi_free(memory);

    memory = kfi_alloc_zeroed(100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0);
    kfi_free(memory);
    memory = kfi_copy(kf_view_of("abc", 3));
    assert_memory_equal(memory, "abc", 3);
    kfi_free(memory);
}

static void secrets_are_wiped_before_they_go(void **state)
{
    (void)state;
    uint8_t *memory = kfi_alloc(32);
    memset(memory, 0x5a, 32);
    counted.watched = 32;
    kfi_free_secret(memory, 32);
    assert_true(counted.was_zero);
    kfi_free_secret(NULL, 32);

    struct kf_buf buf = KF_BUF_INIT;
    buf.data = kfi_alloc(16);
    buf.capacity = buf.length = 16;
    memset(buf.data, 0x5a, 16);
    counted.watched = 16;
    kf_buf_free(&buf);
    assert_true(counted.was_zero);

    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    kfi_wipe(bytes + 2, 4);
    static const uint8_t expected[8] = {1, 2, 0, 0, 0, 0, 7, 8};
    assert_memory_equal(bytes, expected, 8);
    kfi_wipe(NULL, 0);
}

static void secrets_are_compared_whole(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    memset(a, 7, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(kfi_equal_secret(a, b, sizeof a));
    for (size_t i = 0; i < sizeof b; i++) {
        b[i] ^= 0x80;
        assert_false(kfi_equal_secret(a, b, sizeof a));
        assert_true(kfi_equal_secret(a, b, i));
        b[i] ^= 0x80;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocator_is_taken_before_first_use_only),
        cmocka_unit_test(all_memory_comes_from_the_allocator),
        cmocka_unit_test(nothing_is_still_one_byte),
        cmocka_unit_test(secrets_are_wiped_before_they_go),
        cmocka_unit_test(secrets_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
