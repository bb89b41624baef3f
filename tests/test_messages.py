"""What errors say is compared with `messages.json`, which a run makes anew where it is asked to."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem
from tests import messages
from tests.messages import Messages, raises, stable
from tests.test_prose import BANNED, MOST_WORDS

ROOT = Path(__file__).parents[1]
HERE = "tests/test_messages.py"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Messages:
    """A file of messages with one sentence for each test here."""
    file = tmp_path / "messages.json"
    tests = [f"{HERE}::{name}" for name in globals() if name.startswith("test_")]
    file.write_text(json.dumps({"input `steps`: too small (given: 0)": tests}))
    monkeypatch.setattr(messages, "FILE", file)
    found = Messages()
    found.bases = messages._messages.bases
    monkeypatch.setattr(messages, "_messages", found)
    return found


def test_what_the_file_has_for_a_test_passes(kept: Messages) -> None:
    with raises(InvalidValue, port="steps", given="0") as caught:
        raise InvalidValue("too small", given="0", port="steps")
    assert caught.value.code == "invalid-value"
    with pytest.raises(pytest.fail.Exception) as failed, raises(InvalidValue):
        raise InvalidValue("much too small", given="0", port="steps")
    lines = str(failed.value).splitlines()
    assert lines[1:] == [
        "- input `steps`: too small (given: 0)",
        "+ input `steps`: much too small (given: 0)",
        f"If that is meant: pytest --write-messages {HERE}",
    ]


def test_fields_are_those_of_one_problem(kept: Messages) -> None:
    problems = [Problem("a", "one", port="steps"), Problem("b", "two", port="cfg", given="0")]
    kept.kept[f"{HERE}::test_fields_are_those_of_one_problem"].add(
        "input `steps`: one\ninput `cfg`: two (given: 0)"
    )
    with raises(InvalidWorkflow, port="cfg", given="0"):
        raise InvalidWorkflow(problems)
    with (
        pytest.raises(AssertionError, match="found"),
        raises(InvalidWorkflow, port="steps", given="0"),
    ):
        raise InvalidWorkflow(problems)
    with pytest.raises(AssertionError, match="no fields"), raises(KeyError, port="steps"):
        raise KeyError("steps")


def test_what_changes_from_run_to_run_has_a_name(tmp_path: Path) -> None:
    error = InvalidValue(f"{tmp_path / 'a.json'}: no JSON: not closed {'0f' * 16}")
    error.__cause__ = ValueError("not closed")
    assert stable(error) == "<tmp>/a.json: no JSON: <cause> <digest>"


def test_a_run_takes_over_what_its_tests_read(kept: Messages) -> None:
    a, b = (f"{HERE}::{name}" for name in ("kept", "test_the_file_is_as_the_command_writes_it"))
    messages.write({a: {"one", "two"}, b: {"two"}}, [a])
    found = messages.read()
    assert (found["one"], found["two"]) == ([a], [a, b])
    messages.write({a: {"three"}, b: {"three"}}, [a])  # of the other, only some parameters ran
    found = messages.read()
    assert (found["three"], found["two"], "one" in found) == ([a, b], [b], False)
    messages.write({"tests/gone.py::c": {"four"}, f"{HERE}::gone": {"four"}}, [])
    assert "four" in messages.read()
    messages.write({}, [])
    assert "four" not in messages.read()


@pytest.mark.slow
def test_processes_gather_what_they_read(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "messages.py").write_bytes((ROOT / "tests/messages.py").read_bytes())
    (folder / "conftest.py").write_text('pytest_plugins = ["tests.messages"]\n')
    for name in "ab":
        (folder / f"test_{name}.py").write_text(
            "import pytest\n"
            "from nodegraph.errors import InvalidValue\n"
            "from tests.messages import raises\n"
            "@pytest.mark.parametrize('number', [1, 2])\n"
            "def test_it(number):\n"
            f"    with raises(InvalidValue): raise InvalidValue(f'{name} {{number}}')\n"
        )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
            environment.pop(name, None)
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    written = run("-n", "2", "--write-messages")
    assert written.returncode == 0, written.stdout
    a, b = "tests/test_a.py::test_it", "tests/test_b.py::test_it"
    expected = {"a 1": [a], "a 2": [a], "b 1": [b], "b 2": [b]}
    assert json.loads((folder / "messages.json").read_text()) == expected
    assert run().returncode == 0
    changed = (folder / "test_a.py").read_text().replace("'a {", "'c {")
    (folder / "test_a.py").write_text(changed)
    assert "+ c 1" in run().stdout
    run("--write-messages", "tests/test_a.py::test_it[1]")
    kept = json.loads((folder / "messages.json").read_text())
    assert kept == {**expected, "c 1": [a]}  # the other parameter may read what is there still
    run("--write-messages", "tests/test_a.py::test_it")
    kept = json.loads((folder / "messages.json").read_text())
    assert kept == {"b 1": [b], "b 2": [b], "c 1": [a], "c 2": [a]}


def test_the_file_is_as_the_command_writes_it() -> None:
    kept = messages.read()
    assert list(kept) == sorted(kept)
    functions: dict[str, set[str]] = {}
    for test in {test for tests in kept.values() for test in tests}:
        file, _, name = test.partition("::")
        if file not in functions:
            tree = ast.parse((ROOT / file).read_text("utf-8"))
            functions[file] = {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
        assert name.rpartition("::")[2] in functions[file], test


_CODE = re.compile(r"`[^`]*`")
_SMALL = re.compile(r"[\w)'\"][.?!]\)? [a-z]\w*")
"""A sentence that begins with a small letter, behind one that has ended."""


def test_sentences_begin_with_capitals() -> None:
    """The first one goes on after the place that it is told of; code stands in backticks."""
    wrong = [sentence for sentence in messages.read() if _SMALL.search(_CODE.sub("X", sentence))]
    assert wrong == []


_SHOWN = re.compile(
    r"`[^`]*`|\(given: .*?\)(?=[.\n ]|$)|\(expected: .*?\)(?=[.\n ]|$)|<[^>]*>", re.S
)
"""Code, values and what stands for what changes: these aren't prose."""


def test_sentences_are_short_and_plain() -> None:
    """As docs are: see `test_prose`."""
    wrong = [
        sentence
        for message in messages.read()
        for sentence in re.split(r"(?<=[.:;])\s", _SHOWN.sub("X", message))
        if BANNED.search(sentence) or len(sentence.split()) > MOST_WORDS
    ]
    assert wrong == []


def test_what_was_given_belongs_to_the_sentence_before() -> None:
    """So no full stop stands before it: "too small (given: 0). Use 1.\""""
    wrong = [
        message for message in messages.read() if re.search(r"[.] \((given|expected):", message)
    ]
    assert wrong == []
