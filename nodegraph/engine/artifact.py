"""A node's output with its digest; lists know those of their items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from nodegraph.core.conversions import convert
from nodegraph.core.digests import Digest, Undigestable, digest_value
from nodegraph.core.keys import Key, converted_digest, list_digest, opaque_digest
from nodegraph.core.summary import size_in_bytes, summarize
from nodegraph.core.types import TypeExpr
from nodegraph.core.value_types import described, is_of_type

Digesters = Mapping[type, Callable[[Any], str]]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A value on a link.

    Attributes:
        value: Shared and read-only.
        digest: Of its content, or of what it was computed from.
        size: Bytes in memory, about.
        items: The items' artifacts, if its port's type is a list.
    """

    value: Any
    digest: Digest
    size: int
    items: tuple[Artifact, ...] | None = None

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
        # Conversions make views and plain numbers, so the size stays about the same.
        return Artifact(convert(self.value, conversions), digest, self.size, items)


def listed(items: Sequence[Artifact]) -> Artifact:
    """The list of some artifacts."""
    return Artifact(
        [item.value for item in items],
        list_digest(item.digest for item in items),
        sum(item.size for item in items),
        tuple(items),
    )


def artifact_of(value: Any, expr: TypeExpr, digesters: Digesters, unnamed: Digest) -> Artifact:
    """An output's value, digested and measured.

    Args:
        expr: Its port's type.
        unnamed: Names the value if its content has no digest.
    Raises:
        TypeError: The value is not of that type.
    """
    if not is_of_type(value, expr):
        raise TypeError(f"returned {summarize(value)}, but declares {described(expr)}")
    if expr.is_list:
        items = [
            artifact_of(item, expr.item, digesters, opaque_digest(unnamed, str(at)))
            for at, item in enumerate(value)
        ]
        return listed(items)
    try:
        digest = digest_value(value, digesters)
    except (Undigestable, RecursionError):  # the latter for objects that hold themselves
        digest = unnamed
    return Artifact(value, digest, size_in_bytes(value))


def unnamed_digest(call_key: Key, port: str, *, deterministic: bool) -> Digest:
    """Names an output whose content has no digest.

    By what it was computed from; a result that differs from run to run needs a new name each time.
    """
    return opaque_digest(call_key if deterministic else uuid4().hex, port)
