/*
 * The clock of `keyflight storm`: for the simulated round trip and for what is printed; nothing is judged by
 * it.
 */
#ifndef KF_CLI_STORM_CLOCK_H
#define KF_CLI_STORM_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds on CLOCK_MONOTONIC. */
static inline uint64_t storm_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
