"""Image nodes in a graph: files in, files out, sheets, sizes."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nodegraph
from nodegraph.core.digests import digest_bytes
from nodegraph.core.version import VERSION
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.images.images import read_image
from tests.messages import raises
from tests.nodes.conftest import Bench, link

RED = {"type": "Picture", "inputs": {"width": 16, "height": 8, "seed": 1}}


def after(kind: str, source: str = "picture", port: str = "image", **inputs: Any) -> dict[str, Any]:
    """A `Picture` and one node behind it."""
    return {
        "picture": RED,
        "next": {"type": kind, "inputs": {port: link(source), **inputs}},
    }


def noise(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)
    return Image.fromarray(pixels)


def load(path: str | Path) -> dict[str, Any]:
    return {"load": {"type": "LoadImage", "inputs": {"path": str(path)}}}


def test_a_picture_is_loaded_with_its_mask(bench: Bench) -> None:
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[..., 0], pixels[:, 3:, 3] = 255, 255
    Image.fromarray(pixels).save(bench.folder / "inputs" / "red.png")

    result = bench.run(load("red.png"), "load")

    assert result["load.image"].shape == (1, 4, 6, 3)
    assert result["load.mask"][0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert bench.run(load(bench.folder / "inputs" / "red.png"), "load").is_ok


def as_text(picture: Image.Image, format: str = "PNG") -> str:
    buffer = BytesIO()
    picture.save(buffer, format)
    return b64encode(buffer.getvalue()).decode()


def load_text(data: str) -> dict[str, Any]:
    return {"load": {"type": "LoadImageBase64", "inputs": {"data": data}}}


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "data:image/png;base64,{}",
        "data:;base64,{}\n",
        "data:image/png;name=a.png;base64,{}",
    ],
)
def test_an_image_is_loaded_from_text(bench: Bench, written: str) -> None:
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[..., 0], pixels[:, 3:, 3] = 255, 255
    text = as_text(Image.fromarray(pixels))

    result = bench.run(load_text(written.format(text)), "load")

    assert result["load.image"][0, 0, 5].tolist() == [1, 0, 0]
    assert result["load.mask"][0, 0].tolist() == [1, 1, 1, 0, 0, 0]


def test_line_breaks_padding_and_the_alphabet_of_addresses_are_read(bench: Bench) -> None:
    text = as_text(noise(1))
    broken = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    expected = bench.value(load_text(text), "load.image")
    for same in (broken, text.rstrip("="), text.replace("+", "-").replace("/", "_")):
        assert torch.equal(bench.value(load_text(same), "load.image"), expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no image!",
        "https://example.org/a.png",
        "data:image/svg+xml,<svg/>",
        "left out: 9 characters, blake3 ab",
    ],
)
def test_a_text_that_holds_no_image_is_told_before_anything_runs(bench: Bench, text: str) -> None:
    with raises(InvalidWorkflow, node="load", port="data"):
        bench.run(load_text(text), "load")


def test_a_text_of_another_file_is_named(bench: Bench) -> None:
    result = bench.run(load_text(b64encode(b"%PDF-1.7 and more").decode()), "load")
    (failed,) = result.errors
    assert failed.problem.port == "data"
    assert failed.problem.message.startswith("the text is not a readable image")
    assert not list(bench.folder.rglob("image-*"))


def test_images_do_not_carry_the_long_text_they_were_made_from(bench: Bench) -> None:
    text = as_text(Image.fromarray(np.random.default_rng(1).integers(0, 256, (160, 160, 3), "u1")))
    assert len(text) > 60_000
    nodes = load_text(text)
    nodes["prose"] = {"type": "Text", "inputs": {"text": "a fox, " * 10_000}}
    nodes["save"] = {"type": "SaveImage", "inputs": {"image": link("load.image"), "name": "a"}}
    result = bench.run(nodes, "save")
    assert not result.errors
    [saved] = (bench.folder / "outputs").rglob("a*.png")
    kept = json.loads(read_metadata(saved)["workflow"])["nodes"]
    assert kept["load"]["inputs"]["data"] == (
        f"left out: {len(text)} characters, blake3 {digest_bytes(text.encode())}"
    )
    assert kept["prose"]["inputs"]["text"] == "a fox, " * 10_000


def test_misspelt_words_of_a_name_are_told_before_anything_runs(bench: Bench) -> None:
    def save(name: str) -> dict[str, Any]:
        return after("SaveImage", name=name)

    for name, hint in (
        ("%pictur.seed%", "Did you mean `%picture.seed%`?"),
        ("%picture.sed%", "Did you mean `%picture.seed%`?"),
    ):
        [problem] = bench.problems(save(name))
        assert (problem.node, problem.port, problem.hint) == ("next", "name", hint)
    for name in ("%picture.seed%", "50% picked. 30%", "%time%/x"):
        assert bench.problems(save(name)) == []
        assert bench.warnings(save(name)) == []
    [warning] = bench.warnings(save("%next.image%"))
    assert (warning.node, warning.port) == ("next", "name")
    # In a block, too: names say inputs of the workflow's own nodes.
    save_in = {"type": "SaveImage", "inputs": {"name": "%pictur.seed%"}}
    block = {"nodes": {"save": save_in}, "inputs": {"image": {"to": ["save.image"]}}}
    document = {
        "format": "nodegraph/1",
        "nodes": {"picture": RED, "block": {"type": "Keep", "inputs": {"image": link("picture")}}},
        "subgraphs": {"Keep": block},
    }
    [problem] = bench.session.check(Workflow.from_dict(document))
    assert (problem.node, problem.port) == ("block/save", "name")


def test_a_changed_file_is_loaded_again(bench: Bench) -> None:
    path = bench.folder / "inputs" / "red.png"
    Image.new("RGB", (2, 2)).save(path)
    bench.run(load("red.png"), "load")
    assert bench.run(load("red.png"), "load").nodes["load"].status == "cached"

    Image.new("RGB", (3, 3)).save(path)

    assert bench.value(load("red.png"), "load.image").shape == (1, 3, 3, 3)


def test_a_file_overwritten_in_place_is_loaded_again_though_its_time_was_set_back(
    bench: Bench,
) -> None:
    path = bench.folder / "inputs" / "red.bmp"
    Image.new("RGB", (2, 2), "red").save(path)
    status = path.stat()
    first = bench.run(load("red.bmp"), "load")["load.image"]
    Image.new("RGB", (2, 2), "blue").save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = bench.run(load("red.bmp"), "load")["load.image"]
    assert first[0, 0, 0].tolist() == [1, 0, 0]
    assert second[0, 0, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize("path", ["pipe.png", "/dev/zero", "~nobody-of-this-name/a.png"])
def test_what_is_no_file_is_told_and_not_waited_for(bench: Bench, path: str) -> None:
    os.mkfifo(bench.folder / "inputs" / "pipe.png")
    for node in ("LoadImage", "LoadImages"):
        [problem] = bench.problems({"a": {"type": node, "inputs": {"path": path}}}, "a")
        assert problem.port == "path"


def test_a_missing_file_is_told_before_running(bench: Bench) -> None:
    Image.new("RGB", (2, 2)).save(bench.folder / "inputs" / "red.png")

    [problem] = bench.problems(load("rad.png"), "load")

    assert (problem.node, problem.port) == ("load", "path")
    assert "Did you mean `red.png`?" in str(problem)


def test_the_size_of_a_file_is_known_beforehand(bench: Bench, sd1_folder: Path) -> None:
    Image.new("RGB", (30, 16)).save(bench.folder / "inputs" / "odd.png")
    nodes = load("odd.png") | {
        "model": {"type": "LoadModel", "inputs": {"model": str(sd1_folder)}},
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": link("model.vae"), "image": link("load.image")},
        },
    }

    [problem] = bench.problems(nodes, "encode")

    assert problem.given == "30 pixels"


def test_results_are_numbered_and_carry_their_workflow(bench: Bench) -> None:
    nodes = after("SaveImage", name="fruit/apple")

    [file] = bench.run(nodes).files

    assert file.path == bench.folder / "outputs" / "fruit" / "apple_00001.png"
    assert not file.existed
    texts = read_metadata(file.path)
    assert json.loads(texts["workflow"])["nodes"].keys() == nodes.keys()
    assert texts["nodegraph"] == VERSION
    assert torch.equal(read_image(file.path)[0], bench.value({"picture": RED}, "picture.image"))


@pytest.mark.parametrize(("rounding", "rounded"), [("nearest", torch.round), ("down", torch.floor)])
def test_levels_are_rounded_as_asked_for(bench: Bench, rounding: str, rounded: Any) -> None:
    nodes = {
        "picture": {"type": "GradientImage", "inputs": {"width": 64, "height": 2}},
        "save": {
            "type": "SaveImage",
            "inputs": {"image": link("picture.image"), "rounding": rounding},
        },
    }

    [file] = bench.run(nodes).files

    expected = rounded(bench.value(nodes, "picture.image") * 255) / 255
    torch.testing.assert_close(read_image(file.path)[0], expected)


def test_equal_results_are_written_once(bench: Bench) -> None:
    nodes = after("SaveImage")

    first = bench.run(nodes).files
    again = bench.run(nodes).files

    assert [file.path for file in again] == [file.path for file in first]
    assert [file.existed for file in again] == [True]
    assert bench.told("node.wrote")[0].data["existed"] is True


def test_another_result_gets_the_next_number(bench: Bench) -> None:
    bench.run(after("SaveImage"))
    nodes = after("SaveImage")
    nodes["picture"] = {"type": "Picture", "inputs": {"seed": 2}}

    [file] = bench.run(nodes).files

    assert file.path.name == "image_00002.png"


def test_each_of_a_batch_gets_a_file(bench: Bench) -> None:
    nodes = after("SaveImage", format="webp", quality=80)
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 3}}

    files = bench.run(nodes).files

    assert [file.path.name for file in files] == [f"image_0000{n}.webp" for n in (1, 2, 3)]


@pytest.mark.parametrize("name", ["../apple", "/tmp/apple", ""])
def test_a_name_out_of_the_folder_is_told_before_running(bench: Bench, name: str) -> None:
    [problem] = bench.problems(after("SaveImage", name=name))

    assert (problem.node, problem.port) == ("next", "name")


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_name_that_says_another_nodes_input_follows_it(bench: Bench, *, is_linked: bool) -> None:
    pattern = "%tag.text%"
    nodes = after("SaveImage", name=link("name") if is_linked else pattern)
    nodes["name"] = {"type": "Text", "inputs": {"text": pattern}}
    names = []
    for text in ("first", "second", "second", "first"):
        nodes["tag"] = {"type": "Text", "inputs": {"text": text}}
        result = bench.run(nodes, *nodes)
        assert not result.errors
        names += [file.path.name for file in result.files]
    # Neither the image nor the node that saves it has changed; and nothing is written twice.
    assert names == [f"{text}_00001.png" for text in ("first", "second", "second", "first")]


def test_names_say_when_and_by_what_values(bench: Bench) -> None:
    nodes = after("SaveImage", name="%width%x%height%/s%picture.seed%_%index%")
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 2, "seed": 5}}

    files = bench.run(nodes).files

    folder = bench.folder / "outputs" / "16x8"
    assert [file.path for file in files] == [folder / f"s5_{at}_00001.png" for at in (0, 1)]
    [problem] = bench.problems(after("SaveImage", name="%dat%"))
    assert problem.port == "name"


def test_16_bits_are_kept_from_file_to_file(bench: Bench) -> None:
    nodes = after("SaveImage", bits="16", name="deep")
    nodes["picture"] = {"type": "AdjustExposure", "inputs": {"image": link("raw"), "stops": -0.3}}
    nodes["raw"] = RED
    result = bench.run(nodes, "picture", "next")
    [file] = result.files
    read = bench.value(load(file.path), "load.image")
    torch.testing.assert_close(read, result["picture.image"], rtol=0, atol=0.51 / 65535)
    [problem] = bench.problems(after("SaveImage", bits="16", format="webp"))
    assert problem.port == "bits"


def test_an_animation_is_written_and_read(bench: Bench) -> None:
    nodes = after("SaveAnimation", quality=100, rate=5.0, name="moving")
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 3}}
    result = bench.run(nodes, "picture", "next")
    [file] = result.files
    assert file.path.name == "moving_00001.webp"
    read = {"load": {"type": "LoadImageFrames", "inputs": {"path": str(file.path), "start": 1}}}
    found = bench.run(read, "load")
    assert torch.equal(found["load.image"], result["picture.image"][1:])
    assert found["load.rate"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("format", "rate", "warnings"), [("gif", 60.0, 1), ("gif", 50.0, 0), ("webp", 60.0, 0)]
)
def test_a_gif_that_is_slower_than_its_rate_is_told(
    bench: Bench, format: str, rate: float, warnings: int
) -> None:
    nodes = after("SaveAnimation", rate=rate, format=format, name="moving")
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 3}}
    bench.run(nodes, "picture", "next")
    logs = [event.data["message"] for event in bench.told("log")]
    assert len(logs) == warnings
    for text in logs:
        assert "50 frames per second" in text
        assert "instead of 60" in text


def folder_of(bench: Bench, *names: str) -> None:
    for at, name in enumerate(names, start=1):
        path = bench.folder / "inputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (at, 2)).save(path)


def test_pictures_of_a_folder_become_a_list(bench: Bench) -> None:
    folder_of(bench, "a/10.png", "a/2.png", "a/.hidden.png", "a/b/3.png", "c.png")
    (bench.folder / "inputs" / "a" / "notes.txt").write_text("no image")

    def names(**inputs: Any) -> list[str]:
        nodes = {"load": {"type": "LoadImages", "inputs": inputs}}
        found: list[str] = bench.value(nodes, "load.names")
        return found

    assert names(path="a") == ["2", "10"]
    assert names(path="a/*0.png") == ["10"]
    assert names(path="**/*.png") == ["2", "10", "3", "c"]
    assert names(path="a", start=1, count=5) == ["10"]
    images = bench.value({"load": {"type": "LoadImages", "inputs": {"path": "a"}}}, "load.images")
    assert [image.shape[2] for image in images] == [2, 1]
    folder_of(bench, "a/1.png")
    assert names(path="a") == ["1", "2", "10"]


def test_a_folder_without_room_is_refused_before_a_picture_is_decoded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(bench, "a.png", "b.png")
    monkeypatch.setattr(room, "total_memory", lambda: 60)
    error = bench.failure({"load": {"type": "LoadImages", "inputs": {"path": "*"}}}, "load")
    assert "2 of them" in str(error)


@pytest.mark.parametrize("path", ["nowhere", "empty", "*.jpg", "x/*/../../*"])
def test_folders_without_pictures_are_told_before_running(bench: Bench, path: str) -> None:
    (bench.folder / "inputs" / "empty").mkdir()
    nodes = {"load": {"type": "LoadImages", "inputs": {"path": path}}}
    [problem] = bench.problems(nodes, "load")
    assert problem.port == "path"


def test_only_what_may_be_read_is_found(tmp_path: Path) -> None:
    from nodegraph import Environment, InvalidFile
    from nodegraph.media.images.input_files import find_pictures

    inputs, secret = tmp_path / "inputs", tmp_path / "secret"
    for folder in (inputs, secret):
        folder.mkdir()
        Image.new("RGB", (2, 2)).save(folder / "picture.png")
    (inputs / "link").symlink_to(secret)
    (inputs / "one.png").symlink_to(secret / "picture.png")
    world = Environment((), inputs, tmp_path, tmp_path)
    guarded = Environment((), inputs, tmp_path, tmp_path, readable=(inputs,))
    assert len(find_pictures("*", world)) == 2
    assert [path.name for path in find_pictures("*", guarded)] == ["picture.png"]
    with pytest.raises(InvalidFile):
        find_pictures("link/*", guarded)


def test_an_unwritable_folder_is_told(bench: Bench) -> None:
    (bench.folder / "outputs").write_bytes(b"")

    with raises(InvalidWorkflow, node="next", port="name"):
        bench.failure(after("SaveImage"))


def test_a_jpeg_carries_a_workflow_that_is_longer_than_a_segment(bench: Bench) -> None:
    nodes = after("SaveImage", format="jpeg")
    nodes |= {
        f"more_{index}": {"type": "Picture", "inputs": {"seed": index}} for index in range(1500)
    }

    [file] = bench.run(nodes).files

    texts = read_metadata(file.path)
    assert json.loads(texts["workflow"])["nodes"].keys() == nodes.keys()
    assert len(texts["workflow"]) > 1 << 16
    assert not bench.told("log")


def test_previews_are_shown_and_not_kept_as_results(bench: Bench) -> None:
    nodes = after("PreviewImage")
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 2}}

    files = bench.run(nodes).files

    assert [file.kind for file in files] == ["preview", "preview"]
    assert [event.data["mime"] for event in bench.told("node.preview")] == ["image/png"] * 2
    assert files[0].path.read_bytes() == bench.told("node.preview")[0].data["image"]
    assert not (bench.folder / "outputs").exists()


@pytest.mark.parametrize(
    ("kind", "inputs", "shape"),
    [
        ("ImageStrip", {"gap": 2}, (1, 8, 3 * 16 + 2 * 2, 3)),
        ("ImageStrip", {"gap": 2, "direction": "vertical"}, (1, 3 * 8 + 2 * 2, 16, 3)),
        ("ImageGrid", {"gap": 0, "columns": 2}, (1, 16, 32, 3)),
        ("ImageGrid", {"gap": 0, "captions": ["a", "b"]}, (1, 2 * (8 + 14), 32, 3)),
    ],
)
def test_pictures_are_put_together(
    bench: Bench, kind: str, inputs: dict[str, Any], shape: tuple[int, ...]
) -> None:
    nodes = after(kind, port="images", **inputs)
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 3}}

    assert bench.value(nodes, "next.image").shape == shape


def test_rows_and_columns_have_labels(bench: Bench) -> None:
    labels = {"type": "Lines", "inputs": {"text": "one\ntwo"}}
    inputs = {"gap": 0, "column_labels": link("labels"), "row_labels": link("labels")}
    nodes = after("ImageGrid", port="images", background="black", **inputs) | {"labels": labels}
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 4}}
    made = bench.value(nodes, "next.image")
    assert made.shape[1] == 14 + 2 * 8
    assert made.shape[2] > 2 * 16
    assert float(made[0, 0, 0].sum()) == 0
    assert torch.equal(made[0, -8:, -16:], bench.value(nodes, "picture.image")[3])


def test_a_list_of_pictures_becomes_one(bench: Bench) -> None:
    nodes = after("ImageStrip", port="images", gap=0) | {
        "seeds": {"type": "SeedRange", "inputs": {"count": 4}}
    }
    nodes["picture"] = {"type": "Picture", "inputs": {"seed": link("seeds")}}

    assert bench.value(nodes, "next.image").shape == (1, 8, 4 * 16, 3)


def test_pictures_are_resized(bench: Bench) -> None:
    nodes = after("ResizeImage", width=8, height=0, method="area")

    assert bench.value(nodes, "next.image").shape == (1, 4, 8, 3)


def test_an_impossible_size_is_told_before_running(bench: Bench) -> None:
    Image.new("RGB", (1, 1000)).save(bench.folder / "inputs" / "line.png")
    nodes = load("line.png") | {
        "next": {
            "type": "ResizeImage",
            "inputs": {"image": link("load.image"), "width": 100, "height": 0},
        }
    }

    [problem] = bench.problems(nodes, "next")

    assert "out of range" in str(problem)


def test_a_size_beyond_the_memory_is_told_before_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 2 << 30)

    [problem] = bench.problems(after("ResizeImage", width=16384, height=16384), "next")

    assert (problem.code, problem.node, problem.port) == ("too-large", "next", "width")
    assert "16384 x 16384 pixels" in str(problem)
    assert "2.1 GB in total" in str(problem)
    assert bench.problems(after("ResizeImage", width=4096, height=4096), "next") == []


@pytest.mark.parametrize("kind", ["ImageGrid", "ImageStrip"])
@pytest.mark.parametrize(("count", "is_refused"), [(256, False), (257, True)])
def test_pictures_too_large_together_are_told_before_running(
    bench: Bench, kind: str, count: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: None)
    size = {"width": 1024, "height": 1024, "batch_size": count}
    nodes = after(kind, source="decode", port="images", gap=0) | {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "empty": {"type": "EmptyLatent", "inputs": size},
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("empty")},
        },
    }
    told = [(problem.node, problem.port) for problem in bench.problems(nodes, "next")]
    assert told == ([("next", "images")] if is_refused else [])


def difference(**other: int) -> dict[str, Any]:
    given = {"width": 4, "height": 4, "seed": 1}
    inputs = {"image": link("one"), "other": link("two"), "gain": 2.0}
    return {
        "one": {"type": "Picture", "inputs": given},
        "two": {"type": "Picture", "inputs": given | other},
        "apart": {"type": "ImageDifference", "inputs": inputs},
    }


def test_where_pictures_differ_is_shown_and_measured(bench: Bench) -> None:
    result = bench.run(difference(seed=2), "one", "two", "apart")
    one, two = result["one.image"], result["two.image"]
    assert torch.equal(result["apart.image"], ((one - two).abs() * 2).clamp(0, 1))
    assert result["apart.rms"] == pytest.approx(float((one - two).square().mean().sqrt()))
    assert "PSNR" in bench.told("log")[-1].data["message"]
    same = bench.run(difference(), "apart")
    assert same["apart.rms"] == 0
    assert "no difference" in bench.told("log")[-1].data["message"]


def test_pictures_that_are_not_alike_have_no_difference(bench: Bench) -> None:
    assert "differ in size" in str(bench.failure(difference(width=8), "apart"))


@pytest.mark.parametrize(
    ("other", "mend"), [({"width": 8}, "ResizeImage"), ({"batch": 2}, "ImageFromBatch")]
)
@pytest.mark.parametrize("by", ["ImageDifference", "CompareImages"])
def test_that_pictures_are_not_alike_is_told_before_a_run(
    bench: Bench, by: str, other: dict[str, int], mend: str
) -> None:
    given = {"width": 4, "height": 4, "batch": 3}
    nodes = {
        "one": {"type": "EmptyImage", "inputs": given},
        "two": {"type": "EmptyImage", "inputs": given | other},
        "apart": {"type": by, "inputs": {"image": link("one"), "other": link("two")}},
    }
    (problem,) = bench.problems(nodes, "apart")
    assert problem.port == "other"
    assert mend in problem.hint
    nodes["two"]["inputs"] = given | {"batch": 1}
    assert not bench.problems(nodes, "apart")


def test_pictures_are_measured_in_a_workflow(bench: Bench) -> None:
    nodes = difference(seed=2) | {
        "likeness": {
            "type": "CompareImages",
            "inputs": {"image": link("one"), "other": link("two")},
        },
        "size": {"type": "ImageSize", "inputs": {"image": link("one")}},
        "figures": {"type": "ImageStatistics", "inputs": {"image": link("one")}},
        "colors": {"type": "DominantColors", "inputs": {"image": link("one"), "count": 3}},
    }
    result = bench.run(nodes, "one", "likeness", "size", "figures", "colors")
    assert 0 < result["likeness.psnr"] < 20
    assert "SSIM" in result["likeness.text"]
    assert [result[f"size.{name}"] for name in ("width", "height", "batch")] == [4, 4, 1]
    assert 0 <= result["figures.minimum"] < result["figures.mean"] < result["figures.maximum"] <= 1
    assert len(result["colors.colors"]) == 3
    assert result["colors.image"].shape == (1, 64, 256, 3)
    same = difference() | {"likeness": nodes["likeness"]}
    assert bench.value(same, "likeness.psnr") == 100


def test_words_are_written_in_a_workflow(bench: Bench) -> None:
    drawn = bench.value(after("DrawText", text="A", size=8.0), "next.image")
    assert drawn.shape == (1, 8, 16, 3)
    problems = bench.problems(after("DrawText", color="oragne", font="none.ttf"), "next")
    assert sorted(problem.port or "" for problem in problems) == ["color", "font"]


def test_what_is_made_of_nothing_is_checked_before_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 1 << 30)
    large = {"made": {"type": "NoiseImage", "inputs": {"width": 16384, "height": 16384}}}
    [problem] = bench.problems(large, "made")
    assert (problem.code, problem.port) == ("too-large", "width")
    wrong = {"made": {"type": "GradientImage", "inputs": {"colors": "red"}}}
    [problem] = bench.problems(wrong, "made")
    assert problem.port == "colors"


@pytest.mark.parametrize(
    ("kind", "port"),
    [
        ("SaveImage", "image"),
        ("SaveAnimation", "image"),
        ("PreviewImage", "image"),
        ("ImageGrid", "images"),
        ("SaveMask", "mask"),
    ],
)
def test_a_picture_with_nan_is_told_at_its_port(bench: Bench, kind: str, port: str) -> None:
    @nodegraph.node
    def Nothing() -> Any:
        """No numbers."""
        value = torch.full((1, 4, 4) if port == "mask" else (1, 4, 4, 3), float("nan"))
        return [value] if port == "images" else value

    bench.session.take(nodes=[Nothing], inputs=None)
    nodes = {"none": {"type": "Nothing"}, "next": {"type": kind, "inputs": {port: link("none")}}}
    error = bench.failure(nodes, "next")
    assert (error.problem.node, error.problem.port) == ("next", port)
    assert "NaN" in error.problem.message


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("LoadImage", "cut.jpg", {}),
        ("LoadImageFrames", "cut.gif", {"save_all": True, "append_images": [noise(2), noise(3)]}),
        ("LoadImages", "cut.png", {}),
    ],
)
def test_a_file_that_ends_too_soon_is_told_at_its_port(
    bench: Bench, kind: str, name: str, options: dict[str, Any]
) -> None:
    file = bench.folder / "inputs" / "cut" / name
    file.parent.mkdir()
    noise(1).save(file, **options)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    path = file.parent if kind == "LoadImages" else file
    nodes = {"load": {"type": kind, "inputs": {"path": str(path)}}}
    error = bench.failure(nodes, "load")
    assert (error.problem.node, error.problem.port) == ("load", "path")
    assert name in error.problem.message
