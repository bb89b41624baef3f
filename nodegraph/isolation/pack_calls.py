"""A call of an isolated node as the main process serves it: the other side of `RemoteContext`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import Any, Protocol, cast

from nodegraph.core.context import Context, report_progress
from nodegraph.core.digests import is_named_tuple
from nodegraph.core.foreign_value import ForeignValue, Lent, LentModel, holds_lent
from nodegraph.core.links import Expand, NodeOutput, Value
from nodegraph.core.ports import RunGraph
from nodegraph.core.spec import NodeSpec
from nodegraph.core.values import DiffusionModel
from nodegraph.errors import Cancelled, InvalidValue, NodegraphError, PackError
from nodegraph.isolation.channel import (
    ANSWER,
    ERROR,
    NOTICE,
    Channel,
    ChannelMessage,
    ProcessEnded,
)
from nodegraph.isolation.process import PackProcess
from nodegraph.isolation.remote_context import written
from nodegraph.isolation.runner import calling_back

_GRACE = 5.0
"""Seconds that a cancelled call has to end, before its process is ended."""


class CallHost(Protocol):
    """What a call needs of the isolated packs."""

    def check(self, process: PackProcess, value: Any) -> None:
        """Refuse a value that a process may not receive."""
        ...

    def service(self, name: str) -> Callable[..., Any]:
        """The function of this process that packs call by a name."""
        ...


def notify_process(process: PackProcess, name: str, value: Any) -> None:
    """Send a notice to a process, if it is alive."""
    if process.is_alive and process.channel is not None:
        with suppress(ProcessEnded):
            process.channel.notify(name, value)


class PackCall:
    """One call of a node: serves what it asks of its context.

    Attributes:
        reason: Why it is not to go on, as the engine is to see it.
    """

    def __init__(
        self,
        packs: CallHost,
        process: PackProcess,
        spec: NodeSpec,
        context: Context,
        graph: RunGraph | None,
    ) -> None:
        self._packs, self._process, self._spec = packs, process, spec
        self._context, self._graph = context, graph
        self._serving = 0
        self._cancelled_at: float | None = None
        self._number = 0
        self._is_stopped = False
        self._lock = Lock()
        self.reason: BaseException | None = None

    def request(self, name: str, value: Any) -> Any:
        """Send the call, and wait for its answer; see `Channel.request`."""
        channel = self._process.channel
        assert channel is not None
        return channel.request(
            name,
            value,
            serve=self.serve,
            look=lambda _: self._look(),
            begun=self._note_number,
        )

    def _note_number(self, number: int) -> None:
        self._number = number

    def _look(self) -> None:
        """See whether the run was cancelled; end a process that does not react to that."""
        if self._cancelled_at is not None:
            if monotonic() - self._cancelled_at > _GRACE:
                self._process.kill(f"{self._spec.type} did not stop when it was cancelled")
            return
        try:
            self._context.check_cancelled(waits=False)
        except Cancelled as error:
            self.reason = error
            self.cancel(self._number)

    def begin(self, value: Any, put: Callable[[ChannelMessage | ProcessEnded], object]) -> None:
        """Send the call; `put` takes the frames that belong to it. See `Channel.begin`."""
        channel = self._process.channel
        assert channel is not None
        number = channel.begin("call", value, put)
        with self._lock:
            self._number = number
            is_stopped = self._is_stopped
        if is_stopped:  # while it was being sent
            self._stop(number)

    def stop(self) -> None:
        """Cancel the call, in whatever thread it began; end a process that does not react."""
        with self._lock:
            self._is_stopped, number = True, self._number
        if number:
            self._stop(number)

    def _stop(self, number: int) -> None:
        self.cancel(number)
        Thread(target=self._end_later, args=(number,), daemon=True).start()

    def cancel(self, number: int) -> None:
        """Tell the process that the call is not wanted any more."""
        self._cancelled_at = monotonic()
        notify_process(self._process, "cancel", number)

    def _end_later(self, number: int) -> None:
        channel = self._process.channel
        assert channel is not None
        if not channel.wait_for_end(number, _GRACE):
            self._process.kill(f"{self._spec.type} did not stop when it was cancelled")

    def serve(self, name: str, value: Mapping[str, Any], number: int) -> Any:
        """Answer a request of the call."""
        outer, self._serving = self._serving, number
        try:
            return getattr(self, f"_do_{name}")(**value)
        except Exception as error:
            if not isinstance(error, NodegraphError) or isinstance(error, Cancelled):
                self.reason = self.reason or (error if isinstance(error, Cancelled) else None)
            raise
        except BaseException as error:
            self.reason = self.reason or error
            raise
        finally:
            self._serving = outer

    async def serve_lazy(self, frame: ChannelMessage, lazy: Mapping[str, Any]) -> None:
        """Answer what an async call asks for a lazy input, on the event loop."""
        channel = self._process.channel
        assert channel is not None
        try:
            with channel.pausing(frame):
                answer = await lazy[channel.value(frame)["port"]]()
            self._packs.check(self._process, answer)
        except BaseException as error:  # noqa: BLE001 - the call receives each of them
            if not isinstance(error, Exception):
                self.reason = self.reason or error
            channel.fail(frame.number, error)
        else:
            channel.answer(frame.number, answer)

    def _ask(self, name: str, within: int = 0, **values: Any) -> Any:
        channel = self._process.channel
        assert channel is not None
        # A function of the pack that is called back may not return. Cancelling ends it, too.
        return channel.request(
            name,
            values,
            within=within or self._serving,
            serve=self.serve,
            look=lambda _: self._look(),
        )

    def _do_workflow(self) -> Any:
        return dict(self._context.workflow)

    def _do_manifest(self, index: int | None) -> Any:
        return self._context.manifest(index).to_document()

    def _do_file_metadata(self, index: int | None) -> Any:
        return self._context.file_metadata(index)

    def _do_progress(self, step: int, total: int, preview: bool) -> None:
        shown = partial(self._ask, "preview") if preview else None
        self._context.progress(step, total, preview=shown)

    def _do_report(self, step: int, total: int) -> None:
        report_progress(step, total)

    def _do_check_cancelled(self, waits: bool) -> None:
        self._context.check_cancelled(waits=waits)

    def _do_checkpoint(self, step: int, total: int, keep: bool) -> None:
        self._context.checkpoint(step, total, partial(self._ask, "state"), keep=keep)

    def _do_restored(self, up_to: int | None) -> Any:
        restored = self._context.restored(up_to=up_to)
        return None if restored is None else replace(restored, state=dict(restored.state))

    def _do_preview(self, shown: Sequence[Any]) -> None:
        self._context.preview(*shown)

    def _do_log(self, message: str, level: str, about: Any) -> None:
        self._context.log(message, level, about=about)

    def _do_wrote(
        self, path: Path, kind: str, existed: bool, index: int | None, sidecar: bool
    ) -> None:
        self._process.check_report(path)
        self._context.wrote(path, kind=kind, existed=existed, index=index, sidecar=sidecar)

    def _do_file(self, path: str | Path) -> Path:
        return self._context.file(path)

    def _do_env(self, name: str) -> str | None:
        self._process.check_variable(name)
        return self._context.env(name)

    def _do_service(self, service: str, values: Mapping[str, Any]) -> Any:
        with calling_back(partial(self._ask, "callback", self._serving)):
            return self._packs.service(service)(self._context, **values)

    def _do_lazy(self, port: str) -> Any:
        raise InvalidValue(f"input `{port}` is not lazy")

    def _do_graph(self, method: str, values: Mapping[str, Any]) -> Any:
        graph = self._graph
        if graph is None:
            raise InvalidValue(f"{self._spec.type} does not ask for the graph of its run")
        return _answer_graph(graph, method, values)


class AsyncCall:
    """A call of an async node: takes its frames on the running event loop.

    Args:
        call: Answers what it asks.
        channel: To the process.
        lazy: Inputs that it may ask for, by port.
    """

    def __init__(self, call: PackCall, channel: Channel, lazy: Mapping[str, Any]) -> None:
        self._call, self._channel, self._lazy = call, channel, lazy
        self._loop = asyncio.get_running_loop()
        self._frames: asyncio.Queue[ChannelMessage | ProcessEnded] = asyncio.Queue()
        self._requests: dict[asyncio.Task[None], ChannelMessage] = {}
        self._is_over = False

    async def run(self, value: Any) -> Any:
        """Send the call, and return what its answer holds.

        Raises:
            Unstorable: The value has no form in messages.
        """
        call, channel = self._call, self._channel
        try:
            await asyncio.to_thread(call.begin, value, self._put)
            while True:
                frame = await self._frames.get()
                if isinstance(frame, ProcessEnded):
                    raise call.reason or frame
                if frame.kind in (ANSWER, ERROR):
                    return await asyncio.to_thread(channel.result, frame)
                self._serve(frame)
        except asyncio.CancelledError:
            call.stop()
            raise
        except BaseException as error:  # noqa: BLE001 - the reason to stop goes before it
            raise (call.reason or error) from (None if call.reason else error.__cause__)
        finally:
            self._end()

    def _put(self, frame: ChannelMessage | ProcessEnded) -> None:
        self._loop.call_soon_threadsafe(self._receive, frame)

    def _receive(self, frame: ChannelMessage | ProcessEnded) -> None:
        if not self._is_over:
            self._frames.put_nowait(frame)
        elif isinstance(frame, ChannelMessage):
            self._channel.drop(frame)

    def _serve(self, frame: ChannelMessage) -> None:
        if frame.name == "lazy":
            task = self._loop.create_task(self._call.serve_lazy(frame, self._lazy))
            self._requests[task] = frame
            task.add_done_callback(self._requests.pop)
        elif frame.kind == NOTICE:
            self._channel.respond(frame, self._call.serve)
        else:
            # No task: if one is cancelled before its thread begins, nobody answers.
            respond = partial(self._channel.respond, frame, self._call.serve)
            self._loop.run_in_executor(None, partial(copy_context().run, respond))

    def _end(self) -> None:
        """Answer each request: one without an answer would block the pack's event loop for ever."""
        self._is_over = True
        while not self._frames.empty():
            self._receive(self._frames.get_nowait())
        for task, frame in self._requests.items():
            if inspect.getcoroutinestate(cast(Any, task.get_coro())) == inspect.CORO_CREATED:
                self._channel.drop(frame)  # a task that has not begun answers nothing
            task.cancel()


