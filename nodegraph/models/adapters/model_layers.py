"""Layers of a model's denoisers, by its name, before a recipe of it exists.

Checks before a run use them to tell whether a LoRA fits. Names and shapes come from the headers of
the files.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family
from nodegraph.families.checkpoint_parts import checkpoint_prefix
from nodegraph.families.registry import get_family
from nodegraph.models.adapters.layer_matching import ModuleLayers, converted_layers, folder_layers
from nodegraph.models.denoiser_files import DenoiserRequest, find_expert_files
from nodegraph.models.model_files import port_files
from nodegraph.models.model_sources import locate_model
from nodegraph.weights.file_kinds import SAFETENSORS, PartFiles, file_suffix
from nodegraph.weights.joined_files import header_of

Layers = dict[str, ModuleLayers]
"""By the role of the module, such as ``unet``."""


def model_layers(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> Layers | None:
    """Return the layers of the denoisers of a whole model, or None if they are unknown.

    Raises:
        NodegraphError: As `locate_model`.
    """
    source = locate_model(name, folders, allow_pickle=allow_pickle)
    family = get_family(source.family)
    if source.is_folder:
        return _of_folders(port_files(source, family, (), allow_pickle=allow_pickle)[0])
    return _of_checkpoint(family, source.path)


def denoiser_layers(
    request: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool = False
) -> Layers | None:
    """Return the layers of the denoiser that LoadDiffusionModel loads, or None if they are unknown.

    Raises:
        NodegraphError: As `nodegraph.models.denoiser_files.open_denoiser`.
    """
    experts = find_expert_files(request, folders, allow_pickle=allow_pickle)
    if experts is None:
        return model_layers(request.name, folders, allow_pickle=allow_pickle)
    layers: Layers = {}
    for part, expert in experts:
        if any(path.name == layout.CONFIG for path in expert.files):
            known = _of_folders([PartFiles(part.role, expert.files, expert.weights)])
        elif _converts(expert.path):
            known = {part.role: converted_layers(part, expert.header.shapes, expert.part.prefix)}
        else:
            known = None
        if known is None:
            return None
        layers |= known
    return layers


def _of_folders(parts: Sequence[PartFiles]) -> Layers | None:
    layers: Layers = {}
    for part in parts:
        config = next(path for path in part.files if path.name == layout.CONFIG)
        if any(file_suffix(path) != SAFETENSORS for path in part.weights):
            return None
        layers[part.role] = folder_layers(config, part.weights)
    return layers


def _of_checkpoint(family: Family, path: Path) -> Layers | None:
    if not _converts(path):
        return None
    shapes = header_of(path).shapes
    return {
        part.role: converted_layers(part, shapes, checkpoint_prefix(family, part, shapes))
        for part in family.denoisers
    }


def _converts(path: Path) -> bool:
    """Whether the original names of a file can be converted here.

    Conversions need torch. A process that only checks workflows does not import it for them.
    """
    return file_suffix(path) == SAFETENSORS and "torch" in sys.modules
