"""What one asks of a finished run."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from rich.console import Console

from nodegraph.api import Context, Image, node
from nodegraph.engine.result import NodeReport, RunResult
from nodegraph.errors import InvalidValue
from tests.engine.conftest import Bench
from tests.messages import raises


class Parted(NamedTuple):
    bright: Image
    count: int


@node
def Paint(level: float = 1.0, count: int = 2) -> Image:
    """Images of one gray."""
    return torch.full((count, 4, 4, 3), level)


@node
def Part(image: Image) -> Parted:
    """Two outputs, one of them an image."""
    return Parted(image / 2, len(image))


@node(output=True)
def Store(ctx: Context, image: Image) -> None:
    """Write an image."""
    from nodegraph.media.images.images import to_pil

    path = ctx.environment.outputs / "stored.png"
    to_pil(image[0]).save(path)
    ctx.wrote(path)


NODES = {
    "paint": {"type": "Paint"},
    "part": {"type": "Part", "inputs": {"image": {"from": "paint"}}},
    "store": {"type": "Store", "inputs": {"image": {"from": "part.bright"}}},
}


@pytest.fixture
def result(tmp_path: Path) -> RunResult:
    return Bench(tmp_path).add(Paint, Part, Store).run(NODES, "store")


def test_what_nodes_gave_on_the_way_is_there(result: RunResult) -> None:
    assert list(result) == []
    assert result["paint"].shape == (2, 4, 4, 3)
    assert result["part.count"] == 2


def test_a_result_is_a_mapping_of_its_targets(tmp_path: Path) -> None:
    found = Bench(tmp_path).add(Paint, Part, Store).run(NODES, "part")
    assert list(found) == ["part.bright", "part.count"]
    assert (len(found), dict(found)["part.count"], found.get("nothing")) == (2, 2, None)


def test_what_can_be_asked_for_is_in_a_result(result: RunResult) -> None:
    assert "paint" in result
    assert "part.count" in result
    assert [name in result for name in ("part", "store", "piant", 3)] == [False] * 4
    assert (len(result), bool(result)) == (0, True)
    with raises(KeyError):
        result[3]  # type: ignore[index]


def test_rich_prints_a_table_of_nodes(result: RunResult) -> None:
    console = Console(width=300, record=True, file=StringIO())
    console.print(result)
    shown = console.export_text()
    assert "paint" in shown
    assert "stored.png" in shown


def test_a_picture_is_for_pillow(result: RunResult) -> None:
    assert result.image("paint").getpixel((0, 0)) == (255, 255, 255)
    assert len(result.images("paint")) == 2
    assert result.image("store").getpixel((0, 0)) == (128, 128, 128)


def test_of_several_outputs_the_one_with_pictures_is_meant(result: RunResult) -> None:
    assert result.image("part", 1).getpixel((0, 0)) == (128, 128, 128)
    with raises(KeyError):
        result["part"]


def test_what_is_misspelt_gets_a_suggestion(result: RunResult) -> None:
    with raises(KeyError):
        result.image("piant")
    with raises(KeyError):
        result["part.brigt"]
    with raises(KeyError):
        result["store"]


def test_what_has_no_picture_says_so(result: RunResult) -> None:
    with raises(InvalidValue, given="2"):
        result.image("part.count")


def test_a_terminal_shows_what_came_in_few_lines(tmp_path: Path) -> None:
    bench = Bench(tmp_path).add(Paint, Part, Store)
    lines = repr(bench.run(NODES, "part", "store")).splitlines()
    assert lines[0].startswith("<RunResult ok: 3 nodes")
    assert lines[1:] == [
        "  part.bright: float32 [2, 4, 4, 3]",
        "  part.count: 2",
        f"  {tmp_path / 'stored.png'}",
    ]


def test_without_a_page_notebooks_show_the_text(result: RunResult) -> None:
    assert result._repr_html_() is None


@node(output=True)
def Fail(image: Image) -> None:
    """Come to nothing."""
    raise ValueError(f"{len(image)} images are too many")


def test_a_result_goes_to_another_process_with_its_targets(tmp_path: Path) -> None:
    bench = Bench(tmp_path).add(Paint, Part, Store, Fail)
    nodes = NODES | {"fail": {"type": "Fail", "inputs": {"image": {"from": "paint"}}}}
    result = bench.run(nodes, "part", "store", "fail")
    found = pickle.loads(pickle.dumps(result))
    assert (found.status, found.files, found.seconds) == ("failed", result.files, result.seconds)
    assert {name: report.status for name, report in found.nodes.items()} == {
        name: report.status for name, report in result.nodes.items()
    }
    assert torch.equal(found["part.bright"], result["part.bright"])
    assert found["part.count"] == 2
    assert found.image("part", 1).getpixel((0, 0)) == (128, 128, 128)
    assert repr(found) == repr(result)
    assert "too many" in str(found.errors[0])
    with raises(KeyError):
        found["paint"]


def test_a_copy_of_a_result_has_values_of_its_own(result: RunResult, tmp_path: Path) -> None:
    result = Bench(tmp_path).add(Paint, Part).run(NODES, "part")
    for found in (copy.copy(result), copy.deepcopy(result)):
        assert found["paint"].shape == (2, 4, 4, 3)
        assert torch.equal(found["part.bright"], result["part.bright"])
    found["part.bright"].zero_()
    assert result["part.bright"].any()


def test_of_very_many_outputs_only_what_is_shown_is_looked_at() -> None:
    looked = []

    class Outputs(dict[str, int]):
        def __getitem__(self, output: str) -> int:
            looked.append(output)
            return super().__getitem__(output)

    result = RunResult("ok", Outputs({f"n{at}.number": at for at in range(1000)}))
    assert repr(result).splitlines()[1::18] == ["  n0.number: 0", "  n18.number: 18"]
    assert repr(result).endswith("  … and 981 more")
    assert len(looked) < 50


class Unlisted(dict[str, Any]):
    """A mapping that nobody goes through."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all names were gone through for one")


def test_of_very_many_outputs_one_is_found_by_its_node_alone() -> None:
    reports = {"a": NodeReport("ran", outputs={"value": "d1"})}
    uses = {"use.value": "a.value"}
    found = RunResult(
        "ok", Unlisted({"a.value": 1}), nodes=reports, passed=Unlisted(), stand_ins=uses
    )
    assert found["a"] == found["use"] == 1
    assert "a" in found
