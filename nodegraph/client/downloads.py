"""Resumable downloads: partial files, digests and target paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from blake3 import blake3

from nodegraph.client.answers import unexpected_answer
from nodegraph.client.errors import WrongDigest
from nodegraph.client.request_fields import AnyFile
from nodegraph.client.requests import Reply
from nodegraph.client.shapes import Job, OutputFile
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, OutputError

_STEP = 1 << 20
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)")
# Half a surrogate pair is no character, and no file system takes it.
_UNSAFE = re.compile(r'[\ud800-\udfff\x00-\x1f\x7f-\x9f<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$|clock\$)", re.IGNORECASE)
_LONGEST = 180
"""Bytes in UTF-8. Most file systems allow 255, and the name of a partial file is longer."""

Progress = Callable[[int, int], None]
"""Called with the received and the total number of bytes."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A downloaded output file of a job.

    Attributes:
        existed: Whether the same file already existed.
    """

    path: Path
    file: OutputFile
    existed: bool


class PartialFile:
    """The received part of a file that is being downloaded.

    It stays if the download is interrupted, and the next download resumes from it.

    Args:
        target: Path of the complete file.
        on_progress: Called with the number of received bytes, from any thread.
    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(
        self, file: AnyFile, target: Path, on_progress: Callable[[int], None] | None = None
    ) -> None:
        self._file = file
        self._target = target
        self._on_progress = on_progress
        self._path = target.with_name(f".{target.name}.{file.digest[:16]}.part")
        self._hash = blake3()
        self.size = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not through a link that another user may have put there.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            flags |= getattr(os, "O_BINARY", 0)
            self._open = os.fdopen(os.open(self._path, flags, 0o666), "r+b")
        except OSError as error:
            raise _unwritable(target, error) from error
        self.was_begun = self._read()

    def _read(self) -> bool:
        """Read an earlier part; return whether there is one."""
        while data := self._open.read(_STEP):
            self._hash.update(data)
            self.size += len(data)
        return self.size > 0

    @property
    def is_whole(self) -> bool:
        """Whether all bytes of the file are received."""
        return self.size == self._file.size

    @property
    def headers(self) -> dict[str, str]:
        """Request headers for the rest of the file."""
        # Uncompressed: a part of data that a proxy has compressed cannot be used.
        headers = {"Accept-Encoding": "identity"}
        if self.size:
            headers |= {"Range": f"bytes={self.size}-", "If-Range": f'"{self._file.digest}"'}
        return headers

    def begin(self, answer: Reply) -> bool:
        """Return whether an answer, by its head, contains the rest of the file or all of it."""
        if answer.status == 200:
            self.restart()
            return True
        if answer.status != 206:
            return False
        match = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if match is None or int(match[1]) != self.size:
            raise unexpected_answer(answer)
        return True

    def restart(self) -> None:
        """Discard the received bytes."""
        self._open.seek(0)
        self._open.truncate()
        self._hash = blake3()
        self.size = 0
        self.was_begun = False

    def write(self, data: bytes) -> None:
        """Write received bytes.

        Raises:
            OutputError: They cannot be written.
            WrongDigest: There are more bytes than the file has.
        """
        if self.size + len(data) > self._file.size:
            self.restart()
            raise self._wrong("it is larger than the file that the job wrote")
        try:
            self._open.write(data)
        except OSError as error:
            raise _unwritable(self._target, error) from error
        self._hash.update(data)
        self.size += len(data)
        if self._on_progress is not None:
            self._on_progress(self.size)

    def commit(self) -> None:
        """Move the complete file to its target.

        Raises:
            WrongDigest: It differs from what the job wrote; it is discarded.
            OutputError: It cannot be moved there.
        """
        if self._hash.hexdigest() != self._file.digest:
            self.restart()
            raise self._wrong("it differs from the file that the job wrote")
        try:
            self._open.flush()
            os.fsync(self._open.fileno())
            self._open.close()
            self._path.replace(self._target)
        except OSError as error:
            raise _unwritable(self._target, error) from error

    def close(self) -> None:
        """Close the partial file; an empty one is removed."""
        try:
            self._open.close()
        finally:
            if not self.size:
                self._path.unlink(missing_ok=True)

    def _wrong(self, why: str) -> WrongDigest:
        return WrongDigest(
            f"{self._file.name} was not saved: {why}",
            expected=f"{self._file.size} bytes, blake3 {self._file.digest}",
            hint="Try again. If the error stays, the server or a proxy in front of it changes the "
            "file.",
        )


def _unwritable(target: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {target}: {error.strerror or error}")


def output_files(job: Job, nodes: Collection[str] | None) -> list[OutputFile]:
    """Return the output files of a job, or only those of some nodes.

    Raises:
        JobFailed: The job failed or was cancelled.
        InvalidValue: The job has not ended, or a node wrote no file.
    """
    if not job.checked().is_over:
        raise InvalidValue(
            "the job has not finished, so it has no files",
            given=f"{job.id}, {job.state}",
            hint="Wait for the job first.",
        )
    if nodes is None:
        return list(job.files)
    wrote = {file.node for file in job.files}
    for node in nodes:
        if node not in wrote:
            hint = did_you_mean(node, wrote) or None
            raise InvalidValue("no node of that name wrote a file", given=node, hint=hint)
    return [file for file in job.files if file.node in nodes]


def resolve_target(
    file: OutputFile, folder: Path, taken: dict[Path, str], *, overwrite: bool
) -> tuple[Path, bool]:
    """Return the target path of a file, and whether the same file is already there.

    If another file has its name, that file stays, and this one always gets the same second name.

    Args:
        taken: Digests of files that the same job has written there.
        overwrite: Replace the other file instead.
    Raises:
        OutputError: Both names are taken.
    """
    path = folder / safe_name(file.name)
    others = (path, path.with_name(f"{path.stem}-{file.digest[:8]}{path.suffix}"))
    for candidate in others:
        if taken.get(candidate) == file.digest:
            return candidate, True
        if candidate in taken:
            continue
        if not candidate.exists() and not candidate.is_symlink():
            return candidate, False
        if _is_same(candidate, file):
            return candidate, True
        if overwrite and candidate.is_file():
            return candidate, False
    raise OutputError(
        f"there are other files at {others[0]} and at {others[1]}",
        hint="Download into another folder.",
    )


def _is_same(path: Path, file: OutputFile) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        hasher = blake3()
        with path.open("rb") as opened:
            while data := opened.read(_STEP):
                hasher.update(data)
    except OSError:
        return False
    return hasher.hexdigest() == file.digest


def safe_name(name: str) -> str:
    """Return the last part of a name as a safe file name, without folders and not hidden."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    text = _UNSAFE.sub("_", last).lstrip(".-~ ").rstrip(". ")
    stem, dot, suffix = text.rpartition(".")
    if not dot:
        stem, suffix = text, ""
    room = _LONGEST - len(f"{dot}{suffix}".encode())
    text = f"{_cut(stem, max(room, 1))}{dot}{suffix}" if room > 0 else _cut(text, _LONGEST)
    if _DEVICES.fullmatch(text.split(".")[0].strip()):
        text = f"_{text}"
    return text or "unnamed"


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")
