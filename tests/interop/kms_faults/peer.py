"""
boto3 against the fault-injecting KMS: operations, errors, signatures, and credentials from its metadata services. Run
by `run`; the last line is "N passed, M failed".
"""
import json
import os
import subprocess
import sys
import urllib.request

import boto3
import botocore.exceptions
from botocore.config import Config

KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'
OTHER = KEY[:-1] + 'c'
CONTEXT = {'purpose': 'tests', 'größe': '"klein"'}
server = subprocess.Popen([sys.executable, os.environ['SERVER']], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
place = json.loads(server.stdout.readline())
results = []


def control(**settings):
    request = urllib.request.Request(place['control'] + '/_control', json.dumps(settings).encode(), method='POST')
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def kms(attempts=1, **credentials):
    session = boto3.Session(**credentials)
    return session.client('kms', endpoint_url=place['url'], region_name='eu-west-1',
                          config=Config(retries={'mode': 'standard', 'total_max_attempts': attempts}))


def check(what, holds):
    results.append(bool(holds))
    if not holds:
        print(f'peer.py: {what}', file=sys.stderr)


def refused(code, call, **arguments):
    try:
        call(**arguments)
        check(f'{code} did not come', False)
    except botocore.exceptions.ClientError as error:
        check(f'{code} came as {error}', error.response['Error']['Code'] == code)


control(verify=True)
ours = {'aws_access_key_id': 'AKIDEXAMPLE', 'aws_secret_access_key': 'the-secret-of-the-tests'}
client = kms(**ours)
made = client.generate_data_key(KeyId=KEY, NumberOfBytes=32, EncryptionContext=CONTEXT)
check('a data key', made['KeyId'] == KEY and len(made['Plaintext']) == 32)
opened = client.decrypt(CiphertextBlob=made['CiphertextBlob'], EncryptionContext=CONTEXT, KeyId=KEY)
check('a data key opened', opened['Plaintext'] == made['Plaintext'] and opened['KeyId'] == KEY)
wrapped = client.encrypt(KeyId=OTHER, Plaintext=made['Plaintext'], EncryptionContext=CONTEXT)
opened = client.decrypt(CiphertextBlob=wrapped['CiphertextBlob'], EncryptionContext=CONTEXT)
check('a wrapped key opened', opened['Plaintext'] == made['Plaintext'] and opened['KeyId'] == OTHER)
bare = client.generate_data_key_without_plaintext(KeyId=KEY, NumberOfBytes=32)
check('no plaintext', 'Plaintext' not in bare)
check('a description', client.describe_key(KeyId='alias/any')['KeyMetadata']['KeyState'] == 'Enabled')

blob = made['CiphertextBlob']
refused('IncorrectKeyException', client.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=OTHER)
refused('InvalidCiphertextException', client.decrypt, CiphertextBlob=blob)
refused('InvalidCiphertextException', client.decrypt, CiphertextBlob=b'nonsense')
refused('NotFoundException', client.encrypt, KeyId=KEY.replace('west', 'central'), Plaintext=b'x')
refused('AccessDeniedException', client.encrypt, KeyId=KEY.replace('111122223333', '999999999999'), Plaintext=b'x')
refused('ValidationException', client.encrypt, KeyId='arn:aws:nonsense', Plaintext=b'x')
refused('ValidationException', client.generate_data_key, KeyId=KEY)
for state, code in (('Disabled', 'DisabledException'), ('PendingDeletion', 'KMSInvalidStateException'),
                    ('NotFound', 'NotFoundException'), ('Denied', 'AccessDeniedException')):
    control(states={KEY: state})
    refused(code, client.encrypt, KeyId=KEY, Plaintext=b'x')
control(states={})

refused('InvalidSignatureException', kms(**{**ours, 'aws_secret_access_key': 'wrong'}).list_keys)
refused('UnrecognizedClientException', kms(**{**ours, 'aws_access_key_id': 'UNKNOWN'}).list_keys)
refused('UnknownOperationException', client.list_keys)
control(skew_s=3600)
refused('InvalidSignatureException', client.list_keys)
control(skew_s=0)

throttling = {'kind': 'error', 'count': 1, 'value': {'code': 'ThrottlingException', 'message': 'Rate exceeded'}}
control(faults=[throttling])
refused('ThrottlingException', client.encrypt, KeyId=KEY, Plaintext=b'x')
control(faults=[{'kind': 'drop', 'count': 1}])
check('another attempt', kms(attempts=2, **ours).encrypt(KeyId=KEY, Plaintext=b'x')['KeyId'] == KEY)

os.environ.update(AWS_CONTAINER_CREDENTIALS_FULL_URI=f'{place["url"]}/container',
                  AWS_CONTAINER_AUTHORIZATION_TOKEN='the-token')
control(container_token='the-token')
check('credentials of a container', kms().encrypt(KeyId=KEY, Plaintext=b'x')['KeyId'] == KEY)
del os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']
os.environ.update(AWS_EC2_METADATA_DISABLED='false', AWS_EC2_METADATA_SERVICE_ENDPOINT=place['url'])
check('credentials of an instance', kms().encrypt(KeyId=KEY, Plaintext=b'x')['KeyId'] == KEY)
counters = control()
check('each once', counters.get('container_credentials') == counters.get('imds_credentials') == 1)

server.stdin.close()
server.wait()
print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
sys.exit(not all(results))
