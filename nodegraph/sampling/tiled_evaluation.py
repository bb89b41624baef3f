"""Evaluation of a model tile by tile, for pictures larger than the model takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nodegraph.core.values import Control
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import Moment
from nodegraph.sampling.controls.control_residuals import ActiveControls
from nodegraph.sampling.cropped_conditioning import ConditioningCrop
from nodegraph.sampling.guiders.base import TiledEvaluation
from nodegraph.sampling.model_calls import ModelEvaluator
from nodegraph.sampling.prompts import Prompt, PromptFitter
from nodegraph.sampling.regions import Window

_KEPT_PARTS = 32
"""Tiles whose prompts stay fitted between steps; those of more tiles would take gigabytes."""
_SEEDS = 1 << 64


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile, in cells of the latent.

    Attributes:
        window: What the model is shown.
        core: The part of it whose prediction is used. The cores of all tiles cover each cell once.
    """

    window: Window
    core: Window


def plan_tiles(
    tiling: TiledEvaluation, cells: tuple[int, int], tile: tuple[int, int], align: int, step: int
) -> list[Tile]:
    """Return the tiles of a step, row by row.

    Args:
        cells: Height and width of the latent.
        tile: Height and width of a tile, in cells.
        align: Cells that positions and sizes are multiples of, except at the latent's ends.
        step: Of the whole schedule. It decides where random tiles lie.
    """
    tile = min(tile[0], cells[0]), min(tile[1], cells[1])
    if tiling.is_random:
        cores = _brick_cores(tiling.seed, cells, tile, align, step)
    else:
        parts = 2 if tiling.strategy == "padded" else 1
        lengths = [
            tile[at] if tile[at] == cells[at] else max(align, tile[at] // parts // align * align)
            for at in (0, 1)
        ]
        rows, columns = (_cut(cells[at], lengths[at], 0) for at in (0, 1))
        cores = [_window(row, column) for row in rows for column in columns]
    if tiling.strategy == "random":
        return [Tile(core, core) for core in cores]
    return [Tile(_around(core, cells, tile, align), core) for core in cores]


def _brick_cores(
    seed: int, cells: tuple[int, int], tile: tuple[int, int], align: int, step: int
) -> list[Window]:
    """Return tiles laid as bricks at a random position: in rows and in columns, by turns.

    Each second row, or column, is shifted by half a tile, so that no seam crosses the picture.
    Source: BlenderNeko's description of its tiled sampler,
    https://github.com/BlenderNeko/ComfyUI_TiledKSampler.
    """
    generator = torch.Generator().manual_seed((seed + step) % _SEEDS)
    drawn = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
    offsets = [int(drawn[at] * tile[at]) // align * align for at in (0, 1)]
    along = step % 2  # the axis that is cut into straight rows
    cores = []
    for index, row in enumerate(_cut(cells[along], tile[along], offsets[along])):
        shift = tile[1 - along] // 2 // align * align if index % 2 else 0
        offset = (offsets[1 - along] + shift) % tile[1 - along]
        for column in _cut(cells[1 - along], tile[1 - along], offset):
            cores.append(_window(row, column) if along == 0 else _window(column, row))
    return cores


def _cut(length: int, part: int, offset: int) -> list[tuple[int, int]]:
    """Return starts and ends of the parts of a side, cut at the offset and each part from it."""
    if part >= length:
        return [(0, length)]
    ends = [*range(offset or part, length, part), length]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _window(row: tuple[int, int], column: tuple[int, int]) -> Window:
    return Window(row[0], column[0], row[1] - row[0], column[1] - column[0])


def _around(core: Window, cells: tuple[int, int], tile: tuple[int, int], align: int) -> Window:
    """Return the window of a tile's size with a core in its middle, moved inside the latent."""
    starts = []
    for start, length, whole, side in (
        (core.top, core.height, cells[0], tile[0]),
        (core.left, core.width, cells[1], tile[1]),
    ):
        centered = start - max(side - length, 0) // 2 // align * align
        starts.append(min(max(centered, 0), whole - side))
    return Window(starts[0], starts[1], tile[0], tile[1])


@dataclass(slots=True)
class _Part:
    """A part of the latent as a latent of its own: its prompts, and images that lead beside."""

    crop: ConditioningCrop
    fitting: PromptFitter
    prompts: dict[tuple[str, int], Prompt | None] = field(default_factory=dict)

    def prompt(self, whole: Prompt) -> Prompt | None:
        """Return a prompt as it is in the part; None if it applies nowhere in it."""
        assert whole.entry is not None
        key = whole.side, id(whole.entry)
        if key not in self.prompts:
            # what limits it to a part of the latent counts over the whole, by its weight
            entry = self.crop.entry(whole.entry)
            if entry is not None:
                entry = replace(entry, mask=None, areas=())
                self.prompts[key] = self.fitting.prompt(whole.side, entry, "")
            else:
                self.prompts[key] = None
        known = self.prompts[key]
        return None if known is None else replace(known, name=whole.name)


class TileLayout:
    """The tiles of a sampling, and what the model sees in each.

    Attributes:
        tiling: Size and positions.
        fitting: What prompts are fitted to in the whole latent. Set before the first step.
        between_tiles: Called before each tile but the first.
        first: The first positive prompt that applies at the step.
    """

    fitting: PromptFitter
    first: Prompt

    def __init__(self, tiling: TiledEvaluation) -> None:
        self.tiling = tiling
        self.between_tiles: Callable[[], object] = bool
        self._parts: dict[Window, _Part] = {}
        self._covering: dict[int, Control] = {}

    def tiles(self, step: int) -> list[Tile]:
        """Return the tiles of a step of the whole schedule."""
        down, across = self._pixels
        align = max(1, round(self.fitting.family.multiple / down))
        height, width = self.tiling.height / down, self.tiling.width / across
        tile = [max(align, int(side) // align * align) for side in (height, width)]
        return plan_tiles(self.tiling, self.cells, (tile[0], tile[1]), align, step)

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the latent."""
        return self.fitting.shape[-2], self.fitting.shape[-1]

    @property
    def _pixels(self) -> tuple[float, float]:
        """Height and width of a cell in pixels."""
        return self.fitting.height / self.cells[0], self.fitting.width / self.cells[1]

    def part(self, window: Window) -> _Part:
        """Return a part of the latent, in cells."""
        if window in self._parts:
            return self._parts[window]
        part = self._fitted(window)
        if len(self._parts) < _KEPT_PARTS and not self.tiling.is_random:
            self._parts[window] = part
        return part

    def _fitted(self, window: Window) -> _Part:
        whole, (down, across) = self.fitting, self._pixels
        pixels = Window(
            round(window.top * down),
            round(window.left * across),
            round(window.height * down),
            round(window.width * across),
        )
        crop = ConditioningCrop(pixels, whole.width, whole.height, covering=self._covering)
        size, shape = (
            (pixels.width, pixels.height),
            (
                *whole.shape[:-2],
                window.height,
                window.width,
            ),
        )
        fitting = replace(
            whole,
            width=size[0],
            height=size[1],
            shape=shape,
            first=crop.unlimited_entry(whole.first),
            controls=ActiveControls(whole.family, whole.model, size, shape),
            inpaint_tensors=crop.tensors(whole.inpaint_tensors),
            seed=None,
            padding=None,
        )
        return _Part(crop, fitting)


class TiledEvaluator(ModelEvaluator):
    """A model that is evaluated tile by tile: guiders and samplers see whole latents.

    Each tile has the prompts of its part of the picture, so control images, masks of IP-Adapter
    images and masked images are cropped. A single tile gives the bits of `ModelEvaluator`.

    Args:
        model, size, shape: As of `ModelEvaluator`.
        layout: The tiles.
    Raises:
        InvalidValue: The model has a step cache, or the latent isn't one of an image or a video.
    """

    def __init__(
        self, model: Denoiser, size: tuple[int, int], shape: Sequence[int], layout: TileLayout
    ) -> None:
        _check_tileable(model, shape)
        super().__init__(model, size, shape)
        self._layout = layout

    def for_model(self, model: Denoiser) -> TiledEvaluator:
        """Return the evaluator of another network of the family, with the same tiles."""
        evaluator = TiledEvaluator(replace(model, caching=None), *self._of, self._layout)
        evaluator.controls = self.controls
        return evaluator

    def begin(self, first: Prompt) -> None:
        """Begin a step; see `ModelEvaluator.begin`."""
        super().begin(first)
        self._layout.first = first

    def evaluate(self, x: Tensor, moment: Moment, prompts: Sequence[Prompt]) -> list[Tensor]:
        """The network's output for each prompt, put together from its tiles.

        Where a prompt applies to no cell of a tile, its output there is 0.

        Args:
            x: The latent as the model takes it.
        """
        outputs: dict[int, Tensor] = {}
        for index, tile in enumerate(self._layout.tiles(moment.schedule_step)):
            if index:
                self._layout.between_tiles()
            for window, members in _windows(tile, prompts).items():
                for at, output in self._in_window(x, moment, prompts, window, members).items():
                    if at not in outputs:
                        outputs[at] = output.new_zeros(*output.shape[:-2], *x.shape[-2:])
                    core = tile.core.intersection(window)
                    inner = replace(core, top=core.top - window.top, left=core.left - window.left)
                    core.crop(outputs[at]).copy_(inner.crop(output))
        self.window = None
        nothing = torch.zeros_like(next(iter(outputs.values()), x))
        return [outputs.get(at, nothing) for at in range(len(prompts))]

    def _in_window(
        self,
        x: Tensor,
        moment: Moment,
        prompts: Sequence[Prompt],
        window: Window,
        members: Sequence[int],
    ) -> Mapping[int, Tensor]:
        """Outputs for some prompts about a part of the latent, by their places."""
        part = self._layout.part(window)
        fitted = {at: part.prompt(prompts[at]) for at in members}
        present = {at: prompt for at, prompt in fitted.items() if prompt is not None}
        if not present:
            return {}
        inner = ModelEvaluator(self.model, *self._of)
        inner.controls = part.fitting.controls
        first = part.prompt(self._layout.first)
        inner.begin(next(iter(present.values())) if first is None else first)
        # whoever looks into the network wants to know where
        self.window = None if (window.height, window.width) == self._layout.cells else window
        answers = inner.evaluate(window.crop(x).contiguous(), moment, list(present.values()))
        return dict(zip(present, answers, strict=True))


def _windows(tile: Tile, prompts: Sequence[Prompt]) -> dict[Window, list[int]]:
    """Places of prompts, by what the model sees of a tile for them."""
    windows: dict[Window, list[int]] = {}
    for at, prompt in enumerate(prompts):
        window = tile.window
        if prompt.window is not None:
            window = window.intersection(prompt.window)
            core = tile.core.intersection(window)
            if not (core.height and core.width):
                continue
        windows.setdefault(window, []).append(at)
    return windows


def _check_tileable(model: Denoiser, shape: Sequence[int]) -> None:
    """Refuse what needs the whole latent at once.

    Raises:
        InvalidValue: On port ``guider`` or ``model``.
    """
    if len(shape) not in (4, 5):
        raise InvalidValue(
            "only latents of images and videos have tiles",
            port="guider",
            given=f"a latent of shape {tuple(shape)}",
            hint="Remove TiledGuidance.",
        )
    if model.caching is not None:
        raise InvalidValue(
            "a step cache cannot be used with tiles: it compares one step with the next",
            port="model",
            hint="Remove the step cache, or TiledGuidance.",
        )
