"""Result of a run: outputs, files, node reports, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.copies import deep_copy
from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.core.links import Handle
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.summary import summarize, summarize_list
from nodegraph.core.text_format import format_seconds, pluralize, strip_control_characters
from nodegraph.engine.product import Product
from nodegraph.errors import InvalidValue, NodeFailed
from nodegraph.store.entries import OutputGone

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Group

    from nodegraph.core.graph import GraphNode
    from nodegraph.media.images.pictures import Pictures

JobStatus = Literal["ok", "failed", "cancelled"]
NodeStatus = Literal["ran", "cached", "failed", "skipped", "cancelled"]
CacheSource = Literal["", "memory", "disk", "files", "shared"]
"""Where a cached result came from: ``files``: those that the sink wrote earlier lie there
unchanged; ``shared``: an equal call ran at the same time."""


_HEADS = ("node", "type", "status", "time")
_MOST_LINES = 20
"""Of what a terminal shows of a result."""
_MOST_NAMES = 8
"""Of outputs that an error names."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that a sink wrote.

    Attributes:
        existed: It was there already with the same content, and was left as it is.
    """

    path: Path
    node: str
    kind: str = "image"
    existed: bool = False


@dataclass(slots=True)
class NodeReport:
    """How one node fared.

    Attributes:
        seconds: Spent in the node's own calls.
        calls: How often it was called; 1 unless it was mapped over a list.
        cached: How many of the calls came from the cache.
        source: Where they came from.
        type: Its node type.
        saved: Seconds that computing the cached ones had taken.
        memory: Highest peak of its calls in bytes, where it was measured.
        key: Of its call; empty where it had several or none.
        outputs: Digests of its outputs, by port.
        warnings: What it said of its results, by ``ctx.log``: now, or when what came from the cache
            was computed.
    """

    status: NodeStatus
    seconds: float = 0.0
    calls: int = 0
    cached: int = 0
    source: CacheSource = ""
    saved: float = 0.0
    memory: int | None = None
    lane: str = ""
    key: Key = ""
    outputs: Mapping[str, Digest] = field(default_factory=dict)
    type: str = ""
    warnings: tuple[str, ...] = ()


class Reporting(Protocol):
    """A node that can tell how it fared."""

    def report(self) -> NodeReport:
        """How it fared."""


class NodeReports(Mapping[str, NodeReport]):
    """How each node fared, by name, in the order in which they ended; made when first asked for."""

    def __init__(self, reports: Mapping[str, Reporting]) -> None:
        self._reports = reports
        self._made: dict[str, NodeReport] = {}

    def __getitem__(self, node: str) -> NodeReport:
        made = self._made.get(node)
        if made is None:
            made = self._made[node] = self._reports[node].report()
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._reports)

    def __len__(self) -> int:
        return len(self._reports)


class OutputValues(Mapping[str, Any]):
    """Values of a run's targets, by ``node.port``; brought into memory when they are asked for.

    They are the caller's own: changing one changes no other result.
    """

    def __init__(self, products: Mapping[str, Product]) -> None:
        self._products = products
        self._own: dict[str, Any] = {}

    def __getitem__(self, output: str) -> Any:
        # A copy: what the caller does to it must not reach the cache.
        if output not in self._own:
            product = self._products[output]
            if not product.is_intact:
                product.invalidate()
            try:
                self._own[output] = deep_copy(product.value)
            except OutputGone as error:
                raise InvalidValue(
                    f"`{output}` is no longer kept: {error}",
                    hint="Run it again. If this happens each time, something changes the value "
                    "after its node returned it; `check_mutation=True` names the node that "
                    "does.",
                ) from error
        return self._own[output]

    def summary(self, output: str) -> str:
        """A value in a few words; what isn't in memory stays where it is."""
        if output in self._own:
            return summarize(self._own[output])
        return self._summarized(self._products[output])

    def _summarized(self, product: Product) -> str:
        if product.items:
            return summarize_list(len(product.items), self._summarized(product.items[0]))
        is_there = product.is_loaded and product.is_intact
        return summarize(product.value) if is_there else "not in memory"

    def __contains__(self, output: object) -> bool:
        return output in self._products

    def __iter__(self) -> Iterator[str]:
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._products)

    def __repr__(self) -> str:
        return f"OutputValues({', '.join(self)})"


class GivingNode(Protocol):
    """A node with what it gave, where something keeps that still."""

    @property
    def node(self) -> GraphNode:
        """The node."""

    @property
    def products(self) -> Sequence[Product] | None:
        """What it gave, by outputs; None: it gave nothing."""


