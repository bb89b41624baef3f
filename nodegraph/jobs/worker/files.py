"""The files that a job writes, described as soon as they are there."""

from __future__ import annotations

import logging
import mimetypes
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodegraph.core.events import Event, Listener
from nodegraph.core.file_digests import hash_file

_LOG = logging.getLogger(__name__)
_UNKNOWN = "application/octet-stream"
_AT_ONCE = 64 << 20
"""Bytes that are digested while others wait to tell something; larger files wait for the end."""


class JobFiles:
    """Describes the files of one job; what hasn't changed since is read once.

    Safe to use from several threads: at worst a file is read twice.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], Mapping[str, Any]]] = {}

    def described(self, path: Path, *, most: int | None = None) -> Mapping[str, Any] | None:
        """Where a file lies, its digest, size, media type and, of a picture, its pixels.

        None if it is gone, or larger than wanted.

        Args:
            most: Bytes.
        """
        place = path.absolute()
        try:
            status = place.stat()
            if most is not None and status.st_size > most:
                return None
            stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
            known = self._known.get(str(place))
            if known is not None and known[0] == stamp:
                return known[1]
            found = _described(place, status)
        except OSError as error:
            _LOG.warning("%s was written and is gone: %s", place, error)
            return None
        self._known[str(place)] = stamp, found
        return found

    def telling(self, listener: Listener) -> Listener:
        """A listener that is told more of each file that is written."""

        def tell(event: Event) -> None:
            if event.kind == "node.wrote" and "path" in event.data:
                found = self.described(Path(event.data["path"]), most=_AT_ONCE)
                event = replace(event, data={**event.data, **(found or {})})
            listener(event)

        return tell


def _described(path: Path, status: os.stat_result) -> dict[str, Any]:
    media_type = mimetypes.guess_type(path.name)[0] or _UNKNOWN
    found = {
        "path": str(path),
        "media_type": media_type,
        "size": status.st_size,
        "digest": hash_file(path),
    }
    return {**found, **(_pixels(path) if media_type.startswith("image/") else {})}


def _pixels(path: Path) -> dict[str, int]:
    """Width and height of a picture as it is shown; nothing if that isn't known."""
    from PIL import Image  # whatever writes pictures has it in memory by now

    from nodegraph.images.picture_files import DAMAGED, is_turned

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if "exif" in picture.info and is_turned(picture):
                width, height = height, width
    except (*DAMAGED, Image.DecompressionBombError):
        return {}
    return {"width": width, "height": height}
