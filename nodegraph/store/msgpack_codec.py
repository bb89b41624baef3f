"""Encode values as msgpack and decode them exactly, without naming code.

Types that msgpack lacks become extensions; tensors and arrays are stored separately, by number.
Nothing in a file names code: classes are found by name among those that are known here, have a
serializer or are already loaded.

Reading imports nothing and runs no code of a class. If a class's module isn't loaded or has
changed, the value is computed again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import BuiltinFunctionType, MemberDescriptorType
from typing import Any, Protocol

import msgpack

from nodegraph.core import plots, spatial_values, training_values, values
from nodegraph.core.digests import (
    LEAVES,
    MAPPINGS,
    PATHS,
    datetime_from_plain,
    datetime_to_plain,
    dtype_from_plain,
    dtype_to_plain,
    is_array_scalar,
    is_named_tuple,
    is_plain_array,
    is_plain_mapping,
    is_tensor,
    type_name,
)
from nodegraph.core.foreign_value import ForeignValue
from nodegraph.core.ports import Blocked, Serializer

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


Serializers = Mapping[type, Serializer]
"""How values of a class are stored, by class."""
Relocated = Callable[[str], str | None]
"""Where a file lies by now that isn't where a value says; None if it isn't known."""

_BIG, _TUPLE, _PATH, _RECORD, _ENUM, _CUSTOM, _TENSOR, _MAPPING, _FRACTION = range(1, 10)
_ARRAY, _SCALAR, _MOMENT, _NAMED_TUPLE = range(10, 14)
_RECORDS: tuple[type, ...] = (
    values.Latent,
    values.Leftover,
    values.FrameGuide,
    values.Video,
    values.Audio,
    spatial_values.Mesh,
    spatial_values.PointCloud,
    spatial_values.Voxels,
    spatial_values.Molecule,
    spatial_values.AtomSites,
    plots.Plot,
    training_values.TrainedWeights,
    values.Adapter,
    values.ModelAdapter,
    plots.Series,
    training_values.ExampleFile,
    training_values.LabeledBox,
    training_values.Example,
    training_values.Augmentation,
    training_values.Dataset,
    values.Area,
    values.StepSpan,
    values.ScheduledAdapter,
    values.TextBox,
    values.Grounding,
    values.ConditioningEntry,
    values.Control,
    values.Conditioning,
    values.DiffusionModel,
    values.TextEncoder,
    values.Vae,
    values.ControlNet,
    values.ImageEncoder,
    values.PipelineComponent,
    values.VisionNetwork,
    values.Recipe,
    values.RecipeFile,
)
_KNOWN: Serializers = {kind: Serializer(f"nodegraph.{kind.__name__}") for kind in _RECORDS} | {
    Blocked: Serializer(
        "nodegraph.Blocked",
        lambda each: each.message.encode("utf-8", "surrogatepass"),
        lambda data: Blocked(data.decode("utf-8", "surrogatepass")),
    )
}
_DEEPEST = 40
"""Extensions within extensions. Each is read by a call of msgpack's own within the one before,
which takes 40 kB of a thread's stack, and the system ends a process that has none left."""
_MAPPING_MAKERS = {name: kind for kind, name in MAPPINGS.items()}
_PATH_MAKERS: Mapping[str, Callable[[str], PurePath]] = {
    "": Path,
    "posix": PurePosixPath,
    "windows": PureWindowsPath,
}


class TensorSink(Protocol):
    """Takes what lies beside the plain values, and says in these how to find it again."""

    def add(self, tensor: Any) -> list[Any]:
        """Take a tensor."""

    def add_array(self, array: Any) -> list[Any]:
        """Take an array of numpy."""


class TensorSource(Protocol):
    """Finds what lies beside, by what `TensorSink` said."""

    def tensor(self, reference: list[Any]) -> Any:
        """A tensor."""

    def array(self, reference: list[Any]) -> Any:
        """An array of numpy."""


class Unstorable(Exception):
    """A value that has no form in a file."""


class SerializerFailed(Unstorable):
    """A pack's own serializer raised, or gave no bytes."""


class Undecodable(Exception):
    """Bytes that can't become a value here, such as of a class that no pack declares any more."""


class NotLoaded(Undecodable):
    """A value of a class whose module isn't loaded here, or has no such class any more."""


def pack(value: Any, serializers: Serializers, tensors: TensorSink) -> bytes:
    """A value as msgpack.

    Args:
        tensors: Takes its tensors and arrays.
    Raises:
        Unstorable: It holds something that can't be stored.
    """
    form = _Encoder(serializers, tensors)
    try:
        return form.packed(form.of(value))
    except RecursionError as error:
        raise Unstorable("nested too deeply") from error
    except (ValueError, OverflowError) as error:  # msgpack's own limits
        raise Unstorable(str(error)) from error


