"""Segmentation without a model: color selection, random walk, superpixels.

What needs scikit-image says so where it is missing. Images with NaN or infinity are refused: no
color is near to those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.pixel_formats import check_finite
from nodegraph.media.images.mask_morphology import components_at, feather_mask
from nodegraph.media.images.masks import as_rgb, resize_mask
from nodegraph.media.images.regions import Rectangle
from nodegraph.media.images.resizing import resize_image
from nodegraph.media.images.scikit_image import check_segment_installed

if TYPE_CHECKING:
    from numpy.typing import NDArray

Points = Sequence[tuple[int, int]]
"""x and y each, in pixels."""
SuperpixelMethod = Literal["slic", "felzenszwalb", "watershed"]

_LARGEST = 320
"""Pixels of the longer side at which a random walker works; what it finds is scaled up."""
_BETA = 130.0
"""How hard it is for the walker to pass a change of color; scikit-image's own."""
_CLUSTERS = 5
"""Colors that a background is taken to have. Source: Rother et al. 2004 (GrabCut), section 3.2."""
_SAMPLE = 4096
"""Pixels by which those are told."""


def pixel_points(
    points: Sequence[tuple[float, float]], size: tuple[int, int], unit: str, port: str = "points"
) -> list[tuple[int, int]]:
    """Points as whole pixels of an image.

    Args:
        size: Width and height.
        unit: ``pixels``, or ``shares`` of the sides.
    Raises:
        InvalidValue: One lies outside.
    """
    pixels = []
    for x, y in points:
        scale = size if unit == "shares" else (1, 1)
        column, row = int(x * scale[0]), int(y * scale[1])
        # The right and lower edge are the last pixel's.
        column, row = column - (x * scale[0] == size[0]), row - (y * scale[1] == size[1])
        if not (0 <= column < size[0] and 0 <= row < size[1]) or x < 0 or y < 0:
            expected = "0 to 1" if unit == "shares" else f"below {size[0]} and {size[1]}"
            raise InvalidValue(
                "a point lies outside the image", port=port, given=f"{x}, {y}", expected=expected
            )
        pixels.append((column, row))
    return pixels


def select_similar_colors(
    image: Tensor, points: Points, tolerance: float, *, connected: bool = True
) -> Tensor:
    """What is of the color that images have at some points: a magic wand.

    Args:
        image: (batch, height, width, channels).
        tolerance: Largest difference in any of red, green and blue, 0..1.
        connected: Only what is connected with the points.
    Returns:
        0 or 1, (batch, height, width).
    """
    check_finite(image)
    colors = as_rgb(image)
    result = torch.zeros(image.shape[:3])
    for at, picture in enumerate(colors):
        for x, y in points:
            near = (picture - picture[y, x]).abs().amax(-1) <= tolerance + 1e-6
            selected = components_at(near, [(x, y)]) if connected else near
            result[at] = torch.maximum(result[at], selected.float())
    return result


