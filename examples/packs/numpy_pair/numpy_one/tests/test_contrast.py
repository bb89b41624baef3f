"""Tests of the contrast stretch. They need numpy 1."""

from collections.abc import Callable
from typing import Any

import torch


def test_each_image_uses_the_whole_range(run_node: Callable[..., Any]) -> None:
    image = torch.rand(2, 8, 8, 3) * 0.5 + 0.2
    stretched = run_node("numpy_one:StretchContrast", image=image)
    assert stretched.numpy.startswith("1.")
    assert torch.equal(stretched.image.amin((1, 2, 3)), torch.zeros(2))
    assert torch.equal(stretched.image.amax((1, 2, 3)), torch.ones(2))


def test_an_image_of_one_color_stays(run_node: Callable[..., Any]) -> None:
    image = torch.full((1, 8, 8, 3), 0.3)
    assert torch.equal(run_node("numpy_one:StretchContrast", image=image).image, image)
