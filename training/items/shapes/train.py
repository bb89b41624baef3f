"""Train the model of shapes: ``python -m training.items.shapes.train --work FOLDER``."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nodegraph.diffusion.items.transformer import ItemTransformer
from nodegraph.shapes.grids import (
    COLOURS,
    FEATURES,
    KINDS,
    TOKENS,
    to_tokens,
)
from training.config import FitConfig
from training.items.fitting import Batch, DrawBatch, Objective, fit
from training.items.shapes.solids import grid_of, grid_points

SEED = 7
OBJECTIVE = Objective(shift=0.5, drop=0.1, drop_all=0.1)
FIT = FitConfig(
    samples=64 * 8_000,
    batch=64,
    lr=2e-3,
    muon=True,
    ema=0.999,
    workers=1,
    channels_last=False,
)


@dataclass(frozen=True)
class Shapes:
    """Solids that were made: distances as int8 in 127ths of the band, (count, 32, 32, 32); places
    of their kinds; how tall each is."""

    grids: Tensor
    kinds: Tensor
    tall: Tensor


def build_model() -> ItemTransformer:
    """The untrained model."""
    model: ItemTransformer = ItemTransformer(
        tokens=TOKENS,
        features=FEATURES,
        width=180,
        classes=(len(KINDS), len(COLOURS)),
        numbers=1,
        gives_clean=True,
    )
    return model


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


def main() -> None:
    """Train, going on from the last checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12_000, help="solids that are made first")
    arguments = parser.parse_args()
    torch.manual_seed(SEED)
    model = build_model()
    shapes = make_shapes(arguments.count, SEED)
    fit(model, drawing(shapes), OBJECTIVE, FIT, seed=SEED, folder=arguments.work)


if __name__ == "__main__":
    main()
