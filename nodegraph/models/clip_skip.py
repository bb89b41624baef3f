"""Prompts taken from an earlier layer of CLIP. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import Recipe, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.registry import get_family

_OPTION = f"{SPEED_PREFIX}clip_layer"
"""Its component is another way to compute over the same weights, as those that are sped up."""


def check_skips(family: Family) -> None:
    """Refuse families whose prompts aren't made of a layer of CLIP.

    Raises:
        InvalidValue: This is one.
    """
    if not family.clip_layer:
        raise InvalidValue(
            f"the prompts of {family.title} aren't taken from a layer of CLIP: none can be skipped",
            port="encoder",
            hint="Leave the node out.",
        )


def with_clip_layer(recipe: TextEncoder, layer: int) -> TextEncoder:
    """A text encoder whose prompts are of a layer of CLIP, counted from the last, 1.

    Raises:
        InvalidValue: See `check_skips`.
    """
    family = get_family(recipe.family)
    check_skips(family)
    options = dict(recipe.options)
    options.pop(_OPTION, None)
    if layer != family.clip_layer:
        options[_OPTION] = str(layer)
    return replace(recipe, options=tuple(sorted(options.items())))


def clip_layer_of(recipe: Recipe) -> int:
    """The layer that a recipe asks for; 0 for the family's own."""
    return int(recipe.option(_OPTION, "0"))
