"""Samplings that a pack asks of the main worker: at once, or one prediction at a time.

The main worker calls the functions that a pack set on a model (`PatchFunctions`).

Source of the interfaces: https://github.com/comfyanonymous/ComfyUI (``comfy/samplers.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import PackError
from nodegraph.families.registry import get_family
from nodegraph.interop.comfyui.packs import border, latents
from nodegraph.interop.comfyui.packs.model_handle import (
    FUNCTIONS,
    ModelHandle,
    ask,
    channels_of,
    refused,
)
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import KSAMPLER, NodeCallback

Callback = Callable[[int, Tensor, Tensor, int], Any]

GUIDING = frozenset(
    {
        *("RescaleCFG", "CFGNorm", "CFGZeroStar", "TCFG", "APG", "CFGOverride"),
        *("PerturbedAttentionGuidance", "SelfAttentionGuidance"),
    }
)
_LAST = ("RescaleCFG", "CFGNorm")
"""Patches that guiders here apply after all others."""


def fix_empty_latent_channels(
    model: ModelHandle, latent_image: Tensor, *_: Any, **__: Any
) -> Tensor:
    """Give an empty latent the channels and axes of a model's latents."""
    if bool(torch.count_nonzero(latent_image)):
        return latent_image
    form = get_family(model.recipe.family).latent
    channels = channels_of(model.recipe)
    has_frames = bool(form.temporal) or form.name == "qwen-image"
    # With Stable Diffusion's 4 channels, or 16 as of most later models, a cell stands for 8 pixels,
    # and for 4 frames of a video. With other channels of the model, it has the model's size.
    is_plain = latent_image.shape[1] in (4, 16) or latent_image.shape[1] != channels
    if latent_image.shape[1] != channels:
        latent_image = latent_image[:, :1].expand(-1, channels, *latent_image.shape[2:]).clone()
    if has_frames and latent_image.ndim == 4:
        latent_image = latent_image.unsqueeze(2)
    if not is_plain:
        return latent_image
    *frames, height, width = latent_image.shape[2:]
    if form.temporal and frames:
        frames = [form.latent_frames((frames[0] - 1) * 4 + 1)]
    sides = [max(1, round(side * 8 / form.spatial)) for side in (height, width)]
    if [*frames, *sides] == list(latent_image.shape[2:]):
        return latent_image
    return latent_image.new_zeros((*latent_image.shape[:2], *frames, *sides))


