"""Evaluation of a model in overlapping windows of frames, for videos longer than it was trained on.

See `nodegraph.sampling.guiders.context_windows` for windows and weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.components import Denoiser
from nodegraph.families.image_conditioning import FIRST_FRAME, LAST_LATENT
from nodegraph.families.model_step import Moment
from nodegraph.sampling.guiders.context_windows import (
    WindowedEvaluation,
    check_windowed,
    fusion_shares,
    plan_windows,
)
from nodegraph.sampling.model_calls import ModelEvaluator
from nodegraph.sampling.prompts import Prompt
from nodegraph.sampling.sampling_parts import SamplingNoise

_FRAMES = 2
"""The axis of frames in latents of videos."""


class WindowCallback:
    """The function that a windowed evaluation calls before each window but the first.

    Evaluators of one sampling share it, so that cancelling stops between two windows of any.
    """

    def __init__(self) -> None:
        self.function: Callable[[], object] = bool


class WindowedEvaluator(ModelEvaluator):
    """A model that is evaluated in windows of frames: guiders and samplers see whole latents.

    Predictions of overlapping windows are averaged by their weights, in float32 at least. Tensors
    of prompts that run along the video are cut to the frames of a window.

    Args:
        model, size, shape: As of `ModelEvaluator`. Only latents of videos have windows.
        choice: The windows.
        callback: Called between windows.
    Raises:
        InvalidValue: The model has a step cache.
    """

    def __init__(
        self,
        model: Denoiser,
        size: tuple[int, int],
        shape: Sequence[int],
        choice: WindowedEvaluation,
        callback: WindowCallback,
    ) -> None:
        if model.caching is not None:
            raise InvalidValue(
                "a step cache cannot be used with context windows: it compares one step with the "
                "next",
                port="model",
                hint="Remove the step cache, or ContextWindows.",
            )
        super().__init__(model, size, shape)
        self._choice, self._callback = choice, callback
        self._frames = shape[_FRAMES]

    def for_model(self, model: Denoiser) -> WindowedEvaluator:
        """Return the evaluator of another network of the family, with the same windows."""
        plain = replace(model, caching=None)
        evaluator = WindowedEvaluator(plain, *self._of, self._choice, self._callback)
        evaluator.controls = self.controls
        return evaluator

    def begin(self, first: Prompt) -> None:
        """Begin a step; see `ModelEvaluator.begin`.

        Raises:
            InvalidValue: Looped windows would have the first frames of the latent elsewhere than at
                their beginning; on port ``guider``.
        """
        super().begin(first)
        if FIRST_FRAME in first.tensors and self._choice.schedule == "looped_uniform":
            raise InvalidValue(
                "looped windows cannot be used with a first image that is a part of the latent",
                port="guider",
                given=self._choice.schedule,
                expected="standard_static, standard_uniform or batched",
                hint="Choose another schedule in ContextWindows.",
            )

    def evaluate(self, x: Tensor, moment: Moment, prompts: Sequence[Prompt]) -> list[Tensor]:
        """The network's output for each prompt, averaged over the windows.

        Args:
            x: The latent as the model takes it.
        """
        choice, temporal = self._choice, self.family.latent.temporal
        _, overlap = choice.in_latent_frames(temporal)
        windows = plan_windows(choice, self._frames, moment.schedule_step, temporal)
        shares = fusion_shares(choice, windows, self._frames, overlap)
        sums: list[Tensor] = []
        dtype = x.dtype
        for index, (window, share) in enumerate(zip(windows, shares, strict=True)):
            if index:
                self._callback.function()
            outputs = self._in_window(x, moment, prompts, window)
            dtype, wide = outputs[0].dtype, torch.promote_types(outputs[0].dtype, torch.float32)
            sums = sums or [item.new_zeros(x.shape, dtype=wide) for item in outputs]
            frames = torch.tensor(window, device=x.device)
            weights = torch.tensor(share, device=x.device, dtype=wide).view(1, 1, -1, 1, 1)
            for total, output in zip(sums, outputs, strict=True):
                total.index_add_(_FRAMES, frames, output.to(wide) * weights)
        return [total.to(dtype) for total in sums]

    def _in_window(
        self, x: Tensor, moment: Moment, prompts: Sequence[Prompt], window: Sequence[int]
    ) -> list[Tensor]:
        """Outputs for prompts in the frames of a window."""
        shown = _shown_frames(self._choice.context_frame, window, prompts)
        chosen = _split(prompts, window, self._frames) if self._choice.split_prompts else prompts
        distinct = list({id(prompt): prompt for prompt in chosen}.values())
        cut = [_cut_prompt(prompt, shown, self._frames) for prompt in distinct]
        self.controls.frames = shown.conditioning
        outputs = super().evaluate(_take(x, shown.latent), moment, cut)
        own = [output[:, :, shown.before :] for output in outputs]
        by_prompt = dict(zip(map(id, distinct), own, strict=True))
        return [by_prompt[id(prompt)] for prompt in chosen]


@dataclass(frozen=True, slots=True)
class _ShownFrames:
    """What the model sees in a window.

    Attributes:
        latent: Indices of the frames of the latent.
        conditioning: Indices of the frames of what conditions them.
        before: Frames before those of the window.
    """

    latent: Sequence[int]
    conditioning: Sequence[int]
    before: int


def _shown_frames(
    context_frame: str, window: Sequence[int], prompts: Sequence[Prompt]
) -> _ShownFrames:
    if context_frame == "none" or window[0] == 0:
        return _ShownFrames(window, window, 0)
    previous = [window[0] - 1, *window]
    if context_frame == "previous frame":
        return _ShownFrames(previous, previous, 1)
    first = [0, *window]
    is_in_latent = any(FIRST_FRAME in prompt.tensors for prompt in prompts)
    return _ShownFrames(first if is_in_latent else previous, first, 1)


def _take(tensor: Tensor, frames: Sequence[int]) -> Tensor:
    return tensor.index_select(_FRAMES, torch.tensor(frames, device=tensor.device))


def _cut_prompt(prompt: Prompt, shown: _ShownFrames, frames: int) -> Prompt:
    """A prompt whose tensors that run along the video are cut to the frames of a window.

    Args:
        frames: Latent frames of the video.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in prompt.tensors.items():
        if name == FIRST_FRAME:
            known = [frame for frame in shown.latent if frame < tensor.shape[_FRAMES]]
            if known:
                tensors[name] = _take(tensor, known)
        elif name == LAST_LATENT:
            # It follows the last frame, which other windows do not end with.
            if shown.latent[-1] == frames - 1:
                tensors[name] = tensor
        elif tensor.ndim == 5 and tensor.shape[_FRAMES] == frames:
            tensors[name] = _take(tensor, shown.conditioning)
        else:
            tensors[name] = tensor
    return replace(prompt, tensors=tensors)


