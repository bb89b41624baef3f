"""`nodegraph lineage`: real runs, files from elsewhere, forms of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copyfile

import pytest

from tests.bundle.conftest import Command, command, here, specs, surroundings, there

__all__ = ["command", "here", "specs", "surroundings", "there"]

TEXTS = {
    "format": "nodegraph/1",
    "title": "Copy",
    "parameters": {"source": "read.path", "name": "write.name"},
    "nodes": {
        "read": {"type": "LoadText", "inputs": {"path": "note.txt"}},
        "cut": {"type": "CutText", "inputs": {"text": {"from": "read"}, "start": 1}},
        "write": {"type": "SaveText", "inputs": {"text": {"from": "cut"}, "name": "first"}},
    },
}


@pytest.fixture
def made(here: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text that was made from a note, and another one that was made from it."""
    monkeypatch.setenv("NODEGRAPH_SIDECAR", "true")
    Path("note.txt").write_text("good morning")
    Path("copy.json").write_text(json.dumps(TEXTS))
    assert here("run", "copy.json", "--out", "out", "--quiet").code == 0
    first = Path("out/first_00001.txt")
    done = here("run", "copy.json", "--out", "out", "--source", first, "--name", "second", "-q")
    assert done.code == 0, done.err
    return first


def test_it_names_what_a_result_was_made_from_and_used_in(here: Command, made: Path) -> None:
    lines = here("lineage", made).out.splitlines()
    assert lines[0].startswith("result first_00001.txt")
    assert any("input note.txt" in line for line in lines)
    used = lines.index("└─ used in")
    assert "second_00001.txt" in lines[used + 1]


def test_inputs_are_followed_to_the_first(here: Command, made: Path) -> None:
    document = here("lineage", "out/second_00001.txt", "--json").json
    (first,) = [each for each in document["made_from"] if each["role"] == "result"]
    assert first["name"] == "first_00001.txt"
    assert "note.txt" in [each["name"] for each in first["children"]]


def test_a_digest_leads_there_too(here: Command, made: Path) -> None:
    key = here("lineage", made, "--json").json["subject"]["key"]
    assert here("lineage", key[:12], "--json").json["subject"]["name"] == "first_00001.txt"


def test_an_input_tells_what_it_was_used_in(here: Command, made: Path) -> None:
    assert "first_00001.txt" in here("lineage", "note.txt").out


def test_files_from_elsewhere_are_learned_by_a_scan(
    here: Command, there: Command, made: Path
) -> None:
    Path("brought").mkdir()
    for file in Path("out").iterdir():
        copyfile(file, Path("brought") / file.name)
    assert there("lineage", "note.txt").out.splitlines()[1:] == ["└─ nothing is known of it"]
    learned = there("lineage", "--scan", "brought")
    assert learned.out == "2 results in 2 files learned.\n"
    assert "first_00001.txt" in there("lineage", "note.txt").out


def test_a_result_from_elsewhere_is_read_where_it_is_named(
    here: Command, there: Command, made: Path
) -> None:
    assert "input note.txt" in there("lineage", made).out


def test_drawings_are_written(here: Command, made: Path) -> None:
    assert here("lineage", made, "--dot").out.startswith("digraph lineage {")
    assert here("lineage", made, "--html", "l.html").code == 0
    assert "<svg" in Path("l.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no file is named"),
        (("zzz",), "this is not a file, nor the beginning of a digest"),
        (("--scan", "nowhere"), "there is no folder nowhere"),
        (("--scan", ".", "--html", "page.html"), "--dot and --html draw a file"),
        (("note.txt", "--json", "--dot"), "--json and --dot both write to stdout"),
    ],
)
def test_bad_input_is_told(here: Command, arguments: tuple[str, ...], message: str) -> None:
    shown = here("lineage", *arguments)
    assert shown.code == 2
    assert message in shown.err + shown.out


def test_texts_that_are_no_unicode_end_neither_a_run_nor_a_scan(
    here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SIDECAR", "true")
    nodes = {"write": {"type": "SaveText", "inputs": {"text": "a", "name": "half"}}}
    halved = {"format": "nodegraph/1", "title": "Half \ud800", "nodes": nodes}
    Path("half.json").write_text(json.dumps(halved))
    ran = here("run", "half.json", "--out", "out", "--quiet")
    assert ran.code == 0, ran.err
    assert here("lineage", "--scan", "out").out == "1 result in 1 file learned.\n"
    shown = here("lineage", "out/half_00001.txt", "--html", "page.html", "--dot")
    assert shown.code == 0
    assert "half_00001.txt" in Path("page.html").read_text("utf-8")


PICTURE = {
    "format": "nodegraph/1",
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "photo": {"type": "LoadImage", "inputs": {"path": "photo.png"}},
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": {"from": "load.vae"}, "image": {"from": "photo.image"}},
        },
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "encode"}},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "made"}},
    },
}


@pytest.mark.slow
def test_images_state_their_models(here: Command) -> None:
    from tests.server.resources import picture

    Path("photo.png").write_bytes(picture(64, 64))
    Path("w.json").write_text(json.dumps(PICTURE))
    assert here("run", "w.json", "--out", "out", "--quiet").code == 0
    document = here("lineage", "out/made_00001.png", "--json").json
    roles = {(each["role"], each["detail"]) for each in document["made_from"]}
    assert {("input", ""), ("model", "Vae")} <= roles
    vae = next(each["key"] for each in document["made_from"] if each["detail"] == "Vae")
    assert "made_00001.png" in here("lineage", vae[:12]).out
