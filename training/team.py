"""Data parallelism on a CPU: forked single-threaded processes that average through shared memory.

On two cores, two processes of one thread each train faster than one process of two threads: at
these layer sizes the threads of one process mostly wait for each other.
"""

import multiprocessing
import traceback
from collections.abc import Callable

import torch
from torch import Tensor

_PATIENCE = 600.0
"""Seconds to wait for the others before giving up."""


class Team:
    """One process's view of the workers that share a batch; rank 0 leads."""

    def __init__(self, size: int, count: int) -> None:
        context = multiprocessing.get_context("fork")
        self.rank = 0
        self.size = size
        self._barrier = context.Barrier(size)
        self._rows = torch.zeros(size if size > 1 else 0, count)
        self._word = torch.zeros(1, dtype=torch.float64)
        for shared in (self._rows, self._word):
            shared.share_memory_()  # type: ignore[no-untyped-call]

    def average(self, vector: Tensor, word: float) -> float:
        """Replace `vector`, (count,), by its mean over the workers; all get the leader's `word`."""
        if self.size == 1:
            return word
        self._rows[self.rank].copy_(vector)
        if self.rank == 0:
            self._word[0] = word
        self._barrier.wait(_PATIENCE)
        torch.mean(self._rows, dim=0, out=vector)
        told = float(self._word[0])
        self._barrier.wait(_PATIENCE)
        return told

    def run(self, work: Callable[[], None]) -> None:
        """Do `work` in every worker, in this process as the leader.

        Call it before autograd has run in this process: its threads do not survive a fork.
        """
        context = multiprocessing.get_context("fork")
        processes = [
            context.Process(target=self._follow, args=(rank, work), daemon=True)
            for rank in range(1, self.size)
        ]
        for process in processes:
            process.start()
        self._guarded(work)
        for process in processes:
            process.join(_PATIENCE)
            if process.exitcode != 0:
                raise RuntimeError(f"worker {process.pid} ended with {process.exitcode}")

    def _follow(self, rank: int, work: Callable[[], None]) -> None:
        self.rank = rank
        try:
            self._guarded(work)
        except Exception:  # noqa: BLE001  the border of the process: told, then left
            traceback.print_exc()
            raise SystemExit(1) from None

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:
            self._barrier.abort()  # else the others would wait for one who is gone
            raise