def _split(prompts: Sequence[Prompt], window: Sequence[int], frames: int) -> list[Prompt]:
    """The prompt of a window in place of each prompt of its side.

    The prompts of a side divide the video into equal parts. The middle of the window decides.

    Raises:
        InvalidValue: One applies to a part of the picture only; on port ``guider``.
    """
    by_side: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_side.setdefault(prompt.side, []).append(prompt)
    middle = (min(window) + max(window)) / (2 * frames)
    chosen: dict[str, Prompt] = {}
    for side, members in by_side.items():
        limited = [item for item in members if item.weight.ndim or item.window is not None]
        if limited and len(members) > 1:
            raise InvalidValue(
                "prompts of areas or masks cannot be split along the video",
                port="guider",
                given=f"{len(members)} prompts of the {side} side",
                hint="Turn off split_prompts in ContextWindows, or remove the areas and masks.",
            )
        chosen[side] = members[min(int(middle * len(members)), len(members) - 1)]
    return [chosen[prompt.side] for prompt in prompts]


def shuffle_noise(
    noise: Tensor,
    choice: WindowedEvaluation | None,
    family: Family,
    drawn: SamplingNoise,
    latent: Latent,
) -> Tensor:
    """Return noise whose later frames are earlier ones in another order.

    The first window's frames stay. Each further part that a window advances by has the noise of the
    frames one window earlier, shuffled; so overlapping windows agree more.

    Source: Qiu et al. 2023, arXiv:2310.15169 (FreeNoise); the order is drawn as in ComfyUI's
    ``apply_freenoise``.

    Args:
        noise: Shape (batch, channels, frames, height, width).
        drawn: Says from which seeds noise is drawn: each item has its own order, or all have one.
        latent: Says the items' places in their batch.
    Returns:
        The noise itself if `choice` shuffles none or one window holds all frames.
    """
    temporal, frames = family.latent.temporal, noise.shape[_FRAMES]
    if choice is None or not choice.free_noise or not choice.splits(frames, temporal):
        return noise
    length, overlap = choice.in_latent_frames(temporal)
    if drawn.draw != "per item":
        return _take(noise, _free_noise_order(frames, length, overlap, drawn.seed))
    seeds = [(drawn.seed + index) % 2**64 for index in latent.noise_indices]
    orders = [_free_noise_order(frames, length, overlap, seed) for seed in seeds]
    return torch.cat([_take(noise[at : at + 1], order) for at, order in enumerate(orders)])


def _free_noise_order(frames: int, length: int, overlap: int, seed: int) -> list[int]:
    """For each frame, the frame whose noise it has."""
    generator = torch.Generator("cpu").manual_seed(seed)
    order, advance = list(range(frames)), length - overlap
    for start in range(0, frames - length, advance):
        behind = start + length
        count = min(advance, frames - behind)
        for at, source in enumerate(torch.randperm(count, generator=generator).tolist()):
            order[behind + at] = order[start + source]
    return order


def frames_at_once(
    choice: WindowedEvaluation | None, shape: Sequence[int], temporal: int
) -> int | None:
    """Return the most latent frames of a video that the model sees at once; None: all.

    Args:
        shape: Of the latent.
        temporal: Frames per latent frame of the model.
    """
    if choice is None or len(shape) != 5:
        return None
    return choice.frames_at_once(shape[_FRAMES], temporal)


def evaluator_of(
    model: Denoiser,
    size: tuple[int, int],
    shape: Sequence[int],
    choice: WindowedEvaluation | None,
    family: Family,
    callback: WindowCallback,
) -> ModelEvaluator:
    """Return the evaluator of a model: in windows, where `choice` divides the video into several.

    Raises:
        InvalidValue: As of `check_windowed` and `WindowedEvaluator`.
    """
    if choice is not None:
        check_windowed(family)
    if choice is None or not choice.splits(shape[_FRAMES], family.latent.temporal):
        return ModelEvaluator(model, size, shape)
    return WindowedEvaluator(model, size, shape, choice, callback)
