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
    from nodegraph.media.images.pillow_conversion import Pictures

JobStatus = Literal["ok", "failed", "cancelled"]
NodeStatus = Literal["ran", "cached", "failed", "skipped", "cancelled"]
CacheSource = Literal["", "memory", "disk", "files", "shared"]
"""Source of a cached result. ``files``: the files that the sink wrote earlier are unchanged.
``shared``: an equal call ran at the same time."""


_HEADS = ("node", "type", "status", "time")
_MOST_LINES = 20
"""Largest number of lines of a result in a terminal."""
_MOST_NAMES = 8
"""Largest number of outputs that an error names."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that a sink wrote.

    Attributes:
        existed: Whether it already existed with the same content and was not written again.
        digest: blake3 digest of its bytes; empty if no store keeps a record of the run.
    """

    path: Path
    node: str
    kind: str = "image"
    existed: bool = False
    digest: Digest = ""


@dataclass(slots=True)
class NodeReport:
    """Report of one node of a run.

    Attributes:
        seconds: Seconds spent in the node's own calls.
        calls: Number of calls; 1 unless it was mapped over a list.
        cached: Number of calls that came from the cache.
        source: Source of the cached calls.
        type: Type of the node.
        saved: Seconds that the cached calls took when they were computed.
        memory: Highest peak memory of its calls in bytes, if it was measured.
        key: Cache key of its call; empty if it had several calls or none.
        outputs: Digests of its outputs, by port.
        warnings: Warnings about its results from ``ctx.log``, those of cached results included.
        ui: JSON objects that it returned as `NodeOutput.ui`, by node: its own and, if it returned
            a graph, those of the nodes in it.
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
    ui: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Reporting(Protocol):
    """A node that can report on its run."""

    def report(self) -> NodeReport:
        """Return the report."""


class NodeReports(Mapping[str, NodeReport]):
    """Reports of all nodes by name, in the order in which they ended; made at first access."""

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
    """Values of a run's targets, by ``node.port``; loaded into memory at first access.

    The values are copies: changing one changes no other result.
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
        """Return a short description of a value, without loading it into memory."""
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
    """A node with its outputs, if they are still stored."""

    @property
    def node(self) -> GraphNode:
        """The node."""

    @property
    def products(self) -> Sequence[Product] | None:
        """Products by output; None if there are none."""


class PassedProducts(Mapping[str, Product]):
    """Outputs of all nodes of a run, by ``node.port``, as far as they are still stored.

    Each is looked up at access, because a run may have very many nodes.
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
    """Result of a finished run: a mapping of ``node.port`` to the values of its targets.

    Outputs of other nodes are available by their names, too, as long as a cache keeps them.

    Attributes:
        outputs: Values of the targets that have outputs, by ``node.port``.
        passed: Values of all nodes' outputs, as far as they are still stored.
        nodes: Reports of the nodes, in the order in which they ended.
        errors: Errors of the failed nodes.
        reason: Why it was cancelled, if a reason was given.
        run: Id in the store's records; empty if there is no record.
        shown: Function that makes the HTML for notebooks; they show the text if None.
        stand_ins: Actual output names, by the output names of subgraph uses and bypassed nodes.
        max_pixels: Largest width times height of images that `image` reads from files.
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
    """Names of `stand_ins` by their node, filled at first access."""

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"

    def __getitem__(self, output: str | Handle) -> Any:
        """Return the value of an output, ``node.port``, or ``node`` if it has only one output.

        An output of a `Graph` is a valid name, too. Values of targets are always available, and
        values of other nodes as long as a cache keeps them.

        Raises:
            KeyError: The run has no such output; names those that it has.
            InvalidValue: The value is no longer stored.
        """
        name = self._full(self._named(output))
        return self.outputs[name] if name in self.outputs else self.passed[name]

    def image(self, output: str | Handle, at: int = 0) -> Image:
        """Return an image that a node output or wrote, as a Pillow image.

        Args:
            output: ``node`` or ``node.port``, or a node or output of a `Graph`.
            at: Index in a batch or a list; negative numbers count from the end.
        Raises:
            KeyError: There is no such node or output.
            InvalidValue: It has no image, or no image at this index.
        """
        return self._pictures(self._named(output)).at(at)

    def images(self, output: str | Handle) -> list[Image]:
        """Return all images of a batch or a list that a node output or wrote; see `image`."""
        return list(self._pictures(self._named(output)))

    def _pictures(self, output: str) -> Pictures:
        from nodegraph.media.images.pillow_conversion import Pictures

        files = [file.path for file in self.files if file.node.partition("[")[0] == output]
        if files:
            return Pictures(output, files, max_pixels=self.max_pixels)
        value = self._value_with_pictures(output)
        return Pictures(output, value, max_pixels=self.max_pixels)

    def _value_with_pictures(self, output: str) -> Any:
        """Return the output's value; of several outputs, the only one that has images."""
        from nodegraph.media.images.pillow_conversion import has_pictures

        mine = self._ports_of(output)
        if len(mine) > 1:
            drawn = [name for name in mine if has_pictures(self[name])]
            if len(drawn) == 1:
                return self[drawn[0]]
        return self[output]

    def _named(self, output: str | Handle) -> str:
        """Return the requested name."""
        if not isinstance(output, str | Handle):
            raise KeyError(f"outputs are selected by name, not by {output!r}. {self._names}")
        return str(output)

    def _full(self, output: str) -> str:
        """Return the full name ``node.port`` of an output of a node that has run."""
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
        # A run may have very many nodes, and each may be requested: the report lists its own ports.
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
        """Return whether the value of an output is available, by any of its names."""
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
        """Pickle the values of the targets; values of other nodes stay in this process.

        Raises:
            InvalidValue: One of the values is no longer stored.
        """
        return type(self), tuple(self._own().values())

    def __copy__(self) -> RunResult:
        return self  # it is immutable

    def __deepcopy__(self, memo: dict[int, Any]) -> RunResult:
        mine = self._own() | {"passed": {}}
        return replace(RunResult(**deepcopy(mine, memo)), passed=self.passed)

    def _own(self) -> dict[str, Any]:
        """Return the fields, independent of the run."""
        parts = {part.name: getattr(self, part.name) for part in fields(self) if part.init}
        return parts | {"outputs": dict(self.outputs), "nodes": dict(self.nodes), "passed": {}}

    def __bool__(self) -> bool:
        """Return True, also for a run that has only written files."""
        return True

    def __repr__(self) -> str:
        # Debuggers and logs call it: no value is loaded, copied or searched for it, and of very
        # many outputs only those that are shown are read.
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
        """Short text with the number of nodes, the cached ones and the time."""
        cached = sum(report.status == "cached" for report in self.nodes.values())
        kept = f", {cached} cached" if cached else ""
        return f"{pluralize(len(self.nodes), 'node')}{kept}, {format_seconds(self.seconds)}"

    @property
    def told(self) -> str:
        """Old name of `summary` in version 0.1."""
        warnings.warn("`told` is now called `summary`", DeprecationWarning, stacklevel=2)
        return self.summary

    def _repr_html_(self) -> str | None:
        """Return the HTML for notebooks."""
        return None if self.shown is None else self.shown(self)

    def __rich__(self) -> Group:
        """Return a table of the nodes for Rich."""
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
