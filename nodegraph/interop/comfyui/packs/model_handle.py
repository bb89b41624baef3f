"""Handle of a MODEL, and what handles of all kinds share: the call that runs, and its services.

A handle holds a recipe. Its calls run in the main worker, where the weights are, by the services
of `nodegraph.interop.comfyui.packs.services`. A handle with other settings is a copy; handles are
never changed in place, except by methods that change them in ComfyUI as well.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import DiffusionModel, Vae
from nodegraph.errors import PackError
from nodegraph.families.registry import get_family, get_latent_format
from nodegraph.interop.comfyui.packs import latents

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.context import Environment
    from nodegraph.isolation.runner import CallContext

current_call: ContextVar[CallContext | None] = ContextVar("nodegraph_comfy_call", default=None)
"""Context of the call that runs. The runner sets it around each call of a node."""
hook_environment: ContextVar[Environment | None] = ContextVar("nodegraph_comfy_hook", default=None)
"""What a hook that runs may read."""


def call_context() -> CallContext:
    """Return the context of the call that runs.

    Raises:
        PackError: No node runs: the pack calls a model while it is imported, or in a thread that
            it started itself.
    """
    context = current_call.get()
    if context is None:
        raise PackError(
            "a model can be used only while a node runs, in the thread of the node",
            hint="Threads of the pack: start them with contextvars.copy_context().run.",
        )
    return context


CONVERTERS: dict[str, Callable[[Any], Any]] = {}
"""Functions that give a native value its form in ComfyUI, by ComfyUI's type. `border` fills it: it
knows the handles, so they cannot import it."""


def ask(service: str, *, callback: Callable[..., Any] | None = None, **values: Any) -> Any:
    """Call a service of the main worker; see `CallContext.ask`."""
    return call_context().ask(service, callback=callback, **values)


def refused(what: str, why: str, hint: str | None = None) -> PackError:
    """Return the error for something of ComfyUI that does not exist here, by its name there."""
    return PackError(f"ComfyUI's `{what}` is not offered here: {why}", hint=hint)


INSIDE = "it reaches into the model itself, which runs in another process with another engine"
_PATCHES = (
    "Known patches are LoRAs, model sampling objects, functions of the guidance and of the noise "
    "mask, the guidance nodes of ComfyUI, and FreeU. Use a native node of nodegraph for others."
)
FUNCTIONS = (
    *("sampler_cfg_function", "sampler_pre_cfg_function", "sampler_post_cfg_function"),
    "denoise_mask_function",
)
"""Keys of ComfyUI's ``model_options`` with functions of a pack that a sampling calls."""
_ALLOWED = (*FUNCTIONS, "disable_cfg1_optimization")
_PATCHING = frozenset(
    {
        *("patches", "patches_replace", "wrappers", "callbacks", "block_modifiers"),
        *("cond_or_uncond", "optimized_attention_override"),
    }
)
"""Keys of ``transformer_options`` that change a forward pass; others are notes of a pack."""
_ATTENTION = "PerturbedAttentionGuidance, SmoothedEnergyGuidance and SelfAttentionGuidance"
_NATIVE_NODES: Mapping[str, str] = {
    "set_model_unet_function_wrapper": "FirstBlockCache, MagCache and TaylorSeerCache",
    "set_model_attn1": _ATTENTION,
    "set_model_attn2": "ApplyIPAdapter",
    "set_model_output_block_patch": "FreeU",
}
"""Native nodes that do what packs do with a patch of the forward pass, by the start of its name."""


def _hint(patch: str) -> str:
    nodes = next((_NATIVE_NODES[name] for name in _NATIVE_NODES if patch.startswith(name)), None)
    return _PATCHES if nodes is None else f"Native nodes do what such patches do: {nodes}."


_CHANNELS: dict[Any, int] = {}
"""Channels of the latents of recipes, which do not change."""


def channels_of(recipe: DiffusionModel | Vae) -> int:
    """Return the channels of the latents of a model or VAE; it may differ from its family's."""
    base = recipe.base
    if base not in _CHANNELS:
        _CHANNELS[base] = ask("model.channels", recipe=base)
    return _CHANNELS[base]


MODEL_CLASSES: Mapping[str, str] = {
    "sd1": "BaseModel",
    "sd2": "BaseModel",
    "sdxl": "SDXL",
    "sdxl-refiner": "SDXLRefiner",
    "sd3": "SD3",
    "flux": "Flux",
    "flux2": "Flux2",
    "chroma": "Chroma",
    "auraflow": "AuraFlow",
    "ltx": "LTXV",
    "lumina2": "Lumina2",
    "z-image": "Lumina2",
    "hidream": "HiDream",
    "wan": "WAN21",
    "wan22-5b": "WAN22",
    "qwen-image": "QwenImage",
    "qwen-image-edit": "QwenImage",
    "qwen-image-edit-plus": "QwenImage",
    "hunyuan-image": "HunyuanImage21",
    "hunyuan-video-15": "HunyuanVideo15",
    "anima": "Anima",
}
"""ComfyUI's class of a model (``comfy.model_base``) by family, which packs compare with."""


