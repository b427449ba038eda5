/*
 * Decrypting a message in every way: in one call, and as a stream in small pieces.
 */
#ifndef TESTS_VECTORS_TRIAL_H
#define TESTS_VECTORS_TRIAL_H

#include "vectors/vectors.h"

struct trial {
    struct kf_cmm *cmm;
    struct kf_view message;
    const struct kf_encryption_context *reproduced; /* NULL: none */
    uint16_t max_edks;                              /* 0: any */
    bool unsigned_only;                             /* signed messages have to be refused */
};

/*
 * The message gives this plaintext in every way. `header` (may be NULL) gets a reference of the verified
 * header.
 */
bool trial_gives(const struct trial *trial, struct kf_view plaintext, struct verdict *verdict,
                 const struct kf_header **header);

/*
 * The message is refused in every way, for a fault of the message, its keys, a policy or a limit, and nothing
 * is answered nor left behind in the buffer; `code` KF_OK is any such reason, else it has to be this one.
 */
bool trial_refused(const struct trial *trial, enum kf_code code, struct verdict *verdict);

/* In one call only. Into `*out`, which keeps its memory from one to the next. */
bool trial_refused_once(const struct trial *trial, enum kf_code code, struct verdict *verdict,
                        struct kf_buf *out);

#endif