def _answer_graph(graph: RunGraph, method: str, values: Mapping[str, Any]) -> Any:
    """Answer in the main process what a `RemoteGraph` asks."""
    if method == "node":
        return graph.node
    if method == "names":
        return list(graph)
    if method == "get":
        row = graph.get(values["name"])
        return None if row is None else {**row._asdict(), "inputs": written(row.inputs)}
    if method == "between":
        return list(graph.between(values["first"]))
    copy = graph.copy(values["names"], values["suffix"])
    return [written(copy.nodes), dict(copy.names), written(copy.subgraphs)]


class Loan:
    """A native node that waits for what a pack's process lends, and runs once it has it.

    Args:
        run: Runs the node with it, and returns what its function returns.
        value: The value of the pack that it stands for.
    """

    def __init__(self, run: Callable[[Any], Any], value: ForeignValue | None = None) -> None:
        self._run, self._value = run, value
        self._lent: Any = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._returned: list[LentModel] = []

    def __call__(self, value: Any) -> list[DiffusionModel]:
        """Run the node; returns the models among its results that keep the patches.

        Its errors do not go through the pack's process; `settle` raises them.
        """
        if self.is_used:
            raise InvalidValue("it was lent before")
        self._lent = value
        try:
            self._result = self._run(value)
            has_steps = isinstance(self._result, Expand) and self._result.then is not None
            if has_steps and type(value) is LentModel:
                self._note(value)  # later steps may use it
            _mapped(self._result, self._note)
        except BaseException as error:  # noqa: BLE001 - the node's own, raised again later
            self._error = error
            return []
        return [lent.plain for lent in self._returned]

    @property
    def is_used(self) -> bool:
        """Whether the node has begun to run."""
        return self._lent is not None

    def _is_own(self, value: Any) -> bool:
        """Whether a value is a model with the patches of this loan: another may be of equal
        files."""
        return type(value) is LentModel and value.patches is getattr(self._lent, "patches", None)

    def _note(self, value: Any) -> Any:
        if self._is_own(value):
            if value not in self._returned:
                self._returned.append(value)
        elif type(value) is not LentModel and not self._is_passed_on(value):
            # a model may be of a loan around this one
            _check_kept(value)
        return value

    def _is_passed_on(self, value: Any) -> bool:
        """Whether a value is the lent sampler, noise or guider, as it is."""
        return value is self._lent and type(value) is not LentModel and self._value is not None

    def settle(self, pack: str, models: Sequence[Any]) -> Any:
        """Return the result, with the models in it as the process has given them.

        What else was lent goes on as the pack's value if the node passes it on as it is.

        Raises:
            PackError: The process lent nothing, or gave other models back.
            InvalidValue: The result keeps what was lent.
        """
        if self._error is not None:
            raise self._error
        if not self.is_used or len(models) != len(self._returned):
            raise PackError(f"pack `{pack}` did not lend its value")
        known = dict(zip(self._returned, models, strict=True))

        def change(value: Any) -> Any:
            if self._is_own(value) and value in known:
                return known[value]
            if self._is_passed_on(value):
                return self._value
            if self._is_own(value) or type(value) is not LentModel:
                _check_kept(value)
            return value

        return _mapped(self._result, change)


