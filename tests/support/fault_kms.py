#!/usr/bin/env python3
"""
A KMS on loopback that fails as it is told, and counts. For the tests of libkeyflight-aws, or any other client.

    fault_kms.py [--tls HOST]

One line of JSON on stdout says where it listens: {"url": ..., "control": ..., "certificate": ...}. It ends when its stdin
is closed. With --tls the service has a certificate for HOST, an address or a name, that it signs itself.

At "url": POST / is KMS, and /latest/... and /container are the metadata services that hand out credentials.
At "control", always in plain HTTP, each with a JSON object as body and the counters as reply:

    POST /_control  sets what the object names; the rest stays as it is:
        latency_ms       time before a reply
        gate             hold replies until this many are held, then send them all; 0 sends them now
        faults           list of faults, see below; a request gets the first one for it
        states           {key ARN or id: "Disabled", "PendingDeletion", "NotFound" or "Denied"}
        data_key         in hexadecimal, the key that GenerateDataKey gives instead of random bytes; "": random again
        verify           whether signatures are checked (off)
        skew_s           how far the service's clock is ahead
        credentials      {access key id: {"secret": ..., "token": ...}} that are valid, besides those handed out
        lifetime_s       of credentials handed out
        container_token  the value of Authorization that /container demands
        reset            true: counters to zero, except those of what is open now
    GET /_stats     the counters
    POST /_wait     answers once every counter named has risen to its value or, with "at_most": true, fallen to it

A fault is {"kind": ..., "operation": ..., "count": ..., "value": ...}. Without an operation it is for all of them
("metadata" stands for the metadata services); without a count it is for ever. Kinds, and their values:
    error      {"status": 400, "code": "ThrottlingException", "message": ..., "headers": {...}} instead of the reply
    stall      no reply, ever
    drop       the connection is closed without a reply
    tear       the connection is closed half-way through the reply
    raw        this text instead of the reply's body
    members    an object, whose members replace those of the reply or are added
    text       [from, to]: in the reply's body, from is replaced by to
    length     the plaintext gets this many bytes
    oversize   the reply gets this many bytes more
"""
import argparse
import asyncio
import base64
import email.utils
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import uuid

from fault_kms_auth import Authority
from fault_kms_model import Model, Refusal

JSON_TYPE = 'application/x-amz-json-1.1'
REASONS = {200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
           500: 'Internal Server Error', 503: 'Service Unavailable'}
COUNTERS = ('requests', 'answered', 'connections', 'open', 'open_peak', 'in_flight', 'in_flight_peak')


class Counters:
    """What happened, and the requests that wait for something to happen."""

    def __init__(self):
        self.values = dict.fromkeys(COUNTERS, 0)
        self.waiting = []  # (condition, future)

    def add(self, name, step=1):
        self.values[name] = self.values.get(name, 0) + step
        peak = f'{name}_peak'
        if peak in self.values:
            self.values[peak] = max(self.values[peak], self.values[name])
        for condition, future in self.waiting:
            if not future.done() and condition(self.values):
                future.set_result(None)

    def reset(self):
        for name in self.values:
            if name not in ('open', 'in_flight'):
                self.values[name] = self.values.get(name.removesuffix('_peak'), 0) if name.endswith('_peak') else 0

    async def wait(self, wanted):
        at_most = wanted.pop('at_most', False)

        def condition(values):
            return all(values.get(name, 0) <= value if at_most else values.get(name, 0) >= value
                       for name, value in wanted.items())

        if condition(self.values):
            return
        entry = condition, asyncio.get_running_loop().create_future()
        self.waiting.append(entry)
        try:
            await entry[1]
        finally:
            self.waiting.remove(entry)


class Gate:
    """Holds replies until enough have come."""

    def __init__(self):
        self.needed = 0
        self.held = []

    def set(self, needed):
        self.needed = needed
        self.look()

    def look(self):
        if len(self.held) >= self.needed:
            self.needed = 0
            for future in self.held:
                if not future.done():
                    future.set_result(None)
            self.held = []

    async def enter(self):
        if self.needed > 0:
            future = asyncio.get_running_loop().create_future()
            self.held.append(future)
            self.look()
            await future


