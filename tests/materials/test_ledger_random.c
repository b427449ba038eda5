/*
 * The ledger under random steps, against a naive oracle.
 *
 * A case is a seed: it gives a capacity, and steps (ask, land, fail, cancel, advance the clock, clear, give bytes
 * back). Every step is a few raw numbers, so that any part of a case is a case too. The oracle knows nothing of the
 * ledger's lists: it keeps who was charged to which key, and looks through all of it after every step. A case that
 * fails is made shorter as long as it still fails, and printed.
 *
 * Called with nothing it runs for about two seconds; `--steps N`, `--seed S` and `--case LENGTH` set the number of
 * steps, the first seed, and the steps of a case.
 */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/bare_ledger.h"

#define KEYS 4
#define POLICIES 7
#define FLIGHTS_MAX 4096 /* of one case */
#define CALLERS_MAX 4096
#define CASE_MAX 2000

/* Small limits meet often. The first of each line: messages, bytes, age. */
static const struct kfi_policy policies[POLICIES] = {
    {{3, UINT64_MAX, 1000}, 0, 0, 0, false},
    {{2, 100, 50}, 0, 0, 0, true},
    {{5, 60, 1000}, 0, 300, 0, true},
    {{1, UINT64_MAX, 1000}, 0, 0, 1, false},
    {{4, 100, 200}, 20, 0, 2, false},
    {{3, 80, 1000}, 30, 500, 1, false},
    {{UINT64_MAX, UINT64_MAX, 100}, 0, 200, 0, false},
};

/* ---- Random numbers: xorshift*, so that a seed is a case everywhere ---- */

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

struct step {
    unsigned kind, a, b, c; /* as drawn; each step takes what it needs of them */
};

static const char *const step_names[] = {"ask",    "ask",    "ask",     "ask",   "ask",   "land",   "land",
                                         "cancel", "cancel", "advance", "clear", "sweep", "settle", "prune"};
#define STEP_KINDS (sizeof step_names / sizeof step_names[0])

/* ---- The oracle ---- */

/* A data key: the flight that brings it, and all that it was used for. */
struct key {
    struct flight *flight; /* while it is under way, with the driver's reference */
    const struct kfi_materials *materials;
    unsigned key, policy;
    enum {
        FLYING,
        LIVE,
        ENDED,
        FAILED
    } state;
    bool barred, ahead;
    bool parked;              /* after the last step */
    uint64_t messages, bytes; /* charged and not taken back */
    struct kfi_limits least;  /* of those who were charged */
    uint64_t jitter_ms, landed_at, used_at;
};

struct caller {
    struct seat *seat; /* NULL once he left */
    unsigned key, policy;
    uint64_t length;
    int in;            /* the flight he was charged to, or -1: he stands in the line */
    bool answered;     /* and was handed materials, or an error */
    unsigned landings; /* how many may yet pass him by in the line */
};

struct world {
    struct bare bare;
    size_t capacity;
    bool alike; /* all callers have the same policy, one with max_flights */
    unsigned alike_policy;
    struct key keys[FLIGHTS_MAX];
    size_t key_count;
    struct caller callers[CALLERS_MAX];
    size_t caller_count;
    uint64_t failed_until[KEYS], failed_past[KEYS], failed_times[KEYS], failed_opened[KEYS];
    uint64_t clock; /* of uses, for the order of eviction */
    uint64_t clearing;
    struct kf_cache_stats counted;
    jmp_buf out;
    char why[200];
};

#define REQUIRE(world, condition, ...)                               \
    do {                                                             \
        if (!(condition)) {                                          \
            snprintf((world)->why, sizeof(world)->why, __VA_ARGS__); \
            longjmp((world)->out, 1);                                \
        }                                                            \
    } while (0)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether a message fits under what the oracle knows of a key. */
static bool fits(const struct key *key, const struct kfi_limits *limits, uint64_t length)
{
    return key->messages < least(key->least.max_messages, limits->max_messages) &&
           key->bytes + length <= least(key->least.max_bytes, limits->max_bytes);
}

static bool too_old(const struct world *world, const struct key *key, const struct kfi_limits *limits)
{
    return world->bare.now_ms - key->landed_at >= least(key->least.max_age_ms, limits->max_age_ms);
}

/* P1: the charge, checked against the least limits of all who were charged. */
static void charge(struct world *world, struct key *key, const struct kfi_limits *limits, uint64_t length)
{
    key->messages++;
    key->bytes += length;
    key->least.max_messages = least(key->least.max_messages, limits->max_messages);
    key->least.max_bytes = least(key->least.max_bytes, limits->max_bytes);
    key->least.max_age_ms = least(key->least.max_age_ms, limits->max_age_ms);
    REQUIRE(world, key->messages <= key->least.max_messages,
            "P1: a key has %llu messages, at most %llu are allowed", (unsigned long long)key->messages,
            (unsigned long long)key->least.max_messages);
    REQUIRE(world, key->bytes <= key->least.max_bytes, "P1: a key has %llu bytes, at most %llu are allowed",
            (unsigned long long)key->bytes, (unsigned long long)key->least.max_bytes);
}

static struct key *key_of(struct world *world, const struct kfi_materials *materials)
{
    for (size_t i = world->key_count; i-- > 0;) {
        if (world->keys[i].materials == materials)
            return &world->keys[i];
    }
    REQUIRE(world, false, "materials that no flight brought");
    return NULL;
}

