"""Stable Diffusion 1.x and 2.x. Imports no torch.

Source: Rombach et al. 2022, arXiv:2112.10752.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodegraph.families.base import Config, Part, Resolutions, Warn, encoded, usual_pipelines
from nodegraph.families.latent_formats import SD
from nodegraph.families.unet import UNetFamily
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, SingleFile
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.controlnets import (
    adapter_layout,
    controlnet_layout,
    is_second_version,
)
from nodegraph.weights.single_files.unet import has_added_conditions, unet_layout

if TYPE_CHECKING:
    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import TextModel

_SD2_WIDTH = 1024
"""Width of OpenCLIP-H's embeddings, which tells Stable Diffusion 2.x from 1.x."""


@dataclass(frozen=True)
class StableDiffusion(UNetFamily):
    """A UNet led by the last hidden state of one CLIP text encoder.

    Attributes:
        is_second: Whether its text encoder is OpenCLIP-H.
    """

    is_second: bool = False
    takes_text_boxes: bool = True

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        problem = super().mismatch(configs)
        width = configs.get("unet", {}).get("cross_attention_dim")
        if problem is None and (width == _SD2_WIDTH) != self.is_second:
            return "another version of Stable Diffusion"
        return problem

    def leads(self, class_name: str, config: Config) -> bool:
        if class_name == "T2IAdapter" and self.is_second:
            return False
        is_second = config.get("cross_attention_dim") == _SD2_WIDTH
        return super().leads(class_name, config) and is_second == self.is_second

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import ClipEncoder, encode_windows

        layer = model.clip_layer or self.clip_layer
        modules, tokenizers = model.modules, model.tokenizers
        clip = ClipEncoder(
            modules["text_encoder"],
            tokenizers["tokenizer"],
            layer,
            final_norm=True,
            comfyui_windows=model.as_comfyui,
        )
        embeddings, _ = encode_windows([clip], [text], warn)
        return encoded({"embeddings": embeddings})


def _is_linear(unet: Shapes) -> bool:
    """Whether attention is entered by linear layers, as in 2.x; in 1.x these are convolutions."""
    return any(len(shape) == 2 for name, shape in unet.items() if name.endswith("proj_in.weight"))


def _unet(version: str, size: int, matches: Callable[[Shapes], bool], heads: int | None) -> Part:
    title = f"the UNet of Stable Diffusion {version}.x"
    name = f"sd{version}-unet"
    layout = unet_layout(name, title, size=size, heads=heads, matches=matches)
    return Part("unet", ("UNet2DConditionModel",), files=(layout,))


def _control(version: str, width: int, layouts: tuple[FileLayout, ...]) -> Part:
    """What leads by images."""
    is_second = version == "2"
    title = f"Stable Diffusion {version}.x"
    layout = controlnet_layout(
        f"sd{version}",
        title,
        width=width,
        heads=None if is_second else 8,
        matches=lambda net: is_second_version(net) == is_second and not has_added_conditions(net),
    )
    return Part("controlnet", ("ControlNetModel", "T2IAdapter"), files=(layout, *layouts))


_PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model."}

SD1 = StableDiffusion(
    "sd1",
    "Stable Diffusion 1.x",
    latent=SD,
    pipelines=(
        *usual_pipelines("StableDiffusion"),
        "StableDiffusionInstructPix2PixPipeline",
    ),
    denoisers=(
        _unet("1", 64, lambda unet: not (_is_linear(unet) or has_added_conditions(unet)), heads=8),
    ),
    encoders=(Part("text_encoder", ("CLIPTextModel",), files=(clip_layout("CLIP-L"),)),),
    tokenizers=(Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l"),),
    # The stock pipeline corrects these two in outdated files.
    scheduler={"steps_offset": 1, "clip_sample": False},
    size=512,
    weighs_words=True,
    clip_layer=1,
    single_file=SingleFile(
        {**_PREFIXES, "text_encoder": "cond_stage_model.transformer."}, "stable-diffusion-v1"
    ),
    # Source: Sabour et al. 2024, arXiv:2404.14507, as published on its page.
    aligned=(999, 850, 736, 645, 545, 455, 343, 233, 124, 24),
    control=_control("1", 768, (adapter_layout("sd1", "Stable Diffusion 1.x", is_xl=False),)),
    records_attention=True,
    text_width=768,
    resolutions={
        # The model that ships with nodegraph is a small Stable Diffusion 1.x.
        "tiny": Resolutions(128 * 128, 8),
        "sd1": Resolutions(512 * 512, 64),
    },
    comfyui_type="stable_diffusion",
)
SD2 = replace(
    SD1,
    name="sd2",
    title="Stable Diffusion 2.x",
    denoisers=(
        _unet(
            "2", 96, lambda unet: _is_linear(unet) and not has_added_conditions(unet), heads=None
        ),
    ),
    encoders=(Part("text_encoder", ("CLIPTextModel",), files=(clip_layout("CLIP-H", kind="H"),)),),
    tokenizers=(Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l", padding="!"),),
    size=768,
    aligned=(),
    is_second=True,
    control=_control("2", _SD2_WIDTH, ()),
    # Some predict the noise and others v, which no tensor shows.
    single_file=SingleFile(
        {**_PREFIXES, "text_encoder": "cond_stage_model.model."},
        "stable-diffusion-v2",
        says_prediction=False,
    ),
    text_width=1024,
    resolutions={"sd2": Resolutions(768 * 768, 64)},
)