def select_by_points(image: Tensor, points: Points, excluded: Points, radius: int = 3) -> Tensor:
    """The things that some points are on: what a random walk reaches from there more likely than
    from the points that are excluded, or from the image's border where there are none.

    Args:
        image: (batch, height, width, channels).
        radius: Pixels around a point that belong to it.
    Returns:
        0 or 1, (batch, height, width).
    Source: Grady 2006, IEEE PAMI 28, 11.
    """
    check_segment_installed()
    check_finite(image)
    height, width = image.shape[1:3]
    seeds = np.zeros((height, width), dtype=np.int32)
    if not excluded:
        seeds[[0, -1], :] = seeds[:, [0, -1]] = 2
    rows, columns = np.ogrid[:height, :width]
    for label, places in ((2, excluded), (1, points)):
        for x, y in places:
            seeds[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = label
    return torch.stack([_random_walk(picture, seeds) for picture in as_rgb(image)])


def select_by_box(image: Tensor, box: Rectangle) -> Tensor:
    """The thing in a box: what is there and unlike what is around the box.

    After GrabCut: the colors outside tell the background's, what in the box is surely of others
    is the thing, and a random walk decides the rest.

    Args:
        image: (batch, height, width, channels).
        box: Left and upper edge, width and height, in pixels; some of the image lies outside.
    Returns:
        0 or 1, (batch, height, width).
    Raises:
        InvalidValue: Nothing is outside the box, or nothing in the image inside it.
    """
    check_segment_installed()
    check_finite(image)
    x, y, width, height = box
    inside = np.zeros(image.shape[1:3], dtype=np.bool_)
    inside[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = True
    if inside.all() or not inside.any():
        raise InvalidValue(
            "the box contains the whole image or nothing of it",
            port="box",
            given=f"{width} x {height} pixels at {x}, {y}",
            expected="a box with some background outside it",
        )
    return torch.stack([_grab_cut(picture, inside) for picture in as_rgb(image)])


def _grab_cut(picture: Tensor, inside: NDArray[np.bool_]) -> Tensor:
    from skimage.color import rgb2lab
    from skimage.filters import threshold_otsu

    lab = rgb2lab(picture.clamp(0, 1).numpy())
    unlike = _distance_to_any(lab, _main_colors(lab[~inside]))
    own = unlike[inside]
    if float(own.max() - own.min()) < 1:
        return torch.zeros(inside.shape)
    border = float(threshold_otsu(own))
    seeds = np.where(inside, 0, 2).astype(np.int32)
    seeds[inside & (unlike > 1.25 * border)] = 1
    seeds[inside & (unlike < 0.5 * border)] = 2
    return _random_walk(picture, seeds) if (seeds == 1).any() else torch.zeros(inside.shape)


def _main_colors(colors: NDArray[Any]) -> NDArray[Any]:
    """A few colors that some are near to: k-means, from the most unlike ones."""
    sample = colors[:: max(1, len(colors) // _SAMPLE)]
    centers = sample[:1]
    for _ in range(_CLUSTERS - 1):
        centers = np.vstack((centers, sample[_distance_to_any(sample, centers).argmax()]))
    for _ in range(10):
        nearest = np.linalg.norm(sample[:, None] - centers, axis=-1).argmin(1)
        centers = np.stack(
            [
                sample[nearest == at].mean(0) if (nearest == at).any() else centers[at]
                for at in range(len(centers))
            ]
        )
    return centers


def _distance_to_any(colors: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    nearest: NDArray[Any] = np.min(
        [np.linalg.norm(colors - color, axis=-1) for color in known], axis=0
    )
    return nearest


def _random_walk(picture: Tensor, seeds: NDArray[np.int32]) -> Tensor:
    """Where a random walk is more likely to have begun at 1 than at 2; seeds of 0 are open."""
    from skimage.segmentation import random_walker

    height, width = seeds.shape
    scale = max(1.0, max(height, width) / _LARGEST)
    size = max(2, round(width / scale)), max(2, round(height / scale))
    small = resize_image(picture[None], *size, method="area")[0].numpy()
    labels = _downscale_seeds(seeds, size)
    if not (labels == 0).any():
        is_foreground = labels == 1
    else:
        is_foreground = (
            random_walker(
                small, labels, beta=_BETA, mode="cg_j", tol=1e-5, prob_tol=1.0, channel_axis=-1
            )
            == 1
        )
    mask = torch.from_numpy(np.ascontiguousarray(is_foreground, dtype=np.float32))[None]
    return (resize_mask(mask, width, height)[0] >= 0.5).float()


def _downscale_seeds(seeds: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    """Seeds in a smaller size; a single pixel of one isn't lost."""
    if seeds.shape == (size[1], size[0]):
        return seeds
    marked = torch.from_numpy(np.stack([seeds == 2, seeds == 1])).float()
    small = torch.nn.functional.adaptive_max_pool2d(marked, (size[1], size[0])).numpy() > 0
    # A point that is selected stands out from a background that touches it.
    return np.where(small[1], 1, np.where(small[0], 2, 0)).astype(np.int32)


def label_superpixels(picture: Tensor, method: SuperpixelMethod, parts: int) -> NDArray[np.int64]:
    """A number from 0 up for each part of alike pixels; about so many parts.

    Args:
        picture: (height, width, 3).
        method: ``slic``: parts of about one size; ``felzenszwalb``: as large as they are even;
            ``watershed``: along the edges.
    """
    check_segment_installed()
    from skimage import color, filters, segmentation

    pixels = picture.clamp(0, 1).numpy()
    area = pixels.shape[0] * pixels.shape[1]
    if method == "slic":
        labels = segmentation.slic(pixels, parts, compactness=10, start_label=0, channel_axis=-1)
    elif method == "felzenszwalb":
        least = max(1, area // (4 * parts))
        labels = segmentation.felzenszwalb(pixels, scale=100, sigma=0.8, min_size=least)
    else:
        slopes = filters.sobel(color.rgb2gray(pixels))
        labels = segmentation.watershed(slopes, parts, compactness=1e-3) - 1
    return np.asarray(labels, dtype=np.int64)


def superpixels(image: Tensor, method: SuperpixelMethod, parts: int) -> tuple[Tensor, Tensor]:
    """Images with each part of alike pixels in its mean color, and the parts' borders.

    Returns:
        (batch, height, width, 3); 0 or 1, (batch, height, width).
    """
    from skimage.segmentation import find_boundaries

    check_finite(image)
    means, borders = [], []
    for picture in as_rgb(image):
        labels = label_superpixels(picture, method, parts)
        flat = torch.from_numpy(labels).flatten()
        count = torch.bincount(flat).clamp(min=1)[:, None]
        sums = torch.zeros(len(count), 3).index_add_(0, flat, picture.reshape(-1, 3))
        means.append((sums / count)[flat].view(picture.shape))
        borders.append(torch.from_numpy(find_boundaries(labels, mode="inner")).float())
    return torch.stack(means), torch.stack(borders)


def select_superpixels(
    image: Tensor, points: Points, method: SuperpixelMethod, parts: int
) -> Tensor:
    """The parts of alike pixels that some points lie in; 0 or 1, (batch, height, width)."""
    check_finite(image)
    masks = []
    for picture in as_rgb(image):
        labels = label_superpixels(picture, method, parts)
        wanted = [labels[y, x] for x, y in points]
        masks.append(torch.from_numpy(np.isin(labels, wanted)).float())
    return torch.stack(masks)


def plain_background(image: Tensor, tolerance: float, softness: float = 0) -> Tensor:
    """What isn't the even background that images stand on: 0 at their border, where it is alike.

    The background is connected with the border, and near to one of the border's main colors.

    Args:
        image: (batch, height, width, channels).
        tolerance: Largest difference in any of red, green and blue, 0..1.
        softness: Pixels over which the edge fades inwards.
    Returns:
        1 on what stands there, (batch, height, width).
    """
    check_finite(image)
    masks = []
    for picture in as_rgb(image):
        border = torch.cat((picture[0], picture[-1], picture[:, 0], picture[:, -1]))
        colors = torch.from_numpy(_main_colors(border.numpy())).float()
        apart = torch.stack([(picture - color).abs().amax(-1) for color in colors]).amin(0)
        around = torch.nn.functional.pad((apart <= tolerance)[None], (1, 1, 1, 1), value=True)[0]
        # A frame connects all that touches the border.
        masks.append(~components_at(around, [(0, 0)])[1:-1, 1:-1])
    return feather_mask(torch.stack(masks).float(), softness, "linear", "inward")
