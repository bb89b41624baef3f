"""Asking a classifier of noisy latents about latents without noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.models.noisy_classifier import LatentClassifierComponent


class LatentAnswers(NamedTuple):
    """What a classifier says of each latent, in their order.

    Attributes:
        shares: How likely it takes each label to be, 0 to 1.
    """

    labels: list[str]
    backgrounds: list[str]
    shares: list[float]


@torch.no_grad()
def classify_latents(judge: LatentClassifierComponent, latents: Sequence[Latent]) -> LatentAnswers:
    """What latents show.

    Raises:
        InvalidValue: A latent is empty, still noisy, or of another model.
    """
    answers = LatentAnswers([], [], [])
    network = judge.network
    for samples in (_samples(judge, latent) for latent in latents):
        times = torch.zeros(len(samples), device=judge.device)
        things, colours = network(samples.to(judge.device, judge.dtype), times)
        best = things.softmax(1).max(1)
        answers.labels.extend(network.labels[at] for at in best.indices.tolist())
        answers.backgrounds.extend(network.backgrounds[at] for at in colours.argmax(1).tolist())
        answers.shares.extend(best.values.tolist())
    return answers


def _samples(judge: LatentClassifierComponent, latent: Latent) -> Tensor:
    samples = latent.samples
    if samples is None:
        raise InvalidValue(
            "an empty latent shows nothing", port="latent", hint="Sample it, or encode a picture."
        )
    if latent.leftover is not None:
        raise InvalidValue(
            "there is still noise in the latent", port="latent", hint="Sample it to the end."
        )
    if samples.ndim != 4 or samples.shape[1] != judge.network.latent_channels:
        raise InvalidValue(
            "the classifier is of another model's latents",
            port="latent",
            given=f"shape {tuple(samples.shape)}",
            expected=f"{judge.network.latent_channels} channels",
        )
    return samples
