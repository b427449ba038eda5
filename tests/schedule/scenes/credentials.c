/*
 * Scenes of the cache of AWS credentials: one fetch for all who ask, refreshes before the expiry, and credentials that a
 * service refuses.
 */
#include "schedule/scenes/aws.h"

#include <stdio.h>
#include <string.h>

#include "aws/service/credentials.h"
#include "base/call.h"
#include "base/clock.h"
#include "schedule/scenes/stage.h"

#define ASKERS_MAX 5
#define NO_KEY UINT32_MAX

struct bank {
    struct source source;
    struct kfi_aws_credentials_cache *cache;
    uint64_t lifetime_s; /* of credentials; 0: for ever */
    bool cancels, refuses;
    unsigned messages;
    uint64_t refused[KEYS_MAX]; /* the moment when it was said; 0: it was not */
};

static enum kf_code bank_fetch(void *self, struct kf_call *call, struct kf_error *error,
                               struct kf_aws_credentials_result *out)
{
    struct bank *bank = self;
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    char id[32];
    uint32_t number;
    const enum kf_code code = source_fetch(&bank->source, call, error, &number);
    if (code != KF_OK)
        return code;
    snprintf(id, sizeof id, "%u", number);
    credentials.access_key_id = kf_view_text(id);
    credentials.secret_access_key = kf_view_text("secret");
    if (bank->lifetime_s > 0)
        credentials.expires_at = kfi_wall_clock_s() + bank->lifetime_s;
    return kf_aws_credentials_result_set(out, &credentials, error);
}

/* Asks until there is an answer; KF_PENDING: it gave up. */
static enum kf_code ask(struct bank *bank, struct kfi_aws_credentials **out)
{
    struct kf_call call;
    struct kf_error error = KF_ERROR_INIT;
    struct bell bell = {.rung = false};
    const struct kf_waker waker = bell_waker(&bell);
    enum kf_code code;
    kfi_call_init(&call, NULL);
    kfi_call_drive(&call, &waker);
    while ((code = kfi_aws_credentials_get(bank->cache, &call, &error, out)) == KF_PENDING) {
        if (bank->cancels && machine_random(3) == 0)
            break;
        bell_wait(&bell, UINT64_MAX);
    }
    kfi_call_end(&call);
    bell_close(&bell);
    const bool may_fail =
        bank->source.fail_permille > 0 || bank->lifetime_s > 0; /* they come late, and have expired */
    CHECK(code == KF_PENDING || code == KF_OK || (code == KF_E_RETRY && may_fail), "P4",
          "Credentials fail without a reason: %s", error.text);
    return code;
}

static void *ask_often(void *context)
{
    struct bank *bank = *(struct bank **)context;
    for (unsigned i = 0; i < bank->messages; i++) {
        struct kfi_aws_credentials *credentials = NULL;
        if (bank->lifetime_s > 0)
            machine_sleep(machine_random(bank->lifetime_s * 700));
        const uint64_t asked = stage_moment(), asked_s = kfi_wall_clock_s();
        if (ask(bank, &credentials) != KF_OK)
            continue;
        uint32_t number = NO_KEY;
        sscanf(credentials->access_key_id, "%u", &number);
        CHECK(number < bank->source.begun, "use after free", "These credentials are none of ours.");
        CHECK(credentials->expires_at > asked_s, "P1", "Credentials had expired when they were asked for.");
        CHECK(bank->refused[number] == 0 || bank->refused[number] > asked, "refused",
              "Credentials that were refused are handed out again.");
        if (bank->refuses && machine_random(3) == 0) {
            kfi_aws_credentials_refused(bank->cache, credentials);
            bank->refused[number] = stage_moment();
        }
        kfi_aws_credentials_unref(credentials);
    }
    return NULL;
}

void scene_credentials(void)
{
    static const struct kf_aws_credentials_vtable vtable = {sizeof vtable, bank_fetch, NULL};
    struct bank bank = {.source = {.way = ANY_WAY, .latency_ms = machine_random(2) * 10}};
    struct bank *elements[ASKERS_MAX] = {&bank, &bank, &bank, &bank, &bank};
    struct kf_aws_credentials_provider *provider = NULL;
    const unsigned style = (unsigned)machine_random(4);
    bank.messages = 1 + (unsigned)machine_random(4);
    bank.lifetime_s = style == 1 ? 30 + machine_random(600) : 0;
    bank.source.fail_permille = style == 2 ? 300 : 0;
    bank.refuses = style == 3;
    bank.cancels = machine_random(2) == 0;
    source_open(&bank.source);
    CHECK(kf_aws_credentials_provider_new(&vtable, &bank, NULL, &provider) == KF_OK, "scene", "No provider.");
    CHECK(kfi_aws_credentials_cache_new(provider, 86400000, NULL, &bank.cache) == KF_OK, "scene",
          "No cache.");
    kf_aws_credentials_provider_unref(provider);
    stage_threads("asking", ask_often, elements, sizeof elements[0], 2 + machine_random(ASKERS_MAX - 1));
    if (style == 0)
        CHECK(bank.source.begun == 1, "P2", "One fetch is enough, %u were made.", bank.source.begun);
    CHECK(bank.source.peak <= 1, "P2", "%u fetches were under way at once.", bank.source.peak);
    kfi_aws_credentials_cache_unref(bank.cache);
    kf_cleanup();
    source_close(&bank.source);
}
