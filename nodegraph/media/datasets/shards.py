"""Datasets as WebDataset has them: tar files whose members of one name make an example.

``0001.png``, ``0001.txt``, ``0001.cls`` and ``0001.json`` are an image, its caption, the number of
its class, and all that is said of it. The libraries of that name read what is written here.
Source: github.com/webdataset/webdataset.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.training_values import Dataset, Example
from nodegraph.errors import InvalidFile
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.image_folder import (
    TableRow,
    example_metadata,
    file_stems,
    mask_png,
    parse_row,
    picture_bytes,
)
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.picture_folders import MEDIA_TYPES

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 2**28
"""Bytes of a member."""
_MOST = 1_000_000
_MASK = "mask.png"


def shard_files(dataset: Dataset, per_shard: int = 1000) -> Iterator[tuple[str, bytes]]:
    """The shards of a dataset: ``train-00000.tar``, …; one has so many examples at most."""
    labels = {label: number for number, label in enumerate(dataset.labels)}
    named = list(zip(dataset.examples, file_stems(dataset.examples), strict=True))
    for split in ("train", "validation", "test"):
        members = [pair for pair in named if pair[0].split == split]
        for number, start in enumerate(range(0, len(members), per_shard)):
            part = members[start : start + per_shard]
            yield f"{split}-{number:05}.tar", _shard(part, labels)


def _shard(members: list[tuple[Example, str]], labels: Mapping[str, int]) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as shard:
        for example, stem in members:
            for suffix, content in _parts(example, labels):
                # Neither time nor owner: equal examples make equal files.
                entry = tarfile.TarInfo(f"{stem}.{suffix}")
                entry.size = len(content)
                shard.addfile(entry, BytesIO(content))
    return buffer.getvalue()


def _parts(example: Example, labels: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    suffix, content = picture_bytes(example)
    yield suffix.removeprefix("."), content
    if example.caption:
        yield "txt", example.caption.encode("utf-8", "replace")
    if example.label:
        yield "cls", str(labels[example.label]).encode()
    row = {**example_metadata(example), "split": example.split, "name": example.name}
    yield "json", json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
    mask = mask_png(example)
    if mask is not None:
        yield _MASK, mask


class _Members(NamedTuple):
    """What a shard holds of an example, by suffix."""

    key: str
    parts: dict[str, bytes]


def read_shards(
    paths: list[Path],
    faults: DatasetFaults,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    *,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Dataset:
    """The dataset of shards. Its images are held in memory.

    Nothing is unpacked to where a member's name says: names only tell what belongs together.

    Args:
        max_pixels: Of an image.
    Raises:
        InvalidFile: One is no tar file, nothing in them can be used, or something can't and is
            to be refused.
        InvalidValue: The images take more memory than there is.
    """
    examples: list[Example] = []
    held = 0
    for at, path in enumerate(paths):
        for members in _samples(path, faults):
            with faults.collect(f"{path.name}: {members.key}"):
                example = _example(members, max_pixels)
                width, height = example.size
                held += 16 * width * height
                check_memory(width, height, len(examples) + 1, held, port="path")
                examples.append(example)
        on_progress(at + 1, len(paths))
    faults.check(len(examples), paths[0].name if len(paths) == 1 else paths[0].parent.name)
    return Dataset(tuple(examples), paths[0].stem if len(paths) == 1 else paths[0].parent.name)


def _samples(path: Path, faults: DatasetFaults) -> Iterator[_Members]:
    """Members that follow each other and are called alike up to the first dot."""
    members: _Members | None = None
    try:
        with tarfile.open(path, "r:*") as shard:
            for number, entry in enumerate(shard):
                if number >= _MOST:
                    raise InvalidFile(f"{path} holds more than {_MOST:,} members")
                folder, _, name = entry.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                if not entry.isfile() or not stem or not suffix:
                    continue
                if entry.size > _LARGEST:
                    faults.add(f"{path.name}: {entry.name}", "it is too large")
                    continue
                key = f"{folder}/{stem}".lstrip("/.")
                if members is None or members.key != key:
                    if members is not None:
                        yield members
                    members = _Members(key, {})
                opened = shard.extractfile(entry)
                if opened is not None:
                    members.parts[suffix.lower()] = opened.read()
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        # For files that are none, tarfile has a line for each kind of compression.
        message = str(error).partition(":\n")[0]
        raise InvalidFile(f"{path} is damaged or not a tar file: {message}") from error
    if members is not None:
        yield members


def _example(members: _Members, max_pixels: int) -> Example:
    parts = members.parts
    suffix = next((each for each in parts if f".{each}" in MEDIA_TYPES), None)
    if suffix is None:
        raise InvalidFile("there is no image", given=", ".join(sorted(parts)))
    row = _sample_row(parts, members.key)
    picture = _decoded(parts[suffix], suffix, max_pixels)
    mask = None
    if _MASK in parts:
        mask = _decoded(parts[_MASK], "png", max_pixels)[..., :3].mean(-1)
    if mask is not None and mask.shape != picture.shape[:2]:
        raise InvalidFile("its mask has another size")
    caption = row.caption
    if caption is None and "txt" in parts:
        caption = parts["txt"].decode("utf-8", "replace").strip()
    label = row.label
    if label is None and "cls" in parts:
        label = parts["cls"].decode("utf-8", "replace").strip()
    return Example(
        picture,
        row.file,
        caption or "",
        row.tags,
        label or "",
        row.split or "train",
        mask,
        row.boxes,
        repeats=row.repeats,
        weight=row.weight,
    )


def _sample_row(parts: Mapping[str, bytes], key: str) -> TableRow:
    try:
        document: Any = json.loads(parts["json"]) if "json" in parts else {}
        if not isinstance(document, dict):
            raise ValueError("it is not a JSON object")
        return parse_row({**document, "file_name": str(document.get("name") or key)})
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidFile(f"its metadata cannot be read: {error}") from error


def _decoded(data: bytes, suffix: str, max_pixels: int) -> Tensor:
    """An image, shape (height, width, 3 or 4)."""
    import torch

    from nodegraph.media.images.images import read_image

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"picture.{suffix}"
        path.write_bytes(data)
        try:
            colors, hidden = read_image(path, max_pixels=max_pixels)
        except InvalidFile as error:
            message = error.problem.message.replace(str(path), "its image")
            raise InvalidFile(message, given=error.problem.given) from error
    if hidden.any():
        colors = torch.cat([colors, 1 - hidden[..., None]], -1)
    return colors[0]
