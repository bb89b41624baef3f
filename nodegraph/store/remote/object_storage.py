"""Object storage shared by machines: protocol, bucket, mounted folder, reachability."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from nodegraph.errors import InvalidValue

_FOLDER_STEP = 8 << 20
_TEMPORARY = "temporary"
_ABANDONED = 86_400.0
"""Seconds after which a temporary file is one that a dead process left."""


class FolderStorage:
    """Objects as files. The folder itself is never made: one that isn't mounted must be noticed.

    Args:
        url: As the settings have it.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self._sweep()

    def _sweep(self) -> None:
        for path in (self._folder / _TEMPORARY).glob("*"):
            with suppress(OSError):
                if time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            if not self._folder.is_dir():
                raise Unreachable(f"there is no folder {self._folder}") from None
            raise
        except PermissionError as error:
            raise AccessDenied(f"{error.filename or self._folder}: no permission") from error
        except OSError as error:
            raise Unreachable(error.strerror or str(error)) from error

    def _path(self, name: str) -> Path:
        return self._folder / name

    def read(self, name: str) -> bytes:
        with self._translating_errors():
            return self._path(name).read_bytes()

    def chunks(self, name: str, size: int, start: int = 0) -> Iterator[bytes]:
        with self._translating_errors(), self._path(name).open("rb", buffering=0) as file:
            file.seek(start)
            size -= start
            while size > 0 and (chunk := file.read(min(_FOLDER_STEP, size))):
                size -= len(chunk)
                yield chunk

    def size(self, name: str) -> int | None:
        try:
            with self._translating_errors():
                return self._path(name).stat().st_size
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        with self._staged(name) as temporary:
            _write(temporary, data)
            temporary.replace(self._path(name))

    def create(self, name: str, data: bytes) -> bool:
        with self._staged(name) as temporary:
            _write(temporary, data)
            try:
                self._path(name).hardlink_to(temporary)
            except FileExistsError:
                return False
            except (OSError, NotImplementedError):
                # No links there. Whoever reads it half written takes it for damaged.
                return self._create_in_place(name, data)
        return True

    def _create_in_place(self, name: str, data: bytes) -> bool:
        try:
            with self._path(name).open("xb") as file:
                file.write(data)
        except FileExistsError:
            return False
        return True

    def upload(self, name: str, path: Path) -> None:
        with self._staged(name) as temporary:
            with path.open("rb") as source, temporary.open("xb") as target:
                shutil.copyfileobj(source, target, _FOLDER_STEP)
                target.flush()
                os.fsync(target.fileno())
            temporary.replace(self._path(name))

    @contextmanager
    def _staged(self, name: str) -> Iterator[Path]:
        """A temporary file's path, and the folder that the object will lie in."""
        temporary = self._folder / _TEMPORARY / os.urandom(16).hex()
        with self._translating_errors():
            for folder in (temporary.parent, self._path(name).parent):
                self._make(folder)
            try:
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            if not self._folder.is_dir():
                raise FileNotFoundError(str(self._folder))
            folder.mkdir(parents=True, exist_ok=True)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError), self._translating_errors():
            self._path(name).unlink()

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._translating_errors():
            if not self._folder.is_dir():
                raise FileNotFoundError(str(self._folder))
            for path in self._path(prefix).rglob("*"):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    if path.is_file():
                        yield path.relative_to(self._folder).as_posix(), status.st_size


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


_BUCKET_STEP = 32 << 20
_PATIENCE = 20.0
"""Seconds for an answer about a small object."""
_SLOWEST = 1 << 20
"""Bytes a second; what is slower counts as no answer."""
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_S3 = {"connect_timeout": 5, "read_timeout": _PATIENCE, "retries": {"max_attempts": 2}}
_WITHOUT_MODE = frozenset({"az", "abfs", "abfss"})
"""Whose `pipe_file` says otherwise that an object must not be there yet."""


