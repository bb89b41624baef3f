"""How well a style is learned: runs workflows/train_style_lora.json and measures what it paints.

python -m training.taught_style [HOME]

Two figures, each a mean over five things that were not among the twenty: how far pixels are from
the line between the style's two colours (0 to 255; 0 is all in style), asked for in the style's
words and in plain ones. And how far plain pictures changed, as a mean over channels (0 to 255).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from nodegraph import Session, Settings, Workflow
from nodegraph.core.events import Event

FILE = Path(__file__).parents[1] / "workflows" / "train_style_lora.json"
DARK, PALE = (18, 42, 110), (225, 238, 255)
"""Of the workflow's GradientMap."""
ROWS = {
    "pictures that were taught": "blueprints.image",
    "style words, before": "decode_before.image",
    "style words, after": "decode_after.image",
    "plain words, before": "decode_plain_before.image",
    "plain words, after": "decode_plain_after.image",
}


def main() -> None:
    """Run it, and print the figures."""
    with TemporaryDirectory() as made:
        home = Path(sys.argv[1] if len(sys.argv) > 1 else made)
        settings = Settings(home=home, outputs=home / "output", device="cpu")
        with Session(settings, inputs=FILE.parent) as session:
            _measure(session)


def _measure(session: Session) -> None:
    trained: list[float] = []

    def listen(event: Event) -> None:
        if event.kind == "node.progress" and event.node == "train":
            trained.append(time.perf_counter())

    targets = ["train", *(output.partition(".")[0] for output in ROWS.values())]
    result = session.run(Workflow.load(FILE), targets=targets, listener=listen)
    if result.errors:
        raise SystemExit(str(result.errors[0]))
    rows = {name: torch.cat(list(result[output])) for name, output in ROWS.items()}
    if len(trained) > 1:
        seconds = (trained[-1] - trained[0]) / (len(trained) - 1) * len(trained)
        print(f"{len(trained)} steps in {seconds:.0f} s, {torch.get_num_threads()} threads")
    for name, pictures in rows.items():
        print(f"{name}: {away(pictures):.1f} from the style's colours")
    changed = (rows["plain words, after"] - rows["plain words, before"]).abs().mean() * 255
    print(f"plain pictures changed by {float(changed):.1f}")


def away(pictures: Tensor) -> float:
    """Mean distance of pixels from the line between the style's colours.

    Args:
        pictures: In 0..1, shape (batch, height, width, 3).
    """
    dark, pale = torch.tensor([DARK, PALE], dtype=torch.float32)
    line = (pale - dark) / torch.linalg.vector_norm(pale - dark)
    apart = pictures.reshape(-1, 3) * 255 - dark
    rest = apart - (apart @ line)[:, None] * line
    return float(torch.linalg.vector_norm(rest, dim=1).mean())


if __name__ == "__main__":
    main()
