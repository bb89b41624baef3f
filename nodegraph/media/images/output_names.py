"""Output file names: validity, and placeholders such as %date% and %sample.seed%.

Placeholders are ``%date%``, ``%time%``, ``%year%`` to ``%second%``, ``%date:yyyy-MM-dd%``,
``%width%``, ``%height%``, ``%index%`` in the batch, and, as in other tools, an input of a node of
the workflow: ``%sample.seed%``. Imports no torch.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from nodegraph.core.hooks import Finding, WrittenInputs
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, OutputError

_INPUT = r"[^\W\d]\w*"
_NODE = r"[^%/\\.\s](?:[^%/\\.]*[^%/\\.\s])?"
_PLACEHOLDER = re.compile(rf"%(date:[^%/\\]+|{_INPUT}|{_NODE}\.{_INPUT})%")
"""What else stands between percent signs is plain text: ``50% sampled. 30%``."""
_DATE_FORMATS = {
    "date": "%Y-%m-%d", "time": "%H-%M-%S", "year": "%Y", "month": "%m", "day": "%d",
    "hour": "%H", "minute": "%M", "second": "%S",
}  # fmt: skip
_PARTS = {
    "M": "month", "d": "day", "H": "hour", "h": "hour", "m": "minute", "s": "second",
}  # fmt: skip
_TOKEN = re.compile(r"yyyy|yy|" + "|".join(f"{letter}{letter}?" for letter in _PARTS))
_SIZES = ("width", "height", "index")
_UNSAFE_IN_VALUE = re.compile(r"[^\w .,+-]+")
_MISSPELT = 0.8
"""How alike a name and a node's are, of 1, to be taken for the same: but for a letter of six.
Workflows from elsewhere may name nodes that they came without."""
_MAX_VALUE_LENGTH = 60
"""Letters of a value that come into a name."""


def check_pattern(name: str) -> None:
    """Refuse words between percent signs that stand for nothing, and names that can't be.

    Raises:
        InvalidValue: Tells which part is wrong.
    """
    for match in _PLACEHOLDER.finditer(name):
        word = match[1]
        if word in _DATE_FORMATS or word in _SIZES or word.startswith("date:") or "." in word:
            continue
        known = [*_DATE_FORMATS, *_SIZES]
        raise InvalidValue(
            f"there is no placeholder %{word}%",
            port="name",
            given=repr(name),
            expected=", ".join(f"%{known_word}%" for known_word in known) + ", or %node.input%",
            hint=did_you_mean(word, known) or None,
        )
    check_name(_PLACEHOLDER.sub("x", name))


def pattern_findings(name: str, nodes: WrittenInputs) -> Iterator[Finding]:
    """What is wrong with the inputs that a name says, before anything runs.

    Args:
        nodes: As `HookInputs` has them.
    """
    if not nodes:
        return  # they aren't known
    for match in _PLACEHOLDER.finditer(name):
        word = match[1]
        node, dot, port = word.rpartition(".")
        if not dot or word.startswith("date:"):
            continue
        ports = nodes.get(node)
        if ports is None:
            known = [name for name, ports in nodes.items() if port in ports]
            yield _unknown_name_finding(word, f"there is no node `{node}`", node, known, f".{port}")
        elif port not in ports:
            message = f"the node `{node}` has no input `{port}`"
            yield _unknown_name_finding(word, message, port, ports, "", f"{node}.")
        elif ports[port] is None:
            yield _unresolved_finding(word, f"`{word}` is linked, or has no value")


def _unknown_name_finding(
    word: str, message: str, name: str, known: Iterable[str], after: str, before: str = ""
) -> Finding:
    """A name that there isn't: refused if it is another's, misspelt."""
    near = _find_misspelling(name, known)
    if near is None:
        return _unresolved_finding(word, message)
    hint = f"Did you mean `%{before}{near}{after}%`?"
    return Finding("name", message, given=f"%{word}%", hint=hint)


def _unresolved_finding(word: str, message: str) -> Finding:
    return Finding(
        "name",
        f"{message}, so the name contains this text",
        given=f"%{word}%",
        expected="an input with a value in the workflow",
        is_warning=True,
    )


def expand_pattern(
    name: str,
    *,
    now: datetime,
    workflow: Mapping[str, Any],
    size: tuple[int, int] = (0, 0),
    index: int = 0,
    warn: Callable[[str], None] | None = None,
) -> str:
    """A name with values in place of its words between percent signs.

    Args:
        workflow: Whose nodes' inputs the name may say.
        size: Width and height.
        index: Place in the batch, counted from 0.
        warn: Told of inputs that have no value of their own; the words stand for them then.
    Raises:
        InvalidValue: A word names a node that there isn't, and is nearly the name of one that has
            the input.
    """

    def value(match: re.Match[str]) -> str:
        word = match[1]
        if word in _DATE_FORMATS:
            return now.strftime(_DATE_FORMATS[word])
        if word.startswith("date:"):
            return _safe(_format_date(word[5:], now))
        if word in _SIZES:
            return str({"width": size[0], "height": size[1], "index": index}[word])
        input_value = _input(workflow, word)
        if input_value is None:
            _refuse_misspelt(workflow, word)
            if warn is not None:
                warn(f"%{word}% is not an input with a value, so the name contains this text.")
            return _safe(word)
        return _safe(str(input_value))

    return _PLACEHOLDER.sub(value, name)


def _format_date(form: str, now: datetime) -> str:
    """A moment in a form such as ``yyyy-MM-dd`` or ``d.M.yy``: a letter alone has no zero before
    it, as in ComfyUI."""

    def part(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] == "y":
            return str(now.year)[-len(token) :]
        return str(getattr(now, _PARTS[token[0]])).zfill(len(token))

    return _TOKEN.sub(part, form)


def _input(workflow: Mapping[str, Any], word: str) -> object:
    """The value of an input that is given as ``node.input``; None if it has none."""
    name, _, port = word.rpartition(".")
    node = workflow.get("nodes", {}).get(name, {})
    value = node.get("inputs", {}).get(port)
    return value if isinstance(value, (str, int, float, bool)) else None


def _refuse_misspelt(workflow: Mapping[str, Any], word: str) -> None:
    """Refuse the name of a node that is another's, misspelt: results would be called so."""
    name, _, port = word.rpartition(".")
    nodes = workflow.get("nodes", {})
    known = [each for each, node in nodes.items() if port in node.get("inputs", {})]
    near = None if name in nodes else _find_misspelling(name, known)
    if near is not None:
        raise InvalidValue(
            f"there is no node `{name}`",
            port="name",
            given=f"%{word}%",
            expected=f"%{near}.{port}%",
        )


