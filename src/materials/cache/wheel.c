/*
 * The wheel: see wheel.h. Called by the ledger, under the cache's lock.
 */
#include "materials/cache/wheel.h"

void kfi_wheel_init(struct wheel *wheel)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        kfi_list_init(&wheel->slots[i]);
    kfi_list_init(&wheel->due);
    wheel->next_tick = 0;
    wheel->count = 0;
}

static uint64_t tick_of(uint64_t ms)
{
    return ms >> WHEEL_TICK_LOG2;
}

static struct kfi_list *slot_of(struct wheel *wheel, uint64_t tick)
{
    return &wheel->slots[tick % WHEEL_SLOTS];
}

void kfi_wheel_put(struct wheel *wheel, struct ending *ending, uint64_t at_ms, uint64_t now_ms)
{
    const uint64_t tick = tick_of(at_ms);
    if (wheel->count++ == 0)
        wheel->next_tick = tick_of(now_ms); /* an empty wheel stood still */
    ending->at_ms = at_ms;
    kfi_list_push_back(tick < wheel->next_tick ? &wheel->due : slot_of(wheel, tick), &ending->link);
}

void kfi_wheel_take(struct wheel *wheel, struct ending *ending)
{
    kfi_unlink(&ending->link);
    wheel->count--;
}

/* Moves the next slot whose time is over to those that are due; false if there is none. */
static bool turn(struct wheel *wheel, uint64_t now_ms)
{
    const uint64_t now_tick = tick_of(now_ms);
    if (wheel->count == 0 || wheel->next_tick >= now_tick)
        return false;
    if (now_tick - wheel->next_tick > WHEEL_SLOTS)
        wheel->next_tick = now_tick - WHEEL_SLOTS; /* one turn passes all */
    kfi_list_splice(&wheel->due, slot_of(wheel, wheel->next_tick++));
    return true;
}

bool kfi_wheel_step(struct wheel *wheel, uint64_t now_ms, struct ending **over)
{
    *over = NULL;
    struct kfi_link *first = kfi_list_first(&wheel->due);
    if (first == NULL)
        return turn(wheel, now_ms);
    struct ending *ending = KFI_CONTAINER(first, struct ending, link);
    if (ending->at_ms <= now_ms) {
        *over = ending;
    } else { /* of a later turn */
        kfi_unlink(first);
        kfi_list_push_back(slot_of(wheel, tick_of(ending->at_ms)), first);
    }
    return true;
}
