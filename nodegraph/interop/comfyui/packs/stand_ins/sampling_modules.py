"""ComfyUI's modules for sampling: ``comfy.samplers``, ``comfy.sample``, ``latent_preview``.

Samplings run in the main worker by the functions behind KSampler and SampleCustom, with ComfyUI's
conventions. A pack's own callback makes the worker stop after each step, and is called here.

Source of the interfaces and their defaults: https://github.com/comfyanonymous/ComfyUI
(``comfy/samplers.py``, ``comfy/sample.py``, ``nodes.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.core.values import Conditioning, Latent
from nodegraph.families.registry import get_family
from nodegraph.interop.comfyui.packs import border, latents
from nodegraph.interop.comfyui.packs.model_handle import (
    ModelHandle,
    ask,
    channels_of,
    refused,
)
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import (
    KSAMPLER,
    NATIVE_HANDLERS,
    SAMPLER_LIST,
    SCHEDULER_HANDLERS,
    SCHEDULER_NAMES,
    LatentPreviewer,
    NodeCallback,
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

Callback = Callable[[int, Tensor, Tensor, int], Any]


def fix_empty_latent_channels(
    model: ModelHandle, latent_image: Tensor, *_: Any, **__: Any
) -> Tensor:
    """Give an empty latent the channels and axes of a model's latents."""
    if bool(torch.count_nonzero(latent_image)):
        return latent_image
    form = get_family(model.recipe.family).latent
    channels = channels_of(model.recipe)
    has_frames = bool(form.temporal) or form.name == "qwen-image"
    if latent_image.shape[1] != channels:
        latent_image = latent_image[:, :1].expand(-1, channels, *latent_image.shape[2:]).clone()
    if has_frames and latent_image.ndim == 4:
        latent_image = latent_image.unsqueeze(2)
    factor = form.spatial / 8
    if factor != 1:
        sides = [max(1, round(side / factor)) for side in latent_image.shape[-2:]]
        latent_image = latent_image.new_zeros((*latent_image.shape[:-2], *sides))
    return latent_image


def _native_latent(model: ModelHandle, samples: Tensor, noise_mask: Any) -> Latent:
    """A latent of a sampling: of the model's format, unless it is known to be of another."""
    name = get_family(model.recipe.family).latent.name
    value: dict[str, Any] = {"samples": samples, latents.FORMAT_KEY: name}
    if noise_mask is not None:
        value["noise_mask"] = noise_mask
    return latents.from_comfy_latent(value)


def _native_noise(noise: Tensor, seed: Any, latent: Latent) -> dict[str, Any]:
    """The noise of a sampling: without any, what is left in a latent is continued."""
    values: dict[str, Any] = {"seed": 0 if seed is None else int(seed) % 2**64}
    if latent.leftover is not None and not bool(torch.count_nonzero(noise)):
        return {**values, "added": False}
    return {**values, "tensor": noise.detach().to("cpu", torch.float32).contiguous()}


def _prompts(positive: Any, negative: Any) -> tuple[Conditioning, Conditioning | None]:
    """Prompts of a sampling: a control image for both sides leads the other one, too."""
    first = border.from_comfy_conditioning(positive)
    if negative is None:
        return first, None
    shared = next(
        (item[1]["control"] for item in positive if item[1].get("control_apply_to_uncond")), None
    )
    if shared is not None:
        negative = [
            [tensor, values if values.get("control") else {**values, "control": shared}]
            for tensor, values in negative
        ]
    return first, border.from_comfy_conditioning(negative)


class _Run(NamedTuple):
    """What `_sample` returns.

    Attributes:
        samples: The result in the form of a LATENT.
        denoised: The last prediction, likewise.
    """

    samples: Tensor
    denoised: Tensor


