"""Watermark nodes in a graph, and warnings of signed inputs that were changed."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from nodegraph import Latent
from nodegraph.errors import InvalidWorkflow
from nodegraph.provenance.certificates import SigningCertificate, create_certificate
from nodegraph.provenance.claims import Claim
from nodegraph.provenance.signing import sign_file
from nodegraph.sampling.latents.files import encode_latent
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


def signed_picture(path: Path, certificate: SigningCertificate, *, change: bool) -> None:
    source = path.with_name("source.gif")
    source.write_bytes(image_bytes("GIF"))
    sign_file(source, path, Claim(path.name), certificate)
    source.unlink()
    if change:
        data = bytearray(path.read_bytes())
        data[20] ^= 1  # a color of the palette
        path.write_bytes(data)


@pytest.fixture
def certificate(tmp_path: Path) -> SigningCertificate:
    return create_certificate(tmp_path / "signing", "Ada Example")


def messages(bench: Bench, node_type: str, path: Path) -> list[str]:
    result = bench.run({"load": {"type": node_type, "inputs": {"path": str(path)}}}, "load")
    assert not result.errors, result.errors
    return [event.data["message"] for event in bench.told("log")]


@pytest.mark.parametrize("change", [True, False])
def test_loading_warns_of_signed_pictures_that_were_changed(
    change: bool, bench: Bench, tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = tmp_path / "photo.gif"
    signed_picture(path, certificate, change=change)
    expected = ["photo.gif was signed by Ada Example and has been changed since."]
    assert messages(bench, "LoadImage", path) == (expected if change else [])


@pytest.mark.parametrize("node_type", ["LoadImages", "LoadDataset"])
def test_each_changed_picture_of_a_folder_is_named(
    node_type: str, bench: Bench, tmp_path: Path, certificate: SigningCertificate
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, change in (("first", True), ("kept", False), ("third", True)):
        signed_picture(folder / f"{name}.gif", certificate, change=change)
    assert messages(bench, node_type, folder) == [
        f"{name}.gif was signed by Ada Example and has been changed since."
        for name in ("first", "third")
    ]


def test_a_mask_is_checked_like_an_image(
    bench: Bench, tmp_path: Path, certificate: SigningCertificate
) -> None:
    signed_picture(tmp_path / "mask.gif", certificate, change=True)
    [message] = messages(bench, "LoadMask", tmp_path / "mask.gif")
    assert "has been changed since" in message


CHANGED = "was signed by Ada Example and has been changed since."
FACE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


@pytest.mark.parametrize(
    ("node_type", "name", "content", "changed"),
    [
        ("LoadMesh", "a.obj", FACE, FACE.replace("v 1", "v 2")),
        ("LoadPointCloud", "a.obj", FACE, FACE.replace("v 1", "v 2")),
        ("LoadMolecule", "a.smi", "CCO ethanol\n", "CCN ethylamine\n"),
        ("LoadPlot", "a.csv", "x,y\n0,1\n1,2\n", "x,y\n0,1\n1,3\n"),
        ("LoadText", "a.txt", "a fox", "a wolf"),
    ],
)
def test_a_file_whose_credentials_lie_beside_it_is_checked(
    node_type: str,
    name: str,
    content: str,
    changed: str,
    bench: Bench,
    tmp_path: Path,
    certificate: SigningCertificate,
) -> None:
    source, path = tmp_path / f"source-{name}", tmp_path / name
    source.write_text(content)
    sign_file(source, path, Claim(name), certificate)
    assert messages(bench, node_type, path) == []
    path.write_text(changed)
    expected = f"{name} was signed by Ada Example and has been changed since."
    assert messages(bench, node_type, path) == [expected]


def test_a_changed_latent_is_named(
    bench: Bench, tmp_path: Path, certificate: SigningCertificate
) -> None:
    source, path = tmp_path / "source.safetensors", tmp_path / "a.safetensors"
    source.write_bytes(encode_latent(Latent(None, 64, 96), {}))
    sign_file(source, path, Claim(path.name), certificate)
    assert messages(bench, "LoadLatent", path) == []
    path.write_bytes(encode_latent(Latent(None, 64, 64), {}))
    assert messages(bench, "LoadLatent", path) == [f"a.safetensors {CHANGED}"]


def test_changed_layers_are_named(
    bench: Bench, tmp_path: Path, certificate: SigningCertificate
) -> None:
    nodes = {
        "make": {"type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "add": {"type": "AddLayer", "inputs": {"image": link("make")}},
        "save": {"type": "SaveLayers", "inputs": {"layers": link("add"), "picture": False}},
    }
    [written] = bench.run(nodes, "save").files
    path = tmp_path / "a.ora"
    sign_file(written.path, path, Claim(path.name), certificate)
    assert messages(bench, "LoadLayers", path) == []
    with ZipFile(path, "a") as archive:
        archive.comment = b"changed"
    assert messages(bench, "LoadLayers", path) == [f"a.ora {CHANGED}"]


def test_a_changed_look_is_named(
    bench: Bench, tmp_path: Path, certificate: SigningCertificate
) -> None:
    source, path = tmp_path / "source.cube", tmp_path / "a.cube"
    source.write_text("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n")
    sign_file(source, path, Claim(path.name), certificate)
    path.write_text("LUT_1D_SIZE 2\n0 0 0\n1 1 0\n")
    nodes = {
        "make": {"type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "look": {"type": "ApplyLut", "inputs": {"image": link("make"), "path": str(path)}},
    }
    assert not bench.run(nodes, "look").errors
    assert [event.data["message"] for event in bench.told("log")] == [f"a.cube {CHANGED}"]


def test_every_node_that_loads_input_files_is_among_those_that_check_them(bench: Bench) -> None:
    registry = bench.session.registry
    kinds = {
        (name, port)
        for name in registry.node_types()
        for spec in [registry.spec(name)]
        if spec is not None
        for port in spec.file_ports
        if not spec.inputs_by_name[port].is_model_file and ":" not in name
    }
    loaders = {name for name, port in kinds if port == "path"}
    assert loaders == {
        *("ApplyLut", "LoadAudio", "LoadDataset", "LoadImage", "LoadImageFrames", "LoadImages"),
        *("LoadLatent", "LoadLayers", "LoadMask", "LoadMesh", "LoadMolecule", "LoadPlot"),
        *("LoadPointCloud", "LoadText", "LoadVideo"),
    }
    assert kinds - {(name, "path") for name in loaders} == {("DrawText", "font")}
