"""Match the changes in an adapter file to a model's layers by names and shapes.

Imports no torch: names and shapes decide, so the match is known before any weights are read. Many
files use the names of the models' original code. The tables map each layer here to its original
layer; an original layer may be split by rows into several (mostly q, k and v). UNets have no table:
the original code numbers all blocks of a side in one row (``input_blocks.4.1`` is the second part,
the attention, of the fifth), so their names are derived from the layers that exist. The control
LoRAs of Flux.1 (Canny, Depth) take twice the model's channels: the new columns start at zero. A
wider adapter changes only the common columns of a narrower model.

Sources: https://github.com/black-forest-labs/flux, as diffusers' ``FluxLoraLoaderMixin`` loads
them; https://github.com/CompVis/latent-diffusion, ``openaimodel.py``, checked against diffusers'
single-file converter in tests/diffusion/adapters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import Recipe, Vae
from nodegraph.core.weight_files import SAFETENSORS, PartFiles, file_suffix
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.checkpoint_parts import (
    CHECKPOINT,
    checkpoint_part,
    checkpoint_prefix,
    part_prefix,
    recipe_parts,
)
from nodegraph.families.registry import get_family, original_names
from nodegraph.models.adapters.tensor_names import (
    DENOISERS,
    ENCODERS,
    LayerName,
    LayerParts,
    Shape,
    parse_layer_name,
)
from nodegraph.models.denoiser_files import DenoiserRequest, find_expert_files
from nodegraph.models.model_files import port_files
from nodegraph.models.model_sources import locate_model
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes, read_header
from nodegraph.weights.single_files.base import OriginalNames

if TYPE_CHECKING:
    from torch import nn

_PLAIN = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_IN_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_MIDDLE = {"resnets.0": "0", "attentions.0": "1", "resnets.1": "2"}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)")
_MIDDLE_BLOCK = re.compile(r"mid_block\.(\w+\.\d+)\.(.+)")


def unet_originals(layers: Collection[str]) -> dict[str, str]:
    """The original name of each layer of a UNet that had one."""
    places = {"down": _sampler_layers(layers, "down", 1), "up": _sampler_layers(layers, "up", 0)}
    original_names = {path: _PLAIN[path] for path in layers if path in _PLAIN}
    for path in layers:
        match = _BLOCK.fullmatch(path)
        if match is not None:
            side, level, part, index, suffix = match.groups()
            original = places[side].get((int(level), part, int(index)))
            if original is not None:
                original_names[path] = f"{original}.{_renamed(part, suffix)}"
            continue
        match = _MIDDLE_BLOCK.fullmatch(path)
        if match is not None and match[1] in _MIDDLE:
            part = match[1].partition(".")[0]
            original_names[path] = f"middle_block.{_MIDDLE[match[1]]}.{_renamed(part, match[2])}"
    return original_names


def _renamed(part: str, suffix: str) -> str:
    if part == "resnets":
        return _IN_RESNET.get(suffix, suffix)
    return "op" if part == "downsamplers" else suffix


def _sampler_layers(
    layers: Collection[str], side: str, first: int
) -> dict[tuple[int, str, int], str]:
    """Where each part of a side's blocks is in its row.

    Args:
        first: Place of the first one.
    """
    parts = {
        (int(match[2]), match[3], int(match[4]))
        for match in map(_BLOCK.fullmatch, layers)
        if match is not None and match[1] == side
    }
    row = "input_blocks" if side == "down" else "output_blocks"
    names = {}
    block_index = first
    for level in sorted({level for level, _, _ in parts}):
        has_attention = (level, "attentions", 0) in parts
        count = sum((level, "resnets", index) in parts for index in range(len(parts)))
        for index in range(count):
            names[level, "resnets", index] = f"{row}.{block_index}.0"
            names[level, "attentions", index] = f"{row}.{block_index}.1"
            block_index += 1
        # What halves the size is a block of its own; what doubles it is in the last one.
        if (level, "downsamplers", 0) in parts:
            names[level, "downsamplers", 0] = f"{row}.{block_index}.0"
            block_index += 1
        names[level, "upsamplers", 0] = f"{row}.{block_index - 1}.{2 if has_attention else 1}"
    return names


Spans = tuple[tuple[int, int], ...]
"""Rows of an original layer, from and up to, in the order that a layer here has them."""


@dataclass(frozen=True, slots=True)
class OriginalLocation:
    """A layer of a module, and which rows of an original one it holds.

    Attributes:
        path: As in `named_modules`.
        rows: Of the whole original layer.
        spans: None for all of them as they are.
    """

    path: str
    rows: int
    spans: Spans | None = None


@dataclass(frozen=True, slots=True)
class _Renaming:
    """One line of a table: pattern of layers here, and name of what they were made from."""

    pattern: re.Pattern[str]
    order: int
    original: str


def originals(kind: str, layers: Mapping[str, Shape]) -> dict[str, tuple[OriginalLocation, ...]]:
    """The original layers of a module, by name, and where their rows are here.

    Args:
        kind: The module's class, such as ``FluxTransformer2DModel``; of one that isn't known
            nothing is given.
        layers: Shape of each layer's weight.
    """
    if kind == "UNet2DConditionModel":
        names = unet_originals(layers)
        return {name: (OriginalLocation(path, layers[path][0]),) for path, name in names.items()}
    locations: dict[str, tuple[OriginalLocation, ...]] = {}
    # Where several originals call a layer alike, it is the same layer.
    for network in original_names(kind):
        locations = originals_of(network, layers) | locations
    return locations


def originals_of(
    network: OriginalNames, layers: Mapping[str, Shape]
) -> dict[str, tuple[OriginalLocation, ...]]:
    """The same, by the names of one original."""
    originals_by_name: dict[str, list[tuple[int, str]]] = {}
    for path in layers:
        for renaming in _table(network):
            match = renaming.pattern.fullmatch(path)
            if match is not None:
                name = renaming.original.format(*match.groups())
                originals_by_name.setdefault(name, []).append((renaming.order, path))
    return {
        name: tuple(_row_locations([path for _, path in sorted(parts)], network, layers))
        for name, parts in originals_by_name.items()
    }


def _row_locations(
    paths: list[str], network: OriginalNames, layers: Mapping[str, Shape]
) -> Iterator[OriginalLocation]:
    total = sum(layers[path][0] for path in paths)
    begin = 0
    for path in paths:
        rows = layers[path][0]
        order = _block_order(network, path, layers[path])
        if order:
            size = rows // len(order)
            spans = tuple((begin + size * at, begin + size * (at + 1)) for at in order)
            yield OriginalLocation(path, total, spans)
        else:
            spans = ((begin, begin + rows),)
            yield OriginalLocation(path, total, None if len(paths) == 1 else spans)
        begin += rows


def _block_order(network: OriginalNames, path: str, shape: Shape) -> tuple[int, ...]:
    """Equal blocks of the original's rows in the order of this layer; empty if it is the same."""
    # In the last block the prompt goes no further: its modulation is that of an output.
    is_last = path.endswith("norm1_context.linear") and shape[0] == 2 * shape[1]
    if (network.swaps_output and path == "norm_out.linear") or (network.swaps_context and is_last):
        return 1, 0
    return network.block_order(path, shape)


