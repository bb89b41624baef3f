"""Components whose weights stay in their file's precision and are widened where they are used.

Half precision widens to float32 exactly, so the results are those of widened weights, bit for bit.
They take half the memory, and some time more at each use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from threading import local

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import Recipe, VisionNetwork
from nodegraph.errors import InvalidFile
from nodegraph.families.checkpoint_parts import recipe_parts
from nodegraph.families.components import Component
from nodegraph.families.helper_recipes import LatentClassifier, UpscaleModel
from nodegraph.models.loading import load_component, stored_tensors
from nodegraph.models.opening import checking_digests
from nodegraph.models.preview_files import PreviewDecoder
from nodegraph.weights.precision.choices import recipe_storage
from nodegraph.weights.precision.layers import set_compute_device
from nodegraph.weights.weight_files import PRECISIONS

_WIDENED = frozenset(
    (
        "UNet2DConditionModel",
        "AutoencoderKL",
        "AutoencoderTiny",
        "CLIPTextModel",
        "CLIPTextModelWithProjection",
    )
)
"""Classes that can be held so."""

_HALVES = {"F16": "float16", "BF16": "bfloat16"}
"""As the safetensors format names them."""


def load_compact(recipe: Recipe) -> Component:
    """As `load_component` on the CPU, with the weights in the precision of the recipe's files.

    Raises:
        InvalidFile: `compact_bytes` gives None for it, or as for `load_component`.
    """
    with checking_digests(recipe):
        half = _half_precision(recipe)
        if half is None:
            raise InvalidFile(f"{recipe.source} isn't stored in half precision throughout.")
        component = load_component(replace(recipe, dtype=half), "cpu")
    for module in component.modules.values():
        _upcast_on_use(module)
    return component


def compact_bytes(recipe: Recipe) -> int | None:
    """Bytes that a recipe's component takes if its weights stay as its files hold them.

    Returns:
        None where that makes no difference, or isn't possible without one in the results.
    Raises:
        InvalidFile: A file is missing or damaged.
    """
    half = _half_precision(recipe)
    if half is None:
        return None
    narrow, wide = PRECISIONS[half].itemsize, PRECISIONS[recipe.dtype].itemsize
    shapes = (shape for _, shape, _ in stored_tensors(recipe))
    return sum(math.prod(shape) * (narrow if _is_large(shape) else wide) for shape in shapes)


def _half_precision(recipe: Recipe) -> str | None:
    """The half precision of all of a recipe's files, if it is to be computed in float32."""
    if recipe.dtype != "float32" or recipe_storage(recipe) or not _is_known(recipe):
        return None
    kinds = {
        kind for _, _, kind in stored_tensors(recipe) if not kind.startswith(("I", "U", "BOOL"))
    }
    return _HALVES.get(kinds.pop()) if len(kinds) == 1 else None


def _is_known(recipe: Recipe) -> bool:
    """Whether all of its modules are of classes whose layers do nothing else with their weights.

    Others, such as T5's, compute in the precision that a weight says.
    """
    if isinstance(recipe, (PreviewDecoder, UpscaleModel, LatentClassifier, VisionNetwork)):
        return False
    return all(_WIDENED.issuperset(part.classes) for part in recipe_parts(recipe))


def _is_large(shape: Sequence[int]) -> bool:
    """Whether a tensor is worth to be kept narrow: biases and norms are a thousandth of all."""
    return len(shape) > 1


class _Linear(nn.Linear):
    """Widens its weights while it computes."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, _upcast(self.weight, input.dtype), self.bias)


class _Conv2d(nn.Conv2d):
    """Widens its weights while it computes."""

    def forward(self, input: Tensor) -> Tensor:
        weight = _upcast(self.weight, input.dtype)
        output: Tensor = self._conv_forward(input, weight, self.bias)
        return output


class _Embedding(nn.Embedding):
    """Widens what it picks."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).to(torch.float32)


_NARROW: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: _Linear,
    nn.Conv2d: _Conv2d,
    nn.Embedding: _Embedding,
}


def _upcast_on_use(module: nn.Module) -> None:
    """Let a module in half precision compute in float32, with the large weights as they are."""
    for layer in list(module.modules()):
        narrow = _NARROW.get(type(layer))
        layer.__class__ = narrow or type(layer)
        for name, tensor in [*layer.named_parameters(recurse=False)]:
            if narrow is None or not _is_large(tensor.shape):
                setattr(layer, name, nn.Parameter(tensor.float(), requires_grad=False))
        for name, buffer in [*layer.named_buffers(recurse=False)]:
            if buffer.is_floating_point():
                setattr(layer, name, buffer.float())
    set_compute_device(module, "cpu", torch.float32)


_SCRATCH = local()
"""For each thread the memory of the layer that is at work: new memory for each layer would cost
several times what widening costs. It is as large as the largest layer was."""


def _upcast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight for one layer's computation, until the next one is asked for in this thread."""
    if torch.is_grad_enabled():
        # It is kept for the way back.
        return weight.to(dtype)
    scratch: Tensor | None = getattr(_SCRATCH, "memory", None)
    if scratch is None or scratch.dtype != dtype or len(scratch) < weight.numel():
        _SCRATCH.memory = None
        with torch.inference_mode(False):
            _SCRATCH.memory = scratch = torch.empty(weight.numel(), dtype=dtype, device="cpu")
    return scratch[: weight.numel()].view(weight.shape).copy_(weight)
