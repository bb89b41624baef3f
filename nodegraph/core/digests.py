"""Content digests: equal values of one type have equal digests in every process.

Type and order belong to the content: a function sees whether it gets a list or a tuple, and in
which order a mapping's keys come. Values are brought into a canonical form (tensors replaced by the
digest of dtype, shape and bytes, dataclasses by class and fields), packed with msgpack and hashed
with blake3.

A value has no digest if its content isn't known in full. Of numpy's arrays, only those that are
nothing but their numbers have one: no arrays of objects, and none with padding bytes without
meaning (aligned records, long doubles).

The code of an installed package has a digest, too; its modules are imported by `import_verified`.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from importlib import import_module
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from time import time_ns
from types import ModuleType
from typing import Any
from uuid import uuid4

import msgpack
from blake3 import blake3

from nodegraph.core.files import imported_packages, package_files, site_folder
from nodegraph.errors import InvalidValue

STARTED = time_ns()
"""When this process may first have imported a file whose code enters a digest, in Unix time."""
THIS_PROCESS = uuid4().hex
"""Stands in the digest of code that changed since: what runs may be older, so no other process has
the same."""


def datetime_to_plain(value: Any) -> list[Any] | None:
    """A value of `datetime` or a `ZoneInfo` as a list; None of anything else."""
    # Code that has one has imported them; a check of a workflow has no use for them.
    datetime_module = sys.modules.get("datetime")
    if datetime_module is None:
        return None
    kind = type(value)
    if kind is datetime_module.datetime:
        day = [value.year, value.month, value.day]
        return _with_zone(["datetime", *day, *_clock(value)], value.tzinfo)
    if kind is datetime_module.date:
        return ["date", value.year, value.month, value.day]
    if kind is datetime_module.time:
        return _with_zone(["time", *_clock(value)], value.tzinfo)
    if kind is datetime_module.timedelta:
        return ["span", value.days, value.seconds, value.microseconds]
    if kind is datetime_module.timezone:
        offset, *name = value.__getinitargs__()
        return ["offset", offset.days, offset.seconds, offset.microseconds, *name]
    if kind is getattr(sys.modules.get("zoneinfo"), "ZoneInfo", None) and value.key:
        return ["zone", value.key]
    return None


def _clock(value: Any) -> list[int]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold]


def _with_zone(form: list[Any], zone: Any) -> list[Any] | None:
    if zone is None:
        return [*form, None]
    zone_form = datetime_to_plain(zone)
    return None if zone_form is None else [*form, zone_form]


def datetime_from_plain(form: list[Any]) -> Any:
    """The value of which `datetime_to_plain` gave this.

    Raises:
        ValueError, KeyError: It isn't of one, or this machine doesn't know the time zone.
    """
    import datetime
    from zoneinfo import ZoneInfo

    name, *parts = form
    if name == "date":
        return datetime.date(*parts)
    if name == "span":
        return datetime.timedelta(*parts)
    if name == "offset":
        return datetime.timezone(datetime.timedelta(*parts[:3]), *parts[3:])
    if name == "zone":
        return ZoneInfo(*parts)
    *numbers, fold, zone = parts
    kind = {"datetime": datetime.datetime, "time": datetime.time}[name]
    return kind(*numbers, fold=fold, tzinfo=None if zone is None else datetime_from_plain(zone))


_KINDS = frozenset("biufcSUmMV")
_LONG = frozenset("gG")


def is_plain_array(value: Any) -> bool:
    """Whether a value is an array of numpy itself, of numbers, texts, times or records of such."""
    kind = type(value)
    is_array = kind.__name__ == "ndarray" and kind.__module__ == "numpy"
    return is_array and dtype_to_plain(value.dtype) is not None


def is_array_scalar(value: Any) -> bool:
    """Whether a value is one number, text or time of numpy's own types."""
    bases = {f"{base.__module__}.{base.__name__}" for base in type(value).__mro__}
    if "numpy.generic" not in bases or type(value).__module__ != "numpy":
        return False
    return value.dtype.kind != "V" and dtype_to_plain(value.dtype) is not None


def dtype_to_plain(dtype: Any) -> Any:
    """A dtype as text, or as a list of fields; None if its bytes don't say everything."""
    if dtype.hasobject or dtype.metadata or dtype.itemsize == 0:
        return None
    if dtype.names is None:
        is_known = dtype.kind in _KINDS and dtype.char not in _LONG and dtype.subdtype is None
        form: Any = dtype.str if is_known else None
    else:
        form = [_field(name, dtype.fields[name][0]) for name in dtype.names]
        if any(field is None for field in form):
            return None
    # Types that others add to numpy, and records with gaps, aren't what they write themselves as.
    return form if form is not None and dtype_from_plain(form) == dtype else None


