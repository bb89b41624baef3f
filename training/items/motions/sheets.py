"""Clips to look at: renders beside what a model makes of their first frames."""

import numpy as np
from PIL import Image

from nodegraph.families.items.motions import MOTIONS
from nodegraph.families.items.transformer import ItemTransformer
from training.items.motions.asking import by_formula
from training.items.motions.measuring import SEED, judging, made
from training.items.motions.pool import seen_and_held
from training.pixels import sheet as contact_sheet

_EVERY = 2


def sheet(model: ItemTransformer, scale: float, rows: int = 2) -> Image.Image:
    """Every other frame of clips of things that the training didn't see: on the left by formula, on
    the right the model's; so many of each motion."""
    measures = judging()
    asked = by_formula(seen_and_held()[1], rows * len(MOTIONS), SEED + 3)
    assert asked.renders is not None
    pair = asked.renders, made(model, measures, asked, cfg=scale)
    both = np.concatenate([clips[:, ::_EVERY] for clips in pair], 1)
    return contact_sheet(both.reshape(-1, *both.shape[2:]), both.shape[1])