@cache
def _table(network: OriginalNames) -> tuple[_Renaming, ...]:
    return tuple(item for here, name in network.table for item in _renamings(here, name))


def _renamings(here: str, name: str) -> Iterator[_Renaming]:
    """The patterns of a line of a table, as that says it."""
    before, brace, remaining = here.partition("{")
    joined, _, after = remaining.partition("}")
    for order, part in enumerate(joined.split(",") if brace else ("",)):
        pattern = re.escape(f"{before}{part}{after}")
        for sign, meaning in _SIGNS.items():
            pattern = pattern.replace(re.escape(sign), meaning)
        yield _Renaming(re.compile(pattern), order, re.sub(r"[*@]", "{}", name))


_SIGNS = {"*": r"(\d+)", "@": "(layers|noise_refiner|context_refiner)"}


def fits_width(kind: str, path: str, part: LayerParts, shape: Shape) -> bool:
    """Whether a change is for a layer that has half its columns, or twice as many.

    Args:
        kind: The module's class.
        path, shape: Of the layer.
    """
    if not part.is_plain_lora or part.size is None:
        return False
    own, columns = prod(shape[1:]), part.size[1]
    if columns not in (2 * own, own / 2):
        return False
    return any(path == network.widened for network in original_names(kind))


def widen(module: Any, path: str, columns: int) -> None:
    """Have a linear layer take more inputs, which count for nothing at first.

    Args:
        module: Of diffusers, with the layer as its first; its configuration says what it takes.
        columns: Inputs that the layer is to take.
    """
    layer = module.get_submodule(path)
    made = _wide(layer, columns)
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, made)
    module.register_to_config(in_channels=columns, out_channels=module.out_channels)


