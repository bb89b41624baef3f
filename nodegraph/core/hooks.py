"""What hooks of a node are given: the inputs as far as they are known before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.copies import container_copy
from nodegraph.core.digests import LEAVES
from nodegraph.core.links import plain_number

Facts = Mapping[str, Any]
"""What is known of an output before it is computed: ``width``, ``height``, ``batch``,
``channels``, ``frames``, ``family``, ``format``; absent where unknown."""


WrittenInputs = Mapping[str, Mapping[str, "str | int | float | bool | None"]]
"""Values of nodes' inputs as a workflow writes them, by node and input."""


@dataclass(frozen=True, slots=True)
class HookInputs:
    """The inputs of one node before it runs.

    Attributes:
        literals: Values of the inputs that are not linked, defaults included.
        facts: Facts of the linked inputs, by input name.
        environment: Folders and permissions.
        nodes: For a validate hook, what names may speak of, such as ``%sample.seed%`` in that of a
            file: the workflow's own nodes, of each its inputs with the plain values that are
            written there; None for one that is linked or not written. Else empty.
    """

    literals: Mapping[str, Any]
    facts: Mapping[str, Facts]
    environment: Environment
    nodes: WrittenInputs = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A hook that changes what it is given must not change the graph.
        literals = dict(self.literals)
        for port, value in literals.items():
            if type(value) not in LEAVES:
                literals[port] = container_copy(value)
        object.__setattr__(self, "literals", literals)

    def fact(self, port: str, name: str) -> Any:
        """One fact of a linked input; None if unknown."""
        return self.facts.get(port, {}).get(name)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a validate hook found wrong with one input.

    Attributes:
        is_warning: The node runs all the same: it is told, and keeps nothing from running.
    """

    port: str
    message: str
    given: str | None = None
    expected: str | None = None
    hint: str | None = None
    code: str = "invalid-input"
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected cost of one call of a node, as far as its inputs tell.

    Attributes:
        seconds: Besides loading weights.
        memory: Bytes on its device, besides weights.
        work: How much there is to do, about: how often each parameter of its weights is used. What
            calls were seen to take is scaled by it, or the speed of the machine where none was
            seen. Without it, the time is taken to grow with pixels, pictures and ``steps``.
        weights: Bytes in memory of the weights behind its outputs, by port, for a node that gives
            recipes.
        shares: Inputs whose weights outputs share, by output: `weights` then says what is added to
            those.
        carries: Inputs whose weights an output brings along that is no recipe, by output, such as a
            prompt with a control network beside it: whoever samples by it computes with them.
        parts: Of the weights, the most that is on a device at once where there is too little room
            for all and they are brought in parts; by port.
        least: Bytes of memory at the smallest footprint, where that is fewer.
        passes: How often all of its weights are gone through, one after the other: what it takes to
            bring them to a device in parts grows with it.
        alike: What a call's parts of work must agree in with those of another one by the same
            weights to be computed in common; empty where they can't be. See `Context.seat`.
    """

    seconds: float | None = None
    memory: int | None = None
    work: float | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    carries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    least: int | None = None
    passes: int | None = None
    alike: str = ""

    def __post_init__(self) -> None:
        # Plans go to other processes, which know no numbers of numpy's.
        for name in ("seconds", "memory", "work", "least", "passes"):
            object.__setattr__(self, name, plain_number(getattr(self, name)))
        for name in ("weights", "parts"):
            known = {port: plain_number(size) for port, size in getattr(self, name).items()}
            object.__setattr__(self, name, known)


InferHook = Callable[[HookInputs], Mapping[str, Facts]]
"""Facts of each output."""
ValidateHook = Callable[[HookInputs], Iterable[Finding]]
FingerprintHook = Callable[[HookInputs], str]
"""Text that changes when something outside the inputs does, such as a file's content."""
EstimateHook = Callable[[HookInputs], Estimate]
