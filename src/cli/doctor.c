/*
 * keyflight doctor: shows how AWS KMS would be reached, where each setting comes from, and what is wrong.
 * Called by main. Goes on after a problem, to find the others. Never shows a secret, and never sends anything
 * to KMS without --call.
 */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "job.h"

#define CREDENTIALS_TIMEOUT_MS 15000
#define REGION_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

enum {
    CALL = 256,
    JSON
};

static const struct cli_option options[] = {
    {'k', "key", "kms:KEY", false,
     "the key in AWS KMS to look at; the default is\nKMS_KEY_ARN in the environment"},
    {CALL, "call", NULL, false, "encrypt and decrypt a few bytes with the key"},
    {'c', "context", "NAME=VALUE", true,
     "a pair of the encryption context for --call, where\nthe policy of the key demands it; repeatable"},
    CLI_AWS_OPTIONS,
    {JSON, "json", NULL, false, "print one JSON object"},
    {0},
};

static const struct cli_syntax syntax = {
    .command = "doctor",
    .synopsis = "[-k kms:KEY] [--call [-c NAME=VALUE]...] [OPTION]...",
    .about = "Shows which credentials, profile, region, endpoint, CA bundle and key would be\n"
             "used with AWS KMS, where each comes from, and what is wrong. Sends nothing to\n"
             "KMS without --call, but fetches credentials from where they come. The exit\n"
             "status is that of the first problem, 0 if there is none.",
    .options = options,
};

struct doctor_job {
    struct cli_job common;
    bool call;
    bool json;
};

static int doctor_take(void *self, int id, const char *value)
{
    struct doctor_job *job = self;
    int status;
    if (cli_job_take(&job->common, &syntax, id, value, &status))
        return status;
    if (id == 'c' && !cli_context_take_pair(&job->common.context, value))
        return cli_usage(&syntax, "A pair of the encryption context is NAME=VALUE, not '%s'.", value);
    job->call |= id == CALL;
    job->json |= id == JSON;
    return 0;
}

/* Checks the options together. 0, or the exit status of an error. */
static int doctor_check(struct doctor_job *job)
{
    struct cli_keys *keys = &job->common.keys;
    struct cli_failure failure = CLI_FAILURE_INIT;
    if (keys->count > 0 && cli_keys_kms(keys->values[0]) == NULL)
        return cli_usage(&syntax, "The key has to be one in AWS KMS, kms:KEY, not '%s'.", keys->values[0]);
    if (cli_keys_take_environment(keys, &failure) != KF_OK)
        return cli_report(syntax.command, &failure);
    if (job->call && keys->count == 0)
        return cli_usage(&syntax, "Option --call needs a key: -k kms:KEY, or KMS_KEY_ARN.");
    if (job->common.context.pair_count > 0 && !job->call)
        return cli_usage(&syntax, "Option --context is for --call.");
    return 0;
}

/* ---- Finding ---- */

static void add_problem(struct cli_diagnosis *diagnosis, const char *about, const struct kf_error *error)
{
    diagnosis->problems[diagnosis->problem_count++] = (struct cli_problem){about, *error};
}

/* A key that is given by its ARN is used in the region of the ARN, whatever else is set. */
static void find_region(struct doctor_job *job, const char *key, struct cli_diagnosis *diagnosis)
{
    struct kf_view region = cli_aws_arn_region(key);
    if (region.length >= sizeof diagnosis->arn_region)
        return;
    memcpy(diagnosis->arn_region, region.data, region.length);
    /* A region that is not well-formed is left to find_key, whose sentence speaks of the ARN. */
    if (region.length > 0 && diagnosis->arn_region[strspn(diagnosis->arn_region, REGION_LETTERS)] == '\0')
        job->common.keys.aws.region = diagnosis->arn_region;
}

static enum kf_code find_settings(struct doctor_job *job, struct cli_diagnosis *diagnosis)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    const char *key = job->common.keys.count > 0 ? cli_keys_kms(job->common.keys.values[0]) : NULL;
    diagnosis->key = (struct kf_aws_setting){key, "option --key, KMS_KEY_ARN"};
    if (key != NULL) {
        find_region(job, key, diagnosis);
        diagnosis->key.source =
            job->common.keys.from_environment != NULL ? "KMS_KEY_ARN in the environment" : "option --key";
    }
    enum kf_code code = cli_aws_connect(&job->common.keys.aws, &failure);
    if (code != KF_OK) {
        add_problem(diagnosis, "settings", &failure.error);
        return code;
    }
    struct kf_aws_settings settings = {.size = sizeof settings};
    kf_aws_client_settings(job->common.keys.aws.client, &settings);
    diagnosis->has_settings = true;
    diagnosis->profile = settings.profile;
    diagnosis->region = settings.region;
    if (settings.kms_endpoint.value != NULL)
        diagnosis->endpoint = settings.kms_endpoint;
    diagnosis->ca_bundle = settings.ca_bundle;
    diagnosis->max_attempts = settings.max_attempts;
    if (job->common.keys.aws.region == diagnosis->arn_region)
        diagnosis->region.source = "the ARN of the key";
    return KF_OK;
}

