/*
 * Scenes of wakers and timers: a place whose waker is replaced and taken away while others wake it, and timers that are set
 * and turned off while the internal thread fires them.
 */
#include "schedule/scenes/wakers.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/waker.h"
#include "schedule/scenes/stage.h"

#define ROUNDS 4
#define WAKERS 3

struct post {
    struct kf_call_waker *place;
    unsigned news; /* told by those who wake */
};

static void *post_news(void *context)
{
    struct post *post = context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (machine_random(2) == 0)
            machine_sleep(machine_random(5));
        post->news++;
        kf_call_waker_wake(post->place);
    }
    kf_call_waker_unref(post->place);
    return NULL;
}

/* Waits until there is news that was not seen; a wake that is lost would leave it waiting. */
static void await_news(struct post *post, struct bell *bell, unsigned *seen)
{
    while (post->news == *seen)
        bell_wait(bell, UINT64_MAX);
    *seen = post->news;
}

void scene_waker(void)
{
    struct post post = {.place = kfi_waker_new()};
    struct bell bells[ROUNDS * WAKERS + 1] = {{.rung = false}};
    unsigned numbers[WAKERS], seen = 0, used = 0;
    const unsigned wakers = 1 + (unsigned)machine_random(WAKERS);
    for (unsigned i = 0; i < wakers; i++) {
        kf_call_waker_ref(post.place);
        numbers[i] = machine_start("waking", post_news, &post, false);
    }
    while (seen < wakers * ROUNDS) {
        /* Set first, look then, as every poll does. */
        const struct kf_waker waker = bell_waker(&bells[used]);
        kfi_waker_set(post.place, &waker);
        if (used > 0 && !bells[used - 1].closed)
            bell_close(&bells[used - 1]);
        await_news(&post, &bells[used], &seen);
        if (machine_random(2) == 0) {
            kfi_waker_set(post.place, NULL);
            bell_close(&bells[used]);
        }
        used++;
    }
    kfi_waker_set(post.place, NULL);
    if (!bells[used - 1].closed)
        bell_close(&bells[used - 1]);
    kf_call_waker_unref(post.place);
    for (unsigned i = 0; i < wakers; i++)
        machine_join(numbers[i]);
    kf_cleanup();
}

/* ---- Timers ---- */

static void *set_timers(void *unused)
{
    struct kf_call_waker *place = kfi_waker_new();
    struct kfi_timer timer = {.set = false};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct bell bell = {.rung = false};
        const struct kf_waker waker = bell_waker(&bell);
        kfi_waker_set(place, &waker);
        const uint64_t when = kfi_now_ms() + machine_random(20);
        CHECK(kfi_timer_set(&timer, when, place, NULL) == KF_OK, "timer", "A timer can't be set.");
        if (machine_random(3) == 0) {
            machine_sleep(machine_random(20));
        } else {
            while (machine_now() < when)
                bell_wait(&bell, UINT64_MAX);
        }
        if (machine_random(2) == 0)
            kfi_timer_cancel(&timer);
        kfi_waker_set(place, NULL);
        bell_close(&bell);
    }
    kfi_timer_cancel(&timer);
    kf_call_waker_unref(place);
    return unused;
}

void scene_timers(void)
{
    unsigned elements[3] = {0};
    stage_threads("timing", set_timers, elements, sizeof elements[0], 1 + machine_random(3));
    kf_cleanup();
}
