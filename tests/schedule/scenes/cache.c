/*
 * Scenes of the cache: bursts, arrivals at any time, failures, cancellations, expiry, clearing, refreshes ahead of need,
 * lines (max_flights), and CMMs of different limits in one partition.
 */
#include "schedule/scenes/cache.h"

#include "schedule/scenes/stage.h"

#define CALLERS_MAX 8

/* What the threads of a scene have in common. */
struct show {
    struct source source;
    struct kf_keyring *keyring;
    struct kf_cache *cache;
    struct kf_cmm *cmm[2]; /* of different limits; some scenes have one only */
    uint32_t limit[2];
    unsigned callers, contexts;
    unsigned asked; /* callers whose first poll has returned */
    bool cancels, expires, fails;
    uint64_t max_age_ms, timeout_ms;
    uint64_t cleared_begin, cleared_end; /* moments of the last kf_cache_clear that has ended */
    unsigned answered, refused, left;
    unsigned cleaning;   /* threads that call kf_cleanup */
    uint64_t overdue_ms; /* the time limit of a fetch, if fetches may come to it */
};

struct part {
    struct show *show;
    unsigned number, messages;
};

static void show_open(struct show *show, size_t capacity, struct kf_caching_cmm_options *options)
{
    source_open(&show->source);
    show->keyring = source_keyring(&show->source);
    show->cache = stage_cache(capacity);
    options->cache = show->cache;
    options->keyring = show->keyring;
    show->limit[0] = show->limit[1] = (uint32_t)options->max_messages;
    show->cmm[0] = stage_cmm(options);
    show->cmm[1] = kf_cmm_ref(show->cmm[0]);
    show->contexts = 1;
}

static struct kf_caching_cmm_options show_options(void)
{
    return stage_options(NULL, NULL, 2 + (uint32_t)machine_random(2));
}

static void show_close(struct show *show)
{
    kf_cmm_unref(show->cmm[0]);
    kf_cmm_unref(show->cmm[1]);
    kf_keyring_unref(show->keyring);
    const struct kf_cache_stats stats = stage_stats(show->cache);
    CHECK(stats.waiting == 0 && stats.queued == 0, "P4", "%llu callers still wait.",
          (unsigned long long)stats.waiting);
    kf_cache_unref(show->cache);
    kf_cleanup(); /* ends fetches in which nobody is seated any more */
    source_close(&show->source);
    CHECK(show->source.under_way == 0, "leak", "%u fetches are still under way.", show->source.under_way);
}

static void show_play(struct show *show, unsigned callers, unsigned messages, void *(*run)(void *))
{
    struct part parts[CALLERS_MAX];
    show->callers = callers;
    for (unsigned i = 0; i < callers; i++)
        parts[i] = (struct part){show, i, messages};
    stage_threads("caller", run, parts, sizeof parts[0], callers);
}

static uint32_t rounded_up(uint32_t callers, uint32_t limit)
{
    return (callers + limit - 1) / limit;
}

/* Checks what a caller with a key may expect of that key. */
static void check_key(const struct show *show, const struct caller *caller, uint64_t cleared_before)
{
    const struct key *key = &show->source.keys[caller->key];
    if (show->expires)
        CHECK(caller->asked_ms <= key->seen_ms + show->max_age_ms, "P1",
              "Key %u is handed out %llu ms too late.", caller->key,
              (unsigned long long)(caller->asked_ms - key->seen_ms - show->max_age_ms));
    CHECK(key->begun > cleared_before, "clear", "Key %u comes from before the clearing.", caller->key);
}

/* Whether an error is one that this scene gives reasons for. */
static bool is_expected(const struct show *show, enum kf_code code)
{
    if (code == KF_E_RETRY)
        return show->fails;
    if (code == KF_E_TIMEOUT)
        return show->timeout_ms > 0 || show->overdue_ms > 0;
    return code == KF_E_CLEANED_UP && show->cleaning > 0;
}

/* One caller: asks until it is answered, or gives up on the way. */
static void ask(struct part *part, bool may_cancel)
{
    struct show *show = part->show;
    const unsigned which = part->number % 2;
    const struct ask_options options = {
        .cmm = show->cmm[which],
        .length = 1,
        .timeout_ms = show->timeout_ms,
        .context = (unsigned)machine_random(show->contexts),
    };
    struct caller caller;
    const uint64_t cleared_before = show->cleared_begin;
    const bool blocking = !may_cancel && machine_random(3) == 0;
    caller_begin(&caller, &options);
    if (blocking) {
        caller_wait(&caller, &show->source, show->limit[which], true);
    } else {
        caller_poll(&caller, &show->source, show->limit[which]);
        if (may_cancel && machine_random(2) == 0) {
            if (machine_random(2) == 0)
                machine_sleep(machine_random(30));
        } else if (caller.code == KF_PENDING) {
            bell_wait(&caller.bell, kf_encryptor_deadline(caller.encryptor));
            caller_wait(&caller, &show->source, show->limit[which], false);
        }
    }
    if (caller.code == KF_OK) {
        check_key(show, &caller, cleared_before);
        show->answered++;
    } else if (caller.code == KF_PENDING) {
        show->left++;
    } else {
        CHECK(is_expected(show, caller.code), "P4", "A caller fails without a reason: %s",
              kf_encryptor_error(caller.encryptor)->text);
        show->refused++;
    }
    caller_end(&caller);
}

