/*
 * A call: one run of a keyring or CMM, which may take several polls.
 *
 * For authors of keyrings and CMMs. A synchronous one ignores its call and answers. An asynchronous one
 * returns KF_PENDING and is called again, with the same call and the same arguments, until it returns
 * anything else; the call keeps its state in between. Polls of one call never overlap, but they may come from
 * any thread, and so may the drop of its state. A poll must not block.
 *
 * When a poll answers anything but KF_PENDING, or the call is cancelled, its state and its children are
 * dropped.
 */
#ifndef KEYFLIGHT_CALL_H
#define KEYFLIGHT_CALL_H

#include <keyflight/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kf_call;
struct kf_call_waker;

/*
 * The handle that gets this call polled again, with one reference for the caller; NULL if there is no memory.
 * It may be used from any thread at any time; once the call was dropped it does nothing.
 */
KF_API struct kf_call_waker *kf_call_waker_of(struct kf_call *call);
KF_API struct kf_call_waker *kf_call_waker_ref(struct kf_call_waker *waker);
KF_API void kf_call_waker_unref(struct kf_call_waker *waker); /* NULL is allowed */
KF_API void kf_call_waker_wake(struct kf_call_waker *waker);

/*
 * Gets this call polled again in `ms` milliseconds, at the latest. Each call has one such timer; setting it
 * again replaces it. Errors: KF_E_NO_MEMORY, KF_E_SYSTEM (the internal thread can't be started),
 * KF_E_CLEANED_UP.
 */
KF_CODE kf_call_wake_in(struct kf_call *call, uint64_t ms);

/*
 * Keeps `state` with the call; `drop` (may be NULL) is called with it, once, when the call ends. A former
 * state is dropped.
 */
KF_API void kf_call_state_set(struct kf_call *call, void *state, void (*drop)(void *state));

/* What kf_call_state_set kept, or NULL. */
KF_API void *kf_call_state(const struct kf_call *call);

/*
 * Child `index` of this call (0 and up; keep them dense), made at the first request: to be passed to a
 * keyring or CMM that this one wraps. Belongs to the call. NULL if there is no memory; kf_keyring_on_… and
 * kf_cmm_… take that as a call and answer KF_E_NO_MEMORY.
 */
KF_API struct kf_call *kf_call_child(struct kf_call *call, size_t index);

/*
 * Says under which id the service knows the request that made or opened the data key, or that failed (length
 * 0: it gave none); a cache tells it with its events (kf_cache_listener_new). Copied, at most 63 bytes of it.
 * The last one stays, so that a keyring that wrapped what another had made says it only if it fails. Nothing
 * happens where the call is no fetch of a cache.
 */
KF_API void kf_call_request_id_set(struct kf_call *call, struct kf_view request_id);

#ifdef __cplusplus
}
#endif

#endif
