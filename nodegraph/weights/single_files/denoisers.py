"""What layouts of denoisers in single files have in common. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors
from nodegraph.weights.single_files.renaming import rename_shapes, rename_tensors

if TYPE_CHECKING:
    from torch import Tensor

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "model.", "")
"""Before the names of a denoiser's tensors: as in files with a whole model, as adapters call it, as
pipelines do, as some trainers do, and none."""

HEAD_WIDTH = 128
"""Of attention heads in most published transformers, where no tensor shows it."""

EULER_FLOW: Mapping[str, Any] = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "num_train_timesteps": 1000,
    "use_dynamic_shifting": False,
}
"""A flow's schedule, but for its ``shift``."""

DYNAMIC_FLOW: Mapping[str, Any] = {
    **EULER_FLOW,
    "use_dynamic_shifting": True,
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "shift": 3.0,
}
"""Flux's, which is shifted by the size of the picture."""


def denoiser_layout(
    name: str,
    title: str,
    class_name: str,
    *,
    marks: tuple[tuple[str, ...], ...],
    config: Callable[[Shapes], dict[str, Any]],
    scheduler: Callable[[Config], Config] | Config,
    settings: Callable[[Config], Config] | None = None,
    fits: Callable[[Shapes], bool] | None = None,
    without: tuple[str, ...] = (),
    unused: tuple[str, ...] = (),
) -> FileLayout:
    """A layout of which `original_tables` knows the names.

    Args:
        name, title, class_name, settings: As of `FileLayout`.
        marks: Names that tell it, each group by itself: original ones, and diffusers'.
        config: As of `FileLayout`, of shapes by diffusers' names.
        scheduler: The published noise schedule, or what makes it of the configuration.
        fits: Whether shapes by diffusers' names are such a part; of files that have the marks.
        without: What names begin with in relatives that aren't supported.
        unused: Tensors that no picture depends on; with a dot at the end, all whose names begin so.
    """

    def shapes_of(shapes: Shapes) -> dict[str, tuple[int, ...]]:
        return rename_shapes(shapes, class_name)

    def matches(shapes: Shapes) -> bool:
        if not any(all(mark in shapes for mark in group) for group in marks):
            return False
        if without and any(item.startswith(without) for item in shapes):
            return False
        try:
            return fits is None or fits(shapes_of(shapes))
        except (KeyError, IndexError, ValueError):
            return False

    def configured(shapes: Shapes) -> dict[str, Any]:
        try:
            return config(shapes_of(shapes))
        except (IndexError, ValueError, ZeroDivisionError) as error:
            raise KeyError(f"tensors that are shaped as those of {title}") from error

    def convert(tensors: Tensors, _: Config) -> dict[str, Tensor]:
        kept = {item: tensor for item, tensor in tensors.items() if not _is_one(item, unused)}
        return rename_tensors(kept, class_name)

    return FileLayout(
        name,
        title,
        class_name,
        matches=matches,
        config=configured,
        convert=convert,
        prefixes=PREFIXES,
        scheduler=scheduler if callable(scheduler) else lambda _: scheduler,
        settings=settings or (lambda _: {}),
    )


def _is_one(name: str, names: tuple[str, ...]) -> bool:
    return name in names or name.startswith(tuple(item for item in names if item.endswith(".")))