/* The number of flights of a key that are under way. */
static unsigned under_way(const struct world *world, unsigned key)
{
    unsigned count = 0;
    for (size_t i = 0; i < world->key_count; i++)
        count += world->keys[i].key == key && world->keys[i].state == FLYING;
    return count;
}

/* The oldest flight under way that has room, by looking at all of them; -1: none. */
static int roomiest(const struct world *world, unsigned key, const struct kfi_limits *limits, uint64_t length)
{
    for (size_t i = 0; i < world->key_count; i++) {
        const struct key *at = &world->keys[i];
        if (at->key == key && at->state == FLYING && !at->barred && fits(at, limits, length))
            return (int)i;
    }
    return -1;
}

static struct key *key_add(struct world *world, struct flight *flight, unsigned key, unsigned policy,
                           const struct kfi_limits *limits)
{
    REQUIRE(world, flight->number == world->key_count, "flights are not numbered in the order of opening");
    struct key *added = &world->keys[world->key_count++];
    *added = (struct key){
        .flight = flight,
        .materials = flight->materials,
        .key = key,
        .policy = policy,
        .least = *limits,
        .jitter_ms = flight->jitter_ms,
    };
    added->least.max_age_ms =
        limits->max_age_ms > flight->jitter_ms ? limits->max_age_ms - flight->jitter_ms : 1;
    world->counted.flights_opened++;
    return added;
}

/* ---- What rules leave to be done ---- */

/* Entries that ended: each once, for a reason that holds. */
static void check_ended(struct world *world)
{
    struct kfi_list *ended = &world->bare.after.ended;
    for (struct kfi_link *at = kfi_list_first(ended); at != NULL; at = kfi_list_next(ended, at)) {
        const struct entry *entry = KFI_CONTAINER(at, struct entry, by_use);
        struct key *key = key_of(world, entry->materials);
        REQUIRE(world, key->state == LIVE, "a key ended that was not there");
        REQUIRE(world,
                !key->barred || entry->end == KF_CACHE_END_CLEARED || entry->end == KF_CACHE_END_MESSAGES ||
                    entry->end == KF_CACHE_END_BYTES,
                "a wrong end: it was cleared");
        REQUIRE(world, entry->budget.messages == key->messages, "an end told %llu messages, there were %llu",
                (unsigned long long)entry->budget.messages, (unsigned long long)key->messages);
        const bool used_up = key->messages >= key->least.max_messages;
        REQUIRE(world, used_up == (entry->end == KF_CACHE_END_MESSAGES), "a wrong end: messages");
        REQUIRE(world, entry->end != KF_CACHE_END_AGE || too_old(world, key, &key->least),
                "a wrong end: age");
        REQUIRE(world, entry->end != KF_CACHE_END_BYTES || entry->budget.bytes >= key->least.max_bytes,
                "a wrong end: bytes");
        uint64_t *const counters[] = {NULL,
                                      &world->counted.ended_messages,
                                      &world->counted.ended_bytes,
                                      &world->counted.ended_age,
                                      &world->counted.ended_capacity,
                                      &world->counted.ended_replaced,
                                      &world->counted.ended_cleared};
        ++*counters[entry->end];
        if (entry->end == KF_CACHE_END_CAPACITY) { /* nothing that stays was used longer ago */
            for (size_t i = 0; i < world->key_count; i++) {
                const struct key *other = &world->keys[i];
                const struct place *place = bare_place(&world->bare, other->key);
                const bool stays = place != NULL && place->entry != NULL &&
                                   place->entry->materials == other->materials && other->state == LIVE;
                REQUIRE(world, !stays || key->parked || other->parked || other->used_at > key->used_at,
                        "a key was evicted that was used later than another");
            }
        }
        key->state = ENDED;
    }
}

/* P4: whoever is answered is answered once, with materials that he was charged for, or with an error. */
static void answer(struct world *world, struct seat *seat)
{
    struct caller *caller = NULL;
    for (size_t i = 0; i < world->caller_count; i++) {
        if (world->callers[i].seat == seat)
            caller = &world->callers[i];
    }
    if (caller == NULL)
        return; /* he left, and only his reference in the list was there */
    const struct kfi_materials *materials = NULL;
    const enum kf_code code = kfi_ledger_answer(seat, &materials);
    REQUIRE(world, code != KF_PENDING && !caller->answered, "P4: woken without an answer, or twice");
    caller->answered = true;
    if (code != KF_OK) {
        REQUIRE(world, materials == NULL, "P4: an error came with materials");
        return;
    }
    struct key *key = key_of(world, materials);
    REQUIRE(world, key->key == caller->key, "P8: a caller got the key of another question");
    if (caller->in < 0) { /* out of the line, from the entry */
        REQUIRE(world, key->state != FLYING && key->state != FAILED, "a hit on what had not landed");
        REQUIRE(world, !key->barred, "a hit on a key from before a clearing");
        REQUIRE(world, !too_old(world, key, &policies[caller->policy].limits), "P1: handed out too old");
        charge(world, key, &policies[caller->policy].limits, caller->length);
        key->used_at = ++world->clock;
        world->counted.hits++;
    } else {
        REQUIRE(world, key == &world->keys[caller->in], "P4: another key than the one that was charged");
    }
    kfi_materials_unref(materials);
}

