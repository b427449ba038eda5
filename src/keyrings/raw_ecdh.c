/*
 * The raw ECDH keyring: wraps data keys under a secret that two key pairs share.
 * (S: framework/raw-ecdh-keyring.md, framework/key-agreement-schemas.md)
 *
 * A static keyring computes its secret once, when it is made, and keeps no private key.
 */
#include <keyflight/raw_keyrings.h>

#include "base/error.h"
#include "base/names.h"
#include "base/sized.h"
#include "keyrings/ecdh_edk.h"
#include "materials/materials.h"
#include "suite/ecdh.h"

struct raw_ecdh {
    enum kf_ecdh_schema schema;
    enum kf_ecdh_curve curve;
    struct kfi_ecdh_key
        *own; /* discovery: the key pair of the recipient; static: the public key of the sender */
    struct kfi_ecdh_key *peer;           /* static and ephemeral: the public key of the recipient */
    uint8_t secret[KFI_ECDH_SECRET_MAX]; /* static: the secret of own and peer */
};

/* ---- Encryption ---- */

static enum kf_code raw_ecdh_on_encrypt(void *context, struct kf_call *call,
                                        const struct kf_encryption_materials *materials,
                                        struct kf_error *error, struct kf_wrapped *out)
{
    (void)call;
    const struct raw_ecdh *self = context;
    if (self->schema == KF_ECDH_DISCOVERY)
        return kf_error_set(error, KF_E_KEYS,
                            "A raw ECDH keyring for discovery only decrypts: to encrypt, use a static or an "
                            "ephemeral one with the recipient's public key.");
    struct kfi_ecdh_parties parties = {.curve = self->curve, .recipient = kfi_ecdh_key_point(self->peer)};
    if (self->schema == KF_ECDH_STATIC) {
        parties.sender = kfi_ecdh_key_point(self->own);
        return kfi_ecdh_edk_wrap(KFI_RAW_ECDH_PROVIDER, &parties, self->secret, materials, error, out);
    }
    uint8_t secret[KFI_ECDH_SECRET_MAX];
    struct kfi_ecdh_key *sender;
    enum kf_code code = kfi_ecdh_key_generate(self->curve, error, &sender);
    if (code == KF_OK)
        code = kfi_ecdh_agree(sender, self->peer, error, secret);
    if (code == KF_OK) {
        parties.sender = kfi_ecdh_key_point(sender);
        code = kfi_ecdh_edk_wrap(KFI_RAW_ECDH_PROVIDER, &parties, secret, materials, error, out);
    }
    kfi_ecdh_key_free(sender);
    kfi_wipe(secret, sizeof secret);
    return code;
}

/* ---- Decryption ---- */

/* Whether an EDK is between the keys of the keyring. With a static one either party may have sent it. */
static bool raw_ecdh_is_ours(const struct raw_ecdh *self, const struct kfi_ecdh_parties *parties)
{
    const struct kf_view own = kfi_ecdh_key_point(self->own);
    if (self->schema == KF_ECDH_DISCOVERY)
        return kfi_view_equal(parties->recipient, own);
    const struct kf_view peer = kfi_ecdh_key_point(self->peer);
    return (kfi_view_equal(parties->sender, own) && kfi_view_equal(parties->recipient, peer)) ||
           (kfi_view_equal(parties->sender, peer) && kfi_view_equal(parties->recipient, own));
}

static enum kf_code raw_ecdh_unwrap(const struct raw_ecdh *self, const struct kfi_ecdh_parties *parties,
                                    const struct kf_decryption_materials *materials, const struct kf_edk *edk,
                                    struct kf_error *error, struct kf_data_key *out)
{
    if (self->schema == KF_ECDH_STATIC)
        return kfi_ecdh_edk_unwrap(parties, self->secret, materials, edk, error, out);
    uint8_t secret[KFI_ECDH_SECRET_MAX];
    struct kfi_ecdh_key *sender;
    enum kf_code code = kfi_ecdh_key_of_point(self->curve, parties->sender, error, &sender);
    if (code == KF_E_MALFORMED) /* the fault of the message, and of this EDK only */
        return KF_E_FORGED;
    if (code == KF_OK)
        code = kfi_ecdh_agree(self->own, sender, error, secret);
    if (code == KF_OK)
        code = kfi_ecdh_edk_unwrap(parties, secret, materials, edk, error, out);
    kfi_ecdh_key_free(sender);
    kfi_wipe(secret, sizeof secret);
    return code;
}

static enum kf_code raw_ecdh_on_decrypt(void *context, struct kf_call *call,
                                        const struct kf_decryption_materials *materials,
                                        const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                        struct kf_data_key *out)
{
    (void)call;
    const struct raw_ecdh *self = context;
    size_t tried = 0;
    if (self->schema == KF_ECDH_EPHEMERAL)
        return kf_error_set(error, KF_E_KEYS,
                            "A raw ECDH keyring with ephemeral senders only encrypts: the recipient decrypts "
                            "by discovery with the private key.");
    enum kf_code code = KF_E_FORGED;
    for (size_t i = 0; i < edk_count && code == KF_E_FORGED; i++) {
        struct kfi_ecdh_parties parties;
        if (!kfi_ecdh_edk_read(&edks[i], self->curve, &parties) || !raw_ecdh_is_ours(self, &parties))
            continue;
        tried++;
        code = raw_ecdh_unwrap(self, &parties, materials, &edks[i], error, out);
    }
    if (code != KF_E_FORGED)
        return code;
    if (tried == 0)
        return kf_error_set(error, KF_E_KEYS,
                            "None of the %zu encrypted data keys was made by ECDH on P-%d for the keys of "
                            "this raw ECDH keyring.",
                            edk_count, (int)self->curve);
    return kf_error_set(error, KF_E_KEYS,
                        "The raw ECDH keyring unwraps none of the %zu encrypted data keys made for its keys: "
                        "the encryption context differs, or they were changed.",
                        tried);
}

