"""Layer changes of LoRA, LoHa, LoKr and DoRA, and modules that compute with them.

A change has few numbers and is computed in each call, so the layer's own weight stays unchanged and
can be shared.

Sources: LoRA, Hu et al. 2021, arXiv:2106.09685; LoHa, Hyeon-Woo et al. 2022, arXiv:2108.06098; LoKr
and the cores of convolutions, Yeh et al. 2024, arXiv:2309.14859; DoRA, Liu et al. 2024,
arXiv:2402.09353.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.errors import InvalidValue
from nodegraph.models.adapters.layer_matching import ModuleLayers, Spans, widen
from nodegraph.models.adapters.tensor_names import Shape
from nodegraph.weights.precision.quantized_weights import quantized_shape, widen_layer
from nodegraph.weights.precision.storage import fused_adapter_error

Module = TypeVar("Module", bound=nn.Module)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def layers_of(module: nn.Module) -> ModuleLayers:
    """The layers of a module that an adapter may change; it may be on the meta device."""
    shapes = {}
    for path, layer in module.named_modules():
        shape = _weight_shape(layer)
        if shape is not None and path:
            shapes[path] = shape
    return ModuleLayers(type(module).__name__, shapes)


def _weight_shape(layer: nn.Module) -> Shape | None:
    # Not the weight's own, which may be packed.
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    held = quantized_shape(layer)
    if held is not None:
        return held
    weight = layer._parameters.get("weight")
    return None if weight is None or not weight.dim() else tuple(weight.shape)


def with_changes(module: Module, changes: Changes) -> Module:
    """A module with changed layers; the given one stays as it is, and shares its weights.

    Args:
        changes: Paths are the module's, see `layers_of`.
    """
    twin = structural_copy(module)
    for path, of_layer in changes.items():
        layer = _wide_enough(twin, path, of_layer)
        # What a norm and the like have are so few numbers that a copy costs nothing.
        is_large = isinstance(layer, (nn.Linear, *_CONVOLUTIONS))
        if not is_large and quantized_shape(layer) is not None:
            # A change of some rows of a table, too, would else be worked out for each prompt.
            widen_layer(layer)
        fused = [change for change in of_layer if change.is_fused or not is_large]
        apart = [change for change in of_layer if change not in fused]
        if fused:
            _fuse(layer, fused)
        if apart:
            _adapt(layer, apart)
    return twin


def _wide_enough(module: nn.Module, path: str, changes: Sequence[LayerChange]) -> nn.Module:
    """The layer of a module's copy, as wide as what changes it."""
    layer = module.get_submodule(path)
    columns = max((item.columns for item in changes if isinstance(item, LowRank)), default=0)
    if isinstance(layer, nn.Linear) and columns > layer.in_features:
        widen(module, path, columns)
    return module.get_submodule(path)


def structural_copy(module: Module) -> Module:
    """A module of the same structure, with the same parameters and buffers in it."""
    weights = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    # Copies of the weights are said to exist already: they themselves.
    return deepcopy(module, weights)


class _Adapted:
    """What makes a layer's class one whose output is changed by adapters."""

    adapter_changes: nn.ModuleList

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        own: Tensor = super().forward(x, *args, **options)  # type: ignore[misc]
        output = own
        for change in self.adapter_changes:
            output = output + change(x, self, own)
        return output.to(own.dtype)


@cache
def _adapted(kind: type[Any]) -> type[Any]:
    return type(f"Adapted{kind.__name__}", (_Adapted, kind), {})


def _adapt(layer: nn.Module, changes: Sequence[LayerChange]) -> None:
    device = layer.weight.device if isinstance(layer.weight, Tensor) else None
    # By its class, not around it: its parameters keep their names, and those who look for a
    # linear layer find one.
    kind: Any = type(layer)
    layer.__class__ = _adapted(kind)
    layer.adapter_changes = nn.ModuleList(change.to(device) for change in changes)


