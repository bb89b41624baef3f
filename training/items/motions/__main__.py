"""Make the model of motions: ``python -m training.items.motions --work FOLDER [PART ...]``.

Parts are train, measure and ship; a run that is going on can be measured and shipped, too.
"""

import argparse
import json
from pathlib import Path

from training.config import ROOT
from training.items.fitting import averaged
from training.items.motions.card import card
from training.items.motions.measuring import measured
from training.items.motions.sheets import sheet
from training.items.motions.train import BATCH, CLIPS, STEPS, build_model, train
from training.items.shipping import ship, told_of

SHIPPED = ROOT / "nodegraph/families/embedded/items/motions"
CARD = ROOT / "docs/model-cards/motions.md"
PARTS = ("train", "measure", "ship")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"of {', '.join(PARTS)}")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of {BATCH} clips each")
    parser.add_argument("--minutes", type=float, default=0, help="of training; 0 is no limit")
    parser.add_argument("--workers", type=int, default=1, help="processes that train")
    parser.add_argument("--count", type=int, default=90, help="clips of each group to measure by")
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if "train" in arguments.parts:
        train(work, arguments.steps, arguments.workers, arguments.minutes)
    if "measure" in arguments.parts:
        # as it is shipped: rounded to half precision
        model = averaged(build_model(), work).half().float()
        figures = measured(model, arguments.count)
        (work / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        print(json.dumps(figures, indent=1))
        sheet(model, figures["best_scale"]).save(work / "sheet.png")
    if "ship" in arguments.parts:
        figures = json.loads((work / "figures.json").read_text(encoding="utf-8"))
        run = ship(build_model(), work, SHIPPED)
        run = told_of(run, planned=arguments.steps, batch=BATCH, pool=CLIPS)
        told = {"run": run, "figures": figures}
        (SHIPPED / "train.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        CARD.parent.mkdir(parents=True, exist_ok=True)
        CARD.write_text(card(told), encoding="utf-8")


if __name__ == "__main__":
    main()
