"""Noise of a latent batch: drawn per item or per batch, added to latents, seeded.

- ``per item``: each item has a generator with seed + its batch index, also for noise drawn during
  sampling. So an item is the same as alone with that seed.
- ``per batch``: one draw from the seed for all items; noise during sampling from seed + 1, one draw
  each; samplers that follow a Brownian motion use the seed for its steps. This is ComfyUI's noise
  on a CPU (``comfy/sample.py``, ``prepare_noise``; ``comfy/k_diffusion/sampling.py``,
  ``default_noise_sampler`` and ``BrownianTreeNoiseSampler``). Only the first item of a batch is the
  same as alone.
- ``per batch, one seed``: the same, but noise during sampling is drawn from the seed itself, as in
  earlier versions of ComfyUI on a CPU. On a GPU ComfyUI still does so, with another generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from nodegraph.core.values import Form, Latent, Leftover
from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import count_appended
from nodegraph.families.noise import draw_from, draw_noise, item_generators
from nodegraph.sampling.latents.combination import repeat_latent, require_samples
from nodegraph.sampling.regions import mask_to_cells

if TYPE_CHECKING:
    from nodegraph.families.flow_noise import ModelNoise
    from nodegraph.families.latent_formats import LatentFormat
    from nodegraph.families.model_step import SoundLayout
    from nodegraph.sampling.sampling_parts import SamplingNoise


def add_plain_noise(
    latent: Latent, strength: float, seed: int, mask: Tensor | None = None
) -> Latent:
    """A latent with standard normal noise added, which no schedule knows of.

    Args:
        strength: Standard deviation; that of an image's latent is about 1.
        seed: Item i draws from seed + its place in its batch.
        mask: Where it is added, by how much; (1 or batch, height, width). Elsewhere no bit changes.
    Raises:
        InvalidValue: The latent is empty, or the mask is of another batch.
    """
    samples = require_samples(latent, "latent")
    noise = strength * draw_noise(samples.shape[1:], seed, latent.noise_indices)
    if mask is not None:
        if mask.ndim != 3 or mask.shape[0] not in (1, latent.batch_size):
            raise InvalidValue(
                "the mask has another batch size than the latent",
                port="mask",
                given=f"shape {tuple(mask.shape)}",
                expected=f"shape (1 or {latent.batch_size}, height, width)",
            )
        cells = mask_to_cells(mask.float(), samples.shape[-2], samples.shape[-1])
        noise = noise * (cells.unsqueeze(2) if samples.ndim == 5 else cells)
    return replace(latent, samples=torch.where(noise == 0, samples, samples + noise))


def with_seeds(latent: Latent, seeds: Sequence[int]) -> Latent:
    """A batch of which each item draws the noise of its own seed.

    Args:
        seeds: One for each item, at least 0; of a single latent so many items are made.
    Raises:
        InvalidValue: There are none, as many as there are no items, or one is below 0.
    """
    if not seeds or (latent.batch_size not in (1, len(seeds))):
        raise InvalidValue(
            "each item needs a seed",
            port="seeds",
            given=f"{len(seeds)} seeds",
            expected=f"{latent.batch_size}" if latent.batch_size > 1 else "at least one",
        )
    if min(seeds) < 0 or max(seeds) >= 2**64:
        raise InvalidValue(
            "a seed is out of range",
            port="seeds",
            given=str(min(seeds) if min(seeds) < 0 else max(seeds)),
            expected="0 to 2**64 - 1",
        )
    whole = repeat_latent(latent, len(seeds)) if latent.batch_size < len(seeds) else latent
    return replace(whole, batch_index=tuple(seeds))


def with_one_seed(latent: Latent) -> Latent:
    """Let all items of a batch draw the noise of the first one."""
    return replace(latent, batch_index=(latent.noise_indices[0],) * latent.batch_size)


def add_noise_of_level(
    latent: Latent, noise: SamplingNoise, model_noise: ModelNoise, sigma: float
) -> Latent:
    """Add the initial noise of a sampling to a latent, at a noise level.

    Latent + sigma · noise; for flow models (1 - sigma) · latent + sigma · noise.

    Args:
        noise: The noise to draw. Without any to begin with, it is zero.
        model_noise: The model's noise schedule.
        sigma: Noise level of at least 0, for flow models at most 1.
    Returns:
        The latent with this noise as its leftover noise; at level 0, the latent.
    Raises:
        InvalidValue: The latent is empty, the noise does not fit, or sigma is out of range.
    """
    samples = require_samples(latent, "latent")
    if sigma == 0:
        return latent
    alpha, deviation = model_noise.scales(None, sigma)  # Raises if sigma is out of range.
    drawn = draw_sampling_noise(noise, latent, samples.shape).first
    drawn = drawn if noise.added else torch.zeros_like(drawn)
    form: Form = "mixing" if model_noise.kind == "flow" else "exploding"
    if form == "exploding":
        alpha, deviation = torch.tensor(1.0), torch.tensor(sigma)
    original = samples if latent.is_masked else None
    noisy = alpha * samples + deviation * drawn
    return replace(latent, samples=noisy, leftover=Leftover(sigma, form, original))


ONE_SEED = "per batch, one seed"
MOST_DRAWN = 4096
"""Batch index up to which items are drawn one after the other from one generator."""


@dataclass(frozen=True, slots=True)
class DrawnNoise:
    """The noise of a sampling.

    Attributes:
        first: What it begins with; standard normal but for its strength, float32 on the CPU, of the
            latent's shape.
        generators: What samplers draw from on the way: one for each item, or one for all.
        resumes: Whether they were used for the first noise, so that a sampling which continues from
            another has to pass over what that one drew.
        brownian_seed: Seed of the Brownian motion that some samplers follow; None where they don't.
    """

    first: Tensor
    generators: tuple[torch.Generator, ...]
    resumes: bool
    brownian_seed: int | None = None


def draw_sampling_noise(
    noise: SamplingNoise,
    latent: Latent,
    shape: Sequence[int],
    sound: SoundLayout | None = None,
    latents: LatentFormat | None = None,
) -> DrawnNoise:
    """The noise of a sampling; see the module.

    Args:
        shape: Of the latent, with its sound.
        sound: Position of the sound, whose noise is drawn after that of the video.
        latents: The format of what is sampled, which may have noise drawn frame after frame.
    Raises:
        InvalidValue: The noise that was given doesn't fit, on port ``noise``; or an item's place in
            its batch is too far back.
    """
    indices = latent.noise_indices
    generators: tuple[torch.Generator, ...]
    at_once = noise.draw != "per item"
    by_frame = latents is not None and latents.noise_by_frame
    if at_once:
        first = _drawn_at_once(noise.seed, latent, shape, sound)
        on_the_way = noise.seed if noise.draw == ONE_SEED else (noise.seed + 1) % 2**64
        generators = (torch.Generator("cpu").manual_seed(on_the_way),)
    else:
        # Used for the first noise whatever is given in its place, so that what is drawn on the way
        # is the same.
        generators = tuple(item_generators(noise.seed, indices))
        first = _drawn_per_item(generators, shape, sound, by_frame=by_frame)
    if noise.tensor is not None:
        first = _stated_noise(noise.tensor, first, sound, count_appended(latent.guides))
    if noise.share:
        if at_once:
            other = _drawn_at_once(noise.other_seed, latent, shape, sound)
        else:
            other_generators = item_generators(noise.other_seed, indices)
            other = _drawn_per_item(other_generators, shape, sound, by_frame=by_frame)
        # of two that don't depend on each other, so that the mixture's variance is 1, too
        scale = math.hypot(1 - noise.share, noise.share)
        first = ((1 - noise.share) * first + noise.share * other) / scale
    first = first if noise.strength == 1 else first * noise.strength
    return DrawnNoise(first, generators, not at_once, noise.seed if at_once else None)


def _drawn_per_item(
    generators: Sequence[torch.Generator],
    shape: Sequence[int],
    sound: SoundLayout | None,
    *,
    by_frame: bool = False,
) -> Tensor:
    """Each item's from its generator: the video's first, then the sound's."""
    if by_frame:
        frames_first = draw_from(generators, (shape[2], shape[1], *shape[3:]))
        return frames_first.transpose(1, 2).contiguous()
    if sound is None:
        return draw_from(generators, shape[1:])
    video = draw_from(generators, (shape[1], sound.frames, *shape[3:]))
    return sound.join(video, draw_from(generators, sound.sound_shape(1)[1:]))


