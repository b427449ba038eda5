"""The program `keyflight` on an emulator: what its storm costs, whether connections are kept, what key states do.

Started by `run` with the emulator's name, in the environment that setup.py made. Requests go through a forwarder of our
own that counts connections. The last line is "N passed, M failed"."""
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.parse

import boto3

EMULATOR = sys.argv[1]
counts = {True: 0, False: 0}


class Forwarder:
    """Hands connections on to the emulator and counts them."""

    def __init__(self, url):
        place = urllib.parse.urlsplit(url)
        self.target = (place.hostname, place.port)
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            here, _ = self.listener.accept()
            self.connections += 1
            there = socket.create_connection(self.target)
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def check(what, passed, said=""):
    counts[bool(passed)] += 1
    if not passed:
        print(f"{EMULATOR}: {what}: {said}", file=sys.stderr)


def keyflight(*arguments, data=b""):
    return subprocess.run([os.environ["KEYFLIGHT"], *arguments, "--region", os.environ["KMS_REGION"],
                           "--endpoint-url", forwarder.url], input=data, capture_output=True, timeout=120)


def storm():
    """The three scenarios of `keyflight storm` cost 2, 2 and 3 data keys."""
    done = keyflight("storm", "--json", "-k", "kms:" + os.environ["KMS_KEY_ONE"])
    check("storm", done.returncode == 0, done.stdout + done.stderr)
    calls = [json.loads(line)["backing_calls"] for line in done.stdout.splitlines()]
    check("calls of the storm", calls == [2, 2, 3], calls)


def kept_connections():
    """Two requests, one after the other: on one connection if the emulator keeps it, else on two."""
    before = forwarder.connections
    done = keyflight("doctor", "--call", "-k", "kms:" + os.environ["KMS_KEY_ONE"])
    check("doctor --call", done.returncode == 0, done.stdout + done.stderr)
    expected = {"ministack": 1, "moto": 2}[EMULATOR]
    check("connections", forwarder.connections - before == expected, forwarder.connections - before)


def key_states():
    """A message under a key that was disabled, or is about to be deleted, does not open, and the error says why."""
    kms = boto3.client("kms", region_name=os.environ["KMS_REGION"], endpoint_url=os.environ["KMS_URL"])
    key = kms.create_key()["KeyMetadata"]["Arn"]
    message = keyflight("encrypt", "-k", "kms:" + key, data=b"letter").stdout
    opened = keyflight("decrypt", "-k", "kms:" + key, data=message)
    check("decrypt", opened.stdout == b"letter", opened.stderr)
    kms.disable_key(KeyId=key)
    for command, data, status in (("decrypt", message, 4), ("encrypt", b"letter", 5)):
        done = keyflight(command, "-k", "kms:" + key, data=data)
        check(command + " with a disabled key", done.returncode == status and b"DisabledException" in done.stderr
              and done.stdout == b"", done)
    kms.enable_key(KeyId=key)
    check("decrypt again", keyflight("decrypt", "-k", "kms:" + key, data=message).stdout == b"letter")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    done = keyflight("decrypt", "-k", "kms:" + key, data=message)
    check("decrypt with a key that is going to be deleted", done.returncode == 4 and done.stdout == b"", done)


forwarder = Forwarder(os.environ["KMS_URL"])
storm()
kept_connections()
if EMULATOR == "ministack":  # moto uses keys in any state
    key_states()
print(f"{counts[True]} passed, {counts[False]} failed")
