/*
 * Messages made by hand, in shapes that others write and the library never does, and in some that nobody may.
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

/* ---- Messages by hand: suite 0478, no context, one EDK of key "one" ---- */

struct by_hand {
    uint8_t bytes[4096];
    struct kfi_writer writer;
    struct parts_keys keys;
    uint8_t message_id[32];
};

static struct kf_view key_of(const struct by_hand *message)
{
    return kf_view(message->keys.key, message->keys.length);
}

static struct kf_view by_hand_view(const struct by_hand *message)
{
    assert_false(message->writer.overflow);
    return kf_view(message->bytes, sizeof message->bytes - message->writer.room);
}

/* The EDK that the raw AES keyring "one" unwraps to `data_key`. */
static void write_edk(struct kfi_writer *writer, struct kf_view data_key)
{
    uint8_t wrapping_key[32], sealed[32], tag[16],
        info[3 + 8 + 12] = "one\0\0\0\x80\0\0\0\x0c"
                           "edk iv, 12 b";
    memset(wrapping_key, 1, sizeof wrapping_key);
    parts_seal(kf_view(wrapping_key, 32), kf_view(info + 11, 12), kf_view(NULL, 0), data_key, sealed, tag);
    kfi_write_field(writer, kf_view_text("tests"));
    kfi_write_field(writer, kf_view(info, sizeof info));
    kfi_write_u16(writer, 48);
    kfi_write_bytes(writer, kf_view(sealed, 32));
    kfi_write_bytes(writer, kf_view(tag, 16));
}

/* A header; frame_length 0: not framed. The writer knows the right commit key and may lie about it. */
static void begin_committed(struct by_hand *message, uint32_t frame_length, uint8_t lie)
{
    uint8_t data_key[32], tag[16];
    static const uint8_t zeros[12];
    memset(data_key, 0x77, sizeof data_key);
    memset(message->message_id, 0x1d, sizeof message->message_id);
    parts_derive(0x0478, kf_view(data_key, 32), kf_view(message->message_id, 32), &message->keys);

    message->writer = (struct kfi_writer){message->bytes, sizeof message->bytes, false};
    struct kfi_writer *writer = &message->writer;
    kfi_write_u8(writer, 2);
    kfi_write_u16(writer, 0x0478);
    kfi_write_bytes(writer, kf_view(message->message_id, 32));
    kfi_write_u16(writer, 0);
    kfi_write_u16(writer, 1);
    write_edk(writer, kf_view(data_key, 32));
    kfi_write_u8(writer, frame_length == 0 ? 1 : 2);
    kfi_write_u32(writer, frame_length);
    message->keys.commit_key[31] ^= lie;
    kfi_write_bytes(writer, kf_view(message->keys.commit_key, 32));
    parts_seal(key_of(message), kf_view(zeros, 12), by_hand_view(message), kf_view(NULL, 0), NULL, tag);
    kfi_write_bytes(writer, kf_view(tag, 16));
}

static void begin(struct by_hand *message, uint32_t frame_length)
{
    begin_committed(message, frame_length, 0);
}

/* Content and tag, under `iv`. */
static void write_sealed(struct by_hand *message, const char *name, uint32_t sequence, const uint8_t iv[12],
                         struct kf_view plaintext)
{
    uint8_t aad[96], tag[16], sealed[1024];
    assert_true(plaintext.length <= sizeof sealed);
    parts_seal(key_of(message), kf_view(iv, 12),
               parts_body_aad(kf_view(message->message_id, 32), name, sequence, plaintext.length, aad),
               plaintext, sealed, tag);
    kfi_write_bytes(&message->writer, kf_view(sealed, plaintext.length));
    kfi_write_bytes(&message->writer, kf_view(tag, 16));
}

static void write_regular(struct by_hand *message, uint32_t sequence, const uint8_t iv[12],
                          struct kf_view plaintext)
{
    kfi_write_u32(&message->writer, sequence);
    kfi_write_bytes(&message->writer, kf_view(iv, 12));
    write_sealed(message, "Frame", sequence, iv, plaintext);
}

static void write_final(struct by_hand *message, uint32_t sequence, const uint8_t iv[12],
                        struct kf_view plaintext)
{
    kfi_write_u32(&message->writer, 0xFFFFFFFF);
    kfi_write_u32(&message->writer, sequence);
    kfi_write_bytes(&message->writer, kf_view(iv, 12));
    kfi_write_u32(&message->writer, (uint32_t)plaintext.length);
    write_sealed(message, "Final Frame", sequence, iv, plaintext);
}

static void write_single_block(struct by_hand *message, const uint8_t iv[12], struct kf_view plaintext)
{
    kfi_write_bytes(&message->writer, kf_view(iv, 12));
    kfi_write_u64(&message->writer, plaintext.length);
    write_sealed(message, "Single Block", 1, iv, plaintext);
}