def _wide(layer: Any, columns: int) -> nn.Linear:
    own = layer.weight
    made = torch.nn.Linear(columns, len(own), bias=layer.bias is not None, device="meta")
    weight = torch.nn.functional.pad(own, (0, columns - own.shape[1]))
    made.weight = torch.nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        made.bias = layer.bias
    return made.eval()


_WEIGHT = ".weight"


def recipe_layers(recipe: Recipe) -> dict[str, ModuleLayers] | None:
    """The layers that an adapter may change, by the role of the module, such as ``unet``.

    Returns:
        None where only loading it would tell.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    layers = {}
    for part in recipe_parts(recipe):
        paths = [Path(path) for path in recipe.paths(part.role)]
        config = [path for path in paths if path.name == layout.CONFIG]
        weights = [path for path in paths if path.suffix != ".json"]
        if config and any(file_suffix(path) != SAFETENSORS for path in weights):
            return None
        if config:
            layers[part.role] = folder_layers(config[0], weights)
            continue
        alone = [*weights, *map(Path, recipe.paths(CHECKPOINT))]
        if alone and isinstance(recipe, Vae):
            return None
        if alone:
            shapes = header_of(alone[0]).shapes
            prefix = part_prefix(recipe, part, shapes)
            layers[part.role] = converted_layers(part, shapes, prefix)
    return layers


def folder_layers(config: Path, weights: Iterable[Path]) -> ModuleLayers:
    """The layers of a module in a folder of the diffusers layout.

    Args:
        config, weights: Its configuration, and .safetensors files.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    shapes = {name: shape for path in weights for name, shape in read_header(path).shapes.items()}
    return ModuleLayers(_kind(config), _layers(shapes))


def _kind(config: Path) -> str:
    settings = layout.read_config(config)
    return str(settings.get("_class_name") or next(iter(settings.get("architectures") or ()), ""))


