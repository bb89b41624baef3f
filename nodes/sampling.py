"""Sampling: noise to latents."""

from __future__ import annotations

from typing import Annotated

from nodegraph import (
    Advanced,
    Choices,
    Conditioning,
    Context,
    DiffusionModel,
    Latent,
    Range,
    Seed,
    node,
)
from nodegraph.families.schedule_checks import DENOISE_STEPS, MAX_STEPS, last_step, step_window
from nodegraph.sampling.composed_schedules import Schedule, named_schedule
from nodegraph.sampling.sampling_parts import (
    CONVENTIONS,
    DRAWS,
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
    build_sampling_parts,
    drops_a_level,
)

from ._memory import sampling_estimate, sampling_parts_estimate
from ._sampled import (
    SamplingResult,
    live_model,
    log_speed,
    plan_noise_levels,
    sample_latent,
    sample_with_parts,
    undenoised_latent,
)
from ._sampling_facts import (
    LATENT_FACTS,
    check_ksampler,
    check_parts,
    check_sampling,
    check_window,
)
from .sampler import SamplerName, ScheduleName

Draw = Annotated[str, Choices(DRAWS), Advanced()]
Convention = Annotated[str, Choices(CONVENTIONS), Advanced()]
DenoiseSteps = Annotated[str, Choices(DENOISE_STEPS), Advanced()]

_FACTS = {
    **LATENT_FACTS,
    "channels": "model.channels",
    "format": "model.format",
    "speed": "model.speed",
}


@node(
    version=2,
    category="sampling",
    label="KSampler",
    lane="gpu",
    numerics=True,
    continues=("end_step",),
    facts={"latent": _FACTS},
    validate=check_ksampler,
    estimate=sampling_estimate,
    tags=("denoise", "generate"),
)
def KSampler(
    ctx: Context,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 20,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 7.0,
    sampler: SamplerName = "dpmpp_2m",
    schedule: ScheduleName = "karras",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    end_step: Annotated[int | None, Range(1, MAX_STEPS), Advanced()] = None,
    denoise_steps: DenoiseSteps = "share",
    draw: Draw = "per item",
    convention: Convention = "diffusers",
) -> Latent:
    """Turn noise into a latent, step by step, led by prompts.

    Args:
        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: Empty for a picture from noise alone, or the picture to start from.
        seed: Of the noise of the first item; the next ones count up from it.
        steps: Of the whole schedule.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        sampler: The method.
        schedule: The noise levels it walks down. simple, sgm_uniform and beta are ComfyUI's, the
            others diffusers'; normal is what the model's scheduler file says.
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked. At 0
            it is handed on as it is; an empty one only by ComfyUI's convention, as zeros.
        end_step: Stop after this one of the steps that are walked; the latent keeps the noise that
            is left. Asked for more steps later, the same sampling goes on from there.
        denoise_steps: Where denoise is below 1, that share of the steps is walked; with all, all
            are, the last of int(steps / denoise), as in ComfyUI.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed,
            and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that
            itself, as in older versions of it.
        convention: How levels are laid, begun at and asked for, what a mask keeps, and parts of the
            sampling are told; docs/comfyui.md has what ComfyUI does.
    """
    if denoise == 0:
        return undenoised_latent(ctx, model, latent, convention)
    parts = build_sampling_parts(
        positive,
        negative,
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler,
        schedule=schedule,
        denoise=denoise,
        denoise_steps=denoise_steps,
        draw=draw,
        convention=convention,
    )
    return sample_latent(
        ctx, model, latent, parts, stop=last_step(steps, denoise, end_step, denoise_steps)
    )


