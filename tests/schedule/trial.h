/*
 * Trials: runs in a process of their own, so that one that fails, or crashes, harms nobody.
 */
#ifndef SCHEDULE_TRIAL_H
#define SCHEDULE_TRIAL_H

#include "schedule/report.h"
#include "schedule/scenes/scene.h"

struct trial {
    const struct scene *scenes; /* the seed chooses one of them */
    size_t scene_count;
    uint64_t seed, runs, points; /* begins with this seed, and ends after so many runs, or points */
    const struct choice_list *replayed;
    bool report;
};

/* Makes what trials share with this process. */
struct found *trial_found(void);

/* Runs until something fails: true. Then `*found` says what. */
bool trial_fails(const struct trial *trial, struct found *found);

/*
 * Takes away what a failure does not need from its list of choices, in `choices`: the run of `found->seed` fails in the
 * same way with what is left. False if it does not fail again at all.
 */
bool trial_shrink(const struct trial *trial, struct found *found, struct choice_list *choices);

#endif
