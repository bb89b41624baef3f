"""Images, tensors and other values in memory that enter graphs and runs."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import nodegraph
from nodegraph import (
    Expand,
    Graph,
    Latent,
    Session,
    Settings,
    Value,
    Workflow,
    node,
    nodes,
    port_type,
)
from nodegraph.client import Client
from nodegraph.core.digests import digest_value
from nodegraph.core.parts import Parameter
from nodegraph.engine.options import RunOptions
from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.python.builder.script import python_script
from tests.messages import raises
from tests.properties import examples

PICTURE = Image.fromarray(
    np.random.default_rng(7).integers(0, 256, (8, 6, 3), dtype=np.uint8), "RGB"
)
TENSOR = torch.from_numpy(np.asarray(PICTURE).astype(np.float32) / np.float32(255))[None]
INVERT: dict[str, Any] = {
    "format": "nodegraph/1",
    "parameters": {"image": "invert.image"},
    "nodes": {"invert": {"type": "InvertImage"}},
}


def same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.equal(found, expected)


@pytest.mark.parametrize(
    "given",
    [PICTURE, np.asarray(PICTURE), TENSOR, TENSOR.numpy()[0], TENSOR.numpy()],
    ids=["PIL", "bytes", "tensor", "floats", "batch of floats"],
)
def test_a_picture_in_memory_is_given_to_an_input(g: Graph, given: Any) -> None:
    invert = g.InvertImage(image=given)
    assert list(g.check(invert)) == []
    assert g.plan(invert).nodes["invert_image"].status == "run"
    result = g.run(invert)
    assert same(result[invert], 1 - TENSOR)
    assert list(result.nodes) == list(g.plan(invert).nodes) == ["invert_image"]
    assert g.plan(invert).nodes["invert_image"].status == "hit"


def test_a_value_and_the_same_one_by_a_link_are_one_to_the_cache(
    session: Session, tmp_path: Path
) -> None:
    """Whichever comes first, and in whatever form: what comes second computes nothing."""
    file = tmp_path / "p.png"

    @settings(max_examples=examples(50), deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        height, width = data.draw(st.tuples(st.integers(5, 9), st.integers(5, 9)))
        levels = data.draw(st.binary(min_size=height * width * 3, max_size=height * width * 3))
        pixels = np.frombuffer(levels, np.uint8).reshape(height, width, 3)
        picture = Image.fromarray(pixels, "RGB")
        picture.save(file)
        g = Graph(session=session)
        load = g.LoadImage(path=str(file))
        by_link = g.InvertImage("by_link", image=load.image)
        tensor = g.run(load)[load.image]
        given = data.draw(st.sampled_from([tensor, picture, pixels]))
        in_memory = g.InvertImage("in_memory", image=given)
        first, second = data.draw(st.permutations([by_link, in_memory]))
        expected = g.run(first)[first]
        again = g.run(second)
        assert again.nodes[str(second)].status == "cached"
        assert same(again[second], expected)

    check()


def test_another_session_finds_what_was_computed(session: Session, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "p.png")
    g = Graph(session=session)
    g.run(g.InvertImage(image=g.LoadImage(path="p.png").image))
    session.close()
    given = Workflow.from_dict(INVERT).with_parameters({"image": PICTURE})
    with Session(session.settings) as later:
        plan = later.plan(given, targets=["invert"])
        assert (plan.nodes["invert"].status, plan.nodes["invert"].place) == ("hit", "disk")


def test_parameters_are_pictures(session: Session) -> None:
    workflow = Workflow.from_dict(INVERT)
    for value in (PICTURE, np.asarray(PICTURE), TENSOR):
        result = session.run(workflow, parameters={"image": value}, targets=["invert"])
        assert same(result["invert"], 1 - TENSOR)
    given = workflow.with_inputs({"invert.image": TENSOR})
    assert session.check(given, targets=["invert"]) == []
    assert [why.plan.status for why in session.why(given, node="invert")] == ["hit"]
    ways = [RunOptions(targets=["invert"]), RunOptions(targets=["invert"])]
    one, two = session.run_many([given, workflow.with_parameters({"image": PICTURE})], ways)
    assert same(one["invert"], two["invert"])


def test_a_dictionary_of_a_workflow_holds_values(session: Session) -> None:
    nodes = {"invert": {"type": "InvertImage", "inputs": {"image": PICTURE}}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    assert same(session.run(workflow, targets=["invert"])["invert"], 1 - TENSOR)


def test_a_dictionary_of_a_workflow_holds_numbers_of_other_libraries(own: Session) -> None:
    for numbers in (np.eye(2), [np.ones(2)], [[np.float32(1), 1]], torch.eye(2)):
        nodes = {"whole": {"type": "Whole", "inputs": {"numbers": numbers}}}
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        assert own.run(workflow, targets=["whole"])["whole"] == 2
    nodes = {"size": {"type": "EmptyImage", "inputs": {"width": np.int64(8), "height": 8}}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    assert own.check(workflow, targets=["size"]) == []
    assert workflow.to_dict()["nodes"]["size"]["inputs"] == {"width": 8, "height": 8}


@node
def Told(given: dict[str, Any]) -> str:
    """What a dictionary holds."""
    return repr(given)


NUMBERS = {
    "a": np.float32(0.5), "b": [np.int64(3), {"c": np.bool_(True)}], "d": np.array(2.0),
    "e": np.arange(2), np.str_("f"): np.str_("text"), "g": Path("x"), "h": (1, 2),
}  # fmt: skip
PLAIN = (
    "{'a': 0.5, 'b': [3, {'c': True}], 'd': 2.0, 'e': [0, 1], 'f': 'text', 'g': 'x', 'h': [1, 2]}"
)


@pytest.mark.parametrize("door", ["parameter", "dictionary", "graph", "expansion", "block"])
def test_dictionaries_hold_numbers_of_other_libraries(own: Session, door: str) -> None:
    nodes: dict[str, Any] = {"told": {"type": "Told", "inputs": {"given": NUMBERS}}}
    document: dict[str, Any] = {"format": "nodegraph/1", "nodes": nodes}
    parameters = {}
    if door == "graph":
        g = Graph(session=own)
        g.node(Told, given=NUMBERS)
        document = g.to_dict()
    elif door == "expansion":
        document["nodes"] = {"told": {"type": "ExpandTold"}}
    elif door == "block":
        document["nodes"] = {"told": {"type": "block"}}
        given = {"to": ["told.given"], "default": NUMBERS}
        outputs = {"text": "told.text"}
        block = {
            "inputs": {"given": given},
            "outputs": outputs,
            "nodes": {"told": {"type": "Told"}},
        }
        document["subgraphs"] = {"block": block}
    elif door == "parameter":
        nodes["told"]["inputs"] = {}
        document["parameters"] = {"given": "told.given"}
        parameters = {"given": NUMBERS}
    result = own.run(Workflow.from_dict(document), parameters=parameters, targets=["told"])
    assert result["told"] == PLAIN


@node
def ExpandTold() -> str:
    """Such a dictionary, by an expansion."""
    nodes = {"inner": {"type": "Told", "inputs": {"given": NUMBERS}}}
    return Expand(nodes, {"text": "inner"})  # type: ignore[return-value]


def test_what_an_editor_keeps_may_hold_numbers_of_other_libraries_alone(own: Session) -> None:
    nodes = {"told": {"type": "Told", "inputs": {"given": {}}}}
    document = {
        "format": "nodegraph/1",
        "nodes": nodes,
        "ui": {"zoom": np.float32(2), "by": Path("x")},
    }
    assert own.run(Workflow.from_dict(document), targets=["told"])["told"] == "{}"
    document["ui"] = {"zoom": object()}
    with raises(InvalidValue):
        own.run(Workflow.from_dict(document), targets=["told"])


def test_a_list_of_pictures_is_mapped_over_or_taken_as_a_list(g: Graph) -> None:
    each = g.InvertImage(image=[PICTURE, TENSOR, np.asarray(PICTURE)])
    grid = g.ImageGrid(images=each, columns=3)
    direct = g.ImageGrid("direct", images=[PICTURE, TENSOR], columns=2)
    result = g.run(each, grid, direct)
    assert [same(found, 1 - TENSOR) for found in result[each]] == [True] * 3
    assert result[grid].shape[0] == 1
    assert same(result[direct], torch.cat((TENSOR, TENSOR), dim=2)) or result[direct].shape[0] == 1
    calls = {name: report.calls for name, report in result.nodes.items()}
    assert calls == {"invert_image": 3, "image_grid": 1, "direct": 1}


def test_outputs_and_pictures_stand_in_one_list(g: Graph) -> None:
    black = g.EmptyImage(width=6, height=8)
    grid = g.ImageGrid(images=[black, PICTURE, TENSOR], columns=3)
    assert g.run(grid)[grid].shape[3] == 3
    with raises(InvalidWorkflow, node="image_grid_2", port="images", given="PIL image F 6 x 8"):
        g.ImageGrid(images=[black, PICTURE.convert("F")])


def test_masks_are_taken_and_become_pictures_as_by_a_link(g: Graph) -> None:
    gray = PICTURE.convert("L")
    levels = torch.from_numpy(np.asarray(gray).astype(np.float32) / np.float32(255))[None]
    mask = g.InvertMask(mask=gray)
    found = g.run(mask)[mask]
    assert same(found, 1 - levels)
    wide = torch.rand(1, 8, 7)
    picture = g.InvertImage(image=wide)
    assert same(g.run(picture)[picture], 1 - wide[..., None].expand(-1, -1, -1, 3))


@node
def MakeLatent() -> Latent:
    """A latent."""
    return Latent(torch.full((1, 4, 2, 2), 0.5), 16, 16, format="sd")


@node
def Size(latent: Latent) -> int:
    """Its width."""
    return latent.width


@node
def Whole(numbers: list[list[float]]) -> float:
    """A sum."""
    return sum(map(sum, numbers))


@node
def Change(image: nodegraph.Image) -> nodegraph.Image:
    """Change what it is handed, which no node should."""
    image.zero_()
    return image


@node
def Negative(image: nodegraph.Image) -> nodegraph.Image:
    """By another node."""
    inner = {"first": {"type": "InvertImage", "inputs": {"image": image}}}
    return Expand(inner, {"image": "first.image"})


@node
def Sheet(image: nodegraph.Image) -> nodegraph.Image:
    """Three images side by side, by another node."""
    given = {"images": [image, Value(image), PICTURE], "columns": 3, "gap": 0}
    return Expand({"grid": {"type": "ImageGrid", "inputs": given}}, {"image": "grid.image"})


@pytest.fixture
def own(tmp_path: Path, known_specs: Path) -> Any:
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    functions: list[Callable[..., Any]] = [MakeLatent, Size, Whole, Change, Negative, Sheet]
    functions += [Told, ExpandTold, Children, Grown, Felled, Innermost]
    with Session(Settings(home=tmp_path / "home"), nodes=functions) as session:
        yield session


def test_what_a_run_gave_is_given_to_another(own: Session) -> None:
    g = Graph(session=own)
    latent = g.node(MakeLatent)
    by_link = g.node(Size, "by_link", latent=latent)
    found = g.run(latent, by_link)[latent]
    given = g.node(Size, "given", latent=found)
    assert g.run(given).nodes["given"].status == "cached"


def test_an_expansion_holds_values_as_they_are(own: Session) -> None:
    g = Graph(session=own)
    negative = g.node(Negative, image=TENSOR)
    assert same(g.run(negative)[negative], 1 - TENSOR)
    given = g.InvertImage(image=TENSOR)
    assert g.run(given).nodes[str(given)].status == "cached"
    sheet = g.node(Sheet, image=TENSOR)
    assert same(g.run(sheet)[sheet], torch.cat([TENSOR] * 3, dim=2))


def test_arrays_are_lists_of_numbers_where_an_input_takes_these(own: Session) -> None:
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    g = Graph(session=own)
    whole = g.node(Whole, numbers=numbers)
    assert g.entry(whole).inputs == {"numbers": [[1.0, 2.0], [3.0, 4.0]]}
    workflow = Workflow.from_dict(
        {
            "format": "nodegraph/1",
            "parameters": {"numbers": "whole.numbers"},
            "nodes": {"whole": {"type": "Whole"}},
        }
    )
    for form in (numbers, torch.from_numpy(numbers)):
        assert own.run(workflow, parameters={"numbers": form}, targets=["whole"])["whole"] == 10


def test_what_is_changed_after_the_call_changes_nothing(session: Session) -> None:
    tensor, picture = TENSOR.clone(), PICTURE.copy()
    g = Graph(session=session)
    for name, value in (("tensor", tensor), ("picture", picture)):
        g.InvertImage(name, image=value)
    workflow = Workflow.from_dict(INVERT).with_parameters({"image": tensor})
    tensor.zero_()
    picture.paste((0, 0, 0), (0, 0, 6, 8))
    result = g.run("tensor", "picture")
    assert same(result["tensor"], 1 - TENSOR)
    assert same(result["picture"], 1 - TENSOR)
    assert same(session.run(workflow, targets=["invert"])["invert"], 1 - TENSOR)


@dataclass
class Branch:
    """A tree whose parts refer back to what holds them."""

    name: str
    children: list[Branch] = field(default_factory=list)
    parent: Branch | None = None


@node
def Children(tree: Any) -> list[str]:
    """Names below a tree, and what each of them has for its parent."""
    names = [f"{child.name} of {child.parent.name}" for child in tree.children]
    assert all(child.parent is tree for child in tree.children)
    return names


@node
def Grown() -> Any:
    """A tree."""
    return grown()


@node
def Felled(tree: Any) -> int:
    """What is left of a tree."""
    tree.children.clear()
    return len(tree.children)


def grown() -> Branch:
    root = Branch("root")
    root.children.append(Branch("twig", parent=root))
    return root


def test_a_value_that_refers_back_to_itself_is_copied_when_it_is_given(own: Session) -> None:
    g, given = Graph(session=own), grown()
    children = g.node(Children, tree=given)
    given.children.append(Branch("later", parent=given))
    given.children[0].name = "renamed"
    assert g.run(children)[children] == ["twig of root"]


def test_each_function_has_a_copy_of_a_value_that_refers_back_to_itself(own: Session) -> None:
    g = Graph(session=own)
    tree = g.node(Grown)
    felled = g.node(Felled, tree=tree)
    children = g.node(Children, tree=tree)
    result = g.run(felled, children, tree)
    assert (result[felled], result[children]) == (0, ["twig of root"])
    result[tree].children.clear()
    assert g.run(tree)[tree].children[0].name == "twig"


@node
def Innermost(value: Any) -> Any:
    """The list within objects."""
    while isinstance(value, Branch):
        value = value.parent
    return list(value)


def test_a_value_of_many_levels_of_objects_is_copied_when_it_is_given(own: Session) -> None:
    g = Graph(session=own)
    innermost: list[Any] = [1]
    value: Any = innermost
    for _ in range(2_000):
        value = Branch("", parent=value)
    found = g.node(Innermost, value=value)
    innermost.append("later")
    assert g.run(found)[found] == [1]


def test_a_node_that_changes_a_value_changes_it_for_nobody_else(own: Session) -> None:
    g = Graph(session=own)
    changed = g.node(Change, image=TENSOR)
    kept = g.InvertImage(image=TENSOR)
    result = g.run(changed, kept, check=False)
    assert result.nodes["change"].status == "failed"
    assert same(result[kept], 1 - TENSOR)
    assert same(g.run(kept)[kept], 1 - TENSOR)


def test_several_calls_and_a_block_take_values(g: Graph) -> None:
    block = g.subgraph("negative")
    image = block.input("image", "Image")
    block.output("image", block.InvertImage(image=image))
    used = g.node(block, image=PICTURE)
    assert same(g.run(used)[used], 1 - TENSOR)
    with raises(InvalidWorkflow, node="invert_image_2", port="image"):
        block.InvertImage(image=PICTURE)
    with raises(InvalidValue, given="PIL image RGB 6 x 8"):
        block.input("other", "Image", default=PICTURE)


WRONG: list[tuple[Any, str]] = [
    (PICTURE.convert("F"), "PIL image F 6 x 8"),
    (TENSOR.byte(), "uint8 [1, 8, 6, 3], values 0 to 0"),
    (TENSOR[0], "float32 [8, 6, 3], values 0 to 0.9961"),
    (TENSOR[0].permute(2, 0, 1), "float32 [3, 8, 6], values 0 to 0.9961"),
    (np.full((8, 6, 3), 255.0), "float64 array [8, 6, 3], values 255 to 255"),
    (np.full((8, 6, 3), 1.00001), "float64 array [8, 6, 3], values 1.00001 to 1.00001"),
    (object, "<class 'object'>"),
    (
        Latent(None, 8, 8),
        "Latent(width=8, height=8, batch_size=1, frames=1, gradual=0.0, any_size=False)",
    ),
    ([PICTURE, TENSOR.byte()], "uint8 [1, 8, 6, 3], values 0 to 0"),
]


@pytest.mark.parametrize(("value", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_no_picture_for_certain_is_refused_by_every_door(
    g: Graph, session: Session, value: Any, told: str
) -> None:
    with raises(InvalidWorkflow, node="invert_image", port="image", given=told):
        g.InvertImage(image=value)
    workflow = Workflow.from_dict(INVERT)
    with raises(InvalidWorkflow, node="invert", port="image", given=told):
        session.run(workflow, parameters={"image": value}, targets=["invert"])
    (problem,) = session.check(workflow.with_parameters({"image": value}), targets=["invert"])
    assert (problem.node, problem.port, problem.given) == ("invert", "image", told)
    plan = session.plan(workflow.with_parameters({"image": value}), targets=["invert"])
    assert [each.given for each in plan.problems] == [told]
    assert session.check(workflow.with_parameters({"image": value}), targets=["other"])


def test_all_that_is_wrong_is_told_with_a_value(session: Session) -> None:
    nodes = {
        "invert": {"type": "InvertImage", "inputs": {"imag": PICTURE, "image": TENSOR.byte()}},
        "blur": {"type": "BlurImage", "inputs": {"image": {"from": "invert"}, "radius": "x"}},
        "apart": {"type": "InvertImage", "inputs": {"image": TENSOR.byte()}},
    }
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    with raises(InvalidWorkflow, node="blur", port="radius", given='"x"'):
        session.run(workflow, targets=["blur"])
    told = [(each.node, each.port) for each in session.check(workflow, targets=["blur"])]
    assert told == [("invert", "image"), ("invert", "imag"), ("blur", "radius")]
    assert session.plan(workflow, targets=["blur"]).targets == ()


def test_a_saved_graph_names_what_it_was_given(g: Graph, session: Session, tmp_path: Path) -> None:
    invert = g.InvertImage("invert", image=PICTURE)
    g.ImageGrid("grid", images=[TENSOR, TENSOR])
    g.CompositeImage("over", image=invert, layer=TENSOR, mask=torch.ones(1, 8, 6))
    g.save(tmp_path / "saved.json")
    document = json.loads((tmp_path / "saved.json").read_text())
    assert document["nodes"]["invert"] == {"type": "InvertImage"}
    assert list(document["parameters"]) == ["image", "images", "layer", "mask"]
    told = document["parameters"]["image"]
    assert told["input"] == "invert.image"
    assert told["help"].startswith("It was given in memory: Image 6×8 #")
    loaded = Graph.load(tmp_path / "saved.json")
    with raises(InvalidWorkflow, node="invert", port="image"):
        session.run(loaded, targets=["invert"])
    problems = session.check(loaded, targets=["over"])
    assert [(each.node, each.port) for each in problems] == [
        ("invert", "image"), ("over", "layer"), ("over", "mask"),
    ]  # fmt: skip
    result = session.run(loaded, parameters={"image": PICTURE}, targets=["invert"])
    assert same(result["invert"], 1 - TENSOR)


def test_what_is_recorded_names_the_values(session: Session) -> None:
    g = Graph(session=session)
    g.SaveImage("save", image=g.InvertImage("invert", image=PICTURE), name="kept")
    result = g.run()
    with Image.open(result.files[0].path) as opened:
        kept = Workflow.from_json(opened.info["workflow"])
    told = f"It was given in memory: Image 6×8 #{digest_value(TENSOR)[:8]}."
    assert kept.parameters["image"] == Parameter(input="invert.image", help=told, required=True)
    assert kept.nodes["invert"].version is not None
    again = session.run(kept, parameters={"image": PICTURE})
    assert again.files[0].existed
    runs = session.persistence and session.persistence.runs
    assert runs
    assert runs.get(result.run).record["workflow"] == kept.to_dict()


def test_a_script_names_the_values(g: Graph, session: Session) -> None:
    g.InvertImage("invert", image=PICTURE)
    text = python_script(g, session)
    made: dict[str, Any] = {}
    exec(text, made)
    assert made["g"] == g.without_values()
    assert "required=True" in text


def test_a_graph_with_values_shows_and_copies_them(g: Graph) -> None:
    invert = g.InvertImage(image=PICTURE)
    drawn = b64decode(g._repr_html_().partition("base64,")[2].partition('"')[0]).decode()
    assert "Image 6×8 #" in drawn
    assert copy.deepcopy(g) == g == pickle.loads(pickle.dumps(g))
    g.set(invert, image=1 - TENSOR)
    assert same(g.run(invert)[invert], 1 - (1 - TENSOR))


def test_lists_stay_mapped_over_when_inputs_are_set(g: Graph) -> None:
    invert = g.InvertImage(image=TENSOR)
    grid = g.ImageGrid("grid", images=invert)
    g.set(invert, image=[TENSOR, PICTURE])
    assert str(g.type_of(invert)) == "list[Image]"
    assert g.run(grid)[grid].shape[3] == 3


def test_hooks_know_the_size_of_a_value(g: Graph, session: Session) -> None:
    graph = session.graph(g_with_size(g), targets=["size"])
    assert graph.nodes["invert_image"].facts["image"] == {
        "width": 6, "height": 8, "batch": 1, "channels": 3,
    }  # fmt: skip


def g_with_size(g: Graph) -> Graph:
    g.ImageSize("size", image=g.InvertImage(image=PICTURE))
    return g


def test_events_and_results_know_no_nodes_that_stand_for_values(session: Session) -> None:
    heard: list[nodegraph.Event] = []
    g = Graph(session=session)
    invert = g.InvertImage(image=PICTURE)
    result = g.run(invert, listener=heard.append)
    started = next(event for event in heard if event.kind == "job.started")
    assert started.data["nodes"] == 1
    assert list(result) == ["invert_image.image"]
    assert list(result.passed) == ["invert_image.image"]


@pytest.fixture
def shared(tmp_path: Path, known_specs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The session that scripts share, with a home of its own."""
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))
    yield
    nodegraph.close()


