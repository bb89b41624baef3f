"""Condition Wan Animate 2 on a character's image and a driving video."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder, Component, TextModel
from nodegraph.families.image_conditioning import (
    CHARACTER_STRENGTH,
    DRIVING_EMBEDS,
    DRIVING_LATENTS,
    DRIVING_PROMPT,
    IMAGE_EMBEDS,
    MOTION_STRENGTH,
)
from nodegraph.models.character_animation import check_family, check_segment, encode_film
from nodegraph.models.conditioning import encode_prompt
from nodegraph.models.ip_adapters.image_prompts import patch_states
from nodegraph.models.vae import encode_video

MOTION_PROMPT = "人物动作的参考视频"
"""The pipeline's prompt about the driving video: "reference video of a person's motion"."""
_PROMPT_FAMILIES = ("wan", "wan-animate-2")
"""Families whose text encoder the model was trained with."""
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the colors that CLIP was trained on."""


@dataclass(frozen=True, slots=True)
class DrivenSegment:
    """What Wan Animate 2 generates a segment of a video from, beside the prompt.

    Images are float32 in 0..1. A driving video that is shorter than the segment runs backwards
    after its end, from its last frame on, and forwards again.

    Attributes:
        image: The character, shape (1, height, width, 3), of the video's size.
        video: The driving video, shape (frames, height, width, 3), of the video's size.
        frames: Of the segment.
        start: Frame of the driving video that the segment begins at.
        previous: Frames of the segment before, as `video`. None of the first segment.
        overlap: How many of its last frames the segment begins with.
        motion_strength, character_strength: Factors of what frames take from the driving video and
            from the character's image, from 0 on. 1 is as the model was trained.
    """

    image: Tensor
    video: Tensor
    frames: int
    start: int = 0
    previous: Tensor | None = None
    overlap: int = 1
    motion_strength: float = 1.0
    character_strength: float = 1.0


@torch.no_grad()
def encode_driving_video(
    autoencoder: Autoencoder, conditioning: Conditioning, segment: DrivenSegment
) -> dict[str, Tensor]:
    """What Wan Animate 2 takes of its image and video, but for what an image encoder sees.

    Source: diffusers, ``modular_pipelines/wan_animate_2``; of the strengths, ComfyUI,
    ``comfy/ldm/wan/model_animate2.py``.

    Args:
        autoencoder: Of the model.
        conditioning: The prompt.
    Returns:
        Tensors for the prompts, by name. The film and its mask begin with the character's image,
        so they have one latent frame more than the segment.
    Raises:
        InvalidValue: The family is another, sizes differ, or the VAE can't work on that size or
            number of frames.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    frames, previous, overlap = segment.frames, segment.previous, segment.overlap
    check_family(conditioning, autoencoder, frames, *_PROMPT_FAMILIES)
    check_segment(segment.image, {"video": segment.video}, frames, previous, overlap)
    driving = encode_video(autoencoder, _part(segment.video, segment.start, frames)).samples
    assert driving is not None
    tensors = encode_film(autoencoder, segment.image, frames, previous=previous, overlap=overlap)
    tensors[DRIVING_LATENTS] = driving
    strengths = {
        MOTION_STRENGTH: segment.motion_strength,
        CHARACTER_STRENGTH: segment.character_strength,
    }
    # Without a factor nothing is multiplied, as in the pipeline.
    return tensors | {
        name: torch.tensor([strength]) for name, strength in strengths.items() if strength != 1.0
    }


@torch.no_grad()
def embed_character(encoder: Component, segment: DrivenSegment) -> dict[str, Tensor]:
    """What an image encoder sees in the character and in the first frame of the driving video.

    Images are stretched to the encoder's size, as in the pipeline.

    Args:
        encoder: With the module ``image_encoder``, or of that module alone.
    Returns:
        Tensors for the prompts, by name; float32, shape (1, patches, width).
    Raises:
        InvalidValue: A text encoder comes without one.
    """
    if isinstance(encoder, TextModel) and "image_encoder" not in encoder.modules:
        raise InvalidValue(
            "the model has no image encoder",
            port="encoder",
            hint="Link a LoadImageEncoder with clip_vision_h as image_encoder.",
        )
    eye = encoder.modules.get("image_encoder", encoder.module)
    pictures = {IMAGE_EMBEDS: segment.image, DRIVING_EMBEDS: segment.video[:1]}
    return {
        name: patch_states(eye, _pixels(eye, picture).to(eye.dtype)).to("cpu", torch.float32)
        for name, picture in pictures.items()
    }


def motion_embeddings(
    conditioning: Conditioning, motion: Conditioning | None, encoder: TextModel | None
) -> dict[str, Tensor]:
    """The prompt about the motion, as the model takes it.

    Args:
        conditioning: The prompt about the character. It is used if there is nothing else, as in
            ComfyUI.
        motion: The prompt about the motion; its first entry counts.
        encoder: Encodes `MOTION_PROMPT` if there is no such prompt.
    Raises:
        InvalidValue: The prompt about the motion is of another family; on port ``motion``.
    """
    if motion is not None and motion.family not in (None, *_PROMPT_FAMILIES):
        raise InvalidValue(
            "the prompt about the motion is for another model",
            port="motion",
            given=str(motion.family),
            expected=" or ".join(_PROMPT_FAMILIES),
            hint="Encode it with the text encoder of Wan Animate 2.",
        )
    if motion is None and encoder is not None:
        motion = encode_prompt(encoder, MOTION_PROMPT)
    return {DRIVING_PROMPT: (motion or conditioning).entries[0].embeddings}


def _pixels(eye: torch.nn.Module, picture: Tensor) -> Tensor:
    """An image as the encoder takes it, shape (1, 3, side, side), float32 on its device."""
    side = int(eye.config.image_size)  # type: ignore[union-attr, arg-type]
    pixels = picture[..., :3].movedim(-1, 1).to(eye.device) * 2 - 1  # type: ignore[arg-type]
    scaled = functional.interpolate(pixels, size=(side, side), mode="bicubic", align_corners=False)
    mean, std = (scaled.new_tensor(item).view(1, 3, 1, 1) for item in (_MEAN, _STD))
    return (scaled * 0.5 + 0.5 - mean) / std


def _part(video: Tensor, start: int, frames: int) -> Tensor:
    """The frames of a segment; the last frame is repeated where the video turns around."""
    indices = torch.arange(start, start + frames) % (2 * len(video))
    indices = torch.where(indices < len(video), indices, 2 * len(video) - 1 - indices)
    return video[indices].to(torch.float32)
