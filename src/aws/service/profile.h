/*
 * The shared configuration files ~/.aws/config and ~/.aws/credentials, in the format that all AWS SDKs read.
 */
#ifndef KFI_AWS_SERVICE_PROFILE_H
#define KFI_AWS_SERVICE_PROFILE_H

#include <keyflight/types.h>

#define KFI_AWS_PROFILE_FILE_MAX 1048576 /* bytes of one file */

/* One of the two files. */
struct kfi_aws_profile_file {
    char *path;         /* where it is looked for; NULL: there is no home directory */
    bool found;         /* whether it is there */
    struct kf_buf text; /* its content, cut into the strings that the entries point to */
};

/* Both files. If both have a key of a profile, the credentials file counts. */
struct kfi_aws_profiles {
    struct kfi_aws_profile_file config, credentials;
    struct kfi_aws_profile_entry *entries;
    size_t count, room;
};

/*
 * Reads both files: AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, or those under the home directory. A file
 * that is missing counts as empty. Errors: KF_E_USAGE (a line is malformed; the sentence names file and line and
 * does not quote it), KF_E_SYSTEM (a file can't be read), KF_E_NO_MEMORY.
 */
enum kf_code kfi_aws_profiles_read(struct kf_error *error, struct kfi_aws_profiles *out);
void kfi_aws_profiles_free(struct kfi_aws_profiles *profiles); /* wiped */

bool kfi_aws_profile_exists(const struct kfi_aws_profiles *profiles, const char *profile);

/*
 * The value of `key` in `profile`, or NULL. `*path` (may be NULL) becomes the file that has it. Upper and lower case
 * of keys are the same.
 */
const char *kfi_aws_profile_get(const struct kfi_aws_profiles *profiles, const char *profile, const char *key,
                                const char **path);

/* A nested value: `key` under `section` ("kms") in the section [services NAME] that the profile's `services` names. */
const char *kfi_aws_profile_get_service(const struct kfi_aws_profiles *profiles, const char *profile,
                                        const char *section, const char *key, const char **path);

#endif
