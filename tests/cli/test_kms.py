"""
The program with keys in AWS KMS, against a server on loopback (support/fault_kms.py) that counts its requests and fails
when it is told to.
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest
import urllib.request

from program import KEYS, REMOTE, RETRY, USAGE, Case

SERVER = pathlib.Path(__file__).resolve().parent.parent / "support" / "fault_kms.py"
ARN = "arn:aws:kms:eu-west-1:111122223333:key/{}-12ab-34cd-56ef-1234567890ab"
FIRST, SECOND = ARN.format("11111111"), ARN.format("22222222")
ALIAS = "arn:aws:kms:eu-west-1:111122223333:alias/letters"
ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "this+is+the+secret+that+nobody+sees"


class KmsCase(Case):
    """A KMS for each test, and an environment with credentials and its endpoint."""

    environment = None  # that of the tests, until there is a server

    def setUp(self):
        super().setUp()
        server = subprocess.Popen([sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(server.wait)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        listening = json.loads(server.stdout.readline())
        self.url, self.controls = listening["url"], listening["control"]
        self.control(verify=True, credentials={ACCESS_KEY_ID: {"secret": SECRET}, "SHORT": {"secret": SECRET}})
        self.environment = {**os.environ, "AWS_ENDPOINT_URL": self.url, "HOME": self.directory,
                            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}

    def run_program(self, *arguments, **options):
        return super().run_program(*arguments, **{"env": self.environment, **options})

    def control(self, **settings):
        """Sets what the service does; answers its counters."""
        request = urllib.request.Request(self.controls + "/_control", json.dumps(settings).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def fail(self, status, code):
        """All requests from now on."""
        self.control(faults=[{"kind": "error", "value": {"status": status, "code": code}}])

    def requests(self):
        """How many of each operation there were so far."""
        counters = self.control()
        return {name: counters[name] for name in ("GenerateDataKey", "Encrypt", "Decrypt") if name in counters}

    def use(self, **variables):
        """Sets variables of the environment; None takes one away."""
        for name, value in variables.items():
            self.environment.pop(name, None)
            if value is not None:
                self.environment[name] = value

    def put_profile(self, name, **settings):
        """Writes a shared configuration file of one profile."""
        lines = [f"[profile {name}]", *(f"{key} = {value}" for key, value in settings.items())]
        self.use(AWS_CONFIG_FILE=self.put("config", "\n".join(lines).encode() + b"\n"))

    def sealed(self, *keys, plaintext=b"text"):
        """A message made with these keys."""
        return self.ok("encrypt", *(f"-k{key}" for key in keys), stdin=plaintext)

    def opened(self, message, *arguments):
        return self.ok("decrypt", *arguments, stdin=message)


class TestFiles(KmsCase):
    def test_one_key(self):
        self.put("plain", b"text")
        self.ok("encrypt", "-k", f"kms:{FIRST}", "-c", "purpose=test", "-o", "message", "plain")
        (edk,) = json.loads(self.ok("inspect", "--json", "message"))["encrypted_data_keys"]
        self.assertEqual((edk["provider_id"], edk["provider_info"]), ("aws-kms", FIRST))
        self.ok("decrypt", "-k", f"kms:{FIRST}", "-o", "copy", "message")
        self.assertEqual(self.get("copy"), b"text")
        self.assertEqual(self.requests(), {"GenerateDataKey": 1, "Decrypt": 1})

    def test_several_keys(self):
        message = self.sealed(f"kms:{FIRST}", f"kms:{SECOND}")
        self.assertEqual(self.requests(), {"GenerateDataKey": 1, "Encrypt": 1})
        for key in FIRST, SECOND:
            self.assertEqual(self.opened(message, "-k", f"kms:{key}"), b"text")
        self.assertEqual(self.requests()["Decrypt"], 2)

    def test_beside_key_files(self):
        message = self.sealed(self.key, f"kms:{FIRST}", f"kms:{SECOND}")
        self.assertEqual(self.requests(), {"Encrypt": 2})
        self.assertEqual(self.opened(message, "-k", self.key), b"text")
        self.assertEqual(self.requests(), {"Encrypt": 2})
        self.assertEqual(self.opened(message, "-k", f"kms:{SECOND}"), b"text")
        message = self.sealed(f"kms:{FIRST}", self.key)
        self.assertEqual(self.requests(), {"Encrypt": 2, "Decrypt": 1, "GenerateDataKey": 1})
        self.assertEqual(self.opened(message, "-k", self.key), b"text")
        self.ok("keygen", "--name", "other", "-o", "other")
        self.assertEqual(self.opened(message, "-k", "other", "-k", f"kms:{FIRST}"), b"text")

    def test_key_files_need_no_aws(self):
        self.use(AWS_PROFILE="no such profile", AWS_REGION="no region")
        self.assertEqual(self.opened(self.sealed(self.key), "-k", self.key), b"text")
        self.assertIn("no such profile", self.fails(USAGE, "encrypt", "-k", self.key, "-k", f"kms:{FIRST}"))

    def test_names_of_keys(self):
        self.sealed(f"kms:{ALIAS}")
        for name in "alias/letters", "11111111-12ab-34cd-56ef-1234567890ab":
            self.assertIn("AWS_REGION", self.fails(USAGE, "encrypt", "-k", f"kms:{name}"))
            self.ok("encrypt", "--region", "eu-west-1", "-k", f"kms:{name}")
        sent = self.requests()
        for name in "alias/letters", ALIAS, "11111111-12ab-34cd-56ef-1234567890ab", "":
            self.assertIn("key ARN", self.fails(USAGE, "decrypt", "--region", "eu-west-1", "-k", f"kms:{name}"))
        for name in "", "letters", "arn:aws:s3:::letters", "arn:aws:kms:eu-west-1:111122223333:key/", "alias/":
            self.fails(USAGE, "encrypt", "--region", "eu-west-1", "-k", f"kms:{name}")
        self.fails(USAGE, "encrypt", "-k", f"kms:{FIRST}", "-k", f"kms:{FIRST}")
        self.assertEqual(self.requests(), sent)

    def test_another_key(self):
        message = self.sealed(f"kms:{FIRST}")
        self.assertIn("keyflight inspect", self.fails(KEYS, "decrypt", "-k", f"kms:{SECOND}", stdin=message))
        self.assertEqual(self.requests(), {"GenerateDataKey": 1})


class TestDiscovery(KmsCase):
    def test_filters(self):
        message = self.sealed(f"kms:{FIRST}")
        for allowed in "", "aws:111122223333", "aws:444455556666,111122223333":
            self.assertEqual(self.opened(message, "-k", f"kms-discovery:{allowed}"), b"text")
        sent = self.requests()
        self.assertEqual(sent["Decrypt"], 3)
        for refused in "aws:444455556666", "aws-cn:111122223333":
            self.fails(KEYS, "decrypt", "-k", f"kms-discovery:{refused}", stdin=message)
        self.assertEqual(self.requests(), sent)
        refused = ["-k", "kms-discovery:aws:444455556666"]
        self.assertEqual(self.opened(message, *refused, "-k", "kms-discovery:aws:111122223333"), b"text")

    def test_what_is_no_filter(self):
        message = self.sealed(f"kms:{FIRST}")
        for wrong in "aws", "aws:", "aws:1", "aws:111122223333,", ":111122223333", "111122223333":
            with self.subTest(wrong):
                self.fails(USAGE, "decrypt", "-k", f"kms-discovery:{wrong}", stdin=message)

    def test_only_decrypts(self):
        self.assertIn("kms:ARN", self.fails(USAGE, "encrypt", "-k", "kms-discovery:"))
        self.assertIn("kms:ARN", self.fails(USAGE, "encrypt", "-k", self.key, "-k", "kms-discovery:"))


class TestErrors(KmsCase):
    def test_refused(self):
        message = self.sealed(f"kms:{FIRST}")
        self.fail(400, "AccessDeniedException")
        said = self.fails(REMOTE, "encrypt", "-k", f"kms:{FIRST}", "-o", "message")
        self.assertIn("AccessDeniedException", said)
        self.assertIn("keyflight doctor", said)
        self.assertIn("AccessDeniedException", self.fails(KEYS, "decrypt", "-k", f"kms:{FIRST}", stdin=message))
        self.control(faults=[])
        self.use(AWS_SECRET_ACCESS_KEY="wrong")
        self.fails(REMOTE, "decrypt", "-k", f"kms:{FIRST}", stdin=message)
        self.assertEqual(self.opened(self.sealed(self.key), "-k", self.key), b"text")

    def test_what_may_pass(self):
        message = self.sealed(f"kms:{FIRST}")
        for status, code in (400, "ThrottlingException"), (500, "KMSInternalException"):
            self.fail(status, code)
            self.assertIn(code, self.fails(RETRY, "encrypt", "-k", f"kms:{FIRST}", "-o", "new"))
            self.assertIn(code, self.fails(RETRY, "decrypt", "-k", f"kms:{FIRST}", stdin=message))
        self.fails(RETRY, "encrypt", "-k", f"kms:{FIRST}", "--endpoint-url", "http://127.0.0.1:1")

    def test_a_message_that_kms_does_not_open(self):
        message = bytearray(self.sealed(f"kms:{FIRST}"))
        message[message.index(FIRST.encode()) + len(FIRST) + 10] ^= 1
        said = self.fails(KEYS, "decrypt", "-k", f"kms:{FIRST}", stdin=bytes(message))
        self.assertIn("InvalidCiphertextException", said)

    def test_a_reply_that_is_not_for_this_key(self):
        message = self.sealed(f"kms:{FIRST}")
        self.control(faults=[{"kind": "members", "value": {"KeyId": SECOND}}])
        self.assertIn(SECOND, self.fails(REMOTE, "decrypt", "-k", f"kms:{FIRST}", stdin=message))

    def test_a_key_file_helps_when_kms_does_not(self):
        message = self.sealed(f"kms:{FIRST}", self.key)
        self.fail(400, "ThrottlingException")
        self.assertEqual(self.opened(message, "-k", f"kms:{FIRST}", "-k", self.key), b"text")


class TestSettings(KmsCase):
    def test_no_credentials(self):
        self.use(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
        said = self.fails(USAGE, "encrypt", "-k", f"kms:{FIRST}")
        for tried in "environment", "profile", "container", "AWS_EC2_METADATA_DISABLED":
            self.assertIn(tried, said)
        self.assertEqual(self.requests(), {})

    def test_profiles(self):
        self.use(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_ENDPOINT_URL=None)
        self.put_profile("letters", aws_access_key_id="SHORT", aws_secret_access_key=SECRET,
                         region="eu-west-1", endpoint_url=self.url)
        self.ok("encrypt", "--profile", "letters", "-k", "kms:alias/letters")
        self.use(AWS_PROFILE="letters")
        self.ok("encrypt", "-k", "kms:alias/letters")
        self.assertEqual(self.requests(), {"GenerateDataKey": 2})
        self.assertIn("nobody", self.fails(USAGE, "encrypt", "--profile", "nobody", "-k", f"kms:{FIRST}"))

    def test_endpoints(self):
        self.use(AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_ENDPOINT_URL_KMS=self.url)
        self.sealed(f"kms:{FIRST}")
        self.use(AWS_ENDPOINT_URL_KMS=None)
        self.ok("encrypt", "--endpoint-url", self.url, "-k", f"kms:{FIRST}")
        self.assertEqual(self.requests(), {"GenerateDataKey": 2})
        self.fails(USAGE, "encrypt", "--endpoint-url", "kms", "-k", f"kms:{FIRST}")
        self.fails(USAGE, "encrypt", "--region", "", "-k", "kms:alias/letters")


class TestStorm(KmsCase):
    def storm(self, *arguments, status=0):
        done = self.run_program("storm", "--json", *arguments)
        self.assertEqual((done.returncode, done.stderr), (status, b""))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_report(self):
        self.use(KMS_KEY_ARN=FIRST)
        for callers in "poll", "threads":
            scenarios = self.storm("--callers", callers)
            self.assertEqual([s["distinct_deks"] for s in scenarios], [2, 2, 3])
            self.assertEqual([s["backing_calls"] for s in scenarios], [2, 2, 3])
            for scenario in scenarios:
                self.assertEqual(scenario["keys"], [{"key": FIRST, "endpoint": self.url}])
        self.assertEqual(self.requests(), {"GenerateDataKey": 14})

    def test_for_people(self):
        self.use(KMS_KEY_ARN=FIRST)
        said = self.ok("storm").decode()
        self.assertIn(f"{FIRST} at {self.url} (KMS_KEY_ARN)", said)
        self.assertNotIn("simulated", said)
        self.assertIn(f"{SECOND} at {self.url}\n", self.ok("storm", "-k", f"kms:{SECOND}").decode())

    def test_options_come_first(self):
        self.use(KMS_KEY_ARN=FIRST)
        (scenario,) = self.storm("--parallel", "5", "-k", self.key)
        self.assertNotIn("keys", scenario)
        self.assertEqual(self.requests(), {})
        (scenario,) = self.storm("--parallel", "10", "-k", f"kms:{SECOND}", "-k", self.key, "-k", f"kms:{FIRST}")
        self.assertEqual([key["key"] for key in scenario["keys"]], [SECOND, FIRST])
        self.assertEqual((scenario["backing_calls"], scenario["distinct_deks"]), (2, 2))
        self.assertEqual(self.requests(), {"GenerateDataKey": 2, "Encrypt": 2})

    def test_a_burst(self):
        self.use(KMS_KEY_ARN=FIRST)
        (scenario,) = self.storm("--parallel", "1000", "--max-messages", "10", "--capacity", "0")
        self.assertEqual((scenario["backing_calls"], scenario["distinct_deks"]), (100, 100))
        self.assertEqual(self.requests(), {"GenerateDataKey": 100})

    def test_the_figures_of_the_readme(self):
        self.use(KMS_KEY_ARN=FIRST)
        before = 0
        for options, status, requests in (([], 0, 200), (["--max-messages", "1000"], 0, 1), (["--no-coalescing"], 1, 1000)):
            (scenario,) = self.storm("--parallel", "1000", *options, status=status)
            after = self.requests()["GenerateDataKey"]
            self.assertEqual((scenario["backing_calls"], after - before), (requests, requests))
            before = after

    def test_decryption(self):
        (scenario,) = self.storm("--decrypt", "--parallel", "10", "--contexts", "2", "-k", f"kms:{FIRST}")
        self.assertEqual(scenario["backing_calls"], 2)
        self.assertEqual(self.requests(), {"GenerateDataKey": 2, "Decrypt": 2})
        self.fails(USAGE, "storm", "--decrypt", "-k", f"kms:{ALIAS}")

    def test_errors(self):
        self.use(KMS_KEY_ARN=FIRST)
        self.fail(400, "AccessDeniedException")
        (scenario,) = self.storm("--parallel", "10", status=1)
        self.assertEqual(scenario["errors"], 10)
        self.assertIn("AccessDeniedException", scenario["error"])
        self.use(KMS_KEY_ARN="nonsense")
        self.assertIn("nonsense", self.fails(USAGE, "storm"))
        self.use(KMS_KEY_ARN=None)
        for simulated in ["--rtt-ms", "5"], ["--fail-first", "1"], ["--callers", "threads", "--cancel", "50"]:
            self.fails(USAGE, "storm", "-k", f"kms:{FIRST}", *simulated)


class TestDoctor(KmsCase):
    def doctor(self, *arguments, status=0):
        done = self.run_program("doctor", "--json", *arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertNotIn(SECRET.encode(), done.stdout + done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual([p["status"] for p in found["problems"]][:1], [status] if status else [])
        if status:
            self.check_failure(done, status)
        return found

    def test_what_is_used(self):
        self.use(AWS_REGION="eu-central-1")
        found = self.doctor()
        self.assertEqual(found["profile"]["value"], "default")
        self.assertEqual(found["region"], {"value": "eu-central-1", "source": "AWS_REGION in the environment"})
        self.assertEqual(found["kms_endpoint"], {"value": self.url, "source": "AWS_ENDPOINT_URL in the environment"})
        self.assertEqual((found["ca_bundle"]["value"], found["key"]["value"]), (None, None))
        self.assertEqual((found["max_attempts"]["value"], found["calls"]), ("1", {}))
        self.assertEqual(found["credentials"]["access_key_id"], "AKIA...MPLE")
        self.assertIn("environment", found["credentials"]["source"])
        self.assertIsNone(found["credentials"]["expires_at"])

    def test_options_come_first(self):
        self.use(AWS_REGION="eu-central-1")
        self.put_profile("letters", aws_access_key_id="SHORT", aws_secret_access_key=SECRET)
        found = self.doctor("--region", "us-east-1", "--profile", "letters", "--endpoint-url", "https://127.0.0.1:1")
        self.assertEqual((found["region"]["value"], found["profile"]["value"]), ("us-east-1", "letters"))
        self.assertEqual(found["kms_endpoint"], {"value": "https://127.0.0.1:1", "source": "option --endpoint-url"})
        self.assertEqual([found[name]["source"] for name in ("region", "profile")], ["option --region", "option --profile"])
        self.assertEqual(found["credentials"]["access_key_id"], "S...T")
        self.assertIn("letters", found["credentials"]["source"])

    def test_the_region_of_the_key(self):
        self.use(AWS_ENDPOINT_URL=None, AWS_REGION="eu-central-1", KMS_KEY_ARN=FIRST)
        found = self.doctor()
        self.assertEqual(found["region"]["value"], "eu-west-1")
        self.assertEqual(found["kms_endpoint"]["value"], "https://kms.eu-west-1.amazonaws.com")
        self.assertEqual(found["key"], {"value": FIRST, "source": "KMS_KEY_ARN in the environment"})

    def test_calls(self):
        for key in f"kms:{FIRST}", f"kms:{ALIAS}":
            self.assertEqual(self.doctor("--call", "-k", key)["calls"], {"GenerateDataKey": True, "Decrypt": True})
        self.assertEqual(self.requests(), {"GenerateDataKey": 2, "Decrypt": 2})

    def test_calls_with_a_context(self):
        key = ["--call", "-k", f"kms:{FIRST}"]
        self.assertEqual(self.doctor(*key, "-c", "a=1", "-c", "b=")["problems"], [])
        self.fails(USAGE, "doctor", *key, "-c", "a")
        self.fails(USAGE, "doctor", "-k", f"kms:{FIRST}", "-c", "a=1")
        found = self.doctor(*key, "-c", "aws-crypto-public-key=x", status=USAGE)
        self.assertEqual([problem["about"] for problem in found["problems"]], ["GenerateDataKey"])

    def test_for_people(self):
        said = self.ok("doctor", "--call", "-k", f"kms:{FIRST}").decode()
        for part in self.url, FIRST, "AKIA...MPLE", "GenerateDataKey: worked\n", "Decrypt:         worked\n":
            self.assertIn(part, said)
        self.assertNotIn(SECRET, said)

    def test_refused_and_throttled(self):
        for http, code, status in (400, "AccessDeniedException", REMOTE), (400, "ThrottlingException", RETRY):
            self.fail(http, code)
            found = self.doctor("--call", "-k", f"kms:{FIRST}", status=status)
            self.assertEqual(found["calls"], {"GenerateDataKey": False})
            self.assertEqual(found["problems"][0]["about"], "GenerateDataKey")
            self.assertIn(code, found["problems"][0]["text"])

    def test_may_only_encrypt(self):
        self.control(faults=[{"kind": "error", "operation": "Decrypt", "value": {"code": "AccessDeniedException"}}])
        found = self.doctor("--call", "-k", f"kms:{FIRST}", status=KEYS)
        self.assertEqual(found["calls"], {"GenerateDataKey": True, "Decrypt": False})
        self.assertEqual([problem["about"] for problem in found["problems"]], ["Decrypt"])

    def test_problems(self):
        self.use(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
        found = self.doctor("-k", "kms:alias/letters", "--call", status=USAGE)
        self.assertEqual([problem["about"] for problem in found["problems"]], ["key", "credentials"])
        self.assertIsNone(found["credentials"])
        self.assertEqual(found["calls"], {})
        self.use(AWS_REGION="no region")
        found = self.doctor(status=USAGE)
        self.assertEqual([problem["about"] for problem in found["problems"]], ["settings"])
        self.assertNotIn("region", found)
        self.assertEqual(self.requests(), {})

    def test_credentials_that_expire(self):
        self.use(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None,
                 AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{self.url}/container")
        found = self.doctor("--call", "-k", f"kms:{FIRST}")["credentials"]
        self.assertRegex(found["expires_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertIn(", until 20", self.ok("doctor").decode())

    def test_wrong_calls(self):
        for arguments in ["--call"], ["-k", self.key], ["-k", "kms-discovery:"], ["operand"]:
            self.fails(USAGE, "doctor", *arguments)


if __name__ == "__main__":
    unittest.main()
