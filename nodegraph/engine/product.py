"""A node's output with its digest; its value may still be on disk, or have left memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from nodegraph.core.annotations import describe_type, is_of_type
from nodegraph.core.copies import MutationMarks, isolated_output, mutation_marks
from nodegraph.core.digests import LEAVES, Digest, Undigestable, digest_value, is_tensor
from nodegraph.core.foreign_value import STANDS_FOR, ForeignValue
from nodegraph.core.keys import Key, converted_digest, list_digest, opaque_digest
from nodegraph.core.links import is_array, plain_number
from nodegraph.core.ports import BLOCKED, Blocked
from nodegraph.core.summary import size_in_bytes, summarize
from nodegraph.core.types import TypeExpr, convert
from nodegraph.core.values import Recipe
from nodegraph.errors import InvalidValue
from nodegraph.store.entries import UNLOADED, OutputGone

if TYPE_CHECKING:
    from nodegraph.media.images.pillow_conversion import PictureType

Digesters = Mapping[type, Callable[[Any], str]]

BLOCKED_DIGEST = digest_value(BLOCKED)
PLAIN = frozenset({str, int, float, bool, bytes, type(None), Blocked})
_SMALL = 4096
"""Bytes; a plain value that can't be brought back stays in memory up to this size."""


class Loader(Protocol):
    """Where a value that left memory, or never was there, can be had."""

    def __call__(self) -> Any:
        """The value; from any thread.

        Raises:
            OutputGone: It is there no more.
        """

    def is_there(self) -> bool:
        """Whether a call is likely to succeed, told without reading the value."""


class Product:
    """A value on a link.

    Attributes:
        digest: Of its content, or of what it was computed from.
        size: Bytes in memory, about.
        items: The items' products, if its port's type is a list.
        loader: Where the value can be had when it isn't in memory.
        base: What it is made of by a link's conversions.
        marks: Of the value when it came into memory; None if nothing of it is shared.
    """

    __slots__ = (
        "_conversions",
        "_value",
        "base",
        "digest",
        "items",
        "loader",
        "marks",
        "size",
    )

    def __init__(
        self,
        value: Any,
        digest: Digest,
        size: int,
        items: tuple[Product, ...] | None = None,
        loader: Loader | None = None,
    ) -> None:
        self._value = value
        self.digest = digest
        self.size = size
        self.items = items
        self.loader = loader
        self.base: Product | None = None
        self._conversions: tuple[str, ...] = ()
        self.marks: MutationMarks | None = None

    @property
    def value(self) -> Any:
        """Shared and read-only; brought into memory if it isn't there.

        Raises:
            OutputGone: It can't be had any more; the node that gave it must run again.
        """
        # What is made of others is made anew each time, as these may have been had anew.
        if self.base is not None:
            return convert(self.base.value, self._conversions)
        if self.items is not None:
            return [item.value for item in self.items]
        value = self._present
        if value is UNLOADED:
            value = self._loaded()
            self.marks = mutation_marks(value)
            self._value = value
        return value

    @property
    def _present(self) -> Any:
        """The value if it is in memory; one that the process of a pack held has left with that."""
        value = self._value
        if type(value) is ForeignValue and value.is_gone:
            value = self._value = UNLOADED
        return value

    def load(self) -> None:
        """Bring the value into memory, for whoever must not hold on to it.

        Raises:
            OutputGone: See `value`.
        """
        self.value  # noqa: B018 - reading it is what loads it

    def _loaded(self) -> Any:
        if self.loader is not None:
            return self.loader()
        raise OutputGone("the value is no longer in memory and is not stored")

    @property
    def is_loaded(self) -> bool:
        """Whether the value is in memory, or is made at once from what is."""
        if self._present is not UNLOADED:
            return True
        if self.base is not None:
            return self.base.is_loaded
        return self.items is not None and all(item.is_loaded for item in self.items)

    @property
    def is_intact(self) -> bool:
        """Whether the value, if it is in memory, bears the marks that it had."""
        return all(lent.is_intact for lent in lent_values((self,)))

    @property
    def is_there(self) -> bool:
        """Whether the value is in memory or stored."""
        if self._present is not UNLOADED:
            return True
        if self.base is not None:
            return self.base.is_there
        if self.loader is not None:
            return self.loader.is_there()
        return self.items is not None and all(item.is_there for item in self.items)

    @property
    def resident_size(self) -> int:
        """Bytes of what is in memory of it."""
        if self._value is not UNLOADED:
            return self.size
        return sum(item.resident_size for item in self.items or ())

    @property
    def is_blocked(self) -> bool:
        """Whether it stands for a blocked output."""
        return self.digest == BLOCKED_DIGEST

    @property
    def blocker(self) -> Blocked:
        """What it holds if it is blocked; silent if that is no longer stored."""
        try:
            value = self.value
        except OutputGone:
            return BLOCKED  # type: ignore[no-any-return]
        return value if type(value) is Blocked else BLOCKED

    def set_loader(self, loader: Loader) -> None:
        """Note where the value can be had once it has left memory, unless that is known."""
        if self.loader is None and self.base is None and self.items is None:
            self.loader = loader

    def invalidate(self) -> None:
        """Let go of the value, as somebody has changed it; it is had anew or made again."""
        self._value = UNLOADED
        self.marks = None
        if self.base is not None:
            self.base.invalidate()
        for item in self.items or ():
            item.invalidate()

    def stub(self) -> Product:
        """The same without its value, which comes back when somebody asks for it."""
        # Recipes are small, and the manifests of files that are written later describe them.
        if not self._can_come_back or isinstance(self._value, Recipe):
            return self
        base = None if self.base is None else self.base.stub()
        items = self.items
        if items is not None:
            # Those of a list may be in memory where the list as such isn't.
            stubs = tuple([item.stub() for item in items])
            items = items if all(map(is_, stubs, items)) else stubs
        is_same = self._value is UNLOADED and items is self.items and base is self.base
        if is_same and self.size <= _SMALL:
            return self
        # Others may hold this one as well, and load it later.
        stub = Product(UNLOADED, self.digest, self.size, items, self.loader)
        stub.base, stub._conversions = base, self._conversions
        return stub

    @property
    def _can_come_back(self) -> bool:
        # What can't is made again by its node, which isn't worth it for a number.
        return (
            self.loader is not None
            or self.base is not None
            or self.items is not None
            or self.size > _SMALL
            or type(self._value) not in PLAIN
        )

    def converted(self, conversions: tuple[str, ...]) -> Product:
        """As a link hands it on; a blocked output stays one."""
        if not conversions or self.is_blocked:
            return self
        if conversions[-1] == "one_to_list":
            return listed([self.converted(conversions[:-1])])
        items = None
        if self.items is not None:
            each = tuple(name.removeprefix("each:") for name in conversions)
            items = tuple(item.converted(each) for item in self.items)
        # Conversions make views and plain numbers, so the size stays about the same.
        digest = converted_digest(self.digest, conversions)
        converted_product = Product(UNLOADED, digest, self.size, items)
        converted_product.base, converted_product._conversions = self, conversions
        return converted_product

    def without_blocked(self, *, skips: bool = True) -> Product:
        """A list without its blocked items, and without those of the lists in it.

        Args:
            skips: Whether items are left out; if not, one blocks the list.
        """
        if self.items is None:
            return self
        if not skips:
            blocker = find_blocker(leaves((self,)))
            return self if blocker is None else blocked(blocker)
        items = [item.without_blocked() for item in self.items if not item.is_blocked]
        if len(items) == len(self.items) and all(map(is_, items, self.items)):
            return self
        return listed(items)


