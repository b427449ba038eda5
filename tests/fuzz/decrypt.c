/*
 * Any bytes as a message, with a keyring that holds private keys of every kind: in one call, and as a stream
 * in two pieces. Both have to agree, and give out nothing unless everything holds.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "support/keyring_pairs.h"

#define OUT_MAX 65536

static struct kf_cmm *cmm_of_all(void)
{
    struct kf_keyring *readers[KEYRING_PAIRS], *all;
    for (size_t i = 0; i < KEYRING_PAIRS; i++)
        readers[i] = keyring_pair_reader((enum keyring_pair)i);
    struct kf_error error = KF_ERROR_INIT;
    CHECK(kf_multi_keyring_new(NULL, readers, KEYRING_PAIRS, &error, &all) == KF_OK);
    for (size_t i = 0; i < KEYRING_PAIRS; i++)
        kf_keyring_unref(readers[i]);
    return client_cmm_on(all);
}

/*
 * Two pieces, with the border that the last byte of the input says. Answers the code and the plaintext's
 * length.
 */
static enum kf_code stream(struct kf_cmm *cmm, const struct kf_decrypt_options *options,
                           struct kf_view message, size_t border, uint8_t *out, size_t *out_length,
                           size_t *taken)
{
    struct kf_decryptor *decryptor;
    enum kf_code code = kf_decryptor_new(cmm, options, NULL, &decryptor);
    CHECK(code == KF_OK);
    *taken = *out_length = 0;
    for (unsigned piece = 0; piece < 2; piece++) {
        struct kf_io io = {.in = message.data + *taken,
                           .in_length = (piece == 0 ? border : message.length) - *taken,
                           .in_end = piece == 1,
                           .out = out + *out_length,
                           .out_room = OUT_MAX - *out_length};
        code = kf_decryptor_poll(decryptor, &io, NULL);
        *taken += io.in_used;
        *out_length += io.out_used;
        if (code <= KF_OK)
            break;
        CHECK(piece == 0 && code == KF_WANT_INPUT && *taken == border);
    }
    if (code < KF_OK)
        CHECK_REFUSED(code, kf_decryptor_error(decryptor));
    kf_decryptor_free(decryptor);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static struct kf_cmm *cmm;
    static uint8_t plaintext[OUT_MAX];
    if (cmm == NULL)
        cmm = cmm_of_all();
    if (length > OUT_MAX)
        return 0;
    struct kf_decrypt_options options = client_decrypt_options();
    options.max_edks = 8;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_header *header;
    struct kf_buf out = KF_BUF_INIT;
    const enum kf_code code = kf_decrypt(cmm, &options, kf_view_of(data, length), &error, &header, &out);
    if (code != KF_OK) {
        CHECK_REFUSED(code, &error);
        CHECK(out.length == 0 && header == NULL);
    }
    size_t given, taken;
    const size_t border = length > 0 ? data[length - 1] * length / 256 : 0;
    const enum kf_code streamed =
        stream(cmm, &options, kf_view_of(data, length), border, plaintext, &given, &taken);
    if (code == KF_OK) {
        CHECK(streamed == KF_OK && taken == length && given == out.length);
        CHECK(given == 0 || memcmp(plaintext, out.data, given) == 0);
    } else if (code == KF_E_TRAILING) {
        CHECK(streamed == KF_OK && taken < length);
    } else {
        CHECK(streamed == code);
    }
    kf_header_unref(header);
    kf_buf_free(&out);
    return 0;
}
