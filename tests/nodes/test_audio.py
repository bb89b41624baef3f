"""Audio nodes in a graph: files in, files out with an image beside, parts, mixtures, rates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Audio, Workflow
from nodegraph.core.version import VERSION
from nodegraph.engine.options import CancelToken
from nodegraph.media.audio.audio_files import audio_texts
from nodegraph.media.audio.codec import read_audio
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.images.images import picture_size
from tests.audio.making import noise, tone, written
from tests.nodes.conftest import Bench, link
from tests.videos.making import video
from tests.videos.making import written as written_video


def load(path: str | Path = "audio.wav", **inputs: Any) -> dict[str, Any]:
    return {"load": {"type": "LoadAudio", "inputs": {"path": str(path), **inputs}}}


def then(type: str, **inputs: Any) -> dict[str, Any]:
    """What is loaded, and one node behind it."""
    return load() | {"next": {"type": type, "inputs": {"audio": link("load"), **inputs}}}


@pytest.fixture
def inputs(bench: Bench) -> Path:
    written(bench.folder / "inputs", noise(4410), "wav")
    return bench.folder / "inputs"


def test_audio_is_loaded_until_its_file_changes(bench: Bench, inputs: Path) -> None:
    found = bench.value(load(start=0.05), "load.audio")
    assert isinstance(found, Audio)
    assert torch.equal(found.waveform, noise(4410).waveform[:, 2205:])
    bench.run(load(), "load")
    assert bench.run(load(), "load").nodes["load"].status == "cached"

    written(inputs, tone(), "wav")

    assert bench.value(load(), "load.audio").rate == 48000


@pytest.mark.parametrize(
    ("name", "given", "port", "message"),
    [
        ("audoi.wav", {}, "path", "Did you mean `audio.wav`?"),
        ("words.wav", {}, "path", "not a readable audio file"),
        ("audio.wav", {"start": 2}, "start", "ends before the start"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_before_running(
    bench: Bench, inputs: Path, name: str, given: dict[str, Any], port: str, message: str
) -> None:
    (inputs / "words.wav").write_text("just words")

    [problem] = bench.problems(load(name, **given), "load")

    assert (problem.node, problem.port) == ("load", port)
    assert message in str(problem)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
@pytest.mark.usefixtures("inputs")
def test_results_are_numbered_carry_their_workflow_and_lie_beside_their_picture(
    bench: Bench, format: str
) -> None:
    nodes = then("SaveAudio", name="songs/song", format=format)

    file, picture = bench.run(nodes).files

    assert file.path == bench.folder / "outputs" / "songs" / f"song_00001.{format}"
    assert (file.kind, file.existed, picture.kind) == ("audio", False, "image")
    texts = audio_texts(file.path)
    assert json.loads(texts["workflow"])["nodes"].keys() == nodes.keys()
    assert texts["nodegraph"] == VERSION
    assert picture.path.name == "song_00001.png"
    assert picture_size(picture.path) == (1024, 256)
    assert read_metadata(picture.path)["workflow"] == texts["workflow"]
    if format == "wav":
        assert torch.equal(read_audio(file.path).waveform, noise(4410).waveform)


@pytest.mark.usefixtures("inputs")
def test_equal_results_are_written_once_and_pictures_only_where_wanted(bench: Bench) -> None:
    bench.run(then("SaveAudio", picture=False))
    [again] = bench.run(then("SaveAudio", picture=False)).files
    assert (again.path.name, again.existed) == ("audio_00001.flac", True)


@pytest.mark.usefixtures("inputs")
def test_a_run_that_is_cancelled_while_it_writes_leaves_no_file(bench: Bench) -> None:
    token = CancelToken()
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": then("SaveAudio")})
    result = bench.session.run(
        workflow,
        cancel=token,
        listener=lambda event: token.cancel() if event.kind == "node.progress" else None,
    )
    assert result.status == "cancelled"
    assert not (bench.folder / "outputs").exists()


@pytest.mark.usefixtures("inputs")
def test_that_loud_parts_are_cut_off_is_told(bench: Bench) -> None:
    nodes = then("AmplifyAudio", decibels=20)
    nodes["save"] = {"type": "SaveAudio", "inputs": {"audio": link("next")}}
    bench.run(nodes)
    assert "clips samples above 1" in bench.told("log")[0].data["message"]


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("type", "given", "samples"),
    [
        ("TrimAudio", {"start": 0.02, "seconds": 0.05}, 2205),
        ("ResampleAudio", {"rate": 22050}, 2205),
        ("AmplifyAudio", {"normalize": True}, 4410),
    ],
)
def test_audio_is_changed(bench: Bench, type: str, given: dict[str, Any], samples: int) -> None:
    assert bench.value(then(type, **given), "next.audio").waveform.shape == (2, samples)


def test_audio_is_joined_and_mixed(bench: Bench, inputs: Path) -> None:
    twice = {"audios": link("load"), "last": link("load")}
    nodes = load() | {
        "join": {"type": "JoinAudio", "inputs": twice},
        "mix": {"type": "MixAudio", "inputs": {"audio": link("join"), "other": link("load")}},
    }

    found = bench.value(nodes, "mix.audio").waveform

    once = noise(4410).waveform
    assert torch.equal(found, torch.cat([once + once, once], dim=1))


def test_rates_that_differ_are_told_before_running(bench: Bench, inputs: Path) -> None:
    written(inputs, tone(rate=8000), "flac")
    nodes = load() | {
        "other": {"type": "LoadAudio", "inputs": {"path": "audio.flac"}},
        "trim": {"type": "TrimAudio", "inputs": {"audio": link("other")}},
        "mix": {"type": "MixAudio", "inputs": {"audio": link("load"), "other": link("trim")}},
    }

    [problem] = bench.problems(nodes, "mix")

    assert (problem.node, problem.port, problem.given) == ("mix", "other", "44100, 8000")
    nodes["same"] = {"type": "ResampleAudio", "inputs": {"audio": link("trim"), "rate": 44100}}
    nodes["mix"]["inputs"]["other"] = link("same")
    assert bench.problems(nodes, "mix") == []


@pytest.mark.usefixtures("inputs")
def test_a_waveform_is_drawn(bench: Bench) -> None:
    found = bench.value(then("DrawAudio", width=64, height=32), "next.image")
    assert found.shape == (1, 32, 64, 3)


def test_a_video_gets_other_audio_or_none(bench: Bench, inputs: Path) -> None:
    written_video(inputs, video(4, channels=1))
    nodes = then("SetVideoAudio") | {
        "video": {"type": "LoadVideo", "inputs": {"path": "video.mkv"}}
    }
    nodes["next"]["inputs"]["video"] = link("video")

    found = bench.value(nodes, "next.video")

    assert torch.equal(found.audio.waveform, noise(4410).waveform)
    assert torch.equal(found.frames, video(4).frames)
    del nodes["next"]["inputs"]["audio"]
    assert bench.value(nodes, "next.video").audio is None
