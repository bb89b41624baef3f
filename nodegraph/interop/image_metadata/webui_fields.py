"""Fields of requests to AUTOMATIC1111's API, and its scripts: units of ControlNet, ADetailer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nodegraph.errors import InvalidValue
from nodegraph.interop.image_metadata.generation import (
    MAX_CONTROLS,
    MAX_DETAILS,
    MAX_PROMPT,
    DetailPass,
    shorten,
    to_integer,
    to_number,
)
from nodegraph.interop.image_metadata.source_images import find_preprocessor

_Seed = Annotated[int, Field(ge=-1, lt=1 << 64)]
_Side = Annotated[int, Field(ge=8, le=16_384)]
_Size = Annotated[int, Field(ge=0, le=16_384)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Amount = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
_Prompt = Annotated[str, Field(max_length=100_000)]
_Name = Annotated[str, Field(max_length=1000)]


_FITS: Mapping[object, str] = {
    0: "stretch",
    1: "crop",
    2: "pad",
    "just resize": "stretch",
    "resize": "stretch",
    "crop and resize": "crop",
    "scale to fit (inner fit)": "crop",
    "inner fit (scale to fit)": "crop",
    "resize and fill": "pad",
    "envelope (outer fit)": "pad",
    "outer fit (shrink to fit)": "pad",
}
_MODES: Mapping[object, int] = {
    0: 0,
    1: 1,
    2: 2,
    "balanced": 0,
    "my prompt is more important": 1,
    "controlnet is more important": 2,
}
_UNIT_FIELDS = frozenset(
    {
        *("enabled", "module", "preprocessor", "model", "weight", "image", "input_image", "mask"),
        *("guidance_start", "guidance_end", "guidance", "control_mode", "resize_mode"),
        *("pixel_perfect", "processor_res", "threshold_a", "threshold_b", "guessmode"),
        *("guess_mode", "mask_image", "low_vram", "lowvram", "save_detected_map", "input_mode"),
        *("is_ui", "batch_images", "output_dir", "loopback", "use_preview_as_input", "hr_option"),
        *("generated_image", "ui_control_mode", "batch_image_dir", "batch_mask_dir"),
        *("inpaint_crop_input_image", "union_control_type", "hr_option", "advanced_weighting"),
    }
)
"""Fields of units that are used, or change no image."""
_LABELS: Mapping[str, str] = {"person": "person", "hand": "hand", "face": "face"}
_DETAIL_USED = frozenset(
    {
        *("ad_model", "ad_model_classes", "ad_tab_enable", "ad_prompt", "ad_negative_prompt"),
        *("ad_confidence", "ad_denoising_strength", "ad_dilate_erode", "ad_mask_blur"),
        *("ad_inpaint_only_masked_padding", "ad_use_steps", "ad_steps", "ad_use_cfg_scale"),
        *("ad_cfg_scale", "is_api", "ad_inpaint_width", "ad_inpaint_height", "ad_checkpoint"),
        *("ad_vae", "ad_sampler", "ad_scheduler", "ad_noise_multiplier", "ad_clip_skip"),
        *("ad_controlnet_module", "ad_controlnet_weight", "ad_controlnet_guidance_start"),
        *("ad_controlnet_guidance_end", "ad_mask_filter_method", "ad_mask_k"),
    }
)
"""Fields of ADetailer that are used, or have an effect only with another one."""
_DETAIL_DEFAULTS: Mapping[str, object] = {
    "ad_mask_k_largest": 0,
    "ad_mask_min_ratio": 0,
    "ad_mask_max_ratio": 1,
    "ad_x_offset": 0,
    "ad_y_offset": 0,
    "ad_mask_merge_invert": "None",
    "ad_inpaint_only_masked": True,
    "ad_use_inpaint_width_height": False,
    "ad_use_checkpoint": False,
    "ad_use_vae": False,
    "ad_use_sampler": False,
    "ad_use_noise_multiplier": False,
    "ad_use_clip_skip": False,
    "ad_restore_face": False,
    "ad_controlnet_model": "None",
}
"""Fields of ADetailer that are not used, with the values that need no note."""


class _Fields(BaseModel):
    """Fields of a request. Null stands for the default, as in A1111."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value is not None}


