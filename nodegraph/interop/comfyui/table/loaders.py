"""Loaders of checkpoints, diffusion models, text encoders, VAEs and LoRAs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodegraph.core.weight_files import HEADED, file_suffix
from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.families import (
    ENCODER_TYPES,
    ONE_STACK,
    encoder_family,
    family_of_name,
    family_without_encoder,
    latent_format,
    model_family,
)
from nodegraph.interop.comfyui.table.carried_values import FAMILY, only_back, refuse_unsupported
from nodegraph.interop.comfyui.table.parts import file_input, model_file_name
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_STORAGES = {
    "fp8_e4m3fn": "float8",
    "fp8_e4m3fn_fast": "float8",
    "fp8_e5m2": "float8",
    "fp16": "auto",
    "bf16": "auto",
    "fp32": "auto",
}
FILE_PORTS = ("file", "file_2", "file_3", "file_4")


def file_loader(
    native: str,
    inputs: dict[str, str],
    outputs: dict[str, str],
) -> tuple[Translate, str, Translate]:
    """Both ways of a loader of one file.

    Args:
        inputs: Their names to ours; of the first, slashes are turned.
        outputs: Likewise.
    """
    file = next(iter(inputs))

    def forward(node: Passage) -> None:
        taken = {our: node.inputs[their] for their, our in inputs.items() if their in node.inputs}
        name = node.add(native, **{**taken, inputs[file]: file_input(node, file)})
        for their, our in outputs.items():
            node.give(their, MadeOutput(name, our))

    def backward(node: Passage) -> None:
        refuse_unsupported(node, *inputs.values())
        taken = {their: node.inputs[our] for their, our in inputs.items() if our in node.inputs}
        name = node.add(_THERE[native], **taken)
        for their, our in outputs.items():
            node.give(our, MadeOutput(name, their))

    return forward, native, backward


_THERE = {
    "LoadModel": "CheckpointLoaderSimple",
    "LoadUpscaleModel": "UpscaleModelLoader",
    "LoadLatentUpscaleModel": "LatentUpscaleModelLoader",
    "LoadFrameInterpolationModel": "FrameInterpolationModelLoader",
    "LoadControlNet": "ControlNetLoader",
    "LoadGLIGEN": "GLIGENLoader",
}


def _frame_interpolator() -> tuple[Translate, str, Translate]:
    """Both ways of the loader of FILM and RIFE; nodegraph has FILM alone."""
    forward, native, backward = file_loader(
        "LoadFrameInterpolationModel", {"model_name": "model"}, {"INTERP_MODEL": "model"}
    )

    def translate(node: Passage) -> None:
        name = node.inputs["model_name"]
        if not name.is_link and "rife" in str(name.content).lower():
            node.tell("nodegraph does not support RIFE: use film_net_fp16.safetensors instead")
        forward(node)

    return translate, native, backward


_CHECKPOINT = {"MODEL": "model", "CLIP": "text_encoder", "VAE": "vae"}


def _checkpoint_with_eyes(node: Passage) -> None:
    """A whole model that brings CLIP's eyes; here, who needs those opens them."""
    name = node.add("LoadModel", model=file_input(node, "ckpt_name"))
    for their, our in _CHECKPOINT.items():
        if their in ("MODEL", "VAE") or node.type.startswith("unCLIP"):
            node.give(their, MadeOutput(name, our))
    node.give("CLIP_VISION", Signal(None, {"vision_file": file_input(node, "ckpt_name")}))


_checkpoint, _, _checkpoint_back = file_loader("LoadModel", {"ckpt_name": "model"}, _CHECKPOINT)


def _checkpoint_or_parts(node: Passage) -> None:
    """A whole model. Where its file holds no text encoder, LoadModel does not take it: each part
    is loaded by itself."""
    family = family_without_encoder(model_file_name(node, "ckpt_name"))
    if not family:
        _checkpoint(node)
        return
    file = file_input(node, "ckpt_name")
    for their, native, inputs in (
        ("MODEL", "LoadDiffusionModel", {"model": file}),
        ("CLIP", "LoadTextEncoder", {"family": family, "file": file}),
        ("VAE", "LoadVae", {"vae": file}),
    ):
        node.give(their, MadeOutput(node.add(native, **inputs), _CHECKPOINT[their]))


