/*
 * Reports: what a run that failed says. A run is in a process of its own, which ends with the failure; what it found is
 * in memory that it shares with the process that started it (struct found). With a report wanted it also prints where
 * each thread was, and each choice that was not the default.
 */
#ifndef SCHEDULE_REPORT_H
#define SCHEDULE_REPORT_H

#include "schedule/choice.h"

#define REPORT_FRAMES 24
#define REPORT_EXIT 10 /* the status of a process whose run has failed */

struct found {
    char kind[32], text[400]; /* "" until a run has failed */
    uint64_t seed;            /* of the last run that began */
    size_t scene;
    uint64_t runs, points, hash; /* of all runs; the hash is that of the last one */
    struct choice_list record;   /* of the last run */
};

/* Where this process writes what it found, and whether it is to print a report. */
void report_begin(struct found *found, bool wanted);
bool report_wanted(void);

/* The return addresses above the caller: at most REPORT_FRAMES. */
int report_frames(void **frames);

/* Notes a line, with the place that the frames stand for. Only if a report is wanted. */
void report_line(const char *line, void *const *frames, int frame_count);

/* Notes a choice, before it is carried out. */
void report_choice(const struct choice *choice);

/* Ends the process: see machine_fail. */
_Noreturn void report_failure(const char *kind, const char *text);

/* The name of a function, as far as it can be told. */
void report_function_name(const void *function, char *out, size_t size);

#endif
