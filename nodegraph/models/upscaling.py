"""Upscale models: load compact ones or by spandrel, and enlarge images in tiles; and latents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidFile, InvalidValue, NumericalError
from nodegraph.families.components import Autoencoder, Component
from nodegraph.families.helper_networks import CompactShape, compact_shape
from nodegraph.families.helper_recipes import UpscaleModel
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes
from nodegraph.media.images.tiles import TileSize, tiled
from nodegraph.models.vae import check_latent, latent_format
from nodegraph.weights.weight_files import read_tensors


@torch.no_grad()
def upscale_image(
    upscaler: Upscaler,
    image: Tensor,
    *,
    tile: int = 0,
    overlap: int = 16,
    on_tile: Callable[[int, int], None] = lambda step, total: None,
) -> Tensor:
    """Images as an upscale model makes them, one by one.

    What is more than the model takes, such as transparency, is scaled by a cubic filter.

    Args:
        image: float32 in 0..1, shape (batch, height, width, channels), 1, 3 or 4 of them.
        tile: Side of the tiles that the model sees at a time, in pixels of `image`; 0 is all.
        overlap: Pixels that neighboring tiles share and fade over, less than a tile.
        on_tile: Told after each tile how many are done, of how many in all images.
    Returns:
        float32 in 0..1 on the CPU, with the channels of `image`.
    Raises:
        InvalidValue: Tiles overlap by more than half, or the result takes more memory than there
            is.
        NumericalError: The result has NaN or infinity.
    """
    batch, height, width, channels = image.shape
    scale = upscaler.scale
    size = width * scale, height * scale
    check_memory(*size, batch, resizing_bytes(*size, batch * max(3, channels)), port="image")
    tiles = tile_size(tile or max(height, width), overlap if tile else 0)
    # Filled image by image: joining them at the end would hold all of a video twice.
    result = torch.empty(batch, size[1], size[0], channels)
    for number, picture in enumerate(image.movedim(-1, 1)):

        def report(step: int, total: int, before: int = number) -> None:
            on_tile(before * total + step, batch * total)

        made = _upscale_one(upscaler, picture[None], tiles, report)
        result[number] = made[0].movedim(0, -1)
    if not torch.isfinite(result).all():
        raise NumericalError("the upscale model produced NaN or infinity", port="model")
    return result


def tile_size(tile: int, overlap: int) -> TileSize:
    """Tiles of a side, in pixels.

    Raises:
        InvalidValue: They overlap by more than half.
    """
    if 2 * overlap > tile:
        raise InvalidValue(
            "tiles overlap by more than half",
            port="overlap",
            given=f"{overlap} pixels",
            expected=f"at most {tile // 2}",
        )
    return TileSize(tile, overlap)


def _upscale_one(
    upscaler: Upscaler, picture: Tensor, tiles: TileSize, done: Callable[[int, int], None]
) -> Tensor:
    """(1, channels, height, width) on the CPU, in 0..1."""
    colours = picture[:, :3] if picture.shape[1] >= 3 else picture[:, :1]
    grey = colours.shape[1] == 1
    if upscaler.channels == 3 and grey:
        colours = colours.expand(-1, 3, -1, -1)
    elif upscaler.channels == 1 and not grey:
        # the model's channel is one of brightness: each color by itself
        parts = [_tiles(upscaler, colours[:, i : i + 1], tiles, done) for i in range(3)]
        return _with_extra_channels(torch.cat(parts, 1), picture, upscaler.scale)
    made = _tiles(upscaler, colours, tiles, done)
    return _with_extra_channels(
        made.mean(1, keepdim=True) if grey else made, picture, upscaler.scale
    )


def _tiles(
    upscaler: Upscaler, colours: Tensor, tiles: TileSize, done: Callable[[int, int], None]
) -> Tensor:
    def work(part: Tensor) -> Tensor:
        placed = part.contiguous().to(upscaler.device, upscaler.dtype)
        upscaled: Tensor = upscaler.module(placed)
        return upscaled.to("cpu", torch.float32).clamp(0, 1)

    return tiled(colours, work, cells=1, out=upscaler.scale, tiles=tiles, done=done)


def _with_extra_channels(made: Tensor, picture: Tensor, scale: int) -> Tensor:
    """With the channels that the model doesn't see."""
    remaining = picture[:, made.shape[1] :]
    if not remaining.shape[1]:
        return made
    larger = functional.interpolate(remaining, scale_factor=scale, mode="bicubic").clamp(0, 1)
    return torch.cat([made, larger], 1)


