"""Build a workflow of the usual nodes from the settings of an image.

Models that the image names are found in the models folders, by hash or by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError
from nodegraph.families.embedded_models import EMBEDDED
from nodegraph.families.identification import LOAD_DENOISER
from nodegraph.interop.comfyui.foreign_workflow import ModelFile, TranslationOutcome
from nodegraph.interop.comfyui.importer import ImportedWorkflow
from nodegraph.interop.image_metadata.generation import (
    MAX_SIDE,
    Generation,
    HiresPass,
    LoraReference,
    ModelReference,
    shorten,
)
from nodegraph.interop.image_metadata.sampler_names import DEFAULT_SAMPLER, DEFAULT_SCHEDULE
from nodegraph.models.model_hashes import ModelHashCache, find_by_hash
from nodegraph.models.model_sources import (
    KIND_FOLDERS,
    FoundModel,
    describe_model,
    find_path,
    model_files,
)
from nodegraph.weights.attached_models import find_remote_store
from nodegraph.weights.file_kinds import HEADED, file_suffix

_MAX_NAME = 200
_ENDINGS = re.compile(r"\.(safetensors|sft|gguf|ckpt|pt|pth|bin)$", re.IGNORECASE)
_PRECISION = re.compile(r"(_(f16|f32|bf16|fp16|fp32|q\dp|i8x|exact|svd))+$", re.IGNORECASE)
"""What Draw Things appends to the names of models that it has converted."""
_ALIASES = {
    "r-esrgan 4x+": "RealESRGAN_x4plus",
    "r-esrgan 4x+ anime6b": "RealESRGAN_x4plus_anime_6B",
    "r-esrgan 2x+": "RealESRGAN_x2plus",
    "r-esrgan general 4xv3": "realesr-general-x4v3",
    "r-esrgan animevideo": "realesr-animevideov3",
    "swinir 4x": "SwinIR_4x",
    "esrgan_4x": "ESRGAN",
}
"""Names of upscalers in A1111, and of the published files."""


class ModelFinder:
    """Finds models in folders.

    Args:
        folders: The models folders; those of remote stores are searched by name only.
        cache_folder: Where hashes are kept that were computed before. None keeps none.
        budget: Bytes that may be read to find hashes, of all models together. None for any number.
        on_read: Called with each file before it is read as a whole.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        cache_folder: Path | None,
        *,
        budget: int | None = None,
        on_read: Callable[[Path], None] | None = None,
    ) -> None:
        self._folders = folders
        self._cache = ModelHashCache(cache_folder)
        self._budget = budget
        self._on_read = on_read

    def find(self, reference: ModelReference, folder: str = "") -> tuple[str, str]:
        """Return the name of a model here, and what is to say about it.

        A file whose hash is known counts before one of the same name. If there is none, the name is
        that of the other tool.

        Args:
            folder: Folder of models of that kind, such as ``loras``. Of several files of one name,
                one in such a folder counts.
        """
        name = plain_name(reference.name)
        match = find_by_hash(reference.hashes, self._files.values(), self._cache, budget=0)
        if match.path is not None:
            return self._name(match.path), ""
        by_name = self._by_name(name, folder) if name else ""
        if by_name:
            return by_name, self._difference(by_name, reference)
        match = find_by_hash(
            reference.hashes,
            self._files.values(),
            self._cache,
            budget=self._budget,
            on_read=self._note_reading,
        )
        if match.path is not None:
            return self._name(match.path), ""
        shown = name or (f"model {reference.hashes[0][:12]}" if reference.hashes else "")
        if not reference.hashes:
            return shown, ""
        message = f"`{shorten(shown)}` is not here. Its hash is {reference.hashes[0][:12]}."
        if match.unread:
            message += (
                f" {match.unread} model files were too large to search for it: `nodegraph import` "
                "searches all."
            )
        return shown, message

    def _note_reading(self, path: Path) -> None:
        if self._budget is not None:
            self._budget = max(0, self._budget - path.stat().st_size)
        if self._on_read is not None:
            self._on_read(path)

    def part(self, name: str) -> FoundModel | None:
        """Return what a file here is, if it is only the diffusion model of a whole one."""
        path = self._files.get(name)
        if path is None:
            return None
        model = describe_model(name, path, "checkpoint")
        return model if model.node == LOAD_DENOISER else None

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Local files by their names."""
        return {
            path.relative_to(folder).as_posix(): path
            for folder in reversed(self._folders)
            if find_remote_store(folder) is None
            for path in model_files(folder)
        }

    def _name(self, path: Path) -> str:
        return next(name for name, file in self._files.items() if file == path)

    def _by_name(self, name: str, folder: str) -> str:
        """The name here of a model, without folders and endings; empty if there is none."""
        plain = _ENDINGS.sub("", name)
        wanted = {plain.lower(), _PRECISION.sub("", plain).lower()}
        wanted.add(_ALIASES.get(plain.lower(), plain).lower())
        matches = [
            each
            for each in self._files
            if _ENDINGS.sub("", each).rpartition("/")[2].lower() in wanted
        ]
        exact = [each for each in matches if Path(each).name.lower() == name.lower()]
        if matches:
            return min(exact or matches, key=lambda each: _preference(each, folder))
        if plain == EMBEDDED or plain.startswith(f"{EMBEDDED}/"):
            return ""
        try:
            find_path(name, self._folders)  # a remote one, or a folder
        except NodegraphError:
            return ""
        is_outside = Path(name).exists() and not any(
            (folder / sub / name).exists()
            for folder in self._folders
            for sub in ("", *KIND_FOLDERS)
        )
        return "" if is_outside else name

    def _difference(self, name: str, reference: ModelReference) -> str:
        path = self._files.get(name)
        known = None if path is None else self._cache.known(path)
        if known is None or not reference.hashes or any(map(known.matches, reference.hashes)):
            return ""
        return (
            f"`{shorten(name)}` has the name of the model in the image and another hash "
            f"({known.autov2}, expected {reference.hashes[0][:12]})."
        )


def _preference(name: str, folder: str) -> tuple[bool, bool, int]:
    """Files of the right kind come first, then those that cannot run code."""
    path = Path(name)
    return folder not in path.parts, file_suffix(path) not in HEADED, len(name)


def plain_name(name: str) -> str:
    """Return the last part of a file name of any system, in a form that names a model."""
    text = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = re.sub(r"\s*\[[0-9a-fA-F]{8,12}\]$", "", text)  # A1111 appends the hash
    return "".join(sign for sign in text if sign.isprintable())[:_MAX_NAME].strip().lstrip(".")


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
_VAE_NAME = re.compile(r"(^|[^a-z])(vae|ae)([^a-z]|$)", re.IGNORECASE)


def import_generation(generation: Generation, finder: ModelFinder) -> ImportedWorkflow:
    """Return the workflow that makes an image with some settings, and what differs."""
    return _Builder(generation, finder).build()


@dataclass
class _Builder:
    """The nodes of one workflow, in order."""

    generation: Generation
    finder: ModelFinder
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, tuple[ModelFile, ...]] = field(default_factory=dict)

    def build(self) -> ImportedWorkflow:
        model, encoder, vae = self._load()
        model, encoder = self._adapt(model, encoder)
        generation = self.generation
        positive = self._encode("positive", encoder, _positive(generation))
        negative = self._encode("negative", encoder, _negative(generation))
        if generation.guidance is not None:
            positive = self._add(
                "guidance",
                "GuidanceConditioning",
                conditioning=positive,
                guidance=generation.guidance,
            )
        size = {"width": generation.width, "height": generation.height}
        if generation.batch_size > 1:
            size["batch_size"] = generation.batch_size
        latent = self._add("size", "EmptyLatent", **size)
        sampled = self._sample("sample", model, positive, negative, latent)
        if generation.hires is not None:
            sampled = self._second_pass(generation.hires, sampled, model, encoder, vae)
        image = self._add("decode", "VAEDecode", vae=vae, latent=sampled)
        self._add("save", "SaveImage", image=image)
        return self._imported()

    def _imported(self) -> ImportedWorkflow:
        generation = self.generation
        parameters = {"prompt": "positive.text", "negative prompt": "negative.text"}
        parameters |= {"seed": "sample.seed"}
        document = {
            "format": "nodegraph/1",
            "description": f"Made from the metadata of an image of {generation.tool}.",
            "parameters": parameters,
            "nodes": self.nodes,
        }
        outcomes = tuple(
            TranslationOutcome(name, entry["type"], name, models=self.files.get(name, ()))
            for name, entry in self.nodes.items()
        )
        workflow = Workflow.from_dict(document)
        tool = generation.tool
        return ImportedWorkflow(workflow, tool, outcomes, tuple(generation.findings), tool)

    def _add(self, name: str, node_type: str, /, **inputs: Any) -> dict[str, str]:
        """Add a node and return a link to its output; inputs that are None are left out."""
        written = {port: value for port, value in inputs.items() if value is not None}
        self.nodes[name] = {"type": node_type, "inputs": written}
        return {"from": name}

    def _model_name(self, node: str, reference: ModelReference, folder: str) -> str:
        """The name of a model here; it is among the files of the node in case it is missing."""
        name, message = self.finder.find(reference, folder)
        if message:
            self.generation.report(message)
        if name:
            listed = (ModelFile(name, folder, reference.url),)
            self.files[node] = (*self.files.get(node, ()), *listed)
        return name

    def _load(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
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
            self._add("load", "LoadModel", model=name or None)
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
            return *links, {"from": "load.vae" if part is None else "load_vae"}
        self._add("load_vae", "LoadVae", vae=self._model_name("load_vae", vae, "vae"))
        return *links, {"from": "load_vae"}

    def _load_parts(
        self, name: str, part: FoundModel, encoders: list[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Load a diffusion model and text encoders of its family from separate files."""
        self._add("load", LOAD_DENOISER, model=name)
        names = [
            self._model_name("load_encoder", ModelReference(each), "text_encoders")
            for each in encoders[:4]
        ]
        files = {f"file_{at}" if at > 1 else "file": each for at, each in enumerate(names, 1)}
        self._add("load_encoder", "LoadTextEncoder", family=part.family, **files)
        missing = [port for port in ("family", "file") if port not in self._inputs("load_encoder")]
        if missing:
            self.nodes["load_encoder"]["unread"] = missing
        if not self.generation.vae and not any(map(_VAE_NAME.search, self.generation.modules)):
            self._add("load_vae", "LoadVae")
            self.nodes["load_vae"]["unread"] = ["vae"]
        return {"from": "load"}, {"from": "load_encoder"}

    def _inputs(self, name: str) -> dict[str, Any]:
        inputs: dict[str, Any] = self.nodes[name]["inputs"]
        return inputs

    def _adapt(
        self, model: dict[str, str], encoder: dict[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Apply LoRAs, textual inversions and CLIP skip."""
        generation = self.generation
        for number, lora in enumerate(generation.loras, 1):
            name = f"lora_{number}"
            self._add_lora(name, lora, model, encoder)
            model, encoder = {"from": f"{name}.model"}, {"from": f"{name}.text_encoder"}
        for number, reference in enumerate(generation.embeddings, 1):
            name = f"embedding_{number}"
            word = plain_name(reference.name)
            file = self._model_name(name, reference, "embeddings")
            encoder = self._add(
                name, "LoadTextualInversion", text_encoder=encoder, embedding=file, token=word
            )
        if generation.clip_skip is not None:
            encoder = self._add("skip", "ClipSkip", encoder=encoder, skip=generation.clip_skip)
        return model, encoder

    def _add_lora(
        self, name: str, lora: LoraReference, model: dict[str, str], encoder: dict[str, str]
    ) -> None:
        self._add(
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

    def _encode(self, name: str, encoder: dict[str, str], text: str) -> dict[str, str]:
        return self._add(name, "EncodePrompt", encoder=encoder, text=text)

    def _sample(
        self,
        name: str,
        model: dict[str, str],
        positive: dict[str, str],
        negative: dict[str, str],
        latent: dict[str, str],
        **changed: Any,
    ) -> dict[str, str]:
        """Add a KSampler with the settings of the image, of which some are changed."""
        generation = self.generation
        for title, value in (
            ("seed", generation.seed),
            ("steps", generation.steps),
            ("guidance scale", generation.cfg),
            ("sampler", generation.sampler or None),
        ):
            if value is None and name == "sample":
                generation.report(f"The metadata do not have the {title}: the default is used.")
        inputs: dict[str, Any] = {
            "seed": generation.seed,
            "steps": generation.steps,
            "cfg": generation.cfg,
            "sampler": generation.sampler or DEFAULT_SAMPLER,
            "schedule": generation.schedule or DEFAULT_SCHEDULE,
            "draw": None if generation.draw == "per item" else generation.draw,
            "convention": None if generation.convention == "diffusers" else generation.convention,
        }
        inputs |= {port: value for port, value in changed.items() if value is not None}
        ports = {"model": model, "positive": positive, "negative": negative, "latent": latent}
        return self._add(name, "KSampler", **ports, **inputs)

    def _second_pass(
        self,
        hires: HiresPass,
        first: dict[str, str],
        model: dict[str, str],
        encoder: dict[str, str],
        vae: dict[str, str],
    ) -> dict[str, str]:
        """Enlarge the latent or its image, and sample again."""
        name = hires.upscaler.strip()
        if hires.scale == 1:
            latent = first
        elif name.lower().startswith("latent"):
            latent = self._enlarge_latent(hires, name, first)
        else:
            latent = self._enlarge_image(hires, name, first, vae)
        positive: dict[str, str] = {"from": "guidance" if "guidance" in self.nodes else "positive"}
        negative: dict[str, str] = {"from": "negative"}
        if hires.prompt and hires.prompt != self.generation.prompt:
            positive = self._encode("hires_positive", encoder, hires.prompt)
        if hires.negative and hires.negative != self.generation.negative:
            negative = self._encode("hires_negative", encoder, hires.negative)
        return self._sample(
            "sample_again",
            model,
            positive,
            negative,
            latent,
            steps=hires.steps,
            cfg=hires.cfg,
            sampler=hires.sampler or None,
            schedule=hires.schedule or None,
            denoise=hires.denoise,
            # A1111 runs all steps of the second pass, as the last ones of a longer schedule.
            denoise_steps=None if hires.steps_are_share else "all",
        )

    def _size(self, hires: HiresPass) -> dict[str, Any]:
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

    def _enlarge_latent(self, hires: HiresPass, name: str, first: dict[str, str]) -> dict[str, str]:
        kind = name.lower().removeprefix("latent").strip(" ()")
        method = _LATENT_METHODS.get(kind or "bilinear", "")
        if not method:
            self.generation.report(
                f"Latents were enlarged with `{shorten(name)}`: `bilinear` is used."
            )
        size = self._size(hires) or {"factor": hires.scale or 2.0}
        return self._add(
            "enlarge", "ResizeLatent", latent=first, **size, method=method or "bilinear"
        )

    def _enlarge_image(
        self, hires: HiresPass, name: str, first: dict[str, str], vae: dict[str, str]
    ) -> dict[str, str]:
        image = self._add("decode_small", "VAEDecode", vae=vae, latent=first)
        method = _PIXEL_METHODS.get(name.lower(), "")
        if not method:
            reference = ModelReference(name)
            model = self._model_name("load_upscaler", reference, "upscale_models")
            loaded = self._add("load_upscaler", "LoadUpscaleModel", model=model)
            image = self._add("upscale", "UpscaleImage", model=loaded, image=image)
        size = self._size(hires)
        if size:
            image = self._add(
                "resize", "ResizeImage", image=image, **size, method=method or "lanczos"
            )
        return self._add("encode", "VAEEncode", vae=vae, image=image, crop=True)


def _positive(generation: Generation) -> str:
    return generation.encoded_prompt or generation.prompt


def _negative(generation: Generation) -> str:
    return generation.encoded_negative or generation.negative
