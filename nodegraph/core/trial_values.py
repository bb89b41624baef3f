"""Values tried in place of ones that nobody knows, to see what a function makes of them.

What it decides by them shows in no single answer: whether a text is some word is `False` for all
others. So numbers, texts and lists say when anything is asked of them that a decision may follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

LARGEST = 100_000
"""No number is tried that is further from 0: a function may make as many things as it says."""

KINDS: tuple[Any, ...] = (2, 0.5, "a", True, ["b", "c"], None)
"""One value of each kind that an input may be of."""

VALUES: tuple[Any, ...] = (
    *(0, 1, 2, 3, -1, -70, 64, 101, 2000, LARGEST),
    *(0.0, 0.25, 0.75, 1.5, -0.5, 1e-6, float(LARGEST)),
    *("", "a", "b", "A b", "1", "2.5", "2x3", "2:3", "2,3"),
    *([], ["a"], ["b", "c"], [1, 2, 3, 4], [0.5, 0.25, 0.75]),
    *(False, True, None),
)
"""Several of each kind."""

_MOST = 200
"""Constants that are taken out of a function at most."""

_LEFT = frozenset(
    {
        *("__new__", "__init__", "__class__", "__getattribute__", "__setattr__", "__delattr__"),
        *("__reduce__", "__reduce_ex__", "__getnewargs__", "__getstate__", "__dir__", "__doc__"),
        *("__init_subclass__", "__subclasshook__", "__sizeof__", "__class_getitem__"),
    }
)
"""What is of the object and not of its value."""


_WATCHED: dict[type, type] = {}
"""Kinds whose values say when they are asked, by the plain ones."""


class Watch:
    """Whether a decision may have followed from a value; one for each, alike for its copies."""

    def __init__(self) -> None:
        self.is_read = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        return self


def watched(value: Any, watch: Watch) -> Any:
    """A value of the same kind that says when it is asked; others than numbers, texts and lists
    have few values each and stay as they are."""
    kind = _WATCHED.get(type(value))
    if kind is None:
        return value
    copy = kind(value)
    copy.watch = watch
    return copy


def is_watched(value: Any) -> bool:
    """Whether there is a watched value in one."""
    if type(value) in _WATCHED.values():
        return True
    if isinstance(value, Mapping):
        return any(map(is_watched, value.values()))
    return isinstance(value, (list, tuple)) and any(map(is_watched, value))


def constants(function: Any) -> list[Any]:
    """Numbers and texts that a function names, and those of its module that it does: by them it
    may decide."""
    unique: dict[tuple[type, Any], Any] = {}
    for value in _named(function, set()):
        if len(unique) == _MOST:
            break
        unique[type(value), value] = value
    return list(unique.values())


def _named(value: Any, visited: set[int]) -> Iterator[Any]:
    if id(value) in visited:
        return
    visited.add(id(value))
    if isinstance(value, (str, int, float)):
        if isinstance(value, str) or abs(value) < LARGEST:
            yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _named(pair, visited)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _named(item, visited)
    elif isinstance(value, CodeType):
        yield from _named(value.co_consts, visited)
    elif isinstance(value, FunctionType):
        yield from _named(value.__code__, visited)
        cells = (cell.cell_contents for cell in value.__closure__ or ())
        for item in (value.__defaults__, value.__kwdefaults__, *cells, *_of_module(value)):
            yield from _named(item, visited)


def _of_module(function: FunctionType) -> Iterator[Any]:
    """What it names of its module; of functions of others, no more is known here."""
    names: list[str] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names += code.co_names
        codes += [item for item in code.co_consts if isinstance(item, CodeType)]
    for name in names:
        item = function.__globals__.get(name)
        if not isinstance(item, FunctionType) or item.__module__ == function.__module__:
            yield item


def _watching(kind: Any) -> type:
    """A kind whose values say when they are asked."""
    own = {
        name: _observed(name, getattr(kind, name))
        for name in dir(kind)
        if name not in _LEFT and callable(getattr(kind, name))
    }
    if "__bool__" not in own:
        own["__bool__"] = _observed("__bool__", lambda value: kind.__len__(value) > 0)
    return type(f"Watched{kind.__name__.title()}", (kind,), own)


_PLAIN = frozenset(
    {
        *("__len__", "__hash__", "__bool__", "__index__", "__int__", "__float__"),
        *("__str__", "__repr__", "__format__"),
    }
)
"""What Python wants a plain value of."""


def _observed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **named: Any) -> Any:
        result = method(self, *args, **named)
        if result is NotImplemented or type(result) in _WATCHED.values():
            self.watch.is_read |= name in ("__eq__", "__ne__")
            return result
        if name not in _PLAIN and type(result) in _WATCHED:
            return watched(result, self.watch)
        self.watch.is_read = True
        return result

    return call


_WATCHED.update({kind: _watching(kind) for kind in (int, float, str, list)})
