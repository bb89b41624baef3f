"""Plugins of packs: inputs offer them by name, and keys of results contain their code."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import ref

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.core.plugins import PluginGroup
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidWorkflow
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import pack_at
from nodegraph.packs.registry import Registry
from tests.messages import raises

_STUDIO = """
from typing import Annotated, ClassVar
from dataclasses import dataclass, field
from nodegraph import Choices, node
from nodegraph.core.plugins import PluginGroup

COLOURS = PluginGroup("toys.colours", ["grey"])
Colour = Annotated[str, Choices(["grey"], plugins=COLOURS)]

def code_of(colour: str) -> int:
    return 0 if colour == "grey" else COLOURS[colour].load().code

@node
def Paint(colour: Colour = "grey") -> int:
    return code_of(colour)

@node
def Mix(colours: list[Colour]) -> list[int]:
    return [code_of(colour) for colour in colours]

@node
def Name(name: str) -> str:
    return name
"""
_BOX = """
from dataclasses import dataclass, field
from typing import Any, ClassVar

@dataclass(frozen=True)
class Paint:
    plugin_group: ClassVar[str] = "toys.colours"
    name: str
    code: int
    module: str = __name__
    record: dict[str, Any] = field(default_factory=dict)

RED = Paint("red", {red})
BLUE = Paint("{blue}", 2)
"""


class Shop:
    """A home and a folder of packs: a studio whose nodes take colours, and a box of them."""

    def __init__(self, folder: Path) -> None:
        self.packs = folder / "packs"
        self.packs.mkdir()
        (self.packs / "studio.py").write_text(_STUDIO)
        self.box()
        self.settings = Settings(home=folder / "home", packs=(self.packs,))

    def box(self, red: int = 1, blue: str = "blue") -> None:
        (self.packs / "box.py").write_text(_BOX.format(red=red, blue=blue))

    def run(self, session: Session, node_type: str, **inputs: Any) -> tuple[str, Any]:
        nodes = {
            "name": {"type": "studio:Name", "inputs": {"name": "red"}},
            "it": {"type": f"studio:{node_type}", "inputs": inputs},
        }
        flow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        result = session.run(flow, targets=["it"])
        assert result.is_ok, result.errors
        return result.nodes["it"].status, result["it"]

    def registry(self) -> Registry:
        packs = [pack_at(path) for path in sorted(self.packs.iterdir())]
        return Registry(packs, manifests=ManifestCache(self.packs.parent / "cache"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def session(shop: Shop) -> Iterator[Session]:
    with Session(shop.settings) as session:
        yield session


def offered(spec: NodeSpec | None) -> Any:
    assert spec is not None
    schema = spec.inputs[0].json_schema or {}
    return schema.get("items", schema)["enum"]


def test_inputs_offer_what_packs_bring_also_where_no_pack_is_imported(shop: Shop) -> None:
    for _ in range(2):  # the second time from the manifests
        registry = shop.registry()
        assert offered(registry.spec("studio:Paint")) == ["grey", "red", "blue"]
        assert offered(registry.spec("studio:Mix")) == ["grey", "red", "blue"]
        assert registry.problems == []
    (shop.packs / "box.py").unlink()
    assert offered(shop.registry().spec("studio:Paint")) == ["grey"]


@pytest.mark.parametrize("taken", ["grey", "red"])
def test_one_whose_name_is_taken_is_left_out_and_told(shop: Shop, taken: str) -> None:
    shop.box(blue=taken)
    registry = shop.registry()
    assert offered(registry.spec("studio:Paint")) == ["grey", "red"]
    (problem,) = registry.problems
    assert f"its colour `{taken}` is left out" in problem
    assert registry.faults("box") == [problem]


def test_a_slip_in_one_leaves_it_out_and_hurts_no_other(shop: Shop) -> None:
    more = 'WRONG = Paint("wrong", 3, record=5)\nNAMELESS = Paint("", 4)\n'
    with (shop.packs / "box.py").open("a") as file:
        file.write(more)
    registry = shop.registry()
    assert offered(registry.spec("studio:Paint")) == ["grey", "red", "blue"]
    wrong, nameless = registry.problems
    assert "`box`: its colour `wrong` is left out: an argument of `@colour` is wrong" in wrong
    assert "its colour is left out: its name is not a text" in nameless


def test_a_closed_session_leaves_none_behind(shop: Shop) -> None:
    shop.box(blue="violet")
    with Session(shop.settings) as session:
        assert shop.run(session, "Paint", colour="violet")[1] == 2
        assert "violet" in PluginGroup("toys.colours")
    assert "violet" not in PluginGroup("toys.colours")


def test_a_registry_that_is_dropped_is_not_kept_by_what_it_offered(shop: Shop) -> None:
    shop.box(blue="teal")
    registry = shop.registry()
    dropped = ref(registry)
    assert "teal" in PluginGroup("toys.colours")
    del registry
    gc.collect()
    assert dropped() is None
    assert "teal" not in PluginGroup("toys.colours")


def test_one_that_is_not_there_is_refused_with_the_nearest(shop: Shop, session: Session) -> None:
    with raises(InvalidWorkflow, node="it", port="colour", given='"rad"'):
        shop.run(session, "Paint", colour="rad")


@pytest.mark.parametrize(
    ("node_type", "inputs", "values"),
    [
        ("Paint", {"colour": "red"}, (1, 5)),
        ("Paint", {"colour": {"from": "name"}}, (1, 5)),
        ("Mix", {"colours": ["grey", "red"]}, ([0, 1], [0, 5])),
    ],
)
def test_an_edit_computes_anew_what_uses_it_and_nothing_else(
    shop: Shop, session: Session, node_type: str, inputs: dict[str, Any], values: tuple[Any, Any]
) -> None:
    before, after = values
    assert shop.run(session, node_type, **inputs) == ("ran", before)
    assert shop.run(session, node_type, **inputs) == ("cached", before)
    assert shop.run(session, "Paint", colour="grey") == ("ran", 0)
    shop.box(red=5)
    assert shop.run(session, node_type, **inputs) == ("ran", after)
    assert shop.run(session, "Paint", colour="grey") == ("cached", 0)
    shop.box()
    assert shop.run(session, node_type, **inputs) == ("cached", before)


def test_why_says_whose_code_has_changed(shop: Shop, session: Session) -> None:
    shop.run(session, "Paint", colour="red")
    shop.box(red=5)
    nodes = {"it": {"type": "studio:Paint", "inputs": {"colour": "red"}}}
    flow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    assert "code of the colour red" in str(session.why(flow, node="it"))


def test_two_sessions_of_a_process_each_run_what_lies_in_the_files(shop: Shop) -> None:
    with Session(shop.settings) as first, Session(shop.settings) as second:
        assert shop.run(first, "Paint", colour="red")[1] == 1
        shop.box(red=5)
        assert shop.run(second, "Paint", colour="red")[1] == 5
        assert shop.run(first, "Paint", colour="red")[1] == 5