def blocked(blocker: Blocked = BLOCKED) -> Product:
    """The product of a blocked output."""
    return Product(blocker, BLOCKED_DIGEST, 0)


def find_blocker(products: Iterable[Product]) -> Blocked | None:
    """What blocks a call with these inputs: the first with a message, else a silent one, if any."""
    blockers = [product.blocker for product in products if product.is_blocked]
    return next((each for each in blockers if each.message), blockers[0] if blockers else None)


def listed(items: Sequence[Product]) -> Product:
    """The list of some products."""
    digest = list_digest(item.digest for item in items)
    size = sum(item.size for item in items)
    return Product(UNLOADED, digest, size, tuple(items))


def leaves(products: Iterable[Product]) -> Iterator[Product]:
    """The products that are no lists, those in lists included."""
    for product in products:
        if product.items is not None:
            yield from leaves(product.items)
        else:
            yield product


def origins(products: Iterable[Product]) -> Iterator[Product]:
    """The products whose values are neither made of others' nor converted."""
    for product in products:
        if product.base is not None:
            yield from origins((product.base,))
        elif product.items is not None:
            yield from origins(product.items)
        else:
            yield product


@dataclass(frozen=True, slots=True)
class LentValue:
    """What a value that is handed on shares with its product.

    Attributes:
        value: Held here, as whoever finds it changed makes the product let go of it.
    """

    digest: Digest
    value: Any
    marks: MutationMarks

    @property
    def is_intact(self) -> bool:
        """Whether the value bears the marks that it had."""
        return mutation_marks(self.value) == self.marks

    def matches_digest(self, digesters: Digesters) -> bool:
        """Whether the value is the one that the digest names, looked at in full."""
        return matches_digest(self.value, self.digest, digesters)


def lent_values(products: Iterable[Product]) -> list[LentValue]:
    """What is in memory of some products, as far as those share it who are handed their values."""
    lent = []
    for origin in origins(products):
        value, marks = origin._value, origin.marks
        if value is not UNLOADED and marks is not None:
            lent.append(LentValue(origin.digest, value, marks))
    return lent


