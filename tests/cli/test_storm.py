"""
keyflight storm: the counts it shows, those it expects, and how it judges.

Counts that hold for any interleaving are tested with a short round trip. Where all callers have to ask before the first
answer (capacity 0, contexts that evict each other, peaks) the round trip is long enough for that. Other tests force the
interleavings one by one. No time is asserted.
"""

import errno
import json
import os
import pty
import subprocess
import unittest

KEYFLIGHT = os.environ["KEYFLIGHT"]
os.environ.pop("KMS_KEY_ARN", None)  # with it the service would not be simulated
SHORT = ("--rtt-ms", "5")
LONG = ("--rtt-ms", "300")  # for a hundred callers, which ask within a millisecond
VERY_LONG = ("--rtt-ms", "1500")  # for a thousand, under a sanitizer too
MEMBERS = {
    "scenario": str, "encryptions": int, "distinct_deks": int, "uses": dict, "errors": int, "cancelled": int,
    "expected_deks": int, "backing_calls": int, "expected_calls": int, "peak_in_flight": int, "max_uses_per_dek": int,
    "callers": int, "answered": int, "exact": bool, "bound": int, "ok": bool,
    "rtt_ms": int, "answer_ms": float, "wall_ms": float,
}


def keyflight(*arguments, **options):
    return subprocess.run([KEYFLIGHT, "storm", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=100, **options)


class Storm(unittest.TestCase):
    def storms(self, *arguments, status=0):
        """The scenarios as dictionaries; each is checked for what holds for every one."""
        ran = keyflight("--json", *arguments)
        self.assertEqual(ran.stderr, "")
        lines = ran.stdout.splitlines()
        scenarios = [json.loads(line) for line in lines]
        self.assertEqual(ran.returncode, status, ran.stdout)
        self.assertEqual(ran.returncode, 0 if all(s["ok"] for s in scenarios) else 1)
        for s in scenarios:
            error = {"error": str} if "error" in s else {}  # of a caller, the warm-up included
            self.assertEqual({name: type(value) for name, value in s.items()}, {**MEMBERS, **error})
            self.assertEqual(s["callers"], s["answered"])
            self.assertEqual(sum(s["uses"].values()), s["distinct_deks"])
            self.assertEqual(sum(int(uses) * deks for uses, deks in s["uses"].items()), s["encryptions"])
            self.assertLessEqual(s["answer_ms"], s["wall_ms"])
        return scenarios

    def storm(self, *arguments, status=0):
        scenarios = self.storms(*arguments, status=status)
        self.assertEqual(len(scenarios), 1)
        return scenarios[0]

    def exact(self, *arguments, **expected):
        """One scenario of exact counts as expected."""
        s = self.storm(*arguments)
        self.assertTrue(s["exact"])
        self.assertEqual((s["errors"], s["cancelled"]), (0, 0))
        self.assertNotIn("error", s)
        self.assertEqual(s["backing_calls"], s["expected_calls"])
        self.assertEqual(s["bound"], s["expected_calls"])
        if "--decrypt" not in arguments:
            self.assertEqual(s["distinct_deks"], s["expected_deks"])
        self.assertEqual({name: s[name] for name in expected}, expected)
        return s


class Counts(Storm):
    def test_the_report(self):
        for callers in ("poll", "threads"):
            with self.subTest(callers):
                parallel, sequential, warm = self.storms("--callers", callers, *SHORT)
                self.assertEqual((parallel["distinct_deks"], parallel["uses"]), (2, {"5": 2}))
                self.assertEqual((sequential["distinct_deks"], sequential["uses"]), (2, {"5": 2}))
                self.assertEqual((warm["distinct_deks"], warm["uses"]), (3, {"5": 1, "4": 1, "1": 1}))
                self.assertEqual([s["backing_calls"] for s in (parallel, sequential, warm)], [2, 2, 3])
                self.assertEqual([s["expected_deks"] for s in (parallel, sequential, warm)], [2, 2, 3])
                self.assertEqual([s["encryptions"] for s in (parallel, sequential, warm)], [10, 10, 10])
                self.assertEqual([s["max_uses_per_dek"] for s in (parallel, sequential, warm)], [5, 5, 5])
                self.assertEqual(sequential["peak_in_flight"], 1)
                self.assertTrue(parallel["exact"] and sequential["exact"] and warm["exact"])

    def test_names(self):
        names = [s["scenario"] for s in self.storms(*SHORT)]
        self.assertEqual(names, ["10 in parallel", "10 one by one", "1 warm-up, then 10 in parallel"])
        all_three = self.storm("--parallel", "3", "--warm", "2", "--sequential", "1", *SHORT)
        self.assertEqual(all_three["scenario"], "2 warm-ups, then 1 one by one, then 3 in parallel")

    def test_a_large_burst(self):
        self.exact("--parallel", "10000", "--max-messages", "1000", *SHORT, backing_calls=10, uses={"1000": 10})
        self.exact("--parallel", "1000", "--callers", "threads", *SHORT, backing_calls=200, uses={"5": 200})

    def test_any_capacity(self):
        for capacity in ("100", "1", "0"):
            with self.subTest(capacity):
                self.exact("--parallel", "1000", "--capacity", capacity, *VERY_LONG,
                           backing_calls=200, peak_in_flight=200, uses={"5": 200})

    def test_contexts_that_evict_each_other(self):
        self.exact("--contexts", "2", "--capacity", "1", "--parallel", "100", "--max-messages", "1000", *LONG,
                   backing_calls=2, peak_in_flight=2, uses={"50": 2})

    def test_contexts_take_turns(self):
        # 10 warm-ups: contexts 0..2 get 4, 3, 3; then 8 anew: 3, 3, 2. Together 7, 6, 5.
        self.exact("--contexts", "3", "--warm", "10", "--sequential", "4", "--parallel", "4", *SHORT,
                   backing_calls=5, distinct_deks=5, uses={"1": 2, "2": 3})
        self.exact("--contexts", "7", "--parallel", "4", *SHORT, backing_calls=4, uses={"1": 4})

    def test_phases(self):
        self.exact("--warm", "5", "--sequential", "5", *SHORT, backing_calls=2, distinct_deks=1, max_uses_per_dek=5)
        self.exact("--warm", "7", "--parallel", "4", *SHORT, backing_calls=3, uses={"3": 1, "1": 1})
        self.exact("--warm", "6", *SHORT, encryptions=0, backing_calls=2, distinct_deks=0, max_uses_per_dek=5)
        self.exact("--sequential", "7", "--parallel", "7", "--callers", "threads", *SHORT,
                   backing_calls=3, uses={"5": 2, "4": 1})

    def test_byte_limits(self):
        # 3 messages of 1000 bytes fit into 3999 bytes.
        self.exact("--parallel", "10", "--bytes", "1000", "--max-bytes", "3999", *SHORT,
                   backing_calls=4, uses={"3": 3, "1": 1})
        self.exact("--sequential", "8", "--bytes", "1000", "--max-bytes", "4000", *SHORT, uses={"4": 2})
        # The tighter limit counts.
        self.exact("--sequential", "8", "--bytes", "1000", "--max-bytes", "9000", "--max-messages", "2", *SHORT,
                   uses={"2": 4})
        # Empty messages use up no bytes.
        self.exact("--parallel", "10", "--bytes", "0", "--max-bytes", "0", *SHORT, uses={"5": 2})
        # One byte too long: past the cache, each with a key of its own.
        self.exact("--parallel", "10", "--bytes", "1001", "--max-bytes", "1000", *LONG,
                   backing_calls=10, peak_in_flight=10, uses={"1": 10})

    def test_message_lengths(self):
        for length in ("0", "1", "4096", "100000"):
            with self.subTest(length):
                self.exact("--parallel", "6", "--bytes", length, *SHORT, backing_calls=2)
                self.exact("--parallel", "6", "--bytes", length, "--decrypt", *SHORT, backing_calls=1)

    def test_suites(self):
        for suite in ("0478", "0x0578", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384", "0178", "0214"):
            with self.subTest(suite):
                self.exact("--parallel", "10", "--suite", suite, *SHORT, backing_calls=2, uses={"5": 2})
        # Without a key derivation keys are not shared, in either direction.
        self.exact("--warm", "2", "--parallel", "10", "--suite", "0078", *LONG,
                   backing_calls=12, peak_in_flight=10, uses={"1": 10})
        self.exact("--parallel", "10", "--suite", "0078", "--decrypt", *SHORT, backing_calls=10)

    def test_no_round_trip(self):
        self.exact("--parallel", "12", "--rtt-ms", "0", backing_calls=3, peak_in_flight=1)

    def test_decrypt(self):
        for callers in ("poll", "threads"):
            with self.subTest(callers):
                self.assertEqual([s["backing_calls"] for s in self.storms("--decrypt", "--callers", callers, *SHORT)],
                                 [1, 1, 1])
                self.exact("--decrypt", "--parallel", "500", "--callers", callers, *SHORT,
                           encryptions=500, backing_calls=1, distinct_deks=1)
        self.exact("--decrypt", "--parallel", "10", "--contexts", "3", *SHORT, backing_calls=3)
        self.exact("--decrypt", "--parallel", "100", "--capacity", "0", *LONG, backing_calls=1)
        self.exact("--decrypt", "--parallel", "10", "--suite", "0578", *SHORT, backing_calls=1)


class Bounds(Storm):
    def test_calls_that_fail(self):
        for callers in ("poll", "threads"):
            with self.subTest(callers):
                # Each failing flight answers those seated in it, up to 5.
                s = self.storm("--parallel", "10", "--fail-first", "1", "--callers", callers, *VERY_LONG)
                self.assertFalse(s["exact"])
                self.assertEqual((s["encryptions"], s["errors"], s["backing_calls"], s["bound"]), (5, 5, 2, 3))
        # One by one each failure costs one caller, and is forgotten.
        s = self.storm("--sequential", "12", "--fail-first", "2", *SHORT)
        self.assertEqual((s["encryptions"], s["errors"], s["backing_calls"], s["bound"]), (10, 2, 4, 5))
        # Errors of the warm-up are not those of the scenario.
        s = self.storm("--warm", "1", "--parallel", "10", "--fail-first", "1", *SHORT)
        self.assertEqual((s["encryptions"], s["errors"], s["distinct_deks"]), (10, 0, 2))
        s = self.storm("--decrypt", "--sequential", "3", "--fail-first", "1", *SHORT)
        self.assertEqual((s["encryptions"], s["errors"], s["backing_calls"], s["bound"]), (2, 1, 2, 2))

    def test_callers_who_give_up(self):
        s = self.storm("--parallel", "100", "--cancel", "30", *LONG)
        self.assertFalse(s["exact"])
        self.assertEqual((s["encryptions"], s["cancelled"], s["errors"], s["bound"]), (70, 30, 0, 20))
        self.assertLessEqual(s["backing_calls"], 20)
        self.assertLessEqual(s["max_uses_per_dek"], 5)

    def test_everybody_gives_up(self):
        s = self.storm("--parallel", "20", "--cancel", "100", *LONG)
        self.assertEqual((s["encryptions"], s["cancelled"], s["backing_calls"]), (0, 20, 4))
        # One by one, each takes the seat that the one before gave up.
        s = self.storm("--sequential", "20", "--cancel", "100", *LONG)
        self.assertEqual((s["encryptions"], s["cancelled"], s["backing_calls"]), (0, 20, 1))

    def test_deadlines(self):
        s = self.storm("--parallel", "100", "--cancel", "30", "--callers", "threads", *VERY_LONG)
        self.assertEqual((s["encryptions"], s["cancelled"], s["errors"], s["bound"]), (70, 30, 0, 20))
        s = self.storm("--sequential", "4", "--cancel", "50", "--callers", "threads", "--rtt-ms", "100")
        self.assertEqual((s["cancelled"] + s["encryptions"], s["errors"], s["bound"]), (4, 0, 1))

    def test_givers_up_of_bypasses(self):
        s = self.storm("--parallel", "10", "--cancel", "50", "--max-bytes", "1", *LONG)
        self.assertEqual((s["encryptions"], s["cancelled"], s["backing_calls"], s["bound"]), (5, 5, 10, 10))

    def test_keys_lost_by_capacity(self):
        s = self.storm("--sequential", "6", "--capacity", "0", *SHORT)
        self.assertFalse(s["exact"])
        self.assertEqual((s["backing_calls"], s["expected_calls"], s["bound"]), (6, 2, 6))
        s = self.storm("--sequential", "6", "--capacity", "1", "--contexts", "2", *SHORT)
        self.assertEqual((s["exact"], s["backing_calls"], s["bound"]), (False, 6, 6))

    def test_keys_lost_by_age(self):
        # Every key is too old when the next caller comes: a round trip of the other context lies between.
        s = self.storm("--sequential", "6", "--contexts", "2", "--max-age-ms", "1", *SHORT)
        self.assertFalse(s["exact"])
        self.assertEqual((s["errors"], s["backing_calls"], s["expected_calls"], s["bound"]), (0, 6, 2, 6))

    def test_failures_and_givers_up_together(self):
        s = self.storm("--warm", "2", "--parallel", "100", "--cancel", "50", "--fail-first", "3", *LONG)
        self.assertEqual(s["encryptions"] + s["errors"] + s["cancelled"], 100)
        self.assertEqual(s["bound"], 24)


class Naive(Storm):
    def test_the_bug_as_reported(self):
        scenarios = self.storms("--no-coalescing", *LONG, status=1)
        self.assertEqual([s["distinct_deks"] for s in scenarios], [10, 2, 7])
        self.assertEqual([s["backing_calls"] for s in scenarios], [10, 2, 7])
        self.assertEqual([s["expected_deks"] for s in scenarios], [2, 2, 3])
        self.assertEqual([s["uses"] for s in scenarios], [{"1": 10}, {"5": 2}, {"4": 1, "1": 6}])
        self.assertEqual([s["ok"] for s in scenarios], [False, True, False])

    def test_decrypt(self):
        scenarios = self.storms("--no-coalescing", "--decrypt", *LONG, status=1)
        self.assertEqual([s["backing_calls"] for s in scenarios], [10, 1, 1])

    def test_threads(self):
        s = self.storm("--no-coalescing", "--callers", "threads", "--parallel", "10", *VERY_LONG, status=1)
        self.assertEqual((s["distinct_deks"], s["peak_in_flight"]), (10, 10))

    def test_bounds(self):
        s = self.storm("--no-coalescing", "--parallel", "10", "--cancel", "10", *LONG, status=1)
        self.assertEqual((s["exact"], s["backing_calls"], s["bound"]), (False, 10, 2))


def read_terminal(reader):
    """All that was written to a terminal that the program has closed; one read may give less."""
    shown = b""
    try:
        while data := os.read(reader, 4096):
            shown += data
    except OSError as error:
        if error.errno != errno.EIO:  # which is how a terminal ends
            raise
    return shown


class Human(unittest.TestCase):
    def test_the_report(self):
        ran = keyflight(*SHORT)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        for words in ("2 DEKs used 5x", "1 DEK used 5x, 1 used 4x, 1 used 1x", "All 3"):
            self.assertIn(words, ran.stdout)
        self.assertEqual(ran.stdout.count(" OK:"), 3)
        self.assertNotIn("\033", ran.stdout)
        self.assertTrue(ran.stdout.isascii())
        self.assertLessEqual(max(map(len, ran.stdout.splitlines())), 100)

    def test_a_failure(self):
        ran = keyflight("--no-coalescing", *LONG)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("FAILED: 10 data keys, where 2 are promised", ran.stdout)
        self.assertIn("2 of 3 failed", ran.stdout)

    def test_errors_and_bounds(self):
        ran = keyflight("--parallel", "10", "--fail-first", "1", *SHORT)
        self.assertEqual(ran.returncode, 0)
        self.assertIn("--fail-first", ran.stdout)
        self.assertIn("at most 3", ran.stdout)

    def test_colour_is_for_terminals(self):
        for environment, coloured in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                                      ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({}, False)):
            with self.subTest(environment):
                reader, writer = pty.openpty()
                subprocess.run([KEYFLIGHT, "storm", "--parallel", "1", *SHORT], stdin=subprocess.DEVNULL,
                               stdout=writer, timeout=100, check=True, env=environment)
                os.close(writer)
                shown = read_terminal(reader)
                os.close(reader)
                self.assertIn(b"OK", shown)
                self.assertEqual(b"\033[" in shown, coloured)

    def test_help(self):
        ran = keyflight("--help")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn("--no-coalescing", ran.stdout)


class Usage(unittest.TestCase):
    def refused(self, *arguments, words):
        ran = keyflight(*arguments)
        self.assertEqual((ran.returncode, ran.stdout), (2, ""), arguments)
        self.assertIn(words, ran.stderr)

    def test_numbers(self):
        for option, low, high in (
                ("--parallel", 1, 1000000), ("--sequential", 1, 1000000), ("--warm", 1, 1000000),
                ("--max-messages", 1, 2**32), ("--max-bytes", 0, 2**63 - 1), ("--bytes", 0, 2**30),
                ("--max-age-ms", 1, 10**12), ("--capacity", 0, 1000000), ("--contexts", 1, 100000),
                ("--rtt-ms", 0, 60000), ("--fail-first", 0, 1000000), ("--cancel", 0, 100)):
            for value in (str(low - 1), str(high + 1), "", "x", "1x", " 1", "1.5", "9" * 30):
                with self.subTest(option=option, value=value):
                    self.refused(option, value, words=f"{option} takes a whole number from {low} to {high}")

    def test_words(self):
        self.refused("--callers", "pool", words="poll or threads")
        for suite in ("0479", "", "478", "AES"):
            self.refused("--suite", suite, words="suite")
        self.refused("--frobnicate", words="--frobnicate")
        self.refused("10", words="10")
        self.refused("--parallel", words="--parallel")

    def test_combinations(self):
        self.refused("--callers", "threads", "--parallel", "1001", words="1000")
        self.refused("--callers", "threads", "--cancel", "1", "--rtt-ms", "1", words="--rtt-ms")

    def test_the_bounds_are_accepted(self):
        ran = keyflight("--json", "--parallel", "1", "--max-messages", str(2**32), "--max-bytes", str(2**63 - 1),
                        "--max-age-ms", str(10**12), "--capacity", "1000000", "--contexts", "100000", "--rtt-ms", "0")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_output_that_fails(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ran = subprocess.run([KEYFLIGHT, "storm", *SHORT], stdout=full, stderr=subprocess.PIPE, text=True,
                                 timeout=100, check=False)
        self.assertEqual(ran.returncode, 7)
        self.assertIn("standard output", ran.stderr)


if __name__ == "__main__":
    unittest.main()
