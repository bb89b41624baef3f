"""A fault inside a node, told with the node, its inputs and the pack's own traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

from nodegraph.core.summary import summarize
from nodegraph.engine.states import Call
from nodegraph.errors import NodeFailed, NodegraphError

_ENGINE = str(Path(__file__).parent)


def node_failure(call: Call, error: BaseException) -> NodeFailed:
    """The error for a call that raised; the original is its cause."""
    if isinstance(error, NodeFailed):
        return error
    spec = call.state.node.spec
    values = {**call.state.node.literals, **{p: a.value for p, a in call.inputs.items()}}
    failed = NodeFailed(
        error,
        node=call.name,
        node_type=spec.type,
        inputs={port: summarize(value) for port, value in values.items()},
        trace="" if isinstance(error, NodegraphError) else _trace(error),
    )
    failed.__cause__ = error
    return failed


def _trace(error: BaseException) -> str:
    """The traceback from the pack's first frame on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_ENGINE)]
    return "".join(traceback.format_list(own))
