"""Where calls run: serial lanes of compute devices and pools, shared fairly."""

from nodegraph.engine.lanes.fairness import Priority, Share
from nodegraph.engine.lanes.lanes import Lane, Lanes, Place, current_place

__all__ = ["Lane", "Lanes", "Place", "Priority", "Share", "current_place"]
