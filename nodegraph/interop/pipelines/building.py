"""Parts of pipelines from their recipes: modules with weights, and tools without."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import diffusers
import transformers
from torch import nn

from nodegraph.core.values import PipelineComponent
from nodegraph.errors import InvalidFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.building import building_from, diffusers_module, transformers_module
from nodegraph.families.components import Component
from nodegraph.interop.pipelines.opening import GENERATION, LIBRARY
from nodegraph.models.loading import estimate_bytes, move_component
from nodegraph.models.opening import checking_digests
from nodegraph.weights.file_kinds import SAFETENSORS, file_suffix
from nodegraph.weights.precision.choices import recipe_storage
from nodegraph.weights.precision.unpacking import apply_storage
from nodegraph.weights.weight_files import PRECISIONS, read_tensors


@dataclass(frozen=True, slots=True)
class Tool:
    """A part without weights: a tokenizer, or what prepares pictures or sound.

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
    return estimate_bytes(recipe) if _weights(recipe) else 0


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
        f"{recipe.source} is a {recipe.family} of {library}, which the installed one doesn't know."
    )


_GENERATION = "generation_config"

_RENAMED = ("FeatureExtractor", "ImageProcessor")
"""What prepares pictures is called in folders of old, and now."""

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
    if transformers.PreTrainedModel in bases:
        with building_from(folder):
            settings = kind.config_class.from_pretrained(folder)
            tensors = read_tensors(_weights(recipe), recipe.dtype, as_stored=as_stored)
            module = transformers_module(kind, settings, tensors, folder)
            if any(Path(file.path).name == GENERATION for file in recipe.files):
                setattr(module, _GENERATION, transformers.GenerationConfig.from_pretrained(folder))
            return module
    return _from_copies(kind, recipe)


def _from_copies(kind: Any, recipe: PipelineComponent) -> Any:
    """What reads its files itself, from copies of just those of the recipe."""
    files = [Path(file.path) for file in recipe.files]
    with TemporaryDirectory() as alone, building_from(files[0].parent):
        for file in files:
            shutil.copyfile(file, Path(alone) / file.name)
        try:
            return kind.from_pretrained(alone, local_files_only=True)
        except ImportError as error:
            raise InvalidFile(f"can't load {files[0].parent}: {error}") from error
        except Exception as error:
            # The libraries under tokenizers raise bare exceptions.
            raise ValueError(str(error).strip() or type(error).__name__) from error


def _weights(recipe: PipelineComponent) -> list[Path]:
    paths = [Path(file.path) for file in recipe.files]
    return [path for path in paths if file_suffix(path) in _WEIGHTS]


_WEIGHTS = (SAFETENSORS, ".bin")


def _name(recipe: PipelineComponent) -> str:
    return recipe.files[0].role
