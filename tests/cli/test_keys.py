"""
Keys of RSA and ECDH with -k, in every form of a key file: what each half does, and passphrases.
"""
import fcntl
import itertools
import os
import pty
import signal
import subprocess
import termios
import unittest

from keys import CURVES, KeyCase, corpus, fingerprint
from program import KEYS, USAGE


class TestFiles(KeyCase):
    """What -k takes, with the keys of the corpus."""

    def test_every_form_of_an_rsa_key(self):
        name = fingerprint(corpus("rsa-public.der"))
        for public, private in (("rsa-public.pem", "rsa-pkcs8.der"), ("rsa-public.der", "rsa-pkcs8.pem"),
                                ("rsa-public-pkcs1.pem", "rsa-pkcs1.der"), ("rsa-public-pkcs1.der", "rsa-pkcs1.pem")):
            message = self.sealed(self.copy(public))
            edk, = self.edks(message)
            self.assertEqual((edk["provider_id"], edk["provider_info"]), ("keyflight", name))
            self.opens(self.copy(private), message)
        self.fails(KEYS, "decrypt", "-k", self.copy("other-rsa-pkcs8.pem"), stdin=message)

    def test_every_form_of_a_key_on_a_curve(self):
        for curve in CURVES:
            messages = [self.sealed(self.copy(f"{curve}-a-{form}"))
                        for form in ("public.pem", "public.der", "compressed.pem", "compressed.der")]
            private = ("sec1.pem", "sec1.der", "pkcs8.pem", "pkcs8.der", "lonely.pem", "lonely.der")
            for form, message in zip(private, itertools.cycle(messages)):
                self.opens(self.copy(f"{curve}-a-{form}"), message)
            self.fails(KEYS, "decrypt", "-k", self.copy(f"{curve}-b-pkcs8.pem"), stdin=message)

    def test_on_the_standard_input(self):
        self.put("text", b"text")
        for public, private in ("rsa-public.der", "rsa-pkcs8.pem"), ("p256-a-public.pem", "p256-a-sec1.der"):
            message = self.ok("encrypt", "-k", "-", "text", stdin=corpus(public))
            self.put("message", message)
            self.assertEqual(self.ok("decrypt", "-k", "-", "message", stdin=corpus(private)), b"text")

    def test_fields_around_pem(self):
        fields = b"# mine\r\nname: n\r\nnamespace : s\n\npadding: oaep-sha512\n"
        public = self.copy("rsa-public.pem", fields + b"type: raw-rsa\n")
        edk, = self.edks(self.pair_works(self.copy("rsa-pkcs1.pem", fields), public))
        self.assertEqual((edk["provider_id"], edk["provider_info"]), ("s", "n"))
        behind = self.put("behind", corpus("rsa-pkcs8.pem") + fields, 0o600)
        self.opens(behind, self.sealed(public))
        self.put("parameters", b"type: raw-ecdh\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                 b"-----END EC PARAMETERS-----\n" + corpus("p256-a-sec1.pem"), 0o600)
        self.opens("parameters", self.sealed(self.copy("p256-a-public.pem")))

    def test_both_halves_of_an_rsa_key(self):
        for order in 1, -1:
            both = [corpus("rsa-public.pem"), corpus("rsa-pkcs8.pem")][::order]
            self.put("both", b"".join(both), 0o600)
            message = self.sealed("both")
            self.opens("both", message)
            self.opens(self.copy("rsa-pkcs8.pem"), message)

    def test_joined_key_files(self):
        self.keygen("rsa", "--type", "rsa", "--bits", "2048", "--name", "n")
        self.put("both", self.get("rsa") + self.get("rsa.pub"), 0o600)
        self.opens("both", self.sealed("both"))
        self.put("both", self.get("rsa") + self.get("rsa.pub").replace(b"name: n", b"name: m"), 0o600)
        self.assertIn("'name' a second time", self.fails(USAGE, "encrypt", "-k", "both", stdin=b"text"))
        for name in "me", "you":
            self.keygen(name, "--type", "ecdh")
        self.put("mine", self.get("me") + self.get("you.pub"), 0o600)
        self.put("yours", self.get("you") + self.get("me.pub"), 0o600)
        self.opens("yours", self.sealed("mine"))

    def test_two_parties(self):
        for curve in CURVES:
            own = self.put("own", corpus(f"{curve}-a-sec1.pem") + corpus(f"{curve}-b-public.pem"), 0o600)
            peer = self.put("peer", b"type: raw-ecdh\n" + corpus(f"{curve}-a-public.pem") + corpus(f"{curve}-b-pkcs8.pem"), 0o600)
            for one, other in (own, peer), (peer, own), (own, own):
                self.opens(other, self.sealed(one))
            # b reads what anybody sent to b. This was not sent to a.
            message = self.sealed(own)
            self.opens(self.copy(f"{curve}-b-pkcs8.pem"), message)
            self.fails(KEYS, "decrypt", "-k", self.copy(f"{curve}-a-pkcs8.pem"), stdin=message)
            # Ephemeral senders are not the peer.
            self.fails(KEYS, "decrypt", "-k", own, stdin=self.sealed(self.copy(f"{curve}-a-public.pem")))

    def test_all_kinds_in_one_message(self):
        public = [self.copy("rsa-public.pem"), self.copy("p521-a-public.der"), self.key]
        private = [self.copy("rsa-pkcs8.der"), self.copy("p521-a-pkcs8.pem"), self.key]
        for first in range(3): # which makes the data key
            message = self.sealed(*public[first:], *public[:first])
            for key in private:
                self.opens(key, message)
        other = self.copy("p256-b-sec1.pem")
        self.opens(other, message, *(f"-k{key}" for key in private))

    def test_who_may_read_it(self):
        self.put("public", corpus("rsa-public.pem"), 0o644)
        self.put("private", corpus("rsa-pkcs8.pem"), 0o644)
        done = self.run_program("encrypt", "-k", "public", stdin=b"text")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        done = self.run_program("decrypt", "-k", "private", stdin=done.stdout)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"chmod 600", done.stderr)

    def test_forms_that_are_refused(self):
        rsa, ec = corpus("rsa-public.pem"), corpus("p256-a-public.pem")
        for number, (text, sentence) in enumerate((
            (rsa + rsa, "two public keys"),
            (rsa + ec, "two public keys"),
            (rsa + corpus("p256-a-sec1.pem"), "of different kinds"),
            (corpus("p256-a-sec1.pem") + corpus("p384-a-public.pem"), "of different kinds"),
            (corpus("other-rsa-pkcs8.pem") + rsa, "not a pair"),
            (3 * rsa, "a third key"),
            (rsa + b"key: MDAwMDAwMDAwMDAwMDAwMA==\n", "a key in PEM and a field 'key'"),
            (b"type: raw-aes\n" + rsa, "raw-aes is not in PEM"),
            (b"type: raw-ecdh\n" + rsa, "of type raw-rsa"),
            (b"type: raw-rsa\n" + ec, "of type raw-ecdh"),
            (b"type: rsa\n" + rsa, "The field 'type' is not known"),
            (b"type: raw-rsa\nname: a\n", "in PEM, which is missing"),
            (b"name: a\n" + ec, "no fields namespace, name and padding"),
            (b"padding: pkcs1\n" + ec, "no fields namespace, name and padding"),
            (b"padding: oaep\n" + rsa, "The field 'padding' is not known"),
            (b"namespace: aws-kms\n" + rsa, "aws-kms"),
            (self.get("key.txt") + b"padding: pkcs1\n", "has no field 'padding'"),
            (b"hello\n" + rsa, "Line 1 is not"),
            (rsa.replace(b"\n-----END", b"\n%%%\n-----END"), "damaged"),
            (rsa[:-30], "has no end"),
            (rsa.replace(b"PUBLIC", b"PRIVATE"), ""),
            (corpus("rsa-public.der") + b"\n", "nor one object in DER"),
            (corpus("rsa-public.der")[:-1], "nor one object in DER"),
        )):
            with self.subTest(number):
                self.put("bad", text, 0o600)
                stderr = self.fails(USAGE, "encrypt", "-k", "bad", stdin=b"text")
                self.assertIn("encrypt: bad: ", stderr)
                self.assertIn(sentence, stderr)
        for name, sentence in (("rsa1024", "1024 bits"), ("ed25519", "neither an RSA key nor"), ("secp256k1", "curve"),
                               ("certificate", "not a key of a known kind"), ("rsa-pss", "neither an RSA key nor")):
            stderr = self.fails(USAGE, "decrypt", "-k", self.copy(f"bad-{name}.pem"))
            self.assertIn(sentence, stderr)


