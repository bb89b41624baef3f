"""Load the parts of a pipeline and assemble them for one call."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from inspect import Parameter, signature
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.core.context import Context
from nodegraph.core.values import DiffusionModel, PipelineComponent, Recipe, Vae
from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.building import (
    build_tokenizer,
    building_from,
    diffusers_module,
    quiet,
    transformers_module,
)
from nodegraph.families.checkpoint_parts import recipe_parts
from nodegraph.families.components import Autoencoder, Component, TextModel
from nodegraph.families.file_tokenizers import json_tokenizer
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass
from nodegraph.interop.pipelines.pipeline_recipes import GENERATION, LIBRARY
from nodegraph.interop.pipelines.schedulers import CLASS
from nodegraph.models.loading import build_without_config, estimate_bytes, move_component
from nodegraph.models.model_recipes import checking_digests
from nodegraph.weights.lazy import diffusers, transformers
from nodegraph.weights.precision.module_quantization import apply_storage
from nodegraph.weights.precision.storage import recipe_storage
from nodegraph.weights.tokenizer_files import SUFFIX
from nodegraph.weights.weight_files import PRECISIONS, read_tensors


@dataclass(frozen=True, slots=True)
class Tool:
    """A part without weights: a tokenizer, or what prepares images or sound.

    Attributes:
        lock: Held while a pipeline that has it runs: tokenizers keep how they pad and cut from one
            call to the next.
    """

    value: Any
    lock: Lock = field(default_factory=Lock, compare=False, repr=False)


def load_part(recipe: PipelineComponent, device: str) -> Component | Tool:
    """The live part that a recipe describes, on a device.

    Raises:
        InvalidFile: A file is missing or damaged, or changed since the recipe was made.
    """
    with checking_digests(recipe), warnings.catch_warnings():
        # Of the libraries about each other.
        warnings.simplefilter("ignore")
        made = _made(recipe)
    if not isinstance(made, nn.Module):
        return Tool(made)
    apply_storage(made, recipe_storage(recipe), PRECISIONS[recipe.dtype])
    made.eval().requires_grad_(False)
    return move_component(Component({_name(recipe): made}, recipe.family), device)


def part_bytes(recipe: PipelineComponent) -> int:
    """Bytes that a recipe's part will take in memory, from the files' headers alone.

    Raises:
        InvalidFile: A file is missing or damaged.
    """
    is_module = _weights(recipe) and _name(recipe) != TOKENIZER
    return estimate_bytes(recipe) if is_module else 0


def part_class(recipe: PipelineComponent) -> Any:
    """The class that a recipe names.

    Raises:
        InvalidFile: The installed libraries have none of this name.
    """
    library = recipe.option(LIBRARY)
    own = "" if library in _LIBRARIES else library.removeprefix("diffusers.pipelines.")
    places = [_own_package(own)] if own else [_LIBRARIES[library]]
    names = (recipe.family, recipe.family.replace(*_RENAMED))
    # Where a library has moved a class to another of its packages, it is mostly at the top.
    for package in (*places, *_LIBRARIES.values()):
        for name in names:
            component = getattr(package, name, None)
            if component is not None:
                return component
    raise InvalidFile(
        f"{recipe.source} is a {recipe.family} of {library}, which the installed version "
        "does not include"
    )


TOKENIZER = "tokenizer"
"""Role of a tokenizer, which may be in the file of a language model."""
_GENERATION = "generation_config"

_RENAMED = ("FeatureExtractor", "ImageProcessor")
"""What prepares images is called in folders of old, and now."""

_LIBRARIES: Mapping[str, Any] = {"diffusers": diffusers, "transformers": transformers}


def _own_package(name: str) -> Any:
    try:
        return import_module(f"diffusers.pipelines.{name}")
    except ImportError:
        return None


def _made(recipe: PipelineComponent) -> Any:
    kind, folder = part_class(recipe), Path(recipe.files[0].path).parent
    as_stored = bool(recipe_storage(recipe))
    bases: tuple[type, ...] = getattr(kind, "__mro__", ())
    if diffusers.ModelMixin in bases:
        with building_from(folder):
            wide = kind._keep_in_fp32_modules or ()
            config = layout.read_config(folder / layout.CONFIG)
            weights = _weights(recipe)
            tensors = read_tensors(weights, recipe.dtype, wide=wide, as_stored=as_stored)
            return diffusers_module(kind, config, tensors, folder)
    if transformers.PreTrainedModel in bases and not _has_config(recipe):
        (part,) = recipe_parts(recipe)
        return build_without_config(recipe, part)
    if transformers.PreTrainedModel in bases:
        with building_from(folder):
            settings = kind.config_class.from_pretrained(folder)
            tensors = read_tensors(_weights(recipe), recipe.dtype, as_stored=as_stored)
            module = transformers_module(kind, settings, tensors, folder)
            if any(Path(file.path).name == GENERATION for file in recipe.files):
                setattr(module, _GENERATION, transformers.GenerationConfig.from_pretrained(folder))
            return module
    if _name(recipe) == TOKENIZER and _weights(recipe):
        return json_tokenizer(kind, Path(recipe.files[0].path))
    paths = [Path(file.path) for file in recipe.files]
    if _name(recipe) == TOKENIZER and any(path.suffix == SUFFIX for path in paths):
        return build_tokenizer((recipe.family,), paths)
    return _from_copies(kind, recipe)


def _has_config(recipe: PipelineComponent) -> bool:
    return any(Path(file.path).name == layout.CONFIG for file in recipe.files)


def _from_copies(kind: Any, recipe: PipelineComponent) -> Any:
    """What reads its files itself, from copies of just those of the recipe."""
    files = [Path(file.path) for file in recipe.files]
    with TemporaryDirectory() as alone, building_from(files[0].parent):
        for file in files:
            shutil.copyfile(file, Path(alone) / file.name)
        try:
            return kind.from_pretrained(alone, local_files_only=True)
        except ImportError as error:
            raise InvalidFile(f"cannot load {files[0].parent}: {error}") from error
        except Exception as error:
            # The libraries under tokenizers raise bare exceptions.
            raise ValueError(str(error).strip() or type(error).__name__) from error


def _weights(recipe: PipelineComponent) -> list[Path]:
    paths = [Path(file.path) for file in recipe.files]
    return [path for path in paths if file_suffix(path) in _WEIGHTS]


_WEIGHTS = (SAFETENSORS, ".bin")


def _name(recipe: PipelineComponent) -> str:
    return recipe.files[0].role


def class_of(pipeline_class: PipelineClass) -> Any:
    """The class itself.

    Raises:
        InvalidValue: It can't be imported.
    """
    try:
        with quiet():
            # Of what else could be installed.
            kind = getattr(import_module(pipeline_class.module), pipeline_class.name)
    except ImportError as error:
        raise InvalidValue(f"{pipeline_class.name} cannot be imported: {error}") from error
    except AttributeError as error:
        raise InvalidValue(
            f"{pipeline_class.name} is no longer in {pipeline_class.module}"
        ) from error
    return kind


@contextmanager
def assembled_pipeline(
    ctx: Context, pipeline_class: PipelineClass, pipeline: Pipeline
) -> Iterator[Any]:
    """A pipeline's object whose parts lie on the context's device, inside the `with`.

    Parts share the weights with all who use them, and their structure with none.
    """
    kind = class_of(pipeline_class)
    wanted = signature(kind.__init__).parameters
    recipes = {name: recipe for name, recipe in pipeline.parts.items() if name in wanted}
    with ExitStack() as held:
        live = {
            recipe: held.enter_context(ctx.weights(recipe, calls_only=True))
            for recipe in sorted(set(recipes.values()), key=_load_order)
        }
        parts = {name: _private_copy(live[recipe], name) for name, recipe in recipes.items()}
        _match_precision(parts)
        made = kind(**_arguments(wanted, parts, pipeline))
        if any(isinstance(item, Autoencoder) and item.tiled for item in live.values()):
            _small(made)
        yield made


def _load_order(recipe: Recipe) -> int:
    """What works most comes first: where there is no room for all whole, the others come in
    parts."""
    kinds = (DiffusionModel, Vae)
    return next((rank for rank, kind in enumerate(kinds) if isinstance(recipe, kind)), len(kinds))


def _private_copy(live: Any, name: str) -> Any:
    if isinstance(live, Tool):
        return copy_tool(live.value, live.lock)
    if isinstance(live, TextModel) and name in live.tokenizers:
        return copy_tool(live.tokenizers[name], live.turn)
    if isinstance(live, Component):
        return copy_module(live.modules[name])
    return copy_tool(live, Lock())


def _match_precision(parts: Mapping[str, Any]) -> None:
    """Let parts that are held in another precision than the one that denoises work with it."""
    modules = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    main = next((item for name, item in modules.items() if _denoises(name)), None)
    for name, item in modules.items():
        if "vae" in name and main is not None and item.dtype != main.dtype:
            with_own_precision(item, item.dtype)  # type: ignore[arg-type]


def _denoises(name: str) -> bool:
    return name.startswith(("unet", "transformer"))


def _arguments(
    wanted: Mapping[str, Parameter], parts: Mapping[str, Any], pipeline: Pipeline
) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(parts)
    for name, parameter in wanted.items():
        if name in arguments or name == "self":
            continue
        if name in pipeline.schedulers:
            arguments[name] = scheduler_of(pipeline.schedulers[name])
        elif name in pipeline.config:
            arguments[name] = pipeline.config[name]
        elif parameter.default is Parameter.empty and parameter.kind is not Parameter.VAR_KEYWORD:
            # What is missing without being optional was refused before anything was loaded.
            arguments[name] = None
    return arguments


def scheduler_of(config: Mapping[str, Any]) -> Any:
    """A scheduler from its configuration, which may have been of another class.

    Raises:
        InvalidValue: The installed diffusers has none of this name.
    """
    kind = getattr(diffusers, str(config.get(CLASS)), None)
    if kind is None:
        raise InvalidValue(f"the installed diffusers has no {config.get(CLASS)}")
    return kind.from_config(dict(config))


def _small(made: Any) -> None:
    """Spare memory as far as a pipeline can."""
    for part in made.components.values():
        if hasattr(part, "enable_tiling"):
            part.enable_tiling()
    made.enable_attention_slicing()


_REGISTRY, _IN_PARTS = "_diffusers_hook", "group_offloading"


def copy_module(module: nn.Module) -> nn.Module:
    """A module of the same weights, whose structure is its own.

    One whose weights are brought to a device in parts was made for a single use: it is given back.
    """
    if _comes_in_parts(module):
        return module
    # The deep copy takes the weights for copied already.
    held = chain(module.parameters(), module.buffers(), _besides(module))
    memo: dict[int, Any] = {id(tensor): _alike(tensor) for tensor in held}
    return deepcopy(module, memo)


def _besides(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that layers hold without saying so: tables, and weights that are worked out."""
    for layer in module.modules():
        yield from (value for value in vars(layer).values() if isinstance(value, Tensor))


