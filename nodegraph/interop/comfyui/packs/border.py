"""Values over the border of a pack's process: from nodegraph's forms to ComfyUI's, and back.

`to_comfy` and `from_comfy` convert by the name of ComfyUI's type. What a native value cannot hold
is refused by name. Both need `handles.current_call`: control images are encoded in the main worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.values import (
    Area,
    Audio,
    Conditioning,
    ConditioningEntry,
    Control,
    ControlNet,
    Video,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CROP, GUIDANCE, ORIGINAL_SIZE, SCORE, TARGET_SIZE
from nodegraph.families.image_conditioning import INPAINT_MASK, MASKED_IMAGE
from nodegraph.families.registry import get_family
from nodegraph.interop.comfyui.packs import latents
from nodegraph.interop.comfyui.packs.handles import (
    HANDLES,
    ControlNetHandle,
    VaeHandle,
    handle_of,
    recipe_of,
)
from nodegraph.interop.comfyui.packs.model_handle import CONVERTERS, ask, refused

ORIGIN_KEY = "nodegraph"
"""Key of a CONDITIONING's dict with what ComfyUI has no key for; see `NativeValues`."""

_CELL = 8
_FADE = 64.0
"""Pixels over which ComfyUI fades in the area of a prompt."""
_SIZES = {
    ("height", "width"): ORIGINAL_SIZE,
    ("crop_h", "crop_w"): CROP,
    ("target_height", "target_width"): TARGET_SIZE,
}
_KEPT_KEYS = ("pooled", GUIDANCE, SCORE, MASKED_IMAGE, INPAINT_MASK, *_SIZES.values())
"""Tensors of an entry that have keys there."""
_READ = frozenset(
    {
        *(name for pair in _SIZES for name in pair),
        *("pooled_output", "guidance", "aesthetic_score", "strength", "mask", "mask_strength"),
        *("area", "start_percent", "end_percent", "control", "control_apply_to_uncond"),
        *("reference_latents", "concat_latent_image", "concat_mask", ORIGIN_KEY),
    }
)
_WITHOUT_EFFECT = frozenset(
    {"uuid", "set_area_to_bounds", "attention_mask_img_shape", "prompt_type", "cross_attn"}
)
"""Keys that change nothing here: they name a prompt, or speed its evaluation up."""


@dataclass(frozen=True, slots=True)
class NativeValues:
    """What a prompt was before a pack saw it.

    Attributes:
        entry: The native entry.
        family: Of its conditioning.
        unconditional: Of its conditioning.
    """

    entry: ConditioningEntry
    family: str | None
    unconditional: ConditioningEntry | None

    def __deepcopy__(self, memo: Any) -> NativeValues:
        return self  # it is never changed


def to_comfy_conditioning(conditioning: Conditioning) -> list[Any]:
    """Convert prompts to ComfyUI's CONDITIONING: pairs of embeddings and a dict."""
    if conditioning.family is not None:
        latents.note_format(get_family(conditioning.family).latent.name)
    origin = (conditioning.family, conditioning.unconditional)
    return [
        [entry.embeddings, _values_of(entry, NativeValues(entry, *origin))]
        for entry in conditioning.entries
    ]


CONVERTERS["CONDITIONING"] = to_comfy_conditioning


def _values_of(entry: ConditioningEntry, origin: NativeValues) -> dict[str, Any]:
    values: dict[str, Any] = {ORIGIN_KEY: origin}
    tensors = entry.tensors
    values["pooled_output"] = tensors.get("pooled")
    if GUIDANCE in tensors:
        values["guidance"] = float(tensors[GUIDANCE])
    for (y, x), name in _SIZES.items():
        if name in tensors:
            values[y], values[x] = (int(side) for side in tensors[name].reshape(-1))
    if SCORE in tensors:
        values["aesthetic_score"] = float(tensors[SCORE])
    if entry.strength != 1.0:
        values["strength"] = entry.strength
    if entry.mask is not None:
        values |= {"mask": entry.mask, "mask_strength": 1.0, "set_area_to_bounds": False}
    if (entry.start, entry.end) != (0.0, 1.0):
        values |= {"start_percent": entry.start, "end_percent": entry.end}
    area = _area_there(entry.areas)
    if area is not None:
        values["area"] = area
    if entry.references and origin.family is not None:
        name = get_family(origin.family).latent.name
        values["reference_latents"] = [latents.unscale(item, name) for item in entry.references]
    if MASKED_IMAGE in tensors and origin.family is not None:
        name = get_family(origin.family).latent.name
        values["concat_latent_image"] = latents.unscale(tensors[MASKED_IMAGE], name)
        values["concat_mask"] = _mask_in_pixels(tensors[INPAINT_MASK], origin.family)
    if entry.controls:
        values["control"] = _control_chain(entry.controls)
        values["control_apply_to_uncond"] = False
    return values


