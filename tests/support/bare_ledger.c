/*
 * The bare ledger: see bare_ledger.h.
 */
#include "support/bare_ledger.h"

#include "base/memory.h"

void bare_open(struct bare *bare, size_t capacity)
{
    bare->now_ms = 1000;
    kfi_ledger_init(&bare->ledger, capacity, UINT64_C(0x9E3779B97F4A7C15));
    kfi_aftermath_init(&bare->after);
}

void bare_close(struct bare *bare)
{
    (void)kfi_ledger_sweep(&bare->ledger, kfi_ledger_clear(&bare->ledger), SIZE_MAX, &bare->after);
    bare_tidy(bare);
    for (void *part; (part = kfi_table_take_back(kfi_ledger_table(&bare->ledger))) != NULL;)
        kfi_free(part);
}

static void entry_free(struct entry *entry)
{
    kfi_materials_unref(entry->materials);
    kfi_free(entry);
}

void bare_tidy(struct bare *bare)
{
    struct aftermath *after = &bare->after;
    if (after->buckets > 0)
        kfi_free(kfi_table_give(kfi_ledger_table(&bare->ledger),
                                kfi_alloc(after->buckets * sizeof(struct kfi_list)), after->buckets));
    after->buckets = 0;
    for (struct kfi_link *link; (link = kfi_list_pop(&after->answered)) != NULL;)
        bare_seat_unref(KFI_CONTAINER(link, struct seat, base.link));
    for (struct kfi_link *link; (link = kfi_list_pop(&after->seated)) != NULL;)
        bare_seat_unref(KFI_CONTAINER(link, struct seat, told));
    for (struct kfi_link *link; (link = kfi_list_pop(&after->ended)) != NULL;)
        entry_free(KFI_CONTAINER(link, struct entry, by_use));
    for (struct kfi_link *link; (link = kfi_list_pop(&after->places)) != NULL;)
        kfi_free(KFI_CONTAINER(link, struct place, keyed.in_bucket));
    for (struct kfi_link *link; (link = kfi_list_pop(&after->failures)) != NULL;)
        kfi_free(KFI_CONTAINER(link, struct failure, link));
}

size_t bare_count(struct kfi_list *list)
{
    size_t count = 0;
    for (struct kfi_link *link = kfi_list_first(list); link != NULL; link = kfi_list_next(list, link))
        count++;
    return count;
}

struct kfi_cache_key bare_key(unsigned number)
{
    struct kfi_cache_key key;
    memset(&key, 0, sizeof key);
    memcpy(key.id, &number, sizeof number);
    return key;
}

enum kfi_direction bare_direction(unsigned number)
{
    return number % 2 == 0 ? KFI_ENCRYPTION : KFI_DECRYPTION;
}

struct kfi_policy bare_policy(uint64_t max_messages, uint64_t max_bytes, uint64_t max_age_ms)
{
    return (struct kfi_policy){.limits = {max_messages, max_bytes, max_age_ms}};
}

/* ---- Flights and seats ---- */

static void flight_destroy(struct kfi_flight *base)
{
    struct flight *flight = KFI_CONTAINER(base, struct flight, base);
    kfi_materials_unref(flight->materials);
    kfi_free(flight->entry);
    kfi_free(flight->spare);
    kfi_free(flight->failure);
    kfi_free(flight);
}

static const struct kfi_materials *materials_new(enum kfi_direction direction)
{
    const struct kfi_suite *suite = kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    return direction == KFI_ENCRYPTION ? &kfi_encryption_materials_new(suite)->head
                                       : &kfi_decryption_materials_new(suite)->head;
}