@node(
    category="sampling",
    label="KSampler (advanced)",
    lane="gpu",
    numerics=True,
    facts={"latent": _FACTS},
    validate=check_window,
    estimate=sampling_estimate,
    tags=("refiner", "leftover", "denoise", "start", "end"),
)
def KSamplerAdvanced(
    ctx: Context,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 20,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 7.0,
    sampler: SamplerName = "dpmpp_2m",
    schedule: ScheduleName = "karras",
    start_step: Annotated[int, Range(0, MAX_STEPS)] = 0,
    end_step: Annotated[int | None, Range(1, MAX_STEPS)] = None,
    add_noise: bool = True,
    leave_noise: bool = False,
    draw: Draw = "per item",
    convention: Convention = "diffusers",
) -> Latent:
    """Some steps of a sampling: two of them in a row may use two models, such as a refiner.

    The first walks steps 0 to 16 and leaves noise, the second steps 16 to 20 and adds none. With
    one model, seed and settings that is what KSampler gives: to the last bit where the sampler
    looks at nothing but the latent (euler, heun, ddim, euler_ancestral …); multistep samplers
    begin anew with what they remember.

    Args:
        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: Empty, a picture's, or one with noise left in it.
        seed: Of the noise of the first item; the next ones count up from it.
        steps: Of the whole schedule.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        sampler: The method.
        schedule: The noise levels it walks down.
        start_step: How many steps of the schedule come before the first that is walked.
        end_step: The last step that is walked; the schedule's last if left out.
        add_noise: Whether noise is added to the latent, to the level of the first step. Leave it
            off for a latent with noise left in it.
        leave_noise: Whether noise is left in the latent where it ends before the schedule does;
            otherwise the last step takes all of it away.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed,
            and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that
            itself, as in older versions of it.
        convention: How levels are laid, begun at and asked for, what a mask keeps, and parts of the
            sampling are told; docs/comfyui.md has what ComfyUI does.
    """
    start, end = step_window(steps, start_step, end_step)
    dropped = drops_a_level(sampler, convention)
    walked = named_schedule(schedule, steps, dropped=dropped).part(start, end)
    parts = SamplingParts(
        SamplingNoise(seed, added=add_noise, draw=draw),
        GuiderChoice(positive, negative, cfg),
        SamplerChoice(sampler),
        walked if leave_noise else walked.closed(),
        convention,
    )
    return sample_with_parts(ctx, model, latent, parts, ports={}).latent


@node(
    category="sampling",
    lane="gpu",
    numerics=True,
    facts={"latent": _FACTS, "denoised": _FACTS},
    validate=check_parts,
    estimate=sampling_parts_estimate,
    tags=("SamplerCustomAdvanced", "custom", "denoise", "generate"),
)
def SampleCustom(
    ctx: Context,
    model: DiffusionModel,
    noise: SamplingNoise,
    guider: GuiderChoice,
    sampler: SamplerChoice,
    schedule: Schedule,
    latent: Latent,
    convention: Convention = "diffusers",
) -> SamplingResult:
    """Turn noise into a latent by parts that are put together one by one.

    RandomNoise, CFGGuider, SelectSampler and BasicSchedule give what KSampler gives with the same
    settings, to the last bit.

    Args:
        model: What removes the noise.
        noise: What is begun with.
        guider: The prompts, and how they lead.
        sampler: The method.
        schedule: The noise levels that are walked. A part of one leaves its noise in the latent,
            or goes on with what was left, if no noise is added.
        latent: Empty for a picture from noise alone, or the picture to start from.
        convention: As for KSampler.
    """
    parts = SamplingParts(noise, guider, sampler, schedule, convention)
    return sample_with_parts(ctx, model, latent, parts)


@node(
    version=2,
    category="sampling",
    lane="gpu",
    numerics=True,
    facts={"latents": _FACTS},
    validate=check_sampling,
    estimate=sampling_estimate,
    tags=("preview", "animation"),
)
def DenoisingSteps(
    ctx: Context,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    steps: Annotated[int, Range(1, MAX_STEPS)] = 20,
    cfg: Annotated[float, Range(0, 100, step=0.1)] = 7.0,
    sampler: SamplerName = "dpmpp_2m",
    schedule: ScheduleName = "karras",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    denoise_steps: DenoiseSteps = "share",
    draw: Draw = "per item",
    convention: Convention = "diffusers",
) -> list[Latent]:
    """What the model takes the finished latent to be, after each step of a sampling.

    The inputs are those of KSampler, which walks the same steps.

    Args:
        model: What removes the noise.
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        latent: Empty for a picture from noise alone, or the picture to start from.
        seed: Of the noise of the first item; the next ones count up from it.
        steps: Of the whole schedule.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        sampler: The method.
        schedule: The noise levels it walks down. simple, sgm_uniform and beta are ComfyUI's, the
            others diffusers'; normal is what the model's scheduler file says.
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked.
        denoise_steps: Where denoise is below 1, that share of the steps is walked; with all, all
            are, the last of int(steps / denoise), as in ComfyUI.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed,
            and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that
            itself, as in older versions of it.
        convention: How levels are laid, begun at and asked for, what a mask keeps, and parts of the
            sampling are told; docs/comfyui.md has what ComfyUI does.
    """
    from nodegraph.sampling.denoise import Denoising
    from nodegraph.sampling.previews import Previews

    parts = build_sampling_parts(
        positive,
        negative,
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler,
        schedule=schedule,
        denoise=denoise,
        denoise_steps=denoise_steps,
        draw=draw,
        convention=convention,
    )
    plan_noise_levels(ctx, model, latent, parts)
    previews = Previews(ctx, model)
    with live_model(ctx, model, parts, latent) as denoiser:
        denoising = Denoising(denoiser, latent, parts)
        denoised_latents = []
        for info in denoising:
            denoised_latents.append(denoising.denoised(info))
            ctx.progress(info.step, info.total, preview=previews.of(info.denoised))
        log_speed(ctx, model, denoising)
        return denoised_latents
