"""ComfyUI's GUIDER, and what functions of a pack do in a sampling.

Guiders and samplers that nodegraph knows run in the main worker, which calls the functions that a
pack set on a model. A guider class or a sampler function of the pack runs here: it gets predictions
of the model from the main worker, one noise level at a time.

Source of the interfaces: https://github.com/comfyanonymous/ComfyUI (``comfy/samplers.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.families.registry import get_family
from nodegraph.interop.comfyui.packs import border, latents
from nodegraph.interop.comfyui.packs.model_handle import (
    FUNCTIONS,
    BaseModel,
    ModelHandle,
    ask,
    refused,
)
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import KSAMPLER, NodeCallback

Callback = Callable[[int, Tensor, Tensor, int], Any]

_GUIDING = frozenset(
    {
        *("RescaleCFG", "CFGNorm", "CFGZeroStar", "TCFG", "APG", "CFGOverride"),
        *("PerturbedAttentionGuidance", "SelfAttentionGuidance"),
    }
)
_LAST = ("RescaleCFG", "CFGNorm")
"""Patches that guiders here apply after all others."""


# What a sampling takes


def native_latent(model: ModelHandle, samples: Tensor, noise_mask: Any) -> Latent:
    """A latent of a sampling: of the model's format, unless it is known to be of another."""
    name = get_family(model.recipe.family).latent.name
    value: dict[str, Any] = {"samples": samples, latents.FORMAT_KEY: name}
    if noise_mask is not None:
        value["noise_mask"] = noise_mask
    return latents.from_comfy_latent(value)


def native_noise(noise: Tensor, seed: Any, latent: Latent) -> dict[str, Any]:
    """The noise of a sampling: without any, what is left in a latent is continued."""
    values: dict[str, Any] = {"seed": 0 if seed is None else int(seed) % 2**64}
    if latent.leftover is not None and not bool(torch.count_nonzero(noise)):
        return {**values, "added": False}
    return {**values, "tensor": noise.detach().to("cpu", torch.float32).contiguous()}


def native_prompts(positive: Any, negative: Any) -> tuple[Conditioning, Conditioning | None]:
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


class Run(NamedTuple):
    """What `sample_there` returns.

    Attributes:
        samples: The result in the form of a LATENT.
        denoised: The last prediction, likewise.
    """

    samples: Tensor
    denoised: Tensor


@dataclass
class PatchFunctions:
    """Functions that a pack set on a model, in one sampling.

    Attributes:
        model: The model.
        options: ComfyUI's options of it, with the functions.
        conds: The positive and the negative CONDITIONING, which functions may look at.
        sigmas: Noise levels of the sampling.
    """

    model: ModelHandle
    options: Mapping[str, Any]
    conds: Sequence[Any]
    sigmas: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def guides(self) -> bool:
        """Whether a function changes predictions."""
        return any(self.options.get(name) for name in FUNCTIONS[:3])

    @property
    def masks(self) -> bool:
        """Whether a function changes the noise mask."""
        return self.options.get(FUNCTIONS[3]) is not None

    def guidance(self, cfg: float) -> list[Any]:
        """Return the patches of the guidance as the main worker takes them.

        Raises:
            PackError: A function would have to run before a patch that comes last.
        """
        patches = [[kind, dict(numbers)] for kind, numbers in self.model.guidance]
        patches = [patch for patch in patches if patch[0] in _GUIDING]
        if not self.guides:
            return patches
        late = [kind for kind, _ in patches if kind in _LAST]
        if late:
            raise refused(
                f"MODEL with {late[0]} and functions of a pack",
                f"{late[0]} comes after all other guidance here",
                f"Leave {late[0]} out, or the functions.",
            )
        is_guided = cfg != 1.0 or bool(self.options.get("disable_cfg1_optimization"))
        return [*patches, ["functions", {"negative": is_guided}]]

    def __call__(self, function: str, **values: Any) -> Any:
        """Answer the main worker."""
        if function == "begin":
            self.sigmas = values["sigmas"]
            return None
        return self._guide(**values) if function == "guide" else self._mask(**values)

    def _guide(
        self,
        x: Tensor,
        sigma: float,
        scale: float,
        positive: Tensor,
        guided: Tensor,
        negative: Tensor | None = None,
    ) -> Tensor | None:
        """A guided prediction after all functions; None if they change nothing."""
        away = torch.zeros_like(positive) if negative is None else negative
        level = torch.full((len(x),), sigma)
        changed = self.guide(x, level, scale, (positive, away), guided.clone())
        return None if torch.equal(changed, guided) else changed.float().contiguous()

    def guide(
        self, x: Tensor, sigma: Tensor, scale: float, outputs: Sequence[Tensor], guided: Tensor
    ) -> Tensor:
        """Return a guided prediction after all functions.

        Args:
            x: The noisy latent.
            sigma: Its noise level, for each item.
            outputs: The positive and the negative prediction.
            guided: What guidance makes of them without functions.
        """
        options = _with_sigmas(self.options, self.sigmas)
        shared = {"cond_scale": scale, "timestep": sigma, "sigma": sigma, "input": x}
        shared |= {"model": self.model.model, "model_options": options}
        before, outs = list(outputs), [item.clone() for item in outputs]
        for function in options.get("sampler_pre_cfg_function") or ():
            outs = function({"conds": list(self.conds), "conds_out": outs, **shared})
        positive, negative = outs[:2]
        if not all(map(torch.equal, before, outs[:2])):
            guided = negative + (positive - negative) * scale
        sides = {"cond_denoised": positive, "uncond_denoised": negative}
        own = options.get("sampler_cfg_function")
        if own is not None:
            guided = x - own({"cond": x - positive, "uncond": x - negative, **sides, **shared})
        conds = {"cond": self.conds[0], "uncond": self.conds[1]}
        for function in options.get("sampler_post_cfg_function") or ():
            guided = function({"denoised": guided, **conds, **sides, **shared})
        return guided

    def _mask(self, mask: Tensor, sigma: float) -> Tensor:
        wrap = SimpleNamespace(inner_model=self.model.model, model_patcher=self.model)
        extra = {"model": wrap, "sigmas": self.sigmas}
        level = torch.full((len(mask),), sigma)
        changed: Tensor = self.options[FUNCTIONS[3]](level, mask, extra_options=extra)
        return changed.float().contiguous()


