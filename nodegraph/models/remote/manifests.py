"""Manifests of remote models (files and digests), and pushing a model to object storage."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from blake3 import blake3

from nodegraph.core.weight_files import FOREIGN, GGUF, HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.diffusers_folder import unsafe
from nodegraph.store.remote.object_storage import ObjectStorage, Unreachable
from nodegraph.weights.gguf_files import read_gguf_header
from nodegraph.weights.safetensors_header import read_header

_STEP = 8 << 20
_LARGEST_SMALL = 64 << 20
"""Bytes of a file that comes whole with the outline: a large vocabulary's has 33 MB."""
LeftOut = Callable[[str], None]
"""Is told of each file that isn't put there."""


def push_model(
    name: str,
    path: Path,
    store: ObjectStorage,
    on_file: PushCallback = lambda file, is_new: None,
    left_out: LeftOut = lambda name: None,
) -> ModelManifest:
    """Put a file or folder there. What is there already isn't brought again, so a push that was
    broken off goes on where it was; nobody sees the model before all of it is there.

    Pickle files of a folder are left out, as nobody is to open what came over a network, and what
    only other frameworks read: all but weights comes whole as soon as a model is looked at.

    Raises:
        UnsafeFile: It is a pickle file.
        InvalidValue: Its name is none that all systems have.
        InvalidFile: A file can't be read, is damaged, or was changed meanwhile; or the place can't
            be reached.
    """
    if not is_safe_name(name):
        raise InvalidValue(
            "a remote model cannot have this name",
            given=name,
            expected="a path below the models folder, of plain names with forward slashes",
        )
    if path.is_file() and file_suffix(path) in PICKLES:
        raise unsafe(path)
    files = []
    try:
        for place_in_model, each in _files(name, path):
            if not _is_wanted(each):
                left_out(place_in_model)
                continue
            file = _described(place_in_model, each)
            is_new = store.size(file.object) != file.bytes
            if is_new:
                store.upload(file.object, each)
            files.append(file)
            on_file(file, is_new)
        if not files:
            raise InvalidFile(f"{path} holds no files that can be uploaded")
        manifest = ModelManifest(name, tuple(files))
        store.write(manifest_name(name), manifest.packed())
    except Unreachable as error:
        raise InvalidFile(
            f"cannot upload {name} to the remote models at {store.url}: {error}",
            hint="Try again: files that are already there are not uploaded again.",
        ) from error
    except OSError as error:
        raise InvalidFile(f"cannot read {error.filename or path}: {error.strerror}") from error
    return manifest


def _files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    """All files of a model, by their paths below the folder of models."""
    if path.is_file():
        yield name, path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for each in sorted(names):
            file = Path(folder, each)
            if not each.startswith("."):
                yield f"{name}/{file.relative_to(path).as_posix()}", file


def _is_wanted(path: Path) -> bool:
    if file_suffix(path) in HEADED:
        return True
    is_weights = file_suffix(path) in PICKLES | FOREIGN
    return not is_weights and path.stat().st_size <= _LARGEST_SMALL


def _described(name: str, path: Path) -> RemoteModelFile:
    before = path.stat()
    head = _head(path, before.st_size)
    whole, digest, beginning, done = hashlib.sha256(), blake3(), blake3(), 0
    with path.open("rb") as file:
        while chunk := file.read(_STEP):
            whole.update(chunk)
            digest.update(chunk)
            beginning.update(chunk[: max(0, head - done)])
            done += len(chunk)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (done, before.st_mtime_ns):
        raise InvalidFile(f"{path} was changed while it was read", hint="Try again.")
    return RemoteModelFile(
        name, done, whole.hexdigest(), digest.hexdigest(), head, beginning.hexdigest()
    )


def _head(path: Path, size: int) -> int:
    """Bytes that tell what a file holds; a damaged one isn't put anywhere."""
    if file_suffix(path) == SAFETENSORS:
        read_header(path)
        with path.open("rb") as file:
            return 8 + int.from_bytes(file.read(8), "little")
    if file_suffix(path) == GGUF:
        return min((start for start, _ in read_gguf_header(path).offsets.values()), default=size)
    return size


