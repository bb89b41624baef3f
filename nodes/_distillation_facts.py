"""What the nodes that distil, quantise and compare models check and tell. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs

from ._training_facts import check_training

_MODELS = ("reference", "model", "second", "third")


def check_distilling(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of different models, and that there is nothing to distil by."""
    yield from check_training(inputs)
    prompts = inputs.literals.get("prompts")
    if prompts is not None and not prompts.strip() and "dataset" not in inputs.facts:
        yield Finding(
            "prompts",
            "there is nothing to distil by",
            "no dataset and no prompts",
            hint="Give it a dataset, or prompts, one a line.",
        )


def stored_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """What is known of the model."""
    return {"model": dict(inputs.facts.get("model", {}))}


def check_compared(inputs: HookInputs) -> Iterator[Finding]:
    """Find models of several families, and that nothing is asked for."""
    families = {port: inputs.fact(port, "family") for port in _MODELS}
    first = families["reference"]
    for port, family in families.items():
        if first and family and family != first:
            yield Finding(
                port,
                "it is of another family than the reference",
                family,
                first,
                "Compare models that read the same prompts.",
                code="wrong-family",
            )
    prompts = inputs.literals.get("prompts")
    if prompts is not None and not prompts.strip():
        yield Finding("prompts", "there is nothing to ask for", "no prompts", "one a line")
