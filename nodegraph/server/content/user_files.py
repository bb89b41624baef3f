"""Files that the clients of other tools' protocols keep: workflows, settings, style sheets.

Each client has a folder of its own. A path is texts with slashes between them, as the client names
its files; a part that is no safe file name on every platform is stored escaped.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import quote, unquote

from nodegraph.core.json_text import read_json
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.server.content.files.safe_files import (
    ConfinedFolder,
    UnsafePath,
    client_folder,
    is_name,
)
from nodegraph.server.http.errors import Conflict, Forbidden, NotFound, Refused, TooLarge

FOLDER = "user_files"
"""In the home folder."""
SETTINGS_FILE = "comfy.settings.json"
LARGEST_FILE = 32 << 20
MOST_BYTES = 512 << 20
MOST_FILES = 10_000
_MOST_PARTS = 12
_LONGEST_PART = 200
_PLAIN = " _-()+,=@'!&."
_SHOWN = 80


class BadFilePath(Refused):
    """A path that names no file of a client."""

    code = "bad-path"


class FileExists(Conflict):
    """A file that is there and must not be replaced."""

    code = "file-exists"


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file.

    Attributes:
        path: From the client's own folder, with forward slashes.
        size: In bytes.
        modified, created: Unix time in seconds.
    """

    path: str
    size: int
    modified: float
    created: float


class UserFiles:
    """The files of all clients; safe to use from several threads.

    Args:
        folder: Has a folder for each client, named by a digest, as names of clients may be any.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = ConfinedFolder(folder)
        self._lock = RLock()

    def read(self, client: str, path: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            BadFilePath: It is no path of a file.
            NotFound: There is no such file.
        """
        try:
            return self._folder.read(*_stored(client, path), limit=LARGEST_FILE)
        except OSError:
            raise _not_found(path) from None

    def file(self, client: str, path: str) -> UserFile:
        """Return what is known of a file.

        Raises:
            NotFound: There is no such file.
        """
        entry = self._entry(_stored(client, path), path)
        if entry is None:
            raise _not_found(path)
        return entry

    def files(self, client: str, folder: str, *, recurse: bool) -> list[UserFile]:
        """Return the files in a folder, sorted by path.

        Args:
            folder: Empty for the client's own folder.
            recurse: Whether to include those of the folders in it.
        Raises:
            NotFound: There is no such folder.
        """
        parts = _stored(client, folder, is_folder=True)
        return sorted(self._walk(parts, folder, recurse), key=lambda entry: entry.path)

    def folders(self, client: str, folder: str) -> list[str]:
        """Return the paths of the folders in a folder, sorted; none if it isn't there."""
        try:
            entries = self._entries(_stored(client, folder, is_folder=True), folder)
        except NotFound:
            return []
        names = (name for name, status in entries if stat.S_ISDIR(status.st_mode))
        return sorted(_joined(folder, unquote(name)) for name in names)

    def write(self, client: str, path: str, data: bytes, *, overwrite: bool = True) -> UserFile:
        """Write a file in one step.

        Raises:
            BadFilePath: It is no path of a file, or a folder has this path.
            FileExists: It is there, and may not be replaced.
            TooLarge: It is too large, or the client has too many or too large files.
            OutputError: The disk refuses it.
        """
        parts = _stored(client, path)
        with self._lock:
            current = self._entry(parts, path)
            if current is not None and not overwrite:
                raise FileExists("there is already a file at this path", given=_shown(path))
            self._check_room(client, len(data), current)
            try:
                self._folder.write(data, *parts)
            except OutputError as error:
                if isinstance(error.__cause__, (UnsafePath, FileExistsError, IsADirectoryError)):
                    raise Forbidden(
                        "a file or folder is in the way of this path", given=_shown(path)
                    ) from error
                raise
        return self.file(client, path)

    def delete(self, client: str, path: str) -> None:
        """Delete a file, and the folders that are empty without it.

        Raises:
            NotFound: There is no such file.
        """
        with self._lock:
            self.file(client, path)
            self._remove(_stored(client, path))

    def move(self, client: str, path: str, target: str, *, overwrite: bool = True) -> UserFile:
        """Give a file another path.

        Raises:
            NotFound: There is no such file.
            FileExists: There is one at the new path, which may not be replaced.
        """
        source = _stored(client, path)
        with self._lock:
            if source == _stored(client, target):
                return self.file(client, path)
            data = self.read(client, path)
            # Written before it is removed: a crash leaves both rather than neither.
            moved = self.write(client, target, data, overwrite=overwrite)
            self._remove(source)
        return moved

    def settings(self, client: str) -> dict[str, Any]:
        """Return a client's settings; none of a damaged file."""
        try:
            document = read_json(self.read(client, SETTINGS_FILE).decode())
        except (NotFound, InvalidFile, UnicodeDecodeError):
            return {}
        return document if isinstance(document, dict) else {}

    def change_settings(self, client: str, changes: Mapping[str, Any]) -> None:
        """Set some of a client's settings; the others stay.

        Raises:
            TooLarge: They are too large.
        """
        with self._lock:
            merged = {**self.settings(client), **changes}
            text = json.dumps(merged, indent=4, allow_nan=False)
            self.write(client, SETTINGS_FILE, text.encode())

    def _check_room(self, client: str, size: int, current: UserFile | None) -> None:
        if size > LARGEST_FILE:
            raise TooLarge(
                "the file is too large",
                given=format_size(size),
                expected=f"at most {format_size(LARGEST_FILE)}",
            )
        files = self._all(client)
        count = len(files) + (current is None)
        total = sum(entry.size for entry in files) + size - (current.size if current else 0)
        if count > MOST_FILES or total > MOST_BYTES:
            raise TooLarge(
                "there is no room for more files of this client",
                given=f"{count:,} files, {format_size(total)}",
                expected=f"at most {MOST_FILES:,} files, and {format_size(MOST_BYTES)}",
                hint="Delete some first.",
            )

    def _all(self, client: str) -> list[UserFile]:
        try:
            return self.files(client, "", recurse=True)
        except NotFound:
            return []

    def _walk(self, parts: Sequence[str], folder: str, recurse: bool) -> Iterator[UserFile]:
        for name, status in self._entries(parts, folder):
            path = _joined(folder, unquote(name))
            if stat.S_ISREG(status.st_mode):
                yield _user_file(path, status)
            elif recurse and stat.S_ISDIR(status.st_mode) and len(parts) <= _MOST_PARTS:
                yield from self._walk([*parts, name], path, recurse)

    def _entries(self, parts: Sequence[str], folder: str) -> list[tuple[str, os.stat_result]]:
        """What is in a folder, by stored names: those that begin with dots are none of ours.

        Raises:
            NotFound: There is no such folder.
        """
        try:
            entries = self._folder.entries(*parts)
        except OSError:
            raise NotFound("there is no such folder", given=_shown(folder)) from None
        return [(name, status) for name, status in entries if not name.startswith(".")]

    def _entry(self, parts: Sequence[str], path: str) -> UserFile | None:
        status = self._folder.status(*parts)
        return None if status is None else _user_file(path, status)

    def _remove(self, parts: Sequence[str]) -> None:
        self._folder.remove(*parts)
        for count in range(len(parts) - 1, 1, -1):
            if self._folder.names(*parts[:count]):
                break
            self._folder.remove_folder(*parts[:count])


