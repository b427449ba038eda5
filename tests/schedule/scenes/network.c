/*
 * The network: see network.h. What real libcurl would do wrong with a wrong use is a failure here.
 */
#include "schedule/scenes/network.h"

#include <string.h>

#include "aws/service/http_curl.h"
#include "base/memory.h"
#include "schedule/arena.h"
#include "schedule/scenes/scene.h"

enum stage {
    PREPARED,
    SENT,
    ARRIVED,  /* the network has done its part, and libcurl has not looked */
    ENDED,    /* libcurl has looked */
    ANSWERED, /* kfi_curl_next_ended has said so */
    REMOVED,
    CLOSED
};

struct kfi_curl_transfer {
    enum stage stage;
    void *owner;
    struct kfi_curl *curl;
    struct kfi_curl_transfer *next; /* of those under way */
    bool failed, silent;
    struct kfi_http_reply reply;
};

struct kfi_curl {
    struct kfi_curl *next;               /* a new one may come before the former is gone */
    struct kfi_curl_transfer *transfers; /* under way */
    bool woken;
    bool used; /* a thread is inside */
};

static struct {
    struct network *settings;
    struct kfi_curl *curls;
    bool closing;
    unsigned thread;
} network;

/* ---- The network itself ---- */

static struct kfi_curl_transfer *any_sent(void)
{
    struct kfi_curl_transfer *found = NULL;
    uint64_t count = 0;
    for (struct kfi_curl *curl = network.curls; curl != NULL; curl = curl->next) {
        for (struct kfi_curl_transfer *at = curl->transfers; at != NULL; at = at->next) {
            if (at->stage == SENT && !at->silent && machine_random(++count) == 0)
                found = at;
        }
    }
    return found;
}

static void *network_main(void *unused)
{
    while (!network.closing || any_sent() != NULL) {
        if (network.settings->latency_ms > 0)
            machine_sleep(machine_random(network.settings->latency_ms));
        struct kfi_curl_transfer *transfer = any_sent();
        if (transfer == NULL) {
            if (!network.closing)
                machine_wait("transfers", &network, MACHINE_NEVER, false);
            continue;
        }
        transfer->stage = ARRIVED;
        transfer->failed = machine_random(1000) < network.settings->fail_permille;
        network.settings->completed++;
        machine_wake_all(transfer->curl);
        machine_point();
    }
    return unused;
}

void network_open(struct network *settings)
{
    network.settings = settings;
    network.closing = false;
    network.thread = machine_start("network", network_main, NULL, false);
}

void network_close(void)
{
    network.closing = true;
    machine_wake_all(&network);
    machine_join(network.thread);
}

/* ---- Transfers ---- */

bool kfi_curl_init(void)
{
    return true;
}

static struct kfi_curl_transfer *live(const struct kfi_curl_transfer *transfer)
{
    arena_check(transfer, sizeof *transfer);
    return (struct kfi_curl_transfer *)(uintptr_t)transfer; /* NOLINT(performance-no-int-to-ptr) */
}

enum kf_code kfi_curl_transfer_new(const struct kfi_http_request *request, const char *ca_bundle,
                                   const char *user_agent, void *owner, struct kf_error *error,
                                   struct kfi_curl_transfer **out)
{
    (void)ca_bundle;
    (void)user_agent;
    *out = kfi_alloc_zeroed(sizeof **out);
    if (*out == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "no memory");
    (*out)->owner = owner;
    (*out)->silent = strcmp(request->url, NETWORK_SILENT) == 0;
    return KF_OK;
}

static bool under_way(const struct kfi_curl_transfer *transfer)
{
    return transfer->stage >= SENT && transfer->stage <= ANSWERED;
}

void kfi_curl_transfer_free(struct kfi_curl_transfer *transfer)
{
    if (transfer == NULL)
        return;
    CHECK(!under_way(live(transfer)), "transport", "A transfer is freed that is under way.");
    kfi_free(transfer);
}

void kfi_curl_transfer_close(struct kfi_curl_transfer *transfer)
{
    CHECK(!under_way(live(transfer)), "transport", "A transfer is closed that is under way.");
    transfer->stage = CLOSED;
}

const char *kfi_curl_transfer_endpoint(const struct kfi_curl_transfer *transfer)
{
    live(transfer);
    return "https://host:443";
}

