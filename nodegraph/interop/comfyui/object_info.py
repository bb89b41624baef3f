"""ComfyUI's description of its node types (`/object_info`), made from the import table.

The table has names, types and defaults. Ranges, choices and help come from the native node type
where an input has a counterpart there, else from the tables below: they are ComfyUI's own, by the
input's name, or by its type and name where several types differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.interop.comfyui.entries import Choice, InputSignature, Signature, TableEntry
from nodegraph.interop.comfyui.families import ENCODER_FAMILIES
from nodegraph.interop.comfyui.known_packs import pack_of
from nodegraph.interop.comfyui.table import MODULES, built_in
from nodegraph.interop.comfyui.table.samplers_schedules import COMFYUI_SAMPLERS, SCHEDULERS
from nodegraph.interop.comfyui.widget_choices import (
    CHOICES,
    LARGEST_FLOAT,
    LARGEST_INT,
    LARGEST_SEED,
    OTHER_TYPES,
    RANGES,
)

INPUT_FILES = "input"
"""Name of the list of files that loaders of images, videos and sounds offer."""
MODEL_LISTS: Mapping[str, str] = {
    "ckpt_name": "checkpoints",
    "unet_name": "diffusion_models",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "CLIPVisionLoader.clip_name": "clip_vision",
    "vae_name": "vae",
    "lora_name": "loras",
    "control_net_name": "controlnet",
    "style_model_name": "style_models",
    "gligen_name": "gligen",
    "model_name": "upscale_models",
    "FrameInterpolationModelLoader.model_name": "frame_interpolation",
    "LoadDA3Model.model_name": "geometry_estimation",
    "LoadMoGeModel.model_name": "geometry_estimation",
    "UltralyticsDetectorProvider.model_name": "ultralytics",
    "ONNXDetectorProvider.model_name": "onnx",
    "SAMLoader.model_name": "sams",
    "ModelPatchLoader.name": "model_patches",
    "ipadapter_file": "ipadapter",
    "bg_removal_name": "background_removal",
}
"""Folders whose models an input offers."""
_NO_FILE = ("None", "Baked VAE")
"""What is chosen of packs' loaders where no file is."""
_NUMBER = re.compile(r"_\d+")
_FILES = frozenset(
    (
        *("LoadImage.image", "LoadImageOutput.image", "LoadImageMask.image", "LoadVideo.file"),
        *("LoadAudio.audio", "VHS_LoadVideo.video", "LoadLatent.latent"),
    )
)
"""Inputs that offer `INPUT_FILES`."""
_UNLISTED = frozenset(
    (
        # ComfyUI's page has these itself.
        *("PrimitiveNode", "Reroute", "Note", "MarkdownNote"),
        # Known to the table only to say why they have no counterpart.
        *("HiDreamO1ReferenceImages", "StartLoop", "EndLoop", "ImageCropToMask", "XY Plot"),
        *("ImageOnlyCheckpointSave", "PatchModelAddDownscale"),
        *("BNK_TiledKSampler", "BNK_TiledKSamplerAdvanced"),
        *("StableCascade_StageC_VAEEncode", "StableCascade_SuperResolutionControlnet"),
        *("PixelTiledKSampleUpscalerProvider", "PixelTiledKSampleUpscalerProviderPipe"),
    )
)


