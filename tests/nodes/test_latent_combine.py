"""JoinLatents, RepeatLatent, BlendLatents, AddLatents and CompositeLatent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nodegraph_nodes.latent import LatentFromBatch
from nodegraph_nodes.latent_combine import (
    AddLatents,
    BlendLatents,
    CompositeLatent,
    ConcatLatents,
    JoinLatents,
    LatentList,
    RepeatLatent,
)

from nodegraph import InvalidValue, Latent
from nodegraph.core.values import Leftover
from nodegraph.families.noise import draw_noise
from tests.messages import raises
from tests.nodes.conftest import Bench, link


def latent(seed: int = 0, batch: int = 1, width: int = 64, height: int = 48) -> Latent:
    samples = draw_noise((4, height // 8, width // 8), seed, range(batch))
    return Latent(samples, width, height, batch, format="sd")


def test_joined_latents_are_the_items_of_one_batch() -> None:
    first, second = latent(0, 2), latent(7)
    whole = JoinLatents([first, second], [first])
    assert (whole.batch_size, whole.batch_index) == (5, None)
    assert torch.equal(whole.samples[2:3], second.samples)
    back = [LatentFromBatch(whole, at).samples for at in range(5)]
    assert torch.equal(torch.cat(back), whole.samples)


def test_items_that_were_given_places_keep_them() -> None:
    third = LatentFromBatch(latent(0, 3), 2)
    assert JoinLatents([third, latent(1)]).noise_indices == (2, 0)


def test_joined_masks_let_others_be_made_anew() -> None:
    masked = replace(latent(0), noise_mask=torch.zeros(1, 12, 16))
    whole = JoinLatents([masked, latent(1, 2)])
    assert whole.noise_mask.shape == (3, 48, 64)
    assert whole.noise_mask.mean((1, 2)).tolist() == [0, 1, 1]


def test_empty_latents_are_joined_too_but_not_with_others() -> None:
    empty = Latent(None, 64, 48, 2)
    assert JoinLatents([empty, empty]) == replace(empty, batch_size=4)
    with raises(InvalidValue, port="second", given="an empty one of 64 x 48 pixels"):
        JoinLatents([latent()], [empty])


@pytest.mark.parametrize(("first", "second", "port"), [(2, 1, "first"), (1, 2, "second")])
def test_what_does_not_join_is_told_by_the_port_that_it_came_by(
    first: int, second: int, port: str
) -> None:
    with raises(InvalidValue, given="32 x 48 pixels") as caught:
        JoinLatents([latent(), latent(width=32)][:first], [latent(width=32)] * second)
    assert caught.value.problem.port == port


@pytest.mark.parametrize(
    "other",
    [
        latent(width=32),
        replace(latent(), format="sdxl"),
        replace(latent(), leftover=Leftover(2.0, "exploding")),
    ],
)
def test_what_cant_be_together_is_refused(other: Latent) -> None:
    for node in (lambda a, b: JoinLatents([a, b]), BlendLatents, AddLatents):
        with raises(InvalidValue):
            node(latent(), other)


def test_copies_draw_noise_of_their_own() -> None:
    mask = torch.rand(2, 48, 64)
    many = RepeatLatent(replace(latent(0, 2), noise_mask=mask), 3)
    assert many.noise_indices == tuple(range(6))
    assert torch.equal(many.samples[4:], latent(0, 2).samples)
    assert torch.equal(many.noise_mask[2:4], mask)
    few = RepeatLatent(LatentFromBatch(latent(0, 5), 3, 2), 2)
    assert few.noise_indices == (3, 4, 5, 6)
    assert RepeatLatent(Latent(None, 64, 64), 4) == Latent(None, 64, 64, 4)


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_a_blend_ends_at_both_and_is_the_same_for_items(method: str) -> None:
    first, second = latent(0, 3), latent(9)
    assert torch.equal(BlendLatents(first, second, 0.0, method).samples, first.samples)
    found = BlendLatents(first, second, 1.0, method)
    assert torch.equal(found.samples, second.samples.expand(3, -1, -1, -1))
    half = BlendLatents(first, second, 0.5, method).samples
    singles = [BlendLatents(LatentFromBatch(first, i), second, 0.5, method) for i in range(3)]
    torch.testing.assert_close(half, torch.cat([item.samples for item in singles]))
    # a single one first: as many as the second's
    assert BlendLatents(second, first, 0.5, method).batch_size == 3


def test_the_spherical_blend_of_noise_is_as_noisy() -> None:
    large = [latent(seed, width=512, height=512) for seed in (1, 2)]
    spread = [float(BlendLatents(*large, 0.5, m).samples.std()) for m in ("spherical", "linear")]
    assert spread == pytest.approx([1.0, 0.5**0.5], abs=0.02)


def test_what_is_added_can_be_taken_away() -> None:
    first, second = latent(0), latent(1)
    both = AddLatents(first, second, 0.5)
    torch.testing.assert_close(both.samples, first.samples + 0.5 * second.samples)
    torch.testing.assert_close(AddLatents(both, second, -0.5).samples, first.samples)


def test_empty_latents_hold_nothing_to_mix() -> None:
    with raises(InvalidValue, port="first"):
        BlendLatents(Latent(None, 64, 48), Latent(None, 64, 48))


def test_outside_of_what_is_pasted_no_bit_changes() -> None:
    base, part = latent(0, 2), latent(5, width=24, height=16)
    mask = torch.zeros(1, 16, 24)
    mask[:, :, :8] = 1
    mask[:, :, 8:16] = 0.5
    found = CompositeLatent(base, part, 16, 8, mask=mask).samples
    assert torch.equal(found[..., 1:3, 2:3], part.samples[..., :1].expand(2, -1, -1, -1))
    middle = (base.samples[..., 1:3, 3:4] + part.samples[..., 1:2]) / 2
    torch.testing.assert_close(found[..., 1:3, 3:4], middle)
    found[..., 1:3, 2:4] = base.samples[..., 1:3, 2:4]
    assert torch.equal(found, base.samples)


def test_what_is_pasted_fades_towards_what_is_beside_it() -> None:
    base = replace(latent(), samples=torch.zeros(1, 4, 6, 8))
    part = replace(latent(), samples=torch.ones(1, 4, 6, 4), width=32)
    row = CompositeLatent(base, part, 32, 0, feather=16).samples[0, 0, 3].tolist()
    # at the destination's own edges it doesn't fade
    assert row == [0, 0, 0, 0, 0.25, 0.75, 1, 1]


def test_what_lies_beyond_is_left_out_and_an_empty_one_is_zeros() -> None:
    part = latent(3)
    found = CompositeLatent(Latent(None, 96, 48), part, 64, 40)
    assert found.samples.shape == (1, 4, 6, 12)
    assert torch.equal(found.samples[..., 5:, 8:], part.samples[..., :1, :4])
    assert not found.samples[..., :5, :].any()
    with raises(InvalidValue, port="x", given="at 64, 0"):
        CompositeLatent(latent(), part, 64, 0)


def test_videos_are_pasted_and_joined() -> None:
    film = Latent(torch.randn(1, 16, 3, 4, 4), 32, 32, format="wan", frames=9)
    part = Latent(torch.randn(1, 16, 3, 2, 2), 16, 16, format="wan", frames=9)
    found = CompositeLatent(film, part, 16, 16, mask=torch.ones(1, 16, 16)).samples
    assert torch.equal(found[..., 2:, 2:], part.samples)
    assert torch.equal(found[..., :2, :], film.samples[..., :2, :])
    assert JoinLatents([film, film]).samples.shape == (2, 16, 3, 4, 4)


def test_noise_that_is_left_keeps_its_original_with_each_item() -> None:
    left = Leftover(2.0, "exploding", torch.randn(2, 4, 6, 8))
    noisy = replace(latent(0, 2), leftover=left)
    second = LatentFromBatch(noisy, 1)
    assert torch.equal(second.leftover.original, left.original[1:])
    whole = JoinLatents([second, replace(latent(4), leftover=Leftover(2.0, "exploding"))])
    assert torch.equal(whole.leftover.original[:1], left.original[1:])
    assert torch.equal(RepeatLatent(noisy, 2).leftover.original[2:], left.original)


def test_sizes_that_differ_are_told_before_anything_runs(bench: Bench) -> None:
    nodes = {
        "one": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "other": {"type": "EmptyLatent", "inputs": {"width": 96, "height": 64}},
        "both": {
            "type": "BlendLatents",
            "inputs": {"first": link("one"), "second": link("other")},
        },
    }
    [problem] = bench.problems(nodes, "both")
    assert (problem.node, problem.port, problem.given) == ("both", "second", "96")
    pasted = {"destination": link("one"), "source": link("other"), "x": 64}
    nodes["pasted"] = {"type": "CompositeLatent", "inputs": pasted}
    [problem] = bench.problems(nodes, "pasted")
    assert (problem.node, problem.port, problem.expected) == ("pasted", "x", "below 64")


def video(seed: int, frames: int, batch: int = 1) -> Latent:
    samples = draw_noise((16, frames, 6, 8), seed, range(batch))
    return Latent(samples, 64, 48, batch, format="wan", frames=4 * frames - 3)


def test_concatenated_latents_are_both_along_the_axis() -> None:
    first, second = latent(0, 2), latent(5)
    wide, tall = (ConcatLatents(first, second, axis) for axis in ("x", "y"))
    assert (wide.width, wide.height, tall.width, tall.height) == (128, 48, 64, 96)
    for item in range(2):
        for row, column in ((0, 0), (3, 2), (5, 7)):
            assert torch.equal(
                wide.samples[item, :, row, column], first.samples[item, :, row, column]
            )
            assert torch.equal(
                wide.samples[item, :, row, column + 8], second.samples[0, :, row, column]
            )
            assert torch.equal(
                tall.samples[item, :, row + 6, column], second.samples[0, :, row, column]
            )


def test_concatenated_videos_follow_each_other() -> None:
    first, second = video(0, 3), video(1, 2)
    whole = ConcatLatents(first, second, "t")
    assert torch.equal(whole.samples[:, :, 2], first.samples[:, :, 2])
    assert torch.equal(whole.samples[:, :, 3], second.samples[:, :, 0])
    assert (whole.samples.shape[2], whole.frames, whole.width) == (5, 17, 64)


def test_a_concatenated_part_without_a_mask_is_denoised() -> None:
    masked = replace(latent(0), noise_mask=torch.zeros(1, 12, 16))
    whole = ConcatLatents(masked, latent(1), "x")
    assert whole.noise_mask.shape == (1, 48, 128)
    assert whole.noise_mask[0, 0].tolist() == [0.0] * 64 + [1.0] * 64
    clip = replace(video(0, 2), noise_mask=torch.zeros(1, 48, 64))
    assert torch.equal(ConcatLatents(clip, clip, "t").noise_mask, clip.noise_mask)
    with raises(InvalidValue, port="second"):
        ConcatLatents(clip, video(0, 2), "t")


def test_a_concatenated_part_keeps_its_original_beside_one_without_a_mask() -> None:
    original = latent(3).samples
    masked = replace(
        latent(0),
        noise_mask=torch.zeros(1, 48, 64),
        leftover=Leftover(2.0, "exploding", original),
    )
    plain = replace(latent(1), leftover=Leftover(2.0, "exploding"))
    whole = ConcatLatents(masked, plain, "x")
    assert torch.equal(whole.leftover.original[..., :8], original)
    assert ConcatLatents(plain, plain, "x").leftover.original is None


@pytest.mark.parametrize(
    ("second", "axis", "port"),
    [
        (latent(height=64), "x", "second"),
        (latent(width=32), "y", "second"),
        (latent(0, 3), "x", "second"),
        (latent(), "t", "axis"),
        (replace(latent(), format="sdxl"), "x", "second"),
        (Latent(None, 64, 48), "x", "second"),
    ],
)
def test_what_does_not_concatenate_is_refused(second: Latent, axis: str, port: str) -> None:
    with raises(InvalidValue) as caught:
        ConcatLatents(latent(0, 2), second, axis)
    assert caught.value.problem.port == port


def test_a_list_of_latents_has_the_items_of_the_batch() -> None:
    whole = replace(latent(0, 3), batch_index=(4, 2, 9))
    items = LatentList(whole)
    assert [item.batch_index for item in items] == [(4,), (2,), (9,)]
    again = JoinLatents(items)
    assert torch.equal(again.samples, whole.samples)
    assert again.batch_index == whole.batch_index
