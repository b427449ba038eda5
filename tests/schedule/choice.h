/*
 * Choices: who runs next, whom a signal wakes, whether a wait ends for no reason. They come from a seed, or from a list
 * that was recorded. What differs from the default is recorded, so that a run is its seed and a short list.
 *
 * The default: whoever runs goes on; if he can't, the next one by number does; a signal wakes whoever waits longest.
 */
#ifndef SCHEDULE_CHOICE_H
#define SCHEDULE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum choice_kind {
    CHOICE_NEXT,
    CHOICE_SIGNAL,
    CHOICE_SPURIOUS
};

/* One choice that was not the default: at the `at`-th choice of a thread. So it still fits where others were left out. */
struct choice {
    uint32_t at;
    uint8_t thread, kind, value;
};

#define CHOICES_MAX 60000

struct choice_list {
    size_t count; /* may be more than CHOICES_MAX: then the rest was not recorded */
    struct choice list[CHOICES_MAX];
};

/*
 * Begins a run: chooses by the seed or, if `replayed` is not NULL, by that list. `record` gets the choices, and must
 * not be `replayed`.
 */
void choice_begin(uint64_t seed, const struct choice_list *replayed, struct choice_list *record);

/* A thread has begun. */
void choice_thread_begin(unsigned thread);

/* One of the set bits of `able`, or of `early`, whose owners sleep and may wake early. `stay`: the running one is able. */
unsigned choice_next(unsigned running, bool stay, uint64_t able, uint64_t early);

/* One of the set bits of `waiting`; by default `first`. */
unsigned choice_signal(unsigned running, uint64_t waiting, unsigned first);

/* Whether a wait ends for no reason. */
bool choice_spurious(unsigned running);

/* All choices so far, in one number. */
uint64_t choice_hash(void);

/* The next number of a stream of random numbers. */
uint64_t choice_random_next(uint64_t *state);

#endif
