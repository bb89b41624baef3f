"""What the residency manager knows of each component that is in memory or on its way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from blake3 import blake3

from nodegraph.core.values import Recipe

HOST = "cpu"
"""Where components lie that left an accelerator, and where those for the CPU are."""

Content = tuple[Any, ...]
"""What makes two recipes the same component, wherever their files lie."""

PlacementKey = tuple[Content, str]
"""A component at a place."""


class PlacementState(Enum):
    """Where a component is on its way."""

    LOADING = auto()
    RESIDENT = auto()
    MOVING = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Resident:
    """A component in memory.

    Attributes:
        bytes: Of its parameters and buffers; of one with adapters only what they add.
        pins: How many users hold it right now; 0 means it may be evicted.
        is_whole: Whether all of its weights are there, not only as many at a time.
    """

    recipe: Recipe
    device: str
    bytes: int
    pins: int
    is_whole: bool = True


@dataclass(slots=True, eq=False)
class Placement:
    """A component at a place, from the moment that somebody asks for it.

    Attributes:
        bytes: Measured, or expected as long as it is coming.
        seconds: That loading it took, or putting adapters on it.
        error: Why it didn't come, if others are to fail with it; without the frames of the load.
        pins: How many users hold it or wait for it.
        last_used: A count that rises with each use.
        score: What it is worth to be kept; the lowest goes first.
        base: Whose weights it shares; pinned while this one is.
        is_compact: Whether it takes less memory, and more time at each use.
        drop_when_idle: To be dropped as soon as nobody uses it.
        is_whole: Whether all of its weights are there; else it is one user's own.
    """

    recipe: Recipe
    location: str
    bytes: int
    state: PlacementState = PlacementState.LOADING
    component: Any = None
    seconds: float = 0.0
    error: Exception | None = None
    pins: int = 0
    last_used: int = 0
    score: float = 0.0
    base: Placement | None = None
    is_compact: bool = False
    drop_when_idle: bool = False
    is_whole: bool = True

    @property
    def key(self) -> PlacementKey:
        """Its content and place."""
        return content_of(self.recipe), self.location

    @property
    def is_idle(self) -> bool:
        """Whether it is there and nobody uses it."""
        return self.state is PlacementState.RESIDENT and not self.pins

    def resident(self) -> Resident:
        """What may be told of it."""
        return Resident(self.recipe, self.location, self.bytes, self.pins, self.is_whole)


def device_name(device: str) -> str:
    """The one name of a device, by which budgets, costs and peaks are kept."""
    return "cuda:0" if device == "cuda" else device


def resident_name(recipe: Recipe, device: str) -> str:
    """Names a component in a device's memory, alike in all processes, in a few words."""
    content = blake3(repr(content_of(recipe)).encode()).hexdigest(6)
    return f"{device} {recipe.family} {type(recipe).__qualname__} {recipe.dtype} {content}"


def content_of(recipe: Recipe) -> Content:
    """What makes a component: equal for recipes of equal content."""
    adapters = tuple(
        (item.kind, item.digest, item.strength, item.modules, item.token)
        for item in recipe.adapters
    )
    kind = type(recipe).__qualname__
    return kind, recipe.family, recipe.digest, recipe.dtype, recipe.options, adapters
