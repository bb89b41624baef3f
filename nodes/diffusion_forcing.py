"""Sampling of videos by diffusion forcing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    DiffusionModel,
    Estimate,
    Finding,
    HookInputs,
    InvalidValue,
    Latent,
    Range,
    Seed,
    node,
)
from nodegraph.families.frame_steps import check_forces_frames
from nodegraph.families.registry import FAMILIES
from nodegraph.families.schedule_checks import MAX_STEPS
from nodegraph.sampling.forcing_plan import (
    MAX_CONDITION_NOISE,
    ForcingOptions,
    check_evaluations,
    plan_forcing,
)
from nodegraph.sampling.sampling_parts import build_sampling_parts

from ._memory import sampling_estimate
from ._sampled import live_model, plan_noise_levels
from ._sampling_facts import LATENT_FACTS, check_findings, check_sampling
from .sampler import SamplerName, ScheduleName


def _options(inputs: HookInputs) -> ForcingOptions | None:
    """The options, if all are known before the run."""
    values: dict[str, Any] = {
        name: inputs.literals.get(name) for name in ForcingOptions.__dataclass_fields__
    }
    return None if None in values.values() else ForcingOptions(**values)


def _check(inputs: HookInputs) -> Iterator[Finding]:
    """Find models without diffusion forcing, other samplers, and windows that do not fit."""
    yield from check_sampling(inputs)
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    if family is not None:
        yield from check_findings(check_forces_frames, "model", family, code="wrong-family")
    if sampler := inputs.literals.get("sampler"):
        yield from check_findings(check_evaluations, "sampler", sampler)
    yield from check_findings(partial(_plan, inputs), "latent")


def _plan(inputs: HookInputs) -> None:
    options, temporal = _options(inputs), inputs.fact("model", "temporal")
    frames = inputs.fact("latent", "frames")
    if options is not None and temporal and frames:
        plan_forcing((frames - 1) // temporal + 1, 0, options, temporal)


def _estimate(inputs: HookInputs) -> Estimate:
    """Estimate: memory for one window, time for the evaluations of all."""
    try:
        options = _options(inputs)
    except InvalidValue:
        return Estimate()
    frames, steps = inputs.fact("latent", "frames"), inputs.literals.get("steps")
    temporal = inputs.fact("model", "temporal") or 4
    if options is None or not frames or not steps:
        return Estimate()
    facts = {**inputs.facts, "guider": {"window": (options.base_num_frames, "frames", 0)}}
    try:
        windows = plan_forcing((frames - 1) // temporal + 1, 0, options, temporal)
    except InvalidValue:
        return Estimate()
    calls = sum(options.evaluations(window.blocks, steps) for window in windows)
    literals = {**inputs.literals, "steps": min(calls, MAX_STEPS)}
    return sampling_estimate(replace(inputs, facts=facts, literals=literals))


@node(
    category="sampling",
    label="Diffusion forcing",
    lane="gpu",
    numerics=True,
    facts={
        "latent": {
            **LATENT_FACTS,
            "channels": "model.channels",
            "format": "model.format",
            "speed": "model.speed",
        }
    },
    validate=_check,
    estimate=_estimate,
    tags=("skyreels", "long video", "autoregressive", "asynchronous", "denoise"),
)
def SampleDiffusionForcing(
    ctx: Context,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 30,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 6.0,
    sampler: SamplerName = "uni_pc",
    schedule: ScheduleName = "normal",
    ar_step: Annotated[int, Range(0, MAX_STEPS)] = 0,
    causal_block_size: Annotated[int, Range(1, 1000)] = 1,
    base_num_frames: Annotated[int, Range(1, 100_000)] = 97,
    overlap_history: Annotated[int, Range(1, 100_000)] = 17,
    addnoise_condition: Annotated[float, Range(0, MAX_CONDITION_NOISE), Advanced()] = 20.0,
) -> Latent:
    """Generate a video whose frames have noise levels of their own, also a long one.

    For SkyReels V2 with diffusion forcing. A video longer than a window is generated in several,
    each of which continues the last frames of the one before. Blocks of frames may be denoised one
    after the other. KSampler also samples these models, with all frames at once.

    To start from an image, or to continue a video, link an ImageToVideoConditioning. Its image
    may be the last frames of a video. A last image is shown to the last window.

    Args:
        model: A model that was trained by diffusion forcing.
        positive: The prompt: what the video should show. It may have first frames and a last one.
        negative: The negative prompt: what the video should not show. If not linked, the empty
            prompt is used.
        latent: An empty latent of the whole video, with the frames to continue.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of each block of frames.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method, with one evaluation of the model per step.
        schedule: The noise schedule.
        ar_step: Steps by which each block lags behind the one before it. 0 denoises all at once. 5
            is usual with blocks of 5 latent frames, and takes more evaluations.
        causal_block_size: Latent frames of a block. Above 1, frames attend to their own block and
            to earlier ones only. A video has whole blocks: 97 frames are 25 latent frames.
        base_num_frames: Frames of a window: 97 for 960 x 544 pixels, 121 for 1280 x 720.
        overlap_history: Frames that a window continues from: 17 or 37 work well.
        addnoise_condition: Timestep of 1000 at which known frames are shown to the model, with as
            much noise. 20 makes transitions smoother. 0 shows them without noise.
    """
    from nodegraph.sampling.denoise import apply_patches
    from nodegraph.sampling.diffusion_forcing import ForcedSampling
    from nodegraph.sampling.previews import Previews

    options = ForcingOptions(
        ar_step, causal_block_size, base_num_frames, overlap_history, addnoise_condition
    )
    parts = build_sampling_parts(
        positive, negative, seed=seed, steps=steps, cfg=cfg, sampler=sampler, schedule=schedule
    )
    model, latent, parts, _ = apply_patches(model, latent, parts)
    noise_levels = plan_noise_levels(ctx, model, replace(latent, frames=1), parts)
    previews = Previews(ctx, model)
    with live_model(ctx, model, parts, latent, noise_levels) as denoiser:
        sampling = ForcedSampling(denoiser, latent, parts, options)
        checkpoint = ctx.restored(up_to=sampling.total - 1)
        if checkpoint is not None:
            sampling.restore(checkpoint.state)
        for info in sampling.steps(partial(ctx.check_cancelled, waits=False)):
            if info.step < info.total:
                ctx.checkpoint(info.step, info.total, sampling.state)
            ctx.progress(info.step, info.total, preview=previews.of(info.denoised))
        return sampling.result()
