"""Checks of nodes that change how a model is sampled. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs


def same_model(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model, unchanged."""
    return {"model": inputs.facts.get("model", {})}


def predicting_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model with the selected prediction type."""
    known, chosen = inputs.facts.get("model", {}), inputs.literals.get("prediction_type")
    return {"model": known if chosen in (None, "auto") else {**known, "prediction_type": chosen}}


def check_flow(inputs: HookInputs) -> Iterator[Finding]:
    """Find models that are not flow matching models."""
    if inputs.fact("model", "noise") == "discrete":
        yield Finding(
            "model",
            "the model is not a flow matching model, so its noise levels cannot be shifted",
            hint="Remove this node.",
        )


def check_sound_levels(inputs: HookInputs) -> Iterator[Finding]:
    """Find models whose sound has no noise levels of its own."""
    if inputs.fact("model", "sound_levels") is False:
        yield Finding(
            "model",
            "the model has no noise levels for sound that could be shifted",
            str(inputs.fact("model", "family")),
            "a model of MiniMax H3",
            hint="Remove this node, or use SetFlowShift.",
            code="wrong-family",
        )


def check_prediction(inputs: HookInputs) -> Iterator[Finding]:
    """Find models whose prediction type cannot be changed."""
    if inputs.fact("model", "noise") == "flow":
        yield Finding(
            "model",
            "the model is a flow matching model, whose prediction type cannot be changed",
            hint="Remove this node.",
        )
