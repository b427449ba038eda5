/*
 * Names of enumerators: tables and the one way to look into them, for the functions kf_…_name.
 */
#ifndef KFI_BASE_NAMES_H
#define KFI_BASE_NAMES_H

#include <stddef.h>

struct kfi_name {
    int value;
    const char *name;
};

/* The name of a value in a table, or `unknown`. */
#define KFI_NAME_OF(table, value, unknown) \
    kfi_name_of(table, sizeof(table) / sizeof(table)[0], (int)(value), unknown)

static inline const char *kfi_name_of(const struct kfi_name *table, size_t count, int value,
                                      const char *unknown)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].value == value)
            return table[i].name;
    }
    return unknown;
}

#endif