def _drawn_at_once(
    seed: int, latent: Latent, shape: Sequence[int], sound: SoundLayout | None = None
) -> Tensor:
    """The whole batch's from one generator; of a part of a batch, what the whole would have had."""
    generator = torch.Generator("cpu").manual_seed(seed)
    if sound is not None:
        video = _drawn_in_turn(generator, latent, (*shape[:2], sound.frames, *shape[3:]))
        return sound.join(video, _drawn_in_turn(generator, latent, sound.sound_shape(shape[0])))
    return _drawn_in_turn(generator, latent, shape)


def _drawn_in_turn(generator: torch.Generator, latent: Latent, shape: Sequence[int]) -> Tensor:
    places = latent.batch_index
    if places is None:
        return torch.randn(tuple(shape), generator=generator)
    if max(places) >= MOST_DRAWN:
        raise InvalidValue(
            "the batch index of an item is too large for draw = per batch",
            port="latent",
            given=f"batch index {max(places)}",
            expected=f"below {MOST_DRAWN}",
            hint="Set draw to per item, which gives each item its own seed.",
        )
    item_shape = (1, *shape[1:])
    drawn = {}
    for index in range(max(places) + 1):
        item = torch.randn(item_shape, generator=generator)
        if index in places:
            drawn[index] = item
    return torch.cat([drawn[index] for index in places])


