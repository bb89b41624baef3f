"""Which samplings may share batches, and the batch slots that they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodegraph.sampling.merging.merged_calls import MergeCurve, MergeFigures, MergeMode
    from nodegraph.sampling.merging.step_batching import BatchSlot, StepBatcher


@dataclass(frozen=True, slots=True)
class ActiveSamplings:
    """Samplings of one label that are still under way.

    Attributes:
        memory: Bytes that each takes besides weights; None if that isn't known.
        may_join: Whether another one may: it isn't known not to pay.
    """

    memory: int | None
    may_join: bool


class StepMerging:
    """Samplings that may run beside each other, by a label each; satisfies `core.context.Merging`.

    Args:
        mode: See `MergeCurve`.
        margin: Share of the time that has to be spared.
        most: Samplings in one batch.
        profile, costs: See `MergeCurve`.
    Attributes:
        on_change: Is called, in any thread, when `at_work` or `merged` may have changed.
    """

    def __init__(
        self,
        mode: MergeMode,
        *,
        margin: float,
        most: int,
        profile: Callable[[str], str],
        costs: MergeFigures | None = None,
    ) -> None:
        self.mode = mode
        self.most = most
        self._of_curve = mode, margin, profile, costs
        self._curve: MergeCurve | None = None
        self._batchers: dict[str, StepBatcher] = {}
        self._refused: set[str] = set()
        self._memory: dict[str, int | None] = {}
        self._lock = Lock()
        self._merged = 0
        self.on_change: Callable[[], None] = _nothing

    def admits(self, label: str) -> bool:
        """Whether calls of a label may run beside each other: unless it was seen not to pay."""
        meeting = self._batchers.get(label)
        return label not in self._refused and not (meeting is not None and meeting.is_refused)

    @property
    def merged(self) -> int:
        """Steps so far that were computed in a batch with others'."""
        with self._lock:
            going_on = sum(meeting.counts.merged for meeting in self._batchers.values())
            return self._merged + going_on

    @property
    def active_samplings(self) -> list[ActiveSamplings]:
        """The samplings that are still under way."""
        with self._lock:
            labels = list(self._batchers)
            return [ActiveSamplings(self._memory[label], self.admits(label)) for label in labels]

    @contextmanager
    def seat(self, label: str, memory: int | None = None) -> Iterator[BatchSlot]:
        """A place among those of a label, inside the `with`.

        Args:
            memory: Bytes that the sampling takes besides weights.
        """
        try:
            with self._seat(label, memory) as seat:
                self.on_change()
                yield seat
        finally:
            self.on_change()

    @contextmanager
    def _seat(self, label: str, memory: int | None) -> Iterator[BatchSlot]:
        with self._lock:
            meeting = self._batchers.get(label) or self._opened(label)
            self._memory[label] = memory
            # Taken under the lock, so that nobody closes it meanwhile.
            seat_context = meeting.seat()
            seat = seat_context.__enter__()
        try:
            yield seat
        finally:
            with self._lock:
                seat_context.__exit__(None, None, None)
                if meeting.is_refused:
                    self._refused.add(label)
                else:
                    self._refused.discard(label)
                if meeting.is_empty:
                    self._batchers.pop(label, None)
                    self._memory.pop(label, None)
                    self._merged += meeting.counts.merged

    def _opened(self, label: str) -> StepBatcher:
        # Its modules bring torch.
        from nodegraph.sampling.merging.merged_calls import MergeCurve
        from nodegraph.sampling.merging.step_batching import StepBatcher

        # One for all meetings: what it has seen in this process outlives each of them.
        if self._curve is None:
            self._curve = MergeCurve(*self._of_curve)
        judged = self._judged
        self._batchers[label] = meeting = StepBatcher(
            label, self._curve, self.most, on_decision=judged
        )
        return meeting

    def _judged(self) -> None:
        self.on_change()


def _nothing() -> None:
    return
