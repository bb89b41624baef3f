"""A server, the head, with many workers, as a simulation: what comes out of it, and where it ends.

The head has one processor, as Python runs one thread at a time, and one disk, on which all that
waits is committed at once. A job takes the processor when it is taken in, when it is handed out,
with each step that it tells of, and when it has ended; at the first, second and last, it waits for
the disk. All times are seconds, in this module's own clock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean, quantiles

PARTS = 4
"""Into which a job's steps are put together, so that a simulation has fewer things to look at."""


@dataclass(frozen=True)
class Costs:
    """What a job costs the head and its worker; where it was measured often, each measurement.

    Attributes:
        take: Of the head's processor, to take a job in.
        serve: To claim it, hand it out, keep its events and its end.
        step: To tell of one step, with a preview, to one who follows.
        quiet_step: The same, where nobody follows.
        commit: That the disk takes for a commit, however much is in it.
        own: Of a worker, for each job besides what its nodes take.
    """

    take: tuple[float, ...]
    serve: tuple[float, ...]
    step: float
    commit: tuple[float, ...]
    own: float = 0.0
    quiet_step: float = 0.0

    @property
    def quiet(self) -> Costs:
        """Where nobody follows the jobs."""
        return replace(self, step=self.quiet_step)

    def of_a_job(self, steps: int) -> float:
        """Seconds of the head's processor."""
        return fmean(self.take) + fmean(self.serve) + steps * self.step

    def most(self, steps: int) -> float:
        """Jobs a second that the head can't go beyond."""
        return 1.0 / self.of_a_job(steps)

    def bound(self, workers: int, seconds: float, steps: int) -> float:
        """Jobs a second that nothing goes beyond: neither the workers nor the head."""
        return min(workers / (seconds + self.own), self.most(steps))

    def workers_at_most(self, seconds: float, steps: int) -> float:
        """Workers that a head can keep busy."""
        return self.most(steps) * (seconds + self.own)


def cost_of_one(rate: float, workers: int, worker_price: float, head_price: float) -> float:
    """What an image costs.

    Args:
        rate: Images a second.
        worker_price, head_price: An hour.
    """
    return (workers * worker_price + head_price) / (3600.0 * rate)


@dataclass(frozen=True)
class Found:
    """What came of a simulation, without its first and last fifth, in which it fills and empties.

    Attributes:
        rate: Jobs a second.
        head, workers: Parts of their time that they computed.
        wait, late_wait: Seconds from coming until a worker began: the median, and 95 of 100.
        stay: Seconds from coming to the end, in the mean.
        within: Jobs that there were at a time, in the mean.
        seconds: Until the last job had ended.
    """

    rate: float
    head: float
    workers: float
    wait: float
    late_wait: float
    stay: float
    within: float
    seconds: float


@dataclass
class _Job:
    came: float
    began: float = 0.0
    ended: float = 0.0


Then = Callable[[], None]


