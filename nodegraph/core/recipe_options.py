"""Options of recipes that are known to more than those who set them."""

from __future__ import annotations

SPEED_PREFIX = "speed."
"""Before the names of options of recipes by which a component computes in another way, over weights
that it shares with one that doesn't."""
