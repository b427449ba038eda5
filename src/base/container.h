/*
 * From a struct to the one that embeds it.
 */
#ifndef KFI_BASE_CONTAINER_H
#define KFI_BASE_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

/*
 * The struct of `type` whose member `member` is at `inner`. The caller has to know whether it may change it.
 */
#define KFI_CONTAINER(inner, type, member) ((type *)((uintptr_t)(inner)-offsetof(type, member)))

#endif
