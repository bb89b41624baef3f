"""Which inputs besides the prompt a family's models take. Imports no torch.

Nodes check them before a run, when nothing is loaded, and again when they run.
"""

from __future__ import annotations

from typing import Any, cast

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.prompt_media import ImagePromptReader, MediaReader
from nodegraph.families.prompts import MusicPrompt, SongReader


def check_starts_with_image(family: Family) -> None:
    """Refuse families without image-to-video models; on port ``conditioning``."""
    if not family.first_picture:
        raise InvalidValue(
            f"{family.title} is not an image-to-video model",
            port="conditioning",
            given=family.name,
            hint="Load an image-to-video model.",
        )


def check_takes_last_image(family: Family) -> None:
    """Refuse families whose videos cannot end with an image; on port ``last_image``."""
    if family.first_picture not in ("film", "keyframes") and not family.inpaint_models:
        raise InvalidValue(
            f"{family.title} does not take a last image",
            port="last_image",
            given=family.name,
            expected="an image-to-video model of Wan 2.1 or 2.2, or MiniMax H3",
            hint="Remove the last image.",
        )


def check_takes_control_videos(family: Family) -> None:
    """Refuse families without models that take control videos; on port ``conditioning``."""
    if not family.control_videos:
        raise InvalidValue(
            f"{family.title} takes no control videos",
            port="conditioning",
            given=family.name,
            hint="Load a model of Wan VACE, or a Fun control model of Wan or CogVideoX.",
        )


def check_follows_tracks(family: Family) -> None:
    """Refuse families without models that follow point tracks; on port ``conditioning``."""
    if family.first_picture != "film":
        raise InvalidValue(
            f"{family.title} has no models that follow point tracks",
            port="conditioning",
            given=family.name,
            expected="wan",
            hint="Load the image-to-video model ATI of Wan 2.1.",
        )


def check_follows_camera(family: Family) -> None:
    """Refuse families without models that follow a camera; on port ``conditioning``."""
    if family.first_picture != "film":
        raise InvalidValue(
            f"{family.title} has no models with a camera",
            port="conditioning",
            given=family.name,
            expected="wan",
            hint="Load a Fun camera model of Wan.",
        )


def check_takes_keyframes(family: Family) -> None:
    """Refuse families whose prompts take no keyframes; on port ``conditioning``."""
    if not isinstance(family, MediaReader):
        raise InvalidValue(
            f"{family.title} takes no keyframes by its prompts",
            port="conditioning",
            given=family.name,
            expected="the prompt of MiniMax H3",
            hint="For LTX-2, use AddFrameGuide.",
        )


def check_reads_references(family: Family) -> None:
    """Refuse families whose prompts refer to no images, videos and sound; on port ``encoder``."""
    if not isinstance(family, MediaReader):
        raise InvalidValue(
            f"{family.title} takes no references of this kind",
            port="encoder",
            expected="the text encoder of MiniMax H3",
            hint="For images, use EncodeEditPrompt and ReferenceLatents.",
        )


def check_reads_images(family: Family) -> None:
    """Refuse families whose text encoders take no images; on port ``encoder``."""
    is_refused = isinstance(family, ImagePromptReader)
    if is_refused or type(family).encode_edit is Family.encode_edit:
        # The base class refuses every call, whatever the arguments are.
        family.encode_edit(cast(Any, None), "", ())


def check_reads_text(family: Family) -> None:
    """Refuse families that take an image in place of a text; on port ``encoder``."""
    if isinstance(family, ImagePromptReader):
        # They refuse every call.
        family.encode(cast(Any, None), "")


def check_reads_image_prompt(family: Family) -> None:
    """Refuse families that take no image in place of a text; on port ``encoder``."""
    if not isinstance(family, ImagePromptReader):
        raise InvalidValue(
            f"{family.title} takes a text as its prompt, not an image",
            port="encoder",
            given=family.name,
            expected="the encoder of Shap-E for images",
            hint="Use EncodePrompt, or EncodeEditPrompt for an editing model.",
        )


