"""Krea 2. Imports no torch.

Source: diffusers' pipeline ``Krea2Pipeline`` and its transformer, by Krea AI.

Source of what no tensor shows: the defaults of diffusers' classes, and the scheduler's entries that
the pipeline's documentation states.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.layer_names import JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.patches import pack_latents, token_positions, unpack_latents
from nodegraph.families.wan_vae import QWEN_IMAGE as QWEN_IMAGE_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, Tensors, count_of
from nodegraph.weights.single_files.language import QWEN3_VL
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_TOKENS = 512
"""Length that prompts are padded to, with the end of the template."""
_MODULATIONS = 6
"""Modulation vectors of a block, which the original file has as one."""
_LAYERS_READ = (2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35)
"""Layers of Qwen3-VL 4B that the model reads; layer 0 is the embedding."""
_DISTILLED_MU = 1.15
"""Logarithm of the shift of distilled models, for images of every size."""

_TEMPLATE = (
    "<|im_start|>system\n"
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n"
)
"""Text before a prompt. The model was trained with it, so each letter counts.

Source: diffusers' pipeline.
"""
_TEMPLATE_TOKENS = 34
"""Its tokens, by Qwen's vocabulary."""
_TEMPLATE_END = "<|im_end|>\n<|im_start|>assistant\n"
"""Text after a prompt and its padding."""
_TEMPLATE_END_TOKENS = 5


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["img_in.weight"]
    block, text_block = "transformer_blocks.0", "text_fusion.layerwise_blocks.0"
    (head,) = shapes[f"{block}.attn.norm_q.weight"]
    (text_head,) = shapes[f"{text_block}.attn.norm_q.weight"]
    (text_width,) = shapes["txt_in.norm.weight"]
    return {
        "in_channels": channels,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "num_key_value_heads": shapes[f"{block}.attn.to_k.weight"][0] // head,
        "intermediate_size": shapes[f"{block}.ff.gate.weight"][0],
        "timestep_embed_dim": shapes["time_embed.linear_1.weight"][1],
        "text_hidden_dim": text_width,
        "num_text_layers": shapes["text_fusion.projector.weight"][1],
        "text_num_attention_heads": text_width // text_head,
        "text_num_key_value_heads": shapes[f"{text_block}.attn.to_k.weight"][0] // text_head,
        "text_intermediate_size": shapes[f"{text_block}.ff.gate.weight"][0],
        "num_layerwise_text_blocks": count_of(shapes, r"text_fusion\.layerwise_blocks\.(\d+)\."),
        "num_refiner_text_blocks": count_of(shapes, r"text_fusion\.refiner_blocks\.(\d+)\."),
        # 32, 48 and 48 of 128
        "axes_dims_rope": (head // 4, 3 * head // 8, 3 * head // 8),
        "rope_theta": 1000.0,
        "norm_eps": 1e-5,
    }


_BLOCK: Table = (
    ("attn.to_q", "attn.wq"),
    ("attn.to_k", "attn.wk"),
    ("attn.to_v", "attn.wv"),
    ("attn.to_out.0", "attn.wo"),
    ("attn.to_gate", "attn.gate"),
    ("attn.norm_q", "attn.qknorm.qnorm"),
    ("attn.norm_k", "attn.qknorm.knorm"),
    ("ff.gate", "mlp.gate"),
    ("ff.up", "mlp.up"),
    ("ff.down", "mlp.down"),
    ("norm1", "prenorm"),
    ("norm2", "postnorm"),
)
"""Layers of a block; source: diffusers' converter of single files."""
_LAYERS: Table = (
    *(
        (f"{here}.*.{layer}", f"{there}.*.{original}")
        for here, there in (
            ("transformer_blocks", "blocks"),
            ("text_fusion.layerwise_blocks", "txtfusion.layerwise_blocks"),
            ("text_fusion.refiner_blocks", "txtfusion.refiner_blocks"),
        )
        for layer, original in _BLOCK
    ),
    ("transformer_blocks.*.scale_shift_table", "blocks.*.mod.lin"),
    ("text_fusion.projector", "txtfusion.projector"),
    ("img_in", "first"),
    ("time_embed.linear_1", "tmlp.0"),
    ("time_embed.linear_2", "tmlp.2"),
    ("time_mod_proj", "tproj.1"),
    ("txt_in.norm", "txtmlp.0"),
    ("txt_in.linear_1", "txtmlp.1"),
    ("txt_in.linear_2", "txtmlp.3"),
    ("final_layer.linear", "last.linear"),
    ("final_layer.norm", "last.norm"),
    ("final_layer.scale_shift_table", "last.modulation.lin"),
)
_RENAMED = denoiser_layout(
    "krea2-transformer",
    "the transformer of Krea 2",
    "Krea2Transformer2DModel",
    marks=(
        ("txtfusion.projector.weight", "last.modulation.lin"),
        ("text_fusion.projector.weight", "final_layer.scale_shift_table"),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**DYNAMIC_FLOW, "max_image_seq_len": 6400, "shift": 1.0},
)


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """Return the tensors by diffusers' names, each block's modulation in rows."""
    return {
        name: item.reshape(_MODULATIONS, -1) if _is_modulation(name) else item
        for name, item in _RENAMED.convert(tensors, config).items()
    }


def _is_modulation(name: str) -> bool:
    return name.startswith("transformer_blocks.") and name.endswith(".scale_shift_table")


_FILE = replace(_RENAMED, convert=_convert)


class Krea2(Family):
    """A transformer that reads several layers of Qwen3-VL.

    `cfg` is the pipeline's guidance scale + 1, as 1 is the positive prompt alone here and 0 there.
    """

    def channels(self, config: Config) -> int:
        return int(config["in_channels"]) // _PATCH**2

    def context_width(self, config: Config) -> int | None:
        return int(config["text_hidden_dim"]) * int(config["num_text_layers"])

    def adjust_schedule(self, schedule: Config, index: Config) -> Config:
        if not index.get("is_distilled"):
            return schedule
        return {**schedule, "base_shift": _DISTILLED_MU, "max_shift": _DISTILLED_MU}

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import layer_states, tokenize_padded

        tokenizer, encoder = model.tokenizers["tokenizer"], model.modules["text_encoder"]
        length = _TOKENS + _TEMPLATE_TOKENS - _TEMPLATE_END_TOKENS
        prompt = tokenize_padded(tokenizer, _TEMPLATE + text, length, warn)
        end = tokenizer(_TEMPLATE_END, return_tensors="pt")
        tokens = {name: torch.cat([prompt[name], end[name]], 1) for name in prompt}
        mask = tokens["attention_mask"].bool()
        # Padding lies before the end of the template and takes no position.
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0).expand(3, 1, -1)
        layers = model.settings.get("text_encoder_select_layers") or _LAYERS_READ
        depth = encoder.config.text_config.num_hidden_layers
        states = layer_states(
            encoder,
            {**tokens, "attention_mask": mask, "position_ids": positions},
            [-1 if layer == depth else layer for layer in layers],
        )
        joined = torch.cat(states, -1)[:, _TEMPLATE_TOKENS:]
        return encoded({"embeddings": joined, "mask": mask[:, _TEMPLATE_TOKENS:]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        states = batch["embeddings"]
        layers = int(model.config["num_text_layers"])
        cells = token_positions(height // _PATCH, width // _PATCH, x.device)
        output: Tensor = model.module(
            hidden_states=pack_latents(x),
            encoder_hidden_states=states.view(*states.shape[:2], layers, -1),
            timestep=(moment.timestep / moment.training_timesteps).expand(len(x)).to(x.dtype),
            position_ids=torch.cat([cells.new_zeros(states.shape[1], 3), cells]),
            encoder_attention_mask=batch["mask"].bool(),
            return_dict=False,
        )[0]
        return unpack_latents(output, height, width)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine as the pipeline does, which rounds differently from `Family.guided`."""
        return towards + (cfg - 1) * (towards - away)


READING_ENCODER = Part(
    "text_encoder", ("Qwen3VLModel", "Qwen3VLForConditionalGeneration"), files=(QWEN3_VL,)
)
"""Qwen3-VL, which reads prompts alone."""
READING_TOKENIZER = Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3")

KREA2 = Krea2(
    "krea2",
    "Krea 2",
    latent=QWEN_IMAGE_LATENTS,
    pipelines=("Krea2Pipeline",),
    denoisers=(Part("transformer", ("Krea2Transformer2DModel",), files=(_FILE,)),),
    encoders=(READING_ENCODER,),
    tokenizers=(READING_TOKENIZER,),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    settings={"is_distilled": False, "patch_size": 2},
    encoder_settings={"text_encoder_select_layers": list(_LAYERS_READ)},
    multiple=16,
    held=TokenMemory(20, _TOKENS),
    joint=False,
    block_stacks=("transformer_blocks",),
    block_outputs={"Krea2TransformerBlock": (0, None)},
    resolutions={"krea2": Resolutions(1024 * 1024, 16)},
    lora_signs=(
        LoraSign(
            r"^(transformer_)?blocks_\d+_(attn_(to_gate|gate|w[qkvo])|(ff|mlp)_(gate|up|down))"
            r"|^(text_fusion|txtfusion)_",
            "Krea 2",
        ),
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="krea2",
)
