"""Whatever form an answer has, it comes out as values of links."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nodegraph import BLOCKED, InvalidValue
from nodegraph.core.values import PipelineComponent, Recipe, RecipeFile
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass, PipelineOutput
from nodegraph.interop.pipelines.conversion import (
    Rates,
    output_values,
    to_audio,
    to_images,
    to_videos,
)
from nodegraph.interop.pipelines.pipeline_call import run_pipeline
from nodegraph.interop.pipelines.rates import (
    audio_rate,
    frame_rate,
    may_say_audio_rate,
    with_audio_rate_input,
)
from tests.messages import raises
from tests.pipelines.run.conftest import Shelf, Watched, class_named
from tests.pipelines.run.plainly import answer

PIPELINES = ()
RATES = Rates(Fraction(8), 16_000)


def gives(*outputs: PipelineOutput) -> PipelineClass:
    return PipelineClass("SomePipeline", "some", "image", "progress", outputs=outputs)


_RANDOM = torch.rand(2, 6, 5, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "answer",
    [
        _RANDOM,
        _RANDOM.numpy(),
        _RANDOM.movedim(-1, 1),
        list(_RANDOM.numpy()),
        [item.movedim(-1, 0) for item in _RANDOM],
        [item[None] for item in _RANDOM],
        _RANDOM.movedim(-1, 1) * 2 - 1,
        _RANDOM.double(),
    ],
)
def test_pictures_of_many_forms(answer: Any) -> None:
    found = to_images(answer)
    assert (found.dtype, found.shape) == (torch.float32, (2, 6, 5, 3))
    assert torch.allclose(found, _RANDOM, atol=1e-6)


def test_pictures_of_pil() -> None:
    levels = (_RANDOM * 255).round().to(torch.uint8)
    found = to_images([Image.fromarray(item.numpy()) for item in levels])
    assert torch.equal(found, levels.float() / 255)


def test_one_channel_is_grey() -> None:
    depth = np.linspace(0, 1, 30, dtype=np.float32).reshape(1, 6, 5, 1)
    assert torch.equal(to_images(depth), torch.as_tensor(depth).expand(1, 6, 5, 3))
    assert to_images(depth[..., 0]).shape == (1, 6, 5, 3)


@pytest.mark.parametrize(
    "answer",
    [
        torch.zeros(1, 24, 64),
        torch.zeros(1, 16, 8, 8),
        torch.zeros(1, 8, 8, dtype=torch.int64),
        [np.zeros((4, 4, 3)), np.zeros((5, 4, 3))],
        [],
        "nothing",
    ],
)
def test_latents_and_other_things_are_no_pictures(answer: Any) -> None:
    if isinstance(answer, torch.Tensor) and answer.ndim == 3 and answer.is_floating_point():
        assert to_images(answer).shape[-1] == 3  # one channel, without saying it
        return
    with pytest.raises(InvalidValue):
        to_images(answer)


@pytest.mark.parametrize(
    "answer",
    [
        _RANDOM[None],
        _RANDOM[None].movedim(-1, 2).numpy(),
        [_RANDOM.numpy()],
        [list(_RANDOM.numpy())],
        _RANDOM,
    ],
)
def test_videos_of_many_forms(answer: Any) -> None:
    [found] = to_videos(answer, Fraction(8))
    assert torch.equal(found.frames, _RANDOM)
    assert found.rate == 8


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 9), (9,)])
def test_sounds_of_many_forms(shape: tuple[int, ...]) -> None:
    [found] = to_audio(torch.zeros(shape).numpy(), 16_000)
    assert found.waveform.shape == (2 if len(shape) == 3 else 1, 9)


def test_several_videos_where_one_is_given_are_refused() -> None:
    found = gives(PipelineOutput("frames", "video"))
    with raises(InvalidValue):
        output_values(found, {"frames": torch.stack([_RANDOM, _RANDOM])}, RATES)


def test_outputs_that_a_call_leaves_out_are_blocked() -> None:
    latents = PipelineOutput("latents", "tensor", word="latent", field="images")
    flags = PipelineOutput("nsfw", "flag", many=True)
    found = gives(PipelineOutput("images", "image"), latents, flags)
    pictures = output_values(found, {"images": _RANDOM, "nsfw": None}, RATES, "np")
    assert pictures[1:] == (BLOCKED, BLOCKED)
    given = output_values(
        found, {"images": torch.zeros(1, 4, 8, 8), "nsfw": [False]}, RATES, "latent"
    )
    assert given[0] is BLOCKED
    assert given[1].shape == (1, 4, 8, 8)
    assert given[2] == [False]


def test_a_plain_tuple_is_taken_by_place() -> None:
    found = gives(PipelineOutput("", "tensor"), PipelineOutput("", "tensor"))
    one, other = output_values(found, (torch.ones(1), np.zeros(2)), RATES)
    assert (one.shape, other.shape) == ((1,), (2,))


class _Surface:
    verts = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 1, 0]])
    faces = torch.tensor([[0, 1, 2]])
    vertex_channels = dict.fromkeys("RGB", torch.full((3,), 0.5))


def test_surfaces_stand_upright() -> None:
    [mesh] = output_values(gives(PipelineOutput("mesh", "mesh")), {"mesh": _Surface()}, RATES)
    # What was up along z is up along y.
    assert mesh.vertices[1].tolist() == [0, 1, 0]
    assert mesh.colors is not None
    assert mesh.colors.shape == (3, 3)


def test_videos_have_the_rate_of_an_input_or_of_the_example() -> None:
    assert frame_rate(class_named("LTXPipeline"), {"frame_rate": 30}) == 30
    assert frame_rate(class_named("LTXPipeline"), {}) == 25
    assert frame_rate(class_named("WanPipeline"), {}) == 16
    assert frame_rate(class_named("CogVideoXPipeline"), {}) == 8


def test_sound_has_the_rate_of_what_makes_it(tmp_path: Path) -> None:
    """Not that of what hears, nor that of its latents, as in LTX 2."""
    said: dict[str, dict[str, int]] = {
        "feature_extractor": {"sampling_rate": 48_000},
        "audio_vae": {"sample_rate": 16_000},
        "vocoder": {"output_sampling_rate": 24_000, "sampling_rate": 16_000},
    }
    parts: dict[str, Recipe] = {}
    for name, config in said.items():
        path = tmp_path / name / "config.json"
        path.parent.mkdir()
        path.write_text(json.dumps(config))
        parts[name] = PipelineComponent("Some", (RecipeFile(name, str(path), name),))
    assert audio_rate(Pipeline("LTX2Pipeline", parts)) == 24_000
    del parts["vocoder"]
    assert audio_rate(Pipeline("LTX2Pipeline", parts)) == 16_000
    assert audio_rate(Pipeline("LTX2Pipeline")) is None
    assert may_say_audio_rate(class_named("AceStepPipeline"))
    assert not may_say_audio_rate(class_named("StableAudioPipeline"))


def test_the_rate_of_sound_is_asked_for_where_nothing_says_it(shelf: Shelf) -> None:
    name = "DanceDiffusionPipeline"
    found = with_audio_rate_input(class_named(name))
    assert found.inputs[-1].name == "audio_rate"
    inputs = {**shelf.given(name), "audio_rate": 8000}
    [sound] = run_pipeline(Watched(shelf), found, shelf.pipeline(name), inputs)
    assert sound.rate == 8000
    for other in ("AceStepPipeline", "WanPipeline"):
        assert with_audio_rate_input(class_named(other)) == class_named(other)


def test_latents_of_a_shape_are_those_of_a_plain_call(shelf: Shelf) -> None:
    name = "ShapEPipeline"
    found = class_named(name)
    latents = PipelineOutput("latents", "tensor", word="latent", field="images")
    inputs = {**shelf.given(name), "generator": 3}
    ctx = Watched(shelf)
    found = PipelineClass(**{**vars_of(found), "outputs": (*found.outputs, latents)})
    *rest, value = run_pipeline(ctx, found, shelf.pipeline(name), inputs)
    with shelf.plain(name) as made:
        plain = answer(made, shelf.call(name), 3)
    assert torch.equal(value, plain["images"])
    assert rest == [BLOCKED, BLOCKED]
    assert ctx.steps


@pytest.mark.slow
def test_a_shape_is_seen_from_all_sides(shelf: Shelf) -> None:
    name = "ShapEPipeline"
    inputs = {"prompt": "a bird", "num_inference_steps": 2, "frame_size": 32, "generator": 3}
    video, mesh = run_pipeline(Watched(shelf), class_named(name), shelf.pipeline(name), inputs)
    assert video.frames.shape == (20, 32, 32, 3)
    assert mesh is BLOCKED


def vars_of(found: PipelineClass) -> dict[str, Any]:
    return {name: getattr(found, name) for name in PipelineClass.__slots__}
