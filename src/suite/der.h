/*
 * The part of DER that keys are written in. It is read strictly: lengths are definite and in their shortest
 * form, integers have no needless bytes. A call that fails leaves `*rest` as it was.
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
/* [number], around another element */
#define KFI_DER_EXPLICIT(number) (0xa0 + (number))

/* Whether `*rest` begins with an element of this tag. If so, removes the element and returns its content. */
bool kfi_der_take(struct kf_view *rest, uint8_t tag, struct kf_view *content);

/* The same for an integer that is not negative: its bytes, big-endian, without leading zeros. 0 has none. */
bool kfi_der_take_number(struct kf_view *rest, struct kf_view *number);

/* The same for a bit string of whole bytes. */
bool kfi_der_take_bits(struct kf_view *rest, struct kf_view *bytes);

/* The tag at the front; 0 if `rest` is empty. */
uint8_t kfi_der_tag(struct kf_view rest);

#endif
