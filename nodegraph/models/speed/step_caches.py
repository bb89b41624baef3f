"""Step caches: what a network gave at one step is used at the next, by hooks of diffusers.

The hooks keep their state in the modules that they are on. Here it belongs to a sampling instead:
it is put there for each call and taken away after it. So nothing is left for others, whatever ends
a sampling, prompts don't see each other's, and it can be saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig, apply_first_block_cache
from diffusers.hooks.hooks import CacheContext, StateManager
from diffusers.hooks.mag_cache import (
    FLUX_MAG_RATIOS,
    MagCacheConfig,
    apply_mag_cache,
    nearest_interp,
)
from diffusers.hooks.pyramid_attention_broadcast import (
    PyramidAttentionBroadcastConfig,
    apply_pyramid_attention_broadcast,
)
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig, apply_taylorseer_cache
from torch import Tensor, nn

from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.speed_options import (
    Broadcast,
    FirstBlock,
    Magnitude,
    StepCaching,
    Taylor,
    cache_name,
)
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.speed.speed_support import CACHE_TITLES, compile_blocks

if TYPE_CHECKING:
    from nodegraph.families.model_step import Moment

_PLAIN = (bool, int, float, str)
_OUTLINE = "outline"


def as_tensors(value: Any) -> dict[str, Tensor]:
    """Nested plain values and tensors as tensors on the CPU, copied.

    Raises:
        TypeError: There is something else in it.
    """
    tensors: list[Tensor] = []
    outline = json.dumps(_outlined(value, tensors)).encode()
    named = {str(index): item.to("cpu", copy=True) for index, item in enumerate(tensors)}
    return named | {_OUTLINE: torch.frombuffer(bytearray(outline), dtype=torch.uint8).clone()}


def from_tensors(state: Mapping[str, Tensor], device: torch.device) -> Any:
    """What `as_tensors` was given, with tensors on a device.

    Raises:
        ValueError: It is damaged.
    """
    try:
        outline = json.loads(bytes(state[_OUTLINE].tolist()))
        return _filled(outline, state, device)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError("the state of the step cache is damaged") from error


def tensor_bytes(value: Any) -> int:
    """Bytes of the tensors in nested plain values."""
    tensors: list[Tensor] = []
    _outlined(value, tensors)
    return sum(item.numel() * item.element_size() for item in tensors)


def _outlined(value: Any, tensors: list[Tensor]) -> Any:
    """As JSON has it: containers and all that isn't plain are lists that begin with their kind."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        tensors.append(value)
        # Numbers of a few hooks lie on the CPU whatever the model computes on.
        return ["tensor", len(tensors) - 1, value.device.type == "cpu"]
    if isinstance(value, dict):
        return [
            "dict",
            [[_outlined(key, tensors), _outlined(item, tensors)] for key, item in value.items()],
        ]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, [_outlined(item, tensors) for item in value]]
    if isinstance(value, torch.dtype):
        return ["dtype", str(value).removeprefix("torch.")]
    if isinstance(value, torch.device):
        return ["device"]
    raise TypeError(f"a step cache holds a {type(value).__name__}, which cannot be saved")


def _filled(outline: Any, state: Mapping[str, Tensor], device: torch.device) -> Any:
    if not isinstance(outline, list):
        return outline
    kind = outline[0]
    if kind == "tensor":
        tensor = state[str(outline[1])]
        return tensor.clone() if outline[2] else tensor.to(device, copy=True)
    if kind == "dict":
        return {_filled(k, state, device): _filled(v, state, device) for k, v in outline[1]}
    if kind == "dtype":
        return getattr(torch, outline[1])
    if kind == "device":
        return device
    items = [_filled(item, state, device) for item in outline[1]]
    return items if kind == "list" else tuple(items)


LARGEST_SAVED = 1 << 30
"""Bytes of a cache that a checkpoint may have: writing more takes longer than it may save."""

_TRANSIENT_FIELDS = ("head_block_output", "head_block_input")
"""What states of diffusers keep for the rest of one call only."""

_ATTENTION = [r"(.*[._])?(attn|attention)\d*"]
"""Names of attention in all families, such as `attn2` and `audio_attn1`. diffusers' own patterns
miss those with a number, and some with a word before them."""

