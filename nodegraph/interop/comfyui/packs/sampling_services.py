"""Services of the main worker that sample, at once or step by step; see `services`.

Functions of a pack that change predictions or masks are called back while a sampling runs here.
Where a pack walks the noise levels itself, it asks for predictions one by one.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import Context
from nodegraph.core.foreign_value import LentModel
from nodegraph.core.values import Conditioning, DiffusionModel, Latent

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.interop.comfyui.packs.pack_denoising import PackDenoising
    from nodegraph.sampling.previews import Previews
    from nodegraph.sampling.sampling_parts import GuiderChoice, SamplingParts


@dataclass(slots=True)
class _Sampling:
    """A sampling that a pack's process runs step by step."""

    context: Context
    model: DiffusionModel
    denoising: PackDenoising
    previews: Previews
    stack: ExitStack
    denoised: Any = None


@dataclass(slots=True)
class _Samplings:
    """Samplings that are under way, by token. A call that ends closes its own."""

    running: dict[str, _Sampling] = field(default_factory=dict)

    def add(self, sampling: _Sampling) -> str:
        token = uuid.uuid4().hex
        self.running[token] = sampling
        weakref.finalize(sampling.context, self.close, token)
        return token

    def close(self, token: str) -> None:
        sampling = self.running.pop(token, None)
        if sampling is not None:
            sampling.stack.close()


_SAMPLINGS = _Samplings()


GUIDANCE = (
    *("RescaleCFG", "CFGNorm", "CFGZeroStar", "TCFG", "APG", "CFGOverride"),
    *("PerturbedAttentionGuidance", "SelfAttentionGuidance", "functions"),
)
"""Patches of guidance that guiders here know; ``functions`` are those of the pack."""


def _choice(guider: Mapping[str, Any], guidance: Sequence[Any]) -> GuiderChoice:
    from nodegraph.interop.comfyui.packs.pack_denoising import PackSides, patched_guider
    from nodegraph.sampling.guiders.methods import Dual
    from nodegraph.sampling.sampling_parts import GuiderChoice

    choice = GuiderChoice(guider["positive"], guider.get("negative"), guider.get("cfg", 1.0))
    if guider.get("second") is not None:
        choice = replace(choice, method=Dual(guider["second"], guider["second_cfg"]))
    if guider.get("others") is not None:
        choice = replace(choice, method=PackSides(guider["others"]))
    for kind, numbers in guidance:
        choice = patched_guider(choice, kind, numbers)
    return choice


def _parts(
    guidance: Sequence[Any],
    guider: Mapping[str, Any],
    noise: Mapping[str, Any],
    sampler: Mapping[str, Any],
    schedule: Mapping[str, Any],
) -> SamplingParts:
    from nodegraph.sampling.composed_schedules import named_schedule, ordered_schedule
    from nodegraph.sampling.sampler_options import SamplerOptions
    from nodegraph.sampling.sampling_parts import (
        SamplerChoice,
        SamplingNoise,
        SamplingParts,
        drops_a_level,
    )

    if "sigmas" in schedule:
        levels = ordered_schedule(schedule["sigmas"])
    else:
        dropped = drops_a_level(sampler["name"], "comfyui")
        named = schedule["name"], schedule["steps"], schedule["denoise"]
        levels = named_schedule(*named, "all", dropped=dropped)
        if "start" in schedule:
            levels = levels.part(schedule["start"], schedule["end"])
        levels = levels.closed() if schedule.get("closed") else levels
    options = SamplerOptions(**sampler["options"])
    if levels.rises and "tensor" in noise and not noise["tensor"].any():
        # ComfyUI adds the zeros of DisableNoise. Here a rising schedule begins without any noise.
        noise = {**{key: noise[key] for key in noise.keys() - {"tensor"}}, "added": False}
    return SamplingParts(
        SamplingNoise(draw="per batch", **noise),
        _choice(guider, guidance),
        SamplerChoice(sampler["name"], options),
        levels,
        "comfyui",
    )


@contextmanager
def _live_model(context: Context, model: DiffusionModel, parts: SamplingParts) -> Iterator[Any]:
    """The loaded model with the control networks of its prompts."""
    from nodegraph.sampling.controls.control_conditioning import controls_in

    with ExitStack() as stack:
        denoiser = stack.enter_context(context.weights(model, calls_only=True))
        networks = {
            recipe: stack.enter_context(context.weights(recipe, calls_only=True))
            for recipe in controls_in(*parts.guider.prompts.values())
        }
        yield replace(denoiser, controls=networks) if networks else denoiser


