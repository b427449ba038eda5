/*
 * Credentials from the instance metadata service of EC2, version 2 only. Three questions: PUT for a token, GET for
 * the name of the role, GET for its credentials. Called by the chain, as its last source. If nobody answers the
 * first question, this machine is not an EC2 instance; that is no error.
 */
#include <stdio.h>
#include <strings.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/text.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#define WHO "The instance metadata service"
#define ENDPOINT "AWS_EC2_METADATA_SERVICE_ENDPOINT"
#define MODE "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
#define DISABLED "AWS_EC2_METADATA_DISABLED"
#define TIMEOUT "AWS_METADATA_SERVICE_TIMEOUT"
#define TRIES "AWS_METADATA_SERVICE_NUM_ATTEMPTS"
#define ROLES "/latest/meta-data/iam/security-credentials/"
#define TOKEN_MAX 1024
#define ROLE_MAX 128

/* How far a fetch has come. */
struct instance {
    struct kfi_aws_metadata metadata;
    enum {
        ASK_TOKEN,
        ASK_ROLE,
        ASK_CREDENTIALS
    } stage;
    uint64_t timeout_ms;
    uint32_t tries;
    char endpoint[KFI_AWS_URL_MAX];
    char url[KFI_AWS_URL_MAX + sizeof ROLES + ROLE_MAX];
    char token[TOKEN_MAX + 64]; /* a header line */
    char role[ROLE_MAX + 1];
};

static void instance_drop(void *state)
{
    struct instance *instance = state;
    kfi_aws_metadata_end(&instance->metadata);
    kfi_free_secret(instance, sizeof *instance);
}

/* ---- Settings ---- */

/* A number from 1 to `most`, or `otherwise` if the variable is not set. */
static enum kf_code read_number(const char *name, uint32_t otherwise, uint32_t most, struct kf_error *error,
                                uint32_t *out)
{
    const char *given = kfi_aws_environment(name);
    *out = given != NULL ? kfi_text_number(given, most) : otherwise;
    if (*out == 0)
        return kf_error_set(error, KF_E_USAGE, "%s has to be a whole number from 1 to %u.", name,
                            (unsigned)most);
    return KF_OK;
}

enum kf_code kfi_aws_instance_endpoint(struct kf_error *error, char url[KFI_AWS_URL_MAX])
{
    const char *endpoint = kfi_aws_environment(ENDPOINT), *mode = kfi_aws_environment(MODE);
    bool is_six = mode != NULL && strcasecmp(mode, "ipv6") == 0;
    if (mode != NULL && !is_six && strcasecmp(mode, "ipv4") != 0)
        return kf_error_set(error, KF_E_USAGE, MODE " has to be IPv4 or IPv6.");
    if (endpoint == NULL)
        endpoint = is_six ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    if (!kfi_aws_endpoint_is_valid(endpoint))
        return kf_error_set(error, KF_E_USAGE, ENDPOINT " is not a valid URL of http or https.");
    size_t length = strlen(endpoint);
    while (endpoint[length - 1] == '/')
        length--;
    snprintf(url, KFI_AWS_URL_MAX, "%.*s", (int)length, endpoint);
    return KF_OK;
}

static enum kf_code instance_new(struct kf_call *call, struct kf_error *error, struct instance **out)
{
    struct instance *instance = kfi_alloc_zeroed(sizeof *instance);
    uint32_t timeout_s = 0;
    if (instance == NULL)
        return kfi_no_memory(error);
    kf_call_state_set(call, instance, instance_drop);
    *out = instance;
    enum kf_code code = kfi_aws_instance_endpoint(error, instance->endpoint);
    if (code == KF_OK)
        code = read_number(TIMEOUT, 1, 3600, error, &timeout_s);
    if (code == KF_OK)
        code = read_number(TRIES, 1, 100, error, &instance->tries);
    instance->timeout_ms = (uint64_t)timeout_s * 1000;
    return code;
}

/* ---- The three questions ---- */

static enum kf_code instance_ask(struct instance *instance, const struct kfi_aws_chain *chain,
                                 struct kf_call *call, struct kf_error *error,
                                 const struct kfi_http_reply **reply)
{
    bool is_token = instance->stage == ASK_TOKEN;
    const char *header = is_token ? "X-aws-ec2-metadata-token-ttl-seconds: 21600" : instance->token;
    const struct kfi_aws_metadata_question question = {
        .method = is_token ? "PUT" : "GET",
        .url = instance->url,
        .headers = &header,
        .header_count = 1,
        .timeout_ms = instance->timeout_ms,
        .tries = instance->tries,
    };
    snprintf(instance->url, sizeof instance->url, "%s%s%s", instance->endpoint,
             is_token ? "/latest/api/token" : ROLES, instance->role);
    return kfi_aws_metadata_poll(&instance->metadata, chain->pool, &question, call, error, reply);
}

