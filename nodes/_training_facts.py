"""What the nodes that teach check before they run, and tell. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs
from nodegraph.families.registry import FAMILIES
from nodegraph.families.stable_diffusion import SD1
from nodegraph.weights.memory import StepMemory

_PORTS = ("model", "text_encoder")
_HELD, _HELD_LESS = 24, 4
"""How much more than in a step of sampling layers hold for gradients, as a rule of thumb
that nothing was measured for: all of them keep what they were given, or those of one block."""
_PASSES = 3
"""Times that weights are gone through in a step: there, back, and for the gradients."""


def trained_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """What is known of the model and text encoder that it hands on: all that was before."""
    return {port: dict(inputs.facts.get(port, {})) for port in _PORTS}


def control_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """What is known of a control network that is taught: which models it leads."""
    family = inputs.fact("model", "family")
    return {} if family is None else {"control_net": {"family": family}}


def check_training(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of different models, and empty datasets where that is known."""
    family = inputs.fact("model", "family")
    encoder = inputs.fact("text_encoder", "family")
    if family and encoder and encoder != family:
        yield Finding(
            "text_encoder",
            "it is of another family than the model",
            encoder,
            family,
            "Take the text encoder of the same LoadModel.",
            code="wrong-family",
        )
    known = FAMILIES.get(family or "")
    latents = inputs.fact("vae", "format")
    if known is not None and latents and latents != known.latent.name:
        yield Finding(
            "vae",
            "it is of another kind than the model's",
            latents,
            known.latent.name,
            "Take the VAE of the same LoadModel.",
            code="wrong-family",
        )
    if inputs.fact("dataset", "examples") == 0:
        yield Finding("dataset", "it has nothing to learn from", "0 examples", "at least one")


def training_memory(inputs: HookInputs) -> Estimate:
    """What a training takes besides the model's own weights, about."""
    literals = inputs.literals
    steps, batch = literals.get("steps"), literals.get("batch") or 1
    if "kept" in inputs.facts:
        batch *= 2
    family = FAMILIES.get(inputs.fact("model", "family") or "", SD1)
    held = inputs.fact("model", "held_step")
    step = family.step_memory({}) if held is None else StepMemory(*held)
    width = inputs.fact("dataset", "width") or inputs.fact("model", "width") or family.size
    height = inputs.fact("dataset", "height") or inputs.fact("model", "height") or family.size
    cells = width * height / family.latent.spatial**2
    usual = 4 if inputs.environment.device == "cpu" else 2
    item = inputs.fact("model", "held_item") or usual
    example_bytes = (cells * step.cell + step.fixed) * item
    work = None if steps is None else cells * batch * step.parameter_uses * steps * _PASSES
    return Estimate(
        memory=int(example_bytes * batch * _HELD),
        work=work,
        least=int(example_bytes * batch * _HELD_LESS),
        shares={port: port for port in _PORTS},
        weights=dict.fromkeys(_PORTS, 0),
    )
