"""Facts and checks of loading, text, VAE and image nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph import Estimate, Facts, Finding, HookInputs, InvalidValue, NodegraphError
from nodegraph.core.context import CpuDevice
from nodegraph.core.weight_files import file_stamp
from nodegraph.families.family_checks import (
    Medium,
    check_decodes_images,
    check_decodes_sound,
    check_is_image,
    check_vae_medium,
)
from nodegraph.families.registry import FAMILIES, get_latent_format
from nodegraph.media.images.memory_checks import check_memory, vae_bytes
from nodegraph.media.images.output_names import check_folder, check_pattern, pattern_findings
from nodegraph.models.facts import (
    ModelFacts,
    StoredWeights,
    missing_encoder,
    model_facts,
    stored_weights,
)
from nodegraph.models.model_files import computed_dtype, model_stamp
from nodegraph.models.model_sources import locate_model
from nodegraph.weights.numerics import cpu_has_bfloat16
from nodegraph.weights.precision.storage import AUTO, ITEM_BYTES

if TYPE_CHECKING:
    from nodegraph import Context
    from nodegraph.core.values import Recipe


def model_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Family and latent format of the outputs of LoadModel; empty if it cannot be loaded."""
    if inputs.literals.get("model") is None:
        return {}
    try:
        known = _known(inputs)
    except NodegraphError:
        # `check_model` reports it.
        return {}
    facts: dict[str, object] = dict(known)
    # Sizes are of no model without a VAE.
    of_vae = _VAE_FACTS if "held_decoding" in known else ()
    return {
        "model": {
            **model_port(known),
            **number_size_fact(inputs),
            "whole_model": inputs.literals["model"],
        },
        "text_encoder": {"family": known["family"], **_missing_parts_fact(inputs)},
        "vae": {
            **_latent_facts(known),
            **{name: facts[name] for name in of_vae},
            **sound_fact(known.get("decodes_sound")),
            **number_size_fact(inputs),
        },
    }


def sound_fact(decodes_sound: bool | None) -> Facts:
    """Whether a VAE has parts for the sound of videos; nothing of VAEs that are never asked."""
    return {} if decodes_sound is None else {"decodes_sound": decodes_sound}


def _missing_parts_fact(inputs: HookInputs) -> Facts:
    literals, environment = inputs.literals, inputs.environment
    allow = environment.allow_pickle
    source = locate_model(literals["model"], environment.models, allow_pickle=allow)
    lacking = missing_encoder(source)
    return {"lacks": lacking} if lacking else {}


_VAE_FACTS = ("downscale", "temporal", "held_decoding", "held_encoding")


def number_size_fact(inputs: HookInputs) -> Facts:
    """Bytes per number in the compute precision of a model's part."""
    device = inputs.environment.device
    dtype = computed_dtype(inputs.literals.get("dtype") or AUTO, device)
    if dtype == AUTO:
        # Published files are in half precision.
        dtype = "float32" if device == "cpu" else "float16"
    return {"held_item": ITEM_BYTES[dtype]}


def model_port(known: ModelFacts) -> Facts:
    """Facts of a denoiser at its port."""
    facts: dict[str, object] = dict(known)
    size = ("width", "height", "multiple", "temporal", "noise", "prediction_type", "held_step")
    guidance_facts = ("guides_itself", "takes_scale", "needs_negative")
    more = ("positions", "sound_levels", "takes", "needs", "key_value_numbers")
    alike = FAMILIES[known["family"]].accepts_prompts_of
    return {
        "family": known["family"],
        **({"family_also": alike} if alike else {}),
        **_latent_facts(known),
        **{name: facts[name] for name in (*size, *guidance_facts, *more) if name in facts},
    }


def _latent_facts(known: ModelFacts) -> Facts:
    return {"format": known["format"], "channels": known["latent_channels"]}


def check_model(inputs: HookInputs) -> Iterator[Finding]:
    """Find names of no model, and models that are damaged, refused or not supported."""
    if inputs.literals.get("model") is not None:
        try:
            _known(inputs)
        except NodegraphError as error:
            yield error_to_finding(error.problem.port or "model", error)
    yield from check_dtype(inputs)


def check_dtype(inputs: HookInputs) -> Iterator[Finding]:
    """Find a precision that is replaced by another one."""
    dtype = inputs.literals.get("dtype")
    if dtype is not None and computed_dtype(dtype, inputs.environment.device) != dtype:
        yield Finding(
            "dtype",
            "this CPU cannot compute in float16, so float32 is used",
            dtype,
            hint="Use bfloat16: it needs half the memory"
            + (" at about the same speed." if cpu_has_bfloat16() else ", but far more time."),
            code="dtype-replaced",
            is_warning=True,
        )


def _known(inputs: HookInputs) -> ModelFacts:
    literals, environment = inputs.literals, inputs.environment
    source = locate_model(
        literals["model"], environment.models, allow_pickle=environment.allow_pickle
    )
    return model_facts(
        source,
        prediction_type=literals.get("prediction_type") or "auto",
        zero_terminal_snr=literals.get("zero_terminal_snr") or "auto",
    )


