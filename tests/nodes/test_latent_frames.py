"""CutLatentFrames and LatentFramesToBatch."""

from __future__ import annotations

import pytest
import torch
from nodegraph_nodes.latent_frames import CutLatentFrames, LatentFramesToBatch

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
