"""Pages that the server sends: those of the built editor, and HTML pages that need no script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from blake3 import blake3
from fastapi.responses import HTMLResponse

from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidValue
from nodegraph.server.access.caller import Caller
from nodegraph.server.access.head import APP_FILES, ICON, LOGOUT
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.http.media_types import ANY
from nodegraph.server.http.responses import CODINGS, Coding, encoded
from nodegraph.server.root_path import public_path

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
PageValue: TypeAlias = "str | int | float | bool | None"
Child: TypeAlias = "Markup | str"
STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --main: #2f6fed; --bad: #c62828; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 44rem; padding: 2rem 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .25rem; }
header p, .help, footer { color: GrayText; }
.help { font-size: .875rem; margin: .25rem 0 0; }
form, main { display: grid; gap: 1.25rem; margin-top: 1.5rem; }
label { display: block; font-weight: 600; margin-bottom: .25rem; }
input, select, textarea { background: Field; border: 1px solid var(--line); border-radius: .5rem;
  color: FieldText; font: inherit; padding: .5rem .75rem; width: 100%; }
textarea { min-height: 6rem; resize: vertical; }
:focus-visible { outline: 2px solid var(--main); outline-offset: 1px; }
details { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; }
details > div { display: grid; gap: 1.25rem; padding: .75rem 0; }
summary { cursor: pointer; }
button { background: var(--main); border: 0; border-radius: .5rem; color: #fff; cursor: pointer;
  font: inherit; font-weight: 600; justify-self: start; padding: .6rem 1.5rem; }
button:hover { filter: brightness(1.1); }
.problems { border: 1px solid var(--bad); border-radius: .5rem; margin: 0; padding: .75rem 1rem; }
.problems ul { margin: .25rem 0 0; padding-left: 1.25rem; }
.wrong { color: var(--bad); font-size: .875rem; margin: .25rem 0 0; }
figure { background: var(--soft); border-radius: .75rem; margin: 0; overflow: hidden; }
figure img { display: block; height: auto; margin: 0 auto; max-width: 100%; }
figcaption { font-size: .875rem; padding: .5rem 1rem; overflow-wrap: anywhere; }
progress { width: 100%; }
"""


class Markup(str):
    """HTML that is safe as it is."""

    __slots__ = ()


def element(tag: str, /, *children: Child, **attributes: PageValue) -> Markup:
    """An element.

    Args:
        children: Texts are escaped.
        attributes: One that is None or False is left out, one that is True has no value. A
            trailing underscore is no part of a name; others are dashes.
    """
    opening = tag + "".join(map(_attribute, attributes.items()))
    if tag in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(map(_safe, children)))


def _safe(child: Child) -> str:
    return child if isinstance(child, Markup) else escape(_visible(child))


def _attribute(item: tuple[str, PageValue]) -> str:
    name, value = item
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(_visible(str(value)))}"'


def _visible(text: str) -> str:
    """The text without what no page may hold: half characters and zero bytes."""
    return str(to_well_formed(text)).replace("\0", "\ufffd")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(STYLE)}; img-src 'self'; media-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Without a referrer at all, a browser would say that the form comes from nowhere.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
"""Of the pages: no script, no style but this one, nothing from elsewhere."""


def page(
    title: str, about: str, content: Markup, *, status: int = 200, refresh: int | None = None
) -> HTMLResponse:
    """A page.

    Args:
        about: A sentence below the title; empty for none.
        refresh: Seconds after which it is loaded again.
    """
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href=public_path(ICON), type="image/svg+xml"),
        element("style", Markup(STYLE)),
    ]
    if refresh is not None:
        head.append(element("meta", http_equiv="refresh", content=refresh))
    heading: list[Child] = [element("h1", title)]
    if about:
        heading.append(element("p", about))
    body = element("body", element("header", *heading), content)
    html = element("html", element("head", *head), body, lang="en")
    text = joined([Markup("<!doctype html>\n"), html])
    return HTMLResponse(text, status, headers=HEADERS)


_TITLE = "Log in"
_ABOUT = "This server needs a token. Run `nodegraph token add NAME` on its machine to create one."
_BUILD = "npm ci --prefix editor && npm run build --prefix editor"


