"""Make the pictures of the built-in nodes, nodes/examples/*.webp, by running their examples.

Only those are made whose workflow has changed, as each carries the one that made it. Workflows
are written as nodegraph writes them.

python docs/generate_examples.py [--all] [NODE TYPE ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from nodegraph import Session, Settings, Workflow
from nodegraph.engine.result import RunResult

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "nodes" / "examples"
GALLERY = ROOT / "workflows"
SIDE = 512
"""Pixels of the longer side, at most."""
LARGEST = 16_000
"""Bytes that a picture has if it can."""
QUALITIES = (85, 75, 65, 50, 35)


def carried(picture: Path) -> object:
    """The workflow that a picture was made by; None if it isn't there or carries none."""
    from nodegraph.diffusion import read_metadata

    return json.loads(read_metadata(picture).get("workflow", "null")) if picture.is_file() else None


def makes_picture(workflow: Workflow) -> bool:
    """Whether there is something to see."""
    return any(node.type in ("SaveImage", "PreviewImage") for node in workflow.nodes.values())


def is_current(file: Path) -> bool:
    """Whether an example's picture is of the workflow as it is, or needs none."""
    workflow = Workflow.load(file)
    picture = file.with_suffix(".webp")
    if not makes_picture(workflow):
        return not picture.exists()
    return carried(picture) == json.loads(workflow.dumps())


def picture(result: RunResult, workflow: Workflow) -> bytes:
    """The last picture that a run gave, small, with its workflow."""
    import numpy as np
    import torch
    from PIL import Image

    from nodegraph.images.provenance import encode_with_workflow

    with Image.open(result.files[-1].path) as opened:
        found = opened.convert("RGB")
    scale = min(1.0, SIDE / max(found.size))
    size = (round(found.width * scale), round(found.height * scale))
    pixels = np.asarray(found.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255
    data = b""
    for quality in QUALITIES:
        document = json.loads(workflow.dumps())
        data = encode_with_workflow(torch.from_numpy(pixels), document, "webp", quality)
        if len(data) <= LARGEST:
            break
    return data


def make(session: Session, file: Path) -> str:
    """Bring an example's file and picture up to date; says what was done."""
    workflow = Workflow.load(file)
    file.write_text(workflow.dumps(), encoding="utf-8")
    target = file.with_suffix(".webp")
    if not makes_picture(workflow):
        target.unlink(missing_ok=True)
        return "shows no picture"
    result = session.run(workflow)
    if result.errors or not result.files:
        target.unlink(missing_ok=True)
        return f"FAILED: {'; '.join(map(str, result.errors)) or 'no file'}"
    target.write_bytes(picture(result, workflow))
    return f"{target.stat().st_size} bytes"


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if not name.startswith("--")]
    files = [EXAMPLES / f"{name}.json" for name in names] or sorted(EXAMPLES.glob("*.json"))
    wanted = [file for file in files if "--all" in arguments or names or not is_current(file)]
    failed = 0
    with TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home, outputs=home / "output", device="cpu")
        with Session(settings, inputs=GALLERY) as session:
            for file in wanted:
                said = make(session, file)
                failed += said.startswith("FAILED")
                sys.stdout.write(f"{file.stem}: {said}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
