"""Format sizes, durations and text for people, and parse sizes and ages that they write."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path, PurePath
from typing import Any

from nodegraph.errors import InvalidValue

_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*)", re.IGNORECASE)
_BYTES = {
    "": 1,
    "b": 1,
    **{unit: 1000**power for power, unit in enumerate(("kb", "mb", "gb", "tb"), 1)},
    **{unit: 1000**power for power, unit in enumerate("kmgt", 1)},
    **{unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), 1)},
}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_size(text: str, option: str) -> int:
    """Bytes of a size such as ``500MB``, ``1.5 GiB`` or ``0``.

    Args:
        option: Named in the error.
    Raises:
        InvalidValue: It is none.
    """
    size = _parsed(text, _BYTES)
    if size is None:
        raise InvalidValue(
            f"{option} is not a size", given=text, expected="a size such as 500MB, 2GB or 1.5GiB"
        )
    return int(size)


def parse_age(text: str, option: str) -> float:
    """Seconds of an age such as ``30d``, ``12h`` or ``2w``; its unit can't be left out.

    Args:
        option: Named in the error.
    Raises:
        InvalidValue: It is none.
    """
    seconds = _parsed(text, _SECONDS)
    if seconds is None:
        raise InvalidValue(
            f"{option} is not an age", given=text, expected="an age such as 90m, 12h, 30d or 2w"
        )
    return seconds


def split_names(value: Any) -> Any:
    """Names of a text parted by commas, or of a JSON list; what is no text stays as it is."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _parsed(text: str, units: dict[str, int]) -> float | None:
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        return None
    unit = units.get(written[2].casefold())
    amount = math.inf if unit is None else float(written[1]) * unit
    return amount if math.isfinite(amount) else None


_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def strip_control_characters(text: str) -> str:
    """Text without control characters: files must not steer the terminal.

    Halves of surrogate pairs, which none can print, are escaped, too.
    """
    return _CONTROL.sub(lambda match: _escaped(ord(match[0])), text)


def _escaped(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def is_well_formed(text: str) -> bool:
    """Whether a text holds no half of a surrogate pair, as file names that are no UTF-8 do."""
    return text.isascii() or _SURROGATE.search(text) is None


def to_well_formed(value: Any) -> Any:
    """A plain value with U+FFFD for each half of a surrogate pair in its texts and keys.

    Halves come from JSON escapes and from file names that are no UTF-8. They have no UTF-8, so no
    database, log or answer can hold them. Paths become text.
    """
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {to_well_formed(key): to_well_formed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_well_formed(item) for item in value]
    return to_well_formed(str(value)) if isinstance(value, PurePath) else value


def display_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def format_size(size: float) -> str:
    """Bytes in the unit that suits them, such as ``812 B``, ``1.5 MB`` or ``141 TB``."""
    unit, *larger = ("B", "kB", "MB", "GB", "TB", "PB")
    while size >= 999.5 and larger:
        unit, *larger = larger
        size /= 1000
    digits = 0 if unit == "B" or size >= 99.95 else 1
    return f"{size:,.{digits}f} {unit}"


def format_excess(size: float, most: float) -> tuple[str, str]:
    """A size and the most that it may be; in bytes where they would read alike otherwise."""
    texts = format_size(size), format_size(most)
    return (f"{size:,.0f} B", f"{most:,.0f} B") if texts[0] == texts[1] else texts


_FEW = 100
"""Below it, a percentage of a count would have more digits than the count."""


def format_share(share: float, total: int) -> str:
    """A share of a count, no more exact than that: ``2 of 3``, ``87%`` or, of thousands, ``87.3%``.

    Args:
        share: 0 to 1. Not quite 0 or 1 is told from these: ``under 1%``, ``over 99%``.
        total: What it is a share of.
    """
    if total < _FEW:
        return f"{round(share * total)} of {total}"
    text = format_percentage(share, total)
    step = 0.01 if total < 10 * _FEW else 0.001
    if share > 0 and float(text[:-1]) == 0:
        return f"under {format_percentage(step, total)}"
    if share < 1 and float(text[:-1]) == 100:
        return f"over {format_percentage(1 - step, total)}"
    return text


def format_percentage(share: float, total: int, *, has_sign: bool = False) -> str:
    """A percentage with no more digits than a count of so many has.

    Args:
        has_sign: Whether a plus is written, too.
    """
    return f"{share:{'+' if has_sign else ''}.{0 if total < 10 * _FEW else 1}%}"


def format_seconds(seconds: float) -> str:
    """A duration, as exact as it is of use."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {remainder} s"


def validation_text(message: str) -> str:
    """A message of pydantic as a part of a sentence."""
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def pluralize(number: int, noun: str) -> str:
    """A number with its noun in the right form: ``1 node``, ``2 nodes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_path(path: Path) -> str:
    """A path as people like to read it: relative if it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def snake_case(name: str) -> str:
    """``LoadModel`` as ``load_model``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


_ARGUMENT = re.compile(r"^\s{4,}(\w+(?:,\s*\w+)*):\s*(.*)$")


def read_docstring(text: str) -> tuple[str, str, dict[str, str]]:
    """The summary, the text without its ``Args:`` section, and the help of each argument."""
    summary = text.split("\n\n")[0].replace("\n", " ").strip()
    about: dict[str, str] = {}
    inside = False
    current: list[str] = []
    kept: list[str] = []
    for line in text.splitlines():
        is_title = re.match(r"^\w+:\s*$", line) is not None
        if is_title:
            inside = line.startswith("Args")
        if not inside:
            kept.append(line)
        if is_title:
            continue
        match = _ARGUMENT.match(line) if inside else None
        if match and len(line) - len(line.lstrip()) == 4:
            current = [part.strip() for part in match[1].split(",")]
            about.update(dict.fromkeys(current, match[2].strip()))
        elif inside and line.strip():
            for key in current:
                about[key] = f"{about[key]} {line.strip()}".strip()
    return summary, "\n".join(kept).strip(), about
