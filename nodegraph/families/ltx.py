"""LTX-Video: videos from prompts, also with a first image. Imports no torch.

The original autoencoder lists the layers of each half one after the other; diffusers groups them by
resolution.

Sources: HaCohen et al. 2024, arXiv:2501.00103; https://github.com/Lightricks/LTX-Video
(``ltx_video/models/autoencoders``); for what no tensor shows, ``transformer/config.json`` and
``scheduler_config.json`` of https://huggingface.co/Lightricks/LTX-Video
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.families import latent_colours as colours
from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    FUSED,
    LITE,
    RATE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    check_video_size,
    denoise_mask,
    with_first_frame,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
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
    select_prefix,
)
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_MEAN = "per_channel_statistics.mean-of-means"
_PLAIN = {_MEAN: "latents_mean", "per_channel_statistics.std-of-means": "latents_std"}
_UNUSED = "per_channel_statistics."
_LAYERS = {
    ".res_blocks.": ".resnets.",
    ".conv_shortcut.": ".conv_shortcut.conv.",
    ".norm3.norm.": ".norm3.",
    "decoder.last_time_embedder.": "decoder.time_embedder.",
    "decoder.last_scale_shift_table": "decoder.scale_shift_table",
}
_BLOCK = re.compile(r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.(.+)")

Kind = Literal["layers", "size", "width"]
"""Of an entry of the original's list: residual blocks of one width, what changes the size, or a
single residual block that changes the width."""

_PARTS: Mapping[str, Mapping[Kind, str]] = {
    "encoder.down": {"layers": "", "size": "downsamplers.0.", "width": "conv_out."},
    "decoder.up": {"layers": "", "size": "upsamplers.0.", "width": "conv_in."},
}
_SPATIAL, _TEMPORAL = 32, 8
_DOWN_BLOCKS = 4
"""Of the encoder, whatever the version."""
_STRIDES = {4: "spatial", 2: "temporal", 8: "spatiotemporal"}
"""How the encoder makes channels of cells, by the cells that go into one."""


_LATE = (
    "encoder.down_blocks.1.conv.conv.weight",
    "encoder.down_blocks.0.downsamplers.0.conv.conv.weight",
)
"""Of an encoder that makes channels of cells, as from 0.9.5 on."""
_TIMED = ("decoder.last_time_embedder.", "decoder.time_embedder.")


def _matches(vae: Shapes) -> bool:
    # LTX-2's has the same names and shapes, except that its decoder takes no time, and
    # computes something else.
    return is_video_vae(vae) and not is_late_untimed(vae)


def is_video_vae(vae: Shapes) -> bool:
    """Whether tensors are the VAE of an LTX model, by names and shapes without a prefix."""
    has_statistics = _MEAN in vae or "latents_mean" in vae
    return has_statistics and len(vae.get("encoder.conv_in.conv.weight", ())) == 5


def is_late_untimed(vae: Shapes) -> bool:
    """Whether the encoder makes channels of cells, and the decoder takes no time: LTX-2's."""
    is_timed = any(name.startswith(_TIMED) for name in vae)
    return not is_timed and any(name in vae for name in _LATE)


