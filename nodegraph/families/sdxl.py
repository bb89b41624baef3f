"""Stable Diffusion XL: base, turbo and lightning models, and the refiner. Imports no torch.

Source: Podell et al. 2023, arXiv:2307.01952.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    CROP,
    ORIGINAL_SIZE,
    SCORE,
    TARGET_SIZE,
    TIME_IDS,
    Config,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.latent_formats import SDXL as SDXL_LATENTS
from nodegraph.families.model_step import SamplingRequest
from nodegraph.families.unet import UNetFamily
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import SingleFile
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.controlnets import (
    adapter_layout,
    controlnet_layout,
    union_layout,
)
from nodegraph.weights.single_files.unet import (
    TIME_EMBED_WIDTH,
    added_condition_width,
    has_added_conditions,
    projects_text,
    unet_layout,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_SCORES = {"positive": 6.0, "negative": 2.5}
"""How beautiful the image is to be, and how beautiful what it is led away from; of the refiner.
As in diffusers."""


@dataclass(frozen=True)
class StableDiffusionXL(UNetFamily):
    """A UNet led by the last but one hidden states of its text encoders, side by side.

    It also takes the pooled prompt, and the sizes that the image had in training: here that
    it is asked for, uncropped.

    Attributes:
        is_refiner: Whether it only finishes images: it reads one encoder and takes a score in
            place of the target size.
    """

    encoder_settings: Config = field(default_factory=lambda: {"force_zeros_for_empty_prompt": True})
    is_told_sizes: bool = True
    is_refiner: bool = False

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        if ("text_encoder" in configs) == self.is_refiner:
            return "a Stable Diffusion XL without its text encoders"
        return super().mismatch(configs)

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text] * len(self.encoders), warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        from nodegraph.families.text_encoders import ClipEncoder, encode_windows

        layer = model.clip_layer or self.clip_layer
        clips = [
            ClipEncoder(
                model.modules[encoder.role],
                model.tokenizers[tokenizer.role],
                layer,
                comfyui_windows=model.as_comfyui,
            )
            for encoder, tokenizer in zip(self.encoders, self.tokenizers, strict=True)
        ]
        embeddings, pooled = encode_windows(clips, texts, warn)
        return encoded({"embeddings": embeddings, "pooled": pooled})

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        """Zeros for most models; a negative prompt that is given, empty or not, is encoded."""
        encoded_prompt = self.encode(model, "")
        if not model.settings["force_zeros_for_empty_prompt"]:
            return encoded_prompt
        zeros = {name: torch.zeros_like(item) for name, item in encoded_prompt.tensors.items()}
        return replace(encoded_prompt, tensors=zeros)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        size = torch.tensor([[float(request.height), float(request.width)]])
        nothing = torch.zeros(1, 2)
        original, crop, target = (
            fitted.pop(name, nothing) for name in (ORIGINAL_SIZE, CROP, TARGET_SIZE)
        )
        sizes = [torch.where(item == 0, size, item) for item in (original, target)]
        score = fitted.pop(SCORE, torch.tensor([[_SCORES[request.side]]]))
        time_ids = [sizes[0], crop, score if self.is_refiner else sizes[1]]
        fitted.setdefault(TIME_IDS, torch.cat(time_ids, 1))
        return fitted


def _is_refiner(unet: Shapes) -> bool:
    """Whether a UNet takes five numbers beside the pooled prompt of the one encoder it reads."""
    read = next((item[1] for name, item in unet.items() if name.endswith("attn2.to_k.weight")), 0)
    return has_added_conditions(unet) and added_condition_width(unet) - read == 5 * TIME_EMBED_WIDTH


def _unet(name: str, title: str, matches: Callable[[Shapes], bool]) -> Part:
    layout = unet_layout(f"{name}-unet", f"the UNet of {title}", size=128, matches=matches)
    return Part("unet", ("UNet2DConditionModel",), files=(layout,))


_PROJECTING = "CLIPTextModelWithProjection"
_WIDTH = 2048
"""Of the embeddings of its prompts."""
_CONTROL = Part(
    "controlnet",
    ("ControlNetModel", "ControlNetUnionModel", "T2IAdapter"),
    files=(
        controlnet_layout(
            "sdxl",
            "Stable Diffusion XL",
            width=_WIDTH,
            matches=lambda net: has_added_conditions(net) and not projects_text(net),
        ),
        union_layout("sdxl", "Stable Diffusion XL", width=_WIDTH, matches=has_added_conditions),
        adapter_layout("sdxl", "Stable Diffusion XL", is_xl=True),
    ),
)
_ENCODER = Part(
    "text_encoder_2",
    (_PROJECTING,),
    files=(clip_layout("CLIP-G", _PROJECTING, kind="bigG"),),
)
_TOKENIZER = Part("tokenizer_2", ("CLIPTokenizer",), vocabulary="clip-l", padding="!")
_PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model."}
_PIPELINES = (
    *usual_pipelines("StableDiffusionXL"),
    "StableDiffusionXLInstructPix2PixPipeline",
)
_COMMON: dict[str, Any] = {
    "latent": SDXL_LATENTS,
    "weighs_words": True,
    "clip_layer": 2,
    "tells_sizes": True,
    "pipelines": _PIPELINES,
    # Source: Sabour et al. 2024, arXiv:2404.14507, as published on its page.
    "aligned": (999, 845, 730, 587, 443, 310, 193, 116, 53, 13),
}

SDXL = StableDiffusionXL(
    "sdxl",
    "Stable Diffusion XL",
    denoisers=(
        _unet(
            "sdxl",
            "Stable Diffusion XL",
            lambda unet: (
                has_added_conditions(unet) and not (_is_refiner(unet) or projects_text(unet))
            ),
        ),
    ),
    encoders=(
        Part(
            "text_encoder",
            ("CLIPTextModel",),
            files=(clip_layout("CLIP-L"),),
        ),
        _ENCODER,
    ),
    tokenizers=(Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l"), _TOKENIZER),
    readers=("clip_l", "clip_g"),
    single_file=SingleFile(
        {
            **_PREFIXES,
            "text_encoder": "conditioner.embedders.0.transformer.",
            "text_encoder_2": "conditioner.embedders.1.model.",
        },
        "stable-diffusion-xl-v1-base",
    ),
    control=_CONTROL,
    records_attention=True,
    text_width=2048,
    resolutions={
        "sdxl": Resolutions(
            1024 * 1024,
            64,
            # Podell et al. 2023, arXiv:2307.01952, appendix I: those that are wider than high.
            (
                *((1024, 1024), (1024, 960), (1088, 960), (1088, 896), (1152, 896), (1152, 832)),
                *((1216, 832), (1280, 768), (1344, 768), (1344, 704), (1408, 704), (1472, 704)),
                *((1536, 640), (1600, 640), (1664, 576), (1728, 576), (1792, 576), (1856, 512)),
                *((1920, 512), (1984, 512), (2048, 512)),
            ),
        ),
    },
    # Source: https://github.com/xinsir6/ControlNetPlus, the last two of its promax model.
    control_modes={
        "pose": 0,
        "depth": 1,
        "soft edges": 2,
        "scribble": 2,
        "edges": 3,
        "lines": 3,
        "normal": 4,
        "segments": 5,
        "tile": 6,
        "repaint": 7,
    },
    comfyui_type="sdxl",
    **_COMMON,
)
SDXL_REFINER = StableDiffusionXL(
    "sdxl-refiner",
    "the refiner of Stable Diffusion XL",
    denoisers=(_unet("sdxl-refiner", "the refiner of Stable Diffusion XL", _is_refiner),),
    encoders=(_ENCODER,),
    tokenizers=(_TOKENIZER,),
    encoder_settings={"force_zeros_for_empty_prompt": False},
    is_refiner=True,
    single_file=SingleFile(
        {**_PREFIXES, "text_encoder_2": "conditioner.embedders.0.model."},
        "stable-diffusion-xl-v1-refiner",
    ),
    text_width=1280,
    comfyui_type="stable_diffusion",
    # The usual one is for images that it refines.
    **{**_COMMON, "pipelines": tuple(sorted(_PIPELINES, key=lambda name: "Img2Img" not in name))},
)
