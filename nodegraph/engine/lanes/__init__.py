"""Where calls run: serial lanes of compute devices and pools, shared fairly."""

from nodegraph.engine.lanes.fairness import Priority, Share
from nodegraph.engine.lanes.lanes import BESIDE_ANY, Lane, LanePlace, Lanes, current_place

__all__ = ["BESIDE_ANY", "Lane", "LanePlace", "Lanes", "Priority", "Share", "current_place"]
