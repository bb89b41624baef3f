"""Encode images, videos and sound as latents, and decode them and solids.

An autoencoder from `in_tiles` works on overlapping tiles that fade into each other. This bounds the
memory, and the result differs a little: layers normalize by the mean and variance of a tile
instead of the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.core.spatial_values import Mesh
from nodegraph.core.values import Audio, Latent
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.components import Autoencoder
from nodegraph.families.family_checks import (
    check_has_solids,
    check_is_image,
    check_one_sound,
    check_one_video,
    check_solid_size,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import get_latent_format
from nodegraph.media.audio.transforms import resample
from nodegraph.media.images.editing.pixel_formats import check_finite
from nodegraph.media.images.memory_checks import (
    ImageTooLarge,
    check_memory,
    check_views_memory,
    vae_bytes,
)
from nodegraph.media.images.tiles import TileSize, tiled
from nodegraph.models.attention import SlicedAttention

_SHADE = 1 / 255


def blank_warnings(images: Tensor) -> Iterator[str]:
    """What is to be said of decoded images that are of one color all over.

    Args:
        images: In 0..1, shape (batch, height, width, channels).
    """
    for index, picture in enumerate(images.flatten(1, 2)):
        darkest, brightest = picture.amin(0), picture.amax(0)
        if (brightest - darkest).max() >= _SHADE:
            continue
        colour = _NAMES.get(round(float(picture.mean()), 2), "of one color")
        which = "the image" if len(images) == 1 else f"image {index + 1} of {len(images)}"
        yield (
            f"{which} is {colour} all over. If this is not intended: lower cfg, use the "
            "model's own VAE, or load model and VAE with dtype float32, as some overflow in "
            "float16"
        )


_NAMES = {0.0: "black", 1.0: "white"}


def latent_format(autoencoder: Autoencoder) -> LatentFormat:
    """What it makes and reads."""
    return get_latent_format(autoencoder.family)


def downscale(autoencoder: Autoencoder) -> int:
    """Pixels per latent cell, along one side."""
    return latent_format(autoencoder).spatial


def in_tiles(autoencoder: Autoencoder, tile: int, overlap: int) -> Autoencoder:
    """The same autoencoder, to work on tiles of a size; as it is where `tile` is 0.

    Images that are no larger than a tile come out as without, to the last bit.

    Args:
        tile, overlap: In pixels, rounded to whole cells.
    Raises:
        InvalidValue: The overlap is more than half of a tile.
    """
    if not tile:
        return autoencoder
    cell = downscale(autoencoder)
    size = TileSize(max(1, round(tile / cell)), round(overlap / cell))
    if 2 * size.overlap > size.side:
        raise InvalidValue(
            "tiles overlap by more than half",
            port="overlap",
            given=f"{overlap} pixels",
            expected=f"at most {tile // 2}",
        )
    return replace(autoencoder, tiled=True, tiles=size)


def crop_to_cells(autoencoder: Autoencoder, pixels: Tensor) -> Tensor:
    """The middle of images, or of masks, that fills whole cells of an autoencoder.

    Of an odd number of pixels that are too many, the one more goes on the right or at the bottom.
    Sides below one cell are left as they are.

    Args:
        pixels: Shape (batch, height, width) or (batch, height, width, channels).
    """
    cell = downscale(autoencoder)
    for axis in (1, 2):
        surplus = pixels.shape[axis] % cell
        if surplus < pixels.shape[axis]:
            pixels = pixels.narrow(axis, surplus // 2, pixels.shape[axis] - surplus)
    return pixels


@torch.no_grad()
def encode_image(autoencoder: Autoencoder, image: Tensor) -> Latent:
    """Encode images deterministically: equal images give equal latents.

    The encoder predicts a normal distribution per cell; its mode is used, not a sample.
    Images are encoded one by one, so that the bits do not depend on the batch.

    Args:
        image: float32 in 0..1, shape (batch, height, width, 3), or 1 for gray ones; sides are
            multiples of `downscale`. With 4 channels, the last is alpha, if the latent format is
            `transparent`; without it, images are opaque.
    Returns:
        Samples scaled as the model was trained on, float32 on the CPU.
    Raises:
        InvalidValue: The shape is wrong; the error contains the nearest sizes that fit.
        TooLarge: It needs more memory than available, even in tiles.
        MemoryError: It needs more memory than available, and the autoencoder is not `tiled`.
        NumericalError: The image or the result has NaN or infinity.
    """
    _check_image(image, downscale(autoencoder), takes_alpha=latent_format(autoencoder).transparent)
    return _latent_of(autoencoder, image, with_frames=False)


@torch.no_grad()
def encode_video(autoencoder: Autoencoder, frames: Tensor, *, port: str = "video") -> Latent:
    """Encode a video deterministically; see `encode_image`.

    Args:
        frames: float32 in 0..1, shape (frames, height, width, 3), sides multiples of `downscale`,
            as many as the latent format's `nearest_frames` allows.
        port: Of errors.
    Returns:
        As `encode_image`, a batch of one.
    Raises:
        InvalidValue: The shape is wrong, or the VAE is an image VAE.
        TooLarge, MemoryError, NumericalError: As of `encode_image`.
    """
    takes_alpha = latent_format(autoencoder).transparent
    _check_image(frames, downscale(autoencoder), port, takes_alpha=takes_alpha)
    check_frames(autoencoder, len(frames), port=port)
    return _latent_of(autoencoder, frames, with_frames=True)


@torch.no_grad()
def encode_condition(autoencoder: Autoencoder, frames: Tensor) -> Tensor:
    """Encode an image or a video that a model takes beside the noise.

    Arguments and errors are those of `encode_video`. See `LatentFormat.encode_condition`.

    Returns:
        Latents, float32 on the CPU, shape (1, channels, frames, height, width).
    """
    _check_image(frames, downscale(autoencoder))
    check_frames(autoencoder, len(frames), port="image")
    samples = _latent_of(autoencoder, frames, with_frames=True, as_condition=True).samples
    assert samples is not None
    return samples


def _latent_of(
    autoencoder: Autoencoder, image: Tensor, *, with_frames: bool, as_condition: bool = False
) -> Latent:
    """The latent of images, or of a video with these frames."""
    pictures, height, width, _ = image.shape
    _check_size(autoencoder, width, height, pictures, layer=0, port="image")
    check_finite(image, "video" if with_frames else "image")
    # Contiguous, as convolutions may give other last bits for other strides.
    colored = _with_colors(image, with_alpha=latent_format(autoencoder).transparent)
    scaled = (colored.movedim(-1, 1) * 2 - 1).contiguous().to(autoencoder.device, autoencoder.dtype)
    if with_frames:
        items = [scaled.movedim(0, 1)[None]]
    else:
        items = [_with_frame(autoencoder, item[None]) for item in scaled]
    samples = torch.cat([_encoded(autoencoder, item, as_condition) for item in items])
    # Contiguous, as they are when they are read from the cache: what follows computes in the order
    # of memory, and other orders give other last bits.
    samples = samples.to("cpu", torch.float32).contiguous()
    _check_finite(samples, "encoding produced NaN or infinity")
    frames = pictures if with_frames else 1
    return Latent(samples, width, height, len(samples), format=autoencoder.family, frames=frames)


@torch.no_grad()
def decode_latent(autoencoder: Autoencoder, latent: Latent) -> Tensor:
    """Decode latents to images.

    Latents are decoded one by one: this limits the memory, and an image's bits do not depend on
    the batch.

    Returns:
        float32 in 0..1 on the CPU, shape (batch, height, width, 3), or 4 channels with alpha if
        the latent format is `transparent`.
    Raises:
        InvalidValue: The latent is empty, or has another format than the VAE.
        TooLarge: It needs more memory than available, even in tiles.
        MemoryError: It needs more memory than available, and the autoencoder is not `tiled`.
        NumericalError: The latent or the result has NaN or infinity.
    """
    samples = check_latent(autoencoder, latent)
    if samples.ndim == 5 and samples.shape[2] > 1:
        check_is_image(latent.frames)
    images = _pictures_of(autoencoder, samples)
    images = images.squeeze(2) if images.ndim == 5 else images
    return images.movedim(1, -1).contiguous()


@torch.no_grad()
def decode_video(autoencoder: Autoencoder, latent: Latent) -> Tensor:
    """Decode a latent to the frames of a video.

    Args:
        latent: A batch of one.
    Returns:
        float32 in 0..1 on the CPU, shape (frames, height, width, 3).
    Raises:
        InvalidValue: The latent is empty, holds several videos, is not a video latent, or has
            another format than the VAE.
        TooLarge, MemoryError, NumericalError: As of `decode_latent`.
    """
    samples = check_latent(autoencoder, latent)
    if samples.ndim != 5:
        raise _no_videos(autoencoder)
    check_one_video(len(samples))
    return _pictures_of(autoencoder, samples)[0].movedim(0, -1).contiguous()


@torch.no_grad()
def decode_sound(autoencoder: Autoencoder, latent: Latent) -> Audio:
    """Decode the sound of a latent.

    Args:
        latent: A batch of one, with sound or of sound alone.
    Returns:
        A waveform of the vocoder's rate.
    Raises:
        InvalidValue: The latent has no sound or several, or the VAE has another format or no parts
            for sound.
        NumericalError: The latent or the result has NaN or infinity.
    """
    latents = latent_format(autoencoder)
    sound = latent.samples if latents.is_sound else latent.sound
    check_one_sound(0 if sound is None else len(sound))
    assert sound is not None
    _check_format(autoencoder, latent)
    _check_finite(sound, "the latent has NaN or infinity", port="latent")
    placed = sound.to(autoencoder.device)
    waveform, rate = latents.decode_sound(autoencoder.modules, placed)
    waveform = waveform[0].to("cpu", torch.float32).contiguous()
    _check_finite(waveform, "decoding produced NaN or infinity")
    return Audio(waveform, rate)


@torch.no_grad()
def decode_views(
    autoencoder: Autoencoder,
    latent: Latent,
    *,
    views: int,
    size: int,
    on_progress: Callable[[float], None],
) -> Tensor:
    """Render the solids of a latent from cameras around them; see `LatentFormat.decode_views`.

    Returns:
        float32 in 0..1 on the CPU, shape (batch * views, size, size, 3), solid after solid.
    Raises:
        InvalidValue: The latent is empty or has another format or size, or the VAE decodes no
            solids.
        TooLarge: The views do not fit in memory.
        NumericalError: The latent or the result has NaN or infinity.
    """
    samples = _solids(autoencoder, latent)
    check_views_memory(size, views * len(samples))
    images = [
        latent_format(autoencoder).decode_views(
            autoencoder.module, item, views, size, _share_of(on_progress, index, len(samples))
        )
        for index, item in enumerate(samples)
    ]
    joined = torch.cat(images).clamp(0, 1)
    _check_finite(joined, "decoding produced NaN or infinity")
    return joined


@torch.no_grad()
def decode_meshes(
    autoencoder: Autoencoder, latent: Latent, *, grid: int, on_progress: Callable[[float], None]
) -> list[Mesh]:
    """The surfaces of the solids of a latent; see `LatentFormat.decode_mesh`.

    Returns:
        A mesh for each solid that has a surface.
    Raises:
        InvalidValue: As of `decode_views`, or none has a surface.
        NumericalError: The latent or the distances from a surface have NaN or infinity.
    """
    samples = _solids(autoencoder, latent)
    meshes = [
        latent_format(autoencoder).decode_mesh(
            autoencoder.module, item, grid, _share_of(on_progress, index, len(samples))
        )
        for index, item in enumerate(samples)
    ]
    closed = [mesh for mesh in meshes if mesh is not None]
    if not closed:
        raise InvalidValue(
            "no solid has an interior",
            port="latent",
            given=f"{len(samples)} solids",
            hint="Sample with more steps, or with a cfg of 3 to 15.",
        )
    return closed


def _solids(autoencoder: Autoencoder, latent: Latent) -> Tensor:
    """The samples of a latent of solids, where its VAE computes."""
    formats = latent_format(autoencoder)
    check_has_solids(formats)
    samples = check_latent(autoencoder, latent)
    height, width = (side * downscale(autoencoder) for side in samples.shape[-2:])
    check_solid_size(formats, width, height)
    _check_finite(samples, "the latent has NaN or infinity", port="latent")
    return samples.to(autoencoder.device, autoencoder.dtype)


def _share_of(
    on_progress: Callable[[float], None], index: int, count: int
) -> Callable[[float], None]:
    """What takes the finished share of one of several items."""
    return lambda share: on_progress((index + share) / count)


@torch.no_grad()
def encode_sound(autoencoder: Autoencoder, audio: Audio) -> Latent:
    """Encode audio deterministically, as `encode_image` encodes images.

    Args:
        audio: Of any rate; mono counts as both channels.
    Returns:
        A latent of sound alone.
    Raises:
        InvalidValue: There are more than two channels, or the VAE has no parts for sound.
        NumericalError: The audio or the result has NaN or infinity.
    """
    channels = len(audio.waveform)
    if channels > 2 or not audio.waveform.numel():
        raise InvalidValue(
            "the VAE encodes mono and stereo sound",
            port="audio",
            given=f"{channels} channels" if audio.waveform.numel() else "no samples",
            expected="1 or 2 channels",
        )
    _check_finite(audio.waveform, "the audio has NaN or infinity", port="audio")
    latents = latent_format(autoencoder)
    resampled = resample(audio, latents.sound_rate(autoencoder.modules))
    waveform = resampled.waveform.expand(2, -1)[None].to(autoencoder.device)
    sound = latents.encode_sound(autoencoder.modules, waveform)
    sound = sound.to("cpu", torch.float32).contiguous()
    _check_finite(sound, "encoding produced NaN or infinity")
    if latents.is_sound:
        return Latent(sound, sound.shape[3], sound.shape[2], 1, format=autoencoder.family)
    return Latent(None, 0, 0, 1, format=autoencoder.family, sound=sound)


def encode_reference(autoencoder: Autoencoder, audio: Audio) -> Latent:
    """The latent of sound whose timbre music is to get; see `LatentFormat.reference_part`.

    Raises:
        InvalidValue, NumericalError: As of `encode_sound`.
    """
    latents = latent_format(autoencoder)
    resampled = resample(audio, latents.sound_rate(autoencoder.modules))
    part = latents.reference_part(resampled.waveform, resampled.rate)
    return encode_sound(autoencoder, Audio(part, resampled.rate))


def encode_silence(autoencoder: Autoencoder) -> Latent:
    """The latent of a short silence; errors as of `encode_sound`."""
    latents, modules = latent_format(autoencoder), autoencoder.modules
    silence = torch.zeros(2, latents.silent_samples(modules))
    return encode_sound(autoencoder, Audio(silence, latents.sound_rate(modules)))


def _pictures_of(autoencoder: Autoencoder, samples: Tensor) -> Tensor:
    """What latents stand for in 0..1, channels first; float32 on the CPU."""
    height, width = (side * downscale(autoencoder) for side in samples.shape[-2:])
    frames = latent_format(autoencoder).pixel_frames(samples.shape[2]) if samples.ndim == 5 else 1
    pictures = len(samples) * frames
    _check_size(autoencoder, width, height, pictures, layer=1, port="latent")
    _check_finite(samples, "the latent has NaN or infinity", port="latent")
    samples = samples.contiguous().to(autoencoder.device, autoencoder.dtype)
    images = torch.cat([_decoded(autoencoder, item[None]) for item in samples])
    images = (images * 0.5 + 0.5).clamp(0, 1).to("cpu", torch.float32)
    _check_finite(images, "decoding produced NaN or infinity")
    return images


def _with_colors(image: Tensor, *, with_alpha: bool) -> Tensor:
    """Images with three channels, or with four; an alpha that they lack is 1."""
    if not with_alpha:
        return image.expand(*image.shape[:-1], 3)
    if image.shape[-1] == 4:
        return image
    colored = image.expand(*image.shape[:-1], 3)
    return torch.cat([colored, torch.ones_like(colored[..., :1])], -1)


def _with_frame(autoencoder: Autoencoder, picture: Tensor) -> Tensor:
    """An image as the autoencoder takes it: those of videos take videos of one frame."""
    return picture.unsqueeze(2) if latent_format(autoencoder).temporal else picture


def _encoded(autoencoder: Autoencoder, picture: Tensor, as_condition: bool = False) -> Tensor:
    formats = latent_format(autoencoder)
    encode_part = formats.encode_condition if as_condition else formats.encode

    def encode(part: Tensor) -> Tensor:
        return encode_part(autoencoder.module, part.contiguous())

    if not autoencoder.tiled or _is_one_tile(autoencoder, picture, downscale(autoencoder)):
        return encode(picture)
    with SlicedAttention():
        return tiled(picture, encode, cells=downscale(autoencoder), out=1, tiles=autoencoder.tiles)


def _decoded(autoencoder: Autoencoder, latent: Tensor) -> Tensor:
    def decode(part: Tensor) -> Tensor:
        return latent_format(autoencoder).decode(autoencoder.module, part.contiguous())

    if not autoencoder.tiled or _is_one_tile(autoencoder, latent, 1):
        return decode(latent)
    with SlicedAttention():
        return tiled(latent, decode, cells=1, out=downscale(autoencoder), tiles=autoencoder.tiles)


def _is_one_tile(autoencoder: Autoencoder, pixels: Tensor, cells: int) -> bool:
    """Whether what is given is no larger than a tile that was asked for."""
    tiles = autoencoder.tiles
    return tiles is not None and max(pixels.shape[-2:]) // cells <= tiles.side


def check_frames(autoencoder: Autoencoder, frames: int, *, port: str) -> None:
    """Refuse numbers of frames that an autoencoder can't work on.

    Raises:
        InvalidValue: Says the nearest ones that it can.
    """
    latents = latent_format(autoencoder)
    if not latents.temporal:
        raise _no_videos(autoencoder)
    nearest = latents.nearest_frames(frames)
    if frames not in nearest:
        raise InvalidValue(
            f"the VAE takes videos of {latents.frame_rule} frames",
            port=port,
            given=f"{frames} frames",
            expected=" or ".join(map(str, nearest)),
        )


def _no_videos(autoencoder: Autoencoder) -> InvalidValue:
    return InvalidValue(
        "the VAE is an image VAE, not a video VAE",
        port="vae",
        given=f"one of format {autoencoder.family}",
        hint="Use the VAE of a video model.",
    )


def _check_image(
    image: Tensor, factor: int, port: str = "image", *, takes_alpha: bool = False
) -> None:
    channels = (1, 3, 4) if takes_alpha else (1, 3)
    if image.ndim != 4 or image.shape[-1] not in channels or 0 in image.shape:
        raise InvalidValue(
            "this is not a batch of RGB images",
            port=port,
            given=f"shape {tuple(image.shape)}",
            expected="(batch, height, width, 3)",
            hint="FlattenImage puts transparent images onto a color."
            if image.ndim == 4 and image.shape[-1] == 4
            else None,
        )
    height, width = image.shape[1:3]
    if height % factor or width % factor:
        raise InvalidValue(
            "the sides of the image are not multiples of the VAE's cell size",
            port=port,
            given=f"{width} x {height} pixels",
            expected=f"multiples of {factor}, for example {_nearest_multiple(width, factor)} x "
            f"{_nearest_multiple(height, factor)}",
            hint="Put a ResizeImage before this node.",
        )


def _check_size(
    autoencoder: Autoencoder, width: int, height: int, pictures: int, *, layer: int, port: str
) -> None:
    """Refuse what there isn't memory for; of an accelerator only its driver knows.

    Args:
        layer: The layer at full size that holds most, of those whose widths the model names.
    """
    check_memory(width, height, pictures, vae_bytes(width, height, pictures), port=port)
    widths = autoencoder.config.get("block_out_channels")
    if autoencoder.tiled or not widths or autoencoder.device.type != "cpu":
        return
    if latent_format(autoencoder).temporal:
        # Nothing is at full size in them but the images.
        return
    needed = vae_bytes(
        width,
        height,
        pictures,
        channels=widths[min(layer, len(widths) - 1)],
        item=autoencoder.dtype.itemsize,
    )
    try:
        check_memory(width, height, pictures, needed, port=port)
    except ImageTooLarge as error:
        # Whoever runs this may do it in tiles then, as where the system refuses memory.
        raise MemoryError(str(error)) from error


def _nearest_multiple(side: int, factor: int) -> int:
    """The nearest multiple, the smaller of two that are equally near."""
    return max(1, -(-(2 * side - factor) // (2 * factor))) * factor


def check_latent(autoencoder: Autoencoder, latent: Latent) -> Tensor:
    """The samples of a latent that an autoencoder decodes.

    Raises:
        InvalidValue: It is empty, or has another format than the VAE.
    """
    samples = latent.samples
    if samples is None:
        raise InvalidValue(
            "the latent is empty: it has only a size",
            expected="a latent with content",
            hint="Sample it first, with KSampler.",
        )
    _check_format(autoencoder, latent)
    latents = latent_format(autoencoder)
    channels = latents.latent_channels(autoencoder.config)
    axes = 5 if latents.temporal else 4
    if samples.ndim != axes or samples.shape[1] != channels or 0 in samples.shape:
        raise InvalidValue(
            "the latent does not fit the VAE",
            given=f"shape {tuple(samples.shape)}",
            expected=f"(batch, {channels}, {'frames, ' if latents.temporal else ''}"
            f"height / {downscale(autoencoder)}, width / {downscale(autoencoder)})",
        )
    return samples


def _check_format(autoencoder: Autoencoder, latent: Latent) -> None:
    if latent.format is not None and latent.format != autoencoder.family:
        raise InvalidValue(
            "the VAE has another latent format",
            given=f"a latent of format {latent.format}",
            expected=f"one of format {autoencoder.family}",
            hint="Use the VAE of the model that sampled the latent.",
        )


def _check_finite(values: Tensor, message: str, port: str | None = None) -> None:
    if not torch.isfinite(values).all():
        hint = "Load the model with dtype float32, or lower cfg."
        raise NumericalError(message, port=port, hint=hint)
