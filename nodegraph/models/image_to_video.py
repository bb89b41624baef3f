"""Condition video models on first and last frames, or on control videos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning, FrameGuide, Latent, Video
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.components import Autoencoder, Component, TextModel
from nodegraph.families.family_checks import (
    check_first_images,
    check_frame_inside,
    check_free_frame,
    check_starts_with_image,
    check_takes_control_videos,
    check_takes_last_image,
    check_vae_format,
)
from nodegraph.families.frame_steps import FrameForcing
from nodegraph.families.image_conditioning import (
    CONDITION_CLIP,
    CONDITION_VIDEO,
    CONTROL_LATENTS,
    FIRST_FRAME,
    IMAGE_EMBEDS,
    LAST_FRAME,
    LAST_LATENT,
    REFERENCE_LATENT,
    VACE_CONTEXT,
    VACE_STRENGTH,
    MediaCondition,
    condition_tensors,
)
from nodegraph.families.item_family import item_conditioning
from nodegraph.families.items.motions import (
    FORMAT,
    FRAMES,
    FRAMES_PER_SECOND,
    MOTIONS,
    PICTURE,
    SIDE,
    Motion,
    check_amount,
    check_latents,
    frames_to_tokens,
    tokens_to_frames,
)
from nodegraph.families.registry import family_with_vae, get_family
from nodegraph.media.images.images import to_pil
from nodegraph.media.images.resizing import resize_image
from nodegraph.models.ip_adapters.image_prompts import embed_images, patch_states
from nodegraph.models.vae import (
    check_frames,
    decode_latent,
    downscale,
    encode_condition,
    encode_image,
    encode_video,
    latent_format,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Autoencoder


def motion_conditioning(
    autoencoder: Autoencoder, image: Tensor, motion: Motion | None, amount: float | None
) -> Conditioning:
    """What sets an image in motion; that which leaves motion and amount open has the same image.

    Args:
        autoencoder: The embedded model's.
        image: float32 in 0..1, shape (1, height, width, 3); its middle is scaled to a frame.
        motion: None is left open.
        amount: How far it goes, LEAST_AMOUNT to 1; None is left open.
    Raises:
        InvalidValue: There are several images, the amount is out of range, or the autoencoder is
            another.
    """
    _check_motion_vae(autoencoder)
    if image.shape[0] != 1:
        raise InvalidValue(
            "a video starts with one image",
            port="image",
            given=f"{image.shape[0]} images",
            expected="1",
            hint="ImageList splits a batch: the nodes after it run once per image.",
        )
    if amount is not None:
        check_amount(amount)
    frame = resize_image(image, SIDE, SIDE, method="area", fit="crop")
    samples = encode_image(autoencoder, frame).samples
    assert samples is not None
    kind = None if motion is None else MOTIONS.index(motion)
    picture = frames_to_tokens(samples[:, None])
    return item_conditioning("motions", (kind,), (amount,), {PICTURE: picture})


def decode_videos(autoencoder: Autoencoder, items: Tensor) -> list[Video]:
    """The videos that a model's tokens are of.

    Args:
        autoencoder: As of `motion_conditioning`.
        items: Shape (batch, 256, 32).
    """
    _check_motion_vae(autoencoder)
    return [_video(autoencoder, samples) for samples in tokens_to_frames(items)]


def _video(autoencoder: Autoencoder, samples: Tensor) -> Video:
    frames = decode_latent(autoencoder, Latent(samples, SIDE, SIDE, FRAMES, format=FORMAT))
    return Video(frames, Fraction(FRAMES_PER_SECOND))


def _check_motion_vae(autoencoder: Autoencoder) -> None:
    channels = latent_format(autoencoder).latent_channels(autoencoder.config)
    check_latents(autoencoder.family, channels, downscale(autoencoder))


_GREY = 0.5
"""What the film shows after its first image: 0 where images are in -1..1."""


@torch.no_grad()
def encode_first_frame(
    autoencoder: Autoencoder,
    conditioning: Conditioning,
    image: Tensor,
    frames: int,
    last: Tensor | None = None,
    *,
    as_film: bool = False,
) -> dict[str, Tensor]:
    """The first image of a video, and the last one, as the conditioning's family takes them.

    Args:
        autoencoder: Of the model.
        image: float32 in 0..1, shape (1, height, width, 3), of the video's size. Of families that
            continue videos, several frames: as many as the VAE takes, and fewer than `frames`. Of
            families that edit videos, any number: those beyond `frames`, and those that the VAE
            cannot encode, are left out.
        frames: Of the video.
        last: As `image`; None leaves the end open.
        as_film: Whether models of families that take a frame or a film take a film.
    Returns:
        Tensors for the prompts, by name.
    Raises:
        InvalidValue: The family makes no videos of images or of last ones, there are several
            images, they differ in size, or the VAE can't work on that size or number of frames.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    family = _family_of(conditioning, autoencoder)
    _check(family, autoencoder, image, frames)
    if last is not None:
        _check_last(family, image, last, frames)
    check_frames(autoencoder, frames, port="frames")
    if family.first_picture == "keyframes":
        shown = {0: image} if last is None else {0: image, frames - 1: last}
        return condition_tensors(
            [
                MediaCondition(encode_condition(autoencoder, each), frame=at)
                for at, each in shown.items()
            ]
        )
    if family.first_picture in ("clip", "still"):
        count = latent_format(autoencoder).nearest_frames(min(len(image), frames))[0]
        return {CONDITION_CLIP: encode_condition(autoencoder, image[:count])}
    if last is not None and isinstance(family, FrameForcing):
        return {
            FIRST_FRAME: _encoded(autoencoder, image, "image"),
            LAST_LATENT: _encoded(autoencoder, last, "last_image"),
        }
    is_film = family.first_picture == "film" or (as_film and family.inpaint_models)
    if not is_film and last is None:
        return {FIRST_FRAME: _encoded(autoencoder, image, "image")}
    ends = [] if last is None else [last]
    padding = torch.full((frames - 1 - len(ends), *image.shape[1:]), _GREY)
    whole = torch.cat([image, padding, *ends])
    film = {CONDITION_VIDEO: _encoded(autoencoder, whole, "image")}
    if family.first_picture == "frame":
        # Such models keep the first frame, too. The VAE encodes it without the later ones.
        film[FIRST_FRAME] = film[CONDITION_VIDEO][:, :, :1].contiguous()
    return film if last is None else {**film, LAST_FRAME: torch.ones(1)}


