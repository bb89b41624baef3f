"""`nodegraph import` and `run` of images of other tools."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli
from tests.compat.image_metadata.samples import exif, infotext, png, stealth

TEXT = infotext(
    "a red apple <lora:nobody:0.5>",
    "blurry",
    "Steps: 2, Sampler: Euler a, CFG scale: 4, Seed: 5, Size: 64x64, Model hash: 0123456789, "
    "Model: tiny, Odd: 1, Version: v1.9.0",
)


def test_an_image_is_imported_and_what_differs_is_listed(cli: Cli) -> None:
    png({"parameters": TEXT})(Path("theirs.png"))

    shown = cli("import", "theirs.png")

    assert shown.code == 0
    assert "missing model: nobody, into the models folder `loras`" in shown.out
    assert "differs: A1111 draws noise on the GPU" in shown.out
    assert "differs: Not used: `Odd` (1)." in shown.out
    nodes = json.loads(Path("theirs.json").read_text())["nodes"]
    assert nodes["positive"]["inputs"]["text"] == "a red apple"
    assert nodes["sample"]["inputs"]["seed"] == 5


def test_an_image_of_another_tool_runs(cli: Cli) -> None:
    exif(TEXT.replace("<lora:nobody:0.5>", ""), "WEBP")(Path("theirs.webp"))

    shown = cli("run", "theirs.webp", "--set", "sample.seed=6")

    assert shown.code == 0
    assert shown.err.count("theirs.webp was made with A1111, and its settings became a") == 1
    assert list(Path("output").glob("image_*.png"))


def test_a_folder_of_images_is_imported(cli: Cli) -> None:
    Path("theirs").mkdir()
    png({"parameters": TEXT})(Path("theirs/a.png"))
    stealth(TEXT)(Path("theirs/b.png"))
    exif(TEXT, "AVIF")(Path("theirs/c.avif"))
    png({"Comment": "Created with GIMP"})(Path("theirs/plain.png"))

    report = cli("import", "theirs", "--out", "ours", "--json").json

    assert [Path(each["file"]).name for each in report["files"]] == ["a.png", "b.png", "c.avif"]
    assert {each["format"] for each in report["files"]} == {"A1111"}


def test_what_is_no_image_of_a_tool_is_refused(cli: Cli) -> None:
    png({"Comment": "Created with GIMP"})(Path("plain.png"))
    png({"invokeai_metadata": "{"})(Path("damaged.png"))

    assert "does not contain a workflow" in cli("import", "plain.png").out
    damaged = cli("run", "damaged.png")
    assert (damaged.code, "metadata of InvokeAI in this image are damaged" in damaged.err) == (
        2,
        True,
    )


def test_images_of_one_name_are_imported_side_by_side(cli: Cli) -> None:
    Path("theirs").mkdir()
    png({"parameters": TEXT})(Path("theirs/x.png"))
    exif(TEXT, "WEBP")(Path("theirs/x.webp"))
    assert cli("import", "theirs", "--out", "ours").code == 0
    assert sorted(path.name for path in Path("ours").iterdir()) == ["x.json", "x.webp.json"]
