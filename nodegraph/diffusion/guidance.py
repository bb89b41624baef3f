"""Asking the model: every prompt of a step in one batch, and what their answers add up to."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.masks import mask_to_cells
from nodegraph.diffusion.text import match_length
from nodegraph.errors import InvalidValue

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A latent (n, channels, height, width), a timestep (0-dimensional) and embeddings
(n, tokens, width) give the model's output, shaped as the latent."""


LENGTHENED = 2
"""Times the longest prompt of a step: up to here all are brought to one length for one batch."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conditioning entry where the model needs it.

    Attributes:
        embeddings: (1, tokens, width) in the model's dtype, on its device.
        weight: Share among the prompts of a step; 0-dimensional, or (1, 1, height, width) in
            latent cells where it applies to part of the picture only.
        start, end: Part of the sampling it applies to, 0 to 1.
    """

    embeddings: Tensor
    weight: Tensor
    start: float = 0.0
    end: float = 1.0

    def applies(self, progress: float) -> bool:
        """Whether it takes part at a point of the sampling, 0 to below 1."""
        return self.start <= progress < self.end


@dataclass(slots=True)
class Side:
    """The prompts that are led to, or those led away from.

    Attributes:
        port: ``positive`` or ``negative``, for messages.
        prompts: In the order of the conditioning.
        empty: The empty prompt, if the conditioning brings it.
    """

    port: str
    prompts: Sequence[Prompt]
    empty: Tensor | None
    _covers: dict[tuple[bool, ...], list[Prompt]] = field(default_factory=dict)

    def at(self, progress: float) -> list[Prompt]:
        """The prompts that apply, and the empty one for cells where none does.

        Raises:
            InvalidValue: The empty prompt is needed and there is none.
        """
        applying = tuple(prompt.applies(progress) for prompt in self.prompts)
        if applying not in self._covers:
            self._covers[applying] = self._cover(list(compress(self.prompts, applying)))
        return self._covers[applying]

    def _cover(self, prompts: list[Prompt]) -> list[Prompt]:
        if not prompts:
            return [self._empty_prompt(torch.tensor(1.0))]
        bare = _total([prompt.weight for prompt in prompts]) <= 0
        return [*prompts, self._empty_prompt(bare.float())] if bare.any() else prompts

    def _empty_prompt(self, weight: Tensor) -> Prompt:
        if self.empty is None:
            raise InvalidValue(
                "the empty prompt is needed and the conditioning doesn't bring it",
                port=self.port,
                expected=f"a {self.port} prompt for the whole picture and the whole sampling",
                hint="Link an EncodePrompt, with empty text if nothing is to be said.",
            )
        return Prompt(self.empty, weight)


class Guidance:
    """Classifier-free guidance: away from the negative prompt, towards the positive one.

    All prompts of a step are evaluated in one batch, the negative ones first: the very call that
    StableDiffusionPipeline makes, so that results are equal to the bit. Prompts whose lengths have
    a large common multiple are evaluated length by length instead, as they would all be repeated up
    to it. With cfg up to 1, or a
    model that takes the scale as an input, the negative side is left out.

    Where several positive (or negative) entries apply, their outputs are averaged by strength and
    mask. Where none does, the empty prompt stands in.

    Source: Ho & Salimans 2022, arXiv:2207.12598, equation 6, with cfg = w + 1.

    Args:
        negative: None stands for the empty prompt.
        cfg: Guidance scale: 1 is the positive prompt alone.
        shape: Of the latent: (batch, channels, height / 8, width / 8).
    Raises:
        InvalidValue: cfg is out of range, or embeddings don't fit the model.
    """

    def __init__(
        self,
        model: Denoiser,
        positive: Conditioning,
        negative: Conditioning | None,
        cfg: float,
        shape: Sequence[int],
    ) -> None:
        if not (math.isfinite(cfg) and cfg >= 0):
            raise InvalidValue(
                "cfg is out of range", port="cfg", given=str(cfg), expected="a number from 0 up"
            )
        self.cfg = cfg
        self._predict = _predictor(model, cfg)
        self._batch = shape[0]
        empty = _empty_prompt(model, positive, negative)
        cells = (shape[-2], shape[-1])
        self._positive = Side("positive", _prompts(model, "positive", positive, cells), empty)
        self._negative: Side | None = None
        if cfg > 1 and model.unet.config.get("time_cond_proj_dim") is None:
            against = [] if negative is None else _prompts(model, "negative", negative, cells)
            self._negative = Side("negative", against, empty)

    def __call__(self, x: Tensor, timestep: Tensor, progress: float) -> Tensor:
        """The model's output for x, guided.

        Args:
            x: The latent as the model takes it.
            timestep: 0-dimensional.
            progress: Part of the sampling that is done, 0 to below 1.
        """
        positive = self._positive.at(progress)
        if self._negative is None:
            return _mean(self._outputs(x, timestep, positive), positive)
        negative = self._negative.at(progress)
        outputs = self._outputs(x, timestep, [*negative, *positive])
        away = _mean(outputs[: len(negative)], negative)
        towards = _mean(outputs[len(negative) :], positive)
        return away + self.cfg * (towards - away)

    def check(self, moments: Iterable[float]) -> None:
        """Find out before sampling whether there is a prompt for each of these moments.

        Raises:
            InvalidValue: The empty prompt is needed and there is none.
        """
        sides = [self._positive] if self._negative is None else [self._positive, self._negative]
        for progress in moments:
            for side in sides:
                side.at(progress)

    def _outputs(self, x: Tensor, timestep: Tensor, prompts: Sequence[Prompt]) -> list[Tensor]:
        found: dict[int, Tensor] = {}
        for group in _groups([prompt.embeddings.shape[1] for prompt in prompts]):
            embeddings = _of_one_length([prompts[place].embeddings for place in group])
            repeated = torch.cat([item.expand(self._batch, -1, -1) for item in embeddings])
            output = self._predict(torch.cat([x] * len(group)), timestep, repeated)
            found |= zip(group, output.chunk(len(group)), strict=True)
        return [found[place] for place in range(len(prompts))]


