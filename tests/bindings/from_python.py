"""Keyflight from Python by cffi in ABI mode: keyrings, the caching CMM, errors, statistics, and Python functions as
wakers, listeners and keyrings, called from threads that Python did not start."""
import os
import subprocess
import tempfile
import threading
import unittest

from keyflight import Keyflight

KEY_NAMESPACE, KEY_NAME, WRAPPING_KEY = b"bindings", b"key 1", bytes(range(32))
OTHER_KEY = bytes(32)
PLAINTEXT = b"Ten thousand callers, ten keys." * 100

kf = Keyflight(os.environ["KEYFLIGHT_PREFIX"])
ffi, lib = kf.ffi, kf.lib


class Case(unittest.TestCase):
    """Makes what a test needs, and releases it in the end."""

    def setUp(self):
        self.error = kf.new("kf_error")

    def made(self, release, make, *arguments):
        """What a function that makes something answers through its last argument."""
        out = ffi.new(ffi.typeof(make).args[-1].item.cname + "[1]")
        self.check(make(*arguments, self.error, out))
        self.addCleanup(getattr(lib, release), out[0])
        return out[0]

    def check(self, code, expected=lib.KF_OK):
        self.assertEqual(kf.text(lib.kf_code_name(code)), kf.text(lib.kf_code_name(expected)), kf.text(self.error.text))

    def raw_aes(self, wrapping_key=WRAPPING_KEY):
        options = kf.new("kf_raw_aes_keyring_options", key_namespace=kf.view(KEY_NAMESPACE),
                         key_name=kf.view(KEY_NAME), wrapping_key=kf.view(wrapping_key))
        return self.made("kf_keyring_unref", lib.kf_raw_aes_keyring_new, options)

    def default_cmm(self, keyring):
        return self.made("kf_cmm_unref", lib.kf_default_cmm_new, keyring)

    def caching_cmm(self, keyring, cache, **options):
        options = kf.new("kf_caching_cmm_options", keyring=keyring, cache=cache, max_age_ms=60000, **options)
        return self.made("kf_cmm_unref", lib.kf_caching_cmm_new, options)

    def cache(self):
        return self.made("kf_cache_unref", lib.kf_cache_new, 10)

    def context(self, **pairs):
        """An encryption context of texts."""
        texts = [(key.encode(), value.encode()) for key, value in pairs.items()]
        c_pairs = ffi.new("struct kf_pair[]", [{"key": kf.view(key), "value": kf.view(value)} for key, value in texts])
        return self.made("kf_encryption_context_unref", lib.kf_encryption_context_new, c_pairs, len(texts))

    def result(self, call, *arguments, expected=lib.KF_OK):
        """The bytes that a one-shot call answers."""
        out = kf.new("kf_buf")
        self.check(call(*arguments, out), expected)
        data = kf.bytes(out)
        lib.kf_buf_free(out)
        return data

    def encrypt(self, cmm, plaintext=PLAINTEXT, **options):
        options = kf.new("kf_encrypt_options", **options)
        return self.result(lib.kf_encrypt, cmm, options, kf.view(plaintext), self.error)

    def decrypt(self, cmm, message, expected=lib.KF_OK):
        return self.result(lib.kf_decrypt, cmm, ffi.NULL, kf.view(message), self.error, ffi.NULL, expected=expected)


