/*
 * keyflight keygen: makes a key file. Never prints key bytes, never writes them to a terminal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "keyfile.h"
#include "text.h"

enum {
    BITS = 256,
    NAME,
    NAMESPACE
};

static const struct kf_cli_option options[] = {
    {'o', "output", "FILE", false, "write the key to FILE, readable by you only"},
    {'f', "force", NULL, false, "replace FILE if it exists"},
    {BITS, "bits", "N", false, "length of the key: 128, 192 or 256 (the default)"},
    {NAME, "name", "NAME", false,
     "what messages call the key, readable by anybody;\nthe default is a random number"},
    {NAMESPACE, "namespace", "NS", false, "whose name that is; the default is keyflight"},
    {0},
};

static const struct kf_cli_syntax syntax = {
    .command = "keygen",
    .synopsis = "[-f] [--bits N] [--name NAME] [--namespace NS] -o FILE",
    .about = "Makes an AES key for 'keyflight encrypt -k FILE' and 'keyflight decrypt -k FILE'.",
    .options = options,
};

struct job {
    const char *path;
    bool force;
    uint64_t bits;
    const char *name;
    const char *key_namespace;
};

/* Whether the arguments are complete; otherwise `*status`. */
static bool read_arguments(int argc, char **argv, struct job *job, int *status)
{
    struct kf_cli_arguments arguments = {.syntax = &syntax, .argc = argc, .argv = argv};
    for (int id; (id = kf_cli_next(&arguments, status)) != KF_CLI_END;) {
        const char *value = arguments.value;
        switch (id) {
        case 'o':
            job->path = value;
            break;
        case 'f':
            job->force = true;
            break;
        case BITS:
            if (!kf_cli_number(value, 128, 256, &job->bits) || job->bits % 64 != 0) {
                *status = kf_cli_usage(&syntax, "A key has 128, 192 or 256 bits, not '%s'.", value);
                return false;
            }
            break;
        case NAME:
            job->name = value;
            break;
        case NAMESPACE:
            job->key_namespace = value;
            break;
        default:
            return false;
        }
    }
    if (job->path == NULL || strcmp(job->path, "-") == 0) {
        *status = kf_cli_usage(&syntax, job->path == NULL
                                            ? "The key needs a file: -o FILE."
                                            : "A key is written to a file, not to the standard output.");
        return false;
    }
    return true;
}

static enum kf_code write_key(const struct job *job, const struct kf_cli_key *key,
                              struct kf_cli_failure *failure)
{
    struct kf_cli_output output = KF_CLI_OUTPUT_INIT;
    enum kf_code code = kf_cli_output_open(job->path, job->force, 0600, failure, &output);
    if (code == KF_OK && output.is_terminal)
        code = kf_cli_fail(failure, job->path, KF_E_USAGE, "A key is not written to a terminal.");
    if (code == KF_OK)
        code = kf_cli_keyfile_write(key, &output, failure);
    if (code == KF_OK)
        code = kf_cli_output_commit(&output, failure);
    kf_cli_output_close(&output);
    return code;
}

static enum kf_code make_key(const struct job *job, struct kf_cli_failure *failure)
{
    uint8_t bytes[KF_DATA_KEY_MAX];
    uint64_t number;
    char numbered[17];
    size_t length = (size_t)job->bits / 8;
    if (getrandom(bytes, length, 0) != (ssize_t)length ||
        getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return kf_cli_fail(failure, NULL, KF_E_SYSTEM, "The system gives no random bytes.");
    snprintf(numbered, sizeof numbered, "%016" PRIx64, number);
    const char *name = job->name != NULL ? job->name : numbered;
    struct kf_cli_key key = {kf_view_text(job->key_namespace), kf_view_text(name), kf_view(bytes, length)};
    enum kf_code code = kf_cli_keyfile_check(&key, failure);
    if (code == KF_OK)
        code = write_key(job, &key, failure);
    explicit_bzero(bytes, sizeof bytes);
    if (code == KF_OK) {
        fputs("Key: ", stderr);
        kf_cli_text_print(stderr, key.name);
        fputs(" in namespace ", stderr);
        kf_cli_text_print(stderr, key.key_namespace);
        fprintf(stderr, ", AES, %u bits\n", (unsigned)job->bits);
    }
    return code;
}

int kf_cli_keygen(int argc, char **argv)
{
    struct job job = {.bits = 256, .key_namespace = "keyflight"};
    int status;
    if (!read_arguments(argc, argv, &job, &status))
        return status;
    struct kf_cli_failure failure = KF_CLI_FAILURE_INIT;
    return make_key(&job, &failure) == KF_OK ? KF_CLASS_OK : kf_cli_report(syntax.command, &failure);
}
