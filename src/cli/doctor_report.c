/* Prints what doctor found, for people or as JSON. Called by doctor.c. Never judges. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "doctor.h"
#include "json.h"
#include "text.h"

#define SHORT_ID_ROOM 16
#define TIME_ROOM 32

struct row {
    const char *title;
    const char *name; /* in JSON */
    const struct kf_aws_setting *setting;
    const char *fallback; /* what is used where there is no value */
};

#define ROW_COUNT 6

static void diagnosis_rows(const struct cli_diagnosis *diagnosis, struct row rows[ROW_COUNT])
{
    const struct row all[ROW_COUNT] = {
        {"Profile", "profile", &diagnosis->profile, "none"},
        {"Region", "region", &diagnosis->region, "none"},
        {"KMS endpoint", "kms_endpoint", &diagnosis->endpoint, "none without a region"},
        {"CA bundle", "ca_bundle", &diagnosis->ca_bundle, "the system's"},
        {"Attempts", "max_attempts", &diagnosis->max_attempts, "none"},
        {"Key", "key", &diagnosis->key, "none"},
    };
    memcpy(rows, all, sizeof all);
}

/* "AKIA...MPLE": enough to recognise it. */
static void shorten(const char *id, char out[SHORT_ID_ROOM])
{
    size_t length = strlen(id), shown = length >= 16 ? 4 : length / 4;
    snprintf(out, SHORT_ID_ROOM, "%.*s...%s", (int)shown, id, id + length - shown);
}

/* "2026-01-31T12:00:00Z" */
static void print_time(uint64_t seconds, char out[TIME_ROOM])
{
    time_t time = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&time, &parts) == NULL || strftime(out, TIME_ROOM, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, TIME_ROOM, "%" PRIu64, seconds);
}

/* ---- For people ---- */

static void print_row(const char *title, const char *value, const char *source, bool found)
{
    printf("%s:%*s", title, (int)(16 - strlen(title)), "");
    cli_text_print(stdout, kf_view_text(value));
    if (source != NULL) {
        fputs(found ? " (" : " (not set: ", stdout);
        char words[CLI_WORDS_ROOM];
        cli_text_print(stdout, kf_view_text(cli_own_words(source, words)));
        putchar(')');
    }
    putchar('\n');
}

static void print_credentials(const struct cli_diagnosis *diagnosis)
{
    char id[SHORT_ID_ROOM], time[TIME_ROOM], text[SHORT_ID_ROOM + TIME_ROOM + 16];
    if (diagnosis->access_key_id == NULL) {
        print_row("Credentials", "none", NULL, false);
        return;
    }
    shorten(diagnosis->access_key_id, id);
    print_time(diagnosis->expires_at, time);
    if (diagnosis->expires_at == KF_AWS_NEVER_EXPIRES)
        snprintf(text, sizeof text, "%s", id);
    else
        snprintf(text, sizeof text, "%s, until %s", id, time);
    print_row("Credentials", text, diagnosis->credentials_source, true);
}

void cli_diagnosis_print(const struct cli_diagnosis *diagnosis)
{
    struct row rows[ROW_COUNT];
    if (!diagnosis->has_settings)
        return;
    diagnosis_rows(diagnosis, rows);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct kf_aws_setting *setting = rows[i].setting;
        print_row(rows[i].title, setting->value != NULL ? setting->value : rows[i].fallback, setting->source,
                  setting->value != NULL);
    }
    print_credentials(diagnosis);
    if (diagnosis->called)
        print_row("GenerateDataKey", diagnosis->generated ? "worked" : "failed", NULL, true);
    if (diagnosis->generated)
        print_row("Decrypt", diagnosis->decrypted ? "worked" : "failed", NULL, true);
}

/* ---- For programs ---- */

static void json_member(const char *name, const char *value)
{
    printf("\"%s\": ", name);
    if (value != NULL)
        cli_json_string(stdout, kf_view_text(value));
    else
        fputs("null", stdout);
}

/* The same for words of the library. */
static void json_words(const char *name, const char *text)
{
    char words[CLI_WORDS_ROOM];
    json_member(name, text != NULL ? cli_own_words(text, words) : NULL);
}

static void json_credentials(const struct cli_diagnosis *diagnosis)
{
    char id[SHORT_ID_ROOM], time[TIME_ROOM];
    fputs("\"credentials\": ", stdout);
    if (diagnosis->access_key_id == NULL) {
        fputs("null", stdout);
        return;
    }
    shorten(diagnosis->access_key_id, id);
    print_time(diagnosis->expires_at, time);
    putchar('{');
    json_member("access_key_id", id);
    fputs(", ", stdout);
    json_words("source", diagnosis->credentials_source);
    fputs(", ", stdout);
    json_member("expires_at", diagnosis->expires_at == KF_AWS_NEVER_EXPIRES ? NULL : time);
    putchar('}');
}

static void json_calls(const struct cli_diagnosis *diagnosis)
{
    fputs("\"calls\": {", stdout);
    if (diagnosis->called)
        printf("\"GenerateDataKey\": %s", diagnosis->generated ? "true" : "false");
    if (diagnosis->generated)
        printf(", \"Decrypt\": %s", diagnosis->decrypted ? "true" : "false");
    putchar('}');
}

void cli_diagnosis_print_json(const struct cli_diagnosis *diagnosis)
{
    struct row rows[ROW_COUNT];
    diagnosis_rows(diagnosis, rows);
    putchar('{');
    for (size_t i = 0; i < ROW_COUNT && diagnosis->has_settings; i++) {
        printf("\"%s\": {", rows[i].name);
        json_member("value", rows[i].setting->value);
        fputs(", ", stdout);
        json_words("source", rows[i].setting->source);
        fputs("}, ", stdout);
    }
    json_credentials(diagnosis);
    fputs(", ", stdout);
    json_calls(diagnosis);
    fputs(", \"problems\": [", stdout);
    for (size_t i = 0; i < diagnosis->problem_count; i++) {
        const struct cli_problem *problem = &diagnosis->problems[i];
        fputs(i == 0 ? "{" : ", {", stdout);
        json_member("about", problem->about);
        printf(", \"status\": %d, ", (int)kf_code_class(problem->error.code));
        json_words("text", problem->error.text);
        putchar('}');
    }
    puts("]}");
}
