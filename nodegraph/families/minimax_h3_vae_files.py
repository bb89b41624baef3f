"""The VAEs of MiniMax H3 in single files. Imports no torch, and reads no weights.

Source of the names: ComfyUI, ``comfy/ldm/minimax/vae.py`` and ``audio_vae.py``. Source of what no
tensor shows: the defaults of diffusers' classes, and the published statistics of latents, which
ComfyUI's files hold as tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families.minimax_h3_files import SPATIAL, TEMPORAL
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import (
    Config,
    FileLayout,
    check_downscale,
    count_of,
    has_marks,
)

if TYPE_CHECKING:
    from torch import Tensor

VIDEO_MEAN = (
    *(0.858090341091156, -0.9606591463088989, 1.0661640167236328, -0.5090325474739075),
    *(-0.2727581858634949, -1.3675414323806763, -0.2553254961967468, -0.26907554268836975),
    *(-0.5376840829849243, -0.0464097298681736, 0.6657370328903198, 0.19690127670764923),
    *(-0.5460608005523682, -0.4035342037677765, -0.23683024942874908, 0.25928452610969543),
    *(-0.30133944749832153, 0.211341992020607, -1.1206848621368408, 0.3581933379173279),
    *(-0.04225143790245056, 0.2604829967021942, 0.22864092886447906, 0.7056031823158264),
)
VIDEO_DEVIATION = (
    *(1.2223774194717407, 1.2767263650894165, 1.68317747116088865, 1.7549455165863037),
    *(1.5636216402053833, 2.194143533706665, 0.96531379222869875, 1.05698859691619875),
    *(0.841948926448822, 0.7729952931404114, 1.8955937623977661, 0.946841835975647),
    *(0.7996809482574463, 0.44988900423049925, 0.7197399735450745, 0.69362932443618775),
    *(2.961095094680786, 2.7694199085235595, 3.0496184825897215, 2.1088054180145265),
    *(3.276226282119751, 3.1627357006073, 2.28168129920959475, 2.6127843856811525),
)
SOUND_MEAN = (
    *(-0.020211687, 0.38764665, -0.043982796, -0.28591514, 0.08179686, -0.3578264, 0.04062381),
    *(-0.015525345, -0.22336248, 0.18210068, 0.2941779, -0.07901168, -0.056815073, -0.36990282),
    *(-0.31616315, 0.5905951, -0.05213957, 0.01367316, -0.03691648, 0.09732661, -0.33946624),
    *(-0.30685678, -0.24504599, -0.034698524, 0.028680323, -0.2121778, -0.16782631, 0.3221288),
    *(-0.12230559, 0.43566048, -0.05025992, 0.39792582),
)
SOUND_DEVIATION = (
    *(1.6895524, 2.7626374, 1.7945344, 1.6801682, 1.6390227, 2.7788298, 1.765909, 1.6199758),
    *(2.6336524, 1.8539357, 2.5056498, 1.8110192, 1.9579657, 1.6685498, 1.492247, 3.2986703),
    *(1.9491805, 1.8720003, 1.833408, 1.648807, 1.6176958, 1.913145, 1.5695245, 1.694366),
    *(1.8318421, 1.5540638, 1.9344931, 1.5991982, 1.718046, 1.6307219, 1.8661226, 1.5613768),
)
_STATISTICS = ("latents_mean", "latents_std")
"""Tensors of both files that the configuration has, too."""

# The VAE of videos

_MARKS = (
    ("decoder.register_tokens", "decoder.x_embedder.weight", "encoder.down.0.block.0.conv1.weight"),
    (
        "decoder.register_tokens",
        "decoder.proj_in.weight",
        "encoder.down_blocks.0.resnets.0.conv1.weight",
    ),
)
_HEAD = 64
"""Width of the decoder's attention heads, which no tensor shows."""
_UNUSED = ("decoder.mask_token", *_STATISTICS)
_NAMES = (
    (
        r"encoder\.down\.(\d+)\.block\.(\d+)\.nin_shortcut\.",
        r"encoder.down_blocks.\1.resnets.\2."
        r"conv_shortcut.",
    ),
    (r"encoder\.down\.(\d+)\.block\.(\d+)\.", r"encoder.down_blocks.\1.resnets.\2."),
    (r"encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0."),
    (r"decoder\.x_embedder\.", "decoder.proj_in."),
    (
        r"decoder\.transformer_blocks\.(\d+)\.attn\.to_out\.(?!0)",
        r"decoder.transformer_blocks.\1.attn.to_out.0.",
    ),
    (
        r"decoder\.transformer_blocks\.(\d+)\.ff\.w1\.",
        r"decoder.transformer_blocks.\1.ff.net.0.proj.",
    ),
    (r"decoder\.transformer_blocks\.(\d+)\.ff\.w2\.", r"decoder.transformer_blocks.\1.ff.net.2."),
)
"""How names begin in ComfyUI's file, and in diffusers' class."""
_QKV, _GATE = ".attn.to_qkv.", ".ff.w1."


def _name(original: str) -> str:
    for pattern, replacement in _NAMES:
        name, count = re.subn(f"^{pattern}", replacement, original)
        if count:
            return name
    return original


