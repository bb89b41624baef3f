"""Digest of a function or class of this process, with all the code that it reaches.

A notebook's cells have no source files, so the function object itself is read, with everything that
it can reach: inner functions, defaults, captured variables, the globals that it names, what it
wraps, classes, values, and the user's own modules. Libraries count by name and version.
"""

from __future__ import annotations

import copyreg
import dis
import importlib
import importlib.util
import os
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import ref

from blake3 import blake3

from nodegraph.core.digests import Digest, Undigestable, digest_tensor, is_tensor, type_name


def import_own_module(name: str, level: int, scope: Mapping[str, Any]) -> ModuleType | None:
    """A module of one's own that a function imports when it runs; it is imported now.

    Python would take its byte code for current by whole seconds: what is read must be what runs.
    """
    try:
        full = importlib.util.resolve_name("." * level + name, scope.get("__package__") or "")
        top = full.partition(".")[0]
        if top in sys.stdlib_module_names or is_library(full, sys.modules.get(full)):
            return None
        if full not in sys.modules:
            spec = importlib.util.find_spec(top)
            if spec is None or spec.origin is None or _is_foreign(spec.origin):
                return None
        return importlib.import_module(full)
    except Exception:  # noqa: BLE001 - it says so when it runs, if it gets there
        return None


def is_library(name: str | None, module: ModuleType | None = None) -> bool:
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
    return any(path.is_relative_to(folder) for folder in places)


def is_of_library(value: Any) -> bool:
    """Whether something is a library's, and what its name there stands for."""
    name = getattr(value, "__module__", None) or type(getattr(value, "__self__", None)).__module__
    module: Any = sys.modules.get(name)
    if module is None or not is_library(name, module):
        return False
    resolved = module
    for part in getattr(value, "__qualname__", "").split("."):
        resolved = getattr(resolved, part, None)
    # Of a method that a module offers as a function, such as those of `random`.
    return resolved is value or bool(getattr(module, value.__name__, None) == value)


def library_name(value: Any) -> tuple[str, ...]:
    """What says which of a library's things something is: module, version and name."""
    module = getattr(value, "__module__", None) or ""
    return (*library_version(module), getattr(value, "__qualname__", repr(type(value))))


def library_version(name: str) -> tuple[str, str]:
    """A module's name with the version of its library, empty if that tells none."""
    top = name.partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", "")
    return name, version if isinstance(version, str) else ""


_BY_TEXT = frozenset(
    {"getattr", "globals", "vars", "eval", "exec", "attrgetter", "__dict__", "__getattribute__"}
)
"""What looks up names that are given as texts."""
_IMPORTERS = frozenset({"import_module", "__import__"})
_WORD = re.compile(r"[A-Za-z_]\w*")


class CodeReferences(NamedTuple):
    """What a function and those in it may look up.

    Attributes:
        names: Of globals and attributes.
        modules: That it imports, as level and name.
        texts: All that stand in it.
    """

    names: tuple[str, ...]
    modules: tuple[tuple[int, str], ...]
    texts: tuple[str, ...]


@lru_cache(maxsize=4096)
def code_references(code: CodeType) -> CodeReferences:
    """What a function and those in it may look up, in the order in which it stands there."""
    names: dict[str, None] = {}
    modules: dict[tuple[int, str], None] = {}
    texts: dict[str, None] = {}
    waiting: list[Any] = [code]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            texts[each] = None
        elif isinstance(each, (tuple, frozenset)):
            waiting.extend(sorted(each, key=repr))  # a set has no order
        elif isinstance(each, CodeType):
            names.update(dict.fromkeys(each.co_names))
            waiting.extend(each.co_consts)
            if not _IMPORTERS.isdisjoint(each.co_names) or "IMPORT_NAME" in _operations(each):
                modules.update(dict.fromkeys(imports_in(each)))
    if not _BY_TEXT.isdisjoint(names):
        names.update(dict.fromkeys(word for text in texts for word in _WORD.findall(text)))
    return CodeReferences(tuple(names), tuple(modules), tuple(texts))


def _operations(code: CodeType) -> Iterator[str]:
    return (dis.opname[operation] for operation in code.co_code[::2])


def imports_in(code: CodeType) -> Iterator[tuple[int, str]]:
    """Level and name of each module that code imports, apart from what functions in it do."""
    loaded: list[Any] = []
    called = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            level = loaded[-2] if len(loaded) > 1 and isinstance(loaded[-2], int) else 0
            yield level, str(step.argval)
        elif "CONST" in step.opname or step.opname == "LOAD_SMALL_INT":
            loaded.append(step.argval)
            if called in _IMPORTERS and isinstance(step.argval, str):
                name = step.argval.lstrip(".")
                yield len(step.argval) - len(name), name
            called = ""
        elif step.opname.startswith("LOAD_"):
            called = str(step.argval)