def _check_kept(value: Any) -> None:
    """Refuse what a node returns with a part that is lent only while the node runs."""
    if not holds_lent(value):
        return
    own = "" if isinstance(value, Lent) else f" in its `{type(value).__name__}`"
    raise InvalidValue(
        f"this node cannot use a model, sampler or noise of a pack{own}",
        expected="those of nodegraph: nodes that sample can use those of a pack",
        hint="Link the model to it as it was before the pack's node, or a native sampler or noise.",
    )


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """What a function returned, with each part changed."""
    if isinstance(value, NodeOutput):
        return NodeOutput(_mapped(value.values, change), value.ui)
    if isinstance(value, Expand):
        nodes, outputs = _mapped(value.nodes, change), _mapped(value.outputs, change)
        then = value.then and _mapping_steps(value.then, change)
        return replace(value, nodes=nodes, outputs=outputs, then=then)
    if isinstance(value, Value):
        item = _mapped(value.value, change)
        return value if item is value.value else Value.own(item)
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, change) for item in value)
    if is_named_tuple(type(value)):
        return type(value)(*(_mapped(item, change) for item in value))
    if type(value) is dict:
        return {name: _mapped(item, change) for name, item in value.items()}
    return change(value)


def _mapping_steps(
    then: Callable[[Mapping[str, Value]], Any], change: Callable[[Any], Any]
) -> Callable[[Mapping[str, Value]], Any]:
    """`Expand.then` whose steps are mapped as well."""
    return lambda outputs: _mapped(then(outputs), change)
