"""ComfyUI's routes of node types, models and the server itself."""

from __future__ import annotations

import json
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import PurePath
from typing import Any

import psutil
from fastapi import Request, Response

from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_access import is_readable
from nodegraph.core.version import VERSION
from nodegraph.core.weight_files import without_ending
from nodegraph.errors import NodegraphError
from nodegraph.families.identification import (
    LOAD_CONTROL,
    LOAD_DENOISER,
    LOAD_ENCODER,
    LOAD_FRAME_INTERPOLATOR,
    LOAD_GLIGEN,
    LOAD_INVERSION,
    LOAD_IP_ADAPTER,
    LOAD_LATENT_UPSCALER,
    LOAD_LORA,
    LOAD_MODEL,
    LOAD_REDUX,
    LOAD_UPSCALER,
    LOAD_VAE,
)
from nodegraph.models.model_sources import KIND_FOLDERS, FoundModel
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.artifacts.search import ArtifactFilter
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.http.dependencies import MayAdmin, MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.responses import (
    AsciiJsonResponse,
    coded_tag,
    content_coding,
    encoded,
    etag,
    is_not_modified,
)
from nodegraph.server.operations.logs import RECENT
from nodegraph.server.protocols.comfyui.files import UPLOAD_PARTS
from nodegraph.server.protocols.comfyui.paths import comfyui_router
from nodegraph.server.services import Services
from nodegraph.server.workflows.node_types import DeclaredTypes

router = comfyui_router()

PROTOCOL_VERSION = "0.33.0"
"""ComfyUI's version whose protocol this is: clients compare it."""
_INFO = "comfyui.object_info"
_PACK_TYPES = "comfyui.pack_types"
_SECONDS = 10.0
"""That the types of packs are waited for."""
_UPLOAD_OPTIONS = ("image_upload", "audio_upload", "video_upload", "file_upload")
"""Options of inputs that take uploads."""
_OWN_KEYS = ("native_names", "web_directory")
"""Of `NodeSpec.foreign`: not ComfyUI's."""
_MOST_FILES = 500
_OTHER_UPLOADS = (f"temp{UPLOAD_PARTS}", f"output{UPLOAD_PARTS}")
_FOLDERS: Mapping[str, str] = {
    LOAD_MODEL: "checkpoints",
    LOAD_DENOISER: "diffusion_models",
    LOAD_ENCODER: "text_encoders",
    LOAD_VAE: "vae",
    LOAD_LORA: "loras",
    LOAD_INVERSION: "embeddings",
    LOAD_CONTROL: "controlnet",
    LOAD_UPSCALER: "upscale_models",
    LOAD_LATENT_UPSCALER: "latent_upscale_models",
    LOAD_FRAME_INTERPOLATOR: "frame_interpolation",
    LOAD_IP_ADAPTER: "ipadapter",
    LOAD_GLIGEN: "gligen",
    LOAD_REDUX: "style_models",
}
"""ComfyUI's folder of what a node loads."""
_OTHER_NAMES: Mapping[str, str] = {
    "unet": "diffusion_models",
    "clip": "text_encoders",
    "Stable-diffusion": "checkpoints",
    "Lora": "loras",
    "VAE": "vae",
    "ControlNet": "controlnet",
    "ESRGAN": "upscale_models",
}
_ALL_FOLDERS = tuple(dict.fromkeys(_OTHER_NAMES.get(name, name) for name in KIND_FOLDERS))


def features(services: Services) -> dict[str, Any]:
    """Return what this server can do, as clients ask for it."""
    return {
        "supports_preview_metadata": True,
        "max_upload_size": services.server.limits.upload,
        "node_replacements": False,
        "assets": False,
    }


def models_by_folder(models: Sequence[FoundModel]) -> dict[str, dict[str, FoundModel]]:
    """Return models by ComfyUI's folders, and by their names in them, sorted.

    A folder of models of one kind tells the kind; anywhere else, what loads the model does.
    """
    folders: dict[str, dict[str, FoundModel]] = defaultdict(dict)
    for model in models:
        if model.kind == "embedded" and model.node == LOAD_DENOISER:
            continue  # it makes molecules and the like, which no node of ComfyUI takes
        first, _, name = model.name.partition("/")
        if name and first in KIND_FOLDERS:
            folders[_OTHER_NAMES.get(first, first)].setdefault(name, model)
        elif folder := _FOLDERS.get(model.node or ""):
            folders[folder].setdefault(model.name, model)
    return {name: dict(sorted(each.items())) for name, each in folders.items()}