_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
_CONSTANTS = frozenset({tuple, frozenset, CodeType, range})
_HUGE = 4096
"""Bits."""
_BOUND = (FunctionType, type, type(lru_cache(repr)))
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_SKIPPED = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"}
    | {"__firstlineno__", "__static_attributes__", "__nodegraph_node__", "__annotate__"}
    | {"__slotnames__"}  # which the first copy of an instance leaves on its class
    | {"_value2member_map_"}  # to which an enumeration adds flags as they are put together
)
"""Attributes that say nothing of what code does, or that only tell again what is read elsewhere."""
_READ_OF_PYDANTIC = frozenset({"__pydantic_fields__", "__pydantic_decorators__"})
"""What a model is made of; the rest comes of these, and names classes by their place in memory."""
_ENVIRON = frozenset({"environ", "environb", "getenv", "getenvb", "expandvars"})
_VARIABLE = re.compile(r"[A-Za-z_][\w.:-]{0,199}")
_EXPANDED = re.compile(r"\$\{?(\w+)|%(\w+)%")
_MOST = 1_000_000
"""Parts of what a function can reach that are looked at."""


class Unreadable(Exception):
    """Something that a function can reach has no content that could be told from another."""


def code_digest(code: Callable[..., Any], trace: CodeTrace | None = None) -> Digest:
    """Digest of a function or class with all that it can reach.

    Args:
        trace: Takes up what is met on the way.
    Raises:
        Unreadable: Something of it can't be told from others; the message says what and where.
    """
    reader = _Reader(trace or CodeTrace())
    reader.read(code, getattr(code, "__name__", "it"))
    reader.read_variables()
    return reader.hasher.hexdigest()


class CodeTrace:
    """What was met on the way, in sets too.

    Attributes:
        classes: Of one's own.
        bound: Functions and classes, by the scope and the name that they were found at.
        uses_expand: Whether `Expand` was met.
        texts: That may name environment variables, or node types.
        is_environ: Whether something looks variables up: under which names, other code may say.
    """

    def __init__(self) -> None:
        self.classes: list[type] = []
        self.bound: list[tuple[Mapping[str, Any], str, object]] = []
        self.uses_expand = False
        self.texts: set[str] = set()
        self.is_environ = False

    def add_binding(self, scope: Mapping[str, Any], name: str, value: object) -> None:
        if isinstance(value, _BOUND):
            self.bound.append((scope, name, value))

    def is_unchanged(self) -> bool:
        """Whether functions and classes are still what they were, and not defined anew."""
        return all(scope.get(name) is value for scope, name, value in self.bound)

    def text(self, text: str) -> None:
        if _VARIABLE.fullmatch(text):
            self.texts.add(text)
        elif "$" in text or "%" in text:
            self.texts.update(name for groups in _EXPANDED.findall(text) for name in groups if name)


