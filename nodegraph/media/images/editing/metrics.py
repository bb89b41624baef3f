"""Image metrics: PSNR, SSIM and GMSD of pairs; Frechet distance and recall of sets.

Values of sets are comparable only with the same features and the same number of images, and not
with published ones. Compare each with the value of two sets of real images of that size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.pixel_formats import (
    check_channels,
    check_shapes,
    luma,
    split_alpha,
    to_nchw,
)

if TYPE_CHECKING:
    from torch import Tensor

Vectors = npt.NDArray[np.floating]
_Matrix = npt.NDArray[np.float64]


class SetMeasures(NamedTuple):
    """How a made set is beside a reference.

    Attributes:
        frechet: Fréchet distance; 0 is alike.
        precision: Share of what is made that lies among the reference: how good single ones are.
        recall: Share of the reference that lies among what is made: how much of it could be made.
        coverage: Share of the reference that something made is near to: how much of it was made.
    """

    frechet: float
    precision: float
    recall: float
    coverage: float


def set_measures(reference: Vectors, generated: Vectors, neighbours: int = 3) -> SetMeasures:
    """Compare two sets by their features.

    Sources: Heusel et al. 2017, arXiv:1706.08500; Kynkäänniemi et al. 2019, arXiv:1904.06991,
    equations 1 and 2; coverage: Naeem et al. 2020, arXiv:2002.09797, equation 5.

    Args:
        neighbours: An image's surroundings reach as far as its neighbor of this number.
    Raises:
        InvalidValue: A set is too small for so many neighbors.
    """
    fewest = min(len(reference), len(generated))
    if fewest <= max(neighbours, 1):
        raise InvalidValue(
            "a set has too few images for this number of neighbors",
            port="reference" if len(reference) == fewest else "made",
            given=f"{fewest} images",
            expected=f"more than {max(neighbours, 1)}",
        )
    apart = _distances(generated, reference)
    around, around_made = (_radii(each, neighbours) for each in (reference, generated))
    within = apart <= around[None, :]
    return SetMeasures(
        frechet_distance(reference, generated),
        float(within.any(1).mean()),
        float((apart <= around_made[:, None]).any(0).mean()),
        float(within.any(0).mean()),
    )


def _distances(first: Vectors, second: Vectors) -> _Matrix:
    """Squared, (first, second)."""
    first_vectors, second_vectors = first.astype(np.float64), second.astype(np.float64)
    squares = (
        (first_vectors**2).sum(1)[:, None]
        + (second_vectors**2).sum(1)[None, :]
        - 2 * first_vectors @ second_vectors.T
    )
    distances: _Matrix = np.maximum(squares, 0.0)
    return distances


def _radii(vectors: Vectors, neighbours: int) -> _Matrix:
    """Squared distance of each to its neighbor of this number, itself not counted."""
    radii: _Matrix = np.partition(_distances(vectors, vectors), neighbours, axis=1)[:, neighbours]
    return radii


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Squared 2-Wasserstein distance of Gaussians fitted to two sets of features, each (n, d).

    It falls with n, and is not 0 for two samples of one distribution: read it beside the distance
    of two sets of real images, as many each.

    Raises:
        ValueError: a set has fewer than two members, or the features differ in number.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"needs two sets of vectors, got {first.shape} and {second.shape}")
    first_vectors, second_vectors = first.astype(np.float64), second.astype(np.float64)
    shift = first_vectors.mean(axis=0) - second_vectors.mean(axis=0)
    spread, other = np.cov(first_vectors, rowvar=False), np.cov(second_vectors, rowvar=False)
    spread, other = np.atleast_2d(spread), np.atleast_2d(other)
    root = _root(spread)
    # The product of two covariances is not symmetric; this one is, and has the same eigenvalues.
    shared = np.linalg.eigvalsh(root @ other @ root)
    overlap = np.sqrt(np.clip(shared, 0.0, None)).sum()
    return float(shift @ shift + np.trace(spread) + np.trace(other) - 2.0 * overlap)


def _root(matrix: _Matrix) -> _Matrix:
    """Square root of a symmetric matrix without negative eigenvalues, (d, d)."""
    values, vectors = np.linalg.eigh(matrix)
    root: _Matrix = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    return root


_SSIM_DEVIATION, _SSIM_REACH = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2
"""Wang et al. 2004, for values in 0..1."""
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales of MS-SSIM: Wang, Simoncelli and Bovik 2003."""
_GMSD_C = 170 / 255**2


@dataclass(frozen=True)
class SimilarityMetrics:
    """How alike two batches are, each a mean over its images.

    Attributes:
        mse, rms, mae: Mean squared, root of that, and mean absolute difference.
        psnr: Decibels; infinity for equal images.
        ssim: Structural similarity, 1 for equal images.
        ms_ssim: The same over several sizes.
        gmsd: Deviation of the likeness of edges: 0 for equal images; perceptual, without weights.
    """

    mse: float
    rms: float
    mae: float
    psnr: float
    ssim: float
    ms_ssim: float
    gmsd: float


def compare(image: Tensor, other: Tensor) -> SimilarityMetrics:
    """How alike images are; alpha counts as a channel in differences, and not in structure.

    Args:
        other: One for all of `image`, or as many.
    Raises:
        InvalidValue: They differ in size, number or channels.
    """
    check_same_shape(image, other)
    other = other.expand_as(image)
    apart = image.double() - other.double()
    mse = float(apart.square().mean())
    pairs = [
        tuple(to_nchw(split_alpha(batch[at : at + 1].double())[0]) for batch in (image, other))
        for at in range(len(image))
    ]
    return SimilarityMetrics(
        mse=mse,
        rms=math.sqrt(mse),
        mae=float(apart.abs().mean()),
        psnr=-10 * math.log10(mse) if mse else math.inf,
        ssim=_mean([float(_ssim(*pair)[0].mean()) for pair in pairs]),
        ms_ssim=_mean([_ms_ssim(*pair) for pair in pairs]),
        gmsd=_mean([_gmsd(*pair) for pair in pairs]),
    )


