"""Adapters put on pipelines: on what denoises, and on what reads text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from nodegraph.core.values import DiffusionModel, PipelineComponent, Recipe, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.interop.pipelines.opening import takes_storage
from nodegraph.interop.pipelines.values import Pipeline
from nodegraph.models.adapters.matching import MatchResult
from nodegraph.models.adapters.recipes import OpenedAdapter


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
            f"a {pipeline.class_name} has no part that an adapter could be for", port="pipeline"
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
