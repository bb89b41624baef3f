"""Facts and checks of the shape nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.media.shapes.distance_grids import check_meshing_installed
from nodegraph.media.shapes.shape_files import check_shapes_installed, open_shape

from ._facts import error_to_finding, input_path


def check_shape(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing or invalid shape files, and a missing library to read them."""
    path = input_path(inputs)
    try:
        check_shapes_installed()
        if path is not None:
            # Users of a server must not learn about files of others.
            open_shape(path, names=inputs.environment.readable is None)[0].close()
    except NodegraphError as error:
        yield error_to_finding("path", error)


def check_meshing(inputs: HookInputs) -> Iterator[Finding]:
    """Find a missing library to make meshes."""
    try:
        check_meshing_installed()
    except NodegraphError as error:
        yield error_to_finding("latent", error)


def shape_family(inputs: HookInputs) -> dict[str, Facts]:
    """The model family that the conditioning is for."""
    return {"conditioning": {"family": "shapes"}}
