/*
 * What encrypt.c writes: every byte of a message is taken apart and made again by hand, frames at every
 * boundary, and refusals. Streams in pieces are test_stream.c's.
 */
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

#include "message/encryption_context.h"

/* The two keys of client_cmm_of_two. */
static struct kf_view wrapping_key(size_t index)
{
    static uint8_t keys[2][32];
    memset(keys[index], (int)index + 1, 32);
    return kf_view_of(keys[index], 32);
}

/* ---- By hand ---- */

/* Checks a whole message: its fields against the request, and its secrets from the wrapping keys on. */
static void check_by_hand(struct kf_view message, enum kf_suite suite, uint32_t frame_length,
                          const struct kf_encryption_context *asked, struct kf_view plaintext)
{
    static struct parts parts;
    parts_read(message, &parts);
    assert_int_equal(parts.suite, suite);
    assert_int_equal(parts.format, kf_suite_info_of(suite)->format);
    assert_int_equal(parts.frame_length, frame_length);

    const struct kf_encryption_context *context = parts_context(parts.context);
    assert_int_equal(kf_encryption_context_count(context),
                     kf_encryption_context_count(asked) + (kf_suite_info_of(suite)->sign ? 1 : 0));
    for (size_t i = 0; i < kf_encryption_context_count(asked); i++) {
        const struct kf_pair pair = kf_encryption_context_at(asked, i);
        struct kf_view value;
        assert_true(kf_encryption_context_get(context, pair.key, &value));
        assert_same_bytes(value, pair.value);
    }
    /* Sorted, as the message has it. */
    assert_same_bytes(kf_encryption_context_serialized(context), parts.context);
    kf_encryption_context_unref(context);

    static const char *const names[] = {"one", "two"};
    const size_t key_length = kf_suite_info_of(suite)->data_key_length;
    uint8_t data_keys[2][32];
    assert_int_equal(parts.edk_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct kf_edk *edk = &parts.edks[i];
        uint8_t front[3 + 8] = {0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 12};
        memcpy(front, names[i], 3);
        assert_same_bytes(edk->provider_id, kf_view_text("tests"));
        assert_int_equal(edk->provider_info.length, sizeof front + 12);
        assert_memory_equal(edk->provider_info.data, front, sizeof front);
        assert_int_equal(edk->ciphertext.length, key_length + 16);
        assert_true(parts_unwrap(edk, wrapping_key(i), parts.context, data_keys[i]));
    }
    assert_memory_equal(data_keys[0], data_keys[1], key_length);
    parts_verify(&parts, kf_view_of(data_keys[0], key_length), parts.context, kf_view_of(NULL, 0), plaintext);
}

static void every_suite_writes_what_the_format_says(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_encryption_context *context =
        client_context("purpose", "tests", "Order", "\xC3\xBC", "empty", "");
    for (size_t i = 0; i < CLIENT_SUITES; i++) {
        const struct kf_encrypt_options options = client_encrypt_options(client_suites[i], 100, context);
        struct kf_buf message = client_message(cmm, &options, client_plaintext(250));
        check_by_hand(buf_view(message), client_suites[i], 100, context, client_plaintext(250));
        kf_buf_free(&message);
    }
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

static void an_empty_context_has_no_count(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 4096, NULL);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(1));
    check_by_hand(buf_view(message), KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 4096, NULL, client_plaintext(1));
    static struct parts parts;
    parts_read(buf_view(message), &parts);
    assert_int_equal(parts.context.length, 0);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

/* ---- Frames ---- */

