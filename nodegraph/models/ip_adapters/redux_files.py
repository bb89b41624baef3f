"""Flux.1 Redux on disk to a recipe. Imports no torch, and reads no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import ImageEncoder, RecipeFile
from nodegraph.errors import InvalidFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Part
from nodegraph.families.checkpoint_parts import REDUX_FAMILY, REDUX_PARTS
from nodegraph.models.model_files import stored_precision
from nodegraph.models.model_sources import find_path
from nodegraph.weights.file_kinds import SAFETENSORS, file_suffix
from nodegraph.weights.safetensors_header import read_header

REDUX_ENCODER = ""
"""Stands for the eyes that lie in Redux's folder."""


def open_redux(
    name: str,
    folders: Sequence[Path],
    *,
    encoder: str = REDUX_ENCODER,
    dtype: str = "auto",
    device: str = "cpu",
) -> ImageEncoder:
    """The recipe of Flux.1 Redux with its eyes; nothing is loaded yet.

    Args:
        name: Its folder in the diffusers layout, or a .safetensors file of what brings pictures to
            prompts: under the models folders, or a path.
        encoder: SigLIP's vision model, as a folder or .safetensors file; `AUTO` in such a folder.
        dtype, device: As for `open_model`.
    Raises:
        NodegraphError: See `find_redux`.
    """
    parts = find_redux(name, encoder, folders)
    files = [
        RecipeFile(role, str(path), FILE_DIGESTS.digest(path))
        for role, paths in parts.items()
        for path in sorted(paths)
    ]
    weights = [path for paths in parts.values() for path in paths if path.suffix != ".json"]
    return ImageEncoder(REDUX_FAMILY, tuple(files), stored_precision(dtype, weights, device))


def find_redux(name: str, encoder: str, folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The files of each of its parts, by role; arguments as of `open_redux`.

    Raises:
        InvalidFile: One is missing, or something else; says which on its port.
        NodegraphError: See `find_path`.
    """
    eyes, embedder = REDUX_PARTS
    path = find_path(name, folders)
    redux_files = {embedder.role: _part(path, embedder)}
    if encoder != REDUX_ENCODER:
        return {eyes.role: _part(find_path(encoder, folders), eyes), **redux_files}
    if not path.is_dir():
        raise InvalidFile(
            f"{path} comes without eyes.",
            hint="Name SigLIP's vision model (sigclip_vision_patch14_384) as the image encoder.",
        )
    return {eyes.role: _part(path, eyes), **redux_files}


def _part(path: Path, part: Part) -> list[Path]:
    if path.is_dir():
        folder = path / part.role if (path / part.role).is_dir() else path
        config = folder / layout.CONFIG
        read = layout.read_config(config) if config.is_file() else {}
        named = [read.get("_class_name"), *(read.get("architectures") or ())]
        if not set(part.classes) & set(named):
            raise InvalidFile(f"{path} holds no {part.files[0].title}.")
        return [config, *layout.find_weights(folder.parent, folder.name).files]
    shapes = read_header(path).shapes if file_suffix(path) == SAFETENSORS else {}
    if part.files[0].prefix(shapes) is None:
        raise InvalidFile(
            f"{path} holds no {part.files[0].title}.",
            expected="a .safetensors file, or a folder in the diffusers layout",
        )
    return [path]
