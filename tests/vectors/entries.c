/*
 * Manifests with "entries": those of js-client-node, and of whoever writes the same with more fields. Keys
 * are in a file of their own, which the manifest names.
 *
 * A pair of the encryption context that a good message does not store is one that its reader has to bring,
 * unless the entry says itself what the reader brings.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "vectors/keyrings.h"
#include "vectors/trial.h"

#define MEMBERS_MAX 8

/* ---- Keyrings ---- */

/* PEM, or the path of a file with it. */
static bool want_pem(struct vectors *vectors, const struct json *key, const char *name,
                     struct verdict *verdict, struct kf_view *out)
{
    static const char begin[] = "-----BEGIN ";
    if (!want_text(key, name, verdict, out))
        return false;
    return strncmp((const char *)out->data, begin, strlen(begin)) == 0 ||
           want_file(vectors, key, name, verdict, out);
}

static struct kf_keyring *aes_of(struct vectors *vectors, const struct json *key, struct verdict *verdict)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    if (want_text(key, "namespace", verdict, &options.key_namespace) &&
        want_text(key, "name", verdict, &options.key_name) &&
        want_hex(vectors, key, "hex", verdict, &options.wrapping_key))
        done(kf_raw_aes_keyring_new(&options, &error, &keyring), &error, "the raw AES keyring", verdict);
    return keyring;
}

static struct kf_keyring *rsa_of(struct vectors *vectors, const struct json *key, const struct json *member,
                                 struct verdict *verdict)
{
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_view hash = {NULL, 0};
    options.padding = KF_RSA_PKCS1;
    if (!json_is(member, "padding", "pkcs1")) {
        if (!want_text(member, "oaep_hash", verdict, &hash))
            return NULL;
        options.padding = oaep_padding(hash);
    }
    if (options.padding == 0)
        fail(verdict, "there is no OAEP with \"%s\"", (const char *)hash.data);
    else if (want_text(key, "namespace", verdict, &options.key_namespace) &&
             want_text(key, "name", verdict, &options.key_name) &&
             (json_get(key, "private_pem") == NULL
                  ? want_pem(vectors, key, "public_pem", verdict, &options.public_key)
                  : want_pem(vectors, key, "private_pem", verdict, &options.private_key)))
        done(kf_raw_rsa_keyring_new(&options, &error, &keyring), &error, "the raw RSA keyring", verdict);
    return keyring;
}

static struct kf_keyring *member_of(struct vectors *vectors, const struct json *keys,
                                    const struct json *member, struct verdict *verdict)
{
    struct kf_view label, type;
    if (!want_text(member, "key", verdict, &label))
        return NULL;
    const struct json *key = json_get_as(keys, (const char *)label.data, JSON_OBJECT);
    if (key == NULL) {
        fail(verdict, "there is no key \"%s\"", (const char *)label.data);
        return NULL;
    }
    if (!want_text(key, "type", verdict, &type))
        return NULL;
    if (kfi_view_equal(type, kf_view_text("aes")))
        return aes_of(vectors, key, verdict);
    if (kfi_view_equal(type, kf_view_text("rsa")))
        return rsa_of(vectors, key, member, verdict);
    skip(verdict, "a key of type \"%s\", which is not known here", (const char *)type.data);
    return NULL;
}

/* All members of the keyring, or only the one of this number. */
static struct kf_cmm *cmm_of(struct vectors *vectors, const struct json *keys, const struct json *members,
                             size_t only, struct verdict *verdict)
{
    struct kf_keyring *keyrings[MEMBERS_MAX];
    size_t count = 0, number = 0;
    JSON_EACH(member, members)
    {
        if (only != SIZE_MAX && number++ != only)
            continue;
        struct kf_keyring *keyring = count < MEMBERS_MAX ? member_of(vectors, keys, member, verdict) : NULL;
        if (keyring != NULL)
            keyrings[count++] = keyring;
    }
    if (count == 0)
        fail(verdict, "the keyring has no members");
    return cmm_on(multi_of(keyrings, count, verdict), verdict);
}