def _field(name: str, dtype: Any) -> list[Any] | None:
    inner, shape = dtype.subdtype or (dtype, ())
    form = dtype_to_plain(inner)
    return None if form is None else [name, form, list(shape)]


def dtype_from_plain(form: Any) -> Any:
    """The dtype of which `dtype_to_plain` gave this."""
    import numpy as np

    if isinstance(form, str):
        return np.dtype(form)
    return np.dtype([(name, dtype_from_plain(inner), tuple(shape)) for name, inner, shape in form])


def array_bytes(array: Any) -> memoryview:
    """The bytes of an array, in rows; a view of its own memory where it lies so."""
    import numpy as np

    line: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(line)


Digest = str
"""64 hexadecimal characters."""

_FORMAT = b"3"
"""Of the canonical form: a digest never means what it meant in another format."""
_OTHER, _TENSOR, _TUPLE, _BIG, _MAPPING, _ENUM, _PATH, _RECORD, _NAMED_TUPLE = range(1, 10)
_FRACTION, _ARRAY, _SCALAR, _MOMENT = range(10, 14)
LEAVES = frozenset({str, int, float, bool, bytes, type(None)})
"""Plain types of values that hold no others and can't be changed."""
MAPPINGS: Mapping[type, str] = {dict: "", OrderedDict: "OrderedDict", Counter: "Counter"}
"""Mappings that are nothing but their entries, with what stands for their type."""
PATHS: Mapping[type[PurePath], str] = {
    PosixPath: "",
    WindowsPath: "",
    PurePosixPath: "posix",
    PureWindowsPath: "windows",
}
"""Paths, with what stands for their type; a `Path` is one on every system."""
_CONTAINERS = (Mapping, list, tuple, set, frozenset, str, bytes, bytearray, int, float)


class Digesters(dict[type, Callable[[Any], Digest]]):
    """Digest functions of types that packs define, by class, and what stands for a class.

    Args:
        class_key: A class's name, and more where that doesn't say all, as its methods may be
            edited.
    """

    def __init__(self, class_key: Callable[[type], str]) -> None:
        super().__init__()
        self.class_key = class_key


class Undigestable(TypeError):
    """A value without a content digest: a type that no port type describes."""


def digest_bytes(data: bytes | memoryview) -> Digest:
    """blake3 of some bytes."""
    return blake3(data).hexdigest()


def with_checksum(data: bytes) -> bytes:
    """What a file keeps of data: a line with its digest, and the data below."""
    return digest_bytes(data).encode() + b"\n" + data


def without_checksum(kept: bytes) -> bytes:
    """The data that `with_checksum` was given.

    Raises:
        ValueError: It is damaged.
    """
    digest, _, data = kept.partition(b"\n")
    if digest != digest_bytes(data).encode():
        raise ValueError("the file differs from what was written")
    return data


def digest_value(
    value: Any, digesters: Mapping[type, Callable[[Any], str]] | None = None
) -> Digest:
    """Digest of a value that may travel on a link.

    Args:
        digesters: Digest functions of types that packs define, by class. If they tell what
            stands for a class, that is taken in place of its name.
    Raises:
        Undigestable: Something in the value has no canonical form.
    """
    return digest_bytes(_FORMAT + _pack(canonical(value, {} if digesters is None else digesters)))


def canonical(value: Any, digesters: Mapping[type, Callable[[Any], str]]) -> Any:
    """The value in a form that msgpack writes the same way every time."""
    kind = type(value)
    if kind in LEAVES:
        # Floats by their bits: 1 / x tells -0.0 from 0.0, and `struct` one NaN from another.
        return value
    if kind is list:
        return _items(value, digesters)
    if kind is tuple:
        return _tagged(_TUPLE, _items(value, digesters))
    if kind in digesters:
        return _tagged(_OTHER, [_class_name(kind, digesters), digesters[kind](value)])
    if is_plain_mapping(value):
        parts = [part for pair in value.items() for part in pair]
        return _tagged(_MAPPING, [MAPPINGS[kind], _items(parts, digesters)])
    if is_tensor(value):
        return msgpack.ExtType(_TENSOR, digest_tensor(value).encode())
    return _structured(value, kind, digesters)


def _items(items: Any, digesters: Mapping[type, Callable[[Any], str]]) -> Any:
    # Long lists are mostly of numbers: those are looked over at the speed of C.
    if LEAVES.issuperset(map(type, items)):
        return items
    return [canonical(item, digesters) for item in items]


