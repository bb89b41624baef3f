"""The main loop of a pack's process: ``python -m nodegraph.isolation.child``.

What the pack prints goes to standard error, so that it never gets among the messages. The process
ends with its connection, and on Linux also with the main process, whatever ends that.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, cast

from nodegraph.core.context import (
    PROGRESS_CALLBACK,
    Environment,
    Weights,
)
from nodegraph.core.hooks import HookInputs
from nodegraph.core.links import Expand, NodeOutput, Value
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import NodeId
from nodegraph.core.spec import HookName, NodeSpec, to_document
from nodegraph.core.types import ANY, named_type
from nodegraph.core.values import DiffusionModel, Recipe
from nodegraph.errors import InvalidValue, PackError
from nodegraph.isolation.channel import NOTICE, Channel, ChannelMessage
from nodegraph.isolation.remote_context import RemoteContext, RemoteGraph, written
from nodegraph.isolation.runner import (
    ForeignValues,
    Outputs,
    PackRunner,
    foreign_values,
)
from nodegraph.isolation.sandbox import SANDBOX
from nodegraph.isolation.shared_memory import OtherPool, OwnPool, SharedMemory
from nodegraph.packs.pack import Pack, PackKind, import_here

RUNNERS: Mapping[PackKind, str] = {
    "native": "nodegraph.isolation.runner:NativeRunner",
    "comfyui": "nodegraph.interop.comfyui.packs.runner:ComfyRunner",
}
"""Class of the runner of each kind of pack, as ``module:Class``. By name, because those of other
tools are in packages above this one."""

WEIGHTS = "nodegraph.session.weights:pack_weights"
"""Function that makes the residency manager of a pack's process, as ``module:function``."""
_MOST_THREADS = 64


def main(options: Mapping[str, Any] | None = None) -> None:
    """Serve the main process until it is gone."""
    reader, writer = _take_streams()
    # A forked process must not answer as this one, nor hold its connection open.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(_close, reader, writer))
    _end_with_parent((options or {}).get("parent"))
    server = _Server()
    files = (options or {}).get("memory")
    memory = None
    if files:
        # The pack's code may write into what it gets.
        memory = SharedMemory(OwnPool(files[1]), OtherPool(files[0]), returns=False)
    channel = Channel(
        reader,
        writer,
        server.serve,
        first=2,
        serializers=foreign_values(),
        memory=memory,
        closed=_end,
    )
    server.channel = channel
    channel.read()


def _end() -> None:
    os._exit(0)  # threads of the pack may run on, and nobody waits for them


