"""Autoencoders of diffusers as the models' makers lay them in files.

Written from the makers' code, independently of what reads them: places in lists are counted here
from the configuration, there from the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def renamed(tensors: Tensors, rename: Callable[[str], str]) -> Tensors:
    return {rename(name): item for name, item in tensors.items()}


def replaced(name: str, pairs: dict[str, str]) -> str:
    for old, new in pairs.items():
        name = name.replace(old, new)
    return name


_WAN = {
    "post_quant_conv.": "conv2.",
    "quant_conv.": "conv1.",
    "coder.conv_in.": "coder.conv1.",
    "norm_out.": "head.0.",
    "conv_out.": "head.2.",
    "mid_block.resnets.0.": "middle.0.",
    "mid_block.attentions.0.": "middle.1.",
    "mid_block.resnets.1.": "middle.2.",
    ".norm1.": ".residual.0.",
    ".norm2.": ".residual.3.",
    ".conv2.": ".residual.6.",
    ".conv_shortcut.": ".shortcut.",
}


def wan(vae: Any) -> Tensors:
    """https://github.com/Wan-Video/Wan2.1, ``wan/modules/vae.py``."""
    layers = vae.config.num_res_blocks

    def rename(name: str) -> str:
        name = re.sub(r"^encoder\.down_blocks\.", "encoder.downsamples.", name)
        name = re.sub(
            r"^decoder\.up_blocks\.(\d+)\.(?:resnets\.(\d+)|upsamplers\.0)\.",
            lambda m: f"decoder.upsamples.{int(m[1]) * (layers + 2) + int(m[2] or layers + 1)}.",
            name,
        )
        return _wan_layers(name)

    return renamed(vae.state_dict(), rename)


def wan22(vae: Any) -> Tensors:
    """https://github.com/Wan-Video/Wan2.2, ``wan/modules/vae2_2.py``."""
    layers = vae.config.num_res_blocks

    def rename(name: str) -> str:
        for half, side, last in (("encoder", "down", layers), ("decoder", "up", layers + 1)):
            name = re.sub(
                rf"^{half}\.{side}_blocks\.(\d+)\.(?:resnets\.(\d+)|{side}sampler)\.",
                lambda m, half=half, side=side, last=last: (  # type: ignore[misc]
                    f"{half}.{side}samples.{m[1]}.{side}samples.{m[2] or last}."
                ),
                name,
            )
        return _wan_layers(name)

    return renamed(vae.state_dict(), rename)


def _wan_layers(name: str) -> str:
    # The first convolution of a residual block, before others come by its name.
    name = re.sub(r"(samples\.\d+|resnets\.\d)\.conv1\.", r"\1.residual.2.", name)
    return replaced(name, _WAN)


def hunyuan_image(vae: Any) -> Tensors:
    """https://github.com/Tencent-Hunyuan/HunyuanImage-2.1, ``hyimage/models/vae``."""
    layers = vae.config.layers_per_block
    mid = {
        "mid_block.resnets.0.": "mid.block_1.",
        "mid_block.resnets.1.": "mid.block_2.",
        "mid_block.attentions.0.to_": "mid.attn_1.",
        "mid_block.attentions.0.proj.": "mid.attn_1.proj_out.",
        "mid_block.attentions.0.": "mid.attn_1.",
    }

    def place(match: re.Match[str]) -> str:
        half, side, count = match[1], match[2], layers + (match[2] == "up")
        level, layer = divmod(int(match[3]), count + 1)
        kind = f"block.{layer}" if layer < count else f"{side}sample"
        return f"{half}.{side}.{level}.{kind}."

    def rename(name: str) -> str:
        return replaced(re.sub(r"^(..coder)\.(down|up)_blocks\.(\d+)\.", place, name), mid)

    found = renamed(vae.state_dict(), rename)
    # As for videos of a single frame.
    return {name: item.unsqueeze(2) if item.ndim == 4 else item for name, item in found.items()}