/* A multiple of the frame length ends in a full final frame; an empty plaintext is one empty final frame. */
static void check_shape(struct kf_cmm *cmm, enum kf_suite suite, uint32_t frame_length, size_t length)
{
    static struct parts parts;
    const struct kf_encrypt_options options = client_encrypt_options(suite, frame_length, NULL);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(length));
    parts_read(buf_view(message), &parts);

    const size_t frames = length == 0 ? 1 : (length + frame_length - 1) / frame_length;
    const size_t last = length - (frames - 1) * frame_length;
    assert_int_equal(parts.frame_count, frames);
    for (size_t i = 0; i < frames; i++) {
        const bool final = i + 1 == frames;
        assert_int_equal(parts.frames[i].final, final);
        assert_int_equal(parts.frames[i].sequence, i + 1);
        assert_int_equal(parts.frames[i].end - parts.frames[i].begin, final ? 40 + last : 32 + frame_length);
        assert_int_equal(parts.frames[i].ciphertext.length, final ? last : frame_length);
    }
    /* Where the tags stand: behind the header's body, at the end of each frame, and the signature last. */
    const size_t header = (size_t)(parts.header_tag.data - message.data);
    assert_int_equal(header, parts.header_body.length + (parts.format == 1 ? 12 : 0));
    const size_t body = (frames - 1) * (32 + (size_t)frame_length) + 40 + last;
    size_t footer = 0;
    if (kf_suite_info_of(suite)->sign)
        footer = 2 + (suite == KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256 ? 71 : 103);
    assert_int_equal(message.length, header + 16 + body + footer);

    const struct kf_decrypt_options decrypt_options = client_decrypt_options();
    assert_decrypts(cmm, &decrypt_options, buf_view(message), client_plaintext(length));
    kf_buf_free(&message);
}

static void frames_have_their_shape_at_every_boundary(void **state)
{
    (void)state;
    static const enum kf_suite suites[] = {KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                                           KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384};
    static const uint32_t frame_lengths[] = {1, 2, 3, 15, 16, 17, 255, 4096};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t s = 0; s < 2; s++) {
        for (size_t f = 0; f < sizeof frame_lengths / sizeof frame_lengths[0]; f++) {
            const uint32_t frame = frame_lengths[f];
            const size_t lengths[] = {
                0, 1, frame - 1, frame, frame + 1, 2 * frame - 1, 3 * frame, 3 * frame + 1};
            for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
                check_shape(cmm, suites[s], frame, lengths[i]);
        }
    }
    kf_cmm_unref(cmm);
}

static void every_suite_round_trips_at_every_boundary(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 15, 16, 17, 48};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t s = 0; s < CLIENT_SUITES; s++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
            check_shape(cmm, client_suites[s], 16, lengths[i]);
    }
    kf_cmm_unref(cmm);
}

static void the_longest_frame_takes_no_more_than_the_plaintext(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    check_shape(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, UINT32_MAX, 1000);
    kf_cmm_unref(cmm);
}

static void a_thousand_frames(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    check_shape(cmm, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 1, 1000);
    kf_cmm_unref(cmm);
}

/* ---- Freshness ---- */

static void messages_share_neither_id_nor_data_key(void **state)
{
    (void)state;
    static struct parts parts[2];
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_buf messages[2];
    uint8_t data_keys[2][32];
    for (size_t i = 0; i < 2; i++) {
        const struct kf_encrypt_options options =
            client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 100, NULL);
        messages[i] = client_message(cmm, &options, client_plaintext(10));
        parts_read(buf_view(messages[i]), &parts[i]);
        assert_true(parts_unwrap(&parts[i].edks[0], wrapping_key(0), kf_view_of(NULL, 0), data_keys[i]));
    }
    assert_memory_not_equal(parts[0].message_id.data, parts[1].message_id.data, 32);
    assert_memory_not_equal(data_keys[0], data_keys[1], 32);
    kf_buf_free(&messages[0]);
    kf_buf_free(&messages[1]);
    kf_cmm_unref(cmm);
}

/*
 * Two messages of one cached data key have different message keys, because their ids differ. AES-GCM depends
 * on that.
 */
