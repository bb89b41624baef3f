"""A pipeline's object of live parts, for one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from inspect import Parameter, signature
from threading import Lock
from typing import Any

import diffusers
from torch import nn

from nodegraph.core.context import Context
from nodegraph.core.values import DiffusionModel, Recipe, Vae
from nodegraph.errors import InvalidValue
from nodegraph.families.building import quiet
from nodegraph.families.components import Autoencoder, Component, TextModel
from nodegraph.interop.pipelines.building import Tool
from nodegraph.interop.pipelines.classes import PipelineClass
from nodegraph.interop.pipelines.copies import copy_module, copy_tool, with_own_precision
from nodegraph.interop.pipelines.schedulers import CLASS
from nodegraph.interop.pipelines.values import Pipeline


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
        raise InvalidValue(f"{pipeline_class.name} can't be imported: {error}") from error
    except AttributeError as error:
        raise InvalidValue(
            f"{pipeline_class.name} isn't in {pipeline_class.module} any more"
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
