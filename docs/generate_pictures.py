"""Make the images of the gallery, workflows/*.webp, by running its workflows.

python docs/generate_pictures.py [NAME ...]
"""

from __future__ import annotations

import sys
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from nodegraph import Session, Settings, Workflow
from nodegraph.engine.result import RunResult

GALLERY = Path(__file__).parents[1] / "workflows"
SIDE = 384
"""Pixels of the longer side."""
QUALITY = 82


def picture(workflow: Workflow, result: RunResult) -> Image.Image:
    """What stands for a run: the image of the last node of its file that wrote one.

    A long strip of them becomes a square.
    """
    assert not result.errors, result.errors
    places = list(workflow.nodes)
    # Not that which was written last: which one that is depends on the machine.
    pictures = [file for file in result.files if file.kind == "image"]
    last = max(pictures, key=lambda file: places.index(file.node))
    found = Image.open(last.path).convert("RGB")
    return squared(found) if found.width > 3 * found.height else found


def squared(strip: Image.Image) -> Image.Image:
    """Images in a row as a square of them, the first and the last among them."""
    count = round(strip.width / strip.height)
    columns = isqrt(count)
    side = strip.height
    square = Image.new("RGB", (columns * side, columns * side))
    # From one image to the next, with what is between them.
    pitch = (strip.width - side) / (count - 1)
    for at in range(columns**2):
        left = round(round(at * (count - 1) / (columns**2 - 1)) * pitch)
        part = strip.crop((left, 0, left + side, side))
        square.paste(part, (at % columns * side, at // columns * side))
    return square


def fitted(image: Image.Image) -> Image.Image:
    """The image at the size in which it is shown."""
    scale = SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def main(names: list[str]) -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home, outputs=home / "output", device="cpu")
        packs = [path for path in GALLERY.glob("*.py") if path.stem != "__init__"]
        with Session(settings, packs=packs, inputs=GALLERY) as session:
            for file in sorted(GALLERY.glob("*.json")):
                if names and file.stem not in names:
                    continue
                workflow = Workflow.load(file)
                made = fitted(picture(workflow, session.run(workflow)))
                target = file.with_suffix(".webp")
                made.save(target, "WEBP", quality=QUALITY, method=6)
                sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
