"""Checks of the nodes that merge, extract and save models. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.training.merge_weights import parse_blocks

from ._facts import check_result_name, error_to_finding

_OTHERS = ("second", "base", "base_text_encoder", "text_encoder")


def first_model(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the first model, passed on unchanged."""
    return {"model": dict(inputs.facts.get("model", {}))}


def first_encoder(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the first text encoder, passed on unchanged."""
    return {"text_encoder": dict(inputs.facts.get("text_encoder", {}))}


def check_families(inputs: HookInputs) -> Iterator[Finding]:
    """Find models of another family than the first."""
    ports = [port for port in ("model", *_OTHERS) if inputs.fact(port, "family")]
    for port in ports[1:]:
        family, first = inputs.fact(port, "family"), inputs.fact(ports[0], "family")
        if family != first:
            yield Finding(
                port,
                "it is of another family than the first model",
                family,
                first,
                "Use models of one family.",
                code="wrong-family",
            )


def check_merge(inputs: HookInputs) -> Iterator[Finding]:
    """Find models of different families, and weights of blocks that cannot be read."""
    yield from check_families(inputs)
    blocks = inputs.literals.get("blocks")
    if blocks is not None:
        try:
            parse_blocks(blocks)
        except NodegraphError as error:
            yield error_to_finding("blocks", error)


def check_saved_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of different models, and names that cannot be a result's."""
    yield from check_families(inputs)
    yield from check_result_name(inputs)
