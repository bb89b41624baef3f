"""Build a workflow of the usual nodes from the settings of an image.

The nodes have the names that the editor's page *Generate* gives them, so it can show the settings.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from nodegraph.core.workflow import Workflow
from nodegraph.families.identification import LOAD_DENOISER
from nodegraph.families.sampler_names import sampler_record
from nodegraph.interop.comfyui.foreign_workflow import ModelFile, TranslationOutcome
from nodegraph.interop.comfyui.importer import ImportedWorkflow
from nodegraph.interop.image_metadata.generation import (
    MAX_SIDE,
    DetailPass,
    Generation,
    HiresPass,
    LoraReference,
    ModelReference,
    Refiner,
    shorten,
)
from nodegraph.interop.image_metadata.model_finder import plain_name
from nodegraph.interop.image_metadata.sampler_names import DEFAULT_SAMPLER, DEFAULT_SCHEDULE
from nodegraph.interop.image_metadata.source_images import ImageNodes, Link, Ports
from nodegraph.models.model_sources import FoundModel

_LATENT_METHODS = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "nearest": "nearest",
    "nearest-exact": "nearest",
    "area": "area",
    "bislerp": "bislerp",
    "antialiased": "bilinear",
    "bicubic antialiased": "bicubic",
}
_PIXEL_METHODS = {
    "lanczos": "lanczos",
    "none": "lanczos",
    "nearest": "nearest",
    "bicubic": "bicubic",
    "bilinear": "bilinear",
    "area": "area",
}
_LOOKED_UP = (10, 12, 64)
"""Digits of the hashes by which Civitai knows files: AutoV2, AutoV3, SHA-256 and BLAKE3."""
_VAE_NAME = re.compile(r"(^|[^a-z])(vae|ae)([^a-z]|$)", re.IGNORECASE)


class Finder(Protocol):
    """Finds models by their names in another tool, as `ModelFinder` does."""

    def find(self, reference: ModelReference, folder: str = "") -> tuple[str, str]:
        """Return the name of a model here, and what is to say about it."""

    def part(self, name: str) -> FoundModel | None:
        """Return what a file here is, if it is only the diffusion model of a whole one."""


def import_generation(generation: Generation, finder: Finder) -> ImportedWorkflow:
    """Return the workflow that makes an image with some settings, and what differs."""
    return _Builder(generation, finder=finder).build()


@dataclass
class _Builder(ImageNodes):
    """The nodes of one workflow, in order."""

    finder: Finder = field(kw_only=True)
    files: dict[str, tuple[ModelFile, ...]] = field(default_factory=dict)
    models: list[dict[str, str]] = field(default_factory=list)
    prompts: tuple[Link, Link] = ({}, {})

    def build(self) -> ImportedWorkflow:
        generation = self.generation
        model, encoder, vae = self._load()
        model, encoder = self._adapt(model, encoder)
        positive = self._encode("positive", encoder, _positive(generation))
        negative = self._encode("negative", encoder, _negative(generation))
        if generation.guidance is not None:
            positive = self.add(
                "guidance",
                "GuidanceConditioning",
                conditioning=positive,
                guidance=generation.guidance,
            )
        positive, negative = self._control(positive, negative)
        self.prompts = (positive, negative)
        latent = self.start_latent(vae)
        ports = {"model": model, "positive": positive, "negative": negative, "latent": latent}
        sampled = self._first_pass(ports)
        if generation.hires is not None:
            sampled = self._second_pass(generation.hires, sampled, model, encoder, vae)
        image = self.add("decode", "VAEDecode", vae=vae, latent=sampled)
        if generation.source is not None and generation.source.is_masked:
            image = self.keep_unmasked(image)
        for number, detail in enumerate(generation.details):
            image = self._detail(detail, numbered("{}", number), image, model, encoder, vae)
        self.add("save", "SaveImage", image=image)
        return self._imported()

    def _imported(self) -> ImportedWorkflow:
        generation = self.generation
        parameters = {"prompt": "positive.text", "negative prompt": "negative.text"}
        parameters |= {"seed": "noise.seed" if "noise" in self.nodes else "sample.seed"}
        document: dict[str, Any] = {
            "format": "nodegraph/1",
            "description": f"Made from the metadata of an image of {generation.tool}.",
            "parameters": parameters,
            "nodes": self.nodes,
        }
        if self.models:
            document["models"] = self.models
        outcomes = tuple(
            TranslationOutcome(name, entry["type"], name, models=self.files.get(name, ()))
            for name, entry in self.nodes.items()
        )
        workflow = Workflow.from_dict(document)
        tool = generation.tool
        return ImportedWorkflow(workflow, tool, outcomes, tuple(generation.findings), tool)

    def _model_name(self, node: str, reference: ModelReference, folder: str) -> str:
        """The name of a model here; it is among the files of the node in case it is missing."""
        name, message = self.finder.find(reference, folder)
        if message:
            self.generation.report(message)
        if name:
            listed = (ModelFile(name, folder, reference.url),)
            self.files[node] = (*self.files.get(node, ()), *listed)
        hashes = [each for each in reference.hashes if len(each) in _LOOKED_UP]
        source = reference.url or max(hashes, key=len, default="")
        declared = {"name": name, "directory": folder, "source": source}
        if name and source and declared not in self.models:
            self.models.append(declared)
        return name

    def _load(self) -> tuple[Link, Link, Link]:
        """Load the model: links to diffusion model, text encoder and VAE."""
        generation = self.generation
        name = self._model_name("load", generation.model, "checkpoints")
        part = self.finder.part(name)
        modules = [plain_name(module) for module in generation.modules]
        vae_module = next((module for module in modules if _VAE_NAME.search(module)), "")
        encoders = [module for module in modules if module != vae_module]
        if part is not None:
            links = self._load_parts(name, part, encoders)
        else:
            self.add("load", "LoadModel", model=name or None)
            links = {"from": "load.model"}, {"from": "load.text_encoder"}
            if not name:
                self.nodes["load"]["unread"] = ["model"]
                generation.report("The metadata do not name the model: choose one.")
            if encoders:
                generation.report(
                    f"The text encoders {shorten(', '.join(encoders))} were loaded from files of "
                    "their own. LoadTextEncoder does that."
                )
        vae = generation.vae or ModelReference(vae_module)
        if not vae:
            return *links, {"from": "load.vae" if part is None else "vae"}
        self.add("vae", "LoadVae", vae=self._model_name("vae", vae, "vae"))
        return *links, {"from": "vae"}

    def _load_parts(self, name: str, part: FoundModel, encoders: list[str]) -> tuple[Link, Link]:
        """Load a diffusion model and text encoders of its family from separate files."""
        self.add("load", LOAD_DENOISER, model=name)
        names = [
            self._model_name("encoder", ModelReference(each), "text_encoders")
            for each in encoders[:4]
        ]
        files = {f"file_{at}" if at > 1 else "file": each for at, each in enumerate(names, 1)}
        self.add("encoder", "LoadTextEncoder", family=part.family, **files)
        missing = [port for port in ("family", "file") if port not in self._inputs("encoder")]
        if missing:
            self.nodes["encoder"]["unread"] = missing
        if not self.generation.vae and not any(map(_VAE_NAME.search, self.generation.modules)):
            self.add("vae", "LoadVae")
            self.nodes["vae"]["unread"] = ["vae"]
        return {"from": "load"}, {"from": "encoder"}

    def _inputs(self, name: str) -> dict[str, Any]:
        inputs: dict[str, Any] = self.nodes[name]["inputs"]
        return inputs

    def _adapt(self, model: Link, encoder: Link) -> tuple[Link, Link]:
        """Apply LoRAs, textual inversions and CLIP skip."""
        generation = self.generation
        for number, lora in enumerate(generation.loras):
            name = numbered("lora", number)
            self._add_lora(name, lora, model, encoder)
            model, encoder = {"from": f"{name}.model"}, {"from": f"{name}.text_encoder"}
        for number, reference in enumerate(generation.embeddings):
            name = numbered("embedding", number)
            word = plain_name(reference.name)
            file = self._model_name(name, reference, "embeddings")
            encoder = self.add(
                name, "LoadTextualInversion", text_encoder=encoder, embedding=file, token=word
            )
        if generation.clip_skip is not None:
            encoder = self.add("skip", "ClipSkip", encoder=encoder, skip=generation.clip_skip)
        return model, encoder

    def _add_lora(self, name: str, lora: LoraReference, model: Link, encoder: Link) -> None:
        self.add(
            name,
            "LoadLora",
            model=model,
            text_encoder=encoder,
            lora=self._model_name(name, lora.model, "loras") or None,
            strength_model=lora.weight,
            strength_encoder=lora.encoder_weight,
        )
        if "lora" not in self._inputs(name):
            self.nodes[name]["unread"] = ["lora"]

    def _encode(self, name: str, encoder: Link, text: str) -> Link:
        return self.add(name, "EncodePrompt", encoder=encoder, text=text)

    def _sample(self, name: str, ports: Ports, **changed: Any) -> Link:
        """Add a KSampler with the settings of the image, of which some are changed."""
        inputs = self._settings()
        inputs |= {port: value for port, value in changed.items() if value is not None}
        return self.add(name, "KSampler", **ports, **inputs)

    def _settings(self) -> dict[str, Any]:
        """Inputs of KSampler with the settings of the image."""
        generation = self.generation
        return {
            "seed": generation.seed,
            "steps": generation.steps,
            "cfg": generation.cfg,
            "sampler": generation.sampler or DEFAULT_SAMPLER,
            "schedule": generation.schedule or DEFAULT_SCHEDULE,
            "draw": None if generation.draw == "per item" else generation.draw,
            "convention": None if generation.convention == "diffusers" else generation.convention,
        }

    def _first_pass(self, ports: Ports) -> Link:
        """Add the nodes that sample; which they are depends on what changes within the sampling."""
        generation = self.generation
        for title, value in (
            ("seed", generation.seed),
            ("steps", generation.steps),
            ("guidance scale", generation.cfg),
            ("sampler", generation.sampler or None),
        ):
            if value is None:
                generation.report(f"The metadata do not have the {title}: the default is used.")
        options = self._sampler_options()
        source = generation.source
        if generation.refiner is not None and source is None:
            if generation.variation is not None or options:
                generation.report(
                    "The variation seed and the options of the sampler are left out, as a refiner "
                    "takes over."
                )
            return self._refined(generation.refiner, ports)
        if generation.refiner is not None:
            generation.report("The refiner is left out, as the sampling starts from an image.")
        denoise = None if source is None else source.strength
        if generation.variation is not None or options:
            return self._sample_custom(ports, options, denoise)
        return self._sample("sample", ports, denoise=denoise)

    def _sampler_options(self) -> dict[str, float]:
        """Options that the sampler has; others are reported."""
        generation = self.generation
        record = sampler_record(generation.sampler or DEFAULT_SAMPLER)
        known = {} if record is None else record["options"]
        for name, value in generation.sampler_options.items():
            if name not in known:
                generation.report(f"`{generation.sampler}` has no option `{name}` ({value:g}).")
        return {name: value for name, value in generation.sampler_options.items() if name in known}

    def _refined(self, refiner: Refiner, ports: Ports) -> Link:
        """Two nodes that share the steps: the model begins, the refiner ends."""
        steps = self.generation.steps or 20
        switch = min(steps, max(0, round(steps * refiner.switch)))
        if switch >= steps:
            return self._sample("sample", ports)
        settings = self._settings()
        second, encoder = self._load_other(refiner.model, "load_refiner")
        texts = (_positive(self.generation), _negative(self.generation))
        refined = [
            self._encode(f"refiner_{name}", encoder, text)
            for name, text in zip(("positive", "negative"), texts, strict=True)
        ]
        if switch:
            ends = {"end_step": switch, "leave_noise": True}
            latent = self.add("sample", "KSamplerAdvanced", **ports, **settings, **ends)
        else:
            latent = ports["latent"]
        return self.add(
            "refine" if switch else "sample",
            "KSamplerAdvanced",
            model=second,
            positive=refined[0],
            negative=refined[1],
            latent=latent,
            **settings,
            start_step=switch or None,
            add_noise=False if switch else None,
        )

    def _sample_custom(
        self, ports: Ports, options: dict[str, float], denoise: float | None
    ) -> Link:
        """A sampling of parts, for noise and options that KSampler does not have."""
        settings, variation = self._settings(), self.generation.variation
        noise = self.add("noise", "RandomNoise", seed=settings["seed"], draw=settings["draw"])
        if variation is not None:
            # The tools turn from one noise to the other by an angle, MixNoise weighs the two.
            ratio = math.tan(variation.strength * math.pi / 2)
            share = 1.0 if variation.strength == 1 else ratio / (1 + ratio)
            seed = variation.seed
            noise = self.add("variation", "MixNoise", noise=noise, seed=seed, share=share)
        prompts = {port: ports[port] for port in ("positive", "negative")}
        self.add(
            "sample",
            "SampleCustom",
            model=ports["model"],
            noise=noise,
            guider=self.add("guider", "CFGGuider", **prompts, cfg=settings["cfg"]),
            sampler=self.add("sampler", "SelectSampler", sampler=settings["sampler"], **options),
            schedule=self.add(
                "schedule",
                "BasicSchedule",
                **{port: settings[port] for port in ("schedule", "steps")},
                denoise=denoise,
            ),
            latent=ports["latent"],
            convention=settings["convention"],
        )
        return {"from": "sample.latent"}

    def _load_other(self, reference: ModelReference, node: str) -> tuple[Link, Link]:
        """Load another model: links to it and its text encoder."""
        self.add(node, "LoadModel", model=self._model_name(node, reference, "checkpoints") or None)
        return {"from": f"{node}.model"}, {"from": f"{node}.text_encoder"}

    def _control(self, positive: Link, negative: Link) -> tuple[Link, Link]:
        """Apply ControlNets, whose images may have to be chosen."""
        for number, unit in enumerate(self.generation.controls):
            loader = numbered("load_control", number)
            name = self._model_name(loader, unit.model, "controlnet")
            network = self.add(loader, "LoadControlNet", control_net=name or None)
            if not name:
                self.nodes[loader]["unread"] = ["control_net"]
            node = numbered("control_image", number)
            image = self.control_hint(unit, node, numbered("hint", number))
            mask = self.control_mask(unit, numbered("control_area", number))
            control = numbered("control", number)
            self.add(
                control,
                "ApplyControlNet",
                positive=positive,
                negative=negative,
                control_net=network,
                image=image,
                mask=mask,
                strength=None if unit.weight == 1 else unit.weight,
                start=unit.start or None,
                end=None if unit.end == 1 else unit.end,
                guess=unit.is_guess or None,
            )
            positive, negative = {"from": f"{control}.positive"}, {"from": f"{control}.negative"}
        return positive, negative

    def _detail(
        self,
        detail: DetailPass,
        name: str,
        image: Link,
        model: Link,
        encoder: Link,
        vae: Link,
    ) -> Link:
        """Sample a detected part again at full size; without a detection model, muted.

        Args:
            name: Pattern of the nodes' names.
        """
        before = set(self.nodes)
        loader = name.format("detector")
        detector = self.add(loader, "LoadVisionModel", model=detail.model or None)
        if not detail.model:
            self.nodes[loader]["unread"] = ["model"]
        self.add(
            name.format("found"),
            "SegmentByText" if detail.is_by_text else "DetectThings",
            model=detector,
            image=image,
            threshold=detail.confidence,
            **{"text" if detail.is_by_text else "labels": detail.labels},
        )
        mask = self.add(
            name.format("grown"),
            "GrowMask",
            mask={"from": f"{name.format('found')}.mask"},
            pixels=detail.grow,
        )
        crop = name.format("crop")
        size = {"width": self.generation.width, "height": self.generation.height}
        self.add(
            crop,
            "CropToMask",
            image=image,
            mask=mask,
            margin=detail.margin,
            **size,
            empty="whole picture",
        )
        positive, negative = self.prompts
        if detail.prompt:
            positive = self._encode(name.format("detail_positive"), encoder, detail.prompt)
        if detail.negative:
            negative = self._encode(name.format("detail_negative"), encoder, detail.negative)
        latent = self.add(
            name.format("encode_detail"), "VAEEncode", vae=vae, image={"from": f"{crop}.image"}
        )
        ports = {"model": model, "positive": positive, "negative": negative, "latent": latent}
        latent = self._sample(
            name.format("detail"),
            ports,
            denoise=detail.denoise,
            steps=detail.steps,
            cfg=detail.cfg,
        )
        part = self.add(name.format("decode_detail"), "VAEDecode", vae=vae, latent=latent)
        made = self.nodes.keys() - before
        stitched = name.format("detailed")
        region = {"from": f"{crop}.region"}
        result = self.add(
            stitched, "StitchCrop", image=image, part=part, region=region, feather=detail.blur
        )
        if not detail.model:
            for node in made:
                self.nodes[node]["mode"] = "mute"
            self.nodes[stitched]["mode"] = "bypass"
        return result

    def _second_pass(
        self,
        hires: HiresPass,
        first: Link,
        model: Link,
        encoder: Link,
        vae: Link,
    ) -> Link:
        """Enlarge the latent or its image, and sample again."""
        name = hires.upscaler.strip()
        if hires.scale == 1:
            latent = first
        elif name.lower().startswith("latent"):
            latent = self._enlarge_latent(hires, name, first)
        else:
            latent = self._enlarge_image(hires, name, first, vae)
        positive, negative = self.prompts
        if hires.model:
            model, encoder = self._load_other(hires.model, "load_again")
        own = (hires.prompt or self.generation.prompt, hires.negative or self.generation.negative)
        if hires.model or own[0] != self.generation.prompt:
            text = hires.prompt or _positive(self.generation)
            positive = self._encode("hires_positive", encoder, text)
        if hires.model or own[1] != self.generation.negative:
            text = hires.negative or _negative(self.generation)
            negative = self._encode("hires_negative", encoder, text)
        return self._sample(
            "redraw",
            {"model": model, "positive": positive, "negative": negative, "latent": latent},
            steps=hires.steps,
            cfg=hires.cfg,
            sampler=hires.sampler or None,
            schedule=hires.schedule or None,
            denoise=hires.denoise,
            # A1111 runs all steps of the second pass, as the last ones of a longer schedule.
            denoise_steps=None if hires.steps_are_share else "all",
        )

    def _hires_size(self, hires: HiresPass) -> dict[str, Any]:
        """The larger size, in whole cells; empty if only its factor is known."""
        width, height = self.generation.width, self.generation.height
        if hires.width or hires.height:
            sides = {"width": hires.width, "height": hires.height}
        elif width and height and hires.scale:
            sides = {"width": int(width * hires.scale), "height": int(height * hires.scale)}
        else:
            return {}
        return {
            port: min(MAX_SIDE, max(8, side // 8 * 8)) if side else 0
            for port, side in sides.items()
        }

    def _enlarge_latent(self, hires: HiresPass, name: str, first: Link) -> Link:
        kind = name.lower().removeprefix("latent").strip(" ()")
        method = _LATENT_METHODS.get(kind or "bilinear", "")
        if not method:
            self.generation.report(
                f"Latents were enlarged with `{shorten(name)}`: `bilinear` is used."
            )
        size = self._hires_size(hires) or {"factor": hires.scale or 2.0}
        return self.add(
            "larger_latent", "ResizeLatent", latent=first, **size, method=method or "bilinear"
        )

    def _enlarge_image(self, hires: HiresPass, name: str, first: Link, vae: Link) -> Link:
        image = self.add("small", "VAEDecode", vae=vae, latent=first)
        method = _PIXEL_METHODS.get(name.lower(), "")
        if not method:
            reference = ModelReference(name)
            model = self._model_name("upscaler", reference, "upscale_models")
            loaded = self.add("upscaler", "LoadUpscaleModel", model=model)
            image = self.add("larger", "UpscaleImage", model=loaded, image=image)
        size = self._hires_size(hires)
        if size:
            image = self.add(
                "larger_fitted", "ResizeImage", image=image, **size, method=method or "lanczos"
            )
        return self.add("encode_larger", "VAEEncode", vae=vae, image=image, crop=True)


def numbered(name: str, index: int) -> str:
    """Return the name of one of several nodes: without a number for the first."""
    return name if index == 0 else f"{name}_{index + 1}"


def _positive(generation: Generation) -> str:
    return generation.encoded_prompt or generation.prompt


def _negative(generation: Generation) -> str:
    return generation.encoded_negative or generation.negative
