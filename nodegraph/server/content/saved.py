"""Saved workflows by name, with all their versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.json_text import read_json
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import format_size
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.server.content.files.safe_files import ConfinedFolder, check_name, is_name, name_key
from nodegraph.server.http.errors import Conflict, NotFound, TooLarge
from nodegraph.server.http.responses import check_limit
from nodegraph.store.claims import exclusive_lock

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
        versions = (self.version(name, number) for number in reversed(self.numbers(name)))
        return [version for version in versions if version is not None]

    def version(self, name: str, number: int) -> Version | None:
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
        return self.version(name, numbers[-1]) if numbers else None

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
        version = self.version(name, number)
        assert version is not None
        return version

    def remove(self, name: str) -> None:
        """Delete all versions of a workflow."""
        self._folder.remove_folder(FOLDER, name)

    def _digest_of(self, name: str, number: int, time: int) -> Digest:
        return digest_bytes(self.read(name, number))


def _file(number: int) -> str:
    return f"{number:06}.json"


LARGEST_PAGE = 1000
SUFFIX = ".json"
_TURNS = ".changes-lock"
"""File by which servers take turns; a backup leaves it out."""

Check = Callable[[str | None], None]
"""Is given the digest of what is there, None if nothing is, and raises if that isn't expected."""


def _anything(_: str | None) -> None:
    """Whatever is there may be changed."""


