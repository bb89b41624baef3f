"""Recipes of helper networks: upscalers, frame interpolation, and classifiers of noisy latents.

Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.ports import port_type
from nodegraph.core.values import Recipe


@port_type(name="Classifier", color="#c2a5e0")
@dataclass(frozen=True, slots=True)
class LatentClassifier(Recipe):
    """Recipe of a classifier of noisy latents."""


@port_type(color="#7fc8a9")
@dataclass(frozen=True, slots=True)
class UpscaleModel(Recipe):
    """Recipe of a network that makes images larger, or mends them; its family is its kind."""

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(self.files[0].path)


@port_type(color="#8fbf9f")
@dataclass(frozen=True, slots=True)
class LatentUpscaleModel(Recipe):
    """Recipe of a network that makes latents larger; its family is its kind."""


@port_type(color="#9fb3df")
@dataclass(frozen=True, slots=True)
class FrameInterpolationModel(Recipe):
    """Recipe of a network that computes frames between others; its family is its kind."""

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(self.files[0].path)
