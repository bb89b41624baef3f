"""What the benchmarks share: figures with their aims, times beside other work, engines to measure.

Other work on the machine makes things slower, never faster. So a time is the best of several, and
two that are compared are taken by turns.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nodegraph import Workflow
from nodegraph.core.context import Environment
from nodegraph.core.events import Listener
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import build_graph
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.checkpointing import Saver
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Share
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.packs.registry import Registry
from nodegraph.session.background_task import wait_for
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.costs import Costs
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.history import CodeModules
from nodegraph.store.store import Store

Action = Callable[[], Any]


def sampling_nodes(text: str, *, size: int, **inputs: Any) -> dict[str, Any]:
    """The nodes that sample with the embedded model, the one that does so called `sample`.

    Args:
        size: Width and height, in pixels.
        inputs: Of the sampler, besides its links.
    """
    return {
        "model": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "model.text_encoder"}, "text": text},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": size, "height": size}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "model.model"},
                "positive": {"from": "prompt"},
                "latent": {"from": "size"},
                **inputs,
            },
        },
    }


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    Attributes:
        what: In words.
        aim: What it should reach: at most, or at least if `more_is_better`; None for none.
        baseline: The same of something plain, measured in the same run.
        against: What that is.
    """

    what: str
    measured: float
    unit: str
    aim: float | None = None
    baseline: float | None = None
    against: str = ""
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Measured to baseline."""
        return self.measured / self.baseline if self.baseline else None

    @property
    def is_reached(self) -> bool | None:
        """Whether it is what it should be; None if nothing is asked."""
        if self.aim is None:
            return None
        return self.measured >= self.aim if self.more_is_better else self.measured <= self.aim


def options(doc: str | None, *more: Callable[[argparse.ArgumentParser], Any]) -> argparse.Namespace:
    """The command line of a benchmark.

    Args:
        more: Add options of its own.
    """
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=formatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer, to try it out")
    for add in more:
        add(parser)
    # What was imported stays: each search for garbage would take most of a second with torch.
    gc.collect()
    gc.freeze()
    return parser.parse_args()


def show(figures: Iterable[Figure], *, as_json: bool) -> None:
    """Print figures as they come, or all in one document."""
    if as_json:
        rows = [{**asdict(item), "ratio": item.ratio} for item in figures]
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':52} {'measured':>12} {'aim':>10}      ratio to baseline")
    for item in figures:
        measured = f"{_number(item.measured)} {item.unit}"
        sign = "≥" if item.more_is_better else "≤"
        aim = "" if item.aim is None else f"{sign} {_number(item.aim)}"
        mark = {None: "    ", True: "  ok", False: "miss"}[item.is_reached]
        ratio = "" if item.ratio is None else f"{_number(item.ratio):>6} × {item.against}"
        print(f"{item.what:52} {measured:>12} {aim:>10} {mark} {ratio}".rstrip(), flush=True)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def taken(action: Action) -> float:
    """Seconds that something takes, without garbage of what was before."""
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def best(action: Action, times: int) -> float:
    """Shortest of several times, in seconds."""
    return min(taken(action) for _ in range(times))


def by_turns(actions: Mapping[str, Action], times: int) -> dict[str, list[float]]:
    """Seconds of each action, once each per round."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(times):
        for name, action in actions.items():
            found[name].append(taken(action))
    return found


def unheard() -> Listener:
    """A listener that events are made for, and that does nothing with them."""
    return deque[Any](maxlen=1).append


class Process:
    """An engine as a process has it, with all that goes with a store if it is to have one.

    Args:
        folder: Where files lie; several processes may share one.
        memory: Bytes of results in memory.
        disk: Bytes of results in the store; 0 for none.
    """

    def __init__(
        self,
        nodes: Sequence[Callable[..., Any]],
        folder: Path,
        *,
        memory: int = 1 << 30,
        disk: int = 0,
        **engine: Any,
    ) -> None:
        self.registry = Registry()
        self.registry.add(*nodes)
        self.environment = Environment((), folder, folder, folder)
        self.store = Store(folder / "store", budget=disk) if disk else None
        cache = Cache(MemoryCache(memory), self.store, (), self.registry.import_types)
        if self.store is not None:
            index = self.store.index
            engine |= {
                "costs": Costs(index),
                "claims": self.store.claims,
                "written": SinkFiles(index),
                "codes": CodeModules(index),
                "saver": Saver(Checkpoints(self.store), settle=self.store.flush),
            }
        self.engine = Engine(self.registry, environment=self.environment, cache=cache, **engine)

    def graph(self, workflow: Workflow, *targets: str) -> CheckedGraph:
        """The graph of a workflow, built anew: nothing of earlier runs is known to it."""
        return build_graph(
            workflow, self.registry, self.environment, targets=targets or ends(workflow)
        )

    def run(
        self,
        graph: CheckedGraph,
        listener: Listener | None = None,
        *,
        cancel: CancelToken | None = None,
        share: Share | None = None,
    ) -> RunResult:
        """Run a graph on an event loop of its own; what went wrong is raised."""
        run = self.engine.run(
            graph,
            RunOptions(listener=listener or unheard(), cancel=cancel, share=share, values=False),
        )
        result = wait_for(run)
        for error in result.errors:
            raise error
        return result

    def close(self) -> None:
        """End threads, and write what waits."""
        self.engine.close()
        if self.store is not None:
            self.store.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def workflow_of(nodes: Mapping[str, Any]) -> Workflow:
    """A workflow of some nodes, as a file has them."""
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes)})


def ends(workflow: Workflow) -> list[str]:
    """The nodes that no other one uses."""
    used = {
        given["from"].partition(".")[0]
        for entry in workflow.nodes.values()
        for given in entry.inputs.values()
        if isinstance(given, dict) and "from" in given
    }
    return [name for name in workflow.nodes if name not in used]
