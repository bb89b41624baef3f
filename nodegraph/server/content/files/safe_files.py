"""Clients' files on disk: safe file names, and a folder that no path leads out of.

A name may contain nothing that looks like a separator, a dot or an empty string in any Unicode
form, because a file system, a terminal or an archive may change the form.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidValue, OutputError

LONGEST = 200
"""Bytes in UTF-8; most file systems take 255, a suffix and what marks a temporary file included."""

_MARKS = frozenset(" -_.()+,=@'!&")
"""All that may stand in a name besides letters, the marks on them, and digits. No ``~``: it stands
in the short names of Windows; nor ``$``, ``%``, ``:``, ``;`` and quotes, which somebody expands."""
_CATEGORIES = ("L", "M", "Nd")
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]")
"""Letters and marks that show nothing; those beyond the basic plane are refused by number."""
_INVISIBLE_PLANE = 0xE0000
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in range(10)}
)
"""Windows opens a device instead of a file of that name, whatever its suffix."""


def client_folder(client: str) -> str:
    """The name of a client's own folder: a digest, as names of clients may be any."""
    return str(digest_bytes(client.encode("utf-8", "surrogatepass")))[:32]


def check_name(name: str) -> None:
    """Refuse a text that isn't safe as the name of a file, on any platform.

    Raises:
        InvalidValue: It says why, and which name would do.
    """
    fault = _fault(name)
    if fault:
        nearest = safe_name(name)
        raise InvalidValue(
            f"this is not a valid name: {fault}",
            given=ascii(name[:80]),
            expected=f"letters, digits, spaces and {' '.join(sorted(_MARKS - {' '}))}",
            hint=f"Use the name `{nearest}`." if nearest != "unnamed" else None,
        )


def is_name(name: str) -> bool:
    """Whether a text is safe as the name of a file."""
    return not _fault(name)


def name_key(name: str) -> str:
    """The same for names that some file system, or some reader, takes for one another."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def safe_name(name: str, *, longest: int = LONGEST) -> str:
    """A safe name that is like another one, which may be anything: a path, a page's address.

    Args:
        longest: Bytes in UTF-8.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", _whole(name)))[-1]
    text = unicodedata.normalize("NFC", "".join(map(_or_underscore, last)))
    text = _without_ends(_cut(text, longest))
    if _is_device(text):
        text = f"_{_cut(text, longest - 1)}"
    return text if text and not _fault(text) else "unnamed"


def _fault(name: str) -> str:
    """What is wrong with a name; empty if nothing is."""
    if not name:
        return "it is empty"
    if name != unicodedata.normalize("NFC", _whole(name)):
        return "it is not in Unicode's composed form (NFC)"
    for text in dict.fromkeys((name, unicodedata.normalize("NFKC", name))):
        wrong = next((letter for letter in text if not _is_allowed(letter)), None)
        if wrong is not None:
            return f"{wrong!a} is not allowed in it"
        if text != _without_ends(text):
            return "it begins with a dot, dash, space or mark, or ends with a dot or space"
        if _is_device(text):
            return "it is the name of a device on Windows"
    if len(name.encode()) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return ""


