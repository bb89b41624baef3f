"""The code behind a function of this process, as a digest: for nodes of scripts and notebooks.

There is no source to go by: a notebook's cells come and go. So the function itself is read, with
all that it can reach: inner functions, defaults, what it captured, the globals that it names,
what it wraps, classes, values, and modules of one's own. Libraries count by name and version.
"""

from __future__ import annotations

import dis
import importlib
import importlib.util
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any
from uuid import uuid4
from weakref import ref

from blake3 import blake3

from nodegraph.core.digests import Digest, Undigestable, digest_tensor, is_tensor

_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
_CONSTANTS = frozenset({tuple, frozenset, CodeType, range})
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_SKIPPED = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"}
    | {"__firstlineno__", "__static_attributes__", "__nodegraph_node__", "__annotate__"}
)
"""Attributes that say nothing of what code does, or that only tell again what is read elsewhere."""
_MOST = 1_000_000
"""Parts of what a function can reach that are looked at."""


_SAME: dict[Digest, Digest] = {}
"""Of functions that have changed what they reach while they ran: their digests before that.

Those of the process, as a function is the same in its next session.
"""
_MOST_SAME = 10_000


class Unreadable(Exception):
    """Something that a function can reach has no content that could be told from another."""


def function_digest(function: Callable[..., Any]) -> Digest:
    """Digest of a function with all that it can reach.

    Raises:
        Unreadable: Something of it can't be told from others; the message says what and where.
    """
    reader = _Reader()
    reader.read(function, getattr(function, "__name__", "it"))
    return reader.hasher.hexdigest()


class FunctionDigests:
    """Digests of the functions that were added to one registry, as they are when first asked for.

    They are asked for before a run, as it may change what they reach.
    """

    def __init__(self) -> None:
        self._now: dict[str, tuple[Callable[..., Any], Digest]] = {}
        self._told: set[str] = set()
        self._has_run = False

    def runs(self) -> None:
        """One of them is about to run."""
        self._has_run = True

    def digest(self, name: str, function: Callable[..., Any]) -> Digest:
        """Digest of a function; where it can't be told from others, another one each time.

        Args:
            name: Of its node type.
        """
        if name not in self._now:
            found = self._read(name, function) or uuid4().hex
            self._now[name] = function, _SAME.get(found, found)
        return self._now[name][1]

    def look_anew(self) -> None:
        """Look at the functions once more when they are asked for next."""
        self._now.clear()

    def settle(self) -> None:
        """Runs are over: what the functions changed of what they can reach is no edit of them.

        Such as a list in which one notes that it was called, or its own cache.
        """
        if not self._has_run:
            return
        self._has_run = False
        for name, (function, before) in self._now.items():
            after = self._read(name, function)
            if after is not None and after != before:
                _SAME[after] = before
                if len(_SAME) > _MOST_SAME:
                    del _SAME[next(iter(_SAME))]
        self._now.clear()

    def _read(self, name: str, function: Callable[..., Any]) -> Digest | None:
        try:
            return function_digest(function)
        except Unreadable as error:
            if name not in self._told:
                self._told.add(name)
                warnings.warn(
                    f"results of node `{name}` aren't kept, as it can't be told whether it has "
                    f"changed: it reaches {error}",
                    stacklevel=2,
                )
            return None