static void messages_of_one_data_key_have_keys_of_their_own(void **state)
{
    (void)state;
    static struct parts parts[2];
    struct kf_cmm *backing = client_cmm_of_two(), *cmm;
    struct kf_cache *cache;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cache_new(10, &error, &cache), &error);
    struct kf_caching_cmm_options caching = KF_CACHING_CMM_OPTIONS_INIT;
    caching.cache = cache;
    caching.cmm = backing;
    caching.max_age_ms = 60000;
    assert_ok(kf_caching_cmm_new(&caching, &error, &cmm), &error);

    struct kf_buf messages[2];
    for (size_t i = 0; i < 2; i++) {
        const struct kf_encrypt_options options =
            client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, 100, NULL);
        messages[i] = client_message(cmm, &options, client_plaintext(250));
        check_by_hand(buf_view(messages[i]), KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, 100, NULL,
                      client_plaintext(250));
        parts_read(buf_view(messages[i]), &parts[i]);
    }
    assert_same_bytes(parts[0].edks[0].ciphertext, parts[1].edks[0].ciphertext); /* one data key */
    assert_memory_not_equal(parts[0].message_id.data, parts[1].message_id.data, 32);
    assert_memory_not_equal(parts[0].commit_key.data, parts[1].commit_key.data, 32);
    for (size_t i = 0; i < 3; i++)
        assert_memory_not_equal(parts[0].frames[i].ciphertext.data, parts[1].frames[i].ciphertext.data, 50);
    kf_buf_free(&messages[0]);
    kf_buf_free(&messages[1]);
    kf_cmm_unref(cmm);
    kf_cache_unref(cache);
    kf_cmm_unref(backing);
}

/* ---- What an encryptor tells ---- */

static void materials_can_be_seen_once_they_are_held(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, 100, context);
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    assert_null(kf_encryptor_materials(encryptor));
    assert_true(kf_encryptor_deadline(encryptor) == KF_NO_DEADLINE);

    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, NULL), KF_WANT_OUTPUT);
    const struct kf_encryption_materials *materials = kf_encryptor_materials(encryptor);
    assert_non_null(materials);
    assert_int_equal(kf_encryption_materials_suite(materials),
                     KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384);
    assert_int_equal(kf_encryption_materials_edk_count(materials), 2);
    const struct kf_encryption_context *whole = kf_encryption_materials_encryption_context(materials);
    assert_int_equal(kf_encryption_context_count(whole), 2);
    assert_true(kf_encryption_context_get(whole, kf_view_text("aws-crypto-public-key"), NULL));
    assert_true(kf_encryption_context_get(whole, kf_view_text("purpose"), NULL));
    kf_encryptor_free(encryptor);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

static struct kf_encryption_request asked; /* a copy; what it points to lives while the encryptor does */

static enum kf_code note_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_request *request, struct kf_error *error,
                                 const struct kf_encryption_materials **out)
{
    asked = *request;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code note_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, error, out);
}

static void the_cmm_is_asked_for_this_message(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, note_encrypt, note_decrypt, NULL, false};
    struct kf_cmm *inner = client_cmm_of_two(), *cmm;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_cmm_new(&vtable, inner, &error, &cmm), &error);
    const struct kf_encryption_context *context = client_context("purpose", "tests");
    const struct kf_view required = kf_view_text("purpose");
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.encryption_context = context;
    options.required_keys = &required;
    options.required_key_count = 1;
    options.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    options.max_edks = 7;
    struct kf_encryptor *encryptor;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    struct kf_io nothing = {.in = NULL};
    assert_int_equal(kf_encryptor_poll(encryptor, &nothing, NULL), KF_WANT_OUTPUT);
    assert_int_equal(asked.suite, KF_SUITE_DEFAULT); /* the choice is the CMM's */
    assert_int_equal(asked.commitment_policy, KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT);
    assert_int_equal(asked.max_edks, 7);
    assert_true(asked.plaintext_bound == KF_LENGTH_UNKNOWN);
    assert_ptr_equal(asked.encryption_context, context);
    assert_int_equal(asked.required_key_count, 1);
    assert_same_bytes(asked.required_keys[0], required);
    kf_encryptor_free(encryptor);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
    kf_cmm_unref(inner);
}

/* ---- Refusals ---- */

