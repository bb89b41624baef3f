"""ComfyUI's page: a client's files and settings there, its templates, scripts of packs, itself.

The page is another project's, and neither shipped nor imported: its files are sent as they are, if
the settings name their folder. Its scripts and styles come from this server alone; its policy lets
nothing come from elsewhere. All other paths of the protocol are answered with 404.

Each client of the server has files of its own: the header `Comfy-User`, which any client can set,
counts for nothing.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from nodegraph.errors import NodegraphError
from nodegraph.packs.pack import Pack
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.content.user_files import UserFile
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import NotFound, Refused
from nodegraph.server.http.media_types import ANY, content_headers
from nodegraph.server.http.request_bodies import read_document
from nodegraph.server.http.responses import (
    FOREVER,
    AsciiJsonResponse,
    OpenFile,
    etag,
    file_response,
    is_not_modified,
)
from nodegraph.server.protocols.comfyui.paths import EDITOR, PREFIX, SENT_PATH, comfyui_router
from nodegraph.server.root_path import public_path
from nodegraph.server.workflows.node_types import DeclaredTypes
from nodegraph.session.examples import template, template_picture, templates

router = comfyui_router()

_PAGE = "index.html"
_STYLES = "user.css"
"""The client's own style sheet, which the page links."""
_TEMPLATES = "comfyui.templates"
_SIMPLEST = "text_to_image"
_FIRST = "-1"
"""Ends the name of a template's first image."""
_LARGEST_PAGE = 4 << 20
_MOST_SCRIPTS = 2_000
_TEMPLATE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")
_TEMPLATE_FILES = (".json", ".jpg", ".jpeg", ".png", ".webp")
_REVALIDATED = "no-cache"
_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {hashes}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob: data:; "
    "font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "manifest-src 'self'; frame-src 'self' blob:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
"""Not left to the machine, whose registry may have other types."""


def page_policy(page: bytes) -> str:
    """Return the page's content security policy: its own inline scripts are named by digests."""
    digests = (b64encode(sha256(script).digest()).decode() for script in _SCRIPT.findall(page))
    return _POLICY.format(hashes=" ".join(f"'sha256-{digest}'" for digest in digests))


_ROUTE = "/userdata/"
_MOVE = "move"
_YES = ("true", "1", "yes")
_DEFAULTS: dict[str, Any] = {
    # The page would ask another site, which its policy refuses.
    "Comfy.Notification.ShowVersionUpdates": False,
}
"""Settings that a client has as long as it sets no others."""


@router.get("/users")
async def get_users(services: TheServices, caller: MayRead) -> Response:
    """Say that files are kept here, and that there is one user: the caller."""
    return AsciiJsonResponse({"storage": "server", "migrated": True})


@router.post("/users")
async def add_user(services: TheServices, caller: MayRun) -> Response:
    """Refuse to add a user: tokens say who asks."""
    return AsciiJsonResponse({"error": "Users are the clients of this server's tokens."}, 400)


@router.get("/settings")
async def get_settings(services: TheServices, caller: MayRead) -> Response:
    """Return all settings of the caller."""
    settings = await services.run_in_thread(services.user_files.settings, caller.name)
    return AsciiJsonResponse({**_DEFAULTS, **settings})


@router.get("/settings/{name}")
async def get_setting(name: str, services: TheServices, caller: MayRead) -> Response:
    """Return a setting of the caller; null if it has none."""
    settings = await services.run_in_thread(services.user_files.settings, caller.name)
    return AsciiJsonResponse(settings.get(name, _DEFAULTS.get(name)))


@router.post("/settings")
async def change_settings(request: Request, services: TheServices, caller: MayRun) -> Response:
    """Set the settings of an object; the others stay."""
    changes = read_document(await request.body())
    if not isinstance(changes, dict):
        raise Refused("the settings must be an object", given=type(changes).__name__)
    await services.run_in_thread(services.user_files.change_settings, caller.name, changes)
    return Response(status_code=200)


@router.post("/settings/{name}")
async def change_setting(
    name: str, request: Request, services: TheServices, caller: MayRun
) -> Response:
    """Set one setting to the JSON value of the body."""
    changes = {name: read_document(await request.body())}
    await services.run_in_thread(services.user_files.change_settings, caller.name, changes)
    return Response(status_code=200)


