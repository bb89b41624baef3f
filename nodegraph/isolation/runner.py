"""Inside the process of an isolated pack: what a call gets, and what runs the pack's code.

`NativeRunner` runs packs whose node types are functions with ``@node``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import partial
from io import BytesIO
from itertools import count
from operator import is_
from threading import Lock, Thread
from typing import Any, Protocol, TypeAlias, cast

import msgpack

from nodegraph.core.context import Context, Environment
from nodegraph.core.digests import (
    LEAVES,
    Undigestable,
    digest_bytes,
    digest_value,
    is_named_tuple,
    tensor_kind,
    type_name,
)
from nodegraph.core.foreign_value import ForeignValue
from nodegraph.core.links import Expand, NodeOutput
from nodegraph.core.literals import members
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import PORT_ATTRIBUTE, Blocked, Lazy, Serializer
from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.core.types import ANY, ANY_ITEM, TypeExpr
from nodegraph.core.values import DiffusionModel
from nodegraph.errors import InvalidValue, PackError
from nodegraph.packs.declarations import Declarations, definition_in, external_files, read_pack
from nodegraph.packs.pack import Pack
from nodegraph.packs.source_files import source_files
from nodegraph.store.codec import decode_inline
from nodegraph.store.codec import encode as encode_value
from nodegraph.store.msgpack_codec import Undecodable, Unstorable
from nodegraph.store.msgpack_codec import pack as pack_value

CONTEXT_PARAMETER = "nodegraph_context"
"""Parameter of a proxy's function that takes the context: no port can have this name in a pack."""


class CallContext(Context, Protocol):
    """Context of a call in the pack's process.

    All methods of `Context` work as in the main process. `Context.weights` loads the modules in
    this process.
    """

    def ask(
        self, service: str, /, *, callback: Callable[..., Any] | None = None, **values: Any
    ) -> Any:
        """Call a service of the main worker, where the models are, and wait for its result.

        Args:
            service: Name of the service.
            callback: What the service may call while it runs; see `call_back`. It runs in the
                thread that asks, and may ask for services itself.
            values: Plain values, tensors, and values of `nodegraph.core.values`.
        Raises:
            Cancelled: The run was cancelled.
            NodegraphError: The service refuses the values, or there is none of this name.
        """

    def lazy_value(self, port: str) -> Any:
        """Evaluate a lazy input and wait for its value. In the thread of a plain function."""

    def lazy(self, port: str) -> Awaitable[Any]:
        """Evaluate a lazy input. On the event loop of an async function."""

    def when_cancelled(self, callback: Callable[[], object]) -> None:
        """Have a function called, in another thread, once the run is cancelled."""


CALLBACK: ContextVar[Callable[..., Any] | None] = ContextVar("nodegraph_callback", default=None)
"""What a service that runs calls in the process of the pack; see `call_back`."""


def call_back(**values: Any) -> Any:
    """Call, from a service of the main worker, the `callback` of the pack that asked for it.

    Args:
        values: As of `CallContext.ask`.
    Returns:
        What the callback returns, of the same kinds.
    """
    callback = CALLBACK.get()
    if callback is None:
        raise InvalidValue("nobody who can be called back asked for this service")
    return callback(**values)


@contextmanager
def calling_back(callback: Callable[..., Any] | None) -> Iterator[None]:
    """Inside the `with`, `call_back` calls a function."""
    token = CALLBACK.set(callback)
    try:
        yield
    finally:
        CALLBACK.reset(token)


LOAN: ContextVar[Callable[[Any], Sequence[DiffusionModel]] | None] = ContextVar(
    "nodegraph_loan", default=None
)
"""Runs the node that waits for a value of a pack's process; see `lend`."""