class _Encoder:
    """Brings values into a form that msgpack writes."""

    def __init__(self, serializers: Serializers, tensors: TensorSink) -> None:
        self._serializers = serializers
        self._tensors = tensors
        self._depth = 0

    def packed(self, form: Any) -> bytes:
        packed: bytes = msgpack.packb(form, unicode_errors="surrogatepass", default=_big)
        return packed

    def of(self, value: Any) -> Any:
        kind = type(value)
        if kind in LEAVES:
            return value
        if kind is list:
            return self._items(value)
        if kind is dict:
            if LEAVES.issuperset(map(type, value)) and LEAVES.issuperset(map(type, value.values())):
                return value
            if not all(map(is_plain_key, value)):
                raise Unstorable("a key of a mapping defines its own hash or comparison")
            return {self.of(key): self.of(item) for key, item in value.items()}
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unstorable("nested too deeply")
        form = self._object(value, kind)
        self._depth -= 1
        return form

    def _items(self, items: list[Any] | tuple[Any, ...]) -> Any:
        # Long lists are mostly of numbers: those are looked over at the speed of C.
        if LEAVES.issuperset(map(type, items)):
            return items
        return [self.of(item) for item in items]

    def _object(self, value: Any, kind: type) -> Any:
        if kind is tuple:
            return self._extension(_TUPLE, self._items(value))
        serializer = self._serializers.get(kind) or _KNOWN.get(kind)
        if serializer is not None and serializer.dumps is not None:
            return self._extension(_CUSTOM, [serializer.name, _dumped(value, serializer)])
        if kind in PATHS:
            return self._extension(_PATH, [PATHS[kind], str(value)])
        if kind is Fraction:
            return self._extension(_FRACTION, [value.numerator, value.denominator])
        if is_plain_mapping(value):
            return self._extension(_MAPPING, [MAPPINGS[kind], self.of(dict(value))])
        if serializer is None:
            plain = self._undeclared(value)
            if plain is not None:
                return plain
            serializer = _by_name(kind)
        if is_named_tuple(kind):
            items = [list(value._fields), self._items(tuple(value))]
            return self._extension(_NAMED_TUPLE, [serializer.name, *items])
        if isinstance(value, Enum):
            # Flags that are put together have no name of their own, but a value.
            return self._extension(_ENUM, [serializer.name, self.of(value.value)])
        if is_dataclass(kind):
            return self._extension(_RECORD, [serializer.name, self._fields(value, kind)])
        raise Unstorable(f"{serializer.name} is not a dataclass and has no serializer")

    def _undeclared(self, value: Any) -> Any:
        """The form of what belongs to a library; None if it isn't that."""
        if is_tensor(value):
            return self._extension(_TENSOR, self._tensors.add(value))
        if is_plain_array(value):
            return self._extension(_ARRAY, self._tensors.add_array(value))
        if is_array_scalar(value):
            return self._extension(_SCALAR, [dtype_to_plain(value.dtype), value.tobytes()])
        moment = datetime_to_plain(value)
        return None if moment is None else self._extension(_MOMENT, moment)

    def _fields(self, value: Any, kind: Any) -> dict[str, Any]:
        names = [item.name for item in fields(kind)]
        if hasattr(value, "__dict__") and not set(vars(value)) <= set(names):
            raise Unstorable(f"a {kind.__name__} holds more than its fields")
        try:
            return {name: self.of(getattr(value, name)) for name in names}
        except AttributeError as error:
            raise Unstorable(f"a {kind.__name__} has missing fields") from error

    def _extension(self, code: int, form: Any) -> Any:
        return msgpack.ExtType(code, self.packed(form))


def _by_name(kind: type) -> Serializer:
    """How values of a class are stored that no pack declares.

    Raises:
        Unstorable: It couldn't be found again, or its values aren't just their parts.
    """
    if kind is ForeignValue:
        raise Unstorable("only the process of a pack can read it")
    name = loaded_name(kind)
    if name is None:
        raise Unstorable(f"no serializer for {type_name(kind)}")
    return Serializer(name)


