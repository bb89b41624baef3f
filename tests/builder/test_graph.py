"""Graphs that a script writes: each call adds a node, and tells at once what is wrong."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import nodegraph
from nodegraph import Graph, NodegraphError, Session, Workflow, node
from nodegraph.errors import InvalidValue, InvalidWorkflow
from tests.messages import raises


def picture(g: Graph) -> Any:
    """An image from words, small."""
    load = g.LoadModel("load", model="tiny")
    positive = g.EncodePrompt(encoder=load.text_encoder, text="a red apple")
    size = g.EmptyLatent(width=64, height=64)
    sample = g.KSampler(model=load.model, positive=positive, latent=size, seed=7, steps=2)
    return g.VAEDecode(vae=load.vae, latent=sample)


def test_nodes_are_named_after_their_types(g: Graph) -> None:
    g.SaveImage("apple", image=picture(g), name="red")
    g.LoadModel(model="tiny")
    g.LoadModel(model="tiny")
    assert list(g) == [
        *("load", "encode_prompt", "empty_latent", "k_sampler", "vae_decode", "apple"),
        *("load_model", "load_model_2"),
    ]


def test_what_is_built_is_what_a_file_would_say(g: Graph) -> None:
    decoded = picture(g)
    g.SaveImage("save", image=decoded.image, name="red")
    assert g.to_dict()["nodes"]["vae_decode"] == {
        "type": "VAEDecode",
        "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "k_sampler"}},
    }
    assert g.nodes["save"].inputs == {"image": {"from": "vae_decode.image"}, "name": "red"}
    assert list(g.check()) == []


WRONG: list[tuple[Callable[[Graph], Any], str]] = [
    (lambda g: g.KSampeler(), "no node type `KSampeler`. Did you mean `KSampler`"),
    (lambda g: g.node("SavImage"), "no node type `SavImage`. Did you mean `SaveImage`"),
    (lambda g: g["load"].vea, "`load` .LoadModel.: has no output `vea`. Did you mean `vae`"),
    (lambda g: g.VAEDecode(vae=g["load"].vae, latnt=1), "`latnt`: has no such input. Did.*latent"),
    (lambda g: g.VAEDecode(vae=g["load"], latent=g["k_sampler"]), "several outputs.*`load.vae`"),
    (
        lambda g: g.VAEDecode(vae=g["load"].model, latent=g["k_sampler"]),
        "`vae`: is given `load.model`.*given: DiffusionModel; expected: Vae.*Write `load.vae`",
    ),
    (lambda g: g.InvertImage(image=g["k_sampler"]), "given: Latent; expected: Image.*Put a"),
    (
        lambda g: g.set(g["k_sampler"], latent=g["load"].vae),
        "`latent`: is given `load.vae`.*Add a node that outputs Latent, such as EmptyLatent or",
    ),
    (
        lambda g: g.InvertImage(image=g["encode_prompt"]),
        "expected: Image.*Add a node that outputs Image, such as LoadImage or VAEDecode",
    ),
    (
        lambda g: g.InvertImage(),
        "is missing.*Add a node that outputs Image, such as LoadImage or V",
    ),
    (lambda g: g.InvertImage(image="a.png"), "does not take a literal, only an output.*LoadImage"),
    (lambda g: g.InvertImage(g["vae_decode"]), "expected: inputs by their names"),
    (lambda g: g.VAEDecode(vae=g["load"].vae), "`latent`: is missing .expected: Latent"),
    (lambda g: g.EmptyLatent(width=63), "is not a multiple of 8.*56 and 64"),
    (lambda g: g.set(g["k_sampler"], sampler="eulr"), "not one of its choices.*`euler`"),
    (lambda g: g.set("sampler", seed=1), "no node `sampler`. Did you mean `k_sampler`"),
    (lambda g: setattr(g["k_sampler"], "seed", 1), r"write `graph.set\(k_sampler, seed=…\)`"),
    (lambda g: g.parameter("seed", g["k_sampler"], "sed"), "Did you mean `seed`"),
    (lambda g: g.InvertImage(image=picture(Graph(session=g.session))), "of another graph"),
    (lambda g: g.run("decode"), "no node `decode`. Did you mean `vae_decode`"),
    (lambda g: g.ForEach(items=["x"], body="nothing"), "does not name a subgraph"),
    (lambda g: g.run(targets="vae_decode"), r"expected: a list of them: \['vae_decode'\]"),
    (
        lambda g: nodegraph.run(g, targets=[g["load"]]),
        "`targets` has the wrong type .given: .<node load .*expected: a list of names",
    ),
    (lambda g: g.plan([g["load"]]), r"not a node of the graph .given: \[<node load"),
    (lambda g: g.parameter("seed", "k_sampler", 3), "is for an input that does not exist. Valid"),
    (lambda g: g.subgraph(3), "the name of a subgraph is a text .given: 3"),
    (lambda g: g["load"][0], "has no output `0`. Valid: model"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong_is_told_by_the_call_that_says_it(
    g: Graph, call: Callable[[Graph], Any], message: str
) -> None:
    picture(g)
    before = g.to_json()
    with pytest.raises((NodegraphError, AttributeError), match=message):
        call(g)
    assert g.to_json() == before


def test_all_that_is_wrong_with_a_call_is_told_together(g: Graph) -> None:
    with pytest.raises(InvalidWorkflow) as caught:
        g.EmptyLatent(width="64", hight=64)
    assert [problem.port for problem in caught.value.problems] == ["width", "hight"]


@pytest.mark.parametrize(
    "given",
    [
        {"session": 3},
        {"title": 3},
        {"tile": "x"},
        {"inputs": 3},
        {"requires": ["x"]},
        {"nodes": {"a": {"type": "Range"}}},
    ],
)
def test_what_a_graph_is_made_of_is_checked_at_once(given: dict[str, Any]) -> None:
    with raises((InvalidValue, TypeError)):
        Graph(**given)


@pytest.mark.parametrize("name", ["a.b", "a/b", ""])
def test_a_name_that_no_node_can_have_is_refused(g: Graph, name: str) -> None:
    with raises(InvalidWorkflow):
        g.EmptyLatent(name)


def test_a_name_is_taken_once(g: Graph) -> None:
    g.EmptyLatent("size")
    with raises(InvalidValue):
        g.EmptyLatent("size")


def test_node_types_and_ports_are_completed(g: Graph) -> None:
    load = g.LoadModel(model="tiny")
    assert {"LoadModel", "KSampler", "run", "to_json"} <= set(dir(g))
    assert dir(load) == ["model", "text_encoder", "vae"]
    assert "model" in inspect.signature(g.KSampler).parameters
    assert "seed" in (g.KSampler.__doc__ or "")


def test_a_list_maps_what_takes_one_item(g: Graph) -> None:
    """The types of what follows know it: the images are a list then."""
    load = g.LoadModel(model="tiny")
    prompts = g.EncodePrompt(encoder=load.text_encoder, text=g.Lines(text="a\nb"))
    with raises(InvalidWorkflow, node="invert_image", port="image", given="list[Conditioning]"):
        g.InvertImage(image=prompts)
    again = Graph.from_json(g.to_json())
    again._session = g.session
    with raises(InvalidWorkflow, node="invert_image", port="image", given="list[Conditioning]"):
        again.InvertImage(image=again["encode_prompt"])


def test_a_list_of_outputs_is_given_as_a_list(g: Graph) -> None:
    numbers = [g.Integer(value=at) for at in range(10)]
    found = g.Item(items=[*numbers, 10], index=10)
    assert g.run(g.Length(items=numbers)).outputs["length.number"] == 10
    assert g.run(found).outputs["item.output"] == 10
    many = g.Length(items=[numbers[0], None, *range(5_000), *numbers * 7])
    assert len(g.nodes) < 40, "values are one item, and what is left makes a tree"
    assert g.run(many).outputs["length_2.number"] == 5_072
    before = g.to_json()
    with raises(InvalidWorkflow, node="image_grid", port="images", given="list[int]"):
        g.ImageGrid(images=numbers)
    assert g.to_json() == before


REFUSED: list[tuple[Callable[[Graph, Any], Any], str]] = [
    (lambda g, image: g.ImageGrid(images=[image, image], columns="x"), "wrong type"),
    (lambda g, image: g.ImageGrid(images=[image, g["load"]]), "several outputs.*expected: Image"),
    (lambda g, image: g.ImageGrid(images=[image, Graph().EmptyImage()]), "of another graph"),
    (lambda g, image: g.ImageGrid(images=[[image], [image]]), "lists within lists"),
    (lambda g, image: g.ImageGrid(images=[image, [image]]), "lists within lists"),
    (lambda g, image: g.Length(items=[{"a": image}]), "or in a dictionary"),
    (lambda g, image: g.InvertImage(image=g["n"] + 1), "given `n . 1`, .*given: int; expected: Im"),
    (lambda g, image: g["n"] + Graph(session=g.session).Integer(), "outputs of the same graph"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_refused_call_leaves_the_graph_as_it_was(
    g: Graph, call: Callable[[Graph, Any], Any], message: str
) -> None:
    g.LoadModel("load", model="tiny")
    g.Integer("n", value=3)
    image = g.EmptyImage()
    before = g.to_json()
    with pytest.raises(NodegraphError, match=message):
        call(g, image)
    assert g.to_json() == before


def endless_values() -> dict[str, Any]:
    """Values that hold themselves, or are thousands of levels deep."""
    itself: list[Any] = []
    itself.append({"a": itself})
    deep: Any = []
    mapped: Any = {}
    for _ in range(5000):
        deep, mapped = [deep], {"a": mapped}
    return {"itself": itself, "deep": deep, "mapped": mapped, "an image": [np.ones((2, 2)), deep]}


@pytest.mark.parametrize("name", ["itself", "deep", "mapped", "an image"])
def test_an_endless_value_is_told_of(g: Graph, session: Session, name: str) -> None:
    value = endless_values()[name]
    with raises(InvalidWorkflow, node="v", port="value"):
        g.ShowValue("v", value=value)
    written = {"v": {"type": "ShowValue", "inputs": {"value": value}}}
    with raises(InvalidWorkflow, node="v", port="value"):
        session.run(Workflow.from_dict({"format": "nodegraph/1", "nodes": written}))


@pytest.mark.parametrize("name", ["itself", "deep", "mapped", "an image"])
def test_an_endless_item_beside_an_output_is_told_of(g: Graph, name: str) -> None:
    number = g.Integer("i", value=1)
    with raises(InvalidWorkflow, node="v", port="value"):
        g.ShowValue("v", value=[number, endless_values()[name]])


def doubled_value(kind: str) -> Any:
    """A few lists or mappings, each of which holds the one before it twice."""
    value: Any = {"live": np.ones((2, 2)), "list": 1, "mapping": 1}[kind]
    for _ in range(60):
        value = {"a": value, "b": value} if kind == "mapping" else [value, value]
    return value


@pytest.mark.parametrize("kind", ["list", "mapping", "live"])
def test_a_value_that_doubles_with_each_level_is_told_of_at_once(
    g: Graph, session: Session, kind: str
) -> None:
    value = doubled_value(kind)
    with raises(InvalidWorkflow, node="v", port="value"):
        g.ShowValue("v", value=value)
    written = {"v": {"type": "ShowValue", "inputs": {"value": value}}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": written})
    with raises(InvalidWorkflow, node="v", port="value"):
        session.run(workflow)
    if kind != "live":
        with raises(InvalidValue, node="v", port="value"):
            workflow.to_json()


def test_what_stands_in_a_value_twice_counts_as_often(g: Graph) -> None:
    value: Any = [1]
    for _ in range(12):
        value = [value, value]
    v = g.ShowValue("v", value=value)
    assert g.entry(v).inputs["value"] == value


DOORS: dict[str, Callable[[Graph, Any], Any]] = {
    "ui": lambda g, value: (setattr(g, "ui", value), g.run(g.EmptyImage())),
    "title": lambda _, value: Graph(value),
    "extra": lambda _, value: Graph(extra=value),
    "name": lambda g, value: g.EmptyImage(value),
    "node": lambda g, value: g.entry(value),
    "output": lambda g, value: g.subgraph("block").output("out", value),
    "parameters": lambda g, value: g.run(g.EmptyImage(), parameters=value),
    "deadline": lambda g, value: g.run(g.EmptyImage(), deadline=value),
    "from": lambda g, value: g.session.run(
        Workflow.from_dict(
            {
                "format": "nodegraph/1",
                "nodes": {"v": {"type": "ShowValue", "inputs": {"value": {"from": value}}}},
            }
        )
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_value_that_is_too_deep_for_words_is_refused_by_every_door(g: Graph, door: str) -> None:
    with pytest.raises(NodegraphError, match=r"\[\[\["):
        DOORS[door](g, endless_values()["deep"])


def test_a_number_is_compared_with_no_value_however_deep(g: Graph) -> None:
    with pytest.raises(TypeError, match="cannot be compared"):
        _ = g.Integer(value=1) < endless_values()["deep"]


def test_inputs_are_changed_in_place(g: Graph) -> None:
    picture(g)
    g.set(g["k_sampler"], seed=9, cfg=3)
    g.entry("k_sampler").note = "more"
    assert g.nodes["k_sampler"].inputs["seed"] == 9
    assert g.nodes["k_sampler"].inputs["steps"] == 2
    assert g.nodes["k_sampler"].note == "more"


def test_pythons_values_are_written_as_json(g: Graph) -> None:
    class Method(str, Enum):
        EULER = "euler"

    picture(g)
    g.set("k_sampler", seed=np.int64(5), cfg=np.float32(1.5), sampler=Method.EULER)
    g.LoadImage(path=Path("a.png"))
    said = Workflow.from_json(g.to_json())
    inputs = said.nodes["k_sampler"].inputs
    assert (inputs["seed"], inputs["cfg"], inputs["sampler"]) == (5, 1.5, "euler")
    assert said.nodes["load_image"].inputs == {"path": "a.png"}


def test_an_output_has_no_truth_before_the_run(g: Graph) -> None:
    with raises(TypeError):
        bool(g.Boolean().value)


def test_an_output_is_compared_with_outputs_alone(g: Graph) -> None:
    load, number, choice = g.LoadModel(model="tiny"), g.Integer(), g.Boolean().value
    assert load.vae == load.vae != load.model
    assert load == g["load_model"] != load.vae
    assert number == number.number
    assert load.model in {load.vae, load.model}
    assert number != Graph(session=g.session).Integer()
    before = g.to_json()
    for compared in (load, number, choice, number * 2):
        with raises(TypeError):
            _ = compared == 3
        with raises(TypeError):
            _ = compared < 3
    assert g.to_json() == before


def test_what_needs_a_value_says_which_node_does_it(g: Graph) -> None:
    number, numbers, load = g.Integer(), g.Range(stop=3), g.LoadModel(model="tiny")
    for made in (int, float, round, abs, range):
        with raises(TypeError):
            made(number * 2)
    for taken in (list, len, lambda given: given.numbers[0]):
        with raises(TypeError):
            taken(numbers)
    with raises(TypeError):
        _, _, _ = load


def test_it_goes_where_a_workflow_goes(g: Graph, session: Session, tmp_path: Path) -> None:
    g.SaveImage(image=picture(g))
    g.parameter("seed", g["k_sampler"], "seed", help="Of the noise.")
    g.save(tmp_path / "wf.json")
    assert Workflow.load(tmp_path / "wf.json") == g
    assert Graph.load(tmp_path / "wf.json") == g
    assert session.check(g.with_parameters({"seed": 3})) == []
    assert pickle.loads(pickle.dumps(g)) == copy.deepcopy(g) == g


def test_rich_prints_graphs_and_plans(g: Graph) -> None:
    doubled = g.Calculate(a=g.Integer("[bold]n"), operation="*", b=2)
    console = Console(width=100, record=True, file=StringIO())
    console.print(g, g.plan(doubled))
    shown = console.export_text()
    assert 'a: [bold]n, operation="*", b=2' in shown
    assert "2 nodes run" in shown


def test_it_is_planned_and_run(g: Graph) -> None:
    start = g.Integer(value=20)
    doubled = g.Calculate(a=start, operation="*", b=2)
    assert list(g.plan(doubled).nodes) == ["integer", "calculate"]
    assert g.run(doubled).outputs["calculate.number"] == 40
    g.set(start, value=4)
    assert g.run(targets=["calculate"]).outputs["calculate.number"] == 8


def test_what_stands_for_an_output_finds_it_in_the_result(g: Graph) -> None:
    number = g.Calculate(a=2, operation="+", b=2)
    made = g.EmptyImage(width=8, height=4)
    size = g.ImageSize(image=made)
    result = g.run(size, number, made)
    assert (result[number], result[size.width], result[size["height"]]) == (4, 8, 4)
    assert result.image(made).size == result.images(made)[0].size == (8, 4)
    handles: list[Any] = [number, size.width, size]
    assert [handle in result for handle in handles] == [True, True, False]
    with raises(KeyError):
        result[size]


def test_targets_are_nodes_or_names(g: Graph) -> None:
    number, other = g.Integer(value=3), g.Integer(value=4)
    assert dict(g.run(targets=[number, "integer_2"])) == dict(g.run(number, other))


def test_what_fails_is_raised(g: Graph) -> None:
    wrong = g.Calculate(a=1, operation="/", b=0)
    with raises(NodegraphError, node="calculate", port="b", given="0"):
        g.run(wrong)
    assert g.run(wrong, check=False).status == "failed"


def test_a_file_is_read_where_its_inputs_lie(
    g: Graph, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_HOME", str(session.settings.home))
    g.LoadText(path="words.txt")
    found = []
    for name in ("with", "without"):
        folder = tmp_path / name
        folder.mkdir()
        g.save(folder / "wf.json")
        (folder / ("words.txt" if name == "with" else "other.txt")).write_text("a fox")
        found.append(len(Graph.load(folder / "wf.json").check("load_text")))
    nodegraph.close()
    assert found == [0, 1]


def test_node_types_of_a_pack_are_below_its_name(tmp_path: Path, session: Session) -> None:
    (tmp_path / "toys.py").write_text(
        "from nodegraph import node\n\n@node\ndef Double(value: int) -> int: return 2 * value"
    )
    with Session(session.settings, packs=[tmp_path / "toys.py"]) as own:
        g = Graph(session=own)
        twice = g.toys.Double(value=g.toys.Double(value=3))
        assert g.nodes["double_2"].type == "toys:Double"
        assert g.run(twice).outputs["double_2.number"] == 12
        assert dir(g.toys) == ["Double"]
        assert "toys" in dir(g)
        with raises(AttributeError):
            g.toys.Duble(value=3)


def test_building_imports_no_torch(session: Session) -> None:
    code = (
        "import sys; from nodegraph import Graph; g = Graph(); load = g.LoadModel(model='tiny')\n"
        "g.EncodePrompt(encoder=load.text_encoder, text='x')\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'networkx'} & set(sys.modules)))"
    )
    environment = {**os.environ, "NODEGRAPH_HOME": str(session.settings.home)}
    environment.pop("NODEGRAPH_LEAVE_OUT")  # reading variables takes pydantic
    environment.pop("NODEGRAPH_STORE")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@node
def Addy(a: int = 1) -> int:
    """One more."""
    return a + 1


def test_a_function_stands_for_its_node_type(session: Session) -> None:
    with Session(session.settings, nodes=[Addy]) as own:
        g = Graph(session=own)
        assert str(g.node(Addy, a=3)) == "addy"
        with raises(NodegraphError):
            g.node(len)


def test_copies_keep_session_and_folder(session: Session, tmp_path: Path) -> None:
    with Session(session.settings, nodes=[Addy]) as own:
        g: Any = Graph(session=own, inputs=tmp_path)
        g.parameter("a", g.Addy(a=3), "a")
        for found in (
            g.with_parameters({"a": 3}),
            g.with_inputs({"addy.a": 3}),
            g.with_modes({"addy": None}),
            copy.copy(g),
            copy.deepcopy(g),
        ):
            assert found.run("addy")["addy"] == 4
            assert found.session is own
