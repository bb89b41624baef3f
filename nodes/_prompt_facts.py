"""Checks of nodes that encode prompts. Imports no torch.

The prompt grammar is imported only if a prompt has markup, to keep the start fast: most prompts
are plain words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.base import Family
from nodegraph.families.family_checks import check_reads_text
from nodegraph.families.registry import FAMILIES

from ._facts import error_to_finding


def text_facts(_: HookInputs) -> dict[str, Facts]:
    """A prompt to which no other node has added anything."""
    return {"conditioning": {"media": (), "prompt_images": 0, "reference_images": 0}}


def edit_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """As `text_facts`, of a prompt that was encoded with images."""
    facts: dict[str, object] = {"media": (), "reference_images": 0}
    count = inputs.fact("images", "batch")
    return {"conditioning": facts if count is None else {**facts, "prompt_images": count}}


def check_prompt(inputs: HookInputs) -> Iterator[Finding]:
    """Find incomplete encoders, and invalid times and weights in the prompt."""
    yield from _check_whole(inputs)
    family = _family(inputs)
    if family is not None:
        yield from _check_findings("encoder", lambda: check_reads_text(family))
    text, syntax = inputs.literals.get("text"), inputs.literals.get("syntax")
    if family is not None and text is not None and syntax is not None and _has_markup(text):
        from nodegraph.models.prompt_preprocessing import check_text

        yield from _check_findings("text", lambda: check_text(text, family, syntax))


def check_prompt_apart(inputs: HookInputs) -> Iterator[Finding]:
    """As `check_prompt`, and find texts for encoders that the family does not have."""
    from nodegraph.models.prompt_preprocessing import READERS, check_readers, check_text

    yield from _check_whole(inputs)
    family, literals = _family(inputs), inputs.literals
    if family is None:
        return
    encoder_ports = [port for port in READERS if port not in literals or literals[port] is not None]
    yield from _check_findings("encoder", lambda: check_readers(family, encoder_ports))
    for port in ("text", *READERS):
        text, syntax = literals.get(port), literals.get("syntax")
        if text is not None and syntax is not None:
            check = partial(check_text, text, family, syntax, apart=True)
            yield from (replace(finding, port=port) for finding in _check_findings(port, check))


def check_clip_skip(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders without CLIP skip."""
    from nodegraph.models.prompt_preprocessing import check_skips

    family = _family(inputs)
    if family is not None:
        yield from _check_findings("encoder", lambda: check_skips(family))


def check_references(inputs: HookInputs) -> Iterator[Finding]:
    """Find a node without images that does not set a placement either."""
    literals = inputs.literals
    is_shown = literals.get("latent", ...) is not None
    if not is_shown and literals.get("places") == "auto" and not literals.get("still", True):
        yield Finding(
            "latent",
            "no image is given",
            hint="Encode an image with VAEEncode.",
            code="missing-input",
        )


def check_writing(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders that are not language models."""
    from nodegraph.models.language.chat_templates import check_can_generate

    yield from _check_whole(inputs)
    family = _family(inputs)
    if family is not None:
        yield from _check_findings("encoder", lambda: check_can_generate(family))


def shared_weights(_: HookInputs) -> Estimate:
    """A text encoder that shares its weights with the previous one."""
    return Estimate(memory=0, weights={"text_encoder": 0}, shares={"text_encoder": "encoder"})


def check_sizes(inputs: HookInputs) -> Iterator[Finding]:
    """Find prompts of models without size conditioning."""
    from nodegraph.models.prompt_preprocessing import check_size_conditioning

    name = inputs.fact("conditioning", "family")
    if name is not None:
        yield from _check_findings("conditioning", lambda: check_size_conditioning(name))


def _has_markup(text: str) -> bool:
    return any(sign in text for sign in ("(", "[", "AND"))


def _family(inputs: HookInputs) -> Family | None:
    return FAMILIES.get(inputs.fact("encoder", "family") or "")


def _check_whole(inputs: HookInputs) -> Iterator[Finding]:
    lacking = inputs.fact("encoder", "lacks")
    if lacking:
        yield Finding(
            "encoder",
            f"the folder of the model has no {lacking}, which the prompt needs",
            hint=f"Use LoadTextEncoder instead: select this folder, and a file of {lacking}.",
        )


def _check_findings(port: str, check: Callable[[], object]) -> Iterator[Finding]:
    """Findings of a check, at the port that it names or else at this one."""
    try:
        check()
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or port, error)
