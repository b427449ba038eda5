/*
 * Choices: see choice.h. Called by the machine.
 *
 * There are three ways to choose by a seed, each with settings that the seed draws too:
 * a walk goes on with a fixed chance, and else chooses anybody;
 * priorities (PCT) let the thread of the highest priority run, and lower it at a few points;
 * holding back keeps one thread out for a while, and walks with the others.
 */
#include "schedule/choice.h"

#include <string.h>

#include "schedule/machine.h"
#include "schedule/report.h"

#define LOWERINGS 5
#define TIRED_AFTER \
    50000 /* choices: then it becomes an even walk, so that a thread which polls starves nobody */

enum policy {
    WALK,
    PRIORITIES,
    HOLD_BACK,
    REPLAY
};

static struct {
    enum policy policy;
    uint64_t random;
    uint64_t hash;
    uint64_t made;     /* choices, also those that had one answer only */
    uint32_t go_on;    /* of 256: the chance to go on without a choice */
    uint32_t early;    /* of 256: the chance that those who sleep may be chosen */
    uint32_t spurious; /* of 4096: the chance that a wait ends for no reason */

    uint64_t priority[MACHINE_THREADS];
    uint64_t lower_at[LOWERINGS];

    unsigned held;
    uint64_t held_until;
    unsigned hold_bits; /* it is held back for up to two to the power of this */

    uint32_t at[MACHINE_THREADS]; /* choices of each thread */
    struct choice_list *record;

    const struct choice_list *replayed;
    size_t next[MACHINE_THREADS]; /* where in the list each thread is */
} choosing;

uint64_t choice_random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static uint64_t random_below(uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)choice_random_next(&choosing.random) * limit) >> 64);
}

static bool chance(uint32_t of_256)
{
    return of_256 > 0 && random_below(256) < of_256;
}

static unsigned lowest(uint64_t set)
{
    return (unsigned)__builtin_ctzll(set);
}

static unsigned any_of(uint64_t set)
{
    for (uint64_t skip = random_below((uint64_t)__builtin_popcountll(set)); skip > 0; skip--)
        set &= set - 1;
    return lowest(set);
}

void choice_begin(uint64_t seed, const struct choice_list *replayed, struct choice_list *record)
{
    static const uint32_t go_on[] = {0, 0, 128, 192, 240, 250}, early[] = {0, 4, 32, 256};
    memset(&choosing, 0, sizeof choosing);
    choosing.random = seed;
    choosing.record = record;
    choosing.replayed = replayed;
    record->count = 0;
    choosing.policy = (enum policy)random_below(3);
    choosing.go_on = go_on[random_below(6)];
    choosing.early = early[random_below(4)];
    choosing.spurious = random_below(4) == 0 ? 256 : 0;
    const unsigned magnitude = 4 + (unsigned)random_below(9);
    const uint64_t lowerings = random_below(LOWERINGS + 1);
    for (unsigned i = 0; i < LOWERINGS; i++)
        choosing.lower_at[i] = i < lowerings ? 1 + random_below((uint64_t)1 << magnitude) : 0;
    choosing.hold_bits = 2 + (unsigned)random_below(10);
    if (replayed != NULL)
        choosing.policy = REPLAY;
}

void choice_thread_begin(unsigned thread)
{
    choosing.priority[thread] = LOWERINGS + 1 + (choice_random_next(&choosing.random) >> 8);
}

/* The recorded choice, or the default if there is none, or if it is not possible here. */
static unsigned replayed(unsigned running, enum choice_kind kind, uint64_t possible, unsigned by_default)
{
    const struct choice_list *list = choosing.replayed;
    size_t i = choosing.next[running];
    while (i < list->count && (list->list[i].thread != running || list->list[i].at < choosing.at[running]))
        i++;
    choosing.next[running] = i;
    if (i == list->count || list->list[i].at != choosing.at[running] || list->list[i].kind != kind)
        return by_default;
    const unsigned value = list->list[i].value;
    return possible >> value & 1 ? value : by_default;
}

