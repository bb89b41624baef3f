"""Whether a file changed, told without reading it."""

from __future__ import annotations

from pathlib import Path

from nodegraph.errors import InvalidFile


def file_stamp(path: Path) -> str:
    """Text that changes when the file is written or replaced: its size, times and inode.

    Raises:
        InvalidFile: There is no such file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidFile(f"can't read {path}: {reason}") from error
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{path} {status.st_size} {times} {status.st_ino}"
