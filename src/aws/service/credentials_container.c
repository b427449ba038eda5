/*
 * Credentials from the container endpoint (ECS, EKS pod identity, Greengrass). The environment names its URL, and
 * maybe a token to send with the question. Called by the chain.
 *
 * An attacker may have set the URL, and the token is meant for a trusted place only. So plain http goes to this
 * host and to the known addresses of such endpoints, and to nobody else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "aws/service/credentials_sources.h"
#include "aws/service/text.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#define WHO "The container endpoint"
#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define TASK_ENDPOINT "http://169.254.170.2"
#define TOKEN_MAX 16384
#define TIMEOUT_MS 2000
#define TRIES 3

/* How far a fetch has come. */
struct container {
    struct kfi_aws_metadata metadata;
    char url[KFI_AWS_CONTAINER_URL_MAX];
    char authorization[TOKEN_MAX + 32]; /* a header line; "": there is no token */
};

static void container_drop(void *state)
{
    struct container *container = state;
    kfi_aws_metadata_end(&container->metadata);
    kfi_free_secret(container, sizeof *container);
}

/* ---- Where to ask ---- */

static bool is_trusted_host(const char *host)
{
    struct in_addr four;
    struct in6_addr six, trusted;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127 || strcmp(host, "169.254.170.2") == 0 ||
               strcmp(host, "169.254.170.23") == 0;
    return inet_pton(AF_INET6, host, &six) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&six) ||
            (inet_pton(AF_INET6, "fd00:ec2::23", &trusted) == 1 && memcmp(&six, &trusted, sizeof six) == 0));
}

/* Copies the host from the front of what follows "http://". False if it is too long, or a bracket stays open. */
static bool cut_host(const char *from, char *host, size_t room)
{
    bool is_bracketed = from[0] == '[';
    from += is_bracketed ? 1 : 0;
    size_t length = strcspn(from, is_bracketed ? "]" : "/:?#");
    if (length >= room || (is_bracketed && (from[length] == '\0' || strchr("/:", from[length + 1]) == NULL)))
        return false;
    memcpy(host, from, length);
    host[length] = '\0';
    return true;
}

static bool is_url_text(const char *url)
{
    return kfi_text_is_visible(kf_view_text(url)) && strpbrk(url, "\\@#") == NULL;
}

static enum kf_code find_full(const char *given, struct kf_error *error, char url[KFI_AWS_CONTAINER_URL_MAX])
{
    char host[256];
    const char *rest = kfi_aws_url_rest(given);
    if (rest == NULL || !is_url_text(given) || strlen(given) >= KFI_AWS_CONTAINER_URL_MAX ||
        !cut_host(rest, host, sizeof host) || host[0] == '\0')
        return kf_error_set(error, KF_E_USAGE, FULL " is not a valid URL of http or https.");
    if (strncasecmp(given, "http://", 7) == 0 && !is_trusted_host(host))
        return kf_error_set(error, KF_E_USAGE,
                            FULL
                            " names a host that must not be asked by plain http. Give a URL of https, or a "
                            "loopback address, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23].");
    memcpy(url, given, strlen(given) + 1);
    return KF_OK;
}

enum kf_code kfi_aws_container_url(struct kf_error *error, char url[KFI_AWS_CONTAINER_URL_MAX])
{
    const char *relative = kfi_aws_environment(RELATIVE), *full = kfi_aws_environment(FULL);
    url[0] = '\0';
    if (relative == NULL)
        return full == NULL ? KF_OK : find_full(full, error, url);
    if (relative[0] != '/' || !is_url_text(relative) ||
        strlen(relative) + sizeof TASK_ENDPOINT > KFI_AWS_CONTAINER_URL_MAX)
        return kf_error_set(error, KF_E_USAGE,
                            RELATIVE " is not a valid path: it has to begin with a slash.");
    snprintf(url, KFI_AWS_CONTAINER_URL_MAX, TASK_ENDPOINT "%s", relative);
    return KF_OK;
}

