/*
 * Keyrings and CMMs: see keyrings.h. The descriptions are those of the test vector framework (0002-keys,
 * 0005-awses-master-key) and of its later versions, which have keyrings in place of master keys.
 */
#include "vectors/keyrings.h"

#include "base/bytes.h"

#define KEYRINGS_MAX 16

/* ---- A known data key ---- */

static enum kf_code known_on_encrypt(void *self, struct kf_call *call,
                                     const struct kf_encryption_materials *materials, struct kf_error *error,
                                     struct kf_wrapped *out)
{
    (void)self, (void)call, (void)materials, (void)out;
    return kf_error_set(error, KF_E_KEYS, "A known data key only decrypts.");
}

static enum kf_code known_on_decrypt(void *self, struct kf_call *call,
                                     const struct kf_decryption_materials *materials,
                                     const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                     struct kf_data_key *out)
{
    struct known_key *known = self;
    const size_t length = kf_suite_info_of(kf_decryption_materials_suite(materials))->data_key_length;
    (void)call, (void)edks, (void)edk_count;
    known->asked++;
    if (known->data_key.length != 0 && known->data_key.length != length)
        return kf_error_set(error, KF_E_KEYS, "The known data key is not of the suite's length.");
    out->length = length;
    memset(out->bytes, 0, length);
    if (known->data_key.length != 0)
        memcpy(out->bytes, known->data_key.data, length);
    return KF_OK;
}

struct kf_cmm *known_key_cmm(struct known_key *known, struct verdict *verdict)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, known_on_encrypt, known_on_decrypt, NULL,
                                                    false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    done(kf_keyring_new(&vtable, known, &error, &keyring), &error, "the keyring", verdict);
    return cmm_on(keyring, verdict);
}

/* ---- CMMs ---- */

struct kf_cmm *cmm_on(struct kf_keyring *keyring, struct verdict *verdict)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;
    if (keyring != NULL)
        done(kf_default_cmm_new(keyring, &error, &cmm), &error, "the CMM", verdict);
    kf_keyring_unref(keyring);
    return cmm;
}

struct kf_cmm *requiring_cmm(struct kf_cmm *cmm, const struct kf_view *names, size_t count,
                             struct verdict *verdict)
{
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *out = NULL;
    options.cmm = cmm;
    options.required_keys = names;
    options.required_key_count = count;
    if (cmm != NULL)
        done(kf_required_encryption_context_cmm_new(&options, &error, &out), &error, "the CMM", verdict);
    kf_cmm_unref(cmm);
    return out;
}

struct kf_cmm *described_cmm(struct vectors *vectors, const struct json *keys, const struct json *description,
                             struct verdict *verdict, const char **left_out)
{
    if (!json_is(description, "type", "required-encryption-context-cmm"))
        return cmm_on(described_keyring(vectors, keys, description, verdict, left_out), verdict);
    const struct json *below = want(description, "underlying", JSON_OBJECT, verdict);
    const struct json *names = want(description, "requiredEncryptionContextKeys", JSON_ARRAY, verdict);
    if (below == NULL || names == NULL)
        return NULL;
    struct kf_view *views = arena_take(&vectors->arena, names->count * sizeof *views);
    size_t count = 0;
    JSON_EACH(name, names)
    {
        views[count++] = name->text;
    }
    return requiring_cmm(described_cmm(vectors, keys, below, verdict, left_out), views, count, verdict);
}

/* ---- Raw keyrings ---- */

/* Key material, which early versions cut into lines. */
static bool want_material(struct vectors *vectors, const struct json *key, const char *name,
                          struct verdict *verdict, struct kf_view *out)
{
    const struct json *lines = json_get_as(key, name, JSON_ARRAY);
    const struct json *separator = json_get_as(key, "line-separator", JSON_STRING);
    if (lines == NULL)
        return want_text(key, name, verdict, out);
    const size_t gap = separator == NULL ? 0 : separator->text.length;
    size_t length = 0;
    JSON_EACH(line, lines)
    {
        length += line->text.length + gap;
    }
    uint8_t *text = arena_take(&vectors->arena, length), *end = text;
    JSON_EACH(line, lines)
    {
        if (gap > 0 && end != text) {
            memcpy(end, separator->text.data, gap);
            end += gap;
        }
        if (line->text.length > 0)
            memcpy(end, line->text.data, line->text.length);
        end += line->text.length;
    }
    *out = kf_view_of(text, (size_t)(end - text));
    return true;
}

/* The material, decoded as the key says. */
static bool want_key(struct vectors *vectors, const struct json *key, const char *name, const char *encoding,
                     struct verdict *verdict, struct kf_view *out)
{
    struct kf_view how;
    if (!want_material(vectors, key, name, verdict, out) || !want_text(key, encoding, verdict, &how))
        return false;
    if (kfi_view_equal(how, kf_view_text("pem")))
        return true;
    if (!kfi_view_equal(how, kf_view_text("base64")) && !kfi_view_equal(how, kf_view_text("base64-der")))
        return fail(verdict, "a key is encoded as \"%s\", which is not known", (const char *)how.data);
    return unbase64(vectors, *out, out) || fail(verdict, "a key's \"%s\" is not base64", name);
}

