"""Inputs of one denoising step: sampling request, timestep, control-network call, guider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry, FrameGuide, Latent


def norm_preserving_guidance(towards: Tensor, away: Tensor, cfg: float) -> Tensor:
    """What two outputs add up to, each vector along the last axis as long as in the first.

    Source: Lin et al. 2024, arXiv:2305.08891, section 3.4, with the norm in place of the
    deviation; as diffusers' pipelines of Lumina 2 and Qwen-Image have it.
    """
    both = away + cfg * (towards - away)
    wanted, actual = (torch.norm(item, dim=-1, keepdim=True) for item in (towards, both))
    guided: Tensor = both * (wanted / actual)
    return guided


BLOCKS, SINGLES = "blocks", "singles"
"""Where in transformers what control networks give is added: behind blocks, and single blocks."""

Residuals = Mapping[str, Sequence[Any]]
"""What is added inside a model, by where: a tensor for each place, the prompts one after the other
as in the model's batch. Or a `BlockControl`."""


@dataclass(frozen=True, slots=True)
class BlockControl:
    """A control network that is asked inside a model, as it reads what the blocks give.

    Attributes:
        network: The module: called with a block's number, its tokens and those of the control.
        tokens: Of the control image, (n, tokens, width), the prompts one after the other.
        strength: How strongly each of them is led, (n, 1, 1).
    """

    network: Any
    tokens: Tensor
    strength: Tensor

    def to(self, dtype: torch.dtype) -> BlockControl:
        """The same in another precision."""
        return replace(self, tokens=self.tokens.to(dtype), strength=self.strength.to(dtype))

    def among(self, indices: Sequence[int], prompts: int) -> BlockControl:
        """The same for some prompts among others, which are not led."""
        tokens = dict(zip(indices, self.tokens.chunk(len(indices)), strict=True))
        strength = dict(zip(indices, self.strength.chunk(len(indices)), strict=True))
        first, order = indices[0], range(prompts)
        unled = torch.zeros_like(strength[first])
        return replace(
            self,
            tokens=torch.cat([tokens.get(at, tokens[first]) for at in order]),
            strength=torch.cat([strength.get(at, unled) for at in order]),
        )

    def added(self, block: int, states: Tensor) -> Tensor:
        """The tokens behind a block, with what the network adds to the first of them."""
        own = states[:, : self.tokens.shape[1]]
        # The network may be in another precision than the model.
        precision = getattr(self.network, "dtype", own.dtype)
        change = self.network(block, own.to(precision), self.tokens.to(precision))
        own = own + change.to(own.dtype) * self.strength
        return torch.cat([own, states[:, self.tokens.shape[1] :]], 1)


@dataclass(frozen=True, slots=True)
class ControlNetCall:
    """One call of a control network.

    Attributes:
        network: The module.
        hints: What it is shown: one image, or several of a network that takes them together. In
            the network's dtype, on its device, with one item or as many as are sampled.
        strengths: How strongly each leads.
        modes: Which of the network's kinds of images each is; None where it knows but one.
        repeat: Brings a tensor of such items to those of the model's batch.
        cache: What doesn't change between steps may be kept here.
        faint: As of `nodegraph.core.values.Control`.
    """

    network: Any
    hints: Sequence[Tensor]
    strengths: Sequence[float]
    modes: Sequence[int | None]
    repeat: Callable[[Tensor], Tensor]
    cache: dict[str, Any]
    faint: bool = False


def add_residuals(residuals: Residuals, other: Residuals) -> Residuals:
    """The sum of two answers for the same model."""
    common = {
        name: [left + right for left, right in zip(tensors, other[name], strict=True)]
        for name, tensors in residuals.items()
        if name in other
    }
    return {**residuals, **other, **common}


