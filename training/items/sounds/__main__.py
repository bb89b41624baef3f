"""Train, measure and ship the model of sounds: ``python -m training.items.sounds --work FOLDER``.

Each part can be done by itself; a run that is going on can be measured and shipped, too.
"""

import argparse
import json
from pathlib import Path

from training.config import ROOT
from training.items.fitting import averaged
from training.items.shipping import ship, told_of
from training.items.sounds.card import card
from training.items.sounds.measuring import measured
from training.items.sounds.train import BATCH, SOUNDS, STEPS, build_model, train

SHIPPED = ROOT / "nodegraph/families/embedded/items/sounds"
CARD = ROOT / "docs/model-cards/sounds.md"
PARTS = ("train", "measure", "ship")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"of {', '.join(PARTS)}")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--steps", type=int, default=STEPS, help="of 64 sounds each")
    parser.add_argument("--count", type=int, default=400, help="sounds to measure by")
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if "train" in arguments.parts:
        train(work, arguments.steps)
    if "measure" in arguments.parts:
        # as it is shipped: rounded to half precision
        model = averaged(build_model(), work).half().float()
        figures = measured(model, work, arguments.count)
        (work / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        print(json.dumps(figures, indent=1))
    if "ship" in arguments.parts:
        figures = json.loads((work / "figures.json").read_text(encoding="utf-8"))
        run = ship(build_model(), work, SHIPPED)
        run = told_of(run, planned=arguments.steps, batch=BATCH, pool=SOUNDS)
        told = {"run": run, "figures": figures}
        (SHIPPED / "train.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        CARD.parent.mkdir(parents=True, exist_ok=True)
        CARD.write_text(card(told), encoding="utf-8")


if __name__ == "__main__":
    main()