static bool in_line(const struct caller *caller)
{
    return caller->seat != NULL && !caller->answered && caller->in < 0 && caller->seat->place != NULL;
}

/*
 * Seats taken out of the line since the last look, by looking at every caller in the order in which they came. Whoever is
 * still in the line found no room, neither before the others behind him were seated nor now.
 */
static void note_seats(struct world *world)
{
    for (size_t i = 0; i < world->caller_count; i++) {
        struct caller *caller = &world->callers[i];
        const struct kfi_limits *limits = &policies[caller->policy].limits;
        if (in_line(caller)) {
            const int room = roomiest(world, caller->key, limits, caller->length);
            REQUIRE(world, room < 0, "caller %d is in the line, and flight %d has room", (int)i, room);
            continue;
        }
        if (caller->seat == NULL || caller->answered || caller->in >= 0 || caller->seat->base.flight == NULL)
            continue;
        const struct flight *flight = kfi_flights_of(&caller->seat->base);
        if (flight->base.landed && flight->base.code != KF_OK)
            continue; /* dismissed */
        struct key *key = &world->keys[flight->number];
        REQUIRE(world, key->key == caller->key, "P8: a seat in the flight of another question");
        caller->in = (int)flight->number;
        charge(world, key, limits, caller->length);
    }
}

static void after_rule(struct world *world)
{
    struct aftermath *after = &world->bare.after;
    note_seats(world);
    for (struct kfi_link *at = kfi_list_first(&after->seated); at != NULL;
         at = kfi_list_next(&after->seated, at)) {
        const struct seat *seat = KFI_CONTAINER(at, struct seat, told);
        REQUIRE(world, seat->base.flight != NULL, "told of a seat that nobody took");
        world->counted.coalesced++;
    }
    for (struct kfi_link *at = kfi_list_first(&after->answered); at != NULL;
         at = kfi_list_next(&after->answered, at))
        answer(world, KFI_CONTAINER(at, struct seat, base.link));
    check_ended(world);
    bare_tidy(&world->bare);
}

/* ---- Steps ---- */

static struct caller *caller_add(struct world *world, struct seat *seat, unsigned key, unsigned policy,
                                 uint64_t length, int in)
{
    struct caller *caller = &world->callers[world->caller_count++];
    *caller = (struct caller){seat, key, policy, length, in, false, 0};
    for (size_t i = 0; in < 0 && i < world->caller_count; i++)
        caller->landings += in_line(&world->callers[i]) && world->callers[i].key == key;
    return caller;
}

/* The entry that the ledger would have used, if it fits by what the oracle knows. */
static bool entry_fits(struct world *world, unsigned key, const struct kfi_limits *limits, uint64_t length)
{
    const struct place *place = bare_place(&world->bare, key);
    if (place == NULL || place->entry == NULL)
        return false;
    const struct key *known = key_of(world, place->entry->materials);
    return !known->barred && !too_old(world, known, limits) && fits(known, limits, length);
}

/* Opens the next flight ahead, as a hit was asked to. */
static void open_ahead(struct world *world, unsigned key, unsigned policy)
{
    struct flight *flight = bare_flight_new(key, &policies[policy]);
    if (!kfi_ledger_open_ahead(&world->bare.ledger, flight, world->bare.now_ms, &world->bare.after)) {
        bare_flight_unref(flight);
        return;
    }
    const unsigned most = policies[policy].max_flights;
    REQUIRE(world, most == 0 || under_way(world, key) < most, "a flight ahead beyond max_flights");
    REQUIRE(world, world->bare.now_ms >= world->failed_until[key] || policies[policy].failure_backoff_ms == 0,
            "a flight ahead behind a fresh failure");
    key_add(world, flight, key, policy, &policies[policy].limits)->ahead = true;
    world->counted.refreshes++;
}

static void step_hit(struct world *world, unsigned key, unsigned policy, uint64_t length,
                     const struct ledger_answer *answer)
{
    const struct kfi_limits *limits = &policies[policy].limits;
    struct key *hit = key_of(world, answer->materials);
    REQUIRE(world, hit->key == key, "P8: a hit on the key of another question");
    REQUIRE(world, hit->state == LIVE && !hit->barred, "a hit on a key that is not there");
    REQUIRE(world, !too_old(world, hit, limits), "P1: handed out at its age or beyond");
    charge(world, hit, limits, length);
    hit->used_at = ++world->clock;
    world->counted.hits++;
    kfi_materials_unref(answer->materials);
}

