"""Mochi 1: videos from prompts. Imports no torch.

Source of what no tensor shows: diffusers' ``MochiPipeline``, ``MochiTransformer3DModel`` and
``AutoencoderKLMochi``. The names are those of diffusers' ``scripts/convert_mochi_to_diffusers.py``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from nodegraph.families import latent_colours as colours
from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.image_conditioning import check_video_size
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import (
    CROSS_ATTENTION_SIGN,
    JOINT_ATTENTION_SIGN,
    LoraSign,
)
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import CodingMemory, TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    check_downscale,
    count_of,
    has_marks,
)
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_SPATIAL, _TEMPORAL = 8, 6
_TOKENS = 256


class MochiFormat(LatentFormat):
    """Videos, or images, whose autoencoder says a mean and a deviation for each channel."""

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("decoder_block_out_channels") or (128,)
        return CodingMemory(6, 0, 6).times(widths[0])

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("encoder_block_out_channels") or (64,)
        return CodingMemory(6, 0, 6).times(widths[0])

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mean, deviation = _statistics(vae, pixels)
        mode = vae.encode(pixels).latent_dist.mode()
        scaled: Tensor = (mode - mean) * vae.config.scaling_factor / deviation
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _statistics(vae, latents)
        inputs = latents * deviation / vae.config.scaling_factor + mean
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel; (1, channels, 1, 1, 1)."""
    mean, deviation = (
        torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1).to(like.device, like.dtype)
        for name in ("latents_mean", "latents_std")
    )
    return mean, deviation


_MARKS = (
    ("encoder.layers.0.weight", "decoder.blocks.0.0.weight", "decoder.blocks.1.proj.weight"),
    ("encoder.proj_in.weight", "decoder.conv_in.weight", "decoder.up_blocks.0.proj.weight"),
)
"""Tensors of the autoencoder in the names of the original code, and in those of diffusers."""
_LAYER = {
    "stack.0.": "resnets.{}.norm1.norm_layer.",
    "stack.2.": "resnets.{}.conv1.conv.",
    "stack.3.": "resnets.{}.norm2.norm_layer.",
    "stack.5.": "resnets.{}.conv2.conv.",
    "attn_block.norm.": "norms.{}.norm_layer.",
    "attn_block.attn.qkv.": "attentions.{}.qkv.",
    "attn_block.attn.out.": "attentions.{}.to_out.0.",
}
"""How names begin inside a layer of the autoencoder, and what they become for its number."""
_QKV = ".qkv.weight"


def _vae_names(names: Iterable[str]) -> dict[str, str]:
    """The names of diffusers, by the file's; queries, keys and values are one tensor there."""
    originals = list(names)
    if _MARKS[0][0] not in originals:
        return {name: name for name in originals}
    matches = [re.match(r"encoder\.layers\.(\d+)\.layers\.", name) for name in originals]
    downs = sorted({int(match[1]) for match in matches if match})
    ups = count_of(dict.fromkeys(originals, ()), r"decoder\.blocks\.(\d+)\.proj\.")
    return {name: _vae_name(name, downs, ups) for name in originals}


def _vae_name(name: str, downs: Sequence[int], ups: int) -> str:
    """A name as diffusers has it.

    Args:
        downs: Where blocks of the encoder that halve the size stand in its list.
        ups: Blocks of the decoder that double the size.
    """
    name = name.replace(".output_norm.", ".norm_out.norm_layer.")
    name = name.replace(".output_proj.", ".proj_out.")
    match = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", name)
    if match is not None:
        return _encoder_name(int(match[1]), match[2], downs)
    match = re.fullmatch(r"decoder\.blocks\.(\d+)\.(.+)", name)
    return name if match is None else _decoder_name(int(match[1]), match[2], ups)


def _encoder_name(at: int, end: str, downs: Sequence[int]) -> str:
    if at == 0:
        return f"encoder.proj_in.{end}"
    if at not in downs:
        is_before = not downs or at < downs[0]
        block, first = ("block_in", 1) if is_before else ("block_out", downs[-1] + 1)
        return _layer_name(f"encoder.{block}", at - first, end)
    index, _, inner = end.removeprefix("layers.").partition(".")
    block = f"encoder.down_blocks.{downs.index(at)}"
    return (
        _layer_name(block, int(index) - 1, inner)
        if index != "0"
        else f"{block}.conv_in.conv.{inner}"
    )


def _decoder_name(at: int, end: str, ups: int) -> str:
    if end.startswith("proj."):
        return f"decoder.up_blocks.{at - 1}.{end}"
    index, _, inner = end.removeprefix("blocks.").partition(".")
    if at == 0:
        is_first = index == "0"
        return (
            f"decoder.conv_in.{inner}"
            if is_first
            else _layer_name("decoder.block_in", int(index) - 1, inner)
        )
    block = f"up_blocks.{at - 1}" if at <= ups else "block_out"
    return _layer_name(f"decoder.{block}", int(index), inner)


