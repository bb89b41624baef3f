"""A page around a pack's script: all that it needs stands in it, and it may load nothing.

It is shown in a sandbox without an origin, so that it has neither the user's session nor the
editor's page. As requests of such a page come from nowhere, which the server refuses, script and
style stand in it. What is run first is ours: it takes the script as data, and tells the editor what
is wrong with it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from urllib.parse import quote

from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidFile
from nodegraph.packs.editor_scripts import PackScript
from nodegraph.packs.snapshot import Stamp, stamp_of

FRAMES = "/packs"
"""Where the pages lie on the server."""


@dataclass(frozen=True, slots=True)
class FrameDocument:
    """A script's page, made once.

    Attributes:
        script: That it shows.
        digest: Of the page; part of its address, so that an edit is another page.
    """

    script: PackScript
    body: bytes
    digest: str

    @property
    def href(self) -> str:
        """Where the server has it."""
        script = self.script
        return frame_path(script.pack, script.kind, script.name, self.digest)


@dataclass(frozen=True, slots=True)
class FrameDocuments:
    """The pages of all packs.

    Attributes:
        by_path: By their addresses.
        problems: Of scripts that are declared and can't be used.
        stamps: Of the scripts' files when they were read.
    """

    by_path: Mapping[str, FrameDocument]
    problems: tuple[str, ...]
    stamps: Mapping[Path, Stamp | None]

    def is_unchanged(self) -> bool:
        """Whether the files are still what they were; cheap."""
        return all(stamp_of(file) == stamp for file, stamp in self.stamps.items())


def frame_path(*parts: str) -> str:
    """Where the server has a page: by pack, kind, name and digest."""
    return "/".join([FRAMES, *(quote(part, safe="") for part in parts)])


NO_FRAMES = FrameDocuments({}, (), {})


def documents(scripts: Iterable[PackScript]) -> FrameDocuments:
    """The pages of scripts; what is wrong with one hurts no other."""
    pages, problems, stamps = {}, [], {}
    for script in scripts:
        if script.file is not None:
            # Taken before the file is read, so that a change meanwhile is noticed.
            stamps[script.file] = stamp_of(script.file)
        try:
            document = _document(script)
        except InvalidFile as error:
            problems.append(str(error))
        else:
            pages[document.href] = document
    return FrameDocuments(pages, tuple(problems), stamps)


def _document(script: PackScript) -> FrameDocument:
    # No end of an element can stand in it, and nothing that begins one.
    name = f"{script.pack}/{script.kind}/{script.name}.js"
    payload = json.dumps({"name": name, "text": script.text()})
    safe = payload.replace("<", "\\u003c")
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(script.label or script.name)}</title><style>{_own('frame.css')}</style>"
        f'</head><body><div id="root"></div><script type="application/json" id="script">{safe}'
        f"</script><script>{_own('frame.js')}</script></body></html>"
    ).encode()
    return FrameDocument(script, body, digest_bytes(body + policy().encode()))


@cache
def policy() -> str:
    """What the page may do: run our script and the one that it takes, show images it was given.

    Nothing may be loaded or sent, and wherever it is opened it has no origin.
    """
    digest = b64encode(sha256(_own("frame.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' blob:; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-scripts"
    )


@cache
def _own(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
