"""A folder that several machines have mounted, as a place of objects."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time

from nodegraph.store.remote.place import AccessDenied, Unreachable

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
