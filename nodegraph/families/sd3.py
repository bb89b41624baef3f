"""Stable Diffusion 3 and 3.5. Imports no torch.

Source: Esser et al. 2024, arXiv:2403.03206.

Source of what no tensor shows: ``sd3_impls.py`` of https://github.com/Stability-AI/sd3.5, and
``scheduler_config.json`` of https://huggingface.co/stabilityai/stable-diffusion-3.5-medium
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    CONTROLS,
    FUSED,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.latent_formats import SD3 as SD3_LATENTS
from nodegraph.families.layer_names import JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import BLOCKS, Batch, Moment, SamplingRequest
from nodegraph.families.position_limits import PositionLimits, square_limits
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, Tensors, count_of
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.controlnets import transformer_controlnet_layout
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import (
    EULER_FLOW,
    denoiser_layout,
    swap_scale_shift,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals

_HEAD = 64
_CHANNELS = 16
_SAMPLE = 128
"""Cells per side of the latents that it was trained on."""
_PLACES, _PLACES_HERE = "pos_embed", "pos_embed.pos_embed"
"""The table of places, in the file and here."""
_LAST = r"joint_blocks\.(\d+)\.context_block\.adaLN_modulation\.1\.(weight|bias)"


def _config(shapes: Shapes) -> dict[str, Any]:
    width, taken, patch, _ = shapes["pos_embed.proj.weight"]
    (head,) = shapes.get("transformer_blocks.0.attn.norm_q.weight", (_HEAD,))
    caption, joint = shapes["context_embedder.weight"]
    places = shapes.get(_PLACES_HERE) or shapes[_PLACES]
    twice = (re.match(r"transformer_blocks\.(\d+)\.attn2\.", name) for name in shapes)
    return {
        "sample_size": _SAMPLE,
        "patch_size": patch,
        "in_channels": taken,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": joint,
        "caption_projection_dim": caption,
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"][1],
        "pos_embed_max_size": math.isqrt(places[1]),
        "dual_attention_layers": tuple(sorted({int(match[1]) for match in twice if match})),
        "qk_norm": ("rms_norm" if "transformer_blocks.0.attn.norm_q.weight" in shapes else None),
    }


def _fits(shapes: Shapes) -> bool:
    """Whether it takes a latent alone; those that fill masked images take more."""
    taken, projection = shapes.get("pos_embed.proj.weight", ()), shapes.get("proj_out.weight", ())
    return (
        len(taken) == 4 and len(projection) == 2 and projection[0] == taken[1] * taken[2] * taken[3]
    )


_LAYERS: Table = (
    ("transformer_blocks.*.attn.{to_q,to_k,to_v}", "joint_blocks.*.x_block.attn.qkv"),
    (
        "transformer_blocks.*.attn.{add_q_proj,add_k_proj,add_v_proj}",
        "joint_blocks.*.context_block.attn.qkv",
    ),
    ("transformer_blocks.*.attn2.{to_q,to_k,to_v}", "joint_blocks.*.x_block.attn2.qkv"),
    ("transformer_blocks.*.attn.to_out.0", "joint_blocks.*.x_block.attn.proj"),
    ("transformer_blocks.*.attn.to_add_out", "joint_blocks.*.context_block.attn.proj"),
    ("transformer_blocks.*.attn2.to_out.0", "joint_blocks.*.x_block.attn2.proj"),
    ("transformer_blocks.*.attn.norm_q", "joint_blocks.*.x_block.attn.ln_q"),
    ("transformer_blocks.*.attn.norm_k", "joint_blocks.*.x_block.attn.ln_k"),
    ("transformer_blocks.*.attn.norm_added_q", "joint_blocks.*.context_block.attn.ln_q"),
    ("transformer_blocks.*.attn.norm_added_k", "joint_blocks.*.context_block.attn.ln_k"),
    ("transformer_blocks.*.attn2.norm_q", "joint_blocks.*.x_block.attn2.ln_q"),
    ("transformer_blocks.*.attn2.norm_k", "joint_blocks.*.x_block.attn2.ln_k"),
    ("transformer_blocks.*.norm1.linear", "joint_blocks.*.x_block.adaLN_modulation.1"),
    (
        "transformer_blocks.*.norm1_context.linear",
        "joint_blocks.*.context_block.adaLN_modulation.1",
    ),
    ("transformer_blocks.*.ff.net.0.proj", "joint_blocks.*.x_block.mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "joint_blocks.*.x_block.mlp.fc2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "joint_blocks.*.context_block.mlp.fc1"),
    ("transformer_blocks.*.ff_context.net.2", "joint_blocks.*.context_block.mlp.fc2"),
    ("time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_text_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_text_embed.text_embedder.linear_1", "y_embedder.mlp.0"),
    ("time_text_embed.text_embedder.linear_2", "y_embedder.mlp.2"),
    ("context_embedder", "context_embedder"),
    ("pos_embed.proj", "x_embedder.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)


_NAMED = denoiser_layout(
    "sd3-transformer",
    "the transformer of Stable Diffusion 3",
    "SD3Transformer2DModel",
    marks=(
        ("x_embedder.proj.weight", "joint_blocks.0.context_block.adaLN_modulation.1.weight"),
        ("pos_embed.proj.weight", "transformer_blocks.0.norm1_context.linear.weight"),
    ),
    names=OriginalNames(_LAYERS, swaps_output=True, swaps_context=True),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
    fits=_fits,
)


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """As the names say; the text's last modulation, which is that of an output, has scale and shift
    the other way round here."""
    converted = dict(tensors)
    for name in tensors:
        match = re.fullmatch(_LAST, name)
        if match and int(match[1]) == config["num_layers"] - 1:
            converted[name] = swap_scale_shift(converted[name])
    if _PLACES in converted:
        converted[_PLACES_HERE] = converted.pop(_PLACES)
    return _NAMED.convert(converted, config)


SD3_FILE = replace(_NAMED, convert=_convert)


def _control_config(net: Shapes) -> dict[str, Any]:
    inner, taken, patch, _ = net["pos_embed_input.proj.weight"]
    reads = "context_embedder.weight" in net
    count = count_of(net, r"transformer_blocks\.(\d+)\.")
    dual = tuple(at for at in range(count) if f"transformer_blocks.{at}.attn2.to_q.weight" in net)
    table = net.get("pos_embed.pos_embed")
    return {
        "patch_size": patch,
        "in_channels": _CHANNELS,
        "num_layers": count,
        "attention_head_dim": _HEAD,
        "num_attention_heads": inner // _HEAD,
        "joint_attention_dim": net["context_embedder.weight"][1] if reads else None,
        "caption_projection_dim": inner,
        "pooled_projection_dim": net["time_text_embed.text_embedder.linear_1.weight"][1],
        "out_channels": _CHANNELS,
        "pos_embed_max_size": math.isqrt(table[1]) if table else None,
        "pos_embed_type": "sincos" if table else None,
        "extra_conditioning_channels": taken - _CHANNELS,
        "dual_attention_layers": dual,
        "qk_norm": ("rms_norm" if "transformer_blocks.0.attn.norm_q.weight" in net else None),
        "use_pos_embed": "pos_embed.proj.weight" in net,
        # Of those that read no prompt Stability trained all, and with the pooled prompt.
        "force_zeros_for_pooled_projection": reads,
    }


_CONTROLNET = transformer_controlnet_layout(
    "sd3",
    "Stable Diffusion 3",
    "SD3ControlNetModel",
    ("pos_embed_input.proj.weight", "time_text_embed.text_embedder.linear_1.weight"),
    _control_config,
)


_CLIP_TOKENS, _T5_TOKENS = 77, 256


class StableDiffusion3(Family):
    """A transformer led by two CLIP encoders side by side, and T5 after them."""

    def control_is_unshifted(self, config: Config) -> bool:
        """Whether it is one of InstantX's, as diffusers' pipeline has it."""
        fills = bool(config.get("extra_conditioning_channels"))
        return bool(config.get("force_zeros_for_pooled_projection", True)) and not fills

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        config = configs.get("transformer", {})
        taken, out_channels = config.get("in_channels", 16), config.get("out_channels", 16)
        if taken == out_channels:
            return None
        return f"a {self.title} whose transformer takes {taken} channels instead of {out_channels}"

    def position_limits(self, config: Config) -> PositionLimits | None:
        side = config.get("pos_embed_max_size")
        return square_limits(int(config["patch_size"]) * int(side)) if side else None

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text] * len(self.encoders), warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        from nodegraph.families.text_encoders import clip_states, t5_states, tokenize_padded

        states = [
            clip_states(
                model.modules[f"text_encoder{end}"],
                tokenize_padded(model.tokenizers[f"tokenizer{end}"], text, _CLIP_TOKENS),
                model.clip_layer or self.clip_layer,
            )
            for end, text in zip(("", "_2"), texts, strict=False)
        ]
        pooled = torch.cat([projected for _, projected in states], -1)
        both = torch.cat([hidden for hidden, _ in states], -1)
        if "text_encoder_3" not in model.modules:
            return encoded({"embeddings": both, "pooled": pooled})
        tokens = tokenize_padded(model.tokenizers["tokenizer_3"], texts[2], _T5_TOKENS, warn)
        third = t5_states(model.modules["text_encoder_3"], tokens)
        embeddings = torch.cat([_widened(both, third.shape[-1]), third], -2)
        return encoded({"embeddings": embeddings, "pooled": pooled})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        """Zeros stand for what T5 says where a model comes without it."""
        width = self.context_width(model.config)
        tokens, own = entry.embeddings.shape[1:]
        if width is not None and tokens % _CLIP_TOKENS == 0 and own <= width:
            both = _widened(entry.embeddings, width)
            whole = torch.cat([both, torch.zeros(1, _T5_TOKENS, width)], -2)
            entry = replace(entry, tensors={**entry.tensors, "embeddings": whole})
        return super().fit(model, entry, request)

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        network = question.network
        pooled, config = batch["pooled"], network.config
        # Those that fill get no pooled prompt either; only their pipeline says so.
        untold = config.force_zeros_for_pooled_projection or config.extra_conditioning_channels
        # Those without a table of places read that of the model.
        hidden = x if network.pos_embed is not None else model.module.pos_embed(x)
        residuals = network(
            hidden_states=hidden,
            timestep=moment.timestep.expand(len(x)),
            encoder_hidden_states=(
                None if config.joint_attention_dim is None else batch["embeddings"]
            ),
            pooled_projections=torch.zeros_like(pooled) if untold else pooled,
            controlnet_cond=question.repeat(question.hints[0]),
            conditioning_scale=question.strengths[0],
            return_dict=False,
        )[0]
        blocks = len(model.module.transformer_blocks)
        share = blocks / len(residuals)
        return {BLOCKS: [residuals[int(block / share)] for block in range(blocks)]}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            hidden_states=x,
            timestep=moment.timestep.expand(len(x)),
            encoder_hidden_states=batch["embeddings"],
            pooled_projections=batch["pooled"],
            block_controlnet_hidden_states=batch.get(CONTROLS, {}).get("blocks"),
            return_dict=False,
        )[0]
        return output


def _widened(hidden: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(hidden, (0, width - hidden.shape[-1]))


_CLIP = ("CLIPTextModelWithProjection",)
_FIRST = clip_layout("CLIP-L", *_CLIP, projection="identity")
"""Its pooled prompt was trained on unprojected, whatever its file holds."""
_SECOND = clip_layout("CLIP-G", *_CLIP, kind="bigG")
SD3 = StableDiffusion3(
    "sd3",
    "Stable Diffusion 3",
    latent=SD3_LATENTS,
    pipelines=usual_pipelines("StableDiffusion3"),
    denoisers=(Part("transformer", ("SD3Transformer2DModel",), files=(SD3_FILE,)),),
    encoders=(
        Part("text_encoder", _CLIP, files=(_FIRST,)),
        Part("text_encoder_2", _CLIP, files=(_SECOND,)),
        Part("text_encoder_3", ("T5EncoderModel",), optional=True, files=(T5, T5_GGUF)),
    ),
    tokenizers=(
        Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l"),
        Part("tokenizer_2", ("CLIPTokenizer",), vocabulary="clip-l", padding="!"),
        Part("tokenizer_3", ("T5Tokenizer",), optional=True, vocabulary="t5"),
    ),
    noise="flow",
    mu=line_mu,
    multiple=16,
    control=Part("controlnet", ("SD3ControlNetModel",), files=(_CONTROLNET,)),
    held=TokenMemory(12, 256),
    lengthens=True,
    readers=("clip_l", "clip_g", "t5"),
    clip_layer=2,
    speedups=ATTENTION_CACHES | FUSED | {"mag"},
    resolutions={"sd3": Resolutions(1024 * 1024, 64)},
    lora_signs=(
        LoraSign(r"^joint_blocks_", "Stable Diffusion 3"),
        JOINT_ATTENTION_SIGN,
    ),
    control_sees_latents=True,
    control_mask_channels="extra_conditioning_channels",
    comfyui_type="sd3",
)
