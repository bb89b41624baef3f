"""Facts and checks of the guider nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.models.helper_files import locate_classifier, read_classifier
from nodegraph.sampling.guiders.checks import (
    CLASSIFIED,
    PERTURBED,
    SKIPPED,
    UNET_ATTENTION,
    check_interval,
    layer_names,
)
from nodegraph.sampling.guiders.context_windows import check_overlap
from nodegraph.sampling.guiders.methods import GUIDER_NAMES

from ._facts import error_to_finding
from ._sampling_facts import check_findings, has_negative


def single_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The model is evaluated for one prompt only."""
    return {"guider": {"sides": 1, "has_negative": False}}


def guided_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of prompts the model is evaluated for."""
    cfg = inputs.literals.get("cfg")
    known: dict[str, object] = {"has_negative": has_negative(inputs)}
    return {"guider": known if cfg is None else {**known, "sides": 2 if cfg > 1 else 1}}


def projected_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of prompts of a guider that needs a model with classifier-free guidance."""
    return {"guider": {**guided_prompt_facts(inputs)["guider"], "projected": True}}


def named_guider_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of prompts; a pack's guider needs a model with classifier-free guidance."""
    is_usual = inputs.literals.get("guider") in (None, *GUIDER_NAMES)
    return guided_prompt_facts(inputs) if is_usual else projected_prompt_facts(inputs)


def dual_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of prompts the model is evaluated for, independent of the scale."""
    return {"guider": {"sides": 3, "dual": True, "has_negative": has_negative(inputs)}}


def check_guided_part(inputs: HookInputs) -> Iterator[Finding]:
    """Find guidance that ends before it begins."""
    start, end = (inputs.literals.get(port) for port in ("start", "end"))
    if start is not None and end is not None:
        yield from check_findings(check_interval, "start", start, end)


def distilled_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of prompts of a model that takes a guidance scale as an input."""
    return {"guider": {**guided_prompt_facts(inputs)["guider"], "embedded": True}}


def guider_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The facts of the guider, unchanged."""
    return {"guider": dict(inputs.facts.get("guider", {}))}


def changing_scale_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Number of prompts the model is evaluated for if the scale changes."""
    known, cfg = dict(inputs.facts.get("guider", {})), inputs.literals.get("cfg")
    if cfg is not None and cfg > 1:
        known["sides"] = max(2, known.get("sides", 2))
    return {"guider": known}


def tiled_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the tiles that the model evaluates."""
    tile = [inputs.literals.get("tile_width"), inputs.literals.get("tile_height")]
    known = inputs.facts.get("guider", {})
    return {"guider": known if None in tile else {**known, "tile": tile}}


def windowed_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Frames that the model sees at once: their number, its unit, and frames before them."""
    names = ("length", "unit", "context_frame")
    length, unit, context = (inputs.literals.get(name) for name in names)
    known = inputs.facts.get("guider", {})
    if length is None or unit is None:
        return {"guider": known}
    return {"guider": {**known, "window": [length, unit, int(context != "none")]}}


def check_context_windows(inputs: HookInputs) -> Iterator[Finding]:
    """Find windows that overlap by all of their frames."""
    length, overlap = inputs.literals.get("length"), inputs.literals.get("overlap")
    if length is not None and overlap is not None:
        yield from check_findings(check_overlap, "overlap", length, overlap)


def perturbed_attention_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The guider changes the attention."""
    return _with_added(inputs, PERTURBED)


def skipped_layer_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The guider skips blocks."""
    return _with_added(inputs, SKIPPED)


def unet_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The guider needs a UNet."""
    return _with_added(inputs, UNET_ATTENTION)


def auto_guidance_estimate(inputs: HookInputs) -> Estimate:
    """The weights that AutoGuidance passes on."""
    return Estimate(memory=0, carries={"guider": ("weaker",)})


def negative_model_estimate(inputs: HookInputs) -> Estimate:
    """The weights that NegativeModel passes on."""
    return Estimate(memory=0, carries={"guider": ("model",)})


def classifier_guidance_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The guider classifies the noisy latent."""
    return _with_added(inputs, CLASSIFIED)


def extra_prompt_facts(inputs: HookInputs) -> dict[str, Facts]:
    """One more prompt is evaluated, independent of the scale."""
    known = inputs.facts.get("guider", {})
    return {"guider": {**known, "sides": max(2, known.get("sides", 2)) + 1, "dual": True}}


def _with_added(inputs: HookInputs, kind: str) -> dict[str, Facts]:
    known = inputs.facts.get("guider", {})
    return {"guider": {**known, "added": [*known.get("added", ()), kind]}}


def check_perturbed(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid layer names, and guidance that ends before it begins."""
    yield from check_guided_part(inputs)
    layers = inputs.literals.get("layers")
    if layers is not None:
        yield from check_findings(layer_names, "layers", layers)


def check_classified(inputs: HookInputs) -> Iterator[Finding]:
    """Find labels that a classifier does not know, and guidance that ends before it begins."""
    yield from check_guided_part(inputs)
    name = inputs.fact("classifier", "file")
    label, background = (inputs.literals.get(port) for port in ("label", "background"))
    if name is None or label is None or background is None:
        return
    try:
        about = read_classifier(locate_classifier(name, inputs.environment.models))
    except NodegraphError:
        # `check_classifier` reports it.
        return
    yield from check_findings(about.class_indices, "label", label, background)


def classifier_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The classifier's file."""
    name = inputs.literals.get("classifier")
    return {} if name is None else {"classifier": {"file": name}}


def check_classifier(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no classifier, and files without a classifier."""
    name = inputs.literals.get("classifier")
    if name is not None:
        try:
            read_classifier(locate_classifier(name, inputs.environment.models))
        except NodegraphError as error:
            yield error_to_finding("classifier", error)


def classifier_state(inputs: HookInputs) -> str:
    """Changes when the file changes."""
    return file_stamp(locate_classifier(inputs.literals["classifier"], inputs.environment.models))
