"""Tiny pipelines of random weights, one for each class that is run in tests.

Nothing is trained: images are noise, which is enough to compare two ways to the same bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.pipelines.tiny import images, others, plain, sounds, stable, videos
from tests.pipelines.tiny.base import Tiny

TINY: Mapping[str, Callable[[], Tiny]] = {
    **stable.PIPELINES,
    **plain.PIPELINES,
    **images.PIPELINES,
    **videos.PIPELINES,
    **sounds.PIPELINES,
    **others.PIPELINES,
}
"""By the names of their classes."""


def tiny(name: str) -> Tiny:
    """The tiny pipeline of a class: the same weights each time."""
    with torch.random.fork_rng([]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries about each other
        torch.manual_seed(0)
        made = TINY[name]()
    for part in made.pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval()
    return made


def saved(name: str, folder: Path) -> dict[str, Any]:
    """Save the tiny pipeline of a class as a folder of its name; what to call it with."""
    made = tiny(name)
    with redirect_stderr(StringIO()):  # bars of the libraries
        made.pipeline.save_pretrained(folder / name)
    for part, tool in made.besides.items():
        tool.save_pretrained(folder / name / part)
    return made.call
