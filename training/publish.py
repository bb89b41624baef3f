"""Put a measured model into the repository, if it is good enough."""

import json
import shutil
from pathlib import Path
from typing import Any

from training.config import ROOT, Config, command_line

MAX_BYTES = 20_000_000
BARS = {
    ("single", "top1"): 97.0,
    ("single", "background"): 98.0,
    ("single", "least"): 60.0,
    ("place", "place"): 95.0,
    ("pair", "both"): 80.0,
    ("colour", "kinds", "held out", "both"): 70.0,
    ("vae", "psnr"): 27.0,
}
"""Least value of each figure: percent, of the autoencoder decibels."""


def shortcomings(figures: dict[str, Any], folder: Path) -> list[str]:
    """What keeps the model from being shipped; empty if nothing does."""
    found = []
    for path, least in BARS.items():
        value: Any = figures
        for key in path:
            value = value[key]
        if value < least:
            found.append(f"{'.'.join(path)} is {value}, the least is {least}")
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
    _copy(work / "model", target)
    figures.pop("wrong", None)  # long, and of use only to those who train on
    record = json.loads((target / "train.json").read_text()) | {"figures": figures}
    (target / "train.json").write_text(json.dumps(record, indent=2) + "\n")
    shutil.copyfile(work / "classifier.safetensors", ROOT / "training/classifier.safetensors")
    return target


def publish_companions(work: Path, target: Path) -> list[Path]:
    """Copy the companions that reached their bars into `target`, one folder each."""
    shutil.rmtree(target, ignore_errors=True)
    copied = []
    for record in sorted((work / "companions").glob("*/train.json")):
        if json.loads(record.read_text())["good"]:
            copied.append(target / record.parent.name)
            _copy(record.parent, copied[-1])
    return copied


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    # Fresh modes: safetensors writes files that only their owner can read.
    shutil.copytree(source, target, copy_function=shutil.copyfile)


def main() -> None:
    """Copy the measured model and its good companions into the repository; refuses a bad model."""
    config, work = command_line(main.__doc__)
    model = publish(config, work)
    for folder in (model, *publish_companions(work, model.parent / "companions")):
        print(folder)


if __name__ == "__main__":
    main()
