"""Nodes that wait, runs that are cancelled, and clients that share a lane.

    python benchmarks/scheduling.py [--json] [--quick]

The baselines are bare threads that do the same; for fairness, a queue that serves whoever comes
first.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Figure, Process, best, options, show, unheard, workflow_of

from nodegraph import Cancelled, Context, node
from nodegraph.core.events import Event, Listener
from nodegraph.engine.lanes import Share
from nodegraph.engine.options import CancelToken, RunOptions

WAITING = 8
CHECKED_EACH = 0.05
TURN = 0.01


@node(lane="cpu")
def Wait(seconds: float, number: int) -> int:
    """Let others have the processor for a while."""
    time.sleep(seconds)
    return number


@node(lane="io")
def WaitOutside(seconds: float, number: int) -> int:
    """Wait as for a network."""
    time.sleep(seconds)
    return number


@node(lane="gpu")
def Long(ctx: Context, seconds: float) -> float:
    """Work that looks now and then whether it is still wanted."""
    for _ in range(round(seconds / CHECKED_EACH)):
        time.sleep(CHECKED_EACH)
        ctx.check_cancelled()
    return seconds


@node(lane="gpu")
def Turn(seconds: float, number: int) -> int:
    """Work in a lane that has one place."""
    time.sleep(seconds)
    return number


def process() -> Process:
    return Process((Wait, WaitOutside, Long, Turn), Path())


def several(kind: str, number: int, seconds: float, first: int = 0) -> dict[str, Any]:
    """Independent nodes of one type."""
    return {
        f"n{at}": {"type": kind, "inputs": {"seconds": seconds, "number": first + at}}
        for at in range(number)
    }


def waiting(kind: str, seconds: float) -> float:
    """Seconds of a run of nodes that wait at the same time."""

    def run() -> None:
        with process() as fresh:
            fresh.run(fresh.graph(workflow_of(several(kind, WAITING, seconds))))

    return best(run, 3)


def waiting_threads(seconds: float) -> float:
    """The same with bare threads."""

    def run() -> None:
        threads = [threading.Thread(target=time.sleep, args=(seconds,)) for _ in range(WAITING)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return best(run, 3)


def cancelled_after(delay: float, seconds: float) -> float:
    """Seconds from the wish to the end of the run."""
    token = CancelToken()
    wished = 0.0

    def wish() -> None:
        nonlocal wished
        wished = time.perf_counter()
        token.cancel()

    with process() as fresh:
        workflow = workflow_of({"long": {"type": "Long", "inputs": {"seconds": seconds}}})
        timer = threading.Timer(delay, wish)
        timer.start()
        try:
            result = asyncio.run(fresh.engine.run(fresh.graph(workflow), RunOptions(cancel=token)))
        except Cancelled:
            result = None
        ended = time.perf_counter()
        timer.join()
    assert result is None or result.status == "cancelled"
    return ended - wished


def thread_stopped_after(delay: float, seconds: float) -> float:
    """The same with a bare thread and a flag."""
    flag = threading.Event()

    def work() -> None:
        for _ in range(round(seconds / CHECKED_EACH)):
            time.sleep(CHECKED_EACH)
            if flag.is_set():
                return

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(delay)
    wished = time.perf_counter()
    flag.set()
    thread.join()
    return time.perf_counter() - wished


def share_of_late_client(turns: int) -> float:
    """Part of the lane that a client gets who comes when another has much waiting already."""
    order: list[str] = []

    def noting(client: str) -> Listener:
        def listen(event: Event) -> None:
            if event.kind == "node.started":
                order.append(client)

        return listen

    async def both(fresh: Process) -> None:
        graphs = [
            fresh.graph(workflow_of(several("Turn", turns, TURN, first))) for first in (0, turns)
        ]
        early = asyncio.create_task(
            fresh.engine.run(graphs[0], RunOptions(listener=noting("early"), share=Share("early")))
        )
        while not order:
            await asyncio.sleep(0)
        late = fresh.engine.run(graphs[1], RunOptions(listener=noting("late"), share=Share("late")))
        await asyncio.gather(early, late)

    with process() as fresh:
        # What nodes take is known from then on.
        fresh.run(fresh.graph(workflow_of(several("Turn", 1, TURN, -1))), unheard())
        asyncio.run(both(fresh))
    return order[:turns].count("late") / turns


def figures(*, quick: bool) -> Iterator[Figure]:
    seconds = 0.1 if quick else 0.5
    bare = waiting_threads(seconds)
    for kind, lane in (("Wait", "cpu"), ("WaitOutside", "io")):
        what = f"{WAITING} nodes that wait {seconds} s each, lane {lane}"
        yield Figure(what, waiting(kind, seconds), "s", seconds + 0.1, bare, "threads")
    long, delays = 0.5 if quick else 3.0, [0.21, 0.235, 0.26]
    delays = delays[:1] if quick else delays * 3
    cancels = [cancelled_after(delay, long) * 1e3 for delay in delays]
    stops = [thread_stopped_after(delay, long) * 1e3 for delay in delays]
    what = f"cancelling a node of {long:g} s, looked at each 50 ms"
    middle, bare = statistics.median(cancels), statistics.median(stops)
    yield Figure(f"{what}: median", middle, "ms", 100, bare, "a thread")
    yield Figure(f"{what}: longest", max(cancels), "ms", 100, max(stops), "a thread")
    turns = 20 if quick else 60
    part = share_of_late_client(turns)
    yield Figure("lane's share of a client who comes late", part, "", 0.4, 0.5, "equal", True)


def main() -> None:
    given = options(__doc__)
    show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
