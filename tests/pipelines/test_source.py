"""Pipeline classes read from the source of the diffusers that is installed here."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from nodegraph.pipelines.classes import PipelineClass, PipelineInput
from nodegraph.pipelines.source import (
    diffusers_stamp,
    pipeline_class,
    pipelines_and_dataclasses,
)


@pytest.fixture(scope="module")
def classes() -> Mapping[str, PipelineClass]:
    return pipelines_and_dataclasses()[0]


def _input(found: PipelineClass, name: str) -> PipelineInput:
    return next(item for item in found.inputs if item.name == name)


def test_a_sound_pipeline_is_read_as_people_would_describe_it(
    classes: Mapping[str, PipelineClass],
) -> None:
    found = classes["StableAudioPipeline"]

    assert (found.makes, found.follows) == ("audio", "callback")
    assert [(item.name, item.kind) for item in found.outputs] == [("audios", "audio")]
    assert _input(found, "prompt").kind == "text"
    assert _input(found, "num_inference_steps").default == 100
    assert _input(found, "generator").kind == "seed"
    assert _input(found, "initial_audio_waveforms").kind == "audio"
    assert found.settings["rates"] == {"initial_audio_sampling_rate": "initial_audio_waveforms"}
    assert [part.name for part in found.parts][:2] == ["vae", "text_encoder"]


def test_one_class_is_read_alone_as_with_all_the_others(
    classes: Mapping[str, PipelineClass],
) -> None:
    for name in ("StableAudioPipeline", "WanImageToVideoPipeline", "LTXLatentUpsamplePipeline"):
        assert pipeline_class(name) == classes[name]


def test_a_name_that_is_no_pipeline_is_none() -> None:
    assert pipeline_class("AutoencoderKL") is None
    assert pipeline_class("no identifier") is None


def test_what_a_pipeline_fails_without_in_the_middle_of_a_call_is_known(
    classes: Mapping[str, PipelineClass],
) -> None:
    assert classes["WanImageToVideoPipeline"].needs == ("ftfy",)
    assert classes["WanPipeline"].needs == ()


def test_the_stamp_stays_the_same() -> None:
    assert diffusers_stamp() == diffusers_stamp()


def test_reading_imports_nothing_of_it() -> None:
    import subprocess

    code = (
        "import sys; from nodegraph.pipelines.source import pipeline_class;"
        "pipeline_class('StableDiffusionPipeline');"
        "sys.exit(bool({'torch', 'diffusers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
