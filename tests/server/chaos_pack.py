"""A pack for load: quick nodes, one that goes step by step, one that writes numbered files."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from nodegraph import Context, node
from nodegraph.media.images.output_files import save_numbered


@node()
def Seed(value: int) -> int:
    """A number to begin with."""
    return value


@node()
def Sum(a: float, b: float = 0.0) -> float:
    """Two numbers."""
    return a + b


@node()
def Walk(ctx: Context, seed: int, steps: int = 10, pause: float = 0.0, gate: str = "") -> float:
    """Something that comes out otherwise if a step is left out or done twice.

    Args:
        gate: Before its last step it waits for this file.
    """
    found = ctx.restored()
    step, at = (found.step, float(found.state["at"])) if found else (0, 1.0 / (seed + 2))
    while step < steps:
        time.sleep(pause)
        step += 1
        while gate and step == steps and not Path(gate).exists():
            ctx.check_cancelled()
            time.sleep(0.005)
        at = 3.99 * at * (1.0 - at)
        ctx.checkpoint(step, steps, partial(dict, at=at))
        ctx.progress(step, steps)
    return at


@node(lane="io", output="files")
def Save(ctx: Context, value: float, name: str) -> None:
    """A file under the next free number, as images are saved."""
    for saved in save_numbered(ctx.environment.outputs, name, ".txt", [f"{value!r}\n".encode()]):
        ctx.wrote(saved.path, kind="text", existed=saved.existed)
