/*
 * The line of those who wait for a flight to begin (max_flights), and the failures behind which none may begin for a
 * while. A storey of the ledger: rules only (see entry.h).
 *
 * Others may pass the line. Whoever comes may get what is left of the entry, or a seat in a flight in which nobody in the
 * line fits; and if his own max_flights allows it he may open a flight. Two rules see to it that nobody is passed by for
 * ever, however unlike the callers are:
 *   - Nobody stands in the line who fits into a flight with room. Room that comes about by a departure, or with a flight
 *     that opens, is offered to the line at once, the first to come first.
 *   - Each landing opens a flight for the first in the line, however many are still under way. There are never more of
 *     them by that than before the landing.
 * So whoever is the k-th in the line is out of it after k landings at the latest, not counting those that had no memory
 * for another flight. And the landings come: somebody is in the line only while flights are under way.
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
    uint64_t past_ms; /* from then on it is forgotten: the next one is not in a row with it */
};

/* The flights, and the failures that are remembered. */
struct turns {
    struct flights flights;
    struct kfi_list failures; /* struct failure, the latest in front */
    size_t failure_count;
    uint64_t waited; /* callers who ever waited: the number of the next one */
};

void kfi_turns_init(struct turns *turns, size_t capacity, uint64_t salt);

/* ---- Failures ---- */

/* Whether a flight that opened now would come too early behind a failure. */
bool kfi_failure_holds(const struct place *place, const struct kfi_policy *policy, uint64_t now_ms);

/* Remembers that a flight failed, if its opener wants the next ones to come later. */
void kfi_failure_note(struct turns *turns, struct flight *flight, uint64_t now_ms, struct aftermath *after);

/* Forgets the failures that are past. It looks at all of them; there are never more than 256. */
void kfi_failure_prune(struct turns *turns, uint64_t now_ms, struct aftermath *after);

/* Forgets the failure of a place that the caller holds, if there is one. */
void kfi_failure_forget(struct turns *turns, struct place *place, struct aftermath *after);

/* ---- The line ---- */

/* Whether whoever asks now has to wait for his turn. */
bool kfi_turns_full(const struct place *place, const struct kfi_policy *policy);

/* Puts a caller at the end of the line, which takes a reference. */
void kfi_turns_wait(struct turns *turns, struct place *place, struct seat *seat);

/* A caller gives up his turn. */
void kfi_turns_leave(struct turns *turns, struct seat *seat);

/* Seats those who wait in a flight where room came about: the first to come who fits first. */
void kfi_turns_offer(struct turns *turns, struct flight *flight, struct aftermath *after);

/*
 * Behind a landing: gives those who wait what is left in the entry, the first to come who fits first. If anybody is left,
 * `next` (may be NULL) is opened for the first of them and offered to the others: true.
 */
bool kfi_turns_serve(struct turns *turns, struct place *place, struct flight *next, uint64_t now_ms,
                     struct aftermath *after);

/* Answers all who wait: with the error of `flight`, or, if that is NULL, that there is no memory. */
void kfi_turns_dismiss(struct turns *turns, struct place *place, struct flight *flight,
                       struct aftermath *after);

#endif