@torch.no_grad()
def with_frame_guide(
    autoencoder: Autoencoder,
    latent: Latent,
    images: Tensor,
    frame: int,
    strength: float,
    *,
    append: bool = False,
) -> Latent:
    """A latent with one guide more.

    Args:
        autoencoder: Of the model that samples the latent.
        latent: Of a video, or the size of one.
        images: One image, or the frames of a clip, float32 in 0..1, shape (frames, height, width,
            3). They are scaled to the size of the video and cropped. Frames beyond the end of the
            video are left out, and so are those that the VAE cannot encode.
        frame: Frame of the video that the guide begins at. Negative: from the end. A clip begins at
            0 or a multiple of the VAE's temporal factor plus 1.
        strength: As of `FrameGuide`.
        append: Whether a guide at frame 0, too, is added beside the video.
    Raises:
        InvalidValue: The frame is outside of the video, or the VAE is for another latent.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    formats = latent_format(autoencoder)
    if not formats.temporal or latent.format not in (None, formats.name):
        raise InvalidValue(
            "the VAE does not fit the latent, or it is not for videos",
            port="vae",
            given=f"a VAE of format {formats.name}",
            expected="the VAE of the model that samples the latent",
        )
    start = frame_position(frame, latent)
    step = formats.temporal
    if len(images) > 1 and start:
        start = (start - 1) // step * step + 1
    if start or not append:
        # At frame 0, several control videos may be beside the video.
        taken = {item.frame for item in latent.guides if item.frame or not item.is_appended}
        check_free_frame(start, taken, what="guide")
    count = (min(len(images), latent.frames - start) - 1) // step * step + 1
    size = latent.width, latent.height
    clip = resize_image(images[:count], *size, method="bilinear", fit="crop")
    samples = _encoded(autoencoder, clip)
    guide = FrameGuide(samples, start, count, strength, append or start > 0)
    return replace(latent, guides=(*latent.guides, guide))


@torch.no_grad()
def embed_first_frame(
    text_model: TextModel, image: Tensor, last: Tensor | None = None
) -> dict[str, Tensor]:
    """What a model's image encoder sees in an image; see `patch_states`.

    Args:
        image, last: As of `encode_first_frame`. The tokens of the last follow those of the first.
    Raises:
        InvalidValue: The model comes without one.
    """
    if "image_encoder" not in text_model.modules:
        raise InvalidValue(
            "the model has no image encoder",
            port="encoder",
            hint="Models of Wan 2.2 and LTX-Video need none: leave it unlinked. For Wan 2.1, link "
            "a LoadImageEncoder with clip_vision_h as image_encoder, or choose that file in "
            "LoadTextEncoder, too. For HunyuanVideo 1.5 it is sigclip_vision_patch14_384. Of "
            "HunyuanVideo I2V, EncodeEditPrompt shows the image to the text encoder.",
        )
    eye = text_model.modules["image_encoder"]
    family = get_family(text_model.family)
    at = [part.role for part in family.encoders].index("image_encoder")
    prepare = text_model.tokenizers[family.tokenizers[at].role]
    images = [to_pil(each) for each in (image, last) if each is not None]
    pixels = prepare(images=images, return_tensors="pt")["pixel_values"]
    states = patch_states(eye, pixels.to(eye.device, eye.dtype))
    return _one_after_the_other(states.to("cpu", torch.float32))


def embed_first_frame_alone(
    encoder: Component, image: Tensor, last: Tensor | None = None
) -> dict[str, Tensor]:
    """As `embed_first_frame`, by an image encoder from a file of its own."""
    images = torch.cat([each for each in (image, last) if each is not None])
    states, _ = embed_images(encoder, images, reads_patches=True)
    return _one_after_the_other(states[0])


def _one_after_the_other(states: Tensor) -> dict[str, Tensor]:
    return {IMAGE_EMBEDS: states.reshape(1, -1, states.shape[-1])}


@dataclass(frozen=True, slots=True)
class ControlVideo:
    """What Wan VACE generates a video from, beside the prompt.

    Attributes:
        width, height: Of the video, in pixels.
        frames: Of the video.
        video: float32 in 0..1, shape (frames, height, width, 3). Frames after its end are gray.
        masks: In 0..1, shape (frames, height, width): above a half, the frame is generated anew,
            else kept. Without masks, and after their end, it is generated.
        references: float32 in 0..1, shape (images, height, width, 3), of any size.
        strength: Factor of what the control layers add.
    """

    width: int
    height: int
    frames: int
    video: Tensor | None = None
    masks: Tensor | None = None
    references: Tensor | None = None
    strength: float = 1.0


@torch.no_grad()
def encode_vace(
    autoencoder: Autoencoder, conditioning: Conditioning, control: ControlVideo
) -> dict[str, Tensor]:
    """What Wan VACE takes of a control video, its masks and reference images.

    Source: Jiang et al. 2025, arXiv:2503.07598; diffusers' ``WanVACEPipeline``.

    Args:
        autoencoder: Of the model.
        conditioning: The prompt.
    Returns:
        Tensors for the prompts, by name. Each reference image is a latent frame before the others.
    Raises:
        InvalidValue: The family takes no control videos, sizes differ, or the VAE can't work on
            that size or number of frames.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    _check_controlled(conditioning, autoencoder, control.frames)
    video = _filled(control, control.video, "video", _GREY, (3,))
    masks = _filled(control, control.masks, "mask", 1.0, ())
    # Through -1..1 and back, which rounds as the pipeline does.
    masks = ((masks * 2 - 1 + 1) / 2).clamp(0, 1)
    generated = (masks > 0.5)[..., None]
    kept, replaced = (
        _encoded(autoencoder, torch.where(hidden, _GREY, video))
        for hidden in (generated, ~generated)
    )
    pixels_per_cell = downscale(autoencoder)
    cells = _masks_by_cell(masks, pixels_per_cell, kept.shape[2])
    context = torch.cat([kept, replaced, cells], 1)
    for image in () if control.references is None else control.references:
        reference = _encoded(autoencoder, _on_canvas(image, control.width, control.height))
        padding = context.new_zeros(1, context.shape[1] - reference.shape[1], *reference.shape[2:])
        context = torch.cat([torch.cat([reference, padding], 1), context], 2)
    return {VACE_CONTEXT: context, VACE_STRENGTH: torch.tensor([control.strength])}