static const uint8_t iv_1[12] = {[11] = 1}, iv_2[12] = {[11] = 2}, iv_3[12] = {[11] = 3};
/* Not the padded sequence number: official messages have such IVs. */
static const uint8_t iv_odd[12] = {255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1};

static void shapes_that_others_write_are_read(void **state)
{
    (void)state;
    static struct by_hand message;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_view text = client_plaintext(200);

    begin(&message, 100); /* an exact multiple, closed by an empty frame */
    write_regular(&message, 1, iv_1, kf_view(text.data, 100));
    write_regular(&message, 2, iv_2, kf_view(text.data + 100, 100));
    write_final(&message, 3, iv_3, kf_view(NULL, 0));
    assert_decrypts(cmm, NULL, by_hand_view(&message), text);

    begin(&message, 200); /* and by a full one */
    write_final(&message, 1, iv_1, text);
    assert_decrypts(cmm, NULL, by_hand_view(&message), text);

    begin(&message, 100); /* IVs that are not the sequence number */
    write_regular(&message, 1, iv_3, kf_view(text.data, 100));
    write_final(&message, 2, iv_odd, kf_view(text.data + 100, 50));
    assert_decrypts(cmm, NULL, by_hand_view(&message), kf_view(text.data, 150));

    begin(&message, 0); /* not framed, and empty so */
    write_single_block(&message, iv_odd, text);
    assert_decrypts(cmm, NULL, by_hand_view(&message), text);
    begin(&message, 0);
    write_single_block(&message, iv_1, kf_view(NULL, 0));
    assert_decrypts(cmm, NULL, by_hand_view(&message), kf_view(NULL, 0));
    kf_cmm_unref(cmm);
}

static void frames_out_of_order_are_refused(void **state)
{
    (void)state;
    static struct by_hand message;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_view text = client_plaintext(10);

    begin(&message, 10); /* numbers that begin with 0, with 2, that skip one, and one that comes twice */
    write_final(&message, 0, iv_1, text);
    assert_refused(cmm, NULL, by_hand_view(&message), KF_E_MALFORMED);
    begin(&message, 10);
    write_final(&message, 2, iv_2, text);
    assert_refused(cmm, NULL, by_hand_view(&message), KF_E_MALFORMED);
    begin(&message, 10);
    write_regular(&message, 1, iv_1, text);
    write_final(&message, 3, iv_3, text);
    assert_refused(cmm, NULL, by_hand_view(&message), KF_E_MALFORMED);
    begin(&message, 10);
    write_regular(&message, 1, iv_1, text);
    write_final(&message, 1, iv_1, text);
    assert_refused(cmm, NULL, by_hand_view(&message), KF_E_MALFORMED);

    begin(&message, 9); /* a final frame that is longer than a frame */
    write_final(&message, 1, iv_1, text);
    assert_refused(cmm, NULL, by_hand_view(&message), KF_E_MALFORMED);

    begin(&message, 10); /* a regular frame where the message ends */
    write_regular(&message, 1, iv_1, text);
    assert_refused(cmm, NULL, by_hand_view(&message), KF_E_TRUNCATED);
    kf_cmm_unref(cmm);
}

/*
 * Everything holds, the header's tag too, but for the commitment: made by one who wants two keys to open it.
 */
static void a_message_has_to_commit_to_its_key(void **state)
{
    (void)state;
    static struct by_hand message;
    struct kf_cmm *cmm = client_cmm_of_two();
    static const uint8_t lies[] = {0, 1, 0x80};
    for (size_t i = 0; i < 3; i++) {
        begin_committed(&message, 100, lies[i]);
        write_final(&message, 1, iv_1, client_plaintext(100));
        if (lies[i] == 0)
            assert_decrypts(cmm, NULL, by_hand_view(&message), client_plaintext(100));
        else
            assert_refused(cmm, NULL, by_hand_view(&message), KF_E_FORGED);
    }
    kf_cmm_unref(cmm);
}

/* The limit on frames is also that of a body that is not framed. */
static void a_body_that_is_not_framed_is_limited(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    static struct by_hand single;
    begin(&single, 0);
    write_single_block(&single, iv_1, client_plaintext(100));
    options.max_frame_length = 100;
    assert_decrypts(cmm, &options, by_hand_view(&single), client_plaintext(100));
    options.max_frame_length = 99;
    assert_refused(cmm, &options, by_hand_view(&single), KF_E_LIMIT);
    kf_cmm_unref(cmm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_others_write_are_read),
        cmocka_unit_test(frames_out_of_order_are_refused),
        cmocka_unit_test(a_message_has_to_commit_to_its_key),
        cmocka_unit_test(a_body_that_is_not_framed_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
