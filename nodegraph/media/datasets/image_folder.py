"""A dataset as files of a folder that others read: Hugging Face's ImageFolder, and torchvision's.

``train/cat/tom.png`` with ``train/metadata.jsonl``; `read_folder` reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nodegraph.core.dataset_values import Dataset, Example
from nodegraph.media.datasets.files import (
    box_to_xywh,
    file_stems,
    mask_png,
    picture_bytes,
    safe_name,
)

MASKS = "masks"
"""Where masks lie: in a folder of a split, others would take them for pictures."""


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
