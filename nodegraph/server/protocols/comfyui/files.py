"""ComfyUI's routes of files: see outputs and inputs, upload images and masks.

Uploads are those of nodegraph: named by their content, seen by their client alone. ComfyUI's name
and subfolder of a file are its name there, in one. A prompt that names a file gets the upload of
that name, or else a file of the inputs folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePath, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from blake3 import blake3
from fastapi import Request, Response

from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_access import is_readable
from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.artifacts import Artifact, ArtifactFilter
from nodegraph.server.content.artifacts.search import fold_case
from nodegraph.server.content.files.safe_files import ConfinedFolder, safe_name
from nodegraph.server.content.uploads import Upload
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import Forbidden, NotFound, Refused, TooLarge
from nodegraph.server.http.file_responses import retry_until_shared
from nodegraph.server.http.media_types import ANY, SUFFIXES, content_headers
from nodegraph.server.http.request_bodies import (
    PartBegins,
    PartEnds,
    form_events,
    is_form,
    read_document,
)
from nodegraph.server.http.responses import OpenFile, file_response
from nodegraph.server.protocols.comfyui.paths import comfyui_router
from nodegraph.server.services import Services

if TYPE_CHECKING:
    from nodegraph.media.images.contact_sheets import SheetFormat
    from nodegraph.server.content.files.pictures import Channel

router = comfyui_router()

_KINDS = ("output", "input", "temp")
_ANNOTATED = re.compile(r"(.+?) ?\[(output|input|temp)\]\s*")
_SUFFIXES = frozenset({*SUFFIXES.values(), ".jpeg", ".txt", ".mov", ".m4a", ".latent", ".gltf"})
_LONGEST_NAME = 250
_IN_MEMORY = 1 << 20
"""Bytes of an upload that is received in memory."""
_LARGEST_FIELD = 4 << 10
_STEP = 1 << 20
_LONGEST_SHOWN = 64 << 10
"""Bytes of a text that is listed itself."""
_MOST_FILES = 200
"""Files that a prompt may name."""
_PREVIEW = re.compile(r"(webp|jpeg)(?:;(\d{1,3}))?")
UPLOAD_PARTS = "__"
"""Between the parts of a path in the name of an upload."""
_LONGEST_STEM = 100
"""Bytes."""
_DIGITS = 16
"""Of the digest of a longer one."""


class FileLists:
    """Files of jobs as ComfyUI lists them.

    Args:
        services: Whose folders the files lie in.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def roots(self) -> Mapping[str, Path]:
        """Folders by ComfyUI's type."""
        return {
            "output": self._services.outputs.absolute(),
            "temp": self._services.environment.temporary.absolute(),
        }

    def item(self, path: str) -> dict[str, str]:
        """Return name, subfolder and type of a file."""
        kinds = {base: kind for kind, root in self.roots.items() for base in _names(root)}
        for base, inner in self._places(path):
            parent = "" if len(inner.parts) < 2 else inner.parent.as_posix()
            return {"filename": inner.name, "subfolder": parent, "type": kinds[base]}
        return {"filename": PurePath(path).name, "subfolder": "", "type": "output"}

    def _places(self, path: str) -> Iterator[tuple[Path, PurePath]]:
        """Yield the folder that a file is in, and its path from there."""
        for root in self.roots.values():
            for base in _names(root):
                if PurePath(path).is_relative_to(base):
                    yield base, PurePath(path).relative_to(base)

    def of(self, files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what ComfyUI lists of an output node with some files."""
        listed: dict[str, Any] = {}
        for file in files:
            path, media_type = str(file.get("path", "")), str(file.get("media_type", ""))
            kind = str(file.get("kind") or file.get("file") or "")
            text = file.get("text")
            if kind == "text" and isinstance(text, str):
                listed.setdefault("text", []).append(text)
            key, is_animated = _list_of(media_type, path)
            if kind != "text" or key != "files":
                listed.setdefault(key, []).append(self.item(path))
            if is_animated:
                listed["animated"] = [True]
        return listed

    def text(self, path: str) -> str | None:
        """Return the text in a file, up to a limit; None if it is not there."""
        for base, inner in self._places(path):
            with suppress(OSError, ValueError), ConfinedFolder(base).open(*inner.parts) as opened:
                return opened.read(_LONGEST_SHOWN).decode(errors="replace").removesuffix("\n")
        return None


def _names(folder: Path) -> list[Path]:
    """A folder by its own path, and by the one that links lead to."""
    return list(dict.fromkeys((folder, folder.resolve())))


def _list_of(media_type: str, path: str) -> tuple[str, bool]:
    """The list that a file stands in, and whether it moves."""
    kind = media_type.partition("/")[0]
    if kind == "video":
        return "images", True
    lists = {"image": "images", "audio": "audio", "model": "3d"}
    return lists.get(kind, "files"), media_type == "image/gif" or path.endswith(".apng")


class BadFile(Refused):
    """A name, folder or type that is none."""

    code = "bad-file"


class FileOutside(Forbidden):
    """A path that leads out of its folder."""

    code = "file-outside"


class FileName:
    """A file as ComfyUI names it.

    Args:
        name: May end in the type in brackets, which counts more than `kind`.
    Raises:
        BadFile: It is none.
        FileOutside: The subfolder leads out of its folder.
    """

    def __init__(self, name: str, kind: str = "output", subfolder: str = "") -> None:
        match = _ANNOTATED.fullmatch(name)
        name, kind = (match[1], match[2]) if match else (name, kind)
        path = name.replace("\\", "/")
        if not name or path.startswith("/") or ".." in path or "\0" in path:
            raise BadFile("this is not the name of a file", given=ascii(name[:80]))
        if kind not in _KINDS:
            raise BadFile(
                "there is no such type of file", given=ascii(kind[:80]), expected=", ".join(_KINDS)
            )
        folder = PurePosixPath(subfolder.replace("\\", "/"))
        if folder.is_absolute() or ".." in folder.parts or "\0" in subfolder:
            raise FileOutside("the subfolder leads out of its folder", given=ascii(subfolder[:80]))
        self.kind = kind
        self.path = folder / path
        """Below the folder of its type."""

    @property
    def flat(self) -> str:
        """Name of an upload that stands for it, without the suffix."""
        kind = [] if self.kind == "input" else [self.kind]
        stem = self.path.stem if len(self.path.suffix) > 1 else self.path.name
        parts = [*kind, *(part for part in self.path.parent.parts if part != "."), stem]
        return _short_stem(UPLOAD_PARTS.join([*parts[:-1], _short_stem(stem)]))

    def with_name(self, name: str) -> FileName:
        """Return another file in its folder."""
        return FileName(
            name, self.kind, "" if self.path.parent.name == "" else str(self.path.parent)
        )

    def listed(self, upload: Upload) -> dict[str, str]:
        """Return what a client is told of its upload."""
        folder = str(self.path.parent)
        name = f"{_short_stem(self.path.stem)}{PurePath(upload.name).suffix}"
        return {"name": name, "subfolder": "" if folder == "." else folder, "type": self.kind}


def _short_stem(stem: str) -> str:
    """Return a safe name for a stem. The digest of a long one stands for what is cut off.

    A name that this returned stays as it is.
    """
    safe = safe_name(stem)
    if len(safe.encode()) <= _LONGEST_STEM:
        return safe
    digest = digest_bytes(stem.encode(errors="replace"))[:_DIGITS]
    return f"{safe_name(stem, longest=_LONGEST_STEM - _DIGITS - 1)}_{digest}"


def _find_upload(services: Services, caller: Caller, file: FileName) -> Upload | None:
    """Return the caller's upload of a name; for an admin who has none, another client's."""
    suffixes = dict.fromkeys((file.path.suffix, *SUFFIXES.values()))
    names = [f"{file.flat}{suffix}" for suffix in suffixes]
    for client in dict.fromkeys((caller.name, caller.only_client)):
        if upload := services.uploads.find_named(names, client):
            return upload
    return None


def _find_artifact(services: Services, caller: Caller, file: FileName) -> Artifact | None:
    """Return the newest output file at a path that the caller may see."""
    root = FileLists(services).roots.get(file.kind)
    if root is None:
        return None
    paths = {base.joinpath(file.path) for base in (root, root.resolve())}
    which = ArtifactFilter(caller.only_client, terms=[("word", fold_case([file.path.name]))])
    cursor: str | None = None
    while True:
        page = services.artifacts.page(which, limit=500, cursor=cursor)
        for artifact in page.artifacts:
            if PurePath(artifact.path) in paths:
                return artifact
        cursor = page.next
        if cursor is None:
            return None


def _open_input(services: Services, caller: Caller, file: FileName) -> OpenFile | None:
    """Open a file of the inputs folder; None if there is none that the caller may read."""
    folder, parts = services.environment.inputs, file.path.parts
    path = str(folder.joinpath(*parts))
    is_hidden = any(part.startswith(".") for part in parts)
    if not caller.may("run") or is_hidden or not is_readable(path, services.environment):
        return None
    try:
        opened = ConfinedFolder(folder).open(*parts)
    except (OSError, ValueError):
        return None
    status = os.fstat(opened.fileno())
    state = f"{file.path}\n{status.st_size}\n{status.st_mtime_ns}\n{status.st_ino}"
    return OpenFile(opened, status.st_size, digest_bytes(state.encode()))


def _media_type(name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    types = {each: kind for kind, each in SUFFIXES.items()}
    return "text/plain" if suffix == ".txt" else types.get(suffix, ANY)


def _open(services: Services, caller: Caller, file: FileName) -> tuple[OpenFile, str]:
    """Open a file; with its media type.

    Raises:
        NotFound: There is none that the caller may see.
    """
    artifact = _find_artifact(services, caller, file)
    if artifact is not None:
        return services.artifacts.open(artifact), artifact.media_type
    upload = _find_upload(services, caller, file)
    if upload is not None:
        return services.uploads.open(upload), upload.media_type
    opened = _open_input(services, caller, file) if file.kind == "input" else None
    if opened is not None:
        return opened, _media_type(file.path.name)
    raise NotFound("there is no such file", given=ascii(str(file.path)[:80]))


@router.get("/view")
async def view(
    request: Request,
    services: TheServices,
    caller: MayRead,
    filename: str = "",
    type: str = "output",
    subfolder: str = "",
    preview: str = "",
    channel: str = "rgba",
) -> Response:
    """Return a file, or an image of it in another format or with other channels."""
    file = FileName(filename, type, subfolder)
    opened, media_type = await retry_until_shared(
        lambda: services.run_file_task(_open, services, caller, file)
    )
    name = file.path.name
    match = _PREVIEW.fullmatch(preview.lower())
    is_image = media_type.startswith("image/")
    if is_image and (channel in ("rgb", "a") or match):
        chosen: Channel = "rgb" if channel == "rgb" else "a" if channel == "a" else "rgba"
        is_jpeg = chosen == "rgba" and match is not None and match[1] == "jpeg"
        kind: SheetFormat = "jpeg" if is_jpeg else "webp" if chosen == "rgba" else "png"
        quality = int(match[2] or 90) if match else 90
        made = await services.artifacts.thumbnails.converted(
            lambda: opened,
            caller.name,
            format=kind,
            quality=min(max(quality, 1), 100),
            channel=chosen,
            keeps_alpha=True,
        )
        data, opened_type = made, f"image/{kind}"
        if kind == "jpeg" and not data.startswith(b"\xff\xd8"):
            opened_type = "image/webp"
        opened = OpenFile(BytesIO(data), len(data), digest_bytes(data))
        media_type, name = opened_type, f"{file.path.stem}.{opened_type.partition('/')[2]}"
    headers = content_headers(media_type, name)
    return file_response(request, opened, headers, cached="private, no-cache")


# Uploads.


class _Form:
    """A form with one file, which is received to a temporary file."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.file = cast(BinaryIO, SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - its user's
        self.hasher = blake3()
        self.size = 0
        self.is_complete = False

    async def read(self, request: Request, most: int) -> None:
        """Read the form of a request.

        Raises:
            BadFile: There is no file in it.
            BadForm: It cannot be read.
            TooLarge: A part is too large.
        """
        content_type = request.headers.get("content-type", "")
        if not is_form(content_type):
            raise BadFile("the body must be a form", expected="multipart/form-data with `image`")
        part, field = None, bytearray()
        async for event in form_events(request.stream(), content_type, parts=16):
            if isinstance(event, PartBegins):
                part, field = event, bytearray()
                if self._is_file(part):
                    if self.is_complete:
                        raise BadFile("the form has several files", expected="one part `image`")
                    self.filename = part.filename or ""
            elif isinstance(event, PartEnds):
                if part is not None and self._is_file(part):
                    self.is_complete = True
                elif part is not None:
                    self.fields[part.name] = field.decode(errors="replace")
            elif part is not None and self._is_file(part):
                self.size += len(event)
                if self.size > most:
                    raise TooLarge("the file is too large")
                self.hasher.update(event)
                await asyncio.to_thread(self.file.write, event)
            else:
                field += event
                if len(field) > _LARGEST_FIELD:
                    raise TooLarge("a field of the form is too large")
        if not self.is_complete or not self.filename:
            raise BadFile("the form has no file", expected="a part `image` with a file name")

    def _is_file(self, part: PartBegins) -> bool:
        return part.name == "image" and part.filename is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file."""
        self.file.seek(0)
        while data := await asyncio.to_thread(self.file.read, _STEP):
            yield data

    @property
    def name(self) -> FileName:
        """The file as its client names it."""
        kind, folder = self.fields.get("type", "input"), self.fields.get("subfolder", "")
        try:
            return FileName(PurePosixPath(self.filename.replace("\\", "/")).name, kind, folder)
        except FileOutside as error:
            raise BadFile(error.problem.message, given=error.problem.given) from None


def _naming(request: Request, caller: Caller) -> asyncio.Lock:
    """Return what lets one upload of a client find a name: two would find the same one free."""
    state = request.app.state
    if not hasattr(state, "comfyui_naming"):
        state.comfyui_naming = {}
    locks: dict[str, asyncio.Lock] = state.comfyui_naming
    return locks.setdefault(caller.name, asyncio.Lock())


async def _keep(
    services: Services,
    caller: Caller,
    form: _Form,
    file: FileName,
    digest: str,
    chunks: AsyncIterator[bytes],
) -> dict[str, str]:
    """Keep an uploaded file under a free name, or the one that it has already."""
    is_over = form.fields.get("overwrite", "").lower() in ("true", "1")
    free, number = file, 0
    while not is_over:
        known = await services.run_file_task(_find_upload, services, caller, free)
        if known is None or known.digest == digest:
            break
        number += 1
        free = file.with_name(f"{file.path.stem} ({number}){file.path.suffix}")
    upload, _ = await services.uploads.receive(
        chunks, f"{free.flat}{file.path.suffix}", caller.name
    )
    return free.listed(upload)


@router.post("/upload/image")
async def upload_image(request: Request, services: TheServices, caller: MayRun) -> dict[str, str]:
    """Upload a file that prompts may name."""
    form = _Form()
    with form.file:
        await form.read(request, services.uploads.rules.bytes)
        digest = form.hasher.hexdigest()
        async with _naming(request, caller):
            return await _keep(services, caller, form, form.name, digest, form.chunks())


@router.post("/upload/mask")
async def upload_mask(request: Request, services: TheServices, caller: MayRun) -> dict[str, str]:
    """Upload an image whose transparency becomes that of another image."""
    form = _Form()
    with form.file:
        await form.read(request, services.uploads.rules.bytes)
        form.file.seek(0)
        mask = await asyncio.to_thread(form.file.read)
    reference = read_document(form.fields.get("original_ref", "").encode())
    if not isinstance(reference, dict) or not isinstance(reference.get("filename"), str):
        raise BadFile("`original_ref` names no file", expected="JSON with a `filename`")
    known = {name: str(reference.get(name) or "") for name in ("type", "subfolder")}
    original = FileName(reference["filename"], known["type"] or "output", known["subfolder"])
    opened, _ = await services.run_file_task(_open, services, caller, original)
    merged = await services.artifacts.thumbnails.with_alpha(lambda: opened, mask, caller.name)
    digest = blake3(merged).hexdigest()
    async with _naming(request, caller):
        return await _keep(services, caller, form, form.name, digest, _once(merged))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


# Files that prompts name.


async def find_inputs(
    services: Services, caller: Caller, prompt: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """Return a prompt with paths of uploads in place of names, and a text that stands for both.

    Outputs that it names become uploads, as jobs read nothing else of what clients made.

    Raises:
        InvalidWorkflow: It refers to an upload that there is not.
    """
    text = json.dumps(prompt)
    names = _file_names(prompt)
    references: dict[str, str] = {}
    for name in names:
        with suppress(NodegraphError):
            if reference := await _reference(services, caller, name):
                references[name] = reference
    named = _with_names(prompt, references) if references else prompt
    if not references and not services.uploads.mentions_uploads(text):
        return prompt, text
    resolved = await services.run_file_task(services.uploads.resolve, named, caller.only_client)
    return resolved, f"{text}\n{json.dumps(references)}"


def _file_names(prompt: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys(
        value
        for node in prompt.values()
        for port, value in _inputs(node).items()
        if isinstance(value, str) and port != "filename_prefix" and _is_file_name(value)
    )
    return list(names)[:_MOST_FILES]


def _inputs(node: object) -> Mapping[str, Any]:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}


def _is_file_name(value: str) -> bool:
    if len(value) > _LONGEST_NAME or "\n" in value or value.startswith("upload:"):
        return False
    match = _ANNOTATED.fullmatch(value)
    return PurePosixPath(match[1] if match else value).suffix.lower() in _SUFFIXES


async def _reference(services: Services, caller: Caller, name: str) -> str | None:
    """Return the reference of the upload that a name stands for; None if there is none."""
    file = FileName(name, "input")
    artifact = await services.run_file_task(_find_artifact, services, caller, file)
    if artifact is not None:
        opened = await services.run_file_task(services.artifacts.open, artifact)
        with opened.file:
            flat = f"{file.flat}{file.path.suffix}"
            copy, _ = await services.uploads.receive(_chunks(opened.file), flat, caller.name)
        return copy.reference
    upload = await services.run_file_task(_find_upload, services, caller, file)
    return None if upload is None else upload.reference


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await asyncio.to_thread(file.read, _STEP):
        yield data


def _with_names(prompt: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        node_id: {
            **node,
            "inputs": {
                port: names.get(value, value)
                if isinstance(value, str) and port != "filename_prefix"
                else value
                for port, value in _inputs(node).items()
            },
        }
        for node_id, node in prompt.items()
    }