def hunyuan_video_15(vae: Any) -> Tensors:
    """diffusers' ``scripts/convert_hunyuan_video1_5_to_diffusers.py``, backwards."""
    names = {
        "encoder.down_blocks.": "encoder.down.",
        "decoder.up_blocks.": "decoder.up.",
        "mid_block.resnets.0.": "mid.block_1.",
        "mid_block.resnets.1.": "mid.block_2.",
        "mid_block.attentions.0.to_": "mid.attn_1.",
        "mid_block.attentions.0.": "mid.attn_1.",
        ".resnets.": ".block.",
        ".downsamplers.0.": ".downsample.",
        ".upsamplers.0.": ".upsample.",
    }
    return renamed(vae.state_dict(), lambda name: replaced(name, names))


_DC = {
    "encoder.conv_in.": "encoder.project_in.conv.",
    "encoder.conv_out.": "encoder.project_out.main.op_list.0.conv.",
    "decoder.conv_in.": "decoder.project_in.main.conv.",
    "decoder.norm_out.": "decoder.project_out.op_list.0.",
    "decoder.conv_out.": "decoder.project_out.op_list.2.conv.",
}
_DC_LAYERS = {
    "attn.to_qkv_multiscale.0.proj_in.": "context_module.main.aggreg.0.0.",
    "attn.to_qkv_multiscale.0.proj_out.": "context_module.main.aggreg.0.1.",
    "attn.to_out.": "context_module.main.proj.conv.",
    "attn.norm_out.": "context_module.main.proj.norm.",
    "conv_out.conv_inverted.": "local_module.main.inverted_conv.conv.",
    "conv_out.conv_depth.": "local_module.main.depth_conv.conv.",
    "conv_out.conv_point.": "local_module.main.point_conv.conv.",
    "conv_out.norm.": "local_module.main.point_conv.norm.",
    "conv1.": "main.conv1.conv.",
    "conv2.": "main.conv2.conv.",
    "norm.": "main.conv2.norm.",
}


def sana(vae: Any) -> Tensors:
    """https://github.com/mit-han-lab/efficientvit, ``models/efficientvit/dc_ae.py``."""
    tensors = vae.state_dict()
    for name in [name for name in tensors if name.endswith("attn.to_q.weight")]:
        stem = name.removesuffix("to_q.weight")
        parts = [tensors.pop(f"{stem}to_{part}.weight") for part in "qkv"]
        tensors[f"{stem}qkv.weight"] = torch.cat(parts)
    found = {}
    for name, item in tensors.items():
        block = re.fullmatch(r"(..coder)\.(?:down|up)_blocks\.(\d+)\.(\d+)\.(.+)", name)
        if block is None:
            found[replaced(name, _DC)] = item
            continue
        half, level, place, rest = block.groups()
        layer = _dc_layer(half, rest)
        wide = layer.endswith((".qkv.conv.weight", ".proj.conv.weight"))
        found[f"{half}.stages.{level}.op_list.{place}.{layer}"] = (
            item[:, :, None, None] if wide else item
        )
    return found


def _dc_layer(half: str, rest: str) -> str:
    if rest.startswith("conv."):
        return f"main.{rest}" if half == "encoder" else f"main.conv.{rest}"
    if rest.startswith("attn.qkv."):
        return rest.replace("attn.qkv.", "context_module.main.qkv.conv.")
    old = next(old for old in _DC_LAYERS if rest.startswith(old))
    return rest.replace(old, _DC_LAYERS[old], 1)


