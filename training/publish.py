"""Put a measured model into the repository, if it is good enough."""

import json
import shutil
from pathlib import Path
from typing import Any

from training.config import ROOT, Config, command_line

MAX_BYTES = 20_000_000
BARS = {
    ("single", "top1"): 95.0,
    ("single", "background"): 98.0,
    ("place", "place"): 95.0,
    ("pair", "both"): 70.0,
}
"""Least percentage of each figure."""


def shortcomings(figures: dict[str, Any], folder: Path) -> list[str]:
    """What keeps the model from being shipped; empty if nothing does."""
    found = [
        f"{group}.{name} is {figures[group][name]} %, the least is {least} %"
        for (group, name), least in BARS.items()
        if figures[group][name] < least
    ]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        found.append(f"the folder has {size} bytes, the most is {MAX_BYTES}")
    return found


def publish(config: Config, work: Path) -> Path:
    """Copy model and judge into the repository; the figures go into the model's `train.json`.

    Raises:
        ValueError: the model misses a bar; nothing was copied.
    """
    figures = json.loads((work / "evaluate.json").read_text())
    faults = shortcomings(figures, work / "model")
    if faults:
        raise ValueError("not published: " + "; ".join(faults))
    target = ROOT / config.folder
    shutil.rmtree(target, ignore_errors=True)
    # Fresh modes: safetensors writes files that only their owner can read.
    shutil.copytree(work / "model", target, copy_function=shutil.copyfile)
    figures.pop("wrong", None)  # long, and of use only to those who train on
    record = json.loads((target / "train.json").read_text()) | {"figures": figures}
    (target / "train.json").write_text(json.dumps(record, indent=2) + "\n")
    shutil.copyfile(work / "classifier.safetensors", ROOT / "training/classifier.safetensors")
    return target


def main() -> None:
    """Copy the measured model into the repository; refuses one that misses a bar."""
    config, work = command_line(main.__doc__)
    print(publish(config, work))


if __name__ == "__main__":
    main()