async def _folders(services: Services) -> dict[str, dict[str, FoundModel]]:
    return models_by_folder(await services.run_in_thread(services.listed_models))


async def _folder(services: Services, name: str) -> dict[str, FoundModel]:
    if name not in _ALL_FOLDERS and name not in _OTHER_NAMES:
        raise NotFound("there is no such folder of models", given=ascii(name[:80]))
    return (await _folders(services)).get(_OTHER_NAMES.get(name, name), {})


async def _described(services: Services, caller: Caller) -> tuple[str, bytes]:
    """The description of all node types, with its digest; made anew when anything in it changes."""
    types = await services.node_types.current()
    lists: dict[str, Sequence[str]] = {
        folder: list(models) for folder, models in (await _folders(services)).items()
    }
    files = sorted(await services.run_file_task(_input_files, services, caller))
    brought = await _pack_types(services, types)
    return await services.run_in_thread(_description, types, lists, files, brought)


async def _pack_types(services: Services, types: DeclaredTypes) -> bytes:
    """Types that packs translate, as JSON; asked for once, in the process that imports packs."""
    cached = types.response_cache.get(_PACK_TYPES)
    if cached is not None or not services.has_workers:
        return cached or b"[]"
    try:
        answer = await services.supervisor.ask("comfyui_types", {}, _SECONDS)
    except NodegraphError:
        return b"[]"  # the others are described all the same, and these the next time
    types.response_cache[_PACK_TYPES] = written = json.dumps(answer).encode()
    return written


def _input_files(services: Services, caller: Caller) -> list[str]:
    """Names of files that loaders may name, the newest first: uploads, and the inputs folder."""
    uploads = services.uploads.page(caller.only_client, limit=_MOST_FILES).uploads
    dated = {
        each.name.replace(UPLOAD_PARTS, "/"): each.used
        for each in reversed(uploads)
        if not each.name.startswith(_OTHER_UPLOADS)
    }
    if caller.may("run"):
        folder = ConfinedFolder(services.environment.inputs)
        with suppress(OSError):
            for name in folder.names()[:_MOST_FILES]:
                path = str(services.environment.inputs / name)
                status = None if name.startswith(".") else folder.status(name)
                if status is not None and is_readable(path, services.environment):
                    dated[name] = status.st_mtime
    return sorted(dated, key=lambda name: -dated[name])


def _output_files(services: Services, caller: Caller) -> list[str]:
    which = ArtifactFilter(caller.only_client)
    files = services.artifacts.page(which, limit=_MOST_FILES).artifacts
    return [PurePath(each.path).name for each in files]


@router.get("/internal/files/{kind}")
async def get_files(kind: str, services: TheServices, caller: MayRead) -> Response:
    """Return the names of the caller's newest files: those brought, or those made."""
    if kind not in ("input", "output", "temp"):
        raise NotFound("there is no such folder of files", given=ascii(kind[:80]))
    list_files = _input_files if kind == "input" else _output_files
    names = [] if kind == "temp" else await services.run_file_task(list_files, services, caller)
    return AsciiJsonResponse(names)


def _description(
    types: DeclaredTypes,
    lists: Mapping[str, Sequence[str]],
    files: Sequence[str],
    brought: bytes,
) -> tuple[str, bytes]:
    # Few servers are asked for it.
    from nodegraph.interop.comfyui.object_info import INPUT_FILES, object_info, pack_entry

    contents = json.dumps([types.digest, lists, files, brought.decode()])
    digest = str(digest_bytes(contents.encode("utf-8", "replace")))
    cached = types.response_cache.get(_INFO)
    if cached is None or not cached.startswith(digest.encode()):
        foreign = {name: _with_files(each, files) for name, each in _foreign_types(types).items()}
        # The import translates these classes, too, but only their packs know all options.
        others = [each for each in json.loads(brought) if each["signature"]["type"] not in foreign]
        entries = [pack_entry(**each) for each in others]
        info = {**foreign, **object_info(types.specs, {**lists, INPUT_FILES: files}, entries)}
        body = json.dumps(info, separators=(",", ":"), allow_nan=False).encode()
        types.response_cache[_INFO] = cached = digest.encode() + body
    return digest, cached[len(digest) :]


