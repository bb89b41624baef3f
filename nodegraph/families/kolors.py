"""Kolors. Imports no torch.

Source: diffusers' pipelines ``KolorsPipeline`` and ``KolorsImg2ImgPipeline``, and
https://github.com/Kwai-Kolors/Kolors, by the Kolors team of Kuaishou. Of ControlNets, its
``kolors/models/controlnet.py``.

Source of the schedule, which no tensor shows: ``scheduler_config.json`` of the published folder
Kwai-Kolors/Kolors-diffusers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.latent_formats import SDXL as SDXL_LATENTS
from nodegraph.families.sdxl import StableDiffusionXL
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.controlnets import controlnet_layout
from nodegraph.weights.single_files.unet import (
    SCHEDULER_CONFIG,
    has_added_conditions,
    projects_text,
    unet_layout,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import Batch, ControlNetCall, Moment, Residuals

_TOKENS = 256
"""Of a prompt at the most; shorter ones are padded to them."""


@dataclass(frozen=True)
class _Kolors(StableDiffusionXL):
    """A UNet as Stable Diffusion XL's, whose prompts come from ChatGLM3.

    The embeddings are the language model's last hidden states but one, which the UNet itself
    projects to the width of its attention. The pooled prompt is the last token's last hidden state.
    """

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        unet = configs.get("unet", {})
        if unet.get("encoder_hid_dim_type") != "text_proj":
            return "a Kolors whose UNet does not project the embeddings of its prompts"
        return super().mismatch(configs)

    def context_width(self, config: Config) -> int | None:
        return int(config["encoder_hid_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import tokenize_padded

        encoder = model.modules["text_encoder"]
        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        # Its rotary positions have the precision of a buffer, which transformers leaves in float32.
        encoder.rotary_pos_emb.to(encoder.dtype)
        mask = tokens["attention_mask"]
        # The padding stands before the prompt, whose positions begin at 0.
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        states = encoder(
            input_ids=tokens["input_ids"].to(encoder.device),
            attention_mask=mask.to(encoder.device),
            position_ids=positions.to(encoder.device),
            output_hidden_states=True,
        ).hidden_states
        # It has tokens first, and prompts second.
        embeddings = states[-2].movedim(1, 0).to("cpu", torch.float32).clone()
        pooled = states[-1][-1].to("cpu", torch.float32).clone()
        return encoded({"embeddings": embeddings, "pooled": pooled})

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        return Family.encode_apart(self, model, texts, warn)

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        # The class of diffusers has the projection, but leaves its use to the caller.
        projected = question.network.encoder_hid_proj(batch["embeddings"])
        return super().controlled(model, question, x, moment, {**batch, "embeddings": projected})


def _schedule(config: Config) -> dict[str, Any]:
    return {
        **SCHEDULER_CONFIG,
        "_class_name": "EulerDiscreteScheduler",
        "beta_end": 0.014,
        "num_train_timesteps": 1100,
    }


def _matches(unet: Shapes) -> bool:
    return has_added_conditions(unet) and projects_text(unet)


_WIDTH = 2048
"""Of the attention, which adapters change; the prompts themselves are 4096 wide."""
_UNET = replace(
    unet_layout("kolors-unet", "the UNet of Kolors", size=128, matches=_matches),
    scheduler=_schedule,
)

KOLORS = _Kolors(
    "kolors",
    "Kolors",
    latent=SDXL_LATENTS,
    pipelines=("KolorsPipeline", "KolorsImg2ImgPipeline"),
    denoisers=(Part("unet", ("UNet2DConditionModel",), files=(_UNET,)),),
    encoders=(Part("text_encoder", ("ChatGLMModel",)),),
    tokenizers=(Part("tokenizer", ("ChatGLMTokenizer",)),),
    encoder_settings={"force_zeros_for_empty_prompt": False},
    control=Part(
        "controlnet",
        ("ControlNetModel",),
        files=(controlnet_layout("kolors", "Kolors", width=_WIDTH, matches=_matches),),
    ),
    text_width=_WIDTH,
    projects_text=True,
    tells_sizes=True,
    resolutions={"kolors": Resolutions(1024 * 1024, 64)},
)
