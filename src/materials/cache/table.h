/*
 * A hash table that grows a step at a time, so that no step is long: adding a key splits two buckets at most (linear
 * hashing). It never shrinks: what is left of it behind many keys is 16 bytes for each.
 *
 * It allocates nothing. Its owner hands it memory when it asks for some; without it chains become longer, no more.
 */
#ifndef KFI_MATERIALS_CACHE_TABLE_H
#define KFI_MATERIALS_CACHE_TABLE_H

#include "base/list.h"
#include "materials/cache/key.h"

/* What is in the table, embedded in what belongs to the key. */
struct keyed {
    struct kfi_link in_bucket;
    struct kfi_cache_key key;
};

#define TABLE_FIRST 64 /* buckets to begin with */
#define TABLE_PARTS 23 /* 64 << 22 buckets at most; more keys make longer chains */

struct table {
    uint64_t salt;
    size_t count; /* keys */
    size_t bucket_count;
    size_t round;                        /* the greatest power of 2 that is no more than bucket_count */
    size_t room;                         /* there is memory for so many buckets, a power of 2 */
    struct kfi_list *parts[TABLE_PARTS]; /* the first 64, and then always as many as before */
    struct kfi_list first[TABLE_FIRST];
};

/* An empty table. The salt keeps those who choose keys from choosing buckets: it is random, and secret. */
void kfi_table_init(struct table *table, uint64_t salt);

struct keyed *kfi_table_find(const struct table *table, const struct kfi_cache_key *key);
/* Adds what is not there yet, with its key filled in. */
void kfi_table_add(struct table *table, struct keyed *keyed);
void kfi_table_remove(struct table *table, struct keyed *keyed);

/* The buckets for which the table needs memory to grow; 0: none. */
size_t kfi_table_wants(const struct table *table);
/*
 * Hands the table memory for `count` buckets, not initialised. What it has no use for, because somebody else was faster,
 * is given back; else NULL.
 */
struct kfi_list *kfi_table_give(struct table *table, struct kfi_list *buckets, size_t count);
/* Gives back the memory of an empty table, a part with each call, then NULL. */
struct kfi_list *kfi_table_take_back(struct table *table);

/* For those who walk through all of it, from 0 to bucket_count - 1: a list of struct keyed. */
struct kfi_list *kfi_table_bucket(const struct table *table, size_t index);

#endif
