"""
keygen for RSA and ECDH: both halves and their files. The openssl command uses our keys, and we use its keys.
"""
import os
import shutil
import signal
import subprocess
import unittest

from keys import CURVES, KeyCase, der_of, fingerprint
from program import KEYS, USAGE

PADDINGS = "pkcs1", "oaep-sha1", "oaep-sha256", "oaep-sha384", "oaep-sha512"


class TestKeygen(KeyCase):
    def test_rsa(self):
        done = self.run_program("keygen", "--type", "rsa", "-o", "k")
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        name = fingerprint(der_of(self.get("k.pub")))
        self.assertIn(f"Key: {name} in namespace keyflight, RSA, 3072 bits; its public half is in k.pub\n", done.stderr.decode())
        self.assertEqual((self.mode("k"), self.mode("k.pub")), (0o600, 0o644))
        edk, = self.edks(self.pair_works("k", "k.pub"))
        self.assertEqual((edk["provider_id"], edk["provider_info"]), ("keyflight", name))

    def test_a_pair_needs_files(self):
        self.assertIn("written to two files", self.fails(USAGE, "keygen", "--type", "ecdh", "-o", "/dev/null"))
        self.assertFalse(os.path.exists("/dev/null.pub"))

    def test_rsa_with_names_and_paddings(self):
        for padding in PADDINGS:
            private, public = self.keygen(padding, "--type", "rsa", "--bits", "2048", "--padding", padding, "--name", "me ä",
                                          "--namespace", "here")
            self.assertIn(f"\npadding: {padding}\n".encode(), self.get(public))
            edk, = self.edks(self.pair_works(private, public))
            self.assertEqual((edk["provider_id"], edk["provider_info"]), ("here", "me ä"))
            self.assertEqual(edk["ciphertext_length"], 256)
        message = self.sealed("oaep-sha256.pub")
        for other in set(PADDINGS) - {"oaep-sha256"}:
            # Another key of the same name, and the same key with another padding.
            self.fails(KEYS, "decrypt", "-k", other, stdin=message)
            self.put("mixed", self.get("oaep-sha256").replace(b"oaep-sha256", other.encode()), 0o600)
            self.fails(KEYS, "decrypt", "-k", "mixed", stdin=message)

    def test_ecdh(self):
        for curve in None, *CURVES:
            options = [] if curve is None else ["--curve", curve]
            done = self.run_program("keygen", "--type", "ecdh", *options, "-fo", "k")
            self.assertEqual((done.returncode, done.stdout), (0, b""))
            self.assertEqual(done.stderr.decode(),
                             f"Key: ECDH on {CURVES[curve or 'p384']}; its public half is in k.pub\n")
            edk, = self.edks(self.pair_works("k", "k.pub"))
            self.assertEqual(edk["provider_id"], "raw-ecdh")
        self.assertEqual((self.mode("k"), self.mode("k.pub")), (0o600, 0o644))

    def test_aes_has_no_other_half(self):
        self.ok("keygen", "--type", "aes", "-o", "k")
        self.assertEqual(self.names(), ["k", "key.txt"])

    def test_other_keys(self):
        for options in ["--type", "rsa", "--bits", "2048", "--name", "same"], ["--type", "ecdh"]:
            _, public = self.keygen("one", *options, "-f")
            other, _ = self.keygen("other", *options, "-f")
            self.fails(KEYS, "decrypt", "-k", other, stdin=self.sealed(public))

    def test_never_overwrites_by_itself(self):
        for there in "k", "k.pub":
            self.put(there, b"old")
            self.assertIn(f"{there}: It exists already; give -f", self.fails(USAGE, "keygen", "--type", "ecdh", "-o", "k"))
            self.assertEqual(self.get(there), b"old")
            os.unlink(self.path(there))
        self.put("k", b"old", 0o600)
        self.put("k.pub", b"old")
        self.ok("keygen", "--type", "ecdh", "-f", "-o", "k")
        self.pair_works("k", "k.pub")
        os.mkdir(self.path("d.pub"))
        self.fails(USAGE, "keygen", "--type", "ecdh", "-fo", "d")

    def test_an_interruption_leaves_neither_half(self):
        # Both temporary files are there as long as the key, which takes a while, is made.
        process = self.start("keygen", "--type", "rsa", "--bits", "16384", "-o", "k")
        while len([name for name in self.names() if name.startswith(".")]) < 2:
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=100), -signal.SIGINT)
        self.assertEqual(self.names(), ["key.txt"])

    def test_calls_that_are_wrong(self):
        for options in (
            ["--type", "dsa"],
            ["--type", ""],
            ["--type", "rsa", "--bits", "1024"],
            ["--type", "rsa", "--bits", "16385"],
            ["--type", "rsa", "--bits", "256"],
            ["--type", "rsa", "--padding", "none"],
            ["--type", "rsa", "--padding", "oaep"],
            ["--type", "rsa", "--curve", "p256"],
            ["--type", "rsa", "--name", ""],
            ["--type", "rsa", "--bits", "2048", "--namespace", "aws-kms"],
            ["--type", "rsa", "--bits", "2048", "--name", "a\nb"],
            ["--type", "ecdh", "--curve", "p224"],
            ["--type", "ecdh", "--curve", "P-256"],
            ["--type", "ecdh", "--bits", "256"],
            ["--type", "ecdh", "--name", "a"],
            ["--type", "ecdh", "--namespace", "a"],
            ["--type", "ecdh", "--padding", "pkcs1"],
            ["--curve", "p256"],
            ["--padding", "pkcs1"],
            ["--bits", "3072"],
        ):
            with self.subTest(options):
                self.fails(USAGE, "keygen", *options, "-o", "k")


