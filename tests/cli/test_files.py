"""
keygen, encrypt and decrypt on files and streams: arguments, round trips, key files, and output files.
"""
import base64
import contextlib
import hashlib
import json
import os
import pty
import resource
import select
import signal
import stat
import subprocess
import threading
import unittest

from program import KEYS, LIMIT, MIB, SYSTEM, USAGE, MESSAGE, Case


class TestArguments(Case):
    def test_help_and_version(self):
        self.assertRegex(self.ok("--version"), rb"^keyflight \d+\.\d+\.\d+\n$")
        for arguments in ["--help"], ["-h"], ["help"]:
            self.assertIn(b"inspect", self.ok(*arguments))
        for command in "keygen", "encrypt", "decrypt", "inspect", "storm", "doctor":
            for arguments in [command, "--help"], [command, "-h"], ["help", command]:
                done = self.run_program(*arguments)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertTrue(done.stdout.startswith(b"Usage: keyflight " + command.encode()), arguments)

    def test_sentences_that_are_too_long_end_in_a_sign(self):
        name = "nonsense-\N{SNOWMAN}" * 100
        done = self.run_program("encrypt", "--" + name)
        self.assertEqual(done.returncode, USAGE)
        first = done.stderr.decode().splitlines()[0]
        self.assertTrue(first.startswith("keyflight: encrypt: There is no option '--nonsense-"), first)
        self.assertRegex(first, "[a-z-]\N{SNOWMAN}?\N{HORIZONTAL ELLIPSIS}$")

    def test_calls_that_are_wrong(self):
        done = self.run_program()
        self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
        self.assertIn(b"Usage:", done.stderr)
        key = ["-k", self.key]
        for arguments in (
            ["nonsense"],
            ["--nonsense"],
            ["help", "nonsense"],
            ["encrypt"],
            ["decrypt"],
            ["keygen"],
            ["encrypt", "-k"],
            ["encrypt", *key, "--nonsense"],
            ["encrypt", *key, "-x"],
            ["encrypt", *key, "in", "out"],
            ["decrypt", *key, "--", "in", "-x"],
            ["inspect", "in", "out"],
            ["inspect", "--jso"],
            ["inspect", "--json=yes"],
            ["keygen", "-o", "k", "extra"],
            ["keygen", "-o", "-"],
            ["keygen", "-o", "k", "--bits", "129"],
            ["keygen", "-o", "k", "--bits", "64"],
            ["keygen", "-o", "k", "--bits", "512"],
            ["keygen", "-o", "k", "--name", ""],
            ["keygen", "-o", "k", "--name", "a\nkey: b"],
            ["keygen", "-o", "k", "--name", " a"],
            ["keygen", "-o", "k", "--namespace", "a\t"],
            ["keygen", "-o", "k", "--namespace", b"\xff"],
            ["keygen", "-o", "k", "--namespace", "aws-kms"],
            ["encrypt", *key, "-o", "a", "-o", "b"],
            ["encrypt", *key, "--output=a", "-ob"],
            ["encrypt", *key, "-output", "a"],
            ["encrypt", *key, "-c", "no equals sign"],
            ["encrypt", *key, "-c", "=value"],
            ["encrypt", *key, "-c", "a=1", "-c", "a=2"],
            ["encrypt", *key, "-c", b"a=\xff"],
            ["encrypt", *key, "-c", "aws-crypto-public-key=x"],
            ["encrypt", *key, "-c", "a=" + 65536 * "x"],
            ["encrypt", *key, "--suite", "9999"],
            ["encrypt", *key, "--suite", ""],
            ["encrypt", *key, "--commitment-policy", "none"],
            ["decrypt", *key, "--commitment-policy", "none"],
            ["encrypt", *key, "--frame-length", "0"],
            ["encrypt", *key, "--frame-length", "4294967296"],
            ["encrypt", *key, "--frame-length", "18446744073709551617"],
            ["encrypt", *key, "--frame-length", "-1"],
            ["encrypt", *key, "--frame-length", "1k"],
            ["encrypt", *key, "--frame-length", ""],
            ["encrypt", "-k", "no-such-key"],
            ["encrypt", "-k", "."],
            ["encrypt", *key, "no-such-file"],
            ["encrypt", *key, "."],
            ["inspect", "no-such-file"],
            ["inspect", "key.txt/below"],
        ):
            with self.subTest(arguments):
                self.fails(USAGE, *arguments)

    def test_hints(self):
        self.assertIn("'keyflight encrypt --help'", self.fails(USAGE, "encrypt", "--nonsense"))
        self.assertIn("'--output'", self.fails(USAGE, "encrypt", "-output", "a"))
        key = ["-k", self.key]
        self.assertIn("forbid-encrypt-allow-decrypt", self.fails(USAGE, "encrypt", *key, "--suite", "0178"))
        forbid = "--commitment-policy=forbid-encrypt-allow-decrypt"
        self.assertIn("forbids", self.fails(USAGE, "encrypt", *key, "--suite", "0478", forbid))

    def test_standard_input_is_one_thing(self):
        key = self.get("key.txt")
        for arguments in ["-k", "-"], ["-k", "-", "-"], ["-k", "-", "-k", "-", "key.txt"]:
            self.assertIn("standard input", self.fails(USAGE, "encrypt", *arguments, stdin=key))

    def test_conventions(self):
        self.put("-in", b"text")
        self.ok("encrypt", f"--key={self.key}", "-foout", "--", "-in")
        self.assertEqual(self.ok("decrypt", "out", "-k", self.key, "-o", "-"), b"text")
        self.assertEqual(self.ok("decrypt", "-k", self.key, "-", stdin=self.get("out")), b"text")
        self.assertEqual(self.ok("decrypt", "-k", "-", "out", stdin=self.get("key.txt")), b"text")
        os.rename(self.key, self.path("kms:key"))
        self.assertEqual(self.ok("decrypt", "-k", "./kms:key", "out"), b"text")

    def test_control_characters_do_not_reach_the_terminal(self):
        for arguments in ["inspect", "\x1b[31m"], ["encrypt", "-k", "\x1b[31m"], ["\x1b[31m"], ["inspect", "--\x1b[31m"]:
            self.assertNotIn("\x1b", self.fails(USAGE, *arguments))