static void step_ask(struct world *world, const struct step *step)
{
    const unsigned key = step->a % KEYS, policy = world->alike ? world->alike_policy : step->b % POLICIES;
    const struct kfi_policy *rules = &policies[policy];
    const uint64_t length = step->c % 4 == 0 ? 0 : step->c % (rules->limits.max_bytes > 60 ? 70 : 60);
    const int room = roomiest(world, key, &rules->limits, length);
    const bool hits = entry_fits(world, key, &rules->limits, length);
    const unsigned flying = under_way(world, key);
    const bool held = rules->failure_backoff_ms > 0 && world->bare.now_ms < world->failed_until[key];
    struct seat *seat;
    struct flight *flight;
    const struct ledger_answer answer = bare_ask(&world->bare, key, rules, length, &seat, &flight);
    switch (answer.look) {
    case KFI_LEDGER_HIT:
        step_hit(world, key, policy, length, &answer);
        break;
    case KFI_LEDGER_COALESCED:
        REQUIRE(world, !hits && (int)answer.flight == room,
                "P2: a seat in flight %d, the oldest with room is %d", (int)answer.flight, room);
        charge(world, &world->keys[room], &rules->limits, length);
        caller_add(world, seat, key, policy, length, room);
        world->counted.coalesced++;
        break;
    case KFI_LEDGER_QUEUED:
        REQUIRE(world, !hits && room < 0 && rules->max_flights > 0 && flying >= rules->max_flights && !held,
                "queued without need");
        caller_add(world, seat, key, policy, length, -1);
        break;
    case KFI_LEDGER_OPENED:
        REQUIRE(world, !hits, "P2: a flight was opened although the entry had room");
        REQUIRE(world, room < 0, "P2: a flight was opened although flight %d had room", room);
        REQUIRE(world, rules->max_flights == 0 || flying < rules->max_flights, "more than max_flights");
        REQUIRE(world, !held, "P5: a flight behind a fresh failure");
        charge(world, key_add(world, flight, key, policy, &rules->limits), &rules->limits, length);
        caller_add(world, seat, key, policy, length, (int)flight->number);
        break;
    case KFI_LEDGER_REFUSED:
        REQUIRE(world, held && !hits && room < 0, "P5: refused without a fresh failure");
        world->counted.failed_fast++;
        break;
    case KFI_LEDGER_WANTS_SEAT:
    case KFI_LEDGER_WANTS_FLIGHT:
        break;
    }
    after_rule(world);
    if (answer.look == KFI_LEDGER_HIT && answer.ahead)
        open_ahead(world, key, policy);
    after_rule(world);
}

/* What is left of a key, as a fraction of what was allowed: the lesser one of messages and bytes. */
struct fraction {
    uint64_t left, all;
};

__extension__ typedef unsigned __int128 wide;

static bool less(struct fraction a, struct fraction b)
{
    return (wide)a.left * b.all < (wide)b.left * a.all;
}

static struct fraction left_of(const struct key *key)
{
    const struct kfi_limits *least = &key->least;
    const struct fraction messages = {least->max_messages - key->messages, least->max_messages};
    const struct fraction bytes = {least->max_bytes - key->bytes, least->max_bytes};
    return less(messages, bytes) ? messages : bytes;
}

/* Of two keys for one place, whether the rule of the candidates keeps the first. */
static bool beats(const struct key *a, const struct key *b)
{
    const struct fraction mine = left_of(a), other = left_of(b);
    if (less(mine, other) || less(other, mine))
        return less(other, mine);
    return a->landed_at + a->least.max_age_ms >= b->landed_at + b->least.max_age_ms;
}

/* What there was in a place before a landing. */
struct before {
    struct key *entry; /* NULL: none, or it had outlived its age */
    bool parked, awaited;
};

static struct before place_before(struct world *world, const struct place *place)
{
    struct key *entry = place->entry != NULL ? key_of(world, place->entry->materials) : NULL;
    if (entry != NULL && (entry->barred || too_old(world, entry, &entry->least)))
        entry = NULL;
    return (struct before){entry, place->parked != NULL && entry != NULL, place->line.root != NULL};
}

/*
 * The policy of the caller for whom a landing opened a flight: the first of those who were in the line and were not
 * answered from the entry.
 */
static unsigned opener_policy(struct world *world, unsigned key, const struct flight *flight)
{
    for (size_t i = 0; i < world->caller_count; i++) {
        const struct caller *caller = &world->callers[i];
        if (caller->seat == NULL || caller->key != key || caller->answered || caller->in >= 0 ||
            caller->seat->code != KF_PENDING)
            continue;
        REQUIRE(world, caller->seat->base.flight == &flight->base, "a wave for another one than the first");
        return caller->policy;
    }
    REQUIRE(world, false, "a wave for nobody");
    return 0;
}

/* Who is left in the line behind a landing that could open a flight, and whether that may be. */
static void check_line(struct world *world, unsigned key, bool could_open)
{
    for (size_t i = 0; i < world->caller_count; i++) {
        struct caller *caller = &world->callers[i];
        if (!in_line(caller) || caller->key != key)
            continue;
        REQUIRE(world, !entry_fits(world, key, &policies[caller->policy].limits, caller->length),
                "caller %d is in the line, and the entry has room", (int)i);
        caller->landings -= could_open;
        REQUIRE(world, caller->landings > 0, "P6: caller %d was passed by", (int)i);
    }
}

/* What became of a key that landed well. */
static void check_kept(struct world *world, const struct key *key, const struct before *before)
{
    const struct place *place = bare_place(&world->bare, key->key);
    const bool is_entry = place != NULL && place->entry != NULL && place->entry->materials == key->materials;
    const bool is_parked =
        place != NULL && place->parked != NULL && place->parked->materials == key->materials;
    REQUIRE(world, is_entry + is_parked + (key->state == ENDED) == 1,
            "a key that landed is not in one place");
    REQUIRE(world, !key->barred || key->state == ENDED, "a barred flight became an entry");
    REQUIRE(world, !is_parked || (key->ahead && before->entry != NULL), "a key was parked without need");
    if (key->barred || before->entry == NULL || before->parked || before->awaited || key->ahead ||
        key->messages >= key->least.max_messages)
        return;
    REQUIRE(world, is_entry == beats(key, before->entry), "the wrong one of two candidates stayed");
    REQUIRE(world, (before->entry->state == LIVE) != is_entry, "both candidates stayed, or neither");
}

