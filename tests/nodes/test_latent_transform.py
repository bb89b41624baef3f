"""FlipLatent, RotateLatent, CropLatent and ResizeLatent."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nodegraph_nodes.latent_transform import CropLatent, FlipLatent, ResizeLatent, RotateLatent

from nodegraph import InvalidValue, Latent
from nodegraph.core.values import Leftover
from nodegraph.sampling.latents.transforms import slerp
from tests.nodes.conftest import Bench, link
from tests.properties import examples


def latent(
    batch: int = 1, height: int = 5, width: int = 7, frames: int = 0, format: str | None = "sd"
) -> Latent:
    """Random cells of 8 pixels, with a mask and noise left."""
    generator = torch.Generator().manual_seed(batch + 10 * frames)
    channels = 128 if format == "flux2" else 4
    shape = (batch, channels, *((frames,) if frames else ()), height, width)
    samples, original = torch.randn(2, *shape, generator=generator)
    side = 16 if format == "flux2" else 8
    mask = torch.rand(batch, height * side, width * side, generator=generator)
    left = Leftover(1.5, "exploding", original)
    size = width * side, height * side
    return Latent(samples, *size, batch, mask, format, frames=max(1, 4 * frames - 3), leftover=left)


def same(first: Latent, second: Latent) -> bool:
    assert first.leftover is not None
    assert second.leftover is not None
    tensors = [(item.samples, item.noise_mask, item.leftover.original) for item in (first, second)]
    plain = [
        replace(item, samples=None, noise_mask=None, leftover=None) for item in (first, second)
    ]
    return plain[0] == plain[1] and all(map(torch.equal, *tensors))


KINDS = [latent(), latent(3), latent(2, frames=3), latent(2, format="flux2")]


@pytest.mark.parametrize("given", KINDS, ids=["picture", "batch", "video", "patches"])
@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_two_flips_are_none(given: Latent, axis: str) -> None:
    once = FlipLatent(given, axis)
    assert not same(once, given)
    assert same(FlipLatent(once, axis), given)


@pytest.mark.parametrize("given", KINDS, ids=["picture", "batch", "video", "patches"])
def test_four_quarters_are_a_whole_turn(given: Latent) -> None:
    turned = RotateLatent(given, "90")
    assert (turned.width, turned.height) == (given.height, given.width)
    assert turned.samples.shape[-2:] == given.samples.shape[-1:-3:-1]
    assert same(RotateLatent(turned, "270"), given)
    half = FlipLatent(FlipLatent(given, "horizontal"), "vertical")
    assert same(RotateLatent(given, "180"), half)


def test_a_turn_is_clockwise() -> None:
    samples = torch.zeros(1, 4, 2, 3)
    samples[..., 0, 0] = 1  # upper left
    turned = RotateLatent(Latent(samples, 24, 16), "90").samples
    assert turned[0, 0].tolist() == [[0, 1], [0, 0], [0, 0]]


def test_patches_are_turned_inside_too() -> None:
    from nodegraph.families.flux2 import unpatchify

    given = latent(format="flux2")
    cells = unpatchify(given.samples)
    assert torch.equal(unpatchify(FlipLatent(given, "vertical").samples), cells.flip(-2))


@pytest.mark.parametrize("given", KINDS[:3], ids=["picture", "batch", "video"])
def test_a_part_is_of_those_cells_and_pixels(given: Latent) -> None:
    part = CropLatent(given, 16, 8, 32, 24)
    assert (part.width, part.height, part.batch_size) == (32, 24, given.batch_size)
    assert torch.equal(part.samples, given.samples[..., 1:4, 2:6])
    assert torch.equal(part.noise_mask, given.noise_mask[:, 8:32, 16:48])
    assert same(CropLatent(given, 0, 0, given.width, given.height), given)


@pytest.mark.parametrize(
    ("part", "port"), [((0, 0, 64, 8), "width"), ((0, 40, 8, 8), "height"), ((4, 0, 8, 8), "x")]
)
def test_parts_that_there_are_not_are_refused(part: tuple[int, ...], port: str) -> None:
    with pytest.raises(InvalidValue) as error:
        CropLatent(latent(), *part)
    assert error.value.problem.port == port


def test_empty_latents_change_their_size() -> None:
    empty = Latent(None, 64, 96, 3, frames=5)
    assert FlipLatent(empty) == empty
    assert RotateLatent(empty) == replace(empty, width=96, height=64)
    assert CropLatent(empty, 8, 8, 32, 16) == replace(empty, width=32, height=16)
    assert ResizeLatent(empty, 1.5) == replace(empty, width=96, height=144)


METHODS = ["bislerp", "bicubic", "bilinear", "area", "nearest"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("given", KINDS, ids=["picture", "batch", "video", "patches"])
def test_scaling_gives_the_size_and_keeps_what_is_even(given: Latent, method: str) -> None:
    larger = ResizeLatent(given, 2.0, method=method)
    assert (larger.width, larger.height) == (2 * given.width, 2 * given.height)
    expected = [*given.samples.shape[:-2], *(2 * side for side in given.samples.shape[-2:])]
    assert list(larger.samples.shape) == expected
    assert larger.noise_mask.shape[-2:] == (larger.height, larger.width)
    even = replace(given, samples=torch.full_like(given.samples, 0.5))
    assert (ResizeLatent(even, 1.6, method=method).samples - 0.5).abs().max() < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_scaled_as_its_items_are(method: str) -> None:
    three = latent(3)
    singles = [
        ResizeLatent(replace(three, samples=item[None], batch_size=1), 1.5, method=method)
        for item in three.samples
    ]
    torch.testing.assert_close(
        ResizeLatent(three, 1.5, method=method).samples, torch.cat([s.samples for s in singles])
    )


def test_the_same_size_changes_nothing() -> None:
    for method in METHODS:
        assert torch.equal(ResizeLatent(latent(2), 1.0, method=method).samples, latent(2).samples)


def test_a_side_of_none_keeps_the_proportions() -> None:
    found = ResizeLatent(Latent(None, 64, 96), width=128)
    assert (found.width, found.height) == (128, 192)
    # 7 x 5 cells to the nearest whole ones
    found = ResizeLatent(latent(), 1.5)
    assert (found.width, found.height) == (80, 64)
    assert found.samples.shape[-2:] == (8, 10)


def test_the_way_along_the_arc_keeps_the_contrast_of_noise() -> None:
    noise = Latent(torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)), 128, 128)
    by_arc, by_mean = (
        ResizeLatent(noise, 2.0, method=m).samples.std() for m in ("bislerp", "bilinear")
    )
    assert by_arc > 1.2 * by_mean


@settings(max_examples=examples(20), deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_the_arc_is_of_even_length_and_ends_at_its_ends(share: float, seed: int) -> None:
    first, second = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(seed))
    on = slerp(first, second, share, axes=(1,))
    lengths = (1 - share) * first.norm(dim=1) + share * second.norm(dim=1)
    torch.testing.assert_close(on.norm(dim=1), lengths, rtol=1e-4, atol=1e-5)
    assert torch.equal(slerp(first, second, 0.0, axes=(1,)), first)
    assert torch.equal(slerp(first, second, 1.0, axes=(1,)), second)
    # parallel, opposite and zero vectors: the straight way
    for other in (first, -first, 0 * first):
        straight = (1 - share) * first + share * other
        torch.testing.assert_close(
            slerp(first, other, share, axes=(1,)), straight, atol=1e-3, rtol=0
        )


def test_sizes_are_known_and_faults_told_before_anything_runs(bench: Bench) -> None:
    nodes = {
        "empty": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 96}},
        "turned": {"type": "RotateLatent", "inputs": {"latent": link("empty")}},
        "larger": {"type": "ResizeLatent", "inputs": {"latent": link("turned"), "factor": 2.0}},
        "part": {"type": "CropLatent", "inputs": {"latent": link("larger"), "width": 200}},
        "huge": {"type": "ResizeLatent", "inputs": {"latent": link("larger"), "width": 16384}},
        "more": {"type": "ResizeLatent", "inputs": {"latent": link("huge"), "factor": 2.0}},
    }
    told = {(item.node, item.port, item.given) for item in bench.problems(nodes)}
    assert ("part", "width", "200 pixels from 0") in told
    assert ("part", "height", "512 pixels from 0") in told
    assert any(node == "more" and port == "factor" for node, port, _ in told)
