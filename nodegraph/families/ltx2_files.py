"""The parts of LTX-2 in files without a configuration. Imports no torch.

A published file holds the transformer, both VAEs, the vocoder and the connectors; Gemma 3 has a
file of its own. LTX-2.5 has a file for each part, and Gemma 4 for Gemma 3.

Source: diffusers, ``loaders/single_file_utils.py`` and ``scripts/convert_ltx2_to_diffusers.py``,
also for what no tensor shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from nodegraph.families.ltx import (
    LTX_SCHEDULER,
    count_halvings,
    count_layers,
    encoder_config,
    is_late_untimed,
    is_video_vae,
    numbered_blocks,
    vae_names,
)
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    Tensors,
    check_downscale,
    count_of,
    select_prefix,
)
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

SPATIAL, TEMPORAL = 32, 8
"""Pixels along a latent cell's side, and frames of one."""

# The transformer

_HEADS = 32
"""Of both streams, in all published models; no tensor shows it."""

_ATTENTIONS = ("attn1", "attn2", "audio_attn1", "audio_attn2")
_CROSS_ATTENTIONS = ("audio_to_video_attn", "video_to_audio_attn")
_EMBEDDERS = {
    "time_embed": "adaln_single",
    "audio_time_embed": "audio_adaln_single",
    "av_cross_attn_video_scale_shift": "av_ca_video_scale_shift_adaln_single",
    "av_cross_attn_video_a2v_gate": "av_ca_a2v_gate_adaln_single",
    "av_cross_attn_audio_scale_shift": "av_ca_audio_scale_shift_adaln_single",
    "av_cross_attn_audio_v2a_gate": "av_ca_v2a_gate_adaln_single",
    "prompt_adaln": "prompt_adaln_single",
    "audio_prompt_adaln": "audio_prompt_adaln_single",
}
_EMBEDDER_LAYERS = (
    "emb.timestep_embedder.linear_1",
    "emb.timestep_embedder.linear_2",
    "linear",
)
_BLOCK = "transformer_blocks.*."
_LAYER_NAMES: Table = (
    ("proj_in", "patchify_proj"),
    ("audio_proj_in", "audio_patchify_proj"),
    *(
        (f"{_BLOCK}{name}.norm_{letter}", f"{_BLOCK}{name}.{letter}_norm")
        for name in (*_ATTENTIONS, *_CROSS_ATTENTIONS)
        for letter in "qk"
    ),
    *(
        (f"{ours}.{layer}", f"{original}.{layer}")
        for ours, original in _EMBEDDERS.items()
        for layer in _EMBEDDER_LAYERS
    ),
    *(
        (
            f"{_BLOCK}{stream}_a2v_cross_attn_scale_shift_table",
            f"{_BLOCK}scale_shift_table_a2v_ca_{stream}",
        )
        for stream in ("video", "audio")
    ),
)
_FIRST = "transformer_blocks.0."
_KEYFRAMES = "keyframes_abs_pos_embedding"
"""The embedding by which LTX-2.5 marks tokens of one frame."""


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["proj_in.weight"]
    sound_width, sound_channels = shapes["audio_proj_in.weight"]
    is_modulated = f"{_FIRST}prompt_scale_shift_table" in shapes
    config = {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_attention_heads": _HEADS,
        "attention_head_dim": width // _HEADS,
        "cross_attention_dim": shapes[f"{_FIRST}attn2.to_k.weight"][1],
        "audio_in_channels": sound_channels,
        "audio_out_channels": shapes["audio_proj_out.weight"][0],
        "audio_num_attention_heads": _HEADS,
        "audio_attention_head_dim": sound_width // _HEADS,
        "audio_cross_attention_dim": shapes[f"{_FIRST}audio_attn2.to_k.weight"][1],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "rope_type": "split",
        "rope_double_precision": True,
        # LTX-2.3 differs from 2.0 in these.
        "gated_attn": f"{_FIRST}attn1.to_gate_logits.weight" in shapes,
        "audio_gated_attn": f"{_FIRST}audio_attn1.to_gate_logits.weight" in shapes,
        "cross_attn_mod": is_modulated,
        "audio_cross_attn_mod": f"{_FIRST}audio_prompt_scale_shift_table" in shapes,
        "use_prompt_embeddings": "caption_projection.linear_1.weight" in shapes,
        # LTX-2.5 differs from 2.3 in these.
        "ff_bias": f"{_FIRST}ff.net.0.proj.bias" in shapes,
        "audio_ff_bias": f"{_FIRST}audio_ff.net.0.proj.bias" in shapes,
        "use_prompt_adaln_single": not is_modulated or "prompt_adaln.linear.weight" in shapes,
        "use_keyframes_abs_pos_embedding": _KEYFRAMES in shapes,
    }
    if config["use_prompt_embeddings"]:
        config["caption_channels"] = shapes["caption_projection.linear_1.weight"][1]
    return config


