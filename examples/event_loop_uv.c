/* Encrypts five thousand messages on one thread, in libuv's loop, while a key service is asked for their keys. */
#include <keyflight/keyflight.h>
#include <stdio.h>
#include <uv.h>

#include "slow_service.h"

static struct kf_jobs *jobs;
static uv_async_t woken;
static uv_timer_t deadline = {.data = &woken};

static void wake(void *context) /* may come from any thread, so it only posts */
{
    uv_async_send(context);
}

static void on_deadline(uv_timer_t *timer)
{
    uv_async_send(timer->data);
}

static void on_woken(uv_async_t *async)
{
    if (kf_jobs_run(jobs, NULL) != KF_PENDING)
        uv_stop(async->loop); /* all are done */
    uv_timer_start(&deadline, on_deadline, kf_jobs_deadline(jobs), 0);
}

static void on_done(void *context, const struct kf_job_result *result)
{
    demand(result->code, result->error);
    *(size_t *)context += result->out->length; /* the message is in result->out */
}

int main(void)
{
    struct kf_cmm *cmm = slow_service_cmm();
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    size_t bytes = 0;
    uv_async_init(uv_default_loop(), &woken, on_woken);
    uv_timer_init(uv_default_loop(), &deadline);
    options.waker = (struct kf_waker){wake, &woken};
    demand(kf_jobs_new(&options, &error, &jobs), &error);
    for (int i = 0; i < 5000; i++)
        demand(kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text("Hi"), on_done, &bytes, &error, NULL), &error);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    printf("5000 messages, %zu bytes, %u data keys\n", bytes, slow_service_calls);
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    kf_cleanup();
}
