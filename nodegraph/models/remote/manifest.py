"""What a remote model consists of: its files with their digests, as whoever put it there noted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from nodegraph.errors import InvalidFile
from nodegraph.weights.file_kinds import HEADED, file_suffix

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
            raise ValueError("it is of another form or model")
        files = tuple(_file(model, entry) for entry in content["files"])
        if not files:
            raise ValueError("it names no files")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidFile(
            f"the manifest of the remote model {name or ''} at {url} is damaged: {error}",
            hint="Put the model there again: nodegraph models --push",
        ) from error
    return ModelManifest(model, files)


def _file(name: str, entry: dict[str, Any]) -> RemoteModelFile:
    far_file = RemoteModelFile(**entry)
    is_inside = far_file.path == name or far_file.path.startswith(f"{name}/")
    if not (is_inside and is_safe_name(far_file.path)):
        raise ValueError(f"{far_file.path!r} is no path within it")
    for digest in (far_file.sha256, far_file.digest, far_file.head_digest):
        if len(digest) != 64 or int(digest, 16) < 0:
            raise ValueError(f"{digest!r} is no digest")
    if not 0 <= far_file.head <= far_file.bytes:
        raise ValueError(f"{far_file.path} claims a header of {far_file.head} bytes")
    return far_file
