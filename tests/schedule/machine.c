/*
 * The machine: see machine.h. A thread is a context of ucontext.h with a stack of its own. The system knows one thread,
 * so each has its own copy of the program's thread-local variables, which is put in place when it runs.
 */
#include "schedule/machine.h"

#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "schedule/choice.h"
#include "schedule/report.h"

#define STACK_BYTES (256 * 1024)
#define GUARD_BYTES 4096
#define POINTS_MAX 400000 /* of one run */

struct thread {
    ucontext_t context;
    char *stack;
    uint8_t *locals; /* its thread-local variables, while another thread runs */
    void *(*run)(void *context);
    void *argument;
    char name[32];
    bool used, ended, detached;

    /* While it waits. */
    const char *kind;
    const void *object;
    uint64_t until, since;
    bool woken;

    uint64_t random;
    void *frames[REPORT_FRAMES]; /* where it was when another one went on; for reports */
    int frame_count;
};

static struct {
    bool on, plain_points;
    struct thread threads[MACHINE_THREADS];
    unsigned running, high; /* the running thread; the highest number that was used, and 1 */
    uint64_t able, early;   /* sets of threads: those that can run; those that sleep and may wake early */
    uint64_t now, points, waits, seed, started;
    void (*main)(void);
    void (*thread_ends)(unsigned number);
    ucontext_t root;
} machine;

/* ---- Thread-local variables ---- */

static struct {
    uint8_t *place;       /* where those of the running thread are */
    const uint8_t *fresh; /* what they begin with; behind that come zeros */
    size_t fresh_size, size;
} locals;

static int find_locals(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_TLS)
            continue;
        locals.place = info->dlpi_tls_data;
        locals.fresh =
            (const uint8_t *)(info->dlpi_addr + header->p_vaddr); /* NOLINT(performance-no-int-to-ptr) */
        locals.fresh_size = header->p_filesz;
        locals.size = header->p_memsz;
    }
    return 1; /* the first is the program */
}

static void locals_make(uint8_t *out)
{
    memcpy(out, locals.fresh, locals.fresh_size);
    memset(out + locals.fresh_size, 0, locals.size - locals.fresh_size);
}

/* ---- Failures ---- */

static uint64_t bit(unsigned number)
{
    return (uint64_t)1 << number;
}

static void tell_of_thread(const struct thread *thread, unsigned number)
{
    char line[160];
    if (number == machine.running)
        snprintf(line, sizeof line, "  %u %s was running", number, thread->name);
    else if (machine.able & bit(number))
        snprintf(line, sizeof line, "  %u %s could run", number, thread->name);
    else if (thread->until != MACHINE_NEVER)
        snprintf(line, sizeof line, "  %u %s waited for %s, for %llu ms at most", number, thread->name,
                 thread->kind, (unsigned long long)(thread->until - machine.now));
    else
        snprintf(line, sizeof line, "  %u %s waited for %s", number, thread->name, thread->kind);
    report_line(line, thread->frames, thread->frame_count);
}

_Noreturn void machine_fail(const char *kind, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (machine.on) {
        struct thread *self = &machine.threads[machine.running];
        self->frame_count = report_frames(self->frames);
        for (unsigned i = 0; i < machine.high; i++) {
            if (machine.threads[i].used && !machine.threads[i].ended)
                tell_of_thread(&machine.threads[i], i);
        }
    }
    report_failure(kind, text);
}

/* ---- Switching ---- */

static void time_move(uint64_t now)
{
    if (now > machine.now)
        machine.now = now;
    for (unsigned i = 0; i < machine.high; i++) {
        struct thread *thread = &machine.threads[i];
        if (thread->used && !thread->ended && !(machine.able & bit(i)) && thread->until <= machine.now) {
            machine.able |= bit(i);
            machine.early &= ~bit(i);
        }
    }
}