class Connection(asyncio.Protocol):
    """One connection of a client: requests one after another, each answered by `respond`."""

    def __init__(self, respond, counters=None):
        self.respond, self.counters = respond, counters
        self.buffer = bytearray()
        self.task = None

    def connection_made(self, transport):
        self.transport = transport
        if self.counters:
            self.counters.add('connections')
            self.counters.add('open')

    def connection_lost(self, error):
        if self.counters:
            self.counters.add('open', -1)
        if self.task:
            self.task.cancel()

    def data_received(self, data):
        self.buffer += data
        self.next_request()

    def next_request(self):
        end = self.buffer.find(b'\r\n\r\n')
        if self.task or end < 0:
            return
        first, *lines = self.buffer[:end].decode('latin-1').split('\r\n')
        method, path, _ = first.split(' ', 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(':') for line in lines)}
        length = int(headers.get('content-length', '0'))
        if len(self.buffer) < end + 4 + length:
            return
        body = bytes(self.buffer[end + 4:end + 4 + length])
        del self.buffer[:end + 4 + length]
        self.task = asyncio.get_running_loop().create_task(self.answer(method, path, headers, body))

    async def answer(self, method, path, headers, body):
        reply = await self.respond(method, path, headers, body)
        self.task = None
        if reply is None:
            self.transport.close()
            return
        self.transport.write(reply)
        if headers.get('connection', '').lower() == 'close' or not reply_is_whole(reply):
            self.transport.close()
        else:
            self.next_request()


def reply_is_whole(reply):
    head, _, body = reply.partition(b'\r\n\r\n')
    return f'Content-Length: {len(body)}\r\n'.encode() in head + b'\r\n'


