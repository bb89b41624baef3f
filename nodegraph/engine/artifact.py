"""A node's output with its digest; lists know those of their items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nodegraph.core.conversions import convert
from nodegraph.core.digests import Digest, Undigestable, digest_value
from nodegraph.core.keys import converted_digest, list_digest, opaque_digest
from nodegraph.core.summary import size_in_bytes
from nodegraph.core.types import TypeExpr

Digesters = Mapping[type, Callable[[Any], str]]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A value on a link.

    Attributes:
        value: Shared and read-only.
        digest: Of its content, or of what it was computed from.
        items: The items' artifacts, if its port's type is a list.
    """

    value: Any
    digest: Digest
    items: tuple[Artifact, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return size_in_bytes(self.value)

    def converted(self, conversions: tuple[str, ...]) -> Artifact:
        """As a link hands it on."""
        if not conversions:
            return self
        if conversions[-1] == "one_to_list":
            return listed([self.converted(conversions[:-1])])
        digest = converted_digest(self.digest, conversions)
        items = None
        if self.items is not None:
            each = tuple(name.removeprefix("each:") for name in conversions)
            items = tuple(item.converted(each) for item in self.items)
        return Artifact(convert(self.value, conversions), digest, items)


def listed(items: Sequence[Artifact]) -> Artifact:
    """The list of some artifacts."""
    return Artifact(
        [item.value for item in items], list_digest(item.digest for item in items), tuple(items)
    )


def artifact_of(
    value: Any, expr: TypeExpr, digesters: Digesters, unnamed: Callable[[], Digest]
) -> Artifact:
    """An output's value, digested.

    Args:
        expr: Its port's type.
        unnamed: Gives the digest of a value whose content has none.
    """
    if expr.is_list and isinstance(value, (list, tuple)):
        items = [
            artifact_of(item, expr.item, digesters, partial(_item_digest, unnamed, at))
            for at, item in enumerate(value)
        ]
        return listed(items)
    try:
        return Artifact(value, digest_value(value, digesters))
    except Undigestable:
        return Artifact(value, unnamed())


def _item_digest(unnamed: Callable[[], Digest], at: int) -> Digest:
    return opaque_digest(unnamed(), str(at))
