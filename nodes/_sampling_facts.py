"""Pre-flight checks of the sampling nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.families.family_checks import (
    check_first_image_size,
    check_has_video,
    check_same_images,
    check_samples_sound,
    check_takes_guides,
    check_takes_sound,
    check_untiled,
)
from nodegraph.families.needed_media import (
    DRIVING_VIDEO,
    MASKED_IMAGE,
    STAGE_C_LATENT,
    lacking_error,
)
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import (
    ALIGN_YOUR_STEPS,
    check_align_your_steps,
    check_combination,
)
from nodegraph.families.schedule_checks import (
    check_churn,
    check_sampler_follows,
    last_step,
    schedule_and_sampled_steps,
    step_window,
)
from nodegraph.media.images.memory_checks import check_sampling_memory
from nodegraph.sampling.guiders.checks import (
    check_addable,
    check_guidable,
    check_negative,
    check_takes_scale,
)
from nodegraph.sampling.guiders.context_windows import check_windowed

from ._facts import check_sides, error_to_finding
from ._video_latent_facts import check_frames

LATENT_FACTS = {
    name: f"latent.{name}" for name in ("width", "height", "batch", "frames", "channels")
}
"""Facts of a latent that a node passes on."""


def check_sampling(inputs: HookInputs) -> Iterator[Finding]:
    """Find incompatible samplers and schedules, and invalid step counts and sizes."""
    yield from check_noise_levels(inputs)
    yield from _check_unguided_calls(inputs, inputs.literals.get("sampler"))


def check_ksampler(inputs: HookInputs) -> Iterator[Finding]:
    """As `check_sampling`, without the step checks if denoise is 0."""
    if inputs.literals.get("denoise") == 0:
        yield from _check_named(inputs)
    else:
        yield from check_sampling(inputs)


def check_noise_levels(inputs: HookInputs) -> Iterator[Finding]:
    """As `check_sampling`, for nodes that only use the noise levels."""
    yield from _check_named(inputs)
    if inputs.literals.get("end_step") is None:
        yield from check_steps(inputs)
    else:
        check = partial(last_step, counted=_step_convention(inputs))
        yield from _findings(check, inputs, "steps", "denoise", "end_step")


def check_window(inputs: HookInputs) -> Iterator[Finding]:
    """As `check_sampling`, and find step ranges outside the schedule."""
    yield from _check_named(inputs)
    yield from _check_unguided_calls(inputs, inputs.literals.get("sampler"))
    literals = inputs.literals
    steps, start, end = (literals.get(port) for port in ("steps", "start_step", "end_step"))
    if isinstance(steps, int) and isinstance(start, int):
        yield from check_findings(step_window, "start_step", steps, start, end)


def check_parts(inputs: HookInputs) -> Iterator[Finding]:
    """Find parts of a sampling that are incompatible, and invalid sizes."""
    sides = inputs.fact("guider", "sides")
    if "model" in inputs.literals and sides is not None:
        yield Finding(
            "model",
            "is not linked",
            hint="Link the model to sample. Only a guider of a pack brings one.",
        )
    yield from _check_latent(inputs, is_guided=(sides or 1) > 1)
    kind = inputs.fact("model", "noise") or "discrete"
    sampler, schedule_names = (
        inputs.fact("sampler", "sampler"),
        inputs.fact("schedule", "laws") or (),
    )
    if sampler is not None:
        rises = bool(inputs.fact("schedule", "rises"))
        told_by = inputs.literals.get("convention") or "diffusers"
        check = partial(check_sampler_follows, kind=kind, rises=rises, convention=told_by)
        yield from check_findings(check, "sampler", sampler, schedule_names)
        check = partial(check_churn, rises=rises)
        yield from check_findings(check, "sampler", inputs.fact("sampler", "s_churn"))
    yield from _check_guider(inputs, sampler)
    if ALIGN_YOUR_STEPS in schedule_names:
        yield from _check_aligned(inputs, kind)


def has_negative(inputs: HookInputs) -> bool:
    """Whether a negative prompt is linked."""
    return "negative" not in inputs.literals


def _check_unguided_calls(inputs: HookInputs, sampler: str | None) -> Iterator[Finding]:
    """Find samplers that evaluate a model without guidance if the model does not support it."""
    if inputs.fact("model", "guides_itself"):
        yield from check_findings(partial(check_guidable, needs_negative=False), "sampler", sampler)
    elif inputs.fact("model", "needs_negative") is False and not has_negative(inputs):
        yield from check_findings(
            partial(check_negative, needs_negative=False), "negative", sampler
        )


def _check_guider(inputs: HookInputs, sampler: str | None) -> Iterator[Finding]:
    """Find guiders, also with the sampler, that evaluate a model in an unsupported way."""
    known = inputs.facts.get("guider", {})
    guides_itself, is_told = inputs.fact("model", "guides_itself"), known.get("embedded")
    family = inputs.fact("model", "family")
    for kind in known.get("added", ()) if family else ():
        yield from check_findings(check_addable, "guider", kind, family)
    if known.get("tile") and family in FAMILIES and FAMILIES[family].sound is not None:
        yield from check_findings(check_untiled, "guider")
    if known.get("window") and family in FAMILIES:
        yield from check_findings(check_windowed, "guider", FAMILIES[family])
    if is_told and inputs.fact("model", "takes_scale") is False:
        yield from check_findings(partial(check_takes_scale, takes_scale=False), "guider")
    elif guides_itself:
        several = bool(known.get("dual") or known.get("projected"))
        yield from check_findings(
            partial(check_guidable, needs_negative=several), "guider", sampler
        )
    elif inputs.fact("model", "needs_negative") is False and known.get("has_negative") is False:
        check = partial(check_negative, needs_negative=bool(known.get("dual")))
        findings = check_findings(check, "guider", sampler)
        yield from (replace(finding, port="guider") for finding in findings)


def _check_named(inputs: HookInputs) -> Iterator[Finding]:
    """Find incompatible samplers and schedules, and invalid sizes."""
    yield from _check_latent(inputs, is_guided=(inputs.literals.get("cfg") or 1.0) > 1)
    kind = inputs.fact("model", "noise") or "discrete"
    told_by = inputs.literals.get("convention") or "diffusers"
    check = partial(check_combination, kind=kind, convention=told_by)
    yield from _findings(check, inputs, "sampler", "schedule")
    if inputs.literals.get("schedule") == ALIGN_YOUR_STEPS:
        yield from _check_aligned(inputs, kind)


def _check_latent(inputs: HookInputs, *, is_guided: bool) -> Iterator[Finding]:
    """Find latents that the model cannot sample, or that do not fit in memory."""
    if inputs.fact("latent", "without_video"):
        yield from check_findings(check_has_video, "latent", False)
        return
    findings = [*_check_medium(inputs)]
    if findings:
        # Sizes of another medium would mislead.
        yield from findings
        return
    yield from _check_media(inputs, family_title=_title(inputs))
    yield from _check_size(inputs, is_guided=is_guided)
    multiple = inputs.fact("model", "multiple")
    yield from check_sides(
        inputs, "latent", "model", multiple, "Choose a size that is a multiple of it."
    )
    yield from _check_only_size(inputs)
    yield from _check_positions(inputs)
    yield from _check_trained_size(inputs)
    frames = inputs.fact("latent", "frames")
    temporal, form = inputs.fact("model", "temporal"), inputs.fact("model", "format")
    yield from check_frames("latent", frames, temporal, form)


def _check_medium(inputs: HookInputs) -> Iterator[Finding]:
    """Find images and videos for models of sound, and sound and guides for models without."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    if family is None:
        return
    is_picture = inputs.fact("latent", "frames") is not None
    if is_picture and inputs.fact("latent", "format") is None:
        yield from check_findings(check_samples_sound, "latent", family)
    if inputs.fact("latent", "has_sound"):
        yield from check_findings(check_takes_sound, "latent", family)
    guides = inputs.fact("latent", "guides")
    if guides:
        yield from check_findings(check_takes_guides, "latent", family, len(guides))


