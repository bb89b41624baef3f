"""Facts and checks of the control nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.registry import FAMILIES
from nodegraph.models.model_files import computed_dtype
from nodegraph.sampling.controls.files import (
    FoundControl,
    control_bytes,
    control_stamp,
    find_control,
)
from nodegraph.sampling.controls.kinds import ControlKind, mode_number

from ._facts import check_dtype, error_to_finding, loading_device
from ._memory import encode_clip_estimate, encode_estimate


def control_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Family and kind of the output of LoadControlNet; empty if it cannot be loaded."""
    try:
        control_files = _find_control(inputs)
    except NodegraphError:
        # `check_control` reports it.
        return {}
    if control_files is None:
        return {}
    kind = control_files.kind
    known: Facts = {
        "family": control_files.family.name,
        "kind": control_files.class_name,
        "sees_latents": kind.sees_latents,
        "takes_mask": kind.takes_mask,
        "fills_beside": kind.fills_beside,
        "modes": kind.modes,
        "of_videos": control_files.family.latent.temporal > 0,
    }
    return {"control_net": known}


def check_control(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no control network, and networks that are damaged or refused."""
    try:
        _find_control(inputs)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "control_net", error)
    yield from check_dtype(inputs)


def control_state(inputs: HookInputs) -> str:
    """Changes when a file of the network changes."""
    environment = inputs.environment
    return control_stamp(
        inputs.literals["control_net"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=loading_device(inputs),
    )


def control_weights(inputs: HookInputs) -> Estimate:
    """Memory of the network's weights once a node needs them."""
    literals, environment = inputs.literals, inputs.environment
    if literals.get("control_net") is None:
        return Estimate()
    byte_count = control_bytes(
        literals["control_net"],
        environment.models,
        dtype=computed_dtype(literals.get("dtype") or "auto", environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
        storage=literals.get("storage") or "auto",
    )
    return Estimate(memory=0, weights={"control_net": byte_count})


def _find_control(inputs: HookInputs) -> FoundControl | None:
    name, environment = inputs.literals.get("control_net"), inputs.environment
    if name is None:
        return None
    return find_control(name, environment.models, allow_pickle=environment.allow_pickle)


def check_controlled(inputs: HookInputs) -> Iterator[Finding]:
    """Find networks for other models, and inputs that are missing or have no effect."""
    literals = inputs.literals
    start, end = literals.get("start"), literals.get("end")
    if start is not None and end is not None and start >= end:
        yield Finding("end", "the end is not after the start", str(end), f"more than {start:g}")
    known = inputs.facts.get("control_net", {})
    if "family" not in known:
        return
    yield from _check_family(inputs, str(known["family"]))
    latents, has_vae = bool(known["sees_latents"]), "vae" not in literals
    if latents and not has_vae:
        yield Finding(
            "vae",
            "the control network takes latents, and no VAE is linked",
            expected="the VAE of the model",
        )
    own, latent_format = _format(str(known["family"])), inputs.fact("vae", "format")
    if latents and latent_format is not None and own is not None and latent_format != own:
        yield Finding("vae", "the VAE has another latent format", str(latent_format), own)
    has_mask = "mask" not in literals
    if known["takes_mask"] and not has_mask:
        yield Finding("mask", "the control network inpaints, and no mask is linked")
    if known["fills_beside"]:
        yield from _check_filled(has_mask, "inpaint_image" not in literals)
    else:
        if latents and has_mask and not known["takes_mask"]:
            yield Finding("mask", "the control network takes no mask", hint="Unlink the mask.")
        if "inpaint_image" not in literals:
            yield Finding(
                "inpaint_image",
                "the control network takes no image to fill beside its control image",
                hint="Unlink it. Other networks that fill take the image as `image`.",
            )
    if literals.get("mode") is not None:
        kind = ControlKind(latents, 3, known["modes"])
        try:
            mode_number(kind, literals["mode"])
        except NodegraphError as error:
            yield error_to_finding("mode", error)


def _check_filled(has_mask: bool, has_image: bool) -> Iterator[Finding]:
    if has_mask != has_image:
        yield Finding(
            "inpaint_image" if has_mask else "mask",
            "the control network takes an image to fill with its mask, and one of them is missing",
            expected="both or none",
        )


def _check_family(inputs: HookInputs, own: str) -> Iterator[Finding]:
    fitting = (own, *FAMILIES[own].accepts_prompts_of)
    for port in ("positive", "negative"):
        prompt_family = inputs.fact(port, "family")
        if prompt_family in FAMILIES and prompt_family not in fitting:
            yield Finding(
                "control_net",
                f"the control network is for {FAMILIES[own].title}, and the {port} prompt for "
                f"{FAMILIES[prompt_family].title}",
                own,
                f"a ControlNet for {FAMILIES[prompt_family].title}",
                code="wrong-family",
            )
            return


def _format(family: str) -> str | None:
    return FAMILIES[family].latent.name if family in FAMILIES else None


def control_estimate(inputs: HookInputs) -> Estimate:
    """Memory of ApplyControlNet and the weights it passes on.

    It needs memory only where the control image is encoded by the VAE.
    """
    sees_latents = inputs.fact("control_net", "sees_latents")
    encoded = encode_clip_estimate if inputs.fact("control_net", "of_videos") else encode_estimate
    taken = encoded(inputs) if sees_latents else Estimate(memory=0)
    handed_on = ("control_net",)
    return replace(taken, carries={"positive": handed_on, "negative": handed_on})