_LTX_ENCODER = {
    "down_blocks.0.resnets": "down_blocks.0.res_blocks",
    "down_blocks.0.downsamplers.0": "down_blocks.1",
    "down_blocks.0.conv_out": "down_blocks.2",
    "down_blocks.1.resnets": "down_blocks.3.res_blocks",
    "down_blocks.1.downsamplers.0": "down_blocks.4",
    "down_blocks.1.conv_out": "down_blocks.5",
    "down_blocks.2.resnets": "down_blocks.6.res_blocks",
    "down_blocks.2.downsamplers.0": "down_blocks.7",
    "down_blocks.3.resnets": "down_blocks.8.res_blocks",
    "mid_block": "down_blocks.9",
}
_LTX_095_ENCODER = {
    **{f"down_blocks.{at}.resnets": f"down_blocks.{2 * at}.res_blocks" for at in range(4)},
    **{f"down_blocks.{at}.downsamplers.0": f"down_blocks.{2 * at + 1}" for at in range(4)},
    "mid_block": "down_blocks.8",
}
_LTX_DECODER = {
    "mid_block": "up_blocks.0",
    "up_blocks.0.resnets": "up_blocks.1.res_blocks",
    "up_blocks.1.upsamplers.0": "up_blocks.2",
    "up_blocks.1.resnets": "up_blocks.3.res_blocks",
    "up_blocks.2.conv_in": "up_blocks.4",
    "up_blocks.2.upsamplers.0": "up_blocks.5",
    "up_blocks.2.resnets": "up_blocks.6.res_blocks",
    "up_blocks.3.conv_in": "up_blocks.7",
    "up_blocks.3.upsamplers.0": "up_blocks.8",
    "up_blocks.3.resnets": "up_blocks.9.res_blocks",
}
_LTX_TIMED_DECODER = {
    "mid_block": "up_blocks.0",
    **{f"up_blocks.{at}.upsamplers.0": f"up_blocks.{2 * at + 1}" for at in range(3)},
    **{f"up_blocks.{at}.resnets": f"up_blocks.{2 * at + 2}.res_blocks" for at in range(3)},
    **{f"up_blocks.{at}.time_embedder": f"up_blocks.{2 * at + 2}.time_embedder" for at in range(3)},
    "time_embedder": "last_time_embedder",
    "scale_shift_table": "last_scale_shift_table",
}


def ltx(vae: Any) -> Tensors:
    """https://github.com/Lightricks/LTX-Video, ``ltx_video/models/autoencoders``."""
    timed, late = vae.config.timestep_conditioning, "095" in vae.config.down_block_types[0]
    halves = {
        "encoder": _LTX_095_ENCODER if late else _LTX_ENCODER,
        "decoder": _LTX_TIMED_DECODER if timed else _LTX_DECODER,
    }

    def rename(name: str) -> str:
        half, _, rest = name.partition(".")
        old = next((old for old in halves.get(half, {}) if rest.startswith(f"{old}")), None)
        if old is not None:
            rest = f"{halves[half][old]}{rest.removeprefix(old)}"
        rest = re.sub(r"\.norm3\.", ".norm3.norm.", rest).replace(".resnets.", ".res_blocks.")
        return f"{half}.{rest.replace('conv_shortcut.conv.', 'conv_shortcut.')}"

    tensors = vae.state_dict()
    mean, deviation = tensors.pop("latents_mean"), tensors.pop("latents_std")
    return renamed(tensors, rename) | {
        "per_channel_statistics.channel": torch.arange(len(mean)),
        "per_channel_statistics.mean-of-means": mean,
        "per_channel_statistics.mean-of-stds": deviation + 1,
        "per_channel_statistics.std-of-means": deviation,
        "per_channel_statistics.mean-of-stds_over_std-of-means": deviation + 2,
    }


_MOCHI = {
    r"resnets\.(\d+)\.norm1\.norm_layer": "stack.0",
    r"resnets\.(\d+)\.conv1\.conv": "stack.2",
    r"resnets\.(\d+)\.norm2\.norm_layer": "stack.3",
    r"resnets\.(\d+)\.conv2\.conv": "stack.5",
    r"norms\.(\d+)\.norm_layer": "attn_block.norm",
    r"attentions\.(\d+)\.qkv": "attn_block.attn.qkv",
    r"attentions\.(\d+)\.to_out\.0": "attn_block.attn.out",
}