static void step_land(struct world *world, const struct step *step)
{
    unsigned flying = 0;
    struct key *key = NULL;
    for (size_t i = 0; i < world->key_count; i++)
        flying += world->keys[i].state == FLYING;
    if (flying == 0)
        return;
    for (size_t i = 0, at = step->a % flying; key == NULL; i++) {
        if (world->keys[i].state == FLYING && at-- == 0)
            key = &world->keys[i];
    }
    const bool fails = step->b % 5 == 0;
    const struct kfi_policy *rules = &policies[key->policy];
    const struct before before = place_before(world, bare_place(&world->bare, key->key));
    REQUIRE(world, kfi_ledger_awaited(key->flight) == before.awaited, "whether anybody waits for his turn");
    struct flight *next = before.awaited && step->c % 8 != 0 ? bare_flight_new(key->key, rules) : NULL;
    struct flight *landing = key->flight;
    key->flight = NULL;
    key->state = fails ? FAILED : LIVE;
    key->landed_at = world->bare.now_ms;
    key->used_at = ++world->clock;
    if (fails) {
        world->counted.flights_failed++;
        const uint64_t number = (uint64_t)(key - world->keys);
        const bool fresh =
            world->failed_until[key->key] != 0 && world->bare.now_ms < world->failed_past[key->key];
        if (!fresh && !key->barred && rules->failure_backoff_ms > 0)
            world->failed_times[key->key] = 0;
        if (rules->failure_backoff_ms > 0 && !key->barred &&
            (!fresh || number >= world->failed_opened[key->key])) {
            const uint64_t times = world->failed_times[key->key]++;
            world->failed_until[key->key] =
                world->bare.now_ms + (rules->failure_backoff_ms << least(times, 5));
            world->failed_past[key->key] = world->failed_until[key->key] + (rules->failure_backoff_ms << 5);
            world->failed_opened[key->key] = world->key_count;
        }
    } else {
        world->failed_until[key->key] = world->failed_times[key->key] = world->failed_opened[key->key] = 0;
    }
    if (bare_land(&world->bare, landing, fails ? KF_E_RETRY : KF_OK, next)) {
        const unsigned opener = opener_policy(world, key->key, next);
        key_add(world, next, key->key, key->policy, &policies[opener].limits);
        world->counted.waves++;
    }
    after_rule(world);
    check_line(world, key->key, next != NULL);
    if (!fails)
        check_kept(world, key, &before);
}

static void step_cancel(struct world *world, const struct step *step)
{
    if (world->caller_count == 0)
        return;
    struct caller *caller = &world->callers[step->a % world->caller_count];
    if (caller->seat == NULL)
        return;
    struct seat *seat = caller->seat;
    caller->seat = NULL;
    if (!caller->answered && caller->in >= 0) {
        struct key *key = &world->keys[caller->in];
        REQUIRE(world, key->state == FLYING, "a caller waits for a flight that landed");
        key->messages--;
        key->bytes -= caller->length;
    }
    bare_leave(&world->bare, seat);
    after_rule(world);
}

/* One batch of the last clearing; whether it was the last one. */
static bool step_sweep(struct world *world, const struct step *step)
{
    const size_t most = 1 + step->b % 3;
    const bool more = kfi_ledger_sweep(&world->bare.ledger, world->clearing, most, &world->bare.after);
    REQUIRE(world, bare_count(&world->bare.after.ended) <= 2 * most, "a batch is too large");
    after_rule(world);
    return !more;
}

/* A clearing; what it leaves behind it goes at once, or with later steps. */
static void step_clear(struct world *world, const struct step *step)
{
    world->clearing = kfi_ledger_clear(&world->bare.ledger);
    for (size_t i = 0; i < world->key_count; i++)
        world->keys[i].barred = true;
    for (unsigned key = 0; key < KEYS; key++)
        world->failed_until[key] = world->failed_times[key] = world->failed_opened[key] = 0;
    if (step->c % 2 == 0)
        return;
    while (!step_sweep(world, step)) {
    }
    REQUIRE(world, world->bare.ledger.turns.flights.shelf.count == 0, "entries behind a clearing");
    REQUIRE(world, world->bare.ledger.turns.failure_count == 0, "failures behind a clearing");
}

static void check_world(struct world *world);

/* Nobody asks, and what is too old goes: some of it, or all. No more than one of them ends with each step. */
static void step_prune(struct world *world, const struct step *step)
{
    struct bare *bare = &world->bare;
    bool more = true;
    for (size_t i = 0; more && (i < step->b % 4 || step->c % 2 == 0); i++) {
        more = kfi_ledger_prune(&bare->ledger, bare->now_ms, 1, &bare->after);
        REQUIRE(world, bare_count(&bare->after.ended) <= 2,
                "more than one key was pruned, and one behind it cleared");
        after_rule(world);
        check_world(world);
    }
    if (more)
        return;
    for (size_t i = 0; i < world->key_count; i++) {
        const struct key *key = &world->keys[i];
        REQUIRE(world,
                key->state != LIVE ||
                    bare->now_ms - key->landed_at < key->least.max_age_ms + KFI_WHEEL_LATE_MS,
                "a key was not pruned");
    }
    kfi_ledger_prune_failures(&bare->ledger, bare->now_ms, &bare->after);
    for (unsigned i = 0; i < KEYS; i++) {
        const struct place *place = bare_place(bare, i);
        REQUIRE(world, place == NULL || place->failure == NULL || bare->now_ms < place->failure->past_ms,
                "a failure was not forgotten");
    }
    after_rule(world);
}

