"""Sampling: noise to latents."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Choices, Conditioning, Context, DiffusionModel, Latent, Range, Seed, node
from nodegraph.diffusion.names import SAMPLER_NAMES, SCHEDULE_NAMES
from nodegraph.diffusion.steps import MAX_STEPS

from ._sampling_facts import LATENT_FACTS, check_sampling

_FACTS = {**LATENT_FACTS, "channels": "model.channels", "family": "model.family"}


@node(
    category="sampling",
    label="KSampler",
    lane="gpu",
    numerics=True,
    facts={"latent": _FACTS},
    validate=check_sampling,
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
        schedule: The noise levels it walks down.
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked.
    """
    from nodegraph.diffusion.denoise import sample

    with ctx.weights(model) as denoiser:
        return sample(
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
            callback=lambda info: ctx.progress(info.step, info.total),
        )


@node(
    category="sampling",
    lane="gpu",
    numerics=True,
    facts={"latents": _FACTS},
    validate=check_sampling,
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
        schedule: The noise levels it walks down.
        denoise: Below 1 a part of the latent is kept: int(steps × denoise) steps are walked.
    """
    from nodegraph.diffusion.denoise import Denoising

    with ctx.weights(model) as denoiser:
        denoising = Denoising(
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
            ctx.progress(info.step, info.total)
        return found
