"""What handing a node's work to a lane costs, against a `ThreadPoolExecutor` in the same run.

    python benchmarks/lanes.py [--json] [--places N]

The baseline hands the same functions to an executor of as many threads and brings their results
back with `call_soon_threadsafe`, one by one and in the order in which they came. Figures are
microseconds of wall clock and of processor time an item, and how often a thread gave up its
processor; the two take turns, and each figure is the median of many rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from nodegraph.engine.lanes import Lane
from nodegraph.engine.lanes.fair_queue import FairQueue, Share

Done = Callable[[Any], None]
Submit = Callable[[AbstractEventLoop, Done], None]
ITEMS = 500


@dataclass(frozen=True)
class Cost:
    """What an item costs."""

    wall: float
    processor: float
    switches: float


def trivial() -> int:
    """Work that takes no time."""
    return 1


def to_executor(places: int) -> tuple[Submit, Callable[[], None]]:
    """The baseline."""
    executor = ThreadPoolExecutor(places)

    def submit(loop: AbstractEventLoop, done: Done) -> None:
        executor.submit(lambda: loop.call_soon_threadsafe(done, trivial()))

    return submit, executor.shutdown


def to_lane(places: int) -> tuple[Submit, Callable[[], None]]:
    """A lane, with its queue, its priorities and its accounts."""
    lane = Lane("benchmark", places)

    def submit(loop: AbstractEventLoop, done: Done) -> None:
        lane.submit(None, loop, (0.0, -1.0), trivial, lambda result, error: done(result))

    return submit, lane.close


async def chain(submit: Submit) -> None:
    """Each item is handed over once the one before has come back."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    left = ITEMS

    def done(result: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            submit(loop, done)
        else:
            over.set_result(None)

    submit(loop, done)
    await over


async def fan(submit: Submit) -> None:
    """All items are handed over at once."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    left = ITEMS

    def done(result: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set_result(None)

    for _ in range(ITEMS):
        submit(loop, done)
    await over


def cost_of(action: Callable[[], Any]) -> Cost:
    """Run something once."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    action()
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    switches = after.ru_nvcsw - before.ru_nvcsw
    return Cost(wall / ITEMS * 1e6, used / ITEMS * 1e6, switches / ITEMS)


def median(costs: list[Cost]) -> Cost:
    """Of each figure."""
    return Cost(*(statistics.median(column) for column in zip(*map(_figures, costs), strict=True)))


def _figures(cost: Cost) -> tuple[float, float, float]:
    return cost.wall, cost.processor, cost.switches


def play(shape: Callable[[Submit], Coroutine[Any, Any, None]], submit: Submit) -> None:
    """One round."""
    asyncio.run(shape(submit))


def compare(
    shape: Callable[[Submit], Coroutine[Any, Any, None]], places: int, rounds: int
) -> dict[str, Cost]:
    """Executor and lane, in turns."""
    ways = {"executor": to_executor(places), "lane": to_lane(places)}
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (submit, _) in ways.items():
            costs[name].append(cost_of(partial(play, shape, submit)))
    for _, close in ways.values():
        close()
    return {name: median(several) for name, several in costs.items()}


def queue(waiting: int) -> float:
    """Microseconds to let something wait, start what goes next and charge it."""
    held: FairQueue[int] = FairQueue()
    shares = [Share(str(client)) for client in range(10)]
    for at in range(waiting):
        held.push(at, at, (at * 7919 % 1000,), shares[at % 10])

    def turn() -> None:
        for at in range(ITEMS):
            held.push(at, at, (at * 7919 % 1000,), shares[at % 10])
            entry = held.pop()
            assert entry is not None
            held.charge(entry, 0.01)

    return min(cost_of(turn).wall for _ in range(20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--places", type=int, default=8, help="threads at most")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    shapes = {
        shape.__name__: compare(shape, options.places, options.rounds) for shape in (chain, fan)
    }
    queues = {waiting: queue(waiting) for waiting in (0, 100, 10_000)}
    if options.json:
        rows = {
            shape: {name: asdict(cost) for name, cost in costs.items()}
            for shape, costs in shapes.items()
        }
        print(json.dumps({"hand_over_us": rows, "queue_us": queues}, indent=2))
        return
    print("an item              wall µs  processor µs  switches")
    for shape, costs in shapes.items():
        for name, cost in costs.items():
            print(
                f"{shape:6} {name:12} {cost.wall:8.1f} {cost.processor:13.1f} {cost.switches:9.2f}"
            )
    for waiting, taken in queues.items():
        print(f"queue with {waiting:6} waiting: {taken:.1f} µs to add, choose and charge")


if __name__ == "__main__":
    main()