def _area_there(areas: Sequence[Area]) -> tuple[Any, ...] | None:
    """The area of a prompt as ComfyUI has it; None for none, or one that it cannot have."""
    if len(areas) != 1 or areas[0].sampled != "area" or areas[0].feather != _FADE:
        return None
    area = areas[0]
    sides = (area.height, area.width, area.y, area.x)
    if area.unit == "shares":
        return ("percentage", *sides)
    return tuple(int(side) // _CELL for side in sides)


def _control_chain(controls: Sequence[Control]) -> ControlNetHandle | None:
    previous: ControlNetHandle | None = None
    for control in controls:
        assert isinstance(control.model, ControlNet)
        handle = ControlNetHandle(control.model)
        handle.set_cond_hint(control.hint, control.strength, (control.start, control.end))
        handle.known = control
        previous = handle.set_previous_controlnet(previous)
    return previous


def from_comfy_conditioning(value: Any) -> Conditioning:
    """Convert ComfyUI's CONDITIONING to prompts.

    Raises:
        InvalidValue: It is no CONDITIONING, is empty, or has a key that no native prompt holds.
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise InvalidValue(
            "this is no CONDITIONING",
            given="an empty list" if value == [] else type(value).__name__,
            expected="a list of pairs: a tensor and a dict",
        )
    origins = [item[1].get(ORIGIN_KEY) for item in value]
    known = next((origin for origin in origins if isinstance(origin, NativeValues)), None)
    entries, empty = [], None if known is None else known.unconditional
    for (tensor, values), origin in zip(value, origins, strict=True):
        base = origin if isinstance(origin, NativeValues) else None
        entry, controls = _entry_of(tensor, values, base or known, changed=base is None)
        entries.append(replace(entry, controls=controls))
        if values.get("control_apply_to_uncond") and empty is not None:
            empty = replace(empty, controls=controls)
    return Conditioning(tuple(entries), None if known is None else known.family, empty)


def _entry_of(
    tensor: Tensor, values: Mapping[str, Any], origin: NativeValues | None, *, changed: bool
) -> tuple[ConditioningEntry, tuple[Control, ...]]:
    for name, item in values.items():
        if name not in _READ and name not in _WITHOUT_EFFECT and item is not None:
            raise InvalidValue(
                f"nodegraph's prompts have no `{name}`, which a ComfyUI pack set on a CONDITIONING",
                given=name,
                expected="keys of prompts, sizes, areas, masks, steps, control images and "
                "reference latents",
                hint="Use the native node that does the same.",
            )
    before = None if origin is None or changed else origin.entry
    entry = replace(
        before or ConditioningEntry({}),
        tensors=_tensors(tensor, values, before) | _masked_image(values, origin, before),
        strength=float(values.get("strength", 1.0)),
        mask=_mask(values),
        start=float(values.get("start_percent", 0.0)),
        end=float(values.get("end_percent", 1.0)),
        references=_references(values.get("reference_latents"), origin, before),
        areas=_areas(values.get("area"), before),
    )
    return entry, _controls(values.get("control"))


def _tensors(
    tensor: Tensor, values: Mapping[str, Any], before: ConditioningEntry | None
) -> dict[str, Tensor]:
    embeddings = tensor.detach().to("cpu", torch.float32)
    tensors = {} if before is None else dict(before.tensors)
    for name in _KEPT_KEYS:
        tensors.pop(name, None)
    tensors["embeddings"] = embeddings
    pooled = values.get("pooled_output")
    if pooled is not None:
        tensors["pooled"] = pooled.detach().to("cpu", torch.float32)
    if values.get("guidance") is not None:
        tensors[GUIDANCE] = torch.tensor([float(values["guidance"])], dtype=torch.float64)
    for (y, x), name in _SIZES.items():
        if values.get(y) is not None and values.get(x) is not None:
            tensors[name] = torch.tensor([[values[y], values[x]]], dtype=torch.float32)
    if values.get("aesthetic_score") is not None:
        tensors[SCORE] = torch.tensor([[values["aesthetic_score"]]], dtype=torch.float32)
    mask = tensors.get("mask")
    if mask is not None and mask.shape[1] != embeddings.shape[1]:
        raise InvalidValue(
            "a ComfyUI pack changed the number of tokens of a prompt that has a mask of them",
            given=f"{embeddings.shape[1]} tokens",
            expected=f"{mask.shape[1]}",
            hint="Use the native node ConcatenateConditioning.",
        )
    return tensors


def _masked_image(
    values: Mapping[str, Any], origin: NativeValues | None, before: ConditioningEntry | None
) -> dict[str, Tensor]:
    """The masked image for an inpainting model, in the scale of the prompt's model."""
    image, mask = values.get("concat_latent_image"), values.get("concat_mask")
    if image is None and mask is None:
        return {}
    if image is None or mask is None:
        raise InvalidValue(
            "a masked image of a prompt is an image and its mask here, and a ComfyUI pack set one",
            given="concat_mask" if image is None else "concat_latent_image",
            expected="both concat_latent_image and concat_mask",
        )
    family = get_family(_family_of(origin, "a masked image"))
    known = {} if before is None else before.tensors
    if MASKED_IMAGE in known:
        mine = latents.unscale(known[MASKED_IMAGE], family.latent.name)
        same_mask = torch.equal(_mask_in_pixels(known[INPAINT_MASK], family.name), mask)
        if torch.equal(mine, image) and same_mask:
            return {name: known[name] for name in (MASKED_IMAGE, INPAINT_MASK)}
    planes = mask.detach().to("cpu", torch.float32).reshape(-1, 1, *mask.shape[-2:])
    pixels = [side * family.latent.spatial for side in image.shape[-2:]]
    # It comes in pixels or in cells.
    if list(planes.shape[-2:]) != pixels:
        planes = torch.nn.functional.interpolate(planes, size=pixels)
    scaled = latents.scale(image.detach().to("cpu", torch.float32), family.latent.name)
    return {MASKED_IMAGE: scaled.contiguous(), INPAINT_MASK: family.inpaint_mask(planes)}


def _mask_in_pixels(mask: Tensor, family: str) -> Tensor:
    """The mask of a masked image as ComfyUI has it, (n, 1, height, width)."""
    cell = get_family(family).latent.spatial
    # Each pixel of a cell is a channel, or all are alike.
    return torch.nn.functional.pixel_shuffle(mask.expand(-1, cell**2, -1, -1), cell)


def _family_of(origin: NativeValues | None, what: str) -> str:
    """Family of a prompt's model.

    Raises:
        InvalidValue: It is not known, so the scale of its latents is not.
    """
    if origin is None or origin.family is None:
        raise InvalidValue(
            f"the scale of {what} is not known without the prompt's model",
            expected="a CONDITIONING of a CLIP, or a copy of one",
        )
    return origin.family


def _mask(values: Mapping[str, Any]) -> Tensor | None:
    mask = values.get("mask")
    if mask is None:
        return None
    planes: Tensor = mask.detach().to("cpu", torch.float32).reshape(-1, *mask.shape[-2:])
    return planes[:1] * float(values.get("mask_strength", 1.0))


def _areas(area: Any, before: ConditioningEntry | None) -> tuple[Area, ...]:
    kept = () if before is None or _area_there(before.areas) is not None else before.areas
    if area is None:
        return kept
    is_share = area[0] == "percentage"
    height, width, y, x = (
        (float(side) for side in area[1:]) if is_share else (float(side) * _CELL for side in area)
    )
    unit = "shares" if is_share else "pixels"
    return (*kept, Area(x, y, width, height, unit, _FADE, "area"))  # type: ignore[arg-type]


def _references(
    references: Any, origin: NativeValues | None, before: ConditioningEntry | None
) -> tuple[Tensor, ...]:
    """Reference latents in the scale of the prompt's model."""
    if not references:
        return ()
    name = get_family(_family_of(origin, "reference latents")).latent.name
    known = () if before is None else before.references
    if len(references) == len(known) and all(
        torch.equal(latents.unscale(mine, name), theirs)
        for mine, theirs in zip(known, references, strict=True)
    ):
        return known
    values = ({"samples": item, latents.FORMAT_KEY: name} for item in references)
    decoded = [latents.from_comfy_latent(value).samples for value in values]
    return tuple(item[None] for batch in decoded if batch is not None for item in batch)


def _controls(handle: Any) -> tuple[Control, ...]:
    """Controls of a chain, the first one first."""
    controls: list[Control] = []
    while handle is not None:
        if not isinstance(handle, ControlNetHandle):
            raise refused(
                f"control of class {type(handle).__name__}",
                "only control networks from `comfy.controlnet.load_controlnet` apply here",
            )
        controls.insert(0, handle.known or _encoded_control(handle))
        handle = handle.previous_controlnet
    return tuple(controls)


def _encoded_control(handle: ControlNetHandle) -> Control:
    hint = handle.cond_hint_original
    if hint is None:
        raise InvalidValue(
            "a control network of a CONDITIONING has no control image",
            expected="one by `set_cond_hint`",
        )
    control: Control = ask(
        "control.encode",
        network=handle.recipe,
        image=hint.movedim(1, -1).contiguous(),
        strength=handle.strength,
        start=handle.timestep_percent_range[0],
        end=handle.timestep_percent_range[1],
        mode=handle.mode,
        mask=handle.mask,
        vae=handle.vae.recipe if isinstance(handle.vae, VaeHandle) else None,
    )
    return control


def to_comfy_audio(audio: Audio) -> dict[str, Any]:
    """Convert audio to ComfyUI's AUDIO: waveform (1, channels, samples) and sample rate."""
    return {"waveform": audio.waveform[None], "sample_rate": audio.rate}


def from_comfy_audio(value: Mapping[str, Any]) -> Audio:
    """Convert ComfyUI's AUDIO.

    Raises:
        InvalidValue: It has several waveforms.
    """
    waveform = value["waveform"].detach().to("cpu", torch.float32)
    if waveform.ndim != 3 or len(waveform) != 1:
        raise InvalidValue(
            "a ComfyUI pack returned AUDIO with several waveforms",
            given=f"shape {tuple(waveform.shape)}",
            expected="shape (1, channels, samples)",
            hint="Return them as a list (OUTPUT_IS_LIST).",
        )
    return Audio(waveform[0].contiguous(), int(value["sample_rate"]))


class VideoComponents:
    """Frames, audio and rate of a VIDEO, under ComfyUI's names."""

    def __init__(
        self, images: Tensor, frame_rate: Any, audio: Any = None, metadata: Any = None
    ) -> None:
        self.images, self.audio, self.metadata = images, audio, metadata
        self.frame_rate = Fraction(frame_rate)


class VideoFromComponents:
    """ComfyUI's VIDEO made of frames."""

    def __init__(self, components: VideoComponents) -> None:
        self._components = components

    def get_components(self) -> VideoComponents:
        """Frames, audio and rate."""
        return self._components

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height in pixels."""
        images = self._components.images
        return images.shape[2], images.shape[1]

    def get_duration(self) -> float:
        """Seconds."""
        return float(len(self._components.images) / self._components.frame_rate)

    def get_frame_count(self) -> int:
        """Number of frames."""
        return len(self._components.images)

    def get_frame_rate(self) -> Fraction:
        """Frames per second."""
        return self._components.frame_rate

    def save_to(
        self, path: Any, format: Any = None, codec: Any = None, metadata: Any = None
    ) -> None:
        """Write an MP4 file with H.264.

        Raises:
            PackError: Another container or codec.
        """
        from pathlib import Path

        from nodegraph.media.videos.encoding import encode_video

        names = {str(getattr(item, "value", item) or "auto") for item in (format, codec)}
        if not names <= {"auto", "mp4", "h264"}:
            raise refused("VIDEO.save_to", f"videos are written as MP4 with H.264, not {names}")
        Path(path).write_bytes(encode_video(from_comfy_video(self)))


class VideoFromFile(VideoFromComponents):
    """ComfyUI's VIDEO of a file; it is read when its frames are needed."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._read: VideoComponents | None = None

    def get_stream_source(self) -> Any:
        """The path of the file."""
        return self._file

    def get_components(self) -> VideoComponents:
        if self._read is None:
            from pathlib import Path

            from nodegraph.media.videos.clips import read_video

            self._read = _components(read_video(Path(self._file)))
        return self._read

    @property
    def _components(self) -> VideoComponents:  # type: ignore[override]
        return self.get_components()


def _components(video: Video) -> VideoComponents:
    audio = None if video.audio is None else to_comfy_audio(video.audio)
    return VideoComponents(video.frames, video.rate, audio)


def to_comfy_video(video: Video) -> VideoFromComponents:
    """Convert a video to ComfyUI's VIDEO."""
    return VideoFromComponents(_components(video))


def from_comfy_video(value: Any) -> Video:
    """Convert any object with ComfyUI's ``get_components``.

    Raises:
        InvalidValue: It has none.
    """
    if not hasattr(value, "get_components"):
        raise InvalidValue(
            "a ComfyUI pack returned a VIDEO without get_components()",
            given=type(value).__name__,
        )
    parts = value.get_components()
    frames = parts.images[..., :3].detach().to("cpu", torch.float32).contiguous()
    audio = None if not parts.audio else from_comfy_audio(parts.audio)
    return Video(frames, Fraction(parts.frame_rate), audio)


def _to_picture(value: Tensor) -> Tensor:
    return value


def _from_picture(value: Any) -> Tensor:
    """An IMAGE (batch, height, width, channels), float32 on the CPU.

    ComfyUI checks no shapes, and packs return single images, or masks as gray ones.
    """
    if not isinstance(value, Tensor) or value.ndim not in (2, 3, 4):
        raise InvalidValue(
            "a ComfyUI pack returned an IMAGE that is no tensor of images",
            given=f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(type(value)),
            expected="shape (batch, height, width, channels)",
        )
    pictures = value.detach().to("cpu", torch.float32)
    if pictures.ndim == 2 or (pictures.ndim == 3 and pictures.shape[-1] not in (1, 3, 4)):
        pictures = pictures.reshape(-1, *pictures.shape[-2:], 1).expand(-1, -1, -1, 3)
    return (pictures if pictures.ndim == 4 else pictures[None]).contiguous()


def _from_mask(value: Any) -> Tensor:
    """A MASK (batch, height, width), float32 on the CPU; one plane may come alone."""
    if not isinstance(value, Tensor) or value.ndim not in (2, 3, 4):
        raise InvalidValue(
            "a ComfyUI pack returned a MASK that is no tensor of masks",
            given=f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(type(value)),
            expected="shape (batch, height, width)",
        )
    planes = value.detach().to("cpu", torch.float32)
    return planes.reshape(-1, *planes.shape[-2:]).contiguous()


def _to_sigmas(value: Any) -> Tensor:
    """A native schedule as SIGMAS: only one that lists its levels has any without a model."""
    segment = value.segments[0]
    if len(value.segments) != 1 or not segment.levels:
        raise InvalidValue(
            "a schedule by name has noise levels only with a model, and SIGMAS are noise levels",
            given=segment.law,
            expected="a schedule that lists its levels",
            hint="Use the node ManualSchedule, or a scheduler node of the pack.",
        )
    sigmas = torch.tensor(segment.levels[segment.first : segment.last + 1])
    # Samplers divide by the first level, so that ComfyUI's FlipSigmas replaces 0 there, too.
    return sigmas.flip(0).clamp(min=1e-4) if segment.rises else sigmas


def _from_sigmas(value: Any) -> Any:
    from nodegraph.sampling.composed_schedules import ordered_schedule

    return ordered_schedule(value.detach().to("cpu", torch.float32).tolist())


_CONVERSIONS: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "IMAGE": (_to_picture, _from_picture),
    "MASK": (_to_picture, _from_mask),
    "LATENT": (latents.to_comfy_latent, latents.from_comfy_latent),
    "CONDITIONING": (to_comfy_conditioning, from_comfy_conditioning),
    "AUDIO": (to_comfy_audio, from_comfy_audio),
    "VIDEO": (to_comfy_video, from_comfy_video),
    "SIGMAS": (_to_sigmas, _from_sigmas),
}
"""By ComfyUI's type: from a native value, and back."""