/* A message was shorter than was reserved for it; the ledger hears of it at its next look. */
static void step_settle(struct world *world, const struct step *step)
{
    const struct place *place = bare_place(&world->bare, step->a % KEYS);
    if (place == NULL || place->entry == NULL)
        return;
    struct key *key = key_of(world, place->entry->materials);
    if (!policies[key->policy].settle || key->bytes == 0)
        return;
    const uint64_t bytes = 1 + step->b % key->bytes;
    kfi_materials_settle(key->materials, bytes);
    key->bytes -= bytes;
    world->counted.settled_bytes += bytes;
}

/* ---- What must hold after every step ---- */

/* Checks a tree, and lists its nodes, from the first to the last. */
static void check_order(struct world *world, const struct order_node *node, const struct order_node *up,
                        const struct order_node **listed, size_t *count)
{
    if (node == NULL)
        return;
    struct kfi_measures least = node->own;
    const struct order_node *const below[] = {node->left, node->right};
    check_order(world, node->left, node, listed, count);
    REQUIRE(world, node->up == up, "a node is below another one than it knows");
    REQUIRE(world, *count == 0 || listed[*count - 1]->number < node->number, "nodes are out of order");
    listed[(*count)++] = node;
    check_order(world, node->right, node, listed, count);
    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; below[side] != NULL && i < KFI_MEASURES; i++)
            least.of[i] = least.of[i] < below[side]->least.of[i] ? least.of[i] : below[side]->least.of[i];
    }
    REQUIRE(world, memcmp(&least, &node->least, sizeof least) == 0, "a node has not summed up what is below");
}

/* The line is those who wait, in the order in which they came. */
static size_t check_waiting(struct world *world, const struct place *place, unsigned key)
{
    static const struct order_node *listed[CALLERS_MAX];
    size_t count = 0, at = 0;
    check_order(world, place->line.root, NULL, listed, &count);
    for (size_t i = 0; i < world->caller_count; i++) {
        const struct caller *caller = &world->callers[i];
        if (in_line(caller) && caller->key == key)
            REQUIRE(world, at < count && listed[at++] == &caller->seat->in_line, "the line is out of order");
    }
    REQUIRE(world, at == count, "the line has somebody who does not wait");
    return count;
}

static void check_place(struct world *world, const struct place *place, struct kf_cache_stats *found)
{
    unsigned key;
    memcpy(&key, place->keyed.key.id, sizeof key);
    const bool stale = kfi_place_is_stale(&world->bare.ledger.turns.flights.shelf, place);
    size_t roomy = 0;
    for (size_t i = 0; i < world->key_count; i++) {
        const struct key *at = &world->keys[i];
        if (at->key != key || at->state != FLYING)
            continue;
        const bool has_room = !at->barred && at->messages < at->least.max_messages;
        const struct kfi_measures gives = kfi_budget_gives(&at->flight->budget, 0);
        const struct kfi_measures turned = kfi_measures_turned(&gives);
        REQUIRE(world, kfi_flights_roomy(&world->bare.ledger.turns.flights, at->flight) == has_room,
                "flight %d is %s those with room", (int)i, has_room ? "not among" : "among");
        REQUIRE(world, !has_room || memcmp(&at->flight->in_place.own, &turned, sizeof turned) == 0,
                "flight %d has other room than it shows", (int)i);
        REQUIRE(world, at->flight->budget.messages == at->messages && at->flight->budget.bytes == at->bytes,
                "a flight is charged otherwise than its callers");
        roomy += has_room;
    }
    const size_t flying = under_way(world, key);
    REQUIRE(world, place->under_way == flying, "flights under way");
    static const struct order_node *listed[FLIGHTS_MAX];
    size_t listed_count = 0;
    check_order(world, place->roomy.root, NULL, listed, &listed_count);
    REQUIRE(world, stale || listed_count == roomy, "flights with room");
    REQUIRE(world, !world->alike || flying <= policies[world->alike_policy].max_flights,
            "more than max_flights");
    const size_t waiting = check_waiting(world, place, key);
    REQUIRE(world, waiting == 0 || flying > 0, "P6: callers wait and no flight is under way");
    REQUIRE(world, place->parked == NULL || place->entry != NULL, "parked without an entry");
    REQUIRE(world,
            place->holds == (place->entry != NULL) + flying + (place->failure != NULL) && place->holds > 0,
            "a place has %d holds", (int)place->holds);
    found->queued += waiting;
    found->parked += place->parked != NULL;
    found->entries += place->entry != NULL;
    const struct entry *const kept[] = {place->entry, place->parked};
    for (size_t i = 0; i < 2; i++) {
        if (kept[i] == NULL)
            continue;
        struct key *known = key_of(world, kept[i]->materials);
        if (known->parked && i == 0)
            known->used_at = ++world->clock; /* it has become the entry */
        known->parked = i == 1;
        REQUIRE(world, known->state == LIVE && known->barred == stale && known->key == key,
                "an entry that is none");
        REQUIRE(world, kept[i]->budget.messages == known->messages, "an entry is charged otherwise");
        REQUIRE(world, kept[i]->budget.bytes >= known->bytes, "an entry forgot bytes");
        REQUIRE(world, kept[i]->budget.limits.max_messages == known->least.max_messages,
                "limits of an entry");
        REQUIRE(world, kept[i]->budget.limits.max_age_ms == known->least.max_age_ms, "age of an entry");
    }
}

