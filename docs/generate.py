"""Make anew all text that is made of the code: stubs, references, client, editor's types, counts.

python docs/generate.py

What takes models or a browser to make (images, screenshots, examples) has its own scripts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = (
    "families",
    "samplers",
    "stubs",
    "nodes",
    "translations",
    "cli",
    "blocking_client",
    "usage",
    "other_names",
    "pipelines",
    "model_card",
    "schema",
    "manifest",
    "counts",
)
"""In an order in which none reads what a later one makes."""
OF_PICTURES = ("examples", "pictures", "screenshots")

if __name__ == "__main__":
    for script in SCRIPTS:
        command = [sys.executable, FOLDER / f"generate_{script}.py"]
        subprocess.run(command, check=True)  # noqa: S603 - a script of this folder
