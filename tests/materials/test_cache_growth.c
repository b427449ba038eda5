/*
 * A cache takes memory for what is in it, not for what could be: its table of keys grows with them, and what there is no
 * memory for is done without.
 */
#include "support/asker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "materials/cache/table.h"

#define GROWTH (TABLE_FIRST * sizeof(struct kfi_list)) /* the first that a table asks for */
#define KEYS 300

static atomic_size_t held;   /* bytes of the library */
static atomic_bool starving; /* there is no memory for the table */
static atomic_uint refused, grown;

static void *give(void *context, size_t size)
{
    (void)context;
    if (size == GROWTH) {
        atomic_fetch_add(starving ? &refused : &grown, 1);
        if (starving)
            return NULL;
    }
    size_t *block = malloc(sizeof(max_align_t) + size);
    if (block == NULL)
        return NULL;
    *block = size;
    atomic_fetch_add(&held, size);
    return (char *)block + sizeof(max_align_t);
}

static void take(void *context, void *memory)
{
    (void)context;
    if (memory == NULL)
        return;
    size_t *block = (size_t *)(void *)((char *)memory - sizeof(max_align_t));
    atomic_fetch_sub(&held, *block);
    free(block);
}

static void a_huge_capacity_costs_nothing(void **state)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cache *cache;
    size_t bytes[3]; /* the first cache of a process brings more with it */
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const size_t before = held;
        assert_ok(kf_cache_new(i < 2 ? 0 : SIZE_MAX, &error, &cache), &error);
        bytes[i] = held - before;
        kf_cache_unref(cache);
    }
    assert_int_equal(bytes[1], bytes[2]);
    assert_in_range(bytes[1], 1, 8192);
}

/* Asks for the keys of these numbers. */
static void ask_all(struct kf_cmm *cmm, uint16_t first, uint16_t end)
{
    for (uint16_t i = first; i < end; i++) {
        struct kf_encryption_request request = encryption_request(1);
        struct asker asker;
        request.max_edks = i; /* a key of its own */
        assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_OK);
        asker_leave(&asker);
    }
}

static void a_table_without_memory_grows_later(void **state)
{
    struct kf_caching_cmm_options options = caching_options(1000, 1000000);
    struct kf_cache_stats stats = KF_CACHE_STATS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    (void)state;
    options.keyring = support_keyring();
    const size_t before = held;
    assert_ok(kf_cache_new(2 * KEYS, &error, &options.cache), &error);
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    starving = true;
    grown = 0;
    ask_all(cmm, 1, KEYS);
    assert_true(refused > 0 && grown == 0);
    ask_all(cmm, 1, KEYS); /* all are found */
    kf_cache_stats_read(options.cache, &stats);
    assert_true(stats.hits == KEYS - 1 && stats.entries == KEYS - 1);

    starving = false;
    ask_all(cmm, 1, 2 * KEYS);
    assert_int_equal(grown, 1);
    ask_all(cmm, 1, 2 * KEYS);
    kf_cache_stats_read(options.cache, &stats);
    assert_int_equal(stats.entries, 2 * KEYS - 1);
    assert_int_equal(stats.hits, 2 * (KEYS - 1) + 2 * KEYS - 1);
    kf_cmm_unref(cmm);
    kf_cache_unref(options.cache);
    assert_int_equal(held, before);
    kf_keyring_unref(options.keyring);
}

int main(void)
{
    const struct kf_allocator allocator = {sizeof allocator, NULL, give, take};
    if (kf_allocator_set(&allocator) != KF_OK)
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_huge_capacity_costs_nothing),
        cmocka_unit_test(a_table_without_memory_grows_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