class LatentScale:
    """ComfyUI's ``latent_format`` of a model: sizes, scale and preview colors of its latents."""

    def __init__(self, name: str, channels: int | None = None) -> None:
        form = get_latent_format(name)
        self.nodegraph_name = name
        self.latent_channels = form.channels if channels is None else channels
        self.latent_dimensions = 3 if form.temporal else 2
        self.spacial_downscale_ratio = form.spatial
        self.temporal_downscale_ratio = form.temporal or 1
        factor, shift = form.scaling or (1.0, 0.0)
        self.scale_factor, self.shift_factor = factor, shift
        self.latent_rgb_factors = None if form.rgb is None else [list(row) for row in form.rgb]
        self.latent_rgb_factors_bias = list(form.rgb_bias)
        self.taesd_decoder_name = f"{form.tiny}_decoder" if form.tiny else None

    def process_in(self, latent: Tensor) -> Tensor:
        """Bring latents to the scale that the model works with."""
        return latents.scale(latent, self.nodegraph_name)

    def process_out(self, latent: Tensor) -> Tensor:
        """Bring latents to the scale of a LATENT."""
        return latents.unscale(latent, self.nodegraph_name)


class ModelSampling:
    """ComfyUI's ``model_sampling``: noise levels of a model.

    Attributes:
        sigmas: Noise levels of the training timesteps, ascending, float32.
        is_flow: Whether the noise levels are those of a flow model, 0 to 1.
    """

    def __init__(self, recipe: DiffusionModel) -> None:
        self.recipe = recipe
        self._read()

    def applied_to(self, recipe: DiffusionModel) -> DiffusionModel:
        """Return a model with these noise levels."""
        return self.recipe

    def _read(self) -> None:
        """Read the noise levels of the recipe."""
        import torch

        facts = ask("model.sampling", model=self.recipe)
        self.is_flow: bool = facts["is_flow"]
        self.sigmas: Tensor = facts["sigmas"].to(torch.float32)
        self.log_sigmas = self.sigmas.log()
        self.num_timesteps = self.sigma_max_index = len(self.sigmas)
        self.sigma_data = 1.0
        self.shift = facts["shift"]
        self.prediction_type: str = facts["prediction_type"]

    @property
    def sigma_min(self) -> Tensor:
        """The lowest noise level."""
        return self.sigmas[0]

    @property
    def sigma_max(self) -> Tensor:
        """The highest noise level."""
        return self.sigmas[-1]

    def timestep(self, sigma: Tensor) -> Tensor:
        """Timestep of a noise level: that of the nearest one in the table."""
        if self.is_flow:
            timesteps: Tensor = sigma * self.num_timesteps
            return timesteps
        distances = sigma.log().reshape(-1, 1) - self.log_sigmas.to(sigma.device)
        nearest: Tensor = distances.abs().argmin(dim=1).reshape(sigma.shape)
        return nearest

    def sigma(self, timestep: Tensor) -> Tensor:
        """Noise level of a timestep, interpolated in the logarithm."""
        import torch

        if self.is_flow:
            return timestep / self.num_timesteps
        position = timestep.float().clamp(0, self.num_timesteps - 1)
        low = position.floor().long()
        share = position.frac()
        high = (low + 1).clamp(max=self.num_timesteps - 1)
        logs = self.log_sigmas.to(timestep.device)
        return torch.exp((1 - share) * logs[low] + share * logs[high])

    def percent_to_sigma(self, percent: float) -> float:
        """Noise level at a part of the sampling, 0 (begin) to 1 (end)."""
        if percent <= 0.0:
            return 999999999.9 if not self.is_flow else 1.0
        if percent >= 1.0:
            return 0.0
        return float(ask("model.sigma_at", model=self.recipe, percent=float(percent)))

    def noise_scaling(
        self, sigma: Any, noise: Tensor, latent_image: Tensor, max_denoise: bool = False
    ) -> Tensor:
        """Put noise on a latent, as a sampling begins."""
        noisy: Tensor
        if self.is_flow:
            noisy = sigma * noise + (1.0 - sigma) * latent_image
        else:
            scale = (1.0 + sigma**2) ** 0.5 if max_denoise else sigma
            noisy = noise * scale + latent_image
        return noisy

    def inverse_noise_scaling(self, sigma: Any, latent: Tensor) -> Tensor:
        """Undo the scale of a latent that a sampling ends with."""
        unscaled: Tensor = latent / (1.0 - sigma) if self.is_flow else latent
        return unscaled