/* Ends a choice of the running thread. */
static unsigned chosen(unsigned running, enum choice_kind kind, unsigned value, unsigned by_default)
{
    struct choice_list *record = choosing.record;
    choosing.hash = (choosing.hash ^ (running << 8 ^ value ^ (unsigned)kind << 16)) * 0x100000001b3U;
    if (value == by_default)
        return value;
    const struct choice choice = {choosing.at[running], (uint8_t)running, (uint8_t)kind, (uint8_t)value};
    report_choice(&choice);
    if (record->count < CHOICES_MAX)
        record->list[record->count] = choice;
    record->count++;
    return value;
}

static unsigned walk(unsigned running, bool stay, uint64_t possible)
{
    return stay && chance(choosing.go_on) ? running : any_of(possible);
}

static unsigned by_priority(unsigned running, uint64_t possible)
{
    for (unsigned i = 0; i < LOWERINGS; i++) {
        if (choosing.lower_at[i] == choosing.made)
            choosing.priority[running] = i;
    }
    unsigned best = lowest(possible);
    for (; possible != 0; possible &= possible - 1) {
        if (choosing.priority[lowest(possible)] > choosing.priority[best])
            best = lowest(possible);
    }
    return best;
}

static unsigned holding_back(unsigned running, bool stay, uint64_t possible)
{
    if (choosing.made >= choosing.held_until) {
        choosing.held = any_of(possible);
        choosing.held_until =
            choosing.made + 1 + random_below((uint64_t)1 << random_below(choosing.hold_bits + 1));
    }
    const uint64_t held = (uint64_t)1 << choosing.held;
    if ((possible & ~held) != 0)
        possible &= ~held;
    return walk(running, stay && (possible >> running & 1), possible);
}

unsigned choice_next(unsigned running, bool stay, uint64_t able, uint64_t early)
{
    const uint64_t behind = able & ~(((uint64_t)2 << running) - 1);
    const unsigned by_default = stay ? running : lowest(behind != 0 ? behind : able);
    uint64_t possible = able | early;
    choosing.made++;
    choosing.at[running]++;
    if (choosing.policy == REPLAY)
        return chosen(running, CHOICE_NEXT, replayed(running, CHOICE_NEXT, possible, by_default), by_default);
    if (early != 0 && !chance(choosing.early))
        possible = able;
    if ((possible & (possible - 1)) == 0)
        return chosen(running, CHOICE_NEXT, lowest(possible), by_default);
    if (choosing.made > TIRED_AFTER)
        return chosen(running, CHOICE_NEXT, any_of(possible), by_default);
    unsigned value = 0;
    switch (choosing.policy) {
    case PRIORITIES:
        value = by_priority(running, possible);
        break;
    case HOLD_BACK:
        value = holding_back(running, stay, possible);
        break;
    case WALK:
    case REPLAY:
        value = walk(running, stay, possible);
        break;
    }
    return chosen(running, CHOICE_NEXT, value, by_default);
}

unsigned choice_signal(unsigned running, uint64_t waiting, unsigned first)
{
    choosing.at[running]++;
    if ((waiting & (waiting - 1)) == 0)
        return first;
    const unsigned value =
        choosing.policy == REPLAY ? replayed(running, CHOICE_SIGNAL, waiting, first) : any_of(waiting);
    return chosen(running, CHOICE_SIGNAL, value, first);
}

bool choice_spurious(unsigned running)
{
    choosing.at[running]++;
    unsigned value = 0;
    if (choosing.policy == REPLAY)
        value = replayed(running, CHOICE_SPURIOUS, 2, 0);
    else if (choosing.spurious > 0 && random_below(4096) < choosing.spurious)
        value = 1;
    return chosen(running, CHOICE_SPURIOUS, value, 0) != 0;
}

uint64_t choice_hash(void)
{
    return choosing.hash;
}
