"""
How the tests in this folder run the program. Its path is in the environment variable KEYFLIGHT.

A test that has to catch the program at work lets it read from a FIFO. The program opens its output before its input, so
the temporary file exists once the FIFO has a reader.
"""
import os
import stat
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["KEYFLIGHT"]
MIB = 1024 * 1024
USAGE, MESSAGE, KEYS, REMOTE, LIMIT, SYSTEM, RETRY = 2, 3, 4, 5, 6, 7, 75  # exit statuses

# Settings of AWS on this machine don't reach the tests. Nobody listens at the endpoint, so a test that forgets to give
# one fails and reaches nothing.
for name in list(os.environ):
    if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "KMS_KEY_ARN":
        del os.environ[name]
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1",
                  AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")


class Case(unittest.TestCase):
    """A scratch directory with a key in it, and how the program is run there."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name
        self.addCleanup(os.umask, os.umask(0o022))
        self.key = self.path("key.txt")
        self.ok("keygen", "--name", "first", "-o", self.key)

    def path(self, name):
        return os.path.join(self.directory, name)

    def put(self, name, content, mode=0o644):
        with open(self.path(name), "wb") as file:
            file.write(content)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def get(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def mode(self, name):
        return stat.S_IMODE(os.stat(self.path(name)).st_mode)

    def names(self):
        return sorted(os.listdir(self.directory))

    def start(self, *arguments, **options):
        return subprocess.Popen([PROGRAM, *arguments], cwd=self.directory, **options)

    def run_program(self, *arguments, stdin=b"", **options):
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.run([PROGRAM, *arguments], cwd=self.directory, input=stdin, stderr=subprocess.PIPE,
                              timeout=100, **options)

    def ok(self, *arguments, **options):
        """Runs it, expects success, answers the standard output."""
        done = self.run_program(*arguments, **options)
        self.assertEqual(done.returncode, 0, (arguments, done.stderr))
        return done.stdout

    def check_failure(self, done, status):
        """Expects this exit status and a sentence on the standard error; answers the standard error."""
        self.assertEqual(done.returncode, status, (done.args, done.stderr))
        lines = done.stderr.decode().splitlines()
        self.assertTrue(lines, done.args)
        for line in lines:
            self.assertRegex(line, r"^keyflight: .*\S.*\.\)?$")
        return done.stderr.decode()

    def fails(self, status, *arguments, **options):
        """The same for a run that may neither print anything nor leave a new file."""
        before = self.names()
        done = self.run_program(*arguments, **options)
        stderr = self.check_failure(done, status)
        self.assertFalse(done.stdout)
        self.assertEqual(self.names(), before)
        return stderr

    def encrypt(self, plaintext, *options):
        return self.ok("encrypt", "-k", self.key, *options, stdin=plaintext)

    def decrypt(self, message, *options):
        return self.ok("decrypt", "-k", self.key, *options, stdin=message)

    def fifo(self, name):
        os.mkfifo(self.path(name))
        return self.path(name)

    def temporary(self):
        """The one temporary file."""
        (name,) = [name for name in self.names() if name.startswith(".")]
        return name