class ModelConfig:
    """ComfyUI's ``model_config``: settings of an architecture, as far as packs read them."""

    def __init__(self, recipe: DiffusionModel) -> None:
        family = recipe.family
        self.nodegraph_recipe = recipe
        self.unet_config = {"nodegraph_family": family, "dtype": recipe.dtype}
        self.sampling_settings: dict[str, Any] = {}
        self.latent_format = LatentScale(get_family(family).latent.name, channels_of(recipe))
        self.nodegraph_family = family


class BaseModel:
    """ComfyUI's ``MODEL.model``: facts of the model. Its weights are in the main worker."""

    def __init__(self, handle: ModelHandle) -> None:
        self._handle = handle
        family = handle.recipe.family
        self.comfy_class = MODEL_CLASSES.get(family, "BaseModel")
        self.model_config = ModelConfig(handle.recipe)
        self.latent_format = self.model_config.latent_format
        self.device = handle.load_device
        self.manual_cast_dtype = None

    @property
    def model_sampling(self) -> ModelSampling:
        """Noise levels of the model."""
        return self._handle.model_sampling

    def get_dtype(self) -> Any:
        """Precision of the weights."""
        import torch

        return getattr(torch, self._handle.recipe.dtype, torch.float32)

    get_dtype_inference = get_dtype

    def process_latent_in(self, latent: Tensor) -> Tensor:
        """Bring latents to the scale that the model works with."""
        return self.latent_format.process_in(latent)

    def process_latent_out(self, latent: Tensor) -> Tensor:
        """Bring latents to the scale of a LATENT."""
        return self.latent_format.process_out(latent)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise refused(f"MODEL.model.{name}", INSIDE, _PATCHES)


class ModelPartHandle:
    """What all handles share: devices, and sizes that ComfyUI's memory management asks for."""

    recipe: Any

    @property
    def load_device(self) -> Any:
        """Device that the model computes on, in the main worker; tensors here are on the CPU."""
        import torch

        return torch.device("cpu")

    offload_device = load_device

    @property
    def patcher(self) -> ModelPartHandle:
        """ComfyUI's model patcher: the handle itself."""
        return self

    def model_size(self) -> int:
        """Bytes of the files."""
        from pathlib import Path

        paths = [Path(file.path) for file in self.recipe.files]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def clone(self) -> Any:
        """Return a copy with separate settings."""
        return copy.copy(self)

    def is_clone(self, other: Any) -> bool:
        """Whether another handle has the same weights."""
        same = isinstance(other, type(self))
        return same and self.recipe.base == other.recipe.base


