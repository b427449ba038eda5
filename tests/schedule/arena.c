/*
 * The arena: see arena.h. Called by the library as its allocator, and by what watches accesses to memory.
 */
#include "schedule/arena.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <keyflight/types.h>

#include "schedule/machine.h"
#include "schedule/report.h"

#define ARENA_BYTES ((size_t)1 << 28)
#define GRAIN 16
#define FREED_BYTE 0xdb

enum shadow {
    OUTSIDE, /* before, between and behind the blocks */
    IN_USE,
    FREED
};

static struct {
    uint8_t *memory, *shadow; /* one byte of shadow for each grain */
    size_t used, mark;        /* in bytes; what is below the mark was there before the run */
    uint64_t live, live_before, number;
    uint64_t fail_after;
} arena;

/* Before each block, in one grain. */
struct head {
    uint64_t length, number; /* the number counts allocations in a run */
};

_Static_assert(sizeof(struct head) == GRAIN, "a head is one grain");

static struct head *head_at(size_t offset)
{
    return (struct head *)(void *)(arena.memory + offset);
}

/* Where blocks were allocated, for reports of leaks. */
#define ORIGINS 16384
static struct {
    void *frames[REPORT_FRAMES];
    int count;
} origins[ORIGINS];

static void shadow_set(size_t offset, size_t length, enum shadow value)
{
    memset(arena.shadow + offset / GRAIN, (int)value, (length + GRAIN - 1) / GRAIN);
}

static void *arena_allocate(void *unused, size_t length)
{
    (void)unused;
    const size_t at = arena.used + GRAIN, end = at + (length + GRAIN - 1) / GRAIN * GRAIN;
    if (arena.fail_after != UINT64_MAX && arena.fail_after-- == 0)
        return NULL;
    if (length > ARENA_BYTES || end + GRAIN > ARENA_BYTES)
        machine_fail("memory", "A run takes more than %zu bytes.", ARENA_BYTES);
    *head_at(arena.used) = (struct head){length, arena.number};
    if (arena.number < ORIGINS)
        origins[arena.number].count = report_frames(origins[arena.number].frames);
    arena.number++;
    shadow_set(at, length, IN_USE);
    arena.used = end;
    arena.live++;
    return arena.memory + at;
}

static void arena_release(void *unused, void *memory)
{
    (void)unused;
    const size_t at = (size_t)((uint8_t *)memory - arena.memory);
    if (at >= arena.used || at % GRAIN != 0 || arena.shadow[at / GRAIN] != IN_USE)
        machine_fail("free", "What is freed is not allocated, or was freed before.");
    const size_t length = head_at(at - GRAIN)->length;
    memset(memory, FREED_BYTE, length);
    shadow_set(at, length, FREED);
    arena.live--;
}

void arena_install(void)
{
    static const struct kf_allocator allocator = {sizeof allocator, NULL, arena_allocate, arena_release};
    const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    arena.memory = mmap(NULL, ARENA_BYTES, protection, flags, -1, 0);
    arena.shadow = mmap(NULL, ARENA_BYTES / GRAIN, protection, flags, -1, 0);
    arena.fail_after = UINT64_MAX;
    if (arena.memory == MAP_FAILED || arena.shadow == MAP_FAILED || kf_allocator_set(&allocator) != KF_OK)
        machine_fail("memory", "The arena can't be installed.");
}

void arena_run_begin(void)
{
    arena.mark = arena.used;
    arena.live_before = arena.live;
    arena.number = 0;
}

static void tell_of_leaks(void)
{
    for (size_t at = arena.mark; at < arena.used;) {
        const struct head *head = head_at(at);
        char line[80];
        at += GRAIN + (head->length + GRAIN - 1) / GRAIN * GRAIN;
        if (arena.shadow[(at - GRAIN) / GRAIN] != IN_USE || head->number >= ORIGINS)
            continue;
        snprintf(line, sizeof line, "  %llu bytes were not freed", (unsigned long long)head->length);
        report_line(line, origins[head->number].frames, origins[head->number].count);
    }
}

void arena_run_end(void)
{
    arena.fail_after = UINT64_MAX;
    if (arena.live != arena.live_before)
        tell_of_leaks();
    if (arena.live != arena.live_before)
        machine_fail("leak", "%lld allocations were not freed.", (long long)(arena.live - arena.live_before));
    shadow_set(arena.mark, arena.used - arena.mark, OUTSIDE);
    arena.used = arena.mark;
}

void arena_check(const volatile void *memory, size_t length)
{
    const size_t at = (size_t)((const volatile uint8_t *)memory - arena.memory);
    if (at >= ARENA_BYTES || arena.memory == NULL || length == 0)
        return;
    const uint8_t first = arena.shadow[at / GRAIN], last = arena.shadow[(at + length - 1) / GRAIN];
    if (first == IN_USE && last == IN_USE)
        return;
    if (first == FREED || last == FREED)
        machine_fail("use after free", "Memory was used that is freed.");
    machine_fail("use outside", "Memory was used that belongs to no block.");
}

void arena_fail_after(uint64_t skipped)
{
    arena.fail_after = skipped;
}
