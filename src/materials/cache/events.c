/*
 * Events: see cache_events.h. Called by the files of the cache and by the caching CMM, always outside their
 * locks: what a user's function does there can hold up nobody but the thread it runs on.
 */
#include "materials/cache/events.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/names.h"
#include "base/refs.h"

const char *kf_cache_event_kind_name(enum kf_cache_event_kind kind)
{
    static const struct kfi_name kinds[] = {
        {KF_CACHE_MISS, "miss"},     {KF_CACHE_COALESCED, "coalesced"}, {KF_CACHE_LANDED, "landed"},
        {KF_CACHE_FAILED, "failed"}, {KF_CACHE_ENDED, "ended"},         {KF_CACHE_LOW_REUSE, "low-reuse"},
    };
    return KFI_NAME_OF(kinds, kind, "unknown");
}

const char *kf_cache_end_name(enum kf_cache_end end)
{
    static const struct kfi_name ends[] = {
        {KF_CACHE_END_MESSAGES, "messages"}, {KF_CACHE_END_BYTES, "bytes"},
        {KF_CACHE_END_AGE, "age"},           {KF_CACHE_END_CAPACITY, "capacity"},
        {KF_CACHE_END_REPLACED, "replaced"}, {KF_CACHE_END_CLEARED, "cleared"},
    };
    return KFI_NAME_OF(ends, end, "unknown");
}

struct kf_cache_listener {
    struct kfi_refs refs;
    void (*on_event)(void *context, const struct kf_cache_event *event);
    void *context;
    void (*drop)(void *context);
};

enum kf_code kf_cache_listener_new(void (*on_event)(void *context, const struct kf_cache_event *event),
                                   void *context, void (*drop)(void *context), struct kf_error *error,
                                   struct kf_cache_listener **out)
{
    *out = NULL;
    if (on_event == NULL)
        return kf_error_set(error, KF_E_USAGE, "A listener needs a function to be told events (on_event).");
    struct kf_cache_listener *listener = kfi_alloc(sizeof *listener);
    if (listener == NULL)
        return kfi_no_memory(error);
    *listener = (struct kf_cache_listener){.on_event = on_event, .context = context, .drop = drop};
    kfi_refs_init(&listener->refs);
    *out = listener;
    return KF_OK;
}

struct kf_cache_listener *kf_cache_listener_ref(struct kf_cache_listener *listener)
{
    if (listener != NULL)
        kfi_refs_add(&listener->refs, 1);
    return listener;
}

void kf_cache_listener_unref(struct kf_cache_listener *listener)
{
    if (listener == NULL || !kfi_refs_drop(&listener->refs))
        return;
    if (listener->drop != NULL)
        listener->drop(listener->context);
    kfi_free(listener);
}

void kfi_cache_tell(struct kf_cache_listener *listener, struct kf_cache_event event)
{
    if (listener == NULL)
        return;
    listener->on_event(listener->context, &event);
}

void kfi_cache_tell_landed(struct kf_cache_listener *listener, struct kf_cache_event event,
                           const struct kfi_edk_list *edks)
{
    const struct kf_view aws_kms = kf_view_text("aws-kms");
    char fingerprint[KF_FINGERPRINT_SIZE];
    if (listener == NULL)
        return;
    if (edks->count > 0 && kf_edk_fingerprint(&edks->items[0], NULL, fingerprint) == KF_OK)
        event.fingerprint = fingerprint;
    for (size_t i = 0; i < edks->count && event.key_arn.data == NULL; i++) {
        if (kfi_view_equal(edks->items[i].provider_id, aws_kms))
            event.key_arn = edks->items[i].provider_info;
    }
    kfi_cache_tell(listener, event);
}