_WITHOUT = {
    "references": "Remove ReferenceLatents, or load an editing model.",
    "control image": "Remove ImageConditioning, or load a model such as Flux.1 Canny.",
    "first image": "Load the image-to-video model of this family.",
    "control video": "Remove ControlVideoConditioning, or load a Fun control model.",
    "camera path": "Remove CameraConditioning, or load a Fun camera model of Wan.",
    MASKED_IMAGE: "Remove InpaintConditioning, or load an inpainting model.",
    "VACE context": "Remove VaceConditioning, or load a model of Wan VACE.",
    "animation": "Remove AnimationConditioning, or load a model of Wan Animate.",
    DRIVING_VIDEO: "Remove DrivingVideoConditioning, or load a model of Wan Animate 2.",
    STAGE_C_LATENT: "Remove StageBConditioning, or load the model of stage B.",
}
"""How to mend a prompt with something that the model does not take."""


def _check_media(inputs: HookInputs, *, family_title: str) -> Iterator[Finding]:
    """Find prompts with images or videos that the model does not take, by its configuration."""
    taken = inputs.fact("model", "takes")
    if taken is None:
        return
    for port in ("positive", "conditioning"):
        for medium in dict.fromkeys(inputs.fact(port, "media") or ()):
            if medium not in taken:
                yield Finding(
                    port,
                    f"the prompt has {_ARTICLES.get(medium, f'a {medium}')}, which this model of "
                    f"{family_title} does not take",
                    hint=_WITHOUT[medium],
                    code="wrong-model",
                )
        needed = inputs.fact("model", "needs")
        # A latent with a noise mask brings the masked image; only few nodes say that it has none.
        is_elsewhere = needed == MASKED_IMAGE and inputs.fact("latent", "masked") is not False
        # A node that does not say what it adds leaves `media` unknown.
        if needed and not is_elsewhere and inputs.fact(port, "media") == ():
            yield error_to_finding(port, lacking_error(needed, port))
        yield from _check_prompt_images(inputs, port)
        yield from _check_first_image(inputs, port)


