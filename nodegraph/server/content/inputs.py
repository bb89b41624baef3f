"""What lies in the inputs folder: files that the operator put there for workflows to read."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nodegraph.core.confinement import is_readable
from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.media.images.picture_folders import MEDIA_TYPES
from nodegraph.server.content.files.confined import ConfinedFolder
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.sending import OpenFile
from nodegraph.server.http.types import ANY, SUFFIXES

_MOST = 1_000
"""Files that are told of, the newest."""
_MOST_LOOKED_AT = 100_000
_TYPES = {
    **{suffix: kind for kind, suffix in SUFFIXES.items()},
    **MEDIA_TYPES,
    ".mov": "video/quicktime",
    ".m4v": "video/mp4",
    ".txt": "text/plain",
    ".sft": "application/vnd.safetensors",
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the inputs folder.

    Attributes:
        path: Below the folder, with ``/``: what an input of a workflow that takes a file is given.
        size: Bytes.
        modified: Unix time.
    """

    path: str
    size: int
    modified: float

    @property
    def media_type(self) -> str:
        """By its suffix."""
        return media_type_of(self.path)


def media_type_of(path: str) -> str:
    """What a file is, by its suffix."""
    return _TYPES.get(PurePosixPath(path).suffix.lower(), ANY)


def newest_inputs(environment: Environment) -> list[InputFile]:
    """The newest files below the inputs folder, the newest first.

    Hidden ones are left out, as is what workflows may not read; links are not followed.
    """
    files = _files(environment)
    return heapq.nlargest(_MOST, files, key=lambda file: (file.modified, file.path))


def _files(environment: Environment) -> Iterator[InputFile]:
    root, looked = str(environment.inputs), 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if not is_readable(folder, environment):
            folders.clear()
            continue
        for name in names:
            looked += 1
            if looked > _MOST_LOOKED_AT:
                return
            file = None if name.startswith(".") else _file(root, Path(folder, name))
            if file is not None:
                yield file


def _file(root: str, path: Path) -> InputFile | None:
    try:
        status = path.lstat()
        name = path.relative_to(root).as_posix()
        name.encode()  # What is no text can't be named in a workflow.
    except (OSError, UnicodeEncodeError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return InputFile(name, status.st_size, status.st_mtime)


def open_input(environment: Environment, path: str) -> OpenFile:
    """A file of the inputs folder; its digest changes with the file's size and time.

    Raises:
        NotFound: There is none that may be read.
    """
    parts = path.split("/")
    is_hidden = any(part.startswith(".") for part in parts)
    try:
        if is_hidden or not is_readable(str(environment.inputs.joinpath(*parts)), environment):
            raise FileNotFoundError(path)
        file = ConfinedFolder(environment.inputs).open(*parts)
    except (OSError, ValueError):
        raise NotFound(
            "there is no such file in the inputs folder", given=ascii(path[:80])
        ) from None
    status = os.fstat(file.fileno())
    state = f"{path}\n{status.st_size}\n{status.st_mtime_ns}\n{status.st_ino}"
    return OpenFile(file, status.st_size, digest_bytes(state.encode()))
