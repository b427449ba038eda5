/*
 * The values of -k: see keys.h. Tells them apart by their prefixes; a value without one is a path. Never
 * sends anything: KMS is asked when a message is made or read.
 */
#include "keys/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

#define KMS "kms:"
#define KMS_DISCOVERY "kms-discovery:"

enum kf_code cli_keys_begin(struct cli_keys *keys, int argc, struct cli_failure *failure)
{
    /* There are at most as many -k as arguments, and one key may come from the environment. */
    *keys = (struct cli_keys){.values = calloc((size_t)argc + 1, sizeof *keys->values)};
    return keys->values != NULL ? KF_OK : cli_fail_memory(failure);
}

void cli_keys_end(struct cli_keys *keys)
{
    cli_aws_end(&keys->aws);
    free(keys->values);
    free(keys->from_environment);
    *keys = (struct cli_keys){0};
}

bool cli_keys_take(struct cli_keys *keys, int id, const char *value)
{
    switch (id) {
    case 'k':
        keys->values[keys->count++] = value;
        return true;
    case CLI_PASSPHRASE_FILE:
        keys->passphrase_file = value;
        return true;
    case CLI_REGION:
        keys->aws.region = value;
        return true;
    case CLI_PROFILE:
        keys->aws.profile = value;
        return true;
    case CLI_ENDPOINT_URL:
        keys->aws.endpoint_url = value;
        return true;
    default:
        return false;
    }
}

enum kf_code cli_keys_take_environment(struct cli_keys *keys, struct cli_failure *failure)
{
    const char *arn = getenv("KMS_KEY_ARN");
    if (keys->count > 0 || arn == NULL || arn[0] == '\0')
        return KF_OK;
    if (asprintf(&keys->from_environment, KMS "%s", arn) < 0) {
        keys->from_environment = NULL;
        return cli_fail_memory(failure);
    }
    keys->values[keys->count++] = keys->from_environment;
    return KF_OK;
}

static const char *after(const char *value, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(value, prefix, length) == 0 ? value + length : NULL;
}

const char *cli_keys_kms(const char *value)
{
    return after(value, KMS);
}

void cli_keys_hint(const struct cli_keys *keys, enum kf_code code)
{
    if (keys->aws.client != NULL && code == KF_E_REMOTE)
        cli_hint("'keyflight doctor' shows which AWS region, endpoint and credentials are used.");
}

/* ---- What the values say ---- */

static enum kf_code check_value(const char *value, enum cli_use use, struct cli_failure *failure)
{
    const char *kms = cli_keys_kms(value);
    if (use == CLI_ENCRYPTS && after(value, KMS_DISCOVERY) != NULL)
        return cli_fail(failure, value, KF_E_USAGE,
                        "Discovery only decrypts. To encrypt, name the key as " KMS "ARN.");
    if (use == CLI_DECRYPTS && kms != NULL && (after(kms, "arn:") == NULL || strstr(kms, ":key/") == NULL))
        return cli_fail(failure, value, KF_E_USAGE,
                        "To decrypt, a KMS key is named by its key ARN, which messages carry, not by "
                        "an alias or a key id: " KMS "arn:aws:kms:REGION:ACCOUNT:key/ID.");
    return KF_OK;
}

static enum kf_code check_values(const struct cli_keys *keys, enum cli_use use, const char *input,
                                 struct cli_failure *failure)
{
    size_t streams = cli_is_stream(input);
    streams += keys->passphrase_file != NULL && cli_is_stream(keys->passphrase_file);
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < keys->count && code == KF_OK; i++) {
        streams += cli_is_stream(keys->values[i]);
        code = check_value(keys->values[i], use, failure);
    }
    if (code == KF_OK && streams > 1)
        return cli_fail(failure, NULL, KF_E_USAGE,
                        "The standard input can't be two of these: IN, each KEY and the file of the "
                        "passphrase.");
    return code;
}

/* ---- Keyrings ---- */

/*
 * Makes one keyring of all keys in KMS, so that they wrap side by side. The first of them makes the data key
 * if it is the first of all keys.
 */
static enum kf_code open_kms(struct cli_keys *keys, struct cli_failure *failure, struct kf_keyring **out)
{
    const char **names = calloc(keys->count, sizeof *names);
    if (names == NULL)
        return cli_fail_memory(failure);
    size_t count = 0;
    const char *generator = cli_keys_kms(keys->values[0]);
    for (size_t i = generator != NULL; i < keys->count; i++) {
        const char *name = cli_keys_kms(keys->values[i]);
        if (name != NULL)
            names[count++] = name;
    }
    enum kf_code code = cli_aws_kms_keyring(&keys->aws, generator, names, count, failure, out);
    free(names);
    return code;
}

/* Makes the keyrings of the values, in their order. All keys in KMS are in the place of the first of them. */
static enum kf_code open_each(struct cli_keys *keys, enum cli_use use, struct cli_failure *failure,
                              struct kf_keyring **keyrings, size_t *count)
{
    struct cli_passphrase passphrase = {.file = keys->passphrase_file};
    enum kf_code code = KF_OK;
    bool kms_done = false;
    for (size_t i = 0; i < keys->count && code == KF_OK; i++) {
        const char *value = keys->values[i], *filter = after(value, KMS_DISCOVERY);
        bool is_kms = cli_keys_kms(value) != NULL;
        if (is_kms && kms_done)
            continue;
        if (is_kms)
            code = open_kms(keys, failure, &keyrings[*count]);
        else if (filter != NULL)
            code = cli_aws_discovery_keyring(&keys->aws, value, filter, failure, &keyrings[*count]);
        else
            code = cli_keyfile_read(value, use, &passphrase, failure, &keyrings[*count]);
        kms_done |= is_kms;
        *count += code == KF_OK;
    }
    cli_passphrase_end(&passphrase);
    return code;
}

enum kf_code cli_keys_open(struct cli_keys *keys, enum cli_use use, const char *input,
                           struct cli_failure *failure, struct kf_keyring **out)
{
    enum kf_code code = check_values(keys, use, input, failure);
    if (code != KF_OK)
        return code;
    struct kf_keyring **keyrings = calloc(keys->count, sizeof *keyrings);
    if (keyrings == NULL)
        return cli_fail_memory(failure);
    size_t count = 0;
    code = open_each(keys, use, failure, keyrings, &count);
    if (code == KF_OK) {
        failure->subject = NULL;
        if (count == 1)
            *out = kf_keyring_ref(keyrings[0]);
        else
            code = kf_multi_keyring_new(keyrings[0], keyrings + 1, count - 1, &failure->error, out);
    }
    for (size_t i = 0; i < count; i++)
        kf_keyring_unref(keyrings[i]);
    free(keyrings);
    return code;
}

enum kf_code cli_keys_open_cmm(struct cli_keys *keys, enum cli_use use, const char *input,
                               const struct kf_view *required, size_t required_count,
                               struct cli_failure *failure, struct kf_cmm **out)
{
    struct kf_keyring *keyring;
    enum kf_code code = cli_keys_open(keys, use, input, failure, &keyring);
    if (code != KF_OK)
        return code;
    if (required_count == 0) {
        code = kf_default_cmm_new(keyring, &failure->error, out);
    } else {
        struct kf_required_encryption_context_cmm_options options =
            KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
        options.keyring = keyring;
        options.required_keys = required;
        options.required_key_count = required_count;
        code = kf_required_encryption_context_cmm_new(&options, &failure->error, out);
    }
    kf_keyring_unref(keyring);
    return code;
}