def _diffusion_model(node: Passage) -> None:
    file = model_file_name(node, "unet_name")
    values: dict[str, Any] = {}
    family = model_family(file)
    if family != "auto":
        values["family"] = family
    if "weight_dtype" in node.inputs:
        values["storage"] = _storage(node, "weight_dtype")
        node.keep(weight_dtype=node.inputs["weight_dtype"].content)
    name = node.add("LoadDiffusionModel", model=file_input(node, "unet_name"), **values)
    known = family_of_name(file)
    # Where it says something: a block that carries it is taken apart.
    carried = {FAMILY: known} if known in ONE_STACK else {}
    node.give("MODEL", Signal(MadeOutput(name, "model"), carried))


def _storage(node: Passage, name: str) -> str | None:
    storage = _STORAGES.get(node.literal(name))
    return storage if storage != "auto" else None


def _diffusion_model_back(node: Passage) -> None:
    refuse_unsupported(node, "model", "family", "storage")
    storage = node.inputs["storage"].content if "storage" in node.inputs else "auto"
    types = {"auto": "default", "full": "default", "float8": "fp8_e4m3fn"}
    if storage not in types:
        raise Untranslatable(f"ComfyUI cannot store weights in {storage}")
    kept = node.kept.get("weight_dtype")
    dtype = kept if (_STORAGES.get(str(kept)) or "auto") == storage else types[storage]
    name = node.add("UNETLoader", unet_name=node.inputs["model"], weight_dtype=dtype)
    node.give("model", MadeOutput(name, "MODEL"))


_MUSIC = "ace-step"
_EMBEDDING = re.compile(r"0[._]?6b|embed", re.IGNORECASE)
"""Names of the file of its text encoder."""
_WRITER = "language_model"
"""What is kept of a loader: the file of the language model for audio codes."""


def _text_encoder(*names: str, kind: str = "") -> Translate:
    """A loader of text encoders from so many files.

    Args:
        kind: Of loaders that don't ask for it.
    """

    def forward(node: Passage) -> None:
        files = [model_file_name(node, name) for name in names]
        encoder_type = kind or str(node.literal("type"))
        family = encoder_family(encoder_type, [file for file in files if file])
        own = names
        if family == _MUSIC and len(names) > 1:
            # The other one writes audio codes, which nodegraph does not use.
            first = _EMBEDDING.search(files[0]) or not _EMBEDDING.search(files[1])
            own, (writer,) = (names[:1], names[1:]) if first else (names[1:], names[:1])
            node.keep(**{_WRITER: node.inputs[writer].content})
        model_files = {
            port: file_input(node, name) for port, name in zip(FILE_PORTS, own, strict=False)
        }
        name = node.add("LoadTextEncoder", family=family, **model_files)
        node.keep(
            **{key: node.inputs[key].content for key in ("type", "device") if key in node.inputs}
        )
        node.give("CLIP", MadeOutput(name, "text_encoder"))

    return forward


def _text_encoder_back(there: str, *names: str) -> Translate:
    """The loader there of as many files."""

    def backward(node: Passage) -> None:
        refuse_unsupported(node, "family", *FILE_PORTS)
        files = [node.inputs[port] for port in FILE_PORTS if port in node.inputs]
        files = [file for file in files if file.content]
        family = str(node.literal("family"))
        if family == _MUSIC:
            # The second file is the diffusion model's, which ComfyUI reads where it samples.
            files = [files[0], Signal(node.kept.get(_WRITER) or "")]
            if not files[1].content:
                raise Untranslatable("the ComfyUI node also takes a language model for audio codes")
        if len(files) != len(names):
            raise Untranslatable(f"the ComfyUI node takes {len(names)} files, not {len(files)}")
        extra = {}
        if len(names) < 3:
            extra["type"] = node.kept.get("type") or ENCODER_TYPES.get(family, family)
            if "device" in node.kept:
                extra["device"] = node.kept["device"]
        name = node.add(there, **dict(zip(names, files, strict=True)), **extra)
        node.give("text_encoder", MadeOutput(name, "CLIP"))

    return backward


