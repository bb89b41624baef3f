"""Keyframes and references: images, videos and sound that a model sees beside what it generates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.family_checks import check_free_frame, check_takes_keyframes
from nodegraph.families.image_conditioning import (
    MediaCondition,
    condition_tensors,
    media_conditions,
)
from nodegraph.families.prompt_media import PromptMedia
from nodegraph.families.registry import get_family
from nodegraph.media.images.resizing import resize_image
from nodegraph.models.image_to_video import check_vae, frame_position
from nodegraph.models.vae import encode_condition, encode_sound

if TYPE_CHECKING:
    from nodegraph.families.components import Autoencoder


@torch.no_grad()
def keyframe_tensors(
    conditioning: Conditioning,
    latent: Latent,
    frame: int,
    *,
    autoencoder: Autoencoder | None = None,
    images: Tensor | None = None,
    sound_autoencoder: Autoencoder | None = None,
    audio: Audio | None = None,
) -> dict[str, Tensor]:
    """An image, a clip, or sound at a frame of the video, for a prompt's model to see.

    Args:
        latent: Of the video that is sampled, or its size.
        frame: Frame of the video that they begin at. Negative: from the end.
        images: One image, or the frames of a clip, float32 in 0..1, shape (frames, height, width,
            3). They are scaled to the size of the video and cropped. A clip is cut to as many
            frames as the VAE encodes; below five it is one image.
        audio: It is cut at the end of the video.
        autoencoder, sound_autoencoder: What encodes them.
    Returns:
        Tensors for the prompts, by name, with the conditions that they have.
    Raises:
        InvalidValue: The model takes no keyframes, the frame is outside of the video, or there is
            nothing to stand there.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    family = get_family(conditioning.family or "")
    check_takes_keyframes(family)
    start = frame_position(frame, latent)
    samples = heard = None
    if images is not None and autoencoder is not None:
        check_vae(family, autoencoder)
        count = family.latent.nearest_frames(len(images))[0] if len(images) > 1 else 1
        count = 1 if count > len(images) else count
        if start + count > latent.frames:
            raise InvalidValue(
                "the clip does not end within the video",
                port="frame",
                given=f"{count} frames at frame {start}",
                expected=f"at most {latent.frames - start} frames",
            )
        size = latent.width, latent.height
        clip = resize_image(images[:count], *size, method="lanczos", fit="crop")
        samples = encode_condition(autoencoder, clip)
    if audio is not None and sound_autoencoder is not None:
        heard = encode_sound(sound_autoencoder, audio).sound
        assert heard is not None
        heard = heard[:, :, : _sound_length(family, latent, latent.frames - start)].contiguous()
    if samples is None and heard is None:
        raise InvalidValue(
            "a keyframe needs an image with a VAE, or audio with a VAE for sound",
            port="image",
            hint="Link image and vae, or audio and audio_vae.",
        )
    known = media_conditions(conditioning.entries[0].tensors)
    for part, name, what in ((samples, "video", "keyframe"), (heard, "sound", "sound")):
        if part is not None:
            frames = {
                item.frame
                for item in known
                if item.frame is not None and getattr(item, name) is not None
            }
            check_free_frame(start, frames, what=what)
    return condition_tensors([*known, MediaCondition(samples, heard, start)])


def _sound_length(family: Family, latent: Latent, frames: int) -> int:
    """Latent frames of the sound of so many frames."""
    from nodegraph.core.values import ConditioningEntry

    assert family.sound is not None
    return family.sound(
        {}, Latent(None, latent.width, latent.height, frames=frames), ConditioningEntry({})
    ).length


_MULTIPLE, _FULL_EDGE = 32, 2048
_EDGE, _AREA = 768, 768 * 1344
"""Shorter side and area of a reference video at most, in pixels."""
MOST_REFERENCES = {"images": 9, "videos": 3, "audios": 3}
"""What models were trained with at most."""


@dataclass(frozen=True, slots=True)
class MediaReference:
    """A reference as it is given.

    Attributes:
        frames: float32 in 0..1, shape (frames, height, width, 3): one of an image, or those of a
            video at 24 per second. None of sound alone.
        is_video: Whether the frames are a video.
        audio: The sound of the video, or sound alone.
    """

    frames: Tensor | None
    is_video: bool = False
    audio: Audio | None = None

    @property
    def media(self) -> PromptMedia:
        """What a prompt names of it."""
        return PromptMedia(self.frames, self.is_video, self.audio is not None)


