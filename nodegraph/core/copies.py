"""Copies of values, so that what one function does to its copy reaches nobody else."""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from io import BytesIO, StringIO
from operator import is_
from pathlib import PurePath
from types import MappingProxyType, SimpleNamespace
from typing import Any

from nodegraph.core.digests import LEAVES, is_named_tuple, is_tensor, tensor_kind
from nodegraph.errors import InvalidValue

_LIKE_A_LIST: Mapping[type, Callable[[Any, list[Any]], Any]] = {
    list: lambda _, items: items,
    deque: lambda old, items: deque(items, old.maxlen),
}
_LIKE_A_DICT: Mapping[type, Callable[[Any, dict[Any, Any]], Any]] = {
    dict: lambda _, items: items,
    OrderedDict: lambda _, items: OrderedDict(items),
    Counter: lambda _, items: Counter(items),
    defaultdict: lambda old, items: defaultdict(old.default_factory, items),
    MappingProxyType: lambda _, items: MappingProxyType(items),
}
_FLAT = frozenset({set, bytearray, array, BytesIO, StringIO})
_ORIENTATION = 0x0112
"""EXIF tag."""
_FIXED = (PurePath, Enum)
"""What can't be changed; copies of some paths aren't equal to them, up to Python 3.11."""


def copied(
    value: Any,
    tensor: Callable[[Any], Any] | None = None,
    other: Callable[[Any], Any] | None = None,
) -> Any:
    """A value whose containers are its own: lists, mappings, sets, dataclasses, arrays, pictures.

    What can't be changed stays as it is.

    Args:
        tensor: Makes of each tensor what stands in the copy; the same one if not given.
        other: Does so of objects of other classes.
    """
    kind = type(value)
    if kind in LEAVES:
        return value
    if kind in _LIKE_A_LIST:
        return _LIKE_A_LIST[kind](value, _items(value, tensor, other))
    if kind in _LIKE_A_DICT:
        items = dict(zip(value, _items(value.values(), tensor, other), strict=True))
        return _LIKE_A_DICT[kind](value, items)
    if kind is tuple:
        return _unless_same(value, _items(value, tensor, other), tuple)
    if kind in _FLAT:
        return copy(value)
    if is_tensor(value):
        return value if tensor is None else tensor(value)
    if _is_a(kind, "numpy", "ndarray"):
        return _copied_array(value, tensor, other)
    if is_dataclass(kind):
        return _copied_fields(value, tensor, other)
    if is_named_tuple(kind):
        return _unless_same(value, _items(value, tensor, other), kind._make)
    if kind is SimpleNamespace:
        return SimpleNamespace(**copied(vars(value), tensor, other))
    if _is_a(kind, "PIL.Image", "Image"):
        return _copied_picture(value)
    return value if other is None else other(value)


def _is_a(kind: type, module: str, name: str) -> bool:
    """Whether a class is that one or derived from it, told without importing its module."""
    return any(each.__name__ == name and each.__module__ == module for each in kind.__mro__)


def _copied_array(
    value: Any, tensor: Callable[[Any], Any] | None, other: Callable[[Any], Any] | None
) -> Any:
    found = value.copy()
    if type(value).__name__ == "ndarray" and value.dtype == object:
        for at, item in enumerate(value.flat):
            found.flat[at] = copied(item, tensor, other)
    return found


def _copied_picture(value: Any) -> Any:
    """One of PIL's, read if it wasn't yet."""
    try:
        found = value.copy()
    except Exception:  # noqa: BLE001 - of a file that isn't whole, or closed: who uses it is told
        return value
    found.format = value.format
    _keep_exif(value, found)
    return found


def _keep_exif(picture: Any, copied: Any) -> None:
    """Keep EXIF data that were changed in memory: Pillow copies those of the file alone.

    They say how a picture lies; one that was turned upright by hand must not be turned again.
    """
    try:
        changed, own = picture.getexif(), copied.getexif()
        lies, lay = changed.get(_ORIENTATION), own.get(_ORIENTATION)
        # A TIFF's own tags are among them, which nobody set.
        if dict(changed) == dict(own) or (hasattr(picture, "tag_v2") and lies == lay):
            return
        try:
            own.load(changed.tobytes())
        except Exception:  # noqa: BLE001 - of a tag that no file could hold
            own.load(_orientation_alone(type(own)(), lies))
        if lay is not None and lies is None:
            own[_ORIENTATION] = 1  # XMP data beside them may say otherwise
        copied.info["exif"] = own.tobytes()
    except Exception:  # noqa: BLE001 - of data that no file could hold: the pixels are there
        return


