"""Scenes in numbered files: made once, by a team, and never half."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.team import Team
from training.trainer import pick_device

Arrays = dict[str, npt.NDArray[np.generic]]
"""Arrays by name, one row per scene in each."""


def write_missing(paths: Sequence[Path], make: Callable[[int], Arrays], workers: int) -> None:
    """Make the files that are not there yet.

    Args:
        make: The content of the file of this place in `paths`.
        workers: Processes that share the files on a CPU.
    """
    on_cpu = pick_device().type == "cpu"
    team = Team(workers if on_cpu else 1, 1)

    def make_share() -> None:
        for number in range(team.rank, len(paths), team.size):
            path = paths[number]
            if path.exists():
                continue
            arrays = make(number)
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            partial.replace(path)
            if team.rank == 0:
                print(f"scenes: file {number + 1} of {len(paths)}", flush=True)

    if on_cpu:
        torch.set_num_threads(1)  # a pool of threads would not survive the fork
    team.run(make_share)