def _language_model_back(node: Passage) -> None:
    """ComfyUI loads language models as text encoders, from one file."""
    file = node.inputs["model"]
    if isinstance(file.content, str) and file_suffix(Path(file.content)) not in HEADED:
        raise Untranslatable("ComfyUI reads language models from one file, not from a folder")
    refuse_unsupported(node, "model")
    name = node.add("CLIPLoader", clip_name=file, type="stable_diffusion")
    node.give("language_model", MadeOutput(name, "CLIP"))


def _encoders(there: str, types: str, *names: str, kind: str = "") -> Sequence[TableEntry]:
    """The entry of a loader of text encoders, and that of its twin for GGUF files."""
    files = ", ".join(f"{name}: COMBO" for name in names)
    back = _text_encoder_back(there, *names)
    forward = _text_encoder(*names, kind=kind)
    device = ', device: COMBO? = "default"' if types and "GGUF" not in there else ""
    return (
        entry(f"{there}({files}{types}{device}) -> CLIP", forward, "LoadTextEncoder", back),
        entry(f"{there}GGUF({files}{types}) -> CLIP", forward),
    )


def _vae(node: Passage) -> None:
    file = model_file_name(node, "vae_name")
    latents = latent_format(file)
    if file == "pixel_space":
        node.tell("there is no VAE for models that work on pixels")
    name = node.add(
        "LoadVae",
        vae=file_input(node, "vae_name"),
        latents=latents if latents != "auto" else None,
    )
    for output in ("VAE",):
        node.give(output, MadeOutput(name, "vae"))


def _sound_vae(node: Passage) -> None:
    """The audio VAE in the file of a whole model, which is part of its VAE here."""
    name = node.add("LoadVae", vae=file_input(node, "ckpt_name"))
    node.give("VAE", MadeOutput(name, "vae"))


def _sound_encoder(node: Passage) -> None:
    """A text encoder, with the connectors in the file of a whole model."""
    name = node.add(
        "LoadTextEncoder",
        family="ltx2",
        file=file_input(node, "text_encoder"),
        file_2=file_input(node, "ckpt_name"),
    )
    node.keep(device=node.inputs["device"].content)
    node.give("CLIP", MadeOutput(name, "text_encoder"))


def _vae_back(node: Passage) -> None:
    refuse_unsupported(node, "vae", "latents")
    name = node.add("VAELoader", vae_name=node.inputs["vae"])
    node.give("vae", MadeOutput(name, "VAE"))


def _folder(node: Passage) -> None:
    """A folder in the layout of diffusers."""
    name = node.add("LoadModel", model=file_input(node, "model_path"))
    for their, our in _CHECKPOINT.items():
        node.give(their, MadeOutput(name, our))


_BOX = ("text", "x", "y", "width", "height")
"""Inputs of a text box that both programs call the same."""


def _text_box(node: Passage) -> None:
    prompt = node.inputs["conditioning_to"]
    name = node.add(
        "TextBoxConditioning",
        conditioning=prompt,
        encoder=node.inputs["clip"],
        gligen=node.inputs["gligen_textbox_model"],
        negative="same",
        **{key: node.inputs[key] for key in _BOX},
    )
    node.give("CONDITIONING", Signal(MadeOutput(name, "conditioning"), prompt.carried))


def _text_box_back(node: Passage) -> None:
    refuse_unsupported(node, "conditioning", "encoder", "gligen", "negative", *_BOX)
    if node.literal("negative") != "same":
        node.tell("in ComfyUI, the negative prompt has the same text boxes")
    name = node.add(
        "GLIGENTextBoxApply",
        conditioning_to=node.inputs["conditioning"],
        clip=node.inputs["encoder"],
        gligen_textbox_model=node.inputs["gligen"],
        **{key: _whole_pixels(node.inputs[key]) for key in _BOX},
    )
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