class _Reader:
    """Writes what it meets into a hasher, each object once.

    Args:
        around: Ids of the sets that hold what is read, and are being read themselves.
    """

    def __init__(self, trace: CodeTrace, around: tuple[int, ...] = ()) -> None:
        self.hasher = blake3()
        self._trace = trace
        self._around = around
        self._visited: dict[int, int] = {each: -at for at, each in enumerate(around, 1)}
        self._alive: list[object] = []  # an id names an object only while that lives
        self._left = _MOST

    def _update(self, *parts: object) -> None:
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
            # Python writes no larger numbers in decimal, nor quickly.
            is_huge = kind is int and value.bit_length() > _HUGE
            self._update(kind.__name__, hex(value) if is_huge else repr(value))
            if kind is str:
                self._trace.text(value)
            return
        # Whether equal constants are one object differs from process to process.
        if kind not in _CONSTANTS:
            known = self._visited.get(id(value))
            if known is not None:
                self._update("again", known)
                return
            self._visited[id(value)] = len(self._visited)
            self._alive.append(value)
        self._left -= 1
        if not self._left:
            raise Unreadable(f"{where}, which holds more than {_MOST} values")
        try:
            self._read_object(value, kind, where)
        except RecursionError:
            raise Unreadable(f"{where}, which is nested too deeply") from None

    def read_variables(self) -> None:
        """Take in the environment variables that all that was met may look up."""
        if self._trace.is_environ:
            for name in sorted(self._trace.texts):
                self._update("variable", name, os.environ.get(name))

    def _read_object(self, value: Any, kind: type, where: str) -> None:
        if value is os.environ or value is getattr(os, "environb", None):
            self._trace.is_environ = True
            self._update("environment")
        elif isinstance(value, ModuleType):
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
        if is_of_library(value):
            self._update("library function", *library_name(value))
            self._trace.is_environ |= value.__name__ in _ENVIRON
            return
        where = f"`{value.__qualname__}`"
        self._update("function")
        self._code(value.__code__, where)
        self.read(value.__defaults__, f"a default of {where}")
        self.read(value.__kwdefaults__, f"a default of {where}")
        attributes = {name: item for name, item in vars(value).items() if name not in _SKIPPED}
        if "dispatch" in attributes and "registry" in attributes:  # of functools.singledispatch
            self.read(attributes["registry"], f"what {where} registers")
            return
        self.read(attributes, f"an attribute of {where}")
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            self._update("captures", name)
            try:
                captured = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            self.read(captured, f"`{name}`, which {where} captures")
        self._used(value, where)

    def _used(self, function: FunctionType, where: str) -> None:
        """What a function names: globals, attributes of modules of one's own, what it imports."""
        names, modules, texts = code_references(function.__code__)
        scope = function.__globals__
        self._trace.is_environ |= not _ENVIRON.isdisjoint(names)
        for text in texts:
            self._trace.text(text)
        if "modules" in names:
            modules += tuple((0, text) for text in texts if text in sys.modules)
        for name in names:
            if name not in scope:
                continue
            value = scope[name]
            self._update("uses", name)
            self._trace.add_binding(scope, name, value)
            if isinstance(value, ModuleType):
                self._attributes(value, names, f"`{name}`")
            else:
                self.read(value, f"`{name}`, which {where} uses")
        for level, name in modules:
            module = import_own_module(name, level, scope)
            if module is not None:
                self._attributes(module, names, f"`{name}`")

    def _attributes(self, module: ModuleType, names: tuple[str, ...], where: str) -> None:
        """The parts of a module that a function may name."""
        if is_library(module.__name__, module):
            self._update("library", *library_version(module.__name__))
            return
        used = [name for name in names if name in vars(module)]
        if not used:
            self.read(module, where)
        for name in used:
            self._update("attribute", name)
            self._trace.add_binding(vars(module), name, vars(module)[name])
            self.read(vars(module)[name], f"{where}.{name}")

    def _code(self, code: CodeType, where: str) -> None:
        self._update("code", code.co_code.hex(), code.co_names, code.co_varnames, code.co_flags)
        self._update(code.co_freevars, code.co_cellvars, code.co_argcount, code.co_kwonlyargcount)
        self._update(getattr(code, "co_exceptiontable", b""))
        for constant in code.co_consts:
            self.read(constant, f"a constant of {where}")

    def _class(self, value: type, where: str) -> None:
        if is_of_library(value):
            self._update("library class", *library_name(value))
            self._trace.uses_expand |= value.__name__ == "Expand"
            return
        self._trace.classes.append(value)
        where = f"class `{value.__qualname__}`"
        self._update("class", value.__qualname__)
        if type(value) is not type:
            self.read(type(value), f"the class of {where}")
        self.read(list(value.__bases__), f"a base of {where}")
        for name, item in list(vars(value).items()):
            is_of_pydantic = name.startswith("__pydantic_") and name not in _READ_OF_PYDANTIC
            if name not in _SKIPPED and not is_of_pydantic:
                self._update("attribute", name)
                self.read(item, f"`{name}` of {where}")

    def _module(self, value: ModuleType, where: str) -> None:
        if is_library(value.__name__, value):
            self._update("library", *library_version(value.__name__))
            return
        self._update("module", value.__name__)
        for name, item in list(vars(value).items()):
            if not (name.startswith("__") and name.endswith("__")):
                self._update("attribute", name)
                self.read(item, f"{where}.{name}")

    # Values

    def _collection(self, value: Any, where: str) -> None:
        where = f"something in {where}" if not where.startswith("something in") else where
        self._kind(value, where)
        if isinstance(value, (set, frozenset)):
            around = (*self._around, id(value))
            self._update(len(value), *sorted(self._apart(item, around) for item in list(value)))
            return
        if isinstance(value, Mapping):
            items: Iterator[Any] = (part for pair in list(value.items()) for part in pair)
            factory = getattr(value, "default_factory", None)
            self.read(factory, f"what {where} makes")
        else:
            items = iter((value.start, value.stop, value.step) if type(value) is range else value)
        self._update(len(value))
        for item in items:
            self.read(item, where)
        if not isinstance(value, types.MappingProxyType) and hasattr(value, "__dict__"):
            self.read(vars(value), where)

    def _apart(self, item: Any, around: tuple[int, ...]) -> Digest:
        """Digest of an item by itself, as a set has no order."""
        reader = _Reader(self._trace, around)
        reader.read(item, "something in a set")
        return reader.hasher.hexdigest()

    def _kind(self, value: Any, where: str) -> None:
        self._update("of")
        self.read(type(value), f"the class of {where}")

    def _tensor(self, value: Any, where: str) -> None:
        try:
            self._update("tensor", digest_tensor(value), value.requires_grad)
        except Undigestable as error:
            raise Unreadable(f"{where}: {error}") from error
        self._kind(value, where)

    def _array(self, value: Any, where: str) -> None:
        # By `str` all structures of one size are alike; functions may go by the order in memory.
        self._update(type(value).__qualname__, repr(value.dtype), value.shape, value.strides)
        if value.dtype.hasobject:
            self.read(value.tolist(), where)
        else:
            self.hasher.update(value.tobytes())

    def _other(self, value: Any, kind: type, where: str) -> None:
        if isinstance(value, _LOCKS):
            self._update("lock")  # it keeps order, and makes no difference to a result
        elif isinstance(value, ref):
            self._parts("weak reference", where, value())
        elif isinstance(value, (staticmethod, classmethod)):
            self._parts(kind.__name__, where, value.__func__)
        elif isinstance(value, property):
            self._parts("property", where, value.fget, value.fset, value.fdel)
        elif isinstance(value, types.MethodType):
            if is_of_library(value):
                self._update("library method", *library_name(value))
            else:
                self._parts("method", where, value.__func__, value.__self__)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            owner = getattr(value, "__self__", None)
            if owner is None or isinstance(owner, (ModuleType, type)) or is_of_library(value):
                self._update("built-in", *library_name(value))
            else:
                self._parts(f"built-in {value.__name__}", where, owner)
        elif hasattr(value, "__wrapped__") and hasattr(value, "cache_info"):
            self._parts("cached", where, value.__wrapped__, value.cache_parameters())
        elif kind.__module__ == "_struct":
            self._update("struct", value.format)
        elif kind.__module__ in ("types", "typing", "builtins", "_typing"):
            self._plain(value, kind, where)
        else:
            self._instance(value, kind, where)

    def _parts(self, name: str, where: str, *parts: Any) -> None:
        self._update(name)
        for part in parts:
            self.read(part, where)

    def _plain(self, value: Any, kind: type, where: str) -> None:
        if kind.__name__ in ("generator", "coroutine", "async_generator", "frame", "traceback"):
            raise Unreadable(f"{where}, a {kind.__name__}")
        if kind in (bytearray, memoryview):
            self._update(kind.__name__, bytes(value).hex())
        elif kind is slice:
            self._parts("slice", where, value.start, value.stop, value.step)
        elif kind.__name__ in _DESCRIPTORS or (
            kind.__module__ != "builtins" and _has_stable_repr(value)
        ):
            self._update(kind.__name__, repr(value))
        else:
            self._instance(value, kind, where)

    def _instance(self, value: Any, kind: type, where: str) -> None:
        """Anything else, in the way in which it would be copied."""
        if kind.__module__.startswith("pydantic.") and hasattr(value, "cls_ref"):
            # Its class stands there by its place in memory.
            self._parts("decorated", where, value.cls_var_name, value.shim, value.info)
            return
        description = f"{where}, of type {type_name(kind)}"
        reduced = copyreg.dispatch_table.get(kind)
        try:
            made = value.__reduce_ex__(4) if reduced is None else reduced(value)
        except Exception as error:
            raise Unreadable(description) from error
        is_named = isinstance(made, str) and reduced is not None
        if is_named and getattr(sys.modules.get(kind.__module__), str(made), None) is not value:
            raise Unreadable(description)  # such as what numpy has made of a function of one's own
        if isinstance(made, str):
            self._update("named", kind.__module__, made)
            return
        self._kind(value, where)
        for part in made[:3]:
            self.read(part, where)
        for part in made[3:5]:
            self.read(None if part is None else list(part), where)


def _has_stable_repr(value: Any) -> bool:
    """Whether what `types` and `typing` make is told by how it prints.

    A namespace holds anything, and so do annotations, whose objects may print as places in memory.
    """
    return type(value) is not types.SimpleNamespace and " at 0x" not in repr(value)


_DESCRIPTORS = frozenset(
    {"member_descriptor", "getset_descriptor", "wrapper_descriptor", "method_descriptor"}
    | {"classmethod_descriptor", "method-wrapper", "cell"}
)