def _foreign_types(types: DeclaredTypes) -> dict[str, Any]:
    """Descriptions of the classes of installed ComfyUI packs, as the packs gave them."""
    declared = (spec.foreign for spec in types.specs.values() if "output" in spec.foreign)
    return {
        str(each["name"]): {key: value for key, value in each.items() if key not in _OWN_KEYS}
        for each in declared
        if "name" in each and "input" in each
    }


def _with_files(info: Mapping[str, Any], files: Sequence[str]) -> Mapping[str, Any]:
    """A description whose inputs for uploads offer the caller's files, too.

    Packs list the files of the folder of inputs; uploads lie elsewhere.
    """
    groups = {
        group: {name: _offering(entry, files) for name, entry in entries.items()}
        for group, entries in info["input"].items()
        if isinstance(entries, Mapping)
    }
    return {**info, "input": {**info["input"], **groups}}


def _offering(entry: Any, files: Sequence[str]) -> Any:
    """An input with more choices, if it is one for uploads."""
    options = entry[1] if isinstance(entry, (list, tuple)) and len(entry) > 1 else None
    if not isinstance(options, Mapping) or not any(map(options.get, _UPLOAD_OPTIONS)):
        return entry
    if isinstance(entry[0], (list, tuple)):
        return [list(dict.fromkeys([*entry[0], *files])), options]
    choices = options.get("options")
    if not isinstance(choices, (list, tuple)):
        return entry
    return [entry[0], {**options, "options": list(dict.fromkeys([*choices, *files]))}]


