"""Running a workflow with one call, in scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.workflow import Workflow
from nodegraph.engine.options import RunKeywords, RunOptions, check_keywords
from nodegraph.engine.result import RunResult
from nodegraph.session.session import Session, wait_for
from nodegraph.session.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ScriptKeywords(RunKeywords, total=False):
    """What may be said of a workflow that a script runs; see `run_async` and `RunOptions`."""

    packs: Sequence[str | Path]
    nodes: Sequence[Callable[..., Any]]
    settings: Settings | None
    check: bool


async def run_async(
    workflow: Workflow | Mapping[str, Any] | str | Path,
    *,
    packs: Sequence[str | Path] = (),
    nodes: Sequence[Callable[..., Any]] = (),
    settings: Settings | None = None,
    check: bool = True,
    **options: Unpack[RunKeywords],
) -> RunResult:
    """Run a workflow on the running event loop.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        packs: More packs: folders or files.
        nodes: Functions decorated with `@node`.
        settings: Where things lie.
        check: Raise if a node failed; else the result tells.
        options: How it is run, see `nodegraph.engine.options.RunOptions`. First of all
            ``parameters``, values of the workflow's named parameters, and ``targets``, nodes to
            run; all sinks if not given. The values of their outputs are in the result:
            ``run(workflow, targets=["decode"])["decode.image"]``.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
        NodeFailed: A node raised; the rest was run.
        TypeError: There is no such option.
    """
    check_keywords(options, ScriptKeywords)
    how = RunOptions(**options)
    document, folder = _opened(workflow)
    with Session(settings, packs=packs, nodes=nodes, inputs=folder) as session:
        result = await session.run_async(document, how)
    if check and result.errors:
        raise result.errors[0]
    return result


def run(
    workflow: Workflow | Mapping[str, Any] | str | Path, **options: Unpack[ScriptKeywords]
) -> RunResult:
    """Run a workflow and wait for it, in a script or a notebook.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: Those of `run_async`: parameters, targets, packs, nodes, settings, check and
            the rest of how it is run.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
        NodeFailed: A node raised; the rest was run.
        TypeError: There is no such option.
    """
    return wait_for(run_async(workflow, **options))


def _opened(workflow: Workflow | Mapping[str, Any] | str | Path) -> tuple[Workflow, Path | None]:
    if isinstance(workflow, Workflow):
        return workflow, None
    if isinstance(workflow, Mapping):
        return Workflow.from_dict(dict(workflow)), None
    path = Path(workflow)
    return Workflow.load(path), path.absolute().parent