def _sample(
    model: ModelHandle,
    latent: Latent,
    noise: Mapping[str, Any],
    guider: Mapping[str, Any],
    sampler: Any,
    schedule: Mapping[str, Any],
    callback: Callback | None,
) -> _Run:
    from dataclasses import asdict

    model.check_options()
    choice = sampler.native()
    options = {name: value for name, value in asdict(choice.options).items() if value is not None}
    request = {
        "model": model.recipe,
        "guidance": [[kind, dict(numbers)] for kind, numbers in model.guidance if kind in _GUIDING],
        "latent": _with_patches(latent, model),
        "noise": _scaled_noise(noise, model),
        "guider": dict(guider),
        "sampler": {"name": choice.name, "options": options},
        "schedule": dict(schedule),
    }
    if callback is None or isinstance(callback, NodeCallback):
        result = ask("sampling.sample", **request)
    else:
        result = _stepwise(request, callback)
    samples = latents.to_comfy_latent(result["latent"])["samples"]
    return _Run(samples, latents.to_comfy_latent(result["denoised"])["samples"])


_GUIDING = frozenset(
    {
        *("RescaleCFG", "CFGNorm", "CFGZeroStar", "TCFG", "APG", "CFGOverride"),
        *("PerturbedAttentionGuidance", "SelfAttentionGuidance"),
    }
)


def _with_patches(latent: Latent, model: ModelHandle) -> Latent:
    """A latent with the patches of a model that concern its mask."""
    from dataclasses import replace

    for kind, numbers in model.guidance:
        if kind == "DifferentialDiffusion":
            latent = replace(latent, gradual=numbers["strength"])
    return latent


def _scaled_noise(noise: Mapping[str, Any], model: ModelHandle) -> dict[str, Any]:
    values = dict(noise)
    for kind, numbers in model.guidance:
        if kind == "ModelNoiseScale":
            values["strength"] = values.get("strength", 1.0) * numbers["noise_scale"]
    return values


def _stepwise(request: Mapping[str, Any], callback: Callback) -> Mapping[str, Latent]:
    """Sample step by step, and call a function of the pack after each."""
    token = ask("sampling.begin", **request)
    try:
        done, total = 0, 1
        while done < total:
            step = ask("sampling.step", token=token)
            done, total = step["step"], step["total"]
            callback(done - 1, step["denoised"], step["x"], total)
        ended: Mapping[str, Latent] = ask("sampling.end", token=token)
    except BaseException:
        ask("sampling.cancel", token=token)
        raise
    return ended


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
    schedule = _schedule(model, scheduler, steps, denoise, sigmas, window, force_full_denoise)
    if schedule is None:
        return latent_image
    latent = _native_latent(model, latent_image, noise_mask)
    towards, away = _prompts(positive, negative)
    guider = {"positive": towards, "negative": away, "cfg": float(cfg)}
    quiet = torch.zeros_like(noise) if disable_noise else noise
    drawn = _native_noise(quiet, seed, latent)
    return _sample(model, latent, drawn, guider, sampler, schedule, callback).samples


def _schedule(
    model: ModelHandle,
    scheduler: str,
    steps: int,
    denoise: float | None,
    sigmas: Any,
    window: tuple[int | None, int | None],
    closes: bool,
) -> dict[str, Any] | None:
    """The schedule of a sampling, by name where the main worker knows it; None without a step."""
    if sigmas is None and SCHEDULER_HANDLERS.get(scheduler) is not NATIVE_HANDLERS.get(scheduler):
        sigmas = _own_sigmas(model, scheduler, steps, denoise)
    if sigmas is not None:
        levels = _window(sigmas, *window, closes)
        return {"sigmas": levels} if len(levels) > 1 else None
    if denoise is not None and denoise <= 0.0:
        return None
    schedule = _named_schedule(scheduler, steps, denoise, *window, closes=closes)
    is_empty = schedule.get("start", 0) >= schedule.get("end", steps)
    return None if is_empty else schedule


def _own_sigmas(model: ModelHandle, scheduler: str, steps: int, denoise: Any) -> Tensor:
    """Noise levels of a schedule that a pack added."""
    share = 1.0 if denoise is None or denoise > 0.9999 else float(denoise)
    whole = int(steps / share) if share > 0 else 0
    levels = calculate_sigmas(model.model_sampling, scheduler, whole)
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