class SavedWorkflows:
    """A folder of workflow files, each under its name; safe to use from several threads, and by
    several servers, on machines that have it mounted, too.

    The files are those that the command line runs, and may be changed by hand or kept in git: what
    a file says counts, and a change from outside becomes a version like any other.

    Args:
        folder: Made if it isn't there.
        most: Workflows that there may be.
        most_versions: Of one workflow; the oldest go.
    """

    def __init__(self, folder: Path, *, most: int = 10_000, most_versions: int = 1_000) -> None:
        self._folder = ConfinedFolder(folder.absolute())
        self._versions = Versions(self._folder, most=most_versions)
        self._most = most
        # Readers take it as well, as they may find a change from outside, and note it.
        self._lock = RLock()
        self._has_turn = False
        self._entries: dict[str, tuple[tuple[int, ...], SavedEntry]] = {}

    def get(self, name: str, version: int | None = None) -> SavedWorkflow:
        """A saved workflow.

        Args:
            version: Number of the one that is wanted; the newest if not given.
        Raises:
            NotFound: There is none of that name, or number.
            InvalidFile: Its file can't be read.
        """
        with self._using(name):
            data, current = self._current(name)
            if version is None or version == current.number:
                return SavedWorkflow(name, current, _text(name, data))
            older = self._versions.version(name, version) if version > 0 else None
            if older is None:
                raise NotFound(
                    f"`{name}` has no such version",
                    given=str(version),
                    expected=f"one of the last versions, up to {current.number}",
                )
            return SavedWorkflow(name, older, _text(name, self._versions.read(name, version)))

    def versions(self, name: str) -> list[Version]:
        """The versions of a saved workflow, the newest first.

        Raises:
            NotFound: There is none of that name.
        """
        with self._using(name):
            self._current(name)
            return self._versions.all(name)

    def put(
        self, name: str, workflow: Workflow, check: Check = _anything
    ) -> tuple[SavedWorkflow, bool]:
        """Save a workflow; how it is kept, and whether there was none of that name.

        What it says already makes no new version.

        Raises:
            InvalidValue: It can't have this name.
            Conflict: Some file system takes the name for that of another one.
            TooLarge: There are too many, or it is too long.
            OutputError: It can't be written.
        """
        check_name(name)
        text = workflow.to_json()
        data = text.encode()
        if len(data) > LARGEST:
            raise TooLarge("the workflow is too large", expected=f"at most {format_size(LARGEST)}")
        with self._using(name), self._turn():
            known = self._known(name)
            check(None if known is None else known.digest)
            if known is not None and known.digest == digest_bytes(data):
                return SavedWorkflow(name, known, text), False
            if known is None:
                self._check_new(name)
            # In this order, a crash in between leaves what looks like a change from outside.
            self._folder.write(data, f"{name}{SUFFIX}")
            return SavedWorkflow(name, self._versions.add(name, data), text), known is None

    def delete(self, name: str, check: Check = _anything) -> None:
        """Delete a saved workflow with all its versions.

        Raises:
            NotFound: There is none of that name.
        """
        with self._using(name):
            self._there(name)
            with self._turn():
                check(self._current(name)[1].digest)
                self._folder.remove(f"{name}{SUFFIX}")
                self._versions.remove(name)
                self._entries.pop(name, None)

    def names(self) -> list[str]:
        """Of all saved workflows, sorted."""
        files = (file for file in self._folder.names() if file.endswith(SUFFIX))
        stems = (file.removesuffix(SUFFIX) for file in files)
        return sorted(name for name in stems if is_name(name))

    def page(self, *, text: str = "", limit: int = 100, after: str | None = None) -> SavedPage:
        """A page of the saved workflows, by name.

        Args:
            text: A part of the name, title or description, whatever the case of its letters.
            after: `SavedPage.next` of the page before; None for the first.
        Raises:
            InvalidValue: The limit is no number of workflows.
        """
        check_limit(limit, LARGEST_PAGE)
        wanted = text.casefold()
        entries: list[SavedEntry] = []
        for name in self.names():
            if after is not None and name <= after:
                continue
            entry = self._entry(name)
            if entry is None or not _matches(entry, wanted):
                continue
            if len(entries) == limit:
                return SavedPage(tuple(entries), entries[-1].name)
            entries.append(entry)
        return SavedPage(tuple(entries), None)

    @contextmanager
    def _using(self, name: str) -> Iterator[None]:
        """Inside, no other thread changes what is saved."""
        with self._lock, _readable(name):
            yield

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Inside, no other server does either. Only inside of `_using`."""
        if self._has_turn:
            yield
            return
        with exclusive_lock(self._folder.root / _TURNS, "the saved workflows"):
            self._has_turn = True
            try:
                yield
            finally:
                self._has_turn = False

    def _current(self, name: str) -> tuple[bytes, Version]:
        """What a workflow's file says, and which version that is."""
        data = self._there(name)
        newest = self._versions.newest(name)
        if newest is None or newest.digest != digest_bytes(data):
            with self._turn():
                # Another server may have been between the two.
                data = self._there(name)
                newest = self._versions.newest(name)
                if newest is None or newest.digest != digest_bytes(data):
                    # By hand, by git, or by a server just before a crash.
                    newest = self._versions.add(name, data)
        return data, newest

    def _there(self, name: str) -> bytes:
        data = self._read(name)
        if data is None:
            raise NotFound(
                "there is no such saved workflow",
                given=ascii(name[:80]),
                hint=did_you_mean(name, self.names()) or "No workflow is saved yet.",
            )
        return data

    def _known(self, name: str) -> Version | None:
        try:
            return self._current(name)[1]
        except NotFound:
            return None

    def _read(self, name: str) -> bytes | None:
        if not is_name(name):
            return None
        try:
            with _readable(name):
                data = self._folder.read(f"{name}{SUFFIX}", limit=LARGEST)
        except FileNotFoundError:
            return None
        if len(data) > LARGEST:
            raise InvalidFile(f"the file of the saved workflow `{name}` is too large")
        return data

    def _check_new(self, name: str) -> None:
        names = self.names()
        if len(names) >= self._most:
            raise TooLarge("there are too many saved workflows", expected=f"at most {self._most}")
        key = name_key(name)
        like = next((other for other in names if name_key(other) == key and other != name), None)
        if like is not None:
            raise Conflict(
                "on some systems this is the name of another saved workflow",
                given=name,
                expected=f"another name than `{like}`",
            )

    def _entry(self, name: str) -> SavedEntry | None:
        """A workflow as it is listed; None if it is gone by now."""
        status = self._folder.status(f"{name}{SUFFIX}")
        if status is None:
            return None
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        kept = self._entries.get(name)
        if kept is None or kept[0] != stamp:
            kept = self._entries[name] = stamp, self._described(name, status.st_mtime)
        return kept[1]

    def _described(self, name: str, saved: float) -> SavedEntry:
        data = b""
        try:
            data = self._read(name) or b""
            workflow = Workflow.from_json(_text(name, data))
        except NodegraphError as error:
            return SavedEntry(name, saved, digest_bytes(data), problem=error.problem.message)
        return SavedEntry(
            name,
            saved,
            digest_bytes(data),
            workflow.title,
            workflow.description,
            tuple(workflow.parameters),
            len(workflow.nodes),
        )


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"the file of `{name}` is not UTF-8 text") from error


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidFile(
            f"the file of the saved workflow `{name}` cannot be read: {error.strerror or error}"
        ) from error


def _matches(entry: SavedEntry, wanted: str) -> bool:
    return any(wanted in part.casefold() for part in (entry.name, entry.title, entry.description))