def _structured(
    value: Any, kind: type, digesters: Mapping[type, Callable[[Any], str]]
) -> msgpack.ExtType:
    if isinstance(value, str) and getattr(kind, "is_plain_text", False):
        return str(value)
    if isinstance(value, Enum):
        return _tagged(_ENUM, [_class_name(kind, digesters), canonical(value.value, digesters)])
    # Code that has a fraction has imported them; a check has no use for them.
    if kind is getattr(sys.modules.get("fractions"), "Fraction", None):
        return _tagged(_FRACTION, [value.numerator, value.denominator])
    if kind in PATHS:
        return _tagged(_PATH, [PATHS[kind], str(value)])
    if is_named_tuple(kind):
        items = _items(value, digesters)
        return _tagged(_NAMED_TUPLE, [_class_name(kind, digesters), kind._fields, items])  # type: ignore[attr-defined]
    if isinstance(getattr(kind, "is_opaque", None), property) and value.is_opaque:
        raise Undigestable(f"a {type_name(kind)} without the digest of its content")
    if is_dataclass(kind) and not isinstance(value, _CONTAINERS):
        names = _whole(value, content_fields(kind))
        parts = [[name, canonical(getattr(value, name), digesters)] for name in names]
        return _tagged(_RECORD, [_class_name(kind, digesters), parts])
    return _of_library(value, kind)


def _of_library(value: Any, kind: type) -> msgpack.ExtType:
    """Arrays and moments."""
    # A check of a workflow has none of these, and each module takes its time.
    if is_plain_array(value):
        content = digest_bytes(array_bytes(value))
        return _tagged(_ARRAY, [dtype_to_plain(value.dtype), list(value.shape), content])
    if is_array_scalar(value):
        return _tagged(_SCALAR, [dtype_to_plain(value.dtype), value.tobytes()])
    moment = datetime_to_plain(value)
    if moment is not None:
        return _tagged(_MOMENT, moment)
    raise Undigestable(f"{type_name(kind)} has no content digest")


def content_fields(kind: Any) -> list[str]:
    """Names of a dataclass's fields that belong to its content."""
    return [item.name for item in fields(kind) if item.metadata.get("content", True)]


def _whole(value: Any, names: list[str]) -> list[str]:
    """The names, if a dataclass's instance has these and holds nothing besides its fields."""
    more = vars(value).keys() - {item.name for item in fields(value)} if _has_dict(value) else ()
    if more or not all(hasattr(value, name) for name in names):
        raise Undigestable(f"a {type_name(type(value))} that holds more than its fields")
    return names


def _has_dict(value: Any) -> bool:
    return hasattr(value, "__dict__")


def is_plain_mapping(value: Any) -> bool:
    """Whether a value is a mapping of `MAPPINGS` that holds nothing but its entries."""
    return type(value) in MAPPINGS and not (_has_dict(value) and vars(value))


def is_named_tuple(kind: type) -> bool:
    """Whether a class is a plain named tuple: its items are all that its instances hold."""
    return (
        kind.__bases__ == (tuple,)
        and isinstance(getattr(kind, "_fields", None), tuple)
        and not kind.__dictoffset__
    )


def _tagged(code: int, payload: Any) -> msgpack.ExtType:
    # An extension type can't be mistaken for a list that happens to hold the same items.
    return msgpack.ExtType(code, _pack(payload))


def _pack(value: Any) -> bytes:
    # JSON can hold half a surrogate pair, which has no UTF-8; its digest must not fail.
    packed: bytes = msgpack.packb(
        value, use_bin_type=True, unicode_errors="surrogatepass", default=_big
    )
    return packed