class TestRoundTrips(Case):
    def test_sizes(self):
        noise = os.urandom(MIB)
        for suite in "0478", "0578":
            for size in 0, 1, 15, 16, 17, 4095, 4096, 4097, 8192, 131071, 131072, 131073, MIB:
                with self.subTest(suite=suite, size=size):
                    plaintext = self.put("plain", noise[:size])
                    self.ok("encrypt", "-k", self.key, "--suite", suite, "-fo", "message", plaintext)
                    self.ok("decrypt", "-k", self.key, "-fo", "copy", "message")
                    self.assertEqual(self.get("copy"), noise[:size])
                    self.assertEqual(self.decrypt(self.encrypt(noise[:size], "--suite", suite)), noise[:size])

    def test_frame_lengths(self):
        plaintext = os.urandom(300)
        for length in 1, 7, 100, 299, 300, 301, 65536, 4294967295:
            message = self.encrypt(plaintext, "--frame-length", str(length))
            self.assertEqual(self.decrypt(message), plaintext)
            self.assertEqual(json.loads(self.ok("inspect", "--json", stdin=message))["frame_length"], length)

    def test_suites_by_name(self):
        for name, suite in ("AES_256_GCM_HKDF_SHA512_COMMIT_KEY", "0478"), ("0x0578", "0578"):
            message = self.encrypt(b"text", "--suite", name)
            self.assertEqual(json.loads(self.ok("inspect", "--json", stdin=message))["suite"], suite)
            self.assertEqual(self.decrypt(message), b"text")

    def test_contexts(self):
        pairs = {"purpose": "demo", "empty": "", "equation": "a=b=c", "Ümläut 🔑": "日本", "purposf": "\x1b\n"}
        options = [part for name, value in pairs.items() for part in ("-c", f"{name}={value}")]
        message = self.encrypt(b"text", "--suite", "0478", *options)
        self.assertEqual(json.loads(self.ok("inspect", "--json", stdin=message))["encryption_context"], pairs)
        self.assertEqual(self.decrypt(message), b"text")

    def test_several_keys(self):
        for name in "a", "b", "c":
            self.ok("keygen", "--name", name, "-o", name)
        message = self.ok("encrypt", "-k", "a", "-k", "b", stdin=b"text")
        edks = json.loads(self.ok("inspect", "--json", stdin=message))["encrypted_data_keys"]
        self.assertEqual([edk["key_name"] for edk in edks], ["a", "b"])
        for keys in ["-k", "a"], ["-k", "b"], ["-k", "c", "-k", "b"]:
            self.assertEqual(self.ok("decrypt", *keys, stdin=message), b"text")
        self.assertIn("keyflight inspect", self.fails(KEYS, "decrypt", "-k", "c", stdin=message))

    def test_little_input_at_a_time(self):
        plaintext = os.urandom(3000)
        for command, data in ("encrypt", plaintext), ("decrypt", self.encrypt(plaintext)):
            with self.start(command, "-k", self.key, "-o", "out-" + command, stdin=subprocess.PIPE) as process:
                for i in range(0, len(data), 7):
                    os.write(process.stdin.fileno(), data[i:i + 7])
            self.assertEqual(process.returncode, 0)
        self.assertEqual(self.decrypt(self.get("out-encrypt")), plaintext)
        self.assertEqual(self.get("out-decrypt"), plaintext)

    def test_pipes_that_do_not_block(self):
        plaintext = os.urandom(MIB)
        message = self.encrypt(plaintext, "--suite", "0478")
        program_in, our_out = os.pipe()
        our_in, program_out = os.pipe()
        os.set_blocking(program_in, False)
        os.set_blocking(program_out, False)
        with self.start("decrypt", "-k", self.key, stdin=program_in, stdout=program_out) as process:
            os.close(program_in)
            os.close(program_out)
            # Once all of this is written the program has read more than a pipe holds, while nobody reads its output.
            with open(our_out, "wb", buffering=0) as pipe, open(our_in, "rb") as result:
                os.write(pipe.fileno(), message[:136 * 1024])
                def feed():
                    with pipe:
                        pipe.write(message[136 * 1024:])
                feeder = threading.Thread(target=feed)
                feeder.start()
                self.assertEqual(result.read(), plaintext)
                feeder.join()
        self.assertEqual(process.returncode, 0)

    def test_memory_does_not_grow_with_the_message(self):
        def peak(command, size, *options):
            """Peak memory in KiB of one run over `size` bytes."""
            with open(self.path("input"), "wb") as file:
                file.truncate(size)
            if command == "decrypt":
                self.ok("encrypt", "-k", self.key, *options, "-fo", "input", "input")
            process = self.start(command, "-k", self.key, "-fo", "output", "input")
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            return usage.ru_maxrss
        for command, options in ("encrypt", []), ("decrypt", ["--suite", "0478"]), ("decrypt", ["--suite", "0578"]):
            growth = peak(command, 64 * MIB, *options) - peak(command, MIB, *options)
            self.assertLess(growth, 8 * 1024, (command, options))


