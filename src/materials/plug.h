/*
 * What is done with the answer of any keyring or CMM, ours or a user's, before it is believed.
 */
#ifndef KFI_MATERIALS_PLUG_H
#define KFI_MATERIALS_PLUG_H

#include "base/call.h"

/*
 * Takes the code that `what` ("keyring", "CMM") answered to one poll: anything but KF_PENDING ends its node
 * of the call. A code that makes no sense becomes KF_E_BUG, an error without a sentence gets one, and a
 * sentence without an error goes.
 */
enum kf_code kfi_plug_answer(const char *what, struct kf_call *call, enum kf_code code,
                             struct kf_error *error);

#endif
