"""The keys under which the cache holds, or would hold, what a plan tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nodegraph.core.keys import Key, call_key, lazy_key
from nodegraph.engine.artifact import Artifact
from nodegraph.engine.planning.prediction import PlannedCall, PlannedNode
from nodegraph.engine.shared import Shared


def planned_keys(predicted: Mapping[str, PlannedNode], shared: Shared) -> list[Key]:
    """Every key that a run would look up, as far as it is known; see `Plan.predicted`."""
    found: dict[Key, None] = {}
    for planned in predicted.values():
        for call in planned.each_call():
            if call.key is not None:
                found.update(dict.fromkeys(_keys(call, shared)))
    return list(found)


def _keys(call: PlannedCall, shared: Shared) -> Iterator[Key]:
    """The key of a call, after those that lead to it from one lazy input to the next."""
    assert call.key is not None
    lazy = call.node.lazy_links
    # They stand in the order in which they were asked for.
    asked = [port for port, value in call.inputs.items() if port in lazy and not value.is_blocked]
    if asked:
        digests = {port: _digest(call, port) for port in call.inputs if port not in lazy}
        key = call_key(shared.base_of(call.node), digests, call.fingerprint)
        for port in asked:
            yield key
            key = lazy_key(key, port, _digest(call, port))
    yield call.key


def _digest(call: PlannedCall, port: str) -> str:
    value = call.inputs[port]
    assert isinstance(value, Artifact), "a call whose key is known has inputs that are known"
    return value.digest