@unittest.skipUnless(shutil.which("openssl"), "there is no openssl command")
class TestOpenssl(KeyCase):
    """The openssl command with our keys, and our program with its keys."""

    def openssl(self, *arguments, stdin=b""):
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, input=stdin, capture_output=True, timeout=100)
        self.assertEqual(done.returncode, 0, (arguments, done.stderr))
        return done.stdout

    def test_its_keys(self):
        for options in (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]):
            self.openssl("genpkey", *options, "-out", "private")
            os.chmod(self.path("private"), 0o600)
            self.openssl("pkey", "-in", "private", "-pubout", "-out", "public")
            self.pair_works("private", "public")
            self.openssl("pkey", "-in", "private", "-aes256", "-passout", "pass:word", "-out", "encrypted")
            self.put("passphrase", b"word\n", 0o600)
            self.opens("encrypted", self.sealed("public"), "--passphrase-file", "passphrase")
        self.openssl("ecparam", "-name", "secp521r1", "-genkey", "-out", "private")
        self.openssl("pkey", "-in", "private", "-pubout", "-outform", "DER", "-out", "public")
        self.pair_works("private", "public")

    def test_our_keys(self):
        for options in ["--type", "rsa", "--bits", "2048"], ["--type", "ecdh", "--curve", "p521"]:
            private, public = self.keygen("k", *options, "-f")
            self.assertEqual(self.openssl("pkey", "-in", private, "-pubout", "-outform", "DER"), der_of(self.get(public)))
            self.openssl("pkey", "-in", private, "-check", "-noout")
            # Without our fields the key is the same.
            self.put("bare", self.openssl("pkey", "-in", private), 0o600)
            self.opens("bare", self.sealed(public))

    def test_it_unwraps_our_data_key(self):
        private, public = self.keygen("k", "--type", "rsa", "--bits", "2048", "--padding", "oaep-sha384")
        message = self.sealed(public)
        position = message.index(fingerprint(der_of(self.get(public))).encode()) + 16
        length = int.from_bytes(message[position:position + 2], "big")
        self.put("wrapped", message[position + 2:position + 2 + length])
        self.assertEqual(len(self.openssl("pkeyutl", "-decrypt", "-inkey", private, "-in", "wrapped", "-pkeyopt",
                                          "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha384")), 32)


if __name__ == "__main__":
    unittest.main()
