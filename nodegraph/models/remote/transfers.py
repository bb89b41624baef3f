"""Bring one file over HTTP: continued at the end of its part, retried, checked.

A part is continued only if it is of the same version of the file: the source states a digest, which
the whole file is compared with, or its strong validator (``ETag``) is that of the part.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from time import monotonic, time
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx

from nodegraph.core.weight_files import GGUF, HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.models.remote.download_plans import (
    BlockedAddress,
    DownloadError,
    DownloadPlan,
    PlannedFile,
    parse_count,
    refused_pickle,
)
from nodegraph.models.remote.guarded_http import UnknownHost, status_error

_LOG = logging.getLogger(__name__)
_STEP, _STEP_SECONDS = 256 << 10, 0.2
"""Bytes and seconds after which a transfer reports, whichever comes first."""
_START_BYTES = 16
_PORTS = {"https": 443, "http": 80}
_READ_STEP = 8 << 20
_SYNC_BYTES = 64 << 20
_LONGEST_PAUSE = 300.0
"""Seconds; if a source asks for a longer pause, the download fails and may be resumed later."""
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_LARGEST_HEADER = 512 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries after lost connections and answers of a busy source.

    Attributes:
        attempts: Attempts without a new byte after which a download fails, or waits.
        first_seconds: Pause before the second attempt; each further pause is twice as long.
        most_seconds: Longest pause, except where the source asks for a longer one.
        long_attempts: Further attempts of a download that waits for the connection.
        long_seconds: Longest pause between those.
    """

    attempts: int = 8
    first_seconds: float = 1.0
    most_seconds: float = 60.0
    long_attempts: int = 0
    long_seconds: float = 600.0

    def pause(self, failures: int, response: httpx.Response | None) -> float:
        """Seconds to wait after so many failures in a row."""
        seconds = (
            None if response is None else _retry_after(response.headers.get("Retry-After", ""))
        )
        if seconds is not None:
            return seconds
        most = self.most_seconds if failures < self.attempts else self.long_seconds
        return min(self.first_seconds * 2.0 ** min(failures - 1, 60), most)


