/*
 * The seam: base/lock.h and base/clock.h on the machine, in the place of lock.c and clock.c. Every call is a point. Random
 * bytes come from the seed as well.
 *
 * What the library keeps in struct kfi_lock and the like is ours here: the bytes of the system's types hold our own
 * state, for which zero is what the system's initialisers give too. Misuse is a failure: a lock taken twice or left by
 * another thread, a signal outside the lock, use of what was ended or freed.
 */
#include <errno.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/lock.h"
#include "schedule/arena.h"
#include "schedule/choice.h"
#include "schedule/machine.h"
#include "schedule/seam.h"

#define ENDED 0xdeadU
#define MADE 0x600dU

#define HOUR_MS 3600000
#define WALL_START_S 1700000000

/* ---- Locks ---- */

struct lock_state {
    uint32_t owner; /* 1 and the number of the thread; 0: free */
    uint32_t ended;
};

_Static_assert(sizeof(struct lock_state) <= sizeof(struct kfi_lock), "the state fits into a lock");

static struct lock_state *lock_state(struct kfi_lock *lock)
{
    struct lock_state *state = (struct lock_state *)lock;
    arena_check(lock, sizeof *lock);
    if (state->ended == ENDED)
        machine_fail("lock", "A lock is used that was ended.");
    return state;
}

/* Outside a run there is one thread. */
static uint32_t owner_self(void)
{
    return machine_is_on() ? machine_self() + 1 : UINT32_MAX;
}

void kfi_lock_init(struct kfi_lock *lock)
{
    arena_check(lock, sizeof *lock);
    memset(lock, 0, sizeof *lock);
}

void kfi_lock_end(struct kfi_lock *lock)
{
    struct lock_state *state = lock_state(lock);
    if (state->owner != 0)
        machine_fail("lock", "A lock is ended while somebody holds it.");
    state->ended = ENDED;
}

void kfi_lock_take(struct kfi_lock *lock)
{
    machine_point();
    while (lock_state(lock)->owner != 0) {
        if (lock_state(lock)->owner == owner_self())
            machine_fail("lock", "A thread takes a lock that it holds.");
        machine_wait("a lock", lock, MACHINE_NEVER, false);
    }
    lock_state(lock)->owner = owner_self();
}

static void lock_let_go(struct kfi_lock *lock)
{
    struct lock_state *state = lock_state(lock);
    if (state->owner != owner_self())
        machine_fail("lock", "A thread leaves a lock that it does not hold.");
    state->owner = 0;
    if (machine_is_on())
        machine_wake_all(lock);
}

void kfi_lock_leave(struct kfi_lock *lock)
{
    lock_let_go(lock);
    machine_point();
}

/* ---- Locks with many readers or one writer ---- */

struct rwlock_state {
    uint32_t made; /* the system's initialiser is not zero: what it leaves here is not looked at */
    uint32_t writer, readers, writers_waiting;
};

_Static_assert(sizeof(struct rwlock_state) <= sizeof(struct kfi_rwlock), "the state fits into a lock");

static struct rwlock_state *rwlock_state(struct kfi_rwlock *lock)
{
    struct rwlock_state *state = (struct rwlock_state *)lock;
    arena_check(lock, sizeof *lock);
    if (state->made != MADE)
        *state = (struct rwlock_state){.made = MADE};
    return state;
}

void kfi_rwlock_init(struct kfi_rwlock *lock)
{
    memset(lock, 0, sizeof *lock);
}

void kfi_rwlock_read(struct kfi_rwlock *lock)
{
    struct rwlock_state *state = rwlock_state(lock);
    machine_point();
    while (state->writer != 0 || state->writers_waiting > 0)
        machine_wait("a lock, to read", lock, MACHINE_NEVER, false);
    state->readers++;
}

void kfi_rwlock_write(struct kfi_rwlock *lock)
{
    struct rwlock_state *state = rwlock_state(lock);
    machine_point();
    state->writers_waiting++;
    while (state->writer != 0 || state->readers > 0)
        machine_wait("a lock, to write", lock, MACHINE_NEVER, false);
    state->writers_waiting--;
    state->writer = owner_self();
}

void kfi_rwlock_leave(struct kfi_rwlock *lock)
{
    struct rwlock_state *state = rwlock_state(lock);
    if (state->writer == owner_self())
        state->writer = 0;
    else if (state->writer == 0 && state->readers > 0)
        state->readers--;
    else
        machine_fail("lock", "A thread leaves a lock that it does not hold.");
    if (machine_is_on())
        machine_wake_all(lock);
    machine_point();
}

/* ---- Conditions ---- */

struct condition_state {
    uint32_t made;
    uint32_t waiting;
    struct kfi_lock *lock; /* of the last wait */
};

_Static_assert(sizeof(struct condition_state) <= sizeof(struct kfi_condition),
               "the state fits into a condition");

static struct condition_state *condition_state(struct kfi_condition *condition)
{
    struct condition_state *state = (struct condition_state *)condition;
    arena_check(condition, sizeof *condition);
    if (state->made != MADE)
        machine_fail("condition", "A condition is used that was not made, or was ended.");
    return state;
}

void kfi_condition_init(struct kfi_condition *condition)
{
    arena_check(condition, sizeof *condition);
    memset(condition, 0, sizeof *condition);
    ((struct condition_state *)condition)->made = MADE;
}

