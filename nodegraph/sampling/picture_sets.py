"""Compare sets of images by features: Fréchet distance, precision, recall, coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.context import Context
from nodegraph.core.plots import Plot, Series
from nodegraph.core.text_format import format_share
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder
from nodegraph.media.images.editing.metrics import SetMeasures, Vectors, set_measures
from nodegraph.models.noisy_classifier import LatentClassifierComponent
from nodegraph.models.vae import encode_image

_AT_ONCE = 32
_SHARES = ("precision", "recall", "coverage")

Describe = Callable[[Tensor], Tensor]
"""Features, (batch, features), of images, (batch, height, width, 3) in 0..1."""


def by_classifier(
    judge: LatentClassifierComponent, autoencoder: Autoencoder, side: int
) -> Describe:
    """What a classifier of noisy latents looks at before it names things.

    Args:
        side: Pixels of the square that images are brought to: what it was made for.
    """

    @torch.no_grad()
    def described(pictures: Tensor) -> Tensor:
        samples = encode_image(autoencoder, squares(pictures, side)).samples
        assert samples is not None
        times = torch.zeros(len(samples), device=judge.device)
        return judge.network.features(samples.to(judge.device, judge.dtype), times)

    return described


def features_of(
    images: Sequence[Tensor], describe: Describe, on_batch: Callable[[], None]
) -> Vectors:
    """Of all images of some batches, in their order.

    Raises:
        InvalidValue: There is no image.
    """

    def parts() -> Iterator[Vectors]:
        for image in images:
            coloured = image[..., :3].expand(*image.shape[:3], 3)
            for start in range(0, len(coloured), _AT_ONCE):
                yield describe(coloured[start : start + _AT_ONCE]).float().cpu().numpy()
                on_batch()

    features = list(parts())
    if not features:
        raise InvalidValue("there are no images to compare")
    return np.concatenate(features)


def squares(pictures: Tensor, side: int) -> Tensor:
    """Images of one size as squares; (batch, side, side, 3)."""
    planes = pictures.movedim(-1, 1)
    if planes.shape[-2:] != (side, side):
        planes = functional.interpolate(
            planes, (side, side), mode="bilinear", antialias=True, align_corners=False
        )
    return planes.movedim(1, -1)


def compare_sets(
    ctx: Context,
    reference: Sequence[Tensor],
    made: Sequence[Tensor],
    describe: Describe,
    name: str,
    neighbours: int,
) -> tuple[float, float, float, float, Plot, str]:
    """Measures, a plot and a report of a set beside a reference.

    Raises:
        InvalidValue: There are too few images.
    """
    real, generated = (
        features_of(each, describe, ctx.check_cancelled) for each in (reference, made)
    )
    measures = set_measures(real, generated, neighbours)
    # Precision is a share of what was made; the others are shares of the reference.
    totals = (len(generated), len(real), len(real))
    shares = ", ".join(
        f"{each} {format_share(getattr(measures, each), total)}"
        for each, total in zip(_SHARES, totals, strict=True)
    )
    report = (
        f"{name or 'Made'}: {len(generated)} images compared with {len(real)}: Fréchet "
        f"distance {measures.frechet:.2f}, {shares}"
    )
    return *measures, measures_plot(measures, name, len(generated)), report


def measures_plot(measures: SetMeasures, name: str, count: int) -> Plot:
    """Shares as bars; the distance, which is none, in the note."""
    shares = tuple(getattr(measures, each) for each in _SHARES)
    series = Series(name, _SHARES, shares, "bars")
    # The font of drawn plots has no accents.
    note = f"{name or 'Made'}: {count} images, Frechet distance {measures.frechet:.2f}."
    return Plot("Sets of images compared with the reference", "", "share", (series,), notes=(note,))
