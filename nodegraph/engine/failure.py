"""A fault inside a node, told with the node, its inputs and the pack's own traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

from nodegraph.core.summary import summarize
from nodegraph.engine.product import Product
from nodegraph.engine.states import Call
from nodegraph.errors import NodeFailed, NodegraphError

_ENGINE = str(Path(__file__).parent)


def node_failure(call: Call, error: BaseException) -> NodeFailed:
    """The error for a call that raised; the original is its cause."""
    if isinstance(error, NodeFailed):
        return error
    spec = call.state.node.spec
    inputs = {port: summarize(value) for port, value in call.state.node.literals.items()}
    inputs |= {port: _summary_of(product) for port, product in call.inputs.items()}
    failed = NodeFailed(
        error,
        node=call.name,
        node_type=spec.type,
        inputs=inputs,
        trace="" if isinstance(error, NodegraphError) else _trace(error),
    )
    failed.__cause__ = error
    return failed


def _summary_of(product: Product) -> str:
    # As it came, where a link's conversion is what failed; and nothing is loaded for a message.
    while product.base is not None:
        product = product.base
    return summarize(product.value) if product.is_loaded else "(not in memory)"


def _trace(error: BaseException) -> str:
    """The traceback from the pack's first frame on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_ENGINE)]
    return "".join(traceback.format_list(own))
