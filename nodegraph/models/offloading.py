"""Weights that stay in host memory and come to the accelerator in parts.

Results are the same as with all weights on the accelerator, bit for bit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nodegraph.core.context import Footprint
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder, Component, Denoiser
from nodegraph.residency import PartialComponent
from nodegraph.weights.precision.quantized_weights import set_compute_device


@contextmanager
def offload_component(
    component: Any, device: str, footprint: Footprint, room: int | None = None
) -> Iterator[PartialComponent]:
    """A component that computes on a device while most of its weights lie at the host.

    It gives the very results of one that lies there whole, unless the footprint is ``small``. Of a
    denoiser with two experts, the one whose turn it is lies on the device where there is room for
    that; else parts of their layers do.

    Args:
        component: At the host; shared and left as it is, others may use it at the same time.
            Components of kinds that aren't known here are given back as they are.
        device: Where to compute.
        footprint: ``small`` is `small_footprint`.
        room: Bytes of weights that the device has room for; None where that isn't known.
    """
    if not isinstance(component, Component):
        yield PartialComponent(component)
        return
    with _offloaded(component, device, 0 if footprint == "small" else room) as offloaded:
        yield (
            replace(offloaded, component=_small(offloaded.component))
            if footprint == "small"
            else offloaded
        )


@contextmanager
def small_footprint(component: Any, device: str) -> Iterator[Any]:
    """Run a component on a device with as little of its memory as possible.

    Weights that are stored elsewhere are moved to the device a few layers at a time. Latents are
    denoised one by one, with sliced attention. Images are encoded and decoded in tiles, which
    changes the results slightly: see `nodegraph.models.vae`.

    Args:
        component, device: As for `lean`.
    """
    with offload_component(component, device, "small") as offloaded:
        yield offloaded.component


@contextmanager
def _offloaded(component: Component, device: str, room: int | None) -> Iterator[PartialComponent]:
    if _is_on(component, device):
        yield PartialComponent(component)
        return
    is_denoiser = isinstance(component, Denoiser)
    if isinstance(component, Denoiser) and component.compiled:
        raise InvalidValue(
            "a compiled model cannot be offloaded in parts, and it does not fit on the device",
            port="model",
            hint="Leave `compiled` off in SpeedUp, or use a smaller size or storage.",
        )
    if is_denoiser and _could_turn(component, room):
        bringing = offload_modules(component.modules, device)
    else:
        bringing = offload_layers(component.modules, device, in_blocks=is_denoiser)
    with bringing as brought:
        made = replace(component, modules=brought.modules)
        if isinstance(made, Denoiser):
            made = replace(made, is_own=True)
        yield PartialComponent(made, brought.bytes, brought.granularity)


def _small(component: Component) -> Component:
    if isinstance(component, Denoiser):
        return replace(component, one_by_one=True)
    if isinstance(component, Autoencoder):
        return replace(component, tiled=True)
    return component


def _could_turn(component: Component, room: int | None) -> bool:
    """Whether there are several modules, and room for each by itself."""
    if len(component.modules) < 2 or room is None:
        return False
    return max(map(_bytes, component.modules.values())) <= room


def _bytes(module: torch.nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in module.parameters())


def _is_on(component: Component, device: str) -> bool:
    lies = next(component.module.parameters()).device
    return _device_key(torch.device(device)) == _device_key(lies)


def _device_key(device: torch.device) -> tuple[str, int]:
    """Where it is; a device without a number is the first of its kind."""
    return device.type, device.index or 0


_HOOK = "group_offloading"
_SMALL = 0.5
"""Part of a module that two of its blocks and what isn't in blocks may take, for it to be brought
block by block; else it is brought layer by layer."""

Module = TypeVar("Module", bound=nn.Module)


class OffloadedModule:
    """A module that computes on a device, over weights that it shares with another.

    The other stays as it is, so that others may use it at the same time. Weights are copied to
    the device and forgotten there; as they don't change, nothing is copied back.

    Args:
        module: With all of its weights at the host.
        device: Where to compute.
    """

    def __init__(self, module: nn.Module, device: str) -> None:
        self._device = device
        homes = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
        memo: dict[int, Any] = {key: _alike(tensor) for key, tensor in homes.items()}
        self._pairs = [(memo[key], home) for key, home in homes.items()]
        # Copies the structure alone, as copies of the weights are said to exist.
        self.module = deepcopy(module, memo)
        self._dtype = _dtype(module)
        self._is_there = False

    @property
    def bytes(self) -> int:
        """Of its weights, each once."""
        return sum(_size(home) for _, home in self._pairs)

    def pretend(self) -> None:
        """Let it say that it is where it computes; to be done once it has its hooks."""
        set_compute_device(self.module, self._device, self._dtype)

    def onload(self) -> None:
        """Bring all weights to the device, if they aren't there."""
        if not self._is_there:
            # At once, so that those that came go again if one has no room.
            self._is_there = True
            for tensor, home in self._pairs:
                tensor.data = home.to(self._device, non_blocking=True)

    def offload(self) -> None:
        """Forget what is on the device."""
        self._is_there = False
        for tensor, home in self._pairs:
            tensor.data = home.data


def _alike(tensor: Tensor) -> Tensor:
    """Another tensor of the same bytes, that may be given others later."""
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=False)
    return tensor.detach()


@dataclass(frozen=True, slots=True)
class OffloadedModules:
    """Modules whose weights are brought to a device in parts.

    Attributes:
        modules: By role.
        bytes: The most of their weights that is on the device at once.
        granularity: How they come, in words.
    """

    modules: Mapping[str, Any]
    bytes: int
    granularity: str


