"""ComfyUI's modules for sampling: ``comfy.samplers``, ``comfy.sample``, ``latent_preview``.

Samplings run in the main worker by the functions behind KSampler and SampleCustom, with ComfyUI's
conventions. A pack's own callback makes the worker stop after each step, and is called here.

Source of the interfaces and their defaults: https://github.com/comfyanonymous/ComfyUI
(``comfy/samplers.py``, ``comfy/sample.py``, ``nodes.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.core.values import DiffusionModel
from nodegraph.interop.comfyui.packs.model_handle import (
    FUNCTIONS,
    ModelHandle,
    ModelSampling,
    ask,
    refused,
)
from nodegraph.interop.comfyui.packs.stand_ins.guiders import (
    CFGGuider,
    Guider_Basic,
    Guider_DualCFG,
    calc_cond_batch,
    cfg_function,
    sampling_function,
)
from nodegraph.interop.comfyui.packs.stand_ins.remote_sampling import (
    Callback,
    PatchFunctions,
    fix_empty_latent_channels,
    native_latent,
    native_noise,
    native_prompts,
    sample_there,
    with_function,
)
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import (
    KSAMPLER,
    NATIVE_HANDLERS,
    SAMPLER_LIST,
    SCHEDULER_HANDLERS,
    SCHEDULER_NAMES,
    KSamplerX0Inpaint,
    LatentPreviewer,
    Noise_EmptyNoise,
    Noise_RandomNoise,
    Sampler,
    SchedulerHandler,
    calculate_sigmas,
    get_previewer,
    k_diffusion_names,
    ksampler,
    latent_formats,
    prepare_callback,
    prepare_noise,
    sampler_object,
)

_DROPPING = frozenset(("dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"))
"""Samplers whose last noise level but one is left out."""


def _named_schedule(
    scheduler: str,
    steps: int,
    denoise: float | None,
    start: int | None,
    last: int | None,
    *,
    closes: bool,
) -> dict[str, Any]:
    """A schedule by name with the window of steps of ComfyUI's advanced sampler."""
    share = 1.0 if denoise is None or denoise > 0.9999 else float(denoise)
    schedule: dict[str, Any] = {"name": scheduler, "steps": int(steps), "denoise": share}
    first = 0 if start is None else int(start)
    end = steps if last is None else min(int(last), steps)
    if first or end < steps:
        schedule |= {"start": first, "end": end}
    return {**schedule, "closed": closes}


