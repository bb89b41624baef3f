"""A bucket of an object store as a place of objects, by whatever fsspec knows to speak with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidValue
from nodegraph.store.remote.place import AccessDenied, Unreachable

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
                f"the remote store can't be used, as a package is missing: {error}",
                given=url,
                hint=f"Install it: pip install {needed}",
            ) from error
        except (ValueError, TypeError) as error:
            raise InvalidValue(
                f"the remote store is none that can be used: {error}",
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
