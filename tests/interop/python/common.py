"""The official Python client with its material providers (MPL): keys, and keyrings of every kind for them.

Used by make_corpus.py and peer.py. It knows neither files nor Keyflight."""
import hashlib

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    AesWrappingAlg,
    CreateDefaultCryptographicMaterialsManagerInput,
    CreateMultiKeyringInput,
    CreateRawAesKeyringInput,
    CreateRawEcdhKeyringInput,
    CreateRawRsaKeyringInput,
    CreateRequiredEncryptionContextCMMInput,
    EphemeralPrivateKeyToStaticPublicKeyInput,
    PaddingScheme,
    PublicKeyDiscoveryInput,
    RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey,
    RawEcdhStaticConfigurationsPublicKeyDiscovery,
    RawEcdhStaticConfigurationsRawPrivateKeyToStaticPublicKey,
    RawPrivateKeyToStaticPublicKeyInput,
)
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

VERSION = "aws-encryption-sdk 4.0.7"
SUITES = {
    "0014": AlgorithmSuite.AES_128_GCM_IV12_TAG16,
    "0046": AlgorithmSuite.AES_192_GCM_IV12_TAG16,
    "0078": AlgorithmSuite.AES_256_GCM_IV12_TAG16,
    "0114": AlgorithmSuite.AES_128_GCM_IV12_TAG16_HKDF_SHA256,
    "0146": AlgorithmSuite.AES_192_GCM_IV12_TAG16_HKDF_SHA256,
    "0178": AlgorithmSuite.AES_256_GCM_IV12_TAG16_HKDF_SHA256,
    "0214": AlgorithmSuite.AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256,
    "0346": AlgorithmSuite.AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
    "0378": AlgorithmSuite.AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
    "0478": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    "0578": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
}
PADDINGS = {
    "pkcs1": PaddingScheme.PKCS1,
    "oaep-sha1": PaddingScheme.OAEP_SHA1_MGF1,
    "oaep-sha256": PaddingScheme.OAEP_SHA256_MGF1,
    "oaep-sha384": PaddingScheme.OAEP_SHA384_MGF1,
    "oaep-sha512": PaddingScheme.OAEP_SHA512_MGF1,
}
CURVES = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "521": ec.SECP521R1()}
NAMESPACE = "keyflight"

providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


def client(suite):
    """A client that writes this suite and reads all."""
    commits = suite in ("0478", "0578")
    policy = CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT if commits else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


def filler(length):
    """The same bytes in every run, without a regular pattern."""
    blocks = (hashlib.sha512(b"keyflight corpus %d" % i).digest() for i in range(length // 64 + 1))
    return b"".join(blocks)[:length]


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_der(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def new_rsa(bits):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def new_ec(curve):
    return ec.generate_private_key(CURVES[curve])


def aes_keyring(name, key, namespace=NAMESPACE):
    wrapping = {16: AesWrappingAlg.ALG_AES128_GCM_IV12_TAG16, 24: AesWrappingAlg.ALG_AES192_GCM_IV12_TAG16,
                32: AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16}
    return providers.create_raw_aes_keyring(CreateRawAesKeyringInput(
        key_namespace=namespace, key_name=name, wrapping_key=key, wrapping_alg=wrapping[len(key)]))


def rsa_keyring(name, padding, key):
    return rsa_keyring_of(NAMESPACE, name, padding, public_pem(key), private_pem(key))


def rsa_keyring_of(namespace, name, padding, public, private):
    """Of keys in PEM; one may be None."""
    return providers.create_raw_rsa_keyring(CreateRawRsaKeyringInput(
        key_namespace=namespace, key_name=name, padding_scheme=PADDINGS[padding], public_key=public,
        private_key=private))


def ecdh_keyring_of(schema, curve, private, public):
    """Of a private key in PEM and a public one in DER."""
    if schema == "static":
        scheme = RawEcdhStaticConfigurationsRawPrivateKeyToStaticPublicKey(RawPrivateKeyToStaticPublicKeyInput(
            sender_static_private_key=private, recipient_public_key=public))
    elif schema == "ephemeral":
        scheme = RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey(
            EphemeralPrivateKeyToStaticPublicKeyInput(recipient_public_key=public))
    else:
        scheme = RawEcdhStaticConfigurationsPublicKeyDiscovery(PublicKeyDiscoveryInput(
            recipient_static_private_key=private))
    return providers.create_raw_ecdh_keyring(CreateRawEcdhKeyringInput(
        curve_spec=f"ECC_NIST_P{curve}", key_agreement_scheme=scheme))


def ecdh_static(curve, sender, recipient):
    return ecdh_keyring_of("static", curve, private_pem(sender), public_der(recipient))


def ecdh_ephemeral(curve, recipient):
    return ecdh_keyring_of("ephemeral", curve, None, public_der(recipient))


def ecdh_discovery(curve, recipient):
    return ecdh_keyring_of("discovery", curve, private_pem(recipient), None)


def multi_keyring(keyrings):
    return providers.create_multi_keyring(CreateMultiKeyringInput(generator=keyrings[0], child_keyrings=keyrings[1:]))


def required_context_cmm(keyring, names):
    cmm = providers.create_default_cryptographic_materials_manager(
        CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring))
    return providers.create_required_encryption_context_cmm(CreateRequiredEncryptionContextCMMInput(
        underlying_cmm=cmm, required_encryption_context_keys=names))