class TestKeyFiles(Case):
    def fields(self):
        lines = self.get("key.txt").decode().splitlines()
        return dict(line.split(": ", 1) for line in lines if not line.startswith("#"))

    def test_keygen(self):
        self.assertEqual(list(self.fields()), ["type", "namespace", "name", "key"])
        self.assertEqual(self.mode("key.txt"), 0o600)
        first = self.fields()
        done = self.run_program("keygen", "-o", "other")
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        os.rename(self.path("other"), self.key)
        second = self.fields()
        self.assertRegex(second["name"], "^[0-9a-f]{16}$")
        self.assertIn(second["name"], done.stderr.decode())
        self.assertNotIn(second["key"], done.stderr.decode())
        self.assertEqual(second["namespace"], "keyflight")
        self.assertNotEqual(first["key"], second["key"])

    def test_lengths_and_names(self):
        for bits in "128", "192", "256":
            self.ok("keygen", "--bits", bits, "--namespace", "n: #ä", "--name", "k" * 60000, "-fo", self.key)
            self.assertEqual(len(base64.b64decode(self.fields()["key"], validate=True)), int(bits) // 8)
            message = self.encrypt(b"text")
            (edk,) = json.loads(self.ok("inspect", "--json", stdin=message))["encrypted_data_keys"]
            self.assertEqual((edk["provider_id"], edk["key_name"]), ("n: #ä", "k" * 60000))
            self.assertEqual(self.decrypt(message), b"text")

    def test_never_overwrites_by_itself(self):
        before = self.get("key.txt")
        self.assertIn("-f", self.fails(USAGE, "keygen", "-o", self.key))
        self.assertEqual(self.get("key.txt"), before)
        self.ok("keygen", "-f", "-o", self.key)
        self.assertNotEqual(self.get("key.txt"), before)

    def test_forms_that_are_read(self):
        message = self.encrypt(b"text")
        good = self.get("key.txt").decode()
        lines = good.splitlines()
        for text in (
            "\n".join(reversed(lines)),
            good.replace("\n", "\r\n"),
            "\n\n  # more\n" + good.replace(": ", ":\t  ").replace("\n", " \n"),
            "\n".join(line.replace(": ", " :") for line in lines),
        ):
            with self.subTest(text):
                self.put("key.txt", text.encode(), 0o600)
                self.assertEqual(self.decrypt(message), b"text")

    def test_forms_that_are_refused(self):
        good = self.get("key.txt")
        secret = self.fields()["key"].encode()
        raw = base64.b64decode(secret)
        for number, text in enumerate((
            b"",
            b"\n#\n",
            secret,
            secret + b"\n",
            secret + b": x",
            os.urandom(32),
            good + b"key: " + secret,
            good + b"name: other",
            good + b"colour: red",
            good + b"no colon",
            good.replace(b"type: raw-aes\n", b""),
            good.replace(b"name: first\n", b""),
            good.replace(b"namespace: keyflight\n", b""),
            good.replace(b"key: ", b"#"),
            good.replace(b"raw-aes", b"raw-rsa"),
            good.replace(b"first", b""),
            good.replace(b"first", b"f\0"),
            good.replace(b"first", b"f\x1b"),
            good.replace(b"first", b"\xff"),
            good.replace(b": keyflight", b": aws-kms"),
            good.replace(secret, secret[:-1]),
            good.replace(secret, secret[:-1] + b"?"),
            good.replace(secret, secret[:22] + b"=" + secret[23:]),
            good.replace(secret, secret[:20] + b" " + secret[20:]),
            good.replace(secret, base64.b64encode(raw[:15])),
            good.replace(secret, base64.b64encode(raw[:31])),
            good.replace(secret, base64.b64encode(raw[:24]) + b"A"),
            good.replace(secret, base64.b64encode(raw + b"x")),
            good.replace(secret, base64.b64encode(raw[:16])[:-3] + b"B=="),
            good.replace(secret, base64.b64encode(raw + raw)),
            good.replace(secret, raw.hex().encode()),
            good + b"#" * MIB,
        )):
            with self.subTest(text[:200]):
                name = f"bad-{number}.txt"
                self.put(name, text, 0o600)
                stderr = self.fails(USAGE, "encrypt", "-k", name, "-o", "out", stdin=b"text")
                self.assertIn(f"encrypt: {name}: ", stderr)
                self.assertNotIn(secret.decode()[:8], stderr)

    def test_what_is_wrong_is_named(self):
        self.put("bad", self.get("key.txt").replace(b"=\n", b"?\n"), 0o600)
        self.assertIn("base64", self.fails(USAGE, "encrypt", "-k", "bad", stdin=b""))
        self.put("bad", b"# comment\ntype: raw-aes\nnaem: x\n", 0o600)
        self.assertIn("bad: Line 3 ", self.fails(USAGE, "encrypt", "-k", "bad", stdin=b""))

    def test_a_readable_key_is_warned_of(self):
        for mode, warned in (0o600, False), (0o400, False), (0o640, True), (0o604, True):
            os.chmod(self.key, mode)
            done = self.run_program("encrypt", "-k", self.key, stdin=b"text")
            self.assertEqual(done.returncode, 0)
            self.assertEqual(b"warning" in done.stderr, warned, oct(mode))


class TestOutputFiles(Case):
    def setUp(self):
        super().setUp()
        self.plain = self.put("plain", b"text")
        self.message = self.path("message")
        self.ok("encrypt", "-k", self.key, "-o", self.message, self.plain)
        self.forged = self.put("forged", self.get("message")[:-1])

    def to(self, out, *options, source=None):
        return self.ok("decrypt", "-k", self.key, "-o", out, *options, source or self.message)

    def snapshot(self, name):
        status = os.stat(self.path(name))
        return self.get(name), status.st_mode, status.st_ino, status.st_mtime_ns

    def test_modes_of_new_files(self):
        for umask, ciphertext in (0o022, 0o644), (0o077, 0o600), (0o002, 0o664):
            os.umask(umask)
            self.ok("encrypt", "-k", self.key, "-o", "c", self.plain)
            self.to("p")
            self.ok("keygen", "-o", "k")
            self.assertEqual([self.mode(name) for name in "cpk"], [ciphertext, 0o600, 0o600], oct(umask))
            for name in "cpk":
                os.unlink(self.path(name))

    def test_a_file_that_is_there_is_refused_before_anything_is_read(self):
        self.put("there", b"old")
        before = self.snapshot("there")
        nobody_writes = self.fifo("fifo")
        for arguments in (["encrypt", "-k", self.key, nobody_writes], ["decrypt", "-k", self.key, nobody_writes],
                          ["encrypt", "-k", nobody_writes, self.plain], ["decrypt", "-k", nobody_writes, self.plain]):
            self.assertIn("give -f", self.fails(USAGE, *arguments, "-o", "there"))
        self.assertEqual(self.snapshot("there"), before)

    def test_a_replaced_file_keeps_its_mode_and_owner(self):
        self.put("there", b"old", 0o640)
        if os.geteuid() == 0:
            os.chown(self.path("there"), 1234, 5678)
        before = os.stat(self.path("there"))
        self.to("there", "-f")
        after = os.stat(self.path("there"))
        self.assertEqual(self.get("there"), b"text")
        self.assertEqual((after.st_mode, after.st_uid, after.st_gid), (before.st_mode, before.st_uid, before.st_gid))
        self.assertNotEqual(after.st_ino, before.st_ino)

    def test_a_failure_harms_nothing(self):
        self.put("there", b"old", 0o640)
        before = self.snapshot("there")
        self.ok("keygen", "-o", "other")
        self.fails(MESSAGE, "decrypt", "-k", self.key, "-fo", "there", self.forged)
        self.fails(KEYS, "decrypt", "-k", "other", "-fo", "there", self.message)
        self.fails(USAGE, "decrypt", "-k", self.key, "-fo", "there", "no-such-file")
        self.fails(USAGE, "encrypt", "-k", "no-such-key", "-fo", "there", self.plain)
        self.assertEqual(self.snapshot("there"), before)

    def test_symbolic_links_stay(self):
        os.mkdir(self.path("below"))
        self.put("below/target", b"old", 0o604)
        os.symlink("target", self.path("below/second"))
        os.symlink("below/second", self.path("link"))
        self.fails(USAGE, "decrypt", "-k", self.key, "-o", "link", self.message)
        self.to("link", "-f")
        self.assertEqual(os.readlink(self.path("link")), "below/second")
        self.assertEqual(os.readlink(self.path("below/second")), "target")
        self.assertEqual((self.get("below/target"), self.mode("below/target")), (b"text", 0o604))
        os.symlink(self.path("below/new"), self.path("dangling"))
        self.to(self.path("dangling"))
        self.assertEqual(os.readlink(self.path("dangling")), self.path("below/new"))
        self.assertEqual(self.get("below/new"), b"text")
        self.assertEqual(sorted(os.listdir(self.path("below"))), ["new", "second", "target"])

    def test_names_that_lead_nowhere(self):
        os.symlink("loop", self.path("loop"))
        os.symlink("no-such-directory/file", self.path("lost"))
        os.mkdir(self.path("directory"))
        nobody_writes = self.fifo("fifo")
        for out in "loop", "lost", "directory", "directory/", "new/", "no-such-directory/file", "plain/file", "", "n" * 300:
            with self.subTest(out):
                self.fails(USAGE, "decrypt", "-k", self.key, "-f", "-o", out, nobody_writes)

    def test_long_names(self):
        name = "n" * 255
        self.to(name)
        self.assertEqual(self.get(name), b"text")

    def test_devices_and_fifos_keep_their_nature(self):
        self.to("/dev/null")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        fifo = self.fifo("fifo")
        with self.start("decrypt", "-k", self.key, "-o", fifo, self.message) as process, open(fifo, "rb") as reader:
            self.assertEqual(reader.read(), b"text")
        self.assertEqual(process.returncode, 0)
        self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))
        self.assertEqual(self.to("/dev/stdout"), b"text")
        self.assertEqual(self.to("/proc/self/fd/1"), b"text")

    def test_input_and_output_may_be_the_same_file(self):
        same = self.put("same", b"text" * 100000, 0o640)
        self.fails(USAGE, "encrypt", "-k", self.key, "-o", same, same)
        self.ok("encrypt", "-k", self.key, "-fo", same, same)
        self.assertNotIn(b"text", self.get("same"))
        self.ok("decrypt", "-k", self.key, "-fo", same, same)
        self.assertEqual((self.get("same"), self.mode("same")), (b"text" * 100000, 0o640))

    def test_other_links_to_a_replaced_file_keep_the_former_content(self):
        self.put("there", b"old")
        os.link(self.path("there"), self.path("other"))
        self.to("there", "-f")
        self.assertEqual((self.get("there"), self.get("other")), (b"text", b"old"))

    def test_a_file_made_meanwhile_is_not_replaced(self):
        fifo = self.fifo("fifo")
        with self.start("encrypt", "-k", self.key, "-o", "out", fifo, stderr=subprocess.PIPE) as process:
            with open(fifo, "wb"):
                self.put("out", b"somebody else's")
            process.wait()
            self.assertIn(b"keyflight: encrypt: out: ", process.stderr.read())
        self.assertEqual(process.returncode, USAGE)
        self.assertEqual(self.get("out"), b"somebody else's")
        self.assertFalse([name for name in self.names() if name.startswith(".")])


