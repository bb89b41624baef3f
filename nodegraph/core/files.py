"""Files and folders: written so that a crash leaves the old one or the new one, never half of
either; closed to other users; those of a Python package.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from nodegraph.errors import OutputError


def write_file(path: Path, data: bytes, *, private: bool = False, durable: bool = True) -> None:
    """Put `data` at `path` in one step: a temporary name beside it, fsync, rename.

    A symbolic link stays one: the file that it leads to is replaced.

    Args:
        private: Let nobody but the file's owner read it, from its first byte on.
        durable: False saves the fsync where the reader finds out about half a file, and where
            it can be made anew.
    Raises:
        OutputError: No permission, no space, no such folder.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            with open(temporary, "xb", opener=_private if private else None) as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        hint = None if target.parent.is_dir() else f"Make the folder {target.parent} first."
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}", hint=hint) from error


def make_folder(path: Path) -> None:
    """Make a folder to write into, and those above it; one that is there stays as it is.

    Raises:
        OutputError: No permission, or a file stands in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot make the folder {path}: {reason}") from error


def restrict_to_owner(path: Path) -> None:
    """Let nobody but the owner use a file or folder, if that is who asks."""
    with suppress(FileNotFoundError):
        status = path.stat()
        if os.name == "posix" and status.st_uid == os.geteuid() and status.st_mode & 0o077:
            with suppress(PermissionError):  # some file systems know no such rights
                path.chmod(status.st_mode & 0o700)


def make_private_folder(path: Path) -> None:
    """Make a folder that nobody but its owner gets into; one that is there is closed to others.

    One of another owner stays as it is, and so does one that can't be changed.

    Raises:
        OSError: It can't be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    restrict_to_owner(path)


def package_files(module: str) -> list[Path]:
    """The Python files of the package that a module is in, sorted; empty if it is not installed.

    Nothing is imported. A package that is a single file gives that file.

    Args:
        module: Import name, such as ``my_pack.families``.
    """
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not folders and spec.origin:
        return [Path(spec.origin)]
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
