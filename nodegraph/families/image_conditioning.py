"""Image tensors of a prompt: IP-Adapter images, masked and control images, first frames of videos.

Imports no torch. `nodegraph.models.image_to_video` makes the tensors of first frames and videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.needed_media import lacking_error
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.model_step import SamplingRequest


def image_embeds_name(index: int) -> str:
    """The tensor of a prompt that says what the images for a model's IP-Adapter show.

    Shape (1, images, width), or (1, images, patches, width), as the adapter reads it.

    Args:
        index: Of the adapter among those of the model.
    """
    return f"pictures {index}"


def mask_name(index: int) -> str:
    """The tensor that says where those images lead: 0 or 1, (1, images, height, width)."""
    return f"pictures {index} mask"


PRIOR_TOKENS = "prior_tokens"
"""Tensor of a fitted prompt: image tokens of a language model for each cell, int64, (1, 1, height,
width); -1 for none."""

MASK_MULTIPLE = 64
"""Pixels that sides of what a UNet is shown are multiples of where masks say which part is led: it
is halved thrice, and diffusers tells the grids of its layers from the proportions alone."""


def mask_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of those tensors among the ones of a prompt."""
    masks = {mask_name(number) for number in range(len(tensors))}
    return [name for name in tensors if name in masks]


def image_tensor_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of those that say what images show, and where they lead, and of conditions."""
    shown = {image_embeds_name(number) for number in range(len(tensors))}
    named = (name for name in tensors if name in shown or is_condition(name))
    return [*named, *mask_names(tensors)]


def masks_over(tensors: Mapping[str, Tensor], width: int, height: int) -> dict[str, Tensor]:
    """Those of a prompt scaled to an image, as diffusers tells the grids of a network's layers
    from a mask's proportions.

    Args:
        width, height: Of the image, in pixels.
    """
    masks = {name: tensors[name] for name in mask_names(tensors)}
    for name, mask in masks.items():
        if mask.shape[-2:] != (height, width):
            scaled = torch.nn.functional.interpolate(mask, size=(height, width), mode="area")
            masks[name] = (scaled >= 0.5).to(mask.dtype)
    return masks


def count_ip_adapters(network: Any) -> int:
    """How many IP-Adapters there are on a network."""
    projection = getattr(network, "encoder_hid_proj", None)
    return len(getattr(projection, "image_projection_layers", ()))


def check_ip_adapter_images(tensors: Mapping[str, Tensor], wanted: int, side: str) -> None:
    """Refuse prompts without the images that a model is led by, and images without a model.

    Raises:
        InvalidValue: On the port of the side.
    """
    count = sum(image_embeds_name(index) in tensors for index in range(wanted))
    if count < wanted:
        raise InvalidValue(
            "the model has an IP-Adapter, and this prompt has no image embeddings for it",
            port=side,
            hint="Connect the prompt to ApplyIPAdapter, too.",
        )
    if image_embeds_name(wanted) in tensors:
        raise InvalidValue(
            "the prompt has image embeddings for more IP-Adapters than the model has",
            port=side,
            given="image embeddings for more IP-Adapters than the model has",
            hint="Use the model output of the ApplyIPAdapter that returned the prompt.",
        )


def ip_adapter_inputs(batch: Mapping[str, Any]) -> dict[str, Any]:
    """What a UNet with IP-Adapters takes beside the prompt."""
    names = takewhile(batch.__contains__, map(image_embeds_name, count()))
    embeddings = [batch[name] for name in names]
    return {"image_embeds": embeddings} if embeddings else {}


def ip_adapter_masks(batch: Mapping[str, Any]) -> list[Tensor | None]:
    """Where the images of each of its IP-Adapters lead, row by row; None is everywhere."""
    places = takewhile(lambda index: image_embeds_name(index) in batch, count())
    return [batch.get(mask_name(index)) for index in places]


def any_mask(masks: list[Tensor | None]) -> bool:
    """Whether images lead a part alone."""
    return any(mask is not None for mask in masks)


@dataclass(frozen=True, slots=True)
class MediaCondition:
    """An image, a video, or sound, which a model sees beside what it generates.

    Attributes:
        video: Latents of an image or of a video, float32, shape (1, channels, frames, height,
            width). None of sound alone.
        sound: Latents of sound, float32, shape (1, channels, length, bands). None without sound.
        frame: Frame of the generated video that it stands at. None for a reference.
    """

    video: Tensor | None
    sound: Tensor | None = None
    frame: int | None = None


_CONDITION = "condition "
"""Beginning of the names of conditions' tensors."""


