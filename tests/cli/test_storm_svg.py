"""
keyflight storm --svg: the picture is well-formed, shows what the report counts, and its file is handled as any output.

How it looks is for people to judge; here its elements are counted.
"""
import json
import re
import xml.etree.ElementTree as xml

from program import USAGE, Case

SVG = "{http://www.w3.org/2000/svg}"
SHORT = ("--rtt-ms", "5")
LONG = ("--rtt-ms", "300")  # for a hundred callers, which ask within a millisecond
VERY_LONG = ("--rtt-ms", "1500")  # for a thousand, under a sanitizer too


def of_class(element, name):
    return [e for e in element.iter() if name in e.get("class", "").split()]


def texts(element):
    return ["".join(e.itertext()) for e in element.iter(SVG + "text")]


class Picture(Case):
    def draw(self, *arguments, status=0):
        """Runs the storm; the reports, and the parts of the picture that belong to them. Checks what holds for all."""
        done = self.run_program("storm", "--json", "--svg", "picture.svg", "-f", *arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        self.svg = self.get("picture.svg")
        self.assertTrue(self.svg.isascii())
        root = xml.fromstring(self.svg)
        self.assertEqual((root.tag, root.get("role")), (SVG + "svg", "img"))
        self.assertTrue(root.find(SVG + "title").text)
        described = root.find(SVG + "desc").text
        for report in reports:
            self.assertIn(f"{report['scenario']}: {report['callers']} callers, {report['backing_calls']} calls", described)
        parts = [g for g in root.iter(SVG + "g") if g.get("class") in ("ok", "failed")]
        self.assertEqual([g.get("class") == "ok" for g in parts], [report["ok"] for report in reports])
        self.check_inside(root)
        return reports, parts

    def check_inside(self, root):
        """Nothing is drawn beyond the edges."""
        _, _, width, height = map(float, root.get("viewBox").split())
        for rect in of_class(root, "call"):
            if rect.get("x") is not None:  # not that of the legend
                self.assertGreaterEqual(float(rect.get("x")), 0)
                self.assertLessEqual(float(rect.get("x")) + float(rect.get("width")), width)
                self.assertLessEqual(float(rect.get("y")) + float(rect.get("height")), height)
        for circle in root.iter(SVG + "circle"):
            self.assertLessEqual(float(circle.get("cx")), width)
            self.assertLessEqual(float(circle.get("cy")), height)

    def check_counts(self, report, part):
        """The words say what the report says."""
        words = " | ".join(texts(part))
        plural = "" if report["backing_calls"] == 1 else "s"
        self.assertIn(f"{report['backing_calls']} call{plural} for {report['callers']} caller", words)
        self.assertIn(report["scenario"], words)
        expected = f"expected {report['expected_calls']}" if report["exact"] else f"at most {report['bound']}"
        self.assertIn(f"call{plural} to the key service ({expected}), {report['peak_in_flight']} at once", words)
        self.assertIn("As promised" if report["ok"] else "promised", words)

    def check_all_drawn(self, *arguments, status=0):
        """Each call is a row and each caller a line; the rows say how many messages were made with each key."""
        reports, parts = self.draw(*arguments, status=status)
        for report, part in zip(reports, parts):
            self.check_counts(report, part)
            rows = of_class(part, "row")
            calls = [row for row in rows if of_class(row, "call")]
            self.assertEqual(len(calls), report["backing_calls"])
            self.assertEqual(len(of_class(part, "caller")), report["callers"])
            for row in calls:
                said = row.find(SVG + "title").text
                if not of_class(row, "lost"):
                    self.assertEqual(int(said.split()[0]), len(of_class(row, "caller")))
            self.assertNotIn("Drawn", " ".join(texts(part)))
        return reports, parts


class Elements(Picture):
    def test_the_report(self):
        _, parts = self.check_all_drawn(*SHORT)
        titles = [[row.find(SVG + "title").text for row in of_class(part, "row")] for part in parts]
        self.assertEqual(titles, [["5 messages"] * 2, ["5 messages"] * 2, ["5 messages", "5 messages", "1 message"]])

    def test_without_coalescing(self):
        reports, parts = self.check_all_drawn("--no-coalescing", *LONG, status=1)
        self.assertEqual([len(of_class(part, "row")) for part in parts], [10, 2, 7])
        self.assertEqual([report["backing_calls"] for report in reports], [10, 2, 7])
        self.assertIn("10 data keys, where 2 are promised", texts(parts[0]))

    def test_threads(self):
        self.check_all_drawn("--callers", "threads", "--parallel", "40", *SHORT)
        self.check_all_drawn("--callers", "threads", "--parallel", "40", "--no-coalescing", *LONG, status=1)

    def test_readers(self):
        _, parts = self.check_all_drawn("--decrypt", "--parallel", "60", *LONG)
        self.assertEqual([row.find(SVG + "title").text for row in of_class(parts[0], "row")], ["60 readers"])
        for callers, trip in (("poll", LONG), ("threads", VERY_LONG)):
            _, parts = self.check_all_drawn("--decrypt", "--no-coalescing", "--parallel", "10", "--callers", callers,
                                            *trip, status=1)
            self.assertEqual([row.find(SVG + "title").text for row in of_class(parts[0], "row")], ["1 reader"] * 10)

    def test_past_the_cache(self):
        self.check_all_drawn("--suite", "0078", "--parallel", "12", *SHORT)

    def test_no_round_trip(self):
        _, parts = self.check_all_drawn("--rtt-ms", "0", "--parallel", "10")
        self.assertRegex(" ".join(texts(parts[0])), "microseconds|milliseconds")
        self.assertNotIn("round trip", " ".join(texts(parts[0])))

    def test_those_without_a_key(self):
        (report,), (part,) = self.check_all_drawn("--sequential", "3", "--parallel", "20", "--cancel", "20",
                                                  "--fail-first", "2", *LONG)
        without = of_class(part, "row")[-1]
        self.assertFalse(of_class(without, "call"))
        self.assertEqual(without.find(SVG + "title").text, f"{report['errors'] + report['cancelled']} without a key")
        self.assertEqual(len(of_class(part, "error")), report["errors"])
        self.assertEqual(len(of_class(part, "left")), report["errors"] + report["cancelled"])
        self.assertEqual(len(of_class(part, "held")), report["encryptions"])
        self.assertIn(f"{report['cancelled']} callers gave up, {report['errors']} got an error", texts(part))
        failed = [row for row in of_class(part, "row") if row.find(SVG + "title").text == "failed"]
        self.assertEqual(len(failed), 2)


class Thousands(Picture):
    """What stands for the whole if that is too much, and the rule that the picture states."""

    def drawn(self, *arguments, status=0):
        (report,), (part,) = self.draw("--parallel", *arguments, status=status)
        self.check_counts(report, part)
        (rule,) = [text for text in texts(part) if text.startswith("Drawn")]
        return len(of_class(part, "row")), len(of_class(part, "caller")), rule

    def test_calls_are_left_out(self):
        self.assertEqual(self.drawn("200", *SHORT), (20, 100, "Drawn: every 2nd call and all who share it"))
        self.assertEqual(self.drawn("1000", *SHORT), (20, 100, "Drawn: every 10th call and all who share it"))
        # The same share of them without coalescing, so that the two can be compared.
        self.assertEqual(self.drawn("1000", "--no-coalescing", *VERY_LONG, status=1),
                         (100, 100, "Drawn: every 10th call and all who share it"))

    def test_callers_of_one_call_share_lines(self):
        self.assertEqual(self.drawn("1000", "--max-messages", "1000", *SHORT),
                         (1, 100, "Drawn: all calls; a line is up to 10 callers of one call"))
        self.assertEqual(self.drawn("1000", "--max-messages", "100", *SHORT),
                         (10, 100, "Drawn: all calls; a line is up to 10 callers of one call"))

    def test_both(self):
        self.assertEqual(self.drawn("4000", "--max-messages", "20", *SHORT),
                         (10, 100, "Drawn: every 20th call and all who share it; a line is up to 2 callers of one call"))

    def test_the_file_stays_small(self):
        self.drawn("20000", "--max-messages", "3", *SHORT)
        self.assertLess(len(self.svg), 50000)


class File(Picture):
    def test_what_is_there_stays(self):
        self.put("picture.svg", b"before")
        stderr = self.fails(USAGE, "storm", "--svg", "picture.svg", *SHORT)
        self.assertIn("picture.svg: It exists already", stderr)
        self.assertEqual(self.get("picture.svg"), b"before")

    def test_force(self):
        self.put("picture.svg", b"before", 0o600)
        self.ok("storm", "--svg", "picture.svg", "-f", "--parallel", "1", *SHORT)
        self.assertTrue(self.get("picture.svg").startswith(b"<svg"))
        self.assertEqual(self.mode("picture.svg"), 0o600)

    def test_a_new_file(self):
        self.ok("storm", "--svg", "picture.svg", "--parallel", "1", *SHORT)
        self.assertEqual(self.mode("picture.svg"), 0o644)
        self.assertEqual(self.names(), ["key.txt", "picture.svg"])

    def test_the_report_is_the_same(self):
        times = re.compile(rb"(all answered +)[^\n]*")
        plain = self.ok("storm", "--parallel", "10", *LONG)
        drawn = self.ok("storm", "--parallel", "10", "--svg", "picture.svg", *LONG)
        self.assertEqual(times.sub(rb"\1", plain), times.sub(rb"\1", drawn))

    def test_no_file(self):
        self.assertIn("needs a file", self.fails(USAGE, "storm", "--svg", "-", *SHORT))
        self.assertIn("nowhere", self.fails(USAGE, "storm", "--svg", "nowhere/picture.svg", *SHORT))
        self.fails(USAGE, "storm", "--svg", ".", *SHORT)

    def test_a_storm_that_cannot_begin_leaves_nothing(self):
        self.fails(USAGE, "storm", "--svg", "picture.svg", "-k", "missing", *SHORT)

    def test_keys_of_ones_own_are_not_named(self):
        self.ok("keygen", "--name", "secret-name", "-o", "own.txt")
        self.draw("-k", self.path("own.txt"), "--parallel", "3", *SHORT)
        self.assertNotIn(b"secret-name", self.svg)