def check_same_shape(image: Tensor, other: Tensor) -> None:
    """Refuse images that can't be compared pixel by pixel.

    Args:
        other: One for all of `image`, or as many.
    Raises:
        InvalidValue: They differ in size, number or channels.
    """
    check_channels(image)
    check_shapes(image.shape, other.shape)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _ssim(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its part without brightness, where the window has all its pixels.

    With the window, the constants and the borders of scikit-image's `structural_similarity` for
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Args:
        first, second: (1, channels, height, width).
    """
    means = [_smoothed(first), _smoothed(second)]
    squares = [_smoothed(first * first), _smoothed(second * second), _smoothed(first * second)]
    spread = squares[0] - means[0] ** 2 + squares[1] - means[1] ** 2
    together = squares[2] - means[0] * means[1]
    contrast = (2 * together + _C2) / (spread + _C2)
    light = (2 * means[0] * means[1] + _C1) / (means[0] ** 2 + means[1] ** 2 + _C1)
    return light * contrast, contrast


def _smoothed(planes: Tensor) -> Tensor:
    """Weighted means of windows of 11 x 11 pixels, or of what a smaller image has."""
    import torch
    import torch.nn.functional as F  # noqa: N812 - its usual name

    channels = planes.shape[1]
    for axis in (2, 3):
        reach = min(_SSIM_REACH, (planes.shape[axis] - 1) // 2)
        at = torch.arange(-reach, reach + 1, dtype=planes.dtype)
        weights = torch.exp(-0.5 * (at / _SSIM_DEVIATION) ** 2)
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        kernel = (weights / weights.sum()).view(shape).repeat(channels, 1, 1, 1)
        planes = F.conv2d(planes, kernel, groups=channels)
    return planes


def _ms_ssim(first: Tensor, second: Tensor) -> float:
    """MS-SSIM; of small images over fewer scales, whose weights are raised to 1 together."""
    import torch.nn.functional as F  # noqa: N812 - its usual name

    least = 2 * _SSIM_REACH + 1
    fits = max(1, int(math.log2(max(1, min(first.shape[2:]) / least))) + 1)
    weights = _SCALES[: min(len(_SCALES), fits)]
    total = 1.0
    for at, weight in enumerate(weights):
        whole, contrast = _ssim(first, second)
        part = whole if at == len(weights) - 1 else contrast
        total *= max(0.0, float(part.mean())) ** (weight / sum(weights))
        if at < len(weights) - 1:
            first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
    return total


def _gmsd(first: Tensor, second: Tensor) -> float:
    """GMSD of the brightness at half size.

    Source: Xue et al. 2014, Gradient Magnitude Similarity Deviation, doi:10.1109/TIP.2013.2293423.
    """
    edges = [_edges(luma(planes.movedim(1, -1))[..., 0][:, None]) for planes in (first, second)]
    alike = (2 * edges[0] * edges[1] + _GMSD_C) / (edges[0] ** 2 + edges[1] ** 2 + _GMSD_C)
    return float(alike.std(correction=0))


def _edges(light: Tensor) -> Tensor:
    """How steep it is, by Prewitt's kernels."""
    import torch
    import torch.nn.functional as F  # noqa: N812 - its usual name

    small = F.avg_pool2d(light, 2) if min(light.shape[2:]) >= 2 else light
    wide = F.pad(small, (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor([[1.0, 0, -1]] * 3, dtype=light.dtype) / 3
    across, down = (F.conv2d(wide, part[None, None]) for part in (kernel, kernel.T.contiguous()))
    return (across**2 + down**2).sqrt()


def differences(image: Tensor, other: Tensor, gain: float) -> tuple[Tensor, float]:
    """Where images differ, multiplied by a gain, and the root of the mean squared difference."""
    apart = (image - other).abs()
    return (apart * gain).clamp(0, 1), float(apart.square().mean().sqrt())


def psnr(rms: float) -> float:
    """Decibels of a root mean squared difference; infinity for none."""
    return -20 * math.log10(rms) if rms else math.inf


def split_view(
    image: Tensor,
    other: Tensor,
    position: float,
    direction: Literal["horizontal", "vertical"],
    line: int,
) -> Tensor:
    """The one image up to a place, the other one from there.

    Args:
        other: Scaled to the size of the first; as many, or one for all.
        position: 0..1.
        line: Pixels of the white line between them.
    Returns:
        3 channels; what is transparent shows its colors.
    """
    import torch

    from nodegraph.media.images.editing.pixel_formats import as_rgb
    from nodegraph.media.images.masks import broadcast_batches
    from nodegraph.media.images.resizing import resize_image

    check_channels(other, "other")
    if other.shape[1:3] != image.shape[1:3]:
        other = resize_image(other, image.shape[2], image.shape[1])
    parts = broadcast_batches(as_rgb(split_alpha(image)[0]), as_rgb(split_alpha(other)[0]), "other")
    axis = 2 if direction == "horizontal" else 1
    length = image.shape[axis]
    at = round(position * length)
    made = torch.cat([parts[0].narrow(axis, 0, at), parts[1].narrow(axis, at, length - at)], axis)
    if 0 < at < length and line:
        start = max(0, at - line // 2)
        made.narrow(axis, start, min(line, length - start)).fill_(1)
    return made.clamp(0, 1)
