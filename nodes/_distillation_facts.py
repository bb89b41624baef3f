"""Facts and checks of the distillation, quantization and comparison nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs

from ._training_facts import check_training

_MODELS = ("reference", "model", "second", "third")


def check_distilling(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of different models, and a missing dataset and prompts."""
    yield from check_training(inputs)
    prompts = inputs.literals.get("prompts")
    if prompts is not None and not prompts.strip() and "dataset" not in inputs.facts:
        yield Finding(
            "prompts",
            "there are no images to distill from",
            "no dataset and no prompts",
            hint="Link a dataset, or enter prompts, one per line.",
        )


def stored_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model, unchanged."""
    return {"model": dict(inputs.facts.get("model", {}))}


def check_compared(inputs: HookInputs) -> Iterator[Finding]:
    """Find models of several families, and missing prompts."""
    families = {port: inputs.fact(port, "family") for port in _MODELS}
    first = families["reference"]
    for port, family in families.items():
        if first and family and family != first:
            yield Finding(
                port,
                "the model is from another family than the reference",
                family,
                first,
                "Compare models with the same text encoder.",
                code="wrong-family",
            )
    prompts = inputs.literals.get("prompts")
    if prompts is not None and not prompts.strip():
        yield Finding("prompts", "the prompts are empty", "no prompts", "one per line")
