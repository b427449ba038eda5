/*
 * Answers of keyrings and CMMs: see plug.h. Called by keyring.c and cmm.c after every poll.
 */
#include "materials/plug.h"

#include "base/error.h"

/* Whether a call may end with this code: done, or an error that exists. */
static bool is_answer(enum kf_code code)
{
    return code == KF_OK || code == KF_E_BUG || (code < KF_OK && strcmp(kf_code_name(code), "KF_E_BUG") != 0);
}

enum kf_code kfi_plug_answer(const char *what, struct kf_call *call, enum kf_code code,
                             struct kf_error *error)
{
    /* What failed on the way to a good answer is nobody's business any more. */
    if (code == KF_OK || code == KF_PENDING)
        kfi_error_clear(error);
    if (code == KF_PENDING)
        return code;
    kfi_call_reset(call);
    if (code < KF_OK && call->root->request_id != NULL)
        call->root->request_id->failed = true;
    if (!is_answer(code))
        return kf_error_set(error, KF_E_BUG, "A %s answered %d, which is no code that it may answer.", what,
                            (int)code);
    if (code < KF_OK && (error->code != code || error->text[0] == '\0'))
        return kf_error_set(error, code, "A %s failed with %s and did not say why.", what,
                            kf_code_name(code));
    return code;
}
