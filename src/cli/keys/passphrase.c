/*
 * Passphrases: see passphrase.h. Never shows one: the terminal's echo is off while it is typed. It is turned
 * on again even if a signal comes meanwhile.
 */
#include "keys/passphrase.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "input.h"
#include "text.h"

/* ---- The terminal ---- */

static const int caught_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

#define CAUGHT_COUNT (sizeof caught_signals / sizeof caught_signals[0])

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* Turns the echo off and asks. Writes the former settings of the terminal to `*before`. False with errno. */
static bool terminal_ask(FILE *terminal, const char *key, struct termios *before)
{
    if (tcgetattr(fileno(terminal), before) != 0)
        return false;
    struct termios quiet = *before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    quiet.c_lflag |= ICANON | ISIG;
    if (tcsetattr(fileno(terminal), TCSAFLUSH, &quiet) != 0)
        return false;
    fputs("Passphrase of ", terminal);
    cli_text_print(terminal, kf_view_text(key));
    fputs(": ", terminal);
    fflush(terminal);
    return true;
}

/*
 * Asks once. Answers how many bytes were read, or -1 with errno. Signals are blocked until the program waits
 * for the answer, and then only noted: first the echo has to be turned on again.
 */
static ssize_t terminal_ask_quietly(FILE *terminal, const char *key, char *line, size_t room)
{
    struct sigaction catching = {.sa_handler = on_signal}, former[CAUGHT_COUNT];
    struct termios before;
    sigset_t set, mask;
    sigemptyset(&catching.sa_mask);
    sigemptyset(&set);
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        sigaddset(&set, caught_signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, &mask);
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        sigaction(caught_signals[i], NULL, &former[i]);
        if (former[i].sa_handler != SIG_IGN)
            sigaction(caught_signals[i], &catching, NULL);
    }
    ssize_t got = -1;
    int number = 0;
    if (terminal_ask(terminal, key, &before)) {
        struct pollfd ready = {.fd = fileno(terminal), .events = POLLIN};
        if (ppoll(&ready, 1, NULL, &mask) > 0)
            got = read(fileno(terminal), line, room);
        number = errno;
        tcsetattr(fileno(terminal), TCSAFLUSH, &before);
        fputc('\n', terminal);
        fflush(terminal);
    } else {
        number = errno;
    }
    for (size_t i = 0; i < CAUGHT_COUNT; i++)
        sigaction(caught_signals[i], &former[i], NULL);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = number;
    return got;
}

static enum kf_code read_from_terminal(const char *key, char *line, size_t room, struct cli_failure *failure,
                                       size_t *length)
{
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (terminal == NULL)
        return cli_fail(failure, key, KF_E_USAGE,
                        "This key is encrypted, and there is no terminal to ask for its passphrase on: "
                        "give --passphrase-file FILE.");
    setvbuf(terminal, NULL, _IOFBF, BUFSIZ);
    ssize_t got;
    do {
        caught = 0;
        got = terminal_ask_quietly(terminal, key, line, room);
        int number = errno;
        if (caught != 0)
            raise(
                caught); /* what the signal would have done: most end the program; after a stop it asks again */
        errno = number;
    } while (got < 0 && errno == EINTR);
    int number = errno;
    fclose(terminal);
    if (got < 0)
        return cli_fail_errno(failure, key, "Its passphrase can't be read from the terminal", number);
    *length = (size_t)got;
    return KF_OK;
}

/* ---- Files ---- */

static enum kf_code read_from_file(const char *path, char *line, size_t room, struct cli_failure *failure,
                                   size_t *length)
{
    struct cli_input input = CLI_INPUT_INIT;
    enum kf_code code = cli_input_open(path, failure, &input);
    *length = 0;
    for (size_t got = 1; code == KF_OK && got > 0 && *length < room; *length += got) {
        code = cli_input_read(&input, (uint8_t *)line + *length, room - *length, failure, &got);
        if (code != KF_OK)
            break;
        if (memchr(line + *length, '\n', got) != NULL) {
            *length += got;
            break;
        }
    }
    cli_input_close(&input);
    return code;
}

/* ---- Passphrases ---- */

static enum kf_code passphrase_fetch(struct cli_passphrase *passphrase)
{
    struct cli_failure *failure = &passphrase->failure;
    const char *subject = passphrase->file != NULL ? passphrase->file : passphrase->key;
    char line[CLI_PASSPHRASE_MAX + 1]; /* and its end */
    size_t length = 0;
    enum kf_code code = passphrase->file != NULL
                            ? read_from_file(passphrase->file, line, sizeof line, failure, &length)
                            : read_from_terminal(passphrase->key, line, sizeof line, failure, &length);
    if (code == KF_OK) {
        const char *end = memchr(line, '\n', length);
        passphrase->length = end != NULL ? (size_t)(end - line) : length;
        if (passphrase->length > CLI_PASSPHRASE_MAX)
            code = cli_fail(failure, subject, KF_E_USAGE, "A passphrase has at most %d bytes.",
                            CLI_PASSPHRASE_MAX);
        else if (passphrase->length == 0)
            code = cli_fail(failure, subject, KF_E_USAGE, "The passphrase is empty.");
    }
    if (code == KF_OK)
        memcpy(passphrase->text, line, passphrase->length);
    explicit_bzero(line, sizeof line);
    return code;
}

static bool passphrase_answer(void *context, char *out, size_t room, size_t *length)
{
    struct cli_passphrase *passphrase = context;
    if (!passphrase->known && passphrase->failure.error.code == KF_OK)
        passphrase->known = passphrase_fetch(passphrase) == KF_OK;
    if (!passphrase->known || passphrase->length > room)
        return false;
    memcpy(out, passphrase->text, passphrase->length);
    *length = passphrase->length;
    return true;
}

struct kf_passphrase cli_passphrase_source(struct cli_passphrase *passphrase, const char *key)
{
    passphrase->key = key;
    if (passphrase->file == NULL)
        passphrase->known = false;
    return (struct kf_passphrase){passphrase_answer, passphrase};
}

void cli_passphrase_end(struct cli_passphrase *passphrase)
{
    explicit_bzero(passphrase, sizeof *passphrase);
}
