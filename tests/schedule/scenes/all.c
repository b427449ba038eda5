/*
 * The list of all scenes.
 */
#include "schedule/scenes/aws.h"
#include "schedule/scenes/cache.h"
#include "schedule/scenes/jobs.h"
#include "schedule/scenes/scene.h"
#include "schedule/scenes/wakers.h"
#include "schedule/scenes/workers.h"

const struct scene scenes[] = {
    {"burst", "callers who all ask before the first fetch lands: P2 exact, P3", scene_burst, NULL},
    {"any-time", "callers at any time, any way of answering, max_flights: P2 exact", scene_any_time, NULL},
    {"cancel", "callers who give up or time out", scene_cancel, NULL},
    {"failures", "fetches that fail, with and without a pause after it: P5", scene_failures, NULL},
    {"expiry", "keys that expire while callers come", scene_expiry, NULL},
    {"clear", "kf_cache_clear while fetches are under way", scene_clear, NULL},
    {"refresh", "fetches ahead of need", scene_refresh, NULL},
    {"unlike", "CMMs of different limits and lines in one partition", scene_unlike, NULL},
    {"cleanup", "kf_cleanup, by several threads, while callers come", scene_cleanup, NULL},
    {"overdue", "a keyring that blocks beyond fetch_timeout_ms", scene_overdue, NULL},
    {"no-memory", "one allocation that fails, while callers come", scene_no_memory, NULL},
    {"no-thread", "threads that can't be started, while callers come", scene_no_thread, NULL},
    {"waker", "a waker that is replaced and taken away while others call it", scene_waker, NULL},
    {"timers", "timers that are set and turned off while they fire", scene_timers, NULL},
    {"credentials", "the cache of AWS credentials: one fetch, expiry, refusals", scene_credentials, NULL},
    {"transport", "exchanges over a network of our own, failures, cancellations, kf_cleanup", scene_transport,
     NULL},
    {"jobs", "one loop that begins, frees and runs jobs", scene_jobs, NULL},
    {"blocking", "a keyring that blocks, on workers", scene_blocking, NULL},
    {"mixed", "a multi-keyring of synchronous, asynchronous and blocking ones", scene_mixed, NULL},
    {"circle", "two CMMs whose keyrings ask each other", scene_circle, NULL},
};
const size_t scene_count = sizeof scenes / sizeof scenes[0];
