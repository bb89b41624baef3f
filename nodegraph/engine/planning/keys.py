"""The keys under which the cache holds, or would hold, what a plan tells of."""

from __future__ import annotations

from collections.abc import Mapping

from nodegraph.core.keys import Key
from nodegraph.engine.planning.prediction import PlannedNode


def planned_keys(predicted: Mapping[str, PlannedNode]) -> list[Key]:
    """Every key that a run would look up, as far as it is known; see `Plan.predicted`.

    The key of a call comes after those that lead to it.
    """
    found: dict[Key, None] = {}
    for planned in predicted.values():
        for call in planned.each_call():
            if call.key is not None:
                found.update(dict.fromkeys((*call.passed, call.key)))
    return list(found)
