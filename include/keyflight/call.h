/*
 * A call: one question to a keyring, a CMM or a credentials provider, which may take several polls. For authors of
 * these.
 *
 * A function of theirs that answers at once ignores its call. One that has to wait answers KF_PENDING, and is
 * polled again: called with the same call and equal arguments, until it answers anything else. The call keeps its
 * state in between. Polls of one call never overlap, but each may come from another thread, also from the
 * library's own: its workers, and the internal thread, which drives all that is under way in the process. There only what
 * says that it never blocks (never_blocks in its vtable) is polled.
 *
 * A call ends when a poll answers anything but KF_PENDING, or when it is cancelled. Its state is dropped then, on
 * whatever thread that happens, and its children end.
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
 * A handle that gets this call polled again. The caller owns one reference of it. NULL if there is no memory. To
 * be asked for within a poll.
 */
KF_API struct kf_call_waker *kf_call_waker_of(struct kf_call *call);
KF_API struct kf_call_waker *kf_call_waker_ref(struct kf_call_waker *waker);
KF_API void kf_call_waker_unref(struct kf_call_waker *waker);
/*
 * Gets the call polled soon. From any thread, at any time: once the call has ended it does nothing. A lock of yours may
 * be held, if whoever polls and ends the call does not hold it meanwhile.
 *
 * Within the poll of the call itself it calls nobody's waker: if that poll answers KF_PENDING, the call is polled again
 * at once. After eight such polls in a row the caller gets its thread back, and is woken from the internal thread. If
 * that can't be done the operation fails: KF_E_SYSTEM, KF_E_CLEANED_UP.
 */
KF_API void kf_call_waker_wake(struct kf_call_waker *waker);

/*
 * Gets this call polled again in `ms` milliseconds (0 or more) at the latest. A call has one such timer, and to set
 * it again replaces it. To be set within a poll. Errors: KF_E_NO_MEMORY, KF_E_SYSTEM (the internal thread can't be
 * started), KF_E_CLEANED_UP.
 */
KF_CODE kf_call_wake_in(struct kf_call *call, uint64_t ms);

/*
 * Keeps `state` with the call until it ends. Then `drop` (may be NULL) is called with it, once. A former state is
 * dropped at once. `state` NULL: there is none any more. To be set within a poll.
 */
KF_API void kf_call_state_set(struct kf_call *call, void *state, void (*drop)(void *state));

/* What kf_call_state_set kept, or NULL. */
KF_API void *kf_call_state(const struct kf_call *call);

/*
 * Child `index` of this call: what to pass to a keyring or CMM that this one wraps. It is made when it is first
 * asked for, and belongs to the call. Count them from 0, without gaps. NULL if there is no memory: kf_keyring_on_…
 * and kf_cmm_… then answer KF_E_NO_MEMORY, so that it need not be looked at.
 */
KF_API struct kf_call *kf_call_child(struct kf_call *call, size_t index);

/*
 * Says by which id the service knows the request that made or opened the data key, or that failed. Length 0: it
 * gave none. A cache tells it with its events (kf_cache_listener_new). At most 63 bytes of it are copied. The last
 * one counts, so a keyring that only wraps a data key which another made says its own only if it fails. Nothing
 * happens if no cache has asked.
 */
KF_API void kf_call_request_id_set(struct kf_call *call, struct kf_view request_id);

#ifdef __cplusplus
}
#endif

#endif
