/*
 * Messages whose data key is known, so that nothing has to be unwrapped: c-decryption-vectors,
 * commitment-kat, python-decrypt-oracle and js-decrypt-node.
 */
#include "base/bytes.h"
#include "suite/derive.h"
#include "vectors/keyrings.h"
#include "vectors/trial.h"

/* ---- What all of them have ---- */

/* The data key of a text: "all zero…" (as many bytes as the suite wants) or hexadecimal digits. */
static bool data_key_of(struct vectors *vectors, const struct json *text, struct verdict *verdict,
                        struct kf_view *out)
{
    static const char zero[] = "all zero";
    *out = kf_view_of(NULL, 0);
    if (text == NULL || text->type != JSON_STRING)
        return fail(verdict, "the manifest is damaged: there is no data key");
    return strncmp((const char *)text->text.data, zero, strlen(zero)) == 0 ||
           unhex(vectors, text->text, out) || fail(verdict, "the data key is not made of hexadecimal digits");
}

/* Whether the message is of this suite. */
static bool check_suite(struct kf_view message, const struct kf_suite_info *suite, struct verdict *verdict)
{
    const struct kf_header *header = NULL;
    struct kf_error error = KF_ERROR_INIT;
    const bool good = done(kf_header_parse(message, 0, &error, &header), &error, "the header", verdict) &&
                      (kf_header_suite(header) == suite ||
                       fail(verdict, "the message is of suite %s", kf_header_suite(header)->name));
    kf_header_unref(header);
    return good;
}

/* ---- c-decryption-vectors ---- */

