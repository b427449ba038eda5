/*
 * Faulty programs for the self-test: each has one known fault, which the machine has to find and shrink. The last ones are
 * right, and must not fail. They are compiled as the library is, so that their plain accesses are seen.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/lock.h"
#include "schedule/scenes/scene.h"

#define THREADS 3

static void start_all(void *(*run)(void *), void *context, unsigned count)
{
    unsigned numbers[THREADS];
    for (unsigned i = 0; i < count; i++)
        numbers[i] = machine_start("worker", run, context, false);
    for (unsigned i = 0; i < count; i++)
        machine_join(numbers[i]);
}

/* ---- Two locks in two orders ---- */

static struct kfi_lock lock_a, lock_b;

static void *take_both(void *order)
{
    bool *swapped = order;
    struct kfi_lock *first = *swapped ? &lock_b : &lock_a, *second = *swapped ? &lock_a : &lock_b;
    *swapped = !*swapped;
    kfi_lock_take(first);
    kfi_lock_take(second);
    kfi_lock_leave(second);
    kfi_lock_leave(first);
    return NULL;
}

static void two_orders(void)
{
    bool swapped = false;
    kfi_lock_init(&lock_a);
    kfi_lock_init(&lock_b);
    start_all(take_both, &swapped, 2);
}

/* ---- A wait that looks before it takes the lock ---- */

struct mailbox {
    struct kfi_lock lock;
    struct kfi_condition filled;
    atomic_bool full;
    bool looks_early;
};

static void mailbox_init(struct mailbox *box, bool looks_early)
{
    memset(box, 0, sizeof *box);
    kfi_lock_init(&box->lock);
    kfi_condition_init(&box->filled);
    box->looks_early = looks_early;
}

static void *mailbox_wait(void *context)
{
    struct mailbox *box = context;
    if (box->looks_early) {
        const bool full = box->full;
        kfi_lock_take(&box->lock);
        if (!full)
            kfi_condition_wait_for(&box->filled, &box->lock, UINT64_MAX);
    } else {
        kfi_lock_take(&box->lock);
        while (!box->full)
            kfi_condition_wait_for(&box->filled, &box->lock, UINT64_MAX);
    }
    kfi_lock_leave(&box->lock);
    return NULL;
}

static void mailbox_play(bool looks_early)
{
    struct mailbox box;
    mailbox_init(&box, looks_early);
    const unsigned waiting = machine_start("waiting", mailbox_wait, &box, false);
    kfi_lock_take(&box.lock);
    box.full = true;
    kfi_condition_signal(&box.filled);
    kfi_lock_leave(&box.lock);
    machine_join(waiting);
}

static void lost_wake(void)
{
    mailbox_play(true);
}

static void kept_wake(void)
{
    mailbox_play(false);
}

/* ---- One signal for two who wait for different things ---- */

struct table {
    struct kfi_lock lock;
    struct kfi_condition changed;
    bool served[2];
    unsigned next;
};

static void *table_wait(void *context)
{
    struct table *table = context;
    kfi_lock_take(&table->lock);
    const unsigned me = table->next++;
    while (!table->served[me])
        kfi_condition_wait(&table->changed, &table->lock);
    kfi_lock_leave(&table->lock);
    return NULL;
}

static void *table_serve(void *context)
{
    struct table *table = context;
    for (unsigned i = 0; i < 2; i++) {
        kfi_lock_take(&table->lock);
        table->served[i] = true;
        kfi_condition_signal(&table->changed);
        kfi_lock_leave(&table->lock);
    }
    return NULL;
}

static void wrong_one_woken(void)
{
    struct table table;
    memset(&table, 0, sizeof table);
    kfi_lock_init(&table.lock);
    kfi_condition_init(&table.changed);
    const unsigned a = machine_start("first", table_wait, &table, false);
    const unsigned b = machine_start("second", table_wait, &table, false);
    const unsigned c = machine_start("serving", table_serve, &table, false);
    machine_join(a);
    machine_join(b);
    machine_join(c);
}