def _layer_name(block: str, index: int, end: str) -> str:
    for old, new in _LAYER.items():
        if end.startswith(old):
            return f"{block}.{new.format(index)}{end.removeprefix(old)}"
    return f"{block}.{index}.{end}"


def _convert_vae(tensors: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    converted: dict[str, Tensor] = {}
    for old, new in _vae_names(tensors).items():
        if not new.endswith(_QKV):
            converted[new] = tensors[old]
            continue
        for name, part in zip(("to_q", "to_k", "to_v"), tensors[old].chunk(3), strict=True):
            converted[f"{new.removesuffix('qkv.weight')}{name}.weight"] = part
    return converted


def _vae_config(vae: Shapes) -> dict[str, Any]:
    named = {new: vae[old] for old, new in _vae_names(vae).items()}
    count = count_of(named, r"encoder\.down_blocks\.(\d+)\.")
    downs = [f"encoder.down_blocks.{at}" for at in range(count)]
    blocks = ["encoder.block_in", *downs, "encoder.block_out"]
    strides = [named[f"{block}.conv_in.conv.weight"] for block in downs]
    first, taken = named["encoder.proj_in.weight"]
    pixels, last = named["decoder.proj_out.weight"]
    wide = [named[f"decoder.up_blocks.{at}.resnets.0.conv1.conv.weight"][0] for at in range(count)]
    temporal, spatial = ([stride[axis] for stride in strides] for axis in (2, 3))
    check_downscale(prod(temporal), _TEMPORAL)
    check_downscale(prod(spatial), _SPATIAL)
    return {
        "in_channels": taken,
        "out_channels": pixels,
        "encoder_block_out_channels": (first, *(stride[0] for stride in strides)),
        "decoder_block_out_channels": (last, *reversed(wide)),
        "latent_channels": named["decoder.conv_in.weight"][1],
        "layers_per_block": tuple(
            count_of(named, rf"{re.escape(block)}\.resnets\.(\d+)\.") for block in blocks
        ),
        "temporal_expansions": tuple(temporal),
        "spatial_expansions": tuple(spatial),
        "add_attention_block": tuple(
            any(name.startswith(f"{block}.attentions.") for name in named) for block in blocks
        ),
    }


MOCHI_VAE = FileLayout(
    "mochi-vae",
    "the VAE of Mochi 1",
    "AutoencoderKLMochi",
    lambda vae: has_marks(vae, _MARKS),
    _vae_config,
    _convert_vae,
    PREFIXES,
)
MOCHI_LATENTS = MochiFormat(
    "mochi",
    12,
    spatial=_SPATIAL,
    temporal=_TEMPORAL,
    autoencoders=("AutoencoderKLMochi",),
    files=(MOCHI_VAE,),
    rgb=colours.MOCHI,
    rgb_bias=colours.MOCHI_BIAS,
)
"""Mochi 1."""


def _config(shapes: Shapes) -> dict[str, Any]:
    channels, patch = shapes["patch_embed.proj.weight"][1:3]
    pooled, text = shapes["time_embed.caption_proj.weight"]
    _, heads, half = shapes["pos_frequencies"]
    return {
        "patch_size": patch,
        "num_attention_heads": heads,
        "attention_head_dim": 2 * half,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "pooled_projection_dim": pooled,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "qk_norm": "rms_norm",
        "text_embed_dim": text,
        "time_embed_dim": shapes["time_embed.timestep_embedder.linear_1.weight"][1],
        "activation_fn": "swiglu",
        "max_sequence_length": _TOKENS,
    }


_LAYERS: Table = (
    ("patch_embed.proj", "x_embedder.proj"),
    ("time_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_embed.pooler.to_kv", "t5_y_embedder.to_kv"),
    ("time_embed.pooler.to_q", "t5_y_embedder.to_q"),
    ("time_embed.pooler.to_out", "t5_y_embedder.to_out"),
    ("time_embed.caption_proj", "t5_yproj"),
    ("transformer_blocks.*.norm1.linear", "blocks.*.mod_x"),
    # One of the two: the text goes no further in the last block, which has another modulation.
    ("transformer_blocks.*.norm1_context.{linear,linear_1}", "blocks.*.mod_y"),
    ("transformer_blocks.*.attn1.{to_q,to_k,to_v}", "blocks.*.attn.qkv_x"),
    ("transformer_blocks.*.attn1.norm_q", "blocks.*.attn.q_norm_x"),
    ("transformer_blocks.*.attn1.norm_k", "blocks.*.attn.k_norm_x"),
    ("transformer_blocks.*.attn1.to_out.0", "blocks.*.attn.proj_x"),
    ("transformer_blocks.*.attn1.{add_q_proj,add_k_proj,add_v_proj}", "blocks.*.attn.qkv_y"),
    ("transformer_blocks.*.attn1.norm_added_q", "blocks.*.attn.q_norm_y"),
    ("transformer_blocks.*.attn1.norm_added_k", "blocks.*.attn.k_norm_y"),
    ("transformer_blocks.*.attn1.to_add_out", "blocks.*.attn.proj_y"),
    ("transformer_blocks.*.ff.net.0.proj", "blocks.*.mlp_x.w1"),
    ("transformer_blocks.*.ff.net.2", "blocks.*.mlp_x.w2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "blocks.*.mlp_y.w1"),
    ("transformer_blocks.*.ff_context.net.2", "blocks.*.mlp_y.w2"),
    ("norm_out.linear", "final_layer.mod"),
    ("proj_out", "final_layer.linear"),
)
_NAMED = denoiser_layout(
    "mochi-transformer",
    "the transformer of Mochi 1",
    "MochiTransformer3DModel",
    marks=(
        ("t5_yproj.weight", "blocks.0.attn.qkv_x.weight", "pos_frequencies"),
        ("time_embed.caption_proj.weight", "pos_frequencies", "patch_embed.proj.weight"),
    ),
    names=OriginalNames(
        _LAYERS,
        swaps_output=True,
        swapped=("ff.net.0.proj", "ff_context.net.0.proj"),
        equal_rows=True,
    ),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 1.0},
)


def _convert(tensors: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """As the names say; the modulation of the text is ``linear_1`` in the last block alone."""
    converted = dict(tensors)
    for name in tensors:
        match = re.fullmatch(r"blocks\.(\d+)\.mod_y\.(.+)", name)
        if match is not None:
            layer = "linear_1" if int(match[1]) == config["num_layers"] - 1 else "linear"
            here = f"transformer_blocks.{match[1]}.norm1_context.{layer}.{match[2]}"
            converted[here] = converted.pop(name)
    return _NAMED.convert(converted, config)


MOCHI_FILE = replace(_NAMED, convert=_convert)


class Mochi(Family):
    """A transformer led by T5, which gets a mask of the padding, and so does the transformer.

    Its time goes from noise to video: the timestep is 0 for noise, and it predicts latent - noise.
    """

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 848, 480

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        if not text and model.settings["force_zeros_for_empty_prompt"]:
            tokens = {name: torch.zeros_like(item) for name, item in tokens.items()}
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"].bool()})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        # Dividing the timestep would round the level, which the pipeline uses as it is.
        level = moment.timestep / moment.training_timesteps
        if moment.sigma:
            level = torch.full_like(level, moment.sigma)
        timestep = (1.0 - level) * moment.training_timesteps
        with warnings.catch_warnings():
            # Its positions ask for float32 by a way that has no effect on a CPU, where they are so.
            warnings.filterwarnings("ignore", "In CPU autocast", UserWarning)
            output: Tensor = model.module(
                hidden_states=x.to(model.dtype),
                encoder_hidden_states=batch["embeddings"],
                timestep=timestep.expand(len(x)).to(x.device, model.dtype),
                encoder_attention_mask=batch["mask"],
                return_dict=False,
            )[0]
        # Guidance adds up in float32, as the pipeline does.
        return -output.float()


MOCHI = Mochi(
    "mochi",
    "Mochi 1",
    latent=MOCHI_LATENTS,
    pipelines=("MochiPipeline",),
    denoisers=(Part("transformer", ("MochiTransformer3DModel",), files=(MOCHI_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    noise="flow",
    # `predict` turns the time round, so the noise levels are those of other flows.
    scheduler={"invert_sigmas": False},
    published_scheduler={"invert_sigmas": True},
    spread="linear_quadratic",
    encoder_settings={"force_zeros_for_empty_prompt": False},
    multiple=16,
    held=TokenMemory(16, _TOKENS),
    wide=True,
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE,
    lora_signs=(
        LoraSign(
            r"^blocks_\d+_(attn_(qkv|proj|[qk]_norm)_[xy]|mlp_[xy]_|mod_[xy])|"
            r"^transformer_blocks_\d+_attn1_(add_|to_add_out|norm_added_)",
            "Mochi",
        ),
        JOINT_ATTENTION_SIGN,
        CROSS_ATTENTION_SIGN,
    ),
    resolutions={"mochi": Resolutions(848 * 480, 16)},
    comfyui_type="mochi",
)
