"""AUTOMATIC1111's API: what there is (models, samplers, styles, …), options, and the lists of
ControlNet's extension."""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.errors import InvalidValue
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.uploads.index import Upload
from nodegraph.server.http.dependencies import MayAdmin, MayRead, MayRun, TheServices
from nodegraph.server.http.errors import Forbidden
from nodegraph.server.http.file_responses import texts_response
from nodegraph.server.http.problems import register_error_form
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import json_response
from nodegraph.server.services import Services

if TYPE_CHECKING:
    from nodegraph.interop.image_metadata.model_finder import ListedModels

router = APIRouter(route_class=JsonRoute)
API, CONTROL = "/sdapi/v1", "/controlnet"
_LATENT_MODES = (
    *("Latent", "Latent (antialiased)", "Latent (bicubic)", "Latent (bicubic antialiased)"),
    *("Latent (nearest)", "Latent (nearest-exact)"),
)
_PIXEL_UPSCALERS = ("None", "Lanczos", "Nearest")
_MODULES = (
    *("none", "invert", "canny", "lineart_standard", "softedge_hed", "softedge_pidinet"),
    *("scribble_xdog", "scribble_hed", "tile_resample", "t2ia_color_grid", "blur_gaussian"),
)
_VISION_MODULES = ("depth_anything_v2", "depth_midas", "openpose", "openpose_full")
_SCRIPTS = ("adetailer", "controlnet")
_KEPT = ("sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers", "forge_additional_modules")
"""Options that are kept for each client."""
_FIXED: Mapping[str, Any] = {
    "samples_save": False,
    "samples_format": "png",
    "grid_save": False,
    "return_grid": False,
    "return_mask": False,
    "return_mask_composite": False,
    "enable_pnginfo": True,
    "eta_noise_seed_delta": 0,
    "randn_source": "CPU",
    "img2img_color_correction": False,
    "inpainting_mask_weight": 1.0,
    "initial_noise_multiplier": 1.0,
    "img2img_fix_steps": False,
    "enable_emphasis": True,
    "live_previews_enable": True,
    "show_progress_type": "Approx NN",
    "show_progress_every_n_steps": 1,
    "face_restoration": False,
    "face_restoration_model": None,
    "upscaler_for_img2img": None,
    "sd_hypernetwork": "None",
    "control_net_unit_count": 10,
}
"""Options that clients read, and cannot change."""
_DATA = "base64,"
_SHOWN = 40


