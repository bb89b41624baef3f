"""Upscale models in memory: the compact ones as built here, all others by spandrel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.errors import InvalidFile
from nodegraph.families.components import Component
from nodegraph.families.helper_recipes import UpscaleModel
from nodegraph.families.upscaling_architectures import CompactShape, compact_shape
from nodegraph.weights.weight_files import read_tensors


class CompactUpscaler(nn.Module):
    """3 x 3 convolutions at the size of what it is given, and one shuffle of channels into pixels.

    What it learns is the difference to the picture made larger by repeating its pixels. Its tensors
    are named as in published files of this kind (Real-ESRGAN's "compact" models, SRVGGNetCompact).
    Source: Wang et al. 2021, arXiv:2107.10833, and its repository's network of that name; the
    shuffle is Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        self.shape = shape
        width, last = shape.width, shape.outputs * shape.scale**2
        layers: list[nn.Module] = [nn.Conv2d(shape.channels, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(shape.layers):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, last, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, channels, height, width), 0..1, to `scale` times the height and width."""
        scale = self.shape.scale
        difference = functional.pixel_shuffle(self.body(picture), scale)
        return difference + functional.interpolate(picture, scale_factor=scale, mode="nearest")


_PURPOSES = ("SR", "Restoration")
"""Of what spandrel knows: that which takes one picture and gives one."""


@dataclass(frozen=True, slots=True)
class Upscaler(Component):
    """A network that takes (1, channels, height, width) in 0..1 to `scale` times the size.

    Attributes:
        channels: Of the pictures that it takes: 1 or 3.
        scale: 1 for those that mend pictures only.
    """

    channels: int = 3
    scale: int = 2

    @property
    def config(self) -> Mapping[str, Any]:
        return {}

    @property
    def device(self) -> torch.device:
        found: torch.device = next(self.module.parameters()).device
        return found

    @property
    def dtype(self) -> torch.dtype:
        found: torch.dtype = next(self.module.parameters()).dtype
        return found


class PaddedNetwork(nn.Module):
    """A network that takes sides of some multiple alone: others are mirrored at their ends.

    Args:
        least, multiple: Of its sides, in pixels.
        square: Whether they must be equal.
    """

    def __init__(
        self, network: nn.Module, scale: int, least: int, multiple: int, *, square: bool
    ) -> None:
        super().__init__()
        self.network = network
        self._scale, self._least, self._multiple, self._square = scale, least, multiple, square

    def forward(self, picture: Tensor) -> Tensor:
        """As `CompactUpscaler.forward`."""
        height, width = picture.shape[-2:]
        sides = [max(self._least, -(-side // self._multiple) * self._multiple)
                 for side in (height, width)]  # fmt: skip
        if self._square:
            sides = [max(sides)] * 2
        made = self.network(_grown(picture, sides[0], sides[1]))
        output: Tensor = made[0] if isinstance(made, (tuple, list)) else made
        return output[..., : height * self._scale, : width * self._scale]


def _grown(picture: Tensor, height: int, width: int) -> Tensor:
    """A picture with what is near its lower and right end mirrored there."""
    while tuple(picture.shape[-2:]) != (height, width):
        # no more than there is can be mirrored at once
        down = min(height - picture.shape[-2], picture.shape[-2] - 1)
        right = min(width - picture.shape[-1], picture.shape[-1] - 1)
        if down == right == 0:
            return functional.pad(
                picture,
                (0, width - picture.shape[-1], 0, height - picture.shape[-2]),
                mode="replicate",
            )
        picture = functional.pad(picture, (0, right, 0, down), mode="reflect")
    return picture


def load_upscaler(recipe: UpscaleModel) -> Upscaler:
    """The network of a recipe, on the CPU.

    Raises:
        InvalidFile: It is damaged or of no known kind, or spandrel is needed and isn't there.
    """
    tensors = read_tensors([recipe.path], recipe.dtype)
    shape = compact_shape({name: tuple(item.shape) for name, item in tensors.items()})
    if shape is None:
        return _by_spandrel(recipe, tensors)
    network = CompactUpscaler(shape)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InvalidFile(f"{recipe.path} is damaged: {_first_line(error)}") from error
    return Upscaler({"upscaler": network}, recipe.family, shape.channels, shape.scale)


def _by_spandrel(recipe: UpscaleModel, tensors: dict[str, Tensor]) -> Upscaler:
    spandrel = _spandrel(recipe)
    try:
        descriptor = spandrel.ModelLoader("cpu").load_from_state_dict(tensors)
    except (RuntimeError, KeyError, ValueError) as error:
        raise InvalidFile(
            f"{recipe.path} is no upscale model that spandrel knows: {_first_line(error)}"
        ) from error
    purpose = getattr(descriptor, "purpose", "")
    if purpose not in _PURPOSES or descriptor.input_channels not in (1, 3):
        raise InvalidFile(
            f"{recipe.path} is for something else than to enlarge pictures",
            given=f"{descriptor.architecture.name}, {purpose}",
            expected="super-resolution, or restoration of whole pictures",
        )
    sizes = descriptor.size_requirements
    network = PaddedNetwork(
        descriptor.model.float(),
        descriptor.scale,
        sizes.minimum,
        sizes.multiple_of,
        square=sizes.square,
    )
    return Upscaler(
        {"upscaler": network}, recipe.family, descriptor.input_channels, descriptor.scale
    )


def _spandrel(recipe: UpscaleModel) -> Any:
    try:
        import spandrel
    except ImportError as error:
        raise InvalidFile(
            f"{recipe.path.name} is of a kind that the package spandrel reads, and that "
            + ("isn't installed" if error.name == "spandrel" else f"can't do without {error.name}"),
            expected="a compact model (SRVGGNetCompact), which needs no package",
            hint='Install it: pip install "nodegraph[upscale]".',
        ) from error
    return spandrel


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
