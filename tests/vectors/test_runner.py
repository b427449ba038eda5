"""
kf-vectors on small folders in the formats that it knows, made here of the messages in tests/corpus/js: what it counts,
what it complains of, what it leaves out, and how it ends.
"""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join(os.environ["KEYFLIGHT_BUILD"], "tests", "kf-vectors")
CORPUS = os.path.join(os.environ["KEYFLIGHT_SOURCE"], "tests", "corpus", "js")


def read(*path):
    with open(os.path.join(CORPUS, *path), "rb") as file:
        return file.read()


PLAINTEXT = read("plaintext.bin")
KEYS = {key["label"]: key for key in json.loads(read("keys.json"))}


class Message:
    """A line of cases.txt."""

    def __init__(self, line):
        self.name, self.expect, self.suite, keys, frame_length, length, file, context = line.split(" ")
        self.keys = keys.split(",")
        self.frame_length = int(frame_length)
        self.plaintext = PLAINTEXT[:int(length)]
        self.bytes = read(file)
        pairs = [] if context == "-" else [pair.split("=") for pair in context.split(",")]
        self.context = {bytes.fromhex(key).decode(): bytes.fromhex(value).decode() for key, value in pairs}

    @property
    def header(self):
        """The header of a message with one EDK, in format 2."""
        at = 35
        at += 2 + int.from_bytes(self.bytes[at:at + 2], "big") + 2
        for _ in range(3):
            at += 2 + int.from_bytes(self.bytes[at:at + 2], "big")
        return self.bytes[:at + 1 + 4 + 32 + 16]


MESSAGES = [Message(line) for line in read("cases.txt").decode().splitlines() if not line.startswith("#")]
GOOD = [message for message in MESSAGES if message.expect == "ok"]
BAD = [message for message in MESSAGES if message.expect != "ok"]
TWO_KEYS = next(message for message in GOOD if len(message.keys) == 2)
PLAIN = next(message for message in GOOD if message.suite == "0478" and len(message.keys) == 1 and message.plaintext)
SIGNED = next(message for message in GOOD if message.suite == "0578" and message.context)


