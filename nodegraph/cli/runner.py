"""Run workflows one after the other, with event output, tracing and help by a cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    redirect_stdout,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.cli.output import CANCELLED, echo_stderr, to_json, warn
from nodegraph.cli.variations import Variation
from nodegraph.core.events import Event
from nodegraph.core.garbage_collection import collect_rarely
from nodegraph.core.text_format import pluralize
from nodegraph.observe.progress import Silent, combine_listeners

if TYPE_CHECKING:
    from nodegraph.cli.run_request import RunRequest
    from nodegraph.core.events import Listener
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.options import CancelToken, RunOptions
    from nodegraph.engine.result import RunResult
    from nodegraph.session.session import Session

_EXPORT_VARIABLES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
_INSTALL = "pip install 'nodegraph[otel]'"


@contextmanager
def spans() -> Iterator[Callable[[str], Listener] | None]:
    """What makes a listener for a run of a name; None if nobody asks for spans.

    At the end of the `with`, all spans are exported.
    """
    if not _is_enabled():
        yield None
        return
    try:
        provider, finish = _provider()
    except ImportError as error:
        warn(f"the OTEL_* variables request spans, but there is no {error.name}: {_INSTALL}")
        yield None
        return
    from nodegraph.observe.spans import SpanListener

    tracer = provider.get_tracer("nodegraph")
    try:
        yield lambda name: SpanListener(tracer, title=name)
    finally:
        finish()


def _is_enabled() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().casefold() == "true":
        return False
    exporters = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporters != "none" and any(os.environ.get(name) for name in _EXPORT_VARIABLES)


def _provider() -> tuple[Any, Callable[[], object]]:
    """A provider of tracers that exports where the variables say, and what ends its work.

    It is the process's own if there is one already, as under ``opentelemetry-instrument``.

    Raises:
        ImportError: The extra isn't installed, or not the exporter that is asked for.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from nodegraph.core.version import VERSION

    existing = trace.get_tracer_provider()
    if isinstance(existing, TracerProvider):
        return existing, existing.force_flush
    named = "OTEL_SERVICE_NAME" in os.environ
    own = {"service.version": VERSION, **({} if named else {"service.name": "nodegraph"})}
    provider = TracerProvider(resource=Resource.create(own))
    for name in (os.environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        provider.add_span_processor(BatchSpanProcessor(_exporter(name.strip())))
    return provider, provider.shutdown


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)  # stdout is for results
    from nodegraph.core.plugins import entry_points

    known = f"otlp_proto_{_protocol()}" if name == "otlp" else name
    for point in entry_points("opentelemetry_traces_exporter"):
        if point.name == known:
            return point.load()()
    raise ImportError(f"there is no exporter {known}", name=f"exporter `{known}`")