/* ---- Entries ---- */

/* The context that the reader gives: see above. NULL: none. */
static const struct json *reproduced_of(struct vectors *vectors, const struct json *entry, bool refused,
                                        struct kf_view message)
{
    const struct json *said = json_get_as(entry, "reproduced_encryption_context", JSON_OBJECT);
    if (said != NULL || refused)
        return said;
    struct json *missing = arena_take(&vectors->arena, sizeof *missing), *last = NULL;
    const struct kf_header *header = NULL;
    if (kf_header_parse(message, 0, NULL, &header) != KF_OK)
        return NULL;
    missing->type = JSON_OBJECT;
    JSON_EACH(pair, json_get_as(entry, "encryption_context", JSON_OBJECT))
    {
        if (kf_encryption_context_get(kf_header_encryption_context(header), pair->name, NULL))
            continue;
        struct json *copy = arena_take(&vectors->arena, sizeof *copy);
        *copy = *pair;
        copy->next = NULL;
        if (last == NULL)
            missing->first = copy;
        else
            last->next = copy;
        last = copy;
        missing->count++;
    }
    kf_header_unref(header);
    return missing;
}

static bool check_number(const struct json *entry, const char *name, size_t got, struct verdict *verdict)
{
    const struct json *wanted = json_get_as(entry, name, JSON_NUMBER);
    return wanted == NULL || (long long)got == wanted->number ||
           fail(verdict, "\"%s\" is %lld, but the message has %zu", name, wanted->number, got);
}

/* Whether the header agrees with the entry. */
static bool check_header(const struct json *entry, const struct kf_encryption_context *reproduced,
                         const struct kf_header *header, struct verdict *verdict)
{
    const struct kf_suite_info *suite;
    if (json_get_as(entry, "suite_id", JSON_STRING) != NULL) {
        if (!want_suite(entry, "suite_id", verdict, &suite))
            return false;
        if (suite != kf_header_suite(header))
            return fail(verdict, "the message is of suite %s", kf_header_suite(header)->name);
    }
    JSON_EACH(pair, json_get_as(entry, "encryption_context", JSON_OBJECT))
    {
        struct kf_view value;
        if ((!kf_encryption_context_get(kf_header_encryption_context(header), pair->name, &value) &&
             !kf_encryption_context_get(reproduced, pair->name, &value)) ||
            !kfi_view_equal(value, pair->text))
            return fail(verdict, "the encryption context has another value for \"%.200s\"",
                        (const char *)pair->name.data);
    }
    return check_number(entry, "frame_length", kf_header_frame_length(header), verdict) &&
           check_number(entry, "edk_count", kf_header_edk_count(header), verdict);
}

/* Each key decrypts alone, if the entry says that it does. */
static bool check_members(struct vectors *vectors, const struct json *keys, const struct json *entry,
                          const struct trial *trial, struct kf_view plaintext, struct verdict *verdict)
{
    const struct json *members = json_get_as(json_get(entry, "keyring"), "members", JSON_ARRAY);
    size_t number = 0;
    if (json_get_as(entry, "each_member_alone_decrypts", JSON_ARRAY) == NULL || members->count < 2)
        return true;
    JSON_EACH(member, members)
    {
        bool said = false;
        JSON_EACH(label, json_get(entry, "each_member_alone_decrypts"))
        {
            said = said || kfi_view_equal(label->text, json_get(member, "key")->text);
        }
        struct trial alone = *trial;
        alone.cmm = cmm_of(vectors, keys, members, number++, verdict);
        if (alone.cmm != NULL && said)
            trial_gives(&alone, plaintext, verdict, NULL);
        kf_cmm_unref(alone.cmm);
        if (verdict->kind != PASSED)
            return false;
    }
    return true;
}

