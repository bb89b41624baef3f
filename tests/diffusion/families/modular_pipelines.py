"""Modular pipelines of diffusers, called as its other pipelines are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers as d
import torch
from torch import Tensor

_UNSAVED = ("guider", "image_processor")
"""Components of a configuration alone, which no folder has."""


class ModularPipeline:
    """Such a pipeline, with what tests ask of others.

    Args:
        blocks: Its blocks.
        components: Its parts, by name.
    """

    def __init__(self, blocks: Any, **components: Any) -> None:
        self.inner: Any = blocks.init_pipeline()
        self.inner.update_components(**components)

    @classmethod
    def from_pretrained(
        cls, folder: Path, *, local_files_only: bool = True, **options: Any
    ) -> ModularPipeline:
        """As that of diffusers' other pipelines, with parts in eval mode and without gradients."""
        found = cls.__new__(cls)
        found.inner = d.ModularPipeline.from_pretrained(
            str(folder), local_files_only=local_files_only
        )
        found.inner.load_components(**options)
        for part in found.components.values():
            if isinstance(part, torch.nn.Module):
                part.eval().requires_grad_(False)
        return found

    @property
    def components(self) -> dict[str, Any]:
        """Its parts by name."""
        return {name: part for name, part in self.inner.components.items() if name not in _UNSAVED}

    @property
    def scheduler(self) -> Any:
        """Its own; another one may be put in its stead."""
        return self.inner.scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Any) -> None:
        self.inner.scheduler = scheduler

    def save_pretrained(self, folder: Path) -> None:
        """Write it as diffusers does."""
        self.inner.save_pretrained(str(folder), overwrite_modular_index=True)

    def set_progress_bar_config(self, **options: Any) -> None:
        """As that of diffusers' other pipelines."""
        self.inner.set_progress_bar_config(**options)

    def __call__(
        self,
        *,
        output_type: str,
        guidance_scale: float,
        generator: Sequence[torch.Generator],
        **options: Any,
    ) -> SimpleNamespace:
        """Images, or latents without an axis of frames."""
        guider = d.ClassifierFreeGuidance(guidance_scale=guidance_scale)
        self.inner.update_components(guider=guider)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = self.inner(generator=list(generator), output_type="pt", **options)
        if output_type == "latent":
            latents: Tensor = state.get("latents")
            return SimpleNamespace(images=latents.squeeze(2))
        return SimpleNamespace(images=state.get("images"))
