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

/* What the service and the messages showed. "After the warm-up" is what the scenario is about. */
struct storm_result {
    uint64_t callers;          /* who asked, warm-up included */
    uint64_t answered;         /* who got an answer or gave up, warm-up included */
    uint64_t encryptions;      /* messages made (or read) after the warm-up */
    uint64_t errors;           /* callers who got an error after the warm-up, */
    uint64_t warm_errors;      /* ... and during it */
    uint64_t cancelled;        /* callers who gave up after the warm-up */
    uint64_t distinct_deks;    /* data keys of the messages after the warm-up */
    uint64_t max_uses_per_dek; /* warm-up included */
    uint64_t backing_calls;    /* warm-up included */
    uint64_t peak_in_flight;   /* backing calls under way at once */
    bool key_lost;             /* a call began after a key with budget left had ended by capacity or age */
    uint64_t answer_ns; /* after the warm-up: from the first ask to the last caller holding its materials */
    uint64_t wall_ns;
    struct storm_use {
        uint64_t uses; /* so many messages after the warm-up under one data key, */
        uint64_t deks; /* ... so many data keys */
    } * uses;          /* the most used first */
    size_t use_count;
    struct kf_error error; /* the first error that a caller got */
};

struct storm_expected {
    bool exact;     /* whether the counts below are promised */
    uint64_t calls; /* if everybody stays, nothing fails and no key is lost */
    uint64_t deks;  /* after the warm-up, likewise */
    uint64_t bound; /* backing calls at most; equals `calls` if exact */
};

/*
 * Runs a scenario and counts. On an error nothing is answered; else the caller owes a storm_result_end.
 * (run.c)
 */
enum kf_code storm_run(const struct storm_options *options, const struct storm_scenario *scenario,
                       struct kf_error *error, struct storm_result *out);
void storm_result_end(struct storm_result *result);

/* What a scenario should show. (judge.c) */
void storm_expect(const struct storm_options *options, const struct storm_scenario *scenario, bool key_lost,
                  struct storm_expected *out);

/*
 * Whether the result is as promised; if not, the reason is in `reason`, a sentence without a full stop.
 * (judge.c)
 */
bool storm_judge(const struct storm_options *options, const struct storm_expected *expected,
                 const struct storm_result *result, char *reason, size_t room);

/* ---- Printing (report.c) ---- */

/* One JSON object on one line. */
void storm_print_json(FILE *out, const struct storm_options *options, const struct storm_scenario *scenario,
                      const struct storm_expected *expected, const struct storm_result *result, bool ok);

/* For people: what is about to happen, one scenario (`number` 0: it is the only one), and how it all went. */
void storm_print_opening(FILE *out, const struct storm_options *options);
void storm_print_scenario(FILE *out, unsigned number, const struct storm_options *options,
                          const struct storm_scenario *scenario, const struct storm_expected *expected,
                          const struct storm_result *result, const char *reason);
void storm_print_closing(FILE *out, const struct storm_options *options, unsigned scenarios, unsigned failed);

#endif