def _error_form(
    status: int, code: str, text: str, problems: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """An error as A1111 and FastAPI write it: `detail` says all that is wrong."""
    lines = [_problem_text(problem) for problem in problems] or [text]
    detail = "\n".join(dict.fromkeys(lines))
    return {"error": code, "detail": detail, "body": "", "errors": text}


def _problem_text(problem: Mapping[str, Any]) -> str:
    from nodegraph.errors import Problem

    return str(Problem.from_dict(problem))


for _prefix in ("/sdapi/", "/controlnet/", "/internal/"):
    register_error_form(_prefix, _error_form)


# What both modules of the protocol need.


async def list_models(services: Services) -> ListedModels:
    """Return the models of the server, by the names of this protocol."""

    def listed() -> ListedModels:
        from nodegraph.interop.image_metadata.model_finder import ListedModels

        models = services.listed_models()
        hashes = services.model_index.hashes(models)
        return ListedModels(models, {name: each.sha256 for name, each in hashes.items()})

    services.model_index.request_update()
    return await services.run_in_thread(listed)


async def kept_options(services: Services, caller: Caller) -> Mapping[str, Any]:
    """Return the options that a client has set."""
    options = await services.run_in_thread(services.prompt_lists.options, caller.name)
    return {name: options[name] for name in _KEPT if name in options}


def decode_image(text: str, what: str) -> bytes:
    """Return the bytes of an image in base64, with or without the beginning of a data URL.

    Raises:
        InvalidValue: It is no base64 text; addresses are not fetched.
    """
    if text.startswith(("http://", "https://")):
        raise InvalidValue(
            f"`{what}` is an address", given=text[:_SHOWN], hint="Send the image itself as base64."
        )
    start = text.find(_DATA) + len(_DATA) if text.startswith("data:") and _DATA in text[:200] else 0
    try:
        data = b64decode(text[start:].strip())
    except (Base64Error, ValueError):
        data = b""
    if not data:
        raise InvalidValue(
            f"`{what}` is no image", given=ascii(text[:_SHOWN]), expected="an image as base64 text"
        )
    return data


async def upload_image(services: Services, caller: Caller, text: str, what: str) -> Upload:
    """Take an image of a request in as an upload of the caller.

    Raises:
        InvalidValue: It is no image.
        TooLarge, UnsupportedType, InvalidFile: As `Uploads.receive`.
    """
    data = await asyncio.to_thread(decode_image, text, what)

    async def chunks() -> Any:
        yield data

    upload, _ = await services.uploads.receive(chunks(), f"{what}.png", caller.name)
    if not upload.width or not upload.height:
        raise InvalidValue(f"`{what}` is no image", given=upload.media_type, expected="an image")
    return upload


# Models


@router.get(f"{API}/sd-models")
async def get_models(services: TheServices, caller: MayRead) -> Response:
    """List the models."""
    from nodegraph.interop.image_metadata.model_finder import stem

    models = await list_models(services)
    return json_response(
        [
            {
                "title": models.title(model.name),
                "model_name": stem(model.name),
                "hash": models.hash10(model.name) or None,
                "sha256": models.sha256(model.name) or None,
                "filename": model.name,
                "config": None,
            }
            for model in models.of("checkpoints")
        ]
    )


async def _names(services: Services, *folders: str) -> list[tuple[str, str]]:
    """Short names and names of models."""
    from nodegraph.interop.image_metadata.model_finder import stem

    models = await list_models(services)
    return [(stem(model.name), model.name) for folder in folders for model in models.of(folder)]


@router.get(f"{API}/sd-vae")
async def get_vaes(services: TheServices, caller: MayRead) -> Response:
    """List the VAEs."""
    names = await _names(services, "vae")
    return json_response([{"model_name": stem, "filename": name} for stem, name in names])


@router.get(f"{API}/sd-modules")
async def get_modules(services: TheServices, caller: MayRead) -> Response:
    """List VAEs and text encoders, as Forge does."""
    names = await _names(services, "vae", "text_encoders")
    return json_response([{"model_name": stem, "filename": name} for stem, name in names])


@router.get(f"{API}/loras")
async def get_loras(services: TheServices, caller: MayRead) -> Response:
    """List the LoRAs."""
    names = await _names(services, "loras")
    return json_response(
        [{"name": stem, "alias": stem, "path": name, "metadata": {}} for stem, name in names]
    )


@router.get(f"{API}/embeddings")
async def get_embeddings(services: TheServices, caller: MayRead) -> Response:
    """List the textual inversions."""
    empty = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None}
    names = await _names(services, "embeddings")
    loaded = {stem: {**empty, "shape": 0, "vectors": 0} for stem, _ in names}
    return json_response({"loaded": loaded, "skipped": {}})


@router.get(f"{API}/upscalers")
async def get_upscalers(services: TheServices, caller: MayRead) -> Response:
    """List the upscale models and interpolations."""
    names = [(name, None) for name in _PIXEL_UPSCALERS]
    names += await _names(services, "upscale_models")  # type: ignore[arg-type]
    return json_response(
        [
            {
                "name": name,
                "model_name": name if path else None,
                "model_path": path,
                "model_url": None,
                "scale": 4,
            }
            for name, path in names
        ]
    )


@router.get(f"{API}/realesrgan-models")
async def get_realesrgan_models(services: TheServices, caller: MayRead) -> Response:
    """List the upscale models of Real-ESRGAN."""
    names = await _names(services, "upscale_models")
    return json_response(
        [
            {"name": stem, "path": name, "scale": 4}
            for stem, name in names
            if "realesr" in stem.lower()
        ]
    )


@router.get(f"{API}/latent-upscale-modes")
async def get_latent_modes(caller: MayRead) -> Response:
    """List the interpolations of latents."""
    return json_response([{"name": name} for name in _LATENT_MODES])


@router.get(f"{API}/hypernetworks")
@router.get(f"{API}/face-restorers")
@router.get(f"{API}/lycos")
@router.get(f"{API}/extensions")
async def get_nothing(caller: MayRead) -> Response:
    """List what there is none of here."""
    return json_response([])


# Samplers, styles and scripts


@router.get(f"{API}/samplers")
async def get_samplers(services: TheServices, caller: MayRead) -> Response:
    """List the samplers by A1111's names."""

    def listed() -> list[dict[str, Any]]:
        from nodegraph.interop.image_metadata.workflow_settings import sampler_titles

        return [
            {"name": title, "aliases": [name], "options": {}}
            for name, title in sampler_titles().items()
        ]

    return json_response(await services.run_in_thread(listed))


