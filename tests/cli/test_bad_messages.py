"""
Messages that are damaged, cut or foreign, and input that is no message: each gets a sentence and its exit status, and
leaves no output. And what inspect shows of good messages and bad ones.
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import unittest

from program import KEYS, LIMIT, MESSAGE, MIB, USAGE, Case


def fields_of(message):
    """The parts of a header of format 2, read by this test itself."""
    assert message[0] == 2
    position = 1 + 2 + 32
    aad_length, = struct.unpack_from(">H", message, position)
    position += 2 + aad_length
    count, = struct.unpack_from(">H", message, position)
    position += 2
    edks = []
    for _ in range(count):
        begin = position
        for _ in range(3):
            length, = struct.unpack_from(">H", message, position)
            position += 2 + length
        edks.append(message[begin:position])
    return {"suite": message[1:3].hex(), "message_id": message[3:35].hex(), "edks": edks,
            "header_length": position + 1 + 4 + 32 + 16}


class TestBadMessages(Case):
    def setUp(self):
        super().setUp()
        self.put("there", b"old", 0o640)
        self.there = os.stat(self.path("there"))

    def refused(self, status, message, key=None):
        """Expects that decrypting fails, to a new file, over an old one, and to a stream; answers the standard error."""
        self.put("bad", message)
        key = key or self.key
        self.fails(status, "decrypt", "-k", key, "-o", "new", "bad")
        self.fails(status, "decrypt", "-k", key, "-fo", "there", "bad")
        # All is as before, except the time of the last access: this test reads the file.
        now = os.stat(self.path("there"))
        self.assertEqual((now[:7], now[8]), (self.there[:7], self.there[8]))
        self.assertEqual(self.get("there"), b"old")
        done = self.run_program("decrypt", "-k", key, "bad")
        stderr = self.check_failure(done, status)
        self.assertTrue(stderr.startswith("keyflight: decrypt: bad: "), stderr)
        return stderr

    def refused_quickly(self, statuses, message):
        """The same with one run, for tests of many messages; answers the exit status."""
        done = self.run_program("decrypt", "-k", self.key, "-o", "new", stdin=message)
        self.assertIn(done.returncode, statuses)
        self.check_failure(done, done.returncode)
        self.assertFalse(os.path.exists(self.path("new")))
        return done.returncode

    def test_what_is_no_message(self):
        for data in (b"", b"\0", b"\x01", b"\x02", b"hello, world\n", bytes(1000), 1000 * b"\xff", b"\x02" + bytes(999),
                     self.get("key.txt"), b"age-encryption.org/v1\n" + bytes(100)):
            with self.subTest(data[:20]):
                self.refused(MESSAGE, data)

    def test_base64_of_a_message(self):
        message = self.encrypt(b"text")
        for text in base64.b64encode(message), base64.encodebytes(message), base64.b64encode(b"\x01\x80" + message):
            self.assertIn("base64", self.refused(MESSAGE, text))
            self.assertIn("base64", self.fails(MESSAGE, "inspect", stdin=text))

    def test_cut_at_every_byte(self):
        message = self.encrypt(b"small", "--suite", "0478")
        for length in range(len(message)):
            self.refused_quickly([MESSAGE], message[:length])
        message = self.encrypt(b"some more", "-c", "a=b", "--frame-length", "4")
        for length in range(0, len(message), 7):
            self.refused_quickly([MESSAGE], message[:length])
        self.refused(MESSAGE, message[:-1])

    def test_flipped_bits(self):
        for suite in "0478", "0578":
            message = self.encrypt(b"some more", "-c", "a=b", "--suite", suite, "--frame-length", "4")
            seen = set()
            for position in range(0, len(message), 7):
                flipped = bytearray(message)
                flipped[position] ^= 1 << position % 8
                # Another suite may be refused by policy; a damaged data key or context fits no key.
                seen.add(self.refused_quickly([USAGE, MESSAGE, KEYS] if position < 3 else [MESSAGE, KEYS], flipped))
            self.assertIn(KEYS, seen)
            self.assertIn(MESSAGE, seen)

    def test_messages_without_key_commitment(self):
        edk = b"".join(struct.pack(">H", len(field)) + field for field in (b"keyflight", b"first", b"data key"))
        message = (b"\x01\x80\x01\x78" + bytes(range(16)) + b"\0\0\0\1" + edk + b"\2" + bytes(4) + b"\x0c" +
                   struct.pack(">I", 4096) + bytes(28))
        self.assertIn("--commitment-policy require-encrypt-allow-decrypt", self.refused(USAGE, message))
        for policy in "require-encrypt-allow-decrypt", "forbid-encrypt-allow-decrypt":
            self.fails(KEYS, "decrypt", "-k", self.key, "--commitment-policy", policy, "-o", "new", "bad")

    def test_appended_bytes(self):
        for suite in "0478", "0578":
            def make(size):
                return self.encrypt(bytes(size), "--suite", suite, "--frame-length", "1000000")
            # What follows comes in one read with the end of the message, or in the next: the program reads 128 KiB.
            for message in make(4), make(128 * 1024 - len(make(0))):
                for rest in b"\0", b"\n", message:
                    self.assertIn("follow", self.refused(MESSAGE, message + rest))

    def test_other_keys(self):
        message = self.encrypt(b"text")
        self.ok("keygen", "--name", "first", "-o", "same-name")
        self.ok("keygen", "--name", "other", "-o", "other-name")
        self.ok("keygen", "--name", "firs", "-o", "shorter-name")
        self.ok("keygen", "--name", "first", "--namespace", "elsewhere", "-o", "other-namespace")
        for key in "same-name", "other-name", "shorter-name", "other-namespace":
            self.assertIn("keyflight inspect", self.refused(KEYS, message, key))


class TestInspect(Case):
    def inspect(self, message):
        return json.loads(self.ok("inspect", "--json", stdin=message))

    def test_json(self):
        self.ok("keygen", "--name", "ключ", "--namespace", "me", "-o", "second")
        for suite, name in (("0478", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"),
                            ("0578", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384")):
            message = self.encrypt(b"text", "-k", "second", "--suite", suite, "-c", "b=2", "-c", "a=\"1\"\\")
            found, fields = self.inspect(message), fields_of(message)
            edks = found.pop("encrypted_data_keys")
            context = found.pop("encryption_context")
            public_key = {"aws-crypto-public-key"} if suite == "0578" else set()
            self.assertEqual(set(context), {"a", "b"} | public_key)
            self.assertEqual((context["a"], context["b"]), ("\"1\"\\", "2"))
            self.assertEqual(found, {"format_version": 2, "suite": suite, "suite_name": name, "content_type": "framed",
                                     "frame_length": 4096, "message_id": fields["message_id"],
                                     "header_length": fields["header_length"]})
            self.assertEqual([edk["fingerprint"] for edk in edks],
                             [hashlib.sha256(edk).hexdigest()[:16] for edk in fields["edks"]])
            self.assertEqual([edk["provider_id"] for edk in edks], ["keyflight", "me"])
            self.assertEqual([edk["key_name"] for edk in edks], ["first", "ключ"])
            self.assertEqual([edk["ciphertext_length"] for edk in edks], [48, 48])
            for edk in edks: # a raw AES key's information ends in an IV and is not text
                self.assertNotIn("provider_info", edk)
                self.assertTrue(bytes.fromhex(edk["provider_info_hex"]).startswith(edk["key_name"].encode()))

    def test_text(self):
        message = self.encrypt(b"text", "-c", "purpose=demo", "-c", "esc=\x1b[31m\x9b\n")
        self.put("message", message)
        text = self.ok("inspect", "message").decode()
        found = self.inspect(message)
        edk, = found["encrypted_data_keys"]
        for part in ("0578", found["message_id"], '"purpose" = "demo"', r'"esc" = "\u001b[31m\u009b\u000a"', '"first"',
                     edk["fingerprint"], "4096", "Nothing of this was verified"):
            self.assertIn(part, text)
        for output in text, self.ok("inspect", "--json", "message").decode():
            self.assertTrue(all(character == "\n" or character.isprintable() for character in output))

    def foreign(self, *edks):
        """The header of a message that this program would not make."""
        parts = [b"\x02\x04\x78", bytes(range(32)), b"\0\0", struct.pack(">H", len(edks))]
        for edk in edks:
            parts += [struct.pack(">H", len(field)) + field for field in edk]
        return b"".join(parts + [b"\x01" + bytes(4), bytes(32), bytes(16)])

    def test_foreign_keys(self):
        arn = b"arn:aws:kms:eu-west-1:111122223333:key/x"
        message = self.foreign((b"aws-kms", arn, b"c" * 184), (b"rsa\n", b"\xff", b""), (b"\xff", b"name", b"c"),
                               (b"aws-kms", b"\x9b", b"c"))
        found = self.inspect(message)
        self.assertEqual((found["content_type"], found["frame_length"]), ("non-framed", 0))
        kms, rsa, third, fourth = found["encrypted_data_keys"]
        self.assertNotIn("key_name", fourth)
        self.assertEqual((kms["key_name"], kms["provider_info"], kms["ciphertext_length"]), (arn.decode(), arn.decode(), 184))
        self.assertEqual((rsa["provider_id"], rsa["provider_info_hex"]), ("rsa\n", "ff"))
        self.assertNotIn("key_name", rsa)
        self.assertEqual((third["provider_info"], third["provider_info_hex"]), ("name", b"name".hex()))
        text = self.ok("inspect", stdin=message).decode()
        for part in f'"aws-kms", key "{arn.decode()}"', r'"rsa\u000a", key information ff', 'key information "name"':
            self.assertIn(part, text)

    def test_long_headers(self):
        edk = (b"p" * 65535, b"i" * 65535, b"c" * 65535)
        found = self.inspect(self.foreign(*[edk] * 5))
        self.assertEqual(len(found["encrypted_data_keys"]), 5)
        self.fails(LIMIT, "inspect", stdin=self.foreign(*[edk] * 342)[:64 * MIB + 1])

    def test_bad_headers(self):
        message = self.encrypt(b"text", "-c", "a=b")
        header = fields_of(message)["header_length"]
        for length in range(0, header, 7):
            self.fails(MESSAGE, "inspect", stdin=message[:length])
        self.fails(MESSAGE, "inspect", stdin=message[:header - 1])
        self.assertEqual(self.inspect(message[:header])["header_length"], header)
        self.fails(MESSAGE, "inspect", stdin=b"hello, world\n")

    def test_reads_no_more_than_the_header_needs(self):
        message = self.encrypt(bytes(100000))
        with self.start("inspect", "--json", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            os.write(process.stdin.fileno(), message[:16384])
            self.assertEqual(json.loads(process.stdout.read())["suite"], "0578")
        self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
