"""Open pipeline folders as recipes, and apply adapters to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nodegraph.core.digests import digest_value
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.core.values import DiffusionModel, PipelineComponent, Recipe, RecipeFile, TextEncoder
from nodegraph.core.weight_files import SAFETENSORS, PartFiles, file_stamp, file_suffix
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family
from nodegraph.families.registry import get_family
from nodegraph.interop.pipelines.classes import Pipeline
from nodegraph.interop.pipelines.folders import FolderPart, PipelineFolder, read_folder
from nodegraph.interop.pipelines.schedulers import OWN, replace_scheduler
from nodegraph.models.adapters.layer_matching import MatchResult
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.facts import StoredWeights, stored_weights
from nodegraph.models.model_files import (
    Options,
    folder_part_files,
    lacks_float16,
    port_precision,
    port_storage,
)
from nodegraph.models.model_recipes import DTYPES, open_model
from nodegraph.models.model_sources import find_path, locate_model
from nodegraph.weights.precision.storage import STORAGE, check_storage
from nodegraph.weights.safetensors_header import read_header


class AdaptedPart(NamedTuple):
    """A part that an adapter was tried on.

    Attributes:
        name: Of the first of the parts that share the recipe.
        matched: As of `nodegraph.models.adapters.recipes.Adapted`.
    """

    name: str
    matched: MatchResult | None


def with_adapter(
    pipeline: Pipeline, opened: OpenedAdapter, strength_model: float, strength_encoder: float
) -> tuple[Pipeline, list[AdaptedPart]]:
    """A pipeline with an adapter on it, and what of the adapter's file is for which part.

    Raises:
        InvalidFile: Nothing in the file is for the pipeline, or a file is missing or damaged.
        InvalidValue: The pipeline has no part that an adapter could be for.
    """
    changed: dict[Recipe, Recipe] = {}
    adapted_parts = []
    for name, recipe in _adaptable(pipeline):
        strength = strength_encoder if _reads_text(name, recipe) else strength_model
        put_on = opened.apply_to(recipe, strength)
        changed[recipe] = put_on.recipe
        adapted_parts.append(AdaptedPart(name, put_on.matched))
    if not adapted_parts:
        raise InvalidValue(
            f"a {pipeline.class_name} has no component that an adapter can apply to",
            port="pipeline",
        )
    opened.check_applies([item.matched for item in adapted_parts])
    parts = {name: changed.get(recipe, recipe) for name, recipe in pipeline.parts.items()}
    return replace(pipeline, parts=parts), adapted_parts


def _adaptable(pipeline: Pipeline) -> Iterator[tuple[str, Recipe]]:
    visited = set()
    for name, recipe in pipeline.parts.items():
        is_native = isinstance(recipe, (DiffusionModel, TextEncoder))
        is_own = isinstance(recipe, PipelineComponent) and takes_storage(name)
        if recipe not in visited and (is_native or is_own):
            visited.add(recipe)
            yield name, recipe


def _reads_text(name: str, recipe: Recipe) -> bool:
    return isinstance(recipe, TextEncoder) or "text_encoder" in name


LIBRARY = "library"
"""Option of a component's recipe: where its class is."""

GENERATION = "generation_config.json"
"""Beside a language model: how it goes on with a text."""

MAIN_SCHEDULER = "scheduler"

_IN_FEW_BITS = re.compile(r"(^|_)(unet|transformer|prior|text_encoder|model|decoder)(_\d+)?$")
"""Parts that a storage applies to: what denoises, and what reads text."""


