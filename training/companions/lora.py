"""Low-rank changes of a network's weights (LoRA, Hu et al. 2021, arXiv:2106.09685).

A layer's weight W, flattened to (out, in), becomes W + B A with A (rank, in) and B (out, rank).
Files follow the layout that current diffusers writes and `load_lora_weights` reads: keys
`unet.PATH.lora_A.weight` and `unet.PATH.lora_B.weight`, no alpha. There that means alpha = rank, so
that B A is added as it is. For a convolution A is (rank, in, k, k) and B is (out, rank, 1, 1).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

FILE_NAME = "pytorch_lora_weights.safetensors"
"""The name that `load_lora_weights` looks for in a folder."""
_PREFIX = "unet."


class Pair(nn.Module):
    """The two factors of one layer's change; adds nothing until it is trained."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        wide = layer.weight[0].numel()
        self.a = nn.Parameter(torch.empty(rank, wide))
        self.b = nn.Parameter(torch.zeros(layer.weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.weight = 1.0

    def added_to(self, base: Tensor) -> Tensor:
        """`base` with the change times `weight` added, in its shape."""
        if self.weight == 0.0:
            return base
        # The sum is made in full precision: bfloat16 would swallow a small change.
        with torch.autocast(base.device.type, enabled=False):
            changed: Tensor = base + self.weight * (self.b @ self.a).view_as(base)
        return changed


class _AdaptedLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        """As usual, with the changed weight."""
        weight: Tensor = self.__dict__["pair"].added_to(self.weight)
        output: Tensor = functional.linear(input, weight, self.bias)
        return output


class _AdaptedConv2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        """As usual, with the changed weight."""
        weight: Tensor = self.__dict__["pair"].added_to(self.weight)
        output: Tensor = self._conv_forward(input, weight, self.bias)
        return output


class Adapter(nn.Module):
    """The trainable change of a frozen network's linear and convolutional layers.

    The network's layers compute with the changed weights from now on; its own modules, paths and
    state dict stay as they are. On a CPU, adding B A to a weight is as fast as a second way through
    the layer, and it is exactly what is computed once the change is merged.

    Args:
        network: Frozen; its layers are changed in place.
        rank: Of every change.
        leave_out: Parts of the paths of layers that are not changed.
    """

    def __init__(self, network: nn.Module, rank: int, leave_out: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.pairs = nn.ModuleDict()
        for path, layer in list(network.named_modules()):
            # Not their subclasses, which may compute in another way.
            if type(layer) not in (nn.Linear, nn.Conv2d):
                continue
            assert isinstance(layer, nn.Linear | nn.Conv2d)
            if any(part in path for part in leave_out):
                continue
            pair = Pair(layer, rank)
            self.pairs[path.replace(".", "/")] = pair
            if isinstance(layer, nn.Linear):
                layer.__class__ = _AdaptedLinear
            else:
                layer.__class__ = _AdaptedConv2d
            # Not as a submodule: the network's state dict would have it too.
            layer.__dict__["pair"] = pair
        if not self.pairs:
            raise ValueError(f"leave_out {leave_out} leaves no layer to change")

    def by_path(self) -> dict[str, Pair]:
        """The pairs by the paths of the network's layers."""
        pairs = {name.replace("/", "."): pair for name, pair in self.pairs.items()}
        return {path: pair for path, pair in pairs.items() if isinstance(pair, Pair)}

    def set_weight(self, weight: float) -> None:
        """How much of the change is added: 0 is the network as it was, 1 is all."""
        for pair in self.by_path().values():
            pair.weight = weight

    @contextmanager
    def weighing(self, weight: float) -> Iterator[None]:
        """Another weight for a while; 1 afterwards."""
        self.set_weight(weight)
        try:
            yield
        finally:
            self.set_weight(1.0)


def save(adapter: Adapter, network: nn.Module, folder: Path) -> Path:
    """Write the change as float16 into `folder`; gives the file."""
    weights: dict[str, Tensor] = {}
    for path, pair in adapter.by_path().items():
        shape = network.get_submodule(path).weight.shape
        assert isinstance(shape, torch.Size)
        ones = (1,) * (len(shape) - 2)
        a, b = pair.a.detach(), pair.b.detach()
        weights[f"{_PREFIX}{path}.lora_A.weight"] = a.reshape(len(a), *shape[1:])
        weights[f"{_PREFIX}{path}.lora_B.weight"] = b.reshape(*b.shape, *ones)
    file = folder / FILE_NAME
    half = {name: value.half().cpu().contiguous() for name, value in weights.items()}
    save_file(half, file, {"format": "pt"})
    return file


@torch.no_grad()
def merge(network: nn.Module, file: Path, weight: float = 1.0) -> None:
    """Add the change in a file, times `weight`, to the network's own weights.

    Raises:
        ValueError: the file has a key that is no layer of the network, or a change that does not
            fit it.
    """
    weights = {name: value.float() for name, value in load_file(file).items()}
    layers = dict(network.named_modules())
    for name in [name for name in weights if name.endswith(".lora_A.weight")]:
        path = name.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        a, b = weights[name], weights[name.replace("lora_A", "lora_B")]
        layer = layers.get(path)
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            raise ValueError(f"{file.name}: {name} is no layer of this network")
        if layer.weight.shape != (*b.shape[:1], *a.shape[1:]):
            raise ValueError(f"{file.name}: {name} does not fit {tuple(layer.weight.shape)}")
        layer.weight += weight * (b.flatten(1) @ a.flatten(1)).view_as(layer.weight)
