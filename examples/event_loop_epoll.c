/* Encrypts five thousand messages on one thread, in a loop of epoll, while a key service is asked for their keys. */
#include <keyflight/keyflight.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "slow_service.h"

static void wake(void *context) /* may come from any thread, so it only posts */
{
    eventfd_write(*(const int *)context, 1);
}

static void on_done(void *context, const struct kf_job_result *result)
{
    demand(result->code, result->error);
    *(size_t *)context += result->out->length; /* the message is in result->out */
}

int main(void)
{
    struct kf_cmm *cmm = slow_service_cmm();
    struct kf_jobs *jobs;
    struct kf_jobs_options options = KF_JOBS_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    size_t bytes = 0;
    int woken = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = woken};
    epoll_ctl(epoll, EPOLL_CTL_ADD, woken, &event);
    options.waker = (struct kf_waker){wake, &woken};
    demand(kf_jobs_new(&options, &error, &jobs), &error);
    for (int i = 0; i < 5000; i++)
        demand(kf_jobs_encrypt(jobs, cmm, NULL, kf_view_text("Hi"), on_done, &bytes, &error, NULL), &error);
    while (kf_jobs_run(jobs, NULL) == KF_PENDING) {
        const uint64_t ms = kf_jobs_deadline(jobs);
        if (epoll_wait(epoll, &event, 1, ms > INT_MAX ? -1 : (int)ms) == 1 && event.data.fd == woken)
            eventfd_read(woken, &(eventfd_t){0}); /* other descriptors are yours */
    }
    printf("5000 messages, %zu bytes, %u data keys\n", bytes, slow_service_calls);
    kf_jobs_free(jobs);
    kf_cmm_unref(cmm);
    kf_cleanup();
    close(epoll);
    close(woken);
}