def login_page(target: str, *, problem: str = "", status: int = 200) -> HTMLResponse:
    """The form that takes a token.

    Args:
        target: Where to go after that.
        problem: What is wrong with the token that was entered.
    """
    parts: list[Child] = []
    if problem:
        parts.append(element("p", problem, class_="problems", role="alert"))
    field = element(
        "input",
        type="password",
        id="token",
        name="token",
        required=True,
        autofocus=True,
        autocomplete="current-password",
        spellcheck="false",
    )
    parts += [
        element("div", element("label", "Token", for_="token"), field),
        element("input", type="hidden", name="next", value=target),
        element("button", _TITLE, type="submit"),
    ]
    # Without an action it goes to the page's own address, and what stands there behind the # stays
    # with the browser all the way to the place: a link may hold a workflow.
    return page(_TITLE, _ABOUT, element("form", *parts, method="post"), status=status)


def known_page(caller: Caller) -> HTMLResponse:
    """The page of somebody who is known already."""
    if not caller.session:
        content = element("main", element("p", "You have access without a login."))
        return page(_TITLE, "", content)
    who = element("p", f"You are logged in as {caller.name}.")
    scopes = element("p", f"You may: {', '.join(sorted(caller.scopes))}.", class_="help")
    button = element("button", "Log out", type="submit")
    form = element("form", who, scopes, button, method="post", action=public_path(LOGOUT))
    return page("Logged in", "", Markup(form))


def no_editor_page() -> HTMLResponse:
    """What to do about it, and what works without."""
    built = element("p", "Installed packages include the editor. In a checkout, build it with ")
    command = element("p", element("code", _BUILD))
    api_note = element(
        "p",
        "All other parts work: see ",
        element("a", "the API", href=public_path("/openapi.json")),
    )
    content = element("main", built, command, api_note)
    return page(
        "The editor is missing", "The files of the editor are missing.", content, status=404
    )


BUILT = Path(__file__).parents[1] / "static"
"""Where the editor's build puts it: see editor/vite.config.ts."""
_PAGE = "index.html"
AUTO = "auto"
"""Stands for the folder of an installed package."""
_ICON = "favicon.svg"
_APP_FILES = tuple(path.removeprefix("/") for path in APP_FILES)
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
    ".webmanifest": "application/manifest+json",
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
        coded: The same by content coding; empty where that saves nothing.
        digest: Of the bytes.
    """

    media_type: str
    body: bytes
    coded: Mapping[Coding, bytes]
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
        self._app_files: Mapping[str, EditorFile] = {}
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

    def app_file(self, name: str) -> EditorFile | None:
        """The service worker, the manifest or an icon of the app, by name; None if there is none.

        Its name stays the same when its content changes.
        """
        with self._lock:
            self._renew()
            return self._app_files.get(name)

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
        self._app_files = {} if stamp is None else _named(self._folder, _APP_FILES)
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


def _named(folder: Path, names: Sequence[str]) -> dict[str, EditorFile]:
    return {name: _read(folder / name) for name in names if (folder / name).is_file()}


def _assets(folder: Path) -> dict[str, EditorFile]:
    return {path.name: _read(path) for path in folder.iterdir() if path.is_file()}


def _read(path: Path) -> EditorFile:
    return _file(path.read_bytes(), path.suffix)


def _file(body: bytes, suffix: str) -> EditorFile:
    coded = {coding: encoded(body, coding) for coding in CODINGS}
    is_smaller = all(len(data) < len(body) * _WORTHWHILE for data in coded.values())
    return EditorFile(
        media_type=_TYPES.get(suffix, ANY),
        body=body,
        coded=coded if is_smaller else {},
        digest=blake3(body).hexdigest(),
    )


_PACKAGE = "comfyui-frontend-package"
_STATIC = "comfyui_frontend_package/static"


def open_front_end(setting: str | None) -> ConfinedFolder | None:
    """Return the folder of ComfyUI's page; None if there is to be none.

    Args:
        setting: A folder, or ``auto`` for that of the installed package, which is not imported.
    Raises:
        InvalidValue: There is no such package or page.
    """
    if not setting:
        return None
    folder = Path(setting).expanduser()
    if setting == AUTO:
        try:
            folder = Path(str(distribution(_PACKAGE).locate_file(_STATIC)))
        except PackageNotFoundError:
            raise InvalidValue(
                f"`comfyui_frontend` is `{AUTO}`, and {_PACKAGE} is not installed",
                hint=f"Install it with `pip install {_PACKAGE}`, or name the folder of the page.",
            ) from None
    if not (folder / _PAGE).is_file():
        raise InvalidValue(
            "`comfyui_frontend` has no page",
            given=str(folder),
            expected=f"a folder with {_PAGE}",
        )
    return ConfinedFolder(folder)