def condition_tensors(conditions: Sequence[MediaCondition]) -> dict[str, Tensor]:
    """Conditions as tensors of a prompt, by name, in their order."""
    tensors: dict[str, Tensor] = {}
    for number, item in enumerate(conditions):
        parts = {"video": item.video, "sound": item.sound}
        if item.frame is not None:
            parts["frame"] = torch.tensor([item.frame])
        named = {f"{_CONDITION}{number} {name}": part for name, part in parts.items()}
        tensors |= {name: part for name, part in named.items() if part is not None}
    return tensors


def media_conditions(tensors: Mapping[str, Tensor], item: int = 0) -> list[MediaCondition]:
    """What `condition_tensors` made tensors of.

    Args:
        item: Index along their first dimension.
    """

    def part(number: int, name: str) -> Tensor | None:
        tensor = tensors.get(f"{_CONDITION}{number} {name}")
        return None if tensor is None else tensor[item : item + 1]

    def has(number: int) -> bool:
        return any(part(number, name) is not None for name in ("video", "sound"))

    conditions = []
    for number in takewhile(has, count()):
        frame = part(number, "frame")
        anchor = None if frame is None else int(frame)
        conditions.append(MediaCondition(part(number, "video"), part(number, "sound"), anchor))
    return conditions


def is_condition(name: str) -> bool:
    """Whether a tensor of a prompt is one of `condition_tensors`."""
    return name.startswith(_CONDITION)


FIRST_FRAME = "first_frame"
"""Latent of the image, (1, channels, 1, height, width): the video's first frame as it is. Of a
video that is continued, it has as many latent frames as are kept."""
CONDITION_VIDEO = "film"
"""Latent of a video that is gray but for its images, (1, channels, frames, height, width)."""
CONDITION_VIDEO_MASK = "film_mask"
"""Weight of what a film shows in each cell, where it is not the first or last frame alone: 0 and
above, (1, temporal, frames, height, width)."""
CONDITION_CLIP = "clip"
"""Latents of a video's first frames, or of all, that lie beside the noise as they are,
(1, channels, frames, height, width)."""
FILM_AND_MASK = "condition"
"""A film or clip with its mask, such as `mask_and_video` makes."""
IMAGE_EMBEDS = "sight"
"""What an image encoder sees in the image, (1, tokens, width); the last image follows the first."""
LAST_FRAME = "last_frame"
"""Tensor of a prompt whose film shows an image in its last frame, too; shape (1,)."""
LAST_LATENT = "last_latent"
"""Latent of an image that stands behind the last frame of the video, (1, channels, 1, height,
width), of models whose frames have timesteps of their own."""

CONTROL_LATENTS = "control_latents"
"""Tensor of a prompt for Fun control models: latents of a control video, (1, channels, frames,
height, width). In those of Wan a first image is a film beside it."""
REFERENCE_LATENT = "reference_latent"
"""Tensor of a prompt for Wan's Fun control: the latent of a reference image, (1, channels, 1,
height, width)."""
CAMERA_POSES = "camera"
"""Tensor of a prompt for Wan's Fun camera models: where the camera is in each frame; see
`nodegraph.families.camera_rays`."""
CAMERA_RAYS = "camera_rays"
"""Tensor of a fitted prompt: the rays of those cameras, (1, channels, frames, height, width)."""
VACE_CONTEXT = "vace"
"""Tensor of a prompt for Wan VACE: latents of what the control video keeps and of what is generated
in its place, and the mask of the latter, (1, channels, frames, height, width). Reference images are
further frames before it."""
VACE_STRENGTH = "vace_strength"
"""Tensor of a prompt: the factor of what VACE's layers add; shape (1,)."""

POSE_LATENTS = "pose_latents"
"""Tensor of a prompt for Wan Animate: latents of a video of poses, (1, channels, frames, height,
width). Its film begins with the character's image, and has one latent frame more."""
FACE_VIDEO = "face_video"
"""Tensor of a prompt for Wan Animate: a video of a face in -1..1, (1, 3, frames, side, side)."""

