"""Wan's and Qwen-Image's video autoencoders: latent formats and file layouts. No torch.

Source: https://github.com/Wan-Video/Wan2.2 (``wan/modules/vae2_1.py``, ``vae2_2.py``): the names,
and mean and deviation of each channel. Those of Qwen-Image 2.1: the defaults of diffusers'
``AutoencoderKLQwenImage21``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families import latent_colours as colours
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of

if TYPE_CHECKING:
    from torch import Tensor

_LATENTS = "post_quant_conv.weight"
_ORIGINAL, _OF_DIFFUSERS = (
    "decoder.middle.0.residual.0.gamma",
    "decoder.mid_block.resnets.0.norm1.gamma",
)

# fmt: off
_MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)
_DEVIATION = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)
MEAN_22 = (
    -0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557,
    -0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825,
    -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
    -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230,
    -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748,
    0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667,
)
DEVIATION_22 = (
    0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013,
    0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978,
    0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
    0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093,
    0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
    0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744,
)
_MEAN_QWEN_21 = (
    0.5126, 0.7721, -0.0631, 1.3506, -0.7855, -2.1025, -0.3458, 1.3722,
    1.8873, -1.7177, -0.6510, 0.2732, 0.7562, -0.6163, -1.0277, 3.8363,
    2.0210, 0.0472, 0.9320, 2.0087, 2.4954, -0.1391, -1.4249, 1.8464,
    -0.5236, 1.2826, 3.7046, -1.3035, 2.7286, -1.4518, -1.9036, -1.9955,
    -0.0342, -1.0265, -0.7636, 3.0555, 0.0746, -3.0751, -0.1076, 1.7376,
    -1.0914, -1.9435, -0.2784, -1.3680, 0.4809, -0.4433, 0.3764, 0.5729,
    -2.0595, 1.0960, -1.3260, -2.0211, -5.0179, 0.5275, 4.0162, 1.8505,
    0.3026, 1.9373, 1.4937, 0.2632, 0.5547, -1.7121, -0.1562, 0.0304,
)
_DEVIATION_QWEN_21 = (
    3.2001, 3.2936, 3.4321, 3.0091, 3.1061, 4.0379, 4.0705, 3.7910,
    3.0785, 3.6500, 3.9308, 3.0904, 2.8778, 3.7675, 3.7320, 5.0756,
    3.2864, 4.0397, 3.1317, 4.0443, 2.9249, 3.9454, 3.0988, 4.2489,
    3.4896, 3.8513, 3.9323, 3.4719, 3.7498, 4.2830, 3.5694, 4.2467,
    3.9037, 3.2947, 5.0770, 3.5075, 3.2700, 3.4767, 2.8063, 5.1125,
    3.5327, 4.7833, 3.1286, 4.1819, 3.8527, 3.8312, 3.5605, 4.3875,
    3.9624, 4.0168, 3.5643, 4.0550, 5.5614, 4.2963, 4.4080, 3.4959,
    3.8747, 3.7608, 3.5735, 3.1490, 3.7662, 3.6746, 3.4563, 3.8161,
)
# fmt: on
LATENT_STATISTICS = {
    len(mean): (mean, std)
    for mean, std in (
        (_MEAN, _DEVIATION),
        (MEAN_22, DEVIATION_22),
        (_MEAN_QWEN_21, _DEVIATION_QWEN_21),
    )
}
"""Mean and standard deviation of each channel, by number of channels."""

_TEMPORAL = 4
_PIXELS = ((3,), (12,))
"""Channels of images, as they are or four pixels in one."""
_TRANSPARENT = (4,)
"""Channels of images with alpha."""

_PLACES = {
    "conv1.": "quant_conv.",
    "conv2.": "post_quant_conv.",
    **{
        f"{coder}.{old}.": f"{coder}.{new}."
        for coder in ("encoder", "decoder")
        for old, new in (
            ("conv1", "conv_in"),
            ("middle.0", "mid_block.resnets.0"),
            ("middle.1", "mid_block.attentions.0"),
            ("middle.2", "mid_block.resnets.1"),
            ("head.0", "norm_out"),
            ("head.2", "conv_out"),
        )
    },
}
"""What names begin with, and what it becomes."""

_LAYERS = {
    ".residual.0.": ".norm1.",
    ".residual.2.": ".conv1.",
    ".residual.3.": ".norm2.",
    ".residual.6.": ".conv2.",
    ".shortcut.": ".conv_shortcut.",
}
"""Of a residual block."""

_BLOCK = re.compile(r"(encoder\.down|decoder\.up)samples\.(\d+)\.(.+)")
_NESTED = re.compile(r"(down|up)samples\.(\d+)\.(.+)")


def _matches(
    channels: int, pixels: tuple[tuple[int, ...], ...] = _PIXELS
) -> Callable[[Shapes], bool]:
    """What tells an autoencoder by the channels of its latents and of its images."""

    def matches(vae: Shapes) -> bool:
        if _ORIGINAL not in vae and _OF_DIFFUSERS not in vae:
            return False
        named = {new: vae[old] for old, new in _names(vae).items()}
        taken = named.get("encoder.conv_in.weight", ())[1:2]
        out_channels = named.get("decoder.conv_out.weight", ())[:1]
        # Others make images that one can see through, or that are larger.
        return (
            named.get(_LATENTS, ())[:1] == (channels,) and taken == out_channels and taken in pixels
        )

    return matches


def _config(vae: Shapes) -> dict[str, Any]:
    """Of AutoencoderKLWan."""
    named = {new: vae[old] for old, new in _names(vae).items()}
    widths, layers, timed, is_residual = _levels(named)
    base, taken = named["encoder.conv_in.weight"][:2]
    out_channels, decoder_base = named["decoder.conv_out.weight"][:2]
    mean, deviation = LATENT_STATISTICS[named[_LATENTS][0]]
    # 2.2 takes the four pixels of a patch for channels.
    patch = 2 if is_residual else None
    check_downscale(2 ** len(timed), 8)
    check_downscale(2 ** sum(timed), _TEMPORAL)
    return {
        "base_dim": base,
        "decoder_base_dim": decoder_base * base // widths[0],
        "z_dim": len(mean),
        "dim_mult": [width // base for width in widths],
        "num_res_blocks": layers,
        "temperal_downsample": timed,
        "is_residual": is_residual,
        "in_channels": taken,
        "out_channels": out_channels,
        "patch_size": patch,
        "scale_factor_temporal": _TEMPORAL,
        "scale_factor_spatial": 8 * (patch or 1),
        "latents_mean": list(mean),
        "latents_std": list(deviation),
    }


_SHARED = ("base_dim", "z_dim", "dim_mult", "num_res_blocks", "temperal_downsample")


def _qwen_config(vae: Shapes) -> dict[str, Any]:
    """Of AutoencoderKLQwenImage."""
    config = _config(vae)
    kept = {name: config[name] for name in (*_SHARED, "latents_mean", "latents_std")}
    return {**kept, "input_channels": config["in_channels"]}


def _qwen_21_config(vae: Shapes) -> dict[str, Any]:
    """Of AutoencoderKLQwenImage21."""
    named = {new: vae[old] for old, new in _names(vae).items()}
    widths, layers, timed, is_residual = _levels(named)
    base, taken = named["encoder.conv_in.weight"][:2]
    out_channels, decoder_base = named["decoder.conv_out.weight"][:2]
    mean, deviation = LATENT_STATISTICS[named[_LATENTS][0]]
    check_downscale(2 ** len(timed), 16)
    return {
        "base_dim": base,
        "decoder_base_dim": decoder_base * base // widths[0],
        "z_dim": len(mean),
        "dim_mult": [width // base for width in widths],
        "num_res_blocks": layers,
        "temperal_downsample": timed,
        "is_residual": is_residual,
        "in_channels": taken,
        "out_channels": out_channels,
        "latents_mean": list(mean),
        "latents_std": list(deviation),
    }


def _levels(named: Shapes) -> tuple[list[int], int, list[bool], bool]:
    """Widths of the encoder's resolutions, residual blocks in each, whether each but the last
    halves the frames too, and whether resolutions are blocks of their own, as in 2.2."""
    block = "encoder.down_blocks.{}."
    count = count_of(named, r"encoder\.down_blocks\.(\d+)\.")
    if f"{block.format(0)}resnets.0.conv1.weight" in named:
        widths = [named[f"{block.format(at)}resnets.0.conv1.weight"][0] for at in range(count)]
        timed = [
            f"{block.format(at)}downsampler.time_conv.weight" in named for at in range(count - 1)
        ]
        return widths, count_of(named, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."), timed, True
    ends = [at for at in range(count) if f"{block.format(at)}resample.1.weight" in named]
    widths = [named[f"{block.format(at)}conv1.weight"][0] for at in (0, *(end + 1 for end in ends))]
    timed = [f"{block.format(at)}time_conv.weight" in named for at in ends]
    return widths, ends[0] if ends else count, timed, False


def _convert(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {new: tensors[old] for old, new in _names(tensors).items()}


def _names(names: Iterable[str]) -> dict[str, str]:
    """The names of diffusers, by the file's."""
    originals = list(names)
    if _ORIGINAL not in originals:
        return {name: name for name in originals}
    matches = (re.match(r"decoder\.upsamples\.(\d+)\.resample\.", name) for name in originals)
    ends = sorted({int(match[1]) for match in matches if match})
    return {name: _name(name, ends) for name in originals}


