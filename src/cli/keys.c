/*
 * The values of -k: see keys.h.
 */
#include "keys.h"

#include <stdlib.h>

#include "input.h"
#include "keyfile.h"

/*
 * Kinds of keys that are not files and not there yet: taken for a path, such a value would be misunderstood
 * one day.
 */
static const char *const reserved[] = {"kms:", "kms-discovery:"};

static enum kf_code check_values(const char *const *values, size_t count, const char *input,
                                 struct kf_cli_failure *failure)
{
    size_t streams = kf_cli_is_stream(input);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof reserved / sizeof reserved[0]; k++) {
            if (strncmp(values[i], reserved[k], strlen(reserved[k])) == 0)
                return kf_cli_fail(failure, NULL, KF_E_USAGE,
                                   "This build has no keys of the kind '%s'; a file of that name is './%s'.",
                                   reserved[k], values[i]);
        }
        streams += kf_cli_is_stream(values[i]);
    }
    if (streams > 1)
        return kf_cli_fail(failure, NULL, KF_E_USAGE,
                           "The standard input can't be two of these: IN and each KEY.");
    return KF_OK;
}

static enum kf_code join(struct kf_keyring **keyrings, size_t count, struct kf_cli_failure *failure,
                         struct kf_cmm **out)
{
    failure->subject = NULL;
    if (count == 1)
        return kf_default_cmm_new(keyrings[0], &failure->error, out);
    struct kf_keyring *all;
    enum kf_code code = kf_multi_keyring_new(keyrings[0], keyrings + 1, count - 1, &failure->error, &all);
    if (code != KF_OK)
        return code;
    code = kf_default_cmm_new(all, &failure->error, out);
    kf_keyring_unref(all);
    return code;
}

enum kf_code kf_cli_keys_open(const char *const *values, size_t count, const char *input,
                              struct kf_cli_failure *failure, struct kf_cmm **out)
{
    enum kf_code code = check_values(values, count, input, failure);
    if (code != KF_OK)
        return code;
    struct kf_keyring **keyrings = calloc(count, sizeof *keyrings);
    if (keyrings == NULL)
        return kf_cli_fail_memory(failure);
    for (size_t i = 0; i < count && code == KF_OK; i++)
        code = kf_cli_keyfile_read(values[i], failure, &keyrings[i]);
    if (code == KF_OK)
        code = join(keyrings, count, failure, out);
    for (size_t i = 0; i < count; i++)
        kf_keyring_unref(keyrings[i]);
    free(keyrings);
    return code;
}
