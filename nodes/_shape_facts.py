"""What nodes of shapes check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.media.shapes.distance_grids import check_meshing_installed
from nodegraph.media.shapes.shape_files import check_shapes_installed, open_shape

from ._facts import error_to_finding, input_path


def check_shape(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or no shapes, and that there is nothing to read them with."""
    path = input_path(inputs)
    try:
        check_shapes_installed()
        if path is not None:
            # Whom a server serves is told nothing of files that somebody else put there.
            open_shape(path, names=inputs.environment.readable is None)[0].close()
    except NodegraphError as error:
        yield error_to_finding("path", error)


def check_meshing(inputs: HookInputs) -> Iterator[Finding]:
    """Find that there is nothing to make meshes with."""
    try:
        check_meshing_installed()
    except NodegraphError as error:
        yield error_to_finding("latent", error)


def shape_family(inputs: HookInputs) -> dict[str, Facts]:
    """For which models it is."""
    return {"conditioning": {"family": "shapes"}}
