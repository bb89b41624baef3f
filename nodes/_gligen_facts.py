"""Facts and checks of the GLIGEN nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.families.registry import FAMILIES
from nodegraph.models.gligen import GLIGENFile, read_gligen, supported_families

from ._conditioning_facts import rectangle_findings
from ._facts import error_to_finding


def _find_gligen(inputs: HookInputs) -> GLIGENFile | None:
    name = inputs.literals.get("gligen")
    return None if name is None else read_gligen(name, inputs.environment.models)


def gligen_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Family of the output of LoadGLIGEN; empty if it cannot be loaded."""
    try:
        file = _find_gligen(inputs)
    except NodegraphError:
        # `check_gligen` reports it.
        return {}
    return {} if file is None or file.family is None else {"gligen": {"family": file.family}}


def check_gligen(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no GLIGEN, and GLIGENs of unsupported kinds."""
    try:
        _find_gligen(inputs)
    except NodegraphError as error:
        yield error_to_finding("gligen", error)


def gligen_state(inputs: HookInputs) -> str:
    """Changes when the file changes."""
    file = _find_gligen(inputs)
    assert file is not None
    return file_stamp(file.path)


def gligen_weights(inputs: HookInputs) -> Estimate:
    """Memory of the layers once a sampler needs them."""
    try:
        file = _find_gligen(inputs)
    except NodegraphError:
        # `check_gligen` reports it.
        return Estimate()
    return Estimate() if file is None else Estimate(memory=0, weights={"gligen": file.bytes})


def boxed_estimate(inputs: HookInputs) -> Estimate:
    """Memory of TextBoxConditioning, almost only its encoder, and the weights it passes on."""
    carried = ("conditioning", "gligen")
    return Estimate(memory=0, passes=1, carries={"conditioning": carried})


def check_text_box(inputs: HookInputs) -> Iterator[Finding]:
    """Find prompts of models without text boxes, GLIGENs of other models, and empty boxes."""
    yield from _check_family(inputs)
    yield from rectangle_findings(inputs, "text box")


def _check_family(inputs: HookInputs) -> Iterator[Finding]:
    own = inputs.fact("gligen", "family")
    for port in ("conditioning", "encoder"):
        name = inputs.fact(port, "family")
        family = FAMILIES.get(name or "")
        if family is None:
            continue
        if not family.takes_text_boxes:
            yield Finding(
                port,
                f"{family.title} takes no text boxes",
                name,
                supported_families(),
                hint="Limit a prompt to a part of the image with AreaConditioning.",
                code="wrong-family",
            )
            return
        if own is not None and own != name:
            yield Finding(
                "gligen",
                f"the GLIGEN is for {FAMILIES[own].title}, and the {port} for {family.title}",
                own,
                f"a GLIGEN for {family.title}",
                code="wrong-family",
            )
            return