_CATEGORIES: Mapping[str, str] = {
    "loaders": "loaders",
    "model_merging": "model/merging",
    "hooks": "conditioning/hooks",
    "conditioning": "conditioning",
    "minimax_h3": "conditioning/video_models",
    "video_conditioning": "conditioning/video_models",
    "wan_conditioning": "conditioning/video_models",
    "character_animation": "conditioning/video_models",
    "edit_prompts": "conditioning/edit",
    "control": "conditioning/controlnet",
    "patches": "model_patches",
    "speed": "model_patches",
    "context_windows": "model_patches",
    "samplers_schedules": "sampling/custom_sampling",
    "sampling": "sampling",
    "latents": "latent",
    "images": "image",
    "image_edit": "image/transform",
    "vision": "image/analysis",
    "values": "utils",
    "text": "utils/string",
    "audio_video": "video",
    "shapes": "3d",
    **dict.fromkeys(("pack_nodes", "pack_images", "pipes", "efficiency", "easy_use"), "packs"),
    "regions": "ImpactPack/SEGS",
    "detailers": "ImpactPack/Detailer",
    "upscaling": "ImpactPack/Upscale",
}
"""By the table's module."""
_DISPLAY_NAMES: Mapping[str, str] = {
    "CheckpointLoaderSimple": "Load Checkpoint",
    "CLIPLoader": "Load CLIP",
    "CLIPSetLastLayer": "CLIP Set Last Layer",
    "CLIPTextEncode": "CLIP Text Encode (Prompt)",
    "CLIPVisionLoader": "Load CLIP Vision",
    "ControlNetApplyAdvanced": "Apply ControlNet",
    "ControlNetLoader": "Load ControlNet Model",
    "ImagePadForOutpaint": "Pad Image for Outpainting",
    "ImageScale": "Upscale Image",
    "ImageScaleBy": "Upscale Image By",
    "ImageUpscaleWithModel": "Upscale Image (using Model)",
    "KSamplerAdvanced": "KSampler (Advanced)",
    "LatentUpscale": "Upscale Latent",
    "LatentUpscaleBy": "Upscale Latent By",
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "LoraLoader": "Load LoRA",
    "LoraLoaderModelOnly": "Load LoRA (Model Only)",
    "UNETLoader": "Load Diffusion Model",
    "UpscaleModelLoader": "Load Upscale Model",
    "VAEDecodeTiled": "VAE Decode (Tiled)",
    "VAEEncodeForInpaint": "VAE Encode (for Inpainting)",
    "VAEEncodeTiled": "VAE Encode (Tiled)",
    "VAELoader": "Load VAE",
}
_PREPROCESSOR = "Preprocessor"
_LIST_OUTPUTS = frozenset(("CreateList",))
_TEXTS = re.compile(r"text|prompt|string|template|expression|clip_l|clip_g|t5xxl")


def listed_entries() -> Iterator[tuple[TableEntry, str]]:
    """Iterate over the built-in entries that ComfyUI's server would list, with their category."""
    categories = {
        entry.type: _CATEGORIES[module.__name__.rpartition(".")[2]]
        for module in MODULES
        for entry in module.ENTRIES
    }
    for entry in built_in():
        if entry.type not in _UNLISTED and not entry.type.startswith("@"):
            yield entry, categories[entry.type]


def pack_entry(signature: Mapping[str, Any], native: str) -> TableEntry:
    """Return an entry for a type that a pack translates elsewhere, to describe it.

    Args:
        signature: A `Signature` as `dataclasses.asdict` writes it.
        native: As in `TableEntry`.
    """
    inputs = (
        InputSignature(**{**each, "when": tuple(each["when"])}) for each in signature["inputs"]
    )
    outputs = tuple((name, kind) for name, kind in signature["outputs"])
    return TableEntry(
        Signature(signature["type"], tuple(inputs), outputs), lambda node: None, native
    )


def object_info(
    specs: Mapping[str, NodeSpec],
    lists: Mapping[str, Sequence[str]],
    brought: Sequence[TableEntry] = (),
) -> dict[str, dict[str, Any]]:
    """Return ComfyUI's description of every type that is imported, by type.

    Args:
        specs: Native node types, which have ranges, choices and help.
        lists: Names of models by their folder, and of files by `INPUT_FILES`.
        brought: Entries of packs.
    """
    entries = [*listed_entries(), *((entry, "packs") for entry in brought)]
    return {
        entry.type: _Description(entry, category, specs.get(entry.native), lists).document()
        for entry, category in entries
    }


