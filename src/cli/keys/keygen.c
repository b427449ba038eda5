/*
 * keyflight keygen: makes a key file, and a second one of the public half if the key has one. Called by main.
 * Never shows key bytes on a terminal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "keys/keyfile.h"
#include "text.h"

#define PUBLIC_SUFFIX ".pub"

enum {
    TYPE = 256,
    BITS,
    CURVE,
    PADDING,
    NAME,
    NAMESPACE
};

static const struct cli_option options[] = {
    {'o', "output", "FILE", false,
     "write the key to FILE, readable by you only, and\nits public half, if it has one, to "
     "FILE" PUBLIC_SUFFIX},
    {'f', "force", NULL, false, "replace FILE, and FILE" PUBLIC_SUFFIX ", if they exist"},
    {TYPE, "type", "TYPE", false,
     "aes (the default): one key for both ways;\nrsa or ecdh: the public half encrypts, the private\none "
     "decrypts"},
    {BITS, "bits", "N", false,
     "length of the key: 128, 192 or 256 (the default)\nfor aes, 2048 to 16384 (3072) for rsa"},
    {CURVE, "curve", "C", false, "curve of a key for ecdh: p256, p384 (the default)\nor p521"},
    {PADDING, "padding", "P", false,
     "for rsa: oaep-sha1, oaep-sha256 (the default),\noaep-sha384, oaep-sha512 or pkcs1"},
    {NAME, "name", "NAME", false,
     "the name of the key in messages, where anybody can\nread it; the default is a random number, for rsa\n"
     "the fingerprint; not for ecdh"},
    {NAMESPACE, "namespace", "NS", false,
     "the namespace of the name; the default is\nkeyflight; not for ecdh"},
    {0},
};

static const struct cli_syntax syntax = {
    .command = "keygen",
    .synopsis = "[--type TYPE] [OPTION]... -o FILE",
    .about = "Makes a key for 'keyflight encrypt -k FILE' and 'keyflight decrypt -k FILE'.",
    .options = options,
};

struct keygen_job {
    const char *path;
    bool force;
    enum cli_key_type type;
    const char *bits; /* as the next four: NULL if not given */
    const char *curve;
    const char *padding;
    const char *name;
    const char *key_namespace;

    uint64_t bit_count;
    enum kf_ecdh_curve on_curve;
    enum kf_rsa_padding with_padding;

    char *public_path;
    struct cli_output output;
    struct cli_output public_output;
};

/* ---- Arguments ---- */

/* Reports a usage error if an option was given that keys of this type do not have. */
static bool is_useless(const char *value, const char *name, const char *type, int *status)
{
    if (value != NULL)
        *status = cli_usage(&syntax, "Option --%s is not for keys of type %s.", name, type);
    return value != NULL;
}

static bool check_aes(struct keygen_job *job, int *status)
{
    job->bit_count = 256;
    if (is_useless(job->curve, "curve", "aes", status) || is_useless(job->padding, "padding", "aes", status))
        return false;
    if (job->bits == NULL || (cli_number(job->bits, 128, 256, &job->bit_count) && job->bit_count % 64 == 0))
        return true;
    *status = cli_usage(&syntax, "An AES key has 128, 192 or 256 bits, not '%s'.", job->bits);
    return false;
}

static bool check_rsa(struct keygen_job *job, int *status)
{
    job->bit_count = 3072;
    job->with_padding = KF_RSA_OAEP_SHA256;
    if (is_useless(job->curve, "curve", "rsa", status))
        return false;
    if (job->bits != NULL && !cli_number(job->bits, 2048, 16384, &job->bit_count)) {
        *status = cli_usage(&syntax, "An RSA key has 2048 to 16384 bits, not '%s'.", job->bits);
        return false;
    }
    if (job->padding == NULL || cli_rsa_padding(kf_view_text(job->padding), &job->with_padding))
        return true;
    *status =
        cli_usage(&syntax, "There is no padding '%s'; the paddings are " CLI_PADDINGS ".", job->padding);
    return false;
}

static bool check_ecdh(struct keygen_job *job, int *status)
{
    static const enum kf_ecdh_curve curves[] = {KF_ECDH_P256, KF_ECDH_P384, KF_ECDH_P521};
    job->on_curve = KF_ECDH_P384; /* the curve of the default suite's signatures */
    if (is_useless(job->bits, "bits", "ecdh", status) ||
        is_useless(job->padding, "padding", "ecdh", status) ||
        is_useless(job->name, "name", "ecdh", status) ||
        is_useless(job->key_namespace, "namespace", "ecdh", status))
        return false;
    if (job->curve == NULL)
        return true;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (strcmp(job->curve, kf_ecdh_curve_name(curves[i])) != 0)
            continue;
        job->on_curve = curves[i];
        return true;
    }
    *status = cli_usage(&syntax, "There is no curve '%s'; the curves are p256, p384 and p521.", job->curve);
    return false;
}