class Declarations(unittest.TestCase):
    def test_every_function_is_in_the_library(self):
        names = [name for name in dir(lib) if name.startswith("kf_")]
        self.assertGreater(len(names), 100)
        for name in names:
            self.assertEqual(ffi.typeof(getattr(lib, name)).kind, "function", name)

    def test_structs_are_laid_out_as_by_a_compiler(self):
        structs = [name for name in ffi.list_types()[1] if ffi.typeof(f"struct {name}").fields is not None]
        self.assertGreater(len(structs), 20)
        lines = []
        for name in structs:
            lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
            lines += [f'printf("{name}.{field} %zu\\n", offsetof(struct {name}, {field}));'
                      for field, _ in ffi.typeof(f"struct {name}").fields]
        program = "#include <keyflight/keyflight.h>\n#include <stdio.h>\nint main(void) {%s return 0; }" % "\n".join(lines)
        with tempfile.TemporaryDirectory() as folder:
            include = os.path.join(os.environ["KEYFLIGHT_PREFIX"], "include")
            subprocess.run(["cc", "-x", "c", "-I", include, "-o", f"{folder}/sizes", "-"], input=program, text=True, check=True)
            compiled = subprocess.run([f"{folder}/sizes"], capture_output=True, text=True, check=True).stdout
        said = []
        for name in structs:
            said.append(f"{name} {ffi.sizeof(f'struct {name}')}\n")
            said += [f"{name}.{field} {where.offset}\n" for field, where in ffi.typeof(f"struct {name}").fields]
        self.assertEqual(compiled, "".join(said))

    def test_constants(self):
        self.assertEqual(lib.KF_NO_DEADLINE, 2**64 - 1)
        self.assertEqual(lib.KF_LENGTH_UNKNOWN, 2**64 - 1)
        self.assertEqual(lib.KF_MAX_MESSAGES_LIMIT, 2**32)
        self.assertEqual(lib.KF_MAX_BYTES_LIMIT, 2**63 - 1)
        self.assertEqual(lib.KF_FINGERPRINT_SIZE, 17)
        self.assertEqual(lib.KF_E_FORGED, -302)
        self.assertEqual(lib.KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, 0x0578)

    def test_initialisers(self):
        options = kf.new("kf_caching_cmm_options")
        self.assertEqual(options.size, ffi.sizeof("struct kf_caching_cmm_options"))
        self.assertEqual(options.max_messages, lib.KF_MAX_MESSAGES_LIMIT)
        self.assertEqual(kf.new("kf_encrypt_options").plaintext_bound, lib.KF_LENGTH_UNKNOWN)
        self.assertEqual(kf.new("kf_decrypt_options").max_header_length, 2**32 - 1)
        self.assertEqual(kf.new("kf_buf").data, ffi.NULL)

    def test_texts(self):
        self.assertRegex(kf.text(lib.kf_version()), r"^\d+\.\d+\.\d+$")
        self.assertEqual(kf.text(lib.kf_class_name(lib.kf_code_class(lib.KF_E_FORGED))), "message")
        self.assertEqual(kf.text(lib.kf_suite_info_of(0x0478).name), "AES_256_GCM_HKDF_SHA512_COMMIT_KEY")


class Messages(Case):
    def test_a_round_trip_through_a_cache(self):
        cache = self.cache()
        cmm = self.caching_cmm(self.raw_aes(), cache, max_messages=2)
        context = self.context(purpose="tests")
        messages = [self.encrypt(cmm, encryption_context=context) for _ in range(3)]
        for message in messages:
            self.assertEqual(self.decrypt(cmm, message), PLAINTEXT)

        stats = kf.new("kf_cache_stats")
        lib.kf_cache_stats_read(cache, stats)
        self.assertEqual((stats.flights_opened, stats.hits), (2 + 2, 1 + 1))

    def test_what_a_message_says_of_itself(self):
        message = self.encrypt(self.default_cmm(self.raw_aes()), encryption_context=self.context(purpose="tests"))
        header = self.made("kf_header_unref", lib.kf_header_parse, kf.view(message), 0)
        self.assertEqual(kf.text(lib.kf_header_suite(header).name), "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384")
        value = ffi.new("struct kf_view *")
        self.assertTrue(lib.kf_encryption_context_get(lib.kf_header_encryption_context(header), kf.view(b"purpose"), value))
        self.assertEqual(kf.bytes(value), b"tests")
        self.assertEqual(lib.kf_header_edk_count(header), 1)
        self.assertEqual(kf.bytes(lib.kf_header_edk(header, 0).provider_id), KEY_NAMESPACE)

    def test_errors_have_a_code_and_a_sentence(self):
        message = self.encrypt(self.default_cmm(self.raw_aes()))
        self.assertEqual(self.decrypt(self.default_cmm(self.raw_aes(OTHER_KEY)), message, lib.KF_E_KEYS), b"")
        self.assertEqual(self.error.code, lib.KF_E_KEYS)
        self.assertRegex(kf.text(self.error.text), r"^[A-Z].*\.$")
        self.decrypt(self.default_cmm(self.raw_aes()), message[:-1], lib.KF_E_TRUNCATED)
        self.decrypt(self.default_cmm(self.raw_aes()), b"no message", lib.KF_E_MALFORMED)

    def test_a_struct_without_a_size_is_refused(self):
        out = ffi.new("struct kf_keyring *[1]")
        options = ffi.new("struct kf_raw_aes_keyring_options *")
        self.check(lib.kf_raw_aes_keyring_new(options, self.error, out), lib.KF_E_USAGE)
        self.assertEqual(out[0], ffi.NULL)


