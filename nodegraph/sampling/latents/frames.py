"""Latents of videos, frame by frame: parts of them, and frames as items of a batch."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_latent_format
from nodegraph.sampling.latents.moving import with_samples


def cut_frames(latent: Latent, start: int, count: int) -> Latent:
    """Some latent frames of a video.

    Args:
        start: The first, counted from 0; below 0 from the end.
        count: How many at most; 0 is all from there.
    Raises:
        InvalidValue: It is of no video, or has no such frames.
    """
    frames = _frames(latent)
    first = start + frames if start < 0 else start
    last = min(frames, first + count) if count else frames
    if not 0 <= first < last:
        raise InvalidValue(
            "the video has no such latent frames",
            port="start",
            given=str(start),
            expected=f"{-frames} to {frames - 1}",
        )
    cut = with_samples(latent, lambda samples: samples[:, :, first:last].contiguous())
    return _counted(cut, last - first)


def frames_as_batch(latent: Latent, size: int = 1) -> Latent:
    """A batch of shorter videos, one after the other, of an item each of which is a part.

    Args:
        size: Latent frames of each; what doesn't fill a part at the end is left out.
    Raises:
        InvalidValue: It is of no video, or has fewer frames.
    """
    parts = _frames(latent) // size
    if not parts:
        raise InvalidValue(
            "the video has fewer latent frames than a part is to have",
            port="size",
            given=str(size),
            expected=f"{_frames(latent)} at most",
        )

    def apart(samples: Tensor) -> Tensor:
        batch, channels, _, height, width = samples.shape
        whole = samples[:, :, : parts * size]
        cut = whole.reshape(batch, channels, parts, size, height, width)
        return cut.movedim(2, 1).flatten(0, 1).contiguous()

    mask, batch = latent.noise_mask, latent.batch_size * parts
    several = mask is not None and len(mask) > 1
    batched = replace(
        with_samples(latent, apart),
        batch_size=batch,
        batch_index=None,
        noise_mask=mask.repeat_interleave(parts, 0) if several and mask is not None else mask,
    )
    return _counted(batched, size)


def _frames(latent: Latent) -> int:
    """Latent frames."""
    samples = latent.samples
    if samples is None or samples.ndim != 5:
        raise InvalidValue(
            "the latent is just a size" if samples is None else "the latent is of no video",
            port="latent",
            expected="the latent of a video, such as VAEEncodeVideo's",
        )
    return int(samples.shape[2])


def _counted(latent: Latent, frames: int) -> Latent:
    """With the frames that so many latent frames decode to."""
    known = None if latent.format is None else get_latent_format(latent.format)
    return replace(latent, frames=frames if known is None else known.pixel_frames(frames))