def _is_early_version(shapes: Shapes) -> bool:
    """Whether it is 2.0 or 2.3. Later ones lack biases, or the modulation of prompts by time."""
    if f"{_FIRST}ff.net.0.proj.weight" not in shapes:
        # A damaged file: what is missing is told when it is loaded.
        return True
    is_modulated = f"{_FIRST}prompt_scale_shift_table" in shapes
    has_bias = f"{_FIRST}ff.net.0.proj.bias" in shapes
    return has_bias and (not is_modulated or "prompt_adaln.linear.weight" in shapes)


def _transformer(
    name: str,
    title: str,
    *marks: str,
    without: tuple[str, ...] = (),
    fits: Callable[[Shapes], bool] | None = None,
) -> FileLayout:
    return denoiser_layout(
        name,
        title,
        "LTX2VideoTransformer3DModel",
        marks=(
            ("patchify_proj.weight", "audio_patchify_proj.weight", *marks),
            ("proj_in.weight", "audio_proj_in.weight", *marks),
        ),
        names=OriginalNames(_LAYER_NAMES),
        config=_transformer_config,
        scheduler=LTX_SCHEDULER,
        fits=fits,
        without=without,
        unused=("video_embeddings_connector.", "audio_embeddings_connector."),
    )


TRANSFORMER = _transformer(
    "ltx2-transformer", "the transformer of LTX-2", without=(_KEYFRAMES,), fits=_is_early_version
)
LATER_TRANSFORMER = _transformer("ltx25-transformer", "the transformer of LTX-2.5", _KEYFRAMES)

# The VAE of videos

_STRIDES = {8: "spatiotemporal", 4: "spatial", 2: "temporal"}
"""How the decoder makes cells of channels, by the cells that it makes of one."""
_UP_BLOCKS_20, _UP_BLOCKS_23 = 3, 4
"""Of the decoder."""


def _is_video_vae(vae: Shapes) -> bool:
    if not is_video_vae(vae) or not is_late_untimed(vae):
        return False
    blocks = count_of(vae, r"decoder\.up_blocks\.(\d+)\.")
    # The original counts what changes the size, and the middle.
    is_original = "decoder.up_blocks.0.upsamplers.0.conv.conv.weight" not in vae
    known = [2 * count + 1 if is_original else count for count in (_UP_BLOCKS_20, _UP_BLOCKS_23)]
    return blocks in known