def _close(*streams: BinaryIO) -> None:
    for stream in streams:
        stream.close()


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The streams to the main process; what the pack prints goes to standard error from now on."""
    reader = os.fdopen(os.dup(0), "rb", buffering=0)
    writer = os.fdopen(os.dup(1), "wb", buffering=0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return cast(BinaryIO, reader), cast(BinaryIO, writer)


def _end_with_parent(parent: int | None) -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    set_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if parent is not None and os.getppid() not in (parent, 1, 0):
        return  # a sandbox stands between them and sees to it
    if parent is not None and os.getppid() == 1 and parent != 1:
        os._exit(0)  # it was gone before


def _read_environment(data: bytes) -> Environment:
    """The folders of a session, with what a sandbox allows of them."""
    # Only the main process, which is trusted, sends requests.
    environment: Environment = pickle.loads(data)  # noqa: S301
    folder = os.environ.get(SANDBOX)
    if folder is None:
        return environment
    return replace(environment, temporary=Path(folder), cache=None)


def _broken_link(root: Path) -> Path | None:
    """A symbolic link of a pack to nothing, as one that leads out of a sandbox is there."""
    links = (path for path in root.rglob("*") if path.is_symlink())
    return next((path for path in links if not path.exists()), None)


class _Server:
    """Answers what the main process asks."""

    def __init__(self) -> None:
        self.channel: Channel = cast(Channel, None)
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="call")
        self._specs: dict[str, NodeSpec] = {}
        self._runner: PackRunner | None = None
        self._prepared: dict[str, Any] | None = None
        self._values: ForeignValues | None = None
        self._environment: tuple[bytes, Environment] | None = None
        self._calls: dict[int, RemoteContext] = {}
        self._then: dict[int, Callable[[Mapping[str, Value]], Any]] = {}
        self._lock = Lock()
        self._weights: _LoadedWeights = _LoadedWeights()

    def serve(self, frame: ChannelMessage) -> None:
        """Take a message that belongs to no other."""
        if frame.kind == NOTICE:
            self._notice(frame.name, self.channel.value(frame))
        else:
            self._threads.submit(self.channel.respond, frame, self._answer)

    def _notice(self, name: str, value: Any) -> None:
        if name == "cancel":
            context = self._calls.get(value)
            if context is not None:
                # Callbacks are the pack's: the thread that reads messages must not wait for them.
                self._threads.submit(context.cancel)
        elif name == "release" and self._values is not None:
            self._values.release(value)
        elif name == "forget":
            self._then.pop(value, None)
        elif name == "trim":
            self._threads.submit(self.channel.trim, value)

    def _answer(self, name: str, value: Any, number: int) -> Any:
        prepared, self._prepared = self._prepared, None
        if name == "declare" and prepared is not None:
            return prepared  # nothing happened in between
        return getattr(self, f"_do_{name}")(number, **value)

    # What can be asked

    def _do_open(
        self, number: int, pack: Pack, environment: bytes, digest: str, process: str
    ) -> dict[str, Any]:
        """Check that the pack's files are those of the digest, and make its runner."""
        own = pack.snapshot().digest()
        if own != digest:
            if link := _broken_link(pack.root):
                raise PackError(
                    f"a link in the pack `{pack.name}` leads to what its process does not see",
                    given=str(link),
                    hint="Put the file into the pack, or trust the pack.",
                )
            raise PackError(
                f"the files of pack `{pack.name}` have changed since they were read",
                hint="Run it again: the next job uses the new files.",
            )
        assert pack.isolation is not None
        import_here(pack.isolation)
        own_environment = self._environment_of(environment)
        module, _, name = RUNNERS[pack.isolation.kind].partition(":")
        runner = getattr(import_module(module), name)(pack, own_environment)
        self._runner = runner
        self._values = ForeignValues(pack.name, process, own, runner.type_of)
        return {"process": os.getpid()}

    def _do_declare(self, number: int) -> dict[str, Any]:
        declared, also = self._running().declare()
        return {
            "specs": [to_document(spec) for spec in declared.specs],
            "types": [to_document(info) for info in declared.types],
            "panels": [to_document(panel) for panel in declared.panels],
            "problems": list(declared.problems),
            "also": list(also),
        }

    def _do_prepare(self, number: int) -> None:
        """Import the pack, so that its first call takes no longer than others."""
        self._prepared = self._do_declare(number)

    def _do_call(
        self,
        number: int,
        type: str,
        inputs: dict[str, Any],
        facts: dict[str, Any],
        environment: bytes,
        spec: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        known = self._spec(type, spec)
        context = RemoteContext(self, number, self._environment_of(environment), **facts)
        self._calls[number] = context
        try:
            ready = self._inputs(known, inputs, context)
            reporting = PROGRESS_CALLBACK.set(context.report)
            try:
                result = self._running().call(known, ready, context)
            finally:
                PROGRESS_CALLBACK.reset(reporting)
            return self._result(known, result)
        finally:
            self._calls.pop(number, None)

    def _do_lend(
        self, number: int, value: Any, is_further: bool, facts: dict[str, Any], environment: bytes
    ) -> list[Any]:
        context = RemoteContext(self, number, self._environment_of(environment), **facts)
        self._calls[number] = context
        try:
            models = self._running().lend(self.inward(value), context, is_further=is_further)
        finally:
            self._calls.pop(number, None)
        assert self._values is not None
        model_type = named_type(DiffusionModel.__name__)
        return [self._values.outward(model, model_type) for model in models]

    def _do_then(self, number: int, then: int, type: str, outputs: dict[str, Any]) -> Any:
        values = {name: Value.own(self.inward(value)) for name, value in outputs.items()}
        return self._result(self._specs[type], self._then[then](values))

    def _do_hook(
        self,
        number: int,
        type: str,
        name: HookName,
        inputs: dict[str, Any],
        environment: bytes,
        spec: dict[str, Any] | None = None,
    ) -> Any:
        known = self._spec(type, spec)
        own = HookInputs(environment=self._environment_of(environment), **inputs)
        return self._running().hook(known, name, own)

    def _do_migrate(
        self,
        number: int,
        type: str,
        version: int,
        inputs: dict[str, Any],
        spec: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return self._running().migrate(self._spec(type, spec), version, inputs)

    def _do_state(self, number: int) -> dict[str, Any]:
        return {"held": 0 if self._values is None else self._values.held}

    # Values

    def _environment_of(self, data: bytes) -> Environment:
        """An environment, which is mostly the one of the request before."""
        known = self._environment
        if known is None or known[0] != data:
            known = self._environment = data, _read_environment(data)
        return known[1]

    def _running(self) -> PackRunner:
        assert self._runner is not None, "the main process opens a pack first"
        return self._runner

    def _spec(self, node_type: str, document: dict[str, Any] | None) -> NodeSpec:
        if document is not None:
            self._specs[node_type] = NodeSpec.from_dict(document)
        return self._specs[node_type]

    def inward(self, value: Any) -> Any:
        """A value of the main process as the pack's code gets it."""
        assert self._values is not None
        return self._values.inward(value)

    def _inputs(
        self, spec: NodeSpec, inputs: dict[str, Any], context: RemoteContext
    ) -> dict[str, Any]:
        ready = {name: self.inward(value) for name, value in inputs.items()}
        for parameter, fact in spec.hidden.items():
            if fact == "node":
                ready[parameter] = NodeId(ready[parameter])
            elif fact == "graph":
                ready[parameter] = RemoteGraph(context)
        return ready

    def _result(self, spec: NodeSpec, result: Any) -> dict[str, Any]:
        """What a call returned, for a message."""
        ui: Mapping[str, Any] = {}
        if isinstance(result, NodeOutput):
            ui, result = result.ui, result.values
        form = self._expansion(spec, result) if isinstance(result, Expand) else None
        if form is not None:
            return {"expand": form, "ui": dict(ui)}
        assert self._values is not None
        outputs = [
            self._values.outward(value, port.expr)
            for value, port in zip(split_outputs(spec, result), spec.outputs, strict=True)
        ]
        return {"outputs": outputs, "ui": dict(ui)}

    def _expansion(self, spec: NodeSpec, expansion: Expand) -> dict[str, Any]:
        then = 0
        if expansion.then is not None:
            with self._lock:
                then = max(self._then, default=0) + 1
                self._then[then] = expansion.then
        return {
            "nodes": written(expansion.nodes, self._leaf),
            "outputs": written(expansion.outputs, self._leaf),
            "subgraphs": written(expansion.subgraphs),
            "then": then,
        }

    def _leaf(self, value: Any) -> Any:
        assert self._values is not None
        return self._values.outward(value, named_type(ANY))

    def weights(self, environment: Environment, recipe: Recipe, **options: Any) -> Any:
        """The loaded modules of a recipe, in this process.

        Raises:
            InvalidValue: The pack says that its process loads none.
        """
        isolation = self._running().pack.isolation
        if isolation is not None and isolation.weights == "main":
            raise InvalidValue(
                "this pack's process loads no weights",
                given='weights = "main"',
                hint='Say `weights = "own"` under [tool.nodegraph] in its pyproject.toml.',
            )
        return self._weights.use(environment, recipe, **options)


def split_outputs(spec: NodeSpec, result: Any) -> tuple[Any, ...]:
    """What a call returned, one value for each output.

    Raises:
        TypeError: It is not what the node type declares.
    """
    if isinstance(result, Outputs) and len(result) == len(spec.outputs):
        return tuple(result)
    plain = NodeDefinition(spec, split_outputs, None, {}, (), {}, {})
    return plain.outputs_of(result)


class _LoadedWeights:
    """Modules of recipes that this process has loaded with its own residency manager."""

    def __init__(self) -> None:
        self._manager: Weights | None = None
        self._lock = Lock()

    def use(
        self, environment: Environment, recipe: Recipe, *, device: str, **options: Any
    ) -> AbstractContextManager[Any]:
        with self._lock:
            if self._manager is None:
                module, _, function = WEIGHTS.partition(":")
                self._manager = getattr(import_module(module), function)(environment, device)
        footprint = options.pop("footprint")
        using: AbstractContextManager[Any] = self._manager.use(recipe, device, footprint, **options)
        return using


if __name__ == "__main__":
    main()
