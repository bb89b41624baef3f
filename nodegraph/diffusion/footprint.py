"""Components that take less memory and more time, for where the usual ones find too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from nodegraph.diffusion.components import Autoencoder, Component, Denoiser
from nodegraph.diffusion.offloading import Module, offloaded


@contextmanager
def small_footprint(component: Any, device: str) -> Iterator[Any]:
    """A component that computes on a device and takes as little of its memory as it can.

    Where weights lie elsewhere, those of one layer at a time are brought to the device. Latents
    are denoised one by one, with attention in slices. Pictures are encoded and decoded in tiles,
    which gives slightly other ones: see `nodegraph.diffusion.vae`.

    Args:
        component: Shared and left as it is; others may use it at the same time. Components of
            kinds that aren't known here are given back as they are.
        device: Where to compute.
    """
    if not isinstance(component, Component):
        yield component
        return
    modules = {role: _on(module, device) for role, module in component.modules.items()}
    if isinstance(component, Denoiser):
        yield replace(component, modules=modules, one_by_one=True)
    elif isinstance(component, Autoencoder):
        yield replace(component, modules=modules, tiled=True)
    else:
        yield replace(component, modules=modules)


def _on(module: Module, device: str) -> Module:
    if _place(torch.device(device)) == _place(next(module.parameters()).device):
        return module
    return offloaded(module, device)


def _place(device: torch.device) -> tuple[str, int]:
    """Where it is; a device without a number is the first of its kind."""
    return device.type, device.index or 0
