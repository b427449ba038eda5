/*
 * The library's RSA with one bound lowered: some vectors have keys of 1,024 bits, which the library refuses.
 * The linker takes this in the place of the library's own file.
 */
#include "suite/rsa.h"

#undef KFI_RSA_BITS_MIN
#define KFI_RSA_BITS_MIN 1024

#include "suite/rsa.c" /* NOLINT: that is the point of it */
