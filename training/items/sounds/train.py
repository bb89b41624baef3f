"""Train the model of sounds: ``python -m training.items.sounds.train --work FOLDER``.

It goes on from the folder's checkpoint. Of the pool the last sounds are held out.
"""

import argparse
from pathlib import Path

from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.families.sounds import FEATURES, TOKENS
from training.config import FitConfig
from training.items.fitting import Objective, fit
from training.items.sounds.kinds import NAMES
from training.items.sounds.pool import drawing, stored_sounds

SEED = 3
SOUNDS = 32_000
POOL_SEED = 2
OBJECTIVE = Objective(shift=1.2, spread=1.6, drop=0.12, drop_all=0.1)
"""Kind, pitch and length all but decide a sound: much of it is learnt where there is only noise."""
STEPS = 16_000
BATCH = 64
NUMBER_MEAN, NUMBER_SPREAD = (8.9, 0.625), (1.4, 0.22)
"""Of octaves above 1 Hz and seconds, in the pool."""


def settings(steps: int) -> FitConfig:
    """Of a run of so many steps."""
    return FitConfig(
        samples=BATCH * steps,
        batch=BATCH,
        lr=2e-3,
        muon=True,
        ema=0.999,
        workers=1,
        channels_last=False,
    )


def build_model() -> ItemTransformer:
    """The untrained model."""
    model: ItemTransformer = ItemTransformer(
        tokens=TOKENS,
        features=FEATURES,
        width=180,
        condition_width=160,
        classes=(len(NAMES),),
        numbers=2,
        octaves=6,
        gives_clean=True,
    )
    model.number_mean.copy_(model.number_mean.new_tensor(NUMBER_MEAN))
    model.number_spread.copy_(model.number_spread.new_tensor(NUMBER_SPREAD))
    return model


def train(work: Path, steps: int) -> ItemTransformer:
    """The model with its averaged weights."""
    mels, sounds = stored_sounds(SOUNDS, POOL_SEED, work)
    model = build_model()
    fit(model, drawing(mels, sounds), OBJECTIVE, settings(steps), seed=SEED, folder=work)
    model.eval()
    return model


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--steps", type=int, default=STEPS, help="of 64 sounds each")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    train(arguments.work, arguments.steps)


if __name__ == "__main__":
    main()