/* ---- The keyring ---- */

static void raw_ecdh_destroy(void *context)
{
    struct raw_ecdh *self = context;
    kfi_ecdh_key_free(self->own);
    kfi_ecdh_key_free(self->peer);
    kfi_free_secret(self, sizeof *self);
}

static enum kf_code raw_ecdh_options_check(const struct kf_raw_ecdh_keyring_options *options,
                                           struct kf_error *error)
{
    const enum kf_ecdh_schema schema = options->schema;
    enum kf_code code = kfi_view_check(options->public_key, "Option public_key", error);
    if (code == KF_OK)
        code = kfi_view_check(options->private_key, "Option private_key", error);
    if (code != KF_OK)
        return code;
    if (schema != KF_ECDH_STATIC && schema != KF_ECDH_EPHEMERAL && schema != KF_ECDH_DISCOVERY)
        return kf_error_set(error, KF_E_USAGE, "There is no key agreement schema %d: set the option schema.",
                            (int)schema);
    if (!kfi_ecdh_curve_known(options->curve))
        return kf_error_set(error, KF_E_USAGE, "There is no curve %d for ECDH: set the option curve.",
                            (int)options->curve);
    if ((options->private_key.length > 0) != (schema != KF_ECDH_EPHEMERAL))
        return kf_error_set(error, KF_E_USAGE,
                            schema == KF_ECDH_EPHEMERAL
                                ? "A raw ECDH keyring with ephemeral senders takes no private key."
                                : "A raw ECDH keyring that is static or for discovery needs a private key.");
    if ((options->public_key.length > 0) != (schema != KF_ECDH_DISCOVERY))
        return kf_error_set(error, KF_E_USAGE,
                            schema == KF_ECDH_DISCOVERY
                                ? "A raw ECDH keyring for discovery takes no public key: the private key "
                                  "contains it."
                                : "A raw ECDH keyring that is static or has ephemeral senders needs the "
                                  "recipient's public key.");
    return KF_OK;
}

/* Computes the secret of a static keyring and forgets the private key. */
static enum kf_code raw_ecdh_make_secret(struct raw_ecdh *self, struct kf_error *error)
{
    struct kfi_ecdh_key *pair = self->own;
    enum kf_code code = kfi_ecdh_agree(pair, self->peer, error, self->secret);
    if (code != KF_OK)
        return code;
    code = kfi_ecdh_key_of_point(self->curve, kfi_ecdh_key_point(pair), error, &self->own);
    kfi_ecdh_key_free(pair);
    return code;
}

static enum kf_code raw_ecdh_keys_new(const struct kf_raw_ecdh_keyring_options *options,
                                      struct kf_error *error, struct raw_ecdh *self)
{
    enum kf_code code = KF_OK;
    if (options->private_key.length > 0)
        code = kfi_ecdh_key_new(self->curve, options->private_key, true, &options->passphrase, error,
                                &self->own);
    if (code == KF_OK && options->public_key.length > 0)
        code = kfi_ecdh_key_new(self->curve, options->public_key, false, NULL, error, &self->peer);
    if (code == KF_OK && self->schema == KF_ECDH_STATIC)
        code = raw_ecdh_make_secret(self, error);
    return code;
}

enum kf_code kf_raw_ecdh_keyring_new(const struct kf_raw_ecdh_keyring_options *given, struct kf_error *error,
                                     struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable,
        .on_encrypt = raw_ecdh_on_encrypt,
        .on_decrypt = raw_ecdh_on_decrypt,
        .destroy = raw_ecdh_destroy,
    };
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    *out = NULL;
    enum kf_code code =
        kfi_sized_read(&options, sizeof options, given, "The options of a raw ECDH keyring", error);
    if (code == KF_OK)
        code = raw_ecdh_options_check(&options, error);
    if (code != KF_OK)
        return code;
    struct raw_ecdh *self = kfi_alloc_zeroed(sizeof *self);
    if (self == NULL)
        return kfi_no_memory(error);
    self->schema = options.schema;
    self->curve = options.curve;
    code = raw_ecdh_keys_new(&options, error, self);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, self, error, out);
    if (code != KF_OK)
        raw_ecdh_destroy(self);
    return code;
}

/* ---- Names ---- */

const char *kf_ecdh_curve_name(enum kf_ecdh_curve curve)
{
    static const struct kfi_name curves[] = {
        {KF_ECDH_P256, "p256"}, {KF_ECDH_P384, "p384"}, {KF_ECDH_P521, "p521"}};
    return KFI_NAME_OF(curves, curve, "unknown");
}

const char *kf_ecdh_schema_name(enum kf_ecdh_schema schema)
{
    static const struct kfi_name schemas[] = {
        {KF_ECDH_STATIC, "static"}, {KF_ECDH_EPHEMERAL, "ephemeral"}, {KF_ECDH_DISCOVERY, "discovery"}};
    return KFI_NAME_OF(schemas, schema, "unknown");
}