/* Nobody can run: moves the clock to the next end of a wait. */
static void time_jump(void)
{
    uint64_t next = MACHINE_NEVER;
    bool patient = false;
    for (unsigned i = 0; i < machine.high; i++) {
        const struct thread *thread = &machine.threads[i];
        if (!thread->used || thread->ended || thread->until > next || thread->until == MACHINE_NEVER)
            continue;
        patient = (patient && thread->until == next) || (machine.early & bit(i)) != 0;
        next = thread->until;
    }
    if (next == MACHINE_NEVER)
        machine_fail("deadlock", "Nobody can run, and no wait ends on its own.");
    if (!patient && next - machine.now > MACHINE_PATIENCE_MS)
        machine_fail("lost wake", "Nobody can run, and the next wait that ends on its own takes %llu ms.",
                     (unsigned long long)(next - machine.now));
    time_move(next);
}

/* Lets a thread run that was chosen; it may be the one that runs. */
static void go_to(unsigned number)
{
    struct thread *from = &machine.threads[machine.running], *to = &machine.threads[number];
    if (!(machine.able & bit(number)))
        time_move(to->until); /* it sleeps, and was chosen early */
    if (from == to)
        return;
    if (report_wanted())
        from->frame_count = report_frames(from->frames);
    memcpy(from->locals, locals.place, locals.size);
    memcpy(locals.place, to->locals, locals.size);
    machine.running = number;
    swapcontext(&from->context, &to->context);
}

static void count_point(void)
{
    if (++machine.points > POINTS_MAX)
        machine_fail("endless", "A run has passed %d points and has not ended.", POINTS_MAX);
}

/* Lets somebody run; the running thread can't. Returns when it can, and was chosen; one that ended never returns. */
static void give_way(void)
{
    count_point();
    if (machine.able == 0)
        time_jump();
    go_to(choice_next(machine.running, false, machine.able, machine.early));
}

void machine_point(void)
{
    if (!machine.on)
        return;
    count_point();
    const uint64_t others = (machine.able | machine.early) & ~bit(machine.running);
    if (others != 0)
        go_to(choice_next(machine.running, true, machine.able, machine.early));
}

bool machine_wait(const char *kind, const void *object, uint64_t until, bool early)
{
    struct thread *self = &machine.threads[machine.running];
    const uint64_t me = bit(machine.running);
    if (until <= machine.now) {
        machine_point();
        return false;
    }
    self->kind = kind;
    self->object = object;
    self->until = until;
    self->since = machine.waits++;
    self->woken = false;
    machine.able &= ~me;
    if (early)
        machine.early |= me;
    give_way();
    machine.early &= ~me;
    self->until = MACHINE_NEVER;
    self->object = NULL;
    return self->woken;
}

/* Those who wait for `object`. The one who waits longest goes to `*first`. */
static uint64_t waiting_for(const void *object, unsigned *first)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < machine.high; i++) {
        const struct thread *thread = &machine.threads[i];
        if (!thread->used || thread->ended || (machine.able & bit(i)) || thread->object != object)
            continue;
        if (set == 0 || thread->since < machine.threads[*first].since)
            *first = i;
        set |= bit(i);
    }
    return set;
}

static void wake(unsigned number)
{
    machine.threads[number].woken = true;
    machine.able |= bit(number);
    machine.early &= ~bit(number);
}

unsigned machine_waiters(const void *object)
{
    unsigned first;
    return (unsigned)__builtin_popcountll(waiting_for(object, &first));
}

void machine_wake_all(const void *object)
{
    unsigned first;
    for (uint64_t set = waiting_for(object, &first); set != 0; set &= set - 1)
        wake((unsigned)__builtin_ctzll(set));
}

void machine_wake_one(const void *object)
{
    unsigned first = 0;
    const uint64_t set = waiting_for(object, &first);
    if (set != 0)
        wake(choice_signal(machine.running, set, first));
}

/* ---- Threads ---- */