def model_state(inputs: HookInputs) -> str:
    """Changes when a file of the model changes."""
    environment = inputs.environment
    return model_stamp(
        inputs.literals["model"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=loading_device(inputs),
    )


def loading_device(inputs: HookInputs) -> str:
    """The device of the run, for what says how a model is loaded.

    Where a precision is asked for, it says nothing of what auto would be.
    """
    device = inputs.environment.device
    return device if (inputs.literals.get("dtype") or AUTO) == AUTO else str(device)


def log_precision(ctx: Context, dtype: str, recipe: Recipe) -> None:
    """Say what a large model computes in on a CPU, if that is left to nodegraph."""
    device = ctx.environment.device
    if dtype == AUTO and isinstance(device, CpuDevice) and device.taken:
        ctx.log(
            f"It computes in {recipe.dtype} on this CPU: `cpu_precision` is {device.taken}, by "
            + ("measured speed" if device.choice == AUTO else "the workflow or the settings")
        )


def model_weights(inputs: HookInputs) -> Estimate:
    """Memory of a model's parts once a node needs them."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return Estimate()
    source = locate_model(name, environment.models, allow_pickle=environment.allow_pickle)
    weights = stored_weights(
        source,
        dtype=computed_dtype(inputs.literals.get("dtype") or "auto", environment.device),
        allow_pickle=environment.allow_pickle,
        device=environment.device,
        storage=inputs.literals.get("storage") or AUTO,
    )
    return weights_estimate(weights)


def weights_estimate(stored: Mapping[str, StoredWeights]) -> Estimate:
    """Memory of weights once a node needs them, by port."""
    weights = {port: part.bytes for port, part in stored.items()}
    return Estimate(memory=0, weights=weights, parts={p: part.parts for p, part in stored.items()})


def input_path(inputs: HookInputs) -> Path | None:
    """The file that `path` names, or None if it is not known yet."""
    name = inputs.literals.get("path")
    if name is None:
        return None
    try:
        return inputs.environment.inputs / Path(name).expanduser()
    except RuntimeError:  # ~name of an unknown user: it is reported as a missing file
        return inputs.environment.inputs / str(name)


def image_state(inputs: HookInputs) -> str:
    """Changes when the image file changes."""
    path = input_path(inputs)
    assert path is not None
    return file_stamp(path)


def check_result_name(inputs: HookInputs) -> Iterator[Finding]:
    """Find names that cannot be a result's, and output folders without write access."""
    name = inputs.literals.get("name")
    try:
        if name is not None:
            check_pattern(name)
            yield from pattern_findings(name, inputs.nodes)
        check_folder(inputs.environment.outputs)
    except NodegraphError as error:
        yield error_to_finding("name", error)


def check_decoded_size(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of sound, latents of videos and solids, and images that need too much memory, even
    with tiled decoding.
    """
    findings = [*vae_findings(inputs, "images", "VAEDecodeAudio")]
    if findings:
        yield from findings
        return
    form = inputs.fact("vae", "format")
    try:
        check_is_image(inputs.fact("latent", "frames") or 1)
        if form is not None:
            check_decodes_images(get_latent_format(form))
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or "latent", error)
        return
    yield from _vae_findings(inputs, "latent")


def vae_findings(inputs: HookInputs, medium: Medium, node: str) -> Iterator[Finding]:
    """Find models without a VAE, and VAEs of another medium; see `check_vae_medium`."""
    form = inputs.fact("vae", "format")
    try:
        if form is not None:
            check_vae_medium(get_latent_format(form), medium, node)
        if medium == "sound" and inputs.fact("vae", "decodes_sound") is False:
            check_decodes_sound(has_parts=False)
    except InvalidValue as error:
        yield error_to_finding("vae", error)


def check_tiles(inputs: HookInputs) -> Iterator[Finding]:
    """Find tiles that overlap by more than half."""
    tile, overlap = inputs.literals.get("tile"), inputs.literals.get("overlap")
    if tile and overlap is not None and 2 * overlap > tile:
        yield Finding(
            "overlap",
            "the tiles overlap by more than half",
            f"{overlap} pixels",
            f"{tile // 2} at most",
        )


def _vae_findings(inputs: HookInputs, port: str) -> Iterator[Finding]:
    yield from check_tiles(inputs)
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    if width is None or height is None:
        return
    pictures = inputs.fact(port, "batch") or 1
    try:
        check_memory(width, height, pictures, vae_bytes(width, height, pictures), port=port)
    except InvalidValue as error:
        yield error_to_finding(port, error)


def check_transparency(inputs: HookInputs) -> Iterator[Finding]:
    """Find images with transparency, which a VAE cannot encode."""
    if inputs.fact("image", "channels") == 4:
        yield Finding(
            "image",
            "the image has transparency, which a VAE cannot encode",
            "4 channels",
            "3 or 1 channels",
            "Put a FlattenImage node before this node.",
            "wrong-channels",
        )


def check_encoded_size(inputs: HookInputs) -> Iterator[Finding]:
    """Find VAEs of sound, and images that the VAE cannot encode or that need too much memory."""
    findings = [*vae_findings(inputs, "images", "VAEEncodeAudio")]
    if findings:
        # Sizes that a VAE of sound does not know would mislead.
        yield from findings
        return
    yield from _vae_findings(inputs, "image")
    yield from check_transparency(inputs)
    factor = inputs.fact("vae", "downscale")
    yield from check_sides(
        inputs, "image", "VAE", factor, "Put a ResizeImage node before this node."
    )


def check_sides(
    inputs: HookInputs, port: str, worker: str, multiple: int | None, hint: str | None = None
) -> Iterator[Finding]:
    """Find sides of an input that do not fit a VAE or model.

    Args:
        worker: Name of the VAE or model in the message.
        multiple: Sides must be multiples of this number of pixels; None if unknown.
    """
    for side in ("width", "height"):
        pixels = inputs.fact(port, side)
        if pixels is not None and multiple is not None and pixels % multiple:
            yield Finding(
                port,
                f"the {side} does not fit the {worker}",
                f"{pixels} pixels",
                f"a multiple of {multiple}",
                hint,
                "wrong-size",
            )


def error_to_finding(port: str, error: NodegraphError) -> Finding:
    """An error as a finding of a check, at a port."""
    problem = error.problem
    return Finding(
        port, problem.message, problem.given, problem.expected, problem.hint, problem.code
    )