MANIFESTS = "manifests"
"""Folder of the place."""
_FORMAT = "nodegraph-model/1"


@dataclass(frozen=True, slots=True)
class RemoteModelFile:
    """A file of a remote model.

    Attributes:
        path: Below the folder of models, so it begins with the model's name.
        bytes: Of the whole.
        sha256: What its object is named by, and is checked against.
        digest: blake3, by which results know it.
        head: Bytes at its beginning that tell what is in it; all of them of a small file.
        head_digest: blake3 of those.
    """

    path: str
    bytes: int
    sha256: str
    digest: str
    head: int
    head_digest: str

    @property
    def object(self) -> str:
        """Its name at the place: equal files of several models lie there once."""
        return f"files/{self.sha256[:2]}/{self.sha256}"

    @property
    def is_small(self) -> bool:
        """Whether it isn't weights, and so comes with the outline."""
        return file_suffix(PurePosixPath(self.path)) not in HEADED


PushCallback = Callable[[RemoteModelFile, bool], None]
"""Is told of each file that is there now, and whether it had to be brought."""


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """A remote model.

    Attributes:
        name: What workflows call it.
    """

    name: str
    files: tuple[RemoteModelFile, ...]

    def packed(self) -> bytes:
        """As it lies at the place."""
        content = {"format": _FORMAT, "name": self.name, "files": [*map(asdict, self.files)]}
        return json.dumps(content, indent=1, sort_keys=True).encode()


def manifest_name(name: str) -> str:
    """Of the object that tells of a model."""
    return f"{MANIFESTS}/{name}.json"


def is_safe_name(name: str) -> bool:
    """Whether a name is a path that stays below where it starts, on every system."""
    parts = name.split("/")
    return all(part.strip(". ") and not part.startswith(".") for part in parts) and not any(
        sign in name for sign in "\\:\0"
    )


_DEVICES = re.compile(
    r"(^|/)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³]) *(\.|/|$)", re.IGNORECASE
)
"""Names that mean a device on Windows."""


def check_name(name: str) -> str:
    """Return a name that stays below the models folder on every system.

    Raises:
        InvalidValue: It does not.
    """
    is_plain = name.isprintable() and len(name) <= 400 and not set(name) & set('<>"|?*')
    # Windows drops such ends, so that two names would mean one file.
    is_exact = all(part == part.rstrip(". ") for part in name.split("/"))
    if not (is_plain and is_exact and is_safe_name(name)) or _DEVICES.search(name):
        raise InvalidValue(
            "a model cannot have this name",
            given=ascii(name[:80]),
            expected="a path below the models folder, of plain names with forward slashes",
        )
    return name


def parse_manifest(data: bytes, name: str | None, url: str) -> ModelManifest:
    """What the object of a model tells.

    Args:
        name: That it must be of; any if None.

    Raises:
        InvalidFile: It is damaged, or names files outside of the model.
    """
    try:
        content: dict[str, Any] = json.loads(data)
        model = str(content["name"])
        if content["format"] != _FORMAT or name not in (None, model):
            raise ValueError("it has another format or belongs to another model")
        files = tuple(_file(model, entry) for entry in content["files"])
        if not files:
            raise ValueError("it lists no files")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidFile(
            f"the manifest of the remote model {name or ''} at {url} is damaged: {error}",
            hint="Upload the model again: nodegraph models --push",
        ) from error
    return ModelManifest(model, files)


def _file(name: str, entry: dict[str, Any]) -> RemoteModelFile:
    far_file = RemoteModelFile(**entry)
    is_inside = far_file.path == name or far_file.path.startswith(f"{name}/")
    if not (is_inside and is_safe_name(far_file.path)):
        raise ValueError(f"{far_file.path!r} is not a path inside it")
    for digest in (far_file.sha256, far_file.digest, far_file.head_digest):
        if len(digest) != 64 or int(digest, 16) < 0:
            raise ValueError(f"{digest!r} is not a digest")
    if not 0 <= far_file.head <= far_file.bytes:
        raise ValueError(f"{far_file.path} states a header of {far_file.head} bytes")
    return far_file
