"""Checks of nodes that inspect models. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, NodegraphError
from nodegraph.models import facts as looked_into

from ._facts import error_to_finding


def check_attention_support(inputs: HookInputs) -> Iterator[Finding]:
    """Find models whose attention cannot be recorded."""
    family = inputs.fact("model", "family")
    if family is None:
        return
    try:
        looked_into.check_attention_support(family)
    except NodegraphError as error:
        yield error_to_finding("model", error)