def _name(name: str, ends: list[int]) -> str:
    """A name as diffusers has it.

    Args:
        ends: Where 2.1's decoder doubles the size, which ends a block of diffusers.
    """
    for old, new in _PLACES.items():
        if name.startswith(old):
            name = f"{new}{name.removeprefix(old)}"
    block = _BLOCK.fullmatch(name)
    if block is not None:
        name = _of_block(block[1], int(block[2]), block[3], ends)
    for old, new in _LAYERS.items():
        name = name.replace(old, new)
    return name


def _of_block(side: str, block_index: int, suffix: str, ends: list[int]) -> str:
    nested = _NESTED.fullmatch(suffix)
    if nested is not None:
        is_layer = nested[3].startswith(("residual.", "shortcut."))
        layer = f"resnets.{nested[2]}" if is_layer else f"{nested[1]}sampler"
        return f"{side}_blocks.{block_index}.{layer}.{nested[3]}"
    if side == "encoder.down":
        return f"{side}_blocks.{block_index}.{suffix}"
    at = bisect_left(ends, block_index)
    begin = ends[at - 1] + 1 if at else 0
    layer = "upsamplers.0" if block_index in ends else f"resnets.{block_index - begin}"
    return f"{side}_blocks.{at}.{layer}.{suffix}"


