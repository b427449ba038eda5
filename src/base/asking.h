/*
 * Asking for what one fetch brings to many: the one home of "prepare, ask, prepare again".
 *
 * An owner keeps things behind a lock: keys, credentials. A question is one look under that lock. Nothing may be
 * allocated there, so a look that lacks a seat or a flight says so; both are made outside, and the look is taken
 * again from the top, since meanwhile anything may have happened: the last look alone decides.
 *
 * Called by owners of flights. Knows neither what is asked for nor the lock.
 */
#ifndef KFI_BASE_ASKING_H
#define KFI_BASE_ASKING_H

#include "base/seat.h"

struct kfi_asking;

/* What a look came to: one of these, or SEATED and OPENED together. */
enum kfi_look {
    KFI_LOOK_ANSWERED = 0,    /* no wait: the owner's struct has the answer */
    KFI_LOOK_SEATED = 1,      /* asking->seat was taken, or stands in a line for one */
    KFI_LOOK_OPENED = 2,      /* asking->flight was put where others find it: it is to be launched */
    KFI_LOOK_WANTS_SEAT = 4,  /* nothing was changed: the look needs a seat */
    KFI_LOOK_WANTS_FLIGHT = 8 /* nothing was changed: the look needs a flight, and maybe a seat */
};

/* What an owner provides for those who ask. */
struct kfi_asking_class {
    struct kfi_seat_class seat;

    /*
     * One look, which takes the owner's lock. It uses asking->seat and asking->flight, which may be NULL. Whoever is to
     * wait for a flight of another caller follows it (kfi_asking_follows_locked).
     */
    unsigned (*look)(struct kfi_asking *asking);

    /* Makes asking->flight: one that would answer the question, not opened yet. On an error it stays NULL. */
    enum kf_code (*flight_new)(struct kfi_asking *asking, struct kf_error *error);

    /* Fills in asking->seat, which was just made. NULL: there is nothing to fill in. */
    void (*seat_made)(struct kfi_asking *asking);

    /* Whether `flight`, which may be another owner's, brings what is asked for. */
    bool (*brings)(const struct kfi_flight *flight, const struct kfi_asking *asking);
    /* What to tell a caller who asks from inside that very flight. */
    const char *waits_for_itself;
};

/* One question. The owner's struct begins with it and has the rest: what is asked for, and the answer. */
struct kfi_asking {
    const struct kfi_asking_class *class;
    struct kf_call *call;
    struct kfi_seat *seat;       /* prepared; the look that takes it leaves it here; NULL behind kfi_ask */
    struct kfi_flight *flight;   /* likewise */
    struct kfi_flight *followed; /* another caller's, which has no driver yet: a reference, or NULL */
};

/* For a look: the asker waits for `flight`, and not for one that he opens. Under the owner's lock. */
KFI_SHARED void kfi_asking_follows_locked(struct kfi_asking *asking, struct kfi_flight *flight);

/*
 * Asks. The caller sets class and call of `asking`; the rest is NULL. KF_OK: the look answered. KF_PENDING:
 * the caller has a seat. It is the state of the call from now on (kf_call_state), and is left when that is
 * dropped. The flight may have landed already, so look at once. Errors: KF_E_USAGE (the caller would wait for
 * itself, or in a circle), KF_E_NO_MEMORY, KF_E_FORKED (the fetch has forked, and this is the child), and those of flight_new.
 */
KFI_SHARED enum kf_code kfi_ask(struct kfi_asking *asking, struct kf_error *error);

/*
 * Whether the caller is inside a fetch that brings what it asks for, by its call or on this thread. Then it
 * would wait for itself.
 */
bool kfi_asking_is_inside(const struct kfi_asking *asking);

#endif
