"""Samplers: from noise to latents."""

from __future__ import annotations

from functools import partial
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
    """Generate a latent from noise, step by step, guided by prompts.

    Use it for text-to-image, or with denoise below 1 for image-to-image. VAEDecode turns the result
    into an image.

    Args:
        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty
            prompt is used.
        latent: An empty latent to generate from noise alone, or the latent of an image to start
            from.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of the whole schedule.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method.
        schedule: The noise schedule. simple, sgm_uniform and beta follow ComfyUI, the others follow
            diffusers. normal uses the scheduler file of the model.
        denoise: Below 1, part of the latent is kept: int(steps × denoise) steps are run. At 0 the
            latent is returned unchanged. An empty latent at 0 needs convention comfyui, which
            returns zeros.
        end_step: Stop after this step, counted among the steps that run. The latent keeps the
            remaining noise. If you raise the value later, sampling continues from there.
        denoise_steps: How steps are counted when denoise is below 1. share: that share of the steps
            is run. all: all steps are run, as the last ones of a schedule of int(steps / denoise)
            steps, as in ComfyUI.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for
            the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one
            seed: the same, with noise during sampling from seed itself, as in older versions of
            ComfyUI.
        convention: Which tool's rules apply to noise levels, timesteps, the initial latent, noise
            masks and step ranges. docs/comfyui.md lists what ComfyUI does differently.
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
    """Run some steps of a schedule, for example to split a sampling between a base model and a
    refiner.

    The first sampler runs steps 0 to 16 and leaves noise. The second runs steps 16 to 20 and adds
    no noise.

    With one model, seed and settings, the result is that of KSampler. It is bit-identical if the
    sampler uses only the latent (euler, heun, ddim, euler_ancestral …). Multistep samplers start
    with an empty history in the second part.

    Args:
        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty
            prompt is used.
        latent: An empty latent, the latent of an image, or a latent with leftover noise.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of the whole schedule.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method.
        schedule: The noise schedule.
        start_step: How many steps of the schedule to skip before the first step that runs.
        end_step: The last step to run. If left out, the last step of the schedule.
        add_noise: Whether to add noise to the latent, up to the level of the first step. Turn it
            off for a latent with leftover noise.
        leave_noise: Whether to leave noise in the latent if it stops before the end of the
            schedule. Otherwise the last step removes all noise.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for
            the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one
            seed: the same, with noise during sampling from seed itself, as in older versions of
            ComfyUI.
        convention: Which tool's rules apply to noise levels, timesteps, the initial latent, noise
            masks and step ranges. docs/comfyui.md lists what ComfyUI does differently.
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
    model: DiffusionModel | None = None,
    *,
    noise: SamplingNoise,
    guider: GuiderChoice,
    sampler: SamplerChoice,
    schedule: Schedule,
    latent: Latent,
    convention: Convention = "diffusers",
) -> SamplingResult:
    """Generate a latent from separate parts: noise, guider, sampler and schedule.

    Use it for guiders, samplers or schedules that KSampler does not offer. RandomNoise, CFGGuider,
    SelectSampler and BasicSchedule with the settings of KSampler give a bit-identical result.

    Args:
        model: The diffusion model that removes the noise. Only a guider of a ComfyUI pack brings
            its own.
        noise: The initial noise.
        guider: The prompts and the guidance method.
        sampler: The sampling method and its options.
        schedule: The noise levels to sample. Part of a schedule leaves its noise in the latent, or
            continues from leftover noise if no noise is added.
        latent: An empty latent to generate from noise alone, or the latent of an image to start
            from.
        convention: As for KSampler.
    """
    parts = SamplingParts(noise, guider, sampler, schedule, convention)
    return sample_with_parts(ctx, model, latent, parts)


@node(
    category="sampling",
    label="Predict image",
    lane="gpu",
    numerics=True,
    facts={"latent": _FACTS},
    estimate=sampling_parts_estimate,
    tags=("Marigold", "depth", "normals", "albedo", "one step", "img_to_img_velocity"),
)
def PredictImage(
    ctx: Context,
    model: DiffusionModel,
    conditioning: Conditioning,
    *,
    latent: Latent,
    schedule: Schedule,
) -> Latent:
    """Turn the latent of an image into that of another image with a single evaluation of a model.

    For models that were trained to estimate depth, surface normals or albedo in one step, without
    noise, such as Marigold 2.

    Args:
        model: A flow model that was trained for it, mostly with a LoRA.
        conditioning: The prompt that it was trained with, mostly of LoadConditioning.
        latent: The latent of the image, from VAEEncode.
        schedule: A ListedSchedule with the noise level to evaluate the model at, and 0.
    """
    from nodegraph.sampling.model_inspection import predict_image

    with ctx.weights(model, calls_only=True) as denoiser:
        return predict_image(denoiser, latent, conditioning, schedule)


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
    """Return the predicted clean latent after each step of a sampling.

    The inputs are those of KSampler, and the same steps are run. Use it for previews or animations
    of the process.

    Args:
        model: The diffusion model that removes the noise.
        positive: The prompt: what the image should show.
        negative: The negative prompt: what the image should not show. If not linked, the empty
            prompt is used.
        latent: An empty latent to generate from noise alone, or the latent of an image to start
            from.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        steps: Number of steps of the whole schedule.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        sampler: The sampling method.
        schedule: The noise schedule. simple, sgm_uniform and beta follow ComfyUI, the others follow
            diffusers. normal uses the scheduler file of the model.
        denoise: Below 1, part of the latent is kept: int(steps × denoise) steps are run.
        denoise_steps: How steps are counted when denoise is below 1. share: that share of the steps
            is run. all: all steps are run, as the last ones of a schedule of int(steps / denoise)
            steps, as in ComfyUI.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for
            the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one
            seed: the same, with noise during sampling from seed itself, as in older versions of
            ComfyUI.
        convention: Which tool's rules apply to noise levels, timesteps, the initial latent, noise
            masks and step ranges. docs/comfyui.md lists what ComfyUI does differently.
    """
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
    return _denoised_latents(ctx, model, latent, parts)


def _denoised_latents(
    ctx: Context, model: DiffusionModel, latent: Latent, parts: SamplingParts
) -> list[Latent]:
    """Sample a latent; returns the predicted clean latent after each step."""
    from nodegraph.sampling.denoise import apply_patches
    from nodegraph.sampling.previews import Previews

    model, latent, parts, begin = apply_patches(model, latent, parts)
    noise_levels = plan_noise_levels(ctx, model, latent, parts)
    previews = Previews(ctx, model)
    with live_model(ctx, model, parts, latent, noise_levels) as denoiser:
        denoising = begin(denoiser, latent, parts)
        denoised_latents = []
        for info in denoising.steps(partial(ctx.check_cancelled, waits=False)):
            denoised_latents.append(denoising.denoised(info))
            ctx.progress(info.step, info.total, preview=previews.of(info.denoised))
        log_speed(ctx, model, denoising)
        return denoised_latents
