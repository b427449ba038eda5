"""What the public headers declare, read as a generator of bindings reads them: the preprocessor's output with KF_PLAIN
defined (see types.h) is plain C declarations. Used by check-headers, check-exports and tests/bindings."""
import os
import pathlib
import re
import subprocess

INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "include"
ALL = sorted(f"keyflight/{path.name}" for path in INCLUDE.glob("keyflight/*.h"))
CORE = [name for name in ALL if not name.startswith("keyflight/aws")]


def includes(headers):
    return "".join(f"#include <{header}>\n" for header in headers)


def plain(headers, include=INCLUDE):
    """The declarations of these headers, and of what they include, as one text."""
    command = [os.environ.get("CC", "cc"), "-E", "-P", "-DKF_PLAIN", "-I", str(include), "-"]
    return subprocess.run(command, input=includes(headers), check=True, capture_output=True, text=True).stdout


def split(text, separator):
    """Splits at a separator that stands in no parentheses or braces."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "({") - (character in ")}")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [" ".join(part.split()) for part in parts if part.strip()]


class Face:
    """Declarations by kind. What is none of these kinds is a ValueError: the headers are not plain."""

    def __init__(self, headers, include=INCLUDE):
        self.structs = {}  # name: [member's declaration]; None if opaque
        self.enums = {}  # name (None: constants only): [enumerator]
        self.constants = {}  # name: (type, literal)
        self.functions = {}  # name: prototype
        for statement in split(plain(headers, include), ";"):
            self.add(statement)

    def add(self, text):
        if match := re.fullmatch(r"enum (\w+ )?\{(.*)\}", text):
            name = match[1].strip() if match[1] else None
            self.enums.setdefault(name, []).extend(one.split()[0] for one in split(match[2], ","))
        elif match := re.fullmatch(r"struct (\w+) \{([^{}]*)\}", text):
            self.structs[match[1]] = split(match[2], ";")
        elif match := re.fullmatch(r"struct (\w+)", text):
            self.structs.setdefault(match[1], None)
        elif match := re.fullmatch(r"static const (\w+) (KF_\w+) = (\w+)", text):
            self.constants[match[2]] = match[1], match[3]
        elif match := re.fullmatch(r"[a-z][\w *]*[ *](kf_\w+)\((.*)\)", text):
            self.functions[match[1]] = text
        else:
            raise ValueError(f"not a plain declaration: {text}")
