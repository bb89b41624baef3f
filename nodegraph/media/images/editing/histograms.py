"""Histograms: statistics, equalization (CLAHE), color matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import Color
from nodegraph.media.images.editing.pixel_formats import (
    as_rgb,
    check_channels,
    check_finite,
    lab_to_rgb,
    luma,
    map_colors,
    rgb_to_lab,
    split_alpha,
)

if TYPE_CHECKING:
    from torch import Tensor

_BINS = 256


def describe_statistics(image: Tensor) -> str:
    """Figures of each channel and of the brightness, a line each."""
    check_channels(image)
    names = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
    count, height, width, channels = image.shape
    lines = [f"{count} of {width} x {height} pixels, {channels} channels"]
    parts = dict(zip(names[channels], image.double().unbind(-1), strict=True))
    if channels > 1:
        parts["brightness"] = luma(split_alpha(image.double())[0])[..., 0]
    for name, values in parts.items():
        low, high = float(values.min()), float(values.max())
        mean, spread = float(values.mean()), float(values.std(correction=0))
        lines.append(f"{name}: {low:.3f} to {high:.3f}, mean {mean:.3f}, deviation {spread:.3f}")
    return "\n".join(lines)


def draw_histogram(image: Tensor, height: int, *, logarithmic: bool) -> Tensor:
    """How often values are: for each of a batch an image 256 wide in red, green and blue.

    Args:
        logarithmic: Let rare values show.
    Returns:
        Shape (batch, height, 256, 3).
    """
    import torch

    check_channels(image)
    check_finite(image)
    made = []
    for item in image.float():
        colors = as_rgb(split_alpha(item)[0]).reshape(-1, 3)
        levels = (colors.clamp(0, 1) * (_BINS - 1)).round().long()
        counts = [torch.bincount(plane, minlength=_BINS).double() for plane in levels.T]
        bars = torch.stack(counts, dim=-1)
        bars = (bars + 1).log() if logarithmic else bars
        bars = bars / bars.max().clamp(min=1e-9) * height
        above = torch.arange(height, 0, -1)[:, None, None]
        # The uppermost pixel of a bar may be covered in part.
        made.append((bars[None] - above + 1).clamp(0, 1).float())
    return torch.stack(made)


def color_strip(palette: Sequence[tuple[Color, float]], width: int, height: int) -> Tensor:
    """Colors beside each other, as wide as their shares; shape (1, height, width, 3)."""
    import torch

    ends = torch.tensor([share for _, share in palette]).cumsum(0)
    at = (torch.arange(width) + 0.5) / width * ends[-1]
    places = torch.bucketize(at, ends).clamp(max=len(palette) - 1)
    table = torch.tensor([color[:3] for color, _ in palette])
    row: Tensor = table[places]
    return row.expand(1, height, width, 3).clone()


def brightness_statistics(image: Tensor) -> tuple[float, float, float, float]:
    """Mean, deviation, smallest and largest value of the brightness."""
    light = luma(split_alpha(image.double())[0])
    spread = float(light.std(correction=0))
    return float(light.mean()), spread, float(light.min()), float(light.max())


MatchMethod = Literal["mean and spread", "histogram", "covariance"]


def match_colors(image: Tensor, reference: Tensor, method: MatchMethod, amount: float) -> Tensor:
    """Images with the colors of a reference.

    Args:
        reference: One image, or one for each; of any size.
        method: ``mean and spread`` of each coordinate in CIE Lab (Reinhard et al. 2001,
            doi:10.1109/38.946629); ``histogram`` of each channel; ``covariance`` of all three
            together, by the map that changes least (Pitié and Kokaram 2007, MKL).
        amount: 0..1.
    Raises:
        InvalidValue: There are neither one reference nor one for each image.
    """
    import torch

    check_channels(reference, "reference")
    check_finite(image)
    check_finite(reference, "reference")
    if len(reference) not in (1, len(image)):
        raise InvalidValue(
            "the number of references is neither 1 nor the number of images",
            port="reference",
            given=f"{len(reference)} images",
            expected=f"1 or {len(image)}" if len(image) > 1 else "1",
        )
    works = {
        "mean and spread": _match_mean_and_std,
        "histogram": _match_histogram,
        "covariance": _match_covariance,
    }
    work = works[method]

    def of_one(at: int) -> Tensor:
        other = reference[min(at, len(reference) - 1)][None].float()
        colors = as_rgb(split_alpha(other)[0])
        return map_colors(
            image[at : at + 1], lambda item: item.lerp(work(item, colors), amount), rgb=True
        )

    return torch.cat([of_one(at) for at in range(len(image))])


def _match_mean_and_std(item: Tensor, other: Tensor) -> Tensor:
    lab, wanted = rgb_to_lab(item.double()), rgb_to_lab(other.double()).reshape(-1, 3)
    pixels = lab.reshape(-1, 3)
    spread = wanted.std(0, correction=0) / pixels.std(0, correction=0).clamp(min=1e-6)
    return lab_to_rgb((lab - pixels.mean(0)) * spread + wanted.mean(0)).float()


def _match_histogram(item: Tensor, other: Tensor) -> Tensor:
    """As scikit-image's `match_histograms` computes it."""
    import numpy as np
    import torch

    planes = []
    for channel in range(3):
        values = item[..., channel].numpy()
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        wanted, numbers = np.unique(other[..., channel].numpy(), return_counts=True)
        shares = np.cumsum(counts) / values.size
        mapped = np.interp(shares, np.cumsum(numbers) / numbers.sum(), wanted)
        planes.append(torch.from_numpy(mapped[places].reshape(values.shape).astype(np.float32)))
    return torch.stack(planes, dim=-1)


