/*
 * Shows: see show.h.
 */
#include "schedule/scenes/show.h"

void show_open(struct show *show, size_t capacity, struct kf_caching_cmm_options *options)
{
    source_open(&show->source);
    show->keyring = source_keyring(&show->source);
    if (show->wrap != NULL)
        show->keyring = show->wrap(show, show->keyring);
    show->cache = stage_cache(capacity);
    options->cache = show->cache;
    options->keyring = show->keyring;
    show->limit[0] = show->limit[1] = (uint32_t)options->max_messages;
    show->cmm[0] = stage_cmm(options);
    show->cmm[1] = kf_cmm_ref(show->cmm[0]);
    show->contexts = 1;
}

struct kf_caching_cmm_options show_options(void)
{
    return stage_options(NULL, NULL, 2 + (uint32_t)machine_random(2));
}

void show_close(struct show *show)
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
    kf_cleanup(); /* a worker that was abandoned may have set a timer */
    CHECK(show->source.under_way == 0, "leak", "%u fetches are still under way.", show->source.under_way);
}

void show_play(struct show *show, unsigned callers, unsigned messages, void *(*run)(void *))
{
    struct part parts[CALLERS_MAX];
    show->callers = callers;
    for (unsigned i = 0; i < callers; i++)
        parts[i] = (struct part){show, i, messages};
    stage_threads("caller", run, parts, sizeof parts[0], callers);
}

uint32_t show_fetches(const struct show *show, uint32_t messages)
{
    return (messages + show->limit[0] - 1) / show->limit[0];
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
    if (code == KF_E_NO_MEMORY)
        return show->starves;
    if (code == KF_E_SYSTEM)
        return show->lacks_threads;
    return code == KF_E_CLEANED_UP && show->cleaning > 0;
}

/* One caller: asks until it is answered, or gives up on the way. */
void show_ask(struct part *part, bool may_cancel)
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
              kf_code_name(caller.code));
        show->refused++;
    }
    caller_end(&caller);
}

void *show_ask_often(void *context)
{
    struct part *part = context;
    for (unsigned i = 0; i < part->messages; i++) {
        if (part->show->expires)
            machine_sleep(machine_random(30));
        show_ask(part, part->show->cancels);
    }
    return NULL;
}

/* ---- The internal thread stops and starts again while all that goes on ---- */

void *show_clean_often(void *context)
{
    for (unsigned i = 0; i < 3; i++) {
        machine_sleep(machine_random(10));
        kf_cleanup();
    }
    return context;
}
