"""Objects of ComfyUI's samplings: SAMPLER, NOISE, schedules by name, previews of latents.

Names of native samplers run in the main worker. A sampler function of a pack runs here, and so does
a native one that it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import SAMPLER_NAMES, SCHEDULE_NAMES, comfyui_sampler
from nodegraph.interop.comfyui.packs import latents
from nodegraph.interop.comfyui.packs.model_handle import (
    LatentScale,
    ModelHandle,
    ModelSampling,
    ask,
    current_call,
    refused,
)
from nodegraph.interop.comfyui.table.samplers_schedules import COMFYUI_SAMPLERS, SCHEDULERS

_OPTIONS = {
    "eta": "eta",
    "s_noise": "s_noise",
    "s_churn": "s_churn",
    "s_tmin": "s_tmin",
    "s_tmax": "s_tmax",
    "order": "order",
    "max_stage": "order",
    "s_noise_end": "s_noise_end",
    "noise_clip_std": "noise_clip",
}
"""Options of samplers there, and their names here."""


class SchedulerHandler(NamedTuple):
    """How a schedule is computed: by a model's noise levels, or without them."""

    handler: Callable[..., Tensor]
    use_ms: bool = True


def _named_handler(name: str) -> SchedulerHandler:
    def handle(model_sampling: ModelSampling, steps: int) -> Tensor:
        sigmas: Tensor = ask(
            "model.sigmas", model=model_sampling.recipe, schedule=name, steps=int(steps)
        )
        return sigmas

    return SchedulerHandler(handle)


SCHEDULER_HANDLERS: dict[str, SchedulerHandler] = {
    name: _named_handler(name) for name in SCHEDULERS
}
"""By ComfyUI's name; packs add their own."""
NATIVE_HANDLERS = dict(SCHEDULER_HANDLERS)
"""Those of nodegraph."""
SCHEDULER_NAMES: list[str] = list(SCHEDULERS)
SAMPLER_LIST: list[str] = list(COMFYUI_SAMPLERS)