def _retry_after(text: str) -> float | None:
    """Seconds of a header ``Retry-After``: a number, or a date."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None


class TransferReport(Protocol):
    """Where a transfer notes what it does, and asks whether it should continue."""

    def count(self, more: int) -> None:
        """Note that bytes have come, or that some are dropped."""

    def note(self, path: str, etag: str, synced: int) -> None:
        """Keep the validator of a part, and how many of its bytes are safely on the disk."""

    def noted(self, path: str) -> tuple[str, int]:
        """What `note` kept last; an empty text and 0 at first."""

    def check(self) -> None:
        """Raise an error if the transfer should stop."""

    def wait(self, seconds: float) -> None:
        """Wait, and raise an error as soon as the transfer should stop."""

    def lose_connection(self, reason: str) -> None:
        """Show that the transfer waits for the connection, until bytes come again."""


class FileTransfer:
    """The transfer of one file.

    Args:
        part: File that the bytes go to.
        token: Access token, sent to the address of the file and not to other hosts.
        sign_in: How to pass a token, for messages.
    """

    def __init__(
        self,
        client: httpx.Client,
        file: PlannedFile,
        part: Path,
        report: TransferReport,
        *,
        retries: RetryPolicy,
        token: str | None,
        sign_in: str,
        allow_pickle: bool,
    ) -> None:
        self._client = client
        self._file = file
        self._part = part
        self._report = report
        self._retries = retries
        self._token = token
        self._sign_in = sign_in
        self._allow_pickle = allow_pickle

    def run(self) -> str:
        """Bring the whole file into the part; its SHA-256.

        Raises:
            DownloadError: The source refuses, fails, or sends another file.
            InvalidFile: The file is damaged.
            UnsafeFile: It is a pickle file, and these are not allowed.
            OSError: It cannot be written.
        """
        file, part = self._file, self._part
        began = self._size()
        self._transfer()
        digest, git = file_digests(part, file, self._report)
        if began and not matches(file, digest, git):
            # What an earlier process left may be at fault, for example after a power failure.
            self._restart()
            self._transfer()
            digest, git = file_digests(part, file, self._report)
        if not matches(file, digest, git):
            size = self._size()
            self._restart()
            wanted = f"SHA-256 {file.sha256}" if file.sha256 else f"Git's SHA-1 {file.git_sha1}"
            raise DownloadError(
                f"the downloaded file {file.path} does not match the digest of its source",
                given=f"SHA-256 {digest}, {size} bytes",
                expected=wanted,
                hint="Try again. If it fails again, the source is damaged or has changed.",
            )
        _check_header(part, file, allow_pickle=self._allow_pickle)
        return digest

    def _transfer(self) -> None:
        """Bring what is missing of the part, with retries."""
        failures = 0
        while True:
            before, status = self._size(), 0
            busy: httpx.Response | None = None
            try:
                with ExitStack() as opened:
                    response = self._request(opened)
                    if response is None:
                        return
                    status = response.status_code
                    if status not in (200, 206):
                        busy = response
                        raise status_error(status, self._file.path, sign_in=self._sign_in)
                    if self._receive(response):
                        return
                    failures = 0
                    continue
            except BlockedAddress:
                raise
            except (httpx.TransportError, UnknownHost) as error:
                failures = 1 if self._size() > before else failures + 1
                self._check_attempts(failures, error)
            except DownloadError:
                failures += 1
                is_worth_it = status in _RETRIED and failures < self._retries.attempts
                if not is_worth_it or self._retries.pause(failures, busy) > _LONGEST_PAUSE:
                    raise
            except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
                raise DownloadError(f"{self._file.path} redirects in circles") from error
            self._report.wait(self._retries.pause(failures, busy))

    def _check_attempts(self, failures: int, error: Exception) -> None:
        """Fail after too many attempts, or show that the download waits for the connection.

        Raises:
            DownloadError: There were too many.
        """
        if failures < self._retries.attempts:
            return
        lost = f"the connection was lost in {self._file.path}: {error or type(error).__name__}"
        # A wrong certificate does not get right by waiting.
        is_passing = "CERTIFICATE_VERIFY_FAILED" not in str(error)
        if is_passing and failures < self._retries.attempts + self._retries.long_attempts:
            self._report.lose_connection(str(error) if isinstance(error, UnknownHost) else lost)
            return
        if isinstance(error, UnknownHost):
            raise error
        raise DownloadError(lost, hint="Try again: it continues where it was.") from error

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _restart(self) -> None:
        if self._part.exists():
            self._report.count(-self._size())
            self._part.unlink()

    def _request(self, opened: ExitStack) -> httpx.Response | None:
        """The response with the bytes from the end of the part on; None if nothing is missing."""
        file = self._file
        etag, _ = self._report.noted(file.path)
        done = self._usable()
        if file.has_digest and done == file.bytes and self._part.exists():
            return None  # without a digest, only the source can say whether it is still the file
        headers = {"Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if done:
            headers["Range"] = f"bytes={done}-"
            if etag:
                headers["If-Range"] = etag
        request = self._client.stream("GET", file.url, headers=headers)
        response = opened.enter_context(request)
        if response.status_code == 416:
            if response.headers.get("Content-Range") == f"bytes */{done}":
                return None
            # The part is longer than the file: it is of another version.
            self._restart()
            raise httpx.ReadError("the range does not exist", request=response.request)
        return response

    def _usable(self) -> int:
        """Cut the part to the bytes that may be continued, and return their number."""
        done, file = self._size(), self._file
        etag, synced = self._report.noted(file.path)
        most = done if file.has_digest else min(synced, done) if etag else 0
        if file.bytes is not None and most > file.bytes:
            most = 0
        if most < done:
            os.truncate(self._part, most)
            self._report.count(most - done)
        return most

    def _receive(self, response: httpx.Response) -> bool:
        """Write the bytes of a response behind those of the part; whether the file is whole."""
        file, at = self._file, self._size()
        if response.status_code == 200 and at:
            self._restart()  # the file has changed, or the source knows no ranges
            at = 0
        end = total = parse_count(response.headers.get("Content-Length", ""))
        if response.status_code == 206:
            start, end, total = _content_range(response)
            is_same = file.bytes is None or total in (None, file.bytes)
            if at and not file.has_digest:
                # Some sources ignore `If-Range`, and send a range of a newer file.
                is_same = is_same and _validator(response) == self._report.noted(file.path)[0]
            if start != at or not is_same:
                self._restart()
                raise httpx.ReadError("the source sent another range", request=response.request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise DownloadError(
                f"the source sends a web page instead of {file.path}",
                hint=f"The file may need a token. {self._sign_in}".strip(),
            )
        etag, synced = _validator(response), 0
        if at:
            synced = self._report.noted(file.path)[1]
        self._report.note(file.path, etag, synced)
        if file.bytes is not None and total not in (None, file.bytes):
            raise DownloadError(
                f"{file.path} has another size than its source states",
                given=f"{total} bytes",
                expected=f"{file.bytes} bytes",
            )
        whole = file.bytes if file.bytes is not None else end if total is None else total
        with self._part.open("ab") as target:
            here = self._write(response, target, at, whole, etag)
        if whole is None or here >= whole:
            return True
        if response.status_code == 206 and at < here == end:
            return False  # a source may send less than the range that it is asked for
        raise httpx.ReadError("it ended early", request=response.request)

    def _write(
        self, response: httpx.Response, target: BinaryIO, at: int, whole: int | None, etag: str
    ) -> int:
        """Write what comes until it ends; the size of the part then."""
        file, synced, counted, looked = self._file, at, at, 0.0
        # In the sizes in which it comes: a cut then loses nothing, and a slow line stops soon.
        chunks: Iterator[bytes] = response.iter_raw()
        try:
            for chunk in chunks if at else _with_start(chunks):
                if at == 0:
                    _check_start(chunk, file, allow_pickle=self._allow_pickle)
                target.write(chunk)
                at += len(chunk)
                if whole is not None and at > whole:
                    raise DownloadError(
                        f"{file.path} is larger than its source states",
                        expected=f"{whole} bytes",
                    )
                if at - synced >= _SYNC_BYTES:
                    self._sync(target, at, etag)
                    synced = at
                now = monotonic()
                if at - counted >= _STEP or now - looked >= _STEP_SECONDS:
                    more, counted, looked = at - counted, at, now
                    self._report.count(more)
                    self._report.check()
        finally:
            self._sync(target, at, etag)  # so that the next request continues here
            self._report.count(at - counted)
        return at

    def _sync(self, target: BinaryIO, at: int, etag: str) -> None:
        target.flush()
        os.fsync(target.fileno())
        if not self._file.has_digest:
            self._report.note(self._file.path, etag, at)


def file_digests(path: Path, file: PlannedFile, report: TransferReport) -> tuple[str, str]:
    """SHA-256 and Git's SHA-1 of a file; the latter only where the source states it."""
    whole = hashlib.sha256()
    git = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as source:
        while chunk := source.read(_READ_STEP):
            whole.update(chunk)
            if file.git_sha1 is not None:
                git.update(chunk)
            report.check()
    return whole.hexdigest(), git.hexdigest()