class _Reader:
    """Writes what it meets into a hasher, each object once."""

    def __init__(self) -> None:
        self.hasher = blake3()
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # an id names an object only while that lives
        self._left = _MOST

    def _tell(self, *parts: object) -> None:
        for part in parts:
            text = str(part).encode("utf-8", "surrogatepass")
            self.hasher.update(f"{len(text)}:".encode() + text)

    def read(self, value: Any, where: str) -> None:
        """Take something in.

        Args:
            where: How people would find it.
        """
        kind = type(value)
        if kind in _SCALARS:
            self._tell(kind.__name__, repr(value))
            return
        # Whether equal constants are one object differs from process to process.
        if kind not in _CONSTANTS:
            known = self._seen.get(id(value))
            if known is not None:
                self._tell("again", known)
                return
            self._seen[id(value)] = len(self._seen)
            self._alive.append(value)
        self._left -= 1
        if not self._left:
            raise Unreadable(f"{where}, which holds more than {_MOST} things")
        try:
            self._read_object(value, kind, where)
        except RecursionError:
            raise Unreadable(f"{where}, which is too deep") from None

    def _read_object(self, value: Any, kind: type, where: str) -> None:
        if isinstance(value, ModuleType):
            self._module(value, where)
        elif isinstance(value, type):
            self._class(value, where)
        elif isinstance(value, CodeType):
            self._code(value, where)
        elif isinstance(value, FunctionType):
            self._function(value, where)
        elif isinstance(value, (list, tuple, set, frozenset, Mapping)) or kind is range:
            self._collection(value, where)
        elif is_tensor(value):
            self._tensor(value, where)
        elif kind.__module__ == "numpy" and hasattr(value, "tobytes"):
            self._array(value, where)
        else:
            self._other(value, kind, where)

    # Code

    def _function(self, value: FunctionType, where: str) -> None:
        if _is_found(value):
            self._tell("library function", *_named(value))
            return
        where = f"`{value.__qualname__}`"
        self._tell("function")
        self._code(value.__code__, where)
        self.read(value.__defaults__, f"a default of {where}")
        self.read(value.__kwdefaults__, f"a default of {where}")
        attributes = {name: item for name, item in vars(value).items() if name not in _SKIPPED}
        if "dispatch" in attributes and "registry" in attributes:  # of functools.singledispatch
            self.read(attributes["registry"], f"what {where} registers")
            return
        self.read(attributes, f"an attribute of {where}")
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            self._tell("captures", name)
            try:
                captured = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            self.read(captured, f"`{name}`, which {where} captures")
        self._used(value, where)

    def _used(self, function: FunctionType, where: str) -> None:
        """What a function names: globals, attributes of modules of one's own, what it imports."""
        names, modules = _reach(function.__code__)
        scope = function.__globals__
        for name in names:
            if name not in scope:
                continue
            found = scope[name]
            self._tell("uses", name)
            if isinstance(found, ModuleType):
                self._attributes(found, names, f"`{name}`")
            else:
                self.read(found, f"`{name}`, which {where} uses")
        for level, name in modules:
            module = _imported(name, level, scope)
            if module is not None:
                self._attributes(module, names, f"`{name}`")
        for name in _variables(function.__code__):
            self._tell("variable", name, os.environ.get(name))

    def _attributes(self, module: ModuleType, names: tuple[str, ...], where: str) -> None:
        """The parts of a module that a function may name."""
        if _is_library(module.__name__, module):
            self._tell("library", *_version(module.__name__))
            return
        used = [name for name in names if name in vars(module)]
        if not used:
            self.read(module, where)
        for name in used:
            self._tell("attribute", name)
            self.read(vars(module)[name], f"{where}.{name}")

    def _code(self, code: CodeType, where: str) -> None:
        self._tell("code", code.co_code.hex(), code.co_names, code.co_varnames, code.co_flags)
        self._tell(code.co_freevars, code.co_cellvars, code.co_argcount, code.co_kwonlyargcount)
        self._tell(getattr(code, "co_exceptiontable", b""))
        for constant in code.co_consts:
            self.read(constant, f"a constant of {where}")

    def _class(self, value: type, where: str) -> None:
        if _is_found(value):
            self._tell("library class", *_named(value))
            return
        where = f"class `{value.__qualname__}`"
        self._tell("class", value.__qualname__)
        if type(value) is not type:
            self.read(type(value), f"the class of {where}")
        self.read(list(value.__bases__), f"a base of {where}")
        for name, item in vars(value).items():
            if name not in _SKIPPED:
                self._tell("attribute", name)
                self.read(item, f"`{name}` of {where}")

    def _module(self, value: ModuleType, where: str) -> None:
        if _is_library(value.__name__, value):
            self._tell("library", *_version(value.__name__))
            return
        self._tell("module", value.__name__)
        for name, item in list(vars(value).items()):
            if not (name.startswith("__") and name.endswith("__")):
                self._tell("attribute", name)
                self.read(item, f"{where}.{name}")

    # Values

    def _collection(self, value: Any, where: str) -> None:
        where = f"something in {where}" if not where.startswith("something in") else where
        self._kind(value, where)
        if isinstance(value, (set, frozenset)):
            self._tell(len(value), *sorted(map(self._apart, value)))
            return
        if isinstance(value, Mapping):
            items: Iterator[Any] = (part for pair in list(value.items()) for part in pair)
            factory = getattr(value, "default_factory", None)
            self.read(factory, f"what {where} makes")
        else:
            items = iter((value.start, value.stop, value.step) if type(value) is range else value)
        self._tell(len(value))
        for item in items:
            self.read(item, where)
        if not isinstance(value, types.MappingProxyType) and hasattr(value, "__dict__"):
            self.read(vars(value), where)

    def _apart(self, item: Any) -> Digest:
        """Digest of an item by itself, as a set has no order."""
        reader = _Reader()
        reader.read(item, "something in a set")
        return reader.hasher.hexdigest()

    def _kind(self, value: Any, where: str) -> None:
        self._tell("of")
        self.read(type(value), f"the class of {where}")

    def _tensor(self, value: Any, where: str) -> None:
        try:
            self._tell("tensor", digest_tensor(value), value.requires_grad)
        except Undigestable as error:
            raise Unreadable(f"{where}: {error}") from error
        self._kind(value, where)

    def _array(self, value: Any, where: str) -> None:
        # By `str` all structures of one size are alike; functions may go by the order in memory.
        self._tell(type(value).__qualname__, repr(value.dtype), value.shape, value.strides)
        if value.dtype.hasobject:
            self.read(value.tolist(), where)
        else:
            self.hasher.update(value.tobytes())

    def _other(self, value: Any, kind: type, where: str) -> None:
        if isinstance(value, _LOCKS):
            self._tell("lock")  # it keeps order, and makes no difference to a result
        elif isinstance(value, ref):
            self._parts("weak reference", where, value())
        elif isinstance(value, (staticmethod, classmethod)):
            self._parts(kind.__name__, where, value.__func__)
        elif isinstance(value, property):
            self._parts("property", where, value.fget, value.fset, value.fdel)
        elif isinstance(value, types.MethodType):
            if _is_found(value):
                self._tell("library method", *_named(value))
            else:
                self._parts("method", where, value.__func__, value.__self__)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            owner = getattr(value, "__self__", None)
            if owner is None or isinstance(owner, (ModuleType, type)) or _is_found(value):
                self._tell("built-in", *_named(value))
            else:
                self._parts(f"built-in {value.__name__}", where, owner)
        elif hasattr(value, "__wrapped__") and hasattr(value, "cache_info"):
            self._parts("cached", where, value.__wrapped__, value.cache_parameters())
        elif kind.__module__ in ("types", "typing", "builtins", "_typing"):
            self._plain(value, kind, where)
        else:
            self._instance(value, kind, where)

    def _parts(self, name: str, where: str, *parts: Any) -> None:
        self._tell(name)
        for part in parts:
            self.read(part, where)

    def _plain(self, value: Any, kind: type, where: str) -> None:
        if kind.__name__ in ("generator", "coroutine", "async_generator", "frame", "traceback"):
            raise Unreadable(f"{where}, a {kind.__name__}")
        if kind in (bytearray, memoryview):
            self._tell(kind.__name__, bytes(value).hex())
        elif kind is slice:
            self._parts("slice", where, value.start, value.stop, value.step)
        elif kind.__name__ in _DESCRIPTORS or kind.__module__ != "builtins":
            self._tell(kind.__name__, repr(value))
        else:
            self._instance(value, kind, where)

    def _instance(self, value: Any, kind: type, where: str) -> None:
        """Anything else, in the way in which it would be copied."""
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:
            raise Unreadable(f"{where}, of type {kind.__module__}.{kind.__qualname__}") from error
        if isinstance(made, str):
            self._tell("named", kind.__module__, made)
            return
        self._kind(value, where)
        for part in made[:3]:
            self.read(part, where)
        for part in made[3:5]:
            self.read(None if part is None else list(part), where)


