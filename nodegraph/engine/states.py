"""What the scheduler remembers of each node and each call while a run goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.keys import Key
from nodegraph.engine.artifact import Artifact
from nodegraph.engine.mapping import Nested
from nodegraph.engine.result import NodeReport, NodeStatus
from nodegraph.errors import NodeFailed


@dataclass(eq=False)
class NodeState:
    """One node of a run.

    Attributes:
        depth: Longest way to a target, in nodes: the critical path goes first.
        waiting: How many inputs are still to come.
        consumers: How many nodes may still use the outputs; at 0 they leave memory.
        followers: Nodes that wait for this one.
        watchers: Called once it has ended, whatever way.
        level: How deep in expansions it stands.
        is_repeatable: False if it expanded into something that must run each time.
        queue: Calls that begin once the one before has ended.
    """

    node: GraphNode
    depth: int = 0
    level: int = 0
    demanded: bool = False
    waiting: int = 0
    consumers: int = 0
    status: NodeStatus | None = None
    artifacts: tuple[Artifact, ...] | None = None
    base: Digest | None = None
    calls: Nested[Call] | None = None
    open_calls: int = 0
    call_count: int = 0
    cached_count: int = 0
    seconds: float = 0.0
    error: NodeFailed | None = None
    is_repeatable: bool = True
    queue: deque[Call] = field(default_factory=deque)
    followers: list[NodeState] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def lazy_ports(self) -> frozenset[str]:
        """Linked inputs that are evaluated on demand; one that is mapped over never is."""
        ports = self.node.spec.inputs_by_name
        return frozenset(
            port
            for port, source in self.node.links.items()
            if ports[port].lazy and not source.fit.map_depth
        )

    @cached_property
    def eager_sources(self) -> tuple[str, ...]:
        """Names of the nodes that must have ended before this one starts."""
        links = self.node.links.items()
        return tuple({src.node: None for port, src in links if port not in self.lazy_ports})

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names of all nodes that it is linked from."""
        return tuple({source.node: None for source in self.node.links.values()})

    def output(self, port: str) -> Artifact:
        """One of the outputs, by its port's name; the node must have ended well."""
        assert self.artifacts is not None, f"the outputs of {self.node.name} left memory too early"
        names = [output.name for output in self.node.spec.outputs]
        return self.artifacts[names.index(port)]

    def used(self) -> None:
        """One of those who may use the outputs has done so; the last one lets them go."""
        self.consumers -= 1
        if not self.consumers:
            self.artifacts = None

    @property
    def has_outputs(self) -> bool:
        """Whether it ended well and others may use what it gave."""
        return self.status in ("ran", "cached")

    def forget_calls(self) -> None:
        """Let go of the calls with their inputs and outputs; the report keeps their number."""
        calls = list(self.calls.leaves()) if self.calls is not None else []
        self.call_count = len(calls)
        self.cached_count = sum(call.was_cached for call in calls)
        self.calls = None
        for call in calls:
            # The lane's thread may hold on to the call a moment longer than the run does.
            call.inputs, call.outputs = {}, None

    def report(self) -> NodeReport:
        """How it fared, for the run's result."""
        status = self.status or "skipped"
        return NodeReport(status, self.seconds, self.call_count, self.cached_count)


@dataclass(eq=False)
class Call:
    """One invocation of a node's function; a mapped node has several.

    Attributes:
        name: The node's name, with the place in the list where it is mapped: ``decode[2]``.
        inputs: Linked inputs that are evaluated, as the function gets them.
        is_repeatable: False if it expanded into something that must run each time.
        followers: Calls, maybe of other runs, that wait for the same key.
    """

    state: NodeState
    name: str
    inputs: dict[str, Artifact]
    key: Key = ""
    outputs: tuple[Artifact, ...] | None = None
    was_cached: bool = False
    has_ended: bool = False
    is_repeatable: bool = True
    followers: dict[Call, Follower] = field(default_factory=dict)


Follower = Callable[[Call, Call, BaseException | None], None]
"""Told that the call it waited for has ended: itself, that call, its error."""