struct flight *bare_flight_new(unsigned key, const struct kfi_policy *policy)
{
    static const struct kfi_flight_class class = {.destroy = flight_destroy};
    struct flight *flight = kfi_alloc_zeroed(sizeof *flight);
    kfi_flight_init(&flight->base, &class, 0);
    flight->key = bare_key(key);
    flight->direction = bare_direction(key);
    flight->policy = policy;
    flight->entry = kfi_alloc_zeroed(sizeof *flight->entry);
    flight->spare = kfi_alloc_zeroed(sizeof *flight->spare);
    flight->failure = kfi_alloc_zeroed(sizeof *flight->failure);
    flight->materials = materials_new(flight->direction);
    return flight;
}

void bare_flight_unref(struct flight *flight)
{
    kfi_flight_unref(flight != NULL ? &flight->base : NULL);
}

static void seat_end(struct kfi_seat *base)
{
    kfi_materials_unref(KFI_CONTAINER(base, struct seat, base)->materials);
}

struct seat *bare_seat_new(const struct kfi_policy *policy, uint64_t length)
{
    static const struct kfi_seat_class class = {.size = sizeof(struct seat), .end = seat_end};
    struct seat *seat = kfi_alloc_zeroed(sizeof *seat);
    kfi_refs_init(&seat->base.refs);
    seat->base.class = &class;
    seat->policy = policy;
    seat->length = length;
    seat->code = KF_PENDING;
    return seat;
}

void bare_seat_unref(struct seat *seat)
{
    kfi_seat_unref(seat != NULL ? &seat->base : NULL);
}

/* ---- Rules ---- */

struct ledger_answer bare_ask(struct bare *bare, unsigned key, const struct kfi_policy *policy,
                              uint64_t length, struct seat **seat, struct flight **flight)
{
    const struct ledger_question question = {
        .key = bare_key(key), .direction = bare_direction(key), .policy = policy, .length = length};
    struct ledger_answer answer;
    *seat = NULL;
    *flight = NULL;
    for (;;) {
        kfi_ledger_ask(&bare->ledger, &question, *seat, *flight, bare->now_ms, &answer, &bare->after);
        if (answer.look < KFI_LEDGER_WANTS_SEAT)
            break;
        if (*seat == NULL)
            *seat = bare_seat_new(policy, length);
        if (answer.look == KFI_LEDGER_WANTS_FLIGHT)
            *flight = bare_flight_new(key, policy);
    }
    if (answer.look == KFI_LEDGER_HIT || answer.look == KFI_LEDGER_REFUSED) {
        bare_seat_unref(*seat);
        *seat = NULL;
    }
    if (answer.look != KFI_LEDGER_OPENED) {
        bare_flight_unref(*flight);
        *flight = NULL;
    }
    return answer;
}

bool bare_land(struct bare *bare, struct flight *flight, enum kf_code code, struct flight *next)
{
    flight->base.code = code;
    if (code != KF_OK)
        kf_error_set(&flight->base.error, code, "told");
    const bool opened = kfi_ledger_land(&bare->ledger, flight, next, bare->now_ms, &bare->after);
    bare_flight_unref(flight);
    if (!opened)
        bare_flight_unref(next);
    bare_flight_unref(bare->after.awaited);
    bare->after.awaited = NULL;
    return opened;
}

void bare_leave(struct bare *bare, struct seat *seat)
{
    kfi_ledger_leave(&bare->ledger, seat, &bare->after);
    bare_seat_unref(seat);
}

/* ---- Looking ---- */

struct place *bare_place(struct bare *bare, unsigned key)
{
    const struct kfi_cache_key wanted = bare_key(key);
    struct keyed *keyed = kfi_table_find(kfi_ledger_table(&bare->ledger), &wanted);
    return keyed == NULL ? NULL : KFI_CONTAINER(keyed, struct place, keyed);
}

struct kf_cache_stats bare_stats(const struct bare *bare)
{
    struct kf_cache_stats stats = {.size = sizeof stats};
    for (enum kfi_direction direction = 0; direction < KFI_DIRECTIONS; direction++)
        kfi_ledger_stats_add(&bare->ledger, direction, &stats);
    return stats;
}
