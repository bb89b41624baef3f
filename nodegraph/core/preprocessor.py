"""What makes of a picture what a control network was trained on, as a value. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nodegraph.core.ports import port_type

if TYPE_CHECKING:
    from torch import Tensor


@port_type(color="#8fb36a")
class Preprocessor:
    """A way to make of pictures what leads a model, such as their edges.

    A plain class on purpose: a value is named by the node that made it, its code included, so that
    what it was applied to is made again once that code changes.

    Args:
        apply: Takes pictures, float32 in 0..1, shape (batch, height, width, 3), and gives as many,
            of one or three channels and of any size. It may not change what it is given.
        name: For messages.
    """

    __slots__ = ("apply", "name")

    def __init__(self, apply: Callable[[Tensor], Tensor], name: str = "preprocessor") -> None:
        self.apply = apply
        self.name = name

    def __repr__(self) -> str:
        return f"Preprocessor({self.name})"
