"""
What the tests of keys share: the keys of tests/corpus/keys, which the openssl command made, and checks of a key pair.
"""
import base64
import hashlib
import json
import os
import pathlib

from program import USAGE, Case

CORPUS = pathlib.Path(os.environ["KEYFLIGHT_SOURCE"]) / "tests" / "corpus" / "keys"
CURVES = {"p256": "P-256", "p384": "P-384", "p521": "P-521"}


def corpus(name):
    return (CORPUS / name).read_bytes()


def der_of(pem):
    """What is in the one PEM object of a file."""
    lines = pem.decode().splitlines()
    begin, end = (next(i for i, line in enumerate(lines) if line.startswith("-----" + word)) for word in ("BEGIN", "END"))
    return base64.b64decode("".join(lines[begin + 1:end]))


def fingerprint(public_der):
    return hashlib.sha256(public_der).hexdigest()[:16]


class KeyCase(Case):
    def keygen(self, name, *options):
        self.ok("keygen", *options, "-o", name)
        return name, name + ".pub"

    def copy(self, name, prefix=b""):
        """A file of the corpus, with text in front."""
        return self.put(name, prefix + corpus(name), 0o600)

    def sealed(self, *keys):
        return self.ok("encrypt", *(f"-k{key}" for key in keys), stdin=b"text")

    def opens(self, key, message, *options):
        self.assertEqual(self.ok("decrypt", "-k", key, *options, stdin=message), b"text")

    def edks(self, message):
        return json.loads(self.ok("inspect", "--json", stdin=message))["encrypted_data_keys"]

    def pair_works(self, private, public, *options):
        """The public half encrypts, the private one decrypts, and not the other way round."""
        message = self.sealed(public)
        self.opens(private, message, *options)
        self.assertIn("only decrypts", self.fails(USAGE, "encrypt", "-k", private, *options, stdin=b"text"))
        self.assertIn("only encrypts", self.fails(USAGE, "decrypt", "-k", public, stdin=message))
        return message