def _match_covariance(item: Tensor, other: Tensor) -> Tensor:
    import torch

    pixels, wanted = item.reshape(-1, 3).double(), other.reshape(-1, 3).double()
    means = pixels.mean(0), wanted.mean(0)
    # A little gray noise, as flat images have no directions.
    noise = torch.eye(3, dtype=torch.float64) * 1e-6
    own = (pixels - means[0]).T @ (pixels - means[0]) / len(pixels) + noise
    aim = (wanted - means[1]).T @ (wanted - means[1]) / len(wanted) + noise
    root = _root(own)
    inverse = torch.linalg.inv(root)
    change = inverse @ _root(root @ aim @ root) @ inverse
    moved: Tensor = (pixels - means[0]) @ change + means[1]
    return moved.reshape(item.shape).float()


def _root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix."""
    import torch

    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root


def equalize(image: Tensor) -> Tensor:
    """Brightness spread so that each level is about as frequent; colors keep their proportions."""
    check_finite(image)
    return map_colors(image, lambda item: _with_light(item, _equalized(luma(item)[..., 0])))


def clahe(image: Tensor, limit: float, tiles: int) -> Tensor:
    """The same tile by tile, with what is frequent held back: CLAHE.

    Args:
        limit: How many times its fair share a level may count; 1 changes next to nothing.
        tiles: In each direction; a value is between those of the four that are nearest.
    Source: Zuiderveld 1994, Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV.
    """
    check_finite(image)

    def work(item: Tensor) -> Tensor:
        light = luma(item)[..., 0].clamp(0, 1)
        return _with_light(item, _equalized_locally(light, limit, tiles))

    return map_colors(image, work)


def _with_light(item: Tensor, light: Tensor) -> Tensor:
    """Colors of another brightness: what all channels share is exchanged."""
    if item.shape[-1] == 1:
        return light[..., None]
    return item + (light[..., None] - luma(item))


def _equalized(light: Tensor) -> Tensor:
    """Values by their share of smaller ones, as scikit-image's `equalize_hist` computes it."""
    import numpy as np
    import torch

    values = light.numpy()
    counts, edges = np.histogram(values, bins=_BINS)
    total = counts.cumsum() / counts.sum()
    centers = (edges[:-1] + edges[1:]) / 2
    return torch.from_numpy(np.interp(values, centers, total).astype(np.float32))


def _equalized_locally(light: Tensor, limit: float, tiles: int) -> Tensor:
    import torch

    _, height, width = light.shape
    rows, columns = min(tiles, height), min(tiles, width)
    bins = (light[0] * (_BINS - 1)).round().long()
    tables = torch.stack(
        [
            torch.stack([_clahe_table(part, limit) for part in row.tensor_split(columns, dim=1)])
            for row in bins.tensor_split(rows, dim=0)
        ]
    )
    (top, bottom, down), (left, right, across) = _between(height, rows), _between(width, columns)
    down, across = down[:, None], across[None, :]

    def of(row: Tensor, column: Tensor) -> Tensor:
        return tables[row[:, None], column[None, :], bins]

    upper = of(top, left) * (1 - across) + of(top, right) * across
    lower = of(bottom, left) * (1 - across) + of(bottom, right) * across
    return (upper * (1 - down) + lower * down)[None]


def _clahe_table(part: Tensor, limit: float) -> Tensor:
    """What each level of a tile becomes, shape (256,)."""
    import torch

    counts = torch.bincount(part.flatten(), minlength=_BINS).float()
    most = max(1.0, limit * part.numel() / _BINS)
    excess = (counts - most).clamp(min=0).sum()
    counts = counts.clamp(max=most) + excess / _BINS
    return (counts.cumsum(0) - counts / 2) / part.numel()


def _between(length: int, parts: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of a side: the tile before, the tile after, and how near it is to that."""
    import torch

    at = (torch.arange(length) + 0.5) * parts / length - 0.5
    before = at.floor().clamp(0, parts - 1)
    after = (before + 1).clamp(max=parts - 1)
    share = (at - before).clamp(0, 1)
    return before.long(), after.long(), share