/* The types by their names on the command line, and how each checks the other options. */
static const struct {
    const char *name;
    bool (*check)(struct keygen_job *job, int *status);
} types[CLI_KEY_TYPES] = {
    [CLI_RAW_AES] = {"aes", check_aes},
    [CLI_RAW_RSA] = {"rsa", check_rsa},
    [CLI_RAW_ECDH] = {"ecdh", check_ecdh},
};

static int take_type(struct keygen_job *job, const char *value)
{
    for (int i = 0; i < CLI_KEY_TYPES; i++) {
        if (strcmp(value, types[i].name) != 0)
            continue;
        job->type = (enum cli_key_type)i;
        return 0;
    }
    return cli_usage(&syntax, "There is no type '%s' of keys; the types are aes, rsa and ecdh.", value);
}

static int keygen_take(void *self, int id, const char *value)
{
    struct keygen_job *job = self;
    const struct {
        int id;
        const char **value;
    } texts[] = {
        {'o', &job->path},        {BITS, &job->bits}, {CURVE, &job->curve},
        {PADDING, &job->padding}, {NAME, &job->name}, {NAMESPACE, &job->key_namespace},
    };
    if (id == TYPE)
        return take_type(job, value);
    job->force |= id == 'f';
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].id == id)
            *texts[i].value = value;
    }
    return 0;
}

/* Whether the options are complete and fit each other. If not, `*status` is the exit status. */
static bool keygen_check(struct keygen_job *job, int *status)
{
    if (job->path == NULL || strcmp(job->path, "-") == 0) {
        *status =
            cli_usage(&syntax, job->path == NULL ? "The key needs a file: -o FILE."
                                                 : "A key is written to a file, not to the standard output.");
        return false;
    }
    return types[job->type].check(job, status);
}

/* ---- Files ---- */

static bool has_halves(const struct keygen_job *job)
{
    return job->type != CLI_RAW_AES;
}

/* Opens the files before a key is made: one that must not be replaced is refused at once. */
static enum kf_code open_files(struct keygen_job *job, struct cli_failure *failure)
{
    if (asprintf(&job->public_path, "%s" PUBLIC_SUFFIX, job->path) < 0) {
        job->public_path = NULL;
        return cli_fail_memory(failure);
    }
    enum kf_code code = cli_output_open(job->path, job->force, 0600, failure, &job->output);
    if (code == KF_OK && job->output.is_terminal)
        code = cli_fail(failure, job->path, KF_E_USAGE, "A key is not written to a terminal.");
    if (code == KF_OK && has_halves(job) && job->output.is_stream)
        code =
            cli_fail(failure, job->path, KF_E_USAGE,
                     "This is no file. A key pair is written to two files, FILE and FILE" PUBLIC_SUFFIX ".");
    if (code == KF_OK && has_halves(job))
        code = cli_output_open(job->public_path, job->force, 0666, failure, &job->public_output);
    return code;
}

/* Both halves are written before either file gets its name. */
static enum kf_code commit_files(struct keygen_job *job, struct cli_failure *failure)
{
    enum kf_code code = cli_output_commit(&job->output, failure);
    return code == KF_OK && has_halves(job) ? cli_output_commit(&job->public_output, failure) : code;
}

static void close_files(struct keygen_job *job)
{
    cli_output_close(&job->public_output);
    cli_output_close(&job->output);
}

/* ---- Keys ---- */

static void print_names(const struct cli_key *key)
{
    fputs("Key: ", stderr);
    cli_text_print(stderr, key->name);
    fputs(" in namespace ", stderr);
    cli_text_print(stderr, key->key_namespace);
}

