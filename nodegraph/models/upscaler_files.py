"""Files of upscale models: finding them, and the recipes of what they hold. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile
from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.embedded_models import EMBEDDED, embedded_folder
from nodegraph.families.helper_networks import compact_shape, is_upscaler
from nodegraph.families.helper_recipes import UpscaleModel
from nodegraph.families.identification import identify_tensors
from nodegraph.models.model_sources import find_path
from nodegraph.weights.file_kinds import HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.weights.safetensors_header import read_header

BUNDLED_UPSCALER = f"{EMBEDDED}/upscaler"
"""Name of the upscale model that comes along."""
COMPACT, OTHER = "compact", "spandrel"
"""Kinds of recipes: those of the network that is built here, and those that spandrel knows."""


def locate_upscaler(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> Path:
    """The file that a name means.

    Args:
        name: Under a models folder (first hit wins; ``.safetensors`` may be left out), a path, or
            ``tiny/upscaler`` for the one that comes along.
    Raises:
        ModelNotFound: There is nothing of that name.
        UnsafeFile: It is a pickle file, and those aren't allowed.
        InvalidFile: It is a folder, or a model of another kind.
    """
    path = shipped_file() if name == BUNDLED_UPSCALER else _upscaler_path(name, folders)
    if file_suffix(path) in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    if path.is_dir() or file_suffix(path) not in {SAFETENSORS, *PICKLES}:
        raise InvalidFile(f"{path} is not an upscale model", expected="a .safetensors file")
    _check_kind(path)
    return path


def shipped_file() -> Path:
    """Where the upscale model that comes along lies."""
    return embedded_folder().parent / "companions" / "upscaler" / "upscaler.safetensors"


def _upscaler_path(name: str, folders: Sequence[Path]) -> Path:
    try:
        return find_path(name, folders)
    except ModelNotFound as error:
        hint = did_you_mean(name, [BUNDLED_UPSCALER]) or error.problem.hint
        raise ModelNotFound(
            f"there is no upscale model `{name}`",
            given=name,
            expected=f"a file in a models folder, or {BUNDLED_UPSCALER}",
            hint=hint,
        ) from error


def _check_kind(path: Path) -> None:
    """Refuse what is surely something else; what is known to nobody here spandrel may know."""
    if file_suffix(path) not in HEADED:
        return
    shapes = read_header(path).shapes
    if is_upscaler(shapes):
        return
    identified = identify_tensors(shapes)
    if identified.family is not None or identified.parts or identified.node:
        raise InvalidFile(
            f"{path} is {identified.instead_of('an upscale model')}",
            expected="a network that enlarges images",
            hint=f"Load it with {identified.node or 'LoadModel'}.",
        )


def upscaler_scale(path: Path) -> int | None:
    """How many times larger an upscale model makes images; None if its header doesn't tell.

    Raises:
        InvalidFile: It can't be read.
    """
    shape = compact_shape(read_header(path).shapes) if file_suffix(path) in HEADED else None
    return None if shape is None else shape.scale


def open_upscaler(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> UpscaleModel:
    """The recipe of an upscale model, in float32; nothing is loaded yet. As `locate_upscaler`."""
    path = locate_upscaler(name, folders, allow_pickle=allow_pickle)
    kind = COMPACT if upscaler_scale(path) is not None else OTHER
    return UpscaleModel(kind, (RecipeFile("upscaler", str(path), FILE_DIGESTS.digest(path)),))


def upscaler_bytes(path: Path) -> int:
    """Bytes that an upscale model takes in memory, by its header, or the size of its file.

    Raises:
        InvalidFile: It can't be read.
    """
    if file_suffix(path) in HEADED:
        return 4 * sum(map(prod, read_header(path).shapes.values()))
    try:
        return path.stat().st_size
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