def _stated_noise(noise: Tensor, drawn: Tensor, sound: SoundLayout | None, appended: int) -> Tensor:
    """The noise of the caller in place of the drawn one, which remains for the sound and for
    appended frame guides.

    Args:
        appended: Latent frames of those guides.
    """
    if appended and sound is None:
        own = _checked_noise(noise, drawn[:, :, :-appended].shape)
        return torch.cat([own, drawn[:, :, -appended:]], 2)
    if sound is None:
        return _checked_noise(noise, drawn.shape)
    video, heard = sound.split(drawn)
    return sound.join(_stated_noise(noise, video, None, appended), heard)


def _checked_noise(noise: Tensor, shape: Sequence[int]) -> Tensor:
    if tuple(noise.shape) not in (tuple(shape), (1, *shape[1:])):
        raise InvalidValue(
            "the noise does not fit the latent",
            port="noise",
            given=f"shape {tuple(noise.shape)}",
            expected=f"shape {tuple(shape)}",
            hint="Make the noise from a latent of the same size and model.",
        )
    return noise.to(torch.float32).expand(tuple(shape))


def add_noise(
    latent: Latent,
    schedule: ModelNoise,
    *,
    seed: int,
    timestep: float | None = None,
    sigma: float | None = None,
) -> Latent:
    """Add noise to a latent by the forward process, up to a timestep or noise level.

    sqrt(alpha bar) · latent + sqrt(1 - alpha bar) · noise: Ho et al. 2020, arXiv:2006.11239,
    equation 4; in flow models (1 - sigma) · latent + sigma · noise.

    Args:
        schedule: The model's noise schedule.
        timestep: 0 (nearly clean) to the number of training timesteps - 1, in flow models to that
            number; or give `sigma`.
        sigma: Noise level of at least 0, in flow models at most 1.
    Raises:
        InvalidValue: The latent is empty, or timestep or sigma are out of range.
    """
    if latent.samples is None:
        raise InvalidValue(
            "the latent is empty: there is nothing to add noise to",
            port="latent",
            hint="Link the latent of an image, for example from VAEEncode.",
        )
    if (timestep is None) == (sigma is None):
        raise ValueError("timestep and sigma are both given, or neither is")
    alpha, deviation = schedule.scales(timestep, sigma)
    noise = draw_noise(latent.samples.shape[1:], seed, latent.noise_indices)
    samples = alpha * latent.samples + deviation * noise
    level = float(schedule.timestep_to_sigma(timestep)) if sigma is None else sigma  # type: ignore[arg-type]
    original = latent.samples if latent.is_masked else None
    return replace(latent, samples=samples, leftover=Leftover(level, "mixing", original))


