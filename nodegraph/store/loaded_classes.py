"""Classes that no pack declares as port types, by name: only those of modules that are loaded.

Reading imports nothing and runs no code of a class: what its module isn't loaded for, or is another
by now, is computed anew.
"""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from types import BuiltinFunctionType, MemberDescriptorType
from typing import Any

from nodegraph.core.digests import is_named_tuple

_MARK = ":"
"""Between module and class; what packs declare has none in its name."""


def loaded_name(kind: type) -> str | None:
    """What a class is found by; None if it can't be found, or isn't kept by its parts."""
    name = f"{kind.__module__}{_MARK}{kind.__qualname__}"
    return name if find_class(name) is kind else None


def is_loaded_name(name: str) -> bool:
    """Whether a name is one that `loaded_name` gave."""
    return _MARK in name


def find_class(name: str) -> Any:
    """The class of a name, if it is loaded and is kept by its parts; else None."""
    module, _, path = name.partition(_MARK)
    member: Any = sys.modules.get(module)
    for part in path.split("."):
        member = getattr(member, "__dict__", {}).get(part)
    if not isinstance(member, type) or (member.__module__, member.__qualname__) != (module, path):
        return None
    return member if _is_its_parts(member) else None


def is_plain_key(value: Any) -> bool:
    """Whether a mapping can hold a value as a key without code of a class being run."""
    kind = type(value)
    if kind is tuple or is_named_tuple(kind):
        parts = tuple(value)
    elif is_dataclass(kind):
        parts = tuple(getattr(value, item.name, None) for item in fields(kind))
    elif isinstance(value, Enum):
        parts = ()
    else:
        return True  # of Python or a library: what packs declare brings its own code anyway
    return all(_is_plain(kind, name) for name in ("__hash__", "__eq__")) and all(
        map(is_plain_key, parts)
    )


def _is_plain(kind: type, name: str) -> bool:
    """Whether a class's way to be hashed or compared is Python's own, or a dataclass's."""
    owner, method = next((base, vars(base)[name]) for base in kind.__mro__ if name in vars(base))
    if owner.__module__ in ("builtins", "enum"):
        return True
    # No more tells what `dataclass` made from what was written, than that it comes of no file.
    made = getattr(getattr(method, "__wrapped__", method), "__code__", None)
    return is_dataclass(owner) and (made is None or made.co_filename == "<string>")


def _is_its_parts(kind: type) -> bool:
    """Whether values of a class are nothing but their fields, their items or their name.

    And whether these can be put together without any of its code being run.
    """
    if issubclass(kind, Enum):
        return _is_found_by_value(kind)
    if is_named_tuple(kind):
        return True
    if not is_dataclass(kind) or hasattr(kind, "__del__"):
        return False
    names = {item.name for item in fields(kind)}
    slots = {slot for base in kind.__mro__ for slot in _slots(base)}
    if not slots <= names | {"__dict__", "__weakref__"} or any(
        _is_set(kind, name) for name in names
    ):
        return False
    try:
        object.__new__(kind)
    except TypeError:  # it is built on a class that holds something itself, such as dict
        return False
    return True


def _is_found_by_value(kind: type[Enum]) -> bool:
    """Whether an enumeration looks values up as Python does; flags are made where they are new."""
    owner = next(base for base in kind.__mro__ if "_missing_" in vars(base))
    if owner.__module__ != "enum" or type(kind).__module__ != "enum":
        return False
    made_by = getattr(kind, "_new_member_", object.__new__)
    return not issubclass(kind, Flag) or isinstance(made_by, BuiltinFunctionType)


def _is_set(kind: type, name: str) -> bool:
    """Whether code is run where a field is set, as of a property."""
    attribute = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    return hasattr(type(attribute), "__set__") and not isinstance(attribute, MemberDescriptorType)


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
