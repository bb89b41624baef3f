"""Where calls run: serial lanes of compute devices and pools, shared fairly."""

from nodegraph.engine.lanes.fair_queue import Priority, Share
from nodegraph.engine.lanes.lanes import ANY_BATCH, Lane, Lanes, LaneSlot, current_slot

__all__ = ["ANY_BATCH", "Lane", "LaneSlot", "Lanes", "Priority", "Share", "current_slot"]