class GenerationFields(_Fields):
    """What `txt2img` and `img2img` share."""

    prompt: _Prompt = ""
    negative_prompt: _Prompt = ""
    styles: Annotated[list[_Name], Field(max_length=100)] = []
    seed: _Seed = -1
    subseed: _Seed = -1
    subseed_strength: _Share = 0.0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: _Name = ""
    sampler_index: _Name = ""
    scheduler: _Name = ""
    batch_size: Annotated[int, Field(ge=1, le=64)] = 1
    n_iter: Annotated[int, Field(ge=1, le=256)] = 1
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    cfg_scale: Annotated[float, Field(ge=0, le=100)] = 7.0
    distilled_cfg_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    width: _Side = 512
    height: _Side = 512
    restore_faces: bool = False
    tiling: bool = False
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: _Amount | None = None
    denoising_strength: _Share = 0.75
    s_min_uncond: _Amount = 0.0
    s_churn: _Amount = 0.0
    s_tmax: _Amount | None = None
    s_tmin: _Amount = 0.0
    s_noise: _Amount | None = None
    override_settings: dict[str, Any] = {}
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: _Name = ""
    refiner_switch_at: _Share | None = None
    disable_extra_networks: bool = False
    firstpass_image: str = ""
    comments: dict[str, Any] = {}
    script_name: _Name = ""
    script_args: list[Any] = []
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = {}
    controlnet_units: list[Any] = []
    infotext: _Prompt = ""
    force_task_id: str = ""


class Txt2ImgFields(GenerationFields):
    """A request for images of a prompt."""

    enable_hr: bool = False
    firstphase_width: _Size = 0
    firstphase_height: _Size = 0
    hr_scale: Annotated[float, Field(gt=0, le=16)] = 2.0
    hr_upscaler: _Name = ""
    hr_second_pass_steps: Annotated[int, Field(ge=0, le=1000)] = 0
    hr_resize_x: _Size = 0
    hr_resize_y: _Size = 0
    hr_checkpoint_name: _Name = ""
    hr_sampler_name: _Name = ""
    hr_scheduler: _Name = ""
    hr_prompt: _Prompt = ""
    hr_negative_prompt: _Prompt = ""
    hr_cfg: Annotated[float, Field(ge=0, le=100)] | None = None


class Img2ImgFields(GenerationFields):
    """A request for images that start from others."""

    init_images: Annotated[list[str], Field(max_length=64)] = []
    resize_mode: Annotated[int, Field(ge=0, le=3)] = 0
    image_cfg_scale: float | None = None
    mask: str = ""
    mask_blur: Annotated[int, Field(ge=0, le=512)] | None = None
    mask_blur_x: Annotated[int, Field(ge=0, le=512)] = 4
    mask_blur_y: Annotated[int, Field(ge=0, le=512)] = 4
    mask_round: bool = True
    inpainting_fill: Annotated[int, Field(ge=0, le=3)] = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: Annotated[int, Field(ge=0, le=4096)] = 0
    inpainting_mask_invert: Annotated[int, Field(ge=0, le=1)] = 0
    initial_noise_multiplier: float | None = None
    latent_mask: str = ""
    include_init_images: bool = False


_ABSENT = {
    name: field.get_default(call_default_factory=True)
    for kind in (Txt2ImgFields, Img2ImgFields)
    for name, field in kind.model_fields.items()
}
"""Defaults of the fields that only one of the two requests has."""


def request_values(fields: GenerationFields) -> dict[str, Any]:
    """Return the fields of a request, with defaults for those that only the other kind has."""
    return {**_ABSENT, **fields.model_dump(exclude={"init_images", "mask"})}