def _find_misspelling(name: str, known: Iterable[str]) -> str | None:
    """The name that another one is but for a letter or so; None if it is no such one."""
    folded = {each.casefold(): each for each in known}
    matches = get_close_matches(name.casefold(), folded, n=1, cutoff=_MISSPELT)
    return folded[matches[0]] if matches else None


def _safe(text: str) -> str:
    """What every file system takes, without dots or spaces at the ends."""
    return _UNSAFE_IN_VALUE.sub("_", text)[:_MAX_VALUE_LENGTH].strip(". ") or "_"


_LONGEST = 230
"""Bytes of a part of a name; most file systems take 255, number and suffix included."""
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\]')
"""Characters that some file system can't have in a name."""

_DEVICES = frozenset(
    ("CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10)))
)
"""What Windows takes for a device, whatever stands behind a dot."""


def check_name(name: str) -> None:
    """Refuse names that lead out of the output folder or can't be a file's.

    Raises:
        InvalidValue: Tells which part of the name is wrong.
    """
    parts = PurePosixPath(name).parts
    fault = None
    if not parts or name.endswith("/"):
        fault = "it names no file"
    elif parts[0] == "/" or ".." in parts:
        fault = "it is outside the output folder"
    elif unsafe := _UNSAFE.search(name):
        fault = f"{unsafe[0]!a} is not allowed in file names on every system"
    elif hidden := next((letter for letter in name if _is_hidden(letter)), None):
        fault = (
            f"{hidden!a} is invisible and may change the order in which other characters are shown"
        )
    elif any(part.startswith(".") or part != part.strip() for part in parts):
        fault = "its parts must not begin with a dot, or begin or end with a space"
    elif any(len(os.fsencode(part)) > _LONGEST for part in parts):
        fault = f"a part of it is longer than {_LONGEST} bytes"
    elif device := next(filter(_is_device, (*parts[:-1], *parts[-1].split(".", 1)[:-1])), None):
        fault = f"{device!r} is a device on Windows"
    if fault:
        raise InvalidValue(
            f"this cannot be the name of a result: {fault}",
            port="name",
            given=repr(name),
            expected="a file name, for example apple, or with subfolders, for example fruit/apple",
        )


def _is_device(part: str) -> bool:
    return part.partition(".")[0].strip().upper() in _DEVICES


def _is_hidden(letter: str) -> bool:
    """Whether a letter is one of Unicode's marks of format, of those that end lines, or none."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def check_folder(folder: Path) -> None:
    """Refuse an output folder that can't be written to, before anything is computed for it.

    Raises:
        OutputError: It, or what it would be made in, is no folder or not writable.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(
            f"cannot write to {folder}: {there} is a file, not a folder", hint="Use another folder."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write to {folder}: no permission to write in {there}",
            hint="Use another folder.",
        )
