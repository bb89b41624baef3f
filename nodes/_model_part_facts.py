"""Facts and checks of LoadDiffusionModel. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.models.denoiser_files import (
    AUTO,
    DenoiserRequest,
    denoiser_facts,
    denoiser_stamp,
    stored_denoiser,
)
from nodegraph.models.facts import ModelFacts
from nodegraph.models.model_files import computed_dtype

from ._facts import (
    check_dtype,
    error_to_finding,
    loading_device,
    model_port,
    number_size_fact,
    weights_estimate,
)


def denoiser_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Family and latent format of the model of LoadDiffusionModel. Empty if it cannot be loaded."""
    try:
        known = _known(inputs)
    except NodegraphError:
        # `check_denoiser` reports it.
        return {}
    if known is None:
        return {}
    wanted = _wanted(inputs)
    return {"model": {**model_port(known), **number_size_fact(inputs), "denoiser": wanted}}


def check_denoiser(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing diffusion models, and settings that do not match the model."""
    try:
        _known(inputs)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "model", error)
    yield from _check_experts(inputs.literals)
    yield from check_dtype(inputs)


def _check_experts(literals: Mapping[str, Any]) -> Iterator[Finding]:
    """Find the same file selected for both experts."""
    if literals.get("second") and literals["second"] == literals.get("model"):
        yield Finding(
            "second",
            "both experts are the same file",
            literals["second"],
            hint="Select the other file. The two are usually called high noise and low noise.",
            is_warning=True,
        )


def denoiser_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the model changes."""
    wanted, environment = _wanted(inputs), inputs.environment
    assert wanted is not None
    allow, device = environment.allow_pickle, loading_device(inputs)
    return denoiser_stamp(wanted, environment.models, allow_pickle=allow, device=device)


def denoiser_weights(inputs: HookInputs) -> Estimate:
    """Memory of the loaded model."""
    wanted, environment = _wanted(inputs), inputs.environment
    if wanted is None:
        return Estimate()
    weights = stored_denoiser(
        wanted,
        environment.models,
        dtype=computed_dtype(inputs.literals.get("dtype") or AUTO, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
        storage=inputs.literals.get("storage") or AUTO,
    )
    return weights_estimate({} if weights is None else {"model": weights})


def _known(inputs: HookInputs) -> ModelFacts | None:
    wanted, environment = _wanted(inputs), inputs.environment
    if wanted is None:
        return None
    return denoiser_facts(wanted, environment.models, allow_pickle=environment.allow_pickle)


def _wanted(inputs: HookInputs) -> DenoiserRequest | None:
    """The settings. None if some of them come from other nodes."""
    names = ("model", "second", "family", "prediction_type", "zero_terminal_snr", "shift")
    values: dict[str, Any] = {name: inputs.literals.get(name) for name in names}
    if None in values.values():
        return None
    return DenoiserRequest(name=values.pop("model"), **values)
