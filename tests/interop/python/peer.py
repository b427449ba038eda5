"""The official Python client's side of the two-way tests: `peer.py WORK JOBS ANSWERS`, files as in ../two-way."""
import importlib.metadata
import pathlib
import sys

import common

work, jobs, answers = map(pathlib.Path, sys.argv[1:])


def read_lines(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]


def file(name):
    return None if name == "-" else (work / name).read_bytes()


def keyring_of(kind, *columns):
    if kind == "aes":
        namespace, name, key = columns
        return common.aes_keyring(name, bytes.fromhex(key), namespace)
    if kind == "rsa":
        namespace, name, padding, public, private = columns
        return common.rsa_keyring_of(namespace, name, padding, file(public), file(private))
    return common.ecdh_keyring_of(columns[0], columns[1], file(columns[2]), file(columns[3]))


keyrings = {label: keyring_of(*columns) for label, *columns in read_lines(work / "keyrings.tsv")}
clients = {suite: common.client(suite) for suite in common.SUITES}
plaintext_bytes = (work / "plaintext.bin").read_bytes()


def texts(column, separator=","):
    return [] if column == "-" else column.split(separator)


def unhex(text):
    return bytes.fromhex(text).decode()


def do(verb, message, suite, frame_length, length, context, required, labels):
    plaintext = plaintext_bytes[:int(length)]
    context = dict(map(unhex, pair.split("=")) for pair in texts(context))
    required = [unhex(key) for key in texts(required)]
    chosen = [keyrings[label] for label in labels.split(",")]
    keyring = chosen[0] if len(chosen) == 1 else common.multi_keyring(chosen)
    how = {"materials_manager": common.required_context_cmm(keyring, required)} if required else {"keyring": keyring}
    if verb == "write":
        how |= {"algorithm": common.SUITES[suite], "frame_length": int(frame_length), "encryption_context": context}
        written, _ = clients[suite].encrypt(source=plaintext, **how)
        (work / message).write_bytes(written)
        return
    if required:
        how["encryption_context"] = {key: context[key] for key in required}
    got, header = clients[suite].decrypt(source=(work / message).read_bytes(), **how)
    assert got == plaintext, "the plaintext is another one"
    assert header.algorithm == common.SUITES[suite], "the suite is another one"
    assert header.frame_length == int(frame_length), "the frame length is another one"
    stored = {key: value for key, value in header.encryption_context.items() if key != "aws-crypto-public-key"}
    assert {**how.get("encryption_context", {}), **stored} == context, "the encryption context is another one"


def answer(*job):
    try:
        do(*job)
        return "ok"
    except Exception as error: # pylint: disable=broad-except; whatever the client throws is its answer
        return f"failed\t{type(error).__name__}: {' '.join(str(error).split())}"


def main():
    versions = [f"`{name}` {importlib.metadata.version(name)}"
                for name in ("aws-encryption-sdk", "aws-cryptographic-material-providers")]
    with answers.open("w", encoding="utf-8") as out:
        out.write(f"client\tPython: {' with '.join(versions)}\n")
        for number, *job in read_lines(jobs):
            out.write(f"{number}\t{answer(*job)}\n")


main()