class TestInterruptions(Case):
    @contextlib.contextmanager
    def at_work(self, command, data, **options):
        """A run with `out` as its output that has read all of `data` from a FIFO and waits for more."""
        fifo = self.fifo("fifo")
        process = self.start(command, "-k", self.key, "-fo", "out", fifo, stderr=subprocess.PIPE, **options)
        with process, open(fifo, "wb", buffering=0) as writer:
            writer.write(data)
            yield process
            writer.close()
            process.wait()
        os.unlink(fifo)

    def test_signals(self):
        message = self.encrypt(b"text" * 10000)
        for command, data in ("encrypt", b"text"), ("decrypt", message[:-1]):
            for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT:
                with self.subTest(command=command, number=number):
                    self.put("out", b"old", 0o640)
                    before = os.stat(self.path("out"))
                    with self.at_work(command, data) as process:
                        self.assertEqual(self.mode(self.temporary()), 0o600)
                        process.send_signal(number)
                        process.wait()
                    self.assertEqual(process.returncode, -number)
                    self.assertEqual(self.names(), ["key.txt", "out"])
                    self.assertEqual(os.stat(self.path("out"))[:9], before[:9])
                    self.assertEqual(self.get("out"), b"old")

    def test_ignored_signals_stay_ignored(self):
        ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with self.at_work("encrypt", b"text", preexec_fn=ignore) as process:
            process.send_signal(signal.SIGHUP)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.decrypt(self.get("out")), b"text")

    def test_a_file_that_gets_too_long(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        self.put("plain", bytes(2 * MIB))
        self.put("out", b"old")
        stderr = self.fails(SYSTEM, "encrypt", "-k", self.key, "-fo", "out", "plain", preexec_fn=limit)
        self.assertIn("encrypt: out: ", stderr)
        self.assertEqual(self.get("out"), b"old")

    def test_streams_that_fail(self):
        message = self.encrypt(b"text", "--suite", "0478")
        for arguments, stdin in ((["encrypt", "-k", self.key], b"text"), (["decrypt", "-k", self.key], message),
                                 (["inspect"], message), (["inspect", "--json"], message), (["--help"], b""),
                                 (["encrypt", "--help"], b""), (["--version"], b"")):
            with self.subTest(arguments):
                with open("/dev/full", "wb") as full:
                    stderr = self.fails(SYSTEM, *arguments, stdin=stdin, stdout=full)
                self.assertIn("standard output", stderr)
                self.fails(SYSTEM, *arguments, stdin=stdin, preexec_fn=lambda: os.close(1))
                reader, writer = os.pipe()
                os.close(reader)
                with open(writer, "wb") as broken:
                    self.fails(SYSTEM, *arguments, stdin=stdin, stdout=broken)
        self.fails(SYSTEM, "encrypt", "-k", self.key, "-o", "/dev/full", stdin=b"text")
        for arguments in ["encrypt", "-k", self.key, "-o", "out"], ["decrypt", "-k", self.key, "-o", "out"], ["inspect"]:
            self.assertIn("standard input", self.fails(SYSTEM, *arguments, preexec_fn=lambda: os.close(0)))

    def test_closed_streams_are_not_replaced_by_files(self):
        """A file opened as descriptor 2 would get the messages."""
        message = self.encrypt(b"text")
        done = self.run_program("decrypt", "-k", self.key, "-o", "out", stdin=message[:-1], preexec_fn=lambda: os.close(2))
        self.assertEqual((done.returncode, done.stderr), (MESSAGE, b""))
        self.put("message", message)
        def close_all():
            for number in 0, 1, 2:
                os.close(number)
        done = self.run_program("decrypt", "-k", self.key, "-o", "out", "message", preexec_fn=close_all)
        self.assertEqual((done.returncode, self.get("out")), (0, b"text"))


class TestReleases(Case):
    """When plaintext reaches a stream."""

    def test_unsigned_plaintext_comes_frame_by_frame(self):
        plaintext = os.urandom(10000)
        message = self.encrypt(plaintext, "--suite", "0478", "--frame-length", "1000")
        header = json.loads(self.ok("inspect", "--json", stdin=message))["header_length"]
        frame = header + 4 + 12 + 1000 + 16
        with self.start("decrypt", "-k", self.key, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            os.write(process.stdin.fileno(), message[:frame])
            self.assertEqual(process.stdout.read(1000), plaintext[:1000])
            os.write(process.stdin.fileno(), message[frame:])
            process.stdin.close()
            self.assertEqual(process.stdout.read(), plaintext[1000:])
        self.assertEqual(process.returncode, 0)
        done = self.run_program("decrypt", "-k", self.key, stdin=message[:-1])
        self.check_failure(done, MESSAGE)
        self.assertEqual(done.stdout, plaintext[:9000])

    def test_signed_plaintext_waits_for_the_signature(self):
        message = self.encrypt(os.urandom(10000))
        for bad in message[:-1], message[:-1] + bytes([message[-1] ^ 1]), message + b"\0":
            self.fails(MESSAGE, "decrypt", "-k", self.key, stdin=bad)

    def test_long_signed_plaintext_needs_a_file(self):
        for size in 64 * MIB, 64 * MIB + 1:
            with open(self.path("plain"), "wb") as file:
                file.truncate(size)
            self.ok("encrypt", "-k", self.key, "--frame-length", str(MIB), "-fo", "message", "plain")
            if size == 64 * MIB:
                self.assertEqual(self.ok("decrypt", "-k", self.key, "message"), bytes(size))
            else:
                self.assertIn("-o", self.fails(LIMIT, "decrypt", "-k", self.key, "message"))
                self.assertIn("-o", self.fails(LIMIT, "decrypt", "-k", self.key, "-o", "/dev/null", "message"))
        self.ok("decrypt", "-k", self.key, "-o", "copy", "message")
        self.assertEqual(hashlib.sha256(self.get("copy")).digest(), hashlib.sha256(bytes(size)).digest())
        self.ok("encrypt", "-k", self.key, "--suite", "0478", "-fo", "message", "plain")
        self.assertEqual(self.ok("decrypt", "-k", self.key, "message"), bytes(size))

    def on_terminal(self, status, *arguments, stdin=b""):
        """Runs it on a terminal; answers what that shows."""
        screen, terminal = pty.openpty()
        try:
            done = self.run_program(*arguments, stdin=stdin, stdout=terminal)
            if status == 0:
                self.assertEqual(done.returncode, 0, done.stderr)
            else:
                self.assertIn("-o", self.check_failure(done, status))
            shown = os.read(screen, 65536) if select.select([screen], [], [], 0)[0] else b""
            return shown.replace(b"\r\n", b"\n")
        finally:
            os.close(screen)
            os.close(terminal)

    def test_terminals_get_nothing_but_text(self):
        self.assertEqual(self.on_terminal(USAGE, "encrypt", "-k", self.key, stdin=b"text"), b"")
        for suite in "0478", "0578":
            for text in b"", b"a\ttext\n", "Grüße, 日本 🔑\n".encode():
                message = self.encrypt(text, "--suite", suite, "--frame-length", "2")
                self.assertEqual(self.on_terminal(0, "decrypt", "-k", self.key, stdin=message), text)
            for data in (b"\0", b"text\x1b[31m", b"text\x7f", b"\xff", b"\xc3", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
                         b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "\x9b31m".encode()):
                message = self.encrypt(data, "--suite", suite)
                self.assertEqual(self.on_terminal(USAGE, "decrypt", "-k", self.key, stdin=message), b"", data)

    def test_a_terminal_by_name(self):
        screen, terminal = pty.openpty()
        name = os.ttyname(terminal)
        self.assertIn("terminal", self.fails(USAGE, "encrypt", "-k", self.key, "-o", name, stdin=b"text"))
        self.assertIn("terminal", self.fails(USAGE, "keygen", "-o", name))
        self.assertFalse(select.select([screen], [], [], 0)[0])
        os.close(screen)
        os.close(terminal)


if __name__ == "__main__":
    unittest.main()
