/*
 * Views as the public headers make them, inlined into our own code: each is GCC's own kind of `extern inline`,
 * for which a plain declaration may be there too. Everybody else calls what is in view.c.
 */
#ifndef KFI_BASE_VIEW_H
#define KFI_BASE_VIEW_H

#include <keyflight/types.h>

#include <string.h>

#define KFI_INLINED extern inline __attribute__((gnu_inline))

KFI_INLINED struct kf_view kf_view_of(const void *data, size_t length)
{
    return (struct kf_view){data, length};
}

KFI_INLINED struct kf_view kf_view_text(const char *text)
{
    return (struct kf_view){(const uint8_t *)text, strlen(text)};
}

#endif