def mochi(vae: Any) -> Tensors:
    """diffusers' ``scripts/convert_mochi_to_diffusers.py``, backwards."""
    tensors = vae.state_dict()
    for name in [name for name in tensors if name.endswith(".to_q.weight")]:
        parts = [tensors.pop(name.replace("to_q", part)) for part in ("to_q", "to_k", "to_v")]
        tensors[name.replace("to_q", "qkv")] = torch.cat(parts)
    before, downs = vae.config.layers_per_block[0], len(vae.config.spatial_expansions)
    plain = {
        "encoder.proj_in": "encoder.layers.0",
        "encoder.norm_out.norm_layer": "encoder.output_norm",
        "encoder.proj_out": "encoder.output_proj",
        "decoder.conv_in": "decoder.blocks.0.0",
        "decoder.proj_out": "decoder.output_proj",
        **{
            f"encoder.down_blocks.{at}.conv_in.conv": f"encoder.layers.{1 + before + at}.layers.0"
            for at in range(downs)
        },
        **{f"decoder.up_blocks.{at}.proj": f"decoder.blocks.{1 + at}.proj" for at in range(downs)},
    }

    def rename(name: str) -> str:
        layer, _, end = name.rpartition(".")
        if layer in plain:
            return f"{plain[layer]}.{end}"
        half, block, *inner = layer.split(".")
        number = int(inner.pop(0)) if inner[0].isdecimal() else 0
        found = [(re.fullmatch(pattern, ".".join(inner)), new) for pattern, new in _MOCHI.items()]
        index, new = next((int(match[1]), new) for match, new in found if match)
        position = {
            "encoder.block_in": f"layers.{1 + index}",
            "encoder.down_blocks": f"layers.{1 + before + number}.layers.{1 + index}",
            "encoder.block_out": f"layers.{1 + before + downs + index}",
            "decoder.block_in": f"blocks.0.{1 + index}",
            "decoder.up_blocks": f"blocks.{1 + number}.blocks.{index}",
            "decoder.block_out": f"blocks.{1 + downs}.{index}",
        }[f"{half}.{block}"]
        return f"{half}.{position}.{new}.{end}"

    return renamed(tensors, rename)


_MINIMAX_H3 = {
    r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)\.conv_shortcut": r"encoder.down.\1.block.\2."
    "nin_shortcut",
    r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)": r"encoder.down.\1.block.\2",
    r"encoder\.down_blocks\.(\d+)\.downsamplers\.0": r"encoder.down.\1.downsample",
    r"decoder\.proj_in": "decoder.x_embedder",
    r"(decoder\.transformer_blocks\.\d+)\.attn\.to_out\.0": r"\1.attn.to_out",
    r"(decoder\.transformer_blocks\.\d+)\.ff\.net\.0\.proj": r"\1.ff.w1",
    r"(decoder\.transformer_blocks\.\d+)\.ff\.net\.2": r"\1.ff.w2",
}


def minimax_h3(vae: Any) -> Tensors:
    """ComfyUI's file: queries, keys and values of each head are one, and the gate comes first."""
    tensors = dict(vae.state_dict())
    heads = vae.config.decoder_num_attention_heads
    for name in [name for name in tensors if ".attn.to_q." in name]:
        parts = [tensors.pop(name.replace("to_q", part)) for part in ("to_q", "to_k", "to_v")]
        by_head = torch.stack([part.unflatten(0, (heads, -1)) for part in parts], 1)
        tensors[name.replace("to_q", "to_qkv")] = by_head.flatten(0, 2)
    for name in [name for name in tensors if ".ff.net.0.proj." in name]:
        tensors[name] = torch.cat(tensors[name].chunk(2)[::-1])

    def rename(name: str) -> str:
        for pattern, new in _MINIMAX_H3.items():
            if re.match(rf"{pattern}\.", name):
                return re.sub(f"^{pattern}", new, name)
        return name

    width = tensors["decoder.proj_in.weight"].shape[0]
    statistics = {name: torch.tensor(vae.config[name]) for name in ("latents_mean", "latents_std")}
    unused = {"decoder.mask_token": torch.zeros(1, 1, width)}
    return {**renamed(tensors, rename), **statistics, **unused}


def taesd(vae: Any) -> tuple[Tensors, Tensors]:
    """https://github.com/madebyollin/taesd: the encoder, and the decoder, which clamps first."""
    encoder, decoder = {}, {}
    for name, item in vae.state_dict().items():
        half, _, place, rest = name.split(".", 3)
        if half == "encoder":
            encoder[f"{place}.{rest}"] = item
        else:
            decoder[f"{int(place) + 1}.{rest}"] = item
    return encoder, decoder
