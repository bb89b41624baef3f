"""Areas that are sampled alone, against ComfyUI's way: a prompt sees its part of the latent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from nodegraph.core.values import Area, Conditioning, ConditioningEntry
from nodegraph.diffusion.areas import Window, area_window
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.conditionings import combined, with_area, with_mask, with_strength
from nodegraph.diffusion.guidance import Guidance
from nodegraph.diffusion.sampling_parts import GuiderChoice
from tests.diffusion.test_guidance import Echo, moment

ROWS, COLUMNS = 16, 24
SIZE = {"width": 8 * COLUMNS, "height": 8 * ROWS}
SHAPE = (2, 4, ROWS, COLUMNS)
MOMENT = moment()
FADE = 64.0


class Around(Echo):
    """Answers with the prompt's number and what it sees: no two parts of a latent look alike."""

    def forward(self, x: Tensor, timestep: Tensor, **given: Any) -> tuple[Tensor]:
        (level,) = super().forward(x, timestep, **given)
        return (level * (1 + x) + x.mean((2, 3), keepdim=True),)


@dataclass(frozen=True)
class Cond:
    """A prompt as ComfyUI has it; the area is height, width, y, x in cells."""

    embeddings: Tensor
    area: tuple[int, int, int, int] | None = None
    strength: float = 1.0
    mask: Tensor | None = None


def with_opposites(conds: list[Cond], others: list[Cond]) -> list[Cond]:
    """`create_cond_with_same_area_if_none`: each area of the others, with the prompt around it."""
    found = list(conds)
    for other in others:
        if other.area is None:
            continue
        height, width, y, x = other.area
        around = [
            cond
            for cond in found
            if cond.area is None
            or (
                cond.area[2] <= y
                and cond.area[3] <= x
                and y + height <= cond.area[2] + cond.area[0]
                and x + width <= cond.area[3] + cond.area[1]
            )
        ]
        least = min(around, key=lambda cond: math.prod(cond.area[:2]) if cond.area else math.inf)
        if least.area != other.area:
            found.append(replace(other, embeddings=least.embeddings))
    return found


def answered(model: nn.Module, x: Tensor, conds: list[Cond]) -> Tensor:
    """`calc_cond_batch`, of one side."""
    total, count = torch.zeros_like(x), torch.full_like(x, 1e-37)
    for cond in conds:
        height, width, top, left = cond.area or (*x.shape[2:], 0, 0)
        rows, columns = slice(top, top + height), slice(left, left + width)
        part = x[:, :, rows, columns]
        embeddings = cond.embeddings.expand(len(x), -1, -1)
        given = {"encoder_hidden_states": embeddings, "return_dict": False}
        output = model(part, MOMENT.timestep, **given)[0]
        weight = torch.full_like(part, cond.strength)
        if cond.mask is not None:
            weight = weight * cond.mask[rows, columns]
        elif cond.area is not None:
            down, across = min(8, height // 4), min(8, width // 4)
            for at in range(down):
                if top != 0:
                    weight[:, :, at] *= (at + 1) / down
                if top + height < x.shape[2]:
                    weight[:, :, height - 1 - at] *= (at + 1) / down
            for at in range(across):
                if left != 0:
                    weight[:, :, :, at] *= (at + 1) / across
                if left + width < x.shape[3]:
                    weight[:, :, :, width - 1 - at] *= (at + 1) / across
        total[:, :, rows, columns] += output * weight
        count[:, :, rows, columns] += weight
    return total / count


def unet() -> nn.Module:
    torch.manual_seed(5)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(4, 8),
        norm_num_groups=2,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=3,
        attention_head_dim=2,
    ).eval()


@pytest.mark.parametrize("made", [Around, unet])
@torch.no_grad()
def test_areas_are_sampled_alone_as_in_comfyui(made: Any) -> None:
    drawing = torch.Generator().manual_seed(1)
    x = torch.randn(SHAPE, generator=drawing)
    texts = [torch.randn(1, 5, 3, generator=drawing) for _ in range(6)]
    model = made()
    mask = (torch.rand(ROWS, COLUMNS, generator=drawing) > 0.5).float()

    positive = [
        Cond(texts[0]),
        Cond(texts[1], (9, 10, 0, 3)),
        Cond(texts[2], (8, 12, 8, 12), 0.7),
        Cond(texts[3], (6, 5, 4, 6), 1.5, mask),
    ]
    negative = [Cond(texts[4]), Cond(texts[5], (8, 12, 8, 12))]
    areas = [
        None,
        Area(25, 0, 81, 79, "pixels", FADE, "area"),
        Area(0.5, 0.5, 0.5, 0.5, "shares", FADE, "area"),
        Area(48, 32, 40, 48, "pixels", FADE, "area"),
    ]

    def prompt(cond: Cond, area: Area | None) -> Conditioning:
        made = Conditioning((ConditioningEntry({"embeddings": cond.embeddings}),))
        made = made if area is None else with_area(made, area)
        if cond.mask is not None:
            pixels = cond.mask.repeat_interleave(8, 0).repeat_interleave(8, 1)
            made = with_mask(made, pixels[None])
        return with_strength(made, cond.strength)

    given = combined([prompt(cond, area) for cond, area in zip(positive, areas, strict=True)])
    against = combined([prompt(negative[0], None), prompt(negative[1], areas[2])])
    choice = GuiderChoice(given, against, 4.0)
    guidance = Guidance(Denoiser({"unet": model}, "sd1"), choice, **SIZE, shape=SHAPE)
    found = guidance(x, MOMENT)

    away = answered(model, x, with_opposites(negative, positive))
    towards = answered(model, x, with_opposites(positive, negative))
    torch.testing.assert_close(found, away + 4.0 * (towards - away), rtol=1e-4, atol=1e-4)


def test_an_area_of_the_whole_picture_changes_nothing() -> None:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    plain = Conditioning((ConditioningEntry({"embeddings": torch.full((1, 5, 3), 2.0)}),))
    given = with_area(plain, Area(0, 0, 1, 1, "shares", FADE, "area"))
    answers = [
        Guidance(Denoiser({"unet": Around()}, "sd1"), GuiderChoice(each, None, 1.0), **SIZE,
                 shape=SHAPE)(x, MOMENT)
        for each in (plain, given)
    ]  # fmt: skip
    assert torch.equal(*answers)


@pytest.mark.parametrize(
    ("area", "window"),
    [
        (Area(25, 7, 81, 79, "pixels"), Window(0, 3, 9, 10)),
        (Area(160, 0, 99, 500, "pixels"), Window(0, 20, 16, 4)),
        (Area(0.5, 0.27, 0.01, 0.5), Window(4, 12, 8, 1)),
    ],
)
def test_areas_are_of_whole_cells(area: Area, window: Window) -> None:
    assert area_window(area, (ROWS, COLUMNS), (SIZE["width"], SIZE["height"])) == window


def test_cells_that_a_model_takes_in_groups_stay_together() -> None:
    assert Window(1, 3, 4, 2).aligned(2, (8, 5)) == Window(0, 2, 6, 3)