class CFGGuider:
    """ComfyUI's GUIDER: a model, its prompts and a guidance scale."""

    def __init__(self, model_patcher: ModelHandle) -> None:
        self.model_patcher = model_patcher
        self.model_options = model_patcher.model_options
        self.original_conds: dict[str, Any] = {}
        self.conds: dict[str, Any] = {}
        self.cfg = 1.0
        self.last_denoised: Tensor | None = None

    def set_conds(self, positive: Any, negative: Any = None) -> None:
        """Set the prompts."""
        self.inner_set_conds({"positive": positive, "negative": negative})

    def set_cfg(self, cfg: float) -> None:
        """Set the guidance scale."""
        self.cfg = cfg

    def inner_set_conds(self, conds: Mapping[str, Any]) -> None:
        """Set prompts by name."""
        self.original_conds = dict(conds)
        self.conds = dict(conds)

    def request(self) -> dict[str, Any]:
        """Return the guider as the main worker takes it."""
        positive, negative = _prompts(self.conds["positive"], self.conds.get("negative"))
        return {"positive": positive, "negative": negative, "cfg": float(self.cfg)}

    def sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: KSAMPLER,
        sigmas: Tensor,
        denoise_mask: Any = None,
        callback: Callback | None = None,
        disable_pbar: bool = False,
        seed: int | None = None,
    ) -> Tensor:
        """Sample.

        Raises:
            PackError: The guider is a class of the pack that computes predictions itself.
        """
        for name in ("predict_noise", "inner_sample", "outer_sample", "__call__"):
            if any(name in vars(kind) for kind in type(self).__mro__[:-1]):
                raise refused(
                    f"{type(self).__name__}.{name}",
                    "guiders run in the main worker, where functions of a pack do not",
                    "Use a guider of nodegraph, such as DualCFGGuider.",
                )
        if len(sigmas) < 2:
            return latent_image
        latent = _native_latent(self.model_patcher, latent_image, denoise_mask)
        drawn = _native_noise(noise, seed, latent)
        schedule = {"sigmas": [float(level) for level in sigmas]}
        model = self.model_patcher
        run = _sample(model, latent, drawn, self.request(), sampler, schedule, callback)
        self.last_denoised = run.denoised
        return run.samples


class Guider_Basic(CFGGuider):  # noqa: N801 - ComfyUI's name
    """ComfyUI's BasicGuider: the positive prompt alone."""

    def set_conds(self, positive: Any, negative: Any = None) -> None:
        self.inner_set_conds({"positive": positive})


class Guider_DualCFG(CFGGuider):  # noqa: N801 - ComfyUI's name
    """ComfyUI's DualCFGGuider."""

    cfg2 = 1.0

    def set_cfg(self, cfg: float, cfg2: float = 1.0, nested: bool = False) -> None:
        """Set the guidance scales.

        Raises:
            PackError: They are nested.
        """
        if nested:
            raise refused("Guider_DualCFG(nested)", "nodegraph has no nested guidance")
        self.cfg, self.cfg2 = cfg, cfg2

    def set_conds(  # type: ignore[override]
        self, positive: Any, middle: Any = None, negative: Any = None
    ) -> None:
        self.inner_set_conds({"positive": positive, "middle": middle, "negative": negative})

    def request(self) -> dict[str, Any]:
        second = border.from_comfy_conditioning(self.conds["middle"])
        return {**super().request(), "second": second, "second_cfg": float(self.cfg2)}


class KSampler:
    """ComfyUI's ``comfy.samplers.KSampler``: a sampler and a schedule by name, for a model."""

    SCHEDULERS = SCHEDULER_NAMES
    SAMPLERS = SAMPLER_LIST
    DISCARD_PENULTIMATE_SIGMA_SAMPLERS = frozenset(
        ("dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2")
    )

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
        levels = _own_sigmas(self.model, self.scheduler, steps, self.denoise)
        if self.sampler in self.DISCARD_PENULTIMATE_SIGMA_SAMPLERS:
            levels = _own_sigmas(self.model, self.scheduler, steps + 1, self.denoise)
            levels = torch.cat([levels[:-2], levels[-1:]])
        return levels

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
        "comfy_extras": {},
        "comfy_extras.nodes_custom_sampler": {
            "Noise_RandomNoise": Noise_RandomNoise,
            "Noise_EmptyNoise": Noise_EmptyNoise,
            **guiders,
        },
    }