def _big(value: Any) -> Any:
    if type(value) is not int:
        raise Unstorable(f"{type(value).__name__} cannot be stored as msgpack")
    return msgpack.ExtType(_BIG, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _dumped(value: Any, serializer: Serializer) -> bytes:
    assert serializer.dumps is not None
    try:
        data = serializer.dumps(value)
    except Exception as error:
        raise SerializerFailed(f"the serializer of {serializer.name} failed: {error!r}") from error
    if type(data) is not bytes:
        raise SerializerFailed(f"the serializer of {serializer.name} returned no bytes")
    return data


def unpack(
    data: bytes | bytearray | memoryview,
    serializers: Serializers,
    tensors: TensorSource | None = None,
    relocated: Relocated = lambda path: None,
) -> Any:
    """The value that was packed.

    Args:
        tensors: Finds its tensors and arrays; None if it has none.
        relocated: Finds files that it names and that aren't there any more.
    Raises:
        Undecodable: Of a class that isn't known, or changed since.
    """
    reader = _Reader(serializers, tensors, relocated)
    try:
        return reader.value(data)
    except Undecodable:
        raise
    except Exception as error:
        # The bytes are as they were written, so a class or its serializer changed.
        raise Undecodable(f"no longer readable: {error!r}") from error


class _Reader:
    """Brings msgpack's forms back into values."""

    def __init__(
        self, serializers: Serializers, tensors: TensorSource | None, relocated: Relocated
    ) -> None:
        self._serializers = serializers
        self._tensors = tensors
        self._relocated = relocated
        self._depth = 0

    def value(self, data: bytes | bytearray | memoryview) -> Any:
        return msgpack.unpackb(
            data,
            ext_hook=self._extension,
            object_pairs_hook=_mapping,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )

    def _extension(self, code: int, data: bytes) -> Any:
        if code == _BIG:
            return int.from_bytes(data, "big", signed=True)
        if self._depth == _DEEPEST:
            raise Undecodable("nested too deeply")
        self._depth += 1
        form = self.value(data)
        self._depth -= 1
        if code == _TUPLE:
            return tuple(form)
        if code == _PATH:
            return _PATH_MAKERS[form[0]](form[1])
        if code == _FRACTION:
            return Fraction(*form)
        if code == _TENSOR and self._tensors is not None:
            return self._tensors.tensor(form)
        if code == _ARRAY and self._tensors is not None:
            return self._tensors.array(form)
        if code == _SCALAR:
            return _scalar(*form)
        if code == _MOMENT:
            return datetime_from_plain(form)
        if code == _NAMED_TUPLE:
            return _named_tuple(self._named(form[0])[0], *form[1:])
        name, content = form
        if code == _MAPPING:
            return _MAPPING_MAKERS[name](content)
        kind, serializer = self._named(name)
        if code == _ENUM and issubclass(kind, Enum) and is_plain_key(content):
            return kind(content)
        if code == _CUSTOM and serializer.loads is not None:
            return serializer.loads(content)
        if code == _RECORD and is_dataclass(kind):
            return _record(kind, content, self._relocated)
        raise Undecodable(f"{name} is stored in another format")

    def _named(self, name: str) -> tuple[type, Serializer]:
        for known in (self._serializers, _KNOWN):
            # A copy: packs may be loaded meanwhile.
            for kind, serializer in tuple(known.items()):
                if serializer.name == name:
                    return kind, serializer
        if is_loaded_name(name):
            loaded_class = find_class(name)
            if loaded_class is None:
                raise NotLoaded(f"{name} is not known here")
            return loaded_class, Serializer(name)
        raise Undecodable(f"{name} is not known here")


def _mapping(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    if not LEAVES.issuperset([type(key) for key, _ in pairs]):
        for key, _ in pairs:
            if not is_plain_key(key):
                raise Undecodable(f"a key of a mapping is a {type(key).__name__}")
    return dict(pairs)


def _scalar(form: Any, data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(data, dtype=dtype_from_plain(form))[0]


def _named_tuple(kind: Any, names: list[str], items: list[Any]) -> Any:
    if not is_named_tuple(kind) or list(kind._fields) != names:
        raise Undecodable(f"{kind.__name__} has other fields now")
    return tuple.__new__(kind, items)


def _record(kind: Any, content: Mapping[str, Any], relocated: Relocated) -> Any:
    if _names(kind) != set(content):
        raise Undecodable(f"{kind.__name__} has other fields now")
    record = object.__new__(kind)
    for name, item in content.items():
        object.__setattr__(record, name, item)
    path_field = _path_field(record)
    if path_field is not None and not Path(getattr(record, path_field)).exists():
        moved = relocated(getattr(record, path_field))
        if moved is None:
            # Equal files may lie elsewhere: the node that makes them knows where by now.
            raise Undecodable(f"{getattr(record, path_field)} no longer exists")
        object.__setattr__(record, path_field, moved)
    return record


def _path_field(record: Any) -> str | None:
    """The field that says where the file lies which a value names; None if it names none."""
    if isinstance(record, (values.RecipeFile, training_values.ExampleFile)):
        return "path"
    return "source" if isinstance(record, values.Adapter) else None


def _names(kind: Any) -> set[str]:
    declared: Iterable[Any] = fields(kind)
    return {item.name for item in declared}
