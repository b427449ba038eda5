/*
 * Searching the memory of this process for a secret that should have been wiped.
 */
#ifndef TESTS_SUPPORT_MEMORY_SEARCH_H
#define TESTS_SUPPORT_MEMORY_SEARCH_H

#include <stdbool.h>

/* False under a sanitizer, whose own copies of the memory fill most of it. */
bool memory_searchable(void);

/*
 * How often the first 16 bytes of a secret lie in memory that this process may write to. The secret is given
 * backwards, so that the search does not find the argument.
 */
unsigned memory_search(const char *backwards);

#endif