def _convert_video(tensors: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    converted: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in _UNUSED:
            continue
        if _QKV in name:
            # Each head has its rows of all three, one after the other.
            head = config["decoder_attention_head_dim"]
            # Rows that are split and joined stay as they are stored.
            blocks = torch.split(tensor, head)
            for at, part in enumerate(("to_q", "to_k", "to_v")):
                converted[name.replace(_QKV, f".attn.{part}.")] = torch.cat(blocks[at::3])
        elif _GATE in name:
            # diffusers has the gate behind the values.
            converted[_name(name)] = torch.cat(tensor.chunk(2)[::-1])
        else:
            converted[_name(name)] = tensor
    return converted


def _video_config(vae: Shapes) -> dict[str, Any]:
    shapes = {_name(name): shape for name, shape in vae.items()}
    blocks = [
        f"encoder.down_blocks.{at}"
        for at in range(count_of(shapes, r"encoder\.down_blocks\.(\d+)\."))
    ]
    width, channels = shapes["decoder.proj_in.weight"]
    colors = shapes["decoder.proj_out.weight"][0] // (TEMPORAL * SPATIAL**2)
    # The published strides. A convolution that halves shows that it does, but not along which axes.
    spatial = [2, 2, 2, 2, 1, 1][: len(blocks)]
    temporal = [1, 2, 2, 1, 1, 1][: len(blocks)]
    halves = [f"{block}.downsamplers.0.conv.weight" in shapes for block in blocks]
    check_downscale(2 ** sum(halves), SPATIAL)
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": colors,
        "latent_channels": channels,
        "block_out_channels": tuple(
            shapes[f"{block}.resnets.0.conv1.weight"][0] for block in blocks
        ),
        "layers_per_block": count_of(shapes, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "spatial_downsample_factors": tuple(spatial),
        "temporal_downsample_factors": tuple(temporal),
        "decoder_num_layers": count_of(shapes, r"decoder\.transformer_blocks\.(\d+)\."),
        "decoder_num_attention_heads": width // _HEAD,
        "decoder_attention_head_dim": _HEAD,
        "decoder_num_register_tokens": shapes["decoder.register_tokens"][1],
        "decoder_ffn_mult": shapes["decoder.transformer_blocks.0.ff.net.2.weight"][1] // width,
        "latents_mean": VIDEO_MEAN,
        "latents_std": VIDEO_DEVIATION,
    }


VIDEO_VAE = FileLayout(
    "minimax-h3-vae",
    "the VAE of MiniMax H3",
    "AutoencoderKLMiniMaxH3",
    lambda vae: has_marks(vae, _MARKS),
    _video_config,
    _convert_video,
    PREFIXES,
)

# The VAE of sound

_SOUND_MARKS = (("dec_in_proj.weight", "logs_proj.weight", "pre_block.attn.zero_k_bias"),)
_FIRST, _LAST = "encoder.block.0", "decoder.conv_pre"


def _sound_config(vae: Shapes) -> dict[str, Any]:
    shapes = {re.sub(r"\.weight_v$", ".weight", name): shape for name, shape in vae.items()}
    stages = count_of(shapes, r"decoder\.ups\.(\d+)\.")
    kernels = [shapes[f"decoder.ups.{at}.0.weight"][2] for at in range(stages)]
    strides = [
        shapes[name][2] // 2
        for at in range(1, count_of(shapes, r"encoder\.block\.(\d+)\."))
        if (name := f"encoder.block.{at}.block.4.weight") in shapes
    ]
    blocks = count_of(shapes, r"decoder\.resblocks\.(\d+)\.") // stages
    sizes = [shapes[f"decoder.resblocks.{at}.convs1.0.weight"][2] for at in range(blocks)]
    layers = count_of(shapes, r"decoder\.resblocks\.0\.convs1\.(\d+)\.")
    return {
        "encoder_dim": shapes[f"{_FIRST}.weight"][0],
        "encoder_rates": tuple(strides),
        "latent_dim": shapes["dec_in_proj.weight"][0],
        "latent_channels": shapes["dec_in_proj.weight"][1],
        "decoder_dim": shapes[f"{_LAST}.weight"][0],
        # A kernel is twice as long as its stride, or one less where the stride is odd.
        "decoder_rates": tuple((size + 1) // 2 for size in kernels),
        "decoder_kernel_sizes": tuple(kernels),
        "resblock_kernel_sizes": tuple(sizes),
        "resblock_dilation_sizes": ((1, 3, 5)[:layers],) * blocks,
        "latents_mean": SOUND_MEAN,
        "latents_std": SOUND_DEVIATION,
    }


def _convert_sound(tensors: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The tensors with the length of each direction, where the file has weights as they are."""
    converted: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        is_convolution = tensor.ndim == 3 and name.startswith(("encoder.", "decoder."))
        if name in _STATISTICS:
            continue
        if not (is_convolution and name.endswith(".weight")):
            converted[name] = tensor
            continue
        converted[f"{name}_g"], converted[f"{name}_v"] = _lengths(tensor), tensor
    return converted


def _lengths(weight: Tensor) -> Tensor:
    """The length of each row, as torch itself computes it; others differ in the last bit."""
    if weight.is_meta:  # where only sizes are asked for
        return weight.new_empty(len(weight), 1, 1)
    whole = weight.detach().to(torch.float32).contiguous()
    ones = torch.ones(len(whole), 1, 1, device=whole.device)
    return torch._weight_norm_interface(whole, ones)[1].to(weight.dtype)


SOUND_VAE = FileLayout(
    "minimax-h3-sound-vae",
    "the VAE for sound of MiniMax H3",
    "AutoencoderKLMiniMaxH3Audio",
    lambda vae: has_marks(vae, _SOUND_MARKS),
    _sound_config,
    _convert_sound,
    ("audio_vae.", *PREFIXES),
)
