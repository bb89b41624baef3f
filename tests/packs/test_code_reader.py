"""What functions of scripts reach in roundabout ways, and what says nothing of them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nodegraph.packs.code_reader import Unreadable, code_digest
from nodegraph.packs.source_files import parse_module
from tests.messages import raises

OWN = "ONE = 1\ndef scale(a):\n    return a * NUM\n"
SET = "import os\nos.environ['REACHED_SO'] = str(NUM)\n"
PYDANTIC = "from pydantic import BaseModel, field_validator\nclass By(BaseModel):\n    x: int = 0\n"
DEFAULT = "def env(name='REACHED_SO'):\n    return os.environ[name]\n"
VALIDATED = (
    PYDANTIC + "    @field_validator('x')\n    @classmethod\n"
    "    def v(cls, x):\n        return x * NUM\n"
)
PARTIAL = "from functools import partial\nenv = partial(os.getenv, 'REACHED_SO')\n"
CASES = {
    "a variable named by a global": (SET + "NAME = 'REACHED_SO'\n", "int(os.environ[NAME]) * a"),
    "a variable named by a default": (SET + DEFAULT, "int(env()) * a"),
    "a variable named by whoever asks": (
        SET + DEFAULT.replace("='REACHED_SO'", ""),
        "int(env('REACHED_SO')) * a",
    ),
    "a variable by another name": (
        SET + "from os import getenv as env\n",
        "int(env('REACHED_SO')) * a",
    ),
    "a variable in partial": (SET + PARTIAL, "int(env()) * a"),
    "a variable in a text": (SET, "int(os.path.expandvars('${REACHED_SO}')) * a"),
    "globals()": ("def helper(a):\n    return a * NUM\n", "globals()['helper'](a)"),
    "eval": ("def helper(a):\n    return a * NUM\n", "eval('helper(a)')"),
    "getattr": ("import FILE\n", "FILE.ONE * getattr(FILE, 'scale')(a)"),
    "import_module": ("import importlib\n", "importlib.import_module('FILE').scale(a)"),
    "__import__": ("", "__import__('FILE').scale(a)"),
    "sys.modules": ("import sys, FILE\n", "sys.modules['FILE'].scale(a)"),
    "a regular expression": (
        "import re\nBY = re.compile('x{NUM}')\n",
        "a * BY.match('x' * 50).end()",
    ),
    "a struct": ("import struct\nBY = struct.Struct('NUMs')\n", "a * BY.size"),
    "a model": (PYDANTIC.replace("0", "NUM"), "a * By().x"),
    "a model's validator": (VALIDATED, "a * By(x=1).x"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_edit_is_noticed_and_its_undoing_too(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REACHED_SO", "")
    monkeypatch.syspath_prepend(tmp_path)
    before, body = CASES[case]
    file = "own_" + "".join(filter(str.isalpha, case))

    def made(number: int) -> Any:
        (tmp_path / f"{file}.py").write_text(OWN.replace("NUM", str(number)))
        sys.modules.pop(file, None)
        importlib.invalidate_caches()
        cell = ModuleType("cell")
        text = f"{before}def run(a=10):\n    return {body}\n"
        exec(text.replace("NUM", str(number)).replace("FILE", file), vars(cell))
        digest = code_digest(cell.run)
        assert cell.run() == 10 * number
        return digest

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    first, second, third = made(2), made(33), made(2)
    sys.modules.pop(file, None)
    assert first == third != second


def test_the_whole_environment_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from os import environ

    before = code_digest(lambda: environ["HOME"])
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    assert code_digest(lambda: environ["HOME"]) == before


def test_what_numpy_makes_of_a_function_is_not_taken_for_its_own() -> None:
    import numpy as np

    def reaching(function: Any) -> Any:
        return lambda: function

    assert code_digest(reaching(np.add)) != code_digest(reaching(np.multiply))
    with raises(Unreadable):
        code_digest(reaching(np.frompyfunc(lambda a: a, 1, 1)))


def test_a_pack_counts_with_variables_that_its_constants_name() -> None:
    text = (
        b"import os\nNAME = 'DEPTH'\nOTHER = 'no such'\ndef read():\n    return os.environ[NAME]\n"
    )
    assert parse_module(text, "pack").variables == {"DEPTH"}
    assert not parse_module(text.replace(b"os.environ[NAME]", b"NAME"), "pack").variables
