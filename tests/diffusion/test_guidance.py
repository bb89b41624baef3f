"""What several prompts add up to, on a stand-in model that says which prompt it was asked with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.configuration_utils import FrozenDict
from torch import Tensor, nn

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import Moment
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.sampling_parts import GuiderChoice
from tests.messages import raises

SHAPE = (2, 4, 4, 4)
LATENT = torch.zeros(SHAPE)
SIZE = {"width": 32, "height": 32}
TIMESTEP = torch.tensor(500)
CONFIG = {
    "in_channels": 4,
    "out_channels": 4,
    "cross_attention_dim": 3,
    "time_cond_proj_dim": None,
}


class Echo(nn.Module):
    """Answers with the mean of the embeddings, and keeps what it was called with."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = FrozenDict({**CONFIG, **config})
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.calls: list[dict[str, Any]] = []

    def forward(self, x: Tensor, timestep: Tensor, **given: Any) -> tuple[Tensor]:
        self.calls.append({"x": x, **given})
        level = given["encoder_hidden_states"].mean((1, 2))
        return (level.reshape(-1, 1, 1, 1).expand_as(x),)


def says(value: float, tokens: int = 5) -> Tensor:
    """Embeddings that Echo answers with `value`."""
    return torch.full((1, tokens, 3), value)


def saying(value: float, tokens: int = 5, **options: Any) -> ConditioningEntry:
    return ConditioningEntry({"embeddings": says(value, tokens)}, **options)


def prompt(value: float, **entry: Any) -> Conditioning:
    return Conditioning((saying(value, **entry),))


def both(first: Conditioning, second: Conditioning) -> Conditioning:
    return dataclasses.replace(first, entries=first.entries + second.entries)


def answer(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: float = 1.0,
    progress: float = 0.0,
    unet: Echo | None = None,
) -> Tensor:
    model = denoiser(unet or Echo())
    guidance = Guidance(model, GuiderChoice(positive, negative, cfg), **SIZE, shape=SHAPE)
    return guidance(LATENT, moment(progress))


def denoiser(unet: nn.Module) -> Denoiser:
    return Denoiser({"unet": unet}, "sd1")


def moment(progress: float = 0.0) -> Moment:
    return Moment(TIMESTEP, torch.tensor(0), 1000, progress)


def left_half() -> Tensor:
    """1 on the left half of a 32 x 32 image."""
    mask = torch.zeros(1, 32, 32)
    mask[:, :, :16] = 1
    return mask


def test_guidance_leads_away_from_negative_towards_positive() -> None:
    found = answer(prompt(3.0), prompt(1.0), cfg=4.0)
    assert torch.equal(found, torch.full(SHAPE, 1.0 + 4.0 * (3.0 - 1.0)))


