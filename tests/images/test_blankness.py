"""Images that show nothing."""

from __future__ import annotations

import torch

from nodegraph.models.vae import blank_warnings


def test_what_is_one_colour_all_over_is_told_by_its_place() -> None:
    dots = torch.zeros(8, 6, 3)
    dots[3, 2, 1] = 2 / 255
    pictures = torch.stack([dots, torch.zeros(8, 6, 3), torch.ones(8, 6, 3)])
    black, white = blank_warnings(pictures)
    assert black.startswith("image 2 of 3 is black all over.")
    assert "cfg" in black
    assert white.startswith("image 3 of 3 is white all over.")


def test_a_colour_of_several_channels_is_one_too() -> None:
    orange = torch.tensor([1.0, 0.5, 0.0]).expand(1, 8, 6, 3)
    [told] = blank_warnings(orange)
    assert told.startswith("the image is of one color all over.")