@torch.no_grad()
def encode_control_video(
    autoencoder: Autoencoder,
    conditioning: Conditioning,
    video: Tensor,
    frames: int,
    image: Tensor | None = None,
    reference: Tensor | None = None,
) -> dict[str, Tensor]:
    """What a Fun control model takes of a control video, a first and a reference image.

    Source: https://github.com/aigc-apps/VideoX-Fun.

    Args:
        autoencoder: Of the model.
        conditioning: The prompt.
        video: float32 in 0..1, shape (frames, height, width, 3), of the video's size. Of a shorter
            one, the latent frames after its end are zeros.
        frames: Of the video.
        image: The first image, shape (1, height, width, 3); of Wan alone.
        reference: An image of what the video shows, as `image`.
    Returns:
        Tensors for the prompts, by name.
    Raises:
        InvalidValue: The family takes no control videos, or no images with them, sizes differ, or
            the VAE can't work on that size or number of frames.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    _check_controlled(conditioning, autoencoder, frames)
    family = get_family(conditioning.family or "")
    for port, shown in (("image", image), ("reference", reference)):
        if shown is not None and family.first_picture == "clip":
            # Beside the noise there are channels for the control video alone.
            raise InvalidValue(
                f"{family.title} follows a control video without images",
                port=port,
                hint=f"Remove the link of `{port}`.",
            )
        if shown is not None and shown.shape != (1, *video.shape[1:]):
            raise InvalidValue(
                f"the {'first' if port == 'image' else port} image and the control video differ "
                "in size, or there are several images",
                port=port,
                given=f"{shown.shape[0]} of {shown.shape[2]} x {shown.shape[1]} pixels",
                expected=f"1 of {video.shape[2]} x {video.shape[1]} pixels",
                hint="Use ResizeImage before this node.",
            )
    formats = latent_format(autoencoder)
    count = formats.nearest_frames(min(len(video), frames))[0]
    control = _encoded(autoencoder, video[:count])
    cells = formats.latent_frames(frames)
    latents = control.new_zeros(*control.shape[:2], cells, *control.shape[3:])
    latents[:, :, : control.shape[2]] = control
    tensors = {CONTROL_LATENTS: latents}
    if image is not None:
        tensors |= encode_first_frame(autoencoder, conditioning, image, frames, as_film=True)
    if reference is not None:
        tensors[REFERENCE_LATENT] = _encoded(autoencoder, reference)
    return tensors


def _check_controlled(conditioning: Conditioning, autoencoder: Autoencoder, frames: int) -> None:
    family = get_family(conditioning.family or "")
    check_takes_control_videos(family)
    check_vae(family, autoencoder)
    check_frames(autoencoder, frames, port="frames")


def _filled(
    control: ControlVideo, source: Tensor | None, port: str, value: float, channels: tuple[int, ...]
) -> Tensor:
    """Frames or masks cut to the length of the video, or continued with a value.

    Raises:
        InvalidValue: They have another size than the video.
    """
    size = control.height, control.width
    if source is None:
        return torch.full((control.frames, *size, *channels), value)
    if source.shape[1:3] != size:
        raise InvalidValue(
            "the control video and its masks must have the size of the video",
            port=port,
            given=f"{source.shape[2]} x {source.shape[1]} pixels",
            expected=f"{control.width} x {control.height} pixels",
            hint=f"Put a {'ResizeMask' if port == 'mask' else 'ResizeImage'} before this node.",
        )
    kept = source[: control.frames].to(torch.float32)
    missing = torch.full((control.frames - len(kept), *kept.shape[1:]), value)
    return torch.cat([kept, missing])


def _masks_by_cell(masks: Tensor, cell: int, frames: int) -> Tensor:
    """Masks with a channel for each pixel of a cell, of the latent frames nearest in time.

    Args:
        masks: Shape (frames, height, width).
        cell: Pixels along a cell's side.
        frames: Latent frames.
    Returns:
        Shape (1, cell * cell, frames, rows, columns).
    """
    rows, columns = masks.shape[1] // cell, masks.shape[2] // cell
    pixels = masks.reshape(len(masks), rows, cell, columns, cell).permute(2, 4, 0, 1, 3)
    size = (frames, rows, columns)
    return functional.interpolate(pixels.flatten(0, 1)[None], size=size, mode="nearest-exact")


def _on_canvas(image: Tensor, width: int, height: int) -> Tensor:
    """A reference image scaled to fit into the video, in the middle of a white frame.

    Args:
        image: Shape (height, width, 3), in 0..1.
    Returns:
        float64 in 0..1, shape (1, height, width, 3).
    """
    scale = min(height / image.shape[0], width / image.shape[1])
    rows, columns = int(image.shape[0] * scale), int(image.shape[1] * scale)
    pixels = (image[..., :3].movedim(-1, 0) * 2 - 1)[None].contiguous()
    scaled = functional.interpolate(pixels, size=(rows, columns), mode="bilinear")
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas = torch.ones(1, height, width, 3, dtype=torch.float64)
    # Scaled in -1..1 as in the pipeline. float64 brings the same numbers back to the encoder.
    canvas[:, top : top + rows, left : left + columns] = (scaled.double().movedim(1, -1) + 1) / 2
    return canvas


def _encoded(autoencoder: Autoencoder, frames: Tensor, port: str = "video") -> Tensor:
    samples = encode_video(autoencoder, frames, port=port).samples
    assert samples is not None
    return samples


def _family_of(conditioning: Conditioning, autoencoder: Autoencoder) -> Family:
    """As `family_with_vae`, by a prompt and an autoencoder."""
    return family_with_vae(get_family(conditioning.family or ""), autoencoder.family)


def _check(family: Family, autoencoder: Autoencoder, image: Tensor, frames: int) -> None:
    check_starts_with_image(family)
    check_vae(family, autoencoder)
    check_first_images(family, len(image), frames)


def frame_position(frame: int, latent: Latent) -> int:
    """A frame of a video from 0, for one that may count from the end.

    Raises:
        InvalidValue: On port ``frame``: the video has no such frame.
    """
    return check_frame_inside(frame, latent.frames)


def check_vae(family: Family, autoencoder: Autoencoder) -> None:
    """Refuse a VAE of another format than the family's.

    Raises:
        InvalidValue: On port ``vae``.
    """
    check_vae_format(family, autoencoder.family)


def _check_last(family: Family, image: Tensor, last: Tensor, frames: int) -> None:
    check_takes_last_image(family)
    image = image[:1]  # of a video that is continued
    if last.shape != image.shape:
        raise InvalidValue(
            "the first and the last image differ in size or number",
            port="last_image",
            given=f"{last.shape[0]} of {last.shape[2]} x {last.shape[1]} pixels",
            expected=f"{image.shape[0]} of {image.shape[2]} x {image.shape[1]} pixels",
            hint="Use ResizeImage before this node.",
        )
    if frames < 2:
        raise InvalidValue(
            "a video between two images has several frames",
            port="frames",
            given=str(frames),
            expected="5 or more",
        )