def lend(value: Any) -> Sequence[DiffusionModel]:
    """Run, from a service of the main worker, the node that waits for a value of the pack.

    Args:
        value: What the node gets: a `LentModel`, or a sampler or noise.
    Returns:
        The models that the node returns with the patches of a `LentModel`.
    Raises:
        InvalidValue: No node waits for a value of this pack.
    """
    loan = LOAN.get()
    if loan is None:
        raise InvalidValue("no node waits for a value of this pack")
    return loan(value)


Inputs: TypeAlias = Mapping[str, Any]
"""Values by port, and what the node asks of its run by parameter (`NodeSpec.hidden`). Lazy inputs
are absent."""


class PackRunner(Protocol):
    """Runs the code of one pack in this process.

    It is created once per process, as ``PackRunner(pack, environment)``: the pack as the main
    process describes it, and the folders of its session (`nodegraph.core.context.Environment`).
    """

    pack: Pack

    def declare(self) -> tuple[Declarations, tuple[str, ...]]:
        """Import the pack; see `PackHost.declarations`.

        The specs name each class or function by `NodeSpec.module` and `NodeSpec.qualname`.
        """

    def call(self, spec: NodeSpec, inputs: Inputs, context: CallContext) -> Any:
        """Run a node.

        Called in a thread; an async node runs on an event loop of the runner's own.

        Returns:
            What a node's function may return: values, `Expand`, `NodeOutput`, `Blocked`. Values of
            classes that only this process knows become `ForeignValue` on the way.
        Raises:
            Exception: What the pack's code raises. Its traceback is shown to the user.
        """

    def lend(self, value: Any, context: CallContext, *, is_further: bool) -> Sequence[Any]:
        """Lend a model, sampler or noise to a node of the main process, by a service that calls
        `lend`.

        Args:
            is_further: Whether the same node has borrowed another value of this process.
        Returns:
            The models of `lend`'s answer, as this process has them.
        """

    def type_of(self, value: Any) -> str:
        """Port type of nodegraph that a value of this process stands for; empty for none."""

    def hook(self, spec: NodeSpec, name: HookName, inputs: Any) -> Any:
        """Call a hook of a node type, such as ``validate``, with its `HookInputs`."""

    def migrate(self, spec: NodeSpec, version: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Convert the inputs of an older version of a node type to those of the next."""


class Outputs(tuple[Any, ...]):
    """What a runner may return of a call: one value for each output, in order."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class HeldValue:
    """A `nodegraph.core.links.Value` in a message."""

    value: Any


class Portable(dict[type, Serializer]):
    """How values are written for another process, which has none of the classes that only one has.

    Classes of nodegraph are known at both ends, others at one.
    """

    def get(self, kind: type, default: Any = None) -> Any:
        known = super().get(kind)
        if known is not None:
            return known
        is_own = is_dataclass(kind) or is_named_tuple(kind) or issubclass(kind, Enum)
        if is_own and not kind.__module__.startswith("nodegraph."):
            raise Unstorable(f"the class {type_name(kind)} is not known there")
        return default


def foreign_values(
    leaving: Callable[[ForeignValue], object] = lambda value: None,
    coming: Callable[[ForeignValue], object] = lambda value: None,
) -> Portable:
    """How messages hold `ForeignValue`s, at any depth.

    Args:
        leaving, coming: Look at each that leaves or comes, and raise to refuse it.
    """

    def dumps(value: ForeignValue) -> bytes:
        leaving(value)
        form = [value.type, value.pack, value.data, value.process, value.digest]
        data: bytes = msgpack.packb(form)
        return data

    def loads(data: bytes) -> ForeignValue:
        value = ForeignValue(*msgpack.unpackb(data))
        coming(value)
        return value

    return Portable({ForeignValue: Serializer("nodegraph.ForeignValue", dumps, loads)})


MOST_PICKLED = 64 << 20
"""Bytes of a pickled value. What is larger, such as a network, stays where it is."""


class ForeignValues:
    """Values of classes that only this process knows, on their way to the main process and back.

    Args:
        pack: Name of the pack.
        process: Identifies this process.
        code: Digest of the pack's code, which enters those of the values.
        type_of: Port type that a value stands for, or an empty text; see `PackRunner`.
    """

    def __init__(self, pack: str, process: str, code: str, type_of: Callable[[Any], str]) -> None:
        self._pack, self._process, self._code = pack, process, code
        self._type_of = type_of
        self._held: dict[bytes, Any] = {}
        self._numbers = count(1)
        self._portable = Portable({ForeignValue: Serializer("nodegraph.ForeignValue")})

    def outward(self, value: Any, expr: TypeExpr) -> Any:
        """A value as it leaves: itself, or a `ForeignValue`; the items of a list one by one."""
        if type(value) in LEAVES or type(value) in (Blocked, ForeignValue):
            return value
        if expr.is_list and isinstance(value, (list, tuple)):
            return [self.outward(item, expr.item) for item in value]
        value = _without_subclass(value)
        return value if self._is_portable(value) else self.encode(value, str(expr))

    def _is_portable(self, value: Any) -> bool:
        try:
            pack_value(value, self._portable, _NoTensors())
        except Unstorable:
            return False
        return True

    def inward(self, value: Any) -> Any:
        """A value as it comes in, with the objects that `ForeignValue`s in it stand for."""
        if type(value) is ForeignValue:
            return self.decode(value)
        if type(value) in (list, tuple):
            items = [self.inward(item) for item in value]
            is_same = all(map(is_, items, value))
            return value if is_same else type(value)(items)
        if type(value) is dict:
            return {name: self.inward(item) for name, item in value.items()}
        return value

    def encode(self, value: Any, declared: str) -> ForeignValue:
        """An object as bytes that this pack reads, or as a token.

        Args:
            declared: Type of the port that it leaves by.
        """
        port = getattr(type(value), PORT_ATTRIBUTE, None)
        name = declared if port is None else port.info.name
        if name in (ANY, ANY_ITEM):
            name = self._type_of(value) or name
        classes = _Classes()
        try:
            payload = encode_value(value, classes).inline()
            data = _packed("parts", classes.names, payload)
            return ForeignValue(name, self._pack, data, digest=self._digest(value))
        except Unstorable:
            pickled = _pickled(value)
        if pickled is not None:
            return ForeignValue(name, self._pack, _packed("pickle", [], pickled))
        # A process that opens again after an edit counts from 1, and old tokens are released later.
        token = f"{self._process} {next(self._numbers)}".encode()
        self._held[token] = value
        return ForeignValue(name, self._pack, token, self._process)

    def _digest(self, value: Any) -> str:
        try:
            content = digest_value(value, _PortDigesters())
        except (Undigestable, RecursionError):
            return ""
        return digest_bytes(f"{self._code} {content}".encode())

    def decode(self, value: ForeignValue) -> Any:
        """The object that a value stands for.

        The main process passes on values of other packs only if these are trusted.

        Raises:
            InvalidValue: Another process holds it, or this one lacks its class.
        """
        if value.process == self._process and value.data in self._held:
            return self._held[value.data]
        if value.process:
            raise InvalidValue(
                f"this `{value.type}` lies in the process of pack `{value.pack}`, and pack "
                f"`{self._pack}` cannot read it",
                hint="Link it to a node of the same pack.",
            )
        form, names, payload = msgpack.unpackb(value.data)
        try:
            if form == "pickle":
                return pickle.loads(payload)  # noqa: S301 - a process of a pack wrote it for itself
            return decode_inline(payload, _loaded_classes(names))
        except (Undecodable, ImportError, AttributeError, pickle.UnpicklingError) as error:
            raise InvalidValue(
                f"pack `{self._pack}` cannot read this `{value.type}` of pack `{value.pack}`: "
                f"{error}",
                hint="Link it to a node of the same pack.",
            ) from error

    def release(self, token: bytes) -> None:
        """Let go of a value that nobody outside refers to any more."""
        self._held.pop(token, None)

    @property
    def held(self) -> int:
        """How many values are held for tokens."""
        return len(self._held)


def _without_subclass(value: Any) -> Any:
    """A text, number or bytes of a derived class, such as `NodeId`, as one of the plain class."""
    if isinstance(value, Enum) or hasattr(type(value), PORT_ATTRIBUTE):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float) and type(value).__module__ != "numpy":
        return float.__float__(value)
    return bytes.__add__(value, b"") if isinstance(value, bytes) else value