def _begin(
    context: Context,
    model: DiffusionModel,
    latent: Latent,
    parts: SamplingParts,
    *,
    asks_mask: bool = False,
) -> _Sampling:
    """Load the model and prepare a sampling. No checkpoints: a pack's node may sample repeatedly,
    and is not resumed in its middle."""
    from nodegraph.interop.comfyui.packs.pack_denoising import PackDenoising, PackFunctions
    from nodegraph.isolation.runner import call_back
    from nodegraph.media.images.memory_checks import check_sampling_memory
    from nodegraph.sampling.preflight import plan_levels
    from nodegraph.sampling.previews import Previews

    size, is_guided = (latent.width, latent.height), parts.guider.is_guided
    check_sampling_memory(
        size, latent.batch_size, context.device, is_guided=is_guided, port="latent"
    )
    plan_levels(model, latent, parts)
    stack = ExitStack()
    try:
        denoiser = stack.enter_context(_live_model(context, model, parts))
        extra = {
            recipe: stack.enter_context(
                context.weights(recipe, calls_only=isinstance(recipe, DiffusionModel))
            )
            for recipe in parts.guider.recipes
        }
        denoising = PackDenoising(denoiser, latent, parts, extra)
        denoising.asks_mask = asks_mask
        if asks_mask or any(isinstance(item, PackFunctions) for item in parts.guider.added):
            call_back(function="begin", sigmas=denoising.sigmas)
    except BaseException:
        stack.close()
        raise
    return _Sampling(context, model, denoising, Previews(context, model), stack)


def _advance(sampling: _Sampling) -> Mapping[str, Any]:
    context, denoising = sampling.context, sampling.denoising
    begun = denoising.noisy
    info = denoising.advance(partial(context.check_cancelled, waits=False))
    if info.step == info.total:
        sampling.denoised = denoising.denoised(info)
    context.progress(info.step, info.total, preview=sampling.previews.of(info.denoised))
    return {
        "step": info.step,
        "total": info.total,
        "x": begun,
        "denoised": info.denoised.to("cpu").float(),
        "sigma": info.sigma,
    }


def _fitted(latent: Latent, noise: Mapping[str, Any], model: DiffusionModel) -> dict[str, Any]:
    """The noise of a pack in the shape that latents of the model have here."""
    from nodegraph.families.registry import get_family

    tensor = noise.get("tensor")
    if tensor is not None and tensor.ndim == 5 and not get_family(model.family).latent.temporal:
        tensor = tensor.squeeze(2)
    return {**noise, "tensor": tensor}


def sample(
    context: Context,
    *,
    model: DiffusionModel,
    latent: Latent,
    noise: Mapping[str, Any],
    guider: Mapping[str, Any],
    sampler: Mapping[str, Any],
    schedule: Mapping[str, Any],
    guidance: Sequence[Any] = (),
    asks_mask: bool = False,
) -> dict[str, Latent]:
    """Sample a latent, with progress and previews of the node.

    Args:
        noise: Fields of `SamplingNoise`.
        guider: ``positive``, ``negative``, ``cfg``, and for two prompts ``second``, ``second_cfg``.
        sampler: ``name`` and ``options``.
        schedule: ``sigmas``, or ``name``, ``steps``, ``denoise``, ``start``, ``end``, ``closed``.
        guidance: Kinds and numbers of `GUIDANCE`.
        asks_mask: Whether a function of the pack changes the noise mask at each noise level.
    Returns:
        ``latent`` and ``denoised``, the prediction of the last step.
    """
    parts = _parts(guidance, guider, _fitted(latent, noise, model), sampler, schedule)
    sampling = _begin(context, model, latent, parts, asks_mask=asks_mask)
    with sampling.stack:
        while sampling.denoising.step < sampling.denoising.total:
            _advance(sampling)
        return {"latent": sampling.denoising.result(), "denoised": sampling.denoised}


def begin_sampling(
    context: Context,
    *,
    model: DiffusionModel,
    latent: Latent,
    noise: Mapping[str, Any],
    guidance: Sequence[Any] = (),
    asks_mask: bool = False,
    **parts: Any,
) -> str:
    """Begin a sampling that the pack's process runs step by step; see `sample`.

    Returns:
        A token for `step_sampling` and `end_sampling`.
    """
    sampling_parts = _parts(guidance, noise=_fitted(latent, noise, model), **parts)
    begun = _begin(context, model, latent, sampling_parts, asks_mask=asks_mask)
    return _SAMPLINGS.add(begun)


def step_sampling(context: Context, *, token: str) -> Mapping[str, Any]:
    """Run a step: its number, the noisy latent that it begins with, and the clean prediction."""
    return _advance(_SAMPLINGS.running[token])