def test_every_way_to_run_takes_values(shared: None) -> None:
    options: dict[str, Any] = {"targets": ["invert"], "progress": False}
    expected = 1 - TENSOR
    assert same(nodes.InvertImage(image=PICTURE), expected)
    result = nodegraph.run(INVERT, parameters={"image": PICTURE}, **options)
    assert result.nodes["invert"].status == "cached"
    assert same(result["invert"], expected)
    later = asyncio.run(nodegraph.run_async(INVERT, parameters={"image": TENSOR}, **options))
    assert same(later["invert"], expected)
    *_, last = nodegraph.stream(INVERT, parameters={"image": np.asarray(PICTURE)}, **options)
    assert isinstance(last, nodegraph.RunResult)
    assert same(last["invert"], expected)
    runs = nodegraph.map(INVERT, {"image": [PICTURE, 1 - TENSOR]}, **options)
    assert same(runs[0]["invert"], expected)
    assert same(runs[1]["invert"], 1 - (1 - TENSOR))
    assert "PIL image RGB 6 x 8" in runs._repr_html_()
    g = Graph()
    invert = g.InvertImage(image=TENSOR)
    assert same(g.run(invert, progress=False)[invert], expected)
    assert g.plan(invert).nodes["invert_image"].status == "hit"
    with raises(InvalidValue, given="shape (1, 8, 6, 3)"):
        nodegraph.map(INVERT, {"image": TENSOR}, **options)


