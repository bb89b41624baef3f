"""Model families: which architectures are supported, and how to tell what a file holds.

A family is an architecture with its text encoder, latent format and prediction type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture that can be loaded and sampled.

    Attributes:
        name: As in recipes and latents, such as ``sd1``.
        title: As people call it.
    """

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Identified:
    """What a file or folder turned out to be.

    Attributes:
        title: In words.
        family: None where it isn't supported.
    """

    title: str
    family: Family | None = None


SD1 = Family("sd1", "Stable Diffusion 1.x")
FAMILIES: Mapping[str, Family] = {family.name: family for family in (SD1,)}

_SD1_PIPELINES = frozenset(
    {
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
    }
)
_SD2_CONTEXT = 1024
"""Width of OpenCLIP-H's embeddings, which tells Stable Diffusion 2.x from 1.x."""


def supported() -> str:
    """The supported families, in words."""
    return ", ".join(family.title for family in FAMILIES.values())


def identify_pipeline(class_name: str, unet_config: Mapping[str, Any]) -> Identified:
    """What a diffusers folder holds, by its pipeline class and the UNet's config."""
    if class_name not in _SD1_PIPELINES:
        return Identified(f"a {class_name}")
    if unet_config.get("cross_attention_dim") == _SD2_CONTEXT:
        return Identified("Stable Diffusion 2.x")
    taken, given = (unet_config.get(name, 4) for name in ("in_channels", "out_channels"))
    # Any latent will do, as a folder says how many channels its own has. A UNet that takes more
    # than it gives wants something else beside the latent, such as the rest of a masked picture.
    if taken != given:
        return Identified(_with_more_channels(taken, given))
    return Identified(SD1.title, SD1)


def identify_checkpoint(shapes: Shapes) -> Identified:
    """What a single file holds, by the names and shapes of its tensors."""
    for title, matches in _OTHERS:
        if matches(shapes):
            return Identified(title)
    first = shapes.get("model.diffusion_model.input_blocks.0.0.weight")
    if first is None or len(first) != 4:
        return Identified("no model that is known here")
    if first[1] != 4:
        return Identified(_with_more_channels(first[1], 4))
    missing = [part for part, prefix in _SD1_PARTS.items() if not _any(prefix)(shapes)]
    if missing:
        return Identified(f"{SD1.title} without its {' and its '.join(missing)}")
    return Identified(SD1.title, SD1)


def _with_more_channels(taken: Any, given: Any) -> str:
    kinds = {8: "an InstructPix2Pix model", 9: "an inpainting model"}
    kind = kinds.get(taken, "a model")
    return f"{kind} whose UNet takes {taken} channels instead of {given}"


def _any(*beginnings: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(beginnings) for name in shapes)


def _any_within(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _bare(*beginnings: str) -> Callable[[Shapes], bool]:
    """A single component saved alone: no name has the prefix of a whole checkpoint."""
    whole = _any("model.diffusion_model.", "cond_stage_model.", "conditioner.")
    starts = _any(*beginnings)
    return lambda shapes: starts(shapes) and not whole(shapes)


_SD1_PARTS = {
    "text encoder": "cond_stage_model.transformer.",
    "VAE": "first_stage_model.",
}
_OTHERS: tuple[tuple[str, Callable[[Shapes], bool]], ...] = (
    ("a LoRA", _any_within(".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.")),
    ("a ControlNet", _any("control_model.", "controlnet_cond_embedding.", "controlnet_down")),
    ("a textual inversion", _any("emb_params", "string_to_param")),
    ("Stable Diffusion XL", _any("conditioner.embedders.")),
    ("Stable Diffusion 3", _any_within("joint_blocks.0.context_block.")),
    ("Flux", _any_within("double_blocks.0.img_attn.")),
    ("Stable Diffusion 2.x", _any("cond_stage_model.model.")),
    ("a VAE alone", _bare("decoder.conv_in.", "first_stage_model.")),
    ("a text encoder alone", _bare("text_model.encoder.")),
    ("a UNet alone", _bare("down_blocks.0.", "input_blocks.0.")),
)
