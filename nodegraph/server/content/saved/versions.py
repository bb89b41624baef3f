"""The versions of saved workflows: numbered files that are never changed."""

from __future__ import annotations

import re
from functools import lru_cache

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.server.content.files.confined import Confined
from nodegraph.server.content.saved.entries import Version

FOLDER = ".versions"
LARGEST = 64 << 20
"""Bytes of a workflow's text."""
_NAME = re.compile(r"(\d{6,9})\.json")
_REMEMBERED = 10_000


class Versions:
    """The versions of all workflows in a folder.

    Args:
        folder: Of the saved workflows.
        most: Versions of one workflow that are kept; the oldest go.
    """

    def __init__(self, folder: Confined, *, most: int) -> None:
        self._folder = folder
        self._most = most
        # Numbers are given once, so a file of a name, number and time of writing stays the same.
        self._digest = lru_cache(maxsize=_REMEMBERED)(self._digest_of)

    def numbers(self, name: str) -> list[int]:
        """Of the versions of a workflow, the oldest first."""
        found = map(_NAME.fullmatch, self._folder.names(FOLDER, name))
        return sorted(int(match[1]) for match in found if match)

    def all(self, name: str) -> list[Version]:
        """The versions of a workflow, the newest first."""
        found = (self.one(name, number) for number in reversed(self.numbers(name)))
        return [version for version in found if version is not None]

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
        found = self.one(name, number)
        assert found is not None
        return found

    def remove(self, name: str) -> None:
        """Delete all versions of a workflow."""
        self._folder.remove_folder(FOLDER, name)

    def _digest_of(self, name: str, number: int, time: int) -> Digest:
        return digest_bytes(self.read(name, number))


def _file(number: int) -> str:
    return f"{number:06}.json"
