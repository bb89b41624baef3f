"""Checks of the plot nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, NodegraphError
from nodegraph.media.plots.files import check_plot

from ._facts import error_to_finding, input_path


def check_plot_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or do not contain a plot."""
    path = input_path(inputs)
    if path is None:
        return
    try:
        # Users of a server must not learn about files of others.
        check_plot(path, names=inputs.environment.readable is None)
    except NodegraphError as error:
        yield error_to_finding("path", error)
