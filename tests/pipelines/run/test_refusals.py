"""What fails late in diffusers is told before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch

from nodegraph import Audio, InvalidValue, Video
from nodegraph.core.values import Recipe
from nodegraph.interop.pipelines.classes import (
    Pipeline,
    PipelineClass,
    PipelineInput,
    PipelineOutput,
)
from nodegraph.interop.pipelines.pipeline_call import run_pipeline
from tests.messages import raises
from tests.pipelines.run.conftest import Shelf, Watched, class_named

PIPELINES = ()
SD, AUDIO, DANCE = "StableDiffusionPipeline", "StableAudioPipeline", "DanceDiffusionPipeline"


class Unloaded(Watched):
    """A context whose weights nobody may ask for."""

    @contextmanager
    def weights(self, recipe: Recipe, *, calls_only: bool = False) -> Iterator[Any]:
        raise AssertionError(f"{recipe.source} was loaded")
        yield


def refusal(shelf: Shelf, found: PipelineClass, pipeline: Pipeline, **inputs: Any) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        run_pipeline(Unloaded(shelf), found, pipeline, inputs)
    return caught.value


def test_a_package_that_is_missing(shelf: Shelf) -> None:
    found = replace(class_named(SD), needs=("json", "cv2_that_isnt_there"))
    error = refusal(shelf, found, shelf.pipeline(SD), prompt="a bird")
    assert "cv2_that_isnt_there" in str(error)
    assert error.problem.hint == "Run `pip install cv2_that_isnt_there`."


def test_parts_that_the_folder_lacks(shelf: Shelf) -> None:
    found = class_named("StableDiffusionControlNetPipeline")
    error = refusal(shelf, found, shelf.pipeline(SD), prompt="a bird")
    assert "has no controlnet" in str(error)
    assert error.problem.port == "pipeline"


def test_no_prompt_and_nothing_in_its_place(shelf: Shelf) -> None:
    error = refusal(shelf, class_named(SD), shelf.pipeline(SD))
    assert error.problem.port == "prompt"
    assert "`prompt_embeds` instead" in str(error)


def test_something_that_has_to_be_given(shelf: Shelf) -> None:
    found = class_named("DiTPipeline")
    error = refusal(shelf, found, shelf.pipeline("DiTPipeline"))
    assert error.problem.port == "class_labels"


@pytest.mark.parametrize("channels", [4, 2])
def test_a_picture_that_would_be_taken_for_latents(shelf: Shelf, channels: int) -> None:
    found = class_named("StableDiffusionImg2ImgPipeline")
    picture = torch.zeros(1, 32, 32, channels)
    pipeline = shelf.pipeline("StableDiffusionImg2ImgPipeline")
    error = refusal(shelf, found, pipeline, prompt="a bird", image=picture)
    assert error.problem.port == "image"
    assert error.problem.given == f"{channels} channels"


def test_a_video_with_another_channel(shelf: Shelf) -> None:
    found = class_named("WanVideoToVideoPipeline")
    video = Video(torch.zeros(5, 32, 32, 4), Fraction(8))
    pipeline = shelf.pipeline("WanVideoToVideoPipeline")
    assert "4 channels" in str(refusal(shelf, found, pipeline, prompt="a bird", video=video))


def hears(**settings: Any) -> PipelineClass:
    """A class that takes sound."""
    found = class_named(DANCE)
    port = PipelineInput("audio", "audio", forms=("Tensor",))
    return replace(found, inputs=(*found.inputs, port), settings=settings)


def test_sound_of_another_rate(shelf: Shelf) -> None:
    sound = Audio(torch.zeros(2, 64), 44_100)
    error = refusal(shelf, hears(), shelf.pipeline(DANCE), audio=sound)
    assert (error.problem.port, error.problem.given) == ("audio", "44100 Hz")
    assert error.problem.expected == "64 Hz"


def test_sound_of_another_rate_for_a_pipeline_that_is_told_the_rate(shelf: Shelf) -> None:
    sound = {"initial_audio_waveforms": Audio(torch.zeros(2, 64), 44_100)}
    error = refusal(shelf, class_named(AUDIO), shelf.pipeline(AUDIO), prompt="rain", **sound)
    assert (error.problem.port, error.problem.expected) == ("initial_audio_waveforms", "4 Hz")


def test_sound_that_is_made_without_a_rate(shelf: Shelf) -> None:
    found = replace(class_named(SD), outputs=(PipelineOutput("audios", "audio"),))
    error = refusal(shelf, found, shelf.pipeline(SD), prompt="a bird")
    assert error.problem.port == "audio_rate"


@pytest.mark.parametrize(
    ("name", "port"), [("WanPipeline", "num_videos_per_prompt"), (DANCE, "batch_size")]
)
def test_several_where_one_is_given(shelf: Shelf, name: str, port: str) -> None:
    inputs = {"prompt": "a bird", port: 2}
    error = refusal(shelf, class_named(name), shelf.pipeline(name), **inputs)
    assert error.problem.port == port


def test_latents_where_no_output_is_for_them(shelf: Shelf) -> None:
    inputs = {"prompt": "a bird", "output_type": "latent"}
    error = refusal(shelf, class_named(SD), shelf.pipeline(SD), **inputs)
    assert error.problem.port == "output_type"


def test_a_picture_for_an_adapter_that_is_not_there(shelf: Shelf) -> None:
    inputs = {"prompt": "a bird", "ip_adapter_image": torch.zeros(1, 32, 32, 3)}
    error = refusal(shelf, class_named(SD), shelf.pipeline(SD), **inputs)
    assert error.problem.port == "ip_adapter_image"


def test_what_the_pipeline_itself_refuses_is_told_in_its_words(shelf: Shelf) -> None:
    inputs = {"prompt": "a bird", "height": 33, "width": 32, "num_inference_steps": 1}
    with raises(InvalidValue):
        run_pipeline(Watched(shelf), class_named(SD), shelf.pipeline(SD), inputs)


@pytest.mark.parametrize("name", ["StableDiffusionXLPipeline", "DDPMPipeline"])
def test_parts_of_another_class_that_turn_out_to_be_others(shelf: Shelf, name: str) -> None:
    """Text encoders of SDXL may be left out, and both UNets are called the same."""
    inputs = {"prompt": "a bird", "num_inference_steps": 1}
    with raises(InvalidValue, port="pipeline", given="StableDiffusionPipeline") as caught:
        run_pipeline(Watched(shelf), class_named(name), shelf.pipeline(SD), inputs)
    assert f"load the folder of a {name}" in str(caught.value)


def test_a_class_that_is_gone(shelf: Shelf) -> None:
    found = replace(class_named(DANCE), name="DancingPipeline")
    with raises(InvalidValue):
        run_pipeline(Watched(shelf), found, shelf.pipeline(DANCE), {})


def test_a_method_that_has_to_be_called_before(shelf: Shelf) -> None:
    found = replace(class_named(DANCE), settings={"first": "invert"})
    error = refusal(shelf, found, shelf.pipeline(DANCE))
    assert "`invert`" in str(error)
