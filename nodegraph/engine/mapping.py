"""Mapping a node over lists: which calls it takes, and the lists that their outputs make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodegraph.engine.product import Product, listed

T = TypeVar("T")


@dataclass(slots=True)
class Nested(Generic[T]):
    """A leaf, or a list of such; the shape of a mapped node's calls."""

    leaf: T | None = None
    branches: tuple[Nested[T], ...] | None = None

    def leaves(self) -> tuple[T, ...]:
        if self.branches is None:
            assert self.leaf is not None
            return (self.leaf,)
        return tuple([leaf for branch in self.branches for leaf in branch.leaves()])


def spread(inputs: Mapping[str, Product], depths: Mapping[str, int]) -> Nested[dict[str, Product]]:
    """The inputs of every call.

    The inputs with the deepest lists are taken apart first, zipped; a shorter list repeats its
    last item; an empty one makes no calls.

    Args:
        depths: Levels of list to take apart, by input.
    """
    depth = max(depths.values(), default=0)
    if depth == 0:
        return Nested(dict(inputs))
    if any(inputs[port].is_blocked for port, own in depths.items() if own == depth):
        return Nested(dict(inputs))  # a blocked list: what comes of it is blocked as a whole
    mapped = {port: _items(inputs[port]) for port, own in depths.items() if own == depth}
    lengths = [len(items) for items in mapped.values()]
    count = max(lengths) if all(lengths) else 0
    left = {port: own - (port in mapped) for port, own in depths.items()}
    branches = []
    for at in range(count):
        taken = {port: items[min(at, len(items) - 1)] for port, items in mapped.items()}
        branches.append(spread({**inputs, **taken}, left))
    return Nested(branches=tuple(branches))


def _items(product: Product) -> tuple[Product, ...]:
    if product.items is None:
        raise TypeError(f"expected a list to go through, got {type(product.value).__name__}")
    return product.items


def gather(outputs: Nested[tuple[Product, ...]], count: int) -> tuple[Product, ...]:
    """One product for each of `count` output ports: lists in the shape of the calls."""
    if outputs.branches is None:
        assert outputs.leaf is not None
        return outputs.leaf
    columns = [gather(branch, count) for branch in outputs.branches]
    return tuple(listed([column[port] for column in columns]) for port in range(count))
