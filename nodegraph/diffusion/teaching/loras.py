"""LoRAs that are taught: peft's layers over a network's own, and their file in diffusers' naming.

Source: Hu et al. 2021, arXiv:2106.09685.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.diffusion.adapters.layers import structural_copy
from nodegraph.diffusion.teaching.drawing import generator_of
from nodegraph.diffusion.teaching.options import TaughtLayers
from nodegraph.errors import InvalidValue

_NAME = "default"
"""Of the adapter, as peft calls it."""
_DOWN, _UP = f"lora_A.{_NAME}.weight", f"lora_B.{_NAME}.weight"
_ATTENTION = re.compile(r"(^|\.)(\w*attn\w*|attention|to_[qkv]|[qkv]_proj)(\.|$)")
_FORWARD = re.compile(
    r"\b(ff|ffn|ff_context|mlp|feed_forward|net|fc1|fc2|proj_mlp|proj_out|proj_in)\b"
)
_BLOCK = re.compile(r"block|layer")


def lora_targets(module: nn.Module, layers: TaughtLayers) -> list[str]:
    """Paths of the layers that a LoRA is put on.

    Args:
        layers: ``attention`` takes the projections of attention; the next the layers between, too;
            ``all`` every linear layer and convolution inside the blocks.
    """
    found = []
    for path, layer in module.named_modules():
        if not isinstance(layer, (nn.Linear, nn.Conv2d)) or not _BLOCK.search(path):
            continue
        is_attention = bool(_ATTENTION.search(path))
        is_between = bool(_FORWARD.search(path))
        is_linear = isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1)
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            continue
        if layers == "all" or (
            is_linear and (is_attention or (is_between and layers != "attention"))
        ):
            found.append(path)
    return found


def with_lora(
    module: Any, *, rank: int, alpha: float, layers: TaughtLayers, seed: int, dropout: float = 0.0
) -> Any:
    """A network with a LoRA that changes nothing yet; the given one stays as it is, and shares its
    weights.

    Only the LoRA's weights ask for gradients; they are float32. The narrow layers begin as peft
    begins them, by a generator of their own.

    Args:
        module: Of diffusers or transformers.
    Raises:
        InvalidValue: peft isn't installed, or there are no such layers.
    """
    targets = lora_targets(module, layers)
    if not targets:
        raise InvalidValue(
            f"a {type(module).__name__} has no layers for a LoRA", port="layers", given=layers
        )
    twin = structural_copy(module)
    inject(twin, targets, rank=rank, alpha=alpha, dropout=dropout)
    with torch.no_grad():
        for number, (name, weight) in enumerate(sorted(lora_parameters(twin).items())):
            weight.data = weight.data.float()
            if name.endswith(_UP):
                weight.zero_()
            else:
                generator = generator_of(seed, "lora", number)
                drawn = torch.empty(weight.shape)
                nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
                weight.copy_(drawn)
    return twin


def inject(module: Any, targets: list[str], *, rank: int, alpha: float, dropout: float) -> None:
    """Put peft's layers over a module's own.

    Raises:
        InvalidValue: peft isn't installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InvalidValue(
            "LoRAs are taught by peft, which isn't installed",
            hint="Run `pip install 'nodegraph[teach]'`.",
        ) from error
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type] # it is only divided by the rank
        lora_dropout=dropout,
        # As one pattern, which is compared with whole paths; of a list ends would do.
        target_modules="|".join(map(re.escape, targets)),
    )
    inject_adapter_in_model(config, module, adapter_name=_NAME)


def lora_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a module's LoRA, by path."""
    return {name: item for name, item in module.named_parameters() if name.endswith((_DOWN, _UP))}


def lora_file(weights: Mapping[str, Tensor], role: str, scale: float) -> dict[str, Tensor]:
    """A LoRA's tensors as diffusers' `save_lora_weights` names them.

    What the product is multiplied by is multiplied in, as such files don't say it.

    Args:
        weights: By the paths of `lora_parameters`.
        role: Of the module, such as ``unet``.
        scale: alpha / rank.
    """
    found = {}
    for path, tensor in weights.items():
        name = path.replace(f".{_NAME}.weight", ".weight")
        scaled = tensor * scale if path.endswith(_UP) and scale != 1 else tensor
        found[f"{role}.{name}"] = scaled.contiguous()
    return found