@router.get(f"{API}/schedulers")
async def get_schedulers(services: TheServices, caller: MayRead) -> Response:
    """List the schedules by A1111's names."""

    def listed() -> list[dict[str, Any]]:
        from nodegraph.interop.image_metadata.workflow_settings import schedule_titles

        more = {"aliases": None, "default_rho": -1.0, "need_inner_model": False}
        titles = {"automatic": "Automatic", **schedule_titles()}
        return [{"name": name, "label": title, **more} for name, title in titles.items()]

    return json_response(await services.run_in_thread(listed))


@router.get(f"{API}/prompt-styles")
async def get_styles(services: TheServices, caller: MayRead) -> Response:
    """List the styles of the caller."""
    styles = await services.run_in_thread(services.prompt_lists.styles, caller.name)
    return json_response(
        [
            {"name": each.name, "prompt": each.prompt, "negative_prompt": each.negative_prompt}
            for each in styles
        ]
    )


@router.get(f"{API}/scripts")
async def get_scripts(caller: MayRead) -> Response:
    """List the scripts."""
    return json_response({"txt2img": list(_SCRIPTS), "img2img": list(_SCRIPTS)})


@router.get(f"{API}/script-info")
async def get_script_info(caller: MayRead) -> Response:
    """Describe the scripts."""
    return json_response(
        [
            {"name": name, "is_alwayson": True, "is_img2img": is_img2img, "args": []}
            for name in _SCRIPTS
            for is_img2img in (False, True)
        ]
    )


# Options


class WebuiOptions(BaseModel):
    """Options that a client sets."""

    model_config = ConfigDict(extra="allow")

    sd_model_checkpoint: str | None = Field(None, max_length=1000)
    sd_vae: str | None = Field(None, max_length=1000)
    CLIP_stop_at_last_layers: Annotated[int, Field(ge=1, le=24)] | None = None
    forge_additional_modules: (
        Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=8)] | None
    ) = None


@router.get(f"{API}/options")
async def get_options(services: TheServices, caller: MayRead) -> Response:
    """Return the caller's options, and others that have one value here."""
    models, kept = await list_models(services), await kept_options(services, caller)
    return json_response(_shown_options(models, kept))


def _shown_options(models: ListedModels, kept: Mapping[str, Any]) -> dict[str, Any]:
    name = kept.get("sd_model_checkpoint") or models.default()
    return {
        **_FIXED,
        "sd_vae": "Automatic",
        "CLIP_stop_at_last_layers": 1,
        "forge_additional_modules": [],
        **kept,
        "sd_model_checkpoint": models.title(name),
        "sd_checkpoint_hash": models.sha256(name) or "",
    }


@router.post(f"{API}/options")
async def set_options(services: TheServices, caller: MayRun, options: WebuiOptions) -> Response:
    """Keep options for the caller: the model, the VAE, CLIP skip and Forge's modules."""
    models, kept = await list_models(services), await kept_options(services, caller)
    notes = await keep_options(services, caller, models, options, _shown_options(models, kept))
    return json_response({"nodegraph_notes": notes} if notes else None)


async def keep_options(
    services: Services,
    caller: Caller,
    models: ListedModels,
    options: WebuiOptions,
    shown: Mapping[str, Any],
) -> list[str]:
    """Keep options of a client; return what is not kept, a sentence each.

    Raises:
        InvalidValue: There is no such model.
    """
    from nodegraph.interop.image_metadata.generation import ModelReference, shorten

    changes = {
        name: value
        for name, value in options.model_dump(include=set(_KEPT), exclude_unset=True).items()
        if value is not None
    }
    model, vae = changes.get("sd_model_checkpoint"), changes.get("sd_vae")
    if model:
        changes["sd_model_checkpoint"], _ = models.find(ModelReference(model), "checkpoints")
    if vae and vae.lower() not in ("automatic", "none"):
        changes["sd_vae"], _ = models.find(ModelReference(vae), "vae")
    if changes:
        await services.run_in_thread(services.prompt_lists.change_options, caller.name, changes)
    return [
        f"The option `{shorten(name)}` is not kept."
        for name, value in (options.model_extra or {}).items()
        if name not in shown or shown[name] != value
    ]


@router.get(f"{API}/cmd-flags")
async def get_flags(caller: MayRead) -> Response:
    """Return flags of the command line that clients look for."""
    return json_response({"api": True, "nowebui": True, "cors_allow_origins": None})


@router.get(f"{API}/memory")
async def get_memory(caller: MayRead) -> Response:
    """Return the memory of the machine. That of accelerators is the workers'."""
    page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    total = page and page * os.sysconf("SC_PHYS_PAGES")
    free = page and page * os.sysconf("SC_AVPHYS_PAGES")
    ram = {"free": free, "used": total - free, "total": total}
    return json_response({"ram": ram, "cuda": {"error": "unavailable"}})


