/*
 * Asymmetric keys apart from keyrings: what a key is, and how to make new ones. Called by users: see
 * raw_keyrings.h.
 */
#include <keyflight/raw_keyrings.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/sized.h"
#include "suite/ecdh.h"
#include "suite/pkey_pair.h"
#include "suite/rsa.h"

/* ---- What a key is ---- */

static enum kf_code describe_rsa(const struct kfi_pkey *pkey, struct kf_error *error,
                                 struct kf_raw_key_info *info)
{
    uint8_t digest[KFI_HASH_MAX];
    enum kf_code code = kfi_pkey_rsa_digest(pkey, error, digest);
    if (code != KF_OK)
        return code;
    info->rsa_bits = (unsigned)kfi_pkey_rsa_bits(pkey);
    kfi_view_hex(kf_view_of(digest, KF_FINGERPRINT_SIZE / 2), info->rsa_fingerprint);
    return KF_OK;
}

enum kf_code kf_raw_key_describe(struct kf_view key, const struct kf_passphrase *passphrase,
                                 struct kf_error *error, struct kf_raw_key_info *out)
{
    struct kfi_pkey pkey;
    struct kf_raw_key_info info = KF_RAW_KEY_INFO_INIT;
    enum kf_code code = kfi_pkey_read(key, passphrase, error, &pkey);
    if (code != KF_OK)
        return code;
    info.is_private = pkey.is_private;
    if (pkey.is_rsa)
        code = describe_rsa(&pkey, error, &info);
    else
        info.curve = pkey.curve;
    kfi_pkey_end(&pkey);
    if (code == KF_OK && !kfi_sized_write(out, &info, sizeof info))
        code =
            kf_error_set(error, KF_E_USAGE,
                         "The information on a key has no valid size: begin with the _INIT of its struct.");
    return code;
}

/* ---- New ones ---- */

/* Empties both buffers. They have to be two. */
static enum kf_code begin_pair(struct kf_buf *public_key, struct kf_buf *private_key, struct kf_error *error)
{
    if (public_key == private_key ||
        kfi_overlap(public_key->data, public_key->capacity, private_key->data, private_key->capacity))
        return kf_error_set(error, KF_E_USAGE,
                            "The public and the private key of a new pair are to go to one buffer: give two. "
                            "Nothing was changed.");
    kfi_buf_wipe(public_key);
    kfi_buf_wipe(private_key);
    return KF_OK;
}

enum kf_code kf_raw_rsa_key_generate(unsigned bits, struct kf_error *error, struct kf_buf *public_key,
                                     struct kf_buf *private_key)
{
    enum kf_code code = begin_pair(public_key, private_key, error);
    if (code != KF_OK)
        return code;
    if (bits < KFI_RSA_BITS_MIN || bits > KFI_RSA_BITS_MAX)
        return kf_error_set(error, KF_E_USAGE, "An RSA key has %d to %d bits, not %u.", KFI_RSA_BITS_MIN,
                            KFI_RSA_BITS_MAX, bits);
    return kfi_pkey_pair_generate(bits, (enum kf_ecdh_curve)0, error, public_key, private_key);
}

enum kf_code kf_raw_ecdh_key_generate(enum kf_ecdh_curve curve, struct kf_error *error,
                                      struct kf_buf *public_key, struct kf_buf *private_key)
{
    enum kf_code code = begin_pair(public_key, private_key, error);
    if (code != KF_OK)
        return code;
    if (!kfi_ecdh_curve_known(curve))
        return kf_error_set(error, KF_E_USAGE, "There is no curve %d for ECDH.", (int)curve);
    return kfi_pkey_pair_generate(0, curve, error, public_key, private_key);
}
