"""Who follows a job with previews sees its image grow, from a real worker."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.server.hosting import Process
from tests.server.talking import talk
from tests.server.workflows import sampling

pytestmark = pytest.mark.slow


def test_a_follower_with_previews_gets_pictures_of_the_sampling(home: Path) -> None:
    with Process(home, "--workers", "1") as serving:
        serving.ready()
        with talk(serving) as client, talk(serving) as blind:
            client.ask("subscribe")
            blind.ask("subscribe", previews=False)
            client.ask("submit", workflow=sampling(128, steps=60), targets=["sample"])
            preview = client.until("node.preview")
            assert (preview["node"], preview["data"]["mime"]) == ("sample", "image/jpeg")
            with Image.open(BytesIO(preview["data"]["image"])) as picture:
                assert picture.size == (128, 128)
            client.until("job.finished")
            blind.until("job.finished")
            assert "node.preview" not in [each["kind"] for each in blind.events]
            assert "log" not in [each["kind"] for each in client.events]


def test_a_plot_is_shown_while_its_node_runs_and_can_be_had_afterwards(home: Path) -> None:
    values = {"type": "PlotValues", "inputs": {"values": [2.0, 1.0], "name": "loss"}}
    show = {"type": "PreviewPlot", "inputs": {"plot": {"from": "values"}}}
    workflow = {"format": "nodegraph/1", "nodes": {"values": values, "show": show}}
    with Process(home, "--workers", "1") as serving:
        serving.ready()
        with talk(serving) as client:
            client.ask("subscribe")
            client.ask("submit", workflow=workflow)
            shown = client.until("node.preview")["data"]["plot"]
            client.until("job.finished")
            wrote = next(each for each in client.events if each["kind"] == "node.wrote")["data"]
        assert shown["series"] == [{"name": "loss", "kind": "line", "x": [0, 1], "y": [2, 1]}]
        assert wrote["file"] == "plot"
        assert httpx.get(f"{serving.url}{wrote['href']}").json() == shown
        picture = httpx.get(f"{serving.url}{wrote['thumbnail']}?size=128").content
        with Image.open(BytesIO(picture)) as thumbnail:
            assert thumbnail.size == (128, 80)
