"""
The encryption context on the command line: pairs that are given again, names that a message has to have, pairs that are
not stored. And what decrypt refuses if it is told to.
"""
import itertools
import json
import os
import subprocess
import unittest

from program import KEYS, LIMIT, MESSAGE, USAGE, Case

ALL_SUITES = ["0014", "0046", "0078", "0114", "0146", "0178", "0214", "0346", "0378", "0478", "0578"]


def policy_of(suite):
    """The options that allow a suite both ways."""
    return [] if suite >= "0400" else ["--commitment-policy", "forbid-encrypt-allow-decrypt"]


class TestSuites(Case):
    def test_all_of_them(self):
        plaintext = os.urandom(10000)
        for suite in ALL_SUITES:
            message = self.encrypt(plaintext, "--suite", suite, "-c", "a=b", *policy_of(suite))
            found = json.loads(self.ok("inspect", "--json", stdin=message))
            self.assertEqual((found["suite"], found["format_version"]), (suite, 2 if suite >= "0400" else 1))
            for policy in ["--commitment-policy", "require-encrypt-allow-decrypt"], policy_of(suite):
                self.assertEqual(self.decrypt(message, *policy), plaintext)
            if suite < "0400":
                stderr = self.fails(USAGE, "decrypt", "-k", self.key, stdin=message)
                self.assertIn("--commitment-policy require-encrypt-allow-decrypt", stderr)

    def test_the_default_of_each_policy(self):
        for policy, suite in (("require-encrypt-require-decrypt", "0578"), ("require-encrypt-allow-decrypt", "0578"),
                              ("forbid-encrypt-allow-decrypt", "0378")):
            message = self.encrypt(b"text", "--commitment-policy", policy)
            self.assertEqual(json.loads(self.ok("inspect", "--json", stdin=message))["suite"], suite)

    def test_a_policy_forbids(self):
        for suite in ALL_SUITES:
            policies = [[], ["--commitment-policy", "require-encrypt-allow-decrypt"]] if suite < "0400" else [
                ["--commitment-policy", "forbid-encrypt-allow-decrypt"]]
            for policy in policies:
                self.fails(USAGE, "encrypt", "-k", self.key, "--suite", suite, *policy, stdin=b"text")


class TestGivenAgain(Case):
    def refused(self, status, message, *options):
        """Decrypting it fails like this before anything comes out, to a stream and to a file; answers the standard error."""
        self.fails(status, "decrypt", "-k", self.key, "-o", "out", *options, stdin=message)
        return self.fails(status, "decrypt", "-k", self.key, *options, stdin=message)

    def test_pairs_of_the_message(self):
        for suite in "0478", "0578", "0178":
            message = self.encrypt(b"text", "-c", "a=1", "-c", "b=", "--suite", suite, *policy_of(suite))
            def options(*context):
                return [*policy_of(suite), *(f"-c{pair}" for pair in context)]
            for good in ["a=1"], ["b="], ["b=", "a=1"], ["a"], ["a", "b"], ["a", "a=1"], ["a", "a"]:
                self.assertEqual(self.decrypt(message, *options(*good)), b"text")
            for bad in ["a=2"], ["a="], ["b=1"], ["a=1", "b=2"]:
                self.assertIn("different values", self.refused(USAGE, message, *options(*bad)))
            for bad in ["c"], ["a", "b", "c"], ["A"], ["aa"]:
                stderr = self.refused(USAGE, message, *options(*bad))
                self.assertIn(f'is not as expected: it has no "{bad[-1]}".', stderr)
                self.assertNotIn("--commitment-policy", stderr)
            # The message was made without this pair.
            self.refused(KEYS, message, *options("c=3"))

    def test_names_are_looked_for_before_anything_comes_out(self):
        for plaintext in b"", b"text", bytes(1000000):
            for suite in "0478", "0578":
                message = self.encrypt(plaintext, "-c", "a=1", "--suite", suite)
                self.refused(USAGE, message, "-c", "b")

    def test_the_signature_key_is_a_name(self):
        for suite, signed in ("0578", True), ("0478", False):
            message = self.encrypt(b"text", "--suite", suite)
            if signed:
                self.assertEqual(self.decrypt(message, "-c", "aws-crypto-public-key"), b"text")
            else:
                self.refused(USAGE, message, "-c", "aws-crypto-public-key")

    def test_pairs_that_are_not_stored(self):
        for suite in ALL_SUITES:
            message = self.encrypt(b"text", "-c", "a=1", "-c", "secret=of both", "-c", "b=", "--require-context", "secret",
                                   "--require-context", "b", "--suite", suite, *policy_of(suite))
            self.assertNotIn(b"of both", message)
            context = json.loads(self.ok("inspect", "--json", stdin=message))["encryption_context"]
            self.assertEqual({name for name in context if not name.startswith("aws-")}, {"a"})
            good = ["-c", "b=", "-c", "secret=of both"]
            for more in [], ["-c", "a=1", "-c", "a", "-c", "secret"]:
                self.assertEqual(self.decrypt(message, *good, *more, *policy_of(suite)), b"text")
            for bad in [], ["-c", "b="], ["-c", "secret=of both"], ["-c", "b=", "-c", "secret=of"], [*good, "-c", "c=2"]:
                self.assertIn("have to be given by -c", self.refused(KEYS, message, *bad, *policy_of(suite)))

    def test_all_keys_keep_to_it(self):
        # The data keys of RSA are not bound to the context, but the header is.
        self.ok("keygen", "--type", "rsa", "--bits", "2048", "-o", "rsa")
        self.ok("keygen", "--type", "ecdh", "-o", "ecdh")
        message = self.ok("encrypt", "-k", "rsa.pub", "-k", "ecdh.pub", "-c", "a=1", "--require-context", "a", stdin=b"text")
        for key, status in ("rsa", MESSAGE), ("ecdh", KEYS):
            self.assertEqual(self.ok("decrypt", "-k", key, "-c", "a=1", stdin=message), b"text")
            for bad in [], ["-c", "a=2"], ["-c", "a=1", "-c", "b=1"]:
                self.fails(status, "decrypt", "-k", key, *bad, stdin=message)

    def test_calls_that_are_wrong(self):
        key = ["-k", self.key]
        for arguments in (
            ["encrypt", *key, "--require-context", "a"],
            ["encrypt", *key, "-c", "b=1", "--require-context", "a"],
            ["encrypt", *key, "-c", "a=1", "--require-context", "a", "--require-context", "a"],
            ["encrypt", *key, "-c", "a=1", "--require-context", "a=1"],
            ["encrypt", *key, "-c", "a=1", "--require-context", ""],
            ["encrypt", *key, "-c", "a"],
            ["decrypt", *key, "-c", ""],
            ["decrypt", *key, "-c", "=1"],
            ["decrypt", *key, "-c", "a=1", "-c", "a=2"],
            ["decrypt", *key, "-c", b"a=\xff"],
            ["decrypt", *key, "--require-context", "a"],
        ):
            with self.subTest(arguments):
                self.fails(USAGE, *arguments)


