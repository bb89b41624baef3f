"""Watermark nodes in a graph, and warnings of signed inputs that were changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nodegraph.errors import InvalidWorkflow
from nodegraph.provenance.certificates import create_certificate
from nodegraph.provenance.claims import Claim
from nodegraph.provenance.signing import sign_file
from tests.nodes.conftest import Bench, link
from tests.provenance.files import image_bytes

MARKED = {
    "picture": {"type": "Picture", "inputs": {"width": 256, "height": 260, "batch": 2}},
    "mark": {"type": "WatermarkImage", "inputs": {"image": link("picture"), "payload": 77}},
    "read": {"type": "ReadWatermark", "inputs": {"image": link("mark")}},
    "none": {"type": "ReadWatermark", "inputs": {"image": link("picture")}},
}


def test_a_watermark_is_written_and_read(bench: Bench) -> None:
    marked = bench.value(MARKED, "mark")
    assert marked.shape == (2, 260, 256, 3)
    assert marked.dtype == torch.float32
    assert bench.value(MARKED, "read.detected") is True
    assert bench.value(MARKED, "read.payload") == 77
    assert bench.value(MARKED, "none.detected") is False


def test_a_small_image_is_refused_before_the_run(bench: Bench) -> None:
    nodes = {
        "empty": {"type": "EmptyImage", "inputs": {"width": 200, "height": 300}},
        "mark": {"type": "WatermarkImage", "inputs": {"image": link("empty")}},
    }
    with pytest.raises(InvalidWorkflow, match="too small for a watermark"):
        bench.value(nodes, "mark")


@pytest.mark.parametrize("change", [True, False])
def test_loading_warns_of_signed_pictures_that_were_changed(
    change: bool, bench: Bench, tmp_path: Path
) -> None:
    certificate = create_certificate(tmp_path / "signing", "Ada Example")
    source, path = tmp_path / "source.gif", tmp_path / "photo.gif"
    source.write_bytes(image_bytes("GIF"))
    sign_file(source, path, Claim("photo.gif"), certificate)
    if change:
        data = bytearray(path.read_bytes())
        data[20] ^= 1  # a color of the palette
        path.write_bytes(data)
    bench.run({"load": {"type": "LoadImage", "inputs": {"path": str(path)}}}, "load")
    messages = [event.data["message"] for event in bench.told("log")]
    expected = ["photo.gif was signed by Ada Example and has been changed since."]
    assert messages == (expected if change else [])
