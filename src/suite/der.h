/*
 * The little of DER that keys are written in. Strict: definite lengths in their shortest form, integers
 * without needless bytes. A failed call leaves the rest as it was.
 */
#ifndef KFI_SUITE_DER_H
#define KFI_SUITE_DER_H

#include "base/bytes.h"

#define KFI_DER_INTEGER 0x02
#define KFI_DER_BIT_STRING 0x03
#define KFI_DER_OCTET_STRING 0x04
#define KFI_DER_NULL 0x05
#define KFI_DER_OID 0x06
#define KFI_DER_SEQUENCE 0x30
/* [number], around something else */
#define KFI_DER_EXPLICIT(number) (0xa0 + (number))

/* Whether the front of `*rest` is an element with this tag; if so, takes it off and answers what is in it. */
bool kfi_der_take(struct kf_view *rest, uint8_t tag, struct kf_view *content);

/* An integer from 0 up: its bytes, big-endian, without leading zeros (0 has none). */
bool kfi_der_take_number(struct kf_view *rest, struct kf_view *number);

/* A bit string of whole bytes. */
bool kfi_der_take_bits(struct kf_view *rest, struct kf_view *bytes);

/* The tag at the front, or 0 if there is nothing. */
uint8_t kfi_der_tag(struct kf_view rest);

#endif
