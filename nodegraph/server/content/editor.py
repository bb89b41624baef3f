"""The built editor: its page and what that loads, read once and ready to be sent."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from blake3 import blake3

from nodegraph.server.http.media_types import ANY

BUILT = Path(__file__).parents[1] / "static"
"""Where the editor's build puts it: see editor/vite.config.ts."""
_PAGE = "index.html"
_ICON = "favicon.svg"
_ASSETS = "assets"
_ROOT = b'<meta name="root-path" content=""'
"""Where the page is told the path below which it is: see editor/src/api/rootPath.ts."""
_START = b'<meta name="start-page" content="editor"'
"""Where the page is told what it opens with: see editor/src/store/address.ts."""
_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_WORTHWHILE = 0.9
"""Of its size, to which a file must shrink for it to be sent packed."""
_Stamp: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class EditorFile:
    """A file of the editor.

    Attributes:
        packed: The same by gzip; None where that saves nothing.
        digest: Of the bytes.
    """

    media_type: str
    body: bytes
    packed: bytes | None
    digest: str

    @property
    def is_page(self) -> bool:
        return self.media_type.startswith("text/html")


class Editor:
    """The editor's files, kept in memory; safe to use from several threads.

    They are read again after the editor was built anew, or another version was installed.

    Args:
        folder: Where they lie. Nothing is sent but what lay there when they were read, so no path
            leads out of it.
        root: Path below which a proxy offers the server. The page is told of it, and asks for all
            that it loads below it, also where its own address has no slash at its end.
        start_page: What the address `/` opens with, where the browser has no choice of its own.
    """

    def __init__(self, folder: Path = BUILT, root: str = "", start_page: str = "editor") -> None:
        self._folder = folder
        self._root = root
        self._start_page = start_page
        self._lock = Lock()
        self._stamp: _Stamp | None = None
        self._page: EditorFile | None = None
        self._icon: EditorFile | None = None
        self._assets: Mapping[str, EditorFile] = {}

    def page(self) -> EditorFile | None:
        """The page that loads all others; None if the editor wasn't built."""
        with self._lock:
            self._renew()
            return self._page

    def icon(self) -> EditorFile | None:
        """What a browser shows beside a page's title; None if the editor wasn't built."""
        with self._lock:
            self._renew()
            return self._icon

    def asset(self, name: str) -> EditorFile | None:
        """A file that the page loads, by its name; None if there is none.

        Its name changes with its content.
        """
        file = self._assets.get(name)
        if file is not None:
            return file
        with self._lock:
            self._renew()
            return self._assets.get(name)

    def _renew(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._page = None if stamp is None else self._read_page()
        self._icon = None if stamp is None else _read(self._folder / _ICON)
        self._assets = {} if stamp is None else _assets(self._folder / _ASSETS)
        self._stamp = stamp

    def _read_page(self) -> EditorFile:
        body = (self._folder / _PAGE).read_bytes()
        if self._root:
            root = self._root.encode()
            body = body.replace(b'="./', b'="' + root + b"/")
            body = body.replace(_ROOT, _ROOT.replace(b'""', b'"' + root + b'"'))
        start = b'"' + self._start_page.encode() + b'"'
        body = body.replace(_START, _START.replace(b'"editor"', start))
        return _file(body, ".html")

    def _stamped(self) -> _Stamp | None:
        try:
            status = (self._folder / _PAGE).stat()
            # The page may be written before the files that it loads.
            changed = (self._folder / _ASSETS).stat().st_mtime_ns
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns, status.st_ino, changed


def _assets(folder: Path) -> dict[str, EditorFile]:
    return {path.name: _read(path) for path in folder.iterdir() if path.is_file()}


def _read(path: Path) -> EditorFile:
    return _file(path.read_bytes(), path.suffix)


def _file(body: bytes, suffix: str) -> EditorFile:
    # No time stands in it, so that the same file is the same bytes on every server.
    packed = gzip.compress(body, 9, mtime=0)
    return EditorFile(
        media_type=_TYPES.get(suffix, ANY),
        body=body,
        packed=packed if len(packed) < len(body) * _WORTHWHILE else None,
        digest=blake3(body).hexdigest(),
    )
