"""Which inputs besides the prompt a family's models take. Imports no torch.

Nodes check them before a run, when nothing is loaded, and again when they run.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, cast

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.frame_steps import FrameForcing
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.prompt_media import ImagePromptReader, MediaReader
from nodegraph.families.prompts import MusicPrompt, SongReader


def check_has_vae(latents: LatentFormat) -> None:
    """Refuse models whose latents are only what another model continues from; on port ``vae``."""
    if not latents.autoencoders:
        raise InvalidValue(
            "the model has no VAE: another model continues from its latents",
            port="vae",
            given=f"latents of format {latents.name}",
            hint="Put its latent into a StageBConditioning, and decode the latent of stage B with "
            "the VAE of that model.",
        )


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
    takes = family.first_picture in ("film", "keyframes") or isinstance(family, FrameForcing)
    if not (takes or family.inpaint_models):
        raise InvalidValue(
            f"{family.title} does not take a last image",
            port="last_image",
            given=family.name,
            expected="an image-to-video model of Wan 2.1 or 2.2, MiniMax H3, or SkyReels V2",
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


def check_animates_characters(family: Family) -> None:
    """Refuse families without models that animate characters; on port ``conditioning``."""
    if family.first_picture != "film":
        raise InvalidValue(
            f"{family.title} has no models that animate characters",
            port="conditioning",
            given=family.name,
            expected="wan",
            hint="Load a model of Wan Animate.",
        )


def check_follows_driving_video(family: Family) -> None:
    """Refuse families without models that follow a driving video; on port ``conditioning``."""
    if "driving" not in family.image_inputs:
        raise InvalidValue(
            f"{family.title} has no models that follow a driving video",
            port="conditioning",
            given=family.name,
            expected="wan-animate-2",
            hint="Load a model of Wan Animate 2.",
        )


def check_takes_references(family: Family) -> None:
    """Refuse families whose models take no reference images; on port ``conditioning``."""
    if "references" not in family.image_inputs:
        raise InvalidValue(
            f"{family.title} takes no reference images",
            port="conditioning",
            given=family.name,
            hint="Remove ReferenceLatents, or load an editing model, such as Flux.1 Kontext.",
        )


def check_same_images(prompt: int, references: int, *, port: str) -> None:
    """Refuse a prompt that was encoded with another number of images than it has references.

    Args:
        prompt: Images that the text encoder read.
        references: Reference latents.
        port: The port of the prompt.
    """
    if prompt != references:
        raise InvalidValue(
            "the prompt and its references have different numbers of images",
            port=port,
            given=f"{prompt} in the prompt, {references} as latents",
            expected="the same images in both",
            hint="Link the images to EncodeEditPrompt, and their latents to ReferenceLatents.",
        )


def check_first_image_size(
    size: tuple[int, int], latent: tuple[int, int], cell: int, *, port: str
) -> None:
    """Refuse a first image that was encoded for a video of another size.

    Args:
        size: Width and height of the image, in pixels.
        latent: Those of the latent that is sampled.
        cell: Pixels of a side of a latent cell. Within one, sizes are alike.
        port: The port of the prompt.
    """
    if [side // cell for side in size] != [side // cell for side in latent]:
        raise InvalidValue(
            "the first image was encoded for a video of another size",
            port=port,
            given=f"an image of {size[0]} x {size[1]} pixels",
            expected=f"{latent[0]} x {latent[1]} pixels, the size of the latent",
            hint="Sample the latent output of ImageToVideoConditioning.",
        )


def check_takes_control_image(family: Family) -> None:
    """Refuse families without models that follow a control image; on port ``conditioning``."""
    if "control" not in family.image_inputs:
        raise InvalidValue(
            f"{family.title} takes no control image",
            port="conditioning",
            given=family.name,
            hint="Remove ImageConditioning, or load a model that takes one, such as Flux.1 Canny.",
        )


def check_has_second_expert(family: Family) -> None:
    """Refuse families whose models have one denoiser; on port ``conditioning``."""
    if len(family.denoisers) < 2:
        raise InvalidValue(
            f"{family.title} has no second expert",
            port="conditioning",
            given=family.name,
            expected="the prompt of a model with two experts, such as Wan 2.2",
            hint="Remove SecondExpertCfg, and set the cfg of the sampler.",
        )


def check_sampled_area(family: Family) -> None:
    """Refuse to sample an area of sound alone; on port ``sampled``."""
    if family.latent.is_sound:
        raise InvalidValue(
            f"{family.title} generates sound, which has no areas that are sampled alone",
            port="sampled",
            given="area",
            expected="picture",
        )


def check_samples_sound(family: Family) -> None:
    """Refuse an empty latent of images or videos for models of sound; on port ``latent``."""
    if family.latent.is_sound:
        raise InvalidValue(
            f"{family.title} generates sound, and the latent is one of images or videos",
            port="latent",
            given="an empty latent of images or videos",
            expected="a latent of sound",
            hint=f"Use EmptyMusicLatent with family {family.name}, or VAEEncodeAudio.",
        )


def check_takes_sound(family: Family) -> None:
    """Refuse the latent of a video with sound for models without sound; on port ``latent``."""
    if family.sound is None:
        raise InvalidValue(
            f"{family.title} generates no sound, and the latent has some",
            port="latent",
            hint="Use the video output of SplitSoundLatent.",
        )


def check_untiled() -> None:
    """Refuse tiles for models that also generate sound; on port ``guider``."""
    raise InvalidValue(
        "a model that also generates sound is not evaluated in tiles",
        port="guider",
        hint="Remove the node that evaluates the model in tiles.",
    )


def check_takes_guides(family: Family, count: int) -> None:
    """Refuse frame guides for models that take none; on port ``latent``."""
    if not family.takes_guides:
        raise InvalidValue(
            f"{family.title} takes no frame guides, and the latent has some",
            port="latent",
            given=f"{count} guides",
            hint="Use RemoveFrameGuides, or load a model whose family takes guides.",
        )


def check_free_frame(frame: int, taken: Collection[int], *, what: str) -> None:
    """Refuse a second image or sound at the same frame of a video; on port ``frame``.

    Args:
        frame: From 0.
        taken: The frames that have one.
        what: What it is called in the message, such as ``keyframe``.
    """
    if frame in taken:
        raise InvalidValue(
            f"the video has another {what} at this frame",
            port="frame",
            given=str(frame),
            expected="a frame other than " + ", ".join(map(str, sorted(taken))),
            hint="Move one of both to another frame, or remove it.",
        )


def check_vae_format(family: Family, form: str) -> None:
    """Refuse a VAE of another latent format than that of a prompt's family; on port ``vae``."""
    if form != family.latent.name:
        raise InvalidValue(
            "the VAE and the prompt belong to different models",
            port="vae",
            given=f"one of format {form}",
            expected=f"one of format {family.latent.name}",
            hint="Use the VAE and the prompt of the same LoadModel.",
        )


