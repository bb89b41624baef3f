"""Copy values so that functions can't change each other's, and detect changed tensors.

Torch counts the changes that are made through it. For other changes, for example through an array
that shares a tensor's memory, some bytes are compared: all bytes of a small tensor, else 8 bytes
at each of 256 places. That takes 10 to 40 µs.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Generator, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache, partial
from io import BytesIO, StringIO
from operator import is_
from pathlib import PurePath
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeAlias

from nodegraph.core.digests import (
    LEAVES,
    datetime_to_plain,
    is_array_scalar,
    is_named_tuple,
    is_plain_array,
    is_tensor,
    tensor_kind,
)
from nodegraph.errors import InvalidValue

_PLACES = 256
_WORD = 8
SMALL = 4096
"""Bytes of a tensor of which all are looked at."""
_PLAIN_OBJECTS = (str, bytes, int, float, Fraction)


@dataclass(slots=True)
class MutationMarks:
    """Of all tensors in a value.

    Attributes:
        versions: How often each was changed in place, as torch counts it.
        samples: Hashes of some of each one's bytes; None where these can't be looked at.
        is_whole: Nothing of the value is left out, so equal marks mean an equal value.
    """

    versions: list[int]
    samples: list[int | None]
    is_whole: bool = True


def mutation_marks(value: Any) -> MutationMarks | None:
    """Marks of a value; None if it holds nothing that copies of it share with it."""
    if type(value) in LEAVES:
        return None
    marks = MutationMarks([], [])
    try:
        _mark(value, marks)
    except RecursionError:  # an object that holds itself
        marks.is_whole = False
    return marks if marks.samples or not marks.is_whole else None


def _mark(value: Any, marks: MutationMarks) -> None:
    if is_tensor(value):
        _mark_tensor(value, marks)
        return
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, item.name, None) for item in fields(value)]
    elif not isinstance(value, (*_PLAIN_OBJECTS, type(None))) and not _is_unshared(value):
        marks.is_whole = False
    if not LEAVES.issuperset(map(type, inner)):
        for item in inner:
            _mark(item, marks)


def _is_unshared(value: Any) -> bool:
    """Whether whoever is handed it shares nothing with others: it is copied, or never changes."""
    return (
        is_plain_array(value)
        or is_array_scalar(value)
        or isinstance(value, Enum)
        or datetime_to_plain(value) is not None
    )


def _mark_tensor(tensor: Any, marks: MutationMarks) -> None:
    try:
        marks.versions.append(tensor._version)
    except RuntimeError:  # one made in inference mode, whose changes aren't counted
        marks.versions.append(-1)
    marks.samples.append(_sample(tensor))
    if marks.samples[-1] is None or tensor.nbytes > SMALL:
        marks.is_whole = False


def _sample(tensor: Any) -> int | None:
    if tensor.device.type != "cpu" or str(tensor.layout) != "torch.strided":
        return None
    if tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or not tensor.is_contiguous():
        return None
    import numpy as np
    import torch

    if not tensor.numel():
        return 0
    # A single item counts as contiguous with any stride, and then can't be seen as bytes.
    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
    data = flat.view(torch.uint8).numpy()
    if data.size > SMALL:
        words = data[: data.size // _WORD * _WORD].view(np.uint64)
        data = words[_places(words.size)]
    return hash(data.tobytes())


@lru_cache(maxsize=256)
def _places(words: int) -> Any:
    """One word in each of as many equal parts, at odd places: rows of an image are even ones."""
    import numpy as np

    edges = np.arange(_PLACES + 1, dtype=np.int64) * words // _PLACES
    scattered = np.arange(_PLACES, dtype=np.int64) * 2654435761 % 2**32
    return edges[:-1] + scattered % np.maximum(np.diff(edges), 1)


Memo: TypeAlias = dict[int, Any]
"""Copies by the id of what they are copies of, as `copy.deepcopy` keeps them."""
_Make: TypeAlias = Callable[[Any, Memo], Any]
_Steps: TypeAlias = Generator[Any, Any, Any]
"""Yields the parts of a value, is sent the copy of each, and returns the copy of the value."""
_LISTS: Mapping[type, Callable[[Any], Any]] = {
    list: lambda _: [],
    deque: lambda old: deque(maxlen=old.maxlen),
}
_DICTS: Mapping[type, Callable[[Any], Any]] = {
    dict: lambda _: {},
    OrderedDict: lambda _: OrderedDict(),
    Counter: lambda _: Counter(),
    defaultdict: lambda old: defaultdict(old.default_factory),
}
_FLAT = frozenset({set, bytearray, array, BytesIO, StringIO})
_ORIENTATION = 0x0112
"""EXIF tag."""
_MOST_SHORT = 2**16
_FIXED = (PurePath, Enum)
"""What can't be changed; copies of some paths aren't equal to them, up to Python 3.11."""


def copy_value(value: Any, tensor: _Make | None = None, other: _Make | None = None) -> Any:
    """A value whose containers are its own: lists, mappings, sets, dataclasses, arrays, images.

    What stands in it twice, or refers back to what holds it, does so in the copy. What can't be
    changed stays as it is.

    Args:
        tensor: Makes of each tensor what stands in the copy; the same one if not given.
        other: Does so of objects of other classes.
    """
    return value if type(value) in LEAVES else _Copier(tensor, other).copy(value)


class _Copier:
    """One copy of one value, of any depth: what is begun waits in a list, not on the stack."""

    def __init__(self, tensor: _Make | None, other: _Make | None) -> None:
        self._tensor, self._other = tensor, other
        self._memo: Memo = {}
        self._originals: list[Any] = []

    def copy(self, value: Any) -> Any:
        begun: list[_Steps] = []
        result, steps = self._begin(value)
        while True:
            if steps is not None:
                begun.append(steps)
                result = None
            elif not begun:
                return result
            try:
                part = begun[-1].send(result)
            except StopIteration as done:
                begun.pop()
                result, steps = done.value, None
            else:
                result, steps = self._begin(part)

    def _begin(self, value: Any) -> tuple[Any, _Steps | None]:
        """The copy of a value that has no parts, or the steps to one."""
        kind = type(value)
        if kind in LEAVES:
            return value, None
        if id(value) in self._memo:
            return self._memo[id(value)], None
        # Long lists are mostly of numbers: those are looked over at the speed of C.
        if kind in (list, tuple) and LEAVES.issuperset(map(type, value)):
            return (value if kind is tuple else self._keep(value, list(value))), None
        steps = self._steps(value, kind)
        return (None, steps) if steps is not None else (self._keep(value, self._whole(value)), None)

    def _keep(self, value: Any, copy_of_it: Any) -> Any:
        self._memo[id(value)] = copy_of_it
        self._originals.append(value)  # so that no other object has its id meanwhile
        return copy_of_it

    def _steps(self, value: Any, kind: type) -> _Steps | None:
        """None for a value that is copied whole."""
        if kind in _LISTS:
            return self._of_list(value, _LISTS[kind](value))
        if kind in _DICTS:
            result = _DICTS[kind](value)
            return self._of_entries(value, value, result, result.__setitem__)
        if kind is MappingProxyType:
            entries: dict[Any, Any] = {}
            made = MappingProxyType(entries)
            return self._of_entries(value, value, made, entries.__setitem__)
        if kind is tuple or is_named_tuple(kind):
            return self._of_tuple(value, tuple if kind is tuple else kind._make)  # type: ignore[attr-defined]
        if kind is SimpleNamespace:
            space = SimpleNamespace()
            return self._of_entries(value, vars(value), space, partial(setattr, space))
        if _is_a(kind, "numpy", "ndarray") and kind.__name__ == "ndarray" and value.dtype == object:
            return self._of_array(value)
        if is_dataclass(kind) and not is_tensor(value):
            return self._of_fields(value)
        return None

    def _whole(self, value: Any) -> Any:
        kind = type(value)
        if kind in _FLAT:
            return copy(value)
        if is_tensor(value):
            return value if self._tensor is None else self._tensor(value, self._memo)
        if _is_a(kind, "numpy", "ndarray"):
            return value.copy()
        if _is_a(kind, "PIL.Image", "Image"):
            return _copied_picture(value)
        return value if self._other is None else self._other(value, self._memo)

    def _of_list(self, value: Any, result: Any) -> _Steps:
        self._keep(value, result)
        for item in value:
            result.append(item if type(item) in LEAVES else (yield item))
        return result

    def _of_entries(
        self, value: Any, entries: Mapping[Any, Any], result: Any, put: Callable[[Any, Any], None]
    ) -> _Steps:
        self._keep(value, result)
        for name, item in entries.items():
            put(name, item if type(item) in LEAVES else (yield item))
        return result

    def _of_tuple(self, value: Any, make: Callable[[list[Any]], Any]) -> _Steps:
        items = []
        for item in value:
            items.append(item if type(item) in LEAVES else (yield item))
        if id(value) in self._memo:  # one of its items holds it
            return self._memo[id(value)]
        return self._keep(value, value if all(map(is_, value, items)) else make(items))

    def _of_array(self, value: Any) -> _Steps:
        result = self._keep(value, value.copy())
        items = result.reshape(-1)
        for at, item in enumerate(value.flat):
            items[at] = item if type(item) in LEAVES else (yield item)
        return result

    def _of_fields(self, value: Any) -> _Steps:
        is_fixed = type(value).__dataclass_params__.frozen
        result = self._keep(value, copy(value))
        names = [item.name for item in fields(value)]
        names += [name for name in getattr(value, "__dict__", ()) if name not in names]
        is_changed = False
        for name in names:
            old = getattr(value, name, None)
            new = old if type(old) in LEAVES else (yield old)
            if new is not old:
                object.__setattr__(result, name, new)
                is_changed = True
        return result if is_changed or not is_fixed else self._keep(value, value)


def _is_a(kind: type, module: str, name: str) -> bool:
    """Whether a class is that one or derived from it; does not import its module."""
    return any(each.__name__ == name and each.__module__ == module for each in kind.__mro__)


def _copied_picture(value: Any) -> Any:
    """One of PIL's, read if it wasn't yet."""
    try:
        same = value.copy()
    except Exception:  # noqa: BLE001 - of a file that isn't whole, or closed: who uses it is told
        return value
    same.format = value.format
    _keep_exif(value, same)
    return same


def _keep_exif(picture: Any, copied: Any) -> None:
    """Keep EXIF data that were changed in memory: Pillow copies those of the file alone.

    They say how an image lies; one that was turned upright by hand must not be turned again.
    """
    try:
        changed, own = picture.getexif(), copied.getexif()
        lies, lay = _whole(changed.get(_ORIENTATION)), own.get(_ORIENTATION)
        # A TIFF's own tags are among them, which nobody set.
        if dict(changed) == dict(own) or (hasattr(picture, "tag_v2") and lies == lay):
            return
        try:
            own.load(changed.tobytes())
        except Exception:  # noqa: BLE001 - of a tag that no file could hold
            own.load(_orientation_alone(type(own)(), lies))
        if lay is not None or lies is not None:
            own[_ORIENTATION] = lies or 1  # XMP data beside them may say otherwise
        copied.info["exif"] = own.tobytes()
    except Exception:  # noqa: BLE001 - of data that no file could hold: the pixels are there
        return


def _whole(orientation: Any) -> int | None:
    """An orientation as a file holds it: 1, which turns nothing, for what is no whole number."""
    if orientation is None:
        return None
    try:
        number = int(orientation)
        return number if number == orientation and 0 <= number < _MOST_SHORT else 1
    except (TypeError, ValueError, OverflowError):
        return 1


def _orientation_alone(exif: Any, orientation: int | None) -> bytes:
    """EXIF data of an empty `Exif` of PIL's, as a file has them."""
    if orientation is not None:
        exif[_ORIENTATION] = orientation
    return bytes(exif.tobytes())