/* ---- The token ---- */

static enum kf_code check_token(struct kf_view token, const char *from, struct kf_error *error)
{
    if (token.length == 0 || token.length > TOKEN_MAX)
        return kf_error_set(error, KF_E_USAGE, "The token that %s gives has to have 1 to %d bytes.", from,
                            TOKEN_MAX);
    if (!kfi_text_is_printable(token))
        return kf_error_set(
            error, KF_E_USAGE,
            "The token that %s gives can't be sent: there is a line break in it, or something "
            "else that is not printable ASCII.",
            from);
    return KF_OK;
}

static enum kf_code read_token_file(const char *path, char *token, size_t room, size_t *length,
                                    struct kf_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = 1;
    *length = 0;
    while (fd >= 0 && got > 0 && *length < room) {
        got = read(fd, token + *length, room - *length);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            *length += (size_t)got;
    }
    int failure = errno;
    if (fd >= 0)
        close(fd);
    if (fd < 0 || got < 0)
        return kf_error_set(error, KF_E_SYSTEM, "The file %s (" TOKEN_FILE ") can't be read: %s.",
                            kfi_shown_text(path, 200).text, strerror(failure));
    return KF_OK;
}

/* The file is read at each fetch, because whoever rotates the token writes it anew. */
static enum kf_code find_token(struct container *container, struct kf_error *error)
{
    static const char name[] = "Authorization: ";
    const char *path = kfi_aws_environment(TOKEN_FILE), *given = kfi_aws_environment(TOKEN);
    char *token = container->authorization + sizeof name - 1;
    const size_t room = TOKEN_MAX + 1;
    size_t length;
    enum kf_code code = KF_OK;
    if (path != NULL) {
        code = read_token_file(path, token, room, &length, error);
    } else if (given != NULL) {
        length = strlen(given) < room ? strlen(given) : room;
        memcpy(token, given, length);
    } else {
        return KF_OK;
    }
    if (code == KF_OK)
        code = check_token(kf_view_of(token, length), path != NULL ? TOKEN_FILE : TOKEN, error);
    token[code == KF_OK ? length : 0] = '\0';
    memcpy(container->authorization, name, sizeof name - 1);
    return code;
}

/* ---- The fetch ---- */

enum kf_code kfi_aws_container_fetch(const struct kfi_aws_chain *chain, struct kf_call *call,
                                     struct kf_error *error, struct kf_aws_credentials_result *out)
{
    struct container *container = kf_call_state(call);
    enum kf_code code = KF_OK;
    if (container == NULL) {
        container = kfi_alloc_zeroed(sizeof *container);
        if (container == NULL)
            return kfi_no_memory(error);
        kf_call_state_set(call, container, container_drop);
        code = kfi_aws_container_url(error, container->url);
        if (code == KF_OK && container->url[0] == '\0')
            return kf_error_set(error, KF_OK, RELATIVE " and _FULL_URI are not set");
        if (code == KF_OK)
            code = find_token(container, error);
    }
    if (code != KF_OK)
        return code;

    const char *headers[] = {"Accept: application/json", container->authorization};
    const struct kfi_aws_metadata_question question = {
        .method = "GET",
        .url = container->url,
        .headers = headers,
        .header_count = container->authorization[0] != '\0' ? 2 : 1,
        .timeout_ms = TIMEOUT_MS,
        .tries = TRIES,
    };
    const struct kfi_http_reply *reply = NULL;
    code = kfi_aws_metadata_poll(&container->metadata, chain->pool, &question, call, error, &reply);
    if (code == KF_PENDING)
        return code;
    code = kfi_aws_metadata_check(code, reply, WHO, error);
    return code == KF_OK ? kfi_aws_metadata_credentials(reply, WHO, "the container endpoint", error, out)
                         : code;
}
