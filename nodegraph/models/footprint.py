"""Components that take less memory and more time, for where the usual ones find too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from nodegraph.core.context import Footprint
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder, Component, Denoiser
from nodegraph.models.offloading import offload_layers, offload_modules
from nodegraph.residency import PartialComponent


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
    """A component that computes on a device and takes as little of its memory as it can.

    Where weights lie elsewhere, those of a few layers at a time are brought to the device. Latents
    are denoised one by one, with attention in slices. Pictures are encoded and decoded in tiles,
    which gives slightly other ones: see `nodegraph.models.vae`.

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
            "a compiled model can't be brought to the device in parts, and it has no room there",
            port="model",
            hint="Leave `compiled` off in SpeedUp, or take a smaller size or storage.",
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
