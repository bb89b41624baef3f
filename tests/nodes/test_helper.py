"""Helpers: showing values, sizes, dates, and parts of paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import Any

import pytest
import torch
from nodegraph_nodes import helper
from nodegraph_nodes._shown import format_value
from nodegraph_nodes._sizes import CHOICES, resolutions_of
from nodegraph_nodes.helper import PathParts, Resolution

from nodegraph import Latent
from nodegraph.families.registry import BUILT_IN
from tests.nodes.conftest import Bench, link


@dataclass
class _Link:
    next: Any


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("two\nlines", "two\nlines"),
        (0.1, "0.1"),
        (float(torch.tensor(0.65)), "0.65"),
        (1.0, "1.0"),
        (2**70, str(2**70)),
        (1e-9, "1e-09"),
        (float("inf"), "inf"),
        (1e300, "1e+300"),
        (True, "true"),
        (Fraction(3, 2), "3/2"),
        ([], "empty list"),
        ([1, "a"], "0: 1\n1: a"),
        ({"a": 1}, "a: 1"),
    ],
)
def test_values_are_shown_as_people_write_them(value: Any, text: str) -> None:
    assert format_value(value) == text


def test_tensors_are_shown_by_their_statistics() -> None:
    picture = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1)
    assert format_value(picture) == "1 x 1 x 2 x 1 float32, 0 to 1, mean 0.5, deviation 0.5"
    assert format_value(torch.tensor([3, 1])) == "2 int64, 1 to 3"
    assert format_value(torch.zeros(0, 4)) == "0 x 4 float32"
    latent = Latent(torch.zeros(1, 4, 2, 2), 16, 16, format="sd")
    assert "samples: 1 x 4 x 2 x 2 float32" in format_value(latent)
    assert format_value([[1, 2], [3]]) == "0: 0: 1\n   1: 2\n1: 0: 3"


def test_a_long_value_is_cut() -> None:
    assert len(format_value("x" * 10**6)) < 10**6
    assert format_value(list(range(5000))).endswith("…")


@pytest.mark.parametrize("around", [lambda v: [v], lambda v: (v,), lambda v: {"next": v}, _Link])
def test_a_deep_value_is_cut(around: Callable[[Any], Any]) -> None:
    chain: Any = "end"
    for _ in range(3000):
        chain = around(chain)
    assert format_value(chain).endswith("…")
    assert "end" in format_value(around(around("end")))


def test_a_value_is_logged_and_written_as_text(bench: Bench) -> None:
    nodes = {
        "range": {"type": "Range", "inputs": {"stop": 2}},
        "show": {"type": "ShowValue", "inputs": {"value": link("range")}},
    }
    [file] = bench.run(nodes).files
    assert (file.kind, file.path.read_text()) == ("text", "0: 0\n1: 1\n")
    assert [event.data["message"] for event in bench.told("log")] == ["0: 0\n1: 1"]


@pytest.mark.parametrize(
    ("family", "aspect", "size"),
    [
        ("sd1", "1:1", (512, 512)),
        ("sdxl", "16:9", (1344, 768)),
        ("sdxl", "3:2", (1216, 832)),
        ("sdxl", "4:3", (1152, 896)),
        ("qwen-image", "16:9", (1664, 928)),
        ("flux", "1:1", (1024, 1024)),
        ("tiny", "2:1", (184, 88)),
    ],
)
def test_sizes_are_those_that_models_like(family: str, aspect: Any, size: Any) -> None:
    assert Resolution(family, aspect) == size
    assert Resolution(family, aspect, portrait=True) == size[::-1]


def test_every_size_is_one_that_its_family_takes() -> None:
    several = {f"hunyuan-video-15-{lines}p" for lines in (480, 720)}
    several |= {f"hunyuan-video-{lines}p" for lines in (540, 720)}
    assert set(CHOICES) - several - {"tiny", "flux-kontext"} <= set(BUILT_IN)
    for family in CHOICES:
        trained = resolutions_of(family)
        pixels, step = trained.area, trained.multiple
        for aspect in ("1:1", "5:4", "16:10", "21:9"):
            width, height = Resolution(family, aspect)  # type: ignore[arg-type]
            assert width % min(step, 16) == height % min(step, 16) == 0
            assert width * height == pytest.approx(pixels, rel=0.25)


def test_a_size_of_one_s_own() -> None:
    assert Resolution("sdxl", "1:1", megapixels=0.26, multiple=8) == (512, 512)
    assert max(Resolution("sd1", "21:9", megapixels=256.0)) <= 16384


def test_a_size_is_that_of_the_proportions_nearest_to_a_picture_s() -> None:
    for width, height, size in ((640, 640, (1024, 1024)), (90, 160, (752, 1392))):
        picture = torch.zeros(1, height, width, 3)
        assert Resolution("flux-kontext", "16:9", like=picture) == size


def test_kontext_likes_the_sizes_that_its_pipeline_does() -> None:
    module = "diffusers.pipelines.flux.pipeline_flux_kontext"
    theirs = set(import_module(module).PREFERRED_KONTEXT_RESOLUTIONS)
    ours = resolutions_of("flux-kontext").buckets
    assert {*ours, *((high, wide) for wide, high in ours)} == theirs


def test_the_date_is_made_anew_once_it_is_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {"today": {"type": "Today", "inputs": {"format": "%Y %B"}}}
    written = bench.value(nodes, "today.text")
    assert written[:4].isdecimal()
    assert bench.run(nodes, "today").nodes["today"].status == "cached"
    monkeypatch.setattr(helper, "date_now", lambda form: f"another {form}")
    assert bench.run(nodes, "today").nodes["today"].status == "ran"


def test_a_format_that_is_none_is_told(bench: Bench) -> None:
    for form in ("%Y" * 200, "\ud800"):
        [problem] = bench.problems({"t": {"type": "Today", "inputs": {"format": form}}}, "t")
        assert problem.port == "format"


def test_parts_of_paths() -> None:
    assert PathParts("fruit/apple.tar.gz") == ("fruit", "apple.tar.gz", "apple.tar", ".gz")
    assert PathParts("C:\\fruit\\apple.png") == ("C:/fruit", "apple.png", "apple", ".png")
    assert PathParts("") == ("", "", "", "")
    assert PathParts("/apple") == ("/", "apple", "apple", "")