DRIVING_LATENTS = "driving_latents"
"""Tensor of a prompt for Wan Animate 2: latents of the driving video, shaped as `POSE_LATENTS`."""
DRIVING_EMBEDS, DRIVING_PROMPT = "driving_sight", "driving_prompt"
"""Tensors of a prompt for Wan Animate 2: what the image encoder sees in the first frame of the
driving video, as `IMAGE_EMBEDS`, and embeddings of the prompt about its motion."""
MOTION_STRENGTH, CHARACTER_STRENGTH = "motion_strength", "character_strength"
"""Tensors of a prompt for Wan Animate 2: factors of what frames take from the driving video and
from the character's image, each of shape (1,)."""
DRIVEN = (*(DRIVING_LATENTS, DRIVING_EMBEDS, DRIVING_PROMPT, MOTION_STRENGTH, CHARACTER_STRENGTH),)
"""Tensors of a prompt that only Wan Animate 2 takes."""

VIDEO_MEDIA = frozenset(
    {"first image", "control video", "camera path", "VACE context", "animation"}
)
"""What conditioning nodes add to the prompts of videos."""

VIDEO_CONDITIONS = (
    *(FIRST_FRAME, LAST_FRAME, CONDITION_VIDEO, CONDITION_VIDEO_MASK, CONDITION_CLIP, IMAGE_EMBEDS),
    *(VACE_CONTEXT, VACE_STRENGTH, CONTROL_LATENTS, REFERENCE_LATENT, CAMERA_POSES),
    *(POSE_LATENTS, FACE_VIDEO, LAST_LATENT, *DRIVEN),
)
"""Tensors of a prompt for a video that do not come from its text."""
VIDEO_CELLS = (
    *(FIRST_FRAME, FILM_AND_MASK, VACE_CONTEXT, REFERENCE_LATENT, CAMERA_RAYS, POSE_LATENTS),
    *(DRIVING_LATENTS, LAST_LATENT),
)
"""Tensors of a fitted prompt for a video that have one value per latent cell."""


def check_video_size(tensors: Mapping[str, Tensor], request: SamplingRequest) -> None:
    """Refuse an image or film of another size than the video.

    Raises:
        InvalidValue: On the port of the side.
    """
    for name, first_axis in (
        *((FIRST_FRAME, 3), (LAST_LATENT, 3)),
        *((CONDITION_CLIP, 3), (CONDITION_VIDEO, 2)),
    ):
        tensor = tensors.get(name)
        if tensor is not None and tensor.shape[first_axis:] != tuple(request.shape[first_axis:]):
            raise InvalidValue(
                "the first image was encoded for a video of another size or length",
                port=request.side,
                given=f"{tuple(tensor.shape[first_axis:])} in latent cells",
                expected=str(tuple(request.shape[first_axis:])),
                hint="Sample the latent output of ImageToVideoConditioning.",
            )


def missing_image_error(request: SamplingRequest, *, needs_film: bool = False) -> InvalidValue:
    """The refusal of a prompt alone, or of a first image alone where a film of it is needed."""
    if needs_film:
        return InvalidValue(
            "the model needs the first image as a video that is gray after it",
            port=request.side,
            hint="Turn on `inpaint_model` of ImageToVideoConditioning.",
        )
    return lacking_error("first image", request.side)


def unused_image_error(request: SamplingRequest) -> InvalidValue:
    """The refusal of an image."""
    return InvalidValue(
        "the model is text-to-video, and the conditioning has a first image",
        port=request.side,
        hint="Load the image-to-video model of this family. Of Wan 2.2 5B, only the Fun inpaint "
        "model takes a last image.",
    )


def check_control_latents(
    latents: Tensor | None, request: SamplingRequest, *, takes_latents: bool
) -> None:
    """Refuse a Fun control model without its control video, and others with one.

    Args:
        latents: The tensor `CONTROL_LATENTS` of the prompt.
        takes_latents: Whether it is such a model.
    Raises:
        InvalidValue: On the port of the side.
    """
    _check_presence(
        latents is not None,
        request,
        is_due=takes_latents,
        medium="control video",
        excess="the model follows no control video, and the conditioning has one",
        excess_hint="Load a Fun control model of this family, or remove the "
        "ControlVideoConditioning.",
    )
    if latents is not None:
        _check_cells(tuple(latents.shape[2:]), tuple(request.shape[2:]), request, _CONTROL)


