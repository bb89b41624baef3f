"""COCO datasets: annotations.json read and written, RLE and polygon masks.

COCO has no place for split, tags and weight. They are stored in each image's entry, under names
that other readers ignore.

Sources: cocodataset.org, "Data format"; for masks, Lin et al. 2014, arXiv:1405.0312, and its tools
(cocodataset/cocoapi).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nodegraph.core.file_access import is_readable
from nodegraph.core.training_values import Dataset, Example, LabeledBox
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.image_folder import (
    box_to_xywh,
    example_metadata,
    file_stems,
    parse_box,
    parse_row,
    picture_bytes,
    read_text,
)
from nodegraph.media.datasets.reading import example_file, load_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.bool_]
    """Of a mask, shape (height, width)."""
    from torch import Tensor

    from nodegraph.core.context import Environment

Corner = tuple[int, int]
"""Of pixels: x and y."""


def encode_rle(mask: Bits) -> dict[str, Any]:
    """A mask as run lengths: of what is out and in by turns, column by column."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return {
        "size": list(mask.shape),
        "counts": [0, *counts] if len(flat) and flat[0] else counts,
    }


def mask_to_polygons(mask: Bits) -> list[list[float]]:
    """The outlines of a mask along the edges of its pixels, each x, y, x, y, …

    Holes are outlines of their own: what lies in an odd number of outlines is in.
    """
    steps = _edges(mask)
    outlines = []
    while steps:
        start = next(iter(steps))
        corners, at, heading = [start], start, (0, 0)
        while True:
            heading = _next_heading(steps, at, heading)
            at = at[0] + heading[0], at[1] + heading[1]
            if at == start:
                break
            corners.append(at)
        outlines.append(_drop_collinear(corners))
    return outlines


def _edges(mask: Bits) -> dict[Corner, list[Corner]]:
    """From each corner of pixels the ways on along an outline, the inside at the right hand."""
    wide = np.pad(mask, 1)
    steps: dict[Corner, list[Corner]] = {}

    def add(edge: Bits, start: Corner, heading: Corner) -> None:
        rows, columns = np.nonzero(edge)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            steps.setdefault((column + start[0], row + start[1]), []).append(heading)

    inside = wide[1:-1, 1:-1]
    add(inside & ~wide[:-2, 1:-1], (0, 0), (1, 0))  # above is out: to the right
    add(inside & ~wide[1:-1, 2:], (1, 0), (0, 1))
    add(inside & ~wide[2:, 1:-1], (1, 1), (-1, 0))
    add(inside & ~wide[1:-1, :-2], (0, 1), (0, -1))
    return steps


def _next_heading(steps: dict[Corner, list[Corner]], at: Corner, heading: Corner) -> Corner:
    ways = steps[at]
    # Where two pixels touch at a corner only: to the right, so that each has an outline of its own.
    right = (-heading[1], heading[0])
    way = right if right in ways else ways[0]
    ways.remove(way)
    if not ways:
        del steps[at]
    return way


def _drop_collinear(corners: list[Corner]) -> list[float]:
    kept: list[float] = []
    for at, (x, y) in enumerate(corners):
        before, after = corners[at - 1], corners[(at + 1) % len(corners)]
        if not (before[0] == x == after[0] or before[1] == y == after[1]):
            kept += [float(x), float(y)]
    return kept


def decode_segmentation(segmentation: Any, width: int, height: int) -> Bits:
    """The mask that an annotation's segmentation says.

    Raises:
        InvalidValue: It is of no known form, or of another size.
    """
    if isinstance(segmentation, Mapping):
        size = list(segmentation.get("size") or [])
        if size != [height, width]:
            raise InvalidValue("run lengths have another size than the image", given=str(size))
        counts = segmentation.get("counts")
        counts = _decode_counts(counts) if isinstance(counts, str) else counts
        return _decode_rle(counts, width, height)
    mask = np.zeros((height, width), bool)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise InvalidValue("a segmentation is neither polygons nor run lengths")
    for outline in segmentation:
        mask ^= _fill_polygon(outline, width, height)
    return mask


def _decode_rle(counts: Any, width: int, height: int) -> Bits:
    try:
        lengths = np.asarray(counts, np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"run lengths cannot be read: {error}") from error
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != width * height:
        raise InvalidValue("run lengths do not fill their image")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape((height, width), order="F")


