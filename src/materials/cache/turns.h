/*
 * The line of those who wait for a flight to begin (max_flights), and the failures behind which none may begin for a
 * while. A storey of the ledger: rules only (see entry.h).
 */
#ifndef KFI_MATERIALS_CACHE_TURNS_H
#define KFI_MATERIALS_CACHE_TURNS_H

#include "materials/cache/flights.h"

/* The last failure of a place, for the time in which nobody may try again. */
struct failure {
    struct kfi_link link; /* in turns->failures, or in aftermath->failures */
    struct place *place;
    struct kf_error error;
    unsigned times; /* in a row */
    uint64_t
        opened; /* flights opened before it: if one of these fails, that is no further failure in a row */
    uint64_t until_ms;
};

/* The flights, and the failures that are remembered. */
struct turns {
    struct flights flights;
    struct kfi_list failures; /* struct failure, the latest in front */
    size_t failure_count;
};

void kfi_turns_init(struct turns *turns, size_t capacity, uint64_t salt);

/* ---- Failures ---- */

/* Whether a flight that opened now would come too early behind a failure. */
bool kfi_failure_holds(const struct place *place, const struct kfi_policy *policy, uint64_t now_ms);

/* Remembers that a flight failed, if its opener wants the next ones to come later. */
void kfi_failure_note(struct turns *turns, struct flight *flight, uint64_t now_ms, struct aftermath *after);

/* Forgets the failure of a place that the caller holds, if there is one. */
void kfi_failure_forget(struct turns *turns, struct place *place, struct aftermath *after);

/* ---- The line ---- */

/* Whether whoever asks now has to wait for his turn. */
bool kfi_turns_full(const struct place *place, const struct kfi_policy *policy);

/* Puts a caller at the end of the line, which takes a reference. */
void kfi_turns_wait(struct turns *turns, struct place *place, struct seat *seat);

/* A caller gives up his turn. */
void kfi_turns_leave(struct turns *turns, struct seat *seat);

/*
 * Gives those who wait what room there is, the first to come first, up to one who fits nowhere: in the entry, in a
 * flight, or in `next` (may be NULL), which is then opened: true.
 */
bool kfi_turns_serve(struct turns *turns, struct place *place, struct flight *next, uint64_t now_ms,
                     struct aftermath *after);

/* Answers all who wait: with the error of `flight`, or, if that is NULL, that there is no memory. */
void kfi_turns_dismiss(struct turns *turns, struct place *place, struct flight *flight,
                       struct aftermath *after);

#endif