/* The caller frees `*lookup`. What was found lives as long as that. */
static enum kf_code find_credentials(struct doctor_job *job, struct cli_diagnosis *diagnosis,
                                     struct kf_aws_credentials_lookup **lookup)
{
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code code =
        kf_aws_credentials_lookup_new(job->common.keys.aws.client, CREDENTIALS_TIMEOUT_MS, &error, lookup);
    if (code == KF_OK) {
        code = kf_aws_credentials_lookup_poll(*lookup, NULL);
        error = *kf_aws_credentials_lookup_error(*lookup);
    }
    if (code != KF_OK) {
        add_problem(diagnosis, "credentials", &error);
        return code;
    }
    diagnosis->access_key_id = kf_aws_credentials_lookup_access_key_id(*lookup);
    diagnosis->credentials_source = kf_aws_credentials_lookup_source(*lookup);
    diagnosis->expires_at = kf_aws_credentials_lookup_expires_at(*lookup);
    return KF_OK;
}

/* Makes a keyring of the key. `*out` stays NULL if its name is wrong, or if no key was given. */
static void find_key(struct doctor_job *job, struct cli_diagnosis *diagnosis, struct kf_keyring **out)
{
    struct cli_failure failure = CLI_FAILURE_INIT;
    if (diagnosis->key.value != NULL &&
        cli_keys_open(&job->common.keys, CLI_ENCRYPTS, "", &failure, out) != KF_OK)
        add_problem(diagnosis, "key", &failure.error);
}

/* ---- Calling ---- */

static enum kf_code call_encrypt(const struct doctor_job *job, struct kf_keyring *keyring,
                                 struct kf_error *error, struct kf_buf *message)
{
    struct kf_encrypt_options settings = KF_ENCRYPT_OPTIONS_INIT;
    const struct kf_encryption_context *context;
    struct kf_cmm *cmm = NULL;
    enum kf_code code = cli_job_context(&job->common, error, &context);
    if (code != KF_OK)
        return code;
    settings.encryption_context = context;
    code = kf_default_cmm_new(keyring, error, &cmm);
    if (code == KF_OK)
        code = kf_encrypt(cmm, &settings, kf_view_text("How are you?"), error, message);
    kf_cmm_unref(cmm);
    kf_encryption_context_unref(context);
    return code;
}

/* Decrypts with the key that the message names, because the name that encrypted it may have been an alias. */
static enum kf_code call_decrypt(struct kf_aws_client *client, const struct kf_buf *message,
                                 struct kf_error *error)
{
    struct kf_aws_kms_discovery_keyring_options discovery = KF_AWS_KMS_DISCOVERY_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_buf plaintext = KF_BUF_INIT;
    discovery.client = client;
    enum kf_code code = kf_aws_kms_discovery_keyring_new(&discovery, error, &keyring);
    if (code == KF_OK)
        code = kf_default_cmm_new(keyring, error, &cmm);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view_of(message->data, message->length), error, NULL, &plaintext);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
    return code;
}

static void call_kms(struct doctor_job *job, struct kf_keyring *keyring, struct cli_diagnosis *diagnosis)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    diagnosis->called = true;
    diagnosis->generated = call_encrypt(job, keyring, &error, &message) == KF_OK;
    if (!diagnosis->generated)
        add_problem(diagnosis, "GenerateDataKey", &error);
    else if (call_decrypt(job->common.keys.aws.client, &message, &error) == KF_OK)
        diagnosis->decrypted = true;
    else
        add_problem(diagnosis, "Decrypt", &error);
    kf_buf_free(&message);
}

/* ---- The command ---- */

/* Reports the problems; answers the exit status. */
static int report_problems(const struct cli_diagnosis *diagnosis)
{
    int status = KF_CLASS_OK;
    fflush(stdout);
    for (size_t i = 0; i < diagnosis->problem_count; i++) {
        struct cli_failure failure = {diagnosis->problems[i].about, diagnosis->problems[i].error, false};
        int class = cli_report(syntax.command, &failure);
        status = i == 0 ? class : status;
    }
    return status;
}

static int doctor_run(struct doctor_job *job)
{
    struct cli_diagnosis diagnosis = {0};
    struct kf_aws_credentials_lookup *lookup = NULL;
    struct kf_keyring *keyring = NULL;
    if (find_settings(job, &diagnosis) == KF_OK) {
        find_key(job, &diagnosis, &keyring);
        if (find_credentials(job, &diagnosis, &lookup) == KF_OK && keyring != NULL && job->call)
            call_kms(job, keyring, &diagnosis);
    }
    if (job->json)
        cli_diagnosis_print_json(&diagnosis);
    else
        cli_diagnosis_print(&diagnosis);
    kf_keyring_unref(keyring);
    kf_aws_credentials_lookup_free(lookup);
    return report_problems(&diagnosis);
}

int cli_doctor(int argc, char **argv)
{
    struct doctor_job job = {.call = false};
    struct cli_failure failure = CLI_FAILURE_INIT;
    int status;
    if (cli_job_begin(&job.common, argc, &failure) != KF_OK)
        status = cli_report(syntax.command, &failure);
    else if (cli_read_arguments(&syntax, argc, argv, doctor_take, &job, NULL, &status)) {
        status = doctor_check(&job);
        if (status == 0)
            status = doctor_run(&job);
    }
    cli_job_end(&job.common);
    return status;
}