def test_a_model_that_a_run_gave_computes_in_another(session: Session) -> None:
    g = Graph(session=session)
    load = g.LoadModel(model="tiny")
    by_link = g.EncodePrompt("by_link", encoder=load.text_encoder, text="a red apple")
    found = g.run(load, by_link)
    encoder = found[load.text_encoder]
    given = g.EncodePrompt("given", encoder=encoder, text="a red apple")
    assert g.run(given).nodes["given"].status == "cached"
    other = g.EncodePrompt("other", encoder=encoder, text="a fox")
    assert session.load_ahead(g, targets=[str(other)]) == session.resident()


@port_type
@dataclass(frozen=True)
class Animal:
    """A pack's own type."""

    legs: int


@port_type(parents=("Animal",))
@dataclass(frozen=True)
class Dog(Animal):
    """One that is another."""


@port_type
@dataclass(frozen=True)
class Chair:
    """One that is none."""

    legs: int


@node
def Legs(animal: Animal) -> int:
    """How many."""
    return animal.legs


class Curve:
    """A pack's own type that is no dataclass."""

    def __init__(self, points: list[float]) -> None:
        self.points = points


port_type(digest=lambda curve: str(curve.points))(Curve)


class Pipe:
    """Another, whose values can't be copied."""

    def __deepcopy__(self, memo: object) -> Any:
        raise TypeError("a pipe has two ends elsewhere")


