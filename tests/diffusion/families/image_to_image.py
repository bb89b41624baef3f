"""Images made of images, by nodegraph and by the stock pipelines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nodegraph.diffusion import encode_image

from .checks import Unpack
from .conftest import Pair
from .equality import NEGATIVE, assert_same, picture, stock

WIDTH, HEIGHT = 96, 64

STRENGTHS = [
    (0.5, 4),
    pytest.param(0.13, 100, marks=pytest.mark.slow),
    pytest.param(0.99, 100, marks=pytest.mark.slow),
]
"""`denoise` and steps, whose product is whole: it is rounded down here, and up by some pipelines.

See docs/families.md.
"""


def as_tensor(drawn: Image.Image) -> Tensor:
    """An image as it travels on links: float32 in 0..1, shape (1, height, width, 3)."""
    return torch.from_numpy(np.array(drawn).astype(np.float32) / 255.0)[None]


class MostLikely:
    """Stands for an autoencoder of a stock pipeline: gives the most likely latent of an image.

    The pipelines draw one at random, which nodegraph never does; and they hand it images in
    another order in memory, which gives other last bits.
    """

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=self._vae.encode(pixels.contiguous()).latent_dist.mode())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)


def assert_starts_like_stock(
    pair: Pair,
    kind: Any,
    *,
    cfg: float,
    denoise: float = 0.5,
    steps: int = 4,
    unpack: Unpack | None = None,
    **options: Any,
) -> None:
    """A part of the way from an image, equal to the last bit.

    Args:
        kind: The pipeline's class for it.
        options: Of the stock pipeline.
    """
    pipeline, model = pair
    other = kind(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae = MostLikely(pipeline.vae)
    drawn = picture(WIDTH, HEIGHT)
    latent = encode_image(model.part("vae"), as_tensor(drawn))
    both = {"negative": NEGATIVE, "steps": steps}
    found = model.make(WIDTH, HEIGHT, latent=latent, denoise=denoise, cfg=cfg, **both)
    called = {"width": WIDTH, "height": HEIGHT, "image": drawn, "strength": denoise, **options}
    assert_same(found, stock(other, **both, **called), unpack(WIDTH, HEIGHT) if unpack else None)