def _groups(lengths: Sequence[int]) -> list[list[int]]:
    """Places of the prompts that are evaluated in one batch, by their numbers of tokens.

    All in one, unless bringing them to one length would make the longest far longer: of 7 and 8
    windows each would become 56.
    """
    places = range(len(lengths))
    if math.lcm(*lengths) <= LENGTHENED * max(lengths):
        return [list(places)]
    return [[at for at in places if lengths[at] == length] for length in dict.fromkeys(lengths)]


def _of_one_length(embeddings: Sequence[Tensor]) -> list[Tensor]:
    longest = embeddings[0]
    for other in embeddings[1:]:
        longest, _ = match_length(longest, other)
    return [match_length(item, longest)[0] for item in embeddings]


def _mean(outputs: Sequence[Tensor], prompts: Sequence[Prompt]) -> Tensor:
    """The outputs' mean by weight."""
    if len(prompts) == 1:
        return outputs[0]  # untouched, so that not a bit changes
    weights = [prompt.weight.to(outputs[0].device, outputs[0].dtype) for prompt in prompts]
    weighted = [output * weight for output, weight in zip(outputs, weights, strict=True)]
    return torch.stack(weighted).sum(0) / _total(weights)


def _total(weights: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.add, weights)


def _prompts(
    model: Denoiser, port: str, conditioning: Conditioning, cells: tuple[int, int]
) -> list[Prompt]:
    if not conditioning.entries:
        raise InvalidValue("the conditioning is empty", port=port, hint="Link an EncodePrompt.")
    return [_prompt(model, port, entry, cells) for entry in conditioning.entries]


def _prompt(model: Denoiser, port: str, entry: ConditioningEntry, cells: tuple[int, int]) -> Prompt:
    weight = torch.tensor(float(entry.strength))
    if entry.mask is not None:
        weight = weight * mask_to_cells(entry.mask.float(), *cells)
    return Prompt(_embeddings(model, port, entry.embeddings), weight, entry.start, entry.end)


def _empty_prompt(
    model: Denoiser, positive: Conditioning, negative: Conditioning | None
) -> Tensor | None:
    for port, conditioning in (("positive", positive), ("negative", negative)):
        if conditioning is not None and conditioning.unconditional is not None:
            return _embeddings(model, port, conditioning.unconditional)
    return None


def _embeddings(model: Denoiser, port: str, embeddings: Tensor) -> Tensor:
    wanted = model.unet.config.get("cross_attention_dim")
    if embeddings.ndim != 3 or embeddings.shape[0] != 1 or embeddings.shape[2] != wanted:
        raise InvalidValue(
            "the prompt's embeddings don't fit the model",
            port=port,
            given=f"shape {tuple(embeddings.shape)}",
            expected=f"shape (1, tokens, {wanted})",
            hint="Encode the prompt with the text encoder of the same LoadModel.",
        )
    return embeddings.to(model.unet.device, model.unet.dtype)


def _predictor(model: Denoiser, cfg: float) -> Predict:
    unet = model.unet
    width = unet.config.get("time_cond_proj_dim")
    scale = None if width is None else _scale_embedding(cfg - 1, width).to(unet.device, unet.dtype)

    def predict(x: Tensor, timestep: Tensor, embeddings: Tensor) -> Tensor:
        output: Tensor = unet(
            x,
            timestep,
            encoder_hidden_states=embeddings,
            timestep_cond=None if scale is None else scale.expand(len(x), -1),
            return_dict=False,
        )[0]
        return output

    return predict


def _scale_embedding(scale: float, width: int) -> Tensor:
    """The guidance scale as sines and cosines, for models that were distilled with it.

    Returns:
        float32, shape (1, width).
    Source: Meng et al. 2023, arXiv:2210.03142; the frequencies are as in diffusers.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * -(math.log(10000.0) / (half - 1)))
    angles = torch.tensor([scale]) * 1000.0 * frequencies
    padding = torch.zeros(width - 2 * half)
    return torch.cat([angles.sin(), angles.cos(), padding]).unsqueeze(0)
