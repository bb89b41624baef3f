"""Running a workflow with one call, in scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nodegraph.core.workflow import Workflow
from nodegraph.engine.result import RunResult
from nodegraph.session.session import Session, wait_for
from nodegraph.session.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RunOptions(TypedDict, total=False):
    """Options of `run`; see `run_async`."""

    parameters: Mapping[str, Any] | None
    targets: Sequence[str] | None
    packs: Sequence[str | Path]
    nodes: Sequence[Callable[..., Any]]
    settings: Settings | None
    check: bool


async def run_async(
    workflow: Workflow | Mapping[str, Any] | str | Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    targets: Sequence[str] | None = None,
    packs: Sequence[str | Path] = (),
    nodes: Sequence[Callable[..., Any]] = (),
    settings: Settings | None = None,
    check: bool = True,
) -> RunResult:
    """Run a workflow on the running event loop.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        parameters: Values of its named parameters.
        targets: Nodes to run; all sinks if not given. The values of their outputs are in the
            result: ``run(workflow, targets=["decode"])["decode.image"]``.
        packs: More packs: folders or files.
        nodes: Functions decorated with `@node`.
        settings: Where things lie.
        check: Raise if a node failed; else the result tells.
    Raises:
        InvalidFile, InvalidWorkflow: Nothing was run.
        NodeFailed: A node raised; the rest was run.
    """
    document, folder = _opened(workflow)
    with Session(settings, packs=packs, nodes=nodes, inputs=folder) as session:
        result = await session.run_async(document, parameters=parameters, targets=targets)
    if check and result.errors:
        raise result.errors[0]
    return result


def run(
    workflow: Workflow | Mapping[str, Any] | str | Path, **options: Unpack[RunOptions]
) -> RunResult:
    """Run a workflow and wait for it, in a script or a notebook.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: Those of `run_async`: parameters, targets, packs, nodes, settings, check.
    Raises:
        InvalidFile, InvalidWorkflow: Nothing was run.
        NodeFailed: A node raised; the rest was run.
    """
    return wait_for(run_async(workflow, **options))


def _opened(workflow: Workflow | Mapping[str, Any] | str | Path) -> tuple[Workflow, Path | None]:
    if isinstance(workflow, Workflow):
        return workflow, None
    if isinstance(workflow, Mapping):
        return Workflow.from_dict(dict(workflow)), None
    path = Path(workflow)
    return Workflow.load(path), path.absolute().parent