void kfi_condition_end(struct kfi_condition *condition)
{
    struct condition_state *state = condition_state(condition);
    if (state->waiting > 0)
        machine_fail("condition", "A condition is ended while somebody waits for it.");
    state->made = ENDED;
}

static void condition_wait_until(struct kfi_condition *condition, struct kfi_lock *lock, uint64_t until)
{
    struct condition_state *state = condition_state(condition);
    if (lock_state(lock)->owner != owner_self())
        machine_fail("condition", "A thread waits for a condition without its lock.");
    state->lock = lock;
    if (choice_spurious(machine_self())) {
        kfi_lock_leave(lock);
    } else {
        state->waiting++;
        lock_let_go(lock);
        machine_wait("a condition", condition, until, false);
        condition_state(condition)->waiting--;
    }
    kfi_lock_take(lock);
}

void kfi_condition_wait(struct kfi_condition *condition, struct kfi_lock *lock)
{
    condition_wait_until(condition, lock, MACHINE_NEVER);
}

void kfi_condition_wait_for(struct kfi_condition *condition, struct kfi_lock *lock, uint64_t ms)
{
    condition_wait_until(condition, lock, machine_now() + (ms < HOUR_MS ? ms : HOUR_MS));
}

static bool somebody_waits(struct kfi_condition *condition)
{
    struct condition_state *state = condition_state(condition);
    if (state->lock != NULL && lock_state(state->lock)->owner != owner_self())
        machine_fail("condition", "A condition is signalled without its lock.");
    return state->waiting > 0;
}

void kfi_condition_signal(struct kfi_condition *condition)
{
    if (somebody_waits(condition))
        machine_wake_one(condition);
    machine_point();
}

void kfi_condition_broadcast(struct kfi_condition *condition)
{
    if (somebody_waits(condition))
        machine_wake_all(condition);
    machine_point();
}

/* ---- Once ---- */

enum once_state {
    ONCE_NOT_RUN,
    ONCE_RUNNING,
    ONCE_RUN
};

static enum once_state once_state(const struct kfi_once *once)
{
    return *(const volatile enum once_state *)(const void *)once;
}

static void once_state_set(struct kfi_once *once, enum once_state state)
{
    *(volatile enum once_state *)(void *)once = state;
}

void kfi_once_run(struct kfi_once *once, void (*make)(void))
{
    machine_point();
    while (once_state(once) == ONCE_RUNNING)
        machine_wait("what is run once", once, MACHINE_NEVER, false);
    if (once_state(once) == ONCE_RUN)
        return;
    once_state_set(once, ONCE_RUNNING);
    make();
    once_state_set(once, ONCE_RUN);
    if (machine_is_on())
        machine_wake_all(once);
}

/* ---- Threads ---- */

static uint32_t threads_fail_permille;

void seam_threads_fail(uint32_t permille)
{
    threads_fail_permille = permille;
}

int kfi_thread_start(void *(*run)(void *context), void *context, struct kfi_thread *thread)
{
    machine_point();
    if (threads_fail_permille > 0 && machine_random(1000) < threads_fail_permille)
        return EAGAIN;
    const unsigned number = machine_start(NULL, run, context, thread == NULL);
    if (thread != NULL)
        thread->id = (pthread_t)number + 1;
    machine_point();
    return 0;
}

void kfi_thread_join(const struct kfi_thread *thread)
{
    machine_join((unsigned)thread->id - 1);
}

/* ---- What each thread has of its own ---- */

#define KEYS_MAX 4

static struct {
    void (*end)(void *value);
    const void *values[MACHINE_THREADS];
} thread_keys[KEYS_MAX];
static unsigned thread_key_count;

static void thread_ends(unsigned number)
{
    for (unsigned i = 0; i < thread_key_count; i++) {
        const void *value = thread_keys[i].values[number];
        thread_keys[i].values[number] = NULL;
        if (value != NULL && thread_keys[i].end != NULL)
            thread_keys[i].end((void *)(uintptr_t)value); /* NOLINT(performance-no-int-to-ptr) */
    }
}

bool kfi_thread_key_init(struct kfi_thread_key *key, void (*end)(void *value))
{
    if (thread_key_count == KEYS_MAX)
        return false;
    key->key = thread_key_count;
    thread_keys[thread_key_count++].end = end;
    machine_thread_ends(thread_ends);
    return true;
}

bool kfi_thread_key_set(const struct kfi_thread_key *key, const void *value)
{
    if (machine_is_on())
        thread_keys[key->key].values[machine_self()] = value;
    return true;
}

/* ---- The clock ---- */

uint64_t kfi_now_ms(void)
{
    machine_point();
    return machine_is_on() ? machine_now() : MACHINE_START_MS;
}

uint64_t kfi_wall_clock_s(void)
{
    return WALL_START_S + kfi_now_ms() / 1000;
}

/* ---- Random bytes ---- */

/*
 * In the place of libcrypto's: what the library draws may decide what it does, as the order of a table does, and a seed has
 * to repeat. Outside a run they are always the same.
 */
int RAND_bytes_ex(OSSL_LIB_CTX *library, unsigned char *out, size_t length, unsigned int strength)
{
    (void)library;
    (void)strength;
    for (size_t i = 0; i < length; i++)
        out[i] = machine_is_on() ? (unsigned char)machine_random(256) : (unsigned char)(i + 1);
    return 1;
}
