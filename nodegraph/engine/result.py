"""What a run gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from nodegraph.core.copies import own_copy
from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.core.suggest import did_you_mean
from nodegraph.engine.product import Product
from nodegraph.errors import InvalidValue, NodeFailed
from nodegraph.store.entries import Gone

JobStatus = Literal["ok", "failed", "cancelled"]
NodeStatus = Literal["ran", "cached", "failed", "skipped", "cancelled"]
CacheSource = Literal["", "memory", "disk", "files", "shared"]
"""Where a cached result came from: ``files``: those that the sink wrote earlier lie there
unchanged; ``shared``: an equal call ran at the same time."""


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
                product.spoil()
            try:
                self._own[output] = own_copy(product.value)
            except Gone as error:
                raise InvalidValue(
                    f"`{output}` is kept no more: {error}",
                    hint="Run it again. If it is so each time, something changes the value after "
                    "its node has given it; `check_mutation=True` names the node that does.",
                ) from error
        return self._own[output]

    def __contains__(self, output: object) -> bool:
        return output in self._products

    def __iter__(self) -> Iterator[str]:
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._products)

    def __repr__(self) -> str:
        return f"OutputValues({', '.join(self)})"


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        outputs: Values of the targets that have outputs, by ``node.port``.
        nodes: How each node fared, in the order in which they ended.
        errors: What the failed nodes raised.
        reason: Why it was cancelled, if that was said.
        run: Its id in the store's records; empty if there is none.
    """

    status: JobStatus
    outputs: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[WrittenFile, ...] = ()
    nodes: Mapping[str, NodeReport] = field(default_factory=dict)
    errors: tuple[NodeFailed, ...] = ()
    seconds: float = 0.0
    reason: str = ""
    run: str = ""

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"

    def __getitem__(self, output: str) -> Any:
        """The value of a target's output, ``node.port``.

        Raises:
            KeyError: The run has no such output; names those that it has.
        """
        if output not in self.outputs:
            hint = did_you_mean(str(output), self.outputs) or "No target has an output."
            raise KeyError(f"the run has no output `{output}`. {hint}")
        return self.outputs[output]

    def __contains__(self, output: object) -> bool:
        return output in self.outputs

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)
