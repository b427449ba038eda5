/*
 * The bug, for comparison: a caching CMM, written against the public interface as a user would, that does
 * what every other ESDK's does: look, miss, fetch, put. Nobody knows who else is fetching.
 */
#ifndef KF_CLI_STORM_NAIVE_H
#define KF_CLI_STORM_NAIVE_H

#include <keyflight/cmm.h>

struct storm_naive;

struct storm_naive_options {
    uint64_t max_messages;
    uint64_t max_bytes;
    uint64_t max_age_ms;
    uint64_t capacity;
};

/* The pair of a request's encryption context that tells its keys from others. */
#define STORM_NAIVE_KEY "context"

/*
 * Caches what `backing` answers, of which it takes a reference. The caller owns one reference of `*out`;
 * `*naive` lives as long as that CMM.
 */
enum kf_code storm_naive_new(struct kf_cmm *backing, const struct storm_naive_options *options,
                             struct kf_error *error, struct storm_naive **naive, struct kf_cmm **out);

/* How many keys with budget left ended by capacity or age; the argument is a struct storm_naive. */
uint64_t storm_naive_lost_keys(void *naive);

#endif
