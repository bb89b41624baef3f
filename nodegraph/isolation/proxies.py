"""Isolated packs as the registry and the engine see them: declarations, definitions, hooks.

A definition's function sends its call to the pack's process and waits. Meanwhile it serves what
the call asks of its context, in the thread that the engine gave it: what holds for a node's context
in this process holds there, too.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, TypeAlias
from weakref import finalize

from nodegraph.core.context import Context, Environment
from nodegraph.core.foreign_value import ENDED, ForeignValue
from nodegraph.core.hints import Panel
from nodegraph.core.hooks import HookInputs
from nodegraph.core.links import Expand, NodeOutput, Value
from nodegraph.core.node import MIGRATE, NodeDefinition
from nodegraph.core.pack_faults import WATCHDOG
from nodegraph.core.ports import RunGraph
from nodegraph.core.spec import HookName, NodeSpec, from_document, to_document
from nodegraph.core.types import TypeInfo
from nodegraph.errors import InvalidValue
from nodegraph.isolation.channel import ProcessEnded
from nodegraph.isolation.pack_calls import AsyncCall, Loan, PackCall, notify_process
from nodegraph.isolation.process import PackProcess
from nodegraph.isolation.processes import (
    CALL_SECONDS,
    IDLE_SECONDS,
    IMPORT_SECONDS,
    PackProcessEnded,
    PackProcesses,
    ProcessState,
)
from nodegraph.isolation.remote_context import read
from nodegraph.isolation.runner import CONTEXT_PARAMETER, LOAN
from nodegraph.packs.declarations import Declarations
from nodegraph.packs.pack import Pack
from nodegraph.packs.pack_host import PackHost
from nodegraph.packs.snapshot import Snapshot
from nodegraph.store.entries import OutputGone
from nodegraph.store.msgpack_codec import Unstorable

Services: TypeAlias = Mapping[str, Callable[..., Any]]
"""Functions that packs may call in this process, by name: they get the context of the call, and
the values by name."""

_LENDERS: ContextVar[frozenset[str]] = ContextVar("nodegraph_lenders", default=frozenset())
"""Processes that lend something to the node that runs in this thread."""


class IsolatedPacks:
    """Runs the code of isolated packs in their processes; satisfies `PackHost`.

    Args:
        environment: Returns the folders and permissions of the session.
        services: What packs may call in this process.
        idle_seconds: Seconds without work after which a process ends.
        import_seconds: Seconds that the import of a pack may take.
        call_seconds: Seconds that one call of an untrusted pack may take.

    Attributes:
        processes: Those of the packs.
    """

    def __init__(
        self,
        environment: Callable[[], Environment],
        services: Services | None = None,
        idle_seconds: float = IDLE_SECONDS,
        import_seconds: float = IMPORT_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._import_seconds = import_seconds
        limits = idle_seconds, import_seconds, call_seconds
        self.processes = PackProcesses(environment, self.pickled, *limits)
        self.services: Services = services if services is not None else {}
        self._sent: dict[str, set[str]] = {}
        self._repeated: set[tuple[str, str]] = set()
        self._pickled: tuple[Environment, bytes] | None = None

    # What the registry asks

    def declarations(self, pack: Pack, snapshot: Snapshot) -> tuple[Declarations, tuple[str, ...]]:
        """Import a pack in its process; see `PackHost.declarations`."""
        # Unlike this one, a pack's process can be ended, so that others' nodes run.
        seconds = min(WATCHDOG.import_limit, self._import_seconds) * 0.8
        with self.processes.counting_crashes(pack, snapshot):
            form = self.request(pack, snapshot, "importing it", "declare", {}, seconds=seconds)
        specs = [replace(NodeSpec.from_dict(spec), pack=pack.name) for spec in form["specs"]]
        declared = Declarations(
            # A pack cannot take the names of others, whatever its process says.
            specs=tuple(spec for spec in specs if spec.type.startswith(f"{pack.name}:")),
            types=tuple(from_document(TypeInfo, info, "parents") for info in form["types"]),
            panels=tuple(Panel(**panel) for panel in form["panels"]),
            plugins=(),
            problems=tuple(form["problems"]),
        )
        return declared, self.processes.countable(pack, form["also"])

    def definition(self, pack: Pack, snapshot: Snapshot, spec: NodeSpec) -> NodeDefinition:
        """A node type whose function runs in the pack's process."""
        proxy = _Proxy(self, pack, snapshot, spec)
        migrations: Mapping[int, MIGRATE] = {
            version: partial(proxy.migrate, version) for version in range(1, spec.version)
        }
        function: Callable[..., Any] = proxy.call
        if spec.is_async:
            function = proxy.call_async
        is_one = len(spec.outputs) == 1
        return NodeDefinition(spec, function, CONTEXT_PARAMETER, {}, (), {}, migrations, is_one)

    def hook(
        self, pack: Pack, snapshot: Snapshot, spec: NodeSpec, name: HookName
    ) -> Callable[..., Any]:
        """A hook that runs in the pack's process."""
        return partial(_Proxy(self, pack, snapshot, spec).hook, name)

    def lend(
        self,
        pack: Pack,
        snapshot: Snapshot,
        spec: NodeSpec,
        value: ForeignValue,
        context: Context,
        run: Callable[[Any], Any],
    ) -> Any:
        """Run a node of this process with what a pack lends; see `PackHost.lend`."""
        node, loan = (pack.name, context.node), Loan(run, value)
        try:
            result = self._lend(pack, snapshot, spec, value, context, loan)
        except PackProcessEnded as error:
            # Perhaps this node did not end it: with a new value, it runs once more.
            if (error.is_shared or not loan.is_used) and node not in self._repeated:
                self._repeated.add(node)
                raise OutputGone("the process that held it has ended") from error
            self._repeated.discard(node)
            raise
        self._repeated.discard(node)
        return result

    def _lend(
        self,
        pack: Pack,
        snapshot: Snapshot,
        spec: NodeSpec,
        value: ForeignValue,
        context: Context,
        loan: Loan,
    ) -> Any:
        with self.processes.using(pack, snapshot, f"running {spec.type}") as process:
            self.check(process, value)
            call = PackCall(self, process, spec, context, None)
            lenders = _LENDERS.get()
            form = {"value": value, "is_further": process.id in lenders, **self.call_facts(context)}
            token, lending = LOAN.set(loan), _LENDERS.set(lenders | {process.id})
            try:
                models = call.request("lend", form)
            except BaseException as error:  # noqa: BLE001 - the reason to stop goes before it
                raise (call.reason or error) from (None if call.reason else error.__cause__)
            finally:
                LOAN.reset(token)
                _LENDERS.reset(lending)
            for model in models:
                watch_value(process, model)
            if call.reason is not None:
                raise call.reason
            return loan.settle(pack.name, models)

    def call_facts(self, context: Context) -> dict[str, Any]:
        """What a request says of its context."""
        facts = {
            "node": context.node,
            "device": str(context.device),
            "footprint": context.footprint,
        }
        return {"facts": facts, "environment": self.pickled(context.environment)}

    def states(self) -> list[ProcessState]:
        """What is known of the processes that were started."""
        return self.processes.states()

    def close(self) -> None:
        """End all processes."""
        self.processes.close()

    def request(
        self,
        pack: Pack,
        snapshot: Snapshot,
        doing: str,
        name: str,
        value: dict[str, Any],
        *,
        spec: NodeSpec | None = None,
        seconds: float = float("inf"),
    ) -> Any:
        """Ask a pack's process for something that has no context.

        Args:
            doing: What it does, for errors.
            name, value: The request.
            spec: The node type that it is about.
            seconds: After which the process is ended.
        Raises:
            PackError: The process does not start, or ends.
        """
        began = monotonic()

        def look(_: int) -> None:
            if monotonic() - began > seconds:
                process.kill(f"it took longer than {seconds:.0f} s", is_overdue=True)

        with self.processes.using(pack, snapshot, doing) as process:
            value = self.with_spec(process, spec, value)
            assert process.channel is not None
            answer = process.channel.request(name, value, look=look)
            self.note_sent(process, spec)
            return answer

    def with_spec(
        self, process: PackProcess, spec: NodeSpec | None, value: dict[str, Any]
    ) -> dict[str, Any]:
        """A request's value with the node type, and its spec the first time."""
        if spec is None:
            return value
        is_known = spec.type in self._sent.get(process.id, ())
        document = {} if is_known else {"spec": to_document(spec)}
        return {"type": spec.type, **document, **value}

    def note_sent(self, process: PackProcess, spec: NodeSpec | None) -> None:
        """Note that a process has the spec of a node type."""
        if spec is not None:
            self._sent.setdefault(process.id, set()).add(spec.type)

    def pickled(self, environment: Environment) -> bytes:
        """An environment for a process."""
        if self._pickled is None or self._pickled[0] is not environment:
            self._pickled = environment, pickle.dumps(environment)
        return self._pickled[1]

    def check(self, process: PackProcess, value: Any) -> None:
        """Refuse what may not go to a pack's process.

        Raises:
            InvalidValue: A pack without trust wrote bytes that this one would read.
            OutputGone: The process that held it has ended.
        """
        pack = process.pack
        if type(value) is ForeignValue:
            if value.pack == pack.name and value.process not in ("", process.id):
                ENDED.add(value.process)
                raise OutputGone("the process that held it has ended")
            if value.pack in self.processes.untrusted and value.pack != pack.name:
                raise InvalidValue(
                    f"pack `{pack.name}` does not read a `{value.type}` of pack `{value.pack}`, "
                    "which is not trusted",
                    hint="Link it to a node of the same pack.",
                )
        elif type(value) in (list, tuple):
            for item in value:
                self.check(process, item)
        elif type(value) is dict:
            for item in value.values():
                self.check(process, item)

    def service(self, name: str) -> Callable[..., Any]:
        """What packs may call by a name.

        Raises:
            InvalidValue: Nothing.
        """
        function = self.services.get(name)
        if function is None:
            offered = ", ".join(sorted(self.services)) or "none"
            raise InvalidValue("there is no such service here", given=name, expected=offered)
        return function


