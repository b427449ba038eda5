/*
 * Structs that begin with their size: see sized.h. Called by whatever takes options from users, or answers
 * with a struct.
 */
#include "base/sized.h"

static size_t size_said(const void *sized)
{
    size_t size;
    memcpy(&size, sized, sizeof size);
    return size;
}

enum kf_code kfi_sized_read(void *to, size_t size, const void *from, const char *what, struct kf_error *error)
{
    if (from == NULL)
        return kf_error_set(error, KF_E_USAGE, "%s are missing: NULL was given.", what);
    if (size_said(from) < sizeof size || size_said(from) > size)
        return kf_error_set(error, KF_E_USAGE, "%s have no valid size: begin with the _INIT of their struct.",
                            what);
    memcpy(to, from, size_said(from));
    memcpy(to, &size, sizeof size);
    return KF_OK;
}

void kfi_sized_write(void *to, const void *from, size_t size)
{
    const size_t said = size_said(to), end = said < size ? said : size;
    if (end > sizeof size)
        memcpy((uint8_t *)to + sizeof size, (const uint8_t *)from + sizeof size, end - sizeof size);
}