def sample(
    model: ModelHandle,
    noise: Tensor,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent_image: Tensor,
    denoise: float = 1.0,
    disable_noise: bool = False,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
    noise_mask: Any = None,
    sigmas: Any = None,
    callback: Callback | None = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """Sample by the names of a sampler and a schedule (``comfy.sample.sample``).

    Args:
        noise: Standard normal noise of the shape of `latent_image`.
        denoise: Part of the schedule that runs: all steps of a longer one, from its end.
        start_step, last_step: Window of the steps that run.
        force_full_denoise: Whether the last step removes all noise.
        callback: Called after each step with its number, the prediction, the noisy latent and the
            number of steps.
    """
    sampler = sampler_object(sampler_name)
    window = (start_step, last_step)
    schedule = _schedule(
        model, sampler_name, scheduler, steps, denoise, sigmas, window, force_full_denoise
    )
    if schedule is None:
        return latent_image
    latent = native_latent(model, latent_image, noise_mask)
    towards, away = native_prompts(positive, negative)
    guider = {"positive": towards, "negative": away, "cfg": float(cfg)}
    quiet = torch.zeros_like(noise) if disable_noise else noise
    drawn = native_noise(quiet, seed, latent)
    functions = PatchFunctions(model, model.model_options, (positive, negative))
    return sample_there(functions, latent, drawn, guider, sampler, schedule, callback).samples


def _schedule(
    model: ModelHandle,
    sampler: str,
    scheduler: str,
    steps: int,
    denoise: float | None,
    sigmas: Any,
    window: tuple[int | None, int | None],
    closes: bool,
) -> dict[str, Any] | None:
    """The schedule of a sampling, by name where the main worker knows it; None without a step."""
    if sigmas is None and SCHEDULER_HANDLERS.get(scheduler) is not NATIVE_HANDLERS.get(scheduler):
        sigmas = _own_sigmas(model, sampler, scheduler, steps, denoise)
    if sigmas is not None:
        levels = _window(sigmas, *window, closes)
        return {"sigmas": levels} if len(levels) > 1 else None
    if denoise is not None and denoise <= 0.0:
        return None
    schedule = _named_schedule(scheduler, steps, denoise, *window, closes=closes)
    is_empty = schedule.get("start", 0) >= schedule.get("end", steps)
    return None if is_empty else schedule


def _own_sigmas(
    model: ModelHandle, sampler: str, scheduler: str, steps: int, denoise: Any
) -> Tensor:
    """Noise levels of a schedule that a pack added, or that a pack reads."""
    share = 1.0 if denoise is None or denoise > 0.9999 else float(denoise)
    if share <= 0:
        return torch.zeros(0)
    drops = sampler in _DROPPING
    levels = calculate_sigmas(model.model_sampling, scheduler, int(steps / share) + drops)
    if drops:
        levels = torch.cat([levels[:-2], levels[-1:]])
    return levels[-(steps + 1) :]


def _window(sigmas: Tensor, start: Any, last: Any, closes: bool) -> list[float]:
    levels = [float(level) for level in sigmas]
    if last is not None and last < len(levels) - 1:
        levels = levels[: last + 1]
        if closes:
            levels[-1] = 0.0
    return levels[0 if start is None else start :]


def sample_custom(
    model: ModelHandle,
    noise: Tensor,
    cfg: float,
    sampler: KSAMPLER,
    sigmas: Tensor,
    positive: Any,
    negative: Any,
    latent_image: Tensor,
    noise_mask: Any = None,
    callback: Callback | None = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """Sample by a SAMPLER and SIGMAS (``comfy.sample.sample_custom``)."""
    guider = CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    return guider.sample(
        noise, latent_image, sampler, sigmas, noise_mask, callback, disable_pbar, seed
    )


class KSampler:
    """ComfyUI's ``comfy.samplers.KSampler``: a sampler and a schedule by name, for a model."""

    SCHEDULERS = SCHEDULER_NAMES
    SAMPLERS = SAMPLER_LIST
    DISCARD_PENULTIMATE_SIGMA_SAMPLERS = _DROPPING

    def __init__(
        self,
        model: ModelHandle,
        steps: int,
        device: Any = None,
        sampler: str | None = None,
        scheduler: str | None = None,
        denoise: float | None = None,
        model_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.steps, self.denoise = model, steps, denoise
        self.sampler = sampler if sampler in self.SAMPLERS else self.SAMPLERS[0]
        self.scheduler = scheduler if scheduler in self.SCHEDULERS else self.SCHEDULERS[0]

    @property
    def sigmas(self) -> Tensor:
        """Noise levels that are sampled."""
        return self.calculate_sigmas(self.steps)

    def calculate_sigmas(self, steps: int) -> Tensor:
        """Return the noise levels of so many steps."""
        return _own_sigmas(self.model, self.sampler, self.scheduler, steps, self.denoise)

    def sample(
        self,
        noise: Tensor,
        positive: Any,
        negative: Any,
        cfg: float,
        latent_image: Tensor,
        start_step: int | None = None,
        last_step: int | None = None,
        force_full_denoise: bool = False,
        denoise_mask: Any = None,
        sigmas: Any = None,
        callback: Callback | None = None,
        disable_pbar: bool = False,
        seed: int | None = None,
    ) -> Tensor:
        """Sample."""
        return sample(
            self.model,
            noise,
            self.steps,
            cfg,
            self.sampler,
            self.scheduler,
            positive,
            negative,
            latent_image,
            1.0 if self.denoise is None else self.denoise,
            start_step=start_step,
            last_step=last_step,
            force_full_denoise=force_full_denoise,
            noise_mask=denoise_mask,
            sigmas=sigmas,
            callback=callback,
            seed=seed,
        )


def sample_with_conds(
    model: ModelHandle,
    noise: Tensor,
    positive: Any,
    negative: Any,
    cfg: float,
    device: Any,
    sampler: KSAMPLER,
    sigmas: Tensor,
    model_options: Any = None,
    latent_image: Tensor | None = None,
    denoise_mask: Any = None,
    callback: Callback | None = None,
    disable_pbar: bool = False,
    seed: int | None = None,
) -> Tensor:
    """Sample by a SAMPLER and SIGMAS (``comfy.samplers.sample``)."""
    start = torch.zeros_like(noise) if latent_image is None else latent_image
    return sample_custom(
        model,
        noise,
        cfg,
        sampler,
        sigmas,
        positive,
        negative,
        start,
        denoise_mask,
        callback,
        disable_pbar,
        seed,
    )


class ChosenSampling(ModelSampling):
    """Noise levels that a pack sets: base of the classes of ComfyUI's ``comfy.model_sampling``.

    Packs derive a class from one of these and one that names the kind of prediction, set the
    numbers, and add an object of it to a MODEL.

    Args:
        model_config: That of a MODEL.
    """

    nodegraph_kind = ""

    def __init__(self, model_config: Any = None, **_: Any) -> None:
        self._changes: dict[str, dict[str, Any]] = {}
        recipe = getattr(model_config, "nodegraph_recipe", None)
        if recipe is None:
            raise refused(
                f"{type(self).__name__} without a model",
                "its numbers depend on the model",
                "Call it with MODEL.model.model_config.",
            )
        self._original = recipe
        self._choose()

    def _choose(self) -> None:
        """Note what the class itself says."""
        self._apply()

    def _apply(self) -> None:
        self.recipe = self.applied_to(self._original)
        self._read()

    def _change(self, kind: str, **numbers: Any) -> None:
        self._changes[kind] = numbers
        self._apply()

    def applied_to(self, recipe: DiffusionModel) -> DiffusionModel:
        """Return a model with these noise levels."""
        for kind, numbers in self._changes.items():
            recipe = ask("model.change", model=recipe, kind=kind, **numbers)
        return recipe


class ModelSamplingDiscreteFlow(ChosenSampling):
    """Noise levels of a flow model with a shift."""

    def set_parameters(
        self, shift: float = 1.0, timesteps: int = 1000, multiplier: float = 1000
    ) -> None:
        """Set the shift."""
        self._change("flow_shift", shift=float(shift))


class ModelSamplingFlux(ChosenSampling):
    """Noise levels of a flow model; the shift is the logarithm of the factor."""

    def set_parameters(self, shift: float = 1.15, timesteps: int = 10000) -> None:
        """Set the shift."""
        sizes = {"width": 1024, "height": 1024}
        self._change("shift_by_size", **sizes, base_shift=float(shift), max_shift=float(shift))


class ModelSamplingDiscrete(ChosenSampling):
    """Noise levels of a model with a table of timesteps; the class says what it predicts."""

    def __init__(self, model_config: Any = None, zsnr: bool | None = None) -> None:
        self._snr = "on" if zsnr else "off"
        super().__init__(model_config)

    def _choose(self) -> None:
        kinds = [getattr(kind, "nodegraph_prediction", "") for kind in type(self).__mro__]
        kind = next(filter(None, kinds), "")
        if not kind:
            raise refused(
                type(self).__name__,
                "its class does not say what the model predicts",
                "Derive it from EPS, V_PREDICTION or X0 too.",
            )
        self._change("prediction", prediction_type=kind, zero_terminal_snr=self._snr)

    def set_sigmas(self, sigmas: Tensor) -> None:
        """Set the noise levels to those of zero terminal SNR, or leave them.

        Raises:
            PackError: They are others.
        """
        if not torch.equal(sigmas, self.sigmas):
            wanted = rescale_zero_terminal_snr_sigmas(self.sigmas)
            if sigmas.shape != wanted.shape or not torch.allclose(sigmas, wanted, rtol=1e-4):
                raise refused("ModelSampling.set_sigmas", "models here have no table of their own")
            self._snr = "on"
            self._choose()


def rescale_zero_terminal_snr_sigmas(sigmas: Tensor) -> Tensor:
    """Stretch noise levels so that the last one is nothing but noise.

    Source: Lin et al. 2023, arXiv:2305.08891, algorithm 1; the last is kept finite as in ComfyUI.
    """
    roots = (1 / (sigmas**2 + 1)).sqrt()
    first, last = roots[0].clone(), roots[-1].clone()
    squares = ((roots - last) * (first / (first - last))) ** 2
    squares[-1] = 4.8973451890853435e-08
    return ((1 - squares) / squares) ** 0.5


def model_sampling_names() -> dict[str, Any]:
    """The names of ``comfy.model_sampling``."""

    def prediction(name: str, kind: str) -> type:
        return type(name, (), {"nodegraph_prediction": kind})

    def refusing(name: str) -> type:
        def begin(self: Any, *_: Any, **__: Any) -> None:
            raise refused(name, "no model here is sampled on such noise levels")

        return type(name, (ChosenSampling,), {"__init__": begin})

    return {
        "EPS": prediction("EPS", "epsilon"),
        "V_PREDICTION": prediction("V_PREDICTION", "v_prediction"),
        "X0": prediction("X0", "sample"),
        "CONST": prediction("CONST", "flow"),
        "ModelSamplingDiscrete": ModelSamplingDiscrete,
        "ModelSamplingDiscreteFlow": ModelSamplingDiscreteFlow,
        "ModelSamplingFlux": ModelSamplingFlux,
        **{
            name: refusing(name)
            for name in (
                *("EDM", "ModelSamplingContinuousEDM", "ModelSamplingContinuousV"),
                *("StableCascadeSampling", "ModelSamplingCosmosRFlow"),
            )
        },
        "rescale_zero_terminal_snr_sigmas": rescale_zero_terminal_snr_sigmas,
        "time_snr_shift": lambda alpha, t: t if alpha == 1.0 else alpha * t / (1 + (alpha - 1) * t),
        "flux_time_shift": lambda mu, sigma, t: (
            math.exp(mu) / (math.exp(mu) + (1 / t - 1) ** sigma)
        ),
    }


def modules(environment: Environment, pack: Path | None) -> dict[str, dict[str, Any]]:
    """The names of ComfyUI's modules for sampling."""
    guiders = {"Guider_Basic": Guider_Basic, "Guider_DualCFG": Guider_DualCFG}
    return {
        "comfy.samplers": {
            "SAMPLER_NAMES": SAMPLER_LIST,
            "KSAMPLER_NAMES": SAMPLER_LIST,
            "SCHEDULER_NAMES": SCHEDULER_NAMES,
            "SCHEDULER_HANDLERS": SCHEDULER_HANDLERS,
            "SchedulerHandler": SchedulerHandler,
            "KSampler": KSampler,
            "KSAMPLER": KSAMPLER,
            "Sampler": Sampler,
            "CFGGuider": CFGGuider,
            "KSamplerX0Inpaint": KSamplerX0Inpaint,
            "calc_cond_batch": calc_cond_batch,
            "cfg_function": cfg_function,
            "sampling_function": sampling_function,
            "ksampler": ksampler,
            "sampler_object": sampler_object,
            "calculate_sigmas": calculate_sigmas,
            "sample": sample_with_conds,
        },
        "comfy.sample": {
            "prepare_noise": prepare_noise,
            "fix_empty_latent_channels": fix_empty_latent_channels,
            "sample": sample,
            "sample_custom": sample_custom,
        },
        "comfy.k_diffusion": {},
        "comfy.k_diffusion.sampling": k_diffusion_names(),
        "latent_preview": {
            "prepare_callback": prepare_callback,
            "get_previewer": get_previewer,
            "LatentPreviewer": LatentPreviewer,
            "Latent2RGBPreviewer": LatentPreviewer,
            "MAX_PREVIEW_RESOLUTION": 512,
            "default_preview_method": "auto",
        },
        "comfy.latent_formats": latent_formats(),
        "comfy.model_sampling": model_sampling_names(),
        "comfy.model_patcher": {
            "set_model_options_pre_cfg_function": partial(with_function, FUNCTIONS[1]),
            "set_model_options_post_cfg_function": partial(with_function, FUNCTIONS[2]),
        },
        "comfy_extras": {},
        "comfy_extras.nodes_custom_sampler": {
            "Noise_RandomNoise": Noise_RandomNoise,
            "Noise_EmptyNoise": Noise_EmptyNoise,
            **guiders,
        },
    }