def watch_value(process: PackProcess, value: Any) -> None:
    """Have the process let go of a value once nobody here refers to it."""
    if type(value) is list:
        for item in value:
            watch_value(process, item)
    elif type(value) is ForeignValue and value.process:
        finalize(value, notify_process, process, "release", value.data).atexit = False


class _Proxy:
    """One node type of an isolated pack."""

    def __init__(
        self, packs: IsolatedPacks, pack: Pack, snapshot: Snapshot, spec: NodeSpec
    ) -> None:
        self._packs, self._pack, self._snapshot, self._spec = packs, pack, snapshot, spec
        self._graph_parameters = [name for name, fact in spec.hidden.items() if fact == "graph"]
        self._doing = f"running {spec.type}"

    def hook(self, name: HookName, inputs: HookInputs) -> Any:
        """Call a hook and return what it gives."""
        facts = {port: dict(known) for port, known in inputs.facts.items()}
        nodes = {node: dict(values) for node, values in inputs.nodes.items()}
        types = dict(inputs.types)
        form = {"literals": dict(inputs.literals), "facts": facts, "nodes": nodes, "types": types}
        environment = self._packs.pickled(inputs.environment)
        value = {"name": name, "inputs": form, "environment": environment}
        doing = f"running the {name} hook of {self._spec.type}"
        return self._packs.request(
            self._pack, self._snapshot, doing, "hook", value, spec=self._spec
        )

    def migrate(self, version: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Convert the inputs of a version to those of the next."""
        value = {"version": version, "inputs": inputs}
        doing = f"converting inputs of {self._spec.type}"
        migrated: dict[str, Any] = self._packs.request(
            self._pack, self._snapshot, doing, "migrate", value, spec=self._spec
        )
        return migrated

    def call(self, **keywords: Any) -> Any:
        """Run the node and wait for it.

        If the process ends while it runs several, which one ended it is not known: each runs once
        more, one at a time, so that those that did no harm have their results.
        """
        context: Context = keywords.pop(CONTEXT_PARAMETER)
        try:
            return self._call(dict(keywords), context)
        except PackProcessEnded as error:
            if not error.is_shared:
                raise
            with self._packs.processes.alone(self._pack):
                return self._call(dict(keywords), context)

    def _call(self, keywords: dict[str, Any], context: Context) -> Any:
        with self._packs.processes.using(self._pack, self._snapshot, self._doing) as process:
            call = PackCall(self._packs, process, self._spec, context, self._graphs(keywords))
            value = self._value(process, keywords, context)
            try:
                form = call.request("call", value)
            except Unstorable as error:
                raise self._unportable(keywords, error) from error
            except BaseException as error:  # noqa: BLE001 - the reason to stop goes before it
                raise (call.reason or error) from (None if call.reason else error.__cause__)
            return self._result(process, form)

    async def call_async(self, **keywords: Any) -> Any:
        """Run the node on the running event loop; see `call`."""
        context: Context = keywords.pop(CONTEXT_PARAMETER)
        try:
            return await self._call_async(dict(keywords), context)
        except PackProcessEnded as error:
            if not error.is_shared:
                raise
            lock = self._packs.processes.alone(self._pack)
            await asyncio.to_thread(lock.acquire)
            try:
                return await self._call_async(dict(keywords), context)
            finally:
                lock.release()

    async def _call_async(self, keywords: dict[str, Any], context: Context) -> Any:
        lazy = {port: keywords.pop(port) for port in self._spec.lazy_ports if port in keywords}
        manager = self._packs.processes.using(self._pack, self._snapshot, self._doing)
        process = await asyncio.to_thread(manager.__enter__)
        try:
            form = await self._awaited(process, keywords, context, lazy)
        except ProcessEnded as error:
            raise await asyncio.to_thread(
                self._packs.processes.ended, process, self._doing, error
            ) from error
        finally:
            process.finish()
        return self._result(process, form)

    async def _awaited(
        self,
        process: PackProcess,
        keywords: dict[str, Any],
        context: Context,
        lazy: Mapping[str, Any],
    ) -> Any:
        call = PackCall(self._packs, process, self._spec, context, self._graphs(keywords))
        value = self._value(process, keywords, context)
        assert process.channel is not None
        try:
            return await AsyncCall(call, process.channel, lazy).run(value)
        except Unstorable as error:
            raise self._unportable(keywords, error) from error

    def _graphs(self, keywords: dict[str, Any]) -> RunGraph | None:
        graphs = [keywords.pop(name) for name in self._graph_parameters if name in keywords]
        return graphs[0] if graphs else None

    def _value(
        self, process: PackProcess, keywords: Mapping[str, Any], context: Context
    ) -> dict[str, Any]:
        inputs = {
            name: str(value) if self._spec.hidden.get(name) == "node" else value
            for name, value in keywords.items()
        }
        self._packs.check(process, list(inputs.values()))
        form = {"inputs": inputs, **self._packs.call_facts(context)}
        return self._packs.with_spec(process, self._spec, form)

    def _unportable(self, keywords: Mapping[str, Any], error: Unstorable) -> InvalidValue:
        return InvalidValue(
            f"an input of `{self._spec.type}` cannot go to the process of pack "
            f"`{self._pack.name}`: {error}",
            given=", ".join(keywords),
            expected="numbers, texts, images and other values of nodegraph",
        )

    def _result(self, process: PackProcess, form: Mapping[str, Any]) -> Any:
        """What the function returns, of the form that the process gave."""
        self._packs.note_sent(process, self._spec)
        result: Any
        if "expand" in form:
            part = form["expand"]
            then = _Then(self, process, part["then"]) if part["then"] else None
            nodes, outputs = read(part["nodes"]), read(part["outputs"])
            result = Expand(nodes, outputs, read(part["subgraphs"]), then)
        else:
            result = tuple(form["outputs"])
            for value in result:
                watch_value(process, value)
        ui = form["ui"]
        return NodeOutput(result, ui) if ui else result

    def go_on(self, process: PackProcess, then: int, outputs: Mapping[str, Value]) -> Any:
        """The next step of an expansion."""
        values = {name: value.value for name, value in outputs.items()}
        request = {"then": then, "type": self._spec.type, "outputs": values}
        self._packs.check(process, values)
        if not process.begin():
            raise process.error(self._doing)
        try:
            assert process.channel is not None
            return self._result(process, process.channel.request("then", request))
        except ProcessEnded as error:
            raise self._packs.processes.ended(process, self._doing, error) from error
        finally:
            process.finish()


class _Then:
    """`Expand.then` of an expansion whose function is in the pack's process."""

    def __init__(self, proxy: _Proxy, process: PackProcess, number: int) -> None:
        self._proxy, self._process, self._number = proxy, process, number
        finalize(self, notify_process, process, "forget", number).atexit = False

    def __call__(self, outputs: Mapping[str, Value]) -> Any:
        return self._proxy.go_on(self._process, self._number, outputs)


def _satisfies(packs: IsolatedPacks) -> PackHost:
    return packs