def _protocol() -> str:
    text = (
        os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    return text.partition("/")[0]


T = TypeVar("T")
ClusterContext = Callable[["Workflow", "CancelToken"], AbstractAsyncContextManager[None]]
"""Has others compute along with the run of a workflow, inside its `async with`."""


def cluster_context(
    address: str, session: Session, packs: Sequence[Path], request: RunRequest
) -> ClusterContext:
    """Makes what has the workers of a cluster compute along with the run of a workflow.

    Args:
        packs: More packs, as given.
        request: What is wanted of the workflow.
    """

    @asynccontextmanager
    async def help_along(workflow: Workflow, cancel: CancelToken) -> AsyncIterator[None]:
        from nodegraph.jobs.cluster.distributed_run import run_helpers
        from nodegraph.jobs.supervisor.messages import RunJob
        from nodegraph.jobs.supervisor.worker_spec import WorkerSpec, settings_flags
        from nodegraph.jobs.worker.distributed_run import bodies_have_sinks, shared_targets

        graph = session.graph(workflow, targets=request.targets)
        targets = shared_targets(graph, bodies_act=bodies_have_sinks(workflow, session.registry))
        if not targets:
            warn("this workflow has no part that a cluster can compute in advance")
            yield
            return
        spec = WorkerSpec(
            "helper", settings=settings_flags(session.settings), packs=[str(each) for each in packs]
        )
        order = RunJob("run", 1, workflow.to_json(), targets=targets)
        async with AsyncExitStack() as stack:
            entering = stack.enter_async_context(run_helpers(address, spec, order))
            cluster = await _unless_cancelled(entering, cancel)
            if cluster is None:
                yield  # the run ends at once
                return
            if session.environment.device.partition(":")[0] != cluster.device:
                warn(
                    f"the cluster computes on {cluster.device}, and this run on "
                    f"{session.environment.device}: results that depend on the device are "
                    "computed only here"
                )
            echo_stderr(f"Up to {pluralize(cluster.workers, 'worker')} of the cluster take part.")
            try:
                yield
            finally:
                for fault in cluster.faults:
                    warn(f"a worker of the cluster died: {fault}")

    return help_along


async def _unless_cancelled(entering: Coroutine[Any, Any, T], cancel: CancelToken) -> T | None:
    """What a call gives that may take long; None if the run is cancelled meanwhile."""
    task = asyncio.ensure_future(entering)
    give_up = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    with cancel.on_cancel(give_up):
        try:
            return await task
        except asyncio.CancelledError:
            if cancel.is_set and task.cancelled():
                return None
            raise


class EventLines:
    """Writes each event as a line of JSON as it comes.

    Attributes:
        run: Which of several runs the events are of, from 0.
    """

    def __init__(self) -> None:
        self.run = 0
        self._stream = sys.stdout
        self._has_reader = True

    def show(self, event: Event) -> None:
        """Write an event."""
        if not self._has_reader:
            return
        line = {
            "run": self.run,
            "number": event.number,
            "kind": event.kind,
            "node": event.node,
            "seconds": event.seconds,
            "data": {key: _plain(value) for key, value in event.data.items()},
        }
        try:
            print(to_json(line), file=self._stream, flush=True)
        except BrokenPipeError:
            # Raised here it would be taken for a fault of the node that was just running.
            self._has_reader = False


def _plain(value: Any) -> Any:
    """A value that JSON has; an image is told of by its size."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else value


@dataclass(frozen=True)
class RunListeners:
    """Who is told of the runs.

    Attributes:
        display: Shows people how the runs go on.
        lines: Prints events for programs.
        listener_factories: Make a listener for a run of that name, each.
    """

    display: Silent
    lines: EventLines | None = None
    listener_factories: Sequence[Callable[[str], Listener]] = ()

    def start(self, title: str, workflow: str, at: int) -> Listener | None:
        """A run starts; what is returned is told of its events.

        Args:
            title: Tells it from the others, where there are several.
            workflow: The workflow's title.
            at: Which of the runs it is, from 0.
        """
        self.display.start(title)
        name = ", ".join(text for text in (workflow, title) if text)
        if self.lines is not None:
            self.lines.run = at
        lines = self.lines.show if self.lines is not None else None
        return combine_listeners(
            [self.display.show, lines, *(make(name) for make in self.listener_factories)]
        )


class Runner:
    """Runs variations one after the other, until one fails or the user has had enough.

    Args:
        helping: Has others compute along with each run, if any do.
    """

    def __init__(
        self,
        session: Session,
        options: RunOptions,
        watchers: RunListeners,
        helping: ClusterContext | None = None,
    ) -> None:
        self._session = session
        self._helping = helping
        self._options = options
        self._watchers = watchers

    def run_all(
        self, variations: Sequence[Variation], *, keep_stdout_clean: bool
    ) -> list[tuple[Variation, RunResult]]:
        """Run them; `keep_stdout_clean` sends what nodes print to stderr."""
        import asyncio

        collect_rarely()  # the command line's start turns it off
        with ExitStack() as stack:
            if keep_stdout_clean:
                stack.enter_context(redirect_stdout(sys.stderr))
            shown = stack.enter_context(self._watchers.display)
            interrupts = stack.enter_context(Interrupts(shown.say))
            return asyncio.run(self._run_all(variations, interrupts))

    async def _run_all(
        self, variations: Sequence[Variation], interrupts: Interrupts
    ) -> list[tuple[Variation, RunResult]]:
        from nodegraph.engine.options import CancelToken

        runs: list[tuple[Variation, RunResult]] = []
        for at, variation in enumerate(variations):
            token = CancelToken()
            with interrupts.cancel_on_signal(token):
                if interrupts.is_interrupted:
                    break
                title = _title(at, variation, len(variations))
                listener = self._watchers.start(title, variation.workflow.title, at)
                options = self._options.with_changes(listener=listener, cancel=token)
                workflow = variation.workflow
                helping = self._helping(workflow, token) if self._helping else nullcontext()
                async with helping:
                    result = await self._session.run_async(variation.workflow, options)
            runs.append((variation, result))
            if not result.is_ok:
                break
        return runs


def _title(at: int, variation: Variation, planned: int) -> str:
    if planned == 1:
        return ""
    several = f"run {at + 1} of {planned}"
    return f"{several}, {variation.title}" if variation.title else several


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupts:
    """Takes SIGINT and SIGTERM over, inside its `with`.

    Args:
        tell: Called with a message for the user; must be safe to call from any thread.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.is_interrupted = False
        self._tell = tell
        self._token: CancelToken | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if current_thread() is main_thread():  # Python allows handlers to no other
            for number in _SIGNALS:
                # What was started in the background of a script is not to be interrupted.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def cancel_on_signal(self, token: CancelToken) -> Iterator[None]:
        """Inside, the first signal cancels `token`."""
        self._token = token
        try:
            yield
        finally:
            # The event loop that the token wakes is about to be closed.
            self._token = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_interrupted:
            _exit_immediately()
        self.is_interrupted = True
        if self._token is not None:
            self._token.cancel()
        # Not from here: a signal may come while the terminal's lock is held by this very thread.
        message = "Stopping at the next step. Press Ctrl-C again to stop immediately."
        Thread(target=self._tell, args=(message,), daemon=True).start()


def _exit_immediately() -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(CANCELLED)
