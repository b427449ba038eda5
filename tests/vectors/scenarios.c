/*
 * mpl-keyring-scenarios: nothing is given but keys and what to do with them. One keyring encrypts, another
 * decrypts; that works, or it does not.
 *
 * Suites of messages are tried with a message. The two of the Database Encryption SDK have none, so that the
 * keyrings alone are tried: they need no more of a suite than the length of its data key.
 */
#include "base/bytes.h"
#include "base/call.h"
#include "materials/materials.h"
#include "vectors/keyrings.h"
#include "vectors/trial.h"

#define NAMES_MAX 64

/* ---- Keyrings that answer what is written down ---- */

/* What a key of type "static-material" has, decoded. */
struct written_down {
    struct kf_view data_key; /* empty: it has none */
    struct kf_edk edks[4];
    size_t edk_count;
};

static enum kf_code written_on_encrypt(void *self, struct kf_call *call,
                                       const struct kf_encryption_materials *materials,
                                       struct kf_error *error, struct kf_wrapped *out)
{
    const struct written_down *written = self;
    enum kf_code code = KF_OK;
    (void)call, (void)materials;
    if (written->data_key.length > 0)
        code = kf_wrapped_data_key_set(out, written->data_key, error);
    for (size_t i = 0; i < written->edk_count && code == KF_OK; i++)
        code = kf_wrapped_edk_add(out, &written->edks[i], error);
    return code;
}

static enum kf_code written_on_decrypt(void *self, struct kf_call *call,
                                       const struct kf_decryption_materials *materials,
                                       const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                       struct kf_data_key *out)
{
    const struct written_down *written = self;
    (void)call, (void)materials, (void)edks, (void)edk_count;
    if (written->data_key.length == 0 || written->data_key.length > sizeof out->bytes)
        return kf_error_set(error, KF_E_KEYS, "No data key is written down.");
    out->length = written->data_key.length;
    memcpy(out->bytes, written->data_key.data, out->length);
    return KF_OK;
}

static struct kf_keyring *written_keyring(struct vectors *vectors, const struct json *key,
                                          struct verdict *verdict)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, written_on_encrypt, written_on_decrypt,
                                                    NULL, false};
    struct written_down *written = arena_take(&vectors->arena, sizeof *written);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring = NULL;
    if (json_get(key, "plaintextDataKey") != NULL &&
        !want_base64(vectors, key, "plaintextDataKey", verdict, &written->data_key))
        return NULL;
    JSON_EACH(item, json_get_as(key, "encryptedDataKeys", JSON_ARRAY))
    {
        struct kf_edk *edk = &written->edks[written->edk_count];
        if (written->edk_count == sizeof written->edks / sizeof written->edks[0] ||
            !want_text(item, "keyProviderId", verdict, &edk->provider_id) ||
            !want_base64(vectors, item, "keyProviderInfo", verdict, &edk->provider_info) ||
            !want_base64(vectors, item, "ciphertext", verdict, &edk->ciphertext))
            return NULL;
        written->edk_count++;
    }
    done(kf_keyring_new(&vtable, written, &error, &keyring), &error, "the keyring", verdict);
    return keyring;
}

static struct kf_keyring *keyring_of(struct vectors *vectors, const struct json *keys,
                                     const struct json *description, struct verdict *verdict)
{
    const char *left_out = NULL;
    if (!json_is(description, "type", "static-material-keyring")) {
        struct kf_keyring *keyring = described_keyring(vectors, keys, description, verdict, &left_out);
        if (keyring != NULL && left_out != NULL)
            skip(verdict, "%s", left_out); /* encryption needs all of them */
        return keyring;
    }
    struct kf_view label;
    if (!want_text(description, "key", verdict, &label))
        return NULL;
    const struct json *key = json_get_as(keys, (const char *)label.data, JSON_OBJECT);
    if (key != NULL)
        return written_keyring(vectors, key, verdict);
    fail(verdict, "there is no key \"%s\"", (const char *)label.data);
    return NULL;
}

/* ---- Scenarios ---- */

struct scenario {
    bool encryption_fails, decryption_fails;
    struct kf_keyring *encrypts, *decrypts;
    const struct kf_encryption_context *context, *reproduced;
    struct kf_view names[NAMES_MAX]; /* required keys */
    size_t name_count;
    unsigned suite;
};

static bool scenario_read(struct vectors *vectors, const struct json *keys, const struct json *test,
                          struct verdict *verdict, struct scenario *out)
{
    out->encryption_fails = json_is(test, "type", "negative-encrypt-keyring");
    out->decryption_fails = json_is(test, "type", "negative-decrypt-keyring");
    if (!out->encryption_fails && !out->decryption_fails && !json_is(test, "type", "positive-keyring"))
        return fail(verdict, "the manifest is damaged: the case is neither positive nor negative");
    /* Either one for both, or one for each. */
    const struct json *both = json_get_as(test, "keyDescription", JSON_OBJECT), *one = both, *other = both;
    if (both == NULL) {
        one = want(test, "encryptKeyDescription", JSON_OBJECT, verdict);
        other = want(test, "decryptKeyDescription", JSON_OBJECT, verdict);
    }
    if (one == NULL || other == NULL || !want_suite_number(test, "algorithmSuiteId", verdict, &out->suite))
        return false;
    JSON_EACH(name, json_get_as(test, "requiredEncryptionContextKeys", JSON_ARRAY))
    {
        if (out->name_count == NAMES_MAX)
            return fail(verdict, "more than %d keys are required", NAMES_MAX);
        out->names[out->name_count++] = name->text;
    }
    out->encrypts = keyring_of(vectors, keys, one, verdict);
    if (out->encrypts != NULL)
        out->decrypts = keyring_of(vectors, keys, other, verdict);
    return verdict->kind == PASSED &&
           context_of(json_get(test, "encryptionContext"), verdict, &out->context) &&
           context_of(json_get(test, "reproducedEncryptionContext"), verdict, &out->reproduced);
}