_DIGITS = 6
"""Of times: what is nearer is one time."""
_POOL = 24
"""Words of entropy that seeds are made of."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """A part of the motion's time, which is halved.

    Attributes:
        number: Of the part among those of its depth, from the first one, 0.
    """

    start: float
    end: float
    number: int = 0
    depth: int = 0


class BrownianTree:
    """A Brownian motion of the noise level, as far as a sampling walks.

    What is drawn on the way depends on the noise levels, not on the steps. The motion's way between
    two times is known once its seed is: halves of an interval are drawn from seeds of their own,
    given the whole, down to a millionth. More steps, or other ones, so see the same motion. Numbers
    are those of torchsde's BrownianTree, which k-diffusion and ComfyUI take; it is no requirement
    here, as it brings SciPy and isn't kept up any more.

    Source: Lévy's construction, with seeds for its nodes as of Salmon et al. 2011 and Claessen &
    Pałka 2013; the virtual Brownian tree is Li et al. 2020, arXiv:2001.01328, section 4.

    Args:
        seed: 0 to 2**64 - 1.
        low, high: Times between which it is known, low < high.
        shape: Of what moves.
    """

    def __init__(self, seed: int, low: float, high: float, shape: Sequence[int]) -> None:
        self._seed, self._shape = seed, tuple(shape)
        self._whole = _Interval(_rounded(low), _rounded(high))
        # The seed's own, and not that of an interval.
        entropy = np.random.SeedSequence(seed, pool_size=_POOL)
        self._increment = self._drawn(entropy) * math.sqrt(high - low)

    def unit(self, from_time: float, to_time: float) -> Tensor:
        """The way between two times, in the direction of time, brought to unit variance.

        Args:
            from_time, to_time: In any order; what lies beyond the ends is not known, and left out.
        Returns:
            float32 on the CPU; zeros where no time passes.
        """
        start, end = sorted((self._within(from_time), self._within(to_time)))
        if start == end:
            return torch.zeros(self._shape)
        increment, *remaining = self._parts(self._whole, self._increment, start, end)
        for part in remaining:
            increment = increment + part
        sign = 1 if from_time < to_time else -1
        # As wide as was asked for, in float32, as the level's differences are.
        length = torch.tensor(to_time, dtype=torch.float32) - torch.tensor(
            from_time, dtype=torch.float32
        )
        return increment * sign / length.abs().sqrt()

    def _within(self, time: float) -> float:
        return min(max(_rounded(time), self._whole.start), self._whole.end)

    def _parts(
        self, part: _Interval, increment: Tensor, start: float, end: float
    ) -> Iterator[Tensor]:
        """Increments over the intervals that make up one, in their order."""
        if start == part.start and end == part.end:
            yield increment
            return
        middle = _rounded(0.5 * (part.end + part.start))
        first = self._first_half(part, middle, increment)
        number, depth = 2 * part.number, part.depth + 1
        if start < middle:
            half = _Interval(part.start, middle, number, depth)
            yield from self._parts(half, first, start, min(end, middle))
        if end > middle:
            half = _Interval(middle, part.end, number + 1, depth)
            yield from self._parts(half, increment - first, max(start, middle), end)

    def _first_half(self, part: _Interval, middle: float, increment: Tensor) -> Tensor:
        """The increment over an interval's first half, given that over all of it."""
        before, after = middle - part.start, part.end - middle
        share = 1 / (part.end - part.start)
        key = (part.number, part.depth)
        drawn = self._drawn(np.random.SeedSequence(self._seed, spawn_key=key, pool_size=_POOL))
        return before * increment * share + math.sqrt(before * after * share) * drawn

    def _drawn(self, entropy: np.random.SeedSequence) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(int(entropy.generate_state(1)[0]))
        return torch.randn(self._shape, generator=generator)


def _rounded(time: float) -> float:
    return round(time, _DIGITS)
