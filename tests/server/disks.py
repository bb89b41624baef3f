"""A disk that is really full: a small file system in memory, where one may be mounted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

_STEP = 4096


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes, mounted at a folder that is made, until the end of the `with`."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily, as a process that was just killed may still be leaving it.
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def kept_full(disk: Path) -> Iterator[None]:
    """A disk is full until the end of the `with`, whatever is removed from it meanwhile."""
    is_over = Event()

    def work() -> None:
        while not is_over.wait(0.005):
            fill(disk)

    path = fill(disk)
    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        path.unlink()


def fill(disk: Path, leave: int = 0) -> Path:
    """Take what is free on a disk, but for some bytes; removing the file that it gives frees it."""
    path = disk / "filled"
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(_STEP))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        if leave:
            file.truncate(max(0, path.stat().st_size - leave))
    return path
