/*
 * Keyflight's side of the two-way tests: it writes and reads messages as a list of jobs says. two-way starts
 * it, describes the files, and judges its answers. It uses the public headers only, like any program.
 */
#include <keyflight/keyflight.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 16 /* columns of a line, pairs of a context, keyrings of a multi-keyring */

static const char *work; /* the directory in which all files are */

/* A fault of the files or the machine, not of a message: ends the run. */
static void give_up(const char *what)
{
    fprintf(stderr, "kf-peer: %s\n", what);
    exit(2);
}

static FILE *open_file(const char *name, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", name[0] == '/' ? "" : work, name);
    FILE *file = fopen(path, mode);
    if (!file)
        give_up(path);
    return file;
}

/* A whole file of WORK, below 64 KiB, on the heap; nothing for "-". */
static struct kf_view read_file(const char *name)
{
    if (strcmp(name, "-") == 0)
        return kf_view_of(NULL, 0);
    FILE *file = open_file(name, "rb");
    size_t room = 1 << 16;
    uint8_t *bytes = malloc(room);
    size_t length = bytes ? fread(bytes, 1, room, file) : 0;
    if (!bytes || length == room || ferror(file) || fclose(file) != 0)
        give_up(name);
    return kf_view_of(bytes, length);
}

static void write_file(const char *name, struct kf_view bytes)
{
    FILE *file = open_file(name, "wb");
    if (fwrite(bytes.data, 1, bytes.length, file) != bytes.length || fclose(file) != 0)
        give_up(name);
}

static void free_view(struct kf_view view)
{
    union {
        const uint8_t *lent;
        void *owned;
    } bytes = {view.data};
    free(bytes.owned);
}

/* Splits `text` in place at each `separator`; "-" has no parts. */
static size_t split(char *text, char separator, char *parts[MOST])
{
    size_t count = 0;
    if (strcmp(text, "-") == 0)
        return 0;
    for (char *next = text; next; count++) {
        if (count == MOST)
            give_up("more parts than there may be");
        parts[count] = next;
        next = strchr(next, separator);
        if (next)
            *next++ = '\0';
    }
    return count;
}

/* Decodes hexadecimal text in place. */
static struct kf_view unhex(char *text)
{
    size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        text[i] = (char)strtoul(digits, NULL, 16);
    }
    return kf_view_of(text, length);
}

/* ---- Keyrings ---- */

static enum kf_code new_aes(char **columns, struct kf_error *error, struct kf_keyring **out)
{
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text(columns[0]);
    options.key_name = kf_view_text(columns[1]);
    options.wrapping_key = unhex(columns[2]);
    return kf_raw_aes_keyring_new(&options, error, out);
}

static enum kf_code new_rsa(char **columns, struct kf_error *error, struct kf_keyring **out)
{
    static const char *const paddings[] = {"",           "pkcs1", "oaep-sha1", "oaep-sha256", "oaep-sha384",
                                           "oaep-sha512"};
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text(columns[0]);
    options.key_name = kf_view_text(columns[1]);
    for (int i = KF_RSA_PKCS1; i <= KF_RSA_OAEP_SHA512; i++) {
        if (strcmp(columns[2], paddings[i]) == 0)
            options.padding = (enum kf_rsa_padding)i;
    }
    options.public_key = read_file(columns[3]);
    options.private_key = read_file(columns[4]);
    enum kf_code code = kf_raw_rsa_keyring_new(&options, error, out);
    free_view(options.public_key);
    free_view(options.private_key);
    return code;
}

static enum kf_code new_ecdh(char **columns, struct kf_error *error, struct kf_keyring **out)
{
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    options.schema = strcmp(columns[0], "static") == 0      ? KF_ECDH_STATIC
                     : strcmp(columns[0], "ephemeral") == 0 ? KF_ECDH_EPHEMERAL
                                                            : KF_ECDH_DISCOVERY;
    options.curve = (enum kf_ecdh_curve)atoi(columns[1]);
    options.private_key = read_file(columns[2]);
    options.public_key = read_file(columns[3]);
    enum kf_code code = kf_raw_ecdh_keyring_new(&options, error, out);
    free_view(options.private_key);
    free_view(options.public_key);
    return code;
}

