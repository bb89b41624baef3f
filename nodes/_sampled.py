"""Run a sampling in a node: with checkpoints, previews, cancellation and log messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph import Context, DiffusionModel, InvalidValue, Latent, NodegraphError, Recipe
from nodegraph.core.foreign_value import unpatched
from nodegraph.families.speed_options import FASTEST, read_speed_options, speed_text
from nodegraph.media.images.memory_checks import check_sampling_memory
from nodegraph.sampling.sampling_parts import SamplingParts

if TYPE_CHECKING:
    from nodegraph.families.components import Denoiser
    from nodegraph.sampling.denoise import Denoising
    from nodegraph.sampling.prompt_batching import MeasuredBatching
    from nodegraph.sampling.schedules import NoiseLevels


class SamplingResult(NamedTuple):
    """Result of a sampling.

    Attributes:
        latent: The latent at the end of the schedule, with leftover noise if the schedule leaves
            some.
        denoised: The model's prediction of the clean latent.
    """

    latent: Latent
    denoised: Latent


PART_PORTS: Mapping[str, str] = {
    **dict.fromkeys(("positive", "negative", "second", "cfg", "second_cfg"), "guider"),
    **dict.fromkeys(("steps", "denoise", "sigmas", "sigma_max", "sigma_min"), "schedule"),
    "seed": "noise",
}
"""Port of a node with separate parts for the port that an error names."""


def plan_noise_levels(
    ctx: Context, model: DiffusionModel, latent: Latent, parts: SamplingParts
) -> NoiseLevels:
    """Check that the sampling is possible, before weights load.

    Returns:
        The noise levels to sample.
    """
    from nodegraph.sampling.controls.control_conditioning import unapplied_messages
    from nodegraph.sampling.preflight import plan_levels

    size, is_guided = (latent.width, latent.height), parts.guider.is_guided
    if parts.guider.tiling is not None:
        size = parts.guider.tiling.size_in(size)
    # sizes that were unknown when the workflow was checked
    check_sampling_memory(size, latent.batch_size, ctx.device, is_guided=is_guided, port="latent")
    noise_levels = plan_levels(model, latent, parts)
    for line in unapplied_messages(parts.guider.prompts.values(), noise_levels):
        ctx.log(line, "warning")
    return noise_levels


@contextmanager
def live_model(
    ctx: Context,
    model: DiffusionModel,
    parts: SamplingParts,
    latent: Latent,
    noise_levels: NoiseLevels,
) -> Iterator[Denoiser]:
    """The loaded model with its ControlNets and the LoRAs of its prompts."""
    from nodegraph.sampling.controls.control_conditioning import controls_in, scaling_messages
    from nodegraph.sampling.prompt_adapters import adapted_recipes, mix_messages

    for line in scaling_messages(parts.guider.positive, (latent.width, latent.height)):
        ctx.log(line)
    steps = range(noise_levels.first, noise_levels.end)
    spans = [
        (noise_levels.point(step)[-1], noise_levels.progress_after_step(step)) for step in steps
    ]
    recipes = adapted_recipes(model, parts.guider.prompts.values(), spans)
    for line in mix_messages(model, recipes.values()):
        ctx.log(line, "warning")
    with ExitStack() as held:
        denoiser: Denoiser = held.enter_context(ctx.weights(model, calls_only=True))
        networks = {
            recipe: held.enter_context(ctx.weights(recipe, calls_only=True))
            for recipe in controls_in(*parts.guider.prompts.values())
        }
        adapted = {
            adapters: held.enter_context(ctx.weights(recipe, calls_only=True))
            for adapters, recipe in recipes.items()
        }
        seat = held.enter_context(ctx.seat())
        batching = _prompt_batching(ctx, model)
        is_usual = not networks and not adapted and seat is None and batching is None
        more = {"controls": networks, "adapted": adapted, "seat": seat, "batching": batching}
        yield denoiser if is_usual else replace(denoiser, **more)


def _prompt_batching(ctx: Context, model: DiffusionModel) -> MeasuredBatching | None:
    """What decides whether the prompts of a step share a batch, if that is left to a measurement.

    On a CPU nothing is measured: prompts share a batch.
    """
    folder = ctx.environment.measured
    is_measured = read_speed_options(model).prompts == FASTEST
    # With a small footprint, prompts are evaluated one by one in any case.
    if not is_measured or folder is None or ctx.device == "cpu" or ctx.footprint == "small":
        return None
    from nodegraph.sampling.prompt_batching import MeasuredBatching, model_label
    from nodegraph.weights.numerics import LibraryNumerics

    profile = LibraryNumerics().profile(ctx.device)
    return MeasuredBatching(
        folder, read=ctx.file, label=model_label(model), profile=profile, tell=ctx.log
    )


def undenoised_latent(
    ctx: Context, model: DiffusionModel, latent: Latent, convention: str
) -> Latent:
    """The latent for denoise 0. With the ComfyUI convention, an empty one becomes zeros.

    Raises:
        InvalidValue: The latent is empty.
    """
    if latent.samples is None and convention == "comfyui":
        from nodegraph.sampling.initial_latent import zeros_for

        with ctx.weights(unpatched(model), calls_only=True) as denoiser:
            return zeros_for(denoiser, latent)
    if latent.samples is None:
        raise InvalidValue(
            "an empty latent has no content to return at denoise 0",
            port="denoise",
            given="0",
            expected="above 0, up to 1, or the latent of an image",
        )
    return latent


def sample_latent(
    ctx: Context,
    model: DiffusionModel,
    latent: Latent,
    parts: SamplingParts,
    *,
    stop: int | None = None,
) -> Latent:
    """Sample a latent, resuming from a checkpoint of an earlier attempt.

    Args:
        stop: Step to stop after. The same sampling can continue from there later.
    """
    from nodegraph.sampling.denoise import apply_patches
    from nodegraph.sampling.previews import Previews

    model, latent, parts, begin = apply_patches(model, latent, parts)
    noise_levels = plan_noise_levels(ctx, model, latent, parts)
    previews = Previews(ctx, model)
    with live_model(ctx, model, parts, latent, noise_levels) as denoiser:
        denoising = begin(denoiser, latent, parts)
        end = denoising.total if stop is None else stop
        _restore(denoising, ctx, up_to=end)
        while denoising.step < end:
            info = denoising.advance(partial(ctx.check_cancelled, waits=False))
            stops_early = info.step == end < info.total
            if denoising.is_savable:
                ctx.checkpoint(info.step, info.total, denoising.state, keep=stops_early)
            ctx.progress(info.step, end, preview=previews.of(info.denoised))
        log_speed(ctx, model, denoising)
        return denoising.result()


def sample_with_parts(
    ctx: Context,
    model: DiffusionModel | None,
    latent: Latent,
    parts: SamplingParts,
    *,
    ports: Mapping[str, str] = PART_PORTS,
) -> SamplingResult:
    """As `sample_latent`, and return the prediction of the last step, which a checkpoint lacks.

    Args:
        model: None for the model of a pack's guider.
        ports: Port of this node for the port that an error names.
    """
    from nodegraph.sampling.denoise import apply_patches
    from nodegraph.sampling.previews import Previews

    with _at_ports(ports):
        model, latent, parts, begin = apply_patches(model, latent, parts)
        noise_levels = plan_noise_levels(ctx, model, latent, parts)
    _warn_of_noise_gap(
        ctx, latent, float(noise_levels.sigmas[noise_levels.first]), added=parts.noise.added
    )
    previews = Previews(ctx, model)
    with (
        live_model(ctx, model, parts, latent, noise_levels) as denoiser,
        _load_extra_models(ctx, parts) as extra_models,
        _at_ports(ports),
    ):
        denoising = begin(denoiser, latent, parts, extra_models)
        _restore(denoising, ctx, up_to=denoising.total - 1)
        for info in denoising.steps(partial(ctx.check_cancelled, waits=False)):
            if info.step < info.total and denoising.is_savable:
                ctx.checkpoint(info.step, info.total, denoising.state)
            ctx.progress(info.step, info.total, preview=previews.of(info.denoised))
        log_speed(ctx, model, denoising)
        if parts.guider.description:
            ctx.log(f"guider: {parts.guider.description}")
        return SamplingResult(denoising.result(), denoising.denoised(info))


@contextmanager
def _load_extra_models(ctx: Context, parts: SamplingParts) -> Iterator[dict[Recipe, Any]]:
    """Other models that a guider needs in memory, by recipe."""
    with ExitStack() as stack:
        yield {
            recipe: stack.enter_context(
                # A classifier also needs its gradient.
                ctx.weights(recipe, calls_only=isinstance(recipe, DiffusionModel))
            )
            for recipe in parts.guider.recipes
        }


def log_speed(ctx: Context, model: DiffusionModel, denoising: Denoising) -> None:
    """Log how the sampling was sped up, and what that saved."""
    speed = speed_text(model)
    if speed:
        ctx.log(": ".join(filter(None, (f"sampled with {speed}", denoising.reuse))))


def _restore(denoising: Denoising, ctx: Context, *, up_to: int) -> None:
    """Resume from the checkpoint of an earlier attempt, if there is one."""
    checkpoint = ctx.restored(up_to=up_to)
    if checkpoint is None:
        return
    try:
        denoising.restore(checkpoint.state)
    except ValueError as error:
        text = f"{error}: sampling starts at step 1, not at {checkpoint.step + 1}"
        ctx.log(text, "warning", about="run")


_SIGMA_TOLERANCE = 0.05
"""Relative difference up to which two noise levels count as the same."""


def _warn_of_noise_gap(ctx: Context, latent: Latent, sigma: float, *, added: bool) -> None:
    """Warn if the leftover noise is at another level than the start of the sampling."""
    left = latent.leftover
    if added or left is None or abs(left.sigma - sigma) <= _SIGMA_TOLERANCE * sigma:
        return
    ctx.log(
        f"the leftover noise is at sigma {left.sigma:.4g}, but sampling continues from "
        f"{sigma:.4g}: the image will be too noisy or too smooth",
        "warning",
    )


@contextmanager
def _at_ports(ports: Mapping[str, str]) -> Iterator[None]:
    """Map the ports that errors name to the ports of this node."""
    try:
        yield
    except NodegraphError as error:
        port = error.problem.port or ""
        error.problem = replace(error.problem, port=ports.get(port, port) or None)
        raise
