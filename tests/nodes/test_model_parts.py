"""LoadDiffusionModel gives a recipe at once, and tells before running what it can't load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from nodegraph.families.scheduler_file import scheduler_config
from tests.diffusion.single_files import double_stream
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS
from tests.nodes.conftest import Bench, link


def load(model: str, **inputs: Any) -> dict[str, Any]:
    return {"load": {"type": "LoadDiffusionModel", "inputs": {"model": model, **inputs}}}


@pytest.fixture
def flux(bench: Bench) -> Path:
    """A transformer called `flux` in the bench's models folder, in original names."""
    torch.manual_seed(0)
    net = diffusers.FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        num_attention_heads=1,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
    )
    path = bench.folder / "models" / "flux.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(double_stream.flux(net.state_dict()), path)
    return path


@pytest.fixture
def wan(bench: Bench) -> Path:
    """An expert called `wan` in the bench's models folder, and one of other sizes, `other`."""
    path = bench.folder / "models" / "wan.safetensors"
    path.parent.mkdir(exist_ok=True)
    small = SMALL["wan"]
    for name, more in (("wan", {}), ("other", {"ffn_dim": 32})):
        net = getattr(diffusers, small.kind)(**{**small.config, **more})
        save_file(WRITERS["wan"](net.state_dict()), path.with_name(f"{name}.safetensors"))
    return path


def test_it_gives_a_recipe(bench: Bench, flux: Path) -> None:
    recipe = bench.value(load("flux", dtype="bfloat16"), "load.model")
    assert [(file.role, file.path) for file in recipe.files] == [("transformer", str(flux))]
    assert (recipe.family, recipe.dtype) == ("flux", "bfloat16")


def test_what_is_known_of_it_goes_on(bench: Bench, flux: Path) -> None:
    """So a latent of another kind is told before anything runs."""
    nodes = {
        **load("flux"),
        "tiny": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("tiny.text_encoder"), "text": "a cat"},
        },
        "latent": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("text"),
                "latent": link("latent"),
            },
        },
    }
    problems = bench.problems(nodes, "sample")
    assert any("flux" in str(problem) for problem in problems)


def test_it_can_be_told_the_shift(bench: Bench, flux: Path) -> None:
    recipe = bench.value(load("flux", shift=2.0), "load.model")
    assert scheduler_config(recipe)["shift"] == 2.0


def test_a_changed_file_is_noticed(bench: Bench, flux: Path) -> None:
    before = bench.value(load("flux"), "load.model")
    assert bench.run(load("flux"), "load").nodes["load"].status == "cached"
    flux.write_bytes(flux.read_bytes()[:-1] + b"\x01")
    assert bench.value(load("flux"), "load.model").digest != before.digest


@pytest.mark.parametrize(
    ("inputs", "port", "words"),
    [
        ({"model": "flax"}, "model", "Did you mean `flux`?"),
        ({"model": " flux "}, "model", "Did you mean `flux`?"),
        ({"model": "page"}, "model", "but a web page"),
        ({"model": "pointer"}, "model", "git lfs pull"),
        ({"model": "other"}, "model", "other.safetensors is not a model that is known here"),
        ({"model": "cut"}, "model", "is Flux.1 that is incomplete or was modified, not a"),
        ({"model": "flux", "second": "flux"}, "second", "no second expert"),
        ({"model": "flux", "family": "sd3"}, "family", "the transformer of Flux.1"),
        ({"model": "flux", "prediction_type": "epsilon"}, "prediction_type", "flow-matching"),
        ({"model": "lora"}, "model", "Load it with LoadLora"),
    ],
)
def test_what_cannot_be_loaded_is_told_before_running(
    bench: Bench, flux: Path, inputs: dict[str, Any], port: str, words: str
) -> None:
    save_file({"a.lora_A.weight": torch.ones(1, 1)}, flux.with_name("lora.safetensors"))
    save_file({"a": torch.ones(1, 1)}, flux.with_name("other.safetensors"))
    cut = {name: item for name, item in load_file(flux).items() if "img_in" not in name}
    save_file(cut, flux.with_name("cut.safetensors"))
    flux.with_name("page.safetensors").write_text("\n<!DOCTYPE html><html>404</html>")
    flux.with_name("pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    [problem] = bench.problems(load(**inputs), "load")
    assert (problem.node, problem.port) == ("load", port)
    assert words in str(problem)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("gone", "there is no model `gone`"),
        ("other", "other and wan are not the two experts of one model"),
        ("flux", "flux and wan are not the two experts of one model"),
        ("empty", "empty.safetensors is not an intact safetensors file"),
        ("tiny", "tiny is a whole model, not a separate second expert"),
    ],
)
def test_faults_of_the_second_expert_are_told_at_its_port(
    bench: Bench, flux: Path, wan: Path, second: str, words: str
) -> None:
    flux.with_name("empty.safetensors").touch()
    [problem] = bench.problems(load("wan", second=second), "load")
    assert (problem.port, words in problem.message) == ("second", True), problem.message


def test_one_file_as_both_experts_is_told_and_run(bench: Bench, wan: Path) -> None:
    nodes = load("wan", second="wan")
    [problem] = bench.warnings(nodes)
    assert (problem.port, problem.message) == ("second", "both experts are the same file")
    assert len(bench.value(nodes, "load.model").files) == 2
