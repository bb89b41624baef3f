"""A dataset as files of a folder that others read: Hugging Face's ImageFolder, and torchvision's.

``train/cat/tom.png`` with ``train/metadata.jsonl``; `read_folder` reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nodegraph.core.dataset_values import Dataset, Example
from nodegraph.datasets.files import box_numbers, file_stems, mask_file, picture_file, safe_name

MASKS = "masks"
"""Where masks lie: among the pictures, others would take them for such."""


def image_folder_files(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    """The files of an ImageFolder: their paths in it, and what they hold."""
    lines: dict[str, list[str]] = {}
    for example, stem in zip(dataset.examples, file_stems(dataset.examples), strict=True):
        folder = f"{safe_name(example.label)}/" if example.label else ""
        suffix, content = picture_file(example)
        yield f"{example.split}/{folder}{stem}{suffix}", content
        row: dict[str, Any] = {"file_name": f"{folder}{stem}{suffix}", **said_of(example)}
        mask = mask_file(example)
        if mask is not None:
            place = f"{MASKS}/{example.split}/{folder}{stem}.png"
            row["mask_file_name"] = f"../{place}"
            yield place, mask
        lines.setdefault(example.split, []).append(json.dumps(row, ensure_ascii=False))
    for split, rows in lines.items():
        yield f"{split}/metadata.jsonl", "".join(f"{row}\n" for row in rows).encode()


def said_of(example: Example) -> dict[str, Any]:
    """What is said of an example, as `nodegraph.datasets.tables` reads it; what isn't is left out.

    Captions always stand there: others take a table in which one is missing for damaged.
    """
    found: dict[str, Any] = {"text": example.caption}
    if example.label:
        found["label"] = example.label
    if example.tags:
        found["tags"] = list(example.tags)
    if example.boxes:
        found["objects"] = {
            "bbox": [box_numbers(box) for box in example.boxes],
            "categories": [box.label for box in example.boxes],
        }
    if example.repeats != 1:
        found["repeats"] = example.repeats
    if example.weight != 1:
        found["weight"] = example.weight
    return found