def distribute_residuals(residuals: Sequence[Tensor], blocks: int) -> list[Tensor]:
    """One for each block of a model, of a network with fewer; as diffusers' transformers do it."""
    share = -(-blocks // len(residuals))
    return [residuals[block // share] for block in range(blocks)]


DOWN, MID, FEATURES = "down", "mid", "features"
"""Behind the blocks on the way down and the middle one; and inside of the former."""


def unet_options(residuals: Residuals) -> dict[str, Any]:
    """The inputs of a UNet by which it is given residuals."""
    options: dict[str, Any] = {}
    if DOWN in residuals:
        options["down_block_additional_residuals"] = list(residuals[DOWN])
        options["mid_block_additional_residual"] = residuals[MID][0]
    if FEATURES in residuals:
        # It takes them from the list.
        options["down_intrablock_additional_residuals"] = list(residuals[FEATURES])
    return options


Batch = Mapping[str, Any]
"""The tensors of several prompts, joined for one call of a model."""


def item_tensors(tensors: Mapping[str, Tensor], item: int | None) -> Mapping[str, Tensor]:
    """Return the tensors of a prompt for one item of a batch.

    Args:
        tensors: Each has one row for all items, or one for each item, as images may have.
        item: Index of the item. None for all.
    """
    if item is None:
        return tensors
    rows = slice(item, item + 1)
    return {name: row[rows] if row.ndim and len(row) > 1 else row for name, row in tensors.items()}


Lead = Literal["positive", "negative"]
"""Whether a prompt leads to or away from what it says."""

Side = str
"""What a model is asked about: ``positive``, ``negative``, or what a method names besides."""


@dataclass(frozen=True, slots=True)
class SoundLayout:
    """Position of a video's sound in the tensor that samplers work on.

    The sound lies behind the video in further latent frames; zeros fill the last of them. So
    samplers, noise, masks and guiders work on one tensor of the video's kind. Where a sound token
    has as many numbers as a cell, each token is a cell. Else the numbers of the sound fill the
    further frames in their order.

    Attributes:
        frames: Latent frames of the video.
        length: Latent frames of the sound, each of which is a token.
        channels, bands: Channels and mel bands of a sound token; or what lies in their place.
        scale: Factor of the sound's latents in the sampled tensor; see `Family.sound_scale`.
    """

    frames: int
    length: int
    channels: int
    bands: int
    scale: float = 1.0

    def sound_shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape of the sound alone: (batch, channels, length, bands)."""
        return batch, self.channels, self.length, self.bands

    def joined_shape(self, video: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of a joined tensor, for a video of shape (batch, channels, frames,
        height, width)."""
        in_frame = video[3] * video[4] * (1 if self._is_in_cells(video[1]) else video[1])
        numbers = self.length * (1 if self._is_in_cells(video[1]) else self.channels * self.bands)
        return *video[:2], self.frames + -(-numbers // in_frame), *video[3:]

    def join(self, video: Tensor, sound: Tensor) -> Tensor:
        """Append sound of shape (batch, channels, length, bands) to a video, as frames."""
        batch, channels, _, height, width = video.shape
        frames = self.joined_shape(video.shape)[2] - self.frames
        cells = frames * height * width
        if self._is_in_cells(channels):
            tokens = sound.transpose(2, 3).reshape(batch, channels, self.length)
            padded = torch.nn.functional.pad(tokens, (0, cells - self.length))
        else:
            numbers = sound.reshape(batch, -1)
            padded = torch.nn.functional.pad(numbers, (0, channels * cells - numbers.shape[1]))
            # frame by frame, so that the frames of the sound are its parts in time
            padded = padded.view(batch, frames, channels, -1).transpose(1, 2)
        return torch.cat([video, padded.reshape(batch, channels, frames, height, width)], 2)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the video and the sound of a joined tensor."""
        behind = x[:, :, self.frames :]
        if self._is_in_cells(x.shape[1]):
            tokens = behind.flatten(2)[:, :, : self.length]
            shape = len(x), self.channels, self.bands, self.length
            sound = tokens.reshape(shape).transpose(2, 3)
        else:
            count = self.channels * self.length * self.bands
            numbers = behind.transpose(1, 2).reshape(len(x), -1)[:, :count]
            sound = numbers.reshape(self.sound_shape(len(x)))
        return x[:, :, : self.frames].contiguous(), sound.contiguous()

    def _is_in_cells(self, channels: int) -> bool:
        """Whether a token of the sound is a cell of a video of so many channels."""
        return self.channels * self.bands == channels


def count_appended(guides: Sequence[FrameGuide]) -> int:
    """Latent frames that guides add to a sampling."""
    return sum(guide.latent_frames for guide in guides if guide.is_appended)


@dataclass(frozen=True, slots=True)
class GuideLayout:
    """Frame guides in the tensor that samplers work on.

    Guides that are appended lie behind the video in further latent frames, before the sound.

    Source: diffusers, ``pipelines/ltx2/pipeline_ltx2_condition.py``.

    Attributes:
        frames: Latent frames of the video.
        guides: Those of the latent; at least one.
        strengths: Of each latent frame of video and guides, float32; 0 where there is no guide.
        clean: The guides' latents at their frames, zeros elsewhere; float32, shape (1, channels,
            frames, height, width).
    """

    frames: int
    guides: Sequence[FrameGuide]
    strengths: Tensor
    clean: Tensor

    @classmethod
    def of(cls, guides: Sequence[FrameGuide], shape: Sequence[int]) -> GuideLayout:
        """Lay guides out for a video.

        Args:
            shape: Of the video in cells: (batch, channels, frames, height, width).
        """
        frames = shape[2]
        total = frames + count_appended(guides)
        strengths, clean = torch.zeros(total), torch.zeros(1, shape[1], total, *shape[3:])
        behind = frames
        for guide in guides:
            start = behind if guide.is_appended else 0
            end = start + guide.latent_frames
            behind = end if guide.is_appended else behind
            strengths[start:end] = guide.strength
            clean[:, :, start:end] = guide.samples
        return cls(frames, tuple(guides), strengths, clean)

    def noised(self, x: Tensor, noise: Tensor, sigma: float, *, is_begun: bool) -> Tensor:
        """A latent to start from, with the guides at their share of the noise.

        Args:
            x: The latent with noise, of the sampled shape.
            noise: Standard normal, as `x`.
            sigma: Noise level that the sampling starts at.
            is_begun: Whether the sampling continues: the video's own frames then stay as they are.
        """
        strengths, clean = self._like(x)
        share = (1.0 - strengths) * sigma
        guided = strengths > 0
        if is_begun:
            guided[:, :, : self.frames] = False
        return torch.where(guided, noise * share + clean * (1 - share), x)

    def hold(self, denoised: Tensor) -> Tensor:
        """Blend the guides into a prediction of the clean latent, by their strengths."""
        strengths, clean = self._like(denoised)
        return denoised * (1 - strengths) + clean * strengths

    def hold_output(self, x: Tensor, output: Tensor, sigma: float) -> Tensor:
        """As `hold`, for the output of a flow model at x."""
        level = torch.tensor(sigma)
        held = (x - self.hold(x - output * level)) / level
        guided = self._like(output)[0] > 0
        return torch.where(guided, held.to(output.dtype), output)

    def restore(self, x: Tensor) -> Tensor:
        """Set guides of full strength back, which samplers that add noise change."""
        strengths, clean = self._like(x)
        return torch.where(strengths == 1, clean, x)

    def _like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Strengths and clean latents that fit a sampled tensor; of sound they know nothing."""
        sound = x.shape[2] - len(self.strengths)
        strengths = torch.nn.functional.pad(self.strengths, (0, sound)).view(1, 1, -1, 1, 1)
        clean = torch.nn.functional.pad(self.clean, (0, 0, 0, 0, 0, sound))
        return strengths.to(x.device, x.dtype), clean.to(x.device, x.dtype)


SoundPlacement = Callable[[Mapping[str, Any], "Latent", "ConditioningEntry"], SoundLayout]
"""Position of the sound in the sampled tensor, for the denoiser's configuration, the latent to
sample, and the first positive prompt, which may state the frame rate. It raises InvalidValue on
port ``latent`` if the sound of the latent does not fit."""


@dataclass(frozen=True, slots=True)
class SamplingRequest:
    """What is to be sampled: all that families fit prompts to.

    Attributes:
        side: Whether the prompt leads to or away from what it says.
        width, height: In pixels.
        shape: Of the latent: (batch, channels, height, width) in cells, with frames before the
            height for videos.
        cfg: Guidance scale.
        masked_image: The latent's own masked image, for prompts that bring none; see
            `MASKED_IMAGE`.
        sound: Position of the sound in the latent, whose shape then includes it. None for models
            without sound.
        guides: Frame guides of the latent, whose shape then includes them.
        frames_at_once: Latent frames of the video that the model sees at once; None: all.
        seed: Of the first item's noise, 0 to 2**64 - 1. None in training, and for tiles, which are
            no pictures of their own.
    """

    side: Lead
    width: int
    height: int
    shape: tuple[int, ...]
    cfg: float
    masked_image: Mapping[str, Tensor] = field(default_factory=dict)
    sound: SoundLayout | None = None
    guides: GuideLayout | None = None
    frames_at_once: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class FrameSteps:
    """The timesteps of the latent frames that a model sees.

    Attributes:
        timesteps: One for each frame, shape (frames,) or (n, frames); 0 for a frame without noise.
        block: Latent frames of a block: a frame attends to its own block and to earlier ones. 1:
            to all frames. None: as the model's configuration says.
    """

    timesteps: Tensor
    block: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in a sampling a model is asked.

    Attributes:
        timestep: As the sampler has it; 0-dimensional.
        following: The next one, 0 after the last; 0-dimensional, where the first is.
        training_timesteps: Of the model.
        progress: Part of the sampling that is done, 0 to below 1.
        timestep_value: The timestep as a number of the host: to decide by it waits for no device.
        step: Steps that are done.
        schedule_step, schedule_steps: The same counted from the top of the whole schedule, and its
            steps in all.
        progress_after: Part of the sampling that is done after the step.
        min_progress: See `nodegraph.sampling.schedules.NoiseLevels`.
        sigma: Noise level, which table models with whole timesteps are only near to.
        frames: Timesteps of the latent frames, where each has its own. Else None.
    """

    timestep: Tensor
    following: Tensor
    training_timesteps: int
    progress: float
    timestep_value: float = 0.0
    step: int = 0
    schedule_step: int = 0
    schedule_steps: int = 1
    progress_after: float = 1.0
    min_progress: float = 0.0
    sigma: float = 0.0
    frames: FrameSteps | None = None

    @property
    def begun(self) -> float:
        """Part of the sampling up to which those that begin there have begun."""
        return max(self.progress, self.min_progress)

    def is_within(self, start: float, end: float) -> bool:
        """Whether it lies in a part of the sampling, 0 to 1."""
        from nodegraph.core.values import SPAN_TOLERANCE  # checks of models do without values

        return start - SPAN_TOLERANCE <= self.begun and self.progress < end


class Guider(Protocol):
    """Choice of the sides that are evaluated at a step, and combination of their outputs.

    A guider that keeps tensors between steps returns them from `state`, so that a resumed sampling
    gives the same bits.
    """

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The sides to evaluate; ``positive`` is always one of them."""
        ...

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Combine the outputs of the sides into the sampler's input."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Tensors that are kept between steps, by name."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore the tensors that `state` returned."""
        ...