def _layers(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {
        name.removesuffix(_WEIGHT): shape
        for name, shape in shapes.items()
        if name.endswith(_WEIGHT) and shape
    }


def converted_layers(part: Part, shapes: Shapes, prefix: str) -> ModuleLayers:
    """The layers of a part in a file with the names of who made the model.

    These are converted as if the file were loaded.

    Args:
        shapes: Of all tensors in the file.
        prefix: Before the names of those of the part.
    """
    import torch

    tensors = {
        name: torch.empty(shape, device="meta")
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }
    made = checkpoint_part(part, shapes, prefix)
    named = {name: tuple(item.shape) for name, item in made.convert(tensors).items()}
    return ModuleLayers(made.class_name, _layers(named))


@dataclass(frozen=True, slots=True)
class ModuleLayers:
    """The layers of a module that may be changed.

    Attributes:
        kind: The module's class, such as ``UNet2DConditionModel``.
        shapes: Of each layer's weight, by path as in `named_modules`.
    """

    kind: str
    shapes: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class MatchedChange:
    """A change in a file that is for a layer, or for rows of it.

    Attributes:
        stem: What the file calls the layer.
        module: Such as ``unet``.
        location: The layer, and its rows in what the file changes.
    """

    stem: str
    module: str
    location: OriginalLocation


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What of a file is for some modules.

    Attributes:
        changes: In the file's order.
        applied: Layers of the file, by its own names, that have a place in the modules.
        misfits: Those whose layer is there, in another size.
        unknown: Those that are of these modules by their names, which have no such layer.
        elsewhere: Those that are of other modules, such as of text encoders where these denoise.
    """

    changes: tuple[MatchedChange, ...] = ()
    applied: tuple[str, ...] = ()
    misfits: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Layers of the file that should have a place in the modules."""
        return len(self.applied) + len(self.misfits) + len(self.unknown)


@dataclass(slots=True)
class _Names:
    """All names by which a module's layers may go, with dots and with underscores."""

    dotted: dict[str, tuple[OriginalLocation, ...]] = field(default_factory=dict)
    flat: dict[str, tuple[OriginalLocation, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: ModuleLayers, *, is_renamed: bool) -> _Names:
        names = cls()
        for path, shape in layers.shapes.items():
            names._add(path, (OriginalLocation(path, shape[0]),))
            # transformers has dropped and taken up this level more than once.
            names._add(f"text_model.{path}", (OriginalLocation(path, shape[0]),))
            names._add(path.removeprefix("text_model."), (OriginalLocation(path, shape[0]),))
        if is_renamed:
            for name, places in originals(layers.kind, layers.shapes).items():
                names._add(name, places)
        return names

    def _add(self, name: str, places: tuple[OriginalLocation, ...]) -> None:
        self.dotted.setdefault(name, places)
        self.flat.setdefault(name.replace(".", "_"), places)


def match(parts: Mapping[str, LayerParts], modules: Mapping[str, ModuleLayers]) -> MatchResult:
    """What of a file is for some modules.

    Where a file doesn't say which of several denoisers it is for, it is for each of those given.

    Args:
        parts: The changes in the file, see `group_tensors`.
        modules: By name, such as ``unet`` or ``text_encoder_2``.
    """
    # transformers keeps the names of text encoders.
    names = {
        module: _Names.of(layers, is_renamed=module not in ENCODERS)
        for module, layers in modules.items()
    }
    says_second = any(stem.startswith("transformer_2.") for stem in parts)
    changes: list[MatchedChange] = []
    outcomes: dict[str, list[str]] = {}
    for name, part in parts.items():
        stem = parse_layer_name(name)
        wanted = ("transformer",) if says_second and stem.is_plain else stem.modules
        there = [module for module in wanted if module in modules]
        candidates = list(_matched_changes(name, stem, there, names))
        fitting = [change for change in candidates if _fits(part, change, modules)]
        changes += fitting
        outcome = "applied" if fitting else "misfits" if candidates else "unknown"
        if not there and _is_elsewhere(wanted, modules):
            outcome = "elsewhere"
        outcomes.setdefault(outcome, []).append(name)
    return MatchResult(tuple(changes), **{kind: tuple(names) for kind, names in outcomes.items()})


def _is_elsewhere(wanted: tuple[str, ...], modules: Mapping[str, ModuleLayers]) -> bool:
    """Whether the modules denoise and what is wanted encodes, or the other way round."""
    kinds = (DENOISERS, ENCODERS)
    return not any(set(wanted) & set(kind) and modules.keys() & set(kind) for kind in kinds)


def _matched_changes(
    name: str, stem: LayerName, modules: list[str], known: Mapping[str, _Names]
) -> Iterator[MatchedChange]:
    for module in modules:
        names = known[module].flat if stem.is_flat else known[module].dotted
        places = names.get(stem.layer, ())
        yield from (MatchedChange(name, module, position) for position in places)
        if places and module in ENCODERS:
            # Encoders of one kind have the same names: it is for the first.
            return


def _fits(part: LayerParts, change: MatchedChange, modules: Mapping[str, ModuleLayers]) -> bool:
    """Whether a change has the rows and columns of the layer that it is for."""
    module, path = modules[change.module], change.location.path
    shape, size = module.shapes[path], part.size
    if size is None:
        return False
    rows, columns = size
    is_as_wide = columns in (0, prod(shape[1:]))
    return rows == change.location.rows and (
        is_as_wide or fits_width(module.kind, path, part, shape)
    )


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
