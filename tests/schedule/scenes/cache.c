/*
 * Scenes of the cache: bursts, arrivals at any time, failures, cancellations, expiry, clearing, refreshes ahead of need,
 * lines (max_flights), and CMMs of different limits in one partition.
 */
#include "schedule/scenes/cache.h"

#include "schedule/arena.h"
#include "schedule/scenes/show.h"
#include "schedule/seam.h"

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
    const uint32_t expected = show_fetches(&show, callers);
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
    show_play(&show, callers, messages, show_ask_often);
    const uint32_t expected = show_fetches(&show, callers * messages);
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
    show_play(&show, callers, messages, show_ask_often);
    const uint32_t most = show_fetches(&show, callers * messages);
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
    show_play(&show, callers, messages, show_ask_often);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    /* Failures are forgotten: whoever comes later is served. (A fetch that was given up may be about to fail.) */
    show.source.fail_permille = 0;
    machine_sleep(10 * 64);
    struct part later = {&show, 0, 1};
    const unsigned answered = show.answered;
    show_ask(&later, false);
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
    show_play(&show, 2 + (unsigned)machine_random(4), 1 + (unsigned)machine_random(5), show_ask_often);
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
    show_play(&show, 2 + (unsigned)machine_random(4), 1 + (unsigned)machine_random(4), show_ask_often);
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
    show_play(&show, callers, messages, show_ask_often);
    const uint32_t needed = show_fetches(&show, callers * messages);
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
    show_play(&show, 2 + (unsigned)machine_random(5), 1 + (unsigned)machine_random(4), show_ask_often);
    show_close(&show);
}

/* ---- The internal thread stops and starts again while all that goes on ---- */

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
        cleaning[i] = machine_start("cleaning", show_clean_often, &show, false);
    show_play(&show, 2 + (unsigned)machine_random(4), 1 + (unsigned)machine_random(4), show_ask_often);
    for (unsigned i = 0; i < show.cleaning; i++)
        machine_join(cleaning[i]);
    kf_cleanup();
    /* Now nothing is under way, and the library can be used again. */
    struct part later = {&show, 0, 1};
    show.cleaning = 0;
    show_ask(&later, false);
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
    const unsigned cleaning =
        show.cleaning > 0 ? machine_start("cleaning", show_clean_often, &show, false) : 0;
    const unsigned opening = machine_start("opening", open_late, &show, false);
    show_play(&show, callers, messages, show_ask_often);
    machine_join(opening);
    if (show.cleaning > 0)
        machine_join(cleaning);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    show_close(&show);
}

/* ---- One allocation that fails, anywhere ---- */

void scene_no_memory(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}, .starves = true};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(4), messages = 1 + (unsigned)machine_random(3);
    options.max_flights = (uint32_t)machine_random(3);
    options.refresh_ahead_permille = (uint32_t)machine_random(2) * 400;
    show.cancels = machine_random(3) == 0;
    show_open(&show, machine_random(3), &options);
    arena_fail_after(machine_random(100 * callers));
    show_play(&show, callers, messages, show_ask_often);
    arena_fail_after(UINT64_MAX);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    show_close(&show);
}

/* ---- Threads that can't be started ---- */

void scene_no_thread(void)
{
    struct show show = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10},
                        .lacks_threads = true};
    struct kf_caching_cmm_options options = show_options();
    const unsigned callers = 2 + (unsigned)machine_random(4), messages = 1 + (unsigned)machine_random(3);
    options.max_flights = (uint32_t)machine_random(3);
    options.refresh_ahead_permille = (uint32_t)machine_random(2) * 400;
    show.cancels = machine_random(3) == 0;
    show.cleaning = (unsigned)machine_random(2);
    show_open(&show, machine_random(3), &options);
    seam_threads_fail(machine_random(3) == 0 ? 1000 : 500);
    const unsigned cleaning =
        show.cleaning > 0 ? machine_start("cleaning", show_clean_often, NULL, false) : 0;
    show_play(&show, callers, messages, show_ask_often);
    if (show.cleaning > 0)
        machine_join(cleaning);
    seam_threads_fail(0);
    CHECK(show.answered + show.refused + show.left == callers * messages, "P4", "Callers are lost.");
    show_close(&show);
}
