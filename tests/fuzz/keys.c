/*
 * Any bytes as a key in PEM or DER, as a public key in an encryption context, and as a signature in DER; the
 * first byte says which. A key that is accepted is used.
 */
#include <string.h>

#include "fuzz/fuzz.h"

#include "suite/signature.h"
#include "support/wrapping.h"

static const enum kf_suite suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

/* Wraps a data key and unwraps it. A key that can't wrap unwraps zeros. */
static void use(struct kf_keyring *keyring)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_wrapped wrapped;
    struct kf_data_key data_key;
    static const uint8_t nothing[512];
    const struct kf_edk other = {kf_view_text("fuzz"), kf_view_text("fuzz"), {nothing, 256}};
    enum kf_code code = wrapping_wrap(keyring, suite, "1", NULL, &error, &wrapped);
    if (code == KF_OK)
        CHECK(wrapped.edks.count == 1);
    else
        CHECK_REFUSED(code, &error);
    error = (struct kf_error)KF_ERROR_INIT;
    code = wrapping_unwrap(keyring, suite, "1", code == KF_OK ? wrapped.edks.items : &other, 1, &error,
                           &data_key);
    if (code != KF_OK)
        CHECK_REFUSED(code, &error);
    kfi_wrapped_free(&wrapped);
    kf_keyring_unref(keyring);
}

static void take(enum kf_code code, const struct kf_error *error, struct kf_keyring *keyring)
{
    if (code == KF_OK) {
        use(keyring);
        return;
    }
    CHECK_REFUSED(code, error);
    CHECK(keyring == NULL && code == KF_E_USAGE);
}

static void rsa_key(struct kf_view key, bool is_private)
{
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.key_namespace = options.key_name = kf_view_text("fuzz");
    *(is_private ? &options.private_key : &options.public_key) = key;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    const enum kf_code code = kf_raw_rsa_keyring_new(&options, &error, &keyring);
    take(code, &error, keyring);
}

static void ecdh_key(struct kf_view key, enum kf_ecdh_curve curve, bool is_private)
{
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    options.curve = curve;
    options.schema = is_private ? KF_ECDH_DISCOVERY : KF_ECDH_EPHEMERAL;
    *(is_private ? &options.private_key : &options.public_key) = key;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    enum kf_code code = kf_raw_ecdh_keyring_new(&options, &error, &keyring);
    take(code, &error, keyring);
    if (code != KF_OK || !is_private)
        return;
    /* A private key is used together with a public one, which is of another pair. */
    static struct kf_buf theirs[3];
    struct kf_buf *peer = &theirs[curve == KF_ECDH_P256 ? 0 : curve == KF_ECDH_P384 ? 1 : 2];
    struct kf_buf unused = KF_BUF_INIT;
    if (peer->length == 0)
        CHECK(kf_raw_ecdh_key_generate(curve, &error, peer, &unused) == KF_OK);
    kf_buf_free(&unused);
    options.schema = KF_ECDH_STATIC;
    options.public_key = kf_view_of(peer->data, peer->length);
    code = kf_raw_ecdh_keyring_new(&options, &error, &keyring);
    take(code, &error, keyring);
}

static void verification_key(struct kf_view text, enum kfi_curve curve)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_verification_key *key;
    const enum kf_code code = kfi_verification_key_parse(curve, text, &error, &key);
    if (code != KF_OK) {
        CHECK_REFUSED(code, &error);
        CHECK(key == NULL && code == KF_E_MALFORMED);
    }
    kfi_verification_key_unref(key);
}

/* No signature of the empty transcript is right by chance. */
static void signature(struct kf_view der, enum kfi_curve curve)
{
    static struct kfi_signing_key *pairs[3];
    static struct kfi_verification_key *keys[3];
    struct kf_error error = KF_ERROR_INIT;
    struct kfi_transcript *transcript;
    if (keys[curve] == NULL) {
        CHECK(kfi_signing_key_generate(curve, &error, &pairs[curve]) == KF_OK);
        CHECK(kfi_verification_key_parse(curve, kfi_signing_key_public_text(pairs[curve]), &error,
                                         &keys[curve]) == KF_OK);
    }
    CHECK(kfi_transcript_new(curve == KFI_P256 ? KFI_SHA256 : KFI_SHA384, &error, &transcript) == KF_OK);
    const enum kf_code code = kfi_transcript_verify(transcript, keys[curve], der, &error);
    CHECK(code == KF_E_FORGED);
    CHECK_REFUSED(code, &error);
    kfi_transcript_free(transcript);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static const enum kf_ecdh_curve curves[] = {KF_ECDH_P256, KF_ECDH_P384, KF_ECDH_P521};
    if (length == 0)
        return 0;
    const struct kf_view rest = kf_view_of(data + 1, length - 1);
    const uint8_t kind = data[0];
    switch (kind) {
    case 'R':
    case 'r':
        rsa_key(rest, kind == 'r');
        break;
    case '0':
    case '1':
    case '2':
        ecdh_key(rest, curves[kind - '0'], false);
        break;
    case 'a':
    case 'b':
    case 'c':
        ecdh_key(rest, curves[kind - 'a'], true);
        break;
    case 'P':
    case 'p':
        verification_key(rest, kind == 'P' ? KFI_P256 : KFI_P384);
        break;
    case 'S':
    case 's':
        signature(rest, kind == 'S' ? KFI_P256 : KFI_P384);
        break;
    default:
        break;
    }
    return 0;
}
