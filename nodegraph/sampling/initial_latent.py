"""The latent that a sampling starts from: checks, mask in cells, noise, leftover."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Form, Latent, Leftover
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family
from nodegraph.families.components import Denoiser
from nodegraph.families.family_checks import (
    check_has_video,
    check_takes_guides,
    check_takes_sound,
    check_untiled,
)
from nodegraph.families.model_step import GuideLayout, SoundLayout
from nodegraph.families.noise import draw_batch
from nodegraph.families.registry import get_family
from nodegraph.media.images.memory_checks import check_sampling_memory
from nodegraph.sampling.guiders.base import TiledEvaluation
from nodegraph.sampling.prompts import over_sound
from nodegraph.sampling.regions import mask_to_cells
from nodegraph.sampling.samplers import Sampler
from nodegraph.sampling.samplers.spaces import ExplodingSpace
from nodegraph.sampling.sampling_parts import GuiderChoice
from nodegraph.sampling.windowed_evaluation import frames_at_once


def check_values(
    model: Denoiser,
    family: Family,
    prompts: Mapping[str, Conditioning | None],
    latent: Latent,
) -> None:
    """Refuse prompts of another family and latents of another format.

    Args:
        prompts: By port.
    """
    for port, value in prompts.items():
        if value is not None and value.family not in (
            None,
            model.family,
            *family.accepts_prompts_of,
        ):
            raise InvalidValue(
                f"the model belongs to family {model.family}, the {port} to {value.family}",
                port=port,
                given=value.family,
                expected=model.family,
                hint="Use the model and the prompts of the same LoadModel.",
            )
    if latent.format not in (None, family.latent.name):
        raise InvalidValue(
            f"the model uses latents of format {family.latent.name}, not {latent.format}",
            port="latent",
            given=latent.format,
            expected=family.latent.name,
            hint="Encode the image with the VAE of the same LoadModel.",
        )


def latent_shape(model: Denoiser, family: Family, latent: Latent) -> tuple[int, ...]:
    """Batch, channels, height and width in cells, with frames of videos, if they fit."""
    multiple, pixels = family.multiple, family.latent
    pixels.check_size(_sides(latent), family.title)
    if min(latent.width, latent.height) < multiple or (
        latent.width % multiple or latent.height % multiple
    ):
        near = [max(multiple, round(side / multiple) * multiple) for side in _sides(latent)]
        raise InvalidValue(
            f"width and height must be multiples of {multiple} pixels",
            port="latent",
            given=f"{latent.width} x {latent.height}",
            expected=f"for example {near[0]} x {near[1]}",
        )
    _check_frames(family, latent.frames)
    frames = (pixels.latent_frames(latent.frames),) if pixels.temporal else ()
    cells = pixels.cells(latent.height), pixels.cells(latent.width)
    shape = (latent.batch_size, family.channels(model.config), *frames, *cells)
    if latent.samples is not None and tuple(latent.samples.shape) != shape:
        raise InvalidValue(
            "the latent does not fit the model, or its tensor does not match its stated size",
            port="latent",
            given=f"shape {tuple(latent.samples.shape)}",
            expected=f"shape {shape}",
            hint="Encode the image with the VAE of the same LoadModel.",
        )
    if latent.batch_size < 1 or len(latent.noise_indices) != latent.batch_size:
        raise InvalidValue(
            "a latent needs at least one item, and one batch index per item",
            port="latent",
            given=f"{latent.batch_size} items, {len(latent.noise_indices)} indices",
        )
    return shape


def place_sound(
    family: Family, config: Config, latent: Latent, first: ConditioningEntry
) -> SoundLayout | None:
    """Position of a latent's sound in the sampled tensor; None for families without sound.

    Args:
        config: The denoiser's configuration.
        first: The first positive prompt.
    Raises:
        InvalidValue: The latent has sound that does not fit the model; on port ``latent``.
    """
    if family.sound is not None:
        return family.sound(config, latent, first)
    if latent.sound is not None:
        check_takes_sound(family)
    return None


def check_whole_sound(tiling: TiledEvaluation | None) -> None:
    """Refuse tiles of videos with sound: each tile would need the whole sound.

    Raises:
        InvalidValue: On port ``guider``.
    """
    if tiling is not None:
        check_untiled()


def with_joined_sound(latent: Latent, video: Sequence[int], sound: SoundLayout) -> Latent:
    """A latent whose samples include its sound, scaled as it is sampled; where it has none, zeros.

    An empty latent without sound stays empty.

    Args:
        video: Shape of the video's samples.
    """
    if latent.samples is None and latent.sound is None:
        return latent
    samples = torch.zeros(tuple(video)) if latent.samples is None else latent.samples
    shape = sound.sound_shape(video[0])
    own = torch.zeros(shape) if latent.sound is None else latent.sound.expand(shape)
    return replace(latent, samples=sound.join(samples, own * sound.scale), sound=None)


def place_guides(family: Family, latent: Latent, shape: Sequence[int]) -> GuideLayout | None:
    """Position of a latent's frame guides in the sampled tensor; None without guides.

    Args:
        shape: Of the video in cells.
    Raises:
        InvalidValue: The model takes none, or one does not fit the latent; on port ``latent``.
    """
    if not latent.guides:
        return None
    check_takes_guides(family, len(latent.guides))
    for guide in latent.guides:
        _, channels, frames, *sides = guide.samples.shape
        fits = channels == shape[1] and tuple(sides) == tuple(shape[3:])
        if not fits or guide.frame + guide.count > latent.frames or frames > shape[2]:
            raise InvalidValue(
                "a frame guide was encoded for a latent of another size or length",
                port="latent",
                given=f"{tuple(guide.samples.shape[1:])} in latent cells, frame {guide.frame}",
                expected=f"{tuple(shape[1:])}",
                hint="Use RemoveFrameGuides, then AddFrameGuide with the latent of this size.",
            )
    return GuideLayout.of(latent.guides, shape)


@dataclass(frozen=True, slots=True)
class JoinedLatent:
    """A latent as samplers work on it: the video, its appended frame guides, and its sound.

    Attributes:
        latent: Its samples are joined; see `GuideLayout` and `SoundLayout`.
        shape: Of the joined samples.
        tokens: Of the video and the guides.
        frames: Latent frames of the video. 0 for images.
        sound, guides: None without any.
        extra: Latent frames that are sampled before the video's; see `Family.leading_frames`.
    """

    latent: Latent
    shape: tuple[int, ...]
    tokens: int
    frames: int
    sound: SoundLayout | None = None
    guides: GuideLayout | None = None
    extra: int = 0

    @classmethod
    def of(
        cls,
        family: Family,
        model: Denoiser,
        latent: Latent,
        shape: tuple[int, ...],
        first: ConditioningEntry,
    ) -> JoinedLatent:
        """Join a latent.

        Args:
            model: The denoiser.
            first: As of `place_sound`.
            shape: Of the video or image in cells.
        Raises:
            InvalidValue: As of `place_sound` and `place_guides`; or the family samples leading
                frames, and the latent is not empty.
        """
        frames = shape[2] if len(shape) == 5 else 0
        extra = family.leading_frames(model.config, frames) if frames else 0
        if extra:
            _check_empty(family, latent)
            shape = (*shape[:2], extra + frames, *shape[3:])
        sound, guides = place_sound(family, model.config, latent, first), None
        if frames and (guides := place_guides(family, latent, shape)) is not None:
            latent = _with_guides(latent, shape, guides)
            shape = (*shape[:2], len(guides.strengths), *shape[3:])
        tokens = family.tokens(shape)
        if sound is not None:
            sound = replace(sound, frames=shape[2], scale=family.sound_scale(model))
            latent = with_joined_sound(latent, shape, sound)
            shape = sound.joined_shape(shape)
        return cls(latent, shape, tokens, frames, sound, guides, extra)

    def split(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """The video of joined samples, and the sound."""
        heard: Tensor | None = None
        if self.sound is not None:
            samples, heard = self.sound.split(samples)
            heard = heard / self.sound.scale
        if self.extra:
            samples = samples[:, :, self.extra :]
        return (samples if self.guides is None else samples[:, :, : self.frames]), heard

    def join(self, video: Tensor, heard: Tensor | None) -> Tensor:
        """Joined samples of a video and its sound. Appended guides are as they were encoded, and
        leading frames are zeros."""
        if self.extra:
            video = torch.nn.functional.pad(video, (0, 0, 0, 0, self.extra, 0))
        if self.guides is not None:
            clean = self.guides.clean[:, :, self.frames :].to(video.device, video.dtype)
            video = torch.cat([video, clean.expand(len(video), -1, -1, -1, -1)], 2)
        if self.sound is None or heard is None:
            return video
        return self.sound.join(video, heard * self.sound.scale)


def _check_empty(family: Family, latent: Latent) -> None:
    """Refuse samples where frames are sampled before them, which no video has.

    Raises:
        InvalidValue: On port ``latent``.
    """
    if latent.samples is not None:
        nearest = family.latent.pixel_frames(latent.samples.shape[2] // 2 * 2)
        raise InvalidValue(
            f"this model of {family.title} samples one more latent frame before a video of this "
            "length, so it starts from an empty latent",
            port="latent",
            given=f"the latent of {latent.frames} frames",
            expected=f"an empty latent, or the latent of {nearest or 8} frames",
        )


def _with_guides(latent: Latent, shape: Sequence[int], guides: GuideLayout) -> Latent:
    """A latent whose samples include its guides. An empty one stays empty if it has no mask, which
    would keep a part of the guides."""
    if latent.samples is None and not latent.is_masked:
        return latent
    samples = torch.zeros(tuple(shape)) if latent.samples is None else latent.samples
    appended = len(guides.strengths) - guides.frames
    longer = torch.nn.functional.pad(samples, (0, 0, 0, 0, 0, appended))
    if latent.leftover is None:
        longer = torch.where(guides.strengths.view(1, 1, -1, 1, 1) > 0, guides.clean, longer)
    return replace(latent, samples=longer)


def _check_frames(family: Family, frames: int) -> None:
    if not family.latent.temporal and frames != 1:
        raise InvalidValue(
            f"{family.title} generates images, not videos",
            port="latent",
            given=f"{frames} frames",
            expected="an image's latent",
            hint="Link an EmptyLatent, or load a video model.",
        )
    nearest = family.latent.nearest_frames(frames)
    if frames not in nearest:
        raise InvalidValue(
            f"{family.title} generates videos of {family.latent.frame_rule} frames",
            port="latent",
            given=f"{frames} frames",
            expected=" or ".join(map(str, nearest)),
        )


def _sides(latent: Latent) -> tuple[int, int]:
    return latent.width, latent.height


def check_size(
    model: Denoiser,
    latent: Latent,
    shape: tuple[int, ...],
    *,
    is_guided: bool,
    guider: GuiderChoice,
) -> None:
    """Refuse what there isn't memory for: of tiles and of context windows that of one."""
    device, family = model.device.type, get_family(model.family)
    temporal = family.latent.temporal
    frames = frames_at_once(guider.windows, shape, temporal) or math.prod(shape[2:-2])
    pictures = latent.batch_size * frames
    tiling = guider.tiling
    size = _sides(latent) if tiling is None else tiling.size_in(_sides(latent))
    limits = family.position_limits(model.config)
    if limits is not None:
        limits.check(size, max(1, pictures // latent.batch_size), family.latent.spatial)
    check_sampling_memory(size, pictures, device, is_guided=is_guided, port="latent")


def check_seed(seed: int, latent: Latent) -> None:
    """Refuse seeds out of range."""
    if min(latent.noise_indices) < 0 or not 0 <= seed < 2**64:
        raise InvalidValue(
            "the seed is out of range", port="seed", given=str(seed), expected="0 to 2**64 - 1"
        )


def mask_in_cells(
    latent: Latent,
    shape: tuple[int, ...],
    *,
    smooth: bool = False,
    sound: SoundLayout | None = None,
) -> Tensor | None:
    """What is denoised anew: float32 on the CPU, (1 or batch, 1, height, width) in cells, with a
    1 for the frames of videos. A video with sound has all frames. Its sound is denoised anew, or
    as its own mask says; then the mask has all channels.

    Args:
        smooth: Interpolate the mask on lines, as ComfyUI does, not by the share of each cell.
    """
    mask, heard = latent.noise_mask, None if sound is None else latent.sound_mask
    if mask is None:
        if heard is None:
            return None
        mask = torch.ones(1, *shape[-2:])
    batch = shape[0]
    if mask.ndim != 3 or mask.shape[0] not in (1, batch):
        raise InvalidValue(
            "the latent's noise mask has another batch size",
            port="latent",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {batch}, height, width)",
        )
    cells = mask_to_cells(mask.to(torch.float32), shape[-2], shape[-1], smooth=smooth)
    if len(shape) == 4:
        return cells
    if sound is None:
        return cells.unsqueeze(2)
    whole = over_sound(cells.unsqueeze(2), shape, sound, 1)
    if heard is None:
        return whole
    count = max(len(whole), len(heard))
    video = whole[:, :, : sound.frames].expand(
        count, shape[1], *whole[0, :, : sound.frames].shape[1:]
    )
    return sound.join(video, heard[:, None, :, None].expand(sound.sound_shape(count)))


@dataclass(frozen=True, slots=True)
class InitialLatent:
    """What a sampling begins with.

    Attributes:
        latent: As it was given.
        noise: Standard normal, of the latent's shape; on the model's device.
        added: Whether the noise is; else the latent is gone on with as it is.
        resumes: Whether what steps before drew is passed over; see `DrawnNoise`.
        guides: Frame guides, which begin with a noise level of their own.
    """

    latent: Latent
    noise: Tensor
    added: bool
    resumes: bool = True
    guides: GuideLayout | None = None

    def start(self, sampler: Sampler, placed: Callable[[Tensor], Tensor]) -> None:
        """Put the sampler where it begins.

        Args:
            placed: Brings a tensor to the model's device, in the latents' precision.
        """
        samples, step_index = self.latent.samples, sampler.noise_levels.first
        if self.added and sampler.noise_levels.comfyui_progress is not None:
            clean = torch.zeros_like(self.noise) if samples is None else placed(samples)
            sampler.start(_comfyui_start(sampler, clean, self.noise))
        elif samples is None and step_index == 0:
            sampler.start(sampler.pure_noise(self.noise))
        elif self.added:
            clean = torch.zeros_like(self.noise) if samples is None else placed(samples)
            sampler.start(sampler.add_noise(clean, self.noise, step_index))
        else:
            assert samples is not None
            self._go_on(sampler, placed(samples))
        if self.guides is not None:
            sigma = float(sampler.noise_levels.sigmas[step_index])
            is_begun = not self.added and self.latent.leftover is not None
            noise = self.noise if self.added or is_begun else torch.zeros_like(self.noise)
            sampler.x = self.guides.noised(sampler.x, noise, sigma, is_begun=is_begun)

    def _go_on(self, sampler: Sampler, x: Tensor) -> None:
        left = self.latent.leftover
        if left is None:
            sampler.start(sampler.add_noise(x, torch.zeros_like(x), sampler.noise_levels.first))
        else:
            sampler.start(convert_form(form_of(sampler), x, left))
        if self.resumes:
            self._pass_over(sampler)

    def _pass_over(self, sampler: Sampler) -> None:
        """Draw the noise of the steps that were walked before: one that adds some in each goes on
        with what comes after it, as if it hadn't been stopped."""
        first = sampler.noise_levels.first
        walked = range(first - sampler.noise_levels.walked(first), first)
        for _ in range(sum(map(sampler.draws, walked))):
            draw_batch(sampler.generators, self.noise.shape)


def _comfyui_start(sampler: Sampler, clean: Tensor, noise: Tensor) -> Tensor:
    """A latent with noise as ComfyUI begins with it: at the model's greatest level, with so much
    noise more that the model sees unit variance; else as the forward process leaves it."""
    step_index = sampler.noise_levels.first
    if not sampler.noise_levels.starts_at_max_sigma:
        return sampler.add_noise(clean, noise, step_index)
    return sampler.pure_noise(noise) + sampler.add_noise(clean, torch.zeros_like(noise), step_index)


def check_initial_latent(latent: Latent, *, added: bool, rises: bool) -> None:
    """Refuse a latent that a sampling can't begin with.

    Args:
        added: Whether noise is added to it.
        rises: Whether it is walked from little noise to much.
    Raises:
        InvalidValue: On port ``noise`` or ``latent``.
    """
    check_has_video(latent.width > 0 or latent.sound is None)
    if latent.samples is None and (rises or not added):
        raise InvalidValue(
            "the latent is empty and no noise is added, so there is nothing to sample",
            port="latent",
            hint="Link the latent of an image, or a latent with noise left in it.",
        )
    if rises and added:
        raise InvalidValue(
            "an ascending schedule starts with the clean image",
            port="noise",
            expected="no noise",
            hint="Link a NoNoise.",
        )
    left = None if added else latent.leftover
    if left is not None and latent.is_masked and left.original is None:
        raise InvalidValue(
            "the mask keeps a part of the original image, which is not known for this noisy latent",
            port="latent",
            hint="Put SetNoiseMask before the sampler that returns leftover noise.",
        )


def zeros_for(model: Denoiser, latent: Latent) -> Latent:
    """What an empty latent stands for where an image is needed: zeros of a model's shape.

    Raises:
        InvalidValue: Its size doesn't fit the model.
    """
    family = get_family(model.family)
    zeros = torch.zeros(latent_shape(model, family, latent))
    return replace(latent, samples=zeros, format=family.latent.name)


def original_of(latent: Latent, shape: tuple[int, ...], *, added: bool) -> Tensor:
    """The image that a sampling continues from, as far as it is known; float32 on the CPU.

    Args:
        added: Whether noise is added to it: what is left in it already then counts as the image.
    """
    left = None if added else latent.leftover
    known = latent.samples if left is None else left.original
    return torch.zeros(shape) if known is None else known


def form_of(sampler: Sampler) -> Form:
    """How a sampler keeps a noisy latent; see `Leftover`."""
    return "exploding" if isinstance(sampler.space, ExplodingSpace) else "mixing"


def leftover_of(sampler: Sampler, original: Tensor | None) -> Leftover | None:
    """The noise that is left at the level where a sampler stands; None where there is none."""
    sigma = float(sampler.noise_levels.sigmas[sampler.step_index])
    if sigma == 0:
        return None
    return Leftover(sigma, form_of(sampler), original)


def convert_form(form: Form, x: Tensor, left: Leftover) -> Tensor:
    """A noisy latent in another form; untouched where it is in that already."""
    if form == left.form:
        return x
    scale = torch.tensor((1 + left.sigma**2) ** 0.5)
    return x * scale if form == "exploding" else x / scale
