"""What a generator of bindings that asks clang (bindgen, for one) sees in the public headers as they are: all that they
declare, in a shape that every language has, and a value for each constant."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import face  # noqa: E402

INCLUDE = pathlib.Path(os.environ["KEYFLIGHT_PREFIX"], "include")


def declarations(include):
    """The declarations of our headers in clang's syntax tree. Of a file or line, clang says only what has changed."""
    command = ["clang", "-std=c11", "-x", "c", "-I", str(include), "-fsyntax-only", "-Xclang", "-ast-dump=json", "-"]
    done = subprocess.run(command, input=face.includes(face.ALL), check=True, capture_output=True, text=True)
    file = None
    for declaration in json.loads(done.stdout)["inner"]:
        for place in (declaration["loc"], declaration["loc"].get("expansionLoc", {}), declaration["loc"].get("spellingLoc", {})):
            file = place.get("file", file)
        if file is not None and pathlib.Path(file).parent.name == "keyflight":
            yield declaration


def inner(declaration, kind):
    return [child for child in declaration.get("inner", []) if child["kind"] == kind]


def evaluated(constant):
    """The value of the first literal or constant expression under a declaration; None if there is none."""
    for child in constant.get("inner", []):
        value = child.get("value", evaluated(child))
        if value is not None:
            return int(value)
    return None


class Seen(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.all = list(declarations(INCLUDE))
        cls.face = face.Face(face.ALL, INCLUDE)

    def of(self, kind):
        return [declaration for declaration in self.all if declaration["kind"] == kind]

    def names(self, kind):
        return {declaration["name"] for declaration in self.of(kind) if "name" in declaration}

    def test_nothing_else_is_declared(self):
        kinds = {"FunctionDecl", "RecordDecl", "EnumDecl", "VarDecl"}
        self.assertEqual({declaration["kind"] for declaration in self.all}, kinds)

    def test_functions(self):
        self.assertEqual(self.names("FunctionDecl"), set(self.face.functions))
        for function in self.of("FunctionDecl"):
            self.assertNotIn("inline", function, function["name"])
            self.assertNotEqual(function.get("storageClass"), "static", function["name"])

    def test_structs(self):
        mine = {name for name in self.names("RecordDecl") if name.startswith("kf_")}
        self.assertEqual(mine, {name for name in self.face.structs if name.startswith("kf_")})
        for struct in self.of("RecordDecl"):
            self.assertIn("name", struct)
            self.assertEqual(struct["tagUsed"], "struct")
            self.assertEqual(inner(struct, "RecordDecl"), [], struct["name"])
            fields = inner(struct, "FieldDecl")
            self.assertEqual(len(fields), len(self.face.structs[struct["name"]] or []) if struct.get("completeDefinition") else 0)
            for field in fields:
                self.assertIn("name", field, struct["name"])
                self.assertNotIn("isBitfield", field, field["name"])

    def test_enumerators(self):
        enums = {}
        for enum in self.of("EnumDecl"):
            found = enums.setdefault(enum.get("name"), [])
            for constant in inner(enum, "EnumConstantDecl"):
                found.append(constant["name"])
                self.assertIsNotNone(evaluated(constant), constant["name"])
        self.assertEqual(enums, self.face.enums)

    def test_constants(self):
        values = {constant["name"]: evaluated(constant) for constant in self.of("VarDecl")}
        self.assertEqual(values, {name: int(value.rstrip("UL")) for name, (_, value) in self.face.constants.items()})
        for constant in self.of("VarDecl"):
            self.assertEqual(constant["type"]["qualType"], "const " + self.face.constants[constant["name"]][0])
            self.assertEqual(constant["storageClass"], "static")