@torch.no_grad()
def _fuse(layer: nn.Module, changes: Sequence[LayerChange]) -> None:
    own = layer.get_parameter("weight")
    weight, bias = _changed(layer, changes)
    layer._parameters["weight"] = nn.Parameter(weight.to(own.dtype), requires_grad=False)
    if bias is not None:
        layer._parameters["bias"] = nn.Parameter(bias.to(own.dtype), requires_grad=False)


def _changed(layer: nn.Module, changes: Sequence[LayerChange]) -> tuple[Tensor, Tensor | None]:
    """A layer's weight and bias with changes added to them, in float32."""
    if quantized_shape(layer) is not None:
        raise fused_adapter_error()
    own = layer.get_parameter("weight")
    weight, bias = own.float(), layer._parameters.get("bias")
    for change in (change.to(own.device) for change in changes):
        if isinstance(change, ReplacedWeight):
            weight = change.weight.float()
            continue
        weight = weight + change.weight_delta(own) * change.strength
        shift = change.bias_delta()
        if shift is not None:
            added = shift.float() * change.strength
            bias = nn.Parameter(added if bias is None else bias + added, requires_grad=False)
    return weight, None if bias is None else bias.float()


@torch.no_grad()
def adapter_deltas(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield what the adapters of a module change in each layer's weight: its path, and float32."""
    for path, layer in module.named_modules():
        if _is_adapted(layer):
            weight, _ = _changed(layer, _changes_of(layer))
            yield path, weight - module.get_parameter(f"{path}.weight").float()


@torch.no_grad()
def merged_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a module by name, with the changes of its adapters added to them.

    One layer is merged at a time, so that a large model does not have to fit into memory twice.

    Raises:
        InvalidValue: An adapter changes a quantized weight.
    """
    merged: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        if f".{_CHANGES}." in f".{name}":
            continue
        path, _, end = name.rpartition(".")
        layer = module.get_submodule(path)
        if not _is_adapted(layer) or end not in ("weight", "bias"):
            yield name, tensor
            continue
        if end == "weight":
            # A weight comes before the bias of its layer.
            weight, bias = _changed(layer, _changes_of(layer))
            merged = {"weight": weight} | ({} if bias is None else {"bias": bias})
            if "bias" in merged and layer._parameters.get("bias") is None:
                yield f"{path}.bias", merged["bias"].to(tensor.dtype)
        yield name, merged[end].to(tensor.dtype)


@torch.no_grad()
def mixed_with(module: Module, other: nn.Module, strength: float) -> Module:
    """A module with weights ``own * (1 - strength) + other * strength``; the given one stays.

    They are computed in float32, and have the dtypes of the module's own. At strength 1 they are
    the other's, bit for bit.

    Args:
        other: Module of the same architecture; its adapters count. It may be on another device.
    Raises:
        InvalidValue: The modules have different layers.
    """
    twin, others = structural_copy(module), dict(merged_tensors(other))
    for name, own in module.state_dict().items():
        if name not in others or others[name].shape != own.shape:
            raise InvalidValue(
                f"the models have different layers: {name}",
                expected="two models of the same architecture",
            )
        if not own.is_floating_point():
            continue
        added = others.pop(name).to(own.device, torch.float32)
        mixed = (own.float() * (1 - strength) + added * strength).to(own.dtype)
        path, _, end = name.rpartition(".")
        layer = twin.get_submodule(path)
        if end in layer._parameters:
            layer._parameters[end] = nn.Parameter(mixed, requires_grad=False)
        else:
            layer._buffers[end] = mixed
    return twin


_CHANGES = "adapter_changes"


def _is_adapted(layer: nn.Module) -> bool:
    return _CHANGES in layer._modules


def _changes_of(layer: nn.Module) -> list[LayerChange]:
    changes = layer.get_submodule(_CHANGES).children()
    return [change for change in changes if isinstance(change, LayerChange)]


class LayerChange(nn.Module):
    """A change of a layer; called, it gives what is added to the layer's output.

    Attributes:
        scale: What the product of its matrices is multiplied by, mostly alpha / rank.
        strength: What all of it is multiplied by.
        is_fused: Whether it is to be added to a copy of the layer's weight, once: quicker, at the
            cost of memory for that.
        bias: Added to the layer's bias, shape (rows,); None for nothing.
    """

    bias: Tensor | None
    _gain: Tensor | None

    def __init__(
        self, *, scale: float = 1.0, spans: Spans | None = None, bias: Tensor | None = None
    ) -> None:
        """Begin a change.

        Args:
            spans: Rows that it takes of the whole product; None for all.
        """
        super().__init__()
        self.scale, self.strength, self.is_fused = scale, 1.0, False
        self._spans, self._gain_is_of_rows = spans, True
        self.register_buffer("bias", bias)
        self.register_buffer("_gain", None)

    def product(self) -> Tensor:
        """The product of its matrices: (rows, columns), or in the shape of a weight."""
        raise NotImplementedError

    def weight_delta(self, weight: Tensor) -> Tensor:
        """What a layer's weight changes by at strength 1, in its shape; float32."""
        wide = weight.float()
        change = self._whole(wide) * self.scale
        if self._gain is None:
            return change
        gain = _along(self._gain.float(), wide.dim(), 0 if self._gain_is_of_rows else 1)
        return (wide + change) * gain - wide

    def bias_delta(self) -> Tensor | None:
        """What a layer's bias changes by at strength 1; None for nothing."""
        return self.bias

    def set_magnitudes(self, lengths: Tensor, weight: Tensor, *, of_rows: bool) -> None:
        """Let the rows, or columns, of the changed weight have these lengths, as DoRA does.

        What they are multiplied by is worked out once, as the weight won't change.

        Args:
            lengths: One for each row, or for each input channel.
            weight: The layer's own.
        """
        changed = weight.float() + self._whole(weight.float()) * self.scale
        vectors = changed if of_rows else changed.transpose(0, 1)
        gain = lengths.float().flatten() / torch.linalg.vector_norm(vectors.flatten(1), dim=1)
        self._gain, self._gain_is_of_rows = gain.to(weight.dtype), of_rows

    def forward(self, x: Tensor, layer: Any, output: Tensor) -> Tensor:
        """What is added to a layer's output, shaped as that.

        Args:
            x: What the layer was given.
            layer: Linear or convolutional.
            output: What it gave by itself.
        """
        if self._gain is None:
            added = self._through(x, layer) * (self.scale * self.strength)
        else:
            added = self._forward_dora(x, layer, output, self._gain) * self.strength
        if self.bias is not None:
            added = added + _of_channels(self.bias, layer) * self.strength
        return added

    def _through(self, x: Tensor, layer: Any) -> Tensor:
        """The product's outputs for x."""
        weight = self._whole(layer.weight)
        return run(layer, x.to(weight.dtype), weight)

    def _forward_dora(self, x: Tensor, layer: Any, output: Tensor, gain: Tensor) -> Tensor:
        gain = _of_channels(gain, layer)
        if not self._gain_is_of_rows:
            own = run(layer, x * (gain - 1), layer.weight)
            return own + self._through(x * gain, layer) * self.scale
        own = output if layer.bias is None else output - _of_channels(layer.bias, layer)
        return (gain - 1) * own + gain * self._through(x, layer) * self.scale

    def _whole(self, weight: Tensor) -> Tensor:
        """The product, in the shape and type of a weight."""
        product = self.product()
        if self._spans is not None:
            product = torch.cat([product[begin:end] for begin, end in self._spans])
        missing = weight.numel() - product.numel()
        if missing:
            # It knows nothing of the inputs that another adapter has added to the layer.
            product = functional.pad(product.flatten(1), (0, missing // len(product)))
        return product.reshape(weight.shape).to(weight.dtype)


Changes = Mapping[str, Sequence[LayerChange]]
"""Changes of a module's layers, by their paths, in the order that they are added in."""


class LowRank(LayerChange):
    """LoRA: a narrow layer before a wide one.

    Args:
        down: (rank, inputs) or, of a convolution, (rank, inputs, height, width).
        up: (outputs, rank), with ones behind for a convolution.
        core: (rank, rank, height, width) between them; then both are pointwise.
        up_bias: Of the wide one, shape (outputs,).
    """

    core: Tensor | None
    up_bias: Tensor | None

    def __init__(
        self,
        down: Tensor,
        up: Tensor,
        core: Tensor | None = None,
        up_bias: Tensor | None = None,
        *,
        scale: float = 1.0,
        spans: Spans | None = None,
        bias: Tensor | None = None,
    ) -> None:
        # The rows of a part of the product are those of the wide layer.
        super().__init__(scale=scale, bias=bias)
        self.register_buffer("down", down)
        self.register_buffer("up", rows_of(up, spans).flatten(1))
        self.register_buffer("core", core)
        self.register_buffer("up_bias", None if up_bias is None else rows_of(up_bias, spans))
        self.down: Tensor
        self.up: Tensor

    def bias_delta(self) -> Tensor | None:
        """What a layer's bias changes by at strength 1; None for nothing."""
        if self.up_bias is None:
            return self.bias
        own = self.up_bias * self.scale
        return own if self.bias is None else own + self.bias

    @property
    def columns(self) -> int:
        """Inputs that it takes, times the kernel."""
        return self.down[0].numel()

    def product(self) -> Tensor:
        """Shape (rows, columns)."""
        if self.core is None:
            return self.up @ self.down.flatten(1)
        return _with_core(self.core, self.up.T, self.down)

    def _through(self, x: Tensor, layer: Any) -> Tensor:
        x = x.to(self.down.dtype)
        if isinstance(layer, nn.Linear):
            # Of what was a pointwise convolution when it was trained, two dimensions are left.
            narrow = functional.linear(_first(x, self.down), self.down.flatten(1))
            return functional.linear(narrow, self.up, self.up_bias)
        if layer.groups > 1:
            # Each group of channels is mixed by itself, which two layers in a row can't do.
            narrow = run(layer, x, self._whole(layer.weight))
            return narrow if self.up_bias is None else narrow + _of_channels(self.up_bias, layer)
        if self.core is None:
            narrow = run(layer, x, self.down.reshape(len(self.down), *layer.weight.shape[1:]))
        else:
            narrow = run(layer, _pointwise(x, self.down.flatten(1)), self.core)
        return _pointwise(narrow, self.up, self.up_bias)


class Hadamard(LayerChange):
    """LoHa: two products of narrow matrices, multiplied number by number.

    Args:
        first, second: (rows, rank) and (rank, columns). With cores (rank, rows), (rank, inputs).
        cores: (rank, rank, height, width) each, of a convolution.
    """

    def __init__(
        self,
        first: tuple[Tensor, Tensor],
        second: tuple[Tensor, Tensor],
        cores: tuple[Tensor, Tensor] | None = None,
        *,
        scale: float = 1.0,
        spans: Spans | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(scale=scale, spans=spans, bias=bias)
        self._names = ["first_a", "first_b", "second_a", "second_b"]
        self._names += ["first_core", "second_core"] if cores else []
        for name, tensor in zip(self._names, (*first, *second, *(cores or ())), strict=True):
            self.register_buffer(name, tensor)

    def product(self) -> Tensor:
        """Shape (rows, columns), or that of a convolution's weight."""
        a, b, c, d, *cores = (self.get_buffer(name) for name in self._names)
        if cores:
            return _with_core(cores[0], a, b) * _with_core(cores[1], c, d)
        return (a @ b.flatten(1)) * (c @ d.flatten(1))


class Kronecker(LayerChange):
    """LoKr: each number of a small matrix times all of another one.

    Args:
        left: (rows / n, columns / m), or two narrow matrices whose product is that.
        right: (n, m), for a convolution with height and width behind; or two as of `left`.
        core: (rank, rank, height, width) between the two of `right`: (rank, n) and (rank, m).
    """

    def __init__(
        self,
        left: tuple[Tensor, ...],
        right: tuple[Tensor, ...],
        core: Tensor | None = None,
        *,
        scale: float = 1.0,
        spans: Spans | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(scale=scale, spans=spans, bias=bias)
        self._sides = (len(left), len(right))
        for index, tensor in enumerate((*left, *right)):
            self.register_buffer(f"factor_{index}", tensor)
        self.register_buffer("core", core)

    def product(self) -> Tensor:
        """Shape (rows, columns), or that of a convolution's weight."""
        count = sum(self._sides)
        factors = [self.get_buffer(f"factor_{index}") for index in range(count)]
        left, right = factors[: self._sides[0]], factors[self._sides[0] :]
        small = left[0] if len(left) == 1 else left[0] @ left[1]
        core = self.get_buffer("core") if self._buffers["core"] is not None else None
        if core is not None:
            large = _with_core(core, *right)
        elif len(right) == 2:
            large = (right[0] @ right[1].flatten(1)).reshape(-1, *right[1].shape[1:])
        else:
            (large,) = right
        return torch.kron(_along(small, large.dim(), 0, 1), large.contiguous())


class FullChange(LayerChange):
    """The change itself, of a weight or of a bias alone.

    Args:
        weight: In the shape of the layer's weight; None where only the bias changes.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None,
        *,
        scale: float = 1.0,
        spans: Spans | None = None,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__(scale=scale, bias=bias)
        self.register_buffer("weight", None if weight is None else rows_of(weight, spans))

    def product(self) -> Tensor:
        """In the shape of the layer's weight; zero if it isn't changed."""
        return torch.zeros(()) if self.weight is None else self.weight

    def _whole(self, weight: Tensor) -> Tensor:
        return torch.zeros_like(weight) if self.weight is None else super()._whole(weight)

    def _through(self, x: Tensor, layer: Any) -> Tensor:
        return (
            torch.zeros((), device=x.device) if self.weight is None else super()._through(x, layer)
        )


class ReplacedWeight(LayerChange):
    """A weight that stands in for the layer's, however strong the adapter is.

    Args:
        weight: In the shape of the layer's.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.weight: Tensor


def run(layer: Any, x: Tensor, weight: Tensor) -> Tensor:
    """What a layer gives with another weight and no bias; of its stride, padding and groups."""
    if isinstance(layer, nn.Linear):
        return functional.linear(x, weight)
    output: Tensor = layer._conv_forward(x, weight, None)
    return output


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution that mixes the channels at each place alone; weight (outputs, inputs)."""
    ones = (1,) * (x.dim() - 2)
    convolve = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[x.dim() - 2]
    return convolve(x, weight.reshape(*weight.shape, *ones), bias)


def _with_core(core: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A convolution's weight from its core (rank, rank, …), (rank, outputs), (rank, inputs)."""
    return torch.einsum("ij...,ip,jr->pr...", core, rows.flatten(1), columns.flatten(1))


def rows_of(tensor: Tensor, spans: Spans | None) -> Tensor:
    """Some rows of a tensor, one span after the other; all if None."""
    if spans is None:
        return tensor
    return torch.cat([tensor[begin:end] for begin, end in spans])


def _first(x: Tensor, down: Tensor) -> Tensor:
    """The inputs that a change knows, of a layer that another adapter may have made wider."""
    known = down[0].numel()
    return x if x.shape[-1] == known else x[..., :known]


def _of_channels(values: Tensor, layer: Any) -> Tensor:
    """One value a channel, in a shape that goes with what the layer takes and gives."""
    return values if isinstance(layer, nn.Linear) else _along(values, layer.weight.dim() - 1, 0)


def _along(values: Tensor, dimensions: int, *places: int) -> Tensor:
    """A tensor whose dimensions are at these places among others of size 1."""
    sizes = [1] * dimensions
    for axis, size in zip(places, values.shape, strict=True):
        sizes[axis] = size
    return values.reshape(sizes)
