"""Plan a workflow, also one with problems: whatever of it can be planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from nodegraph.core.analysis import Analysis, analyse, needed_by
from nodegraph.core.declarations import KnowsPacks, to_versioned_dict
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.live_values import LiveWorkflow
from nodegraph.engine.planning.device_memory import RoomOf
from nodegraph.engine.planning.estimates import Residency
from nodegraph.engine.planning.plan import Missing, Plan, plan
from nodegraph.engine.planning.why import NodeWhy, RunHistory, why
from nodegraph.engine.runtime import EngineState
from nodegraph.errors import Problem

_UNKNOWN_TYPE = "unknown-node-type"


@dataclass(frozen=True)
class PlannedWorkflow:
    """A workflow's plan, and the graph that it is about."""

    plan: Plan
    graph: CheckedGraph


def plan_workflow(
    workflow: Workflow,
    shared: EngineState,
    *,
    targets: Sequence[str] | None = None,
    is_resident: Residency | None = None,
    problems: Sequence[Problem] = (),
    needs_targets: bool = False,
    is_known: Callable[[str], bool] | None = None,
    room_of: RoomOf = lambda device: None,
) -> PlannedWorkflow:
    """What a run of a workflow would do.

    Args:
        targets: What is to be computed; all sinks if not given.
        problems: What is known to be wrong beside what is wrong with the workflow itself.
        is_resident, needs_targets, is_known, room_of: See `nodegraph.engine.planning.plan.plan`.
    """
    shared = _with_document(workflow, shared)
    live = LiveWorkflow.of(workflow, shared.registry)
    if live is None:
        analysis = analyse(workflow, shared.registry, shared.environment, targets=targets)
    else:
        analysis = live.analysed(shared.environment, targets)
    wrong = [*problems, *analysis.problems]
    targets = _complete(analysis, wrong) if wrong else analysis.targets
    graph = _needed(analysis, targets) if targets or not wrong else _sound_part(analysis)
    if live is not None:
        graph = live.with_values(graph)
        targets = tuple(name for name in targets if name not in graph.values)
    made = plan(
        graph,
        shared,
        is_resident=is_resident,
        needs_targets=needs_targets,
        is_known=is_known,
        targets=targets,
        problems=wrong,
        missing=_missing(workflow, shared, analysis.problems),
        room_of=room_of,
    )
    return PlannedWorkflow(replace(made, warnings=analysis.warnings), graph)


def why_workflow(
    workflow: Workflow,
    shared: EngineState,
    past: RunHistory,
    *,
    node: str | None = None,
    needs_targets: bool = False,
) -> list[NodeWhy]:
    """Why nodes of a sound workflow would run; see `nodegraph.engine.planning.why.why`.

    Args:
        node: Tell of this one, or of those of this block, and of the nodes before that make it run.
    """
    shared = _with_document(workflow, shared)
    made = partial(
        plan_workflow, workflow, shared, needs_targets=needs_targets, is_known=past.is_known
    )
    planned = made()
    names = _meant(planned, node)
    if node is not None and not names:
        # No sink needs it: what if it was asked for?
        planned = made(targets=[node])
        names = _meant(planned, node)
    return why(planned.plan, planned.graph, shared, past, nodes=names if node is not None else None)


def _with_document(workflow: Workflow, shared: EngineState) -> EngineState:
    """What the runs of an engine share, with the document that a run would have."""
    return shared.with_document(partial(to_versioned_dict, workflow, shared.registry))


def _meant(planned: PlannedWorkflow, node: str | None) -> list[str]:
    return [name for name in planned.plan.nodes if name == node or name.startswith(f"{node}/")]


def _needed(analysis: Analysis, targets: tuple[str, ...]) -> CheckedGraph:
    needed = needed_by(analysis.nodes, targets)
    return CheckedGraph(
        {name: node for name, node in analysis.nodes.items() if name in needed}, targets
    )


def _complete(analysis: Analysis, problems: Sequence[Problem]) -> tuple[str, ...]:
    """The targets that can be computed whatever is wrong elsewhere."""
    if any(problem.node is None for problem in problems):
        return ()
    sound = _sound_part(analysis).nodes
    return tuple(name for name in analysis.targets if name in sound)


def _sound_part(analysis: Analysis) -> CheckedGraph:
    """The nodes that nothing is wrong with, nor with anything before them."""
    faulty = {problem.node for problem in analysis.problems}
    # Of a fault of a subgraph's node only the first use is named among the problems.
    faulty |= {node.name for node in analysis.flat.in_file_order if node.problems}
    sound = {}
    used = set()
    for name, node in analysis.nodes.items():
        sources = {source.node for source in node.links.values()}
        if name not in faulty and all(source in sound for source in sources):
            sound[name] = node
            used |= sources
    return CheckedGraph(sound, tuple(name for name in sound if name not in used))


def _missing(workflow: Workflow, shared: EngineState, problems: Sequence[Problem]) -> Missing:
    models = [
        problem.given for problem in problems if problem.code == "model-not-found" and problem.given
    ]
    packs: list[str] = []
    if isinstance(shared.registry, KnowsPacks):
        installed = shared.registry.pack_versions()
        packs = [pack for pack in workflow.requires if pack not in installed]
        types = [problem.node_type or "" for problem in problems if problem.code == _UNKNOWN_TYPE]
        prefixes = [name.partition(":")[0] for name in types if ":" in name]
        packs += [pack for pack in prefixes if pack not in installed]
    return Missing(tuple(dict.fromkeys(models)), tuple(dict.fromkeys(packs)))