_NAME = "call"

HookStates = list[dict[str, Any] | None]
"""What each of a module's states holds, in their order; None of one that has begun nothing."""


class CachedSteps:
    """A denoiser whose network uses for one step what it computed at another.

    Args:
        model: Left as it is, unless it is one use's own.
        caching: Which cache, and how.

    Attributes:
        model: To be asked inside of `call` only.
        calls, reused: How often a network was asked, and how often it left out most of its blocks,
            where the cache decides that for the whole network.
    """

    def __init__(self, model: Denoiser, caching: StepCaching) -> None:
        networks = model.networks if model.is_own else _copies(model)
        self.model = model.with_networks(networks)
        self._cached = [_CachedModule(module, caching) for module in networks.values()]
        self._caching = caching
        self._kept: dict[str, list[HookStates]] = {}
        self.calls = self.reused = 0

    @contextmanager
    def call(
        self,
        prompts: str,
        moment: Moment,
        tensors: Sequence[Mapping[str, Tensor]] = (),
        item: int | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Inside, the network is asked about some prompts, and remembers what it was asked of them.

        Args:
            prompts: Names those of the call, alike at each step.
            tensors: Those of the prompts, which hooks see anyway.
            item: The only item of the batch that is asked about. None: all.
        Yields:
            What the batch has besides: nothing.
        """
        prompts = prompts if item is None else f"{prompts} of {item}"
        before: list[HookStates] = self._kept.pop(prompts, [[] for _ in self._cached])
        for module, kept in zip(self._cached, before, strict=True):
            module.put(kept, moment)
        try:
            yield {}
        finally:
            # Whatever happened, nothing of this sampling stays in modules.
            after = [module.take() for module in self._cached]
        self._kept[prompts] = [kept for kept, _ in after]
        self.calls += 1
        self.reused += any(has_reused for _, has_reused in after)

    @property
    def is_savable(self) -> bool:
        """Whether what is kept between steps is no more than `LARGEST_SAVED`."""
        return tensor_bytes(self._kept) <= LARGEST_SAVED

    @property
    def reuse(self) -> str:
        """What was spared, in words; empty where each layer decides for itself."""
        if isinstance(self._caching, (FirstBlock, Magnitude)):
            return f"{self.reused} of {self.calls} calls of the network reused cached results"
        return ""

    def state(self) -> dict[str, Tensor]:
        """All that is kept between steps, on the CPU."""
        return as_tensors([self._kept, self.calls, self.reused])

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: It is damaged.
        """
        self._kept, self.calls, self.reused = from_tensors(state, self.model.device)


def _copies(model: Denoiser) -> dict[str, nn.Module]:
    copies = {role: structural_copy(module) for role, module in model.networks.items()}
    if model.compiled:
        for module in copies.values():
            compile_blocks(module)
    return copies


class _CachedModule:
    """A module with hooks, and the places where their states lie."""

    def __init__(self, module: nn.Module, caching: StepCaching) -> None:
        self._caching = caching
        hooks = _hooks(module)
        if not hooks:
            _put_on(module, caching)
            hooks = _hooks(module)
        if not hooks:
            name = cache_name(caching)
            raise InvalidValue(
                f"the network has no attention layers that {CACHE_TITLES[name]} can cache",
                port="model",
                hint="Remove the step cache. AttentionBroadcast finds layers by their class in "
                "diffusers, TaylorSeer by names such as `attn`.",
            )
        managers = [item for hook in hooks for item in vars(hook).values()]
        self._managers = list(
            {id(item): item for item in managers if isinstance(item, StateManager)}.values()
        )
        self._broadcasts = [hook for hook in hooks if hasattr(hook, "current_timestep_callback")]
        self._hooks = hooks

    def put(self, kept: HookStates, moment: Moment) -> None:
        """Let the hooks go on from what was kept; where nothing was, they begin."""
        states = iter(kept)
        for manager in self._managers:
            state, values = _new_state(manager), next(states, None)
            if values is not None:
                vars(state).update(values)
            manager._state_cache = {_NAME: state}
            manager.set_context(CacheContext(_NAME))
            if isinstance(self._caching, Magnitude):
                state.step_index = moment.schedule_step
        for hook in self._broadcasts:
            hook.state.reset()
            vars(hook.state).update(next(states, None) or {})
            hook.current_timestep_callback = lambda: (
                1000 * moment.timestep_value / moment.training_timesteps
            )
        if isinstance(self._caching, Magnitude):
            self._set_ratios(self._caching, moment.schedule_steps)

    def take(self) -> tuple[HookStates, bool]:
        """What the hooks are to go on from, and whether they left out most of the network."""
        kept: HookStates = []
        has_reused = False
        for manager in self._managers:
            state = manager._state_cache.pop(_NAME, None)
            manager.set_context(None)
            has_reused = has_reused or not getattr(state, "should_compute", True)
            kept.append(_persistent_fields(state))
        for hook in self._broadcasts:
            kept.append(dict(vars(hook.state)))
            hook.state.reset()
        return kept, has_reused

    def _set_ratios(self, caching: Magnitude, steps: int) -> None:
        for hook in self._hooks:
            if len(hook.config.mag_ratios) != steps:
                hook.config.mag_ratios = nearest_interp(_ratios(caching), steps)
            # One more, as at the last one it would forget what later questions of a step may need.
            hook.config.num_inference_steps = steps + 1


def _ratios(caching: Magnitude) -> Tensor:
    return torch.tensor(caching.ratios) if caching.ratios else FLUX_MAG_RATIOS


def _new_state(manager: StateManager) -> Any:
    return manager._state_cls(*manager._init_args, **manager._init_kwargs)


def _persistent_fields(state: Any) -> dict[str, Any] | None:
    if state is None:
        return None
    return {name: None if name in _TRANSIENT_FIELDS else item for name, item in vars(state).items()}


def _hooks(module: nn.Module) -> list[Any]:
    registries = [getattr(layer, "_diffusers_hook", None) for layer in module.modules()]
    return [
        hook
        for registry in registries
        if registry is not None
        for hook in registry.hooks.values()
        if hasattr(hook, "state_manager") or hasattr(hook, "current_timestep_callback")
    ]


_ADDING = ("vace_layers", "inject_face_latents_blocks")
"""Entries of configurations of networks with layers that add to what their blocks return."""


def _put_on(module: Any, caching: StepCaching) -> None:
    adds = any(name in module.config for name in _ADDING)
    if isinstance(caching, (FirstBlock, Magnitude)) and adds:
        # The cached change of the skipped blocks holds what its layers add between them already.
        raise InvalidValue(
            f"{CACHE_TITLES[cache_name(caching)]} skips blocks that other layers add to",
            port="model",
            expected=f"{CACHE_TITLES['taylorseer']} or {CACHE_TITLES['broadcast']}",
        )
    match caching:
        case FirstBlock(threshold):
            apply_first_block_cache(module, FirstBlockCacheConfig(threshold=threshold))
        case Magnitude():
            apply_mag_cache(
                module,
                MagCacheConfig(
                    threshold=caching.threshold,
                    max_skip_steps=caching.most,
                    retention_ratio=caching.retained,
                    num_inference_steps=len(_ratios(caching)),
                    mag_ratios=_ratios(caching),
                ),
            )
        case Taylor():
            apply_taylorseer_cache(
                module,
                TaylorSeerCacheConfig(
                    cache_interval=caching.interval,
                    disable_cache_before_step=caching.warm_up,
                    max_order=caching.order,
                    taylor_factors_dtype=module.dtype,
                    use_lite_mode=caching.lite,
                    cache_identifiers=None if caching.lite else _ATTENTION,
                ),
            )
        case Broadcast():
            apply_pyramid_attention_broadcast(
                module,
                PyramidAttentionBroadcastConfig(
                    spatial_attention_block_skip_range=caching.own,
                    cross_attention_block_skip_range=caching.cross,
                    spatial_attention_timestep_skip_range=_thousandths(caching),
                    cross_attention_timestep_skip_range=_thousandths(caching),
                    current_timestep_callback=lambda: 0,
                ),
            )


def _thousandths(caching: Broadcast) -> Any:
    return 1000 * caching.cleanest, 1000 * caching.noisiest