port_type(digest=lambda pipe: "pipe")(Pipe)


@node
def LastPoint(curve: Curve) -> float:
    """Where it ends."""
    return curve.points[-1]


@node
def DrainPipe(pipe: Pipe) -> int:
    """Take it."""
    return 1


def test_an_object_of_a_packs_class_is_copied_when_it_is_given(
    tmp_path: Path, known_specs: Path
) -> None:
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    settings = Settings(home=tmp_path / "home")
    with Session(settings, nodes=[LastPoint, DrainPipe]) as session:
        g, curve = Graph(session=session), Curve([1.0, 2.0])
        last = g.node(LastPoint, curve=curve)
        workflow = Workflow.from_dict(
            {"format": "nodegraph/1", "nodes": {"last": {"type": "LastPoint"}}}
        )
        workflow.nodes["last"].inputs["curve"] = curve
        assert session.run(workflow, targets=["last"])["last"] == 2.0
        curve.points[-1] = 7.0
        assert g.run(last)[last] == 2.0
        assert curve.points == [1.0, 7.0]
        assert session.run(workflow, targets=["last"])["last"] == 7.0
        with raises(InvalidWorkflow, node="drain_pipe", port="pipe"):
            g.node(DrainPipe, pipe=Pipe())


def test_values_of_types_of_packs_fit_as_links_of_them_do(
    tmp_path: Path, known_specs: Path
) -> None:
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    with Session(Settings(home=tmp_path / "home"), nodes=[Legs]) as session:
        g = Graph(session=session)
        found = [g.node(Legs, animal=animal) for animal in (Animal(2), Dog(4), [Dog(3), Dog(4)])]
        result = g.run(*found)
        assert [result[each] for each in found] == [2, 4, [3, 4]]
        with raises(InvalidWorkflow, node="legs_4", port="animal"):
            g.node(Legs, animal=Chair(4))


