"""What a pack's hook raised, as problems of the node that it was asked about."""

from __future__ import annotations

from dataclasses import replace

from nodegraph.core.spec import NodeSpec
from nodegraph.errors import NodegraphError, Problem


def pack_problems(error: Exception, hook: str, node: str, spec: NodeSpec) -> list[Problem]:
    """Problems of a node whose pack raised `error` in a function other than the node's own.

    Args:
        hook: Which function: ``infer``, ``validate``, ``migration``.
    """
    if isinstance(error, NodegraphError):
        return [replace(found, node=node, node_type=spec.type) for found in error.problems]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    pack = f"the pack `{spec.pack}`" if spec.pack else f"`{spec.module}`"
    return [
        Problem(
            "hook-failed",
            f"its type's {hook} function failed: {text}",
            node,
            spec.type,
            hint=f"This is a fault of {pack}, not of the workflow.",
        )
    ]
