"""What errors say: each sentence once, in `messages.json`, with the tests that read it.

A test says which error it expects, at which node and port and with which value given; what the
error *says* is compared with the file. Words that are meant to change touch that file alone:
``pytest --write-messages`` makes it anew from what the errors of the tests of this run say, and
its diff shows old and new words beside each other.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nodegraph.errors import NodegraphError

HERE = Path(__file__).parent
FILE = HERE / "messages.json"
_E = TypeVar("_E", bound=BaseException)
_OPTION = "--write-messages"
_SHORTEST_CAUSE = 4


@contextmanager
def raises(
    kind: type[_E] | tuple[type[_E], ...],
    *,
    node: str | None = None,
    port: str | None = None,
    given: str | None = None,
    expected: str | None = None,
) -> Iterator[pytest.ExceptionInfo[_E]]:
    """As `pytest.raises`, for an error that says what `messages.json` has for this test.

    Not for property tests: their examples say something else each time.

    Args:
        kind: The class, and so the `code`.
        node, port, given, expected: As one of the error's problems has them, where they are named.
    """
    with pytest.raises(kind) as caught:
        yield caught
    wanted = {"node": node, "port": port, "given": given, "expected": expected}
    _check_fields(
        caught.value, {name: value for name, value in wanted.items() if value is not None}
    )
    _messages.check(_current_test(), stable(caught.value))


def _check_fields(error: BaseException, wanted: dict[str, str]) -> None:
    if not wanted:
        return
    assert isinstance(error, NodegraphError), f"{error!r} has no fields"
    found = [{name: getattr(problem, name) for name in wanted} for problem in error.problems]
    assert wanted in found, f"expected {wanted}, found {found}"


def _current_test() -> str:
    """The test function that runs, without its parameters."""
    return _function(os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0])


def stable(error: BaseException) -> str:
    """An error's text, with names for what is another in each run or of other libraries."""
    text = str(error)
    for cause in _foreign_causes(error):
        text = text.replace(cause, "<cause>")
    for pattern, name in _messages.changing:
        text = pattern.sub(name, text)
    return text


def _foreign_causes(error: BaseException) -> list[str]:
    """The texts of other libraries' errors behind it; their versions word them differently."""
    found: list[str] = []
    seen: set[int] = set()
    left = [error.__cause__, error.__context__]
    while left:
        cause = left.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        left += [cause.__cause__, cause.__context__]
        if not isinstance(cause, NodegraphError) and len(str(cause)) >= _SHORTEST_CAUSE:
            found.append(str(cause))
    return sorted(found, key=len, reverse=True)


