"""Facts and checks of the shape nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.family_checks import check_has_solids, check_solid_size
from nodegraph.families.registry import get_latent_format
from nodegraph.media.images.memory_checks import check_views_memory
from nodegraph.media.shapes.distance_grids import check_meshing_installed
from nodegraph.media.shapes.shape_files import check_shapes_installed, open_shape

from ._facts import error_to_finding, input_path
from ._sampling_facts import check_findings


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


def check_solid_vae(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs that decode no solids, and latents of another format."""
    form, known = inputs.fact("vae", "format"), inputs.fact("latent", "format")
    if form is None:
        return
    try:
        check_has_solids(get_latent_format(form))
    except NodegraphError as error:
        yield error_to_finding("vae", error)
        return
    if known not in (None, form):
        yield Finding(
            "latent",
            "the VAE has another latent format",
            f"a latent of format {known}",
            f"one of format {form}",
            "Use the VAE of the model that sampled the latent.",
        )
    width, height = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    if known == form and width is not None and height is not None:
        yield from check_findings(
            check_solid_size, "latent", get_latent_format(form), width, height
        )


def check_solid_views(inputs: HookInputs) -> Iterator[Finding]:
    """Find what `check_solid_vae` finds, and views that do not fit in memory."""
    yield from check_solid_vae(inputs)
    size, views = inputs.literals.get("size"), inputs.literals.get("views")
    if size is not None and views is not None:
        solids = inputs.fact("latent", "batch") or 1
        yield from check_findings(check_views_memory, "size", size, views * solids)


def rendered_views(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the views of solids."""
    size, views = inputs.literals.get("size"), inputs.literals.get("views")
    known: dict[str, object] = {} if size is None else {"width": size, "height": size}
    solids = inputs.fact("latent", "batch")
    if views is not None and solids is not None:
        known["batch"] = views * solids
    return {"image": known}


def shape_family(inputs: HookInputs) -> dict[str, Facts]:
    """The model family that the conditioning is for."""
    return {"conditioning": {"family": "shapes"}}
