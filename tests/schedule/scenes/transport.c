/*
 * The scene of the transport: exchanges over a network of our own (network.c), of which some fail and some are cancelled,
 * while the library may be cleaned up.
 */
#include "schedule/scenes/aws.h"

#include "aws/service/http.h"
#include "base/call.h"
#include "base/waker.h"
#include "schedule/scenes/network.h"
#include "schedule/scenes/stage.h"

#define SENDERS_MAX 5

struct office {
    struct network network;
    struct kfi_http_pool *pool;
    bool cancels, cleans, silent; /* silent: some go to a host that never answers, and are given up */
    unsigned messages;
};

static struct kfi_http_exchange *send(struct office *office, struct kf_call_waker *place, bool silent)
{
    const struct kfi_http_request request = {.method = "GET",
                                             .url = silent ? NETWORK_SILENT : "https://host/"};
    struct kfi_http_exchange *exchange = NULL;
    struct kf_error error = KF_ERROR_INIT;
    const enum kf_code code = kfi_http_exchange_start(office->pool, &request, place, &error, &exchange);
    CHECK(code == KF_OK || (code == KF_E_CLEANED_UP && office->cleans), "P4", "No exchange begins: %s",
          error.text);
    return exchange;
}

/* Polls until the exchange has ended, or gives it up. */
static void await(const struct office *office, struct kfi_http_exchange *exchange, struct bell *bell)
{
    const struct kfi_http_reply *reply;
    struct kf_error error = KF_ERROR_INIT;
    enum kf_code code;
    while ((code = kfi_http_exchange_poll(exchange, &error, &reply)) == KF_PENDING) {
        if (office->cancels && machine_random(3) == 0)
            return;
        bell_wait(bell, UINT64_MAX);
    }
    const bool fails = office->network.fail_permille > 0 || office->network.begin_fail_permille > 0;
    CHECK(code == KF_OK || (code == KF_E_CLEANED_UP && office->cleans) ||
              ((code == KF_E_RETRY || code == KF_E_NO_MEMORY) && fails),
          "P4", "An exchange fails without a reason: %s", error.text);
    CHECK((reply != NULL) == (code == KF_OK), "P4", "A reply is missing.");
}

static void *send_often(void *context)
{
    struct office *office = *(struct office **)context;
    for (unsigned i = 0; i < office->messages; i++) {
        struct bell bell = {.rung = false};
        const struct kf_waker waker = bell_waker(&bell);
        struct kf_call_waker *place = kfi_waker_new();
        kfi_waker_set(place, &waker);
        const bool silent = office->silent && machine_random(2) == 0;
        struct kfi_http_exchange *exchange = send(office, place, silent);
        if (silent)
            machine_sleep(machine_random(20));
        else if (exchange != NULL)
            await(office, exchange, &bell);
        kfi_http_exchange_free(exchange);
        kfi_waker_set(place, NULL);
        bell_close(&bell);
        kf_call_waker_unref(place);
    }
    return NULL;
}

static void *clean_often(void *unused)
{
    for (unsigned i = 0; i < 3; i++) {
        machine_sleep(machine_random(10));
        kf_cleanup();
    }
    return unused;
}

void scene_transport(void)
{
    struct office office = {.cancels = machine_random(2) == 0, .cleans = machine_random(3) == 0};
    struct office *elements[SENDERS_MAX] = {&office, &office, &office, &office, &office};
    const struct kfi_http_pool_options options = {.max_connections = 1 + (uint32_t)machine_random(3)};
    unsigned cleaning = 0;
    office.silent = machine_random(2) == 0;
    office.messages = 1 + (unsigned)machine_random(3);
    office.network.fail_permille = (uint32_t)machine_random(2) * 300;
    office.network.begin_fail_permille = (uint32_t)machine_random(2) * 200;
    office.network.latency_ms = (uint32_t)machine_random(2) * 20;
    network_open(&office.network);
    CHECK(kfi_http_pool_new(&options, NULL, &office.pool) == KF_OK, "scene", "No pool.");
    if (office.cleans)
        cleaning = machine_start("cleaning", clean_often, NULL, false);
    stage_threads("sending", send_often, elements, sizeof elements[0], 1 + machine_random(SENDERS_MAX));
    if (office.cleans)
        machine_join(cleaning);
    CHECK(office.network.peak <= options.max_connections, "transport", "%u exchanges ran at once, %u may.",
          office.network.peak, options.max_connections);
    kfi_http_pool_unref(office.pool);
    kf_cleanup();
    network_close();
}