def _layout(
    name: str,
    title: str,
    class_name: str,
    channels: int,
    config: Callable[[Shapes], dict[str, Any]] = _config,
) -> FileLayout:
    return FileLayout(name, title, class_name, _matches(channels), config, _convert, PREFIXES)


WAN_VAE = _layout("wan-vae", "the VAE of Wan 2.1", "AutoencoderKLWan", len(_MEAN))
WAN22_VAE = _layout("wan22-vae", "the VAE of Wan 2.2 5B", "AutoencoderKLWan", len(MEAN_22))
QWEN_IMAGE_VAE = _layout(
    "qwen-image-vae", "the VAE of Qwen-Image", "AutoencoderKLQwenImage", len(_MEAN), _qwen_config
)


QWEN_IMAGE_LAYERED_VAE = FileLayout(
    "qwen-image-layered-vae",
    "the VAE of Qwen-Image-Layered",
    "AutoencoderKLQwenImage",
    _matches(len(_MEAN), (_TRANSPARENT,)),
    _qwen_config,
    _convert,
    PREFIXES,
)
QWEN_IMAGE_21_VAE = FileLayout(
    "qwen-image-21-vae",
    "the VAE of Qwen-Image 2.1",
    "AutoencoderKLQwenImage21",
    _matches(len(_MEAN_QWEN_21), (_TRANSPARENT,)),
    _qwen_21_config,
    _convert,
    PREFIXES,
)


BY_DEVIATION = "latents_by_deviation"
"""Entry of an autoencoder's configuration, which some families set: whether latents are divided by
the deviation, in the precision of the model, not multiplied by one over it in float32."""


