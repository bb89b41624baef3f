"""Pipelines as whoever uses diffusers makes and calls them, of parts that are in memory."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import diffusers
import torch

from nodegraph.core.values import Recipe
from nodegraph.interop.pipelines.classes import Pipeline


def plain_pipeline(pipeline: Pipeline, live: Mapping[Recipe, Any]) -> Any:
    """The object, over the very modules that others use."""
    kind = getattr(diffusers, pipeline.class_name)
    parts = {name: _part(live[recipe], name) for name, recipe in pipeline.parts.items()}
    given: dict[str, Any] = {**pipeline.config, **parts}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        known = name in given or name in pipeline.schedulers
        if not known and parameter.default is inspect.Parameter.empty and name != "self":
            given[name] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, config in pipeline.schedulers.items():
            given[name] = getattr(diffusers, config["_class_name"]).from_config(dict(config))
        made = kind(**given)
    made.set_progress_bar_config(disable=True)
    return made


def _part(live: Any, name: str) -> Any:
    if hasattr(live, "value"):
        return live.value
    if name in getattr(live, "tokenizers", {}):
        return live.tokenizers[name]
    return live.modules[name]


def answer(made: Any, call: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What a call gives, by its fields."""
    takes = inspect.signature(type(made).__call__).parameters
    more: dict[str, Any] = {}
    if "generator" in takes:
        more["generator"] = torch.Generator().manual_seed(seed)
    if takes.get("output_type") is not None and takes["output_type"].default in ("pil", "np"):
        more["output_type"] = "np"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = made(**{**more, **call})
    return dict(found) if isinstance(found, Mapping) else vars(found)


def structure(module: torch.nn.Module) -> dict[str, Any]:
    """All that a module is besides its weights: its layers' classes, hooks and processors."""
    return {
        path: (
            type(layer),
            type(getattr(layer, "processor", None)),
            sorted(vars(layer)),
            len(layer._forward_hooks) + len(layer._forward_pre_hooks),
            [tensor.data_ptr() for tensor in layer.parameters(recurse=False)],
        )
        for path, layer in module.named_modules()
    }
