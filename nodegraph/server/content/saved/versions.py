"""What is known of saved workflows, and their versions: numbered files that are never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.json_text import read_json
from nodegraph.server.content.files.confined import ConfinedFolder

FOLDER = ".versions"
LARGEST = 64 << 20
"""Bytes of a workflow's text."""
_NAME = re.compile(r"(\d{6,9})\.json")
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Version:
    """A state of a saved workflow.

    Attributes:
        number: 1 is the first; grows with each change.
        digest: blake3 of its text.
        saved: Unix time.
        size: Bytes of its text.
    """

    number: int
    digest: Digest
    saved: float
    size: int


@dataclass(frozen=True)
class SavedWorkflow:
    """A saved workflow's text, in one of its versions."""

    name: str
    version: Version
    text: str

    @cached_property
    def document(self) -> Any:
        """What the text says.

        Raises:
            InvalidFile: It is no JSON, which only a file that was changed by hand can be.
        """
        return read_json(self.text, name=self.name)


@dataclass(frozen=True, slots=True)
class SavedEntry:
    """A saved workflow as it is listed.

    Attributes:
        saved: Unix time of the last change.
        digest: blake3 of its text.
        title, description: Its own.
        parameters: Names of its parameters.
        nodes: How many it has.
        problem: Why it can't be read; None if it can.
    """

    name: str
    saved: float
    digest: Digest
    title: str = ""
    description: str = ""
    parameters: tuple[str, ...] = ()
    nodes: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SavedPage:
    """Some saved workflows, by name.

    Attributes:
        next: Name after which the next page begins; None if this is the last.
    """

    entries: tuple[SavedEntry, ...]
    next: str | None


class Versions:
    """The versions of all workflows in a folder.

    Args:
        folder: Of the saved workflows.
        most: Versions of one workflow that are kept; the oldest go.
    """

    def __init__(self, folder: ConfinedFolder, *, most: int) -> None:
        self._folder = folder
        self._most = most
        # Numbers are given once, so a file of a name, number and time of writing stays the same.
        self._digest = lru_cache(maxsize=_REMEMBERED)(self._digest_of)

    def numbers(self, name: str) -> list[int]:
        """Of the versions of a workflow, the oldest first."""
        matches = map(_NAME.fullmatch, self._folder.names(FOLDER, name))
        return sorted(int(match[1]) for match in matches if match)

    def all(self, name: str) -> list[Version]:
        """The versions of a workflow, the newest first."""
        versions = (self.one(name, number) for number in reversed(self.numbers(name)))
        return [version for version in versions if version is not None]

    def one(self, name: str, number: int) -> Version | None:
        """A version; None if there is none of that number."""
        status = self._folder.status(FOLDER, name, _file(number))
        if status is None:
            return None
        digest = self._digest(name, number, status.st_mtime_ns)
        return Version(number, digest, status.st_mtime, status.st_size)

    def read(self, name: str, number: int) -> bytes:
        """A version's text.

        Raises:
            OSError: It can't be read.
        """
        return self._folder.read(FOLDER, name, _file(number), limit=LARGEST)

    def newest(self, name: str) -> Version | None:
        """The last version of a workflow; None if it has none."""
        numbers = self.numbers(name)
        return self.one(name, numbers[-1]) if numbers else None

    def add(self, name: str, data: bytes) -> Version:
        """Keep a text as the next version.

        Raises:
            OutputError: It can't be written.
        """
        numbers = self.numbers(name)
        number = numbers[-1] + 1 if numbers else 1
        self._folder.write(data, FOLDER, name, _file(number))
        for old in numbers[: max(len(numbers) + 1 - self._most, 0)]:
            self._folder.remove(FOLDER, name, _file(old))
        version = self.one(name, number)
        assert version is not None
        return version

    def remove(self, name: str) -> None:
        """Delete all versions of a workflow."""
        self._folder.remove_folder(FOLDER, name)

    def _digest_of(self, name: str, number: int, time: int) -> Digest:
        return digest_bytes(self.read(name, number))


def _file(number: int) -> str:
    return f"{number:06}.json"
