"""Batch the steps of several samplings, each of which runs in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from traceback import clear_frames

from torch import Tensor

from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.registry import get_family
from nodegraph.sampling.merging.merged_calls import Kind, MergeCurve, ModelCall

SIZES = (2, 4, 8)
"""How many samplings may be asked for at once; of a number between them, the lower one are."""
_FIRST_PATIENCE = 1.0
"""Seconds that others are waited for before it is known how long a step takes."""


@dataclass(eq=False, slots=True)
class _PendingCall:
    """A question that was put, and its answer once there is one."""

    seat: BatchSlot
    question: ModelCall
    kind: Kind
    since: float
    is_taken: bool = False
    answer: Tensor | None = None
    error: Exception | None = None

    @property
    def is_answered(self) -> bool:
        return self.answer is not None or self.error is not None


@dataclass(slots=True)
class MergeCounts:
    """What a meeting has done so far.

    Attributes:
        steps: Questions that were answered.
        merged: Those of them that were asked with others at once.
        largest: The most that were.
    """

    steps: int = 0
    merged: int = 0
    largest: int = 0


@dataclass(eq=False, slots=True)
class BatchSlot:
    """The place of one sampling at a meeting.

    Attributes:
        is_expected: Whether others wait for its next question.
    """

    batcher: StepBatcher
    is_expected: bool = True

    def ask(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """What `Family.predict` gives, asked with what the others ask at this time.

        Raises:
            Exception: What the question raises when it is asked alone.
        """
        family = get_family(model.family)
        return self.batcher.ask(self, ModelCall(family, model, x, moment, batch))


@dataclass(eq=False)
class StepBatcher:
    """Samplings by the same weights on one device, of which steps may share a batch.

    A step waits for those of the others, one step's time at most; the last to come asks the model
    for all. One that leaves, or is late, is not waited for again until it asks. One question is
    asked at a time, so that nobody's memory is counted on twice; what shares no batch is asked in
    its sampling's own thread, with the gradients and the attention that are set there. What fails
    at once is asked for one by one, so that a fault is its own sampling's alone.

    Args:
        label: Names the weights.
        most: Samplings in one batch.
        patience: Seconds that others are waited for; one step's time if not given.
        on_decision: Is called, in any thread, when `is_refused` has changed.
    Attributes:
        counts: What was done.
        is_refused: Whether it was seen not to pay, or that nobody asks what may share a batch: then
            nobody is waited for.
    """

    label: str
    curve: MergeCurve
    most: int = SIZES[-1]
    patience: float | None = None
    on_decision: Callable[[], object] = lambda: None
    counts: MergeCounts = field(default_factory=MergeCounts)
    is_refused: bool = False
    _seats: set[BatchSlot] = field(default_factory=set)
    _open: list[_PendingCall] = field(default_factory=list)
    _turn: Condition = field(default_factory=Condition)
    _is_asking: bool = False
    _is_of_use: bool = False
    _was_refused: bool = False
    _ended: float = 0.0
    _step_seconds: float = _FIRST_PATIENCE

    @contextmanager
    def seat(self) -> Iterator[BatchSlot]:
        """Take part, inside the `with`."""
        seat = BatchSlot(self)
        with self._turn:
            self._seats.add(seat)
        try:
            yield seat
        finally:
            self.leave(seat)

    def leave(self, seat: BatchSlot) -> None:
        """Wait for a sampling no more; it may have left before."""
        with self._turn:
            self._seats.discard(seat)
            self._turn.notify_all()

    @property
    def is_empty(self) -> bool:
        """Whether nobody takes part."""
        return not self._seats

    def ask(self, seat: BatchSlot, question: ModelCall) -> Tensor:
        """See `BatchSlot.ask`."""
        kind = question.kind()
        if kind is None:
            return self._ask_apart(seat, question)
        put = _PendingCall(seat, question, kind, monotonic())
        with self._turn:
            self._open.append(put)
            seat.is_expected = False
            if not self._is_of_use:
                self._is_of_use, self.is_refused = True, False
            if not self._wait_for_lead(put):
                return _answer_of(put)
            round_ = self._begin()
        try:
            self._answer(round_)
        finally:
            self._end(round_)
            self._tell()
        return _answer_of(put)

    def _ask_apart(self, seat: BatchSlot, question: ModelCall) -> Tensor:
        """The answer to what shares no batch."""
        with self._turn:
            seat.is_expected = False  # its next one will hardly be another
            self._turn.notify_all()
            self._turn.wait_for(lambda: not self._is_asking)
            self._is_asking = True
            if not (self._is_of_use or any(each.is_expected for each in self._seats)):
                self.is_refused = True
        try:
            return question.evaluate()
        finally:
            with self._turn:
                self.counts.steps += 1
                self._is_asking = False
                self._turn.notify_all()
            self._tell()

    def _tell(self) -> None:
        if self.is_refused != self._was_refused:
            self._was_refused = self.is_refused
            self.on_decision()

    def _wait_for_lead(self, put: _PendingCall) -> bool:
        """Wait until it is answered, False, or until it has to see to it for all, True."""
        while not put.is_answered:
            left = None
            if not (self._is_asking or put.is_taken):
                due = max(put.since, self._ended) + self._patience
                left = due - monotonic()
                is_waited_for = any(seat.is_expected for seat in self._seats)
                if left <= 0 or self.is_refused or not is_waited_for:
                    return True
            self._turn.wait(left)
        return False

    @property
    def _patience(self) -> float:
        return self._step_seconds if self.patience is None else self.patience

    def _begin(self) -> list[_PendingCall]:
        self._is_asking = True
        for seat in self._seats:
            seat.is_expected = False  # who isn't here yet is late
        round_, self._open = self._open, []
        for put in round_:
            put.is_taken = True
        return round_

    def _end(self, round_: Sequence[_PendingCall]) -> None:
        with self._turn:
            self._is_asking = False
            self._ended = monotonic()
            for put in round_:
                if put.is_answered:
                    put.seat.is_expected = put.seat in self._seats
                else:  # who asked for all was interrupted: another one will
                    put.is_taken = False
                    self._open.append(put)
            self._turn.notify_all()

    # In the thread of whoever asks for all

    def _answer(self, round_: Sequence[_PendingCall]) -> None:
        begun = monotonic()
        kinds: dict[Kind, list[_PendingCall]] = {}
        for put in round_:
            kinds.setdefault(put.kind, []).append(put)
        for group in kinds.values():
            self._answer_kind(group)
        self._step_seconds = (monotonic() - begun) / len(round_)

    def _answer_kind(self, group: Sequence[_PendingCall]) -> None:
        left, device = list(group), group[0].question.x.device
        name = self.curve.name(self.label, group[0].question)
        while left:
            size = self._size(name, len(left), group[0].question)
            taken, left = left[:size], left[size:]
            if size > 1 and self._try_merged(name, taken):
                continue
            for put in taken:
                self._alone(put)
        first = self.curve.point(name, SIZES[0], device)
        self.is_refused = first is not None and not self.curve.admits(first)

    def _size(self, name: str, there: int, question: ModelCall) -> int:
        """How many to ask for at once: the curve is climbed as long as it pays."""
        batch_size = 1
        for size in SIZES:
            if size > min(there, self.most):
                break
            point = self.curve.point(name, size, question.x.device)
            if point is None:
                return size  # to be measured
            if not self.curve.admits(point):
                break
            batch_size = size
        return batch_size

    def _try_merged(self, name: str, group: Sequence[_PendingCall]) -> bool:
        """Whether so many could be asked at once; whose fault it is shows when each is alone.

        Where they couldn't, all that the batch held is let go of with the error.
        """
        try:
            self._together(name, group)
        except Exception:  # noqa: BLE001 - see above
            self.curve.refuse(name, len(group))
            return False
        return True

    def _together(self, name: str, group: Sequence[_PendingCall]) -> None:
        questions = [put.question for put in group]
        device, size = questions[0].x.device, len(group)
        if self.curve.point(name, size, device) is None:
            point, answers = self.curve.measure(questions)
            self.curve.note(name, size, device, point)
        else:
            answers, is_merged = self.curve.answers(name, questions)
            if is_merged:
                self.counts.merged += size
                self.counts.largest = max(self.counts.largest, size)
        self.counts.steps += size
        for put, answer in zip(group, answers, strict=True):
            put.answer = answer

    def _alone(self, put: _PendingCall) -> None:
        self.counts.steps += 1
        try:
            put.answer = put.question.evaluate()
        except Exception as error:  # noqa: BLE001 - it is raised where the question was put
            # Nobody who is asked for next has to do without the memory that this one held.
            clear_frames(error.__traceback__)
            put.error = error


def _answer_of(put: _PendingCall) -> Tensor:
    if put.error is not None:
        raise put.error
    assert put.answer is not None
    return put.answer