_DESCRIPTORS = frozenset(
    {"member_descriptor", "getset_descriptor", "wrapper_descriptor", "method_descriptor"}
    | {"classmethod_descriptor", "method-wrapper", "cell"}
)


@lru_cache(maxsize=4096)
def _reach(code: CodeType) -> tuple[tuple[str, ...], tuple[tuple[int, str], ...]]:
    """Names that a function and those in it may look up, and modules that they import."""
    names: dict[str, None] = {}
    modules: dict[tuple[int, str], None] = {}
    waiting = [code]
    while waiting:
        each = waiting.pop()
        names.update(dict.fromkeys(each.co_names))
        waiting.extend(item for item in each.co_consts if isinstance(item, CodeType))
        if any(name == "IMPORT_NAME" for name in _operations(each)):
            modules.update(dict.fromkeys(imports_in(each)))
    return tuple(names), tuple(modules)


@lru_cache(maxsize=4096)
def _variables(code: CodeType) -> tuple[str, ...]:
    """Environment variables that a function may read: any text in it may name one."""
    if {"environ", "getenv"}.isdisjoint(_reach(code)[0]):
        return ()
    found: dict[str, None] = {}
    waiting: list[Any] = [code]
    while waiting:
        each = waiting.pop()
        if isinstance(each, CodeType):
            waiting.extend(each.co_consts)
        elif isinstance(each, str) and each.isascii() and each.isprintable():
            found[each] = None
    return tuple(found)


