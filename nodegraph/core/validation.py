"""Everything that is wrong with a workflow, at once and before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.core.analysis import analyse
from nodegraph.core.catalog import Catalog
from nodegraph.core.context import Environment
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem


def check_workflow(
    workflow: Workflow,
    catalog: Catalog,
    environment: Environment,
    *,
    targets: Sequence[str] | None = None,
) -> list[Problem]:
    """Everything that keeps a workflow from running, in the order of the file.

    Args:
        environment: Handed to the packs' own checks.
        targets: What is to be computed, as ``node`` or ``node.port``; see `analyse`.
    """
    return list(analyse(workflow, catalog, environment, targets=targets).problems)


def workflow_warnings(
    workflow: Workflow, catalog: Catalog, environment: Environment
) -> list[Problem]:
    """What doesn't keep a workflow from running but is worth knowing.

    Deprecated node types and, in a valid workflow, nodes that no output needs. `analyse` gives
    both, warnings and problems, at the price of one.
    """
    return list(analyse(workflow, catalog, environment).warnings)
