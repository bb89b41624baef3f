"""Sampling: noise to latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
from nodegraph.diffusion.names import SAMPLER_NAMES, SCHEDULE_NAMES
from nodegraph.diffusion.speed.options import speed_text
from nodegraph.diffusion.steps import MAX_STEPS, last_step, steps_walked
from nodegraph.images.room import check_sampling_room

from ._memory import sampling
from ._sampling_facts import LATENT_FACTS, check_sampling

if TYPE_CHECKING:
    from nodegraph.diffusion.denoise import Denoising

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
    validate=check_sampling,
    estimate=sampling,
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
    sampler: Annotated[str, Choices(SAMPLER_NAMES)] = "dpmpp_2m",
    schedule: Annotated[str, Choices(SCHEDULE_NAMES)] = "karras",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    end_step: Annotated[int | None, Range(1, MAX_STEPS), Advanced()] = None,
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
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked.
        end_step: Stop after this one of the steps that are walked; the latent keeps the noise that
            is left. Asked for more steps later, the same sampling goes on from there.
    """
    from nodegraph.diffusion.denoise import Denoising
    from nodegraph.diffusion.previews import Previews

    _check_size(ctx, latent, cfg)
    _check_cover(model, positive, negative, latent, steps_walked(steps, denoise))
    previews = Previews(ctx, model)
    end = last_step(steps, denoise, end_step)
    with ctx.weights(model, calls_only=True) as denoiser:
        denoising = Denoising.named(
            denoiser,
            positive,
            negative,
            latent,
            seed=seed,
            steps=steps,
            cfg=cfg,
            sampler=sampler,
            schedule=schedule,
            denoise=denoise,
        )
        _restore(denoising, ctx, up_to=end)
        while denoising.step < end:
            info = denoising.advance()
            stops_early = info.step == end < info.total
            if denoising.is_savable:
                ctx.checkpoint(info.step, info.total, denoising.state, keep=stops_early)
            ctx.progress(info.step, end, preview=previews.of(info.denoised))
        _tell_speed(ctx, model, denoising)
        return denoising.result()


def _tell_speed(ctx: Context, model: DiffusionModel, denoising: Denoising) -> None:
    """Say how it was sped up, and what that spared."""
    speed = speed_text(model)
    if speed:
        ctx.log(": ".join(filter(None, (f"sampled with {speed}", denoising.reuse))))


def _check_size(ctx: Context, latent: Latent, cfg: float) -> None:
    """Refuse sizes that weren't known before, and there isn't memory for, before weights load."""
    size, pictures = (latent.width, latent.height), latent.batch_size
    check_sampling_room(size, pictures, ctx.device, is_guided=cfg > 1, port="latent")


def _check_cover(
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None,
    latent: Latent,
    steps: int,
) -> None:
    """Refuse prompts that leave a part of the picture or of the steps out, before weights load."""
    from nodegraph.diffusion.families import family_named
    from nodegraph.diffusion.guidance import check_cover

    check_cover(family_named(model.family), positive, negative, latent, steps)


def _restore(denoising: Denoising, ctx: Context, *, up_to: int) -> None:
    """Go on from where an earlier attempt at the same sampling got to, if there was one."""
    found = ctx.restored(up_to=up_to)
    if found is None:
        return
    try:
        denoising.restore(found.state)
    except ValueError as error:
        ctx.log(f"{error}: it starts at step 1, not at {found.step + 1}", "warning")


@node(
    version=2,
    category="sampling",
    lane="gpu",
    numerics=True,
    facts={"latents": _FACTS},
    validate=check_sampling,
    estimate=sampling,
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
    sampler: Annotated[str, Choices(SAMPLER_NAMES)] = "dpmpp_2m",
    schedule: Annotated[str, Choices(SCHEDULE_NAMES)] = "karras",
    denoise: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
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
    """
    from nodegraph.diffusion.denoise import Denoising
    from nodegraph.diffusion.previews import Previews

    _check_size(ctx, latent, cfg)
    _check_cover(model, positive, negative, latent, steps_walked(steps, denoise))
    previews = Previews(ctx, model)
    with ctx.weights(model, calls_only=True) as denoiser:
        denoising = Denoising.named(
            denoiser,
            positive,
            negative,
            latent,
            seed=seed,
            steps=steps,
            cfg=cfg,
            sampler=sampler,
            schedule=schedule,
            denoise=denoise,
        )
        found = []
        for info in denoising:
            found.append(denoising.denoised(info))
            ctx.progress(info.step, info.total, preview=previews.of(info.denoised))
        _tell_speed(ctx, model, denoising)
        return found
