"""Asking a model a single time about a noisy latent, and taking apart what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import model_noise
from nodegraph.families.model_step import Moment
from nodegraph.families.registry import get_family
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.guiders.outputs import clean_arithmetic
from nodegraph.sampling.sampling_checks import latent_shape
from nodegraph.sampling.sampling_parts import GuiderChoice


class PredictionLatents(NamedTuple):
    """What a model says about a noisy latent, as latents of their own.

    Attributes:
        clean: What it takes the latent to be without noise, guided.
        noise: What it takes for noise in it, guided.
        positive, negative: As `clean`, by one prompt alone.
        difference: Positive less negative: what guidance pulls along.
    """

    clean: Latent
    noise: Latent
    positive: Latent
    negative: Latent
    difference: Latent


class SinglePrediction:
    """A model and a noisy latent, as the model takes both.

    Args:
        latent: With the noise that is left in it, such as of AddNoise.
    Attributes:
        x: The latent, alpha · clean + deviation · noise, on the model's device.
        moment: The timestep of its noise level.
        scales: alpha and deviation.
    Raises:
        InvalidValue: There is no noise in the latent, or it doesn't fit the model.
    """

    def __init__(self, model: Denoiser, latent: Latent) -> None:
        left = latent.leftover
        if latent.samples is None or left is None or left.sigma <= 0:
            raise InvalidValue(
                "there is no noise in the latent to ask about",
                port="latent",
                hint="Put AddNoise before it, or stop a sampling early.",
            )
        self.model, self.latent = model, latent
        self.family = get_family(model.family)
        self.shape = latent_shape(model, self.family, latent)
        schedule = model_noise(model.scheduler_config, self.family)
        alpha, deviation = (float(item) for item in schedule.scales(sigma=left.sigma))
        self.scales = alpha, deviation
        scale = alpha if left.form == "exploding" else 1.0
        self.x = (latent.samples * scale).to(model.device, model.dtype)
        at = float(schedule.sigma_to_timestep(left.sigma))  # type: ignore[arg-type]
        self.moment = Moment(
            timestep=torch.tensor(at, device=model.device),
            following=torch.tensor(0.0, device=model.device),
            training_timesteps=schedule.timesteps,
            progress=min(max(1 - at / schedule.timesteps, 0.0), 1 - 1e-6),
            timestep_value=at,
        )

    @torch.inference_mode()
    def evaluate_sides(
        self, positive: Conditioning, negative: Conditioning | None, *, alone: bool = False
    ) -> Mapping[str, Tensor]:
        """The network's output for each side, by its name.

        Args:
            alone: Whether the negative side is left out.
        """
        choice = GuiderChoice(positive, negative, cfg=1.0 if alone else 2.0)
        guidance = Guidance(
            self.model,
            choice,
            width=self.latent.width,
            height=self.latent.height,
            shape=self.shape,
        )
        return dict(guidance.evaluate_sides(self.x, self.moment))

    def as_latent(self, samples: Tensor) -> Latent:
        """Samples as a value without noise; a copy out of inference mode."""
        kept = samples.to("cpu", torch.float32).clone()
        return replace(self.latent, samples=kept, leftover=None, noise_mask=None, gradual=0.0)


def predict_once(
    model: Denoiser,
    latent: Latent,
    positive: Conditioning,
    negative: Conditioning | None,
    cfg: float,
) -> PredictionLatents:
    """What a model says about a noisy latent, and of what its guided answer is made.

    Args:
        cfg: Guidance scale; 1 is the positive prompt alone.
    Raises:
        InvalidValue: See `SinglePrediction`; or prompts don't fit the model.
    """
    question = SinglePrediction(model, latent)
    answers = question.evaluate_sides(positive, negative)
    arithmetic = clean_arithmetic(model.scheduler_config, question.family)
    towards = answers["positive"]
    away = answers.get("negative", towards)
    guided = question.family.guided(towards, away, cfg) if cfg != 1 else towards
    x, moment = question.x.float(), question.moment
    clean, positive_denoised, negative_denoised = (
        arithmetic.to_clean(x, output.float(), moment) for output in (guided, towards, away)
    )
    alpha, deviation = question.scales
    noise = (x - alpha * clean) / deviation
    return PredictionLatents(
        *map(
            question.as_latent,
            (
                clean,
                noise,
                positive_denoised,
                negative_denoised,
                positive_denoised - negative_denoised,
            ),
        )
    )
