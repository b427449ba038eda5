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
 * The bytes of one poll. The caller sets the upper members, the poll sets the lower ones. These hold for every
 * code that is not negative. After an error they are 0, and what was written is wiped.
 *
 * If input and output overlap, or one of them has a length but no memory, the poll answers KF_E_USAGE and is as if
 * it had never been made: nothing is taken or written, and the stream can go on.
 */
struct kf_io {
    const uint8_t *in;
    size_t in_length; /* bytes at `in`, 0 or more */
    bool in_end;      /* nothing comes behind these bytes */
    uint8_t *out;
    size_t out_room; /* bytes free at `out`, 0 or more */

    size_t in_used;  /* bytes taken from `in` */
    size_t out_used; /* bytes written to `out` */
};

/* What kf_…_deadline answers if there is no deadline: 2^64-1. */
static const uint64_t KF_NO_DEADLINE = 18446744073709551615ULL;

#ifdef __cplusplus
}
#endif

#endif
