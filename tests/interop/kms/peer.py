"""Two-way exchange with the official Python client (with MPL): each unwraps what the other has wrapped by KMS.

Started by `run`, which names program, keys and emulator in the environment. Prints failures, then the counts."""
import os
import subprocess
import sys

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsDiscoveryKeyringInput, CreateAwsKmsKeyringInput, CreateMultiKeyringInput, DiscoveryFilter)
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

PROGRAM, URL, REGION = os.environ["KEYFLIGHT"], os.environ["KMS_URL"], os.environ["KMS_REGION"]
KEYS = {"one": os.environ["KMS_KEY_ONE"], "two": os.environ["KMS_KEY_TWO"]}
_, PARTITION, _, _, ACCOUNT, _ = KEYS["one"].split(":")
SUITES = {
    "0478": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    "0578": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
}
CONTEXT = {"tenant": "42", "purpose": "interop", "schlüssel": "鍵 \"quoted\" \\"}
PLAINTEXT = bytes(i * i % 251 for i in range(10000))

sdk = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
kms = boto3.client("kms", region_name=REGION, endpoint_url=URL)


# ---- Keyrings of the client, and options of the program, by the same names

def keyring(names):
    if names == ["discovery"]:
        wanted = DiscoveryFilter(account_ids=[ACCOUNT], partition=PARTITION)
        return providers.create_aws_kms_discovery_keyring(
            CreateAwsKmsDiscoveryKeyringInput(kms_client=kms, discovery_filter=wanted))
    rings = [providers.create_aws_kms_keyring(CreateAwsKmsKeyringInput(kms_key_id=KEYS[name], kms_client=kms))
             for name in names]
    return providers.create_multi_keyring(CreateMultiKeyringInput(generator=rings[0], child_keyrings=rings[1:]))


def options(names):
    if names == ["discovery"]:
        return ["-k", f"kms-discovery:{PARTITION}:{ACCOUNT}"]
    return [option for name in names for option in ("-k", "kms:" + KEYS[name])]


def program(command, names, data, *more):
    done = subprocess.run([PROGRAM, command, *options(names), "--endpoint-url", URL, "--region", REGION, *more],
                          input=data, capture_output=True, check=False)
    assert done.returncode == 0, f"keyflight {command}: exit {done.returncode}: {done.stderr.decode()}"
    return done.stdout


# ---- The two directions

def client_to_program(suite, wrapping, unwrapping):
    message, _ = sdk.encrypt(source=PLAINTEXT, keyring=keyring(wrapping), algorithm=SUITES[suite],
                             encryption_context=CONTEXT)
    assert program("decrypt", unwrapping, message) == PLAINTEXT, "decrypted to something else"


def program_to_client(suite, wrapping, unwrapping):
    pairs = [option for pair in CONTEXT.items() for option in ("-c", "=".join(pair))]
    message = program("encrypt", wrapping, PLAINTEXT, "--suite", suite, *pairs)
    plaintext, header = sdk.decrypt(source=message, keyring=keyring(unwrapping))
    assert plaintext == PLAINTEXT, "decrypted to something else"
    assert CONTEXT.items() <= header.encryption_context.items(), header.encryption_context
    edks = [(edk.key_provider.provider_id, edk.key_provider.key_info.decode()) for edk in header.encrypted_data_keys]
    assert sorted(edks) == sorted(("aws-kms", KEYS[name]) for name in wrapping), edks


def main():
    counts = {"passed": 0, "failed": 0}
    for suite in SUITES:
        for wrapping, unwrapping in ((["one"], ["one"]), (["one", "two"], ["one"]), (["one", "two"], ["two"]),
                                     (["one", "two"], ["one", "two"]), (["two"], ["discovery"])):
            for direction in (client_to_program, program_to_client):
                try:
                    direction(suite, wrapping, unwrapping)
                    counts["passed"] += 1
                except Exception as error:  # whatever a client throws is a failure of this case only
                    counts["failed"] += 1
                    print(f"FAILED {direction.__name__}: {suite}, wrapped by {'+'.join(wrapping)}, unwrapped by "
                          f"{'+'.join(unwrapping)}\n  {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return counts["failed"] > 0


sys.exit(main())
