"""Run, stream or preload a workflow with one call from a script or a notebook.

The first run of a process imports libraries and reads weights, which takes seconds. Later runs
find them in memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from nodegraph.core.events import Event
from nodegraph.core.parts import NodeEntry
from nodegraph.core.plots import Plot
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud
from nodegraph.core.values import Audio, Latent, Video
from nodegraph.core.workflow import Workflow, WorkflowOrDict
from nodegraph.engine.options import RunKeywords, RunOptions, check_keywords, check_truth
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidValue
from nodegraph.observe.progress import (
    NotebookBars,
    Silent,
    combine_listeners,
    notebook_display,
    notebook_shell,
)
from nodegraph.session.background_task import BackgroundTask
from nodegraph.session.results.html import value_html
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from nodegraph.session.shared_sessions import SHARED_SESSIONS, SessionOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


def warm(model_or_workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> list[str]:
    """Load the libraries and weights of a model or a workflow before its first run.

    Args:
        model_or_workflow: Name of a model, as for `LoadModel`, or a workflow, the dictionary of
            one, or the path of a file.
        options: Options of `run_async`.
    Returns:
        Names of the weights that are in memory now.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: There is no such model or workflow.
        NodegraphError: A model's files are damaged or do not fit in memory.
    """
    script_options = ScriptOptions.of(options)
    model = _as_model(model_or_workflow)
    script = script_options.script(model_or_workflow if model is None else model)
    # A workflow that only loads has nothing that it ends in.
    targets = script_options.options.targets if model is None else list(model.nodes)
    parameters = script_options.options.parameters

    async def work(session: Session) -> list[str]:
        return await session.load_ahead_async(
            script.workflow, parameters=parameters, targets=targets
        )

    return SHARED_SESSIONS.begin(script.session_options, work).wait()


def _as_model(source: WorkflowLike) -> Workflow | None:
    """Return the workflow that loads a model by its name; None if a workflow was given."""
    if (
        not isinstance(source, str)
        or Path(source).suffix.lower() == ".json"
        or Path(source).is_file()
    ):
        return None
    from nodegraph.families.identification import LOAD_MODEL

    return Workflow(nodes={"load": NodeEntry(type=LOAD_MODEL, inputs={"model": source})})


class Stream:
    """The events of a run and then its result, for ``for`` and ``async for``.

    The run starts with the loop. Leaving the loop early ends the run at its next step.
    """

    def __init__(self, script: Script, script_options: ScriptOptions) -> None:
        self._script = script
        self._script_options = script_options

    def _begin(self, listener: Callable[[Event | None], None]) -> BackgroundTask[RunResult]:
        options = self._script_options.options
        running = self._script.begin(
            options.with_changes(listener=combine_listeners([options.listener, listener]))
        )
        running.future.add_done_callback(lambda _: listener(None))
        return running

    def __iter__(self) -> Iterator[Event | RunResult]:
        events: SimpleQueue[Event | None] = SimpleQueue()
        running = self._begin(events.put)
        try:
            while (event := events.get()) is not None:
                yield event
            yield check_result(running.wait(), self._script_options.check)
        finally:
            running.stop()

    async def __aiter__(self) -> AsyncIterator[Event | RunResult]:
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event | None) -> None:
            try:
                loop.call_soon_threadsafe(events.put_nowait, event)
            except RuntimeError:
                if not loop.is_closed():
                    raise
                # The listener has left and closed the event loop; the run is ending.

        running = self._begin(tell)
        try:
            while (event := await events.get()) is not None:
                yield event
            yield check_result(await running.wait_async(), self._script_options.check)
        finally:
            running.stop()


def stream(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> Stream:
    """Run a workflow and iterate over its events as they happen.

    Args:
        workflow: A `Workflow`, the dictionary of one, or the path of a file.
        options: Options of `run_async`; progress is not displayed.
    Returns:
        An iterable for ``for`` or ``async for``: all `Event` objects, then the `RunResult`.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue, TypeError: See `run_async`.
    """
    script_options = ScriptOptions.of(options)
    return Stream(script_options.script(workflow), script_options)


_SHOWN = (Latent, Audio, Video, Mesh, PointCloud, Molecule, Plot)
"""Tensors are not shown: other libraries use them, and wrong numbers are found in numbers."""


def show_values_in(shell: Any) -> None:
    """Make an IPython shell display latents, audio, video, shapes and plots as media."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind in _SHOWN:
        formatter.for_type(kind, value_html)


def display_for(types: Mapping[str, str], *, is_wanted: bool) -> Silent:
    """Return a notebook display, terminal bars, or a silent display elsewhere.

    Args:
        types: Node types by node.
    """
    if not is_wanted:
        return Silent()
    display = notebook_display()
    if display is not None:
        return NotebookBars(types, display)
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from nodegraph.observe.bars import Bars

        return Bars(types)
    return Silent()


WorkflowLike = WorkflowOrDict | str | Path
"""A workflow, the dictionary of one, or the path of a file."""


class ScriptKeywords(RunKeywords, total=False):
    """Options of a run in a script, in addition to those of `RunOptions`.

    Attributes:
        packs: Additional packs: folders or files.
        nodes: Functions decorated with `@node`.
        settings: Settings; read from the config file and the environment if None.
        inputs: Folder for relative input paths, if the settings do not name one; the folder of the
            workflow's file if not given.
        check: Raise if a node failed. If False, the result lists the errors.
        progress: Show the progress in a notebook or a terminal.
    """

    packs: Sequence[str | Path]
    nodes: Sequence[Callable[..., Any]]
    settings: Settings | None
    inputs: str | Path | None
    check: bool
    progress: bool


