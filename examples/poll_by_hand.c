/*
 * One encryptor, polled by hand. For many at once, struct kf_jobs keeps wakers and deadlines: see
 * event_loop_epoll.c.
 *
 * A poll that has to wait answers KF_PENDING, and its waker is called once polling again is worth while. The
 * waker may come from another thread and must not block: it writes to an eventfd, on which the loop sleeps with
 * everything else that it may have to listen to.
 */
#include <keyflight/keyflight.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "slow_service.h"

static void wake(void *context)
{
    eventfd_write(*(const int *)context, 1);
}

/* Sleeps until the encryptor was woken, or has to be polled for its deadline. */
static void sleep_for(const struct kf_encryptor *encryptor, int woken)
{
    const uint64_t ms = kf_encryptor_deadline(encryptor);
    struct pollfd descriptors[] = {{.fd = woken, .events = POLLIN}}; /* and your sockets */
    if (poll(descriptors, 1, ms > INT_MAX ? -1 : (int)ms) == 1)
        eventfd_read(woken, &(eventfd_t){0});
}

int main(void)
{
    static const char plaintext[] = "It comes in pieces, as from a socket.";
    const size_t length = sizeof plaintext - 1;
    uint8_t message[1024];
    size_t taken = 0, written = 0;
    int woken = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const struct kf_waker waker = {wake, &woken};
    struct kf_cmm *cmm = slow_service_cmm();
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_encryptor *encryptor;
    struct kf_error error = KF_ERROR_INIT;
    options.plaintext_bound = length; /* a stream of unknown length would not be cached */
    options.timeout_ms = 5000;
    demand(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);

    enum kf_code code;
    do {
        struct kf_io io = {.in = (const uint8_t *)plaintext + taken,
                           .in_length = length - taken < 10 ? length - taken : 10,
                           .out = message + written,
                           .out_room = sizeof message - written};
        io.in_end = taken + io.in_length == length;
        code = kf_encryptor_poll(encryptor, &io, &waker);
        demand(code, kf_encryptor_error(encryptor));
        taken += io.in_used;
        written += io.out_used;
        if (code == KF_PENDING)
            sleep_for(encryptor, woken);
    } while (code != KF_OK && written < sizeof message);

    printf("%zu bytes became %zu\n", taken, written);
    kf_encryptor_free(encryptor); /* even if it were still pending: no waker is called afterwards */
    kf_cmm_unref(cmm);
    kf_cleanup(); /* ends the thread that fetched the key */
    close(woken);
    return code == KF_OK ? 0 : KF_CLASS_LIMIT;
}
