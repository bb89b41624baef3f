"""ImageFolder datasets: metadata tables read, folders written, safe file names.

A dataset is written as ``train/cat/tom.png`` with ``train/metadata.jsonl``; `read_folder` reads it
back. The columns are those of Hugging Face's ImageFolder: ``file_name``, ``text``, ``label``, and
``objects`` for boxes. Other common names for them are read too.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, get_args

from nodegraph.core.digests import digest_bytes
from nodegraph.core.text_format import format_size
from nodegraph.core.training_values import Dataset, Example, ExampleFile, LabeledBox, Split
from nodegraph.errors import InvalidFile
from nodegraph.media.datasets.reading import NO_AUGMENTATION, load_mask, read_example, training_size
from nodegraph.media.images.memory_checks import check_memory

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
    """What a table says of an image; what it doesn't say is None or empty.

    Attributes:
        file: Of the image, as it is written.
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
                f"{path} is too large for a text file", expected=f"at most {format_size(_LARGEST)}"
            )
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


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
                yield number, f"it is not JSON: {error}"
                continue
            yield number, record if isinstance(record, dict) else "it is not a JSON object"


def _iter_csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    # Strict: a quotation mark that is never closed would make one cell of all lines behind it.
    rows = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            yield rows.line_num, {key: value for key, value in row.items() if key and value}
    except csv.Error as error:
        yield rows.line_num, f"it is not a line of a table: {error}"


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
        raise ValueError(f"it names no file; the column must be called {_NAMES['file'][0]}")
    split = find_split(str(fields["split"])) if fields["split"] is not None else None
    if fields["split"] is not None and split is None:
        raise ValueError(
            f"there is no split {fields['split']!r}; the splits are {', '.join(get_args(Split))}"
        )
    repeats = 1 if fields["repeats"] is None else int(fields["repeats"])
    weight = 1.0 if fields["weight"] is None else float(fields["weight"])
    if not 0 <= repeats <= _MOST_REPEATS or not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"repeats {repeats} or weight {weight} is out of range")
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
        raise ValueError("objects are not a JSON object with `bbox` and `categories`")
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
        raise ValueError(f"{numbers} is not a box of left, top, width and height")
    x, y, width, height = (float(number) for number in numbers)
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        raise ValueError(f"{list(numbers)} is not a box of left, top, width and height")
    return LabeledBox(label, x, y, width, height)


_UNSAFE = re.compile(r"[^\w.()+-]+")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST = 100


def safe_name(text: str, default: str = "_") -> str:
    """A text as the name of a file or folder on any system, without dots."""
    name = _UNSAFE.sub("_", text).replace(".", "_").strip("_ ")[:_LONGEST]
    return f"_{name}" if _RESERVED.fullmatch(name) else name or default


def file_stems(examples: Sequence[Example]) -> list[str]:
    """A name for each example that none of the others has, without folders and suffix."""
    taken: set[str] = set()
    stems = []
    for number, example in enumerate(examples, 1):
        stem = safe_name(example.name.rsplit("/", 1)[-1], f"{number:05}")
        free, more = stem, 2
        # Some file systems don't tell upper from lower case.
        while free.lower() in taken:
            free, more = f"{stem}_{more}", more + 1
        taken.add(free.lower())
        stems.append(free)
    return stems


def resize_for_training(dataset: Dataset) -> Dataset:
    """The same with images, masks and boxes at the sizes that they are learned from.

    Nothing is changed at random.

    Raises:
        InvalidValue: They take more memory together than there is.
    """
    plain = replace(dataset, augmentation=NO_AUGMENTATION)
    sizes = [training_size(plain, at) for at in range(len(plain.examples))]
    if sizes:
        needed = sum(16 * width * height for width, height in sizes)
        check_memory(*max(sizes), len(sizes), needed, port="dataset")
    examples = []
    for at, example in enumerate(dataset.examples):
        prepared = read_example(plain, at)
        examples.append(
            replace(
                example,
                picture=prepared.picture.movedim(0, -1).contiguous(),
                mask=prepared.mask,
                boxes=prepared.boxes,
                bucket=None,
            )
        )
    return replace(plain, examples=tuple(examples), size=None)


