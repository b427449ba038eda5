#!/usr/bin/env python3
"""Makes tests/corpus/python/ anew with the official Python client: every suite by every raw keyring of its material
providers, and contexts that are required. Before a message is written, the client has read it by each key alone."""
import json
import pathlib
import shutil
import sys

import common

CORPUS = pathlib.Path(__file__).resolve().parents[2] / "corpus" / "python"
FRAME_LENGTH = 128  # the client wants multiples of it
LENGTHS = (0, 1, 127, 128, 129, 256, 300)
CONTEXTS = (
    {},
    {"tenant": "42", "purpose": "interop test"},
    {"b": "1", "B": "2", "ä": "3", "日本語": "値", "😀": "emoji", "empty value": ""},
)
REQUIRED_CONTEXT = {"tenant": "42", "purpose": "interop test", "zone": "ä"}


class Corpus:
    def __init__(self):
        self.readers = {}  # label: the keyring that reads with the key
        self.writers = {}  # label: (keyring, labels of the readers)
        self.key_lines = []
        self.case_lines = []
        self.manifest = []
        self.files = {}

    def key_file(self, name, content):
        self.files[f"keys/{name}"] = content
        return f"keys/{name}"

    def add_reader(self, label, keyring, line):
        self.readers[label] = keyring
        self.key_lines.append(f"{label} {line}")

    def add_aes(self, bits):
        key = common.filler(1000 + bits)[-bits // 8:]
        label = f"aes{bits}"
        keyring = common.aes_keyring(label, key)
        self.add_reader(label, keyring, f"aes {common.NAMESPACE} {label} {key.hex()}")
        self.writers[label] = (keyring, [label])

    def add_rsa(self, bits, paddings):
        key = common.new_rsa(bits)
        private = self.key_file(f"rsa{bits}.pem", common.private_pem(key))
        for padding in paddings:
            label = f"rsa{bits}-{padding}"
            keyring = common.rsa_keyring(f"rsa{bits}", padding, key)
            self.add_reader(label, keyring, f"rsa {common.NAMESPACE} rsa{bits} {padding} {private}")
            self.writers[label] = (keyring, [label])

    def add_ecdh(self, curve):
        sender, recipient = common.new_ec(curve), common.new_ec(curve)
        private = {who: self.key_file(f"p{curve}-{who}.pem", common.private_pem(key))
                   for who, key in (("sender", sender), ("recipient", recipient))}
        public = {who: self.key_file(f"p{curve}-{who}.der", common.public_der(key))
                  for who, key in (("sender", sender), ("recipient", recipient))}
        labels = [f"p{curve}-static", f"p{curve}-mirrored", f"p{curve}-discovery"]
        static = common.ecdh_static(curve, sender, recipient)
        self.add_reader(labels[0], static, f"ecdh static {curve} {private['sender']} {public['recipient']}")
        self.add_reader(labels[1], common.ecdh_static(curve, recipient, sender),
                        f"ecdh static {curve} {private['recipient']} {public['sender']}")
        self.add_reader(labels[2], common.ecdh_discovery(curve, recipient),
                        f"ecdh discovery {curve} {private['recipient']} -")
        self.writers[f"p{curve}-static"] = (static, labels)
        self.writers[f"p{curve}-ephemeral"] = (common.ecdh_ephemeral(curve, recipient), labels[2:])

    def add_multi(self, name, labels):
        keyring = common.multi_keyring([self.writers[label][0] for label in labels])
        self.writers[name] = (keyring, [reader for label in labels for reader in self.writers[label][1]])

    def add_case(self, suite, writer, length, context, required):
        keyring, readers = self.writers[writer]
        name = f"{suite}-{writer}-{length}" + ("-required" if required else "")
        client = common.client(suite)
        how = {"keyring": keyring}
        if required:
            how = {"materials_manager": common.required_context_cmm(keyring, list(required))}
        message, _ = client.encrypt(source=common.filler(length), encryption_context=context, frame_length=FRAME_LENGTH,
                                    algorithm=common.SUITES[suite], **how)
        reproduced = {key: context[key] for key in required}
        for reader in readers:
            plaintext, header = client.decrypt(source=message, keyring=self.readers[reader], encryption_context=reproduced)
            assert plaintext == common.filler(length), name
        self.files[f"ct/{name}.bin"] = message
        pairs = ",".join(f"{key.encode().hex()}={value.encode().hex()}" for key, value in context.items()) or "-"
        names = ",".join(key.encode().hex() for key in required) or "-"
        self.case_lines.append(f"{name} {suite} {','.join(readers)} {length} ct/{name}.bin {pairs} {names}")
        self.manifest.append({"name": name, "suite": suite, "readers": readers, "plaintext_length": length,
                              "ciphertext": f"ct/{name}.bin", "encryption_context": context, "required": list(required)})

    def write(self):
        shutil.rmtree(CORPUS, ignore_errors=True)
        for name, content in self.files.items():
            path = CORPUS / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (CORPUS / "plaintext.bin").write_bytes(common.filler(max(LENGTHS)))
        (CORPUS / "keys.txt").write_text("\n".join([
            "# label, and how it reads: aes namespace name key-in-hex; rsa namespace name padding private-key-file;",
            "# ecdh schema curve private-key-file public-key-file"] + self.key_lines) + "\n")
        (CORPUS / "cases.txt").write_text("\n".join([
            "# name suite keys plaintext_length ciphertext_file context required",
            "# keys: labels of keys.txt, comma-separated; each reads the message alone. The plaintext is the first",
            f"# plaintext_length bytes of plaintext.bin, in frames of {FRAME_LENGTH}. context: key=value in hex,",
            "# comma-separated, \"-\" for none; signing suites add aws-crypto-public-key to it. required: its keys that the",
            "# message does not store, in hex."] + self.case_lines) + "\n")
        manifest = {"generator": f"{common.VERSION}, Python {sys.version.split()[0]}", "frame_length": FRAME_LENGTH,
                    "cases": self.manifest}
        (CORPUS / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")


def main():
    corpus = Corpus()
    for bits in (128, 192, 256):
        corpus.add_aes(bits)
    corpus.add_rsa(2048, common.PADDINGS)
    corpus.add_rsa(3072, ["oaep-sha256"])
    for curve in common.CURVES:
        corpus.add_ecdh(curve)
    corpus.add_multi("multi", ["aes256", "rsa2048-oaep-sha512", "rsa3072-oaep-sha256", "p384-static", "p256-ephemeral"])
    count = 0
    for suite in common.SUITES:
        for writer in corpus.writers:
            corpus.add_case(suite, writer, LENGTHS[count % len(LENGTHS)], CONTEXTS[count % len(CONTEXTS)], ())
            count += 1
        for writer in ("aes256", "rsa2048-oaep-sha256", "p384-static", "p521-ephemeral"):
            required = (("tenant",), ("zone", "purpose"), tuple(REQUIRED_CONTEXT))[count % 3]
            corpus.add_case(suite, writer, LENGTHS[count % len(LENGTHS)], REQUIRED_CONTEXT, required)
            count += 1
    corpus.write()
    print(f"{count} messages in {CORPUS}")


main()