def _operations(code: CodeType) -> Iterator[str]:
    return (dis.opname[operation] for operation in code.co_code[::2])


def imports_in(code: CodeType) -> Iterator[tuple[int, str]]:
    """Level and name of each module that code imports, apart from what functions in it do."""
    loaded: list[Any] = []
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level = loaded[-2] if len(loaded) > 1 and isinstance(loaded[-2], int) else 0
            yield level, str(step.argval)
        elif "CONST" in step.opname or step.opname == "LOAD_SMALL_INT":
            loaded.append(step.argval)


def _imported(name: str, level: int, scope: Mapping[str, Any]) -> ModuleType | None:
    """A module of one's own that a function imports when it runs; it is imported now.

    Python would take its byte code for current by whole seconds: what is read must be what runs.
    """
    try:
        full = importlib.util.resolve_name("." * level + name, scope.get("__package__") or "")
        top = full.partition(".")[0]
        if top in sys.stdlib_module_names or _is_library(full, sys.modules.get(full)):
            return None
        if full not in sys.modules:
            found = importlib.util.find_spec(top)
            if found is None or found.origin is None or _is_foreign(found.origin):
                return None
        return importlib.import_module(full)
    except Exception:  # noqa: BLE001 - it says so when it runs, if it gets there
        return None


def _is_library(name: str | None, module: ModuleType | None = None) -> bool:
    """Whether a module is no code of one's own."""
    top = (name or "").partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return True
    module = module or sys.modules.get(name or "")
    spec = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if file is None:
        return False
    return _is_foreign(str(file))


@lru_cache(maxsize=4096)
def _is_foreign(file: str) -> bool:
    """Whether a file belongs to a library, to Python or to nodegraph."""
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts) or file in ("built-in", "frozen"):
        return True
    import sysconfig

    places = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
    return any(path.is_relative_to(place) for place in places)


def _is_found(value: Any) -> bool:
    """Whether something is what its name in its module stands for."""
    name = getattr(value, "__module__", None) or type(getattr(value, "__self__", None)).__module__
    module: Any = sys.modules.get(name)
    if module is None or not _is_library(name, module):
        return False
    found = module
    for part in getattr(value, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    # Of a method that a module offers as a function, such as those of `random`.
    return found is value or bool(getattr(module, value.__name__, None) == value)


def _named(value: Any) -> tuple[str, ...]:
    module = getattr(value, "__module__", None) or ""
    return (*_version(module), getattr(value, "__qualname__", repr(type(value))))


def _version(name: str) -> tuple[str, str]:
    top = name.partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", "")
    return name, version if isinstance(version, str) else ""
