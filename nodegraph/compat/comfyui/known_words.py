"""Texts that an entry of the table can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

from nodegraph.compat.comfyui.signatures import Signature
from nodegraph.compat.comfyui.translating import Passage

_LONGEST_WORD = 40
_TABLE = f"{__package__}.table"


def words_of(forward: Callable[[Passage], None], signature: Signature) -> tuple[str, ...]:
    """Texts that what translates a type can tell apart: those that its code holds.

    A choice has no list of options here, and one that is kept by hand may lack one.
    """
    words: dict[str, None] = {}
    visited: set[int] = set()
    waiting: list[Any] = [forward]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            words[value] = None
        elif id(value) not in visited:
            visited.add(id(value))
            waiting += _held(value, is_first=value is forward)
    names = {name for each in signature.inputs for name in (each.name, each.type)}
    return tuple(word for word in words if word and len(word) < _LONGEST_WORD and word not in names)


def _held(value: Any, *, is_first: bool) -> Sequence[Any]:
    """What a value holds that may be compared with others."""
    match value:
        case MethodType():
            return [value.__self__, value.__func__]
        case CodeType():
            return value.co_consts
        case FunctionType() if is_first or value.__module__.startswith(_TABLE):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            usual = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
            named = [value.__globals__.get(name) for name in _named(value.__code__)]
            return [value.__code__, *cells, *usual, *named]
        case Mapping():
            return list(value)
        case list() | tuple() | set() | frozenset():
            return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, each.name) for each in fields(value)]
    return []


def _named(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _named(inner)
