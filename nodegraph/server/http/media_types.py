"""Media types, and the headers that make files of clients safe to send.

What a client or a node sends is never run in the server's name: what could be, such as SVG and
HTML, is sent as an attachment, in a sandbox, and never guessed from its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from nodegraph.server.content.files.safe_files import safe_name

ANY = "application/octet-stream"
INLINE_TYPES = frozenset(
    {
        *("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"),
        *("audio/wav", "audio/x-wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4"),
        *("audio/aac", "audio/webm", "video/mp4", "video/webm", "video/ogg"),
        *("text/plain", "application/json"),
    }
)
"""Shown by a browser as they are, without running anything."""
_SVG = "image/svg+xml"
"""Keeps its type, as an ``img`` shows it without running what is in it."""
_RUN = re.compile(r"html|xml|script|pdf|flash|java|multipart|message|wasm|css|cache-manifest")
"""In the name of a type that some program runs."""
_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
SUFFIXES: Mapping[str, str] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "model/gltf-binary": ".glb",
    "model/ply": ".ply",
    "model/obj": ".obj",
    "chemical/x-mdl-sdfile": ".sdf",
    "chemical/x-pdb": ".pdb",
    # Not image/…: clients show those as they are.
    "application/x-openraster": ".ora",
    "application/x-photoshop": ".psd",
    "application/json": ".json",
    "application/vnd.safetensors": ".safetensors",
}
"""Of the types that are taken in."""


def content_headers(media_type: str, name: str, *, is_saved: bool = False) -> dict[str, str]:
    """Headers under which foreign content is safe to send.

    Args:
        media_type: As whoever made it says.
        name: Of its file; any text.
        is_saved: Whether a browser is to save it in any case.
    """
    kind, may_show = _served(media_type)
    text = "; charset=utf-8" if kind == "text/plain" else ""
    way = "inline" if may_show and not is_saved else "attachment"
    return {
        "Content-Type": f"{kind}{text}",
        "Content-Disposition": _disposition(way, name),
        "Content-Security-Policy": _SANDBOX,
        "X-Content-Type-Options": "nosniff",
    }


def _served(media_type: str) -> tuple[str, bool]:
    """The type that something is sent as, and whether a browser may show it."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind in INLINE_TYPES:
        return kind, True
    if kind == _SVG:
        return kind, False
    is_safe = _TYPE.fullmatch(kind) and not _RUN.search(kind)
    return (kind if is_safe else ANY), False


def _disposition(way: str, name: str) -> str:
    safe = safe_name(name)
    plain = safe.encode("ascii", "replace").decode().replace("?", "_")
    extended = "" if plain == safe else f"; filename*=UTF-8''{quote(safe, safe='')}"
    return f'{way}; filename="{plain}"{extended}'
