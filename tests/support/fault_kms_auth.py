"""
The credentials of the fault-injecting KMS of the tests: it verifies signatures (SigV4, written after its description), and
has the metadata services that hand out credentials. Used by fault_kms.py. Knows nothing of sockets.
"""
import calendar
import hashlib
import hmac
import json
import os
import re
import time
import urllib.parse

from fault_kms_model import Refusal

SKEW_MAX = 300  # seconds that a signature's time may differ from the service's
ROLE = 'tests-role'
AUTHORIZATION = re.compile(r'AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?'
                           r'SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})')


class Authority:
    """The credentials that are valid, and a clock that can be set wrong."""

    def __init__(self):
        self.verify = False
        self.skew = 0
        self.credentials = {'AKIDEXAMPLE': {'secret': 'the-secret-of-the-tests'}}
        self.lifetime = 3600  # in seconds, of credentials that are handed out
        self.container_token = None  # the value of Authorization that the container endpoint demands
        self.session_tokens = set()  # given out by IMDSv2
        self.issued = 0

    def now(self):
        return time.time() + self.skew

    # ---- Signatures ----

    def check(self, method, path, headers, body):
        """Refuses a request that is not signed with valid credentials; answers the region it is signed for, or None."""
        parts = AUTHORIZATION.fullmatch(headers.get('authorization', ''))
        if parts is None:
            if self.verify:
                raise Refusal('MissingAuthenticationTokenException', 'Missing Authentication Token')
            return None
        key_id, day, region, service, names, signature = parts.groups()
        if not self.verify:
            return region
        known = self.credentials.get(key_id)
        if known is None or headers.get('x-amz-security-token') != known.get('token'):
            raise Refusal('UnrecognizedClientException', 'The security token included in the request is invalid.')
        if known.get('expires', float('inf')) <= self.now():
            raise Refusal('ExpiredTokenException', 'The security token included in the request is expired')
        stamp = headers.get('x-amz-date', '')
        self.check_time(stamp, day)
        needed = {'host'} | {name for name in headers if name.startswith('x-amz-')}
        expected = sign(known['secret'], (day, region, service), stamp,
                        canonical(method, path, headers, names, body))
        if service != 'kms' or not needed <= set(names.split(';')) or not hmac.compare_digest(signature, expected):
            raise Refusal('InvalidSignatureException', 'The request signature we calculated does not match the '
                                                       'signature you provided.')
        return region

    def check_time(self, stamp, day):
        if not re.fullmatch(r'\d{8}T\d{6}Z', stamp) or not stamp.startswith(day):
            raise Refusal('IncompleteSignatureException', 'Date must be in ISO-8601 basic format.')
        signed = calendar.timegm(time.strptime(stamp, '%Y%m%dT%H%M%SZ'))
        here = time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self.now()))
        if signed < self.now() - SKEW_MAX:
            raise Refusal('InvalidSignatureException', f'Signature expired: {stamp} is now earlier than {here}')
        if signed > self.now() + SKEW_MAX:
            raise Refusal('InvalidSignatureException', f'Signature not yet current: {stamp} is still later than {here}')

    # ---- Metadata services ----

    def metadata(self, method, path, headers):
        """(counter, status, content type, body, further headers) for a path of a metadata service; None: not one."""
        if path == '/latest/api/token':
            return 'imds_tokens', *self.session_token(method, headers)
        if path.startswith('/latest/meta-data/'):
            if headers.get('x-aws-ec2-metadata-token') not in self.session_tokens:
                return 'imds_refused', 401, 'text/html', b'', {}
            return self.instance(path.removeprefix('/latest/meta-data/'))
        if path == '/container':
            if headers.get('authorization') != self.container_token:
                return 'container_refused', 403, 'application/json', b'{"message": "not for you"}', {}
            return 'container_credentials', 200, 'application/json', self.issue(), {}
        return None

    def session_token(self, method, headers):
        ttl = headers.get('x-aws-ec2-metadata-token-ttl-seconds', '')
        if method != 'PUT' or not ttl.isdigit() or not 1 <= int(ttl) <= 21600 or 'x-forwarded-for' in headers:
            return 400, 'text/html', b'', {}
        token = os.urandom(16).hex()
        self.session_tokens.add(token)
        return 200, 'text/plain', token.encode(), {'X-Aws-Ec2-Metadata-Token-Ttl-Seconds': ttl}

    def instance(self, name):
        if name == 'placement/region':
            return 'imds_region', 200, 'text/plain', b'eu-west-1', {}
        if name == 'iam/security-credentials/':
            return 'imds_roles', 200, 'text/plain', ROLE.encode(), {}
        if name == f'iam/security-credentials/{ROLE}':
            return 'imds_credentials', 200, 'text/plain', self.issue(), {}
        return 'imds_unknown', 404, 'text/html', b'', {}

    def issue(self):
        """Hands out new credentials."""
        self.issued += 1
        key_id, secret, token = f'ASIATESTS{self.issued:04}', os.urandom(20).hex(), os.urandom(32).hex()
        expires = self.now() + self.lifetime
        self.credentials[key_id] = {'secret': secret, 'token': token, 'expires': expires}
        stamp = '%Y-%m-%dT%H:%M:%SZ'
        return json.dumps({'Code': 'Success', 'Type': 'AWS-HMAC', 'AccessKeyId': key_id, 'SecretAccessKey': secret,
                           'Token': token, 'LastUpdated': time.strftime(stamp, time.gmtime(self.now())),
                           'Expiration': time.strftime(stamp, time.gmtime(expires))}).encode()


def canonical(method, path, headers, names, body):
    address, _, query = path.partition('?')
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    query = '&'.join(f'{urllib.parse.quote(k, "-_.~")}={urllib.parse.quote(v, "-_.~")}' for k, v in pairs)
    lines = ''.join(f'{name}:{" ".join(headers.get(name, "").split())}\n' for name in names.split(';'))
    return '\n'.join((method, urllib.parse.quote(address, '/-_.~%'), query, lines, names,
                      hashlib.sha256(body).hexdigest()))


def sign(secret, scope, stamp, request):
    key = ('AWS4' + secret).encode()
    for part in (*scope, 'aws4_request'):
        key = hmac.digest(key, part.encode(), 'sha256')
    digest = hashlib.sha256(request.encode()).hexdigest()
    message = '\n'.join(('AWS4-HMAC-SHA256', stamp, '/'.join((*scope, 'aws4_request')), digest))
    return hmac.new(key, message.encode(), 'sha256').hexdigest()
