"""The colours of one picture on another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.color_spaces import lab_to_rgb, rgb_to_lab
from nodegraph.media.images.editing.pictures import (
    as_rgb,
    check_channels,
    check_finite,
    map_colors,
    split_alpha,
)

if TYPE_CHECKING:
    from torch import Tensor

MatchMethod = Literal["mean and spread", "histogram", "covariance"]


def match_colors(image: Tensor, reference: Tensor, method: MatchMethod, amount: float) -> Tensor:
    """Pictures with the colours of a reference.

    Args:
        reference: One picture, or one for each; of any size.
        method: ``mean and spread`` of each coordinate in CIE Lab (Reinhard et al. 2001,
            doi:10.1109/38.946629); ``histogram`` of each channel; ``covariance`` of all three
            together, by the map that changes least (Pitié and Kokaram 2007, MKL).
        amount: 0..1.
    Raises:
        InvalidValue: There are neither one reference nor one for each picture.
    """
    import torch

    check_channels(reference, "reference")
    check_finite(image)
    check_finite(reference, "reference")
    if len(reference) not in (1, len(image)):
        raise InvalidValue(
            "there are neither one reference nor one for each picture",
            port="reference",
            given=f"{len(reference)} pictures",
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
    # A little grey noise, as flat pictures have no directions.
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