static void check_callers(struct world *world, struct kf_cache_stats *found)
{
    for (size_t i = 0; i < world->caller_count; i++) {
        const struct caller *caller = &world->callers[i];
        if (caller->seat == NULL || caller->answered || caller->in < 0)
            continue;
        found->waiting++;
        REQUIRE(world, world->keys[caller->in].state == FLYING, "P4: a caller sits in a flight that landed");
    }
}

static void check_world(struct world *world)
{
    struct bare *bare = &world->bare;
    struct kf_cache_stats found = world->counted;
    const struct kf_cache_stats stats = bare_stats(bare);
    const struct table *table = kfi_ledger_table(&bare->ledger);
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct kfi_list *bucket = kfi_table_bucket(table, i);
        for (struct kfi_link *at = kfi_list_first(bucket); at != NULL; at = kfi_list_next(bucket, at))
            check_place(world, KFI_CONTAINER(at, struct place, keyed.in_bucket), &found);
    }
    check_callers(world, &found);
    size_t live = 0;
    for (size_t i = 0; i < world->key_count; i++)
        live += world->keys[i].state == LIVE;
    REQUIRE(world, live == found.entries + found.parked, "a key that has not ended is nowhere");
    REQUIRE(world, stats.entries <= world->capacity, "more entries than the capacity");
    REQUIRE(world, stats.entries == bare_count(&bare->ledger.turns.flights.shelf.by_use), "order of use");
    found.size = stats.size;
    found.settled_bytes = stats.settled_bytes; /* heard of at the next look only */
    REQUIRE(world, stats.settled_bytes <= world->counted.settled_bytes, "more was settled than given back");
    const uint64_t *a = &found.hits, *b = &stats.hits;
    for (size_t i = 0; i < (sizeof stats - offsetof(struct kf_cache_stats, hits)) / sizeof *a; i++)
        REQUIRE(world, a[i] == b[i], "counter %d says %llu, there were %llu", (int)i,
                (unsigned long long)b[i], (unsigned long long)a[i]);
}

/* ---- Cases ---- */

struct a_case {
    uint64_t seed;
    size_t count;
    struct step steps[CASE_MAX];
};

static void case_draw(struct a_case *drawn, uint64_t seed, size_t count)
{
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    drawn->seed = seed;
    drawn->count = count;
    for (size_t i = 0; i < count; i++) {
        const uint64_t r = random_next(&state);
        drawn->steps[i] = (struct step){(unsigned)(r >> 56) % STEP_KINDS, (unsigned)(r >> 40) & 0xffff,
                                        (unsigned)(r >> 24) & 0xffff, (unsigned)r & 0xffff};
    }
}

static void step_do(struct world *world, const struct step *step)
{
    const char *name = step_names[step->kind];
    if (strcmp(name, "ask") == 0)
        step_ask(world, step);
    else if (strcmp(name, "land") == 0)
        step_land(world, step);
    else if (strcmp(name, "cancel") == 0)
        step_cancel(world, step);
    else if (strcmp(name, "advance") == 0)
        world->bare.now_ms += step->a % 60 + (step->b % 16 == 0 ? KFI_WHEEL_LATE_MS : 0);
    else if (strcmp(name, "prune") == 0)
        step_prune(world, step);
    else if (strcmp(name, "settle") == 0)
        step_settle(world, step);
    else if (strcmp(name, "sweep") == 0)
        (void)step_sweep(world, step);
    else if (step->a % 4 == 0)
        step_clear(world, step);
}

/* Everything ends: flights land, callers leave, the ledger goes. */
static void world_end(struct world *world)
{
    const struct step land = {.b = 1};
    while (true) {
        size_t flying = 0;
        for (size_t i = 0; i < world->key_count; i++)
            flying += world->keys[i].state == FLYING;
        if (flying == 0)
            break;
        step_land(world, &land);
        check_world(world);
    }
    for (size_t i = 0; i < world->caller_count; i++) {
        struct caller *caller = &world->callers[i];
        if (caller->seat == NULL)
            continue;
        REQUIRE(world, caller->answered, "P6: somebody was never answered");
        bare_leave(&world->bare, caller->seat);
        caller->seat = NULL;
        after_rule(world);
    }
    bare_close(&world->bare);
}

/* Runs a case; false, and why, if something did not hold. A world that failed is not cleaned up. */
static bool case_run(const struct a_case *a_case, char why[200])
{
    static struct world world;
    memset(&world, 0, offsetof(struct world, keys));
    world.key_count = world.caller_count = 0;
    memset(world.failed_until, 0, sizeof world - offsetof(struct world, failed_until));
    world.capacity = a_case->seed % 5;
    world.alike = a_case->seed % 4 == 0;
    world.alike_policy = 3 + (unsigned)(a_case->seed / 4 % 3);
    bare_open(&world.bare, world.capacity);
    if (setjmp(world.out) != 0) {
        memcpy(why, world.why, 200);
        return false;
    }
    for (size_t i = 0; i < a_case->count; i++) {
        step_do(&world, &a_case->steps[i]);
        check_world(&world);
    }
    world_end(&world);
    return true;
}

