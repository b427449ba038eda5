"""Runs from_python and seen_by_clang; the last line is their counts. Called by ./run."""
import sys
import unittest

suite = unittest.defaultTestLoader.loadTestsFromNames(["from_python", "seen_by_clang"])
result = unittest.TextTestRunner(verbosity=2).run(suite)
failed = len(result.failures) + len(result.errors)
sys.stderr.flush()
print(f"{result.testsRun - failed} passed, {failed} failed")
sys.exit(failed > 0 or result.testsRun == 0)
