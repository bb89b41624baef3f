"""Detect changes of values that several users share, and keep them from spreading.

A function's containers are its own; tensors are shared. Whether one was changed is looked at, by
its marks, before it is handed on and after each call that was handed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from typing import Any

from nodegraph.core.copies import container_copy
from nodegraph.core.digests import LEAVES, Digest, Undigestable, digest_value
from nodegraph.core.summary import summarize
from nodegraph.engine.cache import Cache
from nodegraph.engine.product import Digesters, LentValue, Product, lent_values
from nodegraph.errors import InvalidValue
from nodegraph.store.entries import OutputGone, SharedValue

_MOST_TRIES = 3
"""Times that a call has an input made anew which was changed since its node gave it."""


class ChangedInput(InvalidValue):
    """A node changed an input: what others share isn't what it is taken for any more."""


class InputGuard:
    """What the function behind a call is handed; inside a `with`, what it does to that is watched.

    What was changed leaves memory, so that whoever needs it next gets it as it was.

    Attributes:
        values: Values by port.

    Raises:
        ChangedInput: At the end of the `with`: something was changed; names the input.
    """

    __slots__ = ("_cache", "_known", "_lent", "_products", "_refused", "values")

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._refused = 0
        self.begin()

    def begin(self) -> None:
        """Forget what an earlier attempt was handed."""
        self._products: dict[str, Product] = {}
        self._lent: dict[str, list[LentValue]] = {}
        self._known: dict[int, tuple[Product, Any]] | None = None
        self.values: dict[str, Any] = {}

    def hand_out(self, port: str, product: Product) -> Any:
        """The value for a function, in containers of its own.

        Raises:
            OutputGone: It was changed since its node gave it, so it must be had anew.
            ChangedInput: It is so each time.
        """
        value = product.value
        self._products[port] = product
        if type(value) in LEAVES:
            self.values[port] = value
            return value
        lent = lent_values((product,))
        if not _are_intact(lent):
            self._refuse(port, product, value)
        if lent:
            self._lent[port] = lent
        self.values[port] = handed = container_copy(value)
        return handed

    def _refuse(self, port: str, product: Product, value: Any) -> None:
        self._cache.report_changed([product])
        self._refused += 1
        if self._refused > _MOST_TRIES:
            raise _changed(
                port, value, by="the node that outputs it, or a node that kept a reference to it,"
            )
        raise OutputGone("it was changed after its node returned it")

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if self._lent:
            changed = [port for port, lent in self._lent.items() if not _are_intact(lent)]
            self._let_go(changed)
            if changed and error is None:  # else its own error tells more
                raise _changed(
                    changed[0],
                    self.values[changed[0]],
                    by="this node, or a node that ran at the same time,",
                )

    def check_in_full(self, digesters: Digesters) -> None:
        """Compare what was lent with its digests.

        Raises:
            ChangedInput: Something was changed; names the input.
        """
        for port, lent in self._lent.items():
            if not all(item.matches_digest(digesters) for item in lent):
                self._let_go([port])
                raise _changed(
                    port, self.values[port], by="this node, or a node that ran before it,"
                )

    @contextmanager
    def watching_content(self, digesters: Digesters) -> Iterator[None]:
        """Check after the `with` that nothing that was lent has changed, also where it raises.

        Containers are the function's own; what they hold of others isn't.

        Raises:
            ChangedInput: Something has; names the input.
        """
        before = {port: _digests(lent, digesters) for port, lent in self._lent.items()}
        try:
            yield
        finally:
            for port, digests in before.items():
                if _digests(self._lent[port], digesters) != digests:
                    self._let_go([port])
                    raise _changed(port, self.values[port], by="the node")

    def _let_go(self, ports: list[str]) -> None:
        self._cache.drop_changed([self._products[port] for port in ports])

    def product_of(self, value: Any) -> Product | None:
        """The product of what was handed, or of an item in that, if it is still as it was."""
        if self._known is None:
            self._known = {}
            for port, product in self._products.items():
                self._know(product, self.values[port])
        known = self._known.get(id(value))
        if known is None:
            return None
        product, handed = known
        if product.items is None:
            # A container is the function's own, which it may have changed.
            return product if product.is_loaded and product.value is handed else None
        products = map(self.product_of, handed)
        is_same = len(handed) == len(product.items) and all(map(is_, products, product.items))
        return product if is_same else None

    def _know(self, product: Product, handed: Any) -> None:
        assert self._known is not None
        self._known[id(handed)] = (product, handed)
        if product.items is not None:
            for item, value in zip(product.items, handed, strict=False):
                self._know(item, value)

    def sources(self, digesters: Digesters) -> tuple[SharedValue, ...]:
        """What was lent whose marks don't tell everything: to be looked at in full."""
        return tuple(
            [
                SharedValue(
                    item.value,
                    partial(item.matches_digest, digesters),
                    partial(self._report_change, port, item),
                )
                for port, lent in self._lent.items()
                for item in lent
                if not item.marks.is_whole
            ]
        )

    def _report_change(self, port: str, item: LentValue) -> None:
        product = self._products[port]
        if any(other.value is item.value for other in lent_values((product,))):
            self._cache.report_changed([product])  # else somebody has found it already


def _are_intact(lent: list[LentValue]) -> bool:
    return all(item.is_intact for item in lent)


def _changed(port: str, value: Any, *, by: str) -> ChangedInput:
    return ChangedInput(
        f"{by} changed this input, which other nodes and the cache share",
        port=port,
        given=f"now {summarize(value)}",
        expected="the value as it was before the call",
        hint="Work on a copy: `value.clone()` for a tensor, `dataclasses.replace` or "
        "`copy.deepcopy` for others. `nodegraph run --check-mutation` runs one node at a time "
        "and names the node that made the change.",
    )


def _digests(lent: list[LentValue], digesters: Digesters) -> list[Digest | None]:
    return [_digest(item.value, digesters) for item in lent]


def _digest(value: Any, digesters: Digesters) -> Digest | None:
    try:
        return digest_value(value, digesters)
    except (Undigestable, RecursionError):
        return None  # it has no content that could be compared
