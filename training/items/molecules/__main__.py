"""Make the model of molecules: train it, write it into the package, measure it, write its card."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from training.companions.job import Bar
from training.config import ROOT, FitConfig
from training.items.molecules.card import card
from training.items.molecules.data import load_tables
from training.items.molecules.measuring import measure
from training.items.molecules.model import MoleculeConfig, build_model, train
from training.items.shipping import go_on_from, ship

FIT = FitConfig(
    samples=6_200_000,
    batch=256,
    lr=2e-3,
    muon=True,
    ema=0.999,
    workers=1,
    channels_last=False,
)
BARS = (
    Bar("valid", least=95.0),
    Bar("led_valid", least=99.5),
    Bar("led_distinct", least=99.0),
    Bar("logp_error", most=0.3),
    Bar("rings_right", least=95.0),
    Bar("megabytes", most=4.0),
)
SHIPPED = ROOT / "nodegraph/families/embedded/items/molecules"
CARD = ROOT / "docs/model-cards/molecules.md"


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--minutes", type=float, default=0.0, help="of training; 0 is no limit")
    parser.add_argument("--samples", type=int, default=FIT.samples, help="molecules in all")
    parser.add_argument("--count", type=int, default=2000, help="molecules that are sampled")
    parser.add_argument(
        "--go-on", action="store_true", help="from the shipped weights, where there's no checkpoint"
    )
    parser.add_argument(
        "--only", choices=("train", "measure"), help="measure: what a checkpoint has by now"
    )
    return parser.parse_args()


def main() -> None:
    """Go on from where an earlier run got to."""
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    config = MoleculeConfig(replace(FIT, minutes=given.minutes, samples=given.samples))
    tables = load_tables(given.work, config.count, config.seed)
    if given.only != "measure":
        if given.go_on:
            record = json.loads((SHIPPED / "train.json").read_text(encoding="utf-8"))
            go_on_from(SHIPPED, record["progress"], given.work)
        train(config, tables, given.work)
    if given.only == "train":
        return
    model = build_model(config, tables.part(config.held))
    record = ship(model, given.work, SHIPPED) | {"settings": asdict(config)}
    figures = measure(SHIPPED, tables, config.held, given.count)
    figures["megabytes"] = round(record["bytes"] / 1e6, 2)
    missed = [bar.figure for bar in BARS if not bar.met(figures)]
    bars = [vars(bar) for bar in BARS]
    told = {"model": "molecules", "good": not missed, "missed": missed, "figures": figures}
    whole = {**told, "bars": bars, "count": given.count, **record}
    (SHIPPED / "train.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    CARD.parent.mkdir(parents=True, exist_ok=True)
    CARD.write_text(card(whole), encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