/* ---- Counting without a lock: atomic, but in two steps; and not atomic at all ---- */

static atomic_uint counted;
static unsigned *plain_count;

static void *count_in_two_steps(void *unused)
{
    const unsigned now = atomic_load(&counted);
    atomic_store(&counted, now + 1);
    return unused;
}

static void two_steps(void)
{
    counted = 0;
    start_all(count_in_two_steps, NULL, 2);
    CHECK(counted == 2, "race", "Two counts came to %u.", (unsigned)counted);
}

static void *count_plainly(void *unused)
{
    (*plain_count)++;
    return unused;
}

static void no_atomic(void)
{
    unsigned count = 0;
    plain_count = &count;
    start_all(count_plainly, NULL, 2);
    CHECK(count == 2, "race", "Two counts came to %u.", count);
}

static void *count_at_once(void *unused)
{
    atomic_fetch_add(&counted, 1);
    return unused;
}

static void one_step(void)
{
    counted = 0;
    start_all(count_at_once, NULL, 3);
    CHECK(counted == 3, "race", "Three counts came to %u.", (unsigned)counted);
}

/* ---- Memory that is used behind the drop of a reference, or not freed ---- */

struct shared {
    atomic_uint references;
    unsigned value;
};

static void *use_and_drop(void *context)
{
    struct shared *shared = context;
    if (atomic_fetch_sub(&shared->references, 1) == 1)
        kfi_free(shared);
    else
        shared->value++;
    return NULL;
}

static void used_behind_the_drop(void)
{
    struct shared *shared = kfi_alloc_zeroed(sizeof *shared);
    atomic_init(&shared->references, 2);
    start_all(use_and_drop, shared, 2);
}

static void forgotten(void)
{
    struct shared *shared = kfi_alloc_zeroed(sizeof *shared);
    atomic_init(&shared->references, 2);
    start_all(count_at_once, shared, 1);
}

/* ---- A crash ---- */

static unsigned *_Atomic pointer;

static void *pointer_clear(void *unused)
{
    atomic_store(&pointer, NULL);
    return unused;
}

static void *pointer_use(void *unused)
{
    if (atomic_load(&pointer) != NULL)
        *atomic_load(&pointer) = 1;
    return unused;
}

static void crash(void)
{
    static unsigned target;
    pointer = &target;
    const unsigned a = machine_start("using", pointer_use, NULL, false);
    const unsigned b = machine_start("clearing", pointer_clear, NULL, false);
    machine_join(a);
    machine_join(b);
}

/* ---- Thread-local variables: each thread has its own ---- */

static _Thread_local unsigned own = 7;

static void *own_count(void *unused)
{
    for (unsigned i = 0; i < 3; i++) {
        const unsigned before = own;
        machine_point();
        own = before + 1;
    }
    CHECK(own == 10, "race", "A variable of the thread is %u.", own);
    return unused;
}

static void own_variables(void)
{
    start_all(own_count, NULL, 3);
}

const struct scene faulty[] = {
    {"two-orders", "two locks in two orders", two_orders, "deadlock"},
    {"lost-wake", "a wait that looks before it takes the lock", lost_wake, "lost wake"},
    {"wrong-one-woken", "one signal for two who wait for different things", wrong_one_woken, "deadlock"},
    {"two-steps", "an atomic count in two steps", two_steps, "race"},
    {"no-atomic", "a count that is not atomic", no_atomic, "race"},
    {"used-behind", "a use behind the drop of a reference", used_behind_the_drop, "use after free"},
    {"forgotten", "memory that nobody frees", forgotten, "leak"},
    {"crash", "a pointer that is looked at twice", crash, "crash"},
    {"kept-wake", "right: a wait that looks under the lock", kept_wake, NULL},
    {"one-step", "right: an atomic count", one_step, NULL},
    {"own-variables", "right: variables of each thread", own_variables, NULL},
};
const size_t faulty_count = sizeof faulty / sizeof faulty[0];
