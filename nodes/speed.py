"""Faster sampling, at the cost of exactness or memory."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, Context, DiffusionModel, Range, node
from nodegraph.families.speed_options import (
    ATTENTIONS,
    AUTO,
    DEVICE,
    MATMULS,
    MEMORIES,
    PROMPTS,
    TOGETHER,
    Broadcast,
    FirstBlock,
    KeyValues,
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
    check_key_values,
    check_mag_cache,
    check_sped_up,
    check_taylorseer,
    first_block_outputs,
    kernel_packages,
    key_value_outputs,
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
    fingerprint=kernel_packages,
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
    prompts: Annotated[str, Choices(PROMPTS), Advanced()] = TOGETHER,
    matmul: Annotated[str, Choices(MATMULS), Advanced()] = AUTO,
) -> FastModel:
    """Speed a model up with compilation and other kernels. Results differ in the last bits.

    The weights are shared with other uses of the model.

    Args:
        model: Model to change.
        compiled: Compile the repeated blocks with torch.compile. Each image size and number of
            prompts is compiled separately, which takes up to minutes the first time, and seconds in
            later processes. It needs a C++ compiler
            on a CPU, and triton on CUDA.
        fused_projections: Compute query, key and value in one operation. It takes memory for copies
            of these layers.
        channels_last: Store convolution weights in channels-last format, which suits UNets in half
            precision on CUDA. It takes memory for copies of the weights.
        attention: Attention backend: auto is the choice of torch, math is the plain computation.
            sliced takes less memory. flash, efficient and cudnn are kernels of torch for CUDA.
            sage (SageAttention, which computes in int8), flash_attn and xformers are kernels of
            packages of these names for CUDA. torch computes what such a kernel does not support,
            such as masks, and everything if the package is missing.
        prompts: How the prompts of a step are evaluated: together in one batch if they fit,
            separate, or on an accelerator the fastest of both. It is measured once for each model,
            size and device, and noted in the data folder. On a CPU, fastest is together.
        matmul: How quantized weights are multiplied. auto widens them to the precision of the
            model. torchao multiplies weights with storage int8 or float8 in 8 bits with the package
            of this name. It quantizes the inputs of the layers, too, so results differ more. It
            multiplies weights with storage uint4 by inputs in bfloat16.
    """
    speed = SpeedOptions(compiled, fused_projections, channels_last, attention, prompts, matmul)
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
    """Skip the other blocks of a step if the first block changes little since the previous step.

    The previous residual of the other blocks is used again (first-block cache of ParaAttention,
    with the hooks of diffusers). It works for transformers; docs/speed.md lists them.

    Args:
        model: Model to change.
        threshold: Relative change of the residual of the first block above which all blocks are
            computed. 0 computes all. 0.05 to 0.15 is usual.
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
    """Skip steps in which the model output changes little in magnitude (arXiv:2506.09045).

    The change from step to step is measured once for each model. diffusers includes the values for
    Flux.1.

    Args:
        model: Model to change.
        threshold: Accumulated error above which all blocks are computed again.
        most: Maximum number of consecutive steps to skip.
        retained: Share of the sampling, from its start, in which all blocks are computed.
        ratios: Magnitude ratios of the residuals from step to step, over a whole sampling, as
            diffusers prints them with MagCacheConfig(calibrate=True). Empty for those of Flux.1.
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
    """Extrapolate attention outputs between full steps with a Taylor series (arXiv:2503.06923).

    The cache takes memory: order + 1 times the outputs of all attention layers.

    Args:
        model: Model to change.
        interval: Every n-th evaluation of the network is computed in full.
        warm_up: Number of full evaluations at the start. Second-order samplers evaluate the network
            twice per step.
        order: Order of the Taylor series. 0 repeats the last computed output.
        lite: Extrapolate only the last layer, and skip all blocks. It is far faster and takes very
            little memory. It works for transformers with such a last layer.
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
    """Reuse attention outputs for several steps (Pyramid Attention Broadcast, arXiv:2408.12588).

    It works for all models, including UNets. The cache takes memory: the outputs of all attention
    layers.

    Args:
        model: Model to change.
        own: Number of evaluations that use one self-attention output. 1 computes it each time.
        cross: The same for cross-attention, which changes less.
        noisiest: Where reuse starts, as a share of the training timesteps.
        cleanest: Where reuse ends, as a share of the training timesteps.
    """
    return _cached(ctx, model, Broadcast(own, cross, noisiest, cleanest))


@node(
    category="speed",
    label="Key-value cache",
    infer=key_value_outputs,
    validate=check_key_values,
    estimate=added_weights,
    tags=("kv cache", "keys and values", "prefix cache", "reference images", "fast"),
)
def KeyValueCache(
    ctx: Context,
    model: DiffusionModel,
    *,
    memory: Annotated[str, Choices(MEMORIES), Advanced()] = DEVICE,
) -> FastModel:
    """Compute keys and values of prompts and reference images once, and reuse them in each step.

    It works for Qwen-Image 2.1, where results differ by rounding at most, and for Flux.2 Klein KV.
    The more reference images there are, the more time it saves.

    Args:
        model: Model to change. A Flux.2 Klein that was not trained as KV gives other images with
            references.
        memory: Which memory holds keys and values. device is the fastest. host takes no memory of
            an accelerator, and copies them in each step: Qwen-Image 2.1 has 2 GiB for each
            reference image of a megapixel and prompt in half precision.
    """
    return _cached(ctx, model, KeyValues(memory))


def _cached(ctx: Context, model: DiffusionModel, caching: StepCaching) -> FastModel:
    return _checked(ctx, with_caching(model, caching))


def _checked(ctx: Context, model: DiffusionModel) -> FastModel:
    check_recipe(model, ctx.environment.device)
    return FastModel(model)
