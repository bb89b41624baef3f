"""Facts and checks of the upscaling nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nodegraph import Estimate, Facts, Finding, HookInputs, InvalidValue, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes
from nodegraph.media.images.tiles import Tiling, build_tiling
from nodegraph.models.helper_files import (
    locate_latent_upscaler,
    locate_upscaler,
    read_latent_upscaling,
    upscaler_bytes,
    upscaler_scale,
)

from ._facts import check_tiles, error_to_finding

_HELD = 4 * 64 * 4
"""Bytes per input pixel that a network holds: some layers of 64 channels."""
SMALL_TILE = 128
"""Side of the tiles in pixels if memory ran out."""
_USE = 1.0
"""Uses of each weight per input pixel."""


def upscaler_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Scale factor of the model, if its header contains it."""
    try:
        scale = _scale(inputs)
    except NodegraphError:
        # `check_upscaler` reports it.
        scale = None
    return {} if scale is None else {"model": {"scale": scale}}


def check_upscaler(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing upscale models, files of another kind, and refused files."""
    try:
        _scale(inputs)
    except NodegraphError as error:
        yield error_to_finding("model", error)


def _scale(inputs: HookInputs) -> int | None:
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return None
    allow = environment.allow_pickle
    return upscaler_scale(locate_upscaler(name, environment.models, allow_pickle=allow))


def upscaler_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    environment = inputs.environment
    allow = environment.allow_pickle
    return file_stamp(
        locate_upscaler(inputs.literals["model"], environment.models, allow_pickle=allow)
    )


def upscaler_weights(inputs: HookInputs) -> Estimate:
    """Memory of the loaded model."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return Estimate()
    allow = environment.allow_pickle
    try:
        path = locate_upscaler(name, environment.models, allow_pickle=allow)
        return Estimate(memory=0, weights={"model": upscaler_bytes(path)})
    except NodegraphError:
        # `check_upscaler` reports it.
        return Estimate()


def upscaled_image_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of UpscaleImage."""
    known = dict(inputs.facts.get("image", {}))
    size = _upscaled(inputs)
    kept: Facts = {name: known[name] for name in ("batch", "channels") if name in known}
    if size is None:
        return {"image": kept}
    return {"image": {**kept, "width": size[0], "height": size[1]}}


def check_upscaled(inputs: HookInputs) -> Iterator[Finding]:
    """Find images that become too large, and tiles with too much overlap."""
    yield from check_tiles(inputs)
    size = _upscaled(inputs)
    if size is not None:
        pictures = inputs.fact("image", "batch") or 1
        planes = pictures * (inputs.fact("image", "channels") or 3)
        try:
            check_memory(*size, pictures, resizing_bytes(*size, planes), port="image")
        except InvalidValue as error:
            yield error_to_finding("image", error)


def _upscaled(inputs: HookInputs) -> tuple[int, int] | None:
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    requested_factor, own = inputs.literals.get("factor"), inputs.fact("model", "scale")
    factor = requested_factor or own
    if width is None or height is None or requested_factor is None or factor is None:
        return None
    return max(1, round(width * factor)), max(1, round(height * factor))


def upscale_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of UpscaleImage."""
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    tile = inputs.literals.get("tile")
    if width is None or height is None or tile is None:
        return Estimate()
    scale = inputs.fact("model", "scale") or 4
    tile_pixels = min(width, tile or width) * min(height, tile or height)
    pictures = inputs.fact("image", "batch") or 1
    kept = 2 * 4 * 3 * width * height * scale**2 * pictures
    work, least = width * height * pictures * _USE, min(tile_pixels, SMALL_TILE**2)
    return Estimate(
        memory=tile_pixels * _HELD + kept, work=work, least=least * _HELD + kept, passes=1
    )


def latent_upscaler_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Scale factor of a latent upscale model that keeps the frames."""
    path = _latent_upscaler(inputs)
    if path is None:
        return {}
    try:
        upscaling = read_latent_upscaling(path)
    except NodegraphError:
        # `check_latent_upscaler` reports it.
        return {}
    return {} if upscaling.doubles_frames else {"model": {"scale": upscaling.scale}}


def check_latent_upscaler(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing latent upscale models, and files of another kind."""
    name = inputs.literals.get("model")
    if name is None:
        return
    try:
        read_latent_upscaling(locate_latent_upscaler(name, inputs.environment.models))
    except NodegraphError as error:
        yield error_to_finding("model", error)


def latent_upscaler_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    return file_stamp(locate_latent_upscaler(inputs.literals["model"], inputs.environment.models))


def latent_upscaler_weights(inputs: HookInputs) -> Estimate:
    """Memory of the loaded model."""
    path = _latent_upscaler(inputs)
    if path is None:
        return Estimate()
    return Estimate(memory=0, weights={"model": upscaler_bytes(path)})


def _latent_upscaler(inputs: HookInputs) -> Path | None:
    name = inputs.literals.get("model")
    if name is None:
        return None
    try:
        return locate_latent_upscaler(name, inputs.environment.models)
    except NodegraphError:
        # `check_latent_upscaler` reports it.
        return None


def upscaled_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of UpscaleLatent."""
    known = dict(inputs.facts.get("latent", {}))
    scale = inputs.fact("model", "scale")
    if scale is None:
        changed = {"width", "height", "frames"}
        return {"latent": {name: known[name] for name in known.keys() - changed}}
    for side in ("width", "height"):
        if side in known:
            known[side] = int(known[side] * scale)
    return {"latent": known}


def split_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the tiles, and size of the image with the tiling."""
    tiling = _tiling(inputs)
    if tiling is None:
        return {}
    known = inputs.facts.get("image", {})
    kept = {name: known[name] for name in ("batch", "channels") if name in known}
    size = {"width": tiling.tile_width, "height": tiling.tile_height}
    whole = {"whole_width": tiling.width, "whole_height": tiling.height}
    return {"tiles": {**size, **kept}, "tiling": {**size, **whole}}


def check_split(inputs: HookInputs) -> Iterator[Finding]:
    """Find tiles with too much overlap, and too many tiles."""
    try:
        _given_tiling(inputs)
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or "overlap", error)


def _tiling(inputs: HookInputs) -> Tiling | None:
    try:
        return _given_tiling(inputs)
    except InvalidValue:
        # `check_split` reports it.
        return None


def _given_tiling(inputs: HookInputs) -> Tiling | None:
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    tile = inputs.literals.get("tile_width"), inputs.literals.get("tile_height")
    overlap = inputs.literals.get("overlap")
    if width is None or height is None or overlap is None or None in tile:
        return None
    return build_tiling(width, height, (tile[0] or 0, tile[1] or 0), overlap)


def joined_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the image that the tiles form."""
    tiles, tiling = inputs.facts.get("tiles", {}), inputs.facts.get("tiling", {})
    kept = {name: tiles[name] for name in ("batch", "channels") if name in tiles}
    width, was, whole = tiles.get("width"), tiling.get("width"), tiling.get("whole_width")
    if not (width and was and whole):
        return {"image": kept}
    size = {"width": whole * width // was, "height": tiling["whole_height"] * width // was}
    return {"image": {**kept, **size}}
