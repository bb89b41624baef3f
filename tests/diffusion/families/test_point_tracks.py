"""Videos whose points move along tracks, against the published description of ATI.

diffusers has no pipeline for it. The reference here is written point by point and cell by cell; the
sampling is that of diffusers' pipeline of prompts, around diffusers' network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.image_conditioning import CONDITION_VIDEO, CONDITION_VIDEO_MASK
from nodegraph.models.image_to_video import embed_first_frame, encode_first_frame
from nodegraph.models.point_tracks import encode_tracks, parse_tracks, resampled
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .conftest import Pair
from .equality import PROMPT, assert_same, stock
from .test_image_to_video import WithFilm, picture, pipeline_of_prompts
from .video_models import ltx, wan_i2v

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT, FRAMES = 96, 64, 9
TRACKS = [
    [(10.0 + index / 2, 20.0) for index in range(121)],
    [(80.0, 50.0 - index) for index in range(40)],
    [(48.0, 32.0)],
    [(-500.0, 900.0)] * 130,
]


def expected_points(tracks: list[Any], frames: int) -> list[list[tuple[float, float, int]]]:
    """Of each frame: each track's x and y, and whether it is visible."""
    times = [0]
    for frame in range(1, frames):
        # The 120 later points, each as often as makes the video's frames a part of them.
        least = math.lcm(120, frames - 1)
        times.append(1 + min((1 + (frame - 1) * least // (frames - 1)) * 120 // least, 119))
    return [
        [(*track[time], 1) if time < len(track) else (0.0, 0.0, 0) for track in tracks]
        for time in times
    ]


def by_cells(film: Tensor, tracks: list[Any], temperature: float, top_k: int) -> Any:
    """The film and its weights, by the formulas of the paper's code."""
    channels, latent_frames, rows, columns = film.shape
    points = expected_points(tracks, FRAMES)
    short, short_cells = min(WIDTH, HEIGHT), min(rows, columns)

    def place(point: Any) -> tuple[float, float]:
        return (point[0] - WIDTH / 2) / short * 2, (point[1] - HEIGHT / 2) / short * 2

    def at(x: float, y: float) -> Tensor:
        x, y = (max(-1.0, min(1.0, v * short_cells / n)) for v, n in ((x, columns), (y, rows)))
        across, down = ((x + 1) * columns - 1) / 2, ((y + 1) * rows - 1) / 2
        value = torch.zeros(channels)
        for row in (math.floor(down), math.floor(down) + 1):
            for column in (math.floor(across), math.floor(across) + 1):
                if 0 <= row < rows and 0 <= column < columns:
                    share = (1 - abs(across - column)) * (1 - abs(down - row))
                    value += share * film[:, 0, row, column]
        return value

    features = [at(*place(point)) for point in points[0]]
    made, weights = film.clone(), torch.ones(latent_frames, rows, columns)
    for frame in range(1, latent_frames):
        for row in range(rows):
            for column in range(columns):
                x = -columns / short_cells + 2 * columns / short_cells * column / (columns - 1)
                y = -rows / short_cells + 2 * rows / short_cells * row / (rows - 1)
                found = []
                for index in range(len(tracks)):
                    seen = [points[4 * frame - 3 + step][index] for step in range(4)]
                    visible = sum(point[2] for point in seen)
                    near = [place(point) for point in seen if point[2]]
                    mean = [sum(each[axis] for each in near) / (visible + 1e-5) for axis in (0, 1)]
                    distance = (mean[0] - x) ** 2 + (mean[1] - y) ** 2
                    found.append((math.exp(-distance * temperature) * min(visible, 1), index))
                found = sorted(found, reverse=True)[:top_k]
                total = sum(weight for weight, _ in found)
                weights[frame, row, column] = total
                made[:, frame, row, column] *= 1 - min(total, 1)
                for weight, index in found:
                    made[:, frame, row, column] += weight * features[index]
    return made, weights


@pytest.mark.parametrize(("temperature", "top_k"), [(220.0, 2), (3.0, 10), (1.0, 1)])
def test_features_of_the_first_frame_lie_along_tracks(
    model_of: ModelOf, temperature: float, top_k: int
) -> None:
    _, model = model_of(wan_i2v)
    vae, prompt, image = model.part("vae"), model.encode(PROMPT), picture(WIDTH, HEIGHT)
    assert prompt is not None
    plain = encode_first_frame(vae, prompt, image, FRAMES)[CONDITION_VIDEO][0]
    found = encode_tracks(vae, prompt, image, FRAMES, TRACKS, temperature=temperature, top_k=top_k)
    film, weights = by_cells(plain, TRACKS, temperature, top_k)
    torch.testing.assert_close(found[CONDITION_VIDEO][0], film, rtol=1e-4, atol=1e-5)
    for channel in range(4):
        torch.testing.assert_close(
            found[CONDITION_VIDEO_MASK][0, channel], weights, rtol=1e-4, atol=1e-5
        )
    assert found[CONDITION_VIDEO_MASK][:, :, 1:].max() > 0.1


def test_a_network_gets_the_film_after_the_weights_of_its_tracks(model_of: ModelOf) -> None:
    pipeline, model = model_of(wan_i2v)
    image, vae, prompt = picture(WIDTH, HEIGHT), model.part("vae"), model.encode(PROMPT)
    assert prompt is not None
    tensors = encode_tracks(vae, prompt, image, FRAMES, TRACKS)
    seen = embed_first_frame(model.part("text_encoder"), image)
    found = model.make(
        WIDTH,
        HEIGHT,
        frames=FRAMES,
        cfg=5.0,
        sampler="uni_pc",
        change=lambda each: with_tensors(each, {**tensors, **seen}),
    )
    shown = torch.cat([tensors[CONDITION_VIDEO_MASK], tensors[CONDITION_VIDEO]], 1)
    parts = (pipeline.tokenizer, pipeline.text_encoder, pipeline.vae, pipeline.scheduler)
    expected = pipeline_of_prompts(*parts)
    expected.transformer = WithFilm(pipeline.transformer, shown, *seen.values())
    size = {"width": WIDTH, "height": HEIGHT, "num_frames": FRAMES}
    assert_same(found, stock(expected, out="frames", guidance_scale=5.0, **size))


def test_without_tracks_the_first_image_alone_conditions_the_video(model_of: ModelOf) -> None:
    _, model = model_of(wan_i2v)
    vae, prompt, image = model.part("vae"), model.encode(PROMPT), picture(64, 48)
    assert prompt is not None
    found = encode_tracks(vae, prompt, image, 5, parse_tracks("[]"))
    plain = encode_first_frame(vae, prompt, image, 5)
    assert found.keys() == plain.keys()
    assert torch.equal(found[CONDITION_VIDEO], plain[CONDITION_VIDEO])


@pytest.mark.parametrize("frames", [5, 81, 117, 121, 241])
def test_a_video_of_any_length_is_as_long_as_a_track(frames: int) -> None:
    track = [(float(index), 0.0) for index in range(121)]
    positions, visible = resampled([track], frames, 200, 100)
    found = (positions[:, 0, 0] * 50 + 100).round().long().tolist()
    assert found == [round(x) for [(x, _, _)] in expected_points([track], frames)]
    assert found[0] == 0
    assert abs(found[-1] - 120) <= 120 / (frames - 1)
    assert visible.all()


def test_tracks_are_read_as_editors_write_them() -> None:
    point = {"x": 1, "y": 2.5}
    for written in ([point], [[point]], [[[point]]], [[point], []]):
        assert parse_tracks(json.dumps(written)) == [[(1.0, 2.5)]]
    assert parse_tracks(str([[point, point]])) == [[(1.0, 2.5)] * 2]
    assert parse_tracks("") == []


@pytest.mark.parametrize(
    "text", ["[", "{}", "[[1, 2]]", '[[{"x": 1}]]', '[{"x": 1, "y": Infinity}]', "7"]
)
def test_what_are_no_tracks_is_refused(text: str) -> None:
    with raises(InvalidValue, port="tracks", given=text):
        parse_tracks(text)


def test_families_without_such_models_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port="conditioning", given="ltx"):
        encode_tracks(model.part("vae"), prompt, picture(64, 64), 9, TRACKS)
