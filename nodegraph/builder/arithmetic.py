"""Reckoning with outputs: what Python's operators write into a graph.

It becomes nodes of the type `Formula`, each of which works an expression out.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from nodegraph.builder.outputs import Out
from nodegraph.core.links import Link
from nodegraph.core.types import ANY, TypeExpr, list_of, named
from nodegraph.errors import InvalidValue

_LETTERS = "abcd"
_LONGEST = 500
"""Letters of an expression that goes on in another one."""
_WHOLE = ("+", "-", "*", "//", "%")
"""What makes a whole number of whole numbers."""


@dataclass(frozen=True)
class _Term:
    """A part of an expression.

    Attributes:
        parts: Text, and the outputs that letters stand for.
        is_atom: It needs no brackets.
    """

    parts: tuple[str | Out[Any], ...]
    is_whole: bool
    is_atom: bool = True

    @property
    def outputs(self) -> list[Out[Any]]:
        """Each once."""
        return list(dict.fromkeys(part for part in self.parts if isinstance(part, Out)))

    @property
    def bracketed(self) -> tuple[str | Out[Any], ...]:
        return self.parts if self.is_atom else ("(", *self.parts, ")")

    @property
    def fits(self) -> bool:
        """Whether one node can work it out."""
        return len(self.outputs) <= len(_LETTERS) and len(self.text(self.letters)) <= _LONGEST

    @property
    def letters(self) -> dict[Out[Any], str]:
        return dict(zip(self.outputs, _LETTERS + "?" * len(self.outputs), strict=False))

    def text(self, letters: dict[Out[Any], str]) -> str:
        return "".join(part if isinstance(part, str) else letters[part] for part in self.parts)


class Calculation(Out[Any]):
    """An expression of outputs and numbers; its node is added when something is linked to it."""

    def __init__(self, term: _Term) -> None:
        super().__init__(term.outputs[0]._owner, Link(""))
        self._term = term
        self._node: Any = None

    @property
    def _link(self) -> Link:
        if self._node is None:
            letters = self._term.letters
            inputs = {letter: output for output, letter in letters.items()}
            text = self._term.text(letters)
            self._node = self._owner.node("Formula", expression=text, **inputs)
        return Link(str(self._node), "integer" if self._term.is_whole else "number")

    @property
    def _known_type(self) -> TypeExpr | None:
        """A number, or lists of them where what it is made of is lists; as its node says, if it has
        one: each part of a long sum would ask all parts before it."""
        if self._node is not None:
            return None
        found = named("int" if self._term.is_whole else "float")
        depths = [_lists(self._owner.type_of(each))[0] for each in self._term.outputs]
        for _ in range(max(depths)):
            found = list_of(found)
        return found

    @property
    def _place(self) -> tuple[object, ...]:
        return (id(self),)

    @property
    def _text(self) -> str:
        if self._node is not None:
            return str(self)
        return self._term.text({each: each._text for each in self._term.outputs})

    def __repr__(self) -> str:
        return f"<calculation {self._text}>"


def calculation(sign: str, left: Any, right: Any) -> Any:
    """What an operator makes of two operands; NotImplemented if one is neither number nor output.

    Raises:
        TypeError: An output carries no number.
        InvalidValue: They are of different graphs.
    """
    first, second = _term(left), _term(right)
    if first is None or second is None:
        return NotImplemented
    joined = _joined(sign, first, second)
    if len({id(output._owner) for output in joined.outputs}) > 1:
        raise InvalidValue(
            "an operation is of outputs of one graph, or of one subgraph",
            given=" and ".join(output._shown for output in joined.outputs),
            expected="nodes that were added to the same",
        )
    if not joined.fits:
        # What one operand works out becomes a node of its own.
        joined = _joined(sign, _alone(left) or first, _alone(right) or second)
    return Calculation(joined)


def _joined(sign: str, left: _Term, right: _Term) -> _Term:
    is_whole = sign in _WHOLE and left.is_whole and right.is_whole
    return _Term((*left.bracketed, f" {sign} ", *right.bracketed), is_whole, is_atom=False)


def _term(value: Any) -> _Term | None:
    if isinstance(value, Calculation):
        return value._term
    if isinstance(value, Out):
        return _Term((value,), _is_whole(value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = int(value) if isinstance(value, Integral) else float(value)
    return _Term((repr(number),), isinstance(number, int), is_atom=number >= 0)


def _alone(value: Any) -> _Term | None:
    if not isinstance(value, Calculation):
        return None
    str(value)  # adds its node: a sum of thousands is a chain too deep to be added at once
    return _Term((value,), value._term.is_whole)


def _is_whole(output: Out[Any]) -> bool:
    _, expr = _lists(output._owner.type_of(output))
    if expr not in (named("int"), named("float"), named(ANY)):
        raise TypeError(f"`{output}` carries {expr}, which is no number to reckon with")
    return expr == named("int")


def _lists(expr: TypeExpr) -> tuple[int, TypeExpr]:
    """Levels of lists, and what is in the innermost."""
    depth = 0
    while expr.is_list:
        depth, expr = depth + 1, expr.item
    return depth, expr