async def run_async(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> RunResult:
    """Run a workflow and await its result.

    The session behind it stays open between calls, with weights and results in memory, until
    settings or packs change. `nodegraph.close` closes it.

    Args:
        workflow: A `Workflow`, the dictionary of one, or the path of a file.
        options: Options; see `ScriptKeywords` and `nodegraph.engine.options.RunOptions`. The most
            common are ``parameters``, values of the workflow's named parameters, and ``targets``,
            nodes to run (all sinks if not given). The result has the values of the targets'
            outputs: ``run(workflow, targets=["decode"])["decode.image"]``.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
        NodeFailed: A node raised; all nodes that do not depend on it were run.
        Cancelled: `nodegraph.close` was called during the run.
        TypeError: There is no option of this name.
    """
    script_options = ScriptOptions.of(options)
    script = script_options.script(workflow)
    with script.display(script_options.progress) as shown:
        result = await script.begin(with_display(script_options.options, shown)).wait_async()
    return check_result(result, script_options.check)


def run(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> RunResult:
    """Run a workflow in a script or a notebook and wait for its result.

    Args:
        workflow: A `Workflow`, the dictionary of one, or the path of a file.
        options: Options of `run_async`: parameters, targets, packs, nodes, settings, inputs, check,
            progress and all options of a run.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
        NodeFailed: A node raised; all nodes that do not depend on it were run.
        Cancelled: `nodegraph.close` was called during the run.
        TypeError: There is no option of this name.
    """
    script_options = ScriptOptions.of(options)
    script = script_options.script(workflow)
    with script.display(script_options.progress) as shown:
        result = script.begin(with_display(script_options.options, shown)).wait()
    return check_result(result, script_options.check)


@dataclass(frozen=True)
class ScriptOptions:
    """The options of a call, split into run options, session options and display options."""

    options: RunOptions
    packs: Sequence[str | Path] = ()
    nodes: Sequence[Callable[..., Any]] = ()
    settings: Settings | None = None
    inputs: str | Path | None = None
    check: bool = True
    progress: bool = True

    def __post_init__(self) -> None:
        check_truth("check", self.check)
        check_truth("progress", self.progress)

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> ScriptOptions:
        """Split keywords into options.

        Raises:
            TypeError: There is no option of this name; names the nearest.
            InvalidValue: A value is of a wrong kind.
        """
        check_keywords(keywords, ScriptKeywords)
        of_run = RunKeywords.__annotations__
        options = RunOptions(**{name: keywords[name] for name in keywords if name in of_run})
        return cls(options, **{name: keywords[name] for name in keywords if name not in of_run})

    def script(self, workflow: WorkflowLike) -> Script:
        """Return the workflow with the options of the session that runs it."""
        return Script.of(workflow, self.packs, self.nodes, self.settings, self.inputs)


@dataclass(frozen=True)
class Script:
    """A workflow that a script runs with the shared session."""

    workflow: Workflow
    session_options: SessionOptions

    @classmethod
    def of(
        cls,
        workflow: WorkflowLike,
        packs: Sequence[str | Path],
        nodes: Sequence[Callable[..., Any]],
        settings: Settings | None,
        inputs: str | Path | None = None,
    ) -> Script:
        """Read a workflow.

        Raises:
            InvalidFile, InvalidWorkflow: The workflow or the settings cannot be read.
        """
        document, workflow_folder = _open_workflow(workflow)
        folder = workflow_folder if inputs is None else inputs
        return cls(document, SessionOptions.of(settings, packs, nodes, folder))

    def begin(self, options: RunOptions) -> BackgroundTask[RunResult]:
        """Start the run."""

        async def work(session: Session) -> RunResult:
            return await session.run_async(self.workflow, options)

        return SHARED_SESSIONS.begin(self.session_options, work)

    def display(self, is_wanted: bool) -> Silent:
        """Return a display of the progress, for a `with`; in a notebook, also show values."""
        shell = notebook_shell()
        if shell is not None:
            show_values_in(shell)
        types = {name: entry.type for name, entry in self.workflow.nodes.items()}
        return display_for(types, is_wanted=is_wanted)


def with_display(options: RunOptions, shown: Silent) -> RunOptions:
    """Return the options with a display as listener. Previews are made only if they are shown."""
    if type(shown) is Silent:
        return options
    shown.start("")
    previews = options.previews and (
        options.listener is not None or isinstance(shown, NotebookBars)
    )
    return options.with_changes(
        listener=combine_listeners([options.listener, shown.show]), previews=previews
    )


def check_result(result: RunResult, is_wanted: bool) -> RunResult:
    """Return the result, or raise if a node failed and the check is wanted.

    Raises:
        NodeFailed: The error of the first failed node.
    """
    if is_wanted and result.errors:
        raise result.errors[0]
    return result


def _open_workflow(workflow: WorkflowLike) -> tuple[Workflow, Path | None]:
    if isinstance(workflow, (Workflow, Mapping)):
        return Workflow.of(workflow), None
    if not isinstance(workflow, (str, Path)):
        raise InvalidValue(
            "this is not a workflow",
            given=type(workflow).__name__,
            expected="a `Workflow` or a `Graph`, the dictionary of one, or a file's path",
        )
    path = Path(workflow)
    return Workflow.load(path), path.absolute().parent
