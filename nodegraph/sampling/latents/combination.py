"""Combine latents: batch, repeat, composite, blend and add."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from nodegraph.core.values import Latent, Leftover
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_latent_format
from nodegraph.sampling.latents.transforms import cell_side, check_cells, mask_in_pixels, slerp
from nodegraph.sampling.regions import mask_to_cells

MixingMethod = Literal["linear", "spherical"]


def join_latents(first_latents: Sequence[Latent], more: Sequence[Latent] = ()) -> Latent:
    """Latents of one size in a batch, in their order.

    Items draw noise by their place in it, unless some were given places or seeds before: then all
    keep what they had.

    Args:
        first_latents, more: Those that come by the ports ``first`` and ``second``.
    Raises:
        InvalidValue: There are none, or they differ in size, format or the noise that is left.
    """
    latents = [*first_latents, *more]
    if not latents:
        raise InvalidValue("there are no latents to join", port="first")
    first = latents[0]
    for at, other in enumerate(latents[1:], start=1):
        port = "first" if at < len(first_latents) else "second"
        check_alike(first, other, port=port, batch=False)
    has_places = any(item.batch_index is not None for item in latents)
    samples = [item.samples for item in latents]
    return replace(
        first,
        samples=None if first.samples is None else torch.cat([s for s in samples if s is not None]),
        batch_size=sum(item.batch_size for item in latents),
        noise_mask=_joined_masks(latents),
        batch_index=sum((item.noise_indices for item in latents), ()) if has_places else None,
        leftover=_joined_leftovers(latents),
        format=next((item.format for item in latents if item.format), None),
        sound=_joined_sound(latents),
        sound_mask=_joined_sound_masks(latents),
    )


def _joined_sound(latents: Sequence[Latent]) -> Tensor | None:
    """The sound of all items.

    Raises:
        InvalidValue: Some have sound and others have none, or another length.
    """
    sounds = [item.sound for item in latents if item.sound is not None]
    if not sounds:
        return None
    if len(sounds) < len(latents) or len({item.shape[1:] for item in sounds}) > 1:
        raise InvalidValue(
            "the latents differ in their sound",
            port="second",
            given=", ".join(
                "no sound" if item.sound is None else f"{item.sound.shape[2]} frames of sound"
                for item in latents
            ),
            expected="sound of one length, or none",
        )
    return torch.cat(
        [
            item.sound.expand(item.batch_size, -1, -1, -1)
            for item in latents
            if item.sound is not None
        ]
    )


def _joined_sound_masks(latents: Sequence[Latent]) -> Tensor | None:
    masks = [item.sound_mask for item in latents]
    known = next((mask for mask in masks if mask is not None), None)
    if known is None:
        return None
    return torch.cat(
        [
            (torch.ones_like(known[:1]) if mask is None else mask).expand(item.batch_size, -1)
            for item, mask in zip(latents, masks, strict=True)
        ]
    )


def _joined_masks(latents: Sequence[Latent]) -> Tensor | None:
    if all(item.noise_mask is None for item in latents):
        return None
    masks = []
    for item in latents:
        pixel_mask = mask_in_pixels(item)
        mask = torch.ones(1, item.height, item.width) if pixel_mask is None else pixel_mask.float()
        masks.append(mask.expand(item.batch_size, -1, -1))
    return torch.cat(masks)


def _joined_leftovers(latents: Sequence[Latent]) -> Leftover | None:
    left = latents[0].leftover
    if left is None:
        return None
    kept = [None if item.leftover is None else item.leftover.original for item in latents]
    if all(item is None for item in kept):
        return left
    # where no part is kept, what stands for it is never looked at
    originals = [
        item.samples if original is None else original
        for item, original in zip(latents, kept, strict=True)
    ]
    whole = torch.cat([item for item in originals if item is not None])
    return Leftover(left.sigma, left.form, whole)


ConcatAxis = Literal["x", "y", "t"]
_DIMS: dict[ConcatAxis, int] = {"x": -1, "y": -2, "t": 2}


def concatenate_latents(first: Latent, second: Latent, axis: ConcatAxis) -> Latent:
    """Concatenate two latents side by side, one below the other, or in time.

    Args:
        second: Latent with the batch size of the first. A single one of the two is used for all
            items of the other.
        axis: ``x`` for the width, ``y`` for the height, ``t`` for the latent frames of videos.
    Returns:
        A latent with the noise mask of both. Where one has no mask, it is denoised. In time, the
        mask must be the same for both, because it counts for all frames.
    Raises:
        InvalidValue: A latent is empty, or they differ in format, leftover noise, batch size or
            another side.
    """
    samples = [require_samples(first, "first"), require_samples(second, "second")]
    _check_format(first, second, "second")
    _check_leftovers(first, second, "second")
    if axis == "t" and samples[0].ndim != 5:
        raise InvalidValue(
            "the latent is not a video latent",
            port="axis",
            given="t",
            expected="x or y for images",
        )
    shapes = [tuple(item.movedim(_DIMS[axis], 0).shape[1:]) for item in samples]
    counts = {first.batch_size, second.batch_size}
    if shapes[0][1:] != shapes[1][1:] or len(counts - {1}) > 1:
        raise InvalidValue(
            f"the latents differ in more than the side along {axis}",
            port="second",
            given=f"{second.batch_size} of {_describe(second)}",
            expected=f"1 or {first.batch_size} of {_describe(first)}, except along {axis}",
            hint="Use ResizeLatent or CropLatent to give both the same size.",
        )

    def joined(of_first: Tensor, of_second: Tensor) -> Tensor:
        parts = [item.expand(max(counts), *item.shape[1:]) for item in (of_first, of_second)]
        return torch.cat(parts, _DIMS[axis])

    left, other = first.leftover, second.leftover
    if left is not None and other is not None:
        originals = left.original, other.original
        if any(known is not None for known in originals):
            # Where no part is kept, what stands for it is never looked at.
            pair = zip(originals, samples, strict=True)
            kept = joined(*(item if known is None else known for known, item in pair))
            left = Leftover(left.sigma, left.form, kept)
    whole = joined(*samples)
    larger = first if first.batch_size >= second.batch_size else second
    return replace(
        first,
        samples=whole,
        batch_size=max(counts),
        batch_index=larger.batch_index,
        width=first.width + (second.width if axis == "x" else 0),
        height=first.height + (second.height if axis == "y" else 0),
        frames=first.frames if axis != "t" else _frames_of(first, second, whole),
        noise_mask=_concatenated_mask(first, second, axis),
        leftover=left,
    )


def _frames_of(first: Latent, second: Latent, whole: Tensor) -> int:
    """Frames that the latent frames of both decode to."""
    name = first.format or second.format
    frames = int(whole.shape[2])
    return frames if name is None else get_latent_format(name).pixel_frames(frames)


def _concatenated_mask(first: Latent, second: Latent, axis: ConcatAxis) -> Tensor | None:
    masks = [mask_in_pixels(item) for item in (first, second)]
    if masks[0] is None and masks[1] is None:
        return None
    parts = [
        torch.ones(1, item.height, item.width) if mask is None else mask.float()
        for item, mask in zip((first, second), masks, strict=True)
    ]
    batch = max(map(len, parts))
    parts = [part.expand(batch, -1, -1) for part in parts]
    if axis != "t":
        return torch.cat(parts, _DIMS[axis])
    if not torch.equal(*parts):
        raise InvalidValue(
            "the noise masks differ, and a mask counts for all frames of a video",
            port="second",
            hint="Put SetNoiseMask after this node.",
        )
    return parts[0]


def take_items(latent: Latent, start: int, count: int) -> Latent:
    """Take consecutive items of a batch. They keep their noise seeds and leftover noise.

    Args:
        start: Index of the first, from 0; `start` + `count` is at most the batch size.
    """
    end = start + count
    samples, mask, left = latent.samples, latent.noise_mask, latent.leftover
    sound, heard = latent.sound, latent.sound_mask
    if left is not None and left.original is not None:
        left = replace(left, original=left.original[start:end])
    return replace(
        latent,
        leftover=left,
        samples=None if samples is None else samples[start:end],
        batch_size=count,
        noise_mask=mask if mask is None or len(mask) == 1 else mask[start:end],
        batch_index=latent.noise_indices[start:end],
        sound=sound if sound is None or len(sound) == 1 else sound[start:end],
        sound_mask=heard if heard is None or len(heard) == 1 else heard[start:end],
    )


def repeat_latent(latent: Latent, times: int) -> Latent:
    """A batch several times over; each time its items draw noise of their own."""
    places = latent.noise_indices
    step = max(places) - min(places) + 1
    index = None
    if latent.batch_index is not None:
        index = tuple(noise_index + step * turn for turn in range(times) for noise_index in places)
    mask, left = latent.noise_mask, latent.leftover
    if left is not None and left.original is not None:
        left = Leftover(left.sigma, left.form, left.original.repeat(times, *_ones(left.original)))
    samples, sound, heard = latent.samples, latent.sound, latent.sound_mask
    return replace(
        latent,
        samples=None if samples is None else samples.repeat(times, *_ones(samples)),
        sound=sound if sound is None or len(sound) == 1 else sound.repeat(times, 1, 1, 1),
        sound_mask=heard if heard is None or len(heard) == 1 else heard.repeat(times, 1),
        batch_size=latent.batch_size * times,
        noise_mask=mask if mask is None or len(mask) == 1 else mask.repeat(times, 1, 1),
        batch_index=index,
        leftover=left,
    )


def _ones(item: Tensor) -> list[int]:
    return [1] * (item.ndim - 1)


def blend_latents(first: Latent, second: Latent, share: float, method: MixingMethod) -> Latent:
    """Two latents in one.

    Args:
        share: Of the second: 0 is the first, 1 the second, to the last bit.
        method: ``linear`` is the mean; ``spherical`` goes along the arc between the two, each item
            taken as one vector, and so keeps the spread of noise.
    Raises:
        InvalidValue: One is empty, or they differ in size, format or the noise that is left.
    """

    def mix(first_samples: Tensor, second_samples: Tensor) -> Tensor:
        if method == "spherical":
            return slerp(
                first_samples, second_samples, share, axes=tuple(range(1, first_samples.ndim))
            )
        return torch.lerp(first_samples, second_samples, share)

    return _of_both(first, second, mix)


def add_latents(first: Latent, second: Latent, scale: float) -> Latent:
    """first + scale · second; errors as of `mixed`."""
    return _of_both(first, second, lambda x, y: x + scale * y)


def _of_both(first: Latent, second: Latent, work: Callable[[Tensor, Tensor], Tensor]) -> Latent:
    check_alike(first, second, port="second")
    first_samples, second_samples = (
        require_samples(first, "first"),
        require_samples(second, "second"),
    )
    larger = first if first.batch_size >= second.batch_size else second
    shape = (larger.batch_size, *first_samples.shape[1:])
    left = first.leftover
    if left is not None and left.original is not None and second.leftover is not None:
        kept = second.leftover.original
        original = left.original if kept is None else work(left.original, kept)
        left = Leftover(left.sigma, left.form, original)
    samples = work(first_samples.expand(shape), second_samples.expand(shape)).contiguous()
    mask = first.noise_mask
    if mask is None:
        mask = second.noise_mask
    return replace(
        first,
        samples=samples,
        batch_size=larger.batch_size,
        batch_index=larger.batch_index,
        noise_mask=mask,
        leftover=left,
    )


def composite_latents(
    destination: Latent,
    source: Latent,
    left: int,
    top: int,
    *,
    mask: Tensor | None = None,
    feather: int = 0,
) -> Latent:
    """A latent pasted into another. Where it isn't, no bit changes.

    Args:
        destination: If empty, all zeros.
        source: What of it lies beyond the destination is left out.
        left, top: Where its corner comes, in pixels, multiples of the cell's side.
        mask: 1 is the source, 0 the destination; (1 or batch, height, width), of the source's size.
        feather: Pixels over which it fades at those of its edges that lie within the destination.
    Raises:
        InvalidValue: The source is empty or of another format, or lies outside.
    """
    pasted, cell = require_samples(source, "source"), cell_side(source)
    check_cells(cell, x=left, y=top)
    base = _filled_like(destination, pasted, cell)
    _check_pastes(destination, source, base, pasted)
    x, y = left // cell, top // cell
    height = min(pasted.shape[-2], base.shape[-2] - y)
    width = min(pasted.shape[-1], base.shape[-1] - x)
    if height <= 0 or width <= 0:
        raise InvalidValue(
            "the source lies outside the destination",
            port="x" if width <= 0 else "y",
            given=f"at {left}, {top}",
            expected=f"within {destination.width} x {destination.height} pixels",
        )
    weight = _weight(source, pasted, mask)
    weight = weight * _fading(pasted.shape[-2:], base.shape[-2:], (y, x), feather / cell)
    weight = weight[..., :height, :width]
    weight = weight.unsqueeze(2) if base.ndim == 5 else weight
    batch = max(len(base), len(pasted), len(weight))
    whole = base.expand(batch, *base.shape[1:]).clone()
    there = whole[..., y : y + height, x : x + width]
    new = pasted[..., :height, :width]
    blended = torch.where(weight == 1, new, (1 - weight) * there + weight * new)
    whole[..., y : y + height, x : x + width] = torch.where(weight == 0, there, blended)
    larger = destination if destination.batch_size == batch else source
    return replace(
        destination,
        samples=whole,
        batch_size=batch,
        batch_index=larger.batch_index if larger.batch_size == batch else None,
        format=destination.format or source.format,
    )


def _filled_like(destination: Latent, pasted: Tensor, cell: int) -> Tensor:
    if destination.samples is not None:
        return destination.samples
    check_cells(cell, width=destination.width, height=destination.height)
    size = destination.height // cell, destination.width // cell
    return pasted.new_zeros(destination.batch_size, *pasted.shape[1:-2], *size)


def _check_pastes(destination: Latent, source: Latent, base: Tensor, pasted: Tensor) -> None:
    _check_format(destination, source, "source")
    _check_leftovers(destination, source, "source")
    alike = base.shape[1:-2] == pasted.shape[1:-2]
    if not alike or (1 not in (len(base), len(pasted)) and len(base) != len(pasted)):
        raise InvalidValue(
            "the two latents differ in batch size, channels or frames",
            port="source",
            given=f"shape {tuple(pasted.shape)}",
            expected=f"shape (1 or {len(base)}, {', '.join(map(str, base.shape[1:-2]))}, …)",
        )


def _weight(source: Latent, pasted: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.ones(1, 1, *pasted.shape[-2:])
    if mask.ndim != 3 or mask.shape[0] not in (1, source.batch_size):
        raise InvalidValue(
            "the mask has another batch size than the source",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {source.batch_size}, height, width)",
        )
    return mask_to_cells(mask.float(), pasted.shape[-2], pasted.shape[-1])


def _fading(
    shape: Sequence[int], whole: Sequence[int], position: tuple[int, int], cells: float
) -> Tensor:
    """How much a pasted part counts in each cell: less towards edges that have a neighbor."""
    weights = []
    for length, around, start in zip(shape, whole, position, strict=True):
        at = torch.arange(length) + 0.5
        weight = torch.ones(length)
        if cells and start > 0:
            weight = torch.minimum(weight, at / cells)
        if cells and start + length < around:
            weight = torch.minimum(weight, (length - at) / cells)
        weights.append(weight)
    return weights[0][:, None] * weights[1]


def require_samples(latent: Latent, port: str) -> Tensor:
    """The samples of a latent.

    Raises:
        InvalidValue: It is empty.
    """
    if latent.samples is None:
        raise InvalidValue(
            "the latent is empty: it has only a size",
            port=port,
            expected="a latent with content",
            hint="Link the latent of VAEEncode or of a sampler.",
        )
    return latent.samples


def check_alike(first: Latent, second: Latent, *, port: str, batch: bool = True) -> None:
    """Refuse latents that can't be put together.

    Args:
        port: Of the second.
        batch: Whether they must be as many, or one of them a single one.
    Raises:
        InvalidValue: They differ in size, format, frames or the noise that is left.
    """
    _check_format(first, second, port)
    _check_leftovers(first, second, port)
    sizes = [(item.width, item.height, item.frames) for item in (first, second)]
    if sizes[0] != sizes[1] or (first.samples is None) != (second.samples is None):
        raise InvalidValue(
            "the latents differ in size",
            port=port,
            given=_describe(second),
            expected=_describe(first),
            hint="Use ResizeLatent or CropLatent to give both the same size.",
        )
    counts = {first.batch_size, second.batch_size}
    if batch and len(counts - {1}) > 1:
        raise InvalidValue(
            "the latents differ in batch size",
            port=port,
            given=str(second.batch_size),
            expected=f"1 or {first.batch_size}",
        )


def _describe(latent: Latent) -> str:
    frames = f" of {latent.frames} frames" if latent.frames > 1 else ""
    empty = "an empty one of " if latent.samples is None else ""
    return f"{empty}{latent.width} x {latent.height} pixels{frames}"


def _check_format(first: Latent, second: Latent, port: str) -> None:
    if None not in (first.format, second.format) and first.format != second.format:
        raise InvalidValue(
            "the latents belong to different models",
            port=port,
            given=f"one of format {second.format}",
            expected=f"one of format {first.format}",
            hint="Decode one latent with its own VAE, then encode it with the VAE of the other.",
        )


def _check_leftovers(first: Latent, second: Latent, port: str) -> None:
    levels = [
        None if item.leftover is None else (item.leftover.sigma, item.leftover.form)
        for item in (first, second)
        if item.samples is not None
    ]
    if len(levels) == 2 and levels[0] != levels[1]:
        raise InvalidValue(
            "the latents have different amounts of noise left",
            port=port,
            given=_level(levels[1]),
            expected=_level(levels[0]),
            hint="Stop both samplings after the same step.",
        )


def _level(left: tuple[float, str] | None) -> str:
    return "none" if left is None else f"noise of sigma {left[0]:.4g}"


def with_sound(video: Latent, sound: Latent) -> Latent:
    """The latent of a video with the sound of another latent.

    Raises:
        InvalidValue: The second has no sound, or another batch size.
    """
    if sound.sound is None:
        raise InvalidValue(
            "this latent has no sound",
            port="sound",
            given="a latent of a video or an image",
            expected="a latent from VAEEncodeAudio or EmptyAudioLatent",
        )
    if len(sound.sound) not in (1, video.batch_size):
        raise InvalidValue(
            "the video and the sound differ in their number",
            port="sound",
            given=f"a batch of {len(sound.sound)}",
            expected=f"a batch of 1 or {video.batch_size}",
        )
    return replace(video, sound=sound.sound, sound_mask=sound.sound_mask)


def split_sound(latent: Latent) -> tuple[Latent, Latent]:
    """The latent of a video without its sound, and of the sound alone, which is empty if there is
    none."""
    alone = Latent(None, 0, 0, latent.batch_size, format=latent.format, sound=latent.sound)
    silent = replace(latent, sound=None, sound_mask=None)
    return silent, replace(alone, sound_mask=latent.sound_mask)


def with_noise_mask(latent: Latent, mask: Tensor) -> Latent:
    """A latent of which a mask keeps a part: of sound alone the part in time, from top to bottom.

    Args:
        mask: Float in 0..1, shape (1 or batch, height, width). 1 is denoised, 0 is kept.
    """
    if latent.sound is None or latent.width:
        return replace(latent, noise_mask=mask)
    rows = torch.nn.functional.interpolate(
        mask[:, None].float(), (latent.sound.shape[2], 1), mode="area"
    )
    return replace(latent, sound_mask=rows[:, 0, :, 0])
