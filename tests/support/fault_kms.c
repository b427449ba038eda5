/*
 * Starting and telling fault_kms.py: see fault_kms.h. One service is told by one thread at a time.
 */
#include "support/fault_kms.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM 4096 /* bytes of what is told and answered */

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fault_kms: %s\n", what);
    exit(EXIT_FAILURE);
}

/* ---- The child ---- */

static void become(const int input[2], const int output[2], const char *tls_host)
{
    const char *source = getenv("KEYFLIGHT_SOURCE");
    char script[512];
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    snprintf(script, sizeof script, "%s/tests/support/fault_kms.py", source != NULL ? source : ".");
    if (tls_host != NULL)
        execlp("python3", "python3", "-B", script, "--tls", tls_host, (char *)NULL);
    else
        execlp("python3", "python3", "-B", script, (char *)NULL);
    perror("python3");
    _exit(127);
}

/* The text of a member of the object `json`; "" if it is null. */
static void read_text(const char *json, const char *name, char *out, size_t room)
{
    char start[64];
    snprintf(start, sizeof start, "\"%s\": \"", name);
    const char *text = strstr(json, start);
    out[0] = '\0';
    if (text != NULL) {
        text += strlen(start);
        need(strcspn(text, "\"") < room, "it says too much");
        memcpy(out, text, strcspn(text, "\""));
        out[strcspn(text, "\"")] = '\0';
    }
}

void fault_kms_start(struct fault_kms *kms, const char *tls_host)
{
    int input[2], output[2];
    char line[1024], control[64];
    memset(kms, 0, sizeof *kms);
    need(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0, "there is no pipe");
    kms->process = fork();
    if (kms->process == 0)
        become(input, output, tls_host);
    need(kms->process > 0, "there is no process");
    close(input[0]);
    close(output[1]);
    kms->input = input[1];
    FILE *answer = fdopen(output[0], "r");
    need(answer != NULL && fgets(line, sizeof line, answer) != NULL, "it did not start");
    fclose(answer);
    read_text(line, "url", kms->url, sizeof kms->url);
    read_text(line, "certificate", kms->certificate, sizeof kms->certificate);
    read_text(line, "control", control, sizeof control);
    kms->control = (uint16_t)strtoul(strrchr(control, ':') + 1, NULL, 10);
}

void fault_kms_stop(struct fault_kms *kms)
{
    if (kms->process > 0) {
        close(kms->input);
        need(waitpid(kms->process, NULL, 0) == kms->process, "it is gone");
    }
    memset(kms, 0, sizeof *kms);
}

/* ---- Telling it ---- */

static void ask(const struct fault_kms *kms, const char *path, const char *json, char reply[ROOM])
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(kms->control), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[ROOM];
    int length =
        snprintf(request, sizeof request,
                 "POST %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", path, strlen(json));
    need(length > 0 && (size_t)length + strlen(json) < sizeof request, "it is told too much");
    memcpy(request + length, json, strlen(json) + 1);
    for (char *c = request + length; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;

    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(connect(connection, (const struct sockaddr *)&address, sizeof address) == 0 &&
             send(connection, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request),
         "it can't be told");
    size_t had = 0;
    for (ssize_t n; (n = recv(connection, reply + had, ROOM - 1 - had, 0)) > 0;)
        had += (size_t)n;
    reply[had] = '\0';
    close(connection);
    need(strncmp(reply, "HTTP/1.1 200 ", 13) == 0, reply);
}

void fault_kms_control(const struct fault_kms *kms, const char *json)
{
    char reply[ROOM];
    ask(kms, "/_control", json, reply);
}

int64_t fault_kms_count(const struct fault_kms *kms, const char *counter)
{
    char reply[ROOM], start[64];
    ask(kms, "/_stats", "{}", reply);
    snprintf(start, sizeof start, "\"%s\": ", counter);
    const char *number = strstr(reply, start);
    return number != NULL ? strtoll(number + strlen(start), NULL, 10) : 0;
}

static void wait_for(const struct fault_kms *kms, const char *counter, int64_t value, const char *further)
{
    char json[128], reply[ROOM];
    snprintf(json, sizeof json, "{'%s': %lld%s}", counter, (long long)value, further);
    ask(kms, "/_wait", json, reply);
}

void fault_kms_wait(const struct fault_kms *kms, const char *counter, int64_t value)
{
    wait_for(kms, counter, value, "");
}

void fault_kms_wait_down(const struct fault_kms *kms, const char *counter, int64_t value)
{
    wait_for(kms, counter, value, ", 'at_most': true");
}