def check_reference(
    reference: Tensor | None, request: SamplingRequest, *, takes_reference: bool
) -> None:
    """Refuse a reference image of another size, and for models that take none.

    Args:
        reference: The tensor `REFERENCE_LATENT` of the prompt.
        takes_reference: Whether the model takes one.
    Raises:
        InvalidValue: On the port of the side.
    """
    if reference is None:
        return
    if not takes_reference:
        raise InvalidValue(
            "the model takes no reference image, and the conditioning has one",
            port=request.side,
            hint="Load a Fun control model of Wan 2.2 or 2.1 V1.1, or remove the link of "
            "`reference` of the ControlVideoConditioning.",
        )
    _check_cells(tuple(reference.shape[3:]), tuple(request.shape[3:]), request, _CONTROL)


def check_camera(
    size: tuple[int, ...] | None, request: SamplingRequest, *, takes_camera: bool
) -> None:
    """Refuse a model with a camera without its path, and others with one.

    Args:
        size: Frames, height and width of the path in latent cells; None without a path.
        takes_camera: Whether it is such a model.
    Raises:
        InvalidValue: On the port of the side.
    """
    _check_presence(
        size is not None,
        request,
        is_due=takes_camera,
        medium="camera path",
        excess="the model follows no camera, and the conditioning has a camera path",
        excess_hint="Load a Fun camera model of Wan, or remove the CameraConditioning.",
    )
    if size is not None:
        _check_cells(size, tuple(request.shape[2:]), request, "CameraConditioning", "camera path")


def check_vace_context(
    context: Tensor | None, request: SamplingRequest, *, takes_context: bool
) -> None:
    """Refuse a model of Wan VACE without its control video, and others with one.

    Args:
        context: The tensor `VACE_CONTEXT` of the prompt.
        takes_context: Whether it is a model of VACE.
    Raises:
        InvalidValue: On the port of the side.
    """
    _check_presence(
        context is not None,
        request,
        is_due=takes_context,
        medium="VACE context",
        excess="the model is not Wan VACE, and the conditioning is for one",
        excess_hint="Load a model of Wan VACE, or remove the VaceConditioning.",
    )
    if context is not None:
        size = tuple(context.shape[2:])
        _check_cells(size, tuple(request.shape[2:]), request, "VaceConditioning")


def check_animation(
    size: tuple[int, ...] | None, request: SamplingRequest, *, takes_animation: bool
) -> None:
    """Refuse a model of Wan Animate without poses and a face, and others with them.

    Args:
        size: Frames, height and width of the poses in latent cells; None without poses.
        takes_animation: Whether it is such a model.
    Raises:
        InvalidValue: On the port of the side.
    """
    _check_presence(
        size is not None,
        request,
        is_due=takes_animation,
        medium="animation",
        excess="the model is not Wan Animate, and the conditioning is for one",
        excess_hint="Load a model of Wan Animate, or remove the AnimationConditioning.",
    )
    if size is not None:
        # One latent frame more is sampled, for the character's image.
        wanted = request.shape[2] - 1, *request.shape[3:]
        _check_cells(size, wanted, request, "AnimationConditioning", "video of poses")


def _check_presence(
    is_there: bool,
    request: SamplingRequest,
    *,
    is_due: bool,
    medium: str,
    excess: str,
    excess_hint: str,
) -> None:
    """Refuse a prompt without what the model needs, and one with what it does not take."""
    if is_due and not is_there:
        raise lacking_error(medium, request.side)
    if is_there and not is_due:
        raise InvalidValue(excess, port=request.side, hint=excess_hint)


_CONTROL = "ControlVideoConditioning"


def _check_cells(
    size: tuple[int, ...],
    wanted: tuple[int, ...],
    request: SamplingRequest,
    node: str,
    what: str = "control video",
) -> None:
    if size != wanted:
        raise InvalidValue(
            f"the {what} was encoded for a video of another size or length",
            port=request.side,
            given=f"{size} in latent cells",
            expected=str(wanted),
            hint=f"Sample the latent output of {node}.",
        )


def with_first_frame(x: Tensor, first: Tensor | None) -> Tensor:
    """Latents (n, channels, frames, height, width) whose first frames are those of `first`."""
    if first is None:
        return x
    return torch.cat([first.to(x.device, x.dtype), x[:, :, first.shape[2] :]], 2)


