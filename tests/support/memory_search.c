/*
 * Searching the memory of this process: see memory_search.h. Called by the tests that no secret is left behind.
 */
#include "support/memory_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

bool memory_searchable(void)
{
    return !SANITIZED;
}

#define SURE 16 /* bytes in a row that are no accident */

static uint8_t window[1 << 20]; /* the piece of memory that is searched; it is not searched itself */

static unsigned window_search(size_t length, const char *backwards)
{
    const size_t last = strlen(backwards) - 1;
    unsigned found = 0;
    for (size_t at = 0; at + SURE <= length; at++) {
        size_t same = 0;
        while (same < SURE && window[at + same] == (uint8_t)backwards[last - same])
            same++;
        found += same == SURE;
    }
    return found;
}

unsigned memory_search(const char *backwards)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    FILE *memory = fopen("/proc/self/mem", "r");
    char line[512];
    unsigned found = 0;
    assert_non_null(maps);
    assert_non_null(memory);
    setvbuf(memory, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        char *rest;
        unsigned long long at = strtoull(line, &rest, 16);
        const unsigned long long end = strtoull(rest + 1, &rest, 16);
        while (strncmp(rest, " rw", 3) == 0 && at < end) {
            const unsigned long long ours = (uintptr_t)window;
            size_t length = end - at < sizeof window ? (size_t)(end - at) : sizeof window;
            if (at < ours && at + length > ours)
                length = (size_t)(ours - at);
            if (at >= ours && at < ours + sizeof window) {
                at = ours + sizeof window;
                continue;
            }
            const ssize_t got = pread(fileno(memory), window, length, (off_t)at);
            if (got < SURE)
                break;
            found += window_search((size_t)got, backwards);
            at += (size_t)got < sizeof window ? (size_t)got : (size_t)got - SURE;
        }
    }
    fclose(memory);
    fclose(maps);
    return found;
}
