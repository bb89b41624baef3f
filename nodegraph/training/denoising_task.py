"""The denoising task: noisy examples, what should be predicted, and the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import FlowNoise, ModelNoise, model_noise
from nodegraph.families.model_step import Lead, Moment, SamplingRequest
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.registry import get_family
from nodegraph.training.examples import DatasetReader, LatentKey, Prompts, generator_of
from nodegraph.training.loop import Parameters
from nodegraph.training.options import TrainingOptions, TrainingPlan


@dataclass(frozen=True, slots=True)
class NoisyBatch:
    """What a denoiser is asked about some examples.

    Attributes:
        noisy: What it sees; float32, shape (examples, channels, …) in cells.
        timesteps: As it is told them; shape (examples,).
        target: What it should give; shaped as noisy.
        weights: What the loss of each is multiplied by; None for 1.
    """

    noisy: Tensor
    timesteps: Tensor
    target: Tensor
    weights: Tensor | None = None


class Objective(Protocol):
    """Makes questions of clean latents."""

    @property
    def timesteps(self) -> int:
        """Of the model's training."""

    def make_batch(self, latents: Tensor, generator: torch.Generator) -> NoisyBatch:
        """A question about latents, by noise and levels that a generator draws on the CPU.

        Args:
            latents: Clean, scaled as the model was trained on; float32, (examples, channels, …).
        """


def objective_of(noise: ModelNoise, options: TrainingOptions) -> Objective:
    """What a model is taught by, by what it was trained on.

    Raises:
        InvalidValue: The options don't go with that.
    """
    if isinstance(noise, FlowNoise):
        if options.min_snr:
            raise InvalidValue(
                "min_snr works only with models trained with noise variances, and this one "
                "is a flow model",
                port="options",
                given=f"min_snr {options.min_snr:g}",
                expected="0",
                hint="Set levels to logit_normal instead.",
            )
        return _Flow(noise, options)
    return _Variances(noise, options)


def drawn_noise_of(latents: Tensor, generator: torch.Generator, offset: float) -> Tensor:
    """Standard normal noise for latents, a part of it one number for each channel.

    Returns:
        On the latents' device, shaped as they are.
    Source: of the offset: N. Guttenberg 2023, "Diffusion with offset noise", as in diffusers'
        training scripts.
    """
    noise = torch.randn(latents.shape, generator=generator)
    if offset:
        ones = (1,) * (latents.ndim - 2)
        noise += offset * torch.randn((*latents.shape[:2], *ones), generator=generator)
    return noise.to(latents.device)


@dataclass(frozen=True)
class _Variances:
    """Ho et al. 2020, arXiv:2006.11239, equation 14; v: Salimans & Ho 2022, arXiv:2202.00512."""

    noise: NoiseSchedule
    options: TrainingOptions

    @property
    def timesteps(self) -> int:
        return self.noise.timesteps

    def make_batch(self, latents: Tensor, generator: torch.Generator) -> NoisyBatch:
        noise = drawn_noise_of(latents, generator, self.options.noise_offset)
        drawn = self._drawn(len(latents), generator)
        shape = (-1, *(1,) * (latents.ndim - 1))
        table = self.noise.alphas_cumprod.to(latents.device)
        places = drawn.to(latents.device)
        kept = (table[places] ** 0.5).view(shape)
        added = ((1 - table[places]) ** 0.5).view(shape)
        kind = self.noise.prediction_type
        target = noise
        if kind == "v_prediction":
            target = kept * noise - added * latents
        elif kind == "sample":
            target = latents
        return NoisyBatch(kept * latents + added * noise, places, target, self._weights(places))

    def _drawn(self, count: int, generator: torch.Generator) -> Tensor:
        if self.options.levels == "logit_normal":
            return (_logit_normal(count, generator) * self.timesteps).long()
        return torch.randint(0, self.timesteps, (count,), generator=generator)

    def _weights(self, places: Tensor) -> Tensor | None:
        if not self.options.min_snr:
            return None
        from diffusers.training_utils import compute_snr

        ratios: Tensor = compute_snr(
            SimpleNamespace(alphas_cumprod=self.noise.alphas_cumprod), places
        )
        most = torch.full_like(ratios, self.options.min_snr)
        weights: Tensor = torch.minimum(ratios, most)
        kind = self.noise.prediction_type
        if kind == "sample":
            return weights
        return weights / (ratios + 1 if kind == "v_prediction" else ratios)


@dataclass(frozen=True)
class _Flow:
    """Lipman et al. 2022, arXiv:2210.02747, equation 23; levels: Esser et al. 2024,
    arXiv:2403.03206, section 3.1."""

    noise: FlowNoise
    options: TrainingOptions

    @property
    def timesteps(self) -> int:
        return self.noise.timesteps

    def make_batch(self, latents: Tensor, generator: torch.Generator) -> NoisyBatch:
        noise = drawn_noise_of(latents, generator, self.options.noise_offset)
        if self.options.levels == "uniform":
            drawn = torch.rand((len(latents),), generator=generator)
        else:
            drawn = _logit_normal(len(latents), generator)
        table = flow_levels(self.noise)
        levels = table[(drawn * self.timesteps).long()].to(latents.device)
        sigma = levels.view(-1, *(1,) * (latents.ndim - 1))
        noisy = (1.0 - sigma) * latents + sigma * noise
        return NoisyBatch(noisy, levels * self.timesteps, noise - latents)


