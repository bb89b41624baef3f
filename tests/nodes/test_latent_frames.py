"""CutLatentFrames and LatentFramesToBatch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nodegraph_nodes.latent_frames import (
    CutLatentFrames,
    LatentFramesToBatch,
    MatchFirstFrames,
    ReplaceLatentFrames,
)

from nodegraph import InvalidValue, Latent
from nodegraph.core.values import Leftover
from nodegraph.families.noise import draw_noise
from tests.messages import raises

SAMPLES = draw_noise((16, 5, 2, 3), 0, range(2))
FILM = Latent(SAMPLES, 24, 16, 2, torch.rand(2, 16, 24), "wan", (7, 9), 17)


@pytest.mark.parametrize(
    ("start", "count", "kept"),
    [(0, 1, slice(0, 1)), (1, 0, slice(1, 5)), (-2, 0, slice(3, 5)), (1, 16384, slice(1, 5))],
)
def test_frames_are_kept_by_their_places(start: int, count: int, kept: slice) -> None:
    found = CutLatentFrames(FILM, start, count)
    assert found.samples is not None
    assert torch.equal(found.samples, SAMPLES[:, :, kept])
    # Wan's first latent frame is one of the video, each further one four
    assert found.frames == 4 * (found.samples.shape[2] - 1) + 1
    assert (found.batch_index, found.noise_mask) == (FILM.batch_index, FILM.noise_mask)


def test_frames_become_items_in_their_order() -> None:
    found = LatentFramesToBatch(FILM)
    assert (found.batch_size, found.frames, found.batch_index) == (10, 1, None)
    assert found.samples is not None
    assert torch.equal(found.samples[7, :, 0], SAMPLES[1, :, 2])
    assert found.noise_mask is not None
    assert FILM.noise_mask is not None
    assert torch.equal(found.noise_mask[7], FILM.noise_mask[1])
    pairs = LatentFramesToBatch(FILM, 2)
    assert pairs.samples is not None
    assert torch.equal(pairs.samples[3], SAMPLES[1, :, 2:4])
    assert (pairs.batch_size, pairs.frames) == (4, 5)


def test_the_picture_behind_noise_is_cut_along() -> None:
    noisy = Latent(
        SAMPLES, 24, 16, 2, format="wan", frames=17, leftover=Leftover(0.5, "mixing", SAMPLES)
    )
    left = CutLatentFrames(noisy, 1, 2).leftover
    assert left is not None
    assert left.original is not None
    assert torch.equal(left.original, SAMPLES[:, :, 1:3])


def test_what_is_no_video_or_has_no_such_frames_is_refused() -> None:
    for start in (5, -6):
        with raises(InvalidValue, port="start"):
            CutLatentFrames(FILM, start)
    with raises(InvalidValue, port="size", given="6"):
        LatentFramesToBatch(FILM, 6)
    for latent in (Latent(None, 24, 16), Latent(SAMPLES[:, :, 0], 24, 16, 2)):
        with raises(InvalidValue, port="latent"):
            LatentFramesToBatch(latent)


@pytest.mark.parametrize(("index", "first"), [(0, 0), (2, 2), (-2, 3)])
def test_frames_of_another_latent_replace_some(index: int, first: int) -> None:
    other = CutLatentFrames(replace(FILM, samples=-SAMPLES), 0, 2)
    found = ReplaceLatentFrames(FILM, other, index)
    assert found.samples is not None
    expected = SAMPLES.clone()
    expected[:, :, first : first + 2] = -SAMPLES[:, :, :2]
    assert torch.equal(found.samples, expected)
    assert (found.frames, found.noise_mask) == (FILM.frames, FILM.noise_mask)


def test_one_image_replaces_a_frame_of_all_items() -> None:
    image = Latent(SAMPLES[:1, :, :1], 24, 16, format="wan")
    found = ReplaceLatentFrames(FILM, image).samples
    assert found is not None
    assert torch.equal(found[1, :, 0], SAMPLES[0, :, 0])


def test_frames_that_do_not_fit_are_not_replaced() -> None:
    image = Latent(SAMPLES[:1, :, :1], 24, 16, format="wan")
    for index in (5, -6):
        with raises(InvalidValue, port="index", given=f"1 latent frames at {index} of 5"):
            ReplaceLatentFrames(FILM, image, index)
    with raises(InvalidValue, port="source", given="format ltx"):
        ReplaceLatentFrames(FILM, replace(image, format="ltx"))
    with raises(InvalidValue, port="source", given="shape (1, 16, 1, 2, 2)"):
        ReplaceLatentFrames(FILM, Latent(SAMPLES[:1, :, :1, :, :2], 16, 16, format="wan"))
    with raises(InvalidValue, port="destination", given="no samples"):
        ReplaceLatentFrames(Latent(None, 24, 16), image)
    with raises(InvalidValue, port="source", given="one of format sd"):
        ReplaceLatentFrames(FILM, Latent(SAMPLES[:, :, 0], 24, 16, format="sd"))


BRIGHT = torch.cat([SAMPLES[:1, :, 2:4] * 1.2 + 0.2, SAMPLES[:1, :, 2:]], 2)


def test_each_first_frame_gets_the_mean_and_deviation_of_later_ones() -> None:
    found = MatchFirstFrames(replace(FILM, samples=BRIGHT), 2, 2, "per frame").samples
    assert found is not None
    behind = BRIGHT[:, :, 2:4]
    for frame in (found[:, :, 0], found[:, :, 1]):
        torch.testing.assert_close(frame.mean(), behind.mean())
        torch.testing.assert_close(frame.std(), behind.std())
    assert torch.equal(found[:, :, 2:], BRIGHT[:, :, 2:])


def test_first_frames_change_within_limits() -> None:
    film = replace(FILM, samples=torch.cat([BRIGHT[:, :, :2] * 3 + 2, BRIGHT[:, :, 2:]], 2))
    assert film.samples is not None
    first = film.samples[:, :, :2]
    found = MatchFirstFrames(film, 2).samples
    assert found is not None
    torch.testing.assert_close(found[:, :, :2].mean(), first.mean() - 0.05)
    torch.testing.assert_close(found[:, :, :2].std(), first.std() - 0.1)


def test_a_video_without_later_frames_stays_as_it_is() -> None:
    assert MatchFirstFrames(FILM, 5) is FILM
    with raises(InvalidValue, port="latent", given="no samples"):
        MatchFirstFrames(Latent(None, 24, 16))
