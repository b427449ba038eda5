"""A binding of Keyflight in a few lines, by cffi: the installed headers as they are, and the shared library. See
docs/bindings.md."""
import pathlib
import subprocess

import cffi


class Keyflight:
    """`ffi` makes C values and callbacks, `lib` has the functions and constants."""

    def __init__(self, prefix):
        include = pathlib.Path(prefix, "include")
        command = ["cc", "-E", "-P", "-DKF_PLAIN", "-I", str(include), str(include / "keyflight/keyflight.h")]
        self.declarations = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.ffi = cffi.FFI()
        self.ffi.cdef(self.declarations)
        self.lib = self.ffi.dlopen(str(next(pathlib.Path(prefix).rglob("libkeyflight.so"))))

    def new(self, name, **members):
        """A struct as its initialiser says, but for these members."""
        made = self.ffi.new(f"struct {name} *")
        size = [self.ffi.sizeof(made[0])] if hasattr(made, "size") else []
        getattr(self.lib, f"{name}_init")(made, *size)
        for member, value in members.items():
            setattr(made, member, value)
        return made

    def view(self, data):
        """A view of bytes, which the caller keeps."""
        return self.lib.kf_view_of(self.ffi.from_buffer(data), len(data))

    def bytes(self, view):
        """What a struct kf_view or kf_buf holds."""
        return bytes(self.ffi.buffer(view.data, view.length)) if view.length > 0 else b""

    def text(self, chars):
        return self.ffi.string(chars).decode()
