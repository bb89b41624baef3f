"""Facts and checks of the speed nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import (
    AUTO,
    HOST,
    KERNEL_PACKAGES,
    TOGETHER,
    Broadcast,
    FirstBlock,
    KeyValues,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
    check_caching,
    kernel_version,
    matmul_version,
    parse_ratios,
)
from nodegraph.models.speed.speed_support import (
    FreeUFactors,
    check_attention_factors,
    check_freeu,
    check_speed,
    check_step_cache,
)

from ._facts import error_to_finding

_SPEED_PORTS = ("compiled", "fused_projections", "channels_last", "attention", "prompts", "matmul")


def sped_up_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model, and that it is sped up."""
    known = {name: inputs.literals.get(name) for name in _SPEED_PORTS}
    options = [
        name if value is True else f"{name} {value}"
        for name, value in known.items()
        if value not in (None, False, AUTO, TOGETHER)
    ]
    return {"model": _with_speed(inputs, options)}


def first_block_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model with its step cache."""
    return _step_cache_facts(inputs, "first-block cache")


def mag_cache_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model with its step cache."""
    return _step_cache_facts(inputs, "MagCache")


def taylorseer_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model with its step cache."""
    return _step_cache_facts(inputs, "TaylorSeer")


def broadcast_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model with its step cache."""
    return _step_cache_facts(inputs, "attention broadcast")


def key_value_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model with its step cache, and what that holds on the device."""
    facts = _step_cache_facts(inputs, "key-value cache")
    is_on_device = inputs.literals.get("memory") != HOST
    kept = facts["model"].get("key_value_numbers", 0) if is_on_device else 0
    return {"model": {**facts["model"], "kept_numbers": kept}}


def freeu_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model, and that it has FreeU."""
    return {"model": _with_speed(inputs, ["FreeU"])}


def check_freeu_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find models that are not UNets."""
    try:
        check_freeu(inputs.fact("model", "family"), FreeUFactors())
    except NodegraphError as error:
        yield error_to_finding("model", error)


def scaled_attention_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the model, and that its attention is scaled."""
    return {"model": _with_speed(inputs, ["scaled attention"])}


def check_scaled_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find models that are not UNets."""
    try:
        check_attention_factors(inputs.fact("model", "family"))
    except NodegraphError as error:
        yield error_to_finding("model", error)


def check_scaled_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find text encoders without CLIP."""
    try:
        check_attention_factors(inputs.fact("encoder", "family"), is_encoder=True)
    except NodegraphError as error:
        yield error_to_finding("encoder", error)


def _step_cache_facts(inputs: HookInputs, title: str) -> dict[str, Facts]:
    return {"model": {**_with_speed(inputs, [title]), "step_cache": title}}


def _with_speed(inputs: HookInputs, options: list[str]) -> Facts:
    before = inputs.facts.get("model", {})
    speed = ", ".join([*filter(None, [before.get("speed")]), *options])
    return {**before, **({"speed": speed} if speed else {})}


def added_weights(_: HookInputs) -> Estimate:
    """A model that shares its weights with the previous one, except for copies of some."""
    return Estimate(memory=0, weights={"model": 0}, shares={"model": "model"})


def check_sped_up(inputs: HookInputs) -> Iterator[Finding]:
    """Find options that the model or the device does not support."""
    literals = inputs.literals
    speed = SpeedOptions(
        compiled=literals.get("compiled") or False,
        fused=literals.get("fused_projections") or False,
        channels_last=literals.get("channels_last") or False,
        attention=literals.get("attention") or AUTO,
        prompts=literals.get("prompts") or TOGETHER,
        matmul=literals.get("matmul") or AUTO,
    )
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    try:
        check_speed(family, speed, inputs.environment.device)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "model", error)
        return
    package = KERNEL_PACKAGES.get(speed.attention)
    if package is None:
        return
    if not inputs.environment.device.startswith("cuda"):
        lack = f"the kernel is for CUDA, and the device is {inputs.environment.device}"
        hint = "Set `attention` to auto to hide this warning."
    elif not kernel_version(speed.attention):
        lack = f"the package {package} is not installed"
        hint = f"Install it: pip install {package}"
    else:
        return
    yield Finding(
        "attention",
        f"torch chooses the kernel, as {lack}",
        speed.attention,
        hint=hint,
        is_warning=True,
    )


def kernel_packages(inputs: HookInputs) -> str:
    """The versions of the packages that kernels come from."""
    literals = inputs.literals
    packages = (
        kernel_version(literals.get("attention") or AUTO),
        matmul_version(literals.get("matmul") or AUTO),
    )
    return " ".join(filter(None, packages))


def check_first_block(inputs: HookInputs) -> Iterator[Finding]:
    """Find numbers out of range, and models without support for this cache."""
    yield from _findings(inputs, FirstBlock)


def check_mag_cache(inputs: HookInputs) -> Iterator[Finding]:
    """Find numbers out of range, and models that do not support this cache or need ratios."""
    yield from _findings(inputs, Magnitude)


def check_taylorseer(inputs: HookInputs) -> Iterator[Finding]:
    """Find numbers out of range, and models without support for this cache."""
    yield from _findings(inputs, Taylor)


def check_broadcast(inputs: HookInputs) -> Iterator[Finding]:
    """Find numbers out of range."""
    yield from _findings(inputs, Broadcast)


def check_key_values(inputs: HookInputs) -> Iterator[Finding]:
    """Find models whose prompts have no keys and values to keep."""
    yield from _findings(inputs, KeyValues)


def _findings(inputs: HookInputs, kind: type[StepCaching]) -> Iterator[Finding]:
    before = inputs.fact("model", "step_cache")
    if before is not None:
        yield Finding(
            "model",
            f"the model already has a step cache: {before}",
            hint="Remove one of the two nodes.",
        )
    names = {item.name for item in fields(kind)}
    options: dict[str, Any] = {
        name: value for name, value in inputs.literals.items() if name in names
    }
    if None in options.values():
        # One of them is linked, so it is unknown.
        return
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    try:
        if "ratios" in options:
            options["ratios"] = parse_ratios(options["ratios"])
        caching = kind(**options)
        if family is None:
            check_caching(caching)
        else:
            check_step_cache(family, caching)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "model", error)
