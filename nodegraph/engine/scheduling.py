"""How the parts of a run meet: what calls, expansions and lazy inputs ask of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from nodegraph.core.events import EventStream
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.links import Expand
from nodegraph.core.nesting import Nesting
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.lanes import Share
from nodegraph.engine.memory_cache import CallOutputs
from nodegraph.engine.product import Product
from nodegraph.engine.result import CacheSource, WrittenFile
from nodegraph.engine.shared import EngineState
from nodegraph.engine.states import Call, NodeState


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a function gave: outputs, or more graph.

    Attributes:
        memory: Highest peak in bytes, where it was measured.
        loading: Of the seconds, those that it waited for weights.
    """

    seconds: float
    products: tuple[Product, ...] = ()
    expansion: Expand | None = None
    memory: int | None = None
    loading: float = 0.0


class RunCalls(Protocol):
    """The calls of a run. All of it is for the event loop's thread."""

    def begin(self, call: Call) -> None:
        """Answer a call from the cache, join an equal one in flight, or run it."""

    def release_followers(self, call: Call) -> None:
        """Nobody waits any more for a call whose inputs have to be computed again first."""

    def answer_from_cache(self, call: Call, *, is_shared: bool = False) -> bool:
        """Complete a call with what is known under its key, if anything is."""

    def answer_with(self, call: Call, entry: CallOutputs, *, is_shared: bool = False) -> None:
        """Complete a call with what was computed earlier."""

    def run(self, call: Call, act: Callable[[Call], None] | None = None) -> None:
        """Run a call once the values of its inputs are in memory.

        Args:
            act: What runs it, if not its lane or task.
        """

    def restart(self, call: Call) -> None:
        """Begin a call anew, as one of its inputs had to be computed again and may differ."""

    def answer(self, call: Call, answer: FunctionResult) -> None:
        """A call's function has returned."""

    def keep(self, call: Call, products: tuple[Product, ...], seconds: float) -> None:
        """Keep a call's outputs, in memory and on disk."""

    def complete(
        self,
        call: Call,
        products: tuple[Product, ...],
        *,
        source: CacheSource = "",
        saved: float = 0.0,
    ) -> None:
        """A call has its outputs."""

    def fail(self, call: Call, error: BaseException) -> None:
        """A call has raised."""

    def abandon(self, call: Call) -> None:
        """A call ends without outputs, as something that it needs has none."""

    def failing(self, call: Call) -> AbstractContextManager[None]:
        """What an async node raises inside the `with` is its call's failure."""


class RunScheduler(Protocol):
    """A run, as its parts see it. All of it is for the event loop's thread."""

    shared: EngineState
    events: EventStream
    cancel: CancelToken
    share: Share
    files: list[WrittenFile]
    states: dict[str, NodeState]
    id: str
    nesting: Nesting
    pin: Callable[[Iterable[Product]], None]
    check_mutation: bool
    alone: AbstractContextManager[object]

    @property
    def calls(self) -> RunCalls:
        """The calls of this run."""

    def add(self, graph: CheckedGraph, *, within: NodeState | None = None) -> None:
        """Take a graph's nodes in; its targets' outputs stay until `let_go`.

        Args:
            within: The node that expanded into the graph.
        """

    def demand(self, name: str) -> NodeState:
        """See to it that a node and what it needs are run."""

    def revive(self, name: str) -> NodeState:
        """See to it that a node's values are there again; it has ended, and they are gone."""

    def linked(self, state: NodeState, port: str) -> Product:
        """The value of a linked input whose source has ended, as the link hands it on."""

    def inputs_of(self, call: Call) -> dict[str, Product]:
        """The linked inputs of a call, as their sources give them now."""

    def release_outputs(self, states: Sequence[NodeState]) -> None:
        """Somebody outside the graph who kept these nodes' outputs needs them no more."""

    def call_ended(self, call: Call) -> None:
        """A call has outputs, or never will."""

    def pumping(self) -> AbstractContextManager[None]:
        """What becomes ready inside the `with` begins at its end, in this turn of the loop."""

    def end_on_fault(self) -> AbstractContextManager[None]:
        """A fault of the scheduler's own ends the run with it, rather than let it wait for ever."""
