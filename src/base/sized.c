/*
 * Structs that begin with their size: see sized.h. Called by every function that takes options or fills in a
 * struct.
 */
#include "base/sized.h"

static size_t size_said(const void *sized)
{
    size_t size;
    memcpy(&size, sized, sizeof size);
    return size;
}

/* A struct that begins with a size_t has a multiple of its size. Anything else was never set. */
static bool is_size(size_t size)
{
    return size > 0 && size % sizeof size == 0;
}

enum kf_code kfi_sized_read(void *to, size_t size, const void *from, const char *what, struct kf_error *error)
{
    if (from == NULL)
        return kf_error_set(error, KF_E_USAGE, "%s are missing: NULL was given.", what);
    if (!is_size(size_said(from)) || size_said(from) > size)
        return kf_error_set(error, KF_E_USAGE, "%s have no valid size: begin with the _INIT of their struct.",
                            what);
    memcpy(to, from, size_said(from));
    memcpy(to, &size, sizeof size);
    return KF_OK;
}

bool kfi_sized_write(void *to, const void *from, size_t size)
{
    const size_t said = size_said(to), end = said < size ? said : size;
    if (!is_size(said))
        return false;
    memcpy(to, from, end);
    memcpy(to, &said, sizeof said);
    return true;
}

void kfi_sized_init(void *to, size_t size, const void *defaults, size_t defaults_size)
{
    memset(to, 0, size);
    memcpy(to, defaults, size < defaults_size ? size : defaults_size);
    if (is_size(size))
        memcpy(to, &size, sizeof size);
}
