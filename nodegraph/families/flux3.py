"""Flux.3 Klein: images from prompts, and edits of reference images. Imports no torch.

Sources: diffusers' modular pipeline ``modular_pipelines/flux3`` and its transformer,
``models/transformers/transformer_flux3.py``. Of the original names: its converter of single files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flux2 import FLUX2_LATENTS, check_references
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_names
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import QWEN3_VL
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_LAYERS_READ = (4, 8, 12, 16, 20, 24, 28, 32)
"""Layers of Qwen3-VL 4B that the model reads; layer 0 is the embedding."""
_WINDOW = 80
"""Prompts are padded to a multiple of so many tokens. The transformer attends to the padding."""
_TOKENS = 8192
"""Most tokens of a prompt, with its template."""
_PADDING_POSITION = 1
"""Position of each token of the padding, as transformers 4.57 counted in the training."""
_ROPE_SCALE = 0.5
"""Factor of the rows and columns of an image's tokens."""
_TARGET = "target_timestep_embedder.linear_1.weight"
"""Of step-distilled models, which also get the timestep that a step leads to."""

_MODES = ("image", "image_cond")
"""Kinds of image tokens: the generated image, and reference images."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedders.image.weight"]
    (head,) = shapes["single_transformer_blocks.0.attn.norm_q.weight"]
    return {
        "in_channels": channels,
        "cond_in_channels": shapes["x_embedders.image_cond.weight"][1],
        "num_layers": count_of(shapes, r"txt_mode_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "timestep_channels": shapes["timestep_embedder.linear_1.weight"][1],
        "mlp_ratio": shapes["single_transformer_blocks.0.ff.linear_out.weight"][1] / width,
        "axes_dims_rope": (head // 4,) * 4,
        "rope_theta": 10000,
        "eps": 1e-6,
        "flow_map": _TARGET in shapes,
    }


_BLOCK: Table = (
    ("attn.to_q", "q_proj"),
    ("attn.to_k", "k_proj"),
    ("attn.to_v", "v_proj"),
    ("attn.to_out.0", "attn_out"),
    ("attn.norm_q", "norm.query_norm"),
    ("attn.norm_k", "norm.key_norm"),
    ("ff.linear_in", "mlp_in"),
    ("ff.linear_out", "mlp_out"),
)
"""Layers of a block."""
_LAYERS: Table = (
    *(
        (f"{here}.*.{layer}", f"{original_block}.*.{original}")
        for here, original_block in (
            *((f"mode_blocks.{mode}", f"content_mode_blocks.{mode}") for mode in _MODES),
            ("txt_mode_blocks", "txt_mode_blocks"),
            ("single_transformer_blocks", "single_blocks"),
        )
        for layer, original in _BLOCK
    ),
    *(
        (f"{stream}_stream_modulations.{mode}.linear", f"{stream}_stream_modulations.{mode}.lin")
        for stream in ("early", "single")
        for mode in (*_MODES, "txt")
    ),
    *((f"x_embedders.{mode}", f"emb_in.{mode}") for mode in _MODES),
    ("context_embedder", "txt_in"),
    ("timestep_embedder.linear_1", "time_in.in_layer"),
    ("timestep_embedder.linear_2", "time_in.out_layer"),
    ("target_timestep_embedder.linear_1", "ref_time_in.in_layer"),
    ("target_timestep_embedder.linear_2", "ref_time_in.out_layer"),
    ("norm_out.linear", "final_layer.image.adaLN_modulation.1"),
    ("proj_out", "final_layer.image.linear"),
)
_FILE = denoiser_layout(
    "flux3-klein-transformer",
    "the transformer of Flux.3 Klein",
    "Flux3Transformer2DModel",
    marks=(
        ("early_stream_modulations.image.lin.weight", "emb_in.image_cond.weight"),
        ("early_stream_modulations.image.linear.weight", "x_embedders.image_cond.weight"),
    ),
    names=OriginalNames(_LAYERS, swaps_output=True),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 6.93},
    # of the training alone
    unused=("repa_projectors.",),
)


class Flux3Klein(Family):
    """A transformer that reads eight layers of Qwen3-VL.

    Prompts, the generated image and reference images are three kinds of tokens, each with blocks of
    its own before the joint ones. The latents are those of Flux.2.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2]) * int(shape[-1])

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return bool(config.get("flow_map"))

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import layer_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        count = len(tokenizer(chat, verbose=False)["input_ids"])
        length = min(math.ceil(count / _WINDOW) * _WINDOW, _TOKENS)
        tokens = tokenize_padded(
            tokenizer, chat, length, warn if count > _TOKENS else None, padding_side="right"
        )
        padding = tokens["attention_mask"] == 0
        tokens["position_ids"] = torch.arange(length)[None].masked_fill(padding, _PADDING_POSITION)
        states = layer_states(model.modules["text_encoder"], tokens, _LAYERS_READ)
        return encoded({"embeddings": torch.cat(states, -1)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_references(entry.references, int(model.config["cond_in_channels"]), request.side)
        return fitted | dict(zip(reference_names(), entry.references, strict=False))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        def flow_time(timestep: Tensor) -> Tensor:
            return (timestep / moment.training_timesteps).expand(len(x)).to(x.dtype)

        called: dict[str, Any] = {}
        if references := reference_latents(batch):
            called["image_cond_hidden_states"] = torch.cat([*map(_tokens, references)], 1)
            called["image_cond_ids"] = torch.cat(
                [_image_positions(item, -number) for number, item in enumerate(references, 1)]
            )
        if model.config.get("flow_map"):
            called["target_timestep"] = flow_time(moment.following)
        length = batch["embeddings"].shape[1]
        output: Tensor = model.module(
            hidden_states=_tokens(x),
            encoder_hidden_states=batch["embeddings"],
            timestep=flow_time(moment.timestep),
            img_ids=_image_positions(x, 0),
            txt_ids=_positions((1, 1), range(length), x.device),
            return_dict=False,
            **called,
        )[0]
        return output.transpose(1, 2).reshape(x.shape)


def _tokens(latents: Tensor) -> Tensor:
    return latents.flatten(2).transpose(1, 2)


def _image_positions(latents: Tensor, number: int) -> Tensor:
    """Where an image's tokens lie: 0 is the generated image, -1 the first reference image."""
    height, width = latents.shape[-2:]
    positions = _positions((height, width), (number,), latents.device)
    positions[:, 1:3] *= _ROPE_SCALE
    return positions


def _positions(size: tuple[int, int], last: Sequence[int], device: torch.device) -> Tensor:
    """Return (time, row, column, place) of tokens; float32, (tokens, 4)."""
    axes = [torch.arange(side, device=device) for side in (1, *size)]
    return torch.cartesian_prod(*axes, torch.tensor([*last], device=device)).float()


FLUX3_KLEIN = Flux3Klein(
    "flux3-klein",
    "Flux.3 Klein",
    latent=FLUX2_LATENTS,
    pipelines=("Flux3ModularPipeline", "Flux3DistilledModularPipeline"),
    denoisers=(Part("transformer", ("Flux3Transformer2DModel",), files=(_FILE,)),),
    encoders=(
        Part(
            "text_encoder",
            ("Qwen3VLForConditionalGeneration", "Qwen3VLModel"),
            files=(QWEN3_VL,),
        ),
    ),
    tokenizers=(
        Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3", processor="Qwen3VLProcessor"),
    ),
    noise="flow",
    spread="ramp",
    multiple=16,
    # a token is a cell, as patches are; of the prompt there are mostly a few windows
    held=TokenMemory(22, 512, patch=1),
    joint=False,
    block_stacks=("single_transformer_blocks",),
    block_outputs={"Flux3SingleTransformerBlock": (1, 0)},
    resolutions={"flux3-klein": Resolutions(1024 * 1024, 16)},
    image_inputs=frozenset({"references"}),
    lora_signs=(
        LoraSign(
            r"^(content_|txt_)?mode_blocks_|_stream_modulations_"
            r"|^single_blocks_\d+_([qkv]_proj|attn_out|mlp_in|mlp_out)$",
            "Flux.3 Klein",
        ),
        DOUBLE_STREAM_SIGN,
    ),
    comfyui_type="flux3",
)
