"""Chroma: Flux.1's transformer without its guidance and CLIP, led by T5 alone. Imports no torch.

Source: https://huggingface.co/lodestones/Chroma
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    FUSED,
    LITE,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.flux import FLUX, LAYERS, Flux, common_config, takes_known_channels
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, count_of
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import TextModel

_TOKENS = 512


def _chroma_config(shapes: Shapes) -> dict[str, Any]:
    hidden, channels = shapes["distilled_guidance_layer.in_proj.weight"]
    return {
        **common_config(shapes),
        "approximator_num_channels": channels,
        "approximator_hidden_dim": hidden,
        "approximator_layers": count_of(shapes, r"distilled_guidance_layer\.layers\.(\d+)\."),
    }


CHROMA_FILE = denoiser_layout(
    "chroma-transformer",
    "the transformer of Chroma",
    "ChromaTransformer2DModel",
    marks=(
        ("img_in.weight", "distilled_guidance_layer.in_proj.weight"),
        ("x_embedder.weight", "distilled_guidance_layer.in_proj.weight"),
    ),
    names=OriginalNames(LAYERS),
    config=_chroma_config,
    # As Flux.1 dev's, which is ComfyUI's for 1024 x 1024 pixels (``comfy/model_sampling.py``).
    scheduler=DYNAMIC_FLOW,
    fits=takes_known_channels,
)


class ChromaFamily(Flux):
    """A prompt's padding is hidden from the transformer, except its first token."""

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        length = tokens["attention_mask"].sum(1, keepdim=True)
        mask = (torch.arange(_TOKENS)[None] <= length).to(torch.float32)
        return encoded({"embeddings": states, "mask": mask})

    def extra_inputs(self, batch: Batch, tokens: int) -> Mapping[str, Tensor | None]:
        mask: Tensor = batch["mask"]
        picture = torch.ones(len(mask), tokens, dtype=torch.bool, device=mask.device)
        return {"attention_mask": torch.cat([mask, picture], 1)}


CHROMA = ChromaFamily(
    "chroma",
    "Chroma",
    latent=FLUX.latent,
    pipelines=usual_pipelines("Chroma"),
    denoisers=(Part("transformer", ("ChromaTransformer2DModel",), files=(CHROMA_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(19, 512),
    joint=False,
    lengthens=True,
    speedups=ATTENTION_CACHES | LITE | FUSED,
    resolutions={"chroma": Resolutions(1024 * 1024, 16)},
    block_outputs={
        "ChromaTransformerBlock": (1, 0),
        "ChromaSingleTransformerBlock": (0, None),
    },
    image_inputs=frozenset({"references"}),
    lora_signs=(
        LoraSign(r"^distilled_guidance_layer", "Chroma"),
        DOUBLE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="chroma",
)