class _NoTensors:
    """Takes no tensors: it is only asked whether a value can be written."""

    def add(self, tensor: Any) -> list[Any]:
        if tensor_kind(tensor) is None:
            raise Unstorable("a tensor that holds more than plain numbers")
        return []

    def add_array(self, array: Any) -> list[Any]:
        return []


class _Classes(dict[type, Serializer]):
    """How port types of packs are written, by their classes; notes which there are."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[list[str]] = []

    def get(self, kind: type, default: Any = None) -> Any:
        if is_dataclass(kind) or is_named_tuple(kind) or issubclass(kind, Enum):
            self.names.append([kind.__module__, kind.__qualname__])
        port = kind.__dict__.get(PORT_ATTRIBUTE)
        if port is None or port.serializer is None:
            return default
        self.names.append([kind.__module__, kind.__qualname__])
        return port.serializer


def _loaded_classes(names: Sequence[Sequence[str]]) -> dict[type, Serializer]:
    """The port types of some classes, by class, with their modules imported."""
    serializers = {}
    for module, qualname in names:
        kind: Any = importlib.import_module(module)
        for part in qualname.split("."):
            kind = getattr(kind, part)
        port = kind.__dict__.get(PORT_ATTRIBUTE)
        if port is not None and port.serializer is not None:
            serializers[kind] = port.serializer
    return serializers


class _PortDigesters(dict[type, Callable[[Any], str]]):
    """Digest functions of port types, by their classes."""

    def __contains__(self, kind: object) -> bool:
        port = getattr(kind, "__dict__", {}).get(PORT_ATTRIBUTE)
        return port is not None and port.digest is not None

    def __getitem__(self, kind: type) -> Callable[[Any], str]:
        digest: Callable[[Any], str] = kind.__dict__[PORT_ATTRIBUTE].digest
        return digest


def _packed(form: str, classes: list[list[str]], payload: bytes) -> bytes:
    data: bytes = msgpack.packb([form, classes, payload])
    return data


class _Bounded(BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MOST_PICKLED:
            raise pickle.PicklingError("too large")
        return super().write(data)


def _pickled(value: Any) -> bytes | None:
    """A value as pickle writes it; None if it cannot, or it would be too large."""
    file = _Bounded()
    try:
        pickle.Pickler(file, protocol=5).dump(value)
    except Exception:  # noqa: BLE001 - a class may raise anything when it is pickled
        return None
    return file.getvalue()


class NativeRunner:
    """Satisfies `PackRunner`."""

    def __init__(self, pack: Pack, environment: Environment) -> None:
        self.pack = pack
        self._snapshot = pack.snapshot()
        self._definitions: dict[str, NodeDefinition] = {}
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def declare(self) -> tuple[Declarations, tuple[str, ...]]:
        """Import all modules of the pack."""
        declared = read_pack(self.pack, self._snapshot)
        if declared.plugins:
            names = ", ".join(f"`{plugin.name}`" for plugin in declared.plugins)
            problem = PackError(
                f"pack `{self.pack.name}`: {names} cannot be used from a pack with its own "
                "environment, because samplers and guiders run inside the main process",
                hint="Offer them in a pack that has no dependencies.",
            )
            declared = declared._replace(plugins=(), problems=(*declared.problems, str(problem)))
        modules = {spec.module for spec in declared.specs}
        also = external_files(self.pack, self._snapshot, modules, source_files(None))
        return declared, also

    def _definition(self, spec: NodeSpec) -> NodeDefinition:
        with self._lock:
            known = self._definitions.get(spec.type)
            if known is None:
                module = self.pack.import_module(spec.module, self._snapshot)
                known = definition_in(module, spec)
                if known is None:
                    raise PackError(f"{spec.module} no longer declares `{spec.type}`")
                self._definitions[spec.type] = known
            return known

    def call(self, spec: NodeSpec, inputs: Inputs, context: CallContext) -> Any:
        """Call the node's function; an ``async def`` one on this runner's event loop."""
        definition = self._definition(spec)
        keywords = dict(inputs)
        for port, enum in definition.enums.items():
            if port in keywords:
                keywords[port] = members(enum, keywords[port])
        for port in definition.lazy:
            is_given = port in keywords
            evaluate = partial(self._evaluate, definition, port, context)
            keywords[port] = Lazy(partial(_ready, keywords[port]) if is_given else evaluate)
        if definition.context is not None:
            keywords[definition.context] = context
        result = definition.function(**keywords)
        if inspect.isawaitable(result):
            result = self._awaited(result, context)
        return _split(definition, result)

    def lend(self, value: Any, context: CallContext, *, is_further: bool) -> Sequence[Any]:
        """Refuse it: packs of this kind have no patches of models."""
        raise InvalidValue(
            f"only nodes of pack `{self.pack.name}` can use its `{type(value).__name__}`",
            expected="a model of nodegraph",
        )

    def type_of(self, value: Any) -> str:
        """Nothing here stands for a value of nodegraph."""
        return ""

    async def _evaluate(self, definition: NodeDefinition, port: str, context: CallContext) -> Any:
        value = await context.lazy(port)
        enum = definition.enums.get(port)
        return value if enum is None else members(enum, value)

    def hook(self, spec: NodeSpec, name: HookName, inputs: Any) -> Any:
        """Call a hook; one that gives its findings bit by bit gives them all at once here."""
        ref = spec.hooks[name]
        definition = self._definition(spec)
        hook: Any = definition.hooks.get(name)
        if hook is None:
            hook = self.pack.import_module(ref.module, self._snapshot)
            for part in ref.name.split("."):
                hook = getattr(hook, part)
        result = hook(inputs)
        if hasattr(result, "__aiter__"):
            return self._awaited(_collected(result))
        if inspect.isawaitable(result):
            result = self._awaited(result)
        return list(result) if name == "validate" else result

    def migrate(self, spec: NodeSpec, version: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Convert inputs by the node type's own function; unchanged if it has none."""
        migration = self._definition(spec).migrations.get(version)
        return inputs if migration is None else migration(inputs)

    def _awaited(self, awaitable: Awaitable[Any], context: CallContext | None = None) -> Any:
        future = asyncio.run_coroutine_threadsafe(_as_coroutine(awaitable), self._running_loop())
        if context is not None:
            context.when_cancelled(future.cancel)
        return future.result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=self._loop.run_forever, name="async nodes", daemon=True).start()
            return self._loop


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _collected(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def _ready(value: Any) -> Any:
    return value


def _split(definition: NodeDefinition, result: Any) -> Any:
    """What a function returned, with one value for each output."""
    if isinstance(result, NodeOutput):
        return NodeOutput(_split(definition, result.values), result.ui)
    if isinstance(result, Expand):
        if result.then is None:
            return result
        then = cast("Callable[..., Any]", result.then)
        follow = partial(_follow, definition, then)
        return Expand(result.nodes, result.outputs, result.subgraphs, follow)
    return Outputs(definition.outputs_of(result))


def _follow(definition: NodeDefinition, then: Callable[..., Any], outputs: Any) -> Any:
    return _split(definition, then(outputs))