class ExtraFields(_Fields):
    """What `extra-single-image` and `extra-batch-images` share."""

    resize_mode: Annotated[int, Field(ge=0, le=1)] = 0
    show_extras_results: bool = True
    gfpgan_visibility: _Share = 0.0
    codeformer_visibility: _Share = 0.0
    codeformer_weight: _Share = 0.0
    upscaling_resize: Annotated[float, Field(gt=0, le=16)] = 2.0
    upscaling_resize_w: Annotated[int, Field(ge=1, le=16_384)] = 512
    upscaling_resize_h: Annotated[int, Field(ge=1, le=16_384)] = 512
    upscaling_crop: bool = True
    upscaler_1: _Name = "None"
    upscaler_2: _Name = "None"
    extras_upscaler_2_visibility: _Share = 0.0
    upscale_first: bool = False


class ExtraImage(ExtraFields):
    """An image to enlarge."""

    image: str = ""


class NamedImage(_Fields):
    """An image with a name."""

    data: str
    name: str = ""


class ExtraImages(ExtraFields):
    """Images to enlarge."""

    image_list: Annotated[list[NamedImage], Field(min_length=1, max_length=64, alias="imageList")]


class DetectFields(_Fields):
    """Images for a preprocessor of ControlNet."""

    controlnet_module: _Name = "none"
    controlnet_input_images: Annotated[list[str], Field(max_length=64)] = []
    controlnet_images: Annotated[list[str], Field(max_length=64)] = []
    controlnet_processor_res: Annotated[int, Field(ge=-1, le=4096)] = 512
    controlnet_threshold_a: float = -1
    controlnet_threshold_b: float = -1


class InterrogateFields(_Fields):
    """An image to describe."""

    image: str = ""
    model: _Name = "clip"


@dataclass(frozen=True)
class ControlRequest:
    """A unit of ControlNet that is on.

    Attributes:
        number: Of the unit, from 0.
        image, mask: Base64 texts; empty if there is none.
        module: Preprocessor; empty for none.
        resolution, fit, is_guess, thresholds: As in `ControlUnit`.
    """

    number: int
    model: str
    module: str
    image: str
    mask: str
    weight: float
    start: float
    end: float
    thresholds: tuple[float | None, float | None]
    resolution: int
    fit: str
    is_guess: bool