/* The message decrypts; with any one of its bits flipped it does not. */
static void run_flipped(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct known_key known = {.asked = 0};
    struct kf_view ciphertext, plaintext;
    const struct kf_suite_info *suite;
    if (!data_key_of(vectors, json_get(vectors->root, "data_key"), verdict, &known.data_key) ||
        !want_suite(test, "alg", verdict, &suite) ||
        !want_base64(vectors, test, "ciphertext", verdict, &ciphertext) ||
        !want_base64(vectors, test, "plaintext", verdict, &plaintext) ||
        !check_suite(ciphertext, suite, verdict))
        return;
    uint8_t *bytes = arena_take(&vectors->arena, ciphertext.length);
    memcpy(bytes, ciphertext.data, ciphertext.length);
    const struct trial trial = {.cmm = known_key_cmm(&known, verdict),
                                .message = kf_view_of(bytes, ciphertext.length)};
    struct kf_buf out = KF_BUF_INIT;
    bool good = trial.cmm != NULL && trial_gives(&trial, plaintext, verdict, NULL);
    for (size_t bit = 0; good && bit < 8 * ciphertext.length; bit++) {
        struct verdict flipped = {.kind = PASSED};
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        good = trial_refused_once(&trial, KF_OK, &flipped, &out) ||
               fail(verdict, "bit %zu of byte %zu flipped: %s", bit % 8, bit / 8, flipped.text);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    kf_buf_free(&out);
    kf_cmm_unref(trial.cmm);
}

/* ---- commitment-kat ---- */

/* The pieces of plaintext joined, frame by frame. */
static struct kf_view joined(struct vectors *vectors, const struct json *frames)
{
    size_t length = 0;
    JSON_EACH(frame, frames)
    {
        length += frame->text.length;
    }
    uint8_t *bytes = arena_take(&vectors->arena, length);
    length = 0;
    JSON_EACH(frame, frames)
    {
        if (frame->text.length > 0)
            memcpy(bytes + length, frame->text.data, frame->text.length);
        length += frame->text.length;
    }
    return kf_view_of(bytes, length);
}

/* The keys that are derived from the data key, where they are known. */
static bool check_derived(struct vectors *vectors, const struct json *test, const struct kf_header *header,
                          struct kf_view data_key, struct verdict *verdict)
{
    struct kfi_message_key derived;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_view message_id, key, commitment;
    const struct kfi_suite *suite = kfi_suite_get(kf_header_suite(header)->id);
    if (!want_base64(vectors, test, "message-id", verdict, &message_id) ||
        !same(kf_header_message_id(header), message_id, "the message id", verdict) ||
        !done(kfi_derive(suite, data_key, message_id, &error, &derived), &error, "the derivation", verdict))
        return false;
    return (json_get(test, "content-encryption-key") == NULL ||
            (want_base64(vectors, test, "content-encryption-key", verdict, &key) &&
             same(kf_view_of(derived.key, derived.length), key, "the content encryption key", verdict))) &&
           (json_get(test, "commitment") == NULL || !suite->info.commits ||
            (want_base64(vectors, test, "commitment", verdict, &commitment) &&
             same(kf_view_of(derived.commit_key, sizeof derived.commit_key), commitment, "the commit key",
                  verdict)));
}

static void run_commitment(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct known_key known = {.asked = 0};
    struct trial trial = {.cmm = NULL};
    const struct kf_header *header = NULL;
    const struct json *status = want(test, "status", JSON_BOOLEAN, verdict);
    if (status == NULL || !want_base64(vectors, test, "ciphertext", verdict, &trial.message) ||
        !want_base64(vectors, test, "decrypted-dek", verdict, &known.data_key))
        return;
    trial.cmm = known_key_cmm(&known, verdict);
    if (trial.cmm != NULL && status->number == 0) {
        trial_refused(&trial, KF_E_FORGED, verdict);
    } else if (trial.cmm != NULL) {
        const struct json *frames = want(test, "plaintext-frames", JSON_ARRAY, verdict);
        if (frames != NULL && trial_gives(&trial, joined(vectors, frames), verdict, &header) &&
            has_pairs(json_get_as(test, "encryption-context", JSON_OBJECT),
                      kf_header_encryption_context(header), verdict))
            check_derived(vectors, test, header, known.data_key, verdict);
    }
    kf_header_unref(header);
    kf_cmm_unref(trial.cmm);
}

/* ---- python-decrypt-oracle ---- */

static void run_oracle(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct known_key known = {.asked = 0};
    struct trial trial = {.cmm = NULL};
    struct kf_view plaintext;
    const struct kf_suite_info *suite;
    if (json_get(test, "data-key-hex") == NULL) {
        skip(verdict, "%s", NEEDS_AWS); /* the data key is wrapped by KMS, and is not in the manifest */
        return;
    }
    if (!want_suite(test, "algorithm-suite", verdict, &suite) ||
        !want_hex(vectors, test, "data-key-hex", verdict, &known.data_key) ||
        !want_base64(vectors, test, "ciphertext", verdict, &trial.message) ||
        !want_base64(vectors, test, "plaintext", verdict, &plaintext) ||
        !check_suite(trial.message, suite, verdict))
        return;
    trial.cmm = known_key_cmm(&known, verdict);
    if (trial.cmm != NULL)
        trial_gives(&trial, plaintext, verdict, NULL);
    kf_cmm_unref(trial.cmm);
}

/* ---- js-decrypt-node ---- */

/* As many EDKs as are allowed; with one less allowed it is refused, and no key is asked for. */
static bool check_edks(const struct trial *trial, struct known_key *known, size_t edk_count,
                       struct kf_view plaintext, struct verdict *verdict)
{
    struct trial limited = *trial;
    limited.max_edks = (uint16_t)edk_count;
    if (!trial_gives(&limited, plaintext, verdict, NULL) || edk_count == 1)
        return verdict->kind == PASSED;
    known->asked = 0;
    limited.max_edks--;
    return trial_refused(&limited, KF_E_LIMIT, verdict) &&
           (known->asked == 0 || fail(verdict, "a key is asked for although there are too many EDKs"));
}

static void run_known(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    struct known_key known = {.asked = 0};
    struct trial trial = {.cmm = NULL};
    struct kf_view plaintext, expect;
    const struct kf_suite_info *suite;
    const struct kf_header *header = NULL;
    if (!data_key_of(vectors, json_get(test, "data_key"), verdict, &known.data_key) ||
        !want_suite(test, "alg", verdict, &suite) || !want_text(test, "expect", verdict, &expect) ||
        !want_base64(vectors, test, "ciphertext", verdict, &trial.message) ||
        !check_suite(trial.message, suite, verdict))
        return;
    trial.cmm = known_key_cmm(&known, verdict);
    if (trial.cmm == NULL)
        return;
    if (strncmp((const char *)expect.data, "fail", strlen("fail")) == 0) {
        const bool signature = strstr((const char *)expect.data, "InvalidSignature") != NULL;
        trial_refused(&trial, signature ? KF_E_FORGED : KF_OK, verdict);
    } else if (!kfi_view_equal(expect, kf_view_text("success"))) {
        fail(verdict, "\"expect\" is \"%s\", which is not known", (const char *)expect.data);
    } else if (want_base64(vectors, test, "plaintext", verdict, &plaintext) &&
               trial_gives(&trial, plaintext, verdict, &header)) {
        const struct json *count = want(test, "edk_count", JSON_NUMBER, verdict);
        const size_t edks = kf_header_edk_count(header);
        if (count != NULL && count->number != (long long)edks)
            fail(verdict, "the message has %zu EDKs", edks);
        else if (count != NULL)
            check_edks(&trial, &known, edks, plaintext, verdict);
    }
    kf_header_unref(header);
    kf_cmm_unref(trial.cmm);
}

static void skip_hierarchical(struct vectors *vectors, const struct json *test, struct verdict *verdict)
{
    (void)vectors, (void)test;
    skip(verdict, "%s", NEEDS_HIERARCHICAL);
}

/* ---- Which it is ---- */

bool run_messages(struct vectors *vectors)
{
    const struct json *root = vectors->root, *tests = json_get_as(root, "tests", JSON_ARRAY);
    const struct json *first = tests != NULL ? tests->first : root->type == JSON_ARRAY ? root->first : NULL;
    if (json_get(first, "ciphertext") == NULL)
        return false;
    if (tests != NULL && json_is(json_get(root, "branch_key"), "type", "static-branch-key"))
        vectors_each(vectors, tests, NULL, skip_hierarchical);
    else if (tests != NULL && json_get(root, "data_key") != NULL)
        vectors_each(vectors, tests, "name", run_flipped);
    else if (tests != NULL && json_get(first, "decrypted-dek") != NULL)
        vectors_each(vectors, tests, "comment", run_commitment);
    else if (tests == NULL && json_get(first, "key-type") != NULL)
        vectors_each(vectors, root, NULL, run_oracle);
    else if (tests == NULL && json_get(first, "data_key") != NULL)
        vectors_each(vectors, root, "name", run_known);
    else
        return false;
    return true;
}
