"""Values on links before they are there: known by their digests, or not known yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodegraph.engine.product import Product, leaves, listed


class UnknownValue:
    """A value that only a run can tell, or a list with such an item.

    Attributes:
        items: What is known of its items, if it is a list whose length is known.
    """

    __slots__ = ("items",)

    is_blocked = False

    def __init__(self, items: tuple[PredictedValue, ...] | None = None) -> None:
        self.items = items

    def converted(self, conversions: tuple[str, ...]) -> PredictedValue:
        """As a link hands it on."""
        if conversions and conversions[-1] == "one_to_list":
            return foreseen_list([self.converted(conversions[:-1])])
        if not conversions or self.items is None:
            return self
        each = tuple(name.removeprefix("each:") for name in conversions)
        return UnknownValue(tuple(item.converted(each) for item in self.items))

    def without_blocked(self) -> PredictedValue:
        """A list without its blocked items."""
        if self.items is None:
            return self
        return UnknownValue(tuple(item for item in self.items if not item.is_blocked))


PredictedValue = Product | UnknownValue
"""What is known of a value on a link."""

UNKNOWN = UnknownValue()


def foreseen_list(items: Sequence[PredictedValue]) -> PredictedValue:
    """What is known of a list of which this is known of the items."""
    known = [item for item in items if isinstance(item, Product)]
    return listed(known) if len(known) == len(items) else UnknownValue(tuple(items))


def known_leaves(value: PredictedValue) -> Iterator[Product]:
    """The products in it that have values of their own, as far as they are known."""
    if isinstance(value, Product):
        yield from leaves((value,))
        return
    for item in value.items or ():
        yield from known_leaves(item)


def has_length(value: PredictedValue, depth: int) -> bool:
    """Whether the lengths of its lists are known, `depth` levels down."""
    if not depth:
        return True
    items = value.items
    return items is not None and all(has_length(item, depth - 1) for item in items)