def check_first_images(family: Family, count: int, frames: int) -> None:
    """Refuse a wrong number of images that a video starts with; on port ``image``.

    Args:
        count: The images. Families that continue videos take as many as their VAE encodes, and
            fewer than the whole video has. Others take one.
        frames: Of the whole video.
    """
    if family.first_picture != "frames":
        if count != 1 and family.first_picture != "clip":
            raise InvalidValue(
                "a video starts with one image",
                port="image",
                given=f"{count} images",
                expected="1",
            )
        return
    if count >= frames:
        raise InvalidValue(
            "the video that is continued is not shorter than the whole video",
            port="image",
            given=f"{count} frames",
            expected=f"fewer than {frames}",
        )
    nearest = family.latent.nearest_frames(count)
    if count not in nearest:
        raise InvalidValue(
            f"the VAE takes videos of {family.latent.frame_rule} frames",
            port="image",
            given=f"{count} frames",
            expected=" or ".join(map(str, nearest)),
        )


Medium = Literal["images", "videos", "sound"]


def check_vae_medium(latents: LatentFormat, medium: Medium, node: str) -> None:
    """Refuse no VAE, and one of another medium than a node encodes or decodes; on port ``vae``.

    Args:
        node: The type of the node that does so for sound, if the VAE is one for sound.
    """
    check_has_vae(latents)
    has_sound = latents.is_sound or bool(latents.sound_parts)
    if medium == "sound" and not has_sound:
        raise InvalidValue(
            "the VAE has no parts for sound",
            port="vae",
            given=f"one of format {latents.name}",
            expected="the VAE of a model that generates sound, such as LTX-2 or ACE-Step 1.5",
        )
    if medium != "sound" and latents.is_sound:
        raise InvalidValue(
            f"the VAE is one for sound, not for {medium}", port="vae", hint=f"Use a {node} instead."
        )
    if medium == "videos" and not latents.temporal:
        raise InvalidValue(
            "the VAE is an image VAE, not a video VAE",
            port="vae",
            given=f"one of format {latents.name}",
            hint="Use the VAE of a video model.",
        )


def check_decodes_sound(*, has_parts: bool) -> None:
    """Refuse a VAE of videos whose parts for sound are missing; on port ``vae``."""
    if not has_parts:
        raise InvalidValue(
            "this VAE decodes videos alone: the parts for sound are missing",
            port="vae",
            expected="the VAE of the model that generated the sound",
            hint="Use the vae output of its LoadModel, or a file that holds them.",
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
