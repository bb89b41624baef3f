"""Run, stream or preload a workflow with one call from a script or a notebook.

The first run of a process imports libraries and reads weights, which takes seconds; later runs
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
from nodegraph.core.values import Audio, Latent, Mesh, Molecule, PointCloud, Video
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
    """Load ahead what runs will compute with: libraries and weights.

    Args:
        model_or_workflow: A model's name, as `LoadModel` takes it; or a workflow, the dictionary of
            one, or a file's path.
        options: Those of `run_async`.
    Returns:
        Names of the weights that are in memory now.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: There is no such model or workflow.
        NodegraphError: A model's files are damaged, or have no room.
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
    """Of a model's name the workflow that loads it; None if a workflow was given."""
    if (
        not isinstance(source, str)
        or Path(source).suffix.lower() == ".json"
        or Path(source).is_file()
    ):
        return None
    from nodegraph.families.identification import LOAD_MODEL

    return Workflow(nodes={"load": NodeEntry(type=LOAD_MODEL, inputs={"model": source})})


class Stream:
    """A run's events and then its result: for ``for``, and for ``async for``.

    The run begins with the loop. Leaving the loop early ends the run at its next step.
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
                # Whoever listened has left, and closed the event loop; the run is ending.

        running = self._begin(tell)
        try:
            while (event := await events.get()) is not None:
                yield event
            yield check_result(await running.wait_async(), self._script_options.check)
        finally:
            running.stop()


def stream(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> Stream:
    """Run a workflow and hear of all that happens, as it happens.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: Those of `run_async`; there is no display.
    Returns:
        To be looped over, by ``for`` or ``async for``: an `Event` after the other, then the
        `RunResult`.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue, TypeError: See `run_async`.
    """
    script_options = ScriptOptions.of(options)
    return Stream(script_options.script(workflow), script_options)


_SHOWN = (Latent, Audio, Video, Mesh, PointCloud, Molecule, Plot)
"""Not tensors: those are others' as well, and a number that is wrong is looked for in numbers."""


def show_values_in(shell: Any) -> None:
    """Have a shell of IPython show latents, audio, video, shapes and plots as what they are."""
    formatter = shell.display_formatter.formatters["text/html"]
    for kind in _SHOWN:
        formatter.for_type(kind, value_html)


def display_for(types: Mapping[str, str], *, is_wanted: bool) -> Silent:
    """A display in a notebook, bars on a terminal, and nothing where nobody looks.

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
"""A workflow, the dictionary of one, or a file's path."""


class ScriptKeywords(RunKeywords, total=False):
    """What may be said of a workflow that a script runs, besides what `RunOptions` says.

    Attributes:
        packs: More packs: folders or files.
        nodes: Functions decorated with `@node`.
        settings: Where things lie.
        inputs: Where relative input paths start, unless the settings say; beside the workflow's
            file if not given.
        check: Raise if a node failed; else the result tells.
        progress: Show how it goes on: in a notebook, and in a terminal.
    """

    packs: Sequence[str | Path]
    nodes: Sequence[Callable[..., Any]]
    settings: Settings | None
    inputs: str | Path | None
    check: bool
    progress: bool


async def run_async(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> RunResult:
    """Run a workflow and await its end.

    The session behind it stays from call to call, with weights and results in memory, until
    settings or packs change; `nodegraph.close` lets go of it.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: How it is run, see `ScriptKeywords` and `nodegraph.engine.options.RunOptions`.
            First of all ``parameters``, values of the workflow's named parameters, and
            ``targets``, nodes to run; all sinks if not given. The values of their outputs are in
            the result: ``run(workflow, targets=["decode"])["decode.image"]``.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
        NodeFailed: A node raised; the rest was run.
        Cancelled: `nodegraph.close` was called meanwhile.
        TypeError: There is no such option.
    """
    script_options = ScriptOptions.of(options)
    script = script_options.script(workflow)
    with script.display(script_options.progress) as shown:
        result = await script.begin(with_display(script_options.options, shown)).wait_async()
    return check_result(result, script_options.check)


def run(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> RunResult:
    """Run a workflow and wait for it, in a script or a notebook.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: Those of `run_async`: parameters, targets, packs, nodes, settings, inputs, check,
            progress and the rest of how it is run.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
        NodeFailed: A node raised; the rest was run.
        Cancelled: `nodegraph.close` was called meanwhile.
        TypeError: There is no such option.
    """
    script_options = ScriptOptions.of(options)
    script = script_options.script(workflow)
    with script.display(script_options.progress) as shown:
        result = script.begin(with_display(script_options.options, shown)).wait()
    return check_result(result, script_options.check)


@dataclass(frozen=True)
class ScriptOptions:
    """What a call said, parted: how it is run, with which session, and what is done beside."""

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
        """Part keywords.

        Raises:
            TypeError: There is no such option; names the nearest.
            InvalidValue: A value is of a wrong kind.
        """
        check_keywords(keywords, ScriptKeywords)
        of_run = RunKeywords.__annotations__
        options = RunOptions(**{name: keywords[name] for name in keywords if name in of_run})
        return cls(options, **{name: keywords[name] for name in keywords if name not in of_run})

    def script(self, workflow: WorkflowLike) -> Script:
        """The workflow with the session that it is to be run by."""
        return Script.of(workflow, self.packs, self.nodes, self.settings, self.inputs)


@dataclass(frozen=True)
class Script:
    """A workflow that a script runs by the standing session."""

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
        """Read it.

        Raises:
            InvalidFile, InvalidWorkflow: It can't be read, or the settings can't.
        """
        document, workflow_folder = _open_workflow(workflow)
        folder = workflow_folder if inputs is None else inputs
        return cls(document, SessionOptions.of(settings, packs, nodes, folder))

    def begin(self, options: RunOptions) -> BackgroundTask[RunResult]:
        """Begin to run it."""

        async def work(session: Session) -> RunResult:
            return await session.run_async(self.workflow, options)

        return SHARED_SESSIONS.begin(self.session_options, work)

    def display(self, is_wanted: bool) -> Silent:
        """Shows how it goes on, inside a `with`; in a notebook values show themselves, too."""
        shell = notebook_shell()
        if shell is not None:
            show_values_in(shell)
        types = {name: entry.type for name, entry in self.workflow.nodes.items()}
        return display_for(types, is_wanted=is_wanted)


def with_display(options: RunOptions, shown: Silent) -> RunOptions:
    """The options with a display told of the events. Previews are made where somebody sees them."""
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
    """The result, if no node failed or nobody wants to know.

    Raises:
        NodeFailed: What the first of them raised.
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
