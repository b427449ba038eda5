/*
 * Counting what the callers of a storm ended up with.
 */
#ifndef KF_CLI_STORM_TALLY_H
#define KF_CLI_STORM_TALLY_H

#include "storm.h"
#include "storm_caller.h"

/*
 * Counts `count` callers, of which the first `warm` were the warm-up, into `*out`, which is all zero. On an
 * error the caller owes nothing. Errors: KF_E_NO_MEMORY.
 */
enum kf_code storm_tally(const struct storm_caller *callers, size_t warm, size_t count,
                         struct kf_error *error, struct storm_result *out);

#endif