def _orientation_alone(exif: Any, orientation: int | None) -> bytes:
    """EXIF data of an empty `Exif` of PIL's, as a file has them."""
    if orientation is not None:
        exif[_ORIENTATION] = orientation
    return bytes(exif.tobytes())


def _items(
    items: Any, tensor: Callable[[Any], Any] | None, other: Callable[[Any], Any] | None
) -> list[Any]:
    # Long lists are mostly of numbers: those are looked over at the speed of C.
    if LEAVES.issuperset(map(type, items)):
        return list(items)
    return [copied(item, tensor, other) for item in items]


def _unless_same(value: Any, items: list[Any], make: Callable[[list[Any]], Any]) -> Any:
    return value if all(map(is_, value, items)) else make(items)


def _copied_fields(
    value: Any, tensor: Callable[[Any], Any] | None, other: Callable[[Any], Any] | None
) -> Any:
    changed = {}
    for item in fields(value):
        old = getattr(value, item.name, None)
        new = copied(old, tensor, other)
        if new is not old:
            changed[item.name] = new
    if not changed and type(value).__dataclass_params__.frozen:
        return value
    found = copy(value)
    for name, new in changed.items():
        object.__setattr__(found, name, new)
    return found


def own_copy(value: Any) -> Any:
    """A value that shares nothing that can be changed with the one it is a copy of.

    As far as it can be copied: an iterator or a connection can't.
    """
    return _or_itself(value, _cloned, _deep)


def snapshot(value: Any) -> Any:
    """A value as it is now, whatever is done to the one it is a copy of.

    Objects of classes that no port type declares stay the same ones: they may be connections, or
    large.

    Raises:
        InvalidValue: An object of a class that a pack declares as a port type can't be copied.
    """
    return _or_itself(value, _cloned, _declared)


def settled(value: Any) -> Any:
    """A node's output as it is kept: apart from what its function may still hold of it.

    Tensors lie in memory as they would if they came from the store, as sums over another layout
    may differ in their last bits; their numbers stay shared.
    """
    return _or_itself(value, _contiguous)


def lent_copy(value: Any) -> Any:
    """A value as a function is handed it: its containers are its own, tensors are shared."""
    return _or_itself(value, None)


def _or_itself(
    value: Any,
    tensor: Callable[[Any], Any] | None,
    other: Callable[[Any], Any] | None = None,
) -> Any:
    if type(value) in LEAVES:
        return value
    try:
        return copied(value, tensor, other)
    except RecursionError:  # of objects that hold themselves, which have no content either
        return value


def _deep(value: Any) -> Any:
    if isinstance(value, _FIXED):
        return value
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001 - a class may raise anything when it is copied
        return value


def _declared(value: Any) -> Any:
    """A copy of an object whose class is a port type, as a run may take it by its digest later."""
    from nodegraph.core.ports import PORT_ATTRIBUTE  # brings all that travels on links

    if not hasattr(type(value), PORT_ATTRIBUTE):
        return value
    try:
        return deepcopy(value)
    except Exception as error:  # a class may raise anything when it is copied
        kind = type(value).__qualname__
        raise InvalidValue(
            f"a {kind} can't be copied, as it has to be for a graph to keep it: "
            f"{type(error).__name__}: {error}",
            given=kind,
            expected="a value that `copy.deepcopy` copies",
            hint=f"Give {kind} a method `__deepcopy__`, or let a node make the value.",
        ) from error


def _cloned(tensor: Any) -> Any:
    if tensor_kind(tensor) is None:
        return _deep(tensor)
    clone = tensor.detach().clone()
    if type(tensor) is not type(clone):
        return type(tensor)(clone, requires_grad=tensor.requires_grad)
    return clone.requires_grad_() if tensor.requires_grad else clone


def _contiguous(tensor: Any) -> Any:
    if tensor_kind(tensor) != "tensor":
        return tensor
    return tensor.resolve_conj().resolve_neg().contiguous()
