"""ComfyUI's GUIDER and the functions beneath it.

Guiders and samplers that nodegraph knows run in the main worker. A guider class or a sampler
function of the pack runs here: it gets predictions of the model from the main worker, one noise
level at a time.

Source of the interfaces: https://github.com/comfyanonymous/ComfyUI (``comfy/samplers.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, DiffusionModel, Latent
from nodegraph.errors import PackError
from nodegraph.interop.comfyui.packs import border, latents
from nodegraph.interop.comfyui.packs.model_handle import (
    FUNCTIONS,
    BaseModel,
    ModelHandle,
    ask,
    refused,
)
from nodegraph.interop.comfyui.packs.stand_ins.remote_sampling import (
    GUIDING,
    Callback,
    PatchFunctions,
    Predictions,
    fix_empty_latent_channels,
    native_latent,
    native_noise,
    native_prompts,
    sample_there,
    with_sigmas,
)
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import (
    KSAMPLER,
    NodeCallback,
    to_comfy_part,
)
from nodegraph.sampling.regions import step_mask

_RUNNING: ContextVar[Predictions | None] = ContextVar("nodegraph_comfy_predictions", default=None)
"""Predictions of the sampling that runs here."""


def _running(what: str) -> Predictions:
    predictions = _RUNNING.get()
    if predictions is None:
        raise refused(what, "no sampling of this process runs", "Call it in a GUIDER or SAMPLER.")
    return predictions


def _level(sigma: Any) -> float:
    """The one noise level of all items.

    Raises:
        PackError: Items have their own.
    """
    levels = torch.as_tensor(sigma, dtype=torch.float32).reshape(-1)
    if not bool((levels == levels[0]).all()):
        raise refused("model(x, sigma)", "all items of a batch have one noise level here")
    return float(levels[0])


def calc_cond_batch(
    model: Any, conds: Sequence[Any], x_in: Tensor, timestep: Any, model_options: Any = None
) -> list[Tensor]:
    """Predict the clean latent by several prompts (``comfy.samplers.calc_cond_batch``)."""
    known = [cond for cond in conds if cond is not None]
    predictions = _running("comfy.samplers.calc_cond_batch")
    predictions.model.check_options(model_options or {})
    answers = iter(predictions.apart(x_in, _level(timestep), known) if known else ())
    return [torch.zeros_like(x_in) if cond is None else next(answers) for cond in conds]


def sampling_function(
    model: Any,
    x: Tensor,
    timestep: Any,
    uncond: Any,
    cond: Any,
    cond_scale: float,
    model_options: Mapping[str, Any] | None = None,
    seed: Any = None,
) -> Tensor:
    """Predict the clean latent with guidance (``comfy.samplers.sampling_function``)."""
    predictions = _running("comfy.samplers.sampling_function")
    options = predictions.model.model_options if model_options is None else model_options
    predictions.model.check_options(options)
    return predictions.guided(x, _level(timestep), (cond, uncond), float(cond_scale), options)


def cfg_function(
    model: Any,
    cond_pred: Tensor,
    uncond_pred: Tensor,
    cond_scale: float,
    x: Tensor,
    timestep: Tensor,
    model_options: Mapping[str, Any] | None = None,
    cond: Any = None,
    uncond: Any = None,
) -> Tensor:
    """Combine two predictions (``comfy.samplers.cfg_function``)."""
    predictions = _running("comfy.samplers.cfg_function")
    missed = [kind for kind, _ in predictions.model.guidance if kind in GUIDING]
    if missed:
        raise refused(
            f"comfy.samplers.cfg_function of a MODEL with {missed[0]}",
            "the main worker applies it",
            "Call comfy.samplers.sampling_function.",
        )
    functions = PatchFunctions(
        predictions.model, model_options or {}, (cond, uncond), predictions.sigmas
    )
    guided = uncond_pred + (cond_pred - uncond_pred) * cond_scale
    return functions.guide(x, timestep, cond_scale, (cond_pred, uncond_pred), guided)


# GUIDER


_OWN = ("predict_noise", "outer_predict_noise", "inner_sample", "outer_sample", "__call__")
"""Methods of guiders that packs replace."""


class CFGGuider:
    """ComfyUI's GUIDER: a model, its prompts and a guidance scale."""

    inner_model: BaseModel

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
        positive, negative = native_prompts(self.conds["positive"], self.conds.get("negative"))
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
        """Sample: in the main worker, unless the guider or the sampler is the pack's own."""
        if len(sigmas) < 2:
            return latent_image
        if self._runs_here(sampler):
            return self._sample_here(
                noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed
            )
        model = self.model_patcher
        latent = native_latent(model, latent_image, denoise_mask)
        drawn = native_noise(noise, seed, latent)
        schedule = {"sigmas": [float(level) for level in sigmas]}
        conds = self.conds.get("positive"), self.conds.get("negative")
        functions = PatchFunctions(model, self.model_options, conds)
        model.check_options(self.model_options)
        run = sample_there(functions, latent, drawn, self.request(), sampler, schedule, callback)
        self.last_denoised = run.denoised
        return run.samples

    def _runs_here(self, sampler: KSAMPLER) -> bool:
        is_own = any(getattr(type(self), name) is not _method(type(self), name) for name in _OWN)
        return is_own or not getattr(sampler, "is_native", False)

    def _sample_here(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: KSAMPLER,
        sigmas: Tensor,
        denoise_mask: Any,
        callback: Callback | None,
        disable_pbar: bool,
        seed: int | None,
    ) -> Tensor:
        model = self.model_patcher
        model.check_options(self.model_options)
        latent = replace(native_latent(model, latent_image, None), noise_mask=None)
        begun = torch.zeros_like(noise)
        if bool(torch.count_nonzero(latent_image)):
            begun = model.model.process_latent_in(latent_image).reshape(noise.shape)
        mask = None if denoise_mask is None else _fitted_mask(denoise_mask, noise)
        self.inner_model = model.model
        predictions = Predictions(model, latent, noise, sigmas)
        token = _RUNNING.set(predictions)

        def note(step: int, x0: Tensor, x: Tensor, total: int) -> None:
            self.last_denoised = model.model.process_latent_out(x0)
            if callback is not None:
                callback(step, x0, x, total)

        try:
            return self.outer_sample(noise, begun, sampler, sigmas, mask, note, disable_pbar, seed)
        finally:
            _RUNNING.reset(token)
            predictions.close()

    def outer_sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: KSAMPLER,
        sigmas: Tensor,
        denoise_mask: Any = None,
        callback: Callback | None = None,
        disable_pbar: bool = False,
        seed: int | None = None,
        **_: Any,
    ) -> Tensor:
        """Sample in this process, around `inner_sample`."""
        return self.inner_sample(
            noise,
            latent_image,
            self.model_patcher.load_device,
            sampler,
            sigmas,
            denoise_mask,
            callback,
            disable_pbar,
            seed,
        )

    def inner_sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        device: Any,
        sampler: KSAMPLER,
        sigmas: Tensor,
        denoise_mask: Any,
        callback: Callback | None,
        disable_pbar: bool,
        seed: int | None,
        **_: Any,
    ) -> Tensor:
        """Sample in this process; latents are in the scale of the model."""
        options = with_sigmas(self.model_options, sigmas)
        for kind, numbers in self.model_patcher.guidance:
            if kind == "DifferentialDiffusion":
                options.setdefault(FUNCTIONS[3], partial(_gradual_mask, numbers["strength"]))
        extra = {"model_options": options, "seed": seed}
        samples = sampler.sample(
            self, sigmas, extra, callback, noise, latent_image, denoise_mask, disable_pbar
        )
        return self.inner_model.process_latent_out(samples.to(torch.float32))

    def __call__(self, *values: Any, **named: Any) -> Tensor:
        """Predict the clean latent in a noisy one."""
        return self.outer_predict_noise(*values, **named)

    def outer_predict_noise(
        self, x: Tensor, timestep: Any, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        """Predict the clean latent, around `predict_noise`."""
        options = self.model_options if model_options is None else model_options
        return self.predict_noise(x, timestep, options, seed)

    def predict_noise(
        self, x: Tensor, timestep: Any, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        """Predict the clean latent in a noisy one; ComfyUI's name of it says otherwise."""
        negative, positive = self.conds.get("negative"), self.conds.get("positive")
        return sampling_function(
            self.inner_model, x, timestep, negative, positive, self.cfg, model_options, seed
        )


def _gradual_mask(
    strength: float, sigma: Tensor, mask: Tensor, extra_options: Mapping[str, Any]
) -> Tensor:
    """A noise mask as a threshold for the steps, as ComfyUI's DifferentialDiffusion sets it."""
    sampling = extra_options["model"].inner_model.model_sampling
    left, whole = (
        float(sampling.timestep(level.reshape(-1)[0])) for level in (sigma, extra_options["sigmas"])
    )
    return step_mask(mask, strength, left / whole if whole else 1.0)


def _fitted_mask(mask: Tensor, noise: Tensor) -> Tensor:
    """A noise mask in the size of a latent, as ComfyUI scales it."""
    planes = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    planes = torch.nn.functional.interpolate(planes, size=noise.shape[-2:], mode="bilinear")
    planes = planes.unsqueeze(2) if noise.ndim == 5 else planes
    repeats = -(-len(noise) // len(planes))
    fitted: Tensor = planes.repeat(repeats, *(1,) * (planes.ndim - 1))[: len(noise)]
    return fitted


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

    def _runs_here(self, sampler: KSAMPLER) -> bool:
        # Functions change the guidance of the middle prompt alone.
        changes = PatchFunctions(self.model_patcher, self.model_options, ()).guides
        return changes or super()._runs_here(sampler)

    def request(self) -> dict[str, Any]:
        second = border.from_comfy_conditioning(self.conds["middle"])
        return {**super().request(), "second": second, "second_cfg": float(self.cfg2)}

    def predict_noise(
        self, x: Tensor, timestep: Any, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        sides = [self.conds.get(name) for name in ("positive", "negative", "middle")]
        model, options = self.inner_model, model_options
        towards, away, second = calc_cond_batch(model, sides, x, timestep, options)
        _, without, middle = sides
        guided = cfg_function(
            model, second, away, self.cfg2, x, timestep, options, cond=middle, uncond=without
        )
        return guided + self.cfg * (towards - second)


class LentGuider(CFGGuider):
    """The guider of a native node that samples with a sampler of the pack.

    Args:
        token: Of the sampling in the main worker.
    """

    def __init__(self, model: ModelHandle, token: str) -> None:
        super().__init__(model)
        self.inner_model = model.model
        self._token = token

    def predict_noise(
        self, x: Tensor, timestep: Any, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        """Predict the clean latent, and let the functions change it that the sampler has added."""
        options = model_options or {}
        self.model_patcher.check_options(options)
        _check_functions(options)
        level = _level(timestep)
        plain = x.detach().to("cpu", torch.float32).contiguous()
        has_functions = bool(options.get(FUNCTIONS[2]))
        predicted = ask(
            "sampling.predict", token=self._token, x=plain, sigma=level, with_sides=has_functions
        )
        guided: Tensor = predicted["guided"]
        if not has_functions:
            return guided
        if "negative" not in predicted and options.get("disable_cfg1_optimization"):
            raise refused(
                "a sampler that needs the negative prediction",
                "the guider does not evaluate the negative prompt",
                "Set cfg above 1.",
            )
        positive = predicted["positive"]
        sides = positive, predicted.get("negative", torch.zeros_like(positive))
        conds = self.conds.get("positive"), self.conds.get("negative")
        functions = PatchFunctions(self.model_patcher, options, conds)
        functions.sigmas = options.get("transformer_options", {}).get("sample_sigmas", plain[:0])
        return functions.guide(plain, torch.full((len(x),), level), self.cfg, sides, guided)


def _check_functions(options: Mapping[str, Any]) -> None:
    """Refuse functions of a sampler that would come before the guidance of a native node."""
    for name in FUNCTIONS[:2]:
        if options.get(name):
            raise refused(
                f"a SAMPLER that sets a {name}",
                "the guider of a native node applies the guidance",
                "Use a post_cfg_function, or a node of the pack that samples.",
            )


def lend_sampler(sampler: KSAMPLER) -> None:
    """Lend a sampler of the pack to the native node that waits for it in the main worker."""

    def walk(
        *,
        function: str,
        model: DiffusionModel,
        token: str,
        noise: Tensor,
        latent: Tensor,
        sigmas: Tensor,
        mask: Tensor | None,
        cfg: float,
        seed: int,
        positive: Conditioning,
        negative: Conditioning | None,
    ) -> dict[str, Tensor]:
        guider = LentGuider(ModelHandle(model), token)
        away = [] if negative is None else border.to_comfy_conditioning(negative)
        guider.set_conds(border.to_comfy_conditioning(positive), away)
        guider.set_cfg(cfg)
        last: list[Tensor] = []
        what = "a SAMPLER of a pack passes no prediction to its callback"

        def note(step: int, x0: Tensor, x: Tensor, total: int) -> None:
            last[:] = [_plain(x0, noise, what)]
            done = min(step + 1, total)
            ask("sampling.report", token=token, step=done, total=total, denoised=last[0])

        extra = {"model_options": with_sigmas(guider.model_options, sigmas), "seed": seed}
        samples = sampler.sample(guider, sigmas, extra, note, noise, latent, mask, True)
        ended = _plain(samples, noise, "a SAMPLER of a pack returns no latent of its size")
        return {"samples": ended, "denoised": last[0] if last else ended}

    token = uuid4().hex
    _LENT[token] = sampler
    try:
        ask("sampler.lend", callback=walk, token=token)
    finally:
        del _LENT[token]


_LENT: dict[str, Any] = {}
"""Samplers of the pack that native nodes use now, by token."""


def lend_guider(guider: CFGGuider) -> None:
    """Lend a guider of the pack to the native node that waits for it in the main worker."""
    # A message can only hold classes of modules that are loaded.
    from nodegraph.sampling.sampling_parts import SamplerChoice

    def sample(
        *,
        function: str,
        noise: Tensor,
        latent: Latent,
        sigmas: Tensor,
        sampler: SamplerChoice | None,
        token: str,
        seed: int,
    ) -> dict[str, Tensor]:
        if token and token not in _LENT:
            raise refused("a SAMPLER of another pack", "the guider samples in its pack's process")
        own = _LENT[token] if token else to_comfy_part(sampler)
        model, value = guider.model_patcher, latents.to_comfy_latent(latent)
        samples = fix_empty_latent_channels(model, value["samples"])
        mask, shown = value.get("noise_mask"), NodeCallback(len(sigmas) - 1)
        drawn, guider.last_denoised = noise.reshape(samples.shape), None
        ended = guider.sample(drawn, samples, own, sigmas, mask, shown, True, seed)
        what = "a GUIDER of a pack returns no latent of its size"
        last = guider.last_denoised
        results = {"samples": ended, "denoised": ended if last is None else last}
        native = {}
        for name, item in results.items():
            converted = native_latent(model, _plain(item, samples, what), None).samples
            zeros = torch.zeros_like(noise)
            native[name] = zeros if converted is None else converted.reshape(noise.shape)
        return native

    conds = guider.conds
    known = [cond for cond in conds.values() if cond is not None]
    if not known:
        raise PackError("a GUIDER of a pack has no prompts", hint="Call its `set_conds`.")
    positive, negative = native_prompts(conds.get("positive", known[0]), conds.get("negative"))
    request = {"positive": positive, "negative": negative, "cfg": max(float(guider.cfg), 0.0)}
    ask("guider.lend", callback=sample, model=guider.model_patcher.recipe, **request)


def lend_noise(noise: Any) -> None:
    """Lend a NOISE of the pack to the native node that waits for it in the main worker."""

    def draw(*, model: DiffusionModel, latent: Latent) -> Tensor:
        value = latents.to_comfy_latent(latent)
        samples = fix_empty_latent_channels(ModelHandle(model), value["samples"])
        drawn = noise.generate_noise({**value, "samples": samples})
        what = "`generate_noise` of a NOISE returns no noise for this latent"
        return _plain(drawn, samples, what)

    seed = getattr(noise, "seed", None)
    ask("noise.lend", callback=draw, seed=int(seed) % 2**64 if isinstance(seed, int) else 0)


def _plain(value: Any, like: Tensor, what: str) -> Tensor:
    """A latent that code of a pack returned, as float32 on the CPU.

    Args:
        like: Has its shape.
        what: Says what is wrong if it is no such latent.
    Raises:
        PackError: It has another type or shape, or numbers that are not finite.
    """
    expected = f"a tensor of finite numbers of shape {tuple(like.shape)}"
    if not isinstance(value, Tensor):
        raise PackError(what, given=type(value).__name__, expected=expected)
    if value.shape != like.shape or value.is_complex():
        form = f"{value.dtype} of shape {tuple(value.shape)}"
        raise PackError(what, given=form, expected=expected)
    plain = value.detach().to("cpu", torch.float32).contiguous()
    if not bool(torch.isfinite(plain).all()):
        raise PackError(what, given="NaN or infinity", expected=expected)
    return plain


def _method(kind: type, name: str) -> Any:
    """A method of the nearest class of nodegraph."""
    return next(
        getattr(base, name) for base in kind.__mro__ if base.__module__ == CFGGuider.__module__
    )
