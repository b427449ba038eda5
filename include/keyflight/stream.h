/*
 * What encryptors and decryptors have in common: how bytes go in and out.
 */
#ifndef KEYFLIGHT_STREAM_H
#define KEYFLIGHT_STREAM_H

#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One poll's worth of bytes. The caller fills in the upper part; the poll fills in the lower one, which holds
 * for every non-negative code (on an error, output is wiped and both are 0). If input and output overlap, or one of
 * them has a length but no memory, the poll answers KF_E_USAGE and is as if it had never been made: nothing is taken
 * or written, and the stream can go on.
 */
struct kf_io {
    const uint8_t *in;
    size_t in_length; /* bytes at `in`; 0 is allowed */
    bool in_end;      /* the input ends with these bytes */
    uint8_t *out;
    size_t out_room; /* bytes free at `out`; 0 is allowed */

    size_t in_used;  /* bytes taken from `in` */
    size_t out_used; /* bytes written to `out` */
};

/* What kf_…_deadline answers if there is none: 2^64-1. */
static const uint64_t KF_NO_DEADLINE = 18446744073709551615ULL;

#ifdef __cplusplus
}
#endif

#endif
