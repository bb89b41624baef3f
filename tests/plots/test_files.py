"""Plots come back from their files, and what is none is told."""

from __future__ import annotations

import csv
import json
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph import InvalidFile, InvalidValue, Plot, Series
from nodegraph.media.plots.axes import build_series, join_plots
from nodegraph.media.plots.files import check_plot, encode_plot, parse_plot_json, read_plot
from tests.messages import raises
from tests.properties import examples

TEXT = st.text(max_size=8)
NUMBERS = st.lists(st.floats(allow_infinity=False), min_size=1, max_size=5)


@st.composite
def plots(draw: st.DrawFn) -> Plot:
    def series(values: list[float]) -> Series:
        low = values if draw(st.booleans()) else ()
        kind = draw(st.sampled_from(["line", "points", "bars"]))
        return build_series(values, draw(TEXT), kind, low=low)  # type: ignore[arg-type]

    scales = st.sampled_from(["linear", "log"])
    made = tuple(map(series, draw(st.lists(NUMBERS, max_size=3))))
    texts = (draw(TEXT), draw(TEXT), draw(TEXT))
    return Plot(*texts, made, draw(scales), draw(scales), tuple(draw(st.lists(TEXT, max_size=2))))  # type: ignore[arg-type]


@given(plots())
@settings(max_examples=examples(60))
def test_json_brings_a_plot_back(plot: Plot) -> None:
    data = encode_plot(plot, "json", {"workflow": "{}"})
    assert repr(parse_plot_json(data)) == repr(plot)
    assert json.loads(data)["workflow"] == "{}"


def test_a_table_has_every_point_and_comes_back(tmp_path: Path) -> None:
    one = Series("one", (0, 1.5), (0.1, nan))
    two = Series("=two", (1,), (2,), low=(1,), high=(3,))
    path = tmp_path / "plot.csv"
    path.write_bytes(encode_plot(Plot("", "step", "loss", (one, two)), "csv", {}))
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["series", "step", "loss", "low", "high"],
            ["one", "0", "0.1", "", ""],
            ["one", "1.5", "", "", ""],
            ["'=two", "1", "2", "1", "3"],
        ]
    found = read_plot(path)
    assert (found.x_label, found.y_label) == ("step", "loss")
    assert [(each.name, each.x, each.high) for each in found.series] == [
        ("one", (0, 1.5), None),
        ("'=two", (1,), (3,)),
    ]
    assert isnan(found.series[0].y[1])


@pytest.mark.parametrize(
    ("name", "text", "series"),
    [
        (
            "log.csv",
            "step,training,remark,validation\n0,0.5,begun,\n1,0.25,,0.75\n",
            [Series("training", (0, 1), (0.5, 0.25)), Series("validation", (1,), (0.75,))],
        ),
        (
            "log.tsv",
            "group\tshare\nred\t0.5\nblue\t1\n",
            [Series("share", ("red", "blue"), (0.5, 1))],
        ),
        ("one.csv", "\ufeffloss\n3\n2\n", [Series("", (0, 1), (3, 2))]),
    ],
)
def test_tables_of_others_are_read_by_their_columns(
    tmp_path: Path, name: str, text: str, series: list[Series]
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert list(read_plot(tmp_path / name).series) == series


BROKEN: dict[str, tuple[str, bytes]] = {
    "words": ("a.csv", b"these,are\nno,numbers\n"),
    "nothing": ("a.csv", b""),
    "bytes": ("a.csv", b"x,y\n\0,1"),
    "picture": ("a.json", b"\x89PNG\r\n"),
    "other": ("a.json", b'{"format": "nodegraph/1"}'),
    "cut": ("a.json", b'{"format": "nodegraph/plot/1", "series": ['),
    "lacks": ("a.json", b'{"format": "nodegraph/plot/1", "series": []}'),
    "deep": ("a.json", b"{" + b'"a":[' * 100_000),
    "long": ("a.csv", b"x,y\n1," + b"9" * 200_000),
}


@pytest.mark.parametrize("which", BROKEN)
def test_what_holds_no_plot_is_told(tmp_path: Path, which: str) -> None:
    name, data = BROKEN[which]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidFile):
        read_plot(tmp_path / name)


@pytest.mark.parametrize(
    "change",
    [
        {"series": 3},
        {"series": [{}]},
        {"series": [{"name": "", "kind": "pie", "x": [], "y": []}]},
        {"series": [{"name": "", "kind": "line", "x": [1], "y": []}]},
        {"series": [{"name": "", "kind": "line", "x": [None], "y": [1]}]},
        {"series": [{"name": "", "kind": "line", "x": [1], "y": [10**400]}]},
        {"x_scale": "cubic"},
        {"notes": None},
    ],
)
def test_json_of_another_form_is_told(change: dict[str, Any]) -> None:
    form = json.loads(encode_plot(Plot(), "json", {}))
    with pytest.raises(InvalidFile):
        parse_plot_json(json.dumps(form | change).encode())


def test_plots_that_are_joined_keep_their_series_apart() -> None:
    first = Plot(
        "first", "x", "y", (build_series([1], "loss"), build_series([1], "rate")), notes=("n",)
    )
    second = Plot("second", series=(build_series([2], "loss"),), notes=("n",))
    joined = join_plots([first, second], "both")
    assert [each.name for each in joined.series] == ["first loss", "rate", "second loss"]
    assert (joined.title, joined.x_label, joined.notes) == ("both", "x", ("n",))
    named = join_plots([first, first], names=["a", "b"])
    assert [each.name for each in named.series] == ["a loss", "a rate", "b loss", "b rate"]
    assert named.title == "first"
    assert join_plots([first, first]).series[0].name == "1 loss"


MIXED = [Plot(series=(build_series([1], categories=each),)) for each in ([], ["a"])]


@pytest.mark.parametrize(
    ("make", "port"),
    [
        (lambda: join_plots([]), "plots"),
        (lambda: join_plots([Plot()], names=["a", "b"]), "names"),
        (lambda: join_plots(MIXED), "plots"),
        (lambda: build_series([1], x=[1], categories=["a"]), "categories"),
        (lambda: build_series([1, 2], categories=["a"]), "categories"),
        (lambda: build_series([1, 2], x=[1]), "x"),
    ],
)
def test_what_does_not_fit_together_is_told(make: Any, port: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        make()
    assert caught.value.problem.port == port


def test_a_long_table_is_checked_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n" + "1,2.5\n" * 12_000)
    assert len(read_plot(path, most=1000).series[0].y) < 170
    assert len(read_plot(path).series[0].y) == 12_000
    check_plot(path)
    path.write_text("step,loss\n" + "1,\n" * 25_000 + "1,2.5\n")
    check_plot(path)  # numbers only come further down
    path.write_text("step,loss\n" + "1,none\n" * 15_000)
    with raises(InvalidFile):
        check_plot(path)


def test_an_interval_may_have_one_end() -> None:
    assert build_series([1, 2], high=[2, 3]).low == (1, 2)