def test_a_bypassed_node_hands_a_value_on(g: Graph) -> None:
    invert = g.InvertImage(image=PICTURE)
    size = g.ImageSize(image=invert)
    g.entry(invert).mode = "bypass"
    result = g.run(invert, size, check_mutation=True)
    assert same(result[invert], TENSOR)
    assert result[size.width] == 6


def test_a_parameter_stands_for_what_was_given(g: Graph) -> None:
    invert = g.InvertImage(image=PICTURE)
    g.parameter("photo", invert, "image", help="What is inverted.")
    assert same(g.run(invert, parameters={"photo": 1 - TENSOR})[invert], 1 - (1 - TENSOR))
    (photo,) = g.without_values().parameters.items()
    assert photo[0] == "photo"
    assert (photo[1].help, photo[1].required) == ("What is inverted.", True)
    g.InvertImage("other", image=TENSOR)
    g.InvertImage("third", image=TENSOR)
    assert list(g.without_values().parameters) == ["photo", "other_image", "third_image"]


def test_a_difference_of_values_is_told(session: Session) -> None:
    workflow = Workflow.from_dict(INVERT)
    session.run(workflow, parameters={"image": TENSOR}, targets=["invert"])
    given = workflow.with_parameters({"image": 1 - TENSOR})
    (why,) = session.why(given, node="invert")
    assert why.reasons == ("input image: a value in memory differs",)