def fit_references(
    references: Sequence[MediaReference], latent: Latent, *, full_images: bool
) -> list[MediaReference]:
    """References in the sizes and lengths that models are shown.

    Source: diffusers, ``modular_pipelines/minimax_h3/before_encoder.py``; that small videos are not
    enlarged: ComfyUI, ``comfy_extras/nodes_minimax_h3.py``.

    Args:
        latent: Of the video that is sampled, or its size.
        full_images: Whether images have a shorter side of 2048 pixels. Else they are as they are,
            but no larger than the video.
    Raises:
        InvalidValue: There is none, there is sound alone, or a video is too short.
    """
    kinds = {
        "images": sum(item.frames is not None and not item.is_video for item in references),
        "videos": sum(item.is_video for item in references),
        "audios": sum(item.frames is None for item in references),
    }
    for kind, most in MOST_REFERENCES.items():
        if kinds[kind] > most:
            raise InvalidValue(
                "the model was trained with fewer references",
                port=kind,
                given=str(kinds[kind]),
                expected=f"at most {most}",
            )
    if not kinds["images"] and not kinds["videos"]:
        raise InvalidValue(
            "there is no image and no video to refer to",
            port="images",
            hint="Link an image or a video. Without references, use EncodePrompt.",
        )
    return [_fitted(item, latent, full_images=full_images) for item in references]


def _fitted(item: MediaReference, latent: Latent, *, full_images: bool) -> MediaReference:
    audio = item.audio
    if audio is not None:
        samples = int(latent.frames / 24 * audio.rate)
        audio = Audio(audio.waveform[:, :samples], audio.rate)
    if item.frames is None:
        return replace(item, audio=audio)
    height, width = item.frames.shape[1:3]
    if item.is_video:
        frames = item.frames[: latent.frames]
        count = (len(frames) - 5) // 17 * 17 + 5
        if count < 5:
            raise InvalidValue(
                "a reference video is too short",
                port="videos",
                given=f"{len(item.frames)} frames",
                expected="5 frames or more",
            )
        size, frames = _video_size(width, height), frames[:count]
    else:
        scale = min(1.0, math.sqrt(latent.width * latent.height / (width * height)))
        scale = _FULL_EDGE / min(width, height) if full_images else scale
        size, frames = (_rounded(width * scale), _rounded(height * scale)), item.frames[:1]
    if (width, height) != size:
        frames = resize_image(frames, *size, method="lanczos", fit="stretch")
    return MediaReference(frames, item.is_video, audio)


def _rounded(side: float) -> int:
    return max(_MULTIPLE, round(side / _MULTIPLE) * _MULTIPLE)


def _video_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a reference video, by its proportions; a small one stays as it is."""
    scale = _EDGE / min(width, height)
    if width * height * scale**2 > _AREA:
        scale = math.sqrt(_AREA / (width * height))
    size = _rounded(width * scale), _rounded(height * scale)
    if width * height < size[0] * size[1]:
        return _rounded(width), _rounded(height)
    return size


@torch.no_grad()
def reference_tensors(
    references: Sequence[MediaReference],
    autoencoder: Autoencoder | None,
    sound_autoencoder: Autoencoder | None,
) -> dict[str, Tensor]:
    """References as tensors for the prompts, by name.

    Args:
        references: As `fit_references` returns them.
        autoencoder, sound_autoencoder: What encodes them. Without one, only the text encoder gets
            the images and videos, or only the prompt names the sound.
    Raises:
        InvalidValue, TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    conditions = []
    for item in references:
        video = sound = None
        if item.frames is not None and autoencoder is not None:
            video = encode_condition(autoencoder, item.frames)
        if item.audio is not None and sound_autoencoder is not None:
            sound = encode_sound(sound_autoencoder, item.audio).sound
        if video is not None or (item.frames is None and sound is not None):
            conditions.append(MediaCondition(video, sound))
    return condition_tensors(conditions)