def product_of(value: Any, expr: TypeExpr, digesters: Digesters, unnamed: Digest) -> Product:
    """An output's value, digested and measured.

    Args:
        expr: Its port's type.
        unnamed: Names the value if its content has no digest.
    Raises:
        WrongOutput: The value is not of that type.
    """
    if type(value) is Blocked:
        return blocked(value)
    if not is_of_type(value, expr) and not _stands_for(value, expr):
        value = _as_declared(value, expr)
    if expr.is_list:
        # Lists may be long, and plain values always have a digest of their own.
        items = [
            product_of(
                item,
                expr.item,
                digesters,
                unnamed if type(item) in LEAVES else opaque_digest(unnamed, str(at)),
            )
            for at, item in enumerate(value)
        ]
        return listed(items)
    value = isolated_output(value)
    try:
        digest = digest_value(value, digesters)
    except (Undigestable, RecursionError):  # the latter for objects that hold themselves
        digest = unnamed
    product = Product(value, digest, size_in_bytes(value))
    product.marks = mutation_marks(value)
    return product


def _stands_for(value: Any, expr: TypeExpr) -> bool:
    """Whether a value of a pack's process stands for one of a type of nodegraph."""
    return type(value) is ForeignValue and value.type == str(expr) and value.type in STANDS_FOR


_PICTURES = ("Image", "Mask")
_NUMBERS = frozenset({"int", "float", "bool"})


class WrongOutput(InvalidValue):
    """A node returned something else than it declares."""


def _as_declared(value: Any, expr: TypeExpr) -> Any:
    """What stands for an image or number of another library where one is declared.

    Raises:
        WrongOutput: There is no doing without doubt; says what to write, if that is known.
    """
    if _NUMBERS.issuperset(expr.type_names()):
        plain = _plain_numbers(value, expr)
        if is_of_type(plain, expr):
            return plain
    declared = describe_type(expr)
    if type(value) is ForeignValue:
        raise WrongOutput(
            f"returned an object that only the pack `{value.pack}` can read, but declares "
            f"{declared}",
            hint="Return plain values, and dense tensors of torch's own class.",
        )
    if expr.name not in _PICTURES:
        raise WrongOutput(f"returned {summarize(value)}, but declares {declared}")
    from nodegraph.media.images.pillow_conversion import (
        conversion_hint,
        summarize_picture,
        to_image_tensor,
    )  # of use only here

    kind: PictureType = "Image" if expr.name == "Image" else "Mask"
    picture = to_image_tensor(value, kind)
    if picture is not None:
        return picture
    message = f"returned {summarize_picture(value)}, but declares {declared}"
    raise WrongOutput(message, hint=conversion_hint(value, kind) or None)


def _plain_numbers(value: Any, expr: TypeExpr) -> Any:
    """A number or an array of numpy's or torch's as Python's; anything else as it is."""
    if not (is_array(value) or is_tensor(value)):
        return plain_number(value)
    depth = 0
    while expr.is_list:
        depth, expr = depth + 1, expr.item
    return value.tolist() if value.ndim == depth else value


def as_pictures(value: Any, expr: TypeExpr, port: str) -> Any:
    """A value for an input, which may come from an output of any type.

    Where that takes images, one of another library as in `product_of`; else the value itself.

    Args:
        port: The input.
    Raises:
        InvalidValue: It takes images, and this is none for certain.
    """
    if expr.is_list and expr.item.name in _PICTURES and is_tensor(value):
        value = [value]  # one batch, as outputs of these types are wrapped
    if expr.is_list and isinstance(value, (list, tuple)) and expr.item.name in _PICTURES:
        pictures = [as_pictures(item, expr.item, port) for item in value]
        return value if all(map(operator.is_, pictures, value)) else pictures
    if expr.name not in _PICTURES or is_of_type(value, expr):
        return value
    from nodegraph.media.images.pillow_conversion import (
        conversion_hint,
        summarize_picture,
        to_image_tensor,
    )

    kind: PictureType = "Image" if expr.name == "Image" else "Mask"
    picture = to_image_tensor(value, kind)
    if picture is None:
        raise InvalidValue(
            "is given a value that does not fit",
            port=port,
            given=summarize_picture(value),
            expected=describe_type(expr),
            hint=conversion_hint(value, kind, "Give it") or None,
        )
    return picture


def matches_digest(value: Any, digest: Digest, digesters: Digesters) -> bool:
    """Whether a value is the one that a digest names; one without content is taken to be."""
    try:
        return digest_value(value, digesters) == digest
    except (Undigestable, RecursionError):
        return True


def unnamed_digest(call_key: Key, port: str, *, deterministic: bool) -> Digest:
    """Names an output whose content has no digest.

    By what it was computed from; a result that differs from run to run needs a new name each time.
    """
    return opaque_digest(call_key if deterministic else uuid4().hex, port)