@contextmanager
def offload_layers(
    modules: Mapping[str, nn.Module], device: str, *, in_blocks: bool = False
) -> Iterator[OffloadedModules]:
    """Modules that hold a few of their layers on the device at a time, by diffusers' hooks.

    While one part computes, the next is on its way.

    Args:
        in_blocks: They are only called whole, so that they may come block by block if that spares
            most of the memory; else they come layer by layer.
    """
    with ExitStack() as leaving:
        twins = {role: OffloadedModule(module, device) for role, module in modules.items()}
        parts = []
        for twin in twins.values():
            leaving.callback(twin.offload)
            parts.append(_hooked(twin, device, in_blocks=in_blocks))
            twin.pretend()
        # What stays does so for all; of the rest, one module's is there at a time.
        most = sum(part.stays for part in parts) + max(part.passes for part in parts)
        way = "block by block" if all(part.is_block for part in parts) else "layer by layer"
        yield OffloadedModules({role: twin.module for role, twin in twins.items()}, most, way)


@contextmanager
def offload_modules(modules: Mapping[str, nn.Module], device: str) -> Iterator[OffloadedModules]:
    """Modules of which the one that was called last is on the device, whole."""
    with ExitStack() as leaving:
        twins = {role: OffloadedModule(module, device) for role, module in modules.items()}
        for role, twin in twins.items():
            leaving.callback(twin.offload)
            others = [other for name, other in twins.items() if name != role]
            twin.module.register_forward_pre_hook(_onload_hook(twin, others))
            twin.pretend()
        most = max(twin.bytes for twin in twins.values())
        yield OffloadedModules(
            {role: twin.module for role, twin in twins.items()}, most, "one by one"
        )


def _onload_hook(twin: OffloadedModule, others: Sequence[OffloadedModule]) -> Any:
    def begin(_: nn.Module, __: Any) -> None:
        for other in others:
            other.offload()
        twin.onload()

    return begin


@dataclass(frozen=True, slots=True)
class _Parts:
    """Bytes of a module's weights: of those that stay on the device, of those that come and go."""

    stays: int
    passes: int
    is_block: bool


def _hooked(twin: OffloadedModule, device: str, *, in_blocks: bool) -> _Parts:
    """Let a twin's weights come and go by hooks; how many of them are there at a time."""
    from diffusers.hooks import apply_group_offloading

    logging.getLogger("diffusers.hooks.group_offloading").addFilter(_is_relevant)
    is_block = in_blocks and _has_small_blocks(twin)
    apply_group_offloading(
        twin.module,
        onload_device=torch.device(device),
        offload_device=torch.device("cpu"),
        offload_type="block_level" if is_block else "leaf_level",
        num_blocks_per_group=1,
        # Without a stream, weights would be copied back to the host, each time and into new memory.
        use_stream=True,
        # Else all of them were copied to pinned memory first.
        low_cpu_mem_usage=True,
    )
    stays, passing = 0, [0]
    for group in _groups(twin.module):
        if group.stream is None:
            # What is in no block: diffusers gives it no stream.
            group.offload_device = group.onload_device
            stays += _weight_bytes(group)
        else:
            passing.append(_weight_bytes(group))
            stays += _buffer_bytes(group)
    return _Parts(stays, sum(sorted(passing)[-2:]), is_block)


def _is_relevant(record: logging.LogRecord) -> bool:
    """Whether a message of diffusers is more than that a layer wasn't called the first time.

    Such a layer, an expert or what is there for images, is brought when it is called.
    """
    return "layers were not executed" not in str(record.msg)


def _has_small_blocks(twin: OffloadedModule) -> bool:
    """Whether it is made of blocks that are small parts of it, as transformers are."""
    blocks = [
        block
        for child in twin.module.children()
        if isinstance(child, (nn.ModuleList, nn.Sequential))
        for block in child
    ]
    # Lists of layers are never called, so that no hook would bring them: those of Stable Cascade.
    if not blocks or any(isinstance(block, (nn.ModuleList, nn.ModuleDict)) for block in blocks):
        return False
    sizes = [sum(map(_size, chain(block.parameters(), block.buffers()))) for block in blocks]
    return twin.bytes - sum(sizes) + 2 * max(sizes) <= _SMALL * twin.bytes


def _groups(module: nn.Module) -> list[Any]:
    registries: list[Any] = [getattr(layer, "_diffusers_hook", None) for layer in module.modules()]
    hooks = [registry.get_hook(_HOOK) for registry in registries if registry is not None]
    return list({id(hook.group): hook.group for hook in hooks if hook is not None}.values())


def _weight_bytes(group: Any) -> int:
    own = chain(group.parameters, group.buffers)
    inside = chain.from_iterable(layer.parameters() for layer in group.modules)
    return _total(chain(own, inside))


def _buffer_bytes(group: Any) -> int:
    """Of the buffers of whole layers, which diffusers leaves where they came to."""
    return _total(chain.from_iterable(layer.buffers() for layer in group.modules))


def _total(tensors: Iterable[Tensor]) -> int:
    return sum({id(tensor): _size(tensor) for tensor in tensors}.values())


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _dtype(module: nn.Module) -> torch.dtype:
    """What a module computes in: not what the first of its weights is in, where some are kept in
    float32 among others that aren't."""
    dtype = getattr(module, "dtype", None)
    if isinstance(dtype, torch.dtype):
        return dtype
    kinds = (tensor.dtype for tensor in module.parameters() if tensor.is_floating_point())
    return next(kinds, torch.float32)
