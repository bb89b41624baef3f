"""Values that a widget may have, to see what they would lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.signatures import TakenInput

_LONGEST_WORD = 40
_TABLE = "nodegraph.compat.comfyui.table"


def stand_ins(taken: TakenInput, lost: Sequence[TakenInput], words: Sequence[str]) -> Iterator[Any]:
    """Values that a widget may have, other than its default.

    Args:
        lost: Inputs of which some may be there with certain values of this one alone.
        words: What the type's entry tells apart.
    """
    usual = taken.default
    for value in _possible(taken, lost, words):
        if value != usual or type(value) is not type(usual):
            yield value


def _possible(taken: TakenInput, lost: Sequence[TakenInput], words: Sequence[str]) -> list[Any]:
    usual = taken.default
    match taken.type:
        case "BOOLEAN":
            return [not usual]
        case "INT":
            # Sizes go in steps of eight, and what others do to them is no value of the file's.
            whole = int(usual or 0)
            below = [whole - 8, whole // 2, 8] if whole > 8 else [whole - 1] if whole > 1 else []
            return [whole + 8, *below, whole + 24]
        case "FLOAT":
            number = float(usual or 0.0)
            steps = (0.25, 0.125, -0.25) if number <= 0.75 else (-0.25, -0.125, 0.25)
            return [found for step in steps if (found := number + step) >= 0 or number < 0]
        case "COLOR":
            return ["#123456", "#fedcba"]
    texts = ["another", "a third"]
    if taken.type == "COMBO" and isinstance(usual, str):
        texts += [word for each in lost if each.parent == taken.name for word in each.when]
        texts += words
    return list(dict.fromkeys(texts))


def words_of(entry: TableEntry) -> list[str]:
    """Texts that what translates a type can tell apart: those that its code holds.

    A choice has no list of options here, and one that is kept by hand may lack one.
    """
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting: list[Any] = [entry.forward]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found[value] = None
        elif id(value) not in seen:
            seen.add(id(value))
            waiting += _held(value, is_first=value is entry.forward)
    names = {name for each in entry.signature.inputs for name in (each.name, each.type)}
    return [word for word in found if word and len(word) < _LONGEST_WORD and word not in names]


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
