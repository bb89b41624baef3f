"""Packs as people write them for ComfyUI, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from nodegraph import Session, Settings
from nodegraph.interop.comfyui.importer import node_table
from tests.compat.comfyui_packs.conftest import Prompts, comfy_pack, node

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent / "small"
NAMES = (
    *("filters", "text_tools", "math_nodes", "mask_tools", "switches", "list_tools", "saver"),
    *("modern", "latents", "hooks_in", "builders"),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompts]:
    home = tmp_path_factory.mktemp("home")
    paths = [FOLDER / name for name in NAMES]
    packs = [comfy_pack(path if path.is_dir() else path.with_suffix(".py")) for path in paths]
    with Session(Settings(home=home), packs=packs) as session:
        assert not session.registry.problems
        yield Prompts(session, node_table([], session.registry))


def text_of(link: list[object]) -> dict[str, object]:
    return node("ShowText|tools", text=link)


def color(value: int, batch: int = 1) -> dict[str, object]:
    return node("EmptyImage", width=8, height=6, batch_size=batch, color=value)


def test_a_filter_in_a_sub_package(small: Prompts) -> None:
    prompt = {
        "1": color(0xFF8000, 2),
        "2": node("PillowBlur", images=["1", 0], radius=1, method="box"),
        "3": node("Add Border", image=["2", 0], border=2),
        "4": node("SimpleMath+", value="a * 100 + b", a=["3", 1], b=["3", 2]),
        "5": node("JoinTexts|tools", delimiter="/", text_a="size", text_b=["6", 0]),
        "6": node("StringConcatenate", string_a="n", string_b="", delimiter=""),
        "7": text_of(["5", 0]),
        "8": node("PreviewAny", source=["4", 0]),
    }

    outcome = small.run(prompt)

    assert outcome.result.is_ok
    assert outcome.text("7") == "size/n"


def test_texts_and_wildcards(small: Prompts) -> None:
    prompt = {
        "1": node("Wildcards|tools", text="a __red|green__ apple", seed=3),
        "2": text_of(["1", 0]),
    }

    assert small.run(prompt).text("2") in ("a red apple", "a green apple")


def test_numbers_of_several_types_and_of_none(small: Prompts) -> None:
    prompt = {
        "1": node("SimpleMath+", value="a + 1", a=4),
        "2": node("CompareFloats", x=["1", 1], y=["1", 0]),
        "3": node("LazySwitch", select=2, input1=["1", 0], input2=["2", 0]),
        "4": text_of(["3", 1]),
    }

    assert small.run(prompt).text("4") == "input2"


def test_masks_of_two_dimensions(small: Prompts) -> None:
    prompt = {
        "1": color(0xFF0000),
        "2": node("MaskFromColor", image=["1", 0], red=255),
        "3": node("FlatMask", mask=["2", 0], invert=True),
        "4": node("MaskToImage", mask=["3", 0]),
        "5": node("SaveWithNotes", images=["4", 0], filename_prefix="masks/m"),
    }

    (file,) = small.run(prompt).result.files

    with Image.open(file.path) as saved:
        assert saved.size == (8, 6)
        assert saved.getextrema() == ((0, 0),) * 3


def test_a_closed_gate_says_why(small: Prompts) -> None:
    prompt = {
        "1": node("Gate", value=["2", 0], open=False),
        "2": color(1),
        "3": node("PreviewImage", images=["1", 0]),
    }

    outcome = small.run(prompt)

    assert outcome.result.is_ok
    warnings = [text for report in outcome.result.nodes.values() for text in report.warnings]
    assert any("the gate is closed" in text for text in warnings)


def test_a_batch_becomes_a_list_and_a_batch_again(small: Prompts) -> None:
    prompt = {
        "1": color(0x808080, 3),
        "2": node("BatchToList", image=["1", 0]),
        "3": node("PillowBlur", images=["2", 0], radius=0, method="box"),
        "4": node("ListToBatch", images=["3", 0]),
        "5": node("SimpleMath+", value="a", a=["4", 0]),
        "6": node("SplitText", text="x,y,z"),
        "7": text_of(["6", 0]),
    }

    outcome = small.run({**prompt, "8": node("PreviewImage", images=["4", 0])})

    assert outcome.ui("7") == [{"text": ["x", "y", "z"]}]
    assert outcome.result.nodes[outcome.names["3"]].calls == 3


def test_a_picture_is_saved_with_its_prompt(small: Prompts) -> None:
    prompt = {
        "12": color(0x102030),
        "13": node("SaveWithNotes", images=["12", 0], filename_prefix="notes/p"),
    }

    outcome = small.run(prompt, prompt=prompt)

    (file,) = outcome.result.files
    with Image.open(file.path) as saved:
        assert json.loads(saved.text["prompt"]) == prompt  # type: ignore[attr-defined]
        assert saved.convert("RGB").getpixel((0, 0)) == (0x10, 0x20, 0x30)
    ((shown,),) = [each["images"] for each in outcome.ui("13")]
    assert shown["subfolder"] == "notes"


def test_schemas_from_an_async_entry_point(small: Prompts) -> None:
    prompt = {
        "1": color(0xFFFFFF),
        "2": node("modern_Tint", image=["1", 0], amount=0.5, seed=1),
        "3": node("LazySwitch", select=1, input1=["2", 1]),
        "4": node("modern_MakePair", a=20, b=22),
        "5": node("modern_SumPair", pair=["4", 0]),
        "6": node("SimpleMath+", value="a", a=["5", 0]),
        "7": node("StepsWithBar", model="none", steps=["6", 0]),
        "8": node("SaveWithNotes", images=["2", 0], filename_prefix="tint"),
    }

    outcome = small.run(prompt)

    assert outcome.text("7") == "none 42 cpu"
    with Image.open(outcome.result.files[0].path) as saved:
        assert saved.getpixel((0, 0)) == (127, 255, 255)


def test_latents_cross_the_border(small: Prompts) -> None:
    prompt = {
        "1": node("SizedLatent", width=64),
        "2": node("LatentStats", samples=["1", 0]),
        "3": node("LatentStats", samples=["2", 1]),
        "4": text_of(["3", 0]),
    }

    assert small.run(prompt).text("4") == "(1, 4, 8, 8)"


def test_a_graph_of_other_packs_classes(small: Prompts) -> None:
    prompt = {
        "1": color(0xFF8000),
        "2": node("Build", image=["1", 0]),
        "3": text_of(["2", 1]),
    }

    outcome = small.run(prompt)

    assert outcome.result.is_ok
    assert (outcome.result["build.int"], outcome.text("3")) == (1210, "input2")


def test_a_class_that_no_pack_has_is_named(small: Prompts) -> None:
    prompt = {
        "1": color(0xFF8000),
        "2": node("Build", kind="NobodyHasIt", image=["1", 0]),
        "3": text_of(["2", 1]),
    }

    assert "NobodyHasIt" in small.run(prompt).error("2")


def test_a_value_of_a_packs_own_class_stays_with_it(small: Prompts) -> None:
    (error,) = small.run({"1": node("BuildWithThing"), "2": text_of(["1", 0])}).result.errors

    assert "pack `switches` cannot read this `Any` of pack `builders`" in str(error)


def test_a_pack_that_does_not_import_hurts_no_other(tmp_path: Path) -> None:
    packs = [comfy_pack(FOLDER / "broken"), comfy_pack(FOLDER / "prepared")]

    with Session(Settings(home=tmp_path), packs=packs) as session:
        problems = "\n".join(map(str, session.registry.problems))
        result = session.run(
            {"format": "nodegraph/1", "nodes": {"a": {"type": "prepared:Prepared"}}}, targets=["a"]
        )

        assert "missing_part" in problems
        assert 'broken/__init__.py", line 3' in problems
        assert "NoMethod" in problems
        assert result["a.string"] == "no"


def test_a_script_before_the_start_runs_if_it_is_allowed(tmp_path: Path) -> None:
    pack = comfy_pack(FOLDER / "prepared", "prestartup_script.py")

    with Session(Settings(home=tmp_path), packs=[pack]) as session:
        result = session.run(
            {"format": "nodegraph/1", "nodes": {"a": {"type": "prepared:Prepared"}}}, targets=["a"]
        )

        assert result["a.string"] == "yes"