def denoise_mask(x: Tensor, first: Tensor | None) -> Tensor:
    """1 for each cell of a video, and 0 in the first frames if those are conditioning; float32,
    (frames, height, width)."""
    mask = torch.ones(x.shape[2:], device=x.device)
    if first is not None:
        mask[: first.shape[2]] = 0
    return mask


def mask_and_video(
    film: Tensor, temporal: int, *, has_last: bool = False, mask: Tensor | None = None
) -> Tensor:
    """A film after its mask, which has a channel for each frame of a latent frame: 1 where the film
    shows an image.

    Args:
        temporal: Frames of a latent frame. The first latent frame holds one frame, which counts
            for all channels.
        has_last: Whether the last frame shows an image, too.
        mask: The tensor `CONDITION_VIDEO_MASK` of the prompt, if it has one.
    """
    if mask is not None:
        return torch.cat([mask, film], 1)
    shown = torch.zeros(1, temporal, *film.shape[2:])
    shown[:, :, 0] = 1
    if has_last:
        shown[:, -1, -1] = 1
    return torch.cat([shown, film], 1)


KEPT_SOUND, SOUND_MASK = "kept_sound", "sound_mask"
"""Tensors of a sound of which a mask keeps a part: its latents without noise, shape (1 or batch,
channels, length, bands), and the mask, (1 or batch, length), 1 where it is denoised."""

MASKED_IMAGE, INPAINT_MASK = "hole", "hole_mask"
"""Tensors of a prompt for inpainting models: the latent of the masked image, and the mask as
`Family.inpaint_mask` returns it."""

CONTROL_IMAGE = "beside"
"""Tensor of a prompt for control-image models: the latent of the control image, shape
(1, channels, height, width)."""

STAGE_C, NO_STAGE_C = "stage_c", "no_stage_c"
"""Tensors of a prompt for stage B of Stable Cascade: latents of stage C, (1, images, channels,
height, width), and zeros of that shape for negative prompts."""
IMAGE_PROMPT, NO_IMAGE_PROMPT = "image_prompt", "no_image_prompt"
"""Tensors of a prompt for stage C of Stable Cascade: what CLIP says of images, (1, images, width),
and zeros of that shape for prompts without images."""
STAGE_TENSORS, NO_STAGE_TENSORS = (STAGE_C, IMAGE_PROMPT), (NO_STAGE_C, NO_IMAGE_PROMPT)

OVER_CELLS = (MASKED_IMAGE, INPAINT_MASK, CONTROL_IMAGE, PRIOR_TOKENS, *VIDEO_CELLS)
"""Tensors of a fitted prompt that have one value per latent cell."""


def with_masked_image(
    tensors: Mapping[str, Tensor], request: SamplingRequest, *, fills: bool
) -> dict[str, Tensor]:
    """Return a prompt's tensors, with a masked image if the model is an inpainting model.

    If the prompt has no masked image, that of the latent is used. Other models get none.

    Args:
        fills: Whether the model is an inpainting model.
    Raises:
        InvalidValue: An inpainting model gets no masked image; on the port of the side.
    """
    if not fills:
        return {
            name: item for name, item in tensors.items() if name not in (MASKED_IMAGE, INPAINT_MASK)
        }
    if MASKED_IMAGE not in tensors and not request.masked_image:
        raise lacking_error("masked image", request.side)
    return {**request.masked_image, **tensors}


def with_control_image(
    tensors: Mapping[str, Tensor],
    entry: ConditioningEntry,
    request: SamplingRequest,
    *,
    follows: bool,
) -> dict[str, Tensor]:
    """Return a prompt's tensors, with its control image for models that need one.

    Args:
        follows: Whether the model needs a control image.
    Raises:
        InvalidValue: The control image is missing or of another size; on the port of the side.
    """
    if not follows:
        return dict(tensors)
    picture = entry.tensors.get(CONTROL_IMAGE)
    if picture is None:
        raise lacking_error("control image", request.side)
    if picture.shape[-2:] != tuple(request.shape[-2:]):
        raise InvalidValue(
            "the control image and the latent differ in size",
            port=request.side,
            given=f"{tuple(picture.shape[-2:])} in latent cells",
            expected=str(tuple(request.shape[-2:])),
            hint="Sample the latent output of ImageConditioning.",
        )
    return {**tensors, CONTROL_IMAGE: picture}