def describe_type(node_type: str, lists: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return ComfyUI's description of one type of its own, without help of native node types.

    Args:
        lists: As for `object_info`; only those that the type offers are read.
    Raises:
        KeyError: The table has no such type.
    """
    for entry, category in listed_entries():
        if entry.type == node_type:
            return _Description(entry, category, None, lists).document()
    raise KeyError(node_type)


@dataclass(frozen=True)
class _Description:
    """One type's description.

    Attributes:
        native: The native node type that it is translated to, if it is a single one.
    """

    entry: TableEntry
    category: str
    native: NodeSpec | None
    lists: Mapping[str, Sequence[str]]

    def document(self) -> dict[str, Any]:
        signature, native, name = self.entry.signature, self.native, self.entry.type
        inputs = self._inputs(each for each in signature.inputs if not each.name.startswith("row_"))
        pack = pack_of(name)
        aliases = [native.label, *native.tags] if native else []
        return {
            "input": inputs,
            "input_order": {kind: list(each) for kind, each in inputs.items()},
            "is_input_list": False,
            "output": [kind for _, kind in signature.outputs],
            "output_is_list": [name in _LIST_OUTPUTS] * len(signature.outputs),
            "output_name": [output for output, _ in signature.outputs],
            "output_tooltips": self._output_tooltips(),
            "name": name,
            "display_name": _DISPLAY_NAMES.get(name) or display_name(name),
            "description": native.summary if native else "",
            "python_module": f"custom_nodes.{pack}" if pack else "nodes",
            "category": f"packs/{pack}" if pack else self.category,
            "output_node": self._is_output,
            "has_intermediate_output": False,
            "deprecated": False,
            "experimental": bool(native and native.experimental),
            "dev_only": False,
            "api_node": False,
            "search_aliases": [alias for alias in dict.fromkeys(aliases) if alias != name],
        }

    @property
    def _is_output(self) -> bool:
        if self.entry.is_built_in:
            return self.entry.is_end
        return not self.entry.signature.outputs or bool(self.native and self.native.output)

    def _output_tooltips(self) -> list[str]:
        outputs = self.native.outputs if self.native else ()
        count = len(self.entry.signature.outputs)
        return [output.help for output in outputs] if len(outputs) == count else [""] * count

    def _inputs(self, inputs: Iterator[InputSignature]) -> dict[str, dict[str, Any]]:
        listed: dict[str, dict[str, Any]] = {"required": {}}
        for taken in inputs:
            if not taken.when and not self._is_old(taken):
                kind = "optional" if taken.is_optional and not taken.is_autogrow else "required"
                name = taken.name.removesuffix(".*")
                listed.setdefault(kind, {})[name] = self._config(taken)
        return listed

    def _is_old(self, taken: InputSignature) -> bool:
        """Whether only old files have the input: an optional choice without choices."""
        is_choice = taken.type == "COMBO" and taken.is_optional
        full = f"{self.entry.type}.{taken.name}"
        return is_choice and full not in OTHER_TYPES and not self._choices(taken, None)

    def _config(self, taken: InputSignature) -> list[Any]:
        """An input's type and options."""
        dependent = [each for each in self.entry.signature.inputs if each.parent == taken.name]
        if taken.is_autogrow:
            return ["COMFY_AUTOGROW_V3", {"template": _template(taken)}]
        if taken.type == "COMBO" and any(each.when for each in dependent):
            return ["COMFY_DYNAMICCOMBO_V3", {"options": self._branches(taken, dependent)}]
        port = self._port(taken.name)
        options = {"tooltip": port.help} if port and port.help else {}
        return [*self._typed(taken, port, options)]

    def _branches(
        self, taken: InputSignature, dependent: Sequence[InputSignature]
    ) -> list[dict[str, Any]]:
        """What else is there with each value of a choice, its default first."""
        values = dict.fromkeys(
            [*self._choices(taken, None), *(v for d in dependent for v in d.when)]
        )
        order = sorted(values, key=lambda value: value != taken.default)
        branches = []
        for value in order:
            inputs: dict[str, dict[str, Any]] = {}
            for each in dependent:
                if value in each.when:
                    kind = "optional" if each.is_optional else "required"
                    name = each.name.rpartition(".")[2]
                    inputs.setdefault(kind, {})[name] = self._config(each)
            branches.append({"key": value, "inputs": inputs})
        return branches

    def _typed(
        self, taken: InputSignature, port: InputSpec | None, options: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        kind = OTHER_TYPES.get(f"{self.entry.type}.{taken.name}", taken.type)
        if kind == "COMBO" and isinstance(taken.default, bool):
            # A choice in older files, whose values had names.
            return "BOOLEAN", {"default": taken.default, **options}
        if not taken.is_widget or kind != taken.type:
            return kind, options
        if taken.default is None and kind != "COMBO":
            return kind, {**options, "forceInput": True}
        if kind == "COMBO":
            return self._combo(taken, port, options)
        options = {"default": taken.default, **options}
        if kind == "STRING":
            is_long = port.widget == "multiline" if port else bool(_TEXTS.search(taken.name))
            if is_long or taken.extra == "prompt":
                options["multiline"] = True
            if taken.extra == "prompt":
                options["dynamicPrompts"] = True
        elif kind in ("INT", "FLOAT"):
            options |= _range(taken, port)
        return kind, options

    def _combo(
        self, taken: InputSignature, port: InputSpec | None, options: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        choices = self._choices(taken, port)
        if taken.extra == "upload":
            media = {"file": "video", "video": "video", "audio": "audio"}.get(taken.name, "image")
            options = {**options, f"{media}_upload": True}
        if taken.default in choices:
            options = {"default": taken.default, **options}
        return choices, options

    def _choices(self, taken: InputSignature, port: InputSpec | None) -> list[Any]:
        """The values of a choice: a list of files, or words."""
        full = f"{self.entry.type}.{taken.name}"
        if full in _FILES:
            return list(self.lists.get(INPUT_FILES, ()))
        plain = _NUMBER.sub("", taken.name)
        folder = MODEL_LISTS.get(full) or MODEL_LISTS.get(taken.name) or MODEL_LISTS.get(plain)
        if folder and taken.default in (None, *_NO_FILE):
            none = [taken.default] if taken.default else []
            return [*none, *self.lists.get(folder, ())]
        words = [taken.default] if isinstance(taken.default, str) and taken.default else []
        written = CHOICES.get(full) or CHOICES.get(taken.name)
        if written is not None:
            return written.split("|")
        if taken.name == "preprocessor":
            return [
                *words,
                *(word for word in self.entry.code_texts if word.endswith(_PREPROCESSOR)),
            ]
        if taken.name == "sampler_name":
            ours = port.choice_schema.get("plugins", ()) if port else ()
            return [*COMFYUI_SAMPLERS, *ours]
        if taken.name == "scheduler":
            return list(SCHEDULERS)
        if taken.name == "type" and self.entry.type.startswith(("CLIP", "Dual")):
            return list(dict.fromkeys([*words, *sorted(ENCODER_FAMILIES)]))
        theirs = self._their_words(taken.name, port)
        return list(dict.fromkeys([*words, *theirs]))

    def _port(self, name: str) -> InputSpec | None:
        """The native input that an input is."""
        if self.native is None:
            return None
        return self.native.inputs_by_name.get(self.entry.renames.get(name, name))

    def _their_words(self, name: str, port: InputSpec | None) -> list[Any]:
        """A native input's choices in ComfyUI's words."""
        words = port.choice_schema.get("enum", ()) if port else ()
        choice = self.entry.choices.get(name, Choice())
        return [choice.theirs(word) for word in words if isinstance(word, str)]


def _template(taken: InputSignature) -> dict[str, Any]:
    """Describe inputs of which there are as many as are connected."""
    base = taken.name.removesuffix(".*")
    if base == "values":
        names = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        return {
            "input": {"optional": {"value": [taken.type, {"forceInput": True}]}},
            "names": names,
        }
    prefix = base.removesuffix("s")
    inputs = {"optional": {prefix: [taken.type, {}]}}
    return {"input": inputs, "prefix": prefix, "min": 1, "max": 50}


def _range(taken: InputSignature, port: InputSpec | None) -> dict[str, Any]:
    """The limits and step of a number."""
    if taken.extra == "control":
        return {"min": 0, "max": LARGEST_SEED, "control_after_generate": True}
    is_whole = taken.type == "INT"
    largest = LARGEST_INT if is_whole else LARGEST_FLOAT
    usual = taken.default
    own = RANGES.get((taken.name.rpartition(".")[2], taken.type))
    least, most, step = own or (min(0, usual), largest, 1 if is_whole else 0.01)
    schema = _number_schema(port, is_whole)
    if own is None and schema:
        least = schema.get("minimum", schema.get("exclusiveMinimum", -largest))
        most = schema.get("maximum", largest)
        step = (port.step if port else None) or schema.get("multipleOf") or step
    least, most = min(least, usual), max(most, usual)
    if is_whole:
        return {"min": int(least), "max": int(most), "step": max(1, int(step))}
    limits = {"min": float(least), "max": float(most), "step": float(step)}
    if round(usual / step) * step != usual:
        limits["round"] = False  # the page would round the default to whole steps
    return limits


def _number_schema(port: InputSpec | None, is_whole: bool) -> Mapping[str, Any]:
    schema = (port.json_schema or {}) if port else {}
    kind = "integer" if is_whole else "number"
    forms: Sequence[Mapping[str, Any]] = schema.get("anyOf", [schema])
    return next((form for form in forms if form.get("type") == kind), {})


_WORDS = re.compile(
    r"KSampler|ControlNet|FreeU|DiT|unCLIP|MoGe|HiDream|IPAdapter|LLLite|BBoxes|AliMama"
    r"|[A-Z0-9]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z0-9]+|[^A-Za-z0-9\s_]+"
)


def display_name(node_type: str) -> str:
    """Return a type's name with spaces between its words."""
    if " " in node_type or not node_type.isascii():
        return node_type
    return " ".join(_WORDS.findall(node_type.partition("|")[0]))
