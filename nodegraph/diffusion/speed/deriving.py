"""Components derived from others, whose weights they share: with adapters, and sped up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nodegraph.core.values import DiffusionModel, Recipe
from nodegraph.diffusion.adapters import applying
from nodegraph.diffusion.adapters.layers import structural_copy
from nodegraph.diffusion.clip_skip import clip_layer_of
from nodegraph.diffusion.components import Component, Denoiser, TextModel
from nodegraph.diffusion.scheduler_file import SAMPLED_ON, scheduler_config
from nodegraph.diffusion.speed.compiling import compile_blocks
from nodegraph.diffusion.speed.freeu import FreeUFactors, freeu_of
from nodegraph.diffusion.speed.options import SpeedOptions, caching_of, speed_of
from nodegraph.diffusion.speed.upward import apply_freeu

_CONVOLUTION_AXES = 4


def derive(component: Component, recipe: Recipe) -> Component:
    """The component of a recipe with adapters or speed options, from that of its base.

    Args:
        component: Stays as it is.
    Raises:
        InvalidFile: See `nodegraph.diffusion.adapters.applying.derive`.
    """
    found = applying.derive(component, recipe) if recipe.adapters else component
    if isinstance(found, TextModel):
        # An empty prompt, too, is another one of another layer.
        return replace(found, clip_layer=clip_layer_of(recipe), empty={})
    if not isinstance(found, Denoiser):
        return found
    speed, freeu = speed_of(recipe), freeu_of(recipe)
    config = found.scheduler_config
    if isinstance(recipe, DiffusionModel) and recipe.option(SAMPLED_ON):
        config = scheduler_config(recipe)
    return replace(
        found,
        scheduler_config=config,
        modules={role: _sped_up(module, speed, freeu) for role, module in found.modules.items()},
        caching=caching_of(recipe),
        attention=speed.attention,
        compiled=speed.compiled,
    )


def _sped_up(module: Any, speed: SpeedOptions, freeu: FreeUFactors | None) -> Any:
    """A network that computes so; the given one stays as it is, and shares its weights."""
    if freeu is None and replace(speed, attention="auto").is_plain:
        return module
    twin = structural_copy(module)
    if freeu is not None:
        apply_freeu(twin, freeu)
    if speed.fused:
        # The given layers stay in it, as they are shared; what is fused are copies.
        twin.fuse_qkv_projections()
        twin.eval().requires_grad_(False)
    if speed.channels_last:
        _put_channels_last(twin)
    if speed.compiled:
        compile_blocks(twin)
    return twin


def _put_channels_last(module: nn.Module) -> None:
    """Convolutions with weights of their own, in another order in memory."""
    for layer in module.modules():
        weight = layer._parameters.get("weight")
        if weight is not None and weight.dim() == _CONVOLUTION_AXES:
            moved = weight.detach().to(memory_format=torch.channels_last)
            layer._parameters["weight"] = nn.Parameter(moved, requires_grad=False)
