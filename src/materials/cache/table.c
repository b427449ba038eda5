/*
 * The table: see table.h. Called by the ledger, under the cache's lock.
 *
 * With n buckets and r the greatest power of 2 up to n, a key is in bucket hash mod 2r, or in hash mod r if there is no
 * such bucket yet. Bucket n is split off from bucket n - r.
 */
#include "materials/cache/table.h"

#include <string.h>

/* How many buckets an added key splits at most. More than one, to catch up once there is memory again. */
#define SPLITS_MAX 2

void kfi_table_init(struct table *table, uint64_t salt)
{
    *table = (struct table){.salt = salt | 1, .room = TABLE_FIRST, .parts = {NULL}};
    table->parts[0] = table->first;
    table->bucket_count = table->round = TABLE_FIRST;
    for (size_t i = 0; i < TABLE_FIRST; i++)
        kfi_list_init(&table->first[i]);
}

static unsigned log2_of(size_t number)
{
    return 63 - (unsigned)__builtin_clzll(number);
}

/* The part in which a bucket is. */
static unsigned part_of(size_t index)
{
    return index < TABLE_FIRST ? 0 : log2_of(index / TABLE_FIRST) + 1;
}

struct kfi_list *kfi_table_bucket(const struct table *table, size_t index)
{
    const unsigned part = part_of(index);
    const size_t start = part == 0 ? 0 : (size_t)TABLE_FIRST << (part - 1);
    return &table->parts[part][index - start];
}

/* Keys are digests already; a multiplication by a secret number hides which of their bits decide. */
static size_t hash_of(const struct table *table, const struct kfi_cache_key *key)
{
    uint64_t word;
    memcpy(&word, key->id, sizeof word);
    return (size_t)(word * table->salt >> 32);
}

static struct kfi_list *bucket_of(const struct table *table, const struct kfi_cache_key *key)
{
    const size_t number = hash_of(table, key), index = number & (2 * table->round - 1);
    return kfi_table_bucket(table, index < table->bucket_count ? index : number & (table->round - 1));
}

static struct keyed *keyed_at(struct kfi_link *link)
{
    return KFI_CONTAINER(link, struct keyed, in_bucket);
}

struct keyed *kfi_table_find(const struct table *table, const struct kfi_cache_key *key)
{
    struct kfi_list *bucket = bucket_of(table, key);
    for (struct kfi_link *link = kfi_list_first(bucket); link != NULL; link = kfi_list_next(bucket, link)) {
        if (memcmp(&keyed_at(link)->key, key, sizeof *key) == 0)
            return keyed_at(link);
    }
    return NULL;
}

/* ---- Growth ---- */

static void split(struct table *table)
{
    const size_t number = table->bucket_count;
    struct kfi_list *from = kfi_table_bucket(table, number - table->round);
    struct kfi_list *to = kfi_table_bucket(table, number);
    kfi_list_init(to);
    table->bucket_count++;
    for (struct kfi_link *link = kfi_list_first(from), *next; link != NULL; link = next) {
        next = kfi_list_next(from, link);
        if (bucket_of(table, &keyed_at(link)->key) == to) {
            kfi_unlink(link);
            kfi_list_push_back(to, link);
        }
    }
    if (table->bucket_count == 2 * table->round)
        table->round = table->bucket_count;
}

static bool is_crowded(const struct table *table)
{
    return table->count > table->bucket_count;
}

void kfi_table_add(struct table *table, struct keyed *keyed)
{
    table->count++;
    for (int i = 0; i < SPLITS_MAX && is_crowded(table) && table->bucket_count < table->room; i++)
        split(table);
    kfi_list_push_front(bucket_of(table, &keyed->key), &keyed->in_bucket);
}

void kfi_table_remove(struct table *table, struct keyed *keyed)
{
    kfi_unlink(&keyed->in_bucket);
    table->count--;
}

size_t kfi_table_wants(const struct table *table)
{
    const bool full = table->bucket_count == table->room && is_crowded(table);
    return full && table->room < (size_t)TABLE_FIRST << (TABLE_PARTS - 1) ? table->room : 0;
}

struct kfi_list *kfi_table_give(struct table *table, struct kfi_list *buckets, size_t count)
{
    if (count != table->room)
        return buckets;
    table->parts[part_of(count)] = buckets;
    table->room *= 2;
    return NULL;
}

struct kfi_list *kfi_table_take_back(struct table *table)
{
    if (table->room == TABLE_FIRST)
        return NULL;
    table->room /= 2;
    return table->parts[part_of(table->room)];
}
