"""An order in which every node comes after what it needs, and the cycles where there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

_MOST = 20


def topological_order(
    needs: Mapping[str, Collection[str]],
) -> tuple[list[str], list[list[str]]]:
    """Names ordered so that each comes after those it needs, and cycles that prevent it.

    Args:
        needs: By name, the names it needs; all of them keys themselves.
    Returns:
        The order, without the members of cycles; and cycles that share no name, each from its
        earliest member along the links back to it. The first 20 are told.
    """
    cycles: list[list[str]] = []
    left: Mapping[str, Collection[str]] = needs
    while True:
        try:
            return list(TopologicalSorter(left).static_order()), cycles
        except CycleError as error:
            cycle: list[str] = error.args[1]
            cycles.append(_from_earliest(cycle, needs))
            gone = set(cycle)
        if len(cycles) == _MOST:
            return [], cycles
        left = {
            name: [other for other in others if other not in gone]
            for name, others in left.items()
            if name not in gone
        }


def _from_earliest(cycle: list[str], needs: Mapping[str, Collection[str]]) -> list[str]:
    members = set(cycle)
    first = next(name for name in needs if name in members)
    start = cycle.index(first)
    return [*cycle[start:-1], *cycle[:start], first]