def _vae_config(vae: Shapes) -> dict[str, Any]:
    named = {new: vae[old] for old, new in vae_names(vae).items()}
    encoder, decoder = encoder_config(named), _decoder(named)
    timed = any(name.startswith("decoder.time_embedder.") for name in named)
    patch = math.isqrt(named["encoder.conv_in.conv.weight"][1] // 3)
    check_downscale(patch * 2 ** count_halvings(encoder, "temporal"), _SPATIAL)
    check_downscale(2 ** count_halvings(encoder, "spatial"), _TEMPORAL)
    check_downscale(patch * 2 ** sum(decoder["decoder_spatio_temporal_scaling"]), _SPATIAL)
    return {
        "in_channels": 3,
        "out_channels": named["decoder.conv_out.conv.weight"][0] // patch**2,
        "latent_channels": named["decoder.conv_in.conv.weight"][1],
        **encoder,
        **decoder,
        "timestep_conditioning": timed,
        "patch_size": patch,
        "patch_size_t": 1,
        "encoder_causal": True,
        "decoder_causal": False,
        "spatial_compression_ratio": _SPATIAL,
        "temporal_compression_ratio": _TEMPORAL,
    }


def count_halvings(encoder: Mapping[str, Any], but: str) -> int:
    """How often the encoder halves the size, but where it does so in another direction alone."""
    kinds = zip(encoder["spatio_temporal_scaling"], encoder["downsample_type"], strict=True)
    return sum(scales and kind != but for scales, kind in kinds)


def encoder_config(named: Shapes) -> dict[str, Any]:
    blocks = numbered_blocks(named, "encoder.down_blocks")
    if len(blocks) != _DOWN_BLOCKS:
        raise KeyError("a block of the encoder")
    widths = [block["resnets.0.conv1.conv.weight"][0] for block in blocks]
    middle = named["encoder.mid_block.resnets.0.conv1.conv.weight"][0]
    makes_channels = any("downsamplers.0.conv.conv.weight" in block for block in blocks)
    kinds = [
        _downsampling(block, following)
        for block, following in zip(blocks, [*widths[1:], middle], strict=True)
    ]
    name = "LTXVideo095DownBlock3D" if makes_channels else "LTXVideoDownBlock3D"
    return {
        "block_out_channels": tuple([*widths, middle] if makes_channels else widths),
        "down_block_types": (name,) * len(blocks),
        "layers_per_block": (
            *map(count_layers, blocks),
            count_layers(select_prefix(named, "encoder.mid_block.")),
        ),
        "spatio_temporal_scaling": tuple(kind is not None for kind in kinds),
        "downsample_type": tuple(kind or "conv" for kind in kinds),
    }


def _downsampling(block: Shapes, width: int) -> str | None:
    """How a block of the encoder makes the size smaller; None where it doesn't.

    Args:
        width: Of the block after it.
    """
    if "downsamplers.0.conv.conv.weight" in block:
        return _STRIDES[width // block["downsamplers.0.conv.conv.weight"][0]]
    return "conv" if "downsamplers.0.conv.weight" in block else None


def _decoder(named: Shapes) -> dict[str, Any]:
    blocks = numbered_blocks(named, "decoder.up_blocks")
    factors = [_factor(block) for block in blocks]
    widths = [block["resnets.0.conv1.conv.weight"][0] for block in blocks]
    middle = select_prefix(named, "decoder.mid_block.")
    # diffusers lists them from the image to the latent, the middle last.
    back = list(reversed(blocks))
    return {
        "decoder_block_out_channels": tuple(
            width * factor for width, factor in reversed([*zip(widths, factors, strict=True)])
        ),
        "decoder_layers_per_block": (*map(count_layers, back), count_layers(middle)),
        "decoder_spatio_temporal_scaling": tuple(map(_doubles, back)),
        "decoder_inject_noise": tuple(
            "resnets.0.per_channel_scale1" in block for block in (*back, middle)
        ),
        "upsample_factor": tuple(reversed(factors)),
        # What halves the channels as it makes cells of them adds what it was given, too.
        "upsample_residual": tuple(factor > 1 for factor in reversed(factors)),
    }


def _doubles(block: Shapes) -> bool:
    return "upsamplers.0.conv.conv.weight" in block


def _factor(block: Shapes) -> int:
    if not _doubles(block):
        return 1
    in_channels, taken = block["upsamplers.0.conv.conv.weight"][:2]
    return taken * 8 // in_channels


def numbered_blocks(named: Shapes, stem: str) -> list[Shapes]:
    count = count_of(named, rf"{re.escape(stem)}\.(\d+)\.")
    return [select_prefix(named, f"{stem}.{at}.") for at in range(count)]


def count_layers(block: Shapes) -> int:
    return count_of(block, r"resnets\.(\d+)\.")


def _convert(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {new: tensors[old] for old, new in vae_names(tensors).items()}


def vae_names(names: Iterable[str]) -> dict[str, str]:
    """The names of diffusers, by the file's; statistics that it has no use for are left out."""
    originals = list(names)
    if _MEAN not in originals:
        return {name: name for name in originals}
    places = {side: _places(originals, side) for side in _PARTS}
    kept = [name for name in originals if name in _PLAIN or not name.startswith(_UNUSED)]
    return {name: _PLAIN.get(name) or _name(name, places) for name in kept}


def _places(names: list[str], side: str) -> list[str]:
    """Where the entries of the original's list stand in diffusers' blocks, with a dot behind."""
    kinds = _kinds(names, side)
    places, block = [], 0
    is_encoder = side == "encoder.down"
    for at, kind in enumerate(kinds):
        if at == (len(kinds) - 1 if is_encoder else 0):
            places.append(f"{side.partition('.')[0]}.mid_block.")
            continue
        # Blocks of the encoder begin with their layers, those of the decoder end with them.
        if is_encoder and kind == "layers" and at:
            block += 1
        places.append(f"{side}_blocks.{block}.{_PARTS[side][kind]}")
        if not is_encoder and kind == "layers":
            block += 1
    return places


def _kinds(names: list[str], side: str) -> list[Kind]:
    kinds: dict[int, Kind] = {}
    for match in map(_BLOCK.fullmatch, names):
        if match and match[1] == side:
            first = match[3].partition(".")[0]
            kind: Kind = {"res_blocks": "layers", "conv": "size"}.get(first, "width")  # type: ignore[assignment]
            at = int(match[2])
            # A block with layers may have an embedder of the time besides.
            kinds[at] = kind if kinds.get(at, "width") == "width" else kinds[at]
    missing = set(range(len(kinds))) - set(kinds)
    if missing:
        raise KeyError(f"{side}_blocks.{min(missing)}")
    return [kinds[at] for at in range(len(kinds))]


def _name(name: str, places: Mapping[str, list[str]]) -> str:
    block = _BLOCK.fullmatch(name)
    if block is not None:
        name = f"{places[block[1]][int(block[2])]}{block[3]}"
    for old, new in _LAYERS.items():
        name = name.replace(old, new)
    return name


LTX_VAE = FileLayout(
    "ltx-vae",
    "the VAE of LTX-Video",
    "AutoencoderKLLTXVideo",
    _matches,
    _vae_config,
    _convert,
    PREFIXES,
)


DECODER_WIDTHS = "decoder_block_out_channels"
"""Entry of an autoencoder's configuration: widths of its decoder, beginning at full size."""


class LTXFormat(LatentFormat):
    """Videos whose autoencoder holds a mean and a deviation for each channel beside its weights.

    Those of later versions end the denoising as they decode, at a timestep; here at its end, 0.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get(DECODER_WIDTHS) or (128,)
        return CodingMemory(0.6, 0.3, 0.27).times(widths[0])

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        widths = config.get("block_out_channels") or (128,)
        return CodingMemory(0.8, 0.4, 0.41).times(widths[0])

    def unscale(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _buffers(vae, latents)
        unscaled: Tensor = latents * deviation / vae.config.scaling_factor + mean
        return unscaled

    def scale(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _buffers(vae, latents)
        scaled: Tensor = (latents - mean) * vae.config.scaling_factor / deviation
        return scaled

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        return self.scale(vae, vae.encode(pixels).latent_dist.mode())

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        inputs = self.unscale(vae, latents)
        timed = vae.config.timestep_conditioning
        timestep = torch.zeros(len(inputs), device=inputs.device, dtype=inputs.dtype)
        with _same_noise(vae):
            pixels: Tensor = vae.decode(inputs, timestep if timed else None, return_dict=False)[0]
        return pixels


@contextmanager
def _same_noise(vae: Any) -> Iterator[None]:
    """Inside the `with`, a decoder that adds noise between its layers (0.9.1's) draws the same each
    time; who draws after it gets what they would have."""
    if not any(vae.config.decoder_inject_noise):
        yield
        return
    kind = vae.device.type
    with torch.random.fork_rng([] if kind == "cpu" else [vae.device], device_type=kind):
        torch.manual_seed(0)
        yield


def _buffers(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    # They may lie elsewhere, where weights are brought along a layer at a time.
    mean, deviation = (
        item.view(1, -1, 1, 1, 1).to(like.device, like.dtype)
        for item in (vae.latents_mean, vae.latents_std)
    )
    return mean, deviation


LTX_LATENTS = LTXFormat(
    "ltx",
    128,
    spatial=32,
    temporal=8,
    autoencoders=("AutoencoderKLLTXVideo",),
    files=(LTX_VAE,),
    rgb=colours.LTX,
    rgb_bias=colours.LTX_BIAS,
)
"""LTX-Video."""


_HEADS = 32
"""Of 2B and of 13B, whose heads are twice as wide."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["proj_in.weight"]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "patch_size": 1,
        "patch_size_t": 1,
        "num_attention_heads": _HEADS,
        "attention_head_dim": width // _HEADS,
        "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "activation_fn": "gelu-approximate",
        "qk_norm": "rms_norm_across_heads",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "attention_out_bias": "transformer_blocks.0.attn1.to_out.0.bias" in shapes,
    }


_LAYER_NAMES: Table = (
    ("transformer_blocks.*.attn1.norm_q", "transformer_blocks.*.attn1.q_norm"),
    ("transformer_blocks.*.attn1.norm_k", "transformer_blocks.*.attn1.k_norm"),
    ("transformer_blocks.*.attn2.norm_q", "transformer_blocks.*.attn2.q_norm"),
    ("transformer_blocks.*.attn2.norm_k", "transformer_blocks.*.attn2.k_norm"),
    ("proj_in", "patchify_proj"),
    ("time_embed.emb.timestep_embedder.linear_1", "adaln_single.emb.timestep_embedder.linear_1"),
    ("time_embed.emb.timestep_embedder.linear_2", "adaln_single.emb.timestep_embedder.linear_2"),
    ("time_embed.linear", "adaln_single.linear"),
)


LTX_SCHEDULER: Config = {
    **DYNAMIC_FLOW,
    "base_image_seq_len": 1024,
    "base_shift": 0.95,
    "max_shift": 2.05,
    "shift": 1.0,
    "shift_terminal": 0.1,
}
"""Of LTX-Video and LTX-2."""


LTX_FILE = denoiser_layout(
    "ltx-transformer",
    "the transformer of LTX-Video",
    "LTXVideoTransformer3DModel",
    marks=(
        ("patchify_proj.weight", "adaln_single.linear.weight", "scale_shift_table"),
        ("proj_in.weight", "time_embed.linear.weight", "scale_shift_table"),
    ),
    names=OriginalNames(_LAYER_NAMES),
    config=_config,
    scheduler=LTX_SCHEDULER,
    # LTX-2, which makes sound, too.
    without=("audio_",),
)


USUAL_RATE = 25
"""Frames a second that a video is to have where the conditioning doesn't say."""

_TOKENS = 128


class LTXVideo(Family):
    """A transformer led by T5, which gets a mask of the padding. Each cell is a token."""

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 704, 512

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"])

    def tokens(self, shape: Sequence[int]) -> int:
        return math.prod(shape[2:])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"].bool()})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        frames, height, width = x.shape[2:]
        first, temporal, spatial = batch.get(FIRST_FRAME), self.latent.temporal, self.latent.spatial
        tokens = with_first_frame(x, first).flatten(2).transpose(1, 2).contiguous().to(model.dtype)
        timestep = moment.timestep.expand(len(x))
        if first is not None:
            timestep = timestep.unsqueeze(-1) * denoise_mask(x, first).flatten()
        rate = batch[RATE][0].float() if RATE in batch else (USUAL_RATE, 1)
        output: Tensor = model.module(
            hidden_states=tokens,
            encoder_hidden_states=batch["embeddings"],
            timestep=timestep,
            encoder_attention_mask=batch["mask"],
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(temporal * rate[1] / rate[0], spatial, spatial),
            return_dict=False,
        )[0]
        # guidance adds up in float32, as the pipeline does
        return output.float().transpose(1, 2).reshape(x.shape)


LTX = LTXVideo(
    "ltx",
    "LTX-Video",
    latent=LTX_LATENTS,
    pipelines=("LTXPipeline", "LTXImageToVideoPipeline"),
    denoisers=(Part("transformer", ("LTXVideoTransformer3DModel",), files=(LTX_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=32,
    held=TokenMemory(15, 24, patch=1),
    first_picture="frame",
    wide=True,
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE | FUSED,
    resolutions={"ltx": Resolutions(768 * 512, 32)},
    lora_signs=(CROSS_ATTENTION_SIGN,),
    comfyui_type="ltxv",
)
