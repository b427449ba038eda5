/*
 * Messages made by hand with good keys and good tags, also around a rule that is broken, so that nothing but
 * the rule can refuse them. Like parts.h it stands on WIRE and OpenSSL, not on the library.
 *
 *     forge_begin(&forge, 0x0478);           every field is right; now change some
 *     forge_header(&forge);                  commitment and tag are made over what is there
 *     forge_final(&forge, 1, plaintext);
 *     forge_sign(&forge);                    if the suite signs
 *     ... forge_view(&forge) ...
 *     forge_end(&forge);
 *
 * The data key is wrapped for the raw AES keyring "one" of client.h.
 */
#ifndef TESTS_SUPPORT_FORGE_H
#define TESTS_SUPPORT_FORGE_H

#include "support/client.h"
#include "support/parts.h"

struct evp_pkey_st;

struct forge {
    /* The fields of the header. */
    unsigned version, type, suite;
    uint8_t message_id[32];    /* format 1 uses 16 of it */
    struct kf_view context;    /* the content of the AAD field */
    struct kf_view bound;      /* the context that the EDK is bound to; data NULL: the same */
    struct kf_view not_stored; /* pairs that are only authenticated: the header's tag covers them too */
    unsigned edk_count;        /* the count that is written; there is 1 EDK, or none if this is 0 */
    unsigned content_type;
    uint32_t reserved;
    unsigned iv_length;
    uint32_t frame_length;
    uint8_t commit_lie;      /* is added to the last byte of the commit key */
    bool without_suite_data; /* in format 2 */
    uint8_t header_iv[12];   /* format 1 stores it; format 2 only seals with it */

    /* The key pair of a suite that signs, and its public half as the context has it. */
    struct evp_pkey_st *signer;
    char public_key[72];

    struct parts_keys keys; /* from forge_header on */
    uint8_t context_bytes[2048];
    uint8_t bytes[8192];
    struct kfi_writer writer; /* to `bytes` */
};

/* The context of a suite that signs holds its public key; that of the others is empty. */
void forge_begin(struct forge *forge, unsigned suite);
void forge_end(struct forge *forge);

/* Makes the context of these keys and values, in this order, even invalid ones. */
#define forge_context(forge, ...) forge_context_of((forge), __VA_ARGS__, (char *)NULL)
void forge_context_of(struct forge *forge, ...) __attribute__((sentinel));

void forge_header(struct forge *forge);

/*
 * Frames with the IV that belongs to the number. forge_sealed takes any IV, behind a front that was written
 * by hand.
 */
void forge_regular(struct forge *forge, uint32_t sequence, struct kf_view plaintext);
void forge_final(struct forge *forge, uint32_t sequence, struct kf_view plaintext);
void forge_single_block(struct forge *forge, struct kf_view plaintext);
void forge_sealed(struct forge *forge, const char *name, uint32_t sequence, const uint8_t iv[12],
                  struct kf_view plaintext);

/* The signature over all that was written so far: in `out`, which has 160 bytes, or written as a footer. */
struct kf_view forge_signature(const struct forge *forge, uint8_t *out);
void forge_footer(struct forge *forge, struct kf_view signature);
void forge_sign(struct forge *forge);

/* The message so far. It lives until the next one begins. */
struct kf_view forge_view(const struct forge *forge);

#endif
