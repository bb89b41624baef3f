"""A model's noise schedule, read from its files without its weights. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import checkpoint
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.safetensors_header import read_header


def scheduler_config(recipe: DiffusionModel) -> dict[str, Any]:
    """The scheduler file of a model, as `NoiseSchedule.from_config` reads it.

    Raises:
        InvalidFile: It is missing or damaged.
    """
    path = Path(recipe.source)
    if path.is_dir():
        config = layout.read_config(path / layout.SCHEDULER / layout.SCHEDULER_FILE)
        # The stock pipeline corrects these two in outdated files, so they mean the same here.
        return config | {"steps_offset": 1, "clip_sample": False}
    metadata = read_header(path).metadata if path.suffix == ".safetensors" else {}
    return checkpoint.scheduler_config(metadata)