/* The entry of `keys` that the description's member `name` names. */
static const struct json *find_key(const struct json *keys, const struct json *description, const char *name,
                                   struct verdict *verdict)
{
    struct kf_view label;
    if (!want_text(description, name, verdict, &label))
        return NULL;
    const struct json *key = json_get_as(keys, (const char *)label.data, JSON_OBJECT);
    if (key == NULL)
        fail(verdict, "there is no key \"%s\"", (const char *)label.data);
    return key;
}

enum kf_rsa_padding oaep_padding(struct kf_view hash)
{
    static const char *const hashes[] = {
        [KF_RSA_OAEP_SHA1] = "sha1",
        [KF_RSA_OAEP_SHA256] = "sha256",
        [KF_RSA_OAEP_SHA384] = "sha384",
        [KF_RSA_OAEP_SHA512] = "sha512",
    };
    for (int i = KF_RSA_OAEP_SHA1; i <= KF_RSA_OAEP_SHA512; i++) {
        if (kfi_view_equal(hash, kf_view_text(hashes[i])))
            return (enum kf_rsa_padding)i;
    }
    return (enum kf_rsa_padding)0;
}

static bool want_padding(const struct json *description, struct verdict *verdict, enum kf_rsa_padding *out)
{
    struct kf_view hash = {NULL, 0};
    *out = KF_RSA_PKCS1;
    if (json_is(description, "padding-algorithm", "pkcs1"))
        return true;
    if (!json_is(description, "padding-algorithm", "oaep-mgf1"))
        return fail(verdict, "the manifest is damaged: there is no padding algorithm that is known");
    if (!want_text(description, "padding-hash", verdict, &hash))
        return false;
    *out = oaep_padding(hash);
    return *out != 0 || fail(verdict, "there is no OAEP with \"%s\"", (const char *)hash.data);
}

static struct kf_keyring *raw_aes(struct vectors *vectors, const struct json *key, struct kf_view provider,
                                  struct kf_view name, struct verdict *verdict)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    options.key_namespace = provider;
    options.key_name = name;
    if (want_key(vectors, key, "material", "encoding", verdict, &options.wrapping_key))
        done(kf_raw_aes_keyring_new(&options, &error, &keyring), &error, "the raw AES keyring", verdict);
    return keyring;
}

static struct kf_keyring *raw_rsa(struct vectors *vectors, const struct json *key,
                                  const struct json *description, struct kf_view provider,
                                  struct kf_view name, struct verdict *verdict)
{
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_view material;
    options.key_namespace = provider;
    options.key_name = name;
    if (!want_padding(description, verdict, &options.padding) ||
        !want_key(vectors, key, "material", "encoding", verdict, &material))
        return NULL;
    if (json_is(key, "type", "public"))
        options.public_key = material;
    else
        options.private_key = material;
    done(kf_raw_rsa_keyring_new(&options, &error, &keyring), &error, "the raw RSA keyring", verdict);
    return keyring;
}

static struct kf_keyring *raw(struct vectors *vectors, const struct json *keys,
                              const struct json *description, struct verdict *verdict)
{
    struct kf_view provider, name;
    const struct json *key = find_key(keys, description, "key", verdict);
    if (key == NULL || !want_text(description, "provider-id", verdict, &provider))
        return NULL;
    /* Before version 2 of the keys manifest a key had no name but its label. */
    const struct json *key_id = json_get_as(key, "key-id", JSON_STRING);
    name = key_id != NULL ? key_id->text : key->name;
    if (json_is(description, "encryption-algorithm", "aes"))
        return raw_aes(vectors, key, provider, name, verdict);
    if (json_is(description, "encryption-algorithm", "rsa"))
        return raw_rsa(vectors, key, description, provider, name, verdict);
    fail(verdict, "the manifest is damaged: a raw key is neither for AES nor for RSA");
    return NULL;
}

