"""FILM, a network for frame interpolation: its sizes by the tensors of its file.

Imports no torch.

Source: Reda et al. 2022, arXiv:2202.04901; google-research/frame-interpolation (Apache 2.0). The
names are those of its weights for PyTorch, as ComfyUI reads them (``film_net_fp16.safetensors``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

FILM = "film"
"""Kind of recipes of this network."""
FILM_LEVELS = 7
"""Sizes of a frame that it sees, each half the one before. The file does not say the number."""
IMAGE_CHANNELS, FLOW_CHANNELS = 3, 2

Shapes = Mapping[str, Sequence[int]]

_FEATURE = "extract.extract_sublevels.convs.{}.0.conv.weight"
_COARSE = "predict_flow._predictor._convs.{}.conv.weight"
_FINE = "predict_flow._predictors.{}._convs.{{}}.conv.weight"
_FUSION = "fuse.convs.{}.1.conv.weight"


@dataclass(frozen=True)
class FlowShape:
    """Sizes of a network that estimates motion at one level.

    Attributes:
        layers: 3 x 3 convolutions.
        width: Their channels.
    """

    layers: int
    width: int


@dataclass(frozen=True)
class FilmShape:
    """Sizes of a FILM network.

    Attributes:
        features: Channels that the feature extractor makes of an image at its size, at half of it,
            and so on.
        flows: Of the finest levels, one each, finest first; the last one is of all coarser levels.
        fusion: Channels of the fusion's levels, coarsest first.
    """

    features: tuple[int, ...]
    flows: tuple[FlowShape, ...]
    fusion: tuple[int, ...]

    def feature_channels(self, level: int) -> int:
        """Channels of all features at a level, counted from 0, the finest one."""
        return sum(self.features[: level + 1])

    def aligned_channels(self, level: int) -> int:
        """Channels that the fusion sees at a level: of two images, their features and flows."""
        return 2 * (IMAGE_CHANNELS + self.feature_channels(level) + FLOW_CHANNELS)


def film_shape(shapes: Shapes) -> FilmShape | None:
    """The sizes of the FILM network that tensors are of; None for any other network."""
    features = _widths(shapes, _FEATURE)
    fusion = _widths(shapes, _FUSION)
    coarse = _widths(shapes, _COARSE)
    fine = []
    for index in count():
        widths = _widths(shapes, _FINE.format(index))
        if not widths:
            break
        fine.append(widths)
    # Two 1 x 1 convolutions follow the others. The file lists the coarser levels first.
    estimators = [*reversed(fine), coarse]
    complete = features and fusion and all(len(widths) > 2 for widths in estimators)
    if not complete or "fuse.output_conv.weight" not in shapes:
        return None
    if len(fusion) >= FILM_LEVELS or len(estimators) > FILM_LEVELS:
        return None
    flows = tuple(FlowShape(len(widths) - 2, widths[0]) for widths in estimators)
    return FilmShape(features, flows, fusion)


def is_film(shapes: Shapes) -> bool:
    """Whether tensors are of FILM."""
    return film_shape(shapes) is not None


def _widths(shapes: Shapes, name: str) -> tuple[int, ...]:
    """Output channels of numbered convolutions, from number 0 up to the first missing one."""
    widths: list[int] = []
    for index in count():
        shape = shapes.get(name.format(index))
        if shape is None or len(shape) != 4:
            return tuple(widths)
        widths.append(shape[0])
    return tuple(widths)
