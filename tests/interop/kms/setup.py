"""Makes two keys, and a user who may use them, in an emulator that has just started. The peers and the program share them.

Started by `run` with the emulator's name and URL; prints lines NAME=VALUE for the environment of the tests. In moto it
makes a user with an access key, and then switches the verification of signatures on, which it tries out."""
import json
import sys
import urllib.request

import boto3
import botocore.exceptions

REGION = "eu-central-1"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}


def client(service, url, access_key_id="AKIAIOSFODNN7EXAMPLE", secret="setup"):
    return boto3.client(service, region_name=REGION, endpoint_url=url, aws_access_key_id=access_key_id,
                        aws_secret_access_key=secret)


def user(url):
    """The user's access key id and secret."""
    iam = client("iam", url)
    iam.create_user(UserName="keyflight")
    iam.put_user_policy(UserName="keyflight", PolicyName="kms", PolicyDocument=json.dumps(POLICY))
    key = iam.create_access_key(UserName="keyflight")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def verify_signatures(url, access_key_id, secret):
    """Switches it on, and checks that: the right secret works, a wrong one does not."""
    # The number of requests that are not verified. It is sent as text, because moto does not read a form here.
    urllib.request.urlopen(urllib.request.Request(url + "/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}))
    client("kms", url, access_key_id, secret).list_keys()
    try:
        client("kms", url, access_key_id, "wrong" + secret).list_keys()
    except botocore.exceptions.ClientError:
        return
    sys.exit("moto accepts a wrong signature")


def main(emulator, url):
    kms = client("kms", url)
    keys = [kms.create_key(Description=name)["KeyMetadata"]["Arn"] for name in ("one", "two")]
    kms.create_alias(AliasName="alias/interop", TargetKeyId=keys[0])
    credentials = ("AKIAIOSFODNN7EXAMPLE", "anything")
    if emulator == "moto":
        credentials = user(url)
        verify_signatures(url, *credentials)
    values = {
        "AWS_ACCESS_KEY_ID": credentials[0],
        "AWS_SECRET_ACCESS_KEY": credentials[1],
        "KMS_REGION": REGION,
        "KMS_URL": url,
        "KMS_KEY_ONE": keys[0],
        "KMS_KEY_TWO": keys[1],
    }
    for name, value in values.items():
        print(f"{name}={value}")


main(*sys.argv[1:])
