/*
 * The key service of a storm: an asynchronous keyring, written against the public interface as a user would,
 * that counts what reaches it and hands it to another keyring. In front of a local one it simulates a
 * service: each call waits for a round trip first.
 */
#ifndef KF_CLI_STORM_SERVICE_H
#define KF_CLI_STORM_SERVICE_H

#include <keyflight/keyring.h>

struct storm_service;

struct storm_service_counts {
    uint64_t calls;     /* begun */
    uint64_t answered;  /* of these, answered */
    uint64_t in_flight; /* under way now; the rest was cancelled */
    uint64_t peak;      /* under way at once */
    bool key_lost;      /* a call began after a key had been lost */
};

/*
 * A service `rtt_ms` away (0: it answers at once) in front of `inner`, of which it takes a reference. Its
 * first `fail_first` calls fail. The caller owns one reference of `*out`; `*service` lives as long as that
 * keyring.
 */
enum kf_code storm_service_new(struct kf_keyring *inner, uint64_t rtt_ms, uint64_t fail_first,
                               struct kf_error *error, struct storm_service **service,
                               struct kf_keyring **out);

/*
 * Says who knows how many keys with budget left were lost so far. Before the first call; `context` has to
 * live as long as calls may come.
 */
void storm_service_watch(struct storm_service *service, uint64_t (*lost_keys)(void *context), void *context);

void storm_service_counts(struct storm_service *service, struct storm_service_counts *out);

#endif