def _video_vae_config(vae: Shapes) -> dict[str, Any]:
    named = {new: vae[old] for old, new in vae_names(vae).items()}
    encoder, decoder = encoder_config(named), _decoder_config(named)
    patch = math.isqrt(named["encoder.conv_in.conv.weight"][1] // 3)
    check_downscale(patch * 2 ** count_halvings(encoder, "temporal"), SPATIAL)
    check_downscale(2 ** count_halvings(encoder, "spatial"), TEMPORAL)
    check_downscale(patch * 2 ** _count_doublings(decoder, "temporal"), SPATIAL)
    check_downscale(2 ** _count_doublings(decoder, "spatial"), TEMPORAL)
    widths = encoder["block_out_channels"]
    return {
        "in_channels": 3,
        "out_channels": named["decoder.conv_out.conv.weight"][0] // patch**2,
        "latent_channels": named["decoder.conv_in.conv.weight"][1],
        **encoder,
        # Here a block's width is that behind what changes its size.
        "block_out_channels": widths[1:],
        "down_block_types": ("LTX2VideoDownBlock3D",) * (len(widths) - 1),
        **decoder,
        "timestep_conditioning": False,
        "patch_size": patch,
        "patch_size_t": 1,
        "encoder_causal": True,
        "decoder_causal": False,
        "encoder_spatial_padding_mode": "zeros",
        "spatial_compression_ratio": SPATIAL,
        "temporal_compression_ratio": TEMPORAL,
    }


def _count_doublings(decoder: Mapping[str, Any], but: str) -> int:
    """How often the decoder doubles the size, but where it does so in another direction alone."""
    return sum(kind != but for kind in decoder["upsample_type"])


def _decoder_config(named: Shapes) -> dict[str, Any]:
    blocks = numbered_blocks(named, "decoder.up_blocks")
    kinds, factors, widths = [], [], []
    for block in blocks:
        width = block["resnets.0.conv1.conv.weight"][0]
        made, taken = block["upsamplers.0.conv.conv.weight"][:2]
        factor = taken // width
        factors.append(factor)
        widths.append(width * factor)
        kinds.append(_STRIDES[made * factor // taken])
    is_20 = len(blocks) == _UP_BLOCKS_20
    layers = [count_layers(select_prefix(named, "decoder.mid_block.")), *map(count_layers, blocks)]
    # diffusers lists most of these from the image to the latent, but not the kinds.
    return {
        "decoder_block_out_channels": tuple(reversed(widths)),
        "decoder_layers_per_block": tuple(reversed(layers)),
        "decoder_spatio_temporal_scaling": (True,) * len(blocks),
        "decoder_inject_noise": (False,) * len(layers),
        "upsample_type": tuple(kinds),
        "upsample_factor": tuple(reversed(factors)),
        "upsample_residual": (is_20,) * len(blocks),
        "decoder_spatial_padding_mode": "reflect" if is_20 else "zeros",
    }


def _convert_video_vae(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {new: tensors[old] for old, new in vae_names(tensors).items()}


VIDEO_VAE = FileLayout(
    "ltx2-vae",
    "the VAE of LTX-2",
    "AutoencoderKLLTX2Video",
    _is_video_vae,
    _video_vae_config,
    _convert_video_vae,
    PREFIXES,
)

# The VAE of sound

_STATISTICS = {
    "per_channel_statistics.mean-of-means": "latents_mean",
    "per_channel_statistics.std-of-means": "latents_std",
}
_UNUSED_STATISTICS = "per_channel_statistics."


def _is_audio_vae(vae: Shapes) -> bool:
    # Those of videos have five dimensions.
    has_statistics = any(name in vae for pair in _STATISTICS.items() for name in pair)
    return has_statistics and len(vae.get("decoder.conv_in.conv.weight", ())) == 4


def _audio_vae_config(vae: Shapes) -> dict[str, Any]:
    base, channels = vae["encoder.conv_in.conv.weight"][:2]
    levels = count_of(vae, r"encoder\.down\.(\d+)\.")
    widths = [vae[f"encoder.down.{at}.block.0.conv1.conv.weight"][0] for at in range(levels)]
    return {
        "base_channels": base,
        "output_channels": vae["decoder.conv_out.conv.weight"][0],
        "ch_mult": tuple(width // base for width in widths),
        "num_res_blocks": count_of(vae, r"encoder\.down\.0\.block\.(\d+)\."),
        "in_channels": channels,
        "latent_channels": vae["decoder.conv_in.conv.weight"][1],
        "norm_type": "pixel",
        "causality_axis": "height",
        "mid_block_add_attention": any(".mid.attn_1." in name for name in vae),
        "sample_rate": 16000,
        "mel_hop_length": 160,
        "mel_bins": 64,
        "double_z": True,
    }


def _convert_audio_vae(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        _STATISTICS.get(name, name): item
        for name, item in tensors.items()
        if name in _STATISTICS or not name.startswith(_UNUSED_STATISTICS)
    }


AUDIO_VAE = FileLayout(
    "ltx2-audio-vae",
    "the audio VAE of LTX-2",
    "AutoencoderKLLTX2Audio",
    _is_audio_vae,
    _audio_vae_config,
    _convert_audio_vae,
    ("audio_vae.", ""),
)

# The vocoder

_FACTORS = {16: 6, 15: 5, 12: 6, 11: 5, 8: 2, 4: 2}
"""How many times longer a sound gets in a layer, by the width of its kernel."""
_DILATIONS = [1, 3, 5]
_VOCODER_NAMES = (
    (r"(^|\.)ups\.", r"\1upsamplers."),
    (r"(^|\.)resblocks\.", r"\1resnets."),
    (r"(^|\.)conv_pre\.", r"\1conv_in."),
    (r"(^|\.)conv_post\.", r"\1conv_out."),
    (r"(^|\.)act_post\.", r"\1act_out."),
    (r"\.downsample\.lowpass\.", ".downsample."),
)
_RESAMPLER = "resampler."
"""A filter that is computed anew."""


def _vocoder_config(vocoder: Shapes) -> dict[str, Any]:
    stages = count_of(vocoder, r"ups\.(\d+)\.")
    width, channels = vocoder["conv_pre.weight"][:2]
    kernels = [vocoder[f"ups.{at}.weight"][2] for at in range(stages)]
    each = count_of(vocoder, r"resblocks\.(\d+)\.") // stages
    layers = count_of(vocoder, r"resblocks\.0\.convs1\.(\d+)\.")
    is_snake = any(".act.alpha" in name for name in vocoder)
    return {
        "in_channels": channels,
        "hidden_channels": width,
        "out_channels": vocoder["conv_post.weight"][0],
        "upsample_kernel_sizes": kernels,
        "upsample_factors": [_FACTORS[kernel] for kernel in kernels],
        "resnet_kernel_sizes": [
            vocoder[f"resblocks.{at}.convs1.0.weight"][2] for at in range(each)
        ],
        "resnet_dilations": [_DILATIONS[:layers]] * each,
        "act_fn": "snakebeta" if is_snake else "leaky_relu",
        "antialias": is_snake,
        "final_act_fn": None if is_snake else "tanh",
        "final_bias": "conv_post.bias" in vocoder,
    }


def _extended_config(vocoder: Shapes) -> dict[str, Any]:
    """Of a vocoder with a second one, which extends its bandwidth."""
    second = _vocoder_config(select_prefix(vocoder, "bwe_generator."))
    return {
        **_vocoder_config(select_prefix(vocoder, "vocoder.")),
        **{f"bwe_{name}": value for name, value in second.items()},
        "filter_length": vocoder["mel_stft.stft_fn.forward_basis"][2],
        "hop_length": 80,
        "window_length": vocoder["mel_stft.stft_fn.forward_basis"][2],
        "num_mel_channels": vocoder["mel_stft.mel_basis"][0],
        "input_sampling_rate": 16000,
        "output_sampling_rate": 48000,
    }


def _convert_vocoder(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        _replace_all(name, _VOCODER_NAMES): item
        for name, item in tensors.items()
        if not name.startswith(_RESAMPLER)
    }


_VOCODER_TITLE, _VOCODER_PREFIX = "the vocoder of LTX-2", ("vocoder.",)
VOCODERS = (
    FileLayout(
        "ltx2-extended-vocoder",
        _VOCODER_TITLE,
        "LTX2VocoderWithBWE",
        lambda shapes: {"vocoder.conv_pre.weight", "bwe_generator.conv_pre.weight"} <= {*shapes},
        _extended_config,
        _convert_vocoder,
        _VOCODER_PREFIX,
    ),
    FileLayout(
        "ltx2-vocoder",
        _VOCODER_TITLE,
        "LTX2Vocoder",
        lambda shapes: {"conv_pre.weight", "ups.0.weight", "conv_post.weight"} <= {*shapes},
        lambda shapes: {**_vocoder_config(shapes), "output_sampling_rate": 24000},
        _convert_vocoder,
        _VOCODER_PREFIX,
    ),
)
"""Of LTX-2.3 and 2.0."""

# The connectors

_STATES = 49
"""Of Gemma 3 12B that the connectors take: of its embeddings and 48 layers."""
_CONNECTOR_HEADS = 30
"""Of LTX-2.0, whose tensors do not show it."""
_SIDES = ("video", "audio")
_PROJECTION = "text_embedding_projection."
_CONNECTORS = tuple(
    f"{prefix}{side}_embeddings_connector."
    for prefix in ("model.diffusion_model.", "diffusion_model.", "")
    for side in _SIDES
)
_CONNECTOR_NAMES = (
    (r"^(?:model\.)?diffusion_model\.", ""),
    (r"^(video|audio)_embeddings_connector\.", r"\1_connector."),
    (r"\.transformer_1d_blocks\.", ".transformer_blocks."),
    (r"\.([qk])_norm\.", r".norm_\1."),
    (r"^text_embedding_projection\.aggregate_embed\.", "text_proj_in."),
    (r"^text_embedding_projection\.(video|audio)_aggregate_embed\.", r"\1_text_proj_in."),
)


def _connector_name(name: str) -> str:
    return _replace_all(name, _CONNECTOR_NAMES)


def _are_connectors(shapes: Shapes) -> bool:
    wanted = (_PROJECTION, *_CONNECTORS)
    names = {_connector_name(name).partition(".")[0] for name in shapes if name.startswith(wanted)}
    known = {f"{side}_connector" for side in _SIDES}
    return known < names


def _connectors_config(shapes: Shapes) -> dict[str, Any]:
    named = {
        _connector_name(name): shape
        for name, shape in shapes.items()
        if name.startswith((_PROJECTION, *_CONNECTORS))
    }
    is_20 = "text_proj_in.weight" in named
    projection = "text_proj_in" if is_20 else "video_text_proj_in"
    config = {
        "caption_channels": named[f"{projection}.weight"][1] // _STATES,
        "text_proj_in_factor": _STATES,
        "rope_double_precision": True,
        "rope_type": "split",
        "per_modality_projections": not is_20,
        "proj_bias": f"{projection}.bias" in named,
    }
    for side in _SIDES:
        own = select_prefix(named, f"{side}_connector.")
        registers, width = own["learnable_registers"]
        gate = own.get("transformer_blocks.0.attn1.to_gate_logits.weight")
        heads = _CONNECTOR_HEADS if gate is None else gate[0]
        config |= {
            f"{side}_connector_num_attention_heads": heads,
            f"{side}_connector_attention_head_dim": width // heads,
            f"{side}_connector_num_layers": count_of(own, r"transformer_blocks\.(\d+)\."),
            f"{side}_connector_num_learnable_registers": registers,
            f"{side}_gated_attn": gate is not None,
        }
        if not is_20:
            config[f"{side}_hidden_dim"] = named[f"{side}_text_proj_in.weight"][0]
    return config


def _convert_connectors(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        _connector_name(name): item
        for name, item in tensors.items()
        if name.startswith((_PROJECTION, *_CONNECTORS))
    }


CONNECTORS = FileLayout(
    "ltx2-connectors",
    "the connectors of LTX-2",
    "LTX2TextConnectors",
    _are_connectors,
    _connectors_config,
    _convert_connectors,
    beginnings=(_PROJECTION, *_CONNECTORS),
)
"""Their tensors lie beside others, under two names."""


def _replace_all(name: str, patterns: Iterable[tuple[str, str]]) -> str:
    return reduce(lambda text, pair: re.sub(pair[0], pair[1], text), patterns, name)
