"""In which order a tensor of pictures, frames or samples has its axes, where the source says it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS: dict[str, str] = {
    # As documentation writes shapes and code names what it unpacks.
    "b": "b",
    "batch": "b",
    "batch_size": "b",
    "c": "c",
    "channels": "c",
    "num_channels": "c",
    "f": "f",
    "t": "f",
    "frames": "f",
    "num_frames": "f",
    "h": "h",
    "height": "h",
    "height_video": "h",
    "w": "w",
    "width": "w",
    "width_video": "w",
    "samples": "n",
    "audio_length": "n",
}
_SHAPE = re.compile(r"[(\[]\s*(\w+(?:\s*,\s*\w+)+)\s*[)\]]")


def axes_of(names: Iterable[str]) -> str:
    """Axes by their words, a letter each; empty if one isn't known or comes twice."""
    found = [_WORDS.get(name.strip().lower(), "") for name in names]
    return "".join(found) if all(found) and len(set(found)) == len(found) else ""


def axes_said(text: str) -> str:
    """Axes of the first shape that a text tells, such as ``(batch, channels, samples)``."""
    for match in _SHAPE.finditer(text):
        if axes := axes_of(match[1].split(",")):
            return axes
    return ""