def _comes_in_parts(module: nn.Module) -> bool:
    registries = (getattr(layer, _REGISTRY, None) for layer in module.modules())
    if any(item is not None and item.get_hook(_IN_PARTS) is not None for item in registries):
        return True
    device = getattr(module, "device", None)
    lies = {tensor.device.type for tensor in module.parameters() if tensor.numel()}
    return isinstance(device, torch.device) and bool(lies) and device.type not in lies


def _alike(tensor: Tensor) -> Tensor:
    """Another tensor of the same bytes: what is made of it later leaves the first one alone."""
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=False)
    return tensor.detach()


def copy_tool(tool: Any, turn: Lock) -> Any:
    """A tokenizer or processor with settings of its own, over the same words.

    Args:
        turn: Of all who share the words: how the library under them pads and cuts is set by each
            call, and is one for all.
    """
    own = copy(tool)
    for name in ("_encode_plus", "_batch_encode_plus"):
        if hasattr(tool, name):
            vars(own)[name] = _in_turn(getattr(own, name), turn)
    inner = vars(own).get("tokenizer")
    if inner is not None:
        own.tokenizer = copy_tool(inner, turn)
    return own


def _in_turn(function: Any, turn: Lock) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        with turn:
            return function(*args, **kwargs)

    return call


def with_own_precision(module: Any, dtype: torch.dtype) -> None:
    """Let an autoencoder take what comes in another precision than it computes in.

    Pipelines hold all of their parts in one; here an autoencoder that overflows in half precision
    is held in float32 from the beginning.
    """
    for name in ("encode", "decode"):
        method = getattr(module, name, None)
        if method is not None:
            setattr(module, name, _widening(method, dtype))


def _widening(method: Any, dtype: torch.dtype) -> Any:
    def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        return method(tensor, *args, **kwargs)

    return call