/* The keyring that keyrings.tsv calls `label`. */
static enum kf_code new_keyring(const char *label, struct kf_error *error, struct kf_keyring **out)
{
    enum kf_code code = KF_E_USAGE;
    char *line = NULL, *columns[MOST];
    size_t room = 0;
    FILE *file = open_file("keyrings.tsv", "r");
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        split(line, '\t', columns);
        if (strcmp(columns[0], label) != 0)
            continue;
        code = strcmp(columns[1], "aes") == 0   ? new_aes(columns + 2, error, out)
               : strcmp(columns[1], "rsa") == 0 ? new_rsa(columns + 2, error, out)
                                                : new_ecdh(columns + 2, error, out);
        break;
    }
    free(line);
    fclose(file);
    return code;
}

/* `labels` is taken apart. */
static enum kf_code new_keyrings(char *labels, struct kf_error *error, struct kf_keyring **out)
{
    char *parts[MOST];
    struct kf_keyring *keyrings[MOST] = {NULL};
    size_t count = split(labels, ',', parts);
    enum kf_code code = KF_OK;
    for (size_t i = 0; i < count && code == KF_OK; i++)
        code = new_keyring(parts[i], error, &keyrings[i]);
    if (code == KF_OK && count == 1)
        *out = kf_keyring_ref(keyrings[0]);
    else if (code == KF_OK)
        code = kf_multi_keyring_new(keyrings[0], keyrings + 1, count - 1, error, out);
    for (size_t i = 0; i < count; i++)
        kf_keyring_unref(keyrings[i]);
    return code;
}

/* ---- Jobs ---- */

/* One line of the list, its texts decoded. */
struct job {
    bool writes;
    char *message;
    const struct kf_suite_info *suite;
    uint32_t frame_length;
    size_t length;
    struct kf_pair pairs[MOST]; /* the whole context, */
    size_t pair_count;
    struct kf_view required[MOST]; /* and the keys in it that no message stores */
    size_t required_count;
    char *keyrings;
};

static void parse_job(char **columns, struct job *job)
{
    char *parts[MOST];
    job->writes = strcmp(columns[1], "write") == 0;
    job->message = columns[2];
    job->suite = kf_suite_find(columns[3]);
    job->frame_length = (uint32_t)strtoul(columns[4], NULL, 10);
    job->length = (size_t)strtoul(columns[5], NULL, 10);
    job->pair_count = split(columns[6], ',', parts);
    for (size_t i = 0; i < job->pair_count; i++) {
        char *equals = strchr(parts[i], '=');
        *equals = '\0';
        job->pairs[i].value = unhex(equals + 1);
        job->pairs[i].key = unhex(parts[i]);
    }
    job->required_count = split(columns[7], ',', parts);
    for (size_t i = 0; i < job->required_count; i++)
        job->required[i] = unhex(parts[i]);
    job->keyrings = columns[8];
}

static bool same(struct kf_view a, struct kf_view b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static bool is_required(const struct job *job, struct kf_view key)
{
    for (size_t i = 0; i < job->required_count; i++) {
        if (same(job->required[i], key))
            return true;
    }
    return false;
}

static enum kf_code new_cmm(const struct job *job, struct kf_error *error, struct kf_cmm **out)
{
    struct kf_keyring *keyring = NULL;
    enum kf_code code = new_keyrings(job->keyrings, error, &keyring);
    if (code == KF_OK && job->required_count == 0) {
        code = kf_default_cmm_new(keyring, error, out);
    } else if (code == KF_OK) {
        struct kf_required_encryption_context_cmm_options options =
            KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
        options.keyring = keyring;
        options.required_keys = job->required;
        options.required_key_count = job->required_count;
        code = kf_required_encryption_context_cmm_new(&options, error, out);
    }
    kf_keyring_unref(keyring);
    return code;
}

static enum kf_code write_message(const struct job *job, struct kf_cmm *cmm, struct kf_view plaintext,
                                  struct kf_error *error)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    const struct kf_encryption_context *context = NULL;
    struct kf_buf message = KF_BUF_INIT;
    enum kf_code code = kf_encryption_context_new(job->pairs, job->pair_count, error, &context);
    options.encryption_context = context;
    options.suite = job->suite->id;
    options.commitment_policy =
        job->suite->commits ? KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT : KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    options.frame_length = job->frame_length;
    if (code == KF_OK)
        code = kf_encrypt(cmm, &options, plaintext, error, &message);
    if (code == KF_OK)
        write_file(job->message, kf_view_of(message.data, message.length));
    kf_buf_free(&message);
    kf_encryption_context_unref(context);
    return code;
}

