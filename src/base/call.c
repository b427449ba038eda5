/*
 * Calls: see call.h. Roots belong to flights and to operations; keyrings and CMMs see the public functions
 * only. Polls of one call never overlap, so only one thread at a time uses a node, and nothing here needs a
 * lock.
 */
#include "base/call.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/memory.h"

void kfi_call_init(struct kf_call *call, struct kfi_flight *flight)
{
    *call = (struct kf_call){.flight = flight, .generation = kfi_fork_generation()};
    call->root = call;
}

bool kfi_call_is_inherited(const struct kf_call *call)
{
    return call->root->generation != kfi_fork_generation();
}

enum kf_code kfi_call_check(const struct kf_call *call, struct kf_error *error)
{
    if (!kfi_call_is_inherited(call))
        return KF_OK;
    return kf_error_set(
        error, KF_E_FORKED,
        "This operation began before a fork and can't go on in the child: parent and child would work with "
        "the same secrets. Begin a new one.");
}

void kfi_call_drive(struct kf_call *root, const struct kf_waker *driver)
{
    static const struct kf_waker nobody;
    root->driver = driver != NULL ? *driver : nobody;
    if (root->waker != NULL)
        kfi_waker_set(root->waker, driver);
}

void kfi_call_reset(struct kf_call *call)
{
    if (kfi_call_is_inherited(call))
        return; /* states belong to places where a thread of the parent may have been at work */
    kfi_timer_cancel(&call->timer);
    for (size_t i = 0; i < call->child_count; i++) {
        kfi_call_reset(call->children[i]);
        kfi_free(call->children[i]);
    }
    kfi_free(call->children);
    call->children = NULL;
    call->child_count = 0;
    kf_call_state_set(call, NULL, NULL);
}

void kfi_call_end(struct kf_call *root)
{
    if (kfi_call_is_inherited(root))
        return;
    kfi_call_drive(root, NULL); /* first: what is dropped now may still wake the call */
    kfi_call_reset(root);
    kf_call_waker_unref(root->waker);
    root->waker = NULL;
}

/* The waker of the root, borrowed; NULL if there is no memory. */
static struct kf_call_waker *root_waker(struct kf_call *call)
{
    struct kf_call *root = call->root;
    if (root->waker == NULL) {
        root->waker = kfi_waker_new();
        if (root->waker != NULL)
            kfi_waker_set(root->waker, &root->driver);
    }
    return root->waker;
}

struct kf_call_waker *kf_call_waker_of(struct kf_call *call)
{
    return kf_call_waker_ref(root_waker(call));
}

enum kf_code kf_call_wake_in(struct kf_call *call, uint64_t ms)
{
    struct kf_call_waker *waker = root_waker(call);
    if (waker == NULL)
        return KF_E_NO_MEMORY;
    return kfi_timer_set(&call->timer, kfi_ms_after(kfi_now_ms(), ms), waker, NULL);
}

void kf_call_state_set(struct kf_call *call, void *state, void (*drop)(void *state))
{
    void *former = call->state;
    void (*drop_former)(void *) = call->drop;
    call->state = state;
    call->drop = drop;
    if (former != NULL && drop_former != NULL && !kfi_call_is_inherited(call))
        drop_former(former);
}

void *kf_call_state(const struct kf_call *call)
{
    return call->state;
}

struct kf_call *kf_call_child(struct kf_call *call, size_t index)
{
    if (index < call->child_count)
        return call->children[index];
    struct kf_call **children = kfi_alloc_zeroed((index + 1) * sizeof(struct kf_call *));
    if (children == NULL)
        return NULL;
    size_t made = 0;
    for (; made < call->child_count; made++)
        children[made] = call->children[made];
    for (; made <= index; made++) {
        children[made] = kfi_alloc(sizeof(struct kf_call));
        if (children[made] == NULL) {
            while (made > call->child_count)
                kfi_free(children[--made]);
            kfi_free(children);
            return NULL;
        }
        *children[made] = (struct kf_call){.root = call->root};
    }
    kfi_free(call->children);
    call->children = children;
    call->child_count = index + 1;
    return children[index];
}

struct kf_view kfi_request_id_of(const struct kfi_request_id *id, enum kf_code code)
{
    return kf_view_of(id->bytes, code == KF_OK && id->failed ? 0 : id->length);
}

void kf_call_request_id_set(struct kf_call *call, struct kf_view request_id)
{
    struct kfi_request_id *id = call->root->request_id;
    if (id == NULL)
        return;
    if (!kfi_view_is_valid(request_id))
        request_id.length = 0;
    id->failed = false;
    id->length = request_id.length < sizeof id->bytes ? (uint8_t)request_id.length : sizeof id->bytes;
    if (id->length > 0)
        memcpy(id->bytes, request_id.data, id->length);
}
