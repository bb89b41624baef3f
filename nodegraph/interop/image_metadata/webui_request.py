"""Requests of AUTOMATIC1111's API as workflows of the usual nodes.

A request has the settings that A1111 writes into images, so they are read as from an image, and
`generation_workflow` makes the workflow. The images that a request brings are added.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import missing_sampler_reason, sampler_record
from nodegraph.interop.image_metadata.a1111 import read_settings
from nodegraph.interop.image_metadata.generation import (
    MAX_SEED,
    ControlUnit,
    DetailPass,
    Generation,
    ModelReference,
    SourceImage,
    SourceMask,
    shorten,
)
from nodegraph.interop.image_metadata.generation_workflow import import_generation
from nodegraph.interop.image_metadata.infotext import Infotext, format_infotext
from nodegraph.interop.image_metadata.model_finder import ListedModels, stem
from nodegraph.interop.image_metadata.sampler_names import match_sampler
from nodegraph.interop.image_metadata.source_images import (
    DESCRIPTION,
    DETECTORS,
    BroughtImage,
    ImageNodes,
    find_preprocessor,
)
from nodegraph.interop.image_metadata.webui_fields import (
    ControlRequest,
    RequestScripts,
    read_unit,
)

MAX_IMAGES = 256
"""Images of one request."""
_BY_TEXT = re.compile("CLIPSeg|Sam3")
_BY_BOXES = re.compile("ObjectDetection")
VISION_PREPROCESSORS: Mapping[str, re.Pattern[str]] = {
    "depth": re.compile("[Dd]epth"),
    "openpose": re.compile("[Pp]ose"),
}
_SAME = ("", "none", "automatic", "use same checkpoint", "use same sampler", "use same scheduler")
_FITS = ("stretch", "crop", "pad", "stretch")
_FILLS = ("blurred", "original", "noise", "empty")
_CONTENTS = ("fill", "original", "latent noise", "latent nothing")


@dataclass(frozen=True)
class RequestImages:
    """All images of a request.

    Attributes:
        init: The source images.
        controls: Image and mask of each ControlNet unit, in the order of `RequestScripts.controls`.
    """

    init: Sequence[BroughtImage] = ()
    mask: BroughtImage | None = None
    controls: Sequence[tuple[BroughtImage | None, BroughtImage | None]] = ()


@dataclass(frozen=True)
class RequestJob:
    """One run of the request's settings.

    Attributes:
        document: The workflow.
        seeds, subseeds, infotexts: Of each image.
    """

    document: dict[str, Any]
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    infotexts: tuple[str, ...]


@dataclass
class RequestPlan:
    """What a request makes.

    Attributes:
        prompt, negative: With styles.
        model, vae, encoders: Names here.
        notes: What is not done as A1111 does it, a sentence each.
    """

    prompt: str
    negative: str
    model: str
    vae: str
    encoders: tuple[str, ...]
    clip_skip: int
    sampler: str
    jobs: list[RequestJob] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def info(
        self,
        request: Mapping[str, Any],
        models: ListedModels,
        seeds: Sequence[int],
        subseeds: Sequence[int],
        infotexts: Sequence[str],
    ) -> dict[str, Any]:
        """Return what A1111 says of the images that were made."""
        first = self.jobs[0]
        same = ("width", "height", "cfg_scale", "steps", "batch_size", "restore_faces", "styles")
        return {
            **{name: request[name] for name in same},
            "prompt": self.prompt,
            "all_prompts": [self.prompt] * len(seeds),
            "negative_prompt": self.negative,
            "all_negative_prompts": [self.negative] * len(seeds),
            "seed": first.seeds[0],
            "all_seeds": list(seeds),
            "subseed": first.subseeds[0],
            "all_subseeds": list(subseeds),
            "subseed_strength": request["subseed_strength"],
            "sampler_name": self.sampler,
            "face_restoration_model": None,
            "sd_model_name": stem(self.model),
            "sd_model_hash": models.hash10(self.model),
            "sd_vae_name": self.vae or None,
            "sd_vae_hash": models.hash10(self.vae) or None,
            "seed_resize_from_w": -1,
            "seed_resize_from_h": -1,
            "denoising_strength": request["denoising_strength"],
            "extra_generation_params": {},
            "index_of_first_image": 0,
            "infotexts": list(infotexts),
            "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
            "clip_skip": self.clip_skip,
            "is_using_inpainting_conditioning": False,
            "version": f"nodegraph {VERSION}",
            "nodegraph_notes": self.notes,
        }


def plan_request(
    request: Mapping[str, Any],
    scripts: RequestScripts,
    images: RequestImages,
    models: ListedModels,
    styles: Mapping[str, tuple[str, str]],
) -> RequestPlan:
    """Return the workflows that do what a request says.

    Args:
        request: Fields of A1111's API, all of them; options are in ``override_settings``.
        styles: Prompt and negative prompt of each style.
    Raises:
        InvalidValue: A model, sampler or script is not here, or a value is out of range.
    """
    return _Planner(request, scripts, images, models, styles).plan()


@dataclass
class _Planner:
    request: Mapping[str, Any]
    scripts: RequestScripts
    images: RequestImages
    models: ListedModels
    styles: Mapping[str, tuple[str, str]]
    notes: list[str] = field(default_factory=list)

    def plan(self) -> RequestPlan:
        options = self.request["override_settings"]
        prompt, negative = self._prompts()
        checkpoint = str(options.get("sd_model_checkpoint") or "")
        model = (
            self._named("checkpoints", checkpoint) if checkpoint.strip() else self.models.default()
        )
        vae = self._option_model("vae", options.get("sd_vae"))
        encoders = []
        for module in options.get("forge_additional_modules") or ():
            # Forge has VAEs and text encoders in one list.
            if self.models.has(str(module), "vae"):
                vae = self._named("vae", str(module))
            else:
                encoders.append(self._named("text_encoders", str(module)))
        sampler = self._sampler()
        self.notes += self.scripts.notes
        self._note_unused()
        skip = int(options.get("CLIP_stop_at_last_layers") or 1)
        plan = RequestPlan(prompt, negative, model, vae, tuple(encoders), skip, sampler)
        for seeds, subseeds, index in self._runs():
            generation = self._generation(plan, seeds[0], subseeds[0], len(seeds), index)
            workflow = import_generation(generation, self.models).workflow.to_dict()
            workflow["description"] = DESCRIPTION
            infotexts = tuple(
                format_infotext(prompt, negative, self._fields(plan, *each, is_shown=True))
                for each in zip(seeds, subseeds, strict=True)
            )
            plan.jobs.append(RequestJob(workflow, seeds, subseeds, infotexts))
            self.notes += generation.findings
        plan.notes = list(dict.fromkeys(self.notes))
        return plan

    def _named(self, folder: str, name: str) -> str:
        return self.models.find(ModelReference(name), folder)[0]

    def _option_model(self, folder: str, name: object) -> str:
        text = str(name or "")
        return "" if text.strip().lower() in _SAME else self._named(folder, text)

    def _prompts(self) -> tuple[str, str]:
        """The prompts with the chosen styles around them."""
        prompt, negative = self.request["prompt"], self.request["negative_prompt"]
        for name in self.request["styles"]:
            style = self.styles.get(name)
            if style is None:
                self.notes.append(f"There is no style `{shorten(name)}`. It is left out.")
                continue
            prompt, negative = (
                _with_style(text, piece)
                for text, piece in zip((prompt, negative), style, strict=True)
            )
        return prompt, negative

    def _sampler(self) -> str:
        name = self.request["sampler_name"] or self.request["sampler_index"] or "Euler"
        if match_sampler(name) is None and not missing_sampler_reason(name):
            raise InvalidValue(
                "there is no sampler of this name",
                given=shorten(name),
                hint="GET /sdapi/v1/samplers lists them.",
            )
        return str(name)

    def _runs(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
        """Seeds and subseeds of the images of each run, and the number of its first image."""
        request = self.request
        count = request["n_iter"] * request["batch_size"]
        if count > MAX_IMAGES:
            raise InvalidValue(
                "the request asks for too many images",
                given=f"n_iter {request['n_iter']} × batch_size {request['batch_size']}",
                expected=f"at most {MAX_IMAGES}",
            )
        seed, subseed = (
            secrets.randbelow(2**32 - MAX_IMAGES) if value < 0 else value
            for value in (request["seed"], request["subseed"])
        )
        if (largest := max(seed, subseed)) > MAX_SEED - count:
            raise InvalidValue(
                "the seed is too large", given=str(largest), expected=f"at most {MAX_SEED - count}"
            )
        # What is the same for a whole batch in the workflow differs from image to image here.
        has_own = request["subseed_strength"] > 0 or self.scripts.details
        size = 1 if has_own or len(self.images.init) > 1 else request["batch_size"]
        step = 0 if request["subseed_strength"] > 0 else 1
        for first in range(0, count, size):
            numbers = range(first, first + size)
            yield (
                tuple(seed + number * step for number in numbers),
                tuple(subseed + number for number in numbers),
                first,
            )

    def _generation(
        self, plan: RequestPlan, seed: int, subseed: int, count: int, index: int
    ) -> Generation:
        fields = {name: str(value) for name, value in self._fields(plan, seed, subseed).items()}
        generation = read_settings(Infotext(plan.prompt, plan.negative, fields), "A1111")
        if self.request["disable_extra_networks"] and generation.loras:
            generation.loras.clear()
            generation.report("The LoRAs are left out, as `disable_extra_networks` says.")
        generation.batch_size = count
        generation.modules = plan.encoders
        generation.embeddings = [
            ModelReference(word)
            for word in (stem(model.name) for model in self.models.of("embeddings"))
            if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", f"{plan.prompt}\n{plan.negative}")
        ]
        if self.images.init:
            generation.source = self._source(self.images.init[index % len(self.images.init)])
        pairs = zip(self.scripts.controls, self.images.controls, strict=True)
        generation.controls = [self._control(unit, *brought) for unit, brought in pairs]
        generation.details = [self._detail(each) for each in self.scripts.details]
        return generation

    def _source(self, image: BroughtImage) -> SourceImage:
        request, mask = self.request, self.images.mask
        strength = max(request["denoising_strength"], 1 / request["steps"])
        mode = request["resize_mode"]
        brought = None
        if mask is not None:
            brought = SourceMask(
                mask.path,
                channel="alpha" if mask.is_alpha else "luminance",
                is_inverted=bool(request["inpainting_mask_invert"]),
                blur=float(self._mask_blur()),
                fill=_FILLS[request["inpainting_fill"]],
                margin=request["inpaint_full_res_padding"] if request["inpaint_full_res"] else None,
                has_source_size=(mask.width, mask.height) == (image.width, image.height),
            )
        return SourceImage(
            strength,
            is_masked=brought is not None,
            path=image.path,
            fit=_FITS[mode],
            is_latent_resized=mode == len(_FITS) - 1 and brought is None,
            width=image.width,
            height=image.height,
            mask=brought,
        )

    def _mask_blur(self) -> int:
        blur = self.request["mask_blur"]
        sides = (self.request["mask_blur_x"], self.request["mask_blur_y"])
        return int(max(sides) if blur is None else blur)

    def _control(
        self, unit: ControlRequest, image: BroughtImage | None, mask: BroughtImage | None
    ) -> ControlUnit:
        image = image or next(iter(self.images.init), None)
        if image is None:
            raise InvalidValue(
                f"the ControlNet unit {unit.number} has no image",
                expected="`image` with a base64 text",
            )
        return _unit_of(unit, image, mask, self.models)

    def _detail(self, detail: DetailPass) -> DetailPass:
        by_boxes, by_text = self.models.vision(_BY_BOXES), self.models.vision(_BY_TEXT)
        model = by_boxes or by_text
        if model is None:
            raise InvalidValue(
                "ADetailer needs a vision model that detects, and there is none",
                given=shorten(detail.detector),
                hint="Put one for DetectThings or SegmentByText into the models folder.",
            )
        return replace(detail, model=model.name, is_by_text=by_boxes is None)

    def _fields(
        self, plan: RequestPlan, seed: int, subseed: int, *, is_shown: bool = False
    ) -> dict[str, object]:
        """The settings by the names that they have in A1111's images.

        Args:
            is_shown: Also those that say how the request's images were used.
        """
        request = self.request
        fields: dict[str, object] = {
            "Steps": request["steps"],
            "Sampler": plan.sampler,
            "Schedule type": request["scheduler"] or "Automatic",
            "CFG scale": f"{request['cfg_scale']:g}",
            "Seed": seed,
            "Size": f"{request['width']}x{request['height']}",
            # The whole name: what it is short for may be that of several models.
            "Model": stem(plan.model) if is_shown else plan.model,
        }
        if is_shown and self.models.hash10(plan.model):
            fields["Model hash"] = self.models.hash10(plan.model)
        if plan.vae:
            fields["VAE"] = plan.vae
        if plan.clip_skip > 1:
            fields["Clip skip"] = plan.clip_skip
        if request["distilled_cfg_scale"] is not None:
            fields["Distilled CFG Scale"] = f"{request['distilled_cfg_scale']:g}"
        if request["subseed_strength"] > 0:
            fields["Variation seed"] = subseed
            fields["Variation seed strength"] = f"{request['subseed_strength']:g}"
        if request["refiner_checkpoint"] and request["refiner_checkpoint"].lower() not in _SAME:
            switch = request["refiner_switch_at"]
            fields["Refiner"] = self._named("checkpoints", request["refiner_checkpoint"])
            fields["Refiner switch at"] = 0.8 if switch is None else f"{switch:g}"
        fields |= self._sampler_options(plan.sampler)
        if request["enable_hr"] and not self.images.init:
            fields |= self._hires_fields()
        if is_shown:
            fields |= self._image_fields()
        fields["RNG"] = "CPU"
        return fields

    def _sampler_options(self, sampler: str) -> dict[str, object]:
        """Options that differ from the usual ones of the sampler."""
        request, match = self.request, match_sampler(sampler)
        record = None if match is None else sampler_record(match[0])
        usual = {} if record is None else record["options"]
        values = {"eta": request["eta"], "s_noise": request["s_noise"]}
        if request["s_churn"]:
            values |= {name: request[name] for name in ("s_churn", "s_tmin")}
            values["s_tmax"] = request["s_tmax"] or None
        names = {
            "eta": "Eta",
            "s_noise": "Sigma noise",
            "s_churn": "Sigma churn",
            "s_tmin": "Sigma tmin",
            "s_tmax": "Sigma tmax",
        }
        return {
            names[name]: f"{value:g}"
            for name, value in values.items()
            if value is not None and name in usual and value != usual[name]
        }

    def _hires_fields(self) -> dict[str, object]:
        request = self.request
        fields: dict[str, object] = {
            "Denoising strength": f"{max(request['denoising_strength'], 0.01):g}",
            "Hires upscaler": request["hr_upscaler"] or "Latent",
        }
        if request["hr_resize_x"] or request["hr_resize_y"]:
            fields["Hires resize"] = f"{request['hr_resize_x']}x{request['hr_resize_y']}"
        else:
            fields["Hires upscale"] = f"{request['hr_scale']:g}"
        named = {
            "Hires steps": request["hr_second_pass_steps"] or None,
            "Hires CFG Scale": request["hr_cfg"],
            "Hires sampler": _other(request["hr_sampler_name"]),
            "Hires schedule type": _other(request["hr_scheduler"]),
            "Hires prompt": request["hr_prompt"] or None,
            "Hires negative prompt": request["hr_negative_prompt"] or None,
        }
        if _other(request["hr_checkpoint_name"]):
            named["Hires checkpoint"] = self._named("checkpoints", request["hr_checkpoint_name"])
        return fields | {name: value for name, value in named.items() if value is not None}

    def _image_fields(self) -> dict[str, object]:
        request = self.request
        fields: dict[str, object] = {}
        if self.images.init:
            fields["Denoising strength"] = f"{request['denoising_strength']:g}"
        if self.images.mask is not None:
            fields["Mask blur"] = self._mask_blur()
            fields["Masked content"] = _CONTENTS[request["inpainting_fill"]]
            if request["inpaint_full_res"]:
                fields["Inpaint area"] = "Only masked"
                fields["Masked area padding"] = request["inpaint_full_res_padding"]
        for number, unit in enumerate(self.scripts.controls):
            fields[f"ControlNet {number}"] = (
                f"Module: {unit.module or 'none'}, Model: {stem(unit.model)}, "
                f"Weight: {unit.weight:g}, Guidance Start: {unit.start:g}, "
                f"Guidance End: {unit.end:g}"
            )
        for number, detail in enumerate(self.scripts.details, 1):
            ordinal = {1: "", 2: " 2nd", 3: " 3rd"}.get(number, f" {number}th")
            fields[f"ADetailer model{ordinal}"] = detail.detector
        return fields

    def _note_unused(self) -> None:
        """Note what has no counterpart."""
        request = self.request
        for is_used, what in (
            (request["tiling"], "`tiling`: images that repeat seamlessly are not made."),
            (request["restore_faces"], "`restore_faces`: there is no face restorer."),
            (request["s_min_uncond"], "`s_min_uncond`: the negative prompt is always evaluated."),
            (
                max(request["seed_resize_from_w"], request["seed_resize_from_h"]) > 0,
                "`seed_resize_from_w` and `seed_resize_from_h`: noise of another size is not used.",
            ),
            (
                request["firstphase_width"] or request["firstphase_height"],
                "`firstphase_width` and `firstphase_height` are not used: set `width`, `height` "
                "and `hr_scale`.",
            ),
            (
                request["initial_noise_multiplier"] not in (None, 1),
                "`initial_noise_multiplier` is not used.",
            ),
            (
                request["enable_hr"] and self.images.init,
                "`enable_hr` is not used with source images.",
            ),
            (request["latent_mask"], "`latent_mask` is not used: send `mask`."),
            (request["infotext"], "`infotext` is not used: send the fields."),
        ):
            if is_used:
                self.notes.append(f"Not used: {what}")


def _unit_of(
    unit: ControlRequest, image: BroughtImage, mask: BroughtImage | None, models: ListedModels
) -> ControlUnit:
    """A unit with its images, and with a vision model if its preprocessor needs one.

    Raises:
        InvalidValue: There is no such vision model.
    """
    start = find_preprocessor(unit.module)
    detector = models.vision(VISION_PREPROCESSORS[start]) if start in DETECTORS else None
    if start in DETECTORS and detector is None:
        raise InvalidValue(
            f"the preprocessor of the ControlNet unit {unit.number} needs a vision model that is "
            "not here",
            given=shorten(unit.module),
            hint="Send a processed image with the module `none`, or put a model for EstimateDepth "
            "or EstimatePose into the models folder.",
        )
    return ControlUnit(
        ModelReference(unit.model),
        unit.module,
        unit.weight,
        unit.start,
        unit.end,
        path=image.path,
        mask="" if mask is None else mask.path,
        thresholds=unit.thresholds,
        resolution=unit.resolution,
        fit=unit.fit,
        is_guess=unit.is_guess,
        detector="" if detector is None else detector.name,
    )


def _other(name: object) -> str | None:
    text = str(name or "")
    return None if text.strip().lower() in _SAME else text


def _with_style(prompt: str, style: str) -> str:
    """A prompt with a style around it, or behind it if it has no place for the prompt."""
    if "{prompt}" in style:
        return style.replace("{prompt}", prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)


def plan_detection(
    request: Mapping[str, Any], image: BroughtImage, models: ListedModels
) -> dict[str, Any]:
    """Return the workflow that does what ``/controlnet/detect`` asks for.

    Raises:
        InvalidValue: The preprocessor is not here.
    """
    module = request["controlnet_module"]
    unit = read_unit(
        0,
        {
            "module": module,
            "model": "any",
            "processor_res": request["controlnet_processor_res"],
            "threshold_a": request["controlnet_threshold_a"],
            "threshold_b": request["controlnet_threshold_b"],
        },
    )
    generation = Generation("A1111")
    nodes = ImageNodes(generation)
    hint = nodes.control_hint(
        replace(_unit_of(unit, image, None, models), fit=""), "picture", "hint"
    )
    nodes.add("save", "SaveImage", image=hint, name="hint")
    return {"format": "nodegraph/1", "description": DESCRIPTION, "nodes": nodes.nodes}
