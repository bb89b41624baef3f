"""Nodes that select things in images: what is wrong is told before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.media.images import scikit_image
from tests.nodes.conftest import Bench, link

PICTURE = {"type": "Picture", "inputs": {"width": 20, "height": 12}}
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("MagicWand", {"points": ""}, "points"),
    ("MagicWand", {"points": "0.5"}, "points"),
    ("SelectByPoints", {"excluded": "here"}, "excluded"),
    ("SelectByBox", {"box": "1 2 3"}, "box"),
    ("SelectSuperpixels", {"points": "[]"}, "points"),
]


def selecting(kind: str, **inputs: Any) -> dict[str, Any]:
    return {
        "picture": PICTURE,
        "next": {"type": kind, "inputs": {"image": link("picture"), **inputs}},
    }


def test_faults_are_told_before_anything_runs(bench: Bench) -> None:
    for kind, inputs, port in FAULTS:
        [problem] = bench.problems(selecting(kind, **inputs), "next")
        assert problem.port == port


def test_a_missing_package_is_told_before_anything_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scikit_image, "find_spec", lambda name: None)
    [problem] = bench.problems(selecting("Superpixels"), "next")
    assert problem.hint == "Run `pip install 'nodegraph[segment]'`."
    assert not bench.problems(selecting("MagicWand"), "next")


def test_points_outside_the_picture_are_told(bench: Bench) -> None:
    error = bench.failure(selecting("MagicWand", points="30, 2", unit="pixels"), "next")
    assert "outside the image" in str(error)
    assert "points" in str(error)


def test_masks_are_as_large_as_the_picture(bench: Bench) -> None:
    for kind in ("MagicWand", "SelectByPoints", "SelectByBox", "SelectSuperpixels"):
        assert bench.value(selecting(kind), "next.mask").shape == (1, 12, 20), kind