enum kf_code kfi_curl_transfer_result(const struct kfi_curl_transfer *transfer, struct kf_error *error)
{
    CHECK(live(transfer)->stage == ANSWERED, "transport", "A result is asked for that is not there.");
    return transfer->failed ? kf_error_set(error, KF_E_RETRY, "the connection was lost") : KF_OK;
}

const struct kfi_http_reply *kfi_curl_transfer_reply(const struct kfi_curl_transfer *transfer)
{
    return &live(transfer)->reply;
}

/* ---- Connections ---- */

/* One thread at a time, with a point inside. */
static void curl_enter(struct kfi_curl *curl)
{
    arena_check(curl, sizeof *curl);
    CHECK(!curl->used, "transport", "Two threads use the connections at once.");
    curl->used = true;
    machine_point();
}

static void curl_leave(struct kfi_curl *curl)
{
    curl->used = false;
    machine_point();
}

enum kf_code kfi_curl_new(struct kf_error *error, struct kfi_curl **out)
{
    struct kfi_curl *curl = kfi_alloc_zeroed(sizeof *curl);
    *out = curl;
    if (curl == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "no memory");
    curl->next = network.curls;
    network.curls = curl;
    return KF_OK;
}

void kfi_curl_free(struct kfi_curl *curl)
{
    curl_enter(curl);
    CHECK(curl->transfers == NULL, "transport", "The connections are closed while transfers are under way.");
    struct kfi_curl **place = &network.curls;
    while (*place != curl)
        place = &(*place)->next;
    *place = curl->next;
    kfi_free(curl);
}

enum kf_code kfi_curl_begin(struct kfi_curl *curl, struct kfi_curl_transfer *transfer, struct kf_error *error)
{
    curl_enter(curl);
    CHECK(live(transfer)->stage == PREPARED, "transport", "A transfer begins twice.");
    if (machine_random(1000) < network.settings->begin_fail_permille) {
        curl_leave(curl);
        return kf_error_set(error, KF_E_NO_MEMORY, "no memory");
    }
    transfer->stage = SENT;
    transfer->curl = curl;
    transfer->next = curl->transfers;
    curl->transfers = transfer;
    if (++network.settings->under_way > network.settings->peak)
        network.settings->peak = network.settings->under_way;
    machine_wake_all(&network);
    curl_leave(curl);
    return KF_OK;
}

void kfi_curl_remove(struct kfi_curl *curl, struct kfi_curl_transfer *transfer)
{
    curl_enter(curl);
    CHECK(under_way(live(transfer)), "transport", "A transfer is removed that is not under way.");
    for (struct kfi_curl_transfer **place = &curl->transfers; *place != NULL; place = &(*place)->next) {
        if (*place == transfer) {
            *place = transfer->next;
            break;
        }
    }
    transfer->stage = REMOVED;
    network.settings->under_way--;
    curl_leave(curl);
}

void *kfi_curl_next_ended(struct kfi_curl *curl)
{
    void *owner = NULL;
    curl_enter(curl);
    for (struct kfi_curl_transfer *at = curl->transfers; at != NULL && owner == NULL; at = at->next) {
        CHECK(at->stage != ANSWERED, "transport", "A transfer that has ended was not removed.");
        if (at->stage == ENDED) {
            at->stage = ANSWERED;
            owner = at->owner;
        }
    }
    curl_leave(curl);
    return owner;
}

static struct kfi_curl_transfer *any_arrived(const struct kfi_curl *curl)
{
    struct kfi_curl_transfer *at = curl->transfers;
    while (at != NULL && at->stage != ARRIVED)
        at = at->next;
    return at;
}

void kfi_curl_turn(struct kfi_curl *curl, uint64_t ms)
{
    curl_enter(curl);
    const uint64_t until = ms < MACHINE_NEVER - machine_now() ? machine_now() + ms : MACHINE_NEVER;
    if (!curl->woken && any_arrived(curl) == NULL && ms > 0)
        machine_wait("the network", curl, until, false);
    arena_check(curl, sizeof *curl);
    curl->woken = false;
    /* A few, of those that there may be. */
    struct kfi_curl_transfer *arrived;
    for (uint64_t left = 1 + machine_random(2); left > 0 && (arrived = any_arrived(curl)) != NULL; left--)
        arrived->stage = ENDED;
    curl_leave(curl);
}

void kfi_curl_wake(struct kfi_curl *curl)
{
    arena_check(curl, sizeof *curl);
    curl->woken = true;
    machine_wake_all(curl);
    machine_point();
}