class Case(unittest.TestCase):
    """A scratch directory, and how the runner is run there."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name

    def put(self, name, content):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    def run_runner(self, *arguments):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=100, check=False)

    def check(self, passed, failed, skipped, folder=""):
        """Runs it and compares the counts in the last line; answers the lines before it."""
        done = self.run_runner(os.path.join(self.directory, folder))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[-1], f"{passed} passed, {failed} failed, {skipped} skipped", done.stdout)
        self.assertEqual((done.returncode, done.stderr), (1 if failed else 0, ""), done.stdout)
        self.assertEqual(sum(line.startswith("FAILED ") for line in lines), failed, done.stdout)
        return "\n".join(lines[:-1])


class TestEntries(Case):
    """Manifests with "entries", as js-client-node has them."""

    def entry(self, message, **more):
        expect = "ok" if message.expect == "ok" else "reject"
        files = {"ciphertext": f"ct/{message.name}.bin"}
        self.put(f"set/{files['ciphertext']}", message.bytes)
        if expect == "ok":
            files["plaintext"] = f"pt/{len(message.plaintext)}.bin"
            self.put(f"set/{files['plaintext']}", message.plaintext)
        return {"name": message.name, "suite_id": "0x" + message.suite, "frame_length": message.frame_length,
                "keyring": {"members": [{"key": key} for key in message.keys]}, "files": files, "expect": expect,
                "encryption_context": message.context, "edk_count": len(message.keys),
                "each_member_alone_decrypts": message.keys, **more}

    def manifest(self, *entries, **more):
        keys = {label: {"type": "aes", "hex": key["key"], "namespace": key["namespace"], "name": key["name"]}
                for label, key in KEYS.items()}
        self.put("set/keys.json", keys)
        self.put("set/manifest.json", {"keys": "keys.json", "count": len(entries), "entries": entries, **more})

    def test_all_messages(self):
        self.manifest(*[self.entry(message) for message in MESSAGES])
        for folder in "", "set":
            self.assertNotIn("skipped ", self.check(len(MESSAGES), 0, 0, folder).replace(" skipped", ""))

    def test_what_must_fail_and_does_not(self):
        for expect in "reject", "ok-same-plaintext", "js-only":
            self.manifest(self.entry(PLAIN, expect=expect), self.entry(TWO_KEYS))
            self.assertIn("accepts what has to be refused", self.check(1, 1, 0))

    def test_what_must_not_fail_and_does(self):
        self.manifest(*[self.entry(message, expect="ok", files={"ciphertext": f"ct/{message.name}.bin",
                                                                "plaintext": "pt/empty"}) for message in BAD])
        self.put("set/pt/empty", b"")
        self.check(0, len(BAD), 0)

    def test_wrong_plaintext(self):
        self.manifest(self.entry(PLAIN))
        self.put(f"set/pt/{len(PLAIN.plaintext)}.bin", PLAIN.plaintext[:-1] + b"\0")
        self.assertIn("the first that differs is number", self.check(0, 1, 0))

    def test_what_the_header_says(self):
        self.manifest(self.entry(SIGNED), self.entry(SIGNED, suite_id="0478"), self.entry(SIGNED, frame_length=9),
                      self.entry(SIGNED, edk_count=2),
                      self.entry(SIGNED, encryption_context={key: "else" for key in SIGNED.context}))
        self.check(1, 4, 0)

    def test_a_pair_that_the_message_does_not_know(self):
        self.manifest(self.entry(PLAIN, encryption_context={**PLAIN.context, "missing": "pair"}),
                      self.entry(PLAIN, reproduced_encryption_context={"missing": "pair"}),
                      self.entry(PLAIN, reproduced_encryption_context={}))
        self.check(1, 2, 0)

    def test_one_of_the_keys_does_not_do_alone(self):
        keyring = {"members": [{"key": TWO_KEYS.keys[0]}, {"key": "wrong"}]}
        self.manifest(self.entry(TWO_KEYS), self.entry(TWO_KEYS, keyring=keyring),
                      self.entry(TWO_KEYS, keyring=keyring, each_member_alone_decrypts=["wrong"]))
        self.assertIn("KF_E_KEYS", self.check(2, 1, 0))

    def test_a_damaged_manifest(self):
        entries = [self.entry(PLAIN) for _ in range(5)]
        entries[0]["keyring"] = {"members": [{"key": "nobody's"}]}
        entries[1]["files"] = {**entries[1]["files"], "ciphertext": "ct/nowhere.bin"}
        entries[2]["expect"] = "perhaps"
        del entries[3]["keyring"]
        self.manifest(*entries)
        said = self.check(1, 4, 0)
        for complaint in 'no key "nobody\'s"', "ct/nowhere.bin", '"perhaps"', 'no "keyring"':
            self.assertIn(complaint, said)
        self.manifest(self.entry(PLAIN), count=2)
        self.check(1, 1, 0)
        self.manifest()
        self.assertIn("no cases", self.check(0, 1, 0))
        self.manifest(self.entry(PLAIN), keys="elsewhere.json")
        self.assertIn("elsewhere.json", self.check(0, 1, 0))

    def test_a_key_of_an_unknown_type(self):
        self.manifest(self.entry(PLAIN))
        self.put("set/keys.json", {key: {"type": "quantum"} for key in PLAIN.keys})
        self.assertIn('skipped', self.check(0, 0, 1))


class TestFramework(Case):
    """Manifests of type "awses-decrypt" and their keys."""

    def setUp(self):
        super().setUp()
        keys = {label: {"type": "symmetric", "algorithm": "aes", "encoding": "base64", "key-id": key["name"],
                        "material": base64.b64encode(bytes.fromhex(key["key"])).decode()}
                for label, key in KEYS.items()}
        oldest = dict(keys["aes256"], material=[keys["aes256"]["material"][:20], keys["aes256"]["material"][20:]])
        del oldest["key-id"]  # so that its label is its name
        self.put("keys.json", {"manifest": {"type": "keys", "version": 3},
                               "keys": {**keys, "aes256": oldest, "kms": {"type": "aws-kms", "key-id": "arn:"}}})
        for message in MESSAGES:
            self.put(f"ct/{message.name}", message.bytes)
            self.put(f"pt/{message.name}", message.plaintext)

    @staticmethod
    def raw(key):
        return {"type": "raw", "key": key, "provider-id": KEYS[key]["namespace"], "encryption-algorithm": "aes"}

    def case(self, message, **more):
        return {"ciphertext": f"file://ct/{message.name}", "master-keys": [self.raw(key) for key in message.keys],
                **more}

    def manifest(self, version, *tests, **more):
        self.put("manifest.json", {"manifest": {"type": "awses-decrypt", "version": version},
                                   "keys": "file://keys.json",
                                   "tests": {f"test {i}": test for i, test in enumerate(tests)}, **more})

    def test_version_1(self):
        tests = [self.case(message, plaintext=f"file://pt/{message.name}") for message in GOOD]
        self.manifest(1, *tests, dict(tests[0], plaintext=f"file://pt/{PLAIN.name}"),
                      dict(tests[0], plaintext="file://"))
        self.check(len(GOOD), 2, 0)

    def test_version_2(self):
        output = {"output": {"plaintext": f"file://pt/{PLAIN.name}"}}
        error = {"error": {"error-description": "forged"}}
        self.manifest(2, *[self.case(message, result=error) for message in BAD], self.case(PLAIN, result=error),
                      self.case(PLAIN, result=output), self.case(PLAIN, result={}))
        self.check(len(BAD) + 1, 2, 0)

    def test_keys_of_a_service(self):
        output = {"output": {"plaintext": f"file://pt/{PLAIN.name}"}}
        error = {"error": {"error-description": "no permission"}}
        kms = {"type": "aws-kms", "key": "kms"}
        others = [kms, self.raw(PLAIN.keys[0])]
        self.manifest(3, self.case(PLAIN, result=output, **{"master-keys": [kms]}),
                      self.case(PLAIN, result=output, **{"master-keys": others}),
                      self.case(PLAIN, result=error, **{"master-keys": others}),
                      self.case(PLAIN, result=output, **{"master-keys": [kms, self.raw("wrong")]}))
        self.assertIn("3: needs AWS", self.check(1, 0, 3))

    def test_unsigned_only(self):
        method = {"decryption-method": "streaming-unsigned-only"}
        error = {"error": {"error-description": "signed"}}
        results = {message: {"output": {"plaintext": f"file://pt/{message.name}"}} for message in (PLAIN, SIGNED)}
        self.manifest(3, self.case(PLAIN, result=results[PLAIN], **method), self.case(SIGNED, result=error, **method),
                      self.case(SIGNED, result=results[SIGNED], **method), self.case(SIGNED, result=error))
        self.check(2, 2, 0)

    def test_version_4(self):
        result = {"output": {"plaintext": f"file://pt/{SIGNED.name}"}}
        test = self.case(SIGNED, result=result, **{"encryption-context": SIGNED.context})
        foreign = dict(test, **{"encryption-context": {**SIGNED.context, "missing": "pair"}})
        self.manifest(4, dict(test, cmm="Default"), dict(test, cmm="RequiredEncryptionContext"),
                      dict(foreign, cmm="Default"), dict(foreign, cmm="RequiredEncryptionContext"))
        self.check(3, 1, 0)
        self.manifest(4, test, *[self.case(message, result=result) for message in BAD], expect="FAIL, all of them")
        self.check(len(BAD), 1, 0)
        forged = [message for message in BAD if message.name.endswith(("-header-tag", "-key-wrong-bytes"))]
        self.manifest(4, *[self.case(message) for message in forged], expect="FAIL (header authentication)")
        self.check(len(forged) // 2, len(forged) // 2, 0)
        self.manifest(4, test, expect="perhaps")
        self.assertIn('"perhaps"', self.check(0, 1, 0))

    def scenario(self, message, description, **more):
        return {"decryption-scenario": {
            "type": "positive-esdk", "ciphertext": f"file://ct/{message.name}", "result": f"file://pt/{message.name}",
            "decryptKeyDescription": description, "reproduced-encryption-context": {}, **more}}

    def test_version_5(self):
        key = self.raw(TWO_KEYS.keys[1])
        multi = {"type": "multi-keyring", "generator": self.raw("wrong"), "childKeyrings": [key]}
        requiring = {"type": "required-encryption-context-cmm", "underlying": multi,
                     "requiredEncryptionContextKeys": list(TWO_KEYS.context)}
        hierarchical = {"type": "aws-kms-hierarchy", "key": "branch"}
        with_both = {"type": "multi-keyring", "generator": hierarchical, "childKeyrings": [key]}
        reproduced = {"reproduced-encryption-context": TWO_KEYS.context}
        self.assertTrue(TWO_KEYS.context)
        self.manifest(5, self.scenario(TWO_KEYS, key), self.scenario(TWO_KEYS, multi),
                      self.scenario(TWO_KEYS, requiring, **reproduced), self.scenario(TWO_KEYS, with_both),
                      self.scenario(TWO_KEYS, requiring, type="negative-esdk"),
                      self.scenario(BAD[0], key, type="negative-esdk"))
        self.check(6, 0, 0)
        self.manifest(5, self.scenario(TWO_KEYS, requiring), self.scenario(TWO_KEYS, key, type="negative-esdk"),
                      self.scenario(TWO_KEYS, key, type="perhaps"),
                      self.scenario(TWO_KEYS, dict(key, key="nobody's")), self.scenario(TWO_KEYS, hierarchical),
                      self.scenario(TWO_KEYS, {"type": "sealing-wax"}))
        said = self.check(0, 4, 2)
        self.assertIn("1: needs the hierarchical keyring", said)
        self.assertIn('1: a keyring of type "sealing-wax"', said)

    def test_scenarios(self):
        def scenario(kind, one, other, **more):
            return {"type": kind + "-keyring", "encryptKeyDescription": one, "decryptKeyDescription": other,
                    "algorithmSuiteId": "0578", "encryptionContext": {"a": "b", "c": "d"}, **more}

        good, wrong = self.raw("aes256"), self.raw("wrong")
        required = {"requiredEncryptionContextKeys": ["a"]}
        self.put("scenarios.json", {"keys": "see ./keys.json", "tests": dict(enumerate([
            scenario("positive", good, good),
            scenario("positive", good, good, reproducedEncryptionContext={"a": "b"}, **required),
            scenario("positive", good, good, algorithmSuiteId="6701"),
            scenario("negative-decrypt", good, good, **required),
            scenario("negative-decrypt", good, good, reproducedEncryptionContext={"a": "x"}),
            scenario("negative-encrypt", good, good, requiredEncryptionContextKeys=["x"]),
            scenario("positive", good, wrong), scenario("positive", good, wrong, algorithmSuiteId="6700"),
            scenario("negative-decrypt", good, good), scenario("negative-encrypt", good, good),
            scenario("positive", good, {"type": "aws-kms-hierarchy", "key": "branch"})]))})
        self.check(6, 4, 1)


class TestParts(Case):
    """Known answers, and pieces of messages."""

    def test_hkdf(self):
        answer = {"hash": "sha256", "ikm": "0b" * 22, "salt": "000102030405060708090a0b0c",
                  "info": "f0f1f2f3f4f5f6f7f8f9", "okm_len": 42,  # RFC 5869, A.1
                  "okm": "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"}
        self.put("hkdf.json", [answer, dict(answer, ikm="0b" * 21), dict(answer, okm_len=41),
                               dict(answer, info="0"), dict(answer, hash="sha1")])
        self.check(1, 3, 1)

    def test_headers(self):
        header = PLAIN.header
        key = KEYS[PLAIN.keys[0]]
        edk = {"provider_id": key["namespace"], "provider_info_hex": self.provider_info(header).hex()}
        test = {"id": "one", "alg": PLAIN.suite, "header_hex": header.hex(), "encryption_context": PLAIN.context,
                "edks": [edk], "edk_providers": [[key["namespace"], key["name"]]], "content_type": 2,
                "frame_length": PLAIN.frame_length}
        wrong = [{"edks": None}, {"edks": [edk, edk]}, {"edks": [dict(edk, provider_id="else")]}, {"content_type": 1},
                 {"frame_length": PLAIN.frame_length + 1}, {"header_hex": header[:-1].hex()}, {"alg": "0578"},
                 {"header_hex": header.hex() + "00"}, {"encryption_context": {"a": "b"}}, {"message_id": "00"}]
        self.put("headers.json", [test, *[dict(test, **change) for change in wrong]])
        self.check(1, len(wrong), 0)

    @staticmethod
    def provider_info(header):
        at = 35
        at += 2 + int.from_bytes(header[at:at + 2], "big") + 2
        at += 2 + int.from_bytes(header[at:at + 2], "big")
        return header[at + 2:at + 2 + int.from_bytes(header[at:at + 2], "big")]

    def test_fixtures(self):
        header = PLAIN.header
        self.put("fixtures.json", {
            "basicMessageHeader": {"hex": header.hex()}, "basicV2MessageHeader": {"hex": header[:-16].hex()},
            "versionNotValidMessageHeader": {"hex": "07" + header.hex()[2:]},
            "suiteIdNotValidMessageHeader": {"hex": header.hex()}, "mystery": {"hex": header.hex()},
            "judged": {"hex": header.hex() + "00", "our_parser": "ok, 1 trailing bytes"},
            "misjudged": {"hex": header.hex(), "our_parser": "Err('reserved')"}})
        self.check(4, 2, 1)

    def test_known_data_keys(self):
        message = base64.b64encode(PLAIN.bytes).decode()
        test = {"ciphertext": message, "decrypted-dek": base64.b64encode(bytes(32)).decode(), "status": False,
                "message-id": base64.b64encode(PLAIN.bytes[3:35]).decode(), "plaintext-frames": []}
        self.put("commitment.json", {"tests": [test, dict(test, status=True), dict(test, ciphertext="AY")]})
        self.check(1, 2, 0)
        os.remove(os.path.join(self.directory, "commitment.json"))
        test = {"name": "all zero", "alg": "0478", "data_key": "all zero", "ciphertext": message, "edk_count": 1}
        self.put("messages.json", [dict(test, expect="fail: InvalidSignature"), dict(test, expect="fail: anything"),
                                   dict(test, expect="success", plaintext=""), dict(test, expect="perhaps")])
        self.check(2, 2, 0)


class TestFolders(Case):
    def test_usage(self):
        for arguments in [], ["a", "b"]:
            done = self.run_runner(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("Usage", done.stderr)

    def test_nothing_to_run(self):
        def nothing(counts):
            done = self.run_runner(self.directory)
            self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (2, counts))
            self.assertNotEqual(done.stderr, "")

        nothing("0 passed, 0 failed, 0 skipped")
        self.put("a/README.md", b"{}")
        self.put("a/keys.json", {"manifest": {"type": "keys", "version": 3}, "keys": {}})
        nothing("0 passed, 0 failed, 0 skipped")
        self.put("a/other.json", {"name": "value"})
        nothing("0 passed, 0 failed, 1 skipped")
        shutil.rmtree(self.directory + "/a")
        os.symlink("nowhere", self.directory + "/manifest.json")
        nothing("0 passed, 0 failed, 0 skipped")
        self.assertEqual(self.run_runner(self.directory + "/none").returncode, 2)

    def test_what_is_not_json(self):
        whole = json.dumps({"raw_derive": [{"hash": "sha256"}]}).encode()
        self.put("a/whole.json", whole)
        for i, content in enumerate([whole[:-1], whole + b"}", b"", b"{\"a\": \"\xff\"}", b"[" * 100]):
            self.put(f"b/{i}.json", content)
        said = self.check(0, 6, 0)
        self.assertEqual(said.count("it is not JSON"), 5)
        self.assertIn('case 1: the manifest is damaged: there is no "ikm"', said)

    def test_formats_that_are_not_ours_beside_one_that_is(self):
        self.put("other.json", [1, 2])
        self.put("b/other.json", "text")
        self.put("c/answers.json", {"kdf_counter_mode": [{"hash": "sha1"}]})
        said = self.check(0, 0, 3)
        self.assertEqual(said.count("no format of ours"), 2)


if __name__ == "__main__":
    unittest.main()