def _whole_pixels(value: Signal) -> Any:
    return round(value.content) if isinstance(value.content, float) else value


_CONFIG = re.compile(r"(?:v1|v2)-(?:inpainting-)?inference|anything_v3")
_PENULTIMATE = ("clip_skip_2", "anything_v3")


def _configured(node: Passage) -> None:
    """A checkpoint with a configuration, which comes along there and is known by its name."""
    name = node.add("LoadModel", model=file_input(node, "ckpt_name"))
    config = str(node.literal("config_name"))
    node.keep(config_name=config)
    made = {their: MadeOutput(name, our) for their, our in _CHECKPOINT.items()}
    stem = config.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    if not _CONFIG.match(stem):
        node.tell(
            f"the settings of `{config}` are not known: the weights file determines the model"
        )
    if "inference-v" in stem:
        predicts = node.add("SetPrediction", model=made["MODEL"], prediction_type="v_prediction")
        made["MODEL"] = MadeOutput(predicts, "model")
    if any(part in stem for part in _PENULTIMATE):
        skips = node.add("ClipSkip", encoder=made["CLIP"], skip=2)
        made["CLIP"] = MadeOutput(skips, "text_encoder")
    for their, output in made.items():
        node.give(their, output)


def _lora(node: Passage) -> None:
    lone = "clip" not in node.inputs
    name = node.add(
        "LoadLora",
        model=node.inputs["model"],
        text_encoder=None if lone else node.inputs["clip"],
        lora=file_input(node, "lora_name"),
        strength_model=node.inputs["strength_model"],
        strength_encoder=node.inputs.get("strength_clip"),
    )
    node.give("MODEL", MadeOutput(name, "model"))
    if not lone:
        node.give("CLIP", MadeOutput(name, "text_encoder"))


def _lora_back(node: Passage) -> None:
    refuse_unsupported(
        node, "model", "text_encoder", "lora", "strength_model", "strength_encoder", "fused"
    )
    taken = {"model": node.inputs["model"], "lora_name": node.inputs["lora"]}
    taken |= {"strength_model": node.inputs["strength_model"]}
    if "text_encoder" not in node.inputs:
        name = node.add("LoraLoaderModelOnly", **taken)
    else:
        strength = node.inputs["strength_encoder"]
        name = node.add(
            "LoraLoader", **taken, clip=node.inputs["text_encoder"], strength_clip=strength
        )
        node.give("text_encoder", MadeOutput(name, "CLIP"))
    node.give("model", MadeOutput(name, "MODEL"))


def _without_file(output: str, key: str, file: str) -> Translate:
    """A loader of what is opened here by the node that uses it: the file's name goes along."""

    def forward(node: Passage) -> None:
        node.give(output, Signal(None, {key: file_input(node, file)}))

    return forward