static void thread_main(void)
{
    struct thread *self = &machine.threads[machine.running];
    if (machine.running == 0)
        machine.main();
    else
        self->run(self->argument);
    if (machine.thread_ends != NULL)
        machine.thread_ends(machine.running);
    machine_point();
    self->ended = true;
    self->used = !self->detached;
    machine.able &= ~bit(machine.running);
    machine_wake_all(self);
    for (unsigned i = 0; i < machine.high; i++) {
        if (machine.threads[i].used && !machine.threads[i].ended)
            give_way();
    }
    setcontext(&machine.root);
}

static void thread_make_stack(struct thread *thread)
{
    char *memory =
        mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    thread->locals = malloc(locals.size + 1);
    if (memory == MAP_FAILED || thread->locals == NULL || mprotect(memory, GUARD_BYTES, PROT_NONE) != 0)
        machine_fail("machine", "There is no memory for the stack of a thread.");
    thread->stack = memory + GUARD_BYTES;
}

unsigned machine_start(const char *name, void *(*run)(void *context), void *context, bool detached)
{
    unsigned number = 0;
    while (number < MACHINE_THREADS && machine.threads[number].used)
        number++;
    if (number == MACHINE_THREADS)
        machine_fail("machine", "There are more than %d threads.", MACHINE_THREADS);
    struct thread *thread = &machine.threads[number];
    if (thread->stack == NULL)
        thread_make_stack(thread);
    thread->run = run;
    thread->argument = context;
    thread->used = true;
    thread->ended = false;
    thread->detached = detached;
    thread->until = MACHINE_NEVER;
    thread->object = NULL;
    thread->frame_count = 0;
    thread->random = machine.seed ^ (0x5851f42d4c957f2dU * ++machine.started);
    if (name != NULL)
        snprintf(thread->name, sizeof thread->name, "%s", name);
    else
        report_function_name((void *)(uintptr_t)run, thread->name, sizeof thread->name);
    locals_make(thread->locals);
    getcontext(&thread->context);
    thread->context.uc_stack.ss_sp = thread->stack;
    thread->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&thread->context, thread_main, 0);
    machine.able |= bit(number);
    if (number >= machine.high)
        machine.high = number + 1;
    choice_thread_begin(number);
    return number;
}

void machine_thread_ends(void (*ends)(unsigned number))
{
    machine.thread_ends = ends;
}

void machine_join(unsigned number)
{
    struct thread *thread = &machine.threads[number];
    machine_point();
    while (!thread->ended)
        machine_wait("the end of a thread", thread, MACHINE_NEVER, false);
    thread->used = false;
}

void machine_run(void (*main)(void), uint64_t seed)
{
    if (locals.place == NULL)
        dl_iterate_phdr(find_locals, NULL);
    machine.able = 0;
    machine.early = 0;
    machine.high = 0;
    machine.now = MACHINE_START_MS;
    machine.points = 0;
    machine.waits = 0;
    machine.started = 0;
    machine.seed = seed;
    machine.main = main;
    machine.running = machine_start("main", NULL, NULL, true);
    uint8_t *outside = malloc(locals.size + 1);
    memcpy(outside, locals.place, locals.size);
    memcpy(locals.place, machine.threads[0].locals, locals.size);
    machine.on = true;
    swapcontext(&machine.root, &machine.threads[0].context);
    machine.on = false;
    memcpy(locals.place, outside, locals.size);
    free(outside);
}

bool machine_is_on(void)
{
    return machine.on;
}

uint64_t machine_points(void)
{
    return machine.points;
}

void machine_plain_points_set(bool on)
{
    machine.plain_points = on;
}

bool machine_plain_points(void)
{
    return machine.on && machine.plain_points;
}

uint64_t machine_random(uint64_t limit)
{
    return choice_random_next(&machine.threads[machine.running].random) % limit;
}

unsigned machine_self(void)
{
    return machine.running;
}

const char *machine_name(unsigned number)
{
    return machine.threads[number].name;
}

uint64_t machine_now(void)
{
    return machine.now;
}

void machine_sleep(uint64_t ms)
{
    machine_wait("a time", NULL, machine.now + ms, true);
}