def _big(value: Any) -> msgpack.ExtType:
    assert type(value) is int, "all else has a canonical form"
    return msgpack.ExtType(_BIG, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _class_name(kind: type, digesters: Mapping[type, Callable[[Any], str]]) -> str:
    return digesters.class_key(kind) if isinstance(digesters, Digesters) else type_name(kind)


def type_name(kind: type) -> str:
    """A class's module and name."""
    return f"{kind.__module__}.{kind.__qualname__}"


def is_tensor(value: Any) -> bool:
    """Whether the value is a torch tensor; does not import torch."""
    kind: Any = type(value)
    return _is_tensor_class(kind)


@lru_cache(maxsize=1024)
def _is_tensor_class(kind: type) -> bool:
    return any(
        base.__name__ == "Tensor" and base.__module__.split(".")[0] == "torch"
        for base in kind.__mro__
    )


def digest_tensor(tensor: Any) -> Digest:
    """Digest of a tensor's kind, dtype, shape and bytes, whatever the strides and device.

    Raises:
        Undigestable: It isn't plain numbers in memory, or holds more than these.
    """
    import torch

    kind = tensor_kind(tensor)
    if kind is None:
        raise Undigestable(
            f"a {type_name(type(tensor))} of layout {tensor.layout} has no content digest"
        )
    flat = tensor.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
    hasher = blake3(f"{kind}{flat.dtype}{tuple(flat.shape)}".encode())
    if flat.numel():
        # A single item counts as contiguous with any stride, and then can't be seen as bytes.
        items = flat.as_strided((flat.numel(),), (1,))
        hasher.update(memoryview(items.view(torch.uint8).numpy()))
    return hasher.hexdigest()


def tensor_kind(tensor: Any) -> str | None:
    """What a tensor is besides its numbers; None if these are not all that it holds.

    ``tensor`` or ``parameter``, with ``+grad`` where it asks for gradients.
    """
    import torch

    names: dict[Any, str] = {torch.Tensor: "tensor", torch.nn.Parameter: "parameter"}
    name = names.get(type(tensor))
    is_plain = (
        name is not None
        and tensor.layout == torch.strided
        and not (tensor.is_quantized or tensor.is_nested or tensor.is_meta or vars(tensor))
    )
    if not is_plain:
        return None
    return f"{name}+grad" if tensor.requires_grad else name


_CODE: dict[str, Digest] = {}
"""By top-level package: the first digest of its code that this process has read. Keys of results
contain it. A module that is imported later may already be edited: see `import_verified`."""
_VERIFIED: set[str] = set()
"""Modules whose code is that of the digest. Those that were imported before it was read are: a
change since the process started is part of the digest."""
_SIBLINGS: dict[str, set[str]] = {}
"""By top-level package, what `sibling_packages` has found."""
_STALE: dict[str, str] = {}
"""Modules that were imported after their package or a sibling changed, and which of these did."""


def code_digest(module: str) -> Digest:
    """The digest of the Python files of a module's top-level package, as they are now."""
    package = _top_level(module)
    digest = _package_digest(package)
    if package not in _CODE:
        _VERIFIED.update(name for name in list(sys.modules) if _top_level(name) == package)
        _CODE[package] = digest
    return digest


def sibling_packages(package: str, distribution: str) -> set[str]:
    """Top-level modules that a package imports from the folder that it is installed in, and what
    these import, if they are of the same distribution or of none."""
    siblings: set[str] = set()
    waiting, folder = [package], site_folder(package)
    owners: Mapping[str, list[str]] | None = None
    while waiting:
        imported = set().union(*map(imported_packages, package_files(waiting.pop())))
        for name in imported - {package, *siblings}:
            if folder is None or site_folder(name) != folder:
                continue
            if owners is None:
                from importlib.metadata import packages_distributions

                owners = packages_distributions()
            if distribution in owners.get(name, [distribution]):
                siblings.add(name)
                waiting.append(name)
    _SIBLINGS.setdefault(package, set()).update(siblings)
    return siblings


def import_verified(module: str) -> ModuleType:
    """Import a module of a package, and check that neither the package nor a sibling of it has
    changed since `code_digest` read them.

    Raises:
        InvalidValue: One changed before the module was imported. This lasts until the process ends,
            because the module in memory cannot be replaced.
        Exception: What the module raises.
    """
    imported = import_module(module)
    package = _top_level(module)
    if module not in _VERIFIED and package in _CODE:
        packages = (package, *sorted(_SIBLINGS.get(package, ())))
        changed = _STALE.get(module) or next(filter(_has_changed, packages), None)
        if changed is None:
            _VERIFIED.add(module)
        else:
            _STALE[module] = changed
            raise InvalidValue(
                f"the package {changed} changed after nodegraph read its code",
                hint="Restart nodegraph (or the server) to use the new code.",
            )
    return imported


def _has_changed(package: str) -> bool:
    return package in _CODE and _package_digest(package) != _CODE[package]


def _top_level(module: str) -> str:
    return module.partition(".")[0]


def _package_digest(package: str) -> Digest:
    files = package_files(package)
    return digest_bytes("\n".join(f"{file.name} {_file_digest(file)}" for file in files).encode())


def _file_digest(file: Path) -> Digest:
    try:
        digest, changed = digest_bytes(file.read_bytes()), file.stat().st_ctime_ns
    except OSError:
        return ""  # such as a link to nothing, by which an editor notes that it has a file open
    # The process may have imported the file before it changed: then no other one has the same.
    return digest if changed < STARTED else f"{digest} {THIS_PROCESS}"