/* Leaves out parts of so many steps that are not needed for a failure. */
static void case_shrink_by(struct a_case *a_case, size_t part, char why[200])
{
    for (size_t at = 0; at + part <= a_case->count;) {
        struct a_case shorter = *a_case;
        memmove(&shorter.steps[at], &shorter.steps[at + part],
                (a_case->count - at - part) * sizeof(struct step));
        shorter.count -= part;
        if (case_run(&shorter, why))
            at += part;
        else
            *a_case = shorter;
    }
}

/* Halves first, single steps at last, and again until nothing more can go. */
static void case_shrink(struct a_case *a_case, char why[200])
{
    for (size_t count = SIZE_MAX; a_case->count < count;) {
        count = a_case->count;
        for (size_t part = count / 2; part > 0; part /= 2)
            case_shrink_by(a_case, part, why);
    }
    (void)!case_run(a_case, why);
}

static void case_print(const struct a_case *a_case, const char *why)
{
    printf("seed %llu, capacity %llu: %s\n", (unsigned long long)a_case->seed,
           (unsigned long long)(a_case->seed % 5), why);
    for (size_t i = 0; i < a_case->count; i++) {
        const struct step *step = &a_case->steps[i];
        printf("    {%2u, %5u, %5u, %5u}, /* %s */\n", step->kind, step->a, step->b, step->c,
               step_names[step->kind]);
    }
}

static uint64_t steps_wanted = 300000, seed_first = 1;
static size_t case_length = 200;

static void random_steps_keep_every_promise(void **state)
{
    (void)state;
    static struct a_case drawn;
    char why[200];
    uint64_t seed = seed_first;
    for (uint64_t steps = 0; steps < steps_wanted; steps += case_length, seed++) {
        case_draw(&drawn, seed, case_length);
        if (!case_run(&drawn, why)) {
            case_shrink(&drawn, why);
            case_print(&drawn, why);
            fail();
        }
    }
}

/* P2: a burst of equal questions makes exactly max(0, ceil((N - W) / u)) flights, at any capacity. */
static void bursts_make_exactly_as_many_flights_as_the_limits_demand(void **state)
{
    (void)state;
    uint64_t random = seed_first;
    for (unsigned round = 0; round < 2000; round++) {
        struct bare bare;
        struct seat *seats[200];
        struct flight *flights[201];
        const uint64_t max_messages = 1 + random_next(&random) % 9, length = random_next(&random) % 4 * 10;
        const uint64_t max_bytes = length + random_next(&random) % 200;
        const uint64_t u = length == 0 ? max_messages : least(max_messages, max_bytes / length);
        const size_t count = 1 + random_next(&random) % 200, warm = random_next(&random) % 6;
        const struct kfi_policy policy = bare_policy(max_messages, max_bytes, 1000);
        bare_open(&bare, random_next(&random) % 3);
        uint64_t left = 0;
        for (size_t i = 0; i < warm; i++) { /* one by one: each lands before the next asks */
            struct seat *seat;
            struct flight *flight;
            const struct ledger_answer answer = bare_ask(&bare, 0, &policy, length, &seat, &flight);
            if (answer.look == KFI_LEDGER_OPENED)
                bare_land(&bare, flight, KF_OK, NULL);
            else
                kfi_materials_unref(answer.materials);
            if (seat != NULL)
                bare_leave(&bare, seat);
            bare_tidy(&bare);
            left = bare.ledger.turns.flights.shelf.capacity == 0 ? 0 : left > 0 ? left - 1 : u - 1;
        }
        size_t opened = 0;
        for (size_t i = 0; i < count; i++) {
            const struct ledger_answer answer =
                bare_ask(&bare, 0, &policy, length, &seats[i], &flights[opened]);
            if (answer.look == KFI_LEDGER_HIT)
                kfi_materials_unref(answer.materials);
            opened += answer.look == KFI_LEDGER_OPENED;
        }
        const uint64_t misses = count > left ? count - left : 0;
        assert_int_equal(opened, (misses + u - 1) / u);
        for (size_t i = 0; i < opened; i++)
            bare_land(&bare, flights[i], KF_OK, NULL);
        bare_tidy(&bare);
        for (size_t i = 0; i < count; i++) {
            const struct kfi_materials *materials;
            if (seats[i] == NULL)
                continue;
            assert_int_equal(kfi_ledger_answer(seats[i], &materials), KF_OK);
            kfi_materials_unref(materials);
            bare_leave(&bare, seats[i]);
        }
        bare_close(&bare);
    }
}

int main(int count, char **words)
{
    for (int i = 1; i + 1 < count; i += 2) {
        const unsigned long long number = strtoull(words[i + 1], NULL, 10);
        if (strcmp(words[i], "--steps") == 0)
            steps_wanted = number;
        else if (strcmp(words[i], "--seed") == 0)
            seed_first = number;
        else if (strcmp(words[i], "--case") == 0 && number > 0 && number <= CASE_MAX)
            case_length = (size_t)number;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bursts_make_exactly_as_many_flights_as_the_limits_demand),
        cmocka_unit_test(random_steps_keep_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
