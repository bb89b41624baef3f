"""Train the model of molecules, going on from where an earlier run got to."""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from training.config import FitConfig
from training.items.molecules.data import load_tables
from training.items.molecules.model import MoleculeConfig, train

FIT = FitConfig(
    samples=6_200_000,
    batch=256,
    lr=2e-3,
    muon=True,
    ema=0.999,
    workers=1,
    channels_last=False,
)


def main() -> None:
    """Command line: a work folder, and how long to train."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--minutes", type=float, default=0.0, help="the most; 0 is no limit")
    parser.add_argument("--samples", type=int, default=FIT.samples, help="molecules in all")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    (arguments.work / "pid").write_text(f"{os.getpid()}\n", encoding="utf-8")
    fit = replace(FIT, minutes=arguments.minutes, samples=arguments.samples)
    config = MoleculeConfig(fit)
    tables = load_tables(arguments.work, config.count, config.seed)
    train(config, tables, arguments.work)


if __name__ == "__main__":
    main()