class WanFormat(LatentFormat):
    """Videos, or images, whose autoencoder says a mean and a deviation for each channel."""

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        # It takes four frames at a time, and keeps the last ones of each layer's input.
        width = config.get("decoder_base_dim") or config.get("base_dim") or 96
        return CodingMemory(18, 53).times(width / _patch(config))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return CodingMemory(10.5, 39).times((config.get("base_dim") or 96) / _patch(config))

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels).latent_dist.mode()
        if getattr(vae.config, BY_DEVIATION, False):
            mean, deviation = _means(vae, mode.dtype)
            divided: Tensor = (mode - mean) / deviation
            return divided
        mode = mode.float()
        mean, deviation = _means(vae, mode.dtype)
        scaled: Tensor = (mode - mean) * (1.0 / deviation)
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _means(vae, latents.dtype)
        if getattr(vae.config, BY_DEVIATION, False):
            multiplied: Tensor = vae.decode(latents * deviation + mean, return_dict=False)[0]
            return multiplied
        # Divided by one over it, not multiplied by it: so do the stock pipelines.
        inputs = latents / (1.0 / deviation) + mean
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        return int(config.get("z_dim") or self.channels)


def _patch(config: Mapping[str, Any]) -> int:
    """Pixels that go in together."""
    return int(config.get("patch_size") or 1) ** 2


class QwenImageFormat(WanFormat):
    """Images, by an autoencoder for videos: each is a video of one frame."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels.unsqueeze(2)).latent_dist.mode()
        mean, deviation = _means(vae, mode.dtype)
        # As editing pipelines encode what the model looks at; WanFormat's way rounds otherwise.
        scaled: Tensor = (mode - mean) / deviation
        return scaled.squeeze(2)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        return super().decode(vae, latents.unsqueeze(2)).squeeze(2)


class QwenImageLayeredFormat(QwenImageFormat):
    """Stacks of images with alpha: each frame is a layer that is encoded and decoded by itself."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        encode = super().encode
        return torch.stack([encode(vae, layer) for layer in pixels.unbind(2)], 2)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        decode = super().decode
        return torch.stack([decode(vae, layer) for layer in latents.unbind(2)], 2)

    def fits_config(self, config: Mapping[str, Any]) -> bool:
        return int(config.get("input_channels") or 3) == _TRANSPARENT[0]

    @property
    def frame_rule(self) -> str:
        return "1 or more"


class QwenImage21Format(QwenImageFormat):
    """Images with alpha, each as a video of one frame."""

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _means(vae, latents.dtype)
        # Multiplied, as its pipeline does: other formats divide.
        inputs = latents.unsqueeze(2) * deviation + mean
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels.squeeze(2)


def _means(vae: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel; (1, channels, 1, 1, 1)."""
    mean, deviation = (
        torch.tensor(vae.config[name], device=vae.device).view(1, -1, 1, 1, 1).to(dtype)
        for name in ("latents_mean", "latents_std")
    )
    return mean, deviation


_WAN_VAE = ("AutoencoderKLWan",)
WAN = WanFormat(
    "wan",
    16,
    temporal=4,
    autoencoders=_WAN_VAE,
    files=(WAN_VAE,),
    rgb=colours.WAN,
    rgb_bias=colours.WAN_BIAS,
)
"""Wan 2.1, and Wan 2.2 with two experts."""

WAN22 = WanFormat(
    "wan22",
    48,
    spatial=16,
    temporal=4,
    autoencoders=_WAN_VAE,
    files=(WAN22_VAE,),
    rgb=colours.WAN22,
    rgb_bias=colours.WAN22_BIAS,
)
"""Wan 2.2 5B."""

QWEN_IMAGE = QwenImageFormat(
    "qwen-image",
    16,
    autoencoders=("AutoencoderKLQwenImage",),
    files=(QWEN_IMAGE_VAE,),
    rgb=colours.WAN,
    rgb_bias=colours.WAN_BIAS,
)
"""Qwen-Image and Qwen-Image-Edit."""

QWEN_IMAGE_LAYERED = QwenImageLayeredFormat(
    "qwen-image-layered",
    16,
    temporal=1,
    autoencoders=("AutoencoderKLQwenImage",),
    files=(QWEN_IMAGE_LAYERED_VAE,),
    rgb=colours.WAN,
    rgb_bias=colours.WAN_BIAS,
    transparent=True,
    noise_by_frame=True,
)
"""Qwen-Image-Layered."""

QWEN_IMAGE_21 = QwenImage21Format(
    "qwen-image-21",
    64,
    spatial=16,
    autoencoders=("AutoencoderKLQwenImage21",),
    files=(QWEN_IMAGE_21_VAE,),
    transparent=True,
)
"""Qwen-Image 2.1."""
