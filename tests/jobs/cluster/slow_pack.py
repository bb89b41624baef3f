"""A pack whose nodes take their time, for others to help with."""

from __future__ import annotations

import os
import time
from pathlib import Path

from nodegraph import Context, node
from nodegraph.media.images.output_files import save_numbered


@node()
def Seeds(count: int) -> list[int]:
    """A list."""
    return list(range(count))


@node()
def Slow(ctx: Context, seed: int, here: str = "", delay: float = 0.0) -> int:
    """A number that is there once several processes are at such numbers.

    Args:
        here: Folder in which each of them leaves a file of those that it was at.
        delay: Seconds more.
    """
    if here:
        with Path(here, str(os.getpid())).open("a") as file:
            file.write(f"{seed}\n")
        while len(list(Path(here).iterdir())) < 2:
            ctx.check_cancelled()
            time.sleep(0.01)
    time.sleep(delay)
    return seed * seed


@node(lane="gpu")
def Heavy(value: int) -> int:
    """A number that the device is needed for."""
    return value


@node()
def Chance(value: int) -> int:
    """A number, for what is made of it."""
    return value


@node(deterministic=False)
def Clock(value: int) -> int:
    """Another one each time, as far as anybody knows."""
    return value


@node(lane="io", output="files")
def Save(ctx: Context, values: list[int]) -> None:
    """A file of all numbers, in their order."""
    text = " ".join(map(str, values)).encode()
    for saved in save_numbered(ctx.environment.outputs, "numbers", ".txt", [text]):
        ctx.wrote(saved.path, kind="text", existed=saved.existed)
