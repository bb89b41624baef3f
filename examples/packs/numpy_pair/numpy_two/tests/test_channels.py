"""Tests of the channels. They need numpy 2.1."""

from collections.abc import Callable
from typing import Any

import torch


def test_a_channel_becomes_a_gray_image(run_node: Callable[..., Any]) -> None:
    image = torch.rand(2, 8, 8, 3)
    result = run_node("numpy_two:SelectChannel", image=image, channel="blue")
    assert torch.equal(result.image, image[..., 2:].expand(-1, -1, -1, 3))