/* kf_encryptor_new refuses, with a sentence. */
static void refused(struct kf_cmm *cmm, const struct kf_encrypt_options *options, enum kf_code code)
{
    struct kf_encryptor *encryptor = (struct kf_encryptor *)&code; /* anything but NULL */
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encryptor_new(cmm, options, &error, &encryptor), code);
    assert_int_equal(error.code, code);
    assert_true(error.text[0] != '\0');
    assert_null(encryptor);
    /* The one-shot call answers the same. */
    struct kf_buf out = KF_BUF_INIT;
    assert_int_equal(kf_encrypt(cmm, options, client_plaintext(3), NULL, &out), code);
    assert_int_equal(out.length, 0);
    kf_buf_free(&out);
}

static void options_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    refused(NULL, &options, KF_E_USAGE);
    options.frame_length = 0;
    refused(cmm, &options, KF_E_USAGE);
    options = (struct kf_encrypt_options)KF_ENCRYPT_OPTIONS_INIT;
    options.suite = (enum kf_suite)0x0679;
    refused(cmm, &options, KF_E_USAGE);
    options = (struct kf_encrypt_options)KF_ENCRYPT_OPTIONS_INIT;
    options.size = 0;
    refused(cmm, &options, KF_E_USAGE);
    options.size = sizeof options + 1;
    refused(cmm, &options, KF_E_USAGE);
    kf_cmm_unref(cmm);
}

/* A caller whose struct is shorter, as an older program has it. The other members have their defaults. */
static void shorter_options_of_older_callers_are_read(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.size = offsetof(struct kf_encrypt_options, frame_length);
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.frame_length = 0; /* not part of it */
    options.max_edks = 1;     /* nor this */
    struct kf_buf message = client_message(cmm, &options, client_plaintext(5000));
    check_by_hand(buf_view(message), KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 4096, NULL,
                  client_plaintext(5000));
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
}

static void reserved_keys_are_refused(void **state)
{
    (void)state;
    static const char *const reserved[] = {"aws-crypto-public-key", "aws-crypto-", "aws-crypto-anything"};
    static const char *const free_ones[] = {"aws-crypto", "Aws-crypto-x", "aws-cryptox-", "x-aws-crypto-"};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t i = 0; i < 3; i++) {
        const struct kf_encryption_context *context = client_context("a", "b", reserved[i], "value");
        const struct kf_encrypt_options options =
            client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 100, context);
        refused(cmm, &options, KF_E_POLICY);
        kf_encryption_context_unref(context);
    }
    for (size_t i = 0; i < 4; i++) {
        const struct kf_encryption_context *context = client_context("a", "b", free_ones[i], "value");
        const struct kf_encrypt_options options =
            client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 100, context);
        struct kf_buf message = client_message(cmm, &options, client_plaintext(1));
        kf_buf_free(&message);
        kf_encryption_context_unref(context);
    }
    kf_cmm_unref(cmm);
}

static void more_edks_than_allowed_are_refused(void **state)
{
    (void)state;
    struct kf_cmm *cmm = client_cmm_of_two();
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 100, NULL);
    options.max_edks = 2;
    struct kf_buf out = client_message(cmm, &options, client_plaintext(10));
    struct kf_error error = KF_ERROR_INIT;
    options.max_edks = 1;
    assert_int_equal(kf_encrypt(cmm, &options, client_plaintext(10), &error, &out), KF_E_LIMIT);
    assert_int_equal(error.code, KF_E_LIMIT);
    assert_int_equal(out.length, 0);
    kf_buf_free(&out);
    kf_cmm_unref(cmm);
}

/* Encrypts `length` bytes as a stream that promised `bound`, in pieces of `piece`. */
static enum kf_code stream_within(struct kf_cmm *cmm, uint64_t bound, size_t length, size_t piece)
{
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 8, NULL);
    options.plaintext_bound = bound;
    struct feed feed = FEED_ALL;
    feed.first_in = feed.in = piece;
    struct streamed streamed;
    stream_encrypt(cmm, &options, client_plaintext(length), feed, &streamed);
    const enum kf_code code = streamed.code;
    streamed_free(&streamed);
    return code;
}