def deep_copy(value: Any) -> Any:
    """A value that shares nothing that can be changed with the one it is a copy of.

    As far as it can be copied: an iterator or a connection can't.
    """
    return copy_value(value, _cloned, _deep)


def snapshot(value: Any) -> Any:
    """A value as it is now, whatever is done to the one it is a copy of.

    Objects of classes that no port type declares stay the same ones: they may be connections, or
    large.

    Raises:
        InvalidValue: An object of a class that a pack declares as a port type can't be copied.
    """
    return copy_value(value, _cloned, _declared)


def isolated_output(value: Any) -> Any:
    """A node's output as it is kept: apart from what its function may still hold of it.

    Tensors lie in memory as they would if they came from the store, as sums over another layout
    may differ in their last bits; their numbers stay shared.
    """
    return copy_value(value, _contiguous)


def container_copy(value: Any) -> Any:
    """A value as a function is handed it: its containers are its own, tensors are shared."""
    return copy_value(value)


def _deep(value: Any, memo: Memo) -> Any:
    if isinstance(value, _FIXED):
        return value
    before = len(memo)
    try:
        return deepcopy(value, memo)
    except Exception:  # noqa: BLE001 - a class may raise anything when it is copied
        while len(memo) > before:  # copies of its parts that are unfinished
            memo.popitem()
        return value