def predict(
    context: Context,
    *,
    token: str,
    x: Tensor,
    sigma: float,
    apart: bool = False,
    with_sides: bool = False,
) -> dict[str, Tensor]:
    """Predict the clean latent of a sampling whose noise levels the pack walks itself.

    Args:
        x, sigma: The noisy latent, and its noise level.
        apart: Return the prediction of each prompt; else the guided one alone.
        with_sides: Return both.
    """
    context.check_cancelled(waits=False)
    denoising = _SAMPLINGS.running[token].denoising
    has_frames = x.ndim == 5 and denoising.is_flat
    shown = x.squeeze(2) if has_frames else x
    predicted = denoising.predict(shown, sigma, apart=apart, with_sides=with_sides)
    return {side: item.unsqueeze(2) if has_frames else item for side, item in predicted.items()}


def report_step(context: Context, *, token: str, step: int, total: int, denoised: Tensor) -> None:
    """Show a step of a sampling whose noise levels the pack walks itself.

    Args:
        step: Number of the step that is done, from 1.
        denoised: Its clean prediction.
    """
    sampling = _SAMPLINGS.running[token]
    shown = sampling.denoising.without_sound(denoised)
    context.progress(step, total, preview=sampling.previews.of(shown))


def end_sampling(context: Context, *, token: str) -> dict[str, Latent]:
    """End a sampling, and return its result as `sample` does."""
    sampling = _SAMPLINGS.running[token]
    try:
        return {"latent": sampling.denoising.result(), "denoised": sampling.denoised}
    finally:
        _SAMPLINGS.close(token)


def cancel_sampling(context: Context, *, token: str) -> None:
    """Give up a sampling: the pack's callback raised an error."""
    _SAMPLINGS.close(token)


def lend_model(
    context: Context,
    *,
    model: DiffusionModel,
    guidance: Sequence[Any],
    guides: bool,
    masks: bool,
    always_negative: bool,
    gradual: float | None,
    noise_scale: float,
) -> list[DiffusionModel]:
    """Run the native node that waits for a model, with what the pack set on the model.

    Args:
        guidance, guides, masks, always_negative, gradual, noise_scale: See `PackPatches`.
    Returns:
        The models that the node returns with these patches.
    """
    from nodegraph.interop.comfyui.packs.pack_denoising import PackPatches
    from nodegraph.isolation.runner import CALLBACK, call_back, lend

    kinds = tuple((kind, dict(numbers)) for kind, numbers in guidance)
    # Several models may be lent at once, so each keeps its own way back.
    call = CALLBACK.get() or call_back
    patches = PackPatches(kinds, guides, masks, always_negative, gradual, noise_scale, call)
    parts = model.family, model.files, model.dtype, model.options, model.adapters
    return [*lend(LentModel(*parts, patches))]


def lend_guider(
    context: Context,
    *,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None,
    cfg: float,
) -> list[DiffusionModel]:
    """Run the native node that waits for a guider of the pack.

    Args:
        model: The model that it samples.
        positive, negative, cfg: What the sampling is planned with.
    """
    from nodegraph.interop.comfyui.packs.pack_denoising import PackGuider
    from nodegraph.isolation.runner import CALLBACK, call_back, lend
    from nodegraph.sampling.sampling_parts import LentGuider

    walk = PackGuider(CALLBACK.get() or call_back)
    return [*lend(LentGuider(positive, negative, cfg, model=model, walk=walk))]


def lend_sampler(context: Context, *, token: str) -> list[DiffusionModel]:
    """Run the native node that waits for a sampler of the pack.

    Args:
        token: Stands for it if the guider of the same pack samples with it.
    """
    from nodegraph.interop.comfyui.packs.pack_denoising import PackWalk
    from nodegraph.isolation.runner import CALLBACK, call_back, lend
    from nodegraph.sampling.sampling_parts import LentSampler

    walk = PackWalk(CALLBACK.get() or call_back, partial(_offering, context), token)
    return [*lend(LentSampler("euler", walk=walk))]


@contextmanager
def _offering(context: Context, denoising: PackDenoising, model: DiffusionModel) -> Iterator[str]:
    """Inside the `with`, a pack gets predictions of a sampling by the token."""
    from nodegraph.sampling.previews import Previews

    token = _SAMPLINGS.add(
        _Sampling(context, model, denoising, Previews(context, model), ExitStack())
    )
    try:
        yield token
    finally:
        _SAMPLINGS.close(token)


def lend_noise(context: Context, *, seed: int) -> list[DiffusionModel]:
    """Run the native node that waits for noise of the pack.

    Args:
        seed: Of noise on the way.
    """
    from nodegraph.isolation.runner import CALLBACK, call_back, lend
    from nodegraph.sampling.sampling_parts import LentNoise

    call = CALLBACK.get() or call_back

    def draw(model: DiffusionModel, latent: Latent) -> Tensor:
        tensor: Tensor = call(model=model, latent=latent)
        fitted: Tensor = _fitted(latent, {"tensor": tensor}, model)["tensor"]
        return fitted

    return [*lend(LentNoise(seed, draw_for=draw))]