static enum kf_code take_token(struct instance *instance, const struct kfi_http_reply *reply,
                               struct kf_error *error)
{
    struct kf_view token = kf_view_of(reply->body.data, reply->body.length);
    if (token.length == 0 || token.length > TOKEN_MAX || !kfi_text_is_visible(token))
        return kf_error_set(error, KF_E_REMOTE, WHO " gave a token that is not valid.");
    snprintf(instance->token, sizeof instance->token, "X-aws-ec2-metadata-token: %.*s", (int)token.length,
             (const char *)token.data);
    instance->stage = ASK_ROLE;
    return KF_OK;
}

/* The reply has one name in each line. An instance has one role at most, so the first line is enough. */
static enum kf_code take_role(struct instance *instance, const struct kfi_http_reply *reply,
                              struct kf_error *error)
{
    struct kf_view role = kf_view_of(reply->body.data, reply->body.length);
    const uint8_t *end = role.length > 0 ? memchr(role.data, '\n', role.length) : NULL;
    if (end != NULL)
        role.length = (size_t)(end - role.data);
    if (role.length == 0 || role.length > ROLE_MAX || !kfi_text_consists_of(role, "+=,.@_-"))
        return kf_error_set(error, KF_E_REMOTE, WHO " gave a name of a role that is not valid.");
    memcpy(instance->role, role.data, role.length);
    instance->stage = ASK_CREDENTIALS;
    return KF_OK;
}

static enum kf_code take_credentials(struct instance *instance, const struct kfi_http_reply *reply,
                                     struct kf_error *error, struct kf_aws_credentials_result *out)
{
    char source[64 + ROLE_MAX];
    snprintf(source, sizeof source, "the instance metadata service, role %s", instance->role);
    return kfi_aws_metadata_credentials(reply, WHO, source, error, out);
}

/* Whether the answer means that there are no credentials here. Then the error's text says why. */
static bool is_absent(const struct instance *instance, enum kf_code code, const struct kfi_http_reply *reply,
                      struct kf_error *error)
{
    if (instance->stage == ASK_TOKEN && (code == KF_E_RETRY || code == KF_E_TIMEOUT))
        kf_error_set(error, KF_OK, "%s does not answer", kfi_shown_text(instance->endpoint, 100).text);
    else if (instance->stage == ASK_TOKEN && code == KF_OK && reply->status >= 400 && reply->status < 500)
        kf_error_set(error, KF_OK, "%s gives no token (HTTP status %d)",
                     kfi_shown_text(instance->endpoint, 100).text, reply->status);
    else if (instance->stage == ASK_ROLE && code == KF_OK && reply->status == 404)
        kf_error_set(error, KF_OK, "the instance has no role");
    else
        return false;
    return true;
}

enum kf_code kfi_aws_instance_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                    struct kf_error *error, struct kf_aws_credentials_result *out)
{
    struct instance *instance = kf_call_state(call);
    const char *disabled = kfi_aws_environment(DISABLED);
    enum kf_code code = KF_OK;
    if (instance == NULL && disabled != NULL && strcasecmp(disabled, "true") == 0)
        return kf_error_set(error, KF_OK, DISABLED " is true");
    if (instance == NULL)
        code = instance_new(call, error, &instance);
    while (code == KF_OK && !kfi_aws_credentials_result_is_set(out)) {
        const struct kfi_http_reply *reply = NULL;
        code = instance_ask(instance, chain, call, error, &reply);
        if (code == KF_PENDING)
            return code;
        if (is_absent(instance, code, reply, error))
            return KF_OK;
        code = kfi_aws_metadata_check(code, reply, WHO, error);
        if (code == KF_OK)
            code = instance->stage == ASK_TOKEN  ? take_token(instance, reply, error)
                   : instance->stage == ASK_ROLE ? take_role(instance, reply, error)
                                                 : take_credentials(instance, reply, error, out);
        kfi_aws_metadata_end(&instance->metadata);
    }
    return code;
}