def matches(file: PlannedFile, sha256: str, git: str) -> bool:
    """Whether the digests are those that the source states, as far as it does."""
    if file.sha256 is not None:
        return file.sha256 == sha256
    return file.git_sha1 in (None, git)


def _content_range(response: httpx.Response) -> tuple[int | None, int | None, int | None]:
    """First byte, end and total size of a range."""
    unit, _, text = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = text.partition("/")
    start, _, last = span.partition("-")
    first, end = parse_count(start), parse_count(last)
    if unit != "bytes" or first is None or end is None:
        return None, None, None
    return first, end + 1, parse_count(total)


def _with_start(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes; the first chunk has enough of them to tell what they are."""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= _START_BYTES:
            break
    if start:
        yield start
    yield from chunks


def _validator(response: httpx.Response) -> str:
    """A strong validator of the file, for ``If-Range``; empty if there is none."""
    etag: str = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def _check_start(chunk: bytes, file: PlannedFile, *, allow_pickle: bool) -> None:
    """Refuse a file of weights whose first bytes are of something else.

    Raises:
        DownloadError: They are.
        UnsafeFile: They are of a pickle file, whatever the name says.
    """
    suffix = file_suffix(PurePosixPath(file.path))
    if suffix not in HEADED | PICKLES:
        return
    is_pickle = chunk.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04"))
    if is_pickle and suffix in PICKLES and allow_pickle:
        return
    if is_pickle:
        raise refused_pickle(file.path)
    length = int.from_bytes(chunk[:8], "little")
    is_headed = len(chunk) < 9 or (chunk[8:9] == b"{" and 2 <= length <= _LARGEST_HEADER)
    is_gguf = chunk[:4] == b"GGUF"[: len(chunk)]
    if (suffix == SAFETENSORS and is_headed) or (suffix == GGUF and is_gguf):
        return
    raise DownloadError(
        f"{file.path} is not what its name says",
        given=ascii(chunk[:16].decode("latin-1")),
        expected=f"a {suffix} file",
        hint="The source may have sent an error page. Open its page in a browser.",
    )


def _check_header(part: Path, file: PlannedFile, *, allow_pickle: bool) -> None:
    """Check the header of a whole file of weights.

    Raises:
        InvalidFile: It is damaged.
    """
    suffix = file_suffix(PurePosixPath(file.path))
    if suffix in PICKLES and not allow_pickle:
        raise refused_pickle(file.path)
    if suffix == SAFETENSORS:
        from nodegraph.weights.safetensors_header import read_header

        read_header(part)
    elif suffix == GGUF:
        from nodegraph.weights.gguf_files import read_gguf_header

        read_gguf_header(part)


def full_disk(plan: DownloadPlan) -> OutputError:
    """The error for a disk without room for the rest of a download."""
    return OutputError(
        f"the disk became full while {plan.name} was downloaded",
        hint="Free disk space, and resume the download: it continues where it was.",
    )


def disk_error(plan: DownloadPlan, error: OSError) -> OutputError:
    """The error for a disk that refuses to be written."""
    if error.errno in _NO_ROOM:
        return full_disk(plan)
    reason = error.strerror or error
    return OutputError(f"cannot write the download of {plan.name}: {reason}")


def is_of_source(plan: DownloadPlan, file: PlannedFile) -> bool:
    """Whether a file comes from where its plan does: a hub, or the address that was chosen.

    A token for the source must not go to whatever other host its answer names.
    """
    try:
        return _origin(file.url) in {_origin(each) for each in (plan.page, plan.source) if each}
    except ValueError:
        return False  # an answer may name anything


def _origin(url: str) -> tuple[str, str | None, int | None]:
    address = urlsplit(url)
    return address.scheme, address.hostname, address.port or _PORTS.get(address.scheme)


def public_source(source: str) -> str:
    """A source without the secrets that an address may have: its user and its query."""
    if "://" not in source:
        return source
    address = urlsplit(source)
    return urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2], query=""))


def take_cached(
    file: PlannedFile, target: Path, report: TransferReport, *, allow_pickle: bool
) -> str | None:
    """Use a file of the cache of `huggingface_hub` without copying it; its SHA-256.

    Returns None, and leaves no file, where the cache has another one than the source states.
    """
    if file.cached is None:
        return None
    try:
        _link_cached(Path(file.cached), target)
        digest, git = file_digests(target, file, report)
        if matches(file, digest, git):
            _check_header(target, file, allow_pickle=allow_pickle)
            report.count(target.stat().st_size)
            return digest
        reason = "it does not match the digest of its source"
    except (OSError, InvalidFile) as error:
        reason = str(error)
    _LOG.warning("%s is not used from the cache: %s", file.path, reason)
    target.unlink(missing_ok=True)
    return None


def _link_cached(cached: Path, target: Path) -> None:
    source = cached.resolve()
    try:
        os.link(source, target)
    except OSError:
        # On another disk, or a file system without hard links.
        target.symlink_to(source)


def move_into_folder(staged: Path, target: Path, room: Callable[[Path], int]) -> None:
    """Give a file or folder its name, in one step, and replace nothing.

    Args:
        room: Returns the free bytes of the disk of a folder.
    Raises:
        OSError: It cannot be done.
    """
    try:
        if staged.is_dir():
            staged.rename(target)  # refused where there is a folder with files
            return
        os.link(staged, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno != errno.EXDEV:
            _rename(staged, target)  # a file system without hard links
            return
        # The folder for this kind of models is a link to another disk.
        copy = target.with_name(f".{target.name}.part")
        _discard(copy)  # of a process that was killed while it copied
        try:
            _copy(staged, copy, room)
            _rename(copy, target)
        finally:
            _discard(copy)


def _rename(staged: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
    staged.rename(target)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(staged: Path, copy: Path, room: Callable[[Path], int]) -> None:
    """Copy a file or folder to another disk, safely on that disk."""
    files = [path for path in (staged, *staged.rglob("*")) if path.is_file()]
    if sum(path.stat().st_size for path in files) > room(copy.parent):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(copy.parent))
    for path in files:
        target = copy / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
    for folder in {path.parent for path in files} if staged.is_dir() else ():
        sync_folder(copy / folder.relative_to(staged))


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive a power failure."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