def _user_file(path: str, status: os.stat_result) -> UserFile:
    created = min(status.st_ctime, status.st_mtime)
    return UserFile(path, status.st_size, status.st_mtime, created)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _stored(client: str, path: str, *, is_folder: bool = False) -> list[str]:
    """Names on disk of a client's folder and the parts of a path.

    Raises:
        BadFilePath: It isn't a path of a file or folder within the client's folder.
    """
    key = client_folder(client)
    if is_folder and not path.strip("/"):
        return [key]
    parts = path.strip("/").split("/") if is_folder else path.split("/")
    if len(parts) > _MOST_PARTS:
        raise BadFilePath("the path has too many folders", expected=f"at most {_MOST_PARTS - 1}")
    return [key, *(_stored_name(part, path) for part in parts)]


def _stored_name(part: str, path: str) -> str:
    """The name of a file or folder on disk.

    Raises:
        BadFilePath: It names nothing in its folder.
    """
    is_plain = part.isprintable() and "\\" not in part and len(part.encode()) <= _LONGEST_PART
    if part in ("", ".", "..") or not is_plain:
        raise BadFilePath(
            "this is not a path of a file",
            given=_shown(path),
            expected=f"names of at most {_LONGEST_PART} bytes, with slashes between them",
        )
    if is_name(part):
        return part
    # No safe name has a percent sign: what is escaped is no other file's name.
    name = quote(part, safe=_PLAIN).replace("~", "%7E")
    if not (name[0].isalnum() or name[0] in "%_"):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name[-1] in ". ":
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    if not is_name(name.replace("%", "_")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_PART:
        raise BadFilePath("the name of the file is too long", given=_shown(path))
    return name


def _not_found(path: str) -> NotFound:
    return NotFound("there is no such file", given=_shown(path))


def _shown(path: str) -> str:
    return ascii(path[:_SHOWN])
