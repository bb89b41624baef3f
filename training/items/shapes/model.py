"""The model of shapes, the solids that it is trained on, and its training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.media.shapes.distance_grids import (
    COLOURS,
    FEATURES,
    KINDS,
    TOKENS,
    to_tokens,
)
from training.config import FitConfig
from training.items.fitting import Batch, DrawBatch, Objective, fit
from training.items.shapes.solids import grid_of, grid_points

OBJECTIVE = Objective(shift=0.5, drop=0.1, drop_all=0.1)


@dataclass(frozen=True)
class ShapesConfig:
    """The model and its training.

    Attributes:
        fit: The training.
        seed: Of the solids, and of the training.
        count: Solids that are computed.
        width: Of the network.
    """

    fit: FitConfig
    seed: int = 7
    count: int = 12_000
    width: int = 180


@dataclass(frozen=True)
class Shapes:
    """Solids that were made: distances as int8 in 127ths of the band, (count, 32, 32, 32); places
    of their kinds; how tall each is."""

    grids: Tensor
    kinds: Tensor
    tall: Tensor


def build_model(width: int) -> ItemTransformer:
    """The untrained model."""
    model: ItemTransformer = ItemTransformer(
        tokens=TOKENS,
        features=FEATURES,
        width=width,
        classes=(len(KINDS), len(COLOURS)),
        numbers=1,
        gives_clean=True,
    )
    return model


def train(config: ShapesConfig, work: Path) -> None:
    """Train to the end, going on from the last checkpoint."""
    torch.manual_seed(config.seed)
    model = build_model(config.width)
    shapes = make_shapes(config.count, config.seed)
    fit(model, drawing(shapes), OBJECTIVE, config.fit, seed=config.seed, folder=work)


def make_shapes(count: int, seed: int) -> Shapes:
    """As many of each kind; 1.4 ms each."""
    rng, points = np.random.default_rng(seed), grid_points()
    grids = torch.empty(count, *points.shape[:3], dtype=torch.int8)
    tall = torch.from_numpy(rng.uniform(-1, 1, count).astype(np.float32))
    kinds = torch.arange(count) % len(KINDS)
    for place in range(count):
        kind = KINDS[int(kinds[place])]
        grid = grid_of(points, kind, float(tall[place]), float(rng.random()))
        grids[place] = (grid * 127).round().to(torch.int8)
    return Shapes(grids, kinds, tall)


def drawing(shapes: Shapes) -> DrawBatch:
    """Batches of these solids, each in a colour by chance."""
    palette = torch.tensor(list(COLOURS.values()))

    def draw(count: int, rng: np.random.Generator) -> Batch:
        chosen = torch.from_numpy(rng.integers(0, len(shapes.kinds), count))
        colours = torch.from_numpy(rng.integers(0, len(palette), count))
        items = to_tokens(shapes.grids[chosen].float() / 127, palette[colours])
        classes = torch.stack([shapes.kinds[chosen], colours], 1)
        return Batch(items, classes, shapes.tall[chosen, None])

    return draw
