"""
What the fault-injecting KMS of the tests answers when no fault is asked for: keys, data keys and ciphertexts, with the
errors that AWS KMS gives. Used by fault_kms.py. Knows nothing of HTTP.

Every well-formed key or alias of the accounts below exists, in every region. A ciphertext carries its key and is bound
to its encryption context; it opens only in the process that made it.
"""
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import uuid

ACCOUNTS = ('111122223333', '444455556666')
MATERIAL_ID = hashlib.sha256(b'key material').hexdigest()
ARN = re.compile(r'arn:(aws[a-z-]*):kms:([a-z0-9-]+):(\d{12}):((key|alias)/[A-Za-z0-9/_-]+)')


class Refusal(Exception):
    """An error of the service: its code, and its sentence or None."""

    def __init__(self, code, message=None, status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status

    def document(self):
        body = {'__type': self.code}
        if self.message is not None:
            body['message'] = self.message
        return body


def ascii_json(value):
    return json.dumps(value, sort_keys=True).encode()


class Model:
    """The keys of all accounts and regions, and the operations on them."""

    def __init__(self):
        self.states = {}  # 'Disabled', 'PendingDeletion', 'NotFound', 'Denied' by key ARN or id
        self.data_key = None  # GenerateDataKey gives it instead of random bytes
        self.secret = os.urandom(32)

    def answer(self, operation, request, region):
        """The reply to one request, as a dictionary. The request was signed for `region`; None: not signed."""
        method = getattr(self, f'do_{operation}', None)
        if method is None:
            raise Refusal('UnknownOperationException')
        if not isinstance(request, dict):
            raise Refusal('SerializationException')
        return method(request, region)

    # ---- Operations ----

    def do_GenerateDataKey(self, request, region):
        key = self.usable_key(request, region)
        length = self.data_key_length(request)
        plaintext = self.data_key[:length] if self.data_key else os.urandom(length)
        return {'CiphertextBlob': text(self.seal(key, context_of(request), plaintext)), 'KeyId': key,
                'Plaintext': text(plaintext), 'KeyMaterialId': MATERIAL_ID}

    def do_GenerateDataKeyWithoutPlaintext(self, request, region):
        reply = self.do_GenerateDataKey(request, region)
        del reply['Plaintext']
        return reply

    def do_Encrypt(self, request, region):
        key = self.usable_key(request, region)
        plaintext = blob_of(request, 'Plaintext', 4096)
        return {'CiphertextBlob': text(self.seal(key, context_of(request), plaintext)), 'KeyId': key,
                'EncryptionAlgorithm': 'SYMMETRIC_DEFAULT'}

    def do_Decrypt(self, request, region):
        blob = blob_of(request, 'CiphertextBlob', 6144)
        context = context_of(request)
        key, opened = self.open(blob, context)
        if key is None or (region is not None and key.split(':')[3] != region):
            raise Refusal('InvalidCiphertextException')
        if 'KeyId' in request and self.key_arn(request['KeyId'], region) != key:
            raise Refusal('IncorrectKeyException', 'The key ID in the request does not identify a CMK that can '
                                                   'perform this operation.')
        self.check_state(key)
        if opened is None:
            raise Refusal('InvalidCiphertextException')
        return {'KeyId': key, 'Plaintext': text(opened), 'EncryptionAlgorithm': 'SYMMETRIC_DEFAULT',
                'KeyMaterialId': MATERIAL_ID}

    def do_DescribeKey(self, request, region):
        key = self.key_arn(request.get('KeyId'), region)
        state = self.states.get(key, self.states.get(key.rpartition('/')[2], 'Enabled'))
        return {'KeyMetadata': {'Arn': key, 'KeyId': key.rpartition('/')[2], 'AWSAccountId': key.split(':')[4],
                                'Enabled': state == 'Enabled', 'KeyState': state, 'KeyUsage': 'ENCRYPT_DECRYPT',
                                'KeySpec': 'SYMMETRIC_DEFAULT', 'KeyManager': 'CUSTOMER'}}

    # ---- Keys ----

    def key_arn(self, name, region):
        """The ARN of the key that `name` means: a key ARN, an alias ARN, a key id or alias/NAME."""
        if not isinstance(name, str) or not 1 <= len(name) <= 2048:
            raise Refusal('ValidationException', "1 validation error detected: Value at 'keyId' failed to satisfy "
                                                 'constraint: Member must have length between 1 and 2048')
        if not name.startswith('arn:'):
            resource = name if name.startswith('alias/') else f'key/{name}'
            name = f'arn:aws:kms:{region or "us-west-2"}:{ACCOUNTS[0]}:{resource}'
        parts = ARN.fullmatch(name)
        if parts is None:
            raise Refusal('ValidationException', f'Invalid keyId {name}')
        partition, key_region, account, resource, kind = parts.groups()
        if region is not None and key_region != region:
            raise Refusal('NotFoundException', f'Invalid arn {key_region}')
        if account not in ACCOUNTS:
            self.deny(name)
        if kind == 'alias':
            resource = f'key/{uuid.uuid5(uuid.NAMESPACE_URL, resource)}'
        return f'arn:{partition}:kms:{key_region}:{account}:{resource}'

    def usable_key(self, request, region):
        key = self.key_arn(request.get('KeyId'), region)
        self.check_state(key)
        return key

    def check_state(self, key):
        state = self.states.get(key, self.states.get(key.rpartition('/')[2]))
        if state == 'NotFound':
            raise Refusal('NotFoundException', f"Key '{key}' does not exist")
        if state == 'Denied':
            self.deny(key)
        if state == 'Disabled':
            raise Refusal('DisabledException', f'{key} is disabled.')
        if state == 'PendingDeletion':
            raise Refusal('KMSInvalidStateException', f'{key} is pending deletion.')

    @staticmethod
    def deny(key):
        raise Refusal('AccessDeniedException', f'User: arn:aws:iam::{ACCOUNTS[0]}:user/tests is not authorized to '
                                               f'perform this operation on resource: {key}')

    # ---- Ciphertexts ----

    def data_key_length(self, request):
        length = request.get('NumberOfBytes')
        spec = request.get('KeySpec')
        if (length is None) == (spec is None):
            raise Refusal('ValidationException', 'Please specify either number of bytes or key spec.')
        if spec is not None:
            length = {'AES_256': 32, 'AES_128': 16}.get(spec, 0)
        if not isinstance(length, int) or not 1 <= length <= 1024:
            raise Refusal('ValidationException', "1 validation error detected: Value at 'numberOfBytes' failed to "
                                                 'satisfy constraint: Member must have value between 1 and 1024')
        return length

    def keystream(self, nonce, length):
        blocks = (hmac.digest(self.secret, nonce + bytes([i]), 'sha256') for i in range(length // 32 + 1))
        return b''.join(blocks)[:length]

    def seal(self, key, context, plaintext):
        """Length and name of the key, nonce, ciphertext, tag over all of it and the encryption context."""
        nonce = os.urandom(16)
        hidden = bytes(a ^ b for a, b in zip(plaintext, self.keystream(nonce, len(plaintext))))
        head = len(key).to_bytes(2, 'big') + key.encode() + nonce + hidden
        return head + hmac.digest(self.secret, head + ascii_json(context), 'sha256')

    def open(self, blob, context):
        """The key that a ciphertext names, and its content; None for what can't be read."""
        name_end = 2 + int.from_bytes(blob[:2], 'big')
        key = blob[2:name_end].decode('latin-1')
        if len(blob) < name_end + 16 + 32 or ARN.fullmatch(key) is None:
            return None, None
        head, tag = blob[:-32], blob[-32:]
        if not hmac.compare_digest(hmac.digest(self.secret, head + ascii_json(context), 'sha256'), tag):
            return key, None
        nonce, hidden = head[name_end:name_end + 16], head[name_end + 16:]
        return key, bytes(a ^ b for a, b in zip(hidden, self.keystream(nonce, len(hidden))))


def text(data):
    return base64.b64encode(data).decode()


def blob_of(request, field, maximum):
    try:
        data = base64.b64decode(request[field], validate=True)
    except KeyError:
        data = b''
    except (TypeError, ValueError, binascii.Error):
        raise Refusal('SerializationException') from None
    if not 1 <= len(data) <= maximum:
        raise Refusal('ValidationException', f"1 validation error detected: Value at '{field[0].lower()}{field[1:]}' "
                                             f'failed to satisfy constraint: Member must have length between 1 and '
                                             f'{maximum}')
    return data


def context_of(request):
    context = request.get('EncryptionContext', {})
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise Refusal('SerializationException')
    return context
