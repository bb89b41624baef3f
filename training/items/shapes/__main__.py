"""Make the model of shapes: train it, write it into the package, measure it, write its card."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from training.companions.job import Bar
from training.config import ROOT, FitConfig
from training.items.shapes.card import card
from training.items.shapes.measuring import STEPS, measure, sheet
from training.items.shapes.model import ShapesConfig, build_model, train
from training.items.shipping import ship

FIT = FitConfig(
    samples=64 * 8_000,
    batch=64,
    lr=2e-3,
    muon=True,
    ema=0.999,
    workers=1,
    channels_last=False,
)
BARS = (
    Bar("cfg2_nearest_right", least=0.97),
    Bar("cfg2_watertight", least=1.0),
    Bar("cfg2_colour_right", least=0.97),
    Bar("cfg2_proportion_error", most=0.1),
    Bar("megabytes", most=4.0),
)
SHIPPED = ROOT / "nodegraph/families/embedded/items/shapes"
CARD = ROOT / "docs/model-cards/shapes.md"


def main() -> None:
    """Go on from where an earlier run got to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--samples", type=int, default=FIT.samples, help="solids in all")
    parser.add_argument("--count", type=int, default=240, help="shapes that are measured")
    parser.add_argument(
        "--only", choices=("train", "measure"), help="measure: what a checkpoint has by now"
    )
    given = parser.parse_args()
    config = ShapesConfig(replace(FIT, samples=given.samples))
    if given.only != "measure":
        train(config, given.work)
    if given.only == "train":
        return
    record = ship(build_model(config.width), given.work, SHIPPED) | {"settings": asdict(config)}
    figures = measure(SHIPPED, given.count)
    figures["megabytes"] = round(record["bytes"] / 1e6, 2)
    missed = [bar.figure for bar in BARS if not bar.met(figures)]
    told = {"model": "shapes", "good": not missed, "missed": missed, "figures": figures}
    bars = [asdict(bar) for bar in BARS]
    whole = {**told, "bars": bars, "count": given.count, "steps": STEPS, **record}
    (SHIPPED / "train.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    CARD.parent.mkdir(parents=True, exist_ok=True)
    CARD.write_text(card(whole), encoding="utf-8")
    sheet(SHIPPED, given.work / "sheet.png")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