def test_all_prompts_of_a_step_are_one_call_negative_first() -> None:
    unet = Echo()
    answer(prompt(3.0), prompt(1.0), cfg=4.0, unet=unet)
    (call,) = unet.calls
    assert call["x"].shape == (4, 4, 4, 4)
    assert call["encoder_hidden_states"].mean((1, 2)).tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize(
    ("lengths", "calls"),
    [
        ((5, 5), [5, 5]),
        ((5, 20), [20, 20]),
        ((10, 15), [30, 30]),
        ((15, 20), [15, 20]),
        ((35, 40), [35, 40]),
    ],
)
def test_prompts_are_not_repeated_up_to_a_large_common_multiple(
    lengths: tuple[int, int], calls: list[int]
) -> None:
    unet = Echo()
    against, towards = (
        prompt(value, tokens=tokens) for value, tokens in zip((1.0, 3.0), lengths, strict=True)
    )
    found = answer(towards, against, cfg=4.0, unet=unet)

    assert torch.equal(found, torch.full(SHAPE, 1.0 + 4.0 * (3.0 - 1.0)))
    asked = [
        call["encoder_hidden_states"].shape[1]
        for call in unet.calls
        for _ in range(len(call["x"]) // SHAPE[0])
    ]
    assert asked == calls


def test_prompts_of_three_lengths_keep_their_places() -> None:
    positive = Conditioning(
        tuple(
            saying(value, tokens, mask=mask)
            for value, tokens, mask in (
                (1.0, 35, left_half()),
                (2.0, 40, 1 - left_half()),
                (5.0, 35, left_half()),
            )
        )
    )
    found = answer(positive)
    assert (found[..., :2] == 3).all()
    assert (found[..., 2:] == 2).all()


def test_evaluating_length_by_length_gives_what_repeating_gives(sd1_folder: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(sd1_folder, subfolder="unet").eval()
    towards, against = (draw_noise((tokens, 32), tokens, [0]) for tokens in (21, 28))
    latent = draw_noise((4, 8, 8), 3, [0, 1])
    sides = [
        Conditioning((ConditioningEntry({"embeddings": item}),)) for item in (towards, against)
    ]
    with torch.no_grad():
        choice = GuiderChoice(*sides, 4.0)
        guidance = Guidance(denoiser(unet), choice, width=64, height=64, shape=latent.shape)
        found = guidance(latent, moment())
        repeated = torch.cat([against.repeat(2, 3, 1), towards.repeat(2, 4, 1)])
        away, to = unet(torch.cat([latent] * 2), TIMESTEP, repeated).sample.chunk(2)
    torch.testing.assert_close(found, away + 4.0 * (to - away), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cfg", [0.0, 0.5, 1.0])
def test_without_guidance_the_negative_prompt_is_not_asked(cfg: float) -> None:
    unet = Echo()
    assert (answer(prompt(3.0), prompt(1.0), cfg=cfg, unet=unet) == 3).all()
    assert unet.calls[0]["x"].shape[0] == 2


def test_no_negative_stands_for_the_empty_prompt() -> None:
    positive = dataclasses.replace(prompt(3.0), unconditional=saying(1.0))
    assert (answer(positive, cfg=2.0) == 5).all()


def test_no_negative_and_no_empty_prompt_is_told() -> None:
    guidance = Guidance(denoiser(Echo()), GuiderChoice(prompt(3.0), None, 2.0), **SIZE, shape=SHAPE)
    with raises(InvalidValue, port="negative"):
        guidance.check([(0.0, 0)])


def test_entries_are_averaged_by_strength() -> None:
    positive = both(prompt(2.0, strength=3.0), prompt(6.0, strength=1.0))
    torch.testing.assert_close(answer(positive), torch.full(SHAPE, 3.0))


def test_a_single_entry_is_whole_whatever_its_strength() -> None:
    assert (answer(prompt(2.0, strength=0.3)) == 2).all()


def test_masks_say_where_an_entry_applies() -> None:
    positive = both(prompt(2.0, mask=left_half()), prompt(6.0, mask=1 - left_half()))
    found = answer(positive)
    assert (found[..., :2] == 2).all()
    assert (found[..., 2:] == 6).all()


def test_the_empty_prompt_stands_in_where_no_mask_reaches() -> None:
    positive = dataclasses.replace(prompt(2.0, mask=left_half()), unconditional=saying(9.0))
    found = answer(positive)
    assert (found[..., :2] == 2).all()
    assert (found[..., 2:] == 9).all()


def test_entries_apply_in_their_part_of_the_sampling() -> None:
    positive = both(prompt(2.0, end=0.5), prompt(6.0, start=0.5))
    assert (answer(positive, progress=0.0) == 2).all()
    assert (answer(positive, progress=0.49) == 2).all()
    assert (answer(positive, progress=0.5) == 6).all()


def test_the_empty_prompt_stands_in_when_no_entry_applies() -> None:
    positive = dataclasses.replace(prompt(2.0, end=0.5), unconditional=saying(9.0))
    assert (answer(positive, progress=0.9) == 9).all()


@pytest.mark.parametrize("width", [6, 7])
def test_models_that_take_the_scale_are_asked_once_with_it(width: int) -> None:
    unet = Echo(time_cond_proj_dim=width)
    assert (answer(prompt(3.0), prompt(1.0), cfg=4.0, unet=unet) == 3).all()
    scale = unet.calls[0]["timestep_cond"]
    assert scale.shape == (2, width)
    torch.testing.assert_close(scale[0, 0], torch.tensor(3000.0).sin())


def test_embeddings_of_another_model_are_refused() -> None:
    wide = Conditioning((ConditioningEntry({"embeddings": torch.zeros(1, 5, 8)}),))
    with raises(InvalidValue, port="negative", given="shape (1, 5, 8)"):
        answer(prompt(1.0), wide, cfg=2.0)


def test_a_conditioning_without_entries_is_refused() -> None:
    with raises(InvalidValue, port="positive"):
        answer(Conditioning(()))


@pytest.mark.parametrize("cfg", [-1.0, float("nan"), float("inf")])
def test_cfg_is_a_number_from_0_up(cfg: float) -> None:
    with raises(InvalidValue, port="cfg"):
        answer(prompt(1.0), cfg=cfg)
