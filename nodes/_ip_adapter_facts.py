"""Facts and checks of the IP-Adapter nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.families.registry import FAMILIES
from nodegraph.models.ip_adapters.image_prompt_files import (
    AUTO,
    IPAdapterFile,
    check_ip_adapter_family,
    find_image_encoder,
    find_redux,
    image_encoder_files,
    read_ip_adapter,
)

from ._facts import error_to_finding
from ._sampling_facts import check_findings


def _find_adapter(inputs: HookInputs) -> IPAdapterFile | None:
    name = inputs.literals.get("ip_adapter")
    return None if name is None else read_ip_adapter(name, inputs.environment.models)


def ip_adapter_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Family and size of the output of LoadIPAdapter; empty if it cannot be loaded."""
    try:
        adapter = _find_adapter(inputs)
    except NodegraphError:
        # `check_ip_adapter` reports it.
        return {}
    if adapter is None:
        return {}
    known: Facts = {"bytes": adapter.bytes}
    if adapter.family is not None:
        known = {**known, "family": adapter.family}
    return {"ip_adapter": known}


def check_ip_adapter(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no IP-Adapter, and image encoders that do not fit it."""
    try:
        adapter = _find_adapter(inputs)
    except NodegraphError as error:
        yield error_to_finding("ip_adapter", error)
        return
    encoder = inputs.literals.get("image_encoder")
    if adapter is None or encoder is None:
        return
    try:
        find_image_encoder(adapter, encoder, inputs.environment.models)
    except NodegraphError as error:
        yield error_to_finding("image_encoder", error)


def ip_adapter_state(inputs: HookInputs) -> str:
    """Changes when one of its files changes."""
    adapter = _find_adapter(inputs)
    assert adapter is not None
    encoder = inputs.literals.get("image_encoder") or AUTO
    files, _ = find_image_encoder(adapter, encoder, inputs.environment.models)
    return " ".join(map(file_stamp, [adapter.path, *files]))


def ip_adapted_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """The facts of the model and the prompts, unchanged."""
    return {port: dict(inputs.facts.get(port, {})) for port in ("model", "positive", "negative")}


def check_ip_adapted(inputs: HookInputs) -> Iterator[Finding]:
    """Find adapters for other models."""
    family, own = inputs.fact("model", "family"), inputs.fact("ip_adapter", "family")
    if family is not None and "ip_adapter" in inputs.facts:
        yield from check_findings(
            check_ip_adapter_family, "ip_adapter", own, family, code="wrong-family"
        )


def added_weights(inputs: HookInputs) -> Estimate:
    """Memory that the adapter adds to the model once a node needs it."""
    added = inputs.fact("ip_adapter", "bytes")
    if added is None:
        return Estimate(memory=0)
    return Estimate(memory=0, weights={"model": int(added)}, shares={"model": "model"})


def check_redux(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no Redux model, and missing image encoders."""
    name, encoder = inputs.literals.get("redux"), inputs.literals.get("image_encoder")
    if name is None or encoder is None:
        return
    try:
        find_redux(name, encoder, inputs.environment.models)
    except NodegraphError as error:
        yield error_to_finding("redux", error)


def redux_state(inputs: HookInputs) -> str:
    """Changes when one of its files changes."""
    encoder = inputs.literals.get("image_encoder") or AUTO
    parts = find_redux(inputs.literals["redux"], encoder, inputs.environment.models)
    return " ".join(file_stamp(path) for paths in parts.values() for path in paths)


def check_redux_prompt(inputs: HookInputs) -> Iterator[Finding]:
    """Find prompts of other models."""
    prompt_family = inputs.fact("conditioning", "family")
    if prompt_family is not None and prompt_family != "flux" and prompt_family in FAMILIES:
        yield Finding(
            "conditioning",
            f"the prompt is for {FAMILIES[prompt_family].title}, and Redux is for Flux.1",
            prompt_family,
            "flux",
            code="wrong-family",
        )


def check_image_encoder(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no image encoder."""
    name = inputs.literals.get("image_encoder")
    if name is not None:
        try:
            image_encoder_files(name, inputs.environment.models)
        except NodegraphError as error:
            yield error_to_finding("image_encoder", error)


def image_encoder_state(inputs: HookInputs) -> str:
    """Changes when one of its files changes."""
    files = image_encoder_files(inputs.literals["image_encoder"], inputs.environment.models)
    return " ".join(map(file_stamp, files))


def check_revised(inputs: HookInputs) -> Iterator[Finding]:
    """Find prompts of models other than Stable Diffusion XL and stage C of Stable Cascade."""
    prompt_family = inputs.fact("conditioning", "family")
    if prompt_family in FAMILIES and prompt_family not in ("sdxl", "stable-cascade"):
        yield Finding(
            "conditioning",
            "image embeddings are a prompt of Stable Diffusion XL and Stable Cascade only",
            FAMILIES[prompt_family].title,
            hint="Use ApplyIPAdapter or ReferenceLatents for other models.",
            code="wrong-family",
        )