def _check_prompt_images(inputs: HookInputs, port: str) -> Iterator[Finding]:
    """Find prompts whose images are not those of their references, by their numbers."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    counts = inputs.fact(port, "prompt_images"), inputs.fact(port, "reference_images")
    if family is not None and "same images" in family.image_inputs and None not in counts:
        yield from check_findings(partial(check_same_images, port=port), port, *counts)


def _check_first_image(inputs: HookInputs, port: str) -> Iterator[Finding]:
    """Find first images of another size than that of the latent."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    image = inputs.fact(port, "first_image_size")
    latent = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    # Keyframes are conditions beside the video, which the family compares itself.
    if family is None or family.first_picture == "keyframes" or image is None or None in latent:
        return
    check = partial(check_first_image_size, port=port)
    yield from check_findings(check, port, image, latent, family.latent.spatial, code="wrong-size")


_ARTICLES = {"references": "reference images", "animation": "an animation"}


def _title(inputs: HookInputs) -> str:
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    return "its family" if family is None else family.title


def _check_only_size(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of images for models that support one size only."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    size = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    if family is not None and None not in size:
        yield from check_findings(family.latent.check_size, "latent", size, family.title)


def _check_positions(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents that are larger than the model has positions for."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    limits = inputs.fact("model", "positions")
    width, height = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    if family is None or not limits or width is None or height is None:
        return
    pixels, size = family.latent, _evaluated_size(inputs, (width, height))
    frames = 1 if inputs.fact("guider", "window") else inputs.fact("latent", "frames") or 1
    count = pixels.latent_frames(frames) if pixels.temporal else 1
    yield from check_findings(PositionLimits(*limits).check, "latent", size, count, pixels.spatial)


_FAR = 4
"""Ratio of pixels to the training size from which models repeat or crop objects. A second pass at
twice the size is exempt because its `denoise` is below 1."""


def _check_trained_size(inputs: HookInputs) -> Iterator[Finding]:
    """Warn of sizes far from the training size, for images from noise."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    if family is not None and family.latent.is_sound:
        return
    size = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    trained = inputs.fact("model", "width"), inputs.fact("model", "height")
    if all(size):
        size = _evaluated_size(inputs, size)
    if not all(size) or not all(trained) or (inputs.literals.get("denoise") or 1.0) < 1:
        return
    share = size[0] * size[1] / (trained[0] * trained[1])
    if 1 / _FAR < share < _FAR:
        return
    many = "objects often repeat" if share > 1 else "only parts of objects are often shown"
    yield Finding(
        "latent",
        f"the size is far from the training size of the model, so {many}",
        f"{size[0]} x {size[1]}",
        f"about {trained[0]} x {trained[1]}",
        hint="Use about the training size, and upscale the result."
        if share > 1
        else "Use about the training size, and scale the result down.",
        code="untrained-size",
        is_warning=True,
    )


def _check_aligned(inputs: HookInputs, kind: str) -> Iterator[Finding]:
    """Find Align Your Steps schedules of another family."""
    family = FAMILIES.get(inputs.fact("model", "family") or "")
    if family is not None and kind == "discrete":
        check = partial(check_align_your_steps, title=family.title)
        yield from check_findings(check, "schedule", family.aligned)


def _check_size(inputs: HookInputs, *, is_guided: bool) -> Iterator[Finding]:
    """Find latents that do not fit in memory."""
    width, height = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    if width is None or height is None:
        return
    width, height = _evaluated_size(inputs, (width, height))
    pictures = inputs.fact("latent", "batch") or 1
    yield from _memory_findings(
        inputs, (width, height), pictures, is_guided=is_guided, port="latent"
    )


def _evaluated_size(inputs: HookInputs, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height that the model sees at once, which tiles of a guider limit."""
    tile = inputs.fact("guider", "tile") or size
    return min(size[0], tile[0]), min(size[1], tile[1])


_ALL_PATCHES = 32
"""Pixels whose multiples every model takes as sides."""


def empty_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Size and batch of an empty latent."""
    names = {"width": "width", "height": "height", "batch_size": "batch"}
    facts = {ours: inputs.literals.get(port) for port, ours in names.items()}
    step = inputs.literals.get("multiple_of")
    for side in ("width", "height"):
        pixels = facts[side]
        facts[side] = pixels and step and max(pixels // step, 1) * step
    if inputs.literals.get("any_size", False) and any(
        (facts[side] or 1) % _ALL_PATCHES for side in ("width", "height")
    ):
        # The model rounds the size to its own cells.
        del facts["width"], facts["height"]
    known = {name: value for name, value in facts.items() if value}
    return {"latent": {**known, "frames": 1, "masked": False}}


def empty_layers(inputs: HookInputs) -> dict[str, Facts]:
    """Size, batch and frames of an empty latent with layers: the whole image is a frame, too."""
    facts = empty_outputs(inputs)["latent"]
    layers = inputs.literals.get("layers")
    return {"latent": facts if layers is None else {**facts, "frames": layers + 1}}


def check_empty_latent(inputs: HookInputs) -> Iterator[Finding]:
    """Find sizes that do not fit in memory even for one image, because nodes may take few of a
    batch.
    """
    width, height = inputs.literals.get("width"), inputs.literals.get("height")
    if width is not None and height is not None:
        yield from _memory_findings(inputs, (width, height), 1, is_guided=False, port="width")


def _memory_findings(
    inputs: HookInputs, size: tuple[int, int], pictures: int, *, is_guided: bool, port: str
) -> Iterator[Finding]:
    device = inputs.environment.device
    try:
        check_sampling_memory(size, pictures, device, is_guided=is_guided, port=port)
    except InvalidValue as error:
        yield error_to_finding(port, error)


def check_steps(inputs: HookInputs) -> Iterator[Finding]:
    """Find step counts out of range, and a denoise that leaves no step."""
    check = partial(schedule_and_sampled_steps, counted=_step_convention(inputs))
    yield from _findings(check, inputs, "steps", "denoise")


def _step_convention(inputs: HookInputs) -> str:
    """How steps are counted when denoise is below 1."""
    return inputs.literals.get("denoise_steps") or "share"


def _findings(check: Callable[..., Any], inputs: HookInputs, *ports: str) -> Iterator[Finding]:
    """Findings of a check of some inputs. None if one of them is linked and so unknown."""
    values = [inputs.literals.get(port) for port in ports]
    if None not in values:
        yield from check_findings(check, ports[0], *values)


def check_findings(
    check: Callable[..., Any], port: str, *values: Any, code: str = "invalid-input"
) -> Iterator[Finding]:
    """Findings of a check of some values.

    Args:
        port: Port of the finding if the check names none.
        code: Kind of the problem.
    """
    try:
        check(*values)
    except InvalidValue as error:
        problem = error.problem
        port = problem.port or port
        yield Finding(
            port, problem.message, problem.given, problem.expected, problem.hint, code=code
        )
