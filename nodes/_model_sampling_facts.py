"""What nodes check that choose what a model is sampled on. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs


def same_model(inputs: HookInputs) -> dict[str, Facts]:
    """What is known of the model."""
    return {"model": inputs.facts.get("model", {})}


def predicting_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """What is known of the model, and what it is taken to predict."""
    known, chosen = inputs.facts.get("model", {}), inputs.literals.get("prediction_type")
    return {"model": known if chosen in (None, "auto") else {**known, "prediction_type": chosen}}


def check_flow(inputs: HookInputs) -> Iterator[Finding]:
    """Find models whose noise levels aren't shifted."""
    if inputs.fact("model", "noise") == "discrete":
        yield Finding(
            "model",
            "the model wasn't trained by flow matching, so its noise levels aren't shifted",
            hint="Leave the node out.",
        )


def check_prediction(inputs: HookInputs) -> Iterator[Finding]:
    """Find models that leave nothing to choose."""
    if inputs.fact("model", "noise") == "flow":
        yield Finding(
            "model",
            "the model was trained by flow matching, which leaves nothing to choose here",
            hint="Leave the node out.",
        )
