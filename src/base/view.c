/*
 * Views, for callers outside the library: see types.h and view.h.
 */
#include <keyflight/types.h>

#include <string.h>

struct kf_view kf_view_of(const void *data, size_t length)
{
    return (struct kf_view){data, length};
}

struct kf_view kf_view_text(const char *text)
{
    return kf_view_of(text, strlen(text));
}