@router.post(f"{API}/refresh-checkpoints")
@router.post(f"{API}/refresh-loras")
@router.post(f"{API}/refresh-vae")
@router.post(f"{API}/refresh-embeddings")
@router.post(f"{API}/reload-checkpoint")
@router.post(f"{API}/unload-checkpoint")
async def refresh(services: TheServices, caller: MayRun) -> Response:
    """Do nothing: models are found by themselves, and leave the memory when it is needed."""
    services.model_index.request_update()
    return json_response({})


@router.post(f"{API}/server-kill")
@router.post(f"{API}/server-restart")
@router.post(f"{API}/server-stop")
async def stop_server(caller: MayAdmin) -> Response:
    """Refuse to stop the server."""
    raise Forbidden(
        "this server is not stopped by a request", hint="Stop `nodegraph serve` on its machine."
    )


# Texts in images


class ImageText(BaseModel):
    """An image whose texts are read."""

    image: str


@router.post(f"{API}/png-info")
async def read_png_info(services: TheServices, caller: MayRun, body: ImageText) -> Response:
    """Return the settings and texts in an image."""
    upload = await upload_image(services, caller, body.image, "image")
    carried = await texts_response(
        caller,
        services.artifacts.thumbnails,
        upload.name,
        partial(services.uploads.open, upload),
    )
    return json_response(await services.run_in_thread(_png_info, carried.texts))


def _png_info(texts: Mapping[str, str]) -> dict[str, Any]:
    from nodegraph.interop.image_metadata.infotext import parse_infotext

    info = texts.get("parameters", "")
    infotext = parse_infotext(info)
    parameters: dict[str, str] = {}
    if infotext.fields:
        parameters = {"Prompt": infotext.prompt, "Negative prompt": infotext.negative}
        parameters |= infotext.fields
        width, _, height = infotext.fields.get("Size", "").partition("x")
        parameters |= {"Size-1": width, "Size-2": height} if height else {}
    return {"info": info, "items": dict(texts), "parameters": parameters}


# ControlNet's lists


async def _control_models(services: Services) -> list[str]:
    from nodegraph.interop.image_metadata.model_finder import stem

    models = await list_models(services)
    return [
        f"{stem(model.name)} [{models.hash10(model.name)[:8]}]"
        if models.hash10(model.name)
        else stem(model.name)
        for model in models.of("controlnet")
    ]


def _modules(models: ListedModels) -> list[str]:
    from nodegraph.interop.image_metadata.webui_request import VISION_PREPROCESSORS

    kinds = VISION_PREPROCESSORS.items()
    starts = tuple(start for start, pattern in kinds if models.vision(pattern) is not None)
    return [*_MODULES, *(name for name in _VISION_MODULES if name.startswith(starts))]


@router.get(f"{CONTROL}/version")
async def get_control_version(caller: MayRead) -> Response:
    """Return the version of ControlNet's API."""
    return json_response({"version": 2})


@router.get(f"{CONTROL}/model_list")
async def get_control_models(services: TheServices, caller: MayRead) -> Response:
    """List the ControlNets."""
    return json_response({"model_list": await _control_models(services)})


@router.get(f"{CONTROL}/module_list")
async def get_control_modules(services: TheServices, caller: MayRead) -> Response:
    """List the preprocessors."""
    models = await list_models(services)
    names = await services.run_in_thread(_modules, models)
    details = {name: {"model_free": False, "sliders": []} for name in names}
    return json_response({"module_list": names, "module_detail": details})


@router.get(f"{CONTROL}/control_types")
async def get_control_types(services: TheServices, caller: MayRead) -> Response:
    """List the preprocessors and ControlNets under one type."""
    models = await list_models(services)
    modules = await services.run_in_thread(_modules, models)
    entry = {
        "module_list": modules,
        "model_list": ["None", *await _control_models(services)],
        "default_option": "none",
        "default_model": "None",
    }
    return json_response({"control_types": {"All": entry}})


@router.get(f"{CONTROL}/settings")
async def get_control_settings(caller: MayRead) -> Response:
    """Return the number of units."""
    return json_response({"control_net_unit_count": 10})


# What clients ask to see who answers


@router.get("/internal/ping")
async def ping(caller: MayRead) -> Response:
    """Say that the server is there."""
    return json_response({})


@router.get("/app_id")
async def get_app_id(caller: MayRead) -> Response:
    """Return a number for this application."""
    return json_response({"app_id": 1})


@router.get("/user")
async def get_user(caller: MayRead) -> Response:
    """Return the name of the caller."""
    return json_response(caller.name)


@router.get("/login_check")
async def check_login(caller: MayRead) -> Response:
    """Say that the caller is let in."""
    return json_response(None)
