"""A classifier of noisy latents: the network, reading it, and classifying latents.

After Dhariwal & Nichol 2021, arXiv:2105.05233, section 4. The scripts in ``training/`` train one
for the embedded model; `nodegraph.models.helper_files` describes its file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Component
from nodegraph.families.helper_recipes import LatentClassifier
from nodegraph.models.helper_files import read_classifier
from nodegraph.weights.weight_files import check_weights_fit, read_tensors


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
            "the latent is empty: there is nothing to classify",
            port="latent",
            hint="Sample it, or encode an image.",
        )
    if latent.leftover is not None:
        raise InvalidValue(
            "there is still noise in the latent", port="latent", hint="Sample it to the end."
        )
    if samples.ndim != 4 or samples.shape[1] != judge.network.latent_channels:
        raise InvalidValue(
            "the classifier belongs to another latent format",
            port="latent",
            given=f"shape {tuple(samples.shape)}",
            expected=f"{judge.network.latent_channels} channels",
        )
    return samples


_GROUPS = 8
_TIME, _WAVES = 128, 64
"""Features of a timestep, and the waves they are made of."""


class _Block(nn.Module):
    """Two convolutions, the second of states scaled and shifted by the time; (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.GroupNorm(_GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.time = nn.Linear(_TIME, 2 * channels)
        self.second = nn.GroupNorm(_GROUPS, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, states: Tensor, time: Tensor) -> Tensor:
        changed = self.conv1(functional.silu(self.first(states)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        changed = self.second(changed) * (1.0 + scale) + shift
        result: Tensor = states + self.conv2(functional.silu(changed))
        return result


class GuidanceClassifier(nn.Module):
    """Names what noisy latents show; for any height and width.

    Args:
        labels: Names of the objects, in the order of the logits.
        backgrounds: Names of the background colors, likewise.
        latent_channels: Of its input.
        channels: Of its two levels.
    """

    def __init__(
        self,
        labels: Sequence[str],
        backgrounds: Sequence[str],
        latent_channels: int,
        channels: tuple[int, int],
    ) -> None:
        super().__init__()
        self.labels, self.backgrounds = list(labels), list(backgrounds)
        self.latent_channels, self.channels = latent_channels, channels
        wide, deep = channels
        self.time = nn.Sequential(nn.Linear(_WAVES, _TIME), nn.SiLU(), nn.Linear(_TIME, _TIME))
        self.enter = nn.Conv2d(latent_channels, wide, 3, 1, 1)
        self.large = _Block(wide)
        self.halve = nn.Conv2d(wide, deep, 3, 2, 1)
        self.small = nn.ModuleList([_Block(deep), _Block(deep)])
        self.norm = nn.GroupNorm(_GROUPS, deep)
        self.look = nn.Conv2d(deep, 1, 1)
        self.name = nn.Linear(2 * deep, len(self.labels))
        self.colour = nn.Linear(2 * deep, len(self.backgrounds))

    def forward(self, latents: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of objects, (n, labels), and of backgrounds, (n, backgrounds).

        Args:
            latents: Noisy and scaled, (n, latent_channels, h, w).
            timesteps: 0 to 999, (n,).
        """
        features = self.features(latents, timesteps)
        return self.name(features), self.colour(features)

    def features(self, latents: Tensor, timesteps: Tensor) -> Tensor:
        """What the logits are computed from, (n, features); arguments are those of `forward`."""
        time = functional.silu(self.time(_timestep_embedding(timesteps).to(latents.dtype)))
        states = self.large(self.enter(latents), time)
        states = self.halve(states)
        for block in self.small:
            states = block(states, time)
        states = functional.silu(self.norm(states))
        # A small object covers few cells: let the network choose where to look.
        weights = self.look(states).flatten(2).softmax(dim=2)
        cells = states.flatten(2)
        return torch.cat([(cells * weights).sum(2), cells.mean(2)], dim=1)


def _timestep_embedding(timesteps: Tensor) -> Tensor:
    """Sines and cosines of timesteps, (n, _WAVES), float32 (arXiv:1706.03762, section 3.5)."""
    half = _WAVES // 2
    places = torch.arange(half, device=timesteps.device, dtype=torch.float32)
    angles = timesteps.float()[:, None] * torch.exp(-math.log(10_000.0) * places / half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@dataclass(frozen=True, slots=True)
class LatentClassifierComponent(Component):
    """A classifier of noisy latents."""

    @property
    def network(self) -> GuidanceClassifier:
        """The only one of its modules."""
        return cast("GuidanceClassifier", self.module)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.enter.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.network.enter.weight.dtype


def load_classifier(recipe: LatentClassifier) -> LatentClassifierComponent:
    """The classifier of a recipe, on the CPU.

    Raises:
        InvalidFile: The file is damaged, or holds something else.
    """
    path = Path(recipe.files[0].path)
    about = read_classifier(path)
    network = GuidanceClassifier(about.labels, about.backgrounds, about.channels, about.widths)
    tensors = read_tensors([path], recipe.dtype)
    check_weights_fit(path, network, tensors, strict=True)
    network.load_state_dict(tensors)
    return LatentClassifierComponent({"classifier": network}, recipe.family)


def log_prob_gradient(
    network: GuidanceClassifier,
    noisy: Tensor,
    timestep: float,
    label: int | None,
    background: int | None,
) -> Tensor:
    """Gradient, by the noisy latents, of the log of the chance that they show what is wished.

    Args:
        noisy: As the denoiser takes them, (n, channels, height, width).
        timestep: 0 to 999.
        label, background: Places of the names; None is anything.
    Returns:
        float32, shaped as `noisy`.
    """
    with torch.inference_mode(False), torch.enable_grad():
        latents = noisy.detach().float().clone().requires_grad_()
        times = torch.full((len(noisy),), timestep, device=noisy.device)
        chance = latents.new_zeros(())
        for logits, class_index in zip(network(latents, times), (label, background), strict=True):
            if class_index is not None:
                chance = chance + functional.log_softmax(logits, 1)[:, class_index].sum()
        (gradient,) = torch.autograd.grad(chance, latents)
    return gradient
