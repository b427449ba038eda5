/*
 * Errors inside the library: sentences that more than one file says, and the sign where one was cut.
 */
#ifndef KFI_BASE_ERROR_H
#define KFI_BASE_ERROR_H

#include <keyflight/types.h>

#include <stdarg.h>

#include "base/memory.h"

/* KF_E_NO_MEMORY and its sentence. */
KFI_SHARED enum kf_code kfi_no_memory(struct kf_error *error);

/* Takes back what an earlier attempt wrote: KF_OK and no text. */
KFI_SHARED void kfi_error_clear(struct kf_error *error);

/* Stands where text was cut. */
#define KFI_CUT "…"

/* Cuts a text that does not fit into `size` bytes with its NUL: behind a whole character, and KFI_CUT follows. */
KFI_SHARED void kfi_text_cut(char *text, size_t size);

/* Writes a printf-style text into `size` bytes, at least sizeof KFI_CUT; one that is too long is cut so. */
KFI_SHARED void kfi_text_print(char *text, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