def picture_bytes(example: Example) -> tuple[str, bytes]:
    """Suffix and bytes of an example's image: those of its file, or a PNG.

    Raises:
        InvalidFile: The file is missing, or has changed since the dataset was made.
    """
    from nodegraph.media.images.images import encode_image_file

    picture = example.picture
    if isinstance(picture, ExampleFile):
        return Path(picture.path).suffix.lower(), _bytes(picture)
    return ".png", encode_image_file(picture)


def mask_png(example: Example) -> bytes | None:
    """A PNG of an example's mask; None where it has none."""
    from nodegraph.media.images.images import encode_image_file

    mask = load_mask(example)
    return None if mask is None else encode_image_file(mask[..., None])


def box_to_xywh(box: LabeledBox) -> list[float]:
    """Left, top, width and height; with a fraction, as others want them all of one type."""
    return [float(number) for number in (box.x, box.y, box.width, box.height)]


def _bytes(file: ExampleFile) -> bytes:
    try:
        content = Path(file.path).read_bytes()
    except OSError as error:
        raise InvalidFile(f"cannot read {file.path}: {error.strerror or error}") from error
    if digest_bytes(content) != file.digest:
        raise InvalidFile(f"{file.path} was changed after the dataset was created")
    return content


MASKS = "masks"
"""Where masks lie: in a folder of a split, others would take them for images."""


def image_folder_files(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    """The files of an ImageFolder: their paths in it, and what they hold."""
    lines: dict[str, list[str]] = {}
    columns = _columns(dataset)
    for example, stem in zip(dataset.examples, file_stems(dataset.examples), strict=True):
        folder = f"{safe_name(example.label)}/" if example.label else ""
        suffix, content = picture_bytes(example)
        yield f"{example.split}/{folder}{stem}{suffix}", content
        metadata_row = {
            "file_name": f"{folder}{stem}{suffix}",
            **columns,
            **example_metadata(example),
        }
        if columns.get("tags") == "":
            # In one line: of an empty list others can't tell what would be in it.
            metadata_row["tags"] = ", ".join(example.tags)
        mask = mask_png(example)
        if mask is not None:
            mask_path = f"{MASKS}/{stem}.png"
            metadata_row["mask"] = f"../{mask_path}"
            yield mask_path, mask
        lines.setdefault(example.split, []).append(json.dumps(metadata_row, ensure_ascii=False))
    for split, rows in lines.items():
        yield (
            f"{split}/metadata.jsonl",
            "".join(f"{row}\n" for row in rows).encode("utf-8", "replace"),
        )


def _columns(dataset: Dataset) -> dict[str, Any]:
    """What stands in each row unless more is known: Hugging Face wants all tables alike."""
    examples = dataset.examples
    columns: dict[str, Any] = {"text": ""}
    if any(each.label for each in examples):
        columns["label"] = ""
    tags = [tag for each in examples for tag in each.tags]
    if tags:
        columns["tags"] = [] if any("," in tag for tag in tags) else ""
    if any(each.boxes for each in examples):
        columns["objects"] = {"bbox": [], "categories": []}
    if any(each.mask is not None for each in examples):
        columns["mask"] = ""
    if any(each.repeats != 1 for each in examples):
        columns["repeats"] = 1
    if any(each.weight != 1 for each in examples):
        columns["weight"] = 1.0
    return columns


def example_metadata(example: Example) -> dict[str, Any]:
    """What is said of an example, as `media.datasets.tables` reads it; what isn't is left out.

    Captions always stand there: others take a table in which one is missing for damaged.
    """
    row: dict[str, Any] = {"text": example.caption}
    if example.label:
        row["label"] = example.label
    if example.tags:
        row["tags"] = list(example.tags)
    if example.boxes:
        row["objects"] = {
            "bbox": [box_to_xywh(box) for box in example.boxes],
            "categories": [box.label for box in example.boxes],
        }
    if example.repeats != 1:
        row["repeats"] = example.repeats
    if example.weight != 1:
        row["weight"] = example.weight
    return row