static void *ask_often(void *context)
{
    struct part *part = context;
    for (unsigned i = 0; i < part->messages; i++) {
        if (part->show->expires)
            machine_sleep(machine_random(30));
        ask(part, part->show->cancels);
    }
    return NULL;
}

/* ---- Bursts: exact whatever the capacity ---- */

static void *ask_in_a_burst(void *context)
{
    struct part *part = context;
    struct show *show = part->show;
    const struct ask_options options = {.cmm = show->cmm[0], .length = 1};
    struct caller caller;
    caller_begin(&caller, &options);
    CHECK(caller_poll(&caller, &show->source, show->limit[0]) == KF_PENDING, "P2",
          "A caller is served too early.");
    if (++show->asked == show->callers)
        source_gate_open(&show->source);
    bell_wait(&caller.bell, UINT64_MAX);
    CHECK(caller_wait(&caller, &show->source, show->limit[0], false) == KF_OK, "P4", "A caller fails: %s",
          kf_encryptor_error(caller.encryptor)->text);
    caller_end(&caller);
    return NULL;
}

void scene_burst(void)
{
    struct show show = {.source = {.way = BY_SERVICE, .gated = true}};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(6);
    show_open(&show, machine_random(2), &options);
    show_play(&show, callers, 1, ask_in_a_burst);
    const uint32_t expected = rounded_up(callers, show.limit[0]);
    CHECK(show.source.begun == expected, "P2", "%u callers need %u fetches, %u were made.", callers, expected,
          show.source.begun);
    CHECK(show.source.peak == expected, "P3", "At most %u of %u fetches were under way at once.",
          show.source.peak, expected);
    show_close(&show);
}

/* ---- Callers at any time: exact as long as nothing is evicted ---- */

void scene_any_time(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 20}};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 1 + (unsigned)machine_random(6), messages = 1 + (unsigned)machine_random(4);
    options.max_flights = (uint32_t)machine_random(3);
    show_open(&show, 1 + machine_random(2), &options);
    show_play(&show, callers, messages, ask_often);
    const uint32_t expected = rounded_up(callers * messages, show.limit[0]);
    CHECK(show.source.begun == expected && show.answered == callers * messages, "P2",
          "%u messages need %u fetches, %u were made.", show.answered, expected, show.source.begun);
    if (options.max_flights > 0)
        CHECK(show.source.peak <= options.max_flights, "line",
              "%u fetches were under way at once, %u are allowed.", show.source.peak, options.max_flights);
    show_close(&show);
}

/* ---- Cancellations ---- */

void scene_cancel(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 20}, .cancels = true};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(5), messages = 1 + (unsigned)machine_random(4);
    options.max_flights = (uint32_t)machine_random(3);
    show.timeout_ms = machine_random(2) * 10;
    show_open(&show, 1, &options);
    show_play(&show, callers, messages, ask_often);
    const uint32_t most = rounded_up(callers * messages, show.limit[0]);
    CHECK(show.source.begun <= most, "P2", "%u messages need %u fetches at most, %u were made.",
          callers * messages, most, show.source.begun);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    show_close(&show);
}

/* ---- Failures ---- */

void scene_failures(void)
{
    struct show show = {.source = {.way = ANY_WAY, .fail_permille = 300}, .fails = true};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(5), messages = 1 + (unsigned)machine_random(3);
    options.max_flights = (uint32_t)machine_random(3);
    options.failure_backoff_ms = machine_random(3) == 0 ? 10 : 0;
    show.cancels = machine_random(2) == 0;
    show_open(&show, machine_random(2), &options);
    show_play(&show, callers, messages, ask_often);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    /* Failures are forgotten: whoever comes later is served. (A fetch that was given up may be about to fail.) */
    show.source.fail_permille = 0;
    machine_sleep(10 * 64);
    struct part later = {&show, 0, 1};
    const unsigned answered = show.answered;
    ask(&later, false);
    CHECK(show.cancels || show.answered == answered + 1, "P5",
          "A caller fails because of failures before it.");
    show_close(&show);
}

/* ---- Expiry ---- */

void scene_expiry(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = 20}, .expires = true};
    struct kf_caching_cmm_options options = show_options();
    show.max_age_ms = options.max_age_ms = 10 + machine_random(50);
    options.refresh_ahead_permille = (uint32_t)machine_random(2) * 400;
    show.cancels = machine_random(3) == 0;
    show_open(&show, machine_random(3), &options);
    show_play(&show, 2 + (unsigned)machine_random(4), 1 + (unsigned)machine_random(5), ask_often);
    show_close(&show);
}

