/*
 * The table of places: it grows a step at a time, and nobody who chooses keys chooses where they are.
 */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "materials/cache/table.h"

#define SALT UINT64_C(0xD1342543DE82EF95)
#define MANY 1000000

/* A key whose number is the word that the table looks at. */
static struct kfi_cache_key key_of(uint64_t number)
{
    struct kfi_cache_key key;
    memset(&key, 0, sizeof key);
    memcpy(key.id, &number, sizeof number);
    return key;
}

/* Keys are digests: numbers without order, all different (splitmix64). */
static uint64_t digest(uint64_t number)
{
    number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
    return number ^ number >> 31;
}

struct stage {
    struct table table;
    struct keyed *keyed;
    bool starves; /* it gets no memory */
    size_t splits_most;
};

static void stage_open(struct stage *stage, uint64_t salt, size_t room)
{
    *stage = (struct stage){.keyed = calloc(room, sizeof(struct keyed))};
    assert_non_null(stage->keyed);
    kfi_table_init(&stage->table, salt);
}

static void stage_close(struct stage *stage)
{
    for (void *part; (part = kfi_table_take_back(&stage->table)) != NULL;)
        free(part);
    free(stage->keyed);
}

static void feed(struct table *table)
{
    const size_t count = kfi_table_wants(table);
    if (count > 0)
        assert_null(kfi_table_give(table, malloc(count * sizeof(struct kfi_list)), count));
}

static void add(struct stage *stage, size_t index, uint64_t number)
{
    struct table *table = &stage->table;
    const size_t before = table->bucket_count;
    stage->keyed[index].key = key_of(number);
    kfi_table_add(table, &stage->keyed[index]);
    const size_t splits = table->bucket_count - before;
    if (splits > stage->splits_most)
        stage->splits_most = splits;
    if (!stage->starves)
        feed(table);
}

/* How many keys the fullest bucket has, and how many a look for a key that is there passes, by the thousand. */
static size_t longest(const struct table *table, size_t *permille)
{
    size_t most = 0, keys = 0, passed = 0;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct kfi_list *bucket = kfi_table_bucket(table, i);
        size_t length = 0;
        for (struct kfi_link *at = kfi_list_first(bucket); at != NULL; at = kfi_list_next(bucket, at))
            length++;
        most = length > most ? length : most;
        keys += length;
        passed += length * (length + 1) / 2;
    }
    assert_int_equal(keys, table->count);
    *permille = keys == 0 ? 0 : passed * 1000 / keys;
    return most;
}

/* No step is long: each key splits two buckets at most, and no bucket ever is. */
static void a_million_keys_have_short_chains(void **state)
{
    struct stage stage;
    size_t permille;
    (void)state;
    stage_open(&stage, SALT, MANY);
    for (size_t i = 0, next = 100; i < MANY; i++) {
        add(&stage, i, digest(i));
        if (i + 1 < next)
            continue;
        next = next * 3 / 2;
        assert_in_range(longest(&stage.table, &permille), 1, 12);
        assert_in_range(permille, 1000, 1800);
        assert_in_range(stage.table.bucket_count, i,
                        i + 1); /* it keeps up: the last wish was fulfilled behind it */
    }
    assert_in_range(longest(&stage.table, &permille), 1, 12);
    assert_in_range(permille, 1000, 1800);
    assert_in_range(stage.splits_most, 1, 2);
    for (size_t i = 0; i < MANY; i++) {
        const struct kfi_cache_key key = key_of(digest(i));
        assert_ptr_equal(kfi_table_find(&stage.table, &key), &stage.keyed[i]);
    }
    const struct kfi_cache_key strange = key_of(digest(MANY));
    assert_null(kfi_table_find(&stage.table, &strange));
    stage_close(&stage);
}