def _whole(name: str) -> str:
    """The text without halves of characters, which nothing can write."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


def _is_allowed(letter: str) -> bool:
    if letter in _MARKS:
        return True
    if ord(letter) >= _INVISIBLE_PLANE or _INVISIBLE.match(letter):
        return False
    return unicodedata.category(letter).startswith(_CATEGORIES)


def _or_underscore(letter: str) -> str:
    return letter if _is_allowed(letter) else "_"


def _without_ends(text: str) -> str:
    """The text without what may not stand at its beginning or end."""
    text = text.rstrip(" .")
    at = 0
    while at < len(text) and (text[at] in " .-" or unicodedata.category(text[at])[0] == "M"):
        at += 1
    return text[at:]


def _is_device(text: str) -> bool:
    return text.split(".")[0].rstrip(" ").upper() in _DEVICES


def _cut(text: str, longest: int) -> str:
    """The beginning of a text, of whole characters."""
    return text.encode()[:longest].decode(errors="ignore")


_BY_DESCRIPTOR = {os.open, os.stat, os.unlink, os.mkdir, os.rename, os.rmdir} <= os.supports_dir_fd
"""Whether each part of a path can be opened from the folder before it. Where it can't (Windows),
the path is resolved and compared first."""
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_FOLLOW
# A pipe would make the opening wait for whoever writes to it.
_READ = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)


class UnsafePath(OSError):
    """A link, a device or the like stands where a file or folder was to be."""


@dataclass(frozen=True, slots=True)
class _FolderHandle:
    """A folder to work in: its descriptor, or its path with a separator where there are none."""

    descriptor: int | None
    prefix: str

    def open(self, name: str, flags: int) -> int:
        return os.open(self.prefix + name, flags, 0o600, dir_fd=self.descriptor)

    def status(self, name: str) -> os.stat_result:
        return os.stat(self.prefix + name, dir_fd=self.descriptor, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        os.unlink(self.prefix + name, dir_fd=self.descriptor)

    def rename(self, old: str, new: str) -> None:
        os.replace(
            self.prefix + old,
            self.prefix + new,
            src_dir_fd=self.descriptor,
            dst_dir_fd=self.descriptor,
        )


class ConfinedFolder:
    """The files below a folder, each named by the parts of its path.

    Only files and folders proper are reached; a symbolic link, at the end or on the way, isn't
    followed. The folder's own path may have links in it: it is the operator's.

    Args:
        root: The folder; need not be there yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, *parts: str) -> BinaryIO:
        """A file, to read.

        Raises:
            FileNotFoundError: There is none.
            UnsafePath: It is no file, or something on the way is no folder.
            OSError: It can't be read.
        """
        with self._opened_folder(parts[:-1]) as folder, _links_refused():
            descriptor = folder.open(_checked(parts[-1]), _READ)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise UnsafePath(errno.EINVAL, "it is not a file", parts[-1])
                return os.fdopen(descriptor, "rb", buffering=0)
            except BaseException:
                os.close(descriptor)
                raise

    def read(self, *parts: str, limit: int) -> bytes:
        """A file's bytes.

        Args:
            limit: Bytes; of a larger one, no more than one byte more is read.
        Raises:
            OSError: See `open`.
        """
        with self.open(*parts) as file:
            content = bytearray()
            while len(content) <= limit and (chunk := file.read(limit + 1 - len(content))):
                content += chunk
            return bytes(content)

    def write(self, data: bytes, *parts: str) -> None:
        """Put a file there in one step, in place of one of that name; folders are made.

        Raises:
            OutputError: It can't be written.
        """
        with self.new(*parts[:-1]) as file:
            file.write(data)
            file.commit(parts[-1])

    @contextmanager
    def new(self, *parts: str) -> Iterator[NewFile]:
        """A new file in a folder, which is made; gone at the end, unless it was kept.

        Raises:
            OutputError: It can't be written.
        """
        try:
            with self._opened_folder(parts, make=True) as folder:
                name = f".{os.urandom(8).hex()}.tmp"
                with os.fdopen(folder.open(name, _NEW), "w+b", buffering=0) as file:
                    made = NewFile(file, folder, name)
                    try:
                        yield made
                    finally:
                        if not made.is_committed:
                            # On Windows an open file can't be removed.
                            file.close()
                            with suppress(FileNotFoundError):
                                folder.unlink(name)
        except OSError as error:
            reason = error.strerror or str(error)
            where = self.root.joinpath(*parts)
            raise OutputError(f"cannot write to {where}: {reason}", hint=_mend(error)) from error

    def names(self, *parts: str) -> list[str]:
        """Names of what is in a folder, sorted; none if it isn't there."""
        try:
            with self._opened_folder(parts) as folder:
                where = folder.prefix or "." if folder.descriptor is None else folder.descriptor
                with os.scandir(where) as entries:
                    return sorted(entry.name for entry in entries)
        except FileNotFoundError:
            return []

    def entries(self, *parts: str) -> list[tuple[str, os.stat_result]]:
        """Names and states of what is in a folder, sorted; a link's own state.

        Raises:
            OSError: There is no such folder.
        """
        with self._opened_folder(parts) as folder:
            where = folder.prefix or "." if folder.descriptor is None else folder.descriptor
            states = []
            with os.scandir(where) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # it was removed meanwhile
                        states.append((entry.name, entry.stat(follow_symlinks=False)))
            return sorted(states, key=lambda item: item[0])

    def status(self, *parts: str) -> os.stat_result | None:
        """What is known of a file; None if there is no file proper."""
        try:
            with self._opened_folder(parts[:-1]) as folder:
                file_status = folder.status(_checked(parts[-1]))
        except OSError:
            return None
        return file_status if stat.S_ISREG(file_status.st_mode) else None

    def remove(self, *parts: str) -> bool:
        """Remove a file, or a link that stands in its place; whether there was one."""
        try:
            with self._opened_folder(parts[:-1]) as folder:
                folder.unlink(_checked(parts[-1]))
        except FileNotFoundError:
            return False
        return True

    def remove_folder(self, *parts: str) -> None:
        """Remove a folder with the files in it."""
        for name in self.names(*parts):
            self.remove(*parts, name)
        with suppress(FileNotFoundError), self._opened_folder(parts[:-1]) as folder:
            os.rmdir(folder.prefix + _checked(parts[-1]), dir_fd=folder.descriptor)

    @contextmanager
    def _opened_folder(
        self, parts: tuple[str, ...], *, make: bool = False
    ) -> Iterator[_FolderHandle]:
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        if not _BY_DESCRIPTOR:
            yield _FolderHandle(None, f"{self._resolved(parts, make=make)}{os.sep}")
            return
        descriptor = os.open(self.root, _FOLDER & ~_NO_FOLLOW)
        try:
            for part in map(_checked, parts):
                with _links_refused():
                    inner = _entered(descriptor, part, make=make)
                descriptor, outer = inner, descriptor
                os.close(outer)
            yield _FolderHandle(descriptor, "")
        finally:
            os.close(descriptor)

    def _resolved(self, parts: tuple[str, ...], *, make: bool) -> Path:
        root = self.root.resolve(strict=True)
        folder = root.joinpath(*map(_checked, parts))
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        if folder.resolve(strict=True) != folder:
            raise UnsafePath(errno.ELOOP, "a link points outside the folder", str(folder))
        return folder


