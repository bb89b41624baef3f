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
from nodegraph.families.components import Denoiser
from nodegraph.families.conditionings import combine, with_area, with_mask, with_strength
from nodegraph.families.noise import OutputArithmetic
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.guiders.added_guidance import (
    PerturbedAttention,
    SelfAttention,
    SmoothedEnergy,
)
from nodegraph.sampling.guiders.base import AddedGuidance
from nodegraph.sampling.guiders.perturbed_networks import blur_cells
from nodegraph.sampling.regions import Window, area_window
from nodegraph.sampling.sampling_parts import GuiderChoice
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

    given = combine([prompt(cond, area) for cond, area in zip(positive, areas, strict=True)])
    against = combine([prompt(negative[0], None), prompt(negative[1], areas[2])])
    choice = GuiderChoice(given, against, 4.0)
    guidance = Guidance(Denoiser({"unet": model}, "sd1"), choice, **SIZE, shape=SHAPE)
    found = guidance(x, MOMENT)

    away = answered(model, x, with_opposites(negative, positive))
    towards = answered(model, x, with_opposites(positive, negative))
    torch.testing.assert_close(found, away + 4.0 * (towards - away), rtol=1e-4, atol=1e-4)


def _text(number: int) -> Conditioning:
    drawing = torch.Generator().manual_seed(number)
    return Conditioning(
        (ConditioningEntry({"embeddings": torch.randn(1, 5, 3, generator=drawing)}),)
    )


@pytest.mark.parametrize(
    "added", [SmoothedEnergy(2.0, 0.0, 1.0), PerturbedAttention(2.0, 0.0, 1.0)]
)
@torch.no_grad()
def test_guidance_by_a_worse_network_sees_an_area_as_a_latent_of_its_own(
    added: AddedGuidance,
) -> None:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    model, half = Denoiser({"unet": unet()}, "sd1"), COLUMNS // 2
    halves = [
        with_area(_text(number), Area(start, 0, 0.5, 1, "shares", 0.0, "area"))
        for number, start in ((1, 0), (2, 0.5))
    ]
    choice = GuiderChoice(combine(halves), None, 1.0, added=(added,))
    found = Guidance(model, choice, **SIZE, shape=SHAPE)(x, MOMENT)
    size = {"width": SIZE["width"] // 2, "height": SIZE["height"]}
    for number, part in ((1, slice(half)), (2, slice(half, None))):
        alone = Guidance(
            model,
            GuiderChoice(_text(number), None, 1.0, added=(added,)),
            **size,
            shape=(*SHAPE[:3], half),
        )
        expected = alone(x[..., part], MOMENT)
        torch.testing.assert_close(found[..., part], expected, rtol=1e-4, atol=1e-4)


def _looked_at(model: Any, x: Tensor, conds: list[Cond]) -> Tensor:
    """Mean over prompts of the attention that each cell gets from all that are shown with it."""
    layer = model.mid_block.attentions[0].transformer_blocks[0].attn1
    kept: dict[str, Tensor] = {}
    hooks = [
        getattr(layer, name).register_forward_hook(
            lambda _module, _given, found, name=name: kept.update({name: found})
        )
        for name in ("to_q", "to_k")
    ]
    total, count = torch.zeros_like(x[:, :1]), torch.zeros_like(x[:, :1])
    for cond in conds:
        height, width, top, left = cond.area or (*x.shape[2:], 0, 0)
        rows, columns = slice(top, top + height), slice(left, left + width)
        embeddings = cond.embeddings.expand(len(x), -1, -1)
        model(x[:, :, rows, columns], MOMENT.timestep, encoder_hidden_states=embeddings)
        query, key = (kept[name].unflatten(-1, (layer.heads, -1)) for name in ("to_q", "to_k"))
        scores = torch.einsum("nqhd,nkhd->nhqk", query, key) / query.shape[-1] ** 0.5
        got = scores.softmax(-1).mean(1).sum(1).view(len(x), 1, height // 2, width // 2)
        total[:, :, rows, columns] += got.repeat_interleave(2, 2).repeat_interleave(2, 3)
        count[:, :, rows, columns] += 1
    for hook in hooks:
        hook.remove()
    return total / count


@torch.no_grad()
def test_self_attention_guidance_looks_at_each_area_where_it_lies() -> None:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    model = unet()
    conds = [
        Cond(_text(1).entries[0].tensors["embeddings"]),
        Cond(_text(2).entries[0].tensors["embeddings"], (8, 12, 4, 6)),
    ]
    area = Area(48, 32, 96, 64, "pixels", FADE, "area")
    given = combine([_text(1), with_area(_text(2), area)])
    choice = GuiderChoice(given, None, 1.0, added=(SelfAttention(2.0, 0.0, 1.0),))
    found = Guidance(Denoiser({"unet": model}, "sd1"), choice, **SIZE, shape=SHAPE)(x, MOMENT)

    output = answered(model, x, conds)
    arithmetic = OutputArithmetic.of({})
    alpha, deviation = arithmetic.scales(MOMENT)
    clean = (x - deviation * output) / alpha
    vague = torch.where(_looked_at(model, x, conds) > 1, blur_cells(clean, 1.0, 9), clean)
    degraded = alpha * vague + deviation * output
    expected = output + 2.0 * (output - answered(model, degraded, conds))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


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