static void keys_come_and_go_while_it_grows(void **state)
{
    enum {
        COUNT = 20000
    };
    struct stage stage;
    (void)state;
    stage_open(&stage, SALT, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        add(&stage, i, digest(i));
        if (i % 3 == 2)
            kfi_table_remove(&stage.table, &stage.keyed[i / 3]);
    }
    assert_int_equal(stage.table.count, COUNT - COUNT / 3);
    for (size_t i = 0; i < COUNT; i++) {
        const struct kfi_cache_key key = key_of(digest(i));
        assert_ptr_equal(kfi_table_find(&stage.table, &key), i < COUNT / 3 ? NULL : &stage.keyed[i]);
    }
    /* It never shrinks, and does not grow again for keys that it had room for. */
    const size_t buckets = stage.table.bucket_count;
    for (size_t i = COUNT / 3; i < COUNT; i++)
        kfi_table_remove(&stage.table, &stage.keyed[i]);
    for (size_t i = 0; i < COUNT / 3; i++)
        add(&stage, i, digest(i));
    assert_int_equal(stage.table.bucket_count, buckets);
    stage_close(&stage);
}

static void without_memory_it_goes_on_and_catches_up_later(void **state)
{
    enum {
        COUNT = 10 * TABLE_FIRST
    };
    struct stage stage;
    size_t permille;
    (void)state;
    stage_open(&stage, SALT, 2 * COUNT);
    stage.starves = true;
    for (size_t i = 0; i < COUNT; i++)
        add(&stage, i, digest(i));
    assert_int_equal(stage.table.bucket_count, TABLE_FIRST);
    assert_int_equal(kfi_table_wants(&stage.table), TABLE_FIRST);
    for (size_t i = 0; i < COUNT; i++) {
        const struct kfi_cache_key key = key_of(digest(i));
        assert_ptr_equal(kfi_table_find(&stage.table, &key), &stage.keyed[i]);
    }
    stage.starves = false;
    feed(&stage.table);
    for (size_t i = COUNT; i < 2 * COUNT; i++)
        add(&stage, i, digest(i));
    assert_int_equal(stage.table.bucket_count, 2 * COUNT);
    assert_in_range(longest(&stage.table, &permille), 1, 12);
    assert_int_equal(stage.splits_most, 2);
    stage_close(&stage);
}

static void memory_that_comes_twice_is_given_back(void **state)
{
    struct stage stage;
    (void)state;
    stage_open(&stage, SALT, TABLE_FIRST + 1);
    stage.starves = true;
    for (size_t i = 0; i < TABLE_FIRST; i++)
        add(&stage, i, digest(i));
    assert_int_equal(kfi_table_wants(&stage.table), 0);
    add(&stage, TABLE_FIRST, digest(TABLE_FIRST));
    assert_int_equal(kfi_table_wants(&stage.table), TABLE_FIRST);
    struct kfi_list *one = malloc(TABLE_FIRST * sizeof *one), *other = malloc(TABLE_FIRST * sizeof *other);
    assert_null(kfi_table_give(&stage.table, one, TABLE_FIRST));
    assert_int_equal(kfi_table_wants(&stage.table), 0);
    assert_ptr_equal(kfi_table_give(&stage.table, other, TABLE_FIRST), other);
    free(other);
    stage_close(&stage);
}

/* The number by which an odd one is multiplied to get 1 (Newton). */
static uint64_t inverse(uint64_t odd)
{
    uint64_t found = odd;
    for (int i = 0; i < 5; i++)
        found *= 2 - odd * found;
    return found;
}

/* Whoever chooses keys for one bucket has to know the salt, which is random. */
static void chosen_keys_do_not_meet_under_another_salt(void **state)
{
    enum {
        COUNT = 2000
    };
    struct stage stage;
    size_t permille;
    (void)state;
    for (int other = 0; other < 2; other++) {
        stage_open(&stage, other ? SALT * SALT : SALT, COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            add(&stage, i, (i << 48 | digest(i) >> 32) * inverse(SALT));
        const size_t most = longest(&stage.table, &permille);
        if (other)
            assert_in_range(most, 1, 12);
        else
            assert_int_equal(most, COUNT);
        stage_close(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_keys_have_short_chains),
        cmocka_unit_test(keys_come_and_go_while_it_grows),
        cmocka_unit_test(without_memory_it_goes_on_and_catches_up_later),
        cmocka_unit_test(memory_that_comes_twice_is_given_back),
        cmocka_unit_test(chosen_keys_do_not_meet_under_another_salt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
