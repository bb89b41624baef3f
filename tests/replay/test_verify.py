"""`nodegraph replay --verify`: identical, or what differs and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from nodegraph.session.replay.verification import read_replayed, verify_file
from nodegraph.session.results.files import result_texts
from tests.cli.conftest import Cli
from tests.replay.conftest import PACK, PAINTING, Save, with_nodes


def test_a_file_is_made_again_bit_for_bit(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    result = cli("replay", file, "--verify", "--pack", pack)
    assert result.code == 0, result.err
    assert "identical: every byte is the same (2 nodes" in result.out
    document = cli("replay", file, "--verify", "--pack", pack, "--json").json
    assert (document["verdict"], document["node"], document["texts"]) == ("identical", None, [])


def test_a_verification_is_not_answered_by_the_cache(cli: Cli, save: Save, pack: Path) -> None:
    document = with_nodes(
        PAINTING,
        dots={"type": "brush:Draw", "inputs": {"image": {"from": "paint"}}},
        save={"type": "SaveImage", "inputs": {"image": {"from": "dots"}}},
    )
    (file,) = save(document, "--pack", pack)
    assert "from disk" in cli("replay", file, "--pack", pack).out
    result = cli("replay", file, "--verify", "--pack", pack)
    assert result.code == 1
    assert "first node that differs: `dots` (brush:Draw)" in result.out
    assert "the node type gives other results each time" in result.out
    assert "PSNR" in result.out
    assert "SSIM" in result.out


def test_the_code_of_a_pack_is_named_as_the_cause(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    pack.write_text(PACK.replace("RELEASE = 1", "RELEASE = 2"))
    document = cli("replay", file, "--verify", "--pack", pack, "--json").json
    assert document["verdict"] == "differs"
    assert (document["node"]["node"], document["node"]["outputs"]) == ("paint", ["image"])
    (reason,) = document["node"]["reasons"]
    assert reason["kind"] == "code"
    assert "the pack brush" in reason["text"]
    assert document["figures"]["share"] == 1.0
    assert document["figures"]["max"] == pytest.approx(64 / 255, abs=1 / 255)


def test_changed_code_that_gives_the_same_is_no_difference(
    cli: Cli, save: Save, pack: Path
) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    pack.write_text(PACK.replace("RELEASE = 1", "RELEASE = 1.0"))
    result = cli("replay", file, "--verify", "--pack", pack)
    assert result.code == 0
    assert "same content" in result.out
    assert "changed: code of the pack brush" in result.out
    assert "texts that differ: manifest" in result.out


def test_the_version_of_a_node_is_named_as_the_cause(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    newer = PACK.replace("RELEASE = 1", "RELEASE = 2")
    pack.write_text(newer.replace("@node\ndef Paint", "@node(version=2)\ndef Paint"))
    document = cli("replay", file, "--verify", "--pack", pack, "--json").json
    assert [each["kind"] for each in document["node"]["reasons"]] == ["version"]
    assert "1 → 2" in document["node"]["reasons"][0]["text"]


def test_an_input_file_is_named_as_the_cause(cli: Cli, save: Save, tmp_path: Path) -> None:
    Pillow.new("RGB", (8, 8), "red").save(tmp_path / "photo.png")
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": "photo.png"}},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "load.image"}}},
        },
    }
    (file,) = save(document)
    assert cli("replay", file, "--verify").code == 0
    Pillow.new("RGB", (8, 8), "blue").save(tmp_path / "photo.png")
    result = cli("replay", file, "--verify", "--json")
    assert result.code == 1
    assert [each["kind"] for each in result.json["node"]["reasons"]] == ["input"]
    assert "photo.png" in result.json["node"]["reasons"][0]["text"]
    assert "photo.png has other content" in result.err


def test_an_image_of_another_size_has_no_figures(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    pack.write_text(PACK.replace("(16, 24, 3), each", "(16, 32, 3), each"))
    document = cli("replay", file, "--verify", "--pack", pack, "--json").json
    assert document["figures"] == {}
    assert document["summary"] == "size: pixels 1 x 16 x 24 x 3 → pixels 1 x 16 x 32 x 3"


def test_each_file_of_a_batch_is_compared_with_its_own(cli: Cli, save: Save, pack: Path) -> None:
    paint = {"type": "brush:Paint", "inputs": {"shade": 0.8, "count": 3}}
    files = save(with_nodes(PAINTING, paint=paint), "--pack", pack)
    assert len(files) == 3
    for at, file in enumerate(files):
        assert cli("replay", file, "--verify", "--pack", pack).code == 0
        pack.write_text(PACK.replace("RELEASE = 1", "RELEASE = 2"))
        document = cli("replay", file, "--verify", "--pack", pack, "--out", "again", "--json").json
        assert Path(document["written"]).name == f"shade_{at + 1:05}.png"
        assert document["figures"]["max"] == pytest.approx(0.4 / (at + 1), abs=0.004)
        pack.write_text(PACK)


def test_a_node_that_is_mapped_over_a_list(cli: Cli, save: Save, pack: Path) -> None:
    document = with_nodes(
        PAINTING,
        shades={"type": "brush:Shades", "inputs": {"count": 3}},
        paint={"type": "brush:Paint", "inputs": {"shade": {"from": "shades"}}},
    )
    files = save(document, "--pack", pack)
    assert len(files) == 3
    for file in files:
        assert "identical" in cli("replay", file, "--verify", "--pack", pack).out


def test_a_node_inside_a_subgraph(cli: Cli, save: Save, pack: Path) -> None:
    block = {
        "inputs": {"shade": {"to": ["paint.shade"], "type": "float"}},
        "nodes": PAINTING["nodes"],
    }
    document = {
        "format": "nodegraph/1",
        "nodes": {"dark": {"type": "both", "inputs": {"shade": 0.2}}, "bright": {"type": "both"}},
        "subgraphs": {"both": block},
    }
    for file in save(document, "--pack", pack):
        result = cli("replay", file, "--verify", "--pack", pack)
        assert "identical: every byte is the same (2 nodes" in result.out


def test_a_node_inside_a_loop(cli: Cli, save: Save, pack: Path) -> None:
    body = {
        "inputs": {"item": {"to": ["paint.shade"]}},
        "outputs": {"result": "paint"},
        "nodes": PAINTING["nodes"],
    }
    each = {"items": {"from": "shades"}, "body": "painted"}
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "shades": {"type": "brush:Shades", "inputs": {"count": 3}},
            "each": {"type": "ForEach", "inputs": each},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "each.results"}}},
        },
        "subgraphs": {"painted": body},
    }
    files = save(document, "--pack", pack)
    assert len(files) == 6
    for file in files:
        result = cli("replay", file, "--verify", "--pack", pack)
        assert "identical" in result.out, result.out + result.err


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "tiff"])
def test_files_of_other_formats(cli: Cli, save: Save, pack: Path, format: str) -> None:
    inputs = {"image": {"from": "paint"}, "format": format}
    (file,) = save(
        with_nodes(PAINTING, save={"type": "SaveImage", "inputs": inputs}), "--pack", pack
    )
    assert "identical" in cli("replay", file, "--verify", "--pack", pack).out
    pack.write_text(PACK.replace("RELEASE = 1", "RELEASE = 2"))
    result = cli("replay", file, "--verify", "--pack", pack)
    assert result.code == 1
    assert "PSNR" in result.out


def test_a_file_of_an_older_version_has_only_its_content_compared(
    cli: Cli, save: Save, pack: Path, tmp_path: Path
) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    texts = result_texts(file)
    assert texts is not None
    older = tmp_path / "older.png"
    carried = PngInfo()
    workflow = {**json.loads(texts["workflow"]), "format": "nodegraph/1"}
    carried.add_text("workflow", json.dumps(workflow))
    with Pillow.open(file) as image:
        image.save(older, pnginfo=carried)
    result = cli("replay", older, "--verify", "--pack", pack)
    assert result.code == 0, result.err
    assert "same content" in result.out
    assert "has no manifest: models, versions and numerics of its run are not known" in result.out
    pack.write_text(PACK.replace("RELEASE = 1", "RELEASE = 2"))
    result = cli("replay", older, "--verify", "--pack", pack)
    assert result.code == 1
    assert "first node" not in result.out


def test_a_manifest_next_to_a_file(cli: Cli, save: Save, pack: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODEGRAPH_METADATA", "none")
        patch.setenv("NODEGRAPH_SIDECAR", "1")
        file, beside = save(PAINTING, "--pack", pack)
    assert beside.name == "shade_00001.png.json"
    for each in (file, beside):
        result = cli("replay", each, "--verify", "--pack", pack)
        assert result.code == 0, result.err
        assert "identical" in result.out


@pytest.mark.parametrize("amount", ["none", "minimal"])
def test_a_file_is_replayed_by_the_manifest_next_to_it(
    cli: Cli, save: Save, pack: Path, amount: str
) -> None:
    file, _ = save(PAINTING, "--pack", pack, "--metadata", amount, "--sidecar")
    result = cli("replay", file, "--pack", pack, "--verify", "--json")
    assert result.code == 0, result.err
    assert result.json["verdict"] == "identical"


def test_equal_files_are_compared_without_a_look_at_their_workflow(
    cli: Cli, save: Save, pack: Path
) -> None:
    (file,) = save(PAINTING, "--pack", pack)

    def ancestors(name: str) -> list[str]:
        raise AssertionError(name)  # of a large workflow they take minutes

    verification = verify_file(read_replayed(file), [file], ancestors)
    assert verification is not None
    assert verification.verdict == "identical"


PROMPTED: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "load": {"type": "LoadModel"},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "an apple"},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "load.model"},
                "positive": {"from": "text"},
                "latent": {"from": "size"},
                "steps": 1,
            },
        },
        "show": {"type": "DrawLatent", "inputs": {"latent": {"from": "sample"}}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "show"}}},
    },
}


def test_a_file_without_prompts_needs_them(
    cli: Cli, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("NODEGRAPH_METADATA_PROMPTS", "0")
        (file,) = save(PROMPTED)
    assert b"apple" not in file.read_bytes()
    refused = cli("replay", file, "--verify")
    assert refused.code == 2
    assert "does not contain its prompts" in refused.err
    assert "--set text.text='...'" in refused.err
    # Another value is no prompt.
    assert cli("replay", file, "--set", "sample.seed=3").code == 2
    again = cli("replay", file, "--verify", "--set", "text.text=an apple")
    assert "identical" in again.out, again.out + again.err
    other = cli("replay", file, "--verify", "--set", "text.text=a pear")
    assert other.code == 1
    assert "are not those that made the file: text.text" in other.out


def test_a_prompt_inside_of_a_subgraph_is_named_as_missing(
    cli: Cli, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"encoder": {"from": "load.text_encoder"}, "text": "an apple"}
    block = {
        "inputs": {},
        "nodes": {"load": {"type": "LoadModel"}, "words": {"type": "EncodePrompt", "inputs": text}},
        "outputs": {"conditioning": "words.conditioning"},
    }
    nodes = {**PROMPTED["nodes"], "text": {"type": "Fruit", "inputs": {}}}
    monkeypatch.setenv("NODEGRAPH_METADATA_PROMPTS", "0")
    (file,) = save({**PROMPTED, "nodes": nodes, "subgraphs": {"Fruit": block}})
    assert b"apple" not in file.read_bytes()
    refused = cli("replay", file)
    assert refused.code == 2
    assert "without Fruit/words.text" in refused.err
    assert "inside of subgraphs" in refused.err


def test_texts_that_a_file_does_not_need_are_left_out_with_its_prompts(
    cli: Cli, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {**PROMPTED["nodes"], "note": {"type": "Text", "inputs": {"text": "a secret fox"}}}
    monkeypatch.setenv("NODEGRAPH_METADATA_PROMPTS", "0")
    (file,) = save({**PROMPTED, "nodes": nodes})
    assert b"secret fox" not in file.read_bytes()
    again = cli("replay", file, "--verify", "--set", "text.text=an apple")
    assert again.code == 0, again.out + again.err
    assert "are not those that made the file" not in again.out


def test_a_file_that_needs_no_prompt_is_replayed_without_its_texts(
    cli: Cli, save: Save, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {**PAINTING["nodes"], "note": {"type": "Text", "inputs": {"text": "a secret fox"}}}
    monkeypatch.setenv("NODEGRAPH_METADATA_PROMPTS", "0")
    (file,) = save({**PAINTING, "nodes": nodes}, "--pack", pack)
    assert b"secret fox" not in file.read_bytes()
    again = cli("replay", file, "--verify", "--pack", pack)
    assert again.code == 0, again.out + again.err


def test_a_verification_refuses_other_values(cli: Cli, save: Save, pack: Path) -> None:
    (file,) = save(PAINTING, "--pack", pack)
    refused = cli("replay", file, "--verify", "--pack", pack, "--set", "paint.shade=0.1")
    assert refused.code == 2
    assert "--set changes the workflow" in refused.err
    assert cli("replay", file, "--verify", "--pack", pack, "--set", "paint.shade=0.5").code == 0


WORDS = '''
from nodegraph import Image, node

@node
def Word(text: str = "") -> Image:
    """Paint the length of a text.

    Args:
        text: Any text.
    """
    import torch

    return torch.full((8, 8, 3), len(text) / 1000)[None]
'''


def _folder_result(save: Save, tmp_path: Path) -> Path:
    """A grid of two photos of a folder."""
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for name, color in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (8, 8), color).save(tmp_path / "photos" / f"{name}.png")
    (file, *_) = save(
        {
            "format": "nodegraph/1",
            "nodes": {
                "load": {"type": "LoadImages", "inputs": {"path": "photos"}},
                "save": {"type": "SaveImage", "inputs": {"image": {"from": "load.images"}}},
            },
        }
    )
    return file


def test_files_of_a_folder_are_recorded_and_found_by_content(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    file = _folder_result(save, tmp_path)
    photos = tmp_path / "photos"
    assert cli("replay", file, "--verify").code == 0
    (photos / "a.png").rename(photos / "z.png")
    result = cli("replay", file, "--verify")
    assert result.code == 0, result.out + result.err
    assert "identical" in result.out


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("changed", "the file photos/a.png has other content"),
        ("missing", "the file photos/a.png is missing"),
    ],
)
def test_the_file_of_a_folder_that_is_another_is_named(
    cli: Cli, save: Save, tmp_path: Path, change: str, cause: str
) -> None:
    from PIL import Image

    file = _folder_result(save, tmp_path)
    photo = tmp_path / "photos" / "a.png"
    if change == "missing":
        photo.unlink()
    else:
        Image.new("RGB", (8, 8), "lime").save(photo)
    result = cli("replay", file, "--verify", "--json", "--inputs", tmp_path)
    assert result.code == 1, result.out + result.err
    reasons = result.json["node"]["reasons"]
    assert [each["kind"] for each in reasons] == ["input"]
    assert reasons[0]["text"].startswith(cause)


def test_a_new_file_of_a_folder_is_named(cli: Cli, save: Save, tmp_path: Path) -> None:
    from PIL import Image

    file = _folder_result(save, tmp_path)
    Image.new("RGB", (8, 8), "lime").save(tmp_path / "photos" / "0.png")
    result = cli("replay", file, "--verify", "--json", "--inputs", tmp_path)
    texts = [each["text"] for each in result.json["changes"]]
    assert texts == ["the file photos/0.png is new in its folder"]


def test_other_files_of_a_long_folder_are_used_as_they_are(
    cli: Cli, save: Save, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for at in range(1003):
        Pillow.new("RGB", (1, 1), (at % 256, at // 256, 0)).save(photos / f"{at:04d}.png")
    load = {"type": "LoadImages", "inputs": {"path": "photos", "start": 1002, "count": 1}}
    picture = {"type": "SaveImage", "inputs": {"image": {"from": "load.images"}}}
    (file,) = save({"format": "nodegraph/1", "nodes": {"load": load, "save": picture}})
    # One of the first thousand, whose recorded name is restored.
    (photos / "0000.png").rename(photos / "renamed.png")
    result = cli("replay", file, "--verify", "--inputs", tmp_path)
    assert result.code == 0, result.out + result.err
    assert "the folder photos had 1,003 files, of which the file names 1,000" in result.err
    assert "the other 3 cannot be restored" in result.err


def test_a_home_folder_in_a_text_is_named_as_the_cause(
    cli: Cli, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    pack = tmp_path / "words.py"
    pack.write_text(WORDS)
    word = {"type": "words:Word", "inputs": {"text": "a cat in /home/alice/pictures"}}
    picture = {"type": "SaveImage", "inputs": {"image": {"from": "word"}}}
    document = {"format": "nodegraph/1", "nodes": {"word": word, "save": picture}}
    (file,) = save(document, "--pack", pack)
    assert b"alice" not in file.read_bytes()
    result = cli("replay", file, "--verify", "--pack", pack, "--json")
    assert result.code == 1, result.out + result.err
    (reason,) = result.json["node"]["reasons"]
    assert reason["kind"] == "outside"
    assert "home folder" in reason["text"]
    assert "--set word.INPUT" in reason["hint"]
