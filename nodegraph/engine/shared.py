"""What the runs of one engine share: node types, cache, lanes, weights, and calls in flight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from nodegraph.core.context import Environment, Numerics, Weights
from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.keys import Key, base_key
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.cache import Cache
from nodegraph.engine.checkpointing import Saver
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.registry import Registry
from nodegraph.engine.states import Call
from nodegraph.store.codes import Codes
from nodegraph.store.costs import Costs
from nodegraph.store.written import Written


class Claiming(Protocol):
    """Who works on what, across processes."""

    def try_claim(self, name: str) -> bool:
        """Take a name, unless somebody has it."""

    def release(self, name: str) -> None:
        """Give a name back."""


@dataclass
class Shared:
    """See `nodegraph.engine.engine.Engine` for the fields.

    Attributes:
        in_flight: Calls that are running, by key: an equal one waits for its result.
    """

    registry: Registry
    environment: Environment
    cache: Cache
    lanes: Lanes
    weights: Weights | None = None
    numerics: Numerics | None = None
    costs: Costs | None = None
    claims: Claiming | None = None
    written: Written | None = None
    codes: Codes | None = None
    saver: Saver = field(default_factory=Saver)
    in_flight: dict[Key, Call] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)

    def base_of(self, node: GraphNode) -> Digest:
        """The part of a node's key that is known before it runs."""
        found = self.identity(node.spec)
        known = node.memo.get("base")
        if known is not None and known[0] == found:
            base: Digest = known[1]
            return base
        digesters = self.registry.digesters
        base = base_key(
            node.spec, node.literals, code=found.code, profile=found.profile, digesters=digesters
        )
        node.memo["base"] = (found, base)
        return base

    def forget_calls(self) -> None:
        """Drop the calls that were in flight on an event loop that is gone."""
        for call in self.in_flight.values():
            if call.is_claimed and self.claims is not None:
                call.is_claimed = False
                self.claims.release(call.key)
        self.in_flight.clear()

    def forget_identities(self) -> None:
        """Look at the code behind node types anew: that of a notebook may have changed."""
        self._identities.clear()

    def identity(self, spec: NodeSpec) -> Identity:
        """What enters the keys of all nodes of a type."""
        known = self._identities.get(spec.type)
        if known is None or known.spec is not spec:
            profile = ""
            if spec.numerics and self.numerics is not None:
                profile = self.numerics.profile(self.lanes.device)
            known = Identity(spec, self.registry.code_digest(spec.type), profile)
            self._identities[spec.type] = known
        return known

    def device_of(self, spec: NodeSpec) -> str:
        """Where nodes of a type compute."""
        return self.lanes.device if spec.lane == "gpu" else "cpu"

    def expected_seconds(self, spec: NodeSpec) -> float:
        """What a call of a node type takes, whatever its shape; 0 if unknown."""
        if self.costs is None:
            return 0.0
        cost = self.costs.expected(spec.type, "", self.device_of(spec))
        return cost.seconds if cost is not None else 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A node type's code and the numerics that its results depend on."""

    spec: NodeSpec
    code: Digest
    profile: str

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Identity)
            and self.spec is other.spec
            and self.code == other.code
            and self.profile == other.profile
        )

    __hash__ = None  # type: ignore[assignment]