class TestPassphrases(KeyCase):
    """The passphrase of the corpus is "secret"."""

    ENCRYPTED = {"rsa-public.pem": ["rsa-encrypted.pem", "rsa-encrypted.der", "rsa-headers.pem"],
                 "p384-a-public.pem": ["p384-a-encrypted.pem", "p384-a-encrypted.der", "p384-a-headers.pem"]}

    def setUp(self):
        super().setUp()
        self.message = self.sealed(self.copy("rsa-public.pem"))
        self.private = self.copy("rsa-encrypted.pem")

    def test_in_a_file(self):
        self.put("passphrase", b"secret\nsomething else\n", 0o600)
        for public, privates in self.ENCRYPTED.items():
            message = self.sealed(self.copy(public))
            for private in privates:
                self.opens(self.copy(private), message, "--passphrase-file", "passphrase")
        self.put("no-end", b"secret", 0o600)
        self.opens(self.private, self.message, "--passphrase-file", "no-end")

    def test_in_a_descriptor(self):
        reader, writer = os.pipe()
        os.write(writer, b"secret\n")
        os.close(writer)
        with open(reader, "rb"):
            done = self.run_program("decrypt", "-k", self.private, "--passphrase-file", f"/dev/fd/{reader}",
                                    stdin=self.message, pass_fds=[reader])
        self.assertEqual((done.returncode, done.stdout), (0, b"text"), done.stderr)

    def test_on_the_standard_input(self):
        self.put("message", self.message)
        options = ["-k", self.private, "--passphrase-file", "-"]
        self.assertEqual(self.ok("decrypt", *options, "message", stdin=b"secret\n"), b"text")
        self.assertIn("standard input", self.fails(USAGE, "decrypt", *options, stdin=self.message))

    def test_static_ecdh_needs_it_once(self):
        self.put("own", corpus("p384-a-encrypted.pem") + corpus("p384-b-public.pem"), 0o600)
        reader, writer = os.pipe()
        os.write(writer, b"secret\n")
        os.close(writer)
        with open(reader, "rb"):
            message = self.ok("encrypt", "-k", "own", "--passphrase-file", f"/dev/fd/{reader}", stdin=b"text",
                              pass_fds=[reader])
        self.opens(self.copy("p384-b-pkcs8.pem"), message)

    def test_one_for_all_key_files(self):
        # A pipe is read once, however many keys there are.
        self.put("message", self.message)
        keys = ["-k", self.copy("p384-a-encrypted.pem"), "-k", self.private]
        self.assertEqual(self.ok("decrypt", *keys, "--passphrase-file", "-", "message", stdin=b"secret\n"), b"text")

    def test_wrong_ones(self):
        for passphrase, sentence in ((b"Secret\n", "can't be decrypted"), (b"secret \n", "can't be decrypted"),
                                     (b"", "The passphrase is empty"), (b"\nsecret\n", "The passphrase is empty"),
                                     (b"s" * 1025 + b"\n", "at most 1024"), (b"s" * 100000, "at most 1024")):
            self.put("passphrase", passphrase, 0o600)
            stderr = self.fails(USAGE, "decrypt", "-k", self.private, "--passphrase-file", "passphrase", stdin=self.message)
            self.assertIn(sentence, stderr)
            self.assertNotIn("ecret", stderr)
        self.assertIn("no-such-file: ", self.fails(USAGE, "decrypt", "-k", self.private, "--passphrase-file", "no-such-file",
                                                   stdin=self.message))

    def test_without_a_terminal(self):
        stderr = self.fails(USAGE, "decrypt", "-k", self.private, stdin=self.message, start_new_session=True)
        self.assertIn("--passphrase-file", stderr)

    def on_a_terminal(self, *arguments):
        """Starts the program with a terminal of its own beside its pipes, and waits for its question."""
        terminal, other_end = pty.openpty()
        self.addCleanup(os.close, terminal)
        self.addCleanup(os.close, other_end)
        process = self.start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(other_end, termios.TIOCSCTTY, 0))
        return process, terminal

    def echoes(self, terminal):
        return termios.tcgetattr(terminal)[3] & termios.ECHO != 0

    def question(self, terminal):
        """Reads up to the end of a question."""
        shown = b""
        while not shown.endswith(b": "):
            shown += os.read(terminal, 1000)
        return shown.decode()

    def test_asked_for(self):
        process, terminal = self.on_a_terminal("decrypt", "-k", self.private)
        self.assertIn(f"Passphrase of {self.private}: ", self.question(terminal))
        self.assertFalse(self.echoes(terminal))
        os.write(terminal, b"secret\n")
        stdout, stderr = process.communicate(self.message, timeout=100)
        self.assertEqual((process.returncode, stdout, stderr), (0, b"text", b""))
        self.assertTrue(self.echoes(terminal))
        self.assertEqual(os.read(terminal, 1000), b"\r\n")

    def test_asked_for_each_key_file(self):
        keys = [self.copy("p384-a-encrypted.pem"), self.private]
        process, terminal = self.on_a_terminal("decrypt", "-k", keys[0], "-k", keys[1])
        for key in keys:
            self.assertIn(f"Passphrase of {key}: ", self.question(terminal))
            os.write(terminal, b"secret\n")
        self.assertEqual(process.communicate(self.message, timeout=100), (b"text", b""))

    def test_wrong_answers(self):
        for answer in b"other\n", b"\n", b"\x04", b"s" * 1500 + b"\n":
            process, terminal = self.on_a_terminal("decrypt", "-k", self.private)
            self.question(terminal)
            os.write(terminal, answer)
            stdout, stderr = process.communicate(self.message, timeout=100)
            self.assertEqual((process.returncode, stdout), (USAGE, b""), stderr)
            self.assertTrue(self.echoes(terminal))

    def test_a_stop_asks_again(self):
        # The system stops no program that nobody could let go on. Its terminal is as before all the same.
        process, terminal = self.on_a_terminal("decrypt", "-k", self.private)
        self.question(terminal)
        os.write(terminal, b"sec\x1a")
        self.question(terminal)
        os.write(terminal, b"secret\n")
        self.assertEqual(process.communicate(self.message, timeout=100), (b"text", b""))

    def test_interrupted(self):
        process, terminal = self.on_a_terminal("decrypt", "-k", self.private, "-o", "out")
        self.question(terminal)
        self.temporary()
        os.write(terminal, b"sec\x03")
        process.communicate(timeout=100)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertTrue(self.echoes(terminal))
        self.assertEqual([name for name in self.names() if name.startswith(".") or name == "out"], [])


if __name__ == "__main__":
    unittest.main()
