/*
 * Scenes: small programs that use the library on a few threads and check its promises. Each run of a scene draws what it
 * does from its seed (machine_random), and leaves nothing behind.
 */
#ifndef SCHEDULE_SCENES_SCENE_H
#define SCHEDULE_SCENES_SCENE_H

#include "schedule/machine.h"

struct scene {
    const char *name;
    const char *what; /* one line */
    void (*run)(void);
    const char
        *finds; /* a faulty program of the self-test: the kind of the failure. NULL: none may be found */
};

/* All scenes, and the programs of the self-test. */
extern const struct scene scenes[], faulty[];
extern const size_t scene_count, faulty_count;

/* Fails with kind `promise` unless `holds`. */
#define CHECK(holds, promise, ...)                \
    do {                                          \
        if (!(holds))                             \
            machine_fail((promise), __VA_ARGS__); \
    } while (0)

#endif