class Simulation:
    """One run, decided by its seed.

    Args:
        seconds: That a worker takes for a job.
        steps: Of a job that are told of.
    """

    def __init__(
        self, costs: Costs, workers: int, seconds: float, steps: int, seed: int = 0
    ) -> None:
        self._costs = costs
        self._workers = workers
        self._seconds = seconds
        self._steps = steps
        self._random = Random(seed)
        self._now = 0.0
        self._count = 0
        self._events: list[tuple[float, int, Then]] = []
        self._head_free = 0.0
        self._head_busy: list[tuple[float, float]] = []
        self._to_commit: list[Then] = []
        self._commits = False
        self._ready: deque[_Job] = deque()
        self._idle = workers
        self._jobs: list[_Job] = []

    def all_at_once(self, jobs: int) -> Found:
        """Jobs that are all there at the start, and taken in already."""
        self._jobs = [_Job(0.0) for _ in range(jobs)]
        self._ready.extend(self._jobs)
        self._hand_out()
        return self._found(self._run(lambda: None))

    def arriving(self, jobs: int, rate: float) -> Found:
        """Jobs that come by chance, so many a second."""
        at = 0.0
        for _ in range(jobs):
            at += self._random.expovariate(rate)
            self._at(at, self._come)
        return self._found(self._run(lambda: None))

    def never_idle(self, jobs: int, within: int) -> Found:
        """Jobs that come as others end, so that there are always as many."""
        left = jobs - within
        for _ in range(min(within, jobs)):
            # Those that begin together would end together, again and again.
            self._at(self._random.uniform(0.0, self._seconds), self._come)

        def next_one() -> None:
            nonlocal left
            if left > 0:
                left -= 1
                self._come()

        return self._found(self._run(next_one))

    # What happens.

    def _at(self, when: float, then: Then) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, then))

    def _run(self, ended: Then) -> float:
        self._ended = ended
        while self._events:
            self._now, _, then = heapq.heappop(self._events)
            then()
        return self._now

    def _compute(self, seconds: float, then: Then) -> None:
        """Have the head's processor do something, after all that waits for it."""
        start = max(self._now, self._head_free)
        self._head_free = start + seconds
        self._head_busy.append((start, self._head_free))
        self._at(self._head_free, then)

    def _commit(self, then: Then) -> None:
        """Have something written, with all else that waits for it."""
        self._to_commit.append(then)
        if not self._commits:
            self._write()

    def _write(self) -> None:
        self._commits, batch, self._to_commit = True, self._to_commit, []

        def written() -> None:
            self._commits = False
            for then in batch:
                then()
            if self._to_commit and not self._commits:
                self._write()

        self._at(self._now + self._random.choice(self._costs.commit), written)

    def _come(self) -> None:
        job = _Job(self._now)
        self._jobs.append(job)

        def taken() -> None:
            self._ready.append(job)
            self._hand_out()

        self._compute(self._random.choice(self._costs.take), lambda: self._commit(taken))

    def _hand_out(self) -> None:
        while self._idle and self._ready:
            self._idle -= 1
            self._serve(self._ready.popleft())

    def _serve(self, job: _Job) -> None:
        half = self._random.choice(self._costs.serve) / 2

        def tell() -> None:
            told = self._steps / min(PARTS, self._steps)
            self._compute(told * self._costs.step, lambda: None)

        def begun() -> None:
            job.began = self._now
            parts = min(PARTS, self._steps)
            for part in range(parts):
                at = self._now + (part + 1) * self._seconds / (parts + 1)
                self._at(at, tell)
            end = self._now + self._seconds + self._costs.own
            self._at(end, lambda: self._compute(half, lambda: self._commit(over)))

        def over() -> None:
            job.ended = self._now
            self._idle += 1
            self._hand_out()
            self._ended()

        self._compute(half, lambda: self._commit(begun))

    # What came of it.

    def _found(self, seconds: float) -> Found:
        ends = sorted(job.ended for job in self._jobs)
        start, end = ends[len(ends) // 5], ends[-1 - len(ends) // 5]
        window = max(end - start, 1e-12)
        counted = [job for job in self._jobs if start < job.ended <= end]
        each = self._seconds + self._costs.own
        waits = [job.began - job.came for job in counted] or [0.0]
        return Found(
            rate=len(counted) / window,
            head=_overlap(self._head_busy, start, end) / window,
            workers=_overlap(((job.began, job.began + each) for job in self._jobs), start, end)
            / (window * self._workers),
            wait=quantiles(waits, n=2)[0] if len(waits) > 1 else waits[0],
            late_wait=quantiles(waits, n=20)[-1] if len(waits) > 1 else waits[0],
            stay=fmean([job.ended - job.came for job in counted] or [0.0]),
            within=_overlap(((job.came, job.ended) for job in self._jobs), start, end) / window,
            seconds=seconds,
        )


def _overlap(
    spans: Sequence[tuple[float, float]] | Iterator[tuple[float, float]], start: float, end: float
) -> float:
    """Seconds of some spans that are within two moments."""
    return sum(max(0.0, min(b, end) - max(a, start)) for a, b in spans)