@dataclass
class RequestScripts:
    """What the scripts of a request do."""

    controls: list[ControlRequest] = field(default_factory=list)
    details: list[DetailPass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_scripts(request: Mapping[str, Any]) -> RequestScripts:
    """Read the scripts of a request.

    Raises:
        InvalidValue: A script is not here, or a unit cannot be read.
    """
    name = request["script_name"]
    if name and str(name).lower() != "none":
        raise InvalidValue(
            "there are no selectable scripts",
            given=shorten(name),
            expected="no `script_name`",
            hint="ControlNet and ADetailer go into `alwayson_scripts`.",
        )
    scripts = RequestScripts()
    units: list[Any] = list(request["controlnet_units"])
    for title, entry in request["alwayson_scripts"].items():
        args = entry.get("args", []) if isinstance(entry, Mapping) else entry
        listed = args if isinstance(args, list) else [args]
        kind = str(title).strip().lower()
        if kind == "controlnet":
            units += listed
        elif kind == "adetailer":
            _read_details(scripts, listed)
        elif any(_is_set(each) for each in listed[:1]):
            raise InvalidValue(
                "this script is not here",
                given=shorten(title),
                expected="ControlNet or ADetailer",
                hint="Leave it out of `alwayson_scripts`, or turn it off.",
            )
        else:
            scripts.notes.append(f"Not used: the script `{shorten(title)}`, which is off.")
    for number, unit in enumerate(units):
        if isinstance(unit, Mapping):
            _add_unit(scripts, number, unit)
        elif _is_set(unit):
            raise InvalidValue(
                f"the ControlNet unit {number} is not an object", given=shorten(unit)
            )
    return scripts


def _is_set(value: object) -> bool:
    """Whether the first argument of a script turns it on."""
    return value not in (None, False, "", 0, [], {})


def _add_unit(scripts: RequestScripts, number: int, unit: Mapping[str, Any]) -> None:
    if not unit.get("enabled", True):
        return
    if len(scripts.controls) >= MAX_CONTROLS:
        raise InvalidValue(
            "there are too many ControlNet units", expected=f"at most {MAX_CONTROLS}"
        )
    read = read_unit(number, unit)
    if not read.model:
        if read.module:
            raise InvalidValue(
                f"the ControlNet unit {number} needs a model",
                given=shorten(read.module),
                hint="Set `model`. Preprocessors such as reference_only have no counterpart.",
            )
        scripts.notes.append(f"The ControlNet unit {number} has no model. It is left out.")
        return
    where = f"the ControlNet unit {number}"
    if _choice(unit, "control_mode", _MODES, 0, where) == 1:
        scripts.notes.append(
            f"Not used: control_mode of unit {number}: both prompts count as in Balanced."
        )
    if _text(unit, "hr_option", where=where).lower() not in ("", "both"):
        scripts.notes.append(f"Not used: hr_option of unit {number}: both passes are controlled.")
    unknown = sorted(str(name) for name in unit if name not in _UNIT_FIELDS)
    if unknown:
        scripts.notes.append(f"Not used in unit {number}: {shorten(', '.join(unknown))}.")
    scripts.controls.append(read)


def read_unit(number: int, unit: Mapping[str, Any]) -> ControlRequest:
    """Read a unit of ControlNet.

    Args:
        number: Of the unit, from 0.
    Raises:
        InvalidValue: A field has a wrong value, or the preprocessor is not here.
    """
    where = f"the ControlNet unit {number}"
    module = _text(unit, "module", "preprocessor", where=where)
    model = _text(unit, "model", where=where)
    is_plain = module.lower() in ("", "none")
    has_model = model.lower() not in ("", "none")
    if has_model and not is_plain and not find_preprocessor(module):
        raise InvalidValue(
            f"{where} has an unknown preprocessor",
            given=shorten(module),
            hint="GET /controlnet/module_list lists them. Or send a processed image with the "
            "module `none`.",
        )
    image, mask = _images(unit, where)
    is_perfect = bool(unit.get("pixel_perfect"))
    resolution = 0 if is_perfect else int(_number(unit, "processor_res", -1, where))
    return ControlRequest(
        number,
        model if has_model else "",
        "" if is_plain else module,
        image,
        mask,
        _number(unit, "weight", 1.0, where, 0, 10),
        _number(unit, "guidance_start", 0.0, where, 0, 1),
        _number(unit, "guidance_end", 1.0, where, 0, 1),
        (_threshold(unit, "threshold_a", where), _threshold(unit, "threshold_b", where)),
        max(0, min(4096, resolution)),
        _choice(unit, "resize_mode", _FITS, "crop", where),
        _choice(unit, "control_mode", _MODES, 0, where) == 2
        or bool(unit.get("guess_mode") or unit.get("guessmode")),
    )


def _images(unit: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The base64 texts of a unit's image and mask."""
    image: Any = unit.get("input_image") if unit.get("image") is None else unit["image"]
    mask = unit.get("mask") or unit.get("mask_image")
    if isinstance(image, list):
        image = image[0] if image else None
    if isinstance(image, Mapping):
        image, mask = image.get("image"), image.get("mask") or mask
    for name, value in (("image", image), ("mask", mask)):
        if value is not None and not isinstance(value, str):
            raise InvalidValue(
                f"`{name}` of {where} is no text", given=shorten(value), expected="a base64 text"
            )
    return image or "", mask or ""


def _text(fields: Mapping[str, Any], *names: str, where: str) -> str:
    value = next((fields[name] for name in names if fields.get(name) is not None), "")
    if not isinstance(value, str):
        raise InvalidValue(
            f"`{names[0]}` of {where} is no text", given=shorten(value), expected="a text"
        )
    if len(value) > MAX_PROMPT:
        raise InvalidValue(
            f"`{names[0]}` of {where} is too long", expected=f"at most {MAX_PROMPT:,} characters"
        )
    return value.strip()


def _number(
    fields: Mapping[str, Any],
    name: str,
    default: float,
    where: str,
    low: float = -(2**31),
    high: float = 2**31,
) -> float:
    value = fields.get(name)
    if value is None:
        return default
    number = to_number(value)
    if number is None or not low <= number <= high:
        raise InvalidValue(
            f"`{name}` of {where} is out of range",
            given=shorten(value),
            expected=f"a number from {low:g} to {high:g}",
        )
    return number


def _threshold(unit: Mapping[str, Any], name: str, where: str) -> float | None:
    value = _number(unit, name, -1, where)
    return None if value < 0 else value  # -1 stands for the usual one


def _choice(
    fields: Mapping[str, Any], name: str, choices: Mapping[object, Any], default: Any, where: str
) -> Any:
    value = fields.get(name)
    if value is None:
        return default
    key = value.strip().lower() if isinstance(value, str) else to_integer(value)
    if key not in choices:
        raise InvalidValue(
            f"`{name}` of {where} is unknown",
            given=shorten(value),
            expected=", ".join(str(each) for each in choices),
        )
    return choices[key]


def _read_details(scripts: RequestScripts, args: list[Any]) -> None:
    if args and not isinstance(args[0], Mapping) and not _is_set(args[0]):
        return  # it is off
    for number, entry in enumerate(args, 1):
        if not isinstance(entry, Mapping):
            continue  # whether it is on, and whether it leaves img2img out
        settings = _read_detail(scripts, number, entry)
        if settings is None:
            continue
        if len(scripts.details) >= MAX_DETAILS:
            raise InvalidValue(
                "there are too many passes of ADetailer", expected=f"at most {MAX_DETAILS}"
            )
        scripts.details.append(settings)


def _read_detail(
    scripts: RequestScripts, number: int, entry: Mapping[str, Any]
) -> DetailPass | None:
    """The settings of a pass; None if it is off."""
    where = f"the ADetailer pass {number}"
    detector = _text(entry, "ad_model", where=where)
    if detector.lower() in ("", "none") or entry.get("ad_tab_enable") is False:
        return None
    classes = _text(entry, "ad_model_classes", where=where)
    labels = classes or next((kind for word, kind in _LABELS.items() if word in detector), "face")
    scripts.notes += _unused(number, entry)
    steps: int | None = None
    cfg: float | None = None
    if entry.get("ad_use_steps"):
        steps = int(_number(entry, "ad_steps", 28, where, 1, 10_000))
    if entry.get("ad_use_cfg_scale"):
        cfg = _number(entry, "ad_cfg_scale", 7.0, where, 0, 100)
    return DetailPass(
        detector,
        labels,
        _text(entry, "ad_prompt", where=where),
        _text(entry, "ad_negative_prompt", where=where),
        _number(entry, "ad_confidence", 0.3, where, 0, 1),
        max(0.01, _number(entry, "ad_denoising_strength", 0.4, where, 0, 1)),
        int(_number(entry, "ad_dilate_erode", 4, where, -1024, 1024)),
        int(_number(entry, "ad_inpaint_only_masked_padding", 32, where, 0, 4096)),
        steps=steps,
        cfg=cfg,
        blur=_number(entry, "ad_mask_blur", 4, where, 0, 512),
    )


def _unused(number: int, entry: Mapping[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        if name in _DETAIL_USED or _DETAIL_DEFAULTS.get(name, object()) == value:
            continue
        yield f"Not used in the ADetailer pass {number}: {shorten(name)}."