class KSAMPLER:
    """ComfyUI's SAMPLER: a sampler by name, with options.

    Args:
        sampler_function: One of ``comfy.k_diffusion.sampling``, or a function of the pack.
    """

    sampler_function: Any = None
    inpaint_options: Mapping[str, Any] = {}

    def __init__(
        self,
        sampler_function: Any = None,
        extra_options: Mapping[str, Any] | None = None,
        inpaint_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.sampler_function = sampler_function
        self.extra_options = dict(extra_options or {})
        self.inpaint_options = dict(inpaint_options or {})

    @property
    def is_native(self) -> bool:
        """Whether the main worker can run it: it is a name, and keeps masks in the usual way."""
        is_named = isinstance(self.sampler_function, SamplerFunction)
        is_own = type(self).sample is not KSAMPLER.sample
        return is_named and not is_own and not any(self.inpaint_options.values())

    def native(self) -> Any:
        """Return the native sampler.

        Raises:
            PackError: It has options that samplers here have not.
        """
        from nodegraph.sampling.sampler_options import resolve_options
        from nodegraph.sampling.sampling_parts import SamplerChoice

        name = self.sampler_function.nodegraph_sampler
        options_here = _native_options(name, self.extra_options)
        resolve_options(name, options_here)
        return SamplerChoice(name, options_here)

    def max_denoise(self, model_wrap: Any, sigmas: Tensor) -> bool:
        """Whether a sampling begins with nothing but noise."""
        most = float(model_wrap.inner_model.model_sampling.sigma_max)
        return bool(float(sigmas[0]) >= most * (1 - 1e-5))

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Sample in this process, on a guider that predicts.

        Args:
            model_wrap: The guider.
            sigmas: Noise levels, falling, or rising to turn a clean latent into a noisy one.
            extra_args: What the guider is called with.
            latent_image: In the scale of the model; None for zeros.
        """
        latent = torch.zeros_like(noise) if latent_image is None else latent_image
        predicting = KSamplerX0Inpaint(model_wrap, sigmas)
        predicting.latent_image, predicting.noise = latent, noise
        if self.inpaint_options.get("random"):
            seed = extra_args.get("seed")
            generator = torch.Generator("cpu").manual_seed((41 if seed is None else int(seed)) + 1)
            predicting.noise = torch.randn(noise.shape, generator=generator)
        sampling = model_wrap.inner_model.model_sampling
        begun = sampling.noise_scaling(
            sigmas[0], noise, latent, self.max_denoise(model_wrap, sigmas)
        )
        total = len(sigmas) - 1

        def note(step: Mapping[str, Any]) -> None:
            callback(step["i"], step["denoised"], step["x"], total)

        samples = self.sampler_function(
            predicting,
            begun,
            sigmas,
            extra_args={**extra_args, "denoise_mask": denoise_mask},
            callback=None if callback is None else note,
            disable=disable_pbar,
            **self.extra_options,
        )
        ended: Tensor = sampling.inverse_noise_scaling(sigmas[-1], samples)
        return ended


Sampler = KSAMPLER


def _native_options(sampler: str, named: Mapping[str, Any]) -> Any:
    """Options of a native sampler, by ComfyUI's names.

    Raises:
        PackError: The sampler has no such option here.
    """
    from nodegraph.sampling.sampler_options import SamplerOptions

    options: dict[str, Any] = {}
    for key, value in named.items():
        if key not in _OPTIONS:
            raise refused(f"sampler option {key}", f"the sampler {sampler} has no such option here")
        options[_OPTIONS[key]] = value
    return SamplerOptions(**options)


class KSamplerX0Inpaint:
    """What a sampler function calls: a guider, with the kept part of a masked latent.

    Attributes:
        inner_model: The guider.
        latent_image, noise: What is kept, and the noise that sampling began with.
    """

    def __init__(self, model: Any, sigmas: Tensor) -> None:
        self.inner_model, self.sigmas = model, sigmas
        self.latent_image = self.noise = torch.zeros(())

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        denoise_mask: Tensor | None = None,
        model_options: Mapping[str, Any] | None = None,
        seed: Any = None,
    ) -> Tensor:
        """Predict the clean latent in a noisy one."""
        options = model_options or {}
        if denoise_mask is None:
            predicted: Tensor = self.inner_model(x, sigma, model_options=options, seed=seed)
            return predicted
        change = options.get("denoise_mask_function")
        if change is not None:
            extra = {"model": self.inner_model, "sigmas": self.sigmas}
            denoise_mask = change(sigma, denoise_mask, extra_options=extra)
        level = sigma.reshape(-1, *(1,) * (x.ndim - 1))
        sampling = self.inner_model.inner_model.model_sampling
        kept = sampling.noise_scaling(level, self.noise, self.latent_image)
        x = x * denoise_mask + kept * (1.0 - denoise_mask)
        predicted = self.inner_model(x, sigma, model_options=options, seed=seed)
        blended: Tensor = predicted * denoise_mask + self.latent_image * (1.0 - denoise_mask)
        return blended


class SamplerFunction:
    """A function of ``comfy.k_diffusion.sampling``: a name for its sampler.

    Attributes:
        nodegraph_sampler: The sampler here.
    """

    def __init__(self, name: str, sampler: str) -> None:
        self.__name__, self.nodegraph_sampler = name, sampler

    def __call__(
        self,
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, Any] | None = None,
        callback: Any = None,
        disable: Any = None,
        noise_sampler: Any = None,
        **options: Any,
    ) -> Tensor:
        """Sample in this process.

        Args:
            model: Predicts clean latents: ``model(x, sigma, **extra_args)``, with the noise levels
                of ``model.inner_model.inner_model.model_sampling``.
        Raises:
            PackError: It needs predictions without guidance, or noise of the pack.
        """
        from nodegraph.sampling.samplers import SAMPLERS

        what, extra = f"comfy.k_diffusion.sampling.{self.__name__}()", dict(extra_args or {})
        if SAMPLERS[self.nodegraph_sampler].asks_unguided:
            raise refused(what, "in this process there are no predictions without guidance")
        if noise_sampler is not None:
            raise refused(f"{what} with noise_sampler", "samplers here draw their own noise")
        sampling = model.inner_model.inner_model.model_sampling
        sampler, begun = self._begun(sampling, x, sigmas, extra.get("seed"), options), x
        while not sampler.done:
            step, noisy_here = sampler.steps_done, sampler.evaluation_x()
            space, at = sampler.evaluation_point
            sigma = space.noise_levels.sigmas[at]
            noisy = noisy_here / space.alpha_deviation(at)[0] if _is_scaled(space) else noisy_here
            denoised = model(noisy, sigma * x.new_ones([len(x)]), **extra)
            sampler.feed(_output_of(denoised, noisy_here, space, at))
            if sampler.steps_done == step:
                continue
            if callback is not None:
                callback(
                    {"x": begun, "i": step, "sigma": sigmas[step], "sigma_hat": sigmas[step]}
                    | {"denoised": sampler.denoised}
                )
            index = sampler.noise_levels.end if sampler.done else sampler.step_index
            is_scaled = _is_scaled(sampler.space)
            begun = sampler.x / sampler.space.alpha_deviation(index)[0] if is_scaled else sampler.x
        return begun

    def _begun(
        self, sampling: ModelSampling, x: Tensor, sigmas: Tensor, seed: Any, options: Any
    ) -> Any:
        """The native sampler at its first noise level."""
        from nodegraph.families.flow_noise import recipe_noise
        from nodegraph.sampling.composed_schedules import ordered_schedule
        from nodegraph.sampling.samplers import SAMPLERS, make_sampler
        from nodegraph.sampling.schedules import levels_for

        name, drawn = self.nodegraph_sampler, 0 if seed is None else int(seed) % 2**64
        noise = recipe_noise(sampling.recipe)
        listed = ordered_schedule([float(level) for level in sigmas])
        levels = levels_for(listed, noise, grid=SAMPLERS[name].grid_for("comfyui"))
        generators = (torch.Generator("cpu").manual_seed((drawn + 1) % 2**64),)
        chosen = _native_options(name, options)
        sampler = make_sampler(name, levels, noise, generators, chosen, convention="comfyui")
        sampler.use_brownian_noise(drawn, x.shape)
        alpha = sampler.space.alpha_deviation(0)[0]
        sampler.start(x * alpha if _is_scaled(sampler.space) else x)
        return sampler


def _is_scaled(space: Any) -> bool:
    """Whether a space keeps latents in another scale than ComfyUI's samplers."""
    from nodegraph.sampling.samplers.spaces import PreservingSpace

    return isinstance(space, PreservingSpace)


def _output_of(denoised: Tensor, x: Tensor, space: Any, at: int) -> Tensor:
    """The output of a model that stands for a prediction: predictions are straight in it."""
    none = space.to_denoised(torch.zeros_like(denoised), x, at)
    slope = space.to_denoised(torch.ones(()), torch.zeros(()), at)
    output: Tensor = (denoised - none) / slope
    return output


def ksampler(
    sampler_name: str,
    extra_options: Mapping[str, Any] | None = None,
    inpaint_options: Mapping[str, Any] | None = None,
) -> KSAMPLER:
    """Return a SAMPLER by name, with options."""
    native = comfyui_sampler(sampler_name, SAMPLER_NAMES)
    if native is None or sampler_name not in COMFYUI_SAMPLERS:
        raise InvalidValue(
            "there is no such sampler",
            given=sampler_name,
            expected=", ".join(COMFYUI_SAMPLERS),
            hint="Samplers that a pack adds are the pack's functions, and do not run here."
            if sampler_name in SAMPLER_LIST
            else None,
        )
    function = SamplerFunction(f"sample_{sampler_name}", native)
    return KSAMPLER(function, extra_options, inpaint_options)


def sampler_object(name: str) -> KSAMPLER:
    """Return a SAMPLER by name."""
    return ksampler(name)


def calculate_sigmas(model_sampling: ModelSampling, scheduler_name: str, steps: int) -> Tensor:
    """Return the noise levels of a schedule, falling, with the closing 0."""
    handler = SCHEDULER_HANDLERS.get(scheduler_name)
    if handler is None:
        if scheduler_name in SCHEDULE_NAMES:
            handler = _named_handler(scheduler_name)
        else:
            raise InvalidValue(
                "there is no such schedule",
                given=scheduler_name,
                expected=", ".join(SCHEDULER_NAMES),
            )
    if handler.use_ms:
        return handler.handler(model_sampling, steps)
    least, most = float(model_sampling.sigma_min), float(model_sampling.sigma_max)
    return handler.handler(n=steps, sigma_min=least, sigma_max=most)


class Noise_RandomNoise:  # noqa: N801 - ComfyUI's name
    """ComfyUI's NOISE from a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @property
    def is_native(self) -> bool:
        """Whether its class draws as nodegraph does: it is none of the pack."""
        return type(self).__module__ == __name__

    def generate_noise(self, input_latent: Mapping[str, Any]) -> Tensor:
        """Draw noise of the shape of a latent."""
        return prepare_noise(input_latent["samples"], self.seed, input_latent.get("batch_index"))

    def native(self) -> Any:
        """Return the native noise."""
        from nodegraph.sampling.sampling_parts import SamplingNoise

        return SamplingNoise(self.seed, draw="per batch")


class Noise_EmptyNoise(Noise_RandomNoise):  # noqa: N801 - ComfyUI's name
    """ComfyUI's NOISE of zeros."""

    def __init__(self) -> None:
        super().__init__(0)

    def generate_noise(self, input_latent: Mapping[str, Any]) -> Tensor:
        return torch.zeros_like(input_latent["samples"], device="cpu")

    def native(self) -> Any:
        from nodegraph.sampling.sampling_parts import SamplingNoise

        return SamplingNoise(added=False, draw="per batch")


class _NativeNoise(Noise_RandomNoise):
    """NOISE of a native node."""

    def __init__(self, noise: Any) -> None:
        super().__init__(noise.seed)
        self._noise = noise

    def generate_noise(self, input_latent: Mapping[str, Any]) -> Tensor:
        from nodegraph.sampling.latent_noise import draw_sampling_noise

        samples = input_latent["samples"]
        if not self._noise.added:
            return torch.zeros_like(samples, device="cpu")
        latent = latents.from_comfy_latent({**input_latent, "noise_mask": None})
        return draw_sampling_noise(self._noise, latent, tuple(samples.shape)).first

    def native(self) -> Any:
        return self._noise


def to_comfy_part(value: Any) -> Any:
    """Convert a native sampler or noise to ComfyUI's SAMPLER or NOISE; a pack's own stays.

    Raises:
        PackError: It is a native guider.
    """
    from nodegraph.sampling.sampling_parts import GuiderChoice, SamplerChoice, SamplingNoise

    if isinstance(value, GuiderChoice):
        raise refused(
            "a GUIDER of a native node",
            "guiders of nodegraph do not know their model",
            "Link a guider node of a pack.",
        )
    if isinstance(value, SamplingNoise):
        return _NativeNoise(value)
    if not isinstance(value, SamplerChoice):
        return value
    options = {
        name: getattr(value.options, name)
        for name in value.options.__slots__
        if getattr(value.options, name) is not None
    }
    return KSAMPLER(SamplerFunction(f"sample_{value.name}", value.name), options)


def prepare_noise(
    latent_image: Tensor, seed: int, noise_inds: Sequence[int] | None = None
) -> Tensor:
    """Draw the noise of a batch from one generator on the CPU.

    Args:
        noise_inds: Index of each item in the batch that the noise is drawn for.
    """
    generator = torch.Generator("cpu").manual_seed(int(seed) % 2**64)
    if noise_inds is None:
        return torch.randn(latent_image.shape, generator=generator)
    indices = [int(index) for index in noise_inds]
    drawn = [
        torch.randn((1, *latent_image.shape[1:]), generator=generator)
        for _ in range(max(indices) + 1)
    ]
    return torch.cat([drawn[index] for index in indices])


class NodeCallback:
    """Marks the callback of `latent_preview.prepare_callback`: the main worker shows progress."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        """Report a step, for samplers of a pack's own."""
        context = current_call.get()
        if context is not None:
            context.progress(step + 1, total_steps)


def prepare_callback(
    model: ModelHandle, steps: int, x0_output_dict: dict[str, Any] | None = None
) -> Any:
    """Return a callback of a sampling that shows progress and previews."""
    shown = NodeCallback(steps)
    if x0_output_dict is None:
        return shown

    def keep(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        x0_output_dict["x0"] = x0

    return keep


class LatentPreviewer:
    """Colors of latents, for a pack's own previews."""

    def __init__(self, form: LatentScale) -> None:
        self._form = form

    def decode_latent_to_preview(self, x0: Tensor) -> Any:
        """Return a Pillow image of latents, one pixel for each cell."""
        from PIL import Image

        factors = self._form.latent_rgb_factors
        if factors is None or len(factors) != x0.shape[1]:
            plane = x0[0, :1].float()
            picture = ((plane - plane.amin()) / (plane.amax() - plane.amin() + 1e-6)).expand(
                3, -1, -1
            )
        else:
            bias = torch.tensor(self._form.latent_rgb_factors_bias).view(3, 1, 1)
            colors = torch.tensor(factors)
            picture = torch.einsum("chw,cr->rhw", x0[0].float().cpu(), colors) + bias
            picture = (picture + 1) / 2
        pixels = (picture.clamp(0, 1) * 255).byte().movedim(0, -1).cpu().numpy()
        return Image.fromarray(pixels)

    def decode_latent_to_preview_image(self, preview_format: str, x0: Tensor) -> Any:
        """Return ComfyUI's triple of a preview."""
        return preview_format, self.decode_latent_to_preview(x0), 512


def get_previewer(device: Any, latent_format: Any) -> LatentPreviewer:
    """Return what shows latents of a format."""
    return LatentPreviewer(latent_format)


def latent_formats() -> dict[str, Any]:
    """ComfyUI's classes of latent formats."""
    known = {
        "SD15": "sd",
        "SDXL": "sdxl",
        "SD3": "sd3",
        "Flux": "flux",
        "Flux2": "flux2",
        "Wan21": "wan",
        "Wan22": "wan22",
        "LTXV": "ltx",
    }
    names = {family.latent.name for family in FAMILIES.values()}
    formats: dict[str, Any] = {"LatentFormat": LatentScale}
    for there, here in known.items():
        if here in names:
            formats[there] = type(there, (_NamedScale,), {"name": here})
    return formats


class _NamedScale(LatentScale):
    """A latent format by ComfyUI's name."""

    name: str

    def __init__(self) -> None:
        super().__init__(self.name)


def k_diffusion_names() -> dict[str, Any]:
    """Functions of ``comfy.k_diffusion.sampling``: names of samplers, and plain arithmetic."""
    from nodegraph.families.sigma_curves import exponential_levels, karras_levels

    def closed(levels: Any) -> Tensor:
        values = torch.from_numpy(levels).float()
        return torch.cat([values, values.new_zeros(1)])

    functions = {
        f"sample_{name}": SamplerFunction(f"sample_{name}", native)
        for name in COMFYUI_SAMPLERS
        if (native := comfyui_sampler(name, SAMPLER_NAMES)) is not None
    }
    return {
        **functions,
        "append_zero": lambda x: torch.cat([x, x.new_zeros([1])]),
        "append_dims": lambda x, count: x[(...,) + (None,) * (count - x.ndim)],
        "to_d": lambda x, sigma, denoised: (
            (x - denoised) / sigma[(...,) + (None,) * (x.ndim - sigma.ndim)]
        ),
        "get_sigmas_karras": lambda n, sigma_min, sigma_max, rho=7.0, device="cpu": closed(
            karras_levels(float(sigma_max), float(sigma_min), n, rho)
        ).to(device),
        "get_sigmas_exponential": lambda n, sigma_min, sigma_max, device="cpu": closed(
            exponential_levels(float(sigma_max), float(sigma_min), n)
        ).to(device),
    }
