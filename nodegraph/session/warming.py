"""Loading ahead what a workflow computes with.

The first run of a process imports libraries and reads weights, which takes seconds; later ones
find them in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.session.scripts import ScriptOptions, WorkflowLike
from nodegraph.session.session import Session
from nodegraph.session.standing import SHARED_SESSIONS

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nodegraph.session.scripts import ScriptKeywords


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
    from nodegraph.families.alone import LOAD_MODEL

    return Workflow(nodes={"load": NodeEntry(type=LOAD_MODEL, inputs={"model": source})})