def _with_sigmas(options: Mapping[str, Any], sigmas: Tensor) -> dict[str, Any]:
    inside = {**options.get("transformer_options", {}), "sample_sigmas": sigmas}
    return {**options, "transformer_options": inside}


def sampling_request(
    functions: PatchFunctions,
    latent: Latent,
    noise: Mapping[str, Any],
    guider: Mapping[str, Any],
    schedule: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a sampling as the main worker takes it, but for its sampler."""
    model = functions.model
    values = dict(noise)
    for kind, numbers in model.guidance:
        if kind == "DifferentialDiffusion":
            latent = replace(latent, gradual=numbers["strength"])
        if kind == "ModelNoiseScale":
            values["strength"] = values.get("strength", 1.0) * numbers["noise_scale"]
    return {
        "model": model.recipe,
        "guidance": functions.guidance(guider["cfg"]),
        "asks_mask": functions.masks,
        "latent": latent,
        "noise": values,
        "guider": dict(guider),
        "schedule": dict(schedule),
    }


def sample_there(
    functions: PatchFunctions,
    latent: Latent,
    noise: Mapping[str, Any],
    guider: Mapping[str, Any],
    sampler: KSAMPLER,
    schedule: Mapping[str, Any],
    callback: Callback | None,
) -> Run:
    """Sample in the main worker."""
    from dataclasses import asdict

    functions.model.check_options()
    choice = sampler.native()
    options = {name: value for name, value in asdict(choice.options).items() if value is not None}
    request = sampling_request(functions, latent, noise, guider, schedule)
    request["sampler"] = {"name": choice.name, "options": options}
    called = functions if functions.guides or functions.masks else None
    if callback is None or isinstance(callback, NodeCallback):
        result = ask("sampling.sample", callback=called, **request)
    else:
        result = _stepwise(request, called, callback)
    samples = latents.to_comfy_latent(result["latent"])["samples"]
    return Run(samples, latents.to_comfy_latent(result["denoised"])["samples"])


def _stepwise(
    request: Mapping[str, Any], functions: PatchFunctions | None, callback: Callback
) -> Mapping[str, Latent]:
    """Sample step by step, and call a function of the pack after each."""
    token = ask("sampling.begin", callback=functions, **request)
    try:
        done, total = 0, 1
        while done < total:
            step = ask("sampling.step", callback=functions, token=token)
            done, total = step["step"], step["total"]
            callback(done - 1, step["denoised"], step["x"], total)
        ended: Mapping[str, Latent] = ask("sampling.end", callback=functions, token=token)
    except BaseException:
        ask("sampling.cancel", token=token)
        raise
    return ended


# Predictions for guiders and samplers of packs


@dataclass
class Predictions:
    """Predictions of a model for a sampling that runs in this process.

    Attributes:
        model: The model.
        latent: Has the size of what is sampled.
        noise: The noise that it begins with.
        sigmas: Its noise levels.
    """

    model: ModelHandle
    latent: Latent
    noise: Tensor
    sigmas: Tensor
    _tokens: dict[Any, tuple[str, Any]] = field(default_factory=dict)

    def guided(
        self, x: Tensor, sigma: float, conds: Sequence[Any], cfg: float, options: Mapping[str, Any]
    ) -> Tensor:
        """Return the guided prediction of the clean latent in a noisy one.

        Args:
            conds: The positive and the negative CONDITIONING.
            options: ComfyUI's options of the model.
        """
        functions = PatchFunctions(self.model, options, conds, self.sigmas)
        positive, negative = conds
        key = (id(positive), id(negative), cfg, *map(str, functions.guidance(cfg)))

        def guider() -> dict[str, Any]:
            towards, away = native_prompts(positive, negative)
            return {"positive": towards, "negative": away, "cfg": float(cfg)}

        called = functions if functions.guides else None
        token = self._token(key, conds, functions, guider)
        predicted = ask("sampling.predict", callback=called, token=token, x=_plain(x), sigma=sigma)
        guided: Tensor = predicted["guided"]
        return guided

    def apart(self, x: Tensor, sigma: float, conds: Sequence[Any]) -> list[Tensor]:
        """Return the prediction of each CONDITIONING."""
        functions = PatchFunctions(self.model.without_patches(), {}, (None, None), self.sigmas)
        sides = ("positive", "negative", *(f"further {at}" for at in range(len(conds) - 2)))

        def guider() -> dict[str, Any]:
            prompts = dict(zip(sides, map(border.from_comfy_conditioning, conds), strict=False))
            own = {"positive": prompts.pop("positive"), "negative": prompts.pop("negative", None)}
            return {**own, "cfg": 1.0, **({"others": prompts} if len(conds) > 1 else {})}

        token = self._token(tuple(map(id, conds)), conds, functions, guider)
        predicted = ask("sampling.predict", token=token, x=_plain(x), sigma=sigma, apart=True)
        return [predicted[side] for side in sides[: len(conds)]]

    def _token(
        self,
        key: Any,
        conds: Sequence[Any],
        functions: PatchFunctions,
        guider: Callable[[], dict[str, Any]],
    ) -> str:
        if key not in self._tokens:
            falling = sorted({float(level) for level in self.sigmas}, reverse=True)
            noise = native_noise(self.noise, 0, self.latent)
            schedule = {"sigmas": falling}
            request = sampling_request(functions, self.latent, noise, guider(), schedule)
            request |= {"asks_mask": False, "sampler": {"name": "euler", "options": {}}}
            called = functions if functions.guides else None
            # The objects are kept, as their ids are the key.
            self._tokens[key] = ask("sampling.begin", callback=called, **request), conds
        return self._tokens[key][0]

    def close(self) -> None:
        """End all that is under way in the main worker."""
        while self._tokens:
            ask("sampling.cancel", token=self._tokens.popitem()[1][0])


_RUNNING: ContextVar[Predictions | None] = ContextVar("nodegraph_comfy_predictions", default=None)
"""Predictions of the sampling that runs here."""


def _running(what: str) -> Predictions:
    predictions = _RUNNING.get()
    if predictions is None:
        raise refused(what, "no sampling of this process runs", "Call it in a GUIDER or SAMPLER.")
    return predictions


def _plain(x: Tensor) -> Tensor:
    return x.detach().to("cpu", torch.float32).contiguous()


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
    predictions = _running("comfy.samplers.calc_cond_batch").apart(x_in, _level(timestep), known)
    answers = iter(predictions)
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
        is_own = any(getattr(type(self), name) is not _method(type(self), name) for name in _OWN)
        if is_own or not sampler.is_native:
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
        options = _with_sigmas(self.model_options, sigmas)
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

    def request(self) -> dict[str, Any]:
        second = border.from_comfy_conditioning(self.conds["middle"])
        return {**super().request(), "second": second, "second_cfg": float(self.cfg2)}

    def predict_noise(
        self, x: Tensor, timestep: Any, model_options: Any = None, seed: Any = None
    ) -> Tensor:
        sides = [self.conds.get(name) for name in ("positive", "negative", "middle")]
        towards, away, second = calc_cond_batch(self.inner_model, sides, x, timestep)
        return away + self.cfg2 * (second - away) + self.cfg * (towards - second)


def _method(kind: type, name: str) -> Any:
    """A method of the nearest class of nodegraph."""
    return next(
        getattr(base, name) for base in kind.__mro__ if base.__module__ == CFGGuider.__module__
    )
