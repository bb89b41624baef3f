"""Facts and checks of the training nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs
from nodegraph.families.registry import FAMILIES
from nodegraph.families.stable_diffusion import SD1
from nodegraph.weights.memory import StepMemory

_PORTS = ("model", "text_encoder")
_HELD, _HELD_LESS = 24, 4
"""Memory for gradients relative to a sampling step. A rule of thumb, not measured: all layers
keep their inputs, or only those of one block."""
_PASSES = 3
"""Passes over the weights per step: forward, backward, and for the gradients."""


def trained_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model and text encoder, passed on unchanged."""
    return {port: dict(inputs.facts.get(port, {})) for port in _PORTS}


def control_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of a trained ControlNet: the models it is for."""
    family = inputs.fact("model", "family")
    return {} if family is None else {"control_net": {"family": family}}


def check_training(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of different models, and datasets known to be empty."""
    family = inputs.fact("model", "family")
    encoder = inputs.fact("text_encoder", "family")
    if family and encoder and encoder != family:
        yield Finding(
            "text_encoder",
            "the text encoder is of another family than the model",
            encoder,
            family,
            "Use the text encoder of the same LoadModel.",
            code="wrong-family",
        )
    known = FAMILIES.get(family or "")
    latents = inputs.fact("vae", "format")
    if known is not None and latents and latents != known.latent.name:
        yield Finding(
            "vae",
            "the VAE does not match the model",
            latents,
            known.latent.name,
            "Use the VAE of the same LoadModel.",
            code="wrong-family",
        )
    if inputs.fact("dataset", "examples") == 0:
        yield Finding("dataset", "the dataset is empty", "0 examples", "at least one")


def training_memory(inputs: HookInputs) -> Estimate:
    """Approximate memory of a training without the model's weights."""
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
