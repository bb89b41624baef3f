"""Faster sampling, for some of the exactness or some memory."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, Context, DiffusionModel, Range, node
from nodegraph.families.speed_options import (
    ATTENTIONS,
    AUTO,
    Broadcast,
    FirstBlock,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
    parse_ratios,
    with_caching,
    with_speed,
)
from nodegraph.models.speed.speed_support import check_recipe

from ._speed_facts import (
    added_weights,
    broadcast_outputs,
    check_broadcast,
    check_first_block,
    check_mag_cache,
    check_sped_up,
    check_taylorseer,
    first_block_outputs,
    mag_cache_outputs,
    sped_up_outputs,
    taylorseer_outputs,
)


class FastModel(NamedTuple):
    model: DiffusionModel


@node(
    category="speed",
    infer=sped_up_outputs,
    validate=check_sped_up,
    estimate=added_weights,
    tags=("torch.compile", "sdpa", "attention", "qkv", "channels last", "fast"),
)
def SpeedUp(
    ctx: Context,
    model: DiffusionModel,
    *,
    compiled: bool = False,
    fused_projections: bool = False,
    channels_last: bool = False,
    attention: Annotated[str, Choices(ATTENTIONS), Advanced()] = AUTO,
) -> FastModel:
    """Let a model compute in another way, which may be faster. Results differ in their last bits.

    The weights are shared with all who use the model without.

    Args:
        model: To be sped up.
        compiled: Compile the repeated blocks by torch.compile: once for each size of picture and
            number of prompts in a process, which takes up to minutes. Needs a C++ compiler on a
            CPU, triton on CUDA.
        fused_projections: Compute query, key and value at once. Takes memory for copies of these
            layers.
        channels_last: Lay convolutions' weights out with the channels last, which suits the
            kernels of UNets in half precision on CUDA. Takes memory for copies of them.
        attention: How attention is computed: as torch chooses (auto), plainly (math), in slices,
            which takes less memory, or by a kernel of torch for CUDA (flash, efficient, cudnn).
    """
    speed = SpeedOptions(compiled, fused_projections, channels_last, attention)
    return _checked(ctx, with_speed(model, speed))


@node(
    category="speed",
    label="First-block cache",
    infer=first_block_outputs,
    validate=check_first_block,
    estimate=added_weights,
    tags=("step cache", "fbcache", "teacache", "wavespeed", "fast"),
)
def FirstBlockCache(
    ctx: Context,
    model: DiffusionModel,
    threshold: Annotated[float, Range(0, 10, step=0.01)] = 0.1,
) -> FastModel:
    """Leave out a step's blocks where the first one does nearly what it did at the step before.

    What the others added then is added again (ParaAttention's first-block cache, by the hooks of
    diffusers). For transformers; which ones, docs/speed.md says.

    Args:
        model: To be sped up.
        threshold: Relative change of what the first block adds, above which all are computed. 0
            computes all; 0.05 to 0.15 is usual.
    """
    return _cached(ctx, model, FirstBlock(threshold))


@node(
    category="speed",
    label="MagCache",
    infer=mag_cache_outputs,
    validate=check_mag_cache,
    estimate=added_weights,
    tags=("step cache", "magnitude", "fast"),
)
def MagCache(
    ctx: Context,
    model: DiffusionModel,
    *,
    threshold: Annotated[float, Range(0, 10, step=0.01)] = 0.06,
    most: Annotated[int, Range(1, 100)] = 3,
    retained: Annotated[float, Range(0, 1, step=0.05)] = 0.2,
    ratios: Annotated[str, Advanced()] = "",
) -> FastModel:
    """Leave out steps where the model is known to change little in size (arXiv:2506.09045).

    How much it changes from step to step was measured once for each model; for Flux.1 diffusers
    brings it along.

    Args:
        model: To be sped up.
        threshold: Error that may add up before all is computed again.
        most: Steps in a row that may be left out.
        retained: Part of the sampling, from its start, in which all is computed.
        ratios: Of the size of what the blocks add to that of the step before, over a whole
            sampling, as diffusers prints them with MagCacheConfig(calibrate=True). Empty for
            Flux.1's.
    """
    return _cached(ctx, model, Magnitude(threshold, most, retained, parse_ratios(ratios)))


@node(
    category="speed",
    label="TaylorSeer",
    infer=taylorseer_outputs,
    validate=check_taylorseer,
    estimate=added_weights,
    tags=("step cache", "taylor", "forecast", "fast"),
)
def TaylorSeerCache(
    ctx: Context,
    model: DiffusionModel,
    *,
    interval: Annotated[int, Range(2, 100)] = 3,
    warm_up: Annotated[int, Range(1, 1000)] = 4,
    order: Annotated[int, Range(0, 4)] = 1,
    lite: Annotated[bool, Advanced()] = False,
) -> FastModel:
    """Continue attention's outputs between full steps by how they have changed (arXiv:2503.06923).

    What is kept takes memory: order + 1 times the outputs of all attention layers.

    Args:
        model: To be sped up.
        interval: One in so many calls of the network is computed in full.
        warm_up: Calls at the start that are. Samplers of second order call twice a step.
        order: Of the highest difference; 0 repeats what was computed last.
        lite: Continue the network's last layer alone, and leave out all blocks: far faster, and
            takes hardly any memory. For transformers that end in such a layer.
    """
    return _cached(ctx, model, Taylor(interval, warm_up, order, lite))


@node(
    category="speed",
    label="Attention broadcast",
    infer=broadcast_outputs,
    validate=check_broadcast,
    estimate=added_weights,
    tags=("step cache", "pab", "pyramid attention broadcast", "fast"),
)
def AttentionBroadcast(
    ctx: Context,
    model: DiffusionModel,
    *,
    own: Annotated[int, Range(1, 100)] = 2,
    cross: Annotated[int, Range(1, 100)] = 3,
    noisiest: Annotated[float, Range(0, 1, step=0.05)] = 0.8,
    cleanest: Annotated[float, Range(0, 1, step=0.05)] = 0.1,
) -> FastModel:
    """Use attention's outputs for several steps (Pyramid Attention Broadcast, arXiv:2408.12588).

    For all models, UNets too. What is kept takes memory: the outputs of all attention layers.

    Args:
        model: To be sped up.
        own: Calls that an output of self-attention is used for; 1 computes it at each.
        cross: The same of cross-attention, which changes less.
        noisiest: Outputs are used again from this part of the training timesteps on,
        cleanest: down to this one.
    """
    return _cached(ctx, model, Broadcast(own, cross, noisiest, cleanest))


def _cached(ctx: Context, model: DiffusionModel, caching: StepCaching) -> FastModel:
    return _checked(ctx, with_caching(model, caching))


def _checked(ctx: Context, model: DiffusionModel) -> FastModel:
    check_recipe(model, ctx.environment.device)
    return FastModel(model)