class Service:
    """The KMS, its faults, and what it counts."""

    def __init__(self):
        self.model, self.authority = Model(), Authority()
        self.counters, self.gate = Counters(), Gate()
        self.latency = 0
        self.faults = []

    # ---- What clients see

    async def respond(self, method, path, headers, body):
        operation = headers.get('x-amz-target', '').removeprefix('TrentService.')
        is_kms = path.partition('?')[0] == '/'
        if not is_kms:
            operation = 'metadata'
        self.counters.add('requests' if is_kms else 'metadata')
        self.counters.add(operation or 'none')
        self.counters.add('in_flight')
        self.counters.values.setdefault('first_ns', time.monotonic_ns())
        try:
            return await self.reply_to(method, path, headers, body, operation, is_kms)
        finally:
            self.counters.add('in_flight', -1)
            self.counters.values['last_ns'] = time.monotonic_ns()
            self.counters.add('answered')

    async def reply_to(self, method, path, headers, body, operation, is_kms):
        fault = self.take_fault(operation)
        kind = fault.get('kind')
        if kind == 'stall':
            await asyncio.get_running_loop().create_future()
        if is_kms:
            await self.gate.enter()
        if self.latency:
            await asyncio.sleep(self.latency / 1000)
        if kind == 'drop':
            return None
        if kind == 'error':
            status, extra, reply = self.faulty_error(fault['value'])
            content_type = JSON_TYPE
        elif is_kms:
            status, extra, reply = self.kms(method, path, headers, body, operation, fault)
            content_type = JSON_TYPE
        else:
            status, content_type, reply, extra = self.metadata(method, path, headers, fault)
        whole = self.message(status, content_type, reply, extra)
        return whole[:len(whole) - len(reply) // 2] if kind == 'tear' else whole

    def kms(self, method, path, headers, body, operation, fault):
        try:
            region = self.authority.check(method, path, headers, body)
            try:
                request = json.loads(body)
            except ValueError:
                raise Refusal('SerializationException') from None
            document = self.model.answer(operation, request, region)
        except Refusal as refusal:
            return refusal.status, {'x-amzn-ErrorType': refusal.code}, json.dumps(refusal.document()).encode()
        return 200, {}, spoil(document, fault)

    @staticmethod
    def faulty_error(value):
        refusal = Refusal(value['code'], value.get('message'), value.get('status', 400))
        extra = {'x-amzn-ErrorType': refusal.code, **value.get('headers', {})}
        return refusal.status, extra, json.dumps(refusal.document()).encode()

    def metadata(self, method, path, headers, fault):
        found = self.authority.metadata(method, path, headers)
        if found is None:
            return 404, 'text/plain', b'', {}
        counter, status, content_type, body, extra = found
        self.counters.add(counter)
        if fault.get('kind') == 'raw':
            body = fault['value'].encode()
        return status, content_type, body, extra

    def message(self, status, content_type, body, extra):
        lines = {'x-amzn-RequestId': str(uuid.uuid4()), 'Cache-Control': 'no-cache, no-store, must-revalidate, private',
                 'Date': email.utils.formatdate(self.authority.now(), usegmt=True), 'Content-Type': content_type,
                 'Content-Length': len(body), **extra}
        head = ''.join(f'{name}: {value}\r\n' for name, value in lines.items())
        return f'HTTP/1.1 {status} {REASONS.get(status, "Other")}\r\n{head}\r\n'.encode() + body

    def take_fault(self, operation):
        for fault in self.faults:
            if fault.get('operation', operation) == operation and fault.get('count', 1) > 0:
                if 'count' in fault:
                    fault['count'] -= 1
                return fault
        return {}

    # ---- What the tests see

    async def control(self, method, path, headers, body):
        try:
            wanted = json.loads(body or b'{}')
            if path == '/_control':
                self.set(wanted)
            elif path == '/_wait':
                await self.counters.wait(wanted)
            elif path != '/_stats':
                return self.message(404, 'text/plain', b'/_control, /_stats or /_wait', {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self.message(400, 'text/plain', repr(error).encode(), {})
        return self.message(200, 'application/json', json.dumps(self.counters.values).encode(), {})

    def set(self, wanted):
        setters = {
            'latency_ms': lambda value: setattr(self, 'latency', value),
            'gate': self.gate.set,
            'faults': lambda value: setattr(self, 'faults', value),
            'states': lambda value: setattr(self.model, 'states', value),
            'data_key': lambda value: setattr(self.model, 'data_key', bytes.fromhex(value)),
            'verify': lambda value: setattr(self.authority, 'verify', value),
            'skew_s': lambda value: setattr(self.authority, 'skew', value),
            'credentials': self.authority.credentials.update,
            'lifetime_s': lambda value: setattr(self.authority, 'lifetime', value),
            'container_token': lambda value: setattr(self.authority, 'container_token', value),
            'reset': lambda value: value and self.counters.reset(),
        }
        for name, value in wanted.items():
            setters[name](value)


def spoil(document, fault):
    """The text of a reply, changed as a fault says."""
    kind, value = fault.get('kind'), fault.get('value')
    if kind == 'raw':
        return value.encode()
    if kind == 'members':
        document = {**document, **value}
    if kind == 'length' and 'Plaintext' in document:
        plaintext = base64.b64decode(document['Plaintext'])
        document['Plaintext'] = base64.b64encode(bytes(itertools.islice(itertools.cycle(plaintext), value))).decode()
    if kind == 'oversize':
        document = {**document, 'Padding': 'x' * value}
    body = json.dumps(document)
    if kind == 'text':
        body = body.replace(*value)
    return body.encode()


def certificate(directory, host):
    """A self-signed certificate for `host`: its file, and that of its key."""
    path = os.path.join(directory, 'certificate.pem')
    kind = 'IP' if host.replace('.', '').isdigit() else 'DNS'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '2', '-subj', '/CN=fault_kms', '-addext', f'subjectAltName={kind}:{host}',
                    '-keyout', path + '.key', '-out', path], check=True, stderr=subprocess.DEVNULL)
    return path


async def serve(directory, host):
    loop, service = asyncio.get_running_loop(), Service()
    pem = context = None
    if host:
        pem = certificate(directory, host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, pem + '.key')
    kms = await loop.create_server(lambda: Connection(service.respond, service.counters), '127.0.0.1', 0,
                                   ssl=context, backlog=1024)
    control = await loop.create_server(lambda: Connection(service.control), '127.0.0.1', 0)
    port, control_port = (server.sockets[0].getsockname()[1] for server in (kms, control))
    print(json.dumps({'url': f'{"https" if host else "http"}://127.0.0.1:{port}',
                      'control': f'http://127.0.0.1:{control_port}', 'certificate': pem}), flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: os.read(sys.stdin.fileno(), 4096) or ended.set())
    await ended.wait()


def main():
    parser = argparse.ArgumentParser(description='A KMS on loopback that fails as it is told.')
    parser.add_argument('--tls', metavar='HOST', help='speak TLS, with a certificate for this address or name')
    arguments = parser.parse_args()
    directory = tempfile.mkdtemp(prefix='fault-kms-')
    try:
        asyncio.run(serve(directory, arguments.tls))
    finally:
        shutil.rmtree(directory)


if __name__ == '__main__':
    main()
