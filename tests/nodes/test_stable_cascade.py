"""Workflows of both stages of Stable Cascade: what they make, and what is found before a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_stable_cascade import stable_cascade, stable_cascade_decoder
from tests.nodes.conftest import Bench, link

Workflow = dict[str, Any]
Graph = Callable[..., Workflow]
_OPTIONS = {"steps": 2, "cfg": 1.0, "sampler": "ddpm", "schedule": "normal"}


def sampled(model: str, positive: str, latent: str, **options: Any) -> dict[str, Any]:
    links = {"model": link(model), "positive": link(positive), "latent": link(latent)}
    return {"type": "KSampler", "inputs": {**links, **_OPTIONS, **options}}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """An image of both stages, with further nodes or others in their place."""
    folders = {}
    for name, build in (("c", stable_cascade), ("b", stable_cascade_decoder)):
        folders[name] = tmp_path_factory.mktemp("models") / name
        random_pipeline(build).save_pretrained(folders[name])

    def joined(width: int = 128, height: int = 128, **more: Any) -> Workflow:
        size = {"width": width, "height": height}
        words = {"encoder": link("c.text_encoder"), "text": "a red cat"}
        after = {"conditioning": link("prompt"), "latent": link("sample_c")}
        return {
            **{
                name: {"type": "LoadModel", "inputs": {"model": str(folder)}}
                for name, folder in folders.items()
            },
            "prompt": {"type": "EncodePrompt", "inputs": words},
            "size": {"type": "EmptyLatent", "inputs": size},
            "sample_c": sampled("c.model", "prompt", "size"),
            "follow": {"type": "StageBConditioning", "inputs": after},
            "sample_b": sampled("b.model", "follow", "size"),
            "decode": {
                "type": "VAEDecode",
                "inputs": {"vae": link("b.vae"), "latent": link("sample_b")},
            },
            **more,
        }

    return joined


def test_both_stages_make_an_image(bench: Bench, graph: Graph) -> None:
    """The model of stage C has no VAE: nothing of one is looked for."""
    image = bench.value(graph(), "decode.image")
    assert image.shape == (1, 128, 128, 3)
    assert image.std() > 1e-3


def test_a_resized_latent_of_stage_c_is_sampled_again(bench: Bench, graph: Graph) -> None:
    """Its sides are whole cells of 42 pixels, which no multiple of 8 is."""
    resized = {"type": "ResizeLatent", "inputs": {"latent": link("sample_c"), "factor": 2.0}}
    again = sampled("c.model", "prompt", "larger", denoise=0.6)
    latent = bench.value(graph(larger=resized, again=again), "again.latent")
    assert latent.samples.shape == (1, 16, 6, 6)


def test_a_saved_folder_of_stage_c_samples_as_before(bench: Bench, graph: Graph) -> None:
    """With or without its port of a VAE, of which the model has none."""
    before = bench.value(graph(), "sample_c.latent").samples
    ports = {"model": link("c.model"), "text_encoder": link("c.text_encoder")}
    for name, more in (("linked", {"vae": link("c.vae")}), ("alone", {})):
        saved = {"type": "SaveModel", "inputs": {**ports, **more, "name": name, "layout": "folder"}}
        assert not bench.run(graph(saved=saved), "saved").errors
        [folder] = (bench.folder / "outputs").glob(f"{name}_*")
        assert not (folder / "vae").exists()
        loaded = {"type": "LoadModel", "inputs": {"model": str(folder)}}
        assert torch.equal(bench.value(graph(c=loaded), "sample_c.latent").samples, before)


def test_a_prompt_of_stage_b_leads_stage_c(bench: Bench, graph: Graph) -> None:
    words = {"encoder": link("b.text_encoder"), "text": "a red cat"}
    nodes = graph(prompt={"type": "EncodePrompt", "inputs": words})
    assert bench.problems(nodes, "decode") == []


def test_a_stage_without_a_vae_is_found(bench: Bench, graph: Graph) -> None:
    picture = {"type": "EmptyImage", "inputs": {"width": 128, "height": 128}}
    for node in (
        {"type": "VAEDecode", "inputs": {"vae": link("c.vae"), "latent": link("sample_c")}},
        {"type": "VAEEncode", "inputs": {"vae": link("c.vae"), "image": link("picture")}},
    ):
        [problem] = bench.problems(graph(coded=node, picture=picture), "coded")
        assert problem.port == "vae"
        assert "no VAE" in problem.message


def test_an_image_too_small_for_stage_b_is_refused(bench: Bench, graph: Graph) -> None:
    [problem] = bench.problems(graph(128, 56), "decode")
    assert (problem.node, problem.port) == ("sample_b", "latent")
    assert problem.expected == "at least 64 x 64 pixels"
    assert bench.value(graph(128, 64), "decode.image").shape == (1, 64, 128, 3)