class ModelHandle(ModelPartHandle):
    """ComfyUI's MODEL.

    Attributes:
        recipe: The model, with its LoRAs and noise levels.
        guidance: Patches of its guidance: kind and numbers, in the order of their application. See
            `services.GUIDANCE`.
        model_options: ComfyUI's options. Only ``transformer_options`` without patches are allowed.
    """

    comfy_class = "ModelPatcher"

    def __init__(
        self, recipe: DiffusionModel, guidance: tuple[tuple[str, dict[str, Any]], ...] = ()
    ) -> None:
        self.recipe = recipe
        self.guidance = guidance
        self.model_options: dict[str, Any] = {"transformer_options": {}}
        self.patches: dict[str, Any] = {}
        self.object_patches: dict[str, Any] = {}
        self._sampling: ModelSampling | None = None
        latents.note_format(get_family(recipe.family).latent.name)

    def clone(self) -> ModelHandle:
        other = ModelHandle(self.recipe, self.guidance)
        other.model_options = _copied(self.model_options)
        other.object_patches = dict(self.object_patches)
        other._sampling = self._sampling
        return other

    def with_recipe(self, recipe: DiffusionModel) -> ModelHandle:
        """Return a copy with another recipe of the same model."""
        other = self.clone()
        other.recipe, other._sampling = recipe, None
        return other

    def with_guidance(self, kind: str, **numbers: Any) -> ModelHandle:
        """Return a copy with one more patch of the guidance."""
        other = self.clone()
        other.guidance = (*self.guidance, (kind, numbers))
        return other

    def without_patches(self) -> ModelHandle:
        """Return a copy without functions and guidance."""
        return ModelHandle(self.recipe)

    @property
    def is_patched(self) -> bool:
        """Whether it has guidance or functions, which a recipe does not hold."""
        return bool(self.guidance) or any(self.model_options.get(name) for name in _ALLOWED)

    @property
    def model(self) -> BaseModel:
        """Facts of the model."""
        return BaseModel(self)

    @property
    def model_sampling(self) -> ModelSampling:
        """Noise levels of the model."""
        if self._sampling is None:
            self._sampling = ModelSampling(self.recipe)
        return self._sampling

    def get_model_object(self, name: str) -> Any:
        """Return a part of the model: ``model_sampling``, ``latent_format`` or ``model_config``.

        Raises:
            PackError: Another part.
        """
        known: dict[str, Callable[[], Any]] = {
            "model_sampling": lambda: self.model_sampling,
            "latent_format": lambda: self.model.latent_format,
            "model_config": lambda: self.model.model_config,
        }
        if name not in known:
            raise refused(f"MODEL.get_model_object({name!r})", INSIDE, _PATCHES)
        return known[name]()

    def model_dtype(self) -> Any:
        """Precision of the weights."""
        return self.model.get_dtype()

    def memory_required(self, input_shape: Any) -> int:
        """Bytes that ComfyUI would free before sampling: the main worker does so itself."""
        return 0

    def add_object_patch(self, name: str, value: Any) -> None:
        """Replace a part of the model.

        Raises:
            PackError: Anything but noise levels.
        """
        if name == "model_sampling" and isinstance(value, ModelSampling):
            self.recipe, self._sampling = value.applied_to(self.recipe), value
            self.object_patches[name] = value
            return
        raise refused(f"MODEL.add_object_patch({name!r})", INSIDE, _PATCHES)

    def add_patches(self, patches: Any, *strengths: Any) -> Any:
        """Refuse patches of weights other than those of a LoRA file."""
        raise refused(
            "MODEL.add_patches",
            "weights are changed by files alone",
            "Load the LoRA by `comfy.sd.load_lora_for_models` or the node LoraLoader.",
        )

    def set_model_sampler_cfg_function(
        self, sampler_cfg_function: Any, disable_cfg1_optimization: bool = False
    ) -> None:
        """Set the function that combines both predictions.

        Args:
            sampler_cfg_function: Of a dict of predictions, noisy latent, scale and noise level; it
                returns the noisy latent less the clean one. Of three parameters: of both
                predictions in that form, and the scale.
            disable_cfg1_optimization: Whether the negative prompt is evaluated at a scale of 1.
        """
        function = sampler_cfg_function
        if len(inspect.signature(function).parameters) == 3:
            old = sampler_cfg_function

            def function(args: Mapping[str, Any]) -> Any:
                return old(args["cond"], args["uncond"], args["cond_scale"])

            # Errors name the pack's function. A wrapped one would show its three parameters again.
            function.__qualname__ = getattr(old, "__qualname__", type(old).__qualname__)

        self.model_options["sampler_cfg_function"] = function
        self._note_unguided(disable_cfg1_optimization)

    def set_model_sampler_post_cfg_function(
        self, post_cfg_function: Any, disable_cfg1_optimization: bool = False
    ) -> None:
        """Add a function that changes the guided prediction."""
        self._add_function("sampler_post_cfg_function", post_cfg_function)
        self._note_unguided(disable_cfg1_optimization)

    def set_model_sampler_pre_cfg_function(
        self, pre_cfg_function: Any, disable_cfg1_optimization: bool = False
    ) -> None:
        """Add a function that changes the predictions before guidance."""
        self._add_function("sampler_pre_cfg_function", pre_cfg_function)
        self._note_unguided(disable_cfg1_optimization)

    def set_model_denoise_mask_function(self, denoise_mask_function: Any) -> None:
        """Set the function that changes the noise mask at each noise level."""
        self.model_options["denoise_mask_function"] = denoise_mask_function

    def _add_function(self, name: str, function: Any) -> None:
        self.model_options[name] = [*self.model_options.get(name, ()), function]

    def _note_unguided(self, disables: bool) -> None:
        if disables:
            self.model_options["disable_cfg1_optimization"] = True

    def check_options(self, options: Mapping[str, Any] | None = None) -> None:
        """Refuse options of ComfyUI's that no guider here knows.

        Args:
            options: In place of its own.
        Raises:
            PackError: Names the first of them.
        """
        for name, value in (self.model_options if options is None else options).items():
            is_empty = value is None or (isinstance(value, (dict, list, bool)) and not value)
            if name in _ALLOWED or is_empty:
                continue
            if name != "transformer_options":
                raise refused(f"MODEL.model_options[{name!r}]", INSIDE, _PATCHES)
            for key in _PATCHING & {*value}:
                if value[key]:
                    what = f"MODEL.model_options['transformer_options'][{key!r}]"
                    raise refused(what, INSIDE, _PATCHES)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("set_model_", "set_injections", "add_wrapper", "add_callback")):

            def patch(*_values: Any, **_named: Any) -> Any:
                raise refused(f"MODEL.{name}", INSIDE, _hint(name))

            return patch
        raise AttributeError(f"MODEL has no attribute {name!r} here")


def _copied(options: Any) -> Any:
    """A copy of options: containers are new, functions and objects the same."""
    if isinstance(options, dict):
        return {name: _copied(value) for name, value in options.items()}
    return list(map(_copied, options)) if isinstance(options, list) else options