static void try_positive(struct vectors *vectors, const struct json *keys, const struct json *entry,
                         const struct trial *trial, struct verdict *verdict)
{
    struct kf_view plaintext;
    const struct kf_header *header = NULL;
    if (want_file(vectors, json_get(entry, "files"), "plaintext", verdict, &plaintext) &&
        trial_gives(trial, plaintext, verdict, &header) &&
        check_header(entry, trial->reproduced, header, verdict))
        check_members(vectors, keys, entry, trial, plaintext, verdict);
    kf_header_unref(header);
}

/*
 * Whether the message has to be refused. That includes messages that another client reads against the
 * specification, or that only that client reads ("js-only").
 */
static bool must_fail(const char *expect, bool *known)
{
    static const char only[] = "-only";
    const size_t length = strlen(expect);
    const bool one_reads = length > strlen(only) && strcmp(expect + length - strlen(only), only) == 0;
    const bool refused =
        one_reads || strcmp(expect, "reject") == 0 || strcmp(expect, "ok-same-plaintext") == 0;
    *known = refused || strcmp(expect, "ok") == 0;
    return refused;
}

static void run_entry(struct vectors *vectors, const struct json *keys, const struct json *entry,
                      struct verdict *verdict)
{
    struct trial trial = {.cmm = NULL};
    const struct kf_encryption_context *reproduced = NULL;
    struct kf_view expect;
    bool known;
    const struct json *keyring = want(entry, "keyring", JSON_OBJECT, verdict);
    const struct json *members = want(keyring, "members", JSON_ARRAY, verdict);
    const struct json *files = want(entry, "files", JSON_OBJECT, verdict);
    if (members == NULL || files == NULL || !want_text(entry, "expect", verdict, &expect) ||
        !want_file(vectors, files, "ciphertext", verdict, &trial.message))
        return;
    const bool refused = must_fail((const char *)expect.data, &known);
    const struct json *brought = reproduced_of(vectors, entry, refused, trial.message);
    trial.cmm = cmm_of(vectors, keys, members, SIZE_MAX, verdict);
    if (!known)
        fail(verdict, "\"expect\" is \"%s\", which is not known", (const char *)expect.data);
    if (trial.cmm != NULL && known && context_of(brought, verdict, &reproduced)) {
        trial.reproduced = reproduced;
        if (refused)
            trial_refused(&trial, KF_OK, verdict);
        else
            try_positive(vectors, keys, entry, &trial, verdict);
    }
    kf_encryption_context_unref(reproduced);
    kf_cmm_unref(trial.cmm);
}

bool run_entries(struct vectors *vectors)
{
    struct verdict verdict = {.kind = PASSED};
    struct kf_view uri;
    if (json_get(vectors->root, "entries") == NULL)
        return false;
    const struct json *entries = want(vectors->root, "entries", JSON_ARRAY, &verdict);
    const struct json *keys = NULL;
    if (want_text(vectors->root, "keys", &verdict, &uri))
        keys = want_json(vectors, uri, &verdict);
    const struct json *count = json_get_as(vectors->root, "count", JSON_NUMBER);
    if (entries != NULL && count != NULL && count->number != (long long)entries->count)
        fail(&verdict, "it has %zu entries, but says %lld", entries->count, count->number);
    if (verdict.kind != PASSED)
        vectors_count(vectors, kf_view_text("the manifest"), &verdict);
    if (keys == NULL)
        return true;
    if (json_get_as(keys, "keys", JSON_OBJECT) != NULL)
        keys = json_get(keys, "keys");
    unsigned number = 0;
    JSON_EACH(entry, entries)
    {
        char numbered[32];
        struct verdict own = {.kind = PASSED};
        snprintf(numbered, sizeof numbered, "entry %u", ++number);
        const struct json *name = json_get_as(entry, "name", JSON_STRING);
        run_entry(vectors, keys, entry, &own);
        vectors_count(vectors, name != NULL ? name->text : kf_view_text(numbered), &own);
    }
    return true;
}
