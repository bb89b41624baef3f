"""Nodes of two graphs that get other partners: each takes the partner of the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass


@dataclass
class PartnerChain:
    """Nodes that get other partners, one because of the next.

    Attributes:
        olds, news: The nodes of both graphs.
        before: Their pairs until now.
        pairs: Their new pairs.
        ends: The nodes that lose their partners without getting another.
    """

    olds: list[str]
    news: list[str]
    before: dict[str, str]
    pairs: dict[str, str]
    ends: tuple[str, str] | None

    def apply(self, names: MutableMapping[str, str], pairs: Mapping[str, str]) -> None:
        """Let names have these pairs for the chain's nodes."""
        for name in self.olds:
            names.pop(name, None)
        names.update(pairs)


def partner_chains(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[PartnerChain]:
    """Yield the nodes whose pairs differ, each chain in its order.

    Args:
        before, after: Nodes of the second graph by those of the first.
    """
    partners = {new: old for old, new in before.items()}
    taken = {*after.values()}
    known: set[str] = set()
    starts = [old for old in after if before.get(old) not in taken]
    for start in (*starts, *after):
        if start in known or after[start] == before.get(start):
            continue
        lost = before.get(start)
        news = [] if lost is None or lost in taken else [lost]
        olds: list[str] = []
        old: str | None = start
        while old is not None and old not in known:
            known.add(old)
            olds.append(old)
            new = after.get(old)
            news += [] if new is None else [new]
            old = None if new is None else partners.get(new)
        ends = (olds[-1], news[0]) if olds[-1] not in after and news[0] == lost else None
        yield PartnerChain(
            olds,
            news,
            {name: before[name] for name in olds if name in before},
            {name: after[name] for name in olds if name in after},
            ends,
        )
