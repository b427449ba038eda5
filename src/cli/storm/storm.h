/*
 * What the files of `keyflight storm` share: what was asked for, what was counted, and what should have
 * been.
 *
 * storm.c reads the options; run.c runs one scenario: its callers (callers.c) want messages from a CMM, that of
 * the library or one without coalescing (naive.c), and behind it a key service, simulated or real (service.c),
 * counts what reaches it; judge.c counts what the messages show, and says what they should have shown;
 * report.c prints both.
 */
#ifndef CLI_STORM_STORM_H
#define CLI_STORM_STORM_H

#include <stdio.h>

#include <keyflight/keyring.h>
#include <keyflight/suite.h>

#include "keys/keys.h"

#define STORM_CALLERS_MAX 1000000 /* of one phase */
#define STORM_THREADS_MAX 1000

struct storm_options {
    const struct kf_suite_info *suite;
    const struct cli_keys *keys; /* those that were given, */
    struct kf_keyring *keyring;  /* ... made into this; NULL: none were, a local one will do */
    bool kms;                    /* some are in KMS: no service is simulated, rtt_ms and fail_first are 0 */
    uint64_t max_messages;
    uint64_t max_bytes;
    uint64_t max_age_ms;
    uint64_t bytes; /* length of each message */
    uint64_t capacity;
    uint64_t contexts;
    uint64_t rtt_ms;
    uint64_t fail_first;
    uint64_t cancel; /* percent */
    bool threads;    /* else one thread polls for all */
    bool decrypt;
    bool coalescing;
};

/* How many callers come: first the warm-up and the sequential ones, one by one, then the parallel ones. */
struct storm_scenario {
    uint64_t warm;
    uint64_t sequential;
    uint64_t parallel;
};

/* One call to the key service. */
struct storm_fetch {
    uint64_t begin_ns;
    uint64_t end_ns;      /* 0: it was not answered as long as callers waited */
    uint64_t fingerprint; /* of the encrypted data key that it brought (or opened); 0: none */
    bool failed;
};

/* All that happened. */
struct storm_trace {
    struct storm_caller *callers; /* in the order in which they came */
    size_t caller_count;
    struct storm_fetch *fetches; /* in the order in which they began */
    size_t fetch_count;
};

/* What the service and the messages showed. */
struct storm_result {
    uint64_t callers;          /* that asked, warm-up included */
    uint64_t answered;         /* that got an answer or gave up, warm-up included */
    uint64_t encryptions;      /* messages made (or read) after the warm-up */
    uint64_t errors;           /* callers that got an error after the warm-up, */
    uint64_t warm_errors;      /* ... and during it */
    uint64_t cancelled;        /* callers that gave up after the warm-up */
    uint64_t distinct_deks;    /* data keys of the messages after the warm-up */
    uint64_t max_uses_per_dek; /* warm-up included */
    uint64_t backing_calls;    /* warm-up included */
    uint64_t peak_in_flight;   /* backing calls under way at once */
    bool key_lost;             /* a call began after a key with budget left had ended by capacity or age */
    uint64_t answer_ns; /* after the warm-up, from the first ask until the last caller held its materials */
    uint64_t wall_ns;
    struct storm_use {
        uint64_t uses; /* messages after the warm-up under one data key, */
        uint64_t deks; /* ... and how many data keys were used so often */
    } * uses;          /* the most used first */
    size_t use_count;
    struct kf_error error; /* the first error that a caller got */
    struct storm_trace trace;
};

struct storm_expected {
    bool exact;     /* whether the counts below are promised */
    uint64_t calls; /* if everybody stays, nothing fails and no key is lost */
    uint64_t deks;  /* after the warm-up, likewise */
    uint64_t bound; /* backing calls at most; equals `calls` if exact */
};

/* Runs a scenario and counts. Unless there is an error the caller owes a storm_result_end. (run.c) */
enum kf_code storm_run(const struct storm_options *options, const struct storm_scenario *scenario,
                       struct kf_error *error, struct storm_result *out);
void storm_result_end(struct storm_result *result);

/* What a scenario should show. (judge.c) */
void storm_expect(const struct storm_options *options, const struct storm_scenario *scenario, bool key_lost,
                  struct storm_expected *out);

/* A scenario that was run. */
struct storm_report {
    const struct storm_options *options;
    struct storm_scenario scenario;
    struct storm_result result;
    struct storm_expected expected;
    bool ok;          /* whether the result is as promised; */
    char reason[256]; /* ... if not, why not: a sentence without a full stop */
};

/* Says whether the result is as promised. (judge.c) */
void storm_judge(struct storm_report *report);

/* ---- Printing (report.c) ---- */

#define STORM_NAME_ROOM 128

/* "1 warm-up, then 10 in parallel" */
void storm_name(const struct storm_scenario *scenario, char name[STORM_NAME_ROOM]);

/* "s" behind a noun that is counted, or nothing. */
const char *storm_plural(uint64_t number);

/* One JSON object on one line. */
void storm_print_json(FILE *out, const struct storm_report *report);

/* For people: what is going to happen, one scenario (`number` 0: it is the only one), and how it all went. */
void storm_print_opening(FILE *out, const struct storm_options *options);
void storm_print_scenario(FILE *out, unsigned number, const struct storm_report *report);
void storm_print_closing(FILE *out, const struct storm_options *options, unsigned scenarios, unsigned failed);

/* ---- Drawing ---- */

/* A call to the key service, and the callers that share the key it brought. */
struct storm_row {
    const struct storm_fetch *fetch;     /* NULL in a last row, of callers without a key */
    const struct storm_caller **callers; /* in the order in which they came */
    size_t count;
};

struct storm_rows {
    struct storm_row *rows; /* in the order in which the calls began */
    size_t count;
    const struct storm_caller **callers; /* private: of all rows */
};

/*
 * Finds out which callers shared a call. The rows point into `trace`. The caller owes a storm_rows_end.
 * (rows.c)
 */
enum kf_code storm_rows_new(const struct storm_trace *trace, struct kf_error *error, struct storm_rows *out);
void storm_rows_end(struct storm_rows *rows);

/* A picture of one or more scenarios, one below the other, in SVG. (svg.c) */
struct storm_picture;

enum kf_code storm_picture_new(struct kf_error *error, struct storm_picture **out);
enum kf_code storm_picture_add(struct storm_picture *picture, const struct storm_report *report,
                               struct kf_error *error);
/* Completes the picture; `*out` is its text, which lives as long as the picture. Call it once, at the end. */
enum kf_code storm_picture_finish(struct storm_picture *picture, struct kf_error *error, struct kf_view *out);
void storm_picture_free(struct storm_picture *picture); /* NULL is allowed */

#endif