class TestLimits(Case):
    def test_encrypted_data_keys(self):
        for name in "a", "b", "c":
            self.ok("keygen", "-o", name)
        message = self.ok("encrypt", "-k", "a", "-k", "b", "-k", "c", stdin=b"text")
        for limit in "3", "4", "65535":
            self.assertEqual(self.ok("decrypt", "-k", "c", "--max-edks", limit, stdin=message), b"text")
        for limit in "1", "2":
            self.fails(LIMIT, "decrypt", "-k", "a", "--max-edks", limit, "-o", "out", stdin=message)

    def test_plaintext(self):
        plaintext = os.urandom(10000)
        for suite, frame in itertools.product(("0478", "0578"), ("1000", "4096", "1000000")):
            message = self.encrypt(plaintext, "--suite", suite, "--frame-length", frame)
            for limit in "10000", "10001", "18446744073709551615":
                self.assertEqual(self.decrypt(message, "--max-length", limit), plaintext)
            for limit in "0", "1", "4096", "9999":
                stderr = self.fails(LIMIT, "decrypt", "-k", self.key, "--max-length", limit, "-o", "out", stdin=message)
                self.assertIn("--max-length", stderr)
                self.assertNotIn("max_plaintext_length", stderr)
        self.assertEqual(self.decrypt(self.encrypt(b""), "--max-length", "0"), b"")

    def test_signed_messages_are_refused_at_once(self):
        for suite in ALL_SUITES:
            message = self.encrypt(b"text", "--suite", suite, *policy_of(suite))
            options = ["-k", self.key, "--decrypt-unsigned", *policy_of(suite)]
            if suite not in ("0214", "0346", "0378", "0578"):
                self.assertEqual(self.ok("decrypt", *options, stdin=message), b"text")
                continue
            stderr = self.fails(USAGE, "decrypt", *options, "-o", "out", stdin=message)
            self.assertIn("option --decrypt-unsigned", stderr)
            self.assertNotIn("--commitment-policy", stderr)
            # The suite is in the first four bytes, and the program does not wait for more.
            with self.start("decrypt", *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE) as process:
                os.write(process.stdin.fileno(), message[:4])
                self.assertEqual(process.wait(timeout=100), USAGE)

    def test_calls_that_are_wrong(self):
        for options in (["--max-edks", "0"], ["--max-edks", "65536"], ["--max-edks", "x"], ["--max-length", "-1"],
                        ["--max-length", "1k"], ["--max-length", "18446744073709551616"], ["--decrypt-unsigned=1"],
                        ["--max-edks", "1", "--max-edks", "1"]):
            self.fails(USAGE, "decrypt", "-k", self.key, *options)
        # What was typed is shown as it was typed, even if it is an option of the library.
        stderr = self.fails(USAGE, "decrypt", "-k", self.key, "--max_edks=1")
        self.assertIn("There is no option '--max_edks'.", stderr)
        for options in ["--max-edks", "1"], ["--max-length", "1"], ["--decrypt-unsigned"]:
            self.fails(USAGE, "encrypt", "-k", self.key, *options)


if __name__ == "__main__":
    unittest.main()
