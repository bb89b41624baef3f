"""Checks of the conditioning nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.families.registry import FAMILIES
from nodegraph.models.helper_files import find_conditioning

from ._facts import error_to_finding


def check_concatenated(inputs: HookInputs) -> Iterator[Finding]:
    """Find prompts of models that need prompts of a fixed length."""
    family = FAMILIES.get(inputs.fact("first", "family") or "")
    if family is not None and not family.lengthens:
        yield Finding(
            "first",
            f"{family.title} does not accept concatenated prompts",
            hint="Apply both with CombineConditioning, or blend them with AverageConditioning.",
        )


def check_area(inputs: HookInputs) -> Iterator[Finding]:
    """Find empty areas, and shares above 1."""
    is_share = inputs.literals.get("sampled") != "area"
    return rectangle_findings(inputs, "area", *(["feather"] if is_share else ()))


def rectangle_findings(inputs: HookInputs, noun: str, *others: str) -> Iterator[Finding]:
    """Find an empty rectangle, and shares above 1.

    Args:
        noun: What the rectangle is called.
        others: Further ports that hold shares.
    """
    literals = inputs.literals
    for port in ("width", "height"):
        if literals.get(port) == 0:
            yield Finding(port, f"the {noun} is empty", given="0", expected="above 0")
    if literals.get("unit") != "shares":
        return
    for port in ("x", "y", "width", "height", *others):
        share = literals.get(port)
        if share is not None and share > 1:
            yield Finding(
                port,
                "the share of the image is larger than 1",
                given=f"{share:g}",
                expected="0 to 1",
                hint="Set unit to pixels if the values are in pixels.",
            )


def check_stage_b(inputs: HookInputs) -> Iterator[Finding]:
    """Find prompts of models other than Stable Cascade, and latents that are not of stage C."""
    name = inputs.fact("conditioning", "family")
    if name in FAMILIES and not name.startswith("stable-cascade"):
        yield Finding(
            "conditioning",
            "only stage B of Stable Cascade follows the latent of another stage",
            FAMILIES[name].title,
            hint="Encode the prompt with the text encoder of Stable Cascade.",
            code="wrong-family",
        )
    latent_format = inputs.fact("latent", "format")
    if latent_format not in (None, "stable-cascade"):
        yield Finding(
            "latent",
            "the latent is not of stage C of Stable Cascade",
            str(latent_format),
            "stable-cascade",
            hint="Link the latent that the sampler of stage C returns.",
        )


def check_span(inputs: HookInputs) -> Iterator[Finding]:
    """Find ranges of steps that end before they begin."""
    start, end = inputs.literals.get("start"), inputs.literals.get("end")
    if start is not None and end is not None and start >= end:
        yield Finding(
            "start",
            "the prompt's start is not before its end",
            given=f"{start:g} to {end:g}",
        )


def check_conditioning_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing files, and files without an encoded prompt."""
    name = inputs.literals.get("conditioning")
    if name is not None:
        try:
            find_conditioning(name, inputs.environment.models)
        except NodegraphError as error:
            yield error_to_finding("conditioning", error)


def conditioning_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    return file_stamp(find_conditioning(inputs.literals["conditioning"], inputs.environment.models))
