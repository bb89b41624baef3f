"""Train the model that sets pictures in motion: its settings, and the run."""

from pathlib import Path

from nodegraph.families.items.transformer import MotionTransformer
from training.config import FitConfig
from training.items.fitting import Objective, fit
from training.items.motions.pool import drawing, load_pool, make_pool

SEED = 5
CLIPS = 24_000
BATCH = 32
STEPS = 10_204
OBJECTIVE = Objective(shift=0.6, spread=1.3, drop=0.1, drop_all=0.08)
"""Where things go is settled where there is much noise."""
NUMBER_MEAN, NUMBER_SPREAD = 0.7, 0.17
"""Of amounts, in the pool."""


def settings(steps: int, workers: int, minutes: float = 0) -> FitConfig:
    """Of a run of so many steps, or minutes, whichever are over first; 0 minutes: no limit."""
    return FitConfig(
        samples=BATCH * steps,
        minutes=minutes,
        batch=BATCH,
        lr=2e-3,
        muon=True,
        ema=0.999,
        workers=workers,
        channels_last=False,
    )


def build_model() -> MotionTransformer:
    """The untrained model."""
    model: MotionTransformer = MotionTransformer()
    model.number_mean.fill_(NUMBER_MEAN)
    model.number_spread.fill_(NUMBER_SPREAD)
    return model


def train(work: Path, steps: int, workers: int, minutes: float = 0) -> MotionTransformer:
    """The model with its averaged weights; goes on from the folder's checkpoint."""
    make_pool(work / "pool", CLIPS, SEED, workers)
    model = build_model()
    draw = drawing(load_pool(work / "pool"))
    fit(model, draw, OBJECTIVE, settings(steps, workers, minutes), seed=SEED, folder=work)
    model.eval()
    return model
