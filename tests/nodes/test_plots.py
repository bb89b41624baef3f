"""Nodes of plots in a graph: lists in, images and files out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodegraph import Plot, Series
from nodegraph.core.plots import plot_to_plain
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.plots.files import parse_plot_json
from tests.messages import raises
from tests.nodes.conftest import Bench, link

PLOT = {
    "plot": {
        "type": "PlotValues",
        "inputs": {"values": [1.0, 3.0], "name": "loss", "title": "T", "y_scale": "log"},
    }
}


def then(type: str, **inputs: Any) -> dict[str, Any]:
    return {**PLOT, "next": {"type": type, "inputs": {"plot": link("plot"), **inputs}}}


def test_values_become_a_plot(bench: Bench) -> None:
    found = bench.value(PLOT, "plot.plot")
    assert found == Plot("T", series=(Series("loss", (0, 1), (1, 3)),), y_scale="log")


def test_several_become_one(bench: Bench) -> None:
    join = {"type": "JoinPlots", "inputs": {"plots": link("plot"), "last": link("plot")}}
    found = bench.value({**PLOT, "join": join}, "join.plot")
    assert [each.name for each in found.series] == ["1 loss", "2 loss"]


def test_a_picture_has_the_size_asked(bench: Bench) -> None:
    assert bench.value(then("DrawPlot", width=320, height=200), "next.image").shape == (
        1,
        200,
        320,
        3,
    )


@pytest.mark.parametrize("format", ["json", "csv", "svg"])
def test_a_plot_is_saved_with_its_picture_and_workflow(bench: Bench, format: str) -> None:
    # A table has no room for texts.
    sidecars = ["manifest"] if format == "csv" else []
    file, *others, picture = bench.run(then("SavePlot", format=format), "next").files
    assert [each.kind for each in others] == sidecars
    kinds = {"json": "plot", "csv": "text", "svg": "image"}
    assert (file.path.name, file.kind) == (f"plot_00001.{format}", kinds[format])
    assert (
        json.loads(read_metadata(picture.path)["workflow"])["nodes"]["plot"]["inputs"]["title"]
        == "T"
    )
    if format == "json":
        content = file.path.read_bytes()
        assert parse_plot_json(content) == bench.value(PLOT, "plot.plot")
        assert "PlotValues" in json.loads(content)["workflow"]
    alone = bench.run(then("SavePlot", format=format, picture=False), "next").files
    assert [each.kind for each in alone] == [kinds[format], *sidecars]


def test_what_is_shown_is_told_and_can_be_had(bench: Bench) -> None:
    [file] = bench.run(then("PreviewPlot"), "next").files
    assert file.kind == "plot"
    [event] = bench.told("node.preview")
    assert event.data == {"plot": plot_to_plain(parse_plot_json(file.path.read_bytes()))}


def test_a_file_that_lacks_is_told_before_anything_runs(bench: Bench) -> None:
    (bench.folder / "inputs" / "losses.csv").write_text("step,loss\n0,1\n")
    load = {"load": {"type": "LoadPlot", "inputs": {"path": "losses.csv"}}}
    assert bench.value(load, "load.plot").series == (Series("loss", (0,), (1,)),)
    load["load"]["inputs"] = {"path": "lossse.csv"}
    with raises(Exception, node="load", port="path"):
        bench.value(load, "load.plot")
