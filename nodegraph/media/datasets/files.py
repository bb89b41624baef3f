"""Examples as files: safe names, and the bytes of pictures and masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nodegraph.core.dataset_values import Dataset, Example, ExampleFile, LabeledBox
from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidFile
from nodegraph.media.datasets.augmenting import NO_AUGMENTATION
from nodegraph.media.datasets.pictures import load_mask
from nodegraph.media.datasets.reading import read_example, training_size
from nodegraph.media.images.room import check_memory

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
    """The same with pictures, masks and boxes at the sizes that they are learned from.

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
    """Suffix and bytes of an example's picture: those of its file, or a PNG.

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
        raise InvalidFile(f"can't read {file.path}: {error.strerror or error}") from error
    if digest_bytes(content) != file.digest:
        raise InvalidFile(f"{file.path} has changed since the dataset was made.")
    return content
