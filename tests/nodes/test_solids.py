"""Nodes that make solids of texts and images, on tiny models of Shap-E."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidValue
from nodegraph.media.images import memory_checks
from nodegraph.media.shapes.reading import read_mesh
from nodegraph.training.options import check_trainable
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_shap_e import half_inside_of, shap_e, shap_e_image
from tests.messages import raises
from tests.nodes.conftest import Bench, link
from tests.shapes.test_glb import Glb

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
"""Of a function of numpy that diffusers' scheduler uses."""

Folders = Callable[[Callable[[], Any]], str]
VAE, SAMPLED = link("load.vae"), link("sample")


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The path of a tiny model's folder."""
    known: dict[str, Path] = {}

    def saved(build: Callable[[], Any]) -> str:
        name = build.__name__
        if name not in known:
            known[name] = tmp_path_factory.mktemp("models") / name
            pipeline = random_pipeline(build)
            pipeline.shap_e_renderer = half_inside_of(pipeline.shap_e_renderer)
            pipeline.save_pretrained(known[name])
        return str(known[name])

    return saved


def graph(model: str, prompt: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Two solids, and nodes behind them."""
    inputs = {"model": link("load.model"), "positive": link("prompt"), "latent": link("empty")}
    options = {"steps": 2, "cfg": 3.0, "sampler": "heun", "schedule": "karras", "seed": 3}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": model}},
        "prompt": prompt,
        "empty": {"type": "EmptyItems", "inputs": {"model": link("load.model"), "batch_size": 2}},
        "sample": {"type": "KSampler", "inputs": {**inputs, **options}},
        **more,
    }


def text_prompt() -> dict[str, Any]:
    inputs = {"encoder": link("load.text_encoder"), "text": "a red cat"}
    return {"type": "EncodePrompt", "inputs": inputs}


def image_prompt() -> dict[str, Any]:
    inputs = {"encoder": link("load.text_encoder"), "image": link("picture.image")}
    return {"type": "EncodeImagePrompt", "inputs": inputs}


PICTURE = {"type": "Picture", "inputs": {"width": 48, "height": 32}}
MESH = {"type": "VAEDecodeMesh", "inputs": {"vae": VAE, "latent": SAMPLED, "grid": 8}}
VIEWS = {
    "type": "VAEDecodeViews",
    "inputs": {"vae": VAE, "latent": SAMPLED, "views": 2, "size": 8},
}


def saving(format: str) -> dict[str, Any]:
    inputs = {"mesh": link("mesh"), "name": "solid", "format": format, "picture": False}
    return {"type": "SaveMesh", "inputs": inputs}


def test_solids_of_a_text_are_saved_as_glb_and_ply(bench: Bench, folder_of: Folders) -> None:
    nodes = graph(
        folder_of(shap_e), text_prompt(), mesh=MESH, save=saving("glb"), also=saving("ply")
    )
    result = bench.run(nodes)
    assert not result.errors
    first, second = result["mesh.meshs"]
    assert len(first.faces) > 20
    assert not torch.equal(first.vertices, second.vertices)
    for suffix in ("glb", "ply"):
        files = sorted((bench.folder / "outputs").glob(f"*.{suffix}"))
        assert len(files) == 2
        for file, mesh in zip(files, (first, second), strict=True):
            found = read_mesh(file)
            assert torch.equal(found.vertices, mesh.vertices)
            assert torch.equal(found.faces, mesh.faces)
            assert found.colors is not None
            assert torch.allclose(found.colors, mesh.colors, atol=0.02)
    glb = Glb.parse(next((bench.folder / "outputs").glob("*00001.glb")).read_bytes())
    (primitive,) = glb.document["meshes"][0]["primitives"]
    positions = glb.table(primitive["attributes"]["POSITION"])
    assert np.array_equal(positions, first.vertices.numpy())
    assert "COLOR_0" in primitive["attributes"]


def test_views_of_solids_of_an_image(bench: Bench, folder_of: Folders) -> None:
    nodes = graph(folder_of(shap_e_image), image_prompt(), picture=PICTURE, views=VIEWS)
    facts = bench.facts(nodes, "views")["image"]
    assert (facts["width"], facts["height"], facts["batch"]) == (8, 8, 4)
    views = bench.value(nodes, "views.image")
    assert views.shape == (4, 8, 8, 3)
    assert 0 <= views.min() < views.max() <= 1
    assert bench.told("node.progress")


@pytest.mark.parametrize(
    ("model", "prompt", "port"),
    [(shap_e, image_prompt, "encoder"), (shap_e_image, text_prompt, "encoder")],
)
def test_prompts_of_another_kind_are_found_before_loading(
    bench: Bench,
    folder_of: Folders,
    model: Callable[[], Any],
    prompt: Callable[[], dict[str, Any]],
    port: str,
) -> None:
    nodes = graph(folder_of(model), prompt(), picture=PICTURE)
    [problem] = bench.problems(nodes, "sample")
    assert (problem.node, problem.port) == ("prompt", port)


def test_prompts_of_the_other_model_are_found_before_loading(
    bench: Bench, folder_of: Folders
) -> None:
    other = {"type": "LoadModel", "inputs": {"model": folder_of(shap_e_image)}}
    prompt = image_prompt()
    prompt["inputs"]["encoder"] = link("other.text_encoder")
    nodes = graph(folder_of(shap_e), prompt, picture=PICTURE, other=other)
    [problem] = bench.problems(nodes, "sample")
    assert (problem.node, problem.port, problem.given) == (
        "sample",
        "positive",
        "shap-e-image from `prompt`",
    )


@pytest.mark.parametrize("kind", ["VAEDecodeMesh", "VAEDecodeViews"])
def test_a_vae_of_images_decodes_no_solids(bench: Bench, kind: str) -> None:
    load = {"type": "LoadModel", "inputs": {"model": "tiny"}}
    empty = {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}}
    decode = {"type": kind, "inputs": {"vae": VAE, "latent": link("empty")}}
    [problem] = bench.problems({"load": load, "empty": empty, "decode": decode}, "decode")
    assert (problem.node, problem.port) == ("decode", "vae")


def test_solids_are_not_decoded_as_images(bench: Bench, folder_of: Folders) -> None:
    decode = {"type": "VAEDecode", "inputs": {"vae": VAE, "latent": SAMPLED}}
    nodes = graph(folder_of(shap_e), text_prompt(), decode=decode)
    [problem] = bench.problems(nodes, "decode")
    assert (problem.node, problem.port) == ("decode", "vae")


def test_latents_of_images_are_found_before_loading(bench: Bench, folder_of: Folders) -> None:
    nodes = graph(folder_of(shap_e), text_prompt())
    nodes["empty"] = {"type": "EmptyLatent", "inputs": {"width": 512, "height": 512}}
    [problem] = bench.problems(nodes, "sample")
    assert (problem.node, problem.port, problem.given) == ("sample", "latent", "512 x 512")


def test_models_of_solids_are_not_trained(folder_of: Folders) -> None:
    recipes = open_model(folder_of(shap_e), [])
    with raises(InvalidValue, port="model", given="shap-e"):
        check_trainable(*recipes)


def cropped() -> dict[str, Any]:
    inputs = {"latent": SAMPLED, "width": 512, "height": 1024}
    return {"type": "CropLatent", "inputs": inputs}


@pytest.mark.parametrize("node", [MESH, VIEWS])
def test_cropped_solids_are_found_before_loading(
    bench: Bench, folder_of: Folders, node: dict[str, Any]
) -> None:
    decode = {**node, "inputs": {**node["inputs"], "latent": link("cropped")}}
    nodes = graph(folder_of(shap_e), text_prompt(), cropped=cropped(), decode=decode)
    [problem] = bench.problems(nodes, "decode")
    assert (problem.node, problem.port, problem.given) == ("decode", "latent", "512 x 1024")


def test_views_beyond_the_memory_are_found_before_loading(
    bench: Bench, folder_of: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_checks, "total_memory", lambda: 4 << 30)
    views = {"type": "VAEDecodeViews", "inputs": {**VIEWS["inputs"], "views": 200, "size": 1024}}
    nodes = graph(folder_of(shap_e), text_prompt(), views=views)
    [problem] = bench.problems(nodes, "views")
    assert (problem.node, problem.port) == ("views", "size")