class Messages:
    """The sentences of the file, and those of this run."""

    def __init__(self) -> None:
        self.writing = False
        self.bases: list[Path] = []
        self.seen: dict[str, set[str]] = defaultdict(set)

    @functools.cached_property
    def kept(self) -> dict[str, set[str]]:
        """The sentences of each test function."""
        kept: dict[str, set[str]] = defaultdict(set)
        for sentence, tests in read().items():
            for test in tests:
                kept[test].add(sentence)
        return kept

    @functools.cached_property
    def changing(self) -> list[tuple[re.Pattern[str], str]]:
        """What is another in each run, and its name."""
        bases = "|".join(re.escape(str(base)) for base in self.bases) or "(?!)"
        temporary = re.escape(tempfile.gettempdir())
        return [
            (re.compile(rf"(?:{bases})(?:/popen-gw\d+)?(?:/[^/\s`'\"]*)?"), "<tmp>"),
            (re.compile(re.escape(str(HERE.parent))), "<repository>"),
            (re.compile(rf"{temporary}/[^/\s`'\"]*"), "<tmp>"),
            (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
            (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
            (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{16,}\b"), "<digest>"),
            (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:<port>"),
            (re.compile(r"\bpid \d+"), "pid <number>"),
            # Lists of all families: a new one changes no other test.
            (re.compile(r"Stable Diffusion 1\.x, Stable Diffusion 2\.x, [^;)]*"), "<families>"),
            (re.compile(r"\bsd1, sd2, sdxl, sdxl-refiner, sd3, [^;)]*"), "<families>"),
            (
                re.compile(r"(?<=expected: )(?:[a-z0-9-]+, )+sana, (?:[a-z0-9-]+, )*sd\b"),
                "<latents>",
            ),
            # Of a list's rest: each new node type or setting is one more.
            (re.compile(r"\band \d+ more\b"), "and <number> more"),
            (re.compile(r"\bjob_[0-9a-z]{26}\b"), "<job>"),
            (re.compile(r"\b20\d{6}-\d{6}-[0-9a-z]{4}\b"), "<run>"),
            (
                re.compile(r"\b[\d,.]+ [kMGTP]?B of [\d,.]+ [kMGTP]?B in total"),
                "<size> of <memory> in total",
            ),
            (re.compile(r"\b[\d,.]+ [kMGTP]?B free\b"), "<free>"),
            (re.compile(r"\bhas taken \d+ s\b"), "has taken <seconds>"),
            (re.compile(r": only [\d.]+ of ([\d.]+ s) are there"), r": only <part> of \1 is there"),
        ]

    def check(self, test: str, sentence: str) -> None:
        self.seen[test].add(sentence)
        if self.writing or sentence in self.kept.get(test, ()):
            return
        near = difflib.get_close_matches(sentence, self.kept.get(test, ()), n=1, cutoff=0)
        lines = [f"{test} reads what tests/messages.json doesn't have for it:", f"+ {sentence}"]
        if near:
            lines.insert(1, f"- {near[0]}")
        lines.append(f"If that is meant: pytest {_OPTION} {test.partition('::')[0]}")
        pytest.fail("\n".join(lines))


_messages = Messages()


def read() -> dict[str, list[str]]:
    """The sentences, and of each the test functions that read it."""
    return dict(json.loads(FILE.read_text("utf-8"))) if FILE.exists() else {}


def write(seen: dict[str, set[str]], whole: Iterable[str]) -> None:
    """Take over what the tests of a run read.

    Args:
        seen: The sentences of each test function.
        whole: The test functions that ran with all their parameters and passed: what they don't
            read anymore goes. To others, sentences are only added.
    """
    whole = set(whole)
    found: dict[str, set[str]] = defaultdict(set)
    for sentence, tests in read().items():
        for test in tests:
            if test not in whole and _is_there(test):
                found[sentence].add(test)
    for test, sentences in seen.items():
        for sentence in sentences:
            found[sentence].add(test)
    ordered = {sentence: sorted(found[sentence]) for sentence in sorted(found)}
    text = json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"
    # Half a surrogate pair, which no file can hold, becomes the escape that JSON has for it.
    FILE.write_bytes(text.encode("utf-8", "backslashreplace"))


def _is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    return f"def {name.rpartition('::')[2]}(" in _source(HERE.parent / file)


@functools.cache
def _source(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""


class Writer:
    """Gathers over all processes of a run, and writes at its end."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.ran: set[str] = set()
        self.in_part: set[str] = set()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.in_part.update(_function(item.nodeid) for item in items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.ran.update(_function(item.nodeid) for item in session.items)
        self.in_part.update(_function(name) for name in session.config.args if "[" in name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.in_part.add(_function(report.nodeid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {}).get("messages")
        if output is not None:
            self.take(*map(json.loads, output))

    def take(self, seen: dict[str, list[str]], ran: list[str], in_part: list[str]) -> None:
        for test, sentences in seen.items():
            self.seen[test].update(sentences)
        self.ran.update(ran)
        self.in_part.update(in_part)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        seen = {test: sorted(sentences) for test, sentences in _messages.seen.items()}
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            parts = (seen, sorted(self.ran), sorted(self.in_part))
            output["messages"] = [json.dumps(part) for part in parts]
            return
        self.take(seen, [], [])
        write(self.seen, self.ran - self.in_part)


def _function(nodeid: str) -> str:
    """Of a test's id: without its parameters, which may hold anything."""
    return nodeid.partition("[")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("nodegraph").addoption(
        _OPTION, action="store_true", help="take over what errors say into tests/messages.json"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(_OPTION):
        _messages.writing = True
        config.pluginmanager.register(Writer(), "messages-writer")


@pytest.fixture(scope="session", autouse=True)
def _bases(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    _messages.bases = [base, base.parent]
