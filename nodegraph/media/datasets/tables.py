"""Tables beside pictures, JSON Lines or CSV: what is said of each picture. Imports no torch.

The columns are those of Hugging Face's ImageFolder: ``file_name``, ``text``, ``label``, and for
boxes ``objects``; others that people use for the same are known, too.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, get_args

from nodegraph.core.dataset_values import LabeledBox, Split
from nodegraph.errors import InvalidFile

_LARGEST = 2**26
"""Bytes of a table, or a text; each of its lines is one example."""
_NAMES: Mapping[str, Sequence[str]] = {
    "file": ("file_name", "filename", "file", "image", "path"),
    "caption": ("text", "caption", "prompt", "description"),
    "label": ("label", "class", "category"),
    "tags": ("tags", "keywords"),
    "split": ("split", "subset"),
    "mask": ("mask", "mask_file_name"),
    "repeats": ("repeats", "num_repeats"),
    "weight": ("weight",),
    "objects": ("objects",),
}
_SPLITS: Mapping[str, Split] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip
_MOST_REPEATS = 10_000


class TableRow(NamedTuple):
    """What a table says of a picture; what it doesn't say is None or empty.

    Attributes:
        file: Of the picture, as it is written.
        mask: Of its mask.
    """

    file: str
    caption: str | None = None
    label: str | None = None
    tags: tuple[str, ...] = ()
    split: Split | None = None
    mask: str | None = None
    boxes: tuple[LabeledBox, ...] = ()
    repeats: int = 1
    weight: float = 1.0


def find_split(name: str) -> Split | None:
    """The split that people call so, such as ``val``."""
    return _SPLITS.get(name.strip().lower())


def read_text(path: Path) -> str:
    """A file's text, as UTF-8, without a mark at its beginning.

    Raises:
        InvalidFile: It can't be read, is no text, or too large.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidFile(
                f"{path} is too large for a text.", expected=f"at most {_LARGEST:,} bytes"
            )
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path} is no text in UTF-8: {error.reason}") from error
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error


def read_rows(path: Path) -> Iterator[TableRow | InvalidFile]:
    """The rows of a table, in order; in place of one that can't be read, what is wrong with it.

    Raises:
        InvalidFile: The table as a whole can't be read.
    """
    text = read_text(path)
    lines = _iter_json_lines(text) if path.suffix == ".jsonl" else _iter_csv_rows(text)
    for number, line in lines:
        try:
            yield _row_or_fault(line)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            yield InvalidFile(f"{path}, line {number}: {error}")


def _row_or_fault(line: Mapping[str, Any] | str) -> TableRow:
    if isinstance(line, str):
        raise ValueError(line)
    return parse_row(line)


def _iter_json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    # Not splitlines: it ends lines at U+2028 and the like, too, which texts in JSON may have.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, f"it is no JSON: {error}"
                continue
            yield number, record if isinstance(record, dict) else "it is no JSON object"


def _iter_csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    # Strict: a quotation mark that is never closed would make one cell of all lines behind it.
    rows = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            yield rows.line_num, {key: value for key, value in row.items() if key and value}
    except csv.Error as error:
        yield rows.line_num, f"it is no line of a table: {error}"


def parse_row(line: Mapping[str, Any]) -> TableRow:
    """A line's fields by their meaning.

    Raises:
        ValueError, TypeError: One of them can't be.
    """
    fields = {
        meaning: next((line[name] for name in names if line.get(name) is not None), None)
        for meaning, names in _NAMES.items()
    }
    if not isinstance(fields["file"], str) or not fields["file"]:
        raise ValueError(f"it names no file; a column is called {_NAMES['file'][0]}")
    split = find_split(str(fields["split"])) if fields["split"] is not None else None
    if fields["split"] is not None and split is None:
        raise ValueError(
            f"no split is called {fields['split']!r}, but {', '.join(get_args(Split))}"
        )
    repeats = 1 if fields["repeats"] is None else int(fields["repeats"])
    weight = 1.0 if fields["weight"] is None else float(fields["weight"])
    if not 0 <= repeats <= _MOST_REPEATS or not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"repeats of {repeats} or a weight of {weight} can't be")
    return TableRow(
        fields["file"],
        _text(fields["caption"]),
        _text(fields["label"]),
        parse_tags(fields["tags"]),
        split,
        _text(fields["mask"]),
        parse_boxes(fields["objects"]),
        repeats,
        weight,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value).strip()


def parse_tags(value: Any) -> tuple[str, ...]:
    """Tags that are listed, or written with commas between."""
    if value is None:
        return ()
    parts: Iterable[Any] = value if isinstance(value, list) else str(value).split(",")
    return tuple(dict.fromkeys(text for part in parts if (text := str(part).strip())))


def parse_boxes(value: Any) -> tuple[LabeledBox, ...]:
    """Boxes as Hugging Face's datasets have them: left, top, width and height, and what is in them.

    Raises:
        ValueError, TypeError: They can't be read.
    """
    if isinstance(value, str):
        value = json.loads(value)
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise ValueError("objects are no JSON object with `bbox` and `categories`")
    places = value.get("bbox") or []
    names = value.get("categories") or value.get("category") or []
    return tuple(
        parse_box(str(names[at]) if at < len(names) else "", numbers)
        for at, numbers in enumerate(places)
    )


def parse_box(label: str, numbers: Sequence[Any]) -> LabeledBox:
    """A box of four numbers.

    Raises:
        ValueError, TypeError: They aren't.
    """
    if isinstance(numbers, str) or len(numbers) != 4:
        raise ValueError(f"{numbers} is no box of left, top, width and height")
    x, y, width, height = (float(number) for number in numbers)
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        raise ValueError(f"{list(numbers)} is no box of left, top, width and height")
    return LabeledBox(label, x, y, width, height)
