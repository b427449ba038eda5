/*
 * Circles: see circle.h.
 *
 * Fetches and those who wait are a graph: from a fetch one comes to each seat in which somebody inside of it waits, and
 * from a seat to the fetch that will answer it. The first are kept here, in lists of the fetches. The second are asked
 * of the seats' owners as the search goes, under their own locks, since a place in a line becomes a seat without us.
 *
 * No fetch that is met can go meanwhile. It is one of those around the caller, who are under way. Or somebody inside of
 * it waits, who keeps it until he has left, for which he needs this lock. All others are left out: nothing leads on from
 * them.
 */
#include "base/circle.h"

#include "base/fork.h"
#include "base/lock.h"

static struct {
    struct kfi_fork_guard guard;
    /* Guards `waiting`, `met` and `search` of all flights, and `inside` of all seats. Owners' locks are taken under it. */
    struct kfi_lock lock;
    uint64_t searches;
} circles = {.lock = KFI_LOCK_INIT};

struct kfi_circle_search {
    uint64_t number;
    const struct kfi_flight *inner;
    const struct kfi_inside *here;
    struct kfi_list met; /* flights to go on from */
    bool closed;         /* it came back to where the caller is */
};

static void circles_reset(void *unused)
{
    (void)unused;
    kfi_lock_init(&circles.lock);
}

static void circles_lock(void)
{
    kfi_fork_guard_check(&circles.guard, circles_reset, NULL);
    kfi_lock_take(&circles.lock);
}

static void circles_unlock(void)
{
    kfi_lock_leave(&circles.lock);
}

/* Whether the caller who looks for circles is inside this fetch. */
static bool is_around(const struct kfi_circle_search *search, const struct kfi_flight *flight)
{
    const struct kfi_inside *inside = search->here;
    while (inside != NULL && inside->flight != flight)
        inside = inside->outer;
    return flight == search->inner || inside != NULL;
}

void kfi_circle_meet(struct kfi_circle_search *search, struct kfi_flight *flight)
{
    if (is_around(search, flight))
        search->closed = true;
    if (search->closed || flight->search == search->number || kfi_list_empty(&flight->waiting))
        return;
    flight->search = search->number;
    kfi_list_push_back(&search->met, &flight->met);
}

/* Goes from the fetches that were met to all that they wait for, each once. */
static void search_on(struct kfi_circle_search *search)
{
    for (struct kfi_link *link; (link = kfi_list_pop(&search->met)) != NULL;) {
        struct kfi_list *waiting = &KFI_CONTAINER(link, struct kfi_flight, met)->waiting;
        for (struct kfi_link *at = kfi_list_first(waiting); at != NULL; at = kfi_list_next(waiting, at)) {
            struct kfi_seat *seat = KFI_CONTAINER(at, struct kfi_seat, inside);
            seat->class->awaited(seat, search);
        }
    }
}

bool kfi_circle_enter(struct kfi_seat *seat, struct kfi_flight *inner, const struct kfi_inside *here)
{
    struct kfi_circle_search search = {.inner = inner, .here = here};
    kfi_list_init(&search.met);
    circles_lock();
    search.number = ++circles.searches;
    seat->class->awaited(seat, &search);
    search_on(&search);
    if (!search.closed) {
        seat->inner = inner;
        kfi_refs_add(&inner->refs, 1);
        kfi_list_push_back(&inner->waiting, &seat->inside);
    }
    circles_unlock();
    return search.closed;
}

void kfi_circle_leave(struct kfi_seat *seat)
{
    struct kfi_flight *inner = seat->inner;
    if (inner == NULL || kfi_call_is_inherited(&inner->call))
        return;
    seat->inner = NULL;
    circles_lock();
    kfi_unlink(&seat->inside);
    circles_unlock();
    kfi_flight_unref(inner);
}