def check_one_image_prompt(images: int) -> None:
    """Refuse several images as one prompt; on port ``image``."""
    if images != 1:
        raise InvalidValue(
            "a prompt is one image",
            port="image",
            given=f"{images} images",
            expected="1",
            hint="Select one with ImageFromBatch.",
        )


def check_has_solids(latents: LatentFormat) -> None:
    """Refuse latents that stand for no solids; on port ``vae``."""
    if not has_solids(latents):
        # As above.
        latents.decode_mesh(None, cast(Any, None), 0, cast(Any, None))


def has_solids(latents: LatentFormat) -> bool:
    """Return whether latents stand for solids."""
    return type(latents).decode_mesh is not LatentFormat.decode_mesh


def check_solid_size(latents: LatentFormat, width: int, height: int) -> None:
    """Refuse latents of solids that were cropped or scaled; on port ``latent``."""
    wanted = latents.only_size
    if wanted is not None and (width, height) != wanted:
        raise InvalidValue(
            "latents of solids have one fixed size",
            port="latent",
            given=f"{width} x {height}",
            expected=f"{wanted[0]} x {wanted[1]}",
            hint="Decode the latent as it was sampled.",
        )


def check_decodes_images(latents: LatentFormat) -> None:
    """Refuse to decode solids as images; on port ``vae``."""
    if has_solids(latents):
        # As above.
        latents.decode(None, cast(Any, None))


def check_generates_music(family: Family) -> None:
    """Refuse families that generate no music; on port ``encoder``."""
    if type(family).encode_music is Family.encode_music:
        # As above.
        family.encode_music(cast(Any, None), cast(MusicPrompt, None))


def check_has_video(has_video: bool) -> None:
    """Refuse to sample the sound of a video without the video; on port ``latent``."""
    if not has_video:
        raise InvalidValue(
            "the latent has the sound of a video, and no video",
            port="latent",
            hint="Link it to CombineSoundLatent, together with the latent of a video.",
        )


def check_is_image(frames: int) -> None:
    """Refuse to decode a video as an image; on port ``latent``."""
    if frames > 1:
        raise InvalidValue(
            "the latent is a video latent",
            port="latent",
            given=f"{frames} frames",
            expected="an image's",
            hint="Replace the VAEDecode with a VAEDecodeVideo.",
        )


def check_one_video(batch: int) -> None:
    """Refuse to decode several videos at once; on port ``latent``."""
    if batch != 1:
        raise InvalidValue(
            "there are several videos in the latent",
            port="latent",
            given=f"a batch of {batch}",
            expected="a batch of 1",
            hint="Select one with LatentFromBatch.",
        )


def check_one_sound(batch: int) -> None:
    """Refuse to decode no sound, or several sounds at once; on port ``latent``."""
    if batch != 1:
        raise InvalidValue(
            "a latent with one sound is needed",
            port="latent",
            given=f"a batch of {batch}" if batch else "no sound",
            expected="a batch of 1 with sound",
            hint="Select one with LatentFromBatch."
            if batch
            else "Sample it with a model that also generates sound.",
        )


def check_song_text(family: Family, port: str, text: str) -> None:
    """Refuse tags or lyrics that a family's text encoder cannot compose a song from; on their
    port."""
    if isinstance(family, SongReader):
        family.check_song_text(port, text)


def check_frame_inside(frame: int, frames: int) -> int:
    """Return a frame of a video from 0, for one that may count from the end.

    Raises:
        InvalidValue: On port ``frame``: the video has no such frame.
    """
    start = frame + frames if frame < 0 else frame
    if not 0 <= start < frames:
        raise InvalidValue(
            "the frame is outside of the video",
            port="frame",
            given=str(frame),
            expected=f"{-frames} to {frames - 1}",
        )
    return start
