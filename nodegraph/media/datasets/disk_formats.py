"""Datasets on disk: load any supported format, save as a numbered folder.

Shards are tar files as WebDataset has them: ``0001.png``, ``0001.txt``, ``0001.cls`` and
``0001.json`` are an image, its caption, the number of its class, and its other metadata.
Source: github.com/webdataset/webdataset.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.digests import digest_value
from nodegraph.core.file_access import is_readable
from nodegraph.core.manifest import MANIFEST, WORKFLOW
from nodegraph.core.training_values import Dataset, Example
from nodegraph.errors import InvalidFile, InvalidValue, OutputError, at_port
from nodegraph.media.datasets.coco import (
    ANNOTATIONS,
    SegmentForm,
    coco_files,
    picture_paths,
    read_coco,
)
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folders import FolderOptions, find_files, read_folder
from nodegraph.media.datasets.image_folder import (
    TableRow,
    example_metadata,
    file_stems,
    image_folder_files,
    mask_png,
    parse_row,
    picture_bytes,
    resize_for_training,
)
from nodegraph.media.images.input_files import MEDIA_TYPES, matching_paths, missing_file_error
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.output_files import check_inside
from nodegraph.media.images.output_names import check_name

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.context import Environment

SourceFormat = Literal["auto", "folder", "coco", "webdataset"]
_SHARD = (".tar", ".tgz", ".tar.gz")


def load_dataset(
    pattern: str,
    environment: Environment,
    options: FolderOptions,
    faults: DatasetFaults,
    format: SourceFormat = "auto",
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Dataset:
    """The dataset that a path stands for.

    Args:
        pattern: A folder of images, of shards or with an ``annotations.json``; a JSON file; a tar
            file; or a pattern of images or tar files.
        options: Of folders of images.
        on_progress: Told how much of how much was looked at.
    Raises:
        InvalidFile: There is no such thing, nothing in it can be used, or something can't and is to
            be refused.
    """
    with at_port("path"):
        kind, files = detect_source(pattern, environment, format)
        if kind == "coco":
            return read_coco(files[0], environment, faults, on_progress)
        if kind == "webdataset":
            most = environment.max_image_pixels
            return read_shards(files, faults, on_progress, max_pixels=most)
        return read_folder(pattern, environment, options, faults, on_progress)


def detect_source(
    pattern: str, environment: Environment, format: SourceFormat = "auto"
) -> tuple[SourceFormat, list[Path]]:
    """The form of what a path stands for, and its files; none of a folder of images.

    Raises:
        InvalidFile: There is no such thing, or it isn't of the form that is asked for.
    """
    try:
        path = environment.inputs / Path(pattern).expanduser()
    except RuntimeError as error:
        raise InvalidFile(f"{pattern} cannot be read: {error}") from None
    is_pattern = any(sign in pattern for sign in "*?[")
    try:
        if not is_pattern and not path.exists():
            raise missing_file_error(path, names=environment.readable is None)
    except OSError as error:  # such as a name that is longer than names can be
        raise InvalidFile(f"{path} cannot be read: {error.strerror or error}") from error
    if format in ("auto", "coco"):
        table = path / ANNOTATIONS if path.is_dir() else path
        if table.suffix == ".json" and table.is_file():
            return "coco", [table]
    if format in ("auto", "webdataset"):
        shards = list(_shards(pattern, path, environment))
        if shards:
            return "webdataset", shards
    if format in ("coco", "webdataset"):
        wanted = ANNOTATIONS if format == "coco" else "tar files"
        raise InvalidFile(f"{pattern} holds no {wanted}", port="path")
    return "folder", []


def _shards(pattern: str, path: Path, environment: Environment) -> Iterator[Path]:
    paths = [path] if path.is_file() else sorted(matching_paths(pattern, environment))
    for each in paths:
        if each.name.endswith(_SHARD) and each.is_file() and is_readable(str(each), environment):
            yield each


def source_files(
    pattern: str,
    environment: Environment,
    *,
    format: SourceFormat = "auto",
    recursive: bool = True,
    mask_suffix: str = "_mask",
) -> Iterator[Path]:
    """Every file that `load_dataset` reads, to see whether one changes.

    Raises:
        InvalidFile: There is no such thing.
    """
    kind, files = detect_source(pattern, environment, format)
    if kind == "folder":
        yield from find_files(
            pattern, environment, recursive=recursive, mask_suffix=mask_suffix
        ).all
        return
    yield from files
    if kind == "coco":
        yield from (path for path in picture_paths(files[0]) if path.is_file())


DatasetFormat = Literal["image folder", "coco", "webdataset"]
CARD = "dataset.json"
"""The file that says what a folder holds, and by which workflow it was made."""
_MOST = 100_000


class SavedDataset(NamedTuple):
    """A dataset on disk.

    Attributes:
        files: What others begin reading at: tables, annotations or shards; last the card.
        pictures: How many there are.
        existed: A folder with the same was there already, and was left as it is.
    """

    folder: Path
    files: tuple[Path, ...]
    pictures: int
    existed: bool


def save_dataset(
    dataset: Dataset,
    outputs: Path,
    name: str,
    format: DatasetFormat,
    *,
    resized: bool = False,
    segments: SegmentForm = "rle",
    per_shard: int = 1000,
    texts: Mapping[str, str] | None = None,
    on_progress: Callable[[int], object] = lambda files: None,
) -> SavedDataset:
    """Write a dataset into a folder of its own, with the next free number.

    Args:
        outputs: Everything stays inside.
        name: What the folder's name begins with; may have sub-folders.
        resized: At the sizes that images are learned from, instead of as they are.
        segments: How masks are written, in COCO.
        per_shard: Examples in a file, of WebDataset.
        texts: See `core.context.Context.file_metadata`; the card has them as JSON values.
        on_progress: Told how many files are written.
    Raises:
        InvalidFile: A file of the dataset is missing, damaged, or has changed.
        InvalidValue: There are no examples, or the name leads out of the folder or can't be a
            file's.
        OutputError: No permission, no space.
    """
    check_name(name)
    if not dataset.examples:
        # A folder of none is nothing that any tool reads, and looks as if all went well.
        raise InvalidValue(
            "the dataset has no examples to write",
            port="dataset",
            hint="Put a DatasetReport before this node to see what is left.",
        )
    stem = outputs / name
    digest = digest_value([format, resized, segments, per_shard, dataset])
    try:
        carried = _values(texts or {})
        same = digest, _kept(carried)
        known = next((each for each in _existing_folders(stem) if _identity(each) == same), None)
        if known is not None:
            return _saved(known, dataset, existed=True)
        stem.parent.mkdir(parents=True, exist_ok=True)
        check_inside(outputs, stem)
        written = resize_for_training(dataset) if resized else dataset
        files = _files(written, format, segments, per_shard)
        card = {
            "format": format,
            "name": dataset.name,
            "examples": len(dataset.examples),
            "labels": list(dataset.labels),
            "digest": digest,
            **carried,
        }
        folder = _write(stem, files, json.dumps(card), on_progress)
    except OSError as error:
        raise OutputError(f"cannot write to {stem.parent}: {error.strerror or error}") from error
    return _saved(folder, dataset, existed=False)


def _values(texts: Mapping[str, str]) -> dict[str, Any]:
    """Texts of a file as values of the card: JSON where they are JSON."""
    plain = {MANIFEST, WORKFLOW}
    return {name: json.loads(text) if name in plain else text for name, text in texts.items()}


def _files(
    dataset: Dataset, format: DatasetFormat, segments: SegmentForm, per_shard: int
) -> Iterator[tuple[str, bytes]]:
    if format == "coco":
        return coco_files(dataset, segments)
    if format == "webdataset":
        return shard_files(dataset, per_shard)
    return image_folder_files(dataset)


def _existing_folders(stem: Path) -> Iterator[Path]:
    """Folders of that name that are there."""
    for number in range(1, _MOST):
        folder = stem.with_name(f"{stem.name}_{number:05}")
        if not folder.exists():
            return
        yield folder


def _kept(card: Mapping[str, Any]) -> tuple[bool, ...]:
    """Which texts a card has, as settings decide it: others do not make another dataset."""
    manifest = card.get(MANIFEST)
    is_cut = isinstance(manifest, dict) and bool(manifest.get("embedded_digest"))
    return WORKFLOW in card, MANIFEST in card, is_cut


def _identity(folder: Path) -> tuple[str, tuple[bool, ...]] | None:
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return (card.get("digest", ""), _kept(card)) if isinstance(card, dict) else None


def _write(
    stem: Path, files: Iterator[tuple[str, bytes]], card: str, on_progress: Callable[[int], object]
) -> Path:
    # Under another name until all is there: nobody takes a part for the whole.
    part = Path(mkdtemp(prefix=".dataset-", dir=stem.parent))
    try:
        for number, (name, content) in enumerate(files, 1):
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            on_progress(number)
        (part / CARD).write_text(card, "utf-8")
        part.chmod(0o755)
        for number in range(1, _MOST):
            folder = stem.with_name(f"{stem.name}_{number:05}")
            if not folder.exists():
                part.rename(folder)
                return folder
        raise OutputError(f"there are too many folders named {stem.name} in {stem.parent}")
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _saved(folder: Path, dataset: Dataset, *, existed: bool) -> SavedDataset:
    wanted = ("*/metadata.jsonl", "annotations.json", "*.tar", CARD)
    files = tuple(path for pattern in wanted for path in sorted(folder.glob(pattern)))
    return SavedDataset(folder, files, len(dataset.examples), existed)


_LARGEST_MEMBER = 2**28
"""Bytes of a member."""
_MOST_MEMBERS = 1_000_000
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
                if number >= _MOST_MEMBERS:
                    raise InvalidFile(f"{path} holds more than {_MOST_MEMBERS:,} members")
                folder, _, name = entry.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                if not entry.isfile() or not stem or not suffix:
                    continue
                if entry.size > _LARGEST_MEMBER:
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