class NewFile:
    """A file that is being written under a temporary name.

    Attributes:
        size: Bytes written so far.
        is_committed: Whether it has its final name.
    """

    def __init__(self, file: BinaryIO, folder: _FolderHandle, name: str) -> None:
        self.file = file
        self.size = 0
        self.is_committed = False
        self._place = folder
        self._name = name

    def write(self, data: bytes) -> None:
        """Append bytes; all of them."""
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[self.file.write(remaining) :]
        self.size += len(data)

    def commit(self, name: str, *, synced: bool = True) -> None:
        """Give it its name, in place of a file that has it.

        Args:
            synced: Whether it is to survive a power cut.
        """
        if synced:
            os.fsync(self.file.fileno())
        if self._place.descriptor is None:
            self.file.close()
        self._place.rename(self._name, _checked(name))
        self.is_committed = True
        if synced and self._place.descriptor is not None:
            os.fsync(self._place.descriptor)  # the name, too


def _entered(descriptor: int, part: str, *, make: bool) -> int:
    """The folder of a name within another one."""
    try:
        return os.open(part, _FOLDER, dir_fd=descriptor)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=descriptor)
    return os.open(part, _FOLDER, dir_fd=descriptor)


@contextmanager
def _links_refused() -> Iterator[None]:
    """Tell a link, where none is followed, from other faults."""
    try:
        yield
    except UnsafePath:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK):
            raise UnsafePath(error.errno, "a link points outside the folder") from error
        raise


def _checked(part: str) -> str:
    """A part of a path that names something in its folder, and nothing else.

    What comes from clients was checked long before; this is for what wasn't.
    """
    if part in ("", ".", "..") or "/" in part or "\0" in part or (os.sep != "/" and os.sep in part):
        raise UnsafePath(errno.EINVAL, "this is not a valid file name", ascii(part))
    return part


def _mend(error: OSError) -> str | None:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return "Free some space on its disk; nothing was partly written."
    return None