def test_a_server_is_sent_no_values(g: Graph) -> None:
    g.InvertImage(image=PICTURE)
    with (
        Client("http://127.0.0.1:9") as client,
        raises(InvalidValue, node="invert_image", port="image"),
    ):
        client.submit(g)


def test_a_loop_goes_through_pictures_in_memory(session: Session) -> None:
    def built() -> tuple[Graph, Any]:
        g = Graph(session=session)
        body = g.subgraph("body")
        body.output("result", body.InvertImage(image=body.input("item", "Image")))
        return g, g.ForEach(items=[PICTURE, TENSOR], body=body)

    g, loop = built()
    assert [same(found, 1 - TENSOR) for found in g.run(loop)[loop.results]] == [True, True]
    again, loop = built()
    assert again.run(loop).nodes["for_each"].status == "cached"


def test_a_picture_that_is_cut_off_or_closed_is_refused(g: Graph) -> None:
    content = BytesIO()
    PICTURE.resize((64, 64)).save(content, "PNG")
    data = content.getvalue()
    with Image.open(BytesIO(data[: len(data) // 2])) as picture:
        with raises(InvalidWorkflow, node="invert_image", port="image"):
            g.InvertImage(image=picture)
        with raises(InvalidWorkflow, node="item", port="items"):
            g.Item(items=picture)
    with Image.open(BytesIO(data)) as closed:
        pass
    with raises(InvalidWorkflow, node="invert_image", port="image"):
        g.InvertImage(image=closed)


def test_one_value_for_a_list_of_anything_is_a_list_of_one(g: Graph) -> None:
    for one in (TENSOR, PICTURE, torch.zeros(3)):
        count = g.Length(items=one)
        assert g.run(count)[count] == 1
    first = g.Item(items=TENSOR)
    assert same(g.run(first)[first], TENSOR)


def test_a_picture_is_another_one_by_its_format_where_anything_is_taken(g: Graph) -> None:
    def found(picture: Image.Image) -> str | None:
        seen = g.Item(items=picture)
        return g.run(seen)[seen].format

    content = BytesIO()
    PICTURE.save(content, "PNG")
    with Image.open(content) as read:
        assert (found(read), found(PICTURE.copy())) == ("PNG", None)


def lying(orientation: int, form: str) -> Image.Image:
    """The image in a file that says how it lies, opened."""
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    PICTURE.save(file, form, exif=exif)
    return Image.open(file)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_turned_once_as_its_exif_data_says_in_a_file_or_in_memory(
    session: Session, form: str
) -> None:
    told, untold, changed = lying(6, form), lying(6, form), lying(1, form)
    untold.load()
    del untold.getexif()[0x0112]
    changed.getexif()[0x0112] = 6
    made = PICTURE.copy()
    made.getexif()[0x0112] = 6
    for picture, size in (
        (told, (8, 6)),
        (ImageOps.exif_transpose(told), (8, 6)),
        (untold, (6, 8)),
        (changed, (8, 6)),
        (made, (8, 6)),
        (PICTURE, (6, 8)),
    ):
        result = session.run(
            Workflow.from_dict(INVERT), parameters={"image": picture}, targets=["invert"]
        )
        assert result["invert"].shape == (1, size[1], size[0], 3)
    assert 0x0112 not in untold.getexif()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_turned_as_it_says_in_memory_beside_a_tag_that_no_file_holds(
    session: Session, form: str
) -> None:
    made, changed, upright, untold = PICTURE.copy(), *(lying(at, form) for at in (1, 6, 6))
    made.getexif()[0x0112] = changed.getexif()[0x0112] = 6
    upright.getexif()[0x0112] = 1
    untold.load()
    del untold.getexif()[0x0112]
    for picture, size in ((made, (8, 6)), (changed, (8, 6)), (upright, (6, 8)), (untold, (6, 8))):
        picture.getexif()[0x9286] = object()
        result = session.run(
            Workflow.from_dict(INVERT), parameters={"image": picture}, targets=["invert"]
        )
        assert result["invert"].shape == (1, size[1], size[0], 3)


@pytest.mark.parametrize("broken", [b"garbage", b"II*\0", b"Exif\0\0II*\0", "text"])
def test_a_picture_in_memory_with_broken_exif_data_is_taken_as_it_lies(
    session: Session, broken: bytes | str
) -> None:
    picture = PICTURE.copy()
    picture.info["exif"] = broken
    result = session.run(
        Workflow.from_dict(INVERT), parameters={"image": picture}, targets=["invert"]
    )
    assert result["invert"].shape == (1, 8, 6, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_an_orientation_that_is_no_whole_number_counts_in_memory_as_it_does_for_pillow(
    session: Session, form: str
) -> None:
    for orientation in (6.0, np.float32(6), np.uint16(6), "6", "left", (6,), 6.5):
        made, changed = PICTURE.copy(), lying(6, form)
        changed.load()
        for picture in (made, changed):
            picture.getexif()[0x0112] = orientation
            width, height = ImageOps.exif_transpose(picture).size
            result = session.run(
                Workflow.from_dict(INVERT), parameters={"image": picture}, targets=["invert"]
            )
            assert result["invert"].shape == (1, height, width, 3)


def test_what_comes_to_an_input_of_any_type_stays_as_it_is(session: Session) -> None:
    g = Graph(session=session)
    both = g.List(item_1=TENSOR, item_2=[PICTURE])
    found = g.run(both)[both]
    assert same(found[0], TENSOR)
    grid = g.ImageGrid(images=both)
    assert g.run(grid)[grid].shape[3] == 3