class PassedProducts(Mapping[str, Product]):
    """What the nodes of a run gave, by ``node.port``, as far as something keeps it still.

    Made as they are asked for, as a run may have very many nodes.
    """

    def __init__(self, states: Mapping[str, GivingNode]) -> None:
        self._states = states

    def __getitem__(self, output: str) -> Product:
        node, _, port = output.rpartition(".")
        state = self._states[node]
        for spec, product in zip(state.node.spec.outputs, state.products or (), strict=False):
            if spec.name == port and not product.is_blocked:
                return product
        raise KeyError(output)

    def __iter__(self) -> Iterator[str]:
        for name, state in self._states.items():
            for spec, product in zip(state.node.spec.outputs, state.products or (), strict=False):
                if not product.is_blocked:
                    yield f"{name}.{spec.name}"

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, repr=False)
class RunResult(Mapping[str, Any]):
    """A finished run, and a mapping: the values of its targets by ``node.port``.

    What other nodes gave is found by its name, too, as long as a cache keeps it.

    Attributes:
        outputs: Values of the targets that have outputs, by ``node.port``.
        passed: Values of all nodes' outputs, as far as something keeps them still.
        nodes: How each node fared, in the order in which they ended.
        errors: What the failed nodes raised.
        reason: Why it was cancelled, if that was said.
        run: Its id in the store's records; empty if there is none.
        shown: Makes the HTML that notebooks show of it; they show its text if None.
        stand_ins: Names of outputs by those of subgraphs' uses and of bypassed nodes that they
            stand for.
        max_pixels: Width times height of images that `image` reads from files.
    """

    status: JobStatus
    outputs: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[WrittenFile, ...] = ()
    nodes: Mapping[str, NodeReport] = field(default_factory=dict)
    errors: tuple[NodeFailed, ...] = ()
    seconds: float = 0.0
    reason: str = ""
    run: str = ""
    passed: Mapping[str, Any] = field(default_factory=dict, compare=False)
    shown: Callable[[RunResult], str] | None = field(default=None, compare=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict, compare=False)
    max_pixels: int = field(default=MAX_IMAGE_PIXELS, compare=False)
    _uses: dict[str, list[str]] = field(default_factory=dict, init=False, compare=False)
    """Names of `stand_ins` by their node, once somebody asked for one."""

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"

    def __getitem__(self, output: str | Handle) -> Any:
        """The value of an output, ``node.port``; of a node that has a single one, ``node`` will do.

        What stands for one in a `Graph` names it, too. Those of targets are there. What other nodes
        gave is, as long as a cache keeps it.

        Raises:
            KeyError: The run has no such output; names those that it has.
            InvalidValue: It is kept no more.
        """
        name = self._full(self._named(output))
        return self.outputs[name] if name in self.outputs else self.passed[name]

    def image(self, output: str | Handle, at: int = 0) -> Image:
        """An image that a node gave or wrote, for Pillow.

        Args:
            output: ``node``, or ``node.port``; or what stands for it in a `Graph`.
            at: Which one, of a batch or a list; negative numbers count from the end.
        Raises:
            KeyError: There is no such node or output.
            InvalidValue: It has no image, or not so many.
        """
        return self._pictures(self._named(output)).at(at)

    def images(self, output: str | Handle) -> list[Image]:
        """All images of a batch or a list that a node gave or wrote; see `image`."""
        return list(self._pictures(self._named(output)))

    def _pictures(self, output: str) -> Pictures:
        from nodegraph.media.images.pictures import Pictures

        files = [file.path for file in self.files if file.node.partition("[")[0] == output]
        if files:
            return Pictures(output, files, max_pixels=self.max_pixels)
        value = self._value_with_pictures(output)
        return Pictures(output, value, max_pixels=self.max_pixels)

    def _value_with_pictures(self, output: str) -> Any:
        """The output's value; of a node with several, of the only one that has images."""
        from nodegraph.media.images.pictures import has_pictures

        mine = self._ports_of(output)
        if len(mine) > 1:
            drawn = [name for name in mine if has_pictures(self[name])]
            if len(drawn) == 1:
                return self[drawn[0]]
        return self[output]

    def _named(self, output: str | Handle) -> str:
        """The name that is asked for."""
        if not isinstance(output, str | Handle):
            raise KeyError(f"outputs are selected by name, not by {output!r}. {self._names}")
        return str(output)

    def _full(self, output: str) -> str:
        """The name of an output as ``node.port``, of a node that has run."""
        output = self.stand_ins.get(output, output)
        if output in self.outputs or output in self.passed:
            return output
        mine = self._ports_of(output)
        if len(mine) == 1:
            return self.stand_ins.get(mine[0], mine[0])
        if mine:
            listed = ", ".join(f"`{name}`" for name in mine)
            raise KeyError(f"the node `{output}` has several outputs. Name one of {listed}.")
        if output in self.nodes:
            how = self.nodes[output].status
            if self.nodes[output].outputs and not isinstance(self.passed, PassedProducts):
                raise KeyError(
                    f"the value of the node `{output}` is not in this result: a pickled result "
                    f"holds only the values of its targets. Run with `targets=[{output!r}]`."
                )
            raise KeyError(f"the node `{output}` has no output; its status is {how}.")
        near = [*self._known, *self.nodes] if "." not in output else self._known
        hint = did_you_mean(output, near) or "No node has an output."
        raise KeyError(f"the run has no output `{output}`. {hint}")

    @property
    def _known(self) -> list[str]:
        return list(dict.fromkeys([*self.outputs, *self.passed, *self.stand_ins]))

    @property
    def _names(self) -> str:
        names = ", ".join(f"`{name}`" for name in self._known[:_MOST_NAMES])
        return f"Name one of {names}." if names else "No node has an output."

    def _ports_of(self, node: str) -> list[str]:
        # A run may have very many nodes, and each be asked for: the report knows its own ports.
        report = self.nodes.get(node)
        declared = [f"{node}.{port}" for port in report.outputs] if report is not None else []
        available = [name for name in declared if name in self.outputs or name in self.passed]
        if not self._uses:
            for name in self.stand_ins:
                self._uses.setdefault(name.rpartition(".")[0], []).append(name)
        if available or node in self._uses:
            return [*available, *self._uses.get(node, ())]
        known = (*self.outputs, *self.passed)
        return list(dict.fromkeys(name for name in known if name.rpartition(".")[0] == node))

    def __contains__(self, output: object) -> bool:
        """Whether it has the value of an output, by any name that it can be asked for."""
        try:
            name = self._full(self._named(output))  # type: ignore[arg-type]  # it says so itself
        except KeyError:
            return False
        return name in self.outputs or name in self.passed

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the values of the targets; those of other nodes stay in this one.

        Raises:
            InvalidValue: One of the values is kept no more.
        """
        return type(self), tuple(self._own().values())

    def __copy__(self) -> RunResult:
        return self  # nothing of it changes

    def __deepcopy__(self, memo: dict[int, Any]) -> RunResult:
        mine = self._own() | {"passed": {}}
        return replace(RunResult(**deepcopy(mine, memo)), passed=self.passed)

    def _own(self) -> dict[str, Any]:
        """Its parts, free of the run that they come from."""
        parts = {part.name: getattr(self, part.name) for part in fields(self) if part.init}
        return parts | {"outputs": dict(self.outputs), "nodes": dict(self.nodes), "passed": {}}

    def __bool__(self) -> bool:
        """It is there, also of a run that has only written files."""
        return True

    def __repr__(self) -> str:
        # Debuggers and logs ask for it: no value is brought into memory, copied or gone through for
        # that, and of very many outputs only those that are shown are looked at.
        parts = chain(
            (f"  {name}: {self._summary(name)}" for name in self.outputs),
            (f"  {file.path}" for file in self.files),
            (f"  {error.problem.message}" for error in self.errors),
        )
        lines = [f"<RunResult {self.status}: {self.summary}>", *islice(parts, _MOST_LINES - 1)]
        more = 1 + len(self.outputs) + len(self.files) + len(self.errors) - len(lines)
        return strip_control_characters(
            "\n".join([*lines, *([f"  … and {more} more"] if more > 0 else [])])
        )

    def _summary(self, output: str) -> str:
        values = self.outputs
        return (
            values.summary(output)
            if isinstance(values, OutputValues)
            else summarize(values[output])
        )

    @property
    def summary(self) -> str:
        """How many nodes there were, how many of them cached, and the time, in a few words."""
        cached = sum(report.status == "cached" for report in self.nodes.values())
        kept = f", {cached} cached" if cached else ""
        return f"{pluralize(len(self.nodes), 'node')}{kept}, {format_seconds(self.seconds)}"

    @property
    def told(self) -> str:
        """The name that `summary` had in version 0.1."""
        warnings.warn("`told` is now called `summary`", DeprecationWarning, stacklevel=2)
        return self.summary

    def _repr_html_(self) -> str | None:
        """What notebooks show of it."""
        return None if self.shown is None else self.shown(self)

    def __rich__(self) -> Group:
        """What Rich prints of it: how its nodes fared."""
        from nodegraph.core.tables import rich_table

        rows = [
            (name, report.type, report.status, format_seconds(report.seconds))
            for name, report in self.nodes.items()
        ]
        below = [
            *(f"{name}: {self._summary(name)}" for name in self.outputs),
            *(str(file.path) for file in self.files),
            *(error.problem.message for error in self.errors),
        ]
        return rich_table(f"{self.status}: {self.summary}", _HEADS, rows, below)