static enum kf_code make_aes(struct keygen_job *job, struct cli_key *key, struct cli_failure *failure)
{
    uint8_t bytes[KF_DATA_KEY_MAX];
    uint64_t number;
    char numbered[17];
    size_t length = (size_t)job->bit_count / 8;
    if (getrandom(bytes, length, 0) != (ssize_t)length ||
        getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return cli_fail(failure, NULL, KF_E_SYSTEM, "The system gives no random bytes.");
    snprintf(numbered, sizeof numbered, "%016" PRIx64, number);
    key->name = kf_view_text(job->name != NULL ? job->name : numbered);
    key->key = kf_view_of(bytes, length);
    enum kf_code code = cli_keyfile_check(key, failure);
    if (code == KF_OK)
        code = cli_keyfile_write(key, &job->output, failure);
    if (code == KF_OK)
        code = commit_files(job, failure);
    explicit_bzero(bytes, sizeof bytes);
    if (code == KF_OK) {
        print_names(key);
        fprintf(stderr, ", AES, %u bits\n", (unsigned)job->bit_count);
    }
    return code;
}

/* Writes a key pair, given as both halves in PEM. */
static enum kf_code write_pair(struct keygen_job *job, struct cli_key *key, const struct kf_buf *private_pem,
                               const struct kf_buf *public_pem, struct cli_failure *failure)
{
    struct cli_key public_key = *key;
    key->key = kf_view_of(private_pem->data, private_pem->length);
    public_key.is_public = true;
    public_key.key = kf_view_of(public_pem->data, public_pem->length);
    enum kf_code code = cli_keyfile_check(&public_key, failure);
    if (code == KF_OK)
        code = cli_keyfile_write(key, &job->output, failure);
    if (code == KF_OK)
        code = cli_keyfile_write(&public_key, &job->public_output, failure);
    return code == KF_OK ? commit_files(job, failure) : code;
}

static enum kf_code make_rsa(struct keygen_job *job, struct cli_key *key, struct cli_failure *failure)
{
    struct kf_buf public_pem = KF_BUF_INIT, private_pem = KF_BUF_INIT;
    struct kf_raw_key_info info = {.size = sizeof info};
    enum kf_code code =
        kf_raw_rsa_key_generate((unsigned)job->bit_count, &failure->error, &public_pem, &private_pem);
    if (code == KF_OK)
        code =
            kf_raw_key_describe(kf_view_of(public_pem.data, public_pem.length), NULL, &failure->error, &info);
    if (code == KF_OK) {
        key->name = kf_view_text(job->name != NULL ? job->name : info.rsa_fingerprint);
        key->padding = job->with_padding;
        code = write_pair(job, key, &private_pem, &public_pem, failure);
    }
    kf_buf_free(&private_pem);
    kf_buf_free(&public_pem);
    if (code == KF_OK) {
        print_names(key);
        fprintf(stderr, ", RSA, %u bits; its public half is in ", (unsigned)job->bit_count);
    }
    return code;
}

static enum kf_code make_ecdh(struct keygen_job *job, struct cli_key *key, struct cli_failure *failure)
{
    struct kf_buf public_pem = KF_BUF_INIT, private_pem = KF_BUF_INIT;
    enum kf_code code = kf_raw_ecdh_key_generate(job->on_curve, &failure->error, &public_pem, &private_pem);
    if (code == KF_OK)
        code = write_pair(job, key, &private_pem, &public_pem, failure);
    kf_buf_free(&private_pem);
    kf_buf_free(&public_pem);
    if (code == KF_OK)
        fprintf(stderr, "Key: ECDH on P-%d; its public half is in ", (int)job->on_curve);
    return code;
}

static enum kf_code make_key(struct keygen_job *job, struct cli_failure *failure)
{
    struct cli_key key = {.type = job->type};
    key.key_namespace = kf_view_text(job->key_namespace != NULL ? job->key_namespace : "keyflight");
    if (job->type == CLI_RAW_AES)
        return make_aes(job, &key, failure);
    enum kf_code code =
        job->type == CLI_RAW_RSA ? make_rsa(job, &key, failure) : make_ecdh(job, &key, failure);
    if (code == KF_OK) {
        cli_text_print(stderr, kf_view_text(job->public_path));
        fputs("\n", stderr);
    }
    return code;
}

int cli_keygen(int argc, char **argv)
{
    struct keygen_job job = {
        .type = CLI_RAW_AES, .output = CLI_OUTPUT_INIT, .public_output = CLI_OUTPUT_INIT};
    int status;
    if (!cli_read_arguments(&syntax, argc, argv, keygen_take, &job, NULL, &status) ||
        !keygen_check(&job, &status))
        return status;
    struct cli_failure failure = CLI_FAILURE_INIT;
    enum kf_code code = open_files(&job, &failure);
    if (code == KF_OK)
        code = make_key(&job, &failure);
    close_files(&job);
    status = code == KF_OK ? KF_CLASS_OK : cli_report(syntax.command, &failure);
    free(job.public_path);
    return status;
}