class BucketStorage:
    """Objects of a bucket. Who may do what there, and where it is, the store's own variables say.

    Raises:
        InvalidValue: What speaks with it isn't installed, or the URL isn't one that it knows.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        kind = url.partition("://")[0]
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if kind in ("s3", "s3a"):
            options["config_kwargs"] = _S3
        package = _PACKAGES.get(kind)
        needed = "nodegraph[cloud]" + (f" {package}" if package else "")
        try:
            from fsspec.core import url_to_fs

            self._fs, root = url_to_fs(url, **options)
        except ImportError as error:
            raise InvalidValue(
                f"the remote store cannot be used because a package is missing: {error}",
                given=url,
                hint=f"Install it: pip install {needed}",
            ) from error
        except (ValueError, TypeError) as error:
            raise InvalidValue(
                f"the remote store cannot be used: {error}",
                given=url,
                expected="such as s3://bucket/folder, gs://…, az://… or file:///mnt/shared/folder",
            ) from error
        self._root = root.rstrip("/")
        self._exclusive: dict[str, Any] = (
            {"overwrite": False} if kind in _WITHOUT_MODE else {"mode": "create"}
        )

    def _call(
        self, method: str, name: str, *more: Any, patience: float = _PATIENCE, **options: Any
    ) -> Any:
        path = f"{self._root}/{name}"
        paths = (*more, path) if method == "put_file" else (path, *more)
        try:
            if self._fs.async_impl:
                from fsspec.asyn import sync

                call = getattr(self._fs, f"_{method}")
                return sync(self._fs.loop, call, *paths, timeout=patience, **options)
            return getattr(self._fs, method)(*paths, **options)
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            if _is_refusal(error):
                raise AccessDenied(f"{path}: {error}") from error
            message = str(error) or f"no answer within {patience:.0f} s"
            raise Unreachable(f"{type(error).__name__}: {message}") from error

    def _call_write(self, method: str, name: str, *more: Any, **options: Any) -> None:
        """Have something written: a bucket that isn't there is no answer then."""
        try:
            self._call(method, name, *more, **options)
        except FileNotFoundError as error:
            raise Unreachable(str(error)) from error

    def read(self, name: str) -> bytes:
        content: bytes = self._call("cat_file", name)
        return content

    def chunks(self, name: str, size: int, start: int = 0) -> Iterator[bytes]:
        for begin in range(start, size, _BUCKET_STEP):
            end = min(begin + _BUCKET_STEP, size)
            patience = _PATIENCE + (end - begin) / _SLOWEST
            yield self._call("cat_file", name, start=begin, end=end, patience=patience)

    def size(self, name: str) -> int | None:
        try:
            return int(self._call("info", name)["size"])
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        self._call_write("pipe_file", name, data)

    def create(self, name: str, data: bytes) -> bool:
        try:
            self._call_write("pipe_file", name, data, **self._exclusive)
        except FileExistsError:
            return False
        return True

    def upload(self, name: str, path: Path) -> None:
        patience = _PATIENCE + path.stat().st_size / _SLOWEST
        self._call_write("put_file", name, str(path), patience=patience)

    def remove(self, name: str) -> None:
        try:
            self._call("rm_file", name)
        except FileNotFoundError:
            return

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        try:
            objects = self._call("find", prefix, detail=True, patience=600.0)
        except FileNotFoundError:
            return
        for path, about in objects.items():
            yield path[len(self._root) + 1 :], int(about["size"])


def _is_refusal(error: Exception) -> bool:
    """Whether the store says that this isn't allowed; each package does it in its own way."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)  # adlfs, gcsfs
    return (
        isinstance(error, PermissionError)
        or str(status) in ("401", "403")
        or (isinstance(error, OSError) and str(error).startswith("Forbidden"))  # gcsfs of a 403
    )


def open_storage(url: str) -> ObjectStorage:
    """The place that a URL names; nothing is asked of it yet.

    Raises:
        InvalidValue: It names none, or what speaks with it isn't installed.
    """
    kind, _, location = url.partition("://")
    if not location or not kind:
        raise InvalidValue(
            "the remote store is not a URL",
            given=url,
            expected="such as s3://bucket/folder, gs://…, az://… or file:///mnt/shared/folder",
            hint="Folders of this machine are also written as file:///path."
            if url.startswith(("/", "~", "."))
            else None,
        )
    if kind == "file":
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise InvalidValue(
                "the remote store names a host",
                given=url,
                expected="file:///path with three slashes",
                hint="Mount the share, and name the folder where it is mounted.",
            )
        return FolderStorage(url, Path(unquote(parts.path)))
    return BucketStorage(url)


_LOG = logging.getLogger(__name__)
_FIRST, _LONGEST = 0.5, 30.0
"""Seconds until it is tried again: twice as long each time."""


class Reachability:
    """While a place is away nobody waits for it: only now and then one tries whether it is back.

    Args:
        url: The place, to speak of it.
        clock: Seconds, from any moment on.
    """

    def __init__(self, url: str, clock: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = Lock()
        self._pause = _FIRST
        self._again = 0.0
        self.reason = ""

    @property
    def is_unreachable(self) -> bool:
        """Whether it couldn't be asked when it last was."""
        return bool(self.reason)

    @property
    def seconds_left(self) -> float:
        """Until it should be tried again; 0 if it should be now."""
        return max(0.0, self._again - self._clock())

    def note_failure(self, error: Unreachable) -> None:
        """It couldn't be asked."""
        with self._lock:
            is_new = not self.reason
            self.reason = str(error) or type(error).__name__
            self._again = self._clock() + self._pause
            self._pause = min(2 * self._pause, _LONGEST)
        if is_new:
            _LOG.warning(
                "the remote store %s cannot be reached (%s): work continues with the local store, "
                "and results are uploaded later",
                self._url,
                self.reason,
            )

    def note_answer(self) -> None:
        """It could be asked."""
        if not self.reason:
            return
        with self._lock:
            was_away, self.reason, self._pause = bool(self.reason), "", _FIRST
        if was_away:
            _LOG.warning("the remote store %s can be reached again", self._url)


class Unreachable(Exception):
    """The place can't be asked now: no network, no answer in time, no such bucket or folder."""


class AccessDenied(Unreachable):
    """The place answers, and refuses."""


class ObjectStorage(Protocol):
    """Objects by name, such as ``entries/ab/cd…``. Safe to use from several threads.

    All methods raise `Unreachable` where the place can't be asked.

    Attributes:
        url: Where it is, as the settings say.
    """

    url: str

    def read(self, name: str) -> bytes:
        """A small object; raises FileNotFoundError if there is none of that name."""

    def chunks(self, name: str, size: int, start: int = 0) -> Iterator[bytes]:
        """The first `size` bytes of a large object from `start` on, piece by piece; fewer if it has
        no more. Raises as `read`."""

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if there is none of that name."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small object, in place of the one before."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a small object unless there is one of that name; False then.

        Of several who try at once, on whatever machines, one gets True.
        """

    def upload(self, name: str, path: Path) -> None:
        """Write a file, in place of the object before."""

    def remove(self, name: str) -> None:
        """Remove an object; one that isn't there is passed over."""

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of all objects below a folder, such as ``entries``, in no order."""