class CompactUpscaler(nn.Module):
    """3 x 3 convolutions at the size of what it is given, and one shuffle of channels into pixels.

    What it learns is the difference to the image made larger by repeating its pixels. Its tensors
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
"""Of what spandrel knows: that which takes one image and gives one."""


@dataclass(frozen=True, slots=True)
class Upscaler(Component):
    """A network that takes (1, channels, height, width) in 0..1 to `scale` times the size.

    Attributes:
        channels: Of the images that it takes: 1 or 3.
        scale: 1 for those that mend images only.
    """

    channels: int = 3
    scale: int = 2

    @property
    def config(self) -> Mapping[str, Any]:
        return {}

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.module.parameters()).dtype
        return dtype


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
    """An image with what is near its lower and right end mirrored there."""
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
            f"{recipe.path} is not an upscale model that spandrel supports: {_first_line(error)}"
        ) from error
    purpose = getattr(descriptor, "purpose", "")
    if purpose not in _PURPOSES or descriptor.input_channels not in (1, 3):
        raise InvalidFile(
            f"{recipe.path} is a model for another purpose than enlarging images",
            given=f"{descriptor.architecture.name}, {purpose}",
            expected="super-resolution, or restoration of whole images",
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
            f"{recipe.path.name} needs the package spandrel, which "
            + (
                "is not installed"
                if error.name == "spandrel"
                else f"cannot be used without {error.name}"
            ),
            expected="a compact model (SRVGGNetCompact), which needs no package",
            hint='Install it: pip install "nodegraph[upscale]".',
        ) from error
    return spandrel


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@torch.no_grad()
def upscale_latent(upscaler: Component, autoencoder: Autoencoder, latent: Latent) -> Latent:
    """A latent as a latent upscale model makes it, in size or in time; its sound stays.

    Args:
        upscaler: Of a `LatentUpscaleModel`.
        autoencoder: Whose statistics scale the latents.
    Returns:
        float32 on the CPU. A noise mask is scaled along, and frame guides are left out.
    Raises:
        InvalidValue: The latent is empty, or the three do not fit together.
        NumericalError: The result has NaN or infinity.
    """
    samples, formats = check_latent(autoencoder, latent), latent_format(autoencoder)
    wanted = upscaler.config["in_channels"]
    if samples.shape[1] != wanted:
        raise InvalidValue(
            "the latent does not fit the latent upscale model",
            port="latent",
            given=f"{samples.shape[1]} channels",
            expected=f"{wanted} channels",
        )
    made = []
    for item in samples:
        placed = formats.unscale(autoencoder.module, item[None].to(autoencoder.device))
        larger = upscaler.module(placed.to(upscaler.device, upscaler.dtype))
        scaled = formats.scale(autoencoder.module, larger.to(autoencoder.device, torch.float32))
        made.append(scaled.to("cpu"))
    result = torch.cat(made).contiguous()
    if not torch.isfinite(result).all():
        raise NumericalError("the latent upscale model produced NaN or infinity", port="model")
    frames, height, width = result.shape[2:]
    size = height * formats.spatial, width * formats.spatial
    mask = latent.noise_mask
    if mask is not None:
        mask = functional.interpolate(mask[:, None], size, mode="nearest")[:, 0]
    return replace(
        latent,
        samples=result,
        width=size[1],
        height=size[0],
        frames=formats.pixel_frames(frames),
        noise_mask=mask,
        guides=(),
    )