static void more_plaintext_than_promised_is_refused(void **state)
{
    (void)state;
    static const size_t bounds[] = {0, 1, 7, 8, 9, 16, 20};
    static const size_t pieces[] = {1, 3, 8, 100};
    struct kf_cmm *cmm = client_cmm_of_two();
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
            assert_int_equal(stream_within(cmm, bounds[b], bounds[b], pieces[p]), KF_OK);
            assert_int_equal(stream_within(cmm, bounds[b] + 1, bounds[b], pieces[p]), KF_OK);
            assert_int_equal(stream_within(cmm, bounds[b], bounds[b] + 1, pieces[p]), KF_E_LIMIT);
            assert_int_equal(stream_within(cmm, bounds[b], bounds[b] + 50, pieces[p]), KF_E_LIMIT);
        }
    }
    kf_cmm_unref(cmm);
}

static void the_bound_holds_for_one_call_too(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    told_answer_always(told, true);
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 8, NULL);
    options.plaintext_bound = 10;
    struct kf_buf out = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encrypt(told_cmm, &options, client_plaintext(11), &error, &out), KF_E_LIMIT);
    assert_int_equal(told_begun(told), 0); /* refused before a key was asked for */
    assert_ok(kf_encrypt(told_cmm, &options, client_plaintext(7), &error, &out), &error);
    assert_int_equal(told_last_bound(told), 7); /* the one-shot call knows the length */
    kf_buf_free(&out);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

static void a_failure_leaves_nothing_in_a_buffer_used_before(void **state)
{
    (void)state;
    struct kf_cmm *told_cmm;
    struct told *told = told_new(&told_cmm);
    told_answer_always(told, true);
    struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 8, NULL);
    struct kf_buf out = client_message(told_cmm, &options, client_plaintext(500));
    const uint8_t *memory = out.data;
    const size_t length = out.length;

    options.suite = KF_AES_256_GCM_IV12_TAG16_NO_KDF;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_encrypt(told_cmm, &options, client_plaintext(500), &error, &out), KF_E_POLICY);
    assert_int_equal(out.length, 0);
    assert_ptr_equal(out.data, memory);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(memory[i], 0);

    /* The buffer can be used again, without new memory. */
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    assert_ok(kf_encrypt(told_cmm, &options, client_plaintext(400), &error, &out), &error);
    assert_ptr_equal(out.data, memory);
    assert_decrypts(told_cmm, NULL, buf_view(out), client_plaintext(400));
    kf_buf_free(&out);
    assert_null(out.data);
    kf_cmm_unref(told_cmm);
    told_free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_writes_what_the_format_says),
        cmocka_unit_test(an_empty_context_has_no_count),
        cmocka_unit_test(frames_have_their_shape_at_every_boundary),
        cmocka_unit_test(every_suite_round_trips_at_every_boundary),
        cmocka_unit_test(the_longest_frame_takes_no_more_than_the_plaintext),
        cmocka_unit_test(a_thousand_frames),
        cmocka_unit_test(messages_share_neither_id_nor_data_key),
        cmocka_unit_test(messages_of_one_data_key_have_keys_of_their_own),
        cmocka_unit_test(materials_can_be_seen_once_they_are_held),
        cmocka_unit_test(the_cmm_is_asked_for_this_message),
        cmocka_unit_test(options_out_of_bounds_are_refused),
        cmocka_unit_test(shorter_options_of_older_callers_are_read),
        cmocka_unit_test(reserved_keys_are_refused),
        cmocka_unit_test(more_edks_than_allowed_are_refused),
        cmocka_unit_test(more_plaintext_than_promised_is_refused),
        cmocka_unit_test(the_bound_holds_for_one_call_too),
        cmocka_unit_test(a_failure_leaves_nothing_in_a_buffer_used_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