/* The message has to store the context without what is required, and the public key of a signing suite. */
static bool stores(const struct kf_header *header, const struct job *job)
{
    const struct kf_encryption_context *stored = kf_header_encryption_context(header);
    size_t left = kf_encryption_context_count(stored) - job->suite->sign;
    for (size_t i = 0; i < job->pair_count; i++) {
        struct kf_view value;
        bool found = kf_encryption_context_get(stored, job->pairs[i].key, &value);
        if (found == is_required(job, job->pairs[i].key) || (found && !same(value, job->pairs[i].value)))
            return false;
        left -= found;
    }
    return left == 0;
}

static enum kf_code read_message(const struct job *job, struct kf_cmm *cmm, struct kf_view plaintext,
                                 struct kf_error *error)
{
    struct kf_decrypt_options options = KF_DECRYPT_OPTIONS_INIT;
    const struct kf_encryption_context *reproduced = NULL;
    const struct kf_header *header = NULL;
    struct kf_buf got = KF_BUF_INIT;
    struct kf_pair pairs[MOST];
    size_t count = 0;
    for (size_t i = 0; i < job->pair_count; i++) {
        if (is_required(job, job->pairs[i].key))
            pairs[count++] = job->pairs[i];
    }
    struct kf_view message = read_file(job->message);
    enum kf_code code = kf_encryption_context_new(pairs, count, error, &reproduced);
    options.reproduced_encryption_context = reproduced;
    options.commitment_policy =
        job->suite->commits ? KF_REQUIRE_ENCRYPT_REQUIRE_DECRYPT : KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    if (code == KF_OK)
        code = kf_decrypt(cmm, &options, message, error, &header, &got);
    if (code == KF_OK && !same(kf_view_of(got.data, got.length), plaintext))
        code = kf_error_set(error, KF_E_BUG, "The plaintext is another one.");
    if (code == KF_OK && kf_header_suite(header) != job->suite)
        code = kf_error_set(error, KF_E_BUG, "The suite is another one.");
    if (code == KF_OK && !stores(header, job))
        code = kf_error_set(error, KF_E_BUG, "The stored encryption context is another one.");
    kf_header_unref(header);
    kf_buf_free(&got);
    kf_encryption_context_unref(reproduced);
    free_view(message);
    return code;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        give_up("usage: kf-peer WORK JOBS ANSWERS");
    work = argv[1];
    struct kf_view plaintext = read_file("plaintext.bin");
    FILE *jobs = open_file(argv[2], "r"), *answers = open_file(argv[3], "w");
    char *line = NULL, *columns[MOST];
    size_t room = 0;
    fprintf(answers, "client\tKeyflight %s\n", KF_VERSION);
    while (getline(&line, &room, jobs) > 0) {
        struct kf_error error = KF_ERROR_INIT;
        struct kf_cmm *cmm = NULL;
        struct job job;
        line[strcspn(line, "\n")] = '\0';
        if (split(line, '\t', columns) != 9)
            give_up("a job has nine columns");
        parse_job(columns, &job);
        enum kf_code code = new_cmm(&job, &error, &cmm);
        if (code == KF_OK) {
            enum kf_code (*act)(const struct job *, struct kf_cmm *, struct kf_view, struct kf_error *) =
                job.writes ? write_message : read_message;
            code = act(&job, cmm, kf_view_of(plaintext.data, job.length), &error);
        }
        kf_cmm_unref(cmm);
        if (code == KF_OK)
            fprintf(answers, "%s\tok\n", columns[0]);
        else
            fprintf(answers, "%s\tfailed\t%s: %s\n", columns[0], kf_code_name(code), error.text);
    }
    free(line);
    free_view(plaintext);
    fclose(jobs);
    return fclose(answers) == 0 ? 0 : 2;
}