class Callbacks(Case):
    def test_a_listener(self):
        told = []

        @ffi.callback("void(void *, const struct kf_cache_event *)")
        def on_event(_, event):
            fingerprint = kf.text(event.fingerprint) if event.kind == lib.KF_CACHE_LANDED else None
            told.append((kf.text(lib.kf_cache_event_kind_name(event.kind)), event.flight, fingerprint))

        listener = self.made("kf_cache_listener_unref", lib.kf_cache_listener_new, on_event, ffi.NULL, ffi.NULL)
        self.encrypt(self.caching_cmm(self.raw_aes(), self.cache(), max_messages=1, listener=listener))
        self.assertEqual([kind for kind, _, _ in told], ["miss", "landed", "ended"])
        self.assertEqual({flight for _, flight, _ in told}, {0})
        self.assertRegex(told[1][2], "^[0-9a-f]{16}$")

    def test_a_keyring_and_a_waker(self):
        """The keyring answers only when another thread woke it; the encryptor's waker is a function of Python."""
        slow = SlowKeyring(self.raw_aes())
        keyring = self.made("kf_keyring_unref", lib.kf_keyring_new, slow.vtable, ffi.NULL)
        cmm = self.caching_cmm(keyring, self.cache())
        woken = threading.Event()
        wake = ffi.callback("void(void *)", lambda _: woken.set())
        waker = ffi.new("struct kf_waker *", {"wake": wake})
        options = kf.new("kf_encrypt_options", plaintext_bound=len(PLAINTEXT))
        encryptor = self.made("kf_encryptor_free", lib.kf_encryptor_new, cmm, options)
        out = ffi.new("uint8_t[]", 2 * len(PLAINTEXT))
        io = ffi.new("struct kf_io *", {"in": ffi.from_buffer(PLAINTEXT), "in_length": len(PLAINTEXT), "in_end": True,
                                        "out": out, "out_room": len(out)})
        self.check(lib.kf_encryptor_poll(encryptor, io, waker), lib.KF_PENDING)
        self.assertEqual((slow.polls, io.in_used, io.out_used), (1, 0, 0))
        self.assertEqual(lib.kf_encryptor_deadline(encryptor), lib.KF_NO_DEADLINE)
        slow.thread.start()
        self.addCleanup(slow.thread.join)
        while (code := lib.kf_encryptor_poll(encryptor, io, waker)) == lib.KF_PENDING:
            self.assertTrue(woken.wait(60))
            woken.clear()
        self.check(code)
        self.assertEqual(slow.polls, 2)
        message = bytes(ffi.buffer(out, io.out_used))
        self.assertEqual(self.decrypt(self.default_cmm(self.raw_aes()), message), PLAINTEXT)


class SlowKeyring:
    """A keyring in Python: leaves the wrapping to another one, after it was woken by its thread."""

    def __init__(self, inner):
        self.inner, self.waker, self.polls = inner, None, 0
        on_encrypt = ffi.callback("enum kf_code(void *, struct kf_call *, const struct kf_encryption_materials *, "
                                  "struct kf_error *, struct kf_wrapped *)", self.on_encrypt)
        on_decrypt = ffi.callback("enum kf_code(void *, struct kf_call *, const struct kf_decryption_materials *, "
                                  "const struct kf_edk *, size_t, struct kf_error *, struct kf_data_key *)", self.on_decrypt)
        self.callbacks = on_encrypt, on_decrypt
        self.vtable = ffi.new("struct kf_keyring_vtable *", {"size": ffi.sizeof("struct kf_keyring_vtable"),
                                                             "on_encrypt": on_encrypt, "on_decrypt": on_decrypt})
        self.thread = threading.Thread(target=self.wake)

    def on_encrypt(self, _, call, materials, error, out):
        self.polls += 1
        if self.waker is None:
            self.waker = lib.kf_call_waker_of(call)
            return lib.KF_PENDING
        return lib.kf_keyring_on_encrypt(self.inner, lib.kf_call_child(call, 0), materials, error, out)

    def on_decrypt(self, _, call, materials, edks, count, error, out):
        return lib.kf_keyring_on_decrypt(self.inner, lib.kf_call_child(call, 0), materials, edks, count, error, out)

    def wake(self):
        lib.kf_call_waker_wake(self.waker)
        lib.kf_call_waker_unref(self.waker)
