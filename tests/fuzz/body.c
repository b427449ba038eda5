/*
 * Bodies of any shape whose tags all hold. The input says which frames there are, and their numbers and
 * lengths; a model says what a reader has to answer. So the code behind the tags is reached too.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "support/forge.h"

static const unsigned suites[] = {0x0478, 0x0014, 0x0178, 0x0114};

/* The model: a reader's answer to the frames so far. */
struct model {
    enum kf_code code; /* KF_WANT_INPUT: the body goes on */
    uint32_t expected; /* number of the next frame */
    size_t length;     /* of the plaintext */
};

static void model_frame(struct model *model, bool final, uint32_t number, size_t length, size_t frame_length)
{
    if (model->code == KF_OK)
        model->code = KF_E_TRAILING;
    if (model->code != KF_WANT_INPUT)
        return;
    if (number != model->expected || length > frame_length)
        model->code = KF_E_MALFORMED;
    else if (final)
        model->code = KF_OK;
    model->expected++;
    model->length += length;
}

/* Frames from the input: kind and step of the number, length. The plaintext runs on from frame to frame. */
static void write_frames(struct forge *forge, struct kfi_reader *reader, struct model *model)
{
    while (reader->rest.length > 0 && forge->writer.room > 1024) {
        const uint8_t plan = kfi_read_u8(reader), length = kfi_read_u8(reader);
        const bool final = (plan & 0x80) != 0;
        /* Mostly the right number, or one near to it. */
        const uint32_t number = model->expected + (uint32_t)((plan & 0x40) != 0 ? (int)(plan & 7) - 3 : 0);
        const size_t bytes = final ? length : forge->frame_length;
        const struct kf_view plaintext = kf_view_of(client_plaintext(8192).data + model->length, bytes);
        if (final)
            forge_final(forge, number, plaintext);
        else if (number != 0xFFFFFFFF)
            forge_regular(forge, number, plaintext);
        else
            return;
        model_frame(model, final, number, bytes, forge->frame_length);
    }
}

static void write_single_block(struct forge *forge, struct kfi_reader *reader, struct model *model)
{
    const uint16_t length = kfi_read_u16(reader) % 4096;
    forge_single_block(forge, client_plaintext(length));
    model->code = KF_OK;
    model->length = length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static struct kf_cmm *cmm;
    static struct forge forge;
    struct kfi_reader reader = {kf_view_of(data, length), false};
    const uint8_t shape = kfi_read_u8(&reader), tail = kfi_read_u8(&reader);
    struct model model = {KF_WANT_INPUT, 1, 0};
    if (cmm == NULL)
        cmm = client_cmm_of_two();

    forge_begin(&forge, suites[shape & 3]);
    forge.frame_length = (uint32_t)(shape & 0x80) != 0 ? 0 : 1 + (shape >> 2 & 31);
    forge.content_type = forge.frame_length == 0 ? 1 : 2;
    forge_header(&forge);
    if (forge.frame_length == 0)
        write_single_block(&forge, &reader, &model);
    else
        write_frames(&forge, &reader, &model);
    struct kf_view message = forge_view(&forge);
    if (model.code == KF_OK && (tail & 0xF0) == 0xF0) { /* cut */
        message.length -= 1 + (tail & 15);
        model.code = KF_E_TRUNCATED;
    }
    if (model.code == KF_WANT_INPUT)
        model.code = KF_E_TRUNCATED;

    struct kf_error error = KF_ERROR_INIT;
    const struct kf_decrypt_options options = client_decrypt_options();
    struct kf_buf out = KF_BUF_INIT;
    const enum kf_code code = kf_decrypt(cmm, &options, message, &error, NULL, &out);
    CHECK(code == model.code);
    if (code == KF_OK) {
        CHECK(out.length == model.length);
        CHECK(out.length == 0 || memcmp(out.data, client_plaintext(8192).data, out.length) == 0);
    } else {
        CHECK_REFUSED(code, &error);
        CHECK(out.length == 0);
    }
    kf_buf_free(&out);
    forge_end(&forge);
    return 0;
}