_KIND = ', type: COMBO = "stable_diffusion"'
_LORA = "model: MODEL, {clip}lora_name: COMBO, strength_model: FLOAT = 1.0"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "CheckpointLoaderSimple(ckpt_name: COMBO) -> MODEL, CLIP, VAE",
        _checkpoint_or_parts,
        "LoadModel",
        _checkpoint_back,
    ),
    entry(
        "CheckpointLoader(config_name: COMBO, ckpt_name: COMBO) -> MODEL, CLIP, VAE",
        _configured,
    ),
    entry("DiffusersLoader(model_path: COMBO) -> MODEL, CLIP, VAE", _folder),
    entry(
        "GLIGENLoader(gligen_name: COMBO) -> GLIGEN",
        *file_loader("LoadGLIGEN", {"gligen_name": "gligen"}, {"GLIGEN": "gligen"}),
    ),
    entry(
        "GLIGENTextBoxApply(conditioning_to: CONDITIONING, clip: CLIP, "
        'gligen_textbox_model: GLIGEN, text: STRING = "", width: INT = 64, height: INT = 64, '
        "x: INT = 0, y: INT = 0) -> CONDITIONING",
        _text_box,
        "TextBoxConditioning",
        _text_box_back,
    ),
    entry(
        "unCLIPCheckpointLoader(ckpt_name: COMBO) -> MODEL, CLIP, VAE, CLIP_VISION",
        _checkpoint_with_eyes,
    ),
    entry(
        "ImageOnlyCheckpointLoader(ckpt_name: COMBO) -> MODEL, CLIP_VISION, VAE",
        _checkpoint_with_eyes,
    ),
    entry(
        'UNETLoader(unet_name: COMBO, weight_dtype: COMBO = "default") -> MODEL',
        _diffusion_model,
        "LoadDiffusionModel",
        _diffusion_model_back,
    ),
    entry("UnetLoaderGGUF(unet_name: COMBO) -> MODEL", _diffusion_model),
    *_encoders("CLIPLoader", _KIND, "clip_name"),
    only_back("LoadLanguageModel", _language_model_back),
    *_encoders(
        "DualCLIPLoader", _KIND.replace("stable_diffusion", "sdxl"), "clip_name1", "clip_name2"
    ),
    *_encoders("TripleCLIPLoader", "", "clip_name1", "clip_name2", "clip_name3", kind="sd3"),
    *_encoders(
        "QuadrupleCLIPLoader",
        "",
        "clip_name1",
        "clip_name2",
        "clip_name3",
        "clip_name4",
        kind="hidream",
    ),
    entry("VAELoader(vae_name: COMBO) -> VAE", _vae, "LoadVae", _vae_back),
    entry("LTXVAudioVAELoader(ckpt_name: COMBO) -> VAE", _sound_vae),
    entry(
        "LTXAVTextEncoderLoader(text_encoder: COMBO, ckpt_name: COMBO, "
        'device: COMBO = "default") -> CLIP',
        _sound_encoder,
    ),
    entry(
        f"LoraLoader({_LORA.format(clip='clip: CLIP, ')}, strength_clip: FLOAT = 1.0)"
        " -> MODEL, CLIP",
        _lora,
        "LoadLora",
        _lora_back,
    ),
    entry(f"LoraLoaderModelOnly({_LORA.format(clip='')}) -> MODEL", _lora),
    # These add the LoRA to the outputs of layers, which gives the same but for rounding.
    entry(
        f"LoraLoaderBypass({_LORA.format(clip='clip: CLIP, ')}, strength_clip: FLOAT = 1.0)"
        " -> MODEL, CLIP",
        _lora,
    ),
    entry(f"LoraLoaderBypassModelOnly({_LORA.format(clip='')}) -> MODEL", _lora),
    entry(
        "UpscaleModelLoader(model_name: COMBO) -> UPSCALE_MODEL",
        *file_loader("LoadUpscaleModel", {"model_name": "model"}, {"UPSCALE_MODEL": "model"}),
    ),
    entry(
        "LatentUpscaleModelLoader(model_name: COMBO) -> LATENT_UPSCALE_MODEL",
        *file_loader(
            "LoadLatentUpscaleModel", {"model_name": "model"}, {"LATENT_UPSCALE_MODEL": "model"}
        ),
    ),
    entry(
        "FrameInterpolationModelLoader(model_name: COMBO) -> INTERP_MODEL",
        *_frame_interpolator(),
    ),
    entry(
        "CLIPVisionLoader(clip_name: COMBO) -> CLIP_VISION",
        _without_file("CLIP_VISION", "vision_file", "clip_name"),
    ),
    entry(
        "StyleModelLoader(style_model_name: COMBO) -> STYLE_MODEL",
        _without_file("STYLE_MODEL", "redux_file", "style_model_name"),
    ),
    entry(
        "IPAdapterModelLoader(ipadapter_file: COMBO) -> IPADAPTER",
        _without_file("IPADAPTER", "adapter_file", "ipadapter_file"),
    ),
)