CONVERTED = (*_CONVERSIONS, *HANDLES, "SAMPLER", "NOISE", "GUIDER")
"""Types of ComfyUI whose values are others there than here."""


def to_comfy(value: Any, comfy_type: str) -> Any:
    """Convert a native value to the form that ComfyUI's packs know.

    Args:
        comfy_type: Name of ComfyUI's type. Values of types outside `CONVERTED` stay as they are.
    Raises:
        NodegraphError: It has no such form.
    """
    if value is None:
        return None
    if comfy_type in HANDLES:
        return handle_of(value, comfy_type)
    if comfy_type in ("SAMPLER", "NOISE", "GUIDER"):
        from nodegraph.interop.comfyui.packs.stand_ins import sampler_objects

        return sampler_objects.to_comfy_part(value)
    return _CONVERSIONS[comfy_type][0](value) if comfy_type in _CONVERSIONS else value


def from_comfy(value: Any, comfy_type: str) -> Any:
    """Convert a value that a pack returns to the native form; see `to_comfy`."""
    if value is None:
        return None
    if comfy_type in HANDLES:
        return recipe_of(value, comfy_type)
    if comfy_type in ("SAMPLER", "NOISE"):
        # What is a pack's own stays in its process.
        return value.native() if getattr(value, "is_native", False) else value
    return _CONVERSIONS[comfy_type][1](value) if comfy_type in _CONVERSIONS else value
