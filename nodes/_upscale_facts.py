"""What the nodes that make pictures larger know and check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, InvalidValue, NodegraphError
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes
from nodegraph.media.images.tiles import Tiling, build_tiling
from nodegraph.models.upscaler_files import locate_upscaler, upscaler_bytes, upscaler_scale
from nodegraph.weights.file_kinds import file_stamp

from ._facts import check_tiles, error_to_finding

_HELD = 4 * 64 * 4
"""Bytes that a network holds for each pixel that it sees: some layers of 64 channels."""
SMALL_TILE = 128
"""Pixels along a tile's side where memory ran out."""
_USE = 1.0
"""How often each of its weights is used for such a pixel."""


def upscaler_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """How many times larger the model makes pictures, if its header tells."""
    try:
        scale = _scale(inputs)
    except NodegraphError:
        # `check_upscaler` tells.
        scale = None
    return {} if scale is None else {"model": {"scale": scale}}


def check_upscaler(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no upscale model, files of something else, and those that are refused."""
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
    """Changes when the file does."""
    environment = inputs.environment
    allow = environment.allow_pickle
    return file_stamp(
        locate_upscaler(inputs.literals["model"], environment.models, allow_pickle=allow)
    )


def upscaler_weights(inputs: HookInputs) -> Estimate:
    """What the model takes in memory once a node needs it."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return Estimate()
    allow = environment.allow_pickle
    try:
        path = locate_upscaler(name, environment.models, allow_pickle=allow)
        return Estimate(memory=0, weights={"model": upscaler_bytes(path)})
    except NodegraphError:
        # `check_upscaler` tells.
        return Estimate()


def upscaled_image_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of what UpscaleImage gives."""
    known = dict(inputs.facts.get("image", {}))
    size = _upscaled(inputs)
    kept: Facts = {name: known[name] for name in ("batch", "channels") if name in known}
    if size is None:
        return {"image": kept}
    return {"image": {**kept, "width": size[0], "height": size[1]}}


def check_upscaled(inputs: HookInputs) -> Iterator[Finding]:
    """Find pictures that get too large, and tiles that are mostly overlap."""
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
    """What UpscaleImage takes."""
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


def split_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of tiles, and that of the picture with the tiling."""
    tiling = _tiling(inputs)
    if tiling is None:
        return {}
    known = inputs.facts.get("image", {})
    kept = {name: known[name] for name in ("batch", "channels") if name in known}
    size = {"width": tiling.tile_width, "height": tiling.tile_height}
    whole = {"whole_width": tiling.width, "whole_height": tiling.height}
    return {"tiles": {**size, **kept}, "tiling": {**size, **whole}}


def check_split(inputs: HookInputs) -> Iterator[Finding]:
    """Find tiles that are mostly overlap, and too many of them."""
    try:
        _given_tiling(inputs)
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or "overlap", error)


def _tiling(inputs: HookInputs) -> Tiling | None:
    try:
        return _given_tiling(inputs)
    except InvalidValue:
        # `check_split` tells.
        return None


def _given_tiling(inputs: HookInputs) -> Tiling | None:
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    tile = inputs.literals.get("tile_width"), inputs.literals.get("tile_height")
    overlap = inputs.literals.get("overlap")
    if width is None or height is None or overlap is None or None in tile:
        return None
    return build_tiling(width, height, (tile[0] or 0, tile[1] or 0), overlap)


def joined_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the picture that tiles make up."""
    tiles, tiling = inputs.facts.get("tiles", {}), inputs.facts.get("tiling", {})
    kept = {name: tiles[name] for name in ("batch", "channels") if name in tiles}
    width, was, whole = tiles.get("width"), tiling.get("width"), tiling.get("whole_width")
    if not (width and was and whole):
        return {"image": kept}
    size = {"width": whole * width // was, "height": tiling["whole_height"] * width // was}
    return {"image": {**kept, **size}}