/* ---- Clearing ---- */

static void *clear_often(void *context)
{
    struct show *show = context;
    for (unsigned i = 0; i < 3; i++) {
        machine_sleep(machine_random(10));
        const uint64_t begin = stage_moment();
        kf_cache_clear(show->cache);
        show->cleared_begin = begin;
    }
    return NULL;
}

void scene_clear(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = 10}};
    struct kf_caching_cmm_options options = show_options();
    options.max_flights = (uint32_t)machine_random(3);
    options.refresh_ahead_permille = (uint32_t)machine_random(2) * 400;
    show.cancels = machine_random(2) == 0;
    show_open(&show, 1 + machine_random(2), &options);
    show.contexts = 1 + (unsigned)machine_random(CONTEXTS);
    const unsigned clearing = machine_start("clearing", clear_often, &show, false);
    show_play(&show, 2 + (unsigned)machine_random(4), 1 + (unsigned)machine_random(4), ask_often);
    machine_join(clearing);
    show_close(&show);
}

/* ---- Refreshes ahead of need: at most one fetch more for each key ---- */

void scene_refresh(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(4), messages = 1 + (unsigned)machine_random(4);
    options.refresh_ahead_permille = 500 + (uint32_t)machine_random(500);
    options.max_flights = (uint32_t)machine_random(3);
    show.cancels = machine_random(3) == 0;
    show_open(&show, 1, &options);
    show_play(&show, callers, messages, ask_often);
    const uint32_t needed = rounded_up(callers * messages, show.limit[0]);
    CHECK(show.source.begun <= 2 * needed, "P2", "%u messages need %u fetches, %u were made.",
          callers * messages, needed, show.source.begun);
    show_close(&show);
}

/* ---- Different limits in one partition ---- */

void scene_unlike(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}};
    struct kf_caching_cmm_options options = stage_options(NULL, NULL, 3);
    options.max_flights = (uint32_t)machine_random(3);
    show.cancels = machine_random(2) == 0;
    show_open(&show, machine_random(3), &options);
    kf_cmm_unref(show.cmm[1]);
    options.max_messages = show.limit[1] = 1 + (uint32_t)machine_random(2);
    options.max_flights = (uint32_t)machine_random(3);
    options.settle = machine_random(2) == 0;
    show.cmm[1] = stage_cmm(&options);
    show_play(&show, 2 + (unsigned)machine_random(5), 1 + (unsigned)machine_random(4), ask_often);
    show_close(&show);
}

/* ---- The internal thread stops and starts again while all that goes on ---- */

static void *clean_often(void *context)
{
    struct show *show = context;
    for (unsigned i = 0; i < 3; i++) {
        machine_sleep(machine_random(10));
        kf_cleanup();
    }
    (void)show;
    return NULL;
}

void scene_cleanup(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}};
    struct kf_caching_cmm_options options = show_options();
    unsigned cleaning[2];
    options.max_flights = (uint32_t)machine_random(3);
    options.refresh_ahead_permille = (uint32_t)machine_random(2) * 400;
    show.cancels = machine_random(2) == 0;
    show.cleaning = 1 + (unsigned)machine_random(2);
    show_open(&show, machine_random(3), &options);
    for (unsigned i = 0; i < show.cleaning; i++)
        cleaning[i] = machine_start("cleaning", clean_often, &show, false);
    show_play(&show, 2 + (unsigned)machine_random(4), 1 + (unsigned)machine_random(4), ask_often);
    for (unsigned i = 0; i < show.cleaning; i++)
        machine_join(cleaning[i]);
    kf_cleanup();
    /* Now nothing is under way, and the library can be used again. */
    struct part later = {&show, 0, 1};
    show.cleaning = 0;
    ask(&later, false);
    show_close(&show);
}

/* ---- Fetches that block beyond their time ---- */

/* The device answers again, some time after the limit. */
static void *open_late(void *context)
{
    struct show *show = context;
    machine_sleep(machine_random(500));
    source_gate_open(&show->source);
    return NULL;
}

void scene_overdue(void)
{
    struct show show = {.source = {.way = BY_SERVICE, .blocks = true, .gated = true, .latency_ms = 20}};
    struct kf_caching_cmm_options options = show_options();
    show.overdue_ms = options.fetch_timeout_ms = 50;
    options.max_flights = (uint32_t)machine_random(3);
    show.cleaning = (unsigned)machine_random(2);
    show_open(&show, machine_random(3), &options);
    const unsigned callers = 2 + (unsigned)machine_random(5), messages = 1 + (unsigned)machine_random(3);
    const unsigned cleaning = show.cleaning > 0 ? machine_start("cleaning", clean_often, &show, false) : 0;
    const unsigned opening = machine_start("opening", open_late, &show, false);
    show_play(&show, callers, messages, ask_often);
    machine_join(opening);
    if (show.cleaning > 0)
        machine_join(cleaning);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    show_close(&show);
}