def open_pipeline(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = "auto",
    storage: str = "auto",
    scheduler: str = OWN,
    digests: FileDigests | None = None,
    allow_pickle: bool = False,
    device: str = "cpu",
) -> Pipeline:
    """The recipes of a pipeline's parts; nothing is loaded yet.

    Where the folder is of a native family, the recipes of its parts are those of `open_model`, so
    that what is in memory serves both.

    Args:
        name: As for `open_model`; a folder.
        dtype, storage, digests, device: As for `open_model`.
        scheduler: Class to put in place of the folder's; see `schedulers.swapped`.
    Raises:
        InvalidValue: No such dtype, storage or scheduler.
        NodegraphError: See `find_path` and `read_folder`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"there is no precision {dtype!r}", expected=", ".join(DTYPES))
    check_storage(storage)
    folder = read_folder(find_path(name, folders), allow_pickle=allow_pickle)
    schedulers = _schedulers(folder, scheduler)
    parts = _native(
        name,
        folders,
        folder,
        dtype=dtype,
        storage=storage,
        allow_pickle=allow_pickle,
        device=str(device),
        digests=digests,
    )
    for part in folder.parts.values():
        if part.name not in parts and part.kind != "scheduler":
            files = part_files(part, allow_pickle=allow_pickle)
            kept = port_storage(storage, [files]) if takes_storage(part.name) else ()
            parts[part.name] = _component(part, files, dtype, device, kept, digests or FILE_DIGESTS)
    ordered = {part: parts[part] for part in folder.parts if part in parts}
    return Pipeline(folder.class_name, ordered, schedulers, folder.config)


def _schedulers(folder: PipelineFolder, scheduler: str) -> dict[str, dict[str, object]]:
    configs = {
        part.name: layout.read_config(part.folder / layout.SCHEDULER_FILE)
        for part in folder.parts.values()
        if part.kind == "scheduler"
    }
    for name, config in configs.items():
        config.setdefault("_class_name", folder.parts[name].class_name)
    if MAIN_SCHEDULER in configs:
        configs[MAIN_SCHEDULER] = replace_scheduler(configs[MAIN_SCHEDULER], scheduler)
    elif scheduler != OWN:
        raise InvalidValue(
            f"a {folder.class_name} has no scheduler that can be replaced",
            port="scheduler",
            given=scheduler,
            expected=OWN,
        )
    return configs


def _native(
    name: str,
    folders: Sequence[Path],
    folder: PipelineFolder,
    *,
    dtype: str,
    storage: str,
    allow_pickle: bool,
    device: str,
    digests: FileDigests | None,
) -> dict[str, Recipe]:
    """Recipes of the parts that a native family knows; none where the folder is of none."""
    try:
        model_recipes = open_model(
            name,
            folders,
            dtype=dtype,
            storage=storage,
            allow_pickle=allow_pickle,
            device=str(device),
            digests=digests,
        )
    except NodegraphError:
        # Such as a scheduler that only diffusers has: the folder was found whole.
        return {}
    recipes: Mapping[str, Recipe] = {
        file.role: recipe for recipe in model_recipes for file in recipe.files
    }
    return {part: recipes[part] for part in folder.parts if part in recipes}


def takes_storage(name: str) -> bool:
    """Whether a part is one of those whose weights a storage is for: what denoises, and what reads
    text."""
    return bool(_IN_FEW_BITS.search(name))


def part_files(part: FolderPart, *, allow_pickle: bool) -> PartFiles:
    """The files of a part: its configuration and weights, or all there are of what has none."""
    if part.kind == "model":
        model_files = folder_part_files(part.folder, part.name, allow_pickle=allow_pickle)
        further = [path for path in [part.folder / GENERATION] if path.is_file()]
        return replace(model_files, files=[*model_files.files, *further])
    return PartFiles(part.name, [path for path in sorted(part.folder.iterdir()) if path.is_file()])


def _component(
    part: FolderPart,
    files: PartFiles,
    dtype: str,
    device: str,
    kept: Options,
    digests: FileDigests,
) -> PipelineComponent:
    precision = port_precision(dtype, [files], str(device)) if files.weights else "float32"
    return PipelineComponent(
        part.class_name,
        tuple(
            RecipeFile(part.name, str(path), digests.digest(path)) for path in sorted(files.files)
        ),
        precision,
        tuple(sorted([(LIBRARY, part.library), *kept])),
    )


def pipeline_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_pipeline` would give something else for the same name.

    Raises:
        NodegraphError: As for `open_pipeline`.
    """
    folder = read_folder(find_path(name, folders), allow_pickle=allow_pickle)
    files = {folder.index}
    for part in folder.parts.values():
        files |= {*part_files(part, allow_pickle=allow_pickle).files}
    return digest_value([*map(file_stamp, sorted(files)), str(device), lacks_float16(device)])


def pipeline_weights(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = "auto",
    storage: str = "auto",
    allow_pickle: bool = False,
    device: str = "cpu",
) -> dict[str, StoredWeights]:
    """The weights of a pipeline's parts by their names, from the files' headers alone.

    Those of a native family's text encoders are one entry, as are those of two denoisers. Parts in
    pickle files are left out.

    Raises:
        NodegraphError: As for `open_pipeline`.
    """
    folder = read_folder(find_path(name, folders), allow_pickle=allow_pickle)
    try:
        source = locate_model(name, folders, allow_pickle=allow_pickle)
        native = stored_weights(
            source, dtype=dtype, allow_pickle=allow_pickle, device=str(device), storage=storage
        )
        known = _native_parts(get_family(source.family))
    except NodegraphError:
        native, known = {}, frozenset()
    weights = dict(native)
    for part, files in _weighty(folder, allow_pickle=allow_pickle):
        if part.name not in known:
            kept = port_storage(storage, [files]) if takes_storage(part.name) else ()
            weights[part.name] = _stored(files, port_precision(dtype, [files], str(device)), kept)
    return weights


def _native_parts(family: Family) -> frozenset[str]:
    parts = (*family.denoisers, *family.encoders)
    return frozenset({family.vae, *(part.role for part in parts)})


def _weighty(
    folder: PipelineFolder, *, allow_pickle: bool
) -> Iterator[tuple[FolderPart, PartFiles]]:
    for part in folder.parts.values():
        if part.kind == "model":
            files = part_files(part, allow_pickle=allow_pickle)
            if files.weights and all(file_suffix(path) == SAFETENSORS for path in files.weights):
                yield part, files


def _stored(files: PartFiles, dtype: str, kept: Options) -> StoredWeights:
    tensors = [
        (name, shape, header.dtypes[name])
        for header in map(read_header, files.weights)
        for name, shape in header.shapes.items()
    ]
    return StoredWeights(tensors, dtype, dict(kept).get(STORAGE, ""))
