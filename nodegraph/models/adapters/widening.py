"""First layers that adapters make wider, so that a model sees a picture beside the noise.

The control LoRAs of Flux.1, Canny and Depth, take twice the channels that the model takes: what is
new begins at zero. The adapters of a model that is as wide already may be for one that isn't; they
change what is common.

Source: https://github.com/black-forest-labs/flux, as diffusers' `FluxLoraLoaderMixin` loads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from nodegraph.models.adapters.parts import LayerParts, Shape
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import nn

_FIRST_LAYERS: Mapping[str, str] = {"FluxTransformer2DModel": "x_embedder"}
"""By the module's class."""


def fits_width(kind: str, path: str, part: LayerParts, shape: Shape) -> bool:
    """Whether a change is for a layer that has half its columns, or twice as many.

    Args:
        kind: The module's class.
        path, shape: Of the layer.
    """
    if path != _FIRST_LAYERS.get(kind) or not part.is_plain_lora or part.size is None:
        return False
    own, columns = prod(shape[1:]), part.size[1]
    return columns in (2 * own, own / 2)


def widen(module: Any, path: str, columns: int) -> None:
    """Have a linear layer take more inputs, which count for nothing at first.

    Args:
        module: Of diffusers, with the layer as its first; its configuration says what it takes.
        columns: Inputs that the layer is to take.
    """
    layer = module.get_submodule(path)
    made = _wide(layer, columns)
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, made)
    module.register_to_config(in_channels=columns, out_channels=module.out_channels)


def _wide(layer: Any, columns: int) -> nn.Linear:
    own = layer.weight
    made = torch.nn.Linear(columns, len(own), bias=layer.bias is not None, device="meta")
    weight = torch.nn.functional.pad(own, (0, columns - own.shape[1]))
    made.weight = torch.nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        made.bias = layer.bias
    return made.eval()