/* A message there and back. */
static void try_message(const struct scenario *scenario, struct verdict *verdict)
{
    const struct kf_view plaintext = kf_view_text("there and back again");
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    options.suite = (enum kf_suite)scenario->suite;
    options.encryption_context = scenario->context;
    options.required_keys = scenario->names;
    options.required_key_count = scenario->name_count;
    options.frame_length = 8;
    if (!kf_suite_info_of(options.suite)->commits)
        options.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    struct kf_cmm *encrypts = cmm_on(kf_keyring_ref(scenario->encrypts), verdict);
    struct trial trial = {.cmm = cmm_on(kf_keyring_ref(scenario->decrypts), verdict),
                          .reproduced = scenario->reproduced};
    enum kf_code code = KF_E_NO_MEMORY;
    if (encrypts != NULL && trial.cmm != NULL)
        code = kf_encrypt(encrypts, &options, plaintext, &error, &message);
    trial.message = kf_view_of(message.data, message.length);
    if (scenario->encryption_fails) {
        if (code >= KF_OK)
            fail(verdict, "it encrypts what has to be refused");
    } else if (done(code, &error, "encryption", verdict)) {
        if (scenario->decryption_fails)
            trial_refused(&trial, KF_OK, verdict);
        else
            trial_gives(&trial, plaintext, verdict, NULL);
    }
    kf_buf_free(&message);
    kf_cmm_unref(encrypts);
    kf_cmm_unref(trial.cmm);
}

/* A data key there and back, of a suite that has no messages. */
static void try_data_key(const struct scenario *scenario, struct verdict *verdict)
{
    const struct kfi_suite suite = {.info = {.id = (enum kf_suite)scenario->suite, .data_key_length = 32}};
    struct kf_encryption_materials *encryption = kfi_encryption_materials_new(&suite);
    struct kf_decryption_materials *decryption = kfi_decryption_materials_new(&suite);
    struct kf_wrapped wrapped;
    struct kf_data_key data_key = {.length = 0};
    struct kf_error error = KF_ERROR_INIT;
    if (encryption != NULL && decryption != NULL) {
        struct kf_call call;
        kfi_call_init(&call, NULL);
        encryption->head.context = kf_encryption_context_ref(scenario->context);
        decryption->head.context = kf_encryption_context_ref(scenario->context);
        kfi_wrapped_init(&wrapped, encryption);
        if (done(kf_keyring_on_encrypt(scenario->encrypts, &call, encryption, &error, &wrapped), &error,
                 "wrapping", verdict) &&
            done(kf_keyring_on_decrypt(scenario->decrypts, &call, decryption, wrapped.edks.items,
                                       wrapped.edks.count, &error, &data_key),
                 &error, "unwrapping", verdict))
            same(kf_view_of(data_key.bytes, data_key.length),
                 kf_view_of(wrapped.data_key.bytes, wrapped.data_key.length), "the data key", verdict);
        kfi_wrapped_free(&wrapped);
        kfi_call_end(&call);
    }
    kf_encryption_materials_unref(encryption);
    kf_decryption_materials_unref(decryption);
}

static void run_scenario(struct vectors *vectors, const struct json *keys, const struct json *test,
                         struct verdict *verdict)
{
    struct scenario scenario = {.name_count = 0};
    if (scenario_read(vectors, keys, test, verdict, &scenario)) {
        if (kf_suite_info_of((enum kf_suite)scenario.suite) != NULL)
            try_message(&scenario, verdict);
        else if ((scenario.suite == 0x6700 || scenario.suite == 0x6701) && !scenario.encryption_fails &&
                 !scenario.decryption_fails)
            try_data_key(&scenario, verdict);
        else
            fail(verdict, "there is no suite %04x", scenario.suite);
    }
    kf_keyring_unref(scenario.encrypts);
    kf_keyring_unref(scenario.decrypts);
    kf_encryption_context_unref(scenario.context);
    kf_encryption_context_unref(scenario.reproduced);
}

/* ---- Which it is ---- */

bool run_scenarios(struct vectors *vectors)
{
    const struct json *tests = json_get_as(vectors->root, "tests", JSON_OBJECT);
    const struct json *type = json_get_as(tests == NULL ? NULL : tests->first, "type", JSON_STRING);
    if (type == NULL || strstr((const char *)type->text.data, "-keyring") == NULL)
        return false;
    struct verdict verdict = {.kind = PASSED};
    const struct json *keys = NULL;
    struct kf_view uri;
    if (want_text(vectors->root, "keys", &verdict, &uri)) {
        static const char see[] = "see "; /* before the path, in words for people */
        if (strncmp((const char *)uri.data, see, strlen(see)) == 0)
            uri = kf_view_text((const char *)uri.data + strlen(see));
        const struct json *root = want_json(vectors, uri, &verdict);
        if (root != NULL)
            keys = want(root, "keys", JSON_OBJECT, &verdict);
    }
    if (verdict.kind != PASSED)
        vectors_count(vectors, kf_view_text("the manifest"), &verdict);
    else
        JSON_EACH(test, tests)
        {
            struct verdict own = {.kind = PASSED};
            run_scenario(vectors, keys, test, &own);
            vectors_count(vectors, test->name, &own);
        }
    return true;
}
