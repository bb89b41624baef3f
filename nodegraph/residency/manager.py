"""Which components are in memory: loaded on first use, shared, evicted within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import Recipe
from nodegraph.errors import NodegraphError
from nodegraph.residency.measure import component_bytes

if TYPE_CHECKING:
    from nodegraph.core.context import Weights

_Key = tuple[str, str, str, str, tuple[tuple[str, str], ...], str]


@dataclass(frozen=True, slots=True)
class Resident:
    """A component in memory.

    Attributes:
        bytes: Of its parameters and buffers.
        pins: How many users hold it right now; 0 means it may be evicted.
    """

    recipe: Recipe
    device: str
    bytes: int
    pins: int


@dataclass(slots=True, eq=False)
class _Entry:
    """A component that is in memory or on its way there."""

    recipe: Recipe
    device: str
    bytes: int
    component: Any = None
    ready: bool = False
    error: BaseException | None = None
    pins: int = 0
    last_used: int = 0
    unwanted: bool = False


class ResidencyManager:
    """Turns recipes into live components and keeps those in memory that were used last.

    Safe to use from several threads. A recipe is loaded once, however many ask for it at the
    same time, and its component is shared by them: treat it as read-only. Recipes of equal
    content share a component wherever their files lie.

    The budget bounds what is kept, not what is in use: a component that somebody holds is never
    evicted, so that holding more than the budget goes over it until the holders let go.

    Args:
        load: Makes the component of a recipe on a device; may raise.
        budgets: Bytes of weights to keep per device, such as ``{"cuda:0": 8 * 2**30}``; a device
            that isn't named has no limit.
        estimate: Bytes that a recipe's component will take, to make room before the first load.
            Afterwards its measured size is remembered.
    """

    def __init__(
        self,
        load: Callable[[Recipe, str], Any],
        budgets: Mapping[str, int] | None = None,
        *,
        estimate: Callable[[Recipe], int] | None = None,
    ) -> None:
        self._load = load
        self._budgets = dict(budgets or {})
        self._estimate = estimate
        self._entries: dict[_Key, _Entry] = {}
        self._measured: dict[_Key, int] = {}
        self._clock = count(1)
        self._changed = Condition()

    @contextmanager
    def use(self, recipe: Recipe, device: str) -> Iterator[Any]:
        """The component of a recipe on a device, kept there inside the `with`.

        Raises:
            NodegraphError: The files are missing or damaged, or memory ran out even after
                everything that isn't in use was evicted.
        """
        entry = self._pin(recipe, device)
        try:
            yield entry.component
        finally:
            self._unpin(entry)

    def resident(self) -> list[Resident]:
        """What is in memory, least recently used first."""
        with self._changed:
            ready = [entry for entry in self._entries.values() if entry.ready]
            return [
                Resident(entry.recipe, entry.device, entry.bytes, entry.pins)
                for entry in sorted(ready, key=_age)
            ]

    def release_all(self) -> int:
        """Let go of everything; what is in use goes when its last user is done.

        Returns:
            Bytes that were freed at once.
        """
        with self._changed:
            freed = sum(entry.bytes for entry in self._evictable(None))
            for entry in list(self._entries.values()):
                entry.unwanted = True
                self._drop_if_idle(entry)
            return freed

    def _pin(self, recipe: Recipe, device: str) -> _Entry:
        key = _key(recipe, device)
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None:
                return self._join(entry)
            expected = self._expected(key, recipe)
            self._make_room(device, expected)
            entry = self._entries[key] = _Entry(recipe, device, expected, pins=1)
        self._fill(key, entry)
        return entry

    def _join(self, entry: _Entry) -> _Entry:
        """Wait for somebody else's load and share its result, or its failure."""
        entry.pins += 1
        self._changed.wait_for(lambda: entry.ready or entry.error is not None)
        if entry.error is not None:
            raise entry.error
        return entry

    def _fill(self, key: _Key, entry: _Entry) -> None:
        try:
            component = self._load_with_room(entry)
            size = component_bytes(component)
        except BaseException as error:
            # Whatever happened here, even an interrupt, must not leave the others waiting.
            interrupted = not isinstance(error, Exception)
            with self._changed:
                entry.error = _interrupted(entry) if interrupted else error
                self._forget(entry)
                self._changed.notify_all()
            raise
        with self._changed:
            entry.component, entry.bytes, entry.ready = component, size, True
            entry.last_used = next(self._clock)
            self._measured[key] = size
            self._make_room(entry.device, 0)
            self._changed.notify_all()

    def _load_with_room(self, entry: _Entry) -> Any:
        try:
            return self._load(entry.recipe, entry.device)
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
        # Outside the handler, so that the first error's frames no longer hold half a model.
        self._forget_idle(entry.device)
        try:
            return self._load(entry.recipe, entry.device)
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
            raise self._does_not_fit(entry) from error

    def _forget_idle(self, device: str) -> None:
        # A function of its own, as a loop's variable would hold on to the last one.
        with self._changed:
            for entry in self._evictable(device):
                self._forget(entry)

    def _does_not_fit(self, entry: _Entry) -> NodegraphError:
        with self._changed:
            held = sum(
                other.bytes
                for other in self._entries.values()
                if other.device == entry.device and other.ready
            )
        need = f"about {_mebibytes(entry.bytes)}" if entry.bytes else "an unknown amount"
        return NodegraphError(
            f"out of memory on {entry.device} while loading {entry.recipe.source}: it needs "
            f"{need}, and weights in use there hold {_mebibytes(held)}",
            hint="Load the model with a smaller dtype, or close other programs on that device.",
        )

    def _unpin(self, entry: _Entry) -> None:
        with self._changed:
            entry.pins -= 1
            entry.last_used = next(self._clock)
            self._drop_if_idle(entry)
            self._make_room(entry.device, 0)

    def _make_room(self, device: str, needed: int) -> None:
        """Evict idle components, longest unused first, until `needed` more bytes fit."""
        budget = self._budgets.get(device)
        if budget is None:
            return
        used = sum(entry.bytes for entry in self._entries.values() if entry.device == device)
        for entry in self._evictable(device):
            if used + needed <= budget:
                return
            self._forget(entry)
            used -= entry.bytes

    def _evictable(self, device: str | None) -> list[_Entry]:
        return sorted(
            (
                entry
                for entry in self._entries.values()
                if entry.ready and not entry.pins and device in (None, entry.device)
            ),
            key=_age,
        )

    def _drop_if_idle(self, entry: _Entry) -> None:
        if entry.unwanted and entry.ready and not entry.pins:
            self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        key = _key(entry.recipe, entry.device)
        if self._entries.get(key) is entry:
            del self._entries[key]

    def _expected(self, key: _Key, recipe: Recipe) -> int:
        known = self._measured.get(key)
        if known is None:
            return self._estimate(recipe) if self._estimate else 0
        return known


def _key(recipe: Recipe, device: str) -> _Key:
    kind = type(recipe).__qualname__
    return kind, recipe.family, recipe.digest, recipe.dtype, recipe.options, device


def _age(entry: _Entry) -> int:
    return entry.last_used


def _is_out_of_memory(error: Exception) -> bool:
    # torch.OutOfMemoryError is told by name, as this module doesn't import torch.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _interrupted(entry: _Entry) -> NodegraphError:
    return NodegraphError(f"loading {entry.recipe.source} was interrupted")


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


if TYPE_CHECKING:

    def _satisfies(manager: ResidencyManager) -> Weights:
        return manager
