"""Components derived from others, whose weights they share: with adapters, and sped up."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from diffusers.utils.torch_utils import fourier_filter
from torch import Tensor, nn

from nodegraph.core.values import DiffusionModel, Recipe
from nodegraph.families.components import Component, Denoiser, TextModel
from nodegraph.families.scheduler_file import SAMPLED_ON, scheduler_config
from nodegraph.families.speed_options import SpeedOptions, find_step_cache, read_speed_options
from nodegraph.models.adapters import adapted_modules as applying
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.prompt_preprocessing import clip_layer_of
from nodegraph.models.speed.speed_support import FreeUFactors, compile_blocks, freeu_of

_LOW = 1
"""Frequencies on both sides of none that count as low."""


def apply_freeu(unet: Any, freeu: FreeUFactors) -> None:
    """Let a UNet compute with FreeU.

    Args:
        unet: Of diffusers; its own blocks are changed, not its weights.
    """
    if freeu.version == "diffusers":
        unet.enable_freeu(s1=freeu.s1, s2=freeu.s2, b1=freeu.b1, b2=freeu.b2)
        return
    first, *_, below = unet.config.block_out_channels
    factors = {4 * first: (freeu.b1, freeu.s1), 2 * first: (freeu.b2, freeu.s2)}
    for block in unet.up_blocks:
        for layer in block.resnets:
            if below in factors:
                hook = partial(_changed, below=below, by=factors[below], version=freeu.version)
                layer.register_forward_pre_hook(hook)
            below = layer.out_channels


def _changed(
    _: Any, arguments: tuple[Any, ...], *, below: int, by: tuple[float, float], version: str
) -> tuple[Any, ...]:
    """What a layer takes, with FreeU; it comes as features from below and from across in one.

    Args:
        below: Channels of those from below, which are the first.
        by: Factors b and s.
    """
    features: Tensor = arguments[0]
    from_below, across = features[:, :below], features[:, below:]
    half = below // 2
    factor = by[0] if version == "v1" else 1 + (by[0] - 1) * _strength(from_below)
    strengthened = (from_below[:, :half] * factor).to(features.dtype)
    filtered = fourier_filter(across, threshold=_LOW, scale=by[1])
    return torch.cat((strengthened, from_below[:, half:], filtered), dim=1), *arguments[1:]


def _strength(features: Tensor) -> Tensor:
    """Where features are strong, 0..1 in each item: their mean over the channels."""
    mean = features.mean(1, keepdim=True)
    low, high = mean.amin((1, 2, 3), keepdim=True), mean.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (mean - low) / spread, torch.zeros_like(mean))


_CONVOLUTION_AXES = 4


def derive(component: Component, recipe: Recipe) -> Component:
    """The component of a recipe with adapters or speed options, from that of its base.

    Args:
        component: Stays as it is.
    Raises:
        InvalidFile: See `nodegraph.models.adapters.adapted_modules.derive`.
    """
    derived = applying.derive(component, recipe) if recipe.adapters else component
    if isinstance(derived, TextModel):
        # An empty prompt, too, is another one of another layer.
        return replace(derived, clip_layer=clip_layer_of(recipe), empty={})
    if not isinstance(derived, Denoiser):
        return derived
    speed, freeu = read_speed_options(recipe), freeu_of(recipe)
    config = derived.scheduler_config
    if isinstance(recipe, DiffusionModel) and recipe.option(SAMPLED_ON):
        config = scheduler_config(recipe)
    return replace(
        derived,
        scheduler_config=config,
        modules={
            role: _with_speed_options(module, speed, freeu)
            for role, module in derived.modules.items()
        },
        caching=find_step_cache(recipe),
        attention=speed.attention,
        compiled=speed.compiled,
    )


def _with_speed_options(module: Any, speed: SpeedOptions, freeu: FreeUFactors | None) -> Any:
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
