"""The list of what a backup holds, which is in the backup itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NAME = "backup.json"
"""Of the list in the archive."""
LARGEST = 1 << 30
"""Bytes of it."""

Size = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """A file.

    Attributes:
        path: Below the home folder, parted by slashes; its name in the archive too.
        size: Bytes.
        digest: blake3 of the bytes.
        modified: Nanoseconds since 1970.
        mode: Who may read and write it, as `chmod` has it.
    """

    path: str
    size: Size
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    modified: int
    mode: Annotated[int, Field(ge=0, le=0o777)]


class Manifest(_Part):
    """The list.

    Attributes:
        program: Version of nodegraph that wrote it.
        created: Unix time.
        home: Folder that it was made of.
        parts: Names in that folder that are in it with all they held, if they held anything.
        jobs: How many are in the queue.
        missing: Files that jobs or uploads refer to, and that were gone or changed.
        left_out: Files that can't be in it: links, devices, names that are no text.
    """

    format: Literal["nodegraph backup"] = "nodegraph backup"
    version: Literal[1] = 1
    program: str
    created: float
    home: str
    parts: list[str]
    files: list[FileEntry]
    jobs: Size
    missing: list[str]
    left_out: list[str]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)
