/*
 * Keyrings of every kind: see keyring_pairs.h.
 */
#include "support/keyring_pairs.h"

#include "support/keys.h"

static struct kf_keyring *rsa(enum kf_rsa_padding padding, const char *public_file, const char *private_file)
{
    /* Each padding has a name of its own, so that a reader of all of them knows which is meant. */
    static const char *const names[] = {"",           "pkcs1", "oaep-sha1", "oaep-sha256", "oaep-sha384",
                                        "oaep-sha512"};
    struct kf_raw_rsa_keyring_options options = KF_RAW_RSA_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text("tests");
    options.key_name = kf_view_text(names[padding]);
    options.padding = padding;
    if (public_file != NULL)
        options.public_key = key_file(public_file);
    if (private_file != NULL)
        options.private_key = key_file(private_file);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_rsa_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

static struct kf_keyring *ecdh(enum kf_ecdh_schema schema, const char *private_file, const char *public_file)
{
    struct kf_raw_ecdh_keyring_options options = KF_RAW_ECDH_KEYRING_OPTIONS_INIT;
    options.schema = schema;
    options.curve = KF_ECDH_P256;
    if (private_file != NULL)
        options.private_key = key_file(private_file);
    if (public_file != NULL)
        options.public_key = key_file(public_file);
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_raw_ecdh_keyring_new(&options, &error, &keyring), &error);
    return keyring;
}

/* Takes over the references of the children. */
static struct kf_keyring *multi(struct kf_keyring *generator, struct kf_keyring *first,
                                struct kf_keyring *second)
{
    struct kf_keyring *children[] = {first, second}, *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(generator, children, 2, &error, &keyring), &error);
    kf_keyring_unref(generator);
    kf_keyring_unref(first);
    kf_keyring_unref(second);
    return keyring;
}

struct kf_keyring *keyring_pair_writer(enum keyring_pair pair)
{
    switch (pair) {
    case PAIR_RSA_PKCS1:
    case PAIR_RSA_OAEP_SHA1:
    case PAIR_RSA_OAEP_SHA256:
    case PAIR_RSA_OAEP_SHA384:
    case PAIR_RSA_OAEP_SHA512:
        return rsa((enum kf_rsa_padding)(pair - PAIR_RSA_PKCS1 + KF_RSA_PKCS1), "rsa-public.pem", NULL);
    case PAIR_ECDH_STATIC:
    case PAIR_ECDH_DISCOVERY:
        return ecdh(KF_ECDH_STATIC, "p256-a-pkcs8.pem", "p256-b-public.pem");
    case PAIR_ECDH_EPHEMERAL:
        return ecdh(KF_ECDH_EPHEMERAL, NULL, "p256-b-public.pem");
    case PAIR_MULTI:
        return multi(client_keyring("one", 1), rsa(KF_RSA_OAEP_SHA256, "rsa-public.pem", NULL),
                     ecdh(KF_ECDH_EPHEMERAL, NULL, "p256-b-public.pem"));
    case PAIR_AES:
    case KEYRING_PAIRS:
        break;
    }
    return client_keyring("one", 1);
}

struct kf_keyring *keyring_pair_reader(enum keyring_pair pair)
{
    switch (pair) {
    case PAIR_RSA_PKCS1:
    case PAIR_RSA_OAEP_SHA1:
    case PAIR_RSA_OAEP_SHA256:
    case PAIR_RSA_OAEP_SHA384:
    case PAIR_RSA_OAEP_SHA512:
        return rsa((enum kf_rsa_padding)(pair - PAIR_RSA_PKCS1 + KF_RSA_PKCS1), NULL, "rsa-pkcs8.pem");
    case PAIR_ECDH_STATIC:
        return ecdh(KF_ECDH_STATIC, "p256-b-pkcs8.pem", "p256-a-public.pem");
    case PAIR_ECDH_EPHEMERAL:
    case PAIR_ECDH_DISCOVERY:
        return ecdh(KF_ECDH_DISCOVERY, "p256-b-pkcs8.pem", NULL);
    case PAIR_MULTI:
        return multi(client_keyring("one", 9), ecdh(KF_ECDH_DISCOVERY, "p256-a-pkcs8.pem", NULL),
                     ecdh(KF_ECDH_DISCOVERY, "p256-b-pkcs8.pem", NULL));
    case PAIR_AES:
    case KEYRING_PAIRS:
        break;
    }
    return client_keyring("one", 1);
}
