"""What a component in memory is worth: by what it costs to bring back, and how long ago it was."""

from __future__ import annotations

from collections import defaultdict

MOVING_RATE = 8 * 2**30
"""Bytes per second between host and accelerator: about what a PCI Express 4.0 link carries. As it
is the same for all, what comes back this way goes in the order of its last use."""


class GreedyDual:
    """Scores by which to evict: seconds to bring back, per byte, on top of a rising level.

    The level of a place is the score of what was evicted there last. What is used gets its score
    anew from the present level, so that in the end the dear and unused goes too.

    Source: Cao & Irani 1997, "Cost-Aware WWW Proxy Caching Algorithms", GreedyDual-Size.
    """

    def __init__(self) -> None:
        self._levels: defaultdict[str, float] = defaultdict(float)

    def score(self, location: str, seconds: float, size: int) -> float:
        """What something is worth that was used just now.

        Args:
            seconds: That it takes to bring it back.
            size: Bytes.
        """
        return self._levels[location] + seconds / max(size, 1)

    def evicted(self, location: str, score: float) -> None:
        """Let the level rise, as something of this score went."""
        self._levels[location] = max(self._levels[location], score)