def _declared(value: Any, memo: Memo) -> Any:
    """A copy of an object whose class is a port type, as a run may take it by its digest later."""
    from nodegraph.core.ports import PORT_ATTRIBUTE  # brings all that travels on links

    if not hasattr(type(value), PORT_ATTRIBUTE):
        return value
    try:
        return deepcopy(value, memo)
    except Exception as error:  # a class may raise anything when it is copied
        kind = type(value).__qualname__
        raise InvalidValue(
            f"a graph keeps copies of its values, but a {kind} cannot be copied: "
            f"{type(error).__name__}: {error}",
            given=kind,
            expected="a value that `copy.deepcopy` copies",
            hint=f"Add a method `__deepcopy__` to {kind}, or let a node create the value.",
        ) from error


def _cloned(tensor: Any, memo: Memo) -> Any:
    if tensor_kind(tensor) is None:
        return _deep(tensor, memo)
    clone = tensor.detach().clone()
    if type(tensor) is not type(clone):
        return type(tensor)(clone, requires_grad=tensor.requires_grad)
    return clone.requires_grad_() if tensor.requires_grad else clone


def _contiguous(tensor: Any, memo: Memo) -> Any:
    if tensor_kind(tensor) != "tensor":
        return tensor
    return tensor.resolve_conj().resolve_neg().contiguous()
