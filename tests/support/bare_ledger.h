/*
 * A ledger without the cache around it: no lock, no threads, no fetches. Tests of its rules, the randomised test and a
 * bench make flights and seats here, hand in the time, and look at what a rule leaves to be done.
 */
#ifndef TESTS_SUPPORT_BARE_LEDGER_H
#define TESTS_SUPPORT_BARE_LEDGER_H

#include "materials/cache/ledger.h"

struct bare {
    struct ledger ledger;
    uint64_t now_ms;
    struct aftermath after; /* what rules left, until bare_tidy */
};

void bare_open(struct bare *bare, size_t capacity);
/* Clears the ledger, in which no flight may be under way, and frees what was left in it. */
void bare_close(struct bare *bare);

/* Does what rules left, without looking at it: frees, answered seats included, and lets the table grow. */
void bare_tidy(struct bare *bare);
/* How many elements a list of the aftermath has. */
size_t bare_count(struct kfi_list *list);

/* The key of this number, of a direction by its parity: even ones encrypt. */
struct kfi_cache_key bare_key(unsigned number);
enum kfi_direction bare_direction(unsigned number);

/* Limits without anything else. */
struct kfi_policy bare_policy(uint64_t max_messages, uint64_t max_bytes, uint64_t max_age_ms);

/* A flight that could be opened, with the driver's reference and all memory that may come of it. */
struct flight *bare_flight_new(unsigned key, const struct kfi_policy *policy);
void bare_flight_unref(struct flight *flight);

/* A seat that could be taken, with the caller's reference. */
struct seat *bare_seat_new(const struct kfi_policy *policy, uint64_t length);
void bare_seat_unref(struct seat *seat);

/*
 * One question, asked as the cache asks: looks, prepares and looks again. The seat, if it was taken, is in `*seat`
 * (else NULL), the flight, if it was opened, in `*flight` (else NULL).
 */
struct ledger_answer bare_ask(struct bare *bare, unsigned key, const struct kfi_policy *policy,
                              uint64_t length, struct seat **seat, struct flight **flight);

/*
 * Ends a fetch with `code` and lands its flight. The driver's reference goes. `next` may be NULL; if it is
 * not opened it is released.
 */
bool bare_land(struct bare *bare, struct flight *flight, enum kf_code code, struct flight *next);

/* A caller leaves, and its reference goes. */
void bare_leave(struct bare *bare, struct seat *seat);

/* The place of a key, or NULL. */
struct place *bare_place(struct bare *bare, unsigned key);

struct kf_cache_stats bare_stats(const struct bare *bare);

#endif
