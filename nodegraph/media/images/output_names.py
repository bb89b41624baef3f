"""Where results may be written and what they may be called, told before anything runs."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from nodegraph.errors import InvalidValue, OutputError

_LONGEST = 240
"""Bytes of a part of a name; most file systems take 255, number and suffix included."""
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\]')
"""Characters that some file system can't have in a name."""

_DEVICES = frozenset(
    ("CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10)))
)
"""What Windows takes for a device, whatever stands behind a dot."""


def check_name(name: str) -> None:
    """Refuse names that lead out of the output folder or can't be a file's.

    Raises:
        InvalidValue: Tells which part of the name is wrong.
    """
    parts = PurePosixPath(name).parts
    fault = None
    if not parts or name.endswith("/"):
        fault = "it names no file"
    elif parts[0] == "/" or ".." in parts:
        fault = "it leads out of the output folder"
    elif unsafe := _UNSAFE.search(name):
        fault = f"{unsafe[0]!a} can't be part of a file name everywhere"
    elif hidden := next((letter for letter in name if _is_hidden(letter)), None):
        fault = f"{hidden!a} shows nothing, and may have other letters be read in another order"
    elif any(part.startswith(".") or part != part.strip() for part in parts):
        fault = "its parts must not begin with a dot, or begin or end with a space"
    elif any(len(os.fsencode(part)) > _LONGEST for part in parts):
        fault = f"a part of it is longer than {_LONGEST} bytes"
    elif device := next(filter(_is_device, (*parts[:-1], *parts[-1].split(".", 1)[:-1])), None):
        fault = f"{device!r} is a device on Windows"
    if fault:
        raise InvalidValue(
            f"this can't be the name of a result: {fault}",
            port="name",
            given=repr(name),
            expected="a file name such as apple, or with sub-folders, such as fruit/apple",
        )


def _is_device(part: str) -> bool:
    return part.partition(".")[0].strip().upper() in _DEVICES


def _is_hidden(letter: str) -> bool:
    """Whether a letter is one of Unicode's marks of format, of those that end lines, or none."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def check_folder(folder: Path) -> None:
    """Refuse an output folder that can't be written to, before anything is computed for it.

    Raises:
        OutputError: It, or what it would be made in, is no folder or not writable.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(
            f"can't write to {folder}: {there} is a file, not a folder", hint="Choose another one."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(
            f"can't write to {folder}: no permission to write in {there}",
            hint="Choose another folder.",
        )
