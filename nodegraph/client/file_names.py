"""Names that a server gives to files, as names that are safe here."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

# Half a surrogate pair is no character, and no file system takes it.
_UNSAFE = re.compile(r'[\ud800-\udfff\x00-\x1f\x7f-\x9f<>:"/\\|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$|clock\$)", re.IGNORECASE)
_LONGEST = 180
"""Bytes in UTF-8; most file systems take 255, and a file that isn't whole has a longer name."""


def safe_name(name: str) -> str:
    """The last part of a name, as a file's that lies in no other folder and isn't hidden."""
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


def marked(path: Path, digest: str) -> Path:
    """A path for another file of the same name."""
    return path.with_name(f"{path.stem}-{digest[:8]}{path.suffix}")


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")
