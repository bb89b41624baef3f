"""Write the image sizes of model families for the editor, from the families themselves.

Run it in the folder editor: PYTHONPATH=.. python scripts/family_sizes.py
"""

from __future__ import annotations

import json
from pathlib import Path

from nodegraph.families.base import Resolutions
from nodegraph.families.index import INDEX

TARGET = Path("src/model/generate/familySizes.json")


def sizes_of(trained: Resolutions) -> dict[str, object]:
    """Pixels in all, the step of a side, and the exact sizes where a family lists them."""
    return {"area": trained.area, "multiple": trained.multiple, "buckets": trained.buckets}


def family_sizes() -> str:
    """The file's text."""
    sizes = {
        name: sizes_of(entry.family().resolutions[name])
        for entry in INDEX.values()
        for name in entry.resolutions
    }
    return json.dumps(sizes, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(family_sizes(), encoding="utf-8")
