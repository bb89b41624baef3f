"""What the runs of one engine share: node types, cache, lanes, weights, and calls in flight."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodegraph.core.context import Environment, Numerics, Weights
from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.keys import Key, base_key
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.cache import Cache
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.registry import Registry
from nodegraph.engine.states import Call


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
    in_flight: dict[Key, Call] = field(default_factory=dict)
    _identities: dict[str, tuple[NodeSpec, Digest, str]] = field(default_factory=dict)

    def base_of(self, node: GraphNode) -> Digest:
        """The part of a node's key that is known before it runs."""
        _, code, profile = self._identity(node.spec)
        digesters = self.registry.digesters
        return base_key(node.spec, node.literals, code=code, profile=profile, digesters=digesters)

    def forget_identities(self) -> None:
        """Look at the code behind node types anew: that of a notebook may have changed."""
        self._identities.clear()

    def _identity(self, spec: NodeSpec) -> tuple[NodeSpec, Digest, str]:
        known = self._identities.get(spec.type)
        if known is None or known[0] is not spec:
            profile = ""
            if spec.numerics and self.numerics is not None:
                profile = self.numerics.profile(self.lanes.device)
            known = (spec, self.registry.code_digest(spec.type), profile)
            self._identities[spec.type] = known
        return known
