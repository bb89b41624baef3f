"""Values and results as notebooks show them."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from fractions import Fraction
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from PIL import Image as Pillow

import nodegraph
from nodegraph import Audio, Context, Image, Latent, Plot, Series, Settings, Video, node
from nodegraph.core.workflow import Workflow
from nodegraph.session.results.html import MAX_PICTURES, value_html
from tests.shapes.making import box

RED = torch.tensor([1.0, 0.0, 0.0]).expand(1, 40, 60, 3)
NASTY = "<script>alert('x')</script>\x1b[2J\ud800"


def sources(page: str) -> list[tuple[str, bytes]]:
    """Media types and contents of what a page brings along."""
    found = re.findall(r'src="data:([^;]+);base64,([^"]+)"', page)
    return [(mime, b64decode(data)) for mime, data in found]


def pictures(page: str) -> list[Pillow.Image]:
    return [Pillow.open(BytesIO(data)) for mime, data in sources(page) if mime != "image/svg+xml"]


def test_a_picture_is_one_and_a_batch_is_a_sheet() -> None:
    (shown,) = pictures(value_html(RED))
    assert (shown.size, shown.getpixel((0, 0))) == ((60, 40), (255, 0, 0))
    page = value_html([RED, RED.expand(2, -1, -1, -1)])
    assert len(pictures(page)) == 3
    assert "2 · 60×40" in page


def test_of_many_pictures_the_first_are_shown() -> None:
    page = value_html(torch.zeros(MAX_PICTURES + 3, 8, 8, 3))
    assert len(pictures(page)) == MAX_PICTURES
    assert "3 more" in page


def test_large_pictures_are_made_small() -> None:
    (shown,) = pictures(value_html(torch.zeros(1, 100, 3000, 3)))
    assert shown.size[0] == 512


def test_masks_are_grey() -> None:
    (shown,) = pictures(value_html(torch.full((1, 5, 5), 0.5)))
    assert shown.convert("L").getpixel((2, 2)) == 128


@pytest.mark.parametrize(("name", "channels"), [("sd", 8), ("sd", 4), ("unheard", 7)])
def test_latents_have_a_picture_of_any_format(name: str, channels: int) -> None:
    samples = torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(1))
    page = value_html(Latent(samples, 64, 64, batch_size=2, format=name if channels != 7 else None))
    assert len(pictures(page)) == 2
    assert "empty" in value_html(Latent(None, 64, 64))


def test_audio_and_video_have_players() -> None:
    sound = Audio(torch.zeros(1, 8000), 8000)
    ((mime, data),) = sources(value_html(sound))
    assert mime == "audio/flac"
    assert av.open(BytesIO(data)).streams.audio[0].rate == 8000
    page = value_html(Video(RED.expand(5, -1, -1, -1), Fraction(5), sound))
    assert "<video controls" in page
    assert sources(page)[0][0] == "video/mp4"


def test_shapes_and_plots_are_drawn() -> None:
    assert len(pictures(value_html(box()))) == 1
    plot = Plot(series=(Series("loss", (1.0, 2.0), (3.0, 2.0)),))
    ((mime, data),) = sources(value_html(plot))
    assert mime == "image/svg+xml"
    assert data.lstrip().startswith(b"<svg")


def test_what_is_broken_is_told_and_nothing_raised() -> None:
    page = value_html(torch.full((1, 4, 4, 3), float("nan")))
    assert "cannot be shown" in page
    assert "NaN" in page


@dataclass
class Odd:
    text: str


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


@pytest.mark.parametrize("value", [NASTY, [NASTY, 3], {NASTY: 1}, Odd(NASTY)])
def test_texts_are_escaped(value: Any) -> None:
    page = value_html(value)
    assert "script" not in Tags(page).found
    assert "\x1b" not in page
    assert page.encode()


@node
def Red(count: int = 2) -> Image:
    """Red images."""
    return RED.expand(count, -1, -1, -1).clone()


@node
def Break(image: Image) -> Image:
    """Fail with a text that is no HTML."""
    raise ValueError(NASTY)


@node(output=True)
def Note(ctx: Context, image: Image, text: str = "a <b> note") -> None:
    """Write a file of another kind."""
    path = ctx.environment.outputs / "a<b>.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    ctx.wrote(path, kind="text")


def document(**nodes: Any) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "title": NASTY, "nodes": nodes})


RED_NODE = {"type": "Red"}
LINKED = {"image": {"from": "red"}}


def test_a_result_shows_outputs_files_and_nodes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, outputs=tmp_path / "out")
    workflow = document(red=RED_NODE, note={"type": "Note", "inputs": LINKED})
    result = nodegraph.run(workflow, targets=["red", "note"], nodes=[Red, Note], settings=settings)
    page = result._repr_html_()
    assert page is not None
    assert len(pictures(page)) == 2
    assert "red.image" in page
    assert "a&lt;b&gt;.txt" in page
    assert "2 nodes" in page


def test_a_result_tells_what_failed(tmp_path: Path) -> None:
    workflow = document(red=RED_NODE, wrong={"type": "Break", "inputs": LINKED})
    settings = Settings(home=tmp_path)
    result = nodegraph.run(
        workflow, targets=["wrong"], nodes=[Red, Break], settings=settings, check=False
    )
    page = result._repr_html_() or ""
    assert "wrong failed" in page
    assert "script" not in Tags(page).found
    assert page.encode()
    assert repr(result).encode()


def test_workflows_are_drawn_and_plans_are_tables(tmp_path: Path) -> None:
    workflow = document(red=RED_NODE, wrong={"type": "Break", "inputs": LINKED})
    ((mime, data),) = sources(workflow._repr_html_())
    assert mime == "image/svg+xml"
    assert b"wrong" in data
    assert b"<script" not in data
    with nodegraph.Session(Settings(home=tmp_path), nodes=[Red, Break]) as session:
        plan = session.plan(workflow, targets=["wrong"])
    assert {"table", "th", "td"} <= Tags(plan._repr_html_()).found
    assert "2 nodes run" in plan._repr_html_()
    assert repr(plan) == "<Plan of 2 nodes: run: 2>"
