"""Datasets as COCO has them: pictures, and one JSON file of boxes, masks and captions.

Source: cocodataset.org, "Data format". What it has no place for (split, tags, weight) is in each
image's own entry, under names that other readers pass over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nodegraph.core.confinement import is_readable
from nodegraph.core.dataset_values import Dataset, Example, LabeledBox
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.files import box_to_xywh, file_stems, picture_bytes
from nodegraph.media.datasets.image_folder import example_metadata
from nodegraph.media.datasets.pictures import example_file, load_mask
from nodegraph.media.datasets.segments import decode_segmentation, encode_rle, mask_to_polygons
from nodegraph.media.datasets.tables import parse_box, parse_row, read_text

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.context import Environment

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
    from nodegraph.media.datasets.making import mask_box

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
    """The dataset of a COCO file; its pictures lie beside it, or in a folder ``images`` there.

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
                raise InvalidFile(f"what is said of it can't be read: {error}") from error
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
            f"{path} is damaged, or no JSON.", given=str(error), expected=_EXPECTED
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidFile(f"{path} is no COCO file.", expected=_EXPECTED) from error
    if not (_are_objects(images) and _are_objects(annotations)):
        raise InvalidFile(f"{path} is no COCO file.", expected=_EXPECTED)
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
        raise ValueError(f"a box is of category {number}, which isn't among the categories")
    return names.get(number, "")


def _picture(folder: Path, name: str, environment: Environment) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InvalidFile("it leads out of the dataset's folder")
    candidates = (folder / name, folder / _PICTURES / name)
    file = next((each for each in candidates if each.is_file()), candidates[0])
    if not is_readable(str(file), environment):
        raise InvalidFile("it may not be read here")
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
    """The pictures that a COCO file may name; none if it can't be read."""
    try:
        images, _, _ = _parsed(path)
    except NodegraphError:
        return
    for entry in images:
        name = str(entry.get("file_name", ""))
        if name and not Path(name).is_absolute() and ".." not in Path(name).parts:
            yield path.parent / name
            yield path.parent / _PICTURES / name
