"""Components that take less memory and more time, for where the usual ones find too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nodegraph.diffusion.attention import SlicedAttention
from nodegraph.diffusion.components import Autoencoder, Denoiser, TextModel
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
    if isinstance(component, Denoiser):
        yield replace(component, unet=OneByOne(_on(component.unet, device)))
    elif isinstance(component, TextModel):
        yield replace(component, model=_on(component.model, device))
    elif isinstance(component, Autoencoder):
        yield replace(component, vae=_on(component.vae, device), tiled=True)
    else:
        yield component


class OneByOne:
    """A UNet that takes the items of a batch one after the other, with attention in slices.

    Guidance asks for several prompts in one batch: this halves what the layers hold, at least.
    All else that is asked of it, such as its configuration, is the UNet's.
    """

    def __init__(self, unet: Any) -> None:
        self._unet = unet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unet, name)

    def __call__(
        self,
        x: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        timestep_cond: Tensor | None = None,
        return_dict: bool = False,
    ) -> tuple[Tensor]:
        """The UNet's outputs, shaped as x."""
        if return_dict:
            raise TypeError("it gives plain tuples only")
        with SlicedAttention():
            outputs = [
                self._unet(
                    x[index : index + 1],
                    timestep,
                    encoder_hidden_states=encoder_hidden_states[index : index + 1],
                    timestep_cond=None if timestep_cond is None else timestep_cond[index][None],
                    return_dict=False,
                )[0]
                for index in range(len(x))
            ]
        return (torch.cat(outputs),)


def _on(module: Module, device: str) -> Module:
    if _place(torch.device(device)) == _place(next(module.parameters()).device):
        return module
    return offloaded(module, device)


def _place(device: torch.device) -> tuple[str, int]:
    """Where it is; a device without a number is the first of its kind."""
    return device.type, device.index or 0
