"""Write nodegraph/families/samplers.json: what is asked of samplers where there is no torch.

All of it stands beside their functions, in nodegraph/sampling/samplers.

python docs/generate_samplers.py
"""

from __future__ import annotations

import json
from pathlib import Path

from nodegraph.sampling.samplers import SAMPLERS

FILE = Path(__file__).parents[1] / "nodegraph" / "families" / "samplers.json"


def text() -> str:
    """The file's text: a line for each sampler."""
    lines = (f"  {json.dumps(name)}: {json.dumps(item.record)}" for name, item in SAMPLERS.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