def flow_levels(noise: FlowNoise) -> Tensor:
    """The noise level of each training timestep, the highest first, as diffusers' flow-matching
    scheduler has them; float32, shape (timesteps,).

    Shifted where the shift is fixed; where it goes by the size they are as they are spread, as in
    diffusers' training scripts.
    """
    rising = np.linspace(1, noise.timesteps, noise.timesteps, dtype=np.float32)[::-1].copy()
    levels = torch.from_numpy(rising) / noise.timesteps
    if noise.mu is not None:
        return levels
    return noise.shift * levels / (1 + (noise.shift - 1) * levels)


def _logit_normal(count: int, generator: torch.Generator) -> Tensor:
    """Numbers above 0 and below 1, most of them in the middle."""
    drawn = torch.sigmoid(torch.normal(0.0, 1.0, (count,), generator=generator))
    # In float32 the sigmoid of what is far out is 1 itself.
    return drawn.clamp(max=1 - 1e-7)


def mean_loss(prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Mean squared error, of weighed examples in the order that diffusers' scripts compute it in.

    Returns:
        float32, 0-dimensional.
    """
    if weights is None:
        return functional.mse_loss(prediction.float(), target.float(), reduction="mean")
    each = functional.mse_loss(prediction.float(), target.float(), reduction="none")
    return (each.mean(dim=list(range(1, each.ndim))) * weights).mean()


_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class EncodedDataset:
    """A dataset as it is learned from.

    Attributes:
        latents: Of all that is read in the training.
        masks: The part of a latent that counts, by the same; shape (1, …) in cells.
        loss_weight: What its loss is multiplied by.
    """

    reading: DatasetReader
    latents: Mapping[LatentKey, Tensor]
    loss_weight: float = 1.0
    masks: Mapping[LatentKey, Tensor] = field(default_factory=dict)


ExtraInputs = Callable[[Tensor, Moment, Mapping[str, Any], list[LatentKey]], Mapping[str, Any]]
"""What a network beside the denoiser adds to a batch: of what it sees, when, with which prompts,
and which examples these are."""


Measure = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]
"""The loss of answers, of what they should be, and of what the loss of each is multiplied by."""


@dataclass(frozen=True)
class TrainingItem:
    """An example of a batch.

    Attributes:
        prompt: Its tensors, for one.
        part: 0 of what is taught, 1 of what is kept.
    """

    latent: Tensor
    prompt: Mapping[str, Tensor]
    weight: float
    mask: Tensor | None
    part: int
    key: LatentKey


class DenoisingTask:
    """A denoiser that learns to take noise from examples.

    The examples of a batch, kept ones behind, are asked for in one batch if they are of one size
    and their prompts of one length. The loss is the mean over those that are taught, plus that over
    those that are kept times their share: as in diffusers' DreamBooth.

    Args:
        model: Its modules are this lesson's own.
        parameters: What learns.
        datasets: The one to learn from, and behind it the one that is kept, if there is one.
        prompts: The captions of both; or what makes them, where encoders learn.
        extra_inputs: A network beside the denoiser, that learns or is learned with.
    Raises:
        InvalidValue: The plan's options don't go with the model.
    """

    def __init__(
        self,
        model: Denoiser,
        parameters: Parameters,
        datasets: Sequence[EncodedDataset],
        prompts: Prompts | Callable[[str], Any],
        plan: TrainingPlan,
        *,
        extra_inputs: ExtraInputs | None = None,
    ) -> None:
        self._model, self.parameters, self._datasets, self._plan = model, parameters, datasets, plan
        self._family = get_family(model.family)
        self._entry = prompts if callable(prompts) else prompts.__getitem__
        noise = model_noise(model.scheduler_config, self._family)
        self._objective = objective_of(noise, plan.options)
        self._extra_inputs = extra_inputs

    @property
    def device(self) -> torch.device:
        return self._model.device

    @property
    def _measure(self) -> Measure:
        """How far answers are from what they should be."""
        return mean_loss

    def after_step(self) -> None:
        """Nothing is kept from step to step."""

    def loss(self, number: int) -> Tensor:
        items = self._items(number)
        counts = [sum(item.part == part for item in items) for part in range(len(self._datasets))]
        generator = generator_of(self._plan.seed, "noise", number)
        total: Tensor | None = None
        for group in _alike(items):
            answer, question = self._predict(group, generator)
            for part, dataset in enumerate(self._datasets):
                places = [at for at, item in enumerate(group) if item.part == part]
                if places:
                    share = dataset.loss_weight * len(places) / counts[part]
                    part_loss = _part_loss(answer, question, group, places, self._measure)
                    # By 1 nothing is multiplied, so that it is the very loss of a plain loop.
                    part_loss = part_loss if share == 1 else share * part_loss
                    total = part_loss if total is None else total + part_loss
        assert total is not None
        return total

    def _items(self, number: int) -> list[TrainingItem]:
        return [
            self._item(dataset, key, part)
            for part, dataset in enumerate(self._datasets)
            for key in dataset.reading.batch(number)
        ]

    def _item(self, dataset: EncodedDataset, key: LatentKey, part: int) -> TrainingItem:
        latent = dataset.latents[key]
        example = dataset.reading.dataset.examples[key.example]
        prompt = self._fitted(self._entry(dataset.reading.caption(key)), latent)
        return TrainingItem(latent, prompt, example.weight, dataset.masks.get(key), part, key)

    def _fitted(
        self, entry: ConditioningEntry, latent: Tensor, side: Lead = "positive"
    ) -> Mapping[str, Tensor]:
        """A prompt's tensors for a latent, where the model computes."""
        spatial, model = self._family.latent.spatial, self._model
        height, width = (side * spatial for side in latent.shape[-2:])
        scale = self._plan.options.embedded_guidance
        request = SamplingRequest(side, width, height, (1, *latent.shape), scale)
        tensors = self._family.fit(model, entry, request)
        return {
            name: item.to(model.device, model.dtype if item.is_floating_point() else item.dtype)
            for name, item in tensors.items()
        }

    def _predict(
        self, group: Sequence[TrainingItem], generator: torch.Generator
    ) -> tuple[Tensor, NoisyBatch]:
        latents = torch.stack([item.latent for item in group]).to(self.device)
        question = self._objective.make_batch(latents, generator)
        batch = dict(self._family.join([item.prompt for item in group], 1))
        moment = self._moment(question.timesteps)
        noisy = self._model_input(question.noisy)
        with self._computing():
            if self._extra_inputs is not None:
                batch |= self._extra_inputs(noisy, moment, batch, [item.key for item in group])
            return self._family.predict(self._model, noisy, moment, batch), question

    def _moment(self, timesteps: Tensor) -> Moment:
        total = self._objective.timesteps
        return Moment(timesteps, timesteps, total, progress=0.0, timestep_value=float(timesteps[0]))

    def _model_input(self, noisy: Tensor) -> Tensor:
        """What is noisy, in the precision that the model takes it in."""
        wide = self._family.wide or self._model.dtype == torch.float32
        return noisy if wide else noisy.to(self._model.dtype)

    def _computing(self) -> AbstractContextManager[Any]:
        """Mixed precision, where it was asked for or weights are kept in half of it."""
        autocast_dtype = _HALF.get(self._plan.options.precision)
        if autocast_dtype is None and self._plan.options.precision == "auto":
            autocast_dtype = self._model.dtype if self._model.dtype in _HALF.values() else None
        if autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, autocast_dtype)


