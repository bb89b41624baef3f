"""Node types called outside a graph: they compute at once."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nodegraph
from nodegraph import Event, Graph, InvalidValue, Latent, node, nodes
from nodegraph.errors import InvalidWorkflow, NodeFailed
from tests.messages import raises

COUNTED = """
from pathlib import Path
from nodegraph import Image, node

@node
def Darker(image: Image, times: int = 2) -> Image:
    with open({file!r}, "a") as file:
        file.write("x")
    return image / times
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, known_specs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    found = tmp_path / "home"
    copytree(known_specs, found / "cache" / "specs")
    monkeypatch.setenv("NODEGRAPH_HOME", str(found))
    monkeypatch.chdir(tmp_path)
    yield found
    nodegraph.close()


def test_a_call_gives_the_value(home: Path) -> None:
    assert nodes.Calculate(a=3, operation="*", b=4) == 12
    image = torch.rand(2, 8, 6, 3)
    assert torch.equal(nodes.InvertImage(image=image), 1 - image)
    size = nodes.ImageSize(image=image)
    assert (size.width, size.height, size.batch) == (6, 8, 2)


def test_equal_values_are_answered_from_the_cache(home: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    (home / "packs").mkdir()
    (home / "packs" / "toys.py").write_text(COUNTED.format(file=str(count)))
    image = torch.rand(1, 8, 6, 3)
    for _ in range(3):
        assert torch.equal(nodes.toys.Darker(image=image.clone()), image / 2)
    assert count.read_text() == "x"
    nodes.toys.Darker(image=image, times=4)
    nodes.toys.Darker(image=image + 1)
    assert count.read_text() == "xxx"


def test_a_sink_gives_its_files(home: Path) -> None:
    (file,) = nodes.SaveImage(image=torch.zeros(1, 8, 8, 3), name="black")
    assert file.name == "black_00001.png"
    assert file.is_file()


def test_pictures_of_other_libraries_are_taken_where_they_mean_one_thing(home: Path) -> None:
    red = Image.new("RGB", (6, 8), (255, 0, 0))
    for picture in (red, np.asarray(red), np.asarray(red) / 255, np.asarray(red, np.float32) / 255):
        inverted = nodes.InvertImage(image=picture)
        assert inverted.shape == (1, 8, 6, 3)
        assert inverted[0, 0, 0].tolist() == [0, 1, 1]
    assert nodes.InvertMask(mask=red.getchannel("R")).shape == (1, 8, 6)
    with raises(InvalidWorkflow, node="InvertImage", port="image", given="PIL image F 6 x 8"):
        nodes.InvertImage(image=red.convert("F"))


def test_a_tensor_that_is_no_picture_is_refused_with_what_to_write(home: Path) -> None:
    levels = torch.full((1, 8, 6, 3), 100, dtype=torch.uint8)
    mask = levels[..., 0]
    with raises(InvalidWorkflow, node="InvertImage", given="uint8 [1, 8, 6, 3], values 100 to 100"):
        nodes.InvertImage(image=levels)
    with raises(InvalidWorkflow, node="SaveImage", given="int64 [1, 8, 6, 3], values 100 to 100"):
        nodes.SaveImage(image=levels.long())
    with raises(InvalidWorkflow, node="InvertMask", given="uint8 [1, 8, 6], values 100 to 100"):
        nodes.InvertMask(mask=mask)
    with raises(InvalidWorkflow, node="InvertMask", given="bool [1, 8, 6], values 1 to 1"):
        nodes.InvertMask(mask=mask > 50)
    with raises(InvalidWorkflow, node="VAEDecode", port="latent", given="uint8 [1, 8, 6, 3]"):
        nodes.VAEDecode(latent=levels)
    with raises(InvalidWorkflow, node="ImageGrid", given="uint8 [1, 8, 6, 3], values 100 to 100"):
        nodes.ImageGrid(images=[levels / 255, levels])
    picture = Image.new("RGB", (6, 8), (100, 100, 100))
    grid = nodes.ImageGrid(images=[levels / 255, picture, np.asarray(picture)], columns=3)
    assert grid[grid < 1].tolist() == pytest.approx([100 / 255] * 3 * 8 * 6 * 3)


@pytest.mark.parametrize("value", [object(), {1}, len, 1j, int, date(2026, 1, 1), np.ones(1)])
def test_what_is_of_no_type_of_an_input_is_told_before_the_node_meets_it(
    home: Path, value: Any
) -> None:
    with raises(InvalidWorkflow, node="Calculate", port="a"):
        nodes.Calculate(a=value, operation="*", b=2)
    with raises(InvalidWorkflow, node="VAEDecode", port="vae"):
        nodes.VAEDecode(vae=value, latent=Latent(torch.zeros(1, 4, 8, 8), 64, 64))


def test_numbers_of_other_libraries_fit(home: Path) -> None:
    for value in (np.float32(3), np.array(3.0), torch.tensor(3.0), Fraction(3)):
        assert nodes.Calculate(a=value, operation="*", b=2) == 6


def test_what_is_wrong_is_told_by_the_call(home: Path) -> None:
    image = torch.zeros(1, 8, 8, 3)
    with raises(AttributeError):
        nodes.InvertImag(image=image)
    with raises(InvalidWorkflow):
        nodes.InvertImage(imag=image)
    with raises(InvalidWorkflow, node="InvertImage", port="image"):
        nodes.InvertImage()
    with raises(InvalidWorkflow, node="Calculate", port="a", given='"3"'):
        nodes.Calculate(a="3")
    with raises(InvalidValue, given="Tensor"):
        nodes.InvertImage(image)
    with raises(InvalidValue, node="Calculate", port="b", given="0"):
        nodes.Calculate(a=1, operation="/", b=0)
    with raises(
        InvalidWorkflow,
        node="InvertImage",
        port="image",
        given="<node empty_image (EmptyImage): image>",
    ):
        nodes.InvertImage(image=Graph().EmptyImage())
    with raises(InvalidValue, given="2 values without one"):
        nodes.EmptyImage(8, 8)
    with raises(InvalidWorkflow, node="InvertImage", port="image"):
        nodes.InvertImage(image=[image])
    with raises(
        InvalidWorkflow,
        node="InvertImage",
        port="image",
        given="float32 array [1, 8, 8, 3], values 255 to 255",
    ):
        nodes.InvertImage(image=image.numpy() + 255)
    with raises(
        InvalidWorkflow, node="InvertImage", port="image", given="float32 [8, 8], values 0 to 0"
    ):
        nodes.InvertImage(image=torch.zeros(8, 8))


PLACES = """
from nodegraph import Expand, InvalidValue, Value, node

@node
def Bad(a: int = 1) -> int:
    raise ValueError("no number")

@node
def Picky(a: int = 1) -> int:
    raise InvalidValue("is too small", port="a", given=str(a))

@node
def Outer(a: int = 1) -> int:
    return Expand({"inner": {"type": "toys:Bad", "inputs": {"a": Value(a)}}}, {"number": "inner"})
"""


def test_faults_name_the_function_that_was_called(home: Path) -> None:
    (home / "packs").mkdir()
    (home / "packs" / "toys.py").write_text(PLACES)
    with raises(NodeFailed, node="toys:Bad"):
        nodes.toys.Bad()
    with raises(InvalidValue, node="toys:Picky", port="a", given="3"):
        nodes.toys.Picky(a=3)
    with raises(NodeFailed, node="toys:Outer/inner"):
        nodes.toys.Outer()
    with raises(InvalidWorkflow, node="LoadImage", port="path"):
        nodes.LoadImage(path="absent.png")


def test_several_outputs_go_to_another_process(home: Path) -> None:
    size = nodes.ImageSize(image=torch.rand(1, 8, 6, 3))
    found = pickle.loads(pickle.dumps(size))
    assert (found, found.width, type(found)) == (size, 6, type(size))


def test_types_are_completed(home: Path) -> None:
    assert {"InvertImage", "KSampler"} <= set(dir(nodes))


def test_an_edited_pack_is_never_stale(home: Path) -> None:
    (home / "packs").mkdir()
    pack = home / "packs" / "toys.py"
    pack.write_text(
        "from nodegraph import node\n@node\ndef One(a: int = 1) -> int:\n    return a\n"
    )
    graph: Any = Graph()
    assert nodes.toys.One(a=3) == 3
    graph.toys.One(a=2)
    pack.write_text(
        "from nodegraph import node\n@node\ndef One(a: int = 1, b: int = 5) -> int:\n"
        "    return a + b\n@node\ndef Two(a: int = 1) -> int:\n    return 2 * a\n"
    )
    assert nodes.toys.One(a=3, b=9) == 12
    assert nodes.toys.Two(a=3) == 6
    assert graph.run(graph.toys.Two(a=4), progress=False)["two"] == 8


def test_a_graph_finds_the_packs_of_a_home_that_came_later(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph: Any = Graph()
    graph.EmptyImage()
    other = tmp_path / "other"
    copytree(home, other)
    (other / "packs").mkdir()
    text = "from nodegraph import node\n@node\ndef One(a: int = 1) -> int:\n    return a\n"
    (other / "packs" / "toys.py").write_text(text)
    monkeypatch.setenv("NODEGRAPH_HOME", str(other))
    assert str(graph.toys.One(a=2)) == "one"


def test_a_plan_knows_what_the_shared_session_has_in_memory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_DISK_CACHE", "0")
    g = Graph()
    found = g.Calculate(a=g.Integer(value=3), operation="*", b=4)
    assert g.plan(found).nodes["calculate"].status == "run"
    assert g.run(found, progress=False)["calculate"] == 12
    plan = g.plan(found).nodes["calculate"]
    assert (plan.status, plan.place) == ("hit", "memory")


@node
def Outer(a: int = 1) -> float:
    """Compute with other nodes."""
    found: float = nodes.Calculate(a=a, operation="+", b=nodes.Calculate(a=1, operation="*", b=2))
    return found


@node(deterministic=False)
def Endless() -> int:
    """Run itself."""
    workflow = {"format": "nodegraph/1", "nodes": {"n": {"type": "Endless"}}}
    found: int = nodegraph.run(workflow, targets=["n"], nodes=[Endless], progress=False)["n"]
    return found


def test_nodes_and_listeners_may_call_nodes(home: Path) -> None:
    heard = []

    def listener(event: Event) -> None:
        if event.kind in {"job.started", "node.started"}:
            heard.append(nodes.Calculate(a=2, operation="+", b=2))

    workflow = {"format": "nodegraph/1", "nodes": {"n": {"type": "Outer"}}}
    result = nodegraph.run(
        workflow, targets=["n"], nodes=[Outer], listener=listener, progress=False
    )
    assert result["n"] == 3
    assert heard == [4, 4]


def test_a_node_that_runs_itself_is_refused(home: Path) -> None:
    with raises(nodegraph.NodegraphError, node="n", given="8 runs that wait for each other"):
        Endless()


@node(deterministic=False)
def Closing() -> int:
    """Close what runs it."""
    nodegraph.close()
    return 1


def test_a_node_cannot_close_what_runs_it(home: Path) -> None:
    workflow = {"format": "nodegraph/1", "nodes": {"n": {"type": "Closing"}}}
    with raises(nodegraph.NodegraphError, node="n"):
        nodegraph.run(workflow, targets=["n"], nodes=[Closing], progress=False)


def test_calls_do_not_wait_for_mapped_runs(home: Path) -> None:
    was_called = threading.Event()

    @node(deterministic=False)
    def Wait(a: int) -> int:
        """Wait, but for the first."""
        assert not a or was_called.wait(300)
        return a

    workflow = {
        "format": "nodegraph/1",
        "parameters": {"a": "n.a"},
        "nodes": {"n": {"type": "Wait"}},
    }
    runs = nodegraph.map(workflow, {"a": [0, 1]}, targets=["n"], nodes=[Wait], progress=False)
    assert runs[0]["n"] == nodes.Calculate(a=0, operation="*", b=2)
    was_called.set()
    assert runs[1]["n"] == 1