static struct kf_keyring *raw_ecdh(struct vectors *vectors, const struct json *keys,
                                   const struct json *description, struct verdict *verdict)
{
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    const struct json *recipient = find_key(keys, description, "recipient", verdict), *sender = NULL;
    options.curve = json_is(description, "ecc-curve", "ecc-256")   ? KF_ECDH_P256
                    : json_is(description, "ecc-curve", "ecc-384") ? KF_ECDH_P384
                    : json_is(description, "ecc-curve", "ecc-521") ? KF_ECDH_P521
                                                                   : (enum kf_ecdh_curve)0;
    options.schema = json_is(description, "schema", "static")      ? KF_ECDH_STATIC
                     : json_is(description, "schema", "ephemeral") ? KF_ECDH_EPHEMERAL
                     : json_is(description, "schema", "discovery") ? KF_ECDH_DISCOVERY
                                                                   : (enum kf_ecdh_schema)0;
    if (options.schema == KF_ECDH_STATIC)
        sender = find_key(keys, description, "sender", verdict);
    const struct json *named = json_get_as(description, "recipient-public-key", JSON_STRING);
    const char *public_key = named != NULL ? (const char *)named->text.data : "recipient-material-public-key";
    bool good = verdict->kind == PASSED;
    if (good && sender != NULL)
        good = want_key(vectors, sender, "sender-material", "encoding", verdict, &options.private_key);
    if (good && options.schema == KF_ECDH_DISCOVERY)
        good = want_key(vectors, recipient, "recipient-material", "encoding", verdict, &options.private_key);
    else if (good)
        good = want_key(vectors, recipient, public_key, "public-key-encoding", verdict, &options.public_key);
    if (good)
        done(kf_raw_ecdh_keyring_new(&options, &error, &keyring), &error, "the raw ECDH keyring", verdict);
    return keyring;
}

/* ---- All of them ---- */

struct kf_keyring *multi_of(struct kf_keyring **keyrings, size_t count, struct verdict *verdict)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *multi = NULL;
    if (count > 0 && verdict->kind == PASSED)
        done(kf_multi_keyring_new(keyrings[0], keyrings + 1, count - 1, &error, &multi), &error,
             "the multi-keyring", verdict);
    for (size_t i = 0; i < count; i++)
        kf_keyring_unref(keyrings[i]);
    return multi;
}

/* Adds a keyring to a multi-keyring. One that is not supported is left out, and `left_out` says why. */
static void add(struct vectors *vectors, const struct json *keys, const struct json *description,
                struct verdict *verdict, const char **left_out, struct kf_keyring **keyrings, size_t *count)
{
    struct verdict own = {.kind = PASSED};
    if (*count == KEYRINGS_MAX) {
        fail(verdict, "there are more than %d keyrings", KEYRINGS_MAX);
        return;
    }
    struct kf_keyring *keyring = described_keyring(vectors, keys, description, &own, left_out);
    if (keyring != NULL)
        keyrings[(*count)++] = keyring;
    else if (own.kind == FAILED)
        fail(verdict, "%s", own.text);
    else
        *left_out = memcpy(arena_take(&vectors->arena, sizeof own.text), own.text, sizeof own.text);
}

struct kf_keyring *described_keyrings(struct vectors *vectors, const struct json *keys,
                                      const struct json *descriptions, struct verdict *verdict,
                                      const char **left_out)
{
    struct kf_keyring *keyrings[KEYRINGS_MAX];
    size_t count = 0;
    JSON_EACH(description, descriptions)
    {
        add(vectors, keys, description, verdict, left_out, keyrings, &count);
    }
    if (count == 0 && *left_out != NULL)
        skip(verdict, "%s", *left_out);
    else if (count == 0)
        fail(verdict, "there are no keys");
    return multi_of(keyrings, count, verdict);
}

static struct kf_keyring *multi(struct vectors *vectors, const struct json *keys,
                                const struct json *description, struct verdict *verdict,
                                const char **left_out)
{
    struct kf_keyring *keyrings[KEYRINGS_MAX];
    size_t count = 0;
    const struct json *generator = json_get_as(description, "generator", JSON_OBJECT);
    if (generator != NULL)
        add(vectors, keys, generator, verdict, left_out, keyrings, &count);
    JSON_EACH(child, json_get_as(description, "childKeyrings", JSON_ARRAY))
    {
        add(vectors, keys, child, verdict, left_out, keyrings, &count);
    }
    if (count == 0 && *left_out != NULL)
        skip(verdict, "%s", *left_out);
    else if (count == 0)
        fail(verdict, "a multi-keyring has no keyrings");
    return multi_of(keyrings, count, verdict);
}

struct kf_keyring *described_keyring(struct vectors *vectors, const struct json *keys,
                                     const struct json *description, struct verdict *verdict,
                                     const char **left_out)
{
    struct kf_view type;
    if (!want_text(description, "type", verdict, &type))
        return NULL;
    const char *name = (const char *)type.data;
    if (strcmp(name, "raw") == 0)
        return raw(vectors, keys, description, verdict);
    if (strcmp(name, "raw-ecdh") == 0)
        return raw_ecdh(vectors, keys, description, verdict);
    if (strcmp(name, "multi-keyring") == 0)
        return multi(vectors, keys, description, verdict, left_out);
    if (strcmp(name, "aws-kms-hierarchy") == 0)
        skip(verdict, "%s", NEEDS_HIERARCHICAL);
    else if (strncmp(name, "aws-kms", strlen("aws-kms")) == 0)
        skip(verdict, "%s", NEEDS_AWS);
    else
        skip(verdict, "a keyring of type \"%s\", which is not known here", name);
    return NULL;
}
