"""Text operations: templates, patterns, JSON. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, TypeVar

from nodegraph import Finding, HookInputs, InvalidFile, InvalidValue
from nodegraph.core.patterns import compile_pattern
from nodegraph.core.text_format import format_size

from ._facts import error_to_finding
from ._shown import format_value, format_whole_value

LARGEST = 4 << 20
"""Maximum bytes of a text file, and characters of a text."""
MOST_PARTS = 100_000
"""Maximum parts of a split text: a node may run for each."""
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([a-z])(?::(0?\d{0,2}(?:\.\d{1,2})?[dfg%]?))?\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}

PartT = TypeVar("PartT")


def fill_template(template: str, values: Mapping[str, Any]) -> str:
    """Insert values for ``{a}`` or ``{a:.2f}`` in a template. ``{{`` is a plain bracket.

    Raises:
        InvalidValue: A value is missing, or cannot be formatted this way.
    """

    size = len(template)

    def written(match: re.Match[str]) -> str:
        nonlocal size
        text = value_at(match)
        size += len(text)
        check_length(size)
        return text

    def value_at(match: re.Match[str]) -> str:
        name, form = match.group(1), match.group(2)
        if name is None:
            return match.group(0)[0]
        if values.get(name) is None:
            raise InvalidValue(
                f"the template uses `{name}`, which has no value", port=name, expected="a value"
            )
        value = values[name]
        if not form:
            return value_text(value, ", ")
        try:
            number = round(value) if form[-1] == "d" else value
            return format(number, form)
        except (ValueError, TypeError, OverflowError):
            raise InvalidValue(
                f"the value cannot be formatted as `{form}`",
                port=name,
                given=format_value(value)[:60],
            ) from None

    return check_text_size(_PLACEHOLDER.sub(written, template))


def value_text(value: Any, separator: str) -> str:
    """Convert any value to text. Items of a list are joined by a separator. See `check_length`."""
    if isinstance(value, list):
        return join_texts([format_whole_value(item) for item in value], separator)
    return check_text_size(format_whole_value(value))


def join_texts(texts: Sequence[str], separator: str) -> str:
    """Join texts. See `check_length` for the maximum length."""
    check_length(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return separator.join(texts)


def replace_text(text: str, find: str, by: str) -> str:
    """Replace each match in a text. See `check_length`."""
    check_length(len(text) + text.count(find) * (len(by) - len(find)))
    return text.replace(find, by)


def substitute_matches(text: str, matches: Iterable[Any], by: Callable[[Any], str]) -> str:
    """Replace each match by the text computed for it. See `check_length`."""
    parts: list[str] = []
    size = at = 0
    for match in matches:
        parts += [text[at : match.start()], by(match)]
        size += len(parts[-1]) + len(parts[-2])
        check_length(size)
        at = match.end()
    return check_text_size("".join([*parts, text[at:]]))


def check_part_count(parts: Iterable[PartT]) -> list[PartT]:
    """Return the parts of a text, if there are not too many.

    Raises:
        InvalidValue: There are more than `MOST_PARTS`.
    """
    taken = list(islice(parts, MOST_PARTS + 1))
    if len(taken) > MOST_PARTS:
        raise InvalidValue(
            "the text has too many parts", port="text", expected=f"{MOST_PARTS:,} at most"
        )
    return taken


def check_template(inputs: HookInputs) -> Iterator[Finding]:
    """Find brackets that do not enclose a placeholder."""
    template = inputs.literals.get("template")
    if isinstance(template, str):
        wrong = re.search(r"[{}][^{}\n]{0,20}\}?", _PLACEHOLDER.sub("", template))
        if wrong:
            yield Finding(
                "template",
                "a bracket does not enclose a placeholder",
                given=wrong.group(0),
                expected="{a} to {f}, {a:.2f} for two decimals, {{ for a plain bracket",
            )


def check_pattern(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid regular expressions."""
    for port in ("find", "pattern", "other"):
        text = inputs.literals.get(port)
        is_pattern = inputs.literals.get("regex", True) is True
        if port == "other":
            is_pattern = inputs.literals.get("how") == "matches"
        if isinstance(text, str) and is_pattern:
            try:
                compile_pattern(text, port=port, ignore_case=False)
            except InvalidValue as error:
                yield error_to_finding(port, error)


def separator_of(text: str) -> str:
    r"""A separator as typed, with \n, \t and \\ as a line break, a tab and a backslash."""
    return re.sub(r"\\[nt\\]", lambda match: _ESCAPES[match.group(0)], text)


def check_text_size(text: str) -> str:
    """Return a text that is not too large.

    Raises:
        InvalidValue: The text is too large.
    """
    check_length(len(text))
    return text


def check_length(letters: int) -> None:
    """Raise InvalidValue if a text of this length is too large. Call it before the text is made."""
    if letters > LARGEST:
        raise InvalidValue(
            "the text is too long", given=str(letters), expected=f"{LARGEST:,} characters at most"
        )


def get_json_part(document: Any, path: str) -> Any:
    """Part of a JSON text, for example ``images[0].seed``. An empty path returns the whole.

    Raises:
        InvalidValue: The part does not exist, or the path is invalid.
    """
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise InvalidValue(
                "the path is not valid",
                port="path",
                given=path[:60],
                expected="a path, for example images[0].seed",
            )
        name, number = step.groups()
        try:
            document = document[name] if number is None else _item(document, int(number))
        except (KeyError, IndexError, TypeError):
            raise InvalidValue(
                f"the JSON text has no `{step.group(0)}` at this point",
                port="path",
                given=path[:60],
                expected=_describe_parts(document),
            ) from None
        at = step.end()
    return document


def _item(document: Any, at: int) -> Any:
    if not isinstance(document, list):
        raise TypeError("no list")
    return document[at]


def _describe_parts(document: Any) -> str:
    if isinstance(document, dict):
        return ", ".join(map(str, list(document)[:20])) or "nothing: it is empty"
    return f"[0] to [{len(document) - 1}]" if isinstance(document, list) and document else "nothing"


def read_text(file: Path, *, names: bool) -> str:
    """Content of a text file in UTF-8, or else in Latin-1.

    Args:
        names: Whether an error may name the file.

    Raises:
        InvalidFile: The file is missing, unreadable or too large.
    """
    name = str(file) if names else "the file"
    try:
        # A device or a pipe may never end, and opening one may block forever.
        if not S_ISREG(file.stat().st_mode):
            raise InvalidFile(f"{name} cannot be read: it is not a file")
        if file.stat().st_size > LARGEST:
            raise InvalidFile(
                f"{name} is too large for a text", expected=f"at most {format_size(LARGEST)}"
            )
        data = file.read_bytes()
    except OSError as error:
        raise InvalidFile(f"{name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a zero byte in its name
        raise InvalidFile(f"{name!r} is not a file name: {error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n")


def resolve_text_path(inputs: Path, path: str) -> Path:
    """Path of a file. Relative paths start from the inputs folder, ``~`` is a home folder.

    Raises:
        InvalidFile: The user named after ``~`` does not exist.
    """
    try:
        return inputs / Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidFile(f"{path} cannot be read: {error}") from None


def check_text_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or too large."""
    path = inputs.literals.get("path")
    if isinstance(path, str):
        environment = inputs.environment
        try:
            read_text(
                resolve_text_path(environment.inputs, path), names=environment.readable is None
            )
        except InvalidFile as error:
            yield error_to_finding("path", error)
