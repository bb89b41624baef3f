"""Conditioning of Wan Animate 1 and 2: a character moves as a person in a video does."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    Image,
    ImageEncoder,
    InvalidValue,
    Latent,
    Mask,
    Range,
    TextEncoder,
    Vae,
    node,
)

from ._family_facts import (
    animation_facts,
    check_animation,
    check_driving_video,
    driving_video_facts,
)
from ._memory import encode_frames_estimate
from .video_conditioning import FAMILY_FACTS


class AnimatedSegment(NamedTuple):
    """Conditioning of a segment of a video, the latent to sample, and where the next begins.

    Attributes:
        conditioning: The prompt with the character, the poses and the face.
        latent: Empty.
        next_start: The `start` of the next segment.
        end: Frame of the whole videos after the last one of the segment.
    """

    conditioning: Conditioning
    latent: Latent
    next_start: int
    end: int


@node(
    category="conditioning",
    label="Character animation",
    lane="gpu",
    numerics=True,
    facts={
        **FAMILY_FACTS,
        "latent": {"width": "image.width", "height": "image.height", "frames": "frames"},
    },
    infer=animation_facts,
    validate=check_animation,
    estimate=encode_frames_estimate,
    tags=(
        *("wan", "animate", "WanAnimateToVideo", "character replacement", "pose", "face"),
        *("motion transfer", "video to video"),
    ),
)
def AnimationConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    pose: Image,
    face: Image,
    frames: Annotated[int, Range(1, 100_000)] = 77,
    encoder: TextEncoder | None = None,
    image_encoder: ImageEncoder | None = None,
    background: Image | None = None,
    mask: Mask | None = None,
    previous: Image | None = None,
    start: Annotated[int, Range(0, 1_000_000)] = 0,
    overlap: Annotated[int, Range(1, 1000, step=4)] = 1,
) -> AnimatedSegment:
    """Animate a character by the poses and the face of a video, for Wan Animate.

    The latent is empty and has the size of the image. Generate a long video in segments: link the
    decoded frames of one segment as `previous` of the next, and its `next_start` as `start`. Each
    segment but the first begins with `overlap` frames of the one before; ImageFromBatch removes
    them.

    Args:
        conditioning: The prompt. A negative prompt does not need this node: its face is black.
        vae: The VAE of the model.
        image: One image of the character, of the size of the video. Use ResizeImage before this
            node.
        pose: The whole video of poses, of the same size, for example skeletons.
        face: The whole video of the face, of 512 x 512 pixels for the published model.
        frames: Number of frames of the segment: a multiple of 4 plus 1. A shorter pose or face
            video runs backwards after its end.
        encoder: The text encoder of the model, if it includes the image encoder.
        image_encoder: The image encoder that sees the character, from a file of its own:
            clip_vision_h.
        background: The whole video that the character is put into, of the same size. Link `mask`,
            too.
        mask: A mask for each frame of the background: white is generated, black is kept.
        previous: Frames of the segment before, of the same size. Leave it open for the first
            segment.
        start: Frame of the whole videos that the segment begins at.
        overlap: Number of frames that the segment has in common with the one before: 1 or 5.
    """
    from nodegraph.models.character_animation import Animation, encode_animation
    from nodegraph.models.image_to_video import embed_first_frame, embed_first_frame_alone
    from nodegraph.sampling.inpainting import with_tensors

    _check_encoders(encoder, image_encoder)
    segment = Animation(image, pose, face, frames, start, background, mask, previous, overlap)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_animation(autoencoder, conditioning, segment)
    if image_encoder is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image)
    elif encoder is not None:
        with ctx.weights(encoder, calls_only=True) as text_model:
            tensors |= embed_first_frame(text_model, image)
    latent = Latent(None, image.shape[2], image.shape[1], frames=frames)
    end = start + frames
    return AnimatedSegment(with_tensors(conditioning, tensors), latent, end - overlap, end)


def _check_encoders(encoder: object, image_encoder: object) -> None:
    """Refuse no image encoder, and two of them."""
    if (encoder is None) == (image_encoder is None):
        raise InvalidValue(
            "the character is seen by one image encoder",
            port="image_encoder",
            given="none" if encoder is None else "two",
            expected="encoder or image_encoder",
            hint="Link a LoadImageEncoder with clip_vision_h as image_encoder, or the text encoder "
            "of a LoadModel as encoder.",
        )


_Factor = Annotated[float, Range(0.0, 10.0, step=0.01), Advanced()]


@node(
    category="conditioning",
    label="Driving video",
    lane="gpu",
    numerics=True,
    facts={
        **FAMILY_FACTS,
        "latent": {"width": "image.width", "height": "image.height", "frames": "frames"},
    },
    infer=driving_video_facts,
    validate=check_driving_video,
    estimate=encode_frames_estimate,
    tags=(
        *("wan", "animate 2", "WanAnimate2ToVideo", "motion transfer", "character animation"),
        *("reference video", "dance", "video to video"),
    ),
)
def DrivingVideoConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    video: Image,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    motion: Conditioning | None = None,
    encoder: TextEncoder | None = None,
    image_encoder: ImageEncoder | None = None,
    previous: Image | None = None,
    start: Annotated[int, Range(0, 1_000_000)] = 0,
    overlap: Annotated[int, Range(1, 1000, step=4), Advanced()] = 1,
    motion_strength: _Factor = 1.0,
    character_strength: _Factor = 1.0,
) -> AnimatedSegment:
    """Move a character as the person in a video does, for Wan Animate 2.

    The video is shown to the model as it is, without poses. The latent is empty and has the size of
    the image. Generate a long video in segments: link the decoded frames of one segment as
    `previous` of the next, and its `next_start` as `start`. Each segment but the first begins with
    `overlap` frames of the one before; ImageFromBatch removes them.

    Args:
        conditioning: The prompt: what the character and the background look like. A negative
            prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the character, of the size of the video. Use ResizeImage before this
            node.
        video: The whole driving video, of the same size; the model generates 24 frames per second.
        frames: Number of frames of the segment: a multiple of 4 plus 1. A shorter driving video
            runs backwards after its end.
        motion: A prompt about the motion in the driving video. Without it, the pipeline's own is
            used if `encoder` is linked, else the prompt about the character.
        encoder: The text encoder of the model, if it includes the image encoder.
        image_encoder: The image encoder that sees the character and the first frame of the driving
            video, from a file of its own: clip_vision_h.
        previous: Frames of the segment before, of the same size. Leave it open for the first
            segment.
        start: Frame of the driving video that the segment begins at.
        overlap: Number of frames that the segment has in common with the one before. The model was
            trained with 1.
        motion_strength: How strongly frames follow the driving video. 1 is as it was trained.
        character_strength: How strongly frames follow the image of the character, likewise.
    """
    from nodegraph.models.driving_video import (
        DrivenSegment,
        embed_character,
        encode_driving_video,
        motion_embeddings,
    )
    from nodegraph.sampling.inpainting import with_tensors

    _check_encoders(encoder, image_encoder)
    segment = DrivenSegment(
        image, video, frames, start, previous, overlap, motion_strength, character_strength
    )
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_driving_video(autoencoder, conditioning, segment)
    if image_encoder is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_character(eyes, segment)
        tensors |= motion_embeddings(conditioning, motion, None)
    elif encoder is not None:
        with ctx.weights(encoder, calls_only=True) as text_model:
            tensors |= embed_character(text_model, segment)
            tensors |= motion_embeddings(conditioning, motion, text_model)
    latent = Latent(None, image.shape[2], image.shape[1], frames=frames)
    end = start + frames
    return AnimatedSegment(with_tensors(conditioning, tensors), latent, end - overlap, end)
