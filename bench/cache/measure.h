/*
 * What both parts of bench/cache use.
 */
#ifndef BENCH_CACHE_MEASURE_H
#define BENCH_CACHE_MEASURE_H

#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Numbers mixed up, each to another one, as the identifiers of keys are. */
static inline unsigned mixed(unsigned number)
{
    number = (number ^ number >> 16) * 0x85ebca6b;
    number = (number ^ number >> 13) * 0xc2b2ae35;
    return number ^ number >> 16;
}

#endif
