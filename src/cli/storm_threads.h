/*
 * Driving callers on a thread each.
 */
#ifndef KF_CLI_STORM_THREADS_H
#define KF_CLI_STORM_THREADS_H

#include "storm_caller.h"

/*
 * Lets `count` callers that have begun ask at once, each blocking on its own thread, and, when all were
 * answered, make their messages. A caller that gives up does so by its deadline. Errors: KF_E_SYSTEM (too
 * many threads), KF_E_NO_MEMORY.
 */
enum kf_code storm_threads_run(struct storm_caller *callers, size_t count, struct kf_error *error);

/* One blocking caller on this thread: asks, and makes its message if it is answered. */
void storm_threads_ask(struct storm_caller *caller);

#endif