def _decode_counts(text: str) -> list[int]:
    """Counts from their short form: five bits a letter, from the third on as differences."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at == len(text) or shift > 60:
                raise InvalidValue("run lengths are truncated")
            letter = ord(text[at]) - 48
            value |= (letter & 0x1F) << shift
            more, shift, at = bool(letter & 0x20), shift + 5, at + 1
            if not more and letter & 0x10:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def _fill_polygon(outline: Any, width: int, height: int) -> Bits:
    """Pixels whose middle lies in an outline."""
    try:
        corners = np.asarray(outline, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"a polygon cannot be read: {error}") from error
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise InvalidValue("a polygon has fewer than three corners, or corners that are not finite")
    crossings = np.zeros((height, width + 1), bool)
    x, y = corners.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    first = max(0, int(np.floor(y.min())))
    for row in range(first, min(height, int(np.ceil(y.max())) + 1)):
        middle = row + 0.5
        crossed = (y <= middle) != (next_y <= middle)
        share = (middle - y[crossed]) / (next_y[crossed] - y[crossed])
        places = x[crossed] + share * (next_x[crossed] - x[crossed])
        starts = np.clip(np.ceil(places - 0.5), 0, width).astype(int)
        np.logical_xor.at(crossings[row], starts, True)
    return np.logical_xor.accumulate(crossings, axis=1)[:, :width]


SegmentForm = Literal["rle", "polygons"]
ANNOTATIONS = "annotations.json"
_PICTURES = "images"
_EXPECTED = "JSON with lists of objects in images and annotations"
_INSIDE = 0.5


def coco_files(dataset: Dataset, segments: SegmentForm = "rle") -> Iterator[tuple[str, bytes]]:
    """The files of a COCO dataset: their paths, and what they hold.

    Each box is an annotation, with what of the example's mask lies in it; a mask without a box has
    an annotation of its own; and so has each caption.
    """
    categories = _categories(dataset)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (example, stem) in enumerate(
        zip(dataset.examples, file_stems(dataset.examples), strict=True), 1
    ):
        suffix, content = picture_bytes(example)
        yield f"{_PICTURES}/{stem}{suffix}", content
        width, height = example.size
        metadata = {**example_metadata(example), "split": example.split}
        metadata.pop("objects", None)
        images.append(
            {
                "id": number,
                "file_name": f"{_PICTURES}/{stem}{suffix}",
                "width": width,
                "height": height,
                "nodegraph": metadata,
            }
        )
        for annotation in _annotations(example, categories, segments):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
    whole = {
        "info": {"description": dataset.name},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    yield ANNOTATIONS, json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace")


def _categories(dataset: Dataset) -> dict[str, int]:
    names = {box.label for example in dataset.examples for box in example.boxes}
    names |= {
        example.label
        for example in dataset.examples
        if example.label or (example.mask is not None and not example.boxes)
    }
    return {name: number for number, name in enumerate(sorted(names), 1)}


def _annotations(
    example: Example, categories: Mapping[str, int], segments: SegmentForm
) -> Iterator[dict[str, Any]]:
    from nodegraph.media.datasets.image_lists import mask_box

    mask = load_mask(example)
    boxes = example.boxes
    if mask is not None and not boxes:
        around = mask_box(mask[0], example.label)
        boxes = () if around is None else (around,)
    for box in boxes:
        yield {
            "category_id": categories[box.label],
            "bbox": box_to_xywh(box),
            "area": box.width * box.height,
            "iscrowd": 0,
            **({} if mask is None else _segment(mask[0], box, segments)),
        }
    if example.caption:
        yield {"caption": example.caption}


def _segment(mask: Tensor, box: LabeledBox, form: SegmentForm) -> dict[str, Any]:
    left, top = max(0, round(box.x)), max(0, round(box.y))
    rows = slice(top, round(box.y + box.height))
    columns = slice(left, round(box.x + box.width))
    inside = (mask >= _INSIDE).numpy()
    part = np.zeros_like(inside)
    part[rows, columns] = inside[rows, columns]
    return {
        "segmentation": mask_to_polygons(part) if form == "polygons" else encode_rle(part),
        "area": int(part.sum()),
    }


def read_coco(
    path: Path,
    environment: Environment,
    faults: DatasetFaults,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Dataset:
    """The dataset of a COCO file; its images lie beside it, or in a folder ``images`` there.

    An example's mask is all that its annotations mask; its class that of all its boxes, where they
    are of one; its caption the first.

    Raises:
        InvalidFile: It is no such file, nothing in it can be used, or something can't and is to
            be refused.
    """
    images, annotations, names = _parsed(path)
    by_image: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in annotations:
        by_image.setdefault(annotation.get("image_id"), []).append(annotation)
    examples = []
    for at, entry in enumerate(images):
        name = str(entry.get("file_name", f"image {at + 1}"))
        with faults.collect(name, path.parent):
            image_annotations = by_image.get(entry.get("id"), [])
            try:
                examples.append(
                    _example(path.parent, name, entry, image_annotations, names, environment)
                )
            except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
                raise InvalidFile(f"its entry cannot be read: {error}") from error
        on_progress(at + 1, len(images))
    faults.check(len(examples), path.name)
    return Dataset(tuple(examples), path.parent.name)


def _parsed(
    path: Path,
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], dict[Any, str]]:
    try:
        whole = json.loads(read_text(path))
        images, annotations = whole["images"], whole.get("annotations") or []
        names = {each["id"]: str(each["name"]) for each in whole.get("categories") or []}
    except (ValueError, RecursionError) as error:
        raise InvalidFile(
            f"{path} is damaged or not JSON", given=str(error), expected=_EXPECTED
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidFile(f"{path} is not a COCO file", expected=_EXPECTED) from error
    if not (_are_objects(images) and _are_objects(annotations)):
        raise InvalidFile(f"{path} is not a COCO file", expected=_EXPECTED)
    return images, annotations, names


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _example(
    folder: Path,
    name: str,
    entry: Mapping[str, Any],
    annotations: list[Mapping[str, Any]],
    names: Mapping[Any, str],
    environment: Environment,
) -> Example:
    file = _picture(folder, name, environment)
    most, names_files = environment.max_image_pixels, environment.readable is None
    kept = example_file(file, max_pixels=most, names=names_files)
    row = parse_row({"file_name": name, **(entry.get("nodegraph") or {})})
    things = [each for each in annotations if "bbox" in each]
    boxes = tuple(parse_box(_category(each, names), each["bbox"]) for each in things)
    labels = {box.label for box in boxes}
    captions = [str(each["caption"]) for each in annotations if each.get("caption")]
    return Example(
        kept,
        Path(name).stem,
        row.caption or (captions[0] if captions else ""),
        row.tags,
        row.label or (labels.pop() if len(labels) == 1 else ""),
        row.split or "train",
        _mask(things, kept.width, kept.height),
        boxes,
        repeats=row.repeats,
        weight=row.weight,
    )


def _category(annotation: Mapping[str, Any], names: Mapping[Any, str]) -> str:
    number = annotation.get("category_id")
    if number is not None and names and number not in names:
        raise ValueError(f"a box has category {number}, which is not in the list of categories")
    return names.get(number, "")


def _picture(folder: Path, name: str, environment: Environment) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InvalidFile("it is outside the dataset's folder")
    candidates = (folder / name, folder / _PICTURES / name)
    file = next((each for each in candidates if each.is_file()), candidates[0])
    if not is_readable(str(file), environment):
        raise InvalidFile("reading it is not allowed")
    return file


def _mask(annotations: list[Mapping[str, Any]], width: int, height: int) -> Tensor | None:
    import torch

    parts = [
        decode_segmentation(each["segmentation"], width, height)
        for each in annotations
        if each.get("segmentation")
    ]
    if not parts:
        return None
    whole = parts[0].copy()
    for part in parts[1:]:
        whole |= part
    return torch.from_numpy(whole).float()


def picture_paths(path: Path) -> Iterator[Path]:
    """The images that a COCO file may name; none if it can't be read."""
    try:
        images, _, _ = _parsed(path)
    except NodegraphError:
        return
    for entry in images:
        name = str(entry.get("file_name", ""))
        if name and not Path(name).is_absolute() and ".." not in Path(name).parts:
            yield path.parent / name
            yield path.parent / _PICTURES / name
