/*
 * Which data keys messages were made with, told by the EDKs in the messages themselves.
 */
#ifndef TESTS_SUPPORT_KEYS_USED_H
#define TESTS_SUPPORT_KEYS_USED_H

#include "support/support.h"

#define KEY_TRACE_LENGTH 48 /* the ciphertext of the one EDK, which is random for every data key */

/* The trace of a key in one message. */
struct key_trace {
    uint8_t bytes[KEY_TRACE_LENGTH];
};

struct key_trace key_trace_of_message(struct kf_view message);
struct key_trace key_trace_of_materials(const struct kf_encryption_materials *materials);

/* Sorts the traces. Answers how many keys there are, and the uses of the one that was used most. */
size_t key_traces_count(struct key_trace *traces, size_t count, size_t *most);

#endif
