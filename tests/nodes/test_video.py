"""Video nodes in a graph: files in, files out, parts, and between videos and images."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Video, Workflow
from nodegraph.core.events import Event
from nodegraph.core.version import VERSION
from nodegraph.engine.options import CancelToken
from nodegraph.media.images import memory_checks as room
from nodegraph.media.videos.clips import read_video
from nodegraph.media.videos.video_files import video_texts
from tests.nodes.conftest import Bench, link
from tests.videos.making import NTSC, clip, video, written


def load(path: str | Path, **inputs: Any) -> dict[str, Any]:
    return {"load": {"type": "LoadVideo", "inputs": {"path": str(path), **inputs}}}


def moving(
    kind: str = "SaveVideo", batch: int = 3, rate: float = 8, **inputs: Any
) -> dict[str, Any]:
    """A video of random images and one node behind it."""
    return {
        "picture": {"type": "Picture", "inputs": {"width": 16, "height": 8, "batch": batch}},
        "video": {
            "type": "VideoFromImages",
            "inputs": {"images": link("picture.image"), "rate": rate},
        },
        "next": {"type": kind, "inputs": {"video": link("video"), **inputs}},
    }


def test_a_video_is_loaded_with_its_audio(bench: Bench) -> None:
    made = video(5, channels=2)
    written(bench.folder / "inputs", made)

    found = bench.value(load("video.mkv", first=1, every=2), "load.video")

    assert isinstance(found, Video)
    assert torch.equal(found.frames, made.frames[1::2])
    assert found.rate == NTSC / 2
    assert found.audio is not None
    assert found.audio.waveform.shape[0] == 2


def test_a_video_is_read_at_another_rate(bench: Bench) -> None:
    written(bench.folder / "inputs", video(6, rate=Fraction(12)))
    nodes = load("video.mkv", rate=24, count=8) | {
        "part": {"type": "TrimVideo", "inputs": {"video": link("load"), "first": 8}}
    }
    [late] = bench.problems(nodes, "part")
    assert "8 frames" in str(late.expected)
    found = bench.value(load("video.mkv", rate=24, count=8), "load.video")
    assert (len(found.frames), found.rate) == (8, 24)
    assert torch.equal(found.frames[::2], found.frames[1::2])


def test_a_video_comes_from_the_cache_until_its_file_changes(bench: Bench) -> None:
    written(bench.folder / "inputs", video(2))
    bench.run(load("video.mkv"), "load")
    assert bench.run(load("video.mkv"), "load").nodes["load"].status == "cached"

    written(bench.folder / "inputs", video(3))

    assert len(bench.value(load("video.mkv"), "load.video").frames) == 3


@pytest.mark.parametrize(
    ("name", "inputs", "port", "message"),
    [
        ("vidoe.mkv", {}, "path", "Did you mean `video.mkv`?"),
        ("x" * 5000, {}, "path", "File name too long"),
        ("words.mp4", {}, "path", "it looks like plain text"),
        ("cut.mkv", {}, "path", "damaged or truncated"),
        ("video.mkv", {"first": 5}, "first", "as it has 5 frames"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_before_running(
    bench: Bench, name: str, inputs: dict[str, Any], port: str, message: str
) -> None:
    path = written(bench.folder / "inputs", video(5))
    (bench.folder / "inputs" / "words.mp4").write_text("just words")
    (bench.folder / "inputs" / "cut.mkv").write_bytes(path.read_bytes()[:900])

    [problem] = bench.problems(load(name, **inputs), "load")

    assert (problem.node, problem.port) == ("load", port)
    assert message in str(problem)


def test_more_frames_than_there_is_memory_for_are_told_before_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(bench.folder / "inputs", video(12))
    monkeypatch.setattr(room, "total_memory", lambda: 15 * 48 * 32 * 10)

    [problem] = bench.problems(load("video.mkv"), "load")

    assert (problem.code, problem.port) == ("too-large", "count")
    assert bench.problems(load("video.mkv", count=8), "load") == []
    assert bench.problems(load("video.mkv", every=2), "load") == []


def test_an_uneven_video_is_read_at_a_rate_that_memory_allows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip(bench.folder / "inputs" / "screen.mp4", [0, 2000, 2040, 2080, 4000], "libx264")
    monkeypatch.setattr(room, "total_memory", lambda: 15 * 32 * 16 * 50 / room.SHARE)

    found = bench.value(load("screen.mp4"), "load.video")

    assert 45 <= len(found.frames) <= 50
    assert bench.problems(load("screen.mp4"), "load") == []
    [warning] = bench.told("log")
    assert "memory is limited to 50 frames" in warning.data["message"]
    assert bench.facts(load("screen.mp4"), "load")["video"]["rate"] == float(found.rate)


def test_size_and_number_of_frames_are_known_beforehand(bench: Bench, sd1_folder: Path) -> None:
    written(bench.folder / "inputs", video(5, 30, 16))
    nodes = load("video.mkv") | {
        "part": {"type": "TrimVideo", "inputs": {"video": link("load"), "first": 2}},
        "apart": {"type": "ImagesFromVideo", "inputs": {"video": link("part")}},
        "model": {"type": "LoadModel", "inputs": {"model": str(sd1_folder)}},
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": link("model.vae"), "image": link("apart.image")},
        },
    }

    [problem] = bench.problems(nodes, "encode")
    nodes["part"]["inputs"]["first"] = 5
    [late] = bench.problems(nodes, "part")

    assert problem.given == "30 pixels"
    assert (late.node, late.port) == ("part", "first")


@pytest.mark.parametrize("format", ["mp4", "webm", "mkv"])
def test_results_are_numbered_and_carry_their_workflow(bench: Bench, format: str) -> None:
    nodes = moving(name="clips/walk", format=format)

    result = bench.run(nodes)

    [file] = result.files
    assert file.path == bench.folder / "outputs" / "clips" / f"walk_00001.{format}"
    assert (file.kind, file.existed) == ("video", False)
    texts = video_texts(file.path)
    assert json.loads(texts["workflow"])["nodes"].keys() == nodes.keys()
    assert texts["nodegraph"] == VERSION
    found = read_video(file.path)
    assert (found.frames.shape, found.rate) == ((3, 8, 16, 3), 8)
    if format == "mkv":
        assert torch.equal(found.frames, bench.value(nodes, "picture.image"))


def test_the_name_of_a_video_says_its_size_and_values(bench: Bench) -> None:
    [file] = bench.run(moving(name="%width%x%height%_%video.rate%")).files
    assert file.path.name == "16x8_8_00001.mp4"


def test_equal_results_are_written_once_and_others_get_the_next_number(bench: Bench) -> None:
    bench.run(moving())
    [again] = bench.run(moving()).files
    [other] = bench.run(moving(quality=20)).files

    assert (again.path.name, again.existed) == ("video_00001.mp4", True)
    assert other.path.name == "video_00002.mp4"


def test_a_run_that_is_cancelled_while_it_writes_leaves_no_file(bench: Bench) -> None:
    token = CancelToken()
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": moving(batch=20)})

    def stop(event: Event) -> None:
        if event.kind == "node.progress" and event.data["step"] == 3:
            token.cancel()

    result = bench.session.run(workflow, cancel=token, listener=stop)

    assert result.status == "cancelled"
    folder = bench.folder / "outputs"
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_that_odd_sides_are_lengthened_is_told(bench: Bench) -> None:
    nodes = moving(format="webm")
    nodes["picture"]["inputs"] |= {"width": 17, "height": 9}

    [file] = bench.run(nodes).files

    assert "17 x 9 is written as 18 x 10" in bench.told("log")[0].data["message"]
    assert read_video(file.path).frames.shape == (3, 10, 18, 3)


def test_a_name_out_of_the_folder_is_told_before_running(bench: Bench) -> None:
    [problem] = bench.problems(moving(name="../walk"))
    assert (problem.node, problem.port) == ("next", "name")


def test_a_video_is_taken_apart_and_put_together_again(bench: Bench) -> None:
    made = video(4, channels=1)
    written(bench.folder / "inputs", made)
    nodes = load("video.mkv") | {
        "apart": {"type": "ImagesFromVideo", "inputs": {"video": link("load")}},
        "again": {
            "type": "VideoFromImages",
            "inputs": {
                "images": link("apart.image"),
                "rate": link("apart.rate"),
                "audio": link("apart.audio"),
            },
        },
    }

    found = bench.value(nodes, "again.video")

    assert torch.equal(found.frames, made.frames)
    assert found.rate == NTSC
    assert torch.equal(found.audio.waveform, made.audio.waveform)


def test_a_list_of_pictures_becomes_one_video(bench: Bench) -> None:
    nodes = moving("TrimVideo", batch=1, rate=29.97, first=1) | {
        "seeds": {"type": "SeedRange", "inputs": {"count": 4}}
    }
    nodes["picture"]["inputs"]["seed"] = link("seeds")

    found = bench.value(nodes, "next.video")

    assert found.frames.shape == (3, 8, 16, 3)
    assert found.rate == Fraction(30000, 1001)
    assert found.audio is None


def test_a_video_without_audio_gives_none(bench: Bench) -> None:
    nodes = moving("ImagesFromVideo")
    assert bench.value(nodes, "next.audio") is None
    assert bench.value(nodes, "next.rate") == 8