def _alike(items: Sequence[TrainingItem]) -> list[list[TrainingItem]]:
    """Items that are asked for in one batch: of one size, with prompts of one shape."""
    groups: dict[Any, list[TrainingItem]] = {}
    for item in items:
        shapes = tuple((name, tuple(each.shape)) for name, each in item.prompt.items())
        groups.setdefault((item.latent.shape, shapes), []).append(item)
    return list(groups.values())


def _part_loss(
    answer: Tensor,
    question: NoisyBatch,
    group: Sequence[TrainingItem],
    places: Sequence[int],
    measure: Measure,
) -> Tensor:
    """The loss of some of a group's items."""
    target, weights = question.target, question.weights
    if len(places) < len(group):
        answer, target = answer[places[0] : places[-1] + 1], target[places[0] : places[-1] + 1]
        weights = None if weights is None else weights[places[0] : places[-1] + 1]
    several = [group[index] for index in places]
    own = [item.weight for item in several]
    if any(weight != 1 for weight in own):
        item_weights = torch.tensor(own, device=answer.device)
        weights = item_weights if weights is None else weights * item_weights
    if any(item.mask is not None for item in several):
        answer, target = _masked(answer, target, several)
    return measure(answer, target, weights)


def _masked(answer: Tensor, target: Tensor, items: Sequence[TrainingItem]) -> tuple[Tensor, Tensor]:
    """Both as far as they count, to the mean over what counts."""
    shape = (1, *answer.shape[2:])
    masks = torch.stack([torch.ones(shape) if item.mask is None else item.mask for item in items])
    masks = masks.to(answer.device)
    # The error is squared, and its mean is taken over all cells.
    factor = (
        masks / masks.mean(dim=tuple(range(1, masks.ndim)), keepdim=True).clamp(min=1e-3)
    ).sqrt()
    return answer.float() * factor, target.float() * factor


def cell_mask(mask: Tensor, latent: Tensor) -> Tensor:
    """A mask in pixels, in a latent's cells; shape (1, …)."""
    cells = functional.interpolate(mask[None, None], size=latent.shape[-2:], mode="area")[0]
    return cells.unsqueeze(1).expand(1, *latent.shape[1:]) if latent.ndim == 4 else cells


def own_denoiser(model: Denoiser, modules: Mapping[str, nn.Module]) -> Denoiser:
    """A denoiser with modules of its own."""
    return replace(model, modules=modules, caching=None, compiled=False, is_own=True)