def native_latent(model: ModelHandle, samples: Tensor, noise_mask: Any) -> Latent:
    """A latent of a sampling: of the model's format, unless it is known to be of another."""
    name = get_family(model.recipe.family).latent.name
    # The model may come with a GUIDER of another call, which noted no format for the result.
    latents.note_format(name)
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
        patches = [patch for patch in patches if patch[0] in GUIDING]
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
            self._begin(**values)
            return None
        return self._guide(**values) if function == "guide" else self._mask(**values)

    def _begin(
        self,
        sigmas: Tensor,
        positive: Conditioning | None = None,
        negative: Conditioning | None = None,
    ) -> None:
        """Take the noise levels, and the prompts of a native node."""
        self.sigmas = sigmas
        if positive is not None:
            away = [] if negative is None else border.to_comfy_conditioning(negative)
            self.conds = border.to_comfy_conditioning(positive), away

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
        Raises:
            PackError: A function returned something else than tensors of the latent's shape.
        """
        options = with_sigmas(self.options, self.sigmas)
        shared = {"cond_scale": scale, "timestep": sigma, "sigma": sigma, "input": x}
        shared |= {"model": self.model.model, "model_options": options}
        before, outs = list(outputs), [item.clone() for item in outputs]
        known = [x, *before]
        for function in options.get("sampler_pre_cfg_function") or ():
            outs = function({"conds": list(self.conds), "conds_out": outs, **shared})
            check_returned(function, FUNCTIONS[1], outs, known, items=2)
        positive, negative = outs[:2]
        if not all(map(torch.equal, before, outs[:2])):
            guided = negative + (positive - negative) * scale
        sides = {"cond_denoised": positive, "uncond_denoised": negative}
        own = options.get("sampler_cfg_function")
        if own is not None:
            away = own({"cond": x - positive, "uncond": x - negative, **sides, **shared})
            check_returned(own, FUNCTIONS[0], away, known)
            guided = x - away
        conds = {"cond": self.conds[0], "uncond": self.conds[1]}
        for function in options.get("sampler_post_cfg_function") or ():
            guided = function({"denoised": guided, **conds, **sides, **shared})
            check_returned(function, FUNCTIONS[2], guided, known)
        return guided

    def _mask(self, mask: Tensor, sigma: float) -> Tensor:
        wrap = SimpleNamespace(inner_model=self.model.model, model_patcher=self.model)
        extra = {"model": wrap, "sigmas": self.sigmas}
        level = torch.full((len(mask),), sigma)
        changed: Tensor = self.options[FUNCTIONS[3]](level, mask, extra_options=extra)
        return changed.float().contiguous()


def check_returned(
    function: Callable[..., Any],
    kind: str,
    returned: Any,
    known: Sequence[Tensor],
    items: int = 0,
) -> None:
    """Check what a function of the guidance returned.

    Args:
        kind: Its key in ComfyUI's ``model_options``.
        known: The noisy latent and the predictions that it received.
        items: Predictions that it returns at least, in a list; 0 if it returns a tensor.
    Raises:
        PackError: It returned something else, or numbers that are not finite.
    """
    shape, is_list = tuple(known[0].shape), isinstance(returned, Sequence)
    values = list(returned[:items]) if items and is_list else [returned]
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if len(values) != max(items, 1) or not all(
        isinstance(value, Tensor) and value.shape == shape for value in values
    ):
        expected = f"a tensor of shape {shape}"
        raise PackError(
            f"the function `{name}` of a pack, a {kind}, returned no prediction",
            given=", ".join(map(_describe, returned)) if items and is_list else _describe(returned),
            expected=f"a list of {items} tensors of shape {shape}" if items else expected,
            hint="Return the predictions in the form in which the function receives them.",
        )
    if not _are_finite(values) and _are_finite(known):
        raise PackError(
            f"the function `{name}` of a pack, a {kind}, returned NaN or infinity",
            expected="finite numbers: those that it received are finite",
        )


def _are_finite(tensors: Sequence[Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def _describe(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    return f"{type(value).__name__}{shape}"


def with_function(
    kind: str,
    model_options: dict[str, Any],
    function: Callable[..., Any],
    disable_cfg1_optimization: bool = False,
) -> dict[str, Any]:
    """Add a function to options, as ``comfy.model_patcher.set_model_options_…`` does.

    Args:
        kind: One of `FUNCTIONS`.
        disable_cfg1_optimization: Whether the negative prompt is evaluated at a scale of 1.
    """
    model_options[kind] = [*model_options.get(kind, ()), function]
    if disable_cfg1_optimization:
        model_options["disable_cfg1_optimization"] = True
    return model_options


def with_sigmas(options: Mapping[str, Any], sigmas: Tensor) -> dict[str, Any]:
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


def lend_model(model: ModelHandle) -> list[ModelHandle]:
    """Lend a model to the native node that waits for it in the main worker.

    Returns:
        The models that the node returns, with the patches.
    """
    functions = PatchFunctions(model, model.model_options, (None, None))
    model.check_options()
    gradual, noise_scale = None, 1.0
    for kind, numbers in model.guidance:
        if kind == "DifferentialDiffusion":
            gradual = numbers["strength"]
        elif kind == "ModelNoiseScale":
            noise_scale *= numbers["noise_scale"]

    recipes = ask(
        "model.lend",
        callback=functions,
        model=model.recipe,
        guidance=[patch for patch in functions.guidance(1.0) if patch[0] != "functions"],
        guides=functions.guides,
        masks=functions.masks,
        always_negative=bool(model.model_options.get("disable_cfg1_optimization")),
        gradual=gradual,
        noise_scale=noise_scale,
    )
    return [model.with_recipe(recipe) for recipe in recipes]


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


def _plain(x: Tensor) -> Tensor:
    return x.detach().to("cpu", torch.float32).contiguous()


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