@router.get("/userdata")
async def list_files(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Return the paths of the files in a folder, with sizes or split at their slashes."""
    query = request.query_params
    folder = query.get("dir", "").strip("/")
    if not folder:
        raise Refused("the folder is missing", expected="`dir`, such as `workflows`")
    entries = await services.run_in_thread(
        services.user_files.files, caller.name, folder, recurse=_is_set(request, "recurse")
    )
    paths = [(entry.path.removeprefix(f"{folder}/"), entry) for entry in entries]
    if _is_set(request, "full_info"):
        return AsciiJsonResponse([_info(entry, path) for path, entry in paths])
    if _is_set(request, "split"):
        return AsciiJsonResponse([[path, *path.split("/")] for path, _ in paths])
    return AsciiJsonResponse([path for path, _ in paths])


@router.get("/v2/userdata")
async def list_entries(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Return the files and folders in a folder; those of the caller's own without one."""
    folder = request.query_params.get("path", "").strip("/")

    def listed() -> list[dict[str, Any]]:
        folders = services.user_files.folders(caller.name, folder)
        try:
            files = services.user_files.files(caller.name, folder, recurse=False)
        except NotFound:
            if folder:
                raise
            files = []
        return [
            *({"name": _last(path), "path": path, "type": "directory"} for path in folders),
            *({"name": _last(each.path), "type": "file", **_info(each)} for each in files),
        ]

    return AsciiJsonResponse(await services.run_in_thread(listed))


@router.get("/userdata/{path:path}")
async def get_file(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Return a file of the caller."""
    path = "/".join(_parts(request))
    try:
        data = await services.run_in_thread(services.user_files.read, caller.name, path)
    except NotFound:
        if path != _STYLES:
            raise
        data = b""  # the page links it whether there is one or not
    headers = content_headers("application/json" if path.endswith(".json") else ANY, path)
    if path == _STYLES:
        headers = {"Content-Type": "text/css; charset=utf-8"}
    return Response(data, headers={**headers, "Cache-Control": "private, no-cache"})


@router.post("/userdata/{path:path}")
async def write_file(request: Request, services: TheServices, caller: MayRun) -> Response:
    """Write a file of the caller, or move it to another path."""
    parts, files = _parts(request), services.user_files
    overwrite = _is_set(request, "overwrite", default=True)
    if _MOVE in parts[1:-1]:
        at = parts.index(_MOVE, 1)
        source, target = "/".join(parts[:at]), "/".join(parts[at + 1 :])
        entry = await services.run_in_thread(
            files.move, caller.name, source, target, overwrite=overwrite
        )
    else:
        data = await request.body()
        entry = await services.run_in_thread(
            files.write, caller.name, "/".join(parts), data, overwrite=overwrite
        )
    is_full = _is_set(request, "full_info")
    return AsciiJsonResponse(_info(entry) if is_full else entry.path)


@router.delete("/userdata/{path:path}")
async def delete_file(request: Request, services: TheServices, caller: MayRun) -> Response:
    """Delete a file of the caller."""
    path = "/".join(_parts(request))
    await services.run_in_thread(services.user_files.delete, caller.name, path)
    return Response(status_code=204)


def _parts(request: Request) -> list[str]:
    """What stands between the slashes that were sent as such; escaped ones stay within a part."""
    sent: bytes = request.scope.get(SENT_PATH) or request.scope["raw_path"]
    path = sent.decode("latin-1").partition("?")[0]
    return [unquote(part) for part in path.partition(_ROUTE)[2].split("/")]


def _is_set(request: Request, name: str, *, default: bool = False) -> bool:
    value = request.query_params.get(name)
    return default if value is None else value.lower() in _YES


def _info(entry: UserFile, path: str | None = None) -> dict[str, Any]:
    """A file as lists have it, with times in milliseconds."""
    return {
        "path": entry.path if path is None else path,
        "size": entry.size,
        "modified": int(entry.modified * 1000),
        "created": int(entry.created * 1000),
    }


def _last(path: str) -> str:
    return path.rpartition("/")[2]


@router.get("")
async def get_root(services: TheServices, caller: MayRead) -> Response:
    """Lead to the page: what it asks for is relative to its folder."""
    return RedirectResponse(public_path(f"{PREFIX}/"), 307)


@router.get("/templates/{name}")
async def get_template(
    name: str, request: Request, services: TheServices, caller: MayRead
) -> Response:
    """Return the list of templates, a template, or its image."""
    types = await services.node_types.current()
    stem, _, suffix = name.rpartition(".")
    if name == "index_logo.json":
        return AsciiJsonResponse({})
    listed = await services.run_in_thread(_templates, types)
    if suffix == "json" and stem.partition(".")[0] == "index":
        return AsciiJsonResponse(_index(listed) if listed else [])
    if suffix == "json" and stem in listed:
        return AsciiJsonResponse(listed[stem])
    if suffix == "webp" and stem.endswith(_FIRST) and stem.removesuffix(_FIRST) in listed:
        image = await services.run_in_thread(template_picture, stem.removesuffix(_FIRST))
        return Response(image, media_type="image/webp", headers={"Cache-Control": _REVALIDATED})
    raise NotFound("there is no such template", given=ascii(name[:80]))


def _templates(types: DeclaredTypes) -> dict[str, Any]:
    """Return the workflows of the gallery that ComfyUI's page can show whole, by name."""
    cached = types.response_cache.get(_TEMPLATES)
    if cached is None:
        cached = types.response_cache[_TEMPLATES] = json.dumps(_exported(types)).encode()
    documents: dict[str, Any] = json.loads(cached)
    return documents


def _exported(types: DeclaredTypes) -> dict[str, Any]:
    from nodegraph.interop.comfyui.exporter import export_documents  # few servers are asked for it
    from nodegraph.interop.comfyui.object_info import listed_entries

    entries = [entry for entry, _ in listed_entries()]
    known = {entry.type for entry in entries}
    documents: dict[str, Any] = {}
    for name, workflow in templates().items():
        if template(name)[1] or template_picture(name) is None:
            continue  # its files are not this client's
        with suppress(NodegraphError):
            document = export_documents(workflow, entries, types)[1]["ui"]
            if "definitions" not in document and _types(document) <= known:
                documents[name] = {**document, "title": workflow.title}
    return documents


def _types(document: Mapping[str, Any]) -> set[str]:
    return {node["type"] for node in document["nodes"]}


def _index(listed: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = [
        {
            "name": name,
            "title": document["title"],
            "description": templates()[name].description or document["title"],
            "mediaType": "image",
            "mediaSubtype": "webp",
        }
        for name, document in sorted(listed.items(), key=lambda item: item[0] != _SIMPLEST)
    ]
    return [{"moduleName": "default", "title": "nodegraph", "type": "image", "templates": entries}]


# What packs of ComfyUI add to the page. Their scripts run with the rights of whoever opens it, so
# those of packs without trust are left out. Routes that packs add to ComfyUI's server do not exist.


@router.get("/extensions")
async def get_extensions(services: TheServices, caller: MayRead) -> Response:
    """Return the paths of the scripts that packs add to the page."""
    types = await services.node_types.current()
    return AsciiJsonResponse(await services.run_in_thread(_scripts, types))


@router.get("/extensions/{pack}/{path:path}")
async def get_extension(
    pack: str, path: str, request: Request, services: TheServices, caller: MayRead
) -> Response:
    """Return a file of a pack's folder for the page."""
    types = await services.node_types.current()
    folder = _web_folders(types).get(pack)
    if folder is None:
        raise NotFound("there is no such pack with files for this page", given=ascii(pack[:80]))
    return await services.run_in_thread(_file, request, folder, path)


@router.get("/i18n")
async def get_words(services: TheServices, caller: MayRead) -> Response:
    """Return the translations of packs by language."""
    types = await services.node_types.current()
    return AsciiJsonResponse(await services.run_in_thread(_words, types))


@router.get("/workflow_templates")
async def list_pack_templates(services: TheServices, caller: MayRead) -> Response:
    """Return the names of the example workflows of packs."""
    types = await services.node_types.current()
    return AsciiJsonResponse(await services.run_in_thread(_pack_templates, types))


@router.get("/workflow_templates/{pack}/{name}")
async def get_pack_template(
    pack: str, name: str, request: Request, services: TheServices, caller: MayRead
) -> Response:
    """Return an example workflow of a pack, or its image."""
    types = await services.node_types.current()
    owner = next((each for each in types.comfyui_packs if _folder_name(each) == pack), None)
    if owner is None or PurePosixPath(name).suffix not in _TEMPLATE_FILES:
        raise NotFound("there is no such template", given=ascii(name[:80]))
    return await services.run_in_thread(_template_file, request, owner, name)


def _folder_name(pack: Pack) -> str:
    """Name of a pack's folder, by which its scripts name themselves."""
    return pack.root.stem if pack.root.suffix == ".py" else pack.root.name


def _trusted_packs(types: DeclaredTypes) -> list[Pack]:
    return [pack for pack in types.comfyui_packs if pack.isolation and pack.isolation.trusted]


def _web_folders(types: DeclaredTypes) -> dict[str, ConfinedFolder]:
    """Folders of packs with files for the page, by the names of the packs' folders."""
    webs = {
        spec.pack: str(spec.foreign["web_directory"])
        for spec in types.specs.values()
        if "web_directory" in spec.foreign
    }
    folders = {}
    for pack in _trusted_packs(types):
        parts = [each for each in webs.get(pack.name, "").split("/") if each not in ("", ".")]
        # The pack's own files, such as its code, are not for the page.
        if parts and ".." not in parts and pack.root.is_dir():
            folders[_folder_name(pack)] = ConfinedFolder(pack.root.joinpath(*parts))
    return folders


def _scripts(types: DeclaredTypes) -> list[str]:
    paths = []
    for pack, folder in sorted(_web_folders(types).items()):
        for parent, folders, names in os.walk(folder.root):
            folders.sort()
            inner = Path(parent).relative_to(folder.root)
            paths += [
                f"/extensions/{quote(pack)}/{quote((inner / name).as_posix())}"
                for name in sorted(names)
                if name.endswith(".js") and not Path(parent, name).is_symlink()
            ]
    return paths[:_MOST_SCRIPTS]


def _words(types: DeclaredTypes) -> dict[str, Any]:
    words: dict[str, Any] = {}
    for pack in _trusted_packs(types):
        folder = ConfinedFolder(pack.root)
        for language in _names(pack.root / "locales"):
            for part in ("main", "nodeDefs", "commands", "settings"):
                document = _document(folder, "locales", language, f"{part}.json")
                known = words.setdefault(language, {}) if document else {}
                if part != "main":
                    known = known.setdefault(part, {}) if document else {}
                known.update(document)
    return words


def _pack_templates(types: DeclaredTypes) -> dict[str, list[str]]:
    templates_of: dict[str, list[str]] = {}
    for pack in types.comfyui_packs:
        names = [name for folder in _TEMPLATE_FOLDERS for name in _names(pack.root / folder)]
        workflows = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        if workflows:
            templates_of[_folder_name(pack)] = workflows[:_MOST_SCRIPTS]
    return templates_of


def _template_file(request: Request, pack: Pack, name: str) -> Response:
    for folder in _TEMPLATE_FOLDERS:
        with suppress(NotFound):
            return _file(request, ConfinedFolder(pack.root), f"{folder}/{name}")
    raise NotFound("there is no such template", given=ascii(name[:80]))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir())
    except OSError:
        return []


def _document(folder: ConfinedFolder, *parts: str) -> dict[str, Any]:
    """A JSON object of a pack; empty if there is none."""
    try:
        document = json.loads(folder.read(*parts, limit=_LARGEST_PAGE))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


@router.get("/{path:path}")
async def get_page(path: str, request: Request, services: TheServices, caller: MayRead) -> Response:
    """Return the page or a file that it loads."""
    folder = services.front_end
    if path == _STYLES:
        return Response(b"", media_type="text/css")
    if folder is None:
        if not path and services.server.comfyui:
            return RedirectResponse(public_path(f"{EDITOR}/"), 307)
        raise NotFound(
            "there is nothing at this path",
            hint=None if path else "The setting `comfyui_frontend` names the folder of the page.",
        )
    if path in ("", _PAGE):
        return await services.run_in_thread(_page, request, folder)
    return await services.run_in_thread(_file, request, folder, path)


@router.api_route("/{path:path}", methods=["DELETE", "PATCH", "POST", "PUT"])
async def refuse_change(path: str, services: TheServices, caller: MayRun) -> Response:
    """Say that there is nothing to change."""
    raise NotFound("there is nothing at this path")


def _page(request: Request, folder: ConfinedFolder) -> Response:
    try:
        body = folder.read(_PAGE, limit=_LARGEST_PAGE)
    except OSError:
        raise NotFound("the page of `comfyui_frontend` is gone") from None
    digest = sha256(body).hexdigest()
    headers = {
        "ETag": etag(digest),
        "Cache-Control": _REVALIDATED,
        "Content-Security-Policy": page_policy(body),
        # Without a referrer, a browser would say that what the page sends comes from nowhere.
        "Referrer-Policy": "same-origin",
    }
    if is_not_modified(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="text/html; charset=utf-8")


def _file(request: Request, folder: ConfinedFolder, path: str) -> Response:
    try:
        file = folder.open(*path.split("/"))
        status = os.fstat(file.fileno())
    except OSError:
        raise NotFound("there is nothing at this path") from None
    kind = _TYPES.get(PurePosixPath(path).suffix.lower()) or guess_type(path)[0] or ANY
    is_hashed = path.startswith("assets/")
    opened = OpenFile(file, status.st_size, f"{status.st_size:x}-{status.st_mtime_ns:x}")
    headers = {"Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind}
    return file_response(request, opened, headers, cached=FOREVER if is_hashed else _REVALIDATED)
