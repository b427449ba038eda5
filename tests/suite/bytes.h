/*
 * Bytes written as hexadecimal digits, for the tests of this folder.
 */
#ifndef TESTS_SUITE_BYTES_H
#define TESTS_SUITE_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <keyflight/types.h>

struct bytes {
    size_t length;
    uint8_t data[512];
};

static inline struct bytes hex(const char *digits)
{
    struct bytes bytes = {.length = strlen(digits) / 2};
    assert_in_range(bytes.length, 0, sizeof bytes.data);
    for (size_t i = 0; i < bytes.length; i++) {
        unsigned value;
        assert_int_equal(sscanf(digits + 2 * i, "%2x", &value), 1);
        bytes.data[i] = (uint8_t)value;
    }
    return bytes;
}

/* The bytes from `first` up. */
static inline struct bytes range(uint8_t first, size_t length)
{
    struct bytes bytes = {.length = length};
    for (size_t i = 0; i < length; i++)
        bytes.data[i] = (uint8_t)(first + i);
    return bytes;
}

static inline struct kf_view view(const struct bytes *bytes)
{
    return kf_view_of(bytes->data, bytes->length);
}

#endif
