/*
 * What the compiler calls for -fsanitize=thread, without ThreadSanitizer's runtime: the library is compiled for it, so
 * that each atomic operation is a point, and each plain access is seen.
 *
 * Atomics are done one after another, as the machine runs one thread at a time: weaker orders of memory are not shown.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schedule/arena.h"
#include "schedule/machine.h"

/* ---- Plain accesses ---- */

static void plain_access(const void *memory, size_t length)
{
    if (machine_plain_points())
        machine_point();
    arena_check(memory, length);
}

#define PLAIN(name, length)             \
    void name(const void *memory);      \
    void name(const void *memory)       \
    {                                   \
        plain_access(memory, (length)); \
    }

#define PLAIN_OF(length)                                   \
    PLAIN(__tsan_read##length, length)                     \
    PLAIN(__tsan_write##length, length)                    \
    PLAIN(__tsan_unaligned_read##length, length)           \
    PLAIN(__tsan_unaligned_write##length, length)          \
    PLAIN(__tsan_volatile_read##length, length)            \
    PLAIN(__tsan_volatile_write##length, length)           \
    PLAIN(__tsan_unaligned_volatile_read##length, length)  \
    PLAIN(__tsan_unaligned_volatile_write##length, length) \
    PLAIN(__tsan_read_write##length, length)               \
    PLAIN(__tsan_unaligned_read_write##length, length)

PLAIN_OF(1)
PLAIN_OF(2)
PLAIN_OF(4)
PLAIN_OF(8)
PLAIN_OF(16)

#define RANGE(name)                               \
    void name(const void *memory, size_t length); \
    void name(const void *memory, size_t length)  \
    {                                             \
        plain_access(memory, length);             \
    }

RANGE(__tsan_read_range)
RANGE(__tsan_write_range)

/* clang calls these for what a program calls by the same name. */
void *__tsan_memcpy(void *to, const void *from, size_t length);
void *__tsan_memcpy(void *to, const void *from, size_t length)
{
    plain_access(from, length);
    plain_access(to, length);
    return memcpy(to, from, length);
}

void *__tsan_memmove(void *to, const void *from, size_t length);
void *__tsan_memmove(void *to, const void *from, size_t length)
{
    plain_access(from, length);
    plain_access(to, length);
    return memmove(to, from, length);
}

void *__tsan_memset(void *to, int byte, size_t length);
void *__tsan_memset(void *to, int byte, size_t length)
{
    plain_access(to, length);
    return memset(to, byte, length);
}

/* ---- Functions ---- */

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

/* ---- Atomics ---- */

static void atomic_access(const volatile void *memory, size_t length)
{
    machine_point();
    arena_check(memory, length);
}

#define OPERATION(bits, name, operation)                                                           \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, \
                                                int order);                                        \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, \
                                                int order)                                         \
    {                                                                                              \
        (void)order;                                                                               \
        atomic_access(at, sizeof *at);                                                             \
        const uint##bits##_t former = *at;                                                         \
        *at = (uint##bits##_t)(operation);                                                         \
        return former;                                                                             \
    }

#define COMPARE(bits, name)                                                                                  \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *at, uint##bits##_t *expected, \
                                                      uint##bits##_t value, int order, int order_failed);    \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *at, uint##bits##_t *expected, \
                                                      uint##bits##_t value, int order, int order_failed)     \
    {                                                                                                        \
        (void)order;                                                                                         \
        (void)order_failed;                                                                                  \
        atomic_access(at, sizeof *at);                                                                       \
        const bool equal = *at == *expected;                                                                 \
        if (equal)                                                                                           \
            *at = value;                                                                                     \
        else                                                                                                 \
            *expected = *at;                                                                                 \
        return equal;                                                                                        \
    }

#define ATOMICS(bits)                                                                                        \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order);                 \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order)                  \
    {                                                                                                        \
        (void)order;                                                                                         \
        atomic_access(at, sizeof *at);                                                                       \
        return *at;                                                                                          \
    }                                                                                                        \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order);          \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order)           \
    {                                                                                                        \
        (void)order;                                                                                         \
        atomic_access(at, sizeof *at);                                                                       \
        *at = value;                                                                                         \
    }                                                                                                        \
    OPERATION(bits, exchange, value)                                                                         \
    OPERATION(bits, fetch_add, former + value)                                                               \
    OPERATION(bits, fetch_sub, former - value)                                                               \
    OPERATION(bits, fetch_and, former &value)                                                                \
    OPERATION(bits, fetch_or, former | value)                                                                \
    OPERATION(bits, fetch_xor, former ^ value)                                                               \
    COMPARE(bits, strong)                                                                                    \
    COMPARE(bits, weak)                                                                                      \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *at,                   \
                                                              uint##bits##_t expected, uint##bits##_t value, \
                                                              int order, int order_failed);                  \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *at,                   \
                                                              uint##bits##_t expected, uint##bits##_t value, \
                                                              int order, int order_failed)                   \
    {                                                                                                        \
        uint##bits##_t found = expected;                                                                     \
        __tsan_atomic##bits##_compare_exchange_strong(at, &found, value, order, order_failed);               \
        return found;                                                                                        \
    }

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    (void)order;
    machine_point();
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