@router.get("/object_info")
async def get_object_info(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Describe all node types of ComfyUI that are imported, with this server's models."""
    digest, body = await _described(services, caller)
    coding = content_coding(request.headers.get("accept-encoding"))
    tag = coded_tag(digest, coding)
    headers = {"ETag": etag(tag), "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if is_not_modified(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if coding is not None:
        # Packed for each request, as the models of the server may have changed.
        body = await services.run_in_thread(encoded, body, coding, 1)
        headers["Content-Encoding"] = coding
    return Response(body, headers=headers, media_type="application/json")


@router.get("/object_info/{node_type:path}")
async def get_node_info(node_type: str, services: TheServices, caller: MayRead) -> Response:
    """Describe one node type; an empty object if it is not imported."""
    _, body = await _described(services, caller)
    info = await services.run_in_thread(json.loads, body)
    return AsciiJsonResponse({node_type: info[node_type]} if node_type in info else {})


@router.get("/embeddings")
async def get_embeddings(services: TheServices, caller: MayRead) -> Response:
    """Return the names of textual inversions, without their endings."""
    names = (await _folders(services)).get("embeddings", {})
    return AsciiJsonResponse(sorted({without_ending(name) for name in names}))


@router.get("/models")
async def get_model_folders(services: TheServices, caller: MayRead) -> Response:
    """Return the names of the folders of models."""
    return AsciiJsonResponse(list(_ALL_FOLDERS))


@router.get("/models/{folder}")
async def get_models(folder: str, services: TheServices, caller: MayRead) -> Response:
    """Return the names of the models in a folder."""
    return AsciiJsonResponse(list(await _folder(services, folder)))


@router.get("/experiment/models")
async def get_described_folders(services: TheServices, caller: MayRead) -> Response:
    """Return the folders of models; where they lie is shown to nobody."""
    return AsciiJsonResponse([{"name": name, "folders": [name]} for name in _ALL_FOLDERS])


@router.get("/experiment/models/{folder}")
async def get_described_models(folder: str, services: TheServices, caller: MayRead) -> Response:
    """Return the models in a folder with their sizes and times."""
    models = await _folder(services, folder)
    return AsciiJsonResponse(
        await services.run_in_thread(
            lambda: [_model_entry(name, model) for name, model in models.items()]
        )
    )


def _model_entry(name: str, model: FoundModel) -> dict[str, Any]:
    try:
        status = model.path.stat()
        modified, created = status.st_mtime, min(status.st_ctime, status.st_mtime)
    except OSError:
        modified = created = 0.0  # it was removed meanwhile, or lies elsewhere
    return {
        "name": name,
        "pathIndex": 0,
        "modified": modified,
        "created": created,
        "size": model.bytes,
    }


@router.get("/view_metadata/{folder}")
async def get_metadata(
    folder: str, request: Request, services: TheServices, caller: MayRead
) -> Response:
    """Return the metadata in a model file's header."""
    name = request.query_params.get("filename", "")
    model = (await _folder(services, folder)).get(name)
    if model is not None and model.path.suffix == ".safetensors" and model.remote_url is None:
        metadata = await services.run_in_thread(_metadata, model)
        if metadata:
            return AsciiJsonResponse(metadata)
    raise NotFound("there is no metadata of such a model", given=ascii(name[:80]))


def _metadata(model: FoundModel) -> Mapping[str, Any]:
    from nodegraph.weights.safetensors_header import read_header  # few servers are asked for it

    try:
        return dict(read_header(model.path).metadata)
    except (NodegraphError, OSError):
        return {}


@router.get("/features")
async def get_features(services: TheServices, caller: MayRead) -> Response:
    """Return what the server can do."""
    return AsciiJsonResponse(features(services))


@router.get("/system_stats")
async def get_system_stats(services: TheServices, caller: MayRead) -> Response:
    """Return the machine's memory, versions, and the devices of the workers."""
    memory = psutil.virtual_memory()
    workers = await services.queue_reads.run(services.worker_states)
    devices = sorted({each.device for each in workers if each.role == "worker"}) or ["cpu"]
    system = {
        "os": sys.platform,
        "ram_total": memory.total,
        "ram_free": memory.available,
        "comfyui_version": PROTOCOL_VERSION,
        "nodegraph_version": VERSION,
        "python_version": platform.python_version(),
        "pytorch_version": "",
        "embedded_python": False,
        "argv": [],
    }
    return AsciiJsonResponse({"system": system, "devices": [_device(each) for each in devices]})


def _device(name: str) -> dict[str, Any]:
    """A device; of the memory of accelerators, the server process knows nothing."""
    kind, _, number = name.partition(":")
    memory = psutil.virtual_memory()
    total, free = (memory.total, memory.available) if kind == "cpu" else (0, 0)
    return {
        "name": name,
        "type": kind,
        "index": int(number) if number.isdecimal() else 0,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }


@router.get("/node_replacements")
@router.get("/global_subgraphs")
async def get_nothing(services: TheServices, caller: MayRead) -> Response:
    """Return replacements and blocks of packs: none."""
    return AsciiJsonResponse({})


@router.get("/internal/logs")
async def get_log(services: TheServices, caller: MayAdmin) -> Response:
    """Return the last lines of the server's log as one text."""
    return AsciiJsonResponse("".join(f"{text}\n" for _, text in RECENT))


@router.get("/internal/logs/raw")
async def get_log_lines(services: TheServices, caller: MayAdmin) -> Response:
    """Return the last lines of the server's log."""
    return AsciiJsonResponse(log_document(RECENT))


def log_document(lines: Iterable[tuple[float, str]]) -> dict[str, Any]:
    """Return lines of the log as ComfyUI's page reads them."""
    entries = [
        {"t": datetime.fromtimestamp(at, timezone.utc).isoformat(), "m": f"{text}\n"}
        for at, text in list(lines)
    ]
    return {"entries": entries, "size": {"cols": 120, "rows": 30}}


@router.get("/internal/folder_paths")
async def get_folder_paths(services: TheServices, caller: MayAdmin) -> Response:
    """Return where folders of models lie."""
    roots = [str(folder) for folder in services.settings.model_folders]
    return AsciiJsonResponse({name: [f"{root}/{name}" for root in roots] for name in _ALL_FOLDERS})
