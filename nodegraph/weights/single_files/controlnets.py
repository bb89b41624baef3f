"""ControlNets and T2I adapters in files, of UNets and transformers. No torch.

Tensors have the names of the original training code (https://github.com/lllyasviel/ControlNet) or
those of diffusers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of, has_marks
from nodegraph.weights.single_files.unet import (
    HEAD_WIDTH,
    NORM_GROUPS,
    added_embedding_config,
    levels,
)

if TYPE_CHECKING:
    from torch import Tensor

_TRANSFORMER_PREFIXES = ("controlnet.", "")
_OUT = "controlnet_blocks.0.weight"


def _as_it_is(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return dict(tensors)


def transformer_controlnet_layout(
    name: str,
    title: str,
    class_name: str,
    marks: tuple[str, ...],
    config: Callable[[Shapes], dict[str, Any]],
) -> FileLayout:
    """How the ControlNet of a transformer lies in a file, by diffusers' names.

    Args:
        name: Of the family.
        title, class_name, config: As of `FileLayout`.
        marks: Tensors that tell it from those of other transformers.
    """
    return FileLayout(
        f"{name}-controlnet",
        f"a ControlNet for {title}",
        class_name,
        lambda net: has_marks(net, ((_OUT, *marks),)),
        config,
        _as_it_is,
        _TRANSFORMER_PREFIXES,
        marks=((_OUT, *marks),),
    )


PREFIXES = ("control_model.", "")
_ORIGINAL = "input_hint_block.0.weight"
_OURS = "controlnet_cond_embedding.conv_in.weight"
_TASKS = "task_embedding"
_MARKS = ((_ORIGINAL,), (_OURS, "down_blocks.0.resnets.0.conv1.weight"))
"""Of unions: a row for each kind of images."""
_UNION_HEADS = 8

Matches = Callable[[Shapes], bool]


def is_second_version(net: Shapes) -> bool:
    """Whether attention is entered by linear layers, as beside Stable Diffusion 2.x and XL."""
    return any(len(shape) == 2 for name, shape in net.items() if name.endswith("proj_in.weight"))


def controlnet_layout(
    name: str, title: str, *, width: int, matches: Matches, heads: int | None = None
) -> FileLayout:
    """How a ControlNet lies in a file.

    Args:
        width: Of the prompts' embeddings, for networks that read none.
        matches: What tells it from those beside other UNets.
        heads: As of `unet_layout`.
    """
    return FileLayout(
        f"{name}-controlnet",
        f"a ControlNet for {title}",
        "ControlNetModel",
        lambda net: has_marks(net, _MARKS) and _TASKS not in net and matches(net),
        partial(_config, width=width, heads=heads),
        _convert,
        PREFIXES,
        marks=_MARKS,
    )


def union_layout(name: str, title: str, *, width: int, matches: Matches) -> FileLayout:
    """How a union of ControlNets lies in a file."""
    return FileLayout(
        f"{name}-controlnet-union",
        f"a ControlNet union for {title}",
        "ControlNetUnionModel",
        lambda net: has_marks(net, _MARKS) and _TASKS in net and matches(net),
        partial(_union_config, width=width),
        _convert,
        PREFIXES,
        marks=_MARKS,
    )


def _config(net: Shapes, width: int, heads: int | None) -> dict[str, Any]:
    channels, depths, layers = levels(net)
    read = (shape[1] for name, shape in net.items() if name.endswith("attn2.to_k.weight"))
    middle = any(name.startswith(("mid_block.attentions.", "middle_block.1.")) for name in net)
    first = "conv_in.weight" if "conv_in.weight" in net else "input_blocks.0.0.weight"
    config = {
        "in_channels": net[first][1],
        "conditioning_channels": net[_ORIGINAL if _ORIGINAL in net else _OURS][1],
        "conditioning_embedding_out_channels": _embedding(net),
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": tuple(
            "CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths
        ),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": tuple(max(1, depth) for depth in depths),
        "cross_attention_dim": next(read, width),
        "attention_head_dim": heads or tuple(item // HEAD_WIDTH or 1 for item in channels),
        "use_linear_projection": is_second_version(net),
        "norm_num_groups": NORM_GROUPS,
    }
    return {**config, **added_embedding_config(net)}


def _embedding(net: Shapes) -> tuple[int, ...]:
    """Channels of the layers that look at the image."""
    if _OURS in net:
        steps = count_of(net, r"controlnet_cond_embedding\.blocks\.(\d+)\.") // 2
        names = [f"controlnet_cond_embedding.blocks.{2 * at + 1}.weight" for at in range(steps)]
        return (net[_OURS][0], *(net[name][0] for name in names))
    # The first looks at the pixels, the last is of the UNet's width, and every second is wider.
    convolutions = sorted(
        int(name.split(".")[1])
        for name in net
        if name.startswith("input_hint_block.") and name.endswith(".weight")
    )
    inner = convolutions[1:-1]
    return (
        net[_ORIGINAL][0],
        *(net[f"input_hint_block.{at}.weight"][0] for at in inner[1::2]),
    )


def _union_config(net: Shapes, width: int) -> dict[str, Any]:
    config = _config(net, width, None)
    del config["mid_block_type"]
    return {
        **config,
        "num_control_type": net[_TASKS][0],
        "num_trans_channel": net[_TASKS][1],
        "num_trans_head": _UNION_HEADS,
        "num_trans_layer": count_of(net, r"transformer_layes\.(\d+)\."),
        "num_proj_channel": net["spatial_ch_projs.weight"][0],
    }


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    if _ORIGINAL not in tensors:
        return dict(tensors)
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    made: Mapping[str, Tensor | None] = convert_controlnet_checkpoint(dict(tensors), config)
    converted = {name: item for name, item in made.items() if item is not None}
    known = {id(item) for item in converted.values()}
    return converted | {name: item for name, item in tensors.items() if id(item) not in known}


def adapter_layout(name: str, title: str, *, is_xl: bool) -> FileLayout:
    """How a T2I adapter lies in a file, with full blocks."""
    return FileLayout(
        f"{name}-t2i-adapter",
        f"a T2I adapter for {title}",
        "T2IAdapter",
        lambda net: has_marks(net, _ADAPTER_MARKS) and (_adapter_downscale(net) == 16) == is_xl,
        _adapter_config,
        _convert_adapter,
        marks=_ADAPTER_MARKS,
    )


_PIXELS = "conv_in.weight"
_ADAPTER_MARKS = tuple(
    (f"{first}{_PIXELS}", f"{then}{block}")
    for first in ("", "adapter.")
    for then in ("", "adapter.")
    for block in ("body.0.block1.weight", "body.0.resnets.0.block1.weight")
)
_BLOCKS_PER_LEVEL = 2


def _plain(net: Mapping[str, Any]) -> dict[str, Any]:
    """Without the name of the module that diffusers puts around."""
    return {name.removeprefix("adapter."): item for name, item in net.items()}


def _adapter_downscale(net: Shapes) -> int:
    """Pixels along a side of what the first layer sees at once: 16 beside SDXL."""
    pixel_channels = _plain(net)[_PIXELS][1]
    return 16 if pixel_channels % 256 == 0 and pixel_channels // 256 in (1, 3) else 8


def _adapter_config(net: Shapes) -> dict[str, Any]:
    shapes, scale = _adapter_named(_plain(net)), _adapter_downscale(net)
    count = count_of(shapes, r"body\.(\d+)\.")
    return {
        "in_channels": shapes[_PIXELS][1] // scale**2,
        "channels": [shapes[f"body.{at}.resnets.0.block1.weight"][0] for at in range(count)],
        "num_res_blocks": count_of(shapes, r"body\.0\.resnets\.(\d+)\."),
        "downscale_factor": scale,
        "adapter_type": "full_adapter_xl" if scale == 16 else "full_adapter",
    }


def _adapter_named(net: Mapping[str, Any]) -> dict[str, Any]:
    """By diffusers' names: the original code has blocks in one row, two for each level.

    Source: https://github.com/TencentARC/T2I-Adapter
    """
    if not any(name.startswith("body.0.block") for name in net):
        return dict(net)
    named = {}
    for name, item in net.items():
        begin, *parts = name.split(".")
        if begin == "body":
            level, block = divmod(int(parts[0]), _BLOCKS_PER_LEVEL)
            inner = [] if parts[1] == "in_conv" else ["resnets", str(block)]
            parts = [str(level), *inner, *parts[1:]]
        named[".".join([begin, *parts])] = item
    return named


def _convert_adapter(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return {f"adapter.{name}": item for name, item in _adapter_named(_plain(tensors)).items()}
