"""LoadModel gives recipes at once, and tells before running what can't be loaded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nodegraph import Vae
from nodegraph.diffusion import encode_image, load_component, open_model, scheduler_config
from nodegraph.models import model_files as model_stamps
from nodegraph.models import model_sources as models
from nodegraph.weights.numerics import cpu_has_bfloat16
from tests.diffusion.families.parts import vae
from tests.diffusion.ldm_export import _vae_tensors
from tests.nodes.conftest import Bench, link


def load(model: str, **inputs: Any) -> dict[str, Any]:
    return {"load": {"type": "LoadModel", "inputs": {"model": model, **inputs}}}


@pytest.fixture
def apples(bench: Bench, sd1_folder: Path) -> Path:
    """A model called `apples` in the bench's models folder."""
    return Path(shutil.copytree(sd1_folder, bench.folder / "models" / "apples"))


def test_it_gives_the_three_parts(bench: Bench, apples: Path) -> None:
    result = bench.run(load("apples"), "load")

    recipes = [result[f"load.{part}"] for part in ("model", "text_encoder", "vae")]
    assert [type(recipe).__name__ for recipe in recipes] == ["DiffusionModel", "TextEncoder", "Vae"]
    parts = [{Path(file.path).parent for file in recipe.files} for recipe in recipes]
    encoder = {apples / "text_encoder", apples / "tokenizer"}
    assert parts == [{apples / "unet"}, encoder, {apples / "vae"}]
    assert {recipe.dtype for recipe in recipes} == {"float32"}


def test_tiny_is_the_embedded_model(
    bench: Bench, sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "embedded_folder", lambda: sd1_folder)

    vae = bench.value({"load": {"type": "LoadModel"}}, "load.vae")
    assert vae.source == str(sd1_folder / "vae")


def test_dtype_is_a_choice(bench: Bench, apples: Path) -> None:
    assert bench.value(load("apples", dtype="bfloat16"), "load.model").dtype == "bfloat16"
    [problem] = bench.problems(load("apples", dtype="float7"), "load")
    assert problem.port == "dtype"


@pytest.mark.parametrize("capable", [True, False])
def test_float16_is_float32_on_a_cpu_that_lacks_it_and_that_is_said(
    bench: Bench, apples: Path, monkeypatch: pytest.MonkeyPatch, capable: bool
) -> None:
    monkeypatch.setattr(model_stamps, "cpu_has_float16", lambda: capable)
    nodes = load("apples", dtype="float16")

    assert bench.problems(nodes, "load") == []
    warnings = bench.warnings(nodes)
    assert bench.value(nodes, "load.vae").dtype == ("float16" if capable else "float32")
    assert len(warnings) == (0 if capable else 1)
    for warning in warnings:
        assert (warning.node, warning.port, warning.given) == ("load", "dtype", "float16")
        hint = warning.hint or ""
        assert "bfloat16: it needs half the memory" in hint
        assert ("far more time" in hint) != cpu_has_bfloat16()


def test_a_changed_file_is_noticed(bench: Bench, apples: Path) -> None:
    before = bench.value(load("apples"), "load.vae")
    assert bench.run(load("apples"), "load").nodes["load"].status == "cached"

    (apples / "vae" / "config.json").write_text((apples / "vae" / "config.json").read_text() + "\n")

    result = bench.run(load("apples"), "load")
    assert result.nodes["load"].status == "ran"
    assert result["load.vae"].digest != before.digest


def test_weights_that_change_in_mid_run_give_no_result(tmp_path: Path, apples: Path) -> None:
    (folder := tmp_path / "cold").mkdir()  # weights that another has loaded would do
    bench = Bench(folder, is_cold=True, models=(apples.parent,))
    file = apples / "vae" / "diffusion_pytorch_model.safetensors"
    nodes = {
        **load("apples"),
        "latent": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("picture")},
        },
        "picture": {"type": "Picture", "inputs": {"width": 16, "height": 16}},
    }
    spoilt = nodes | {
        "spoil": {"type": "Overwrite", "inputs": {"vae": link("load.vae"), "file": str(file)}}
    }
    spoilt["latent"] = {
        "type": "VAEEncode",
        "inputs": {"vae": link("spoil"), "image": link("picture")},
    }

    error = bench.failure(spoilt, "latent")

    assert error.problem.node == "latent"
    assert f"{file} was changed while a run used it" in str(error)
    after = bench.value(nodes, "latent.latent").samples
    [vae] = [recipe for recipe in open_model(str(apples), []) if isinstance(recipe, Vae)]
    expected = encode_image(load_component(vae, "cpu"), bench.value(nodes, "picture.image"))
    assert torch.equal(after, expected.samples)
    bench.session.close()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("aples", "model-not-found", "Did you mean `apples`?"),
        ("old.ckpt", "unsafe-file", "can run any code"),
        ("apples/unet", "invalid-file", "use LoadDiffusionModel for it"),
    ],
)
def test_what_cannot_be_loaded_is_told_before_running(
    bench: Bench, apples: Path, name: str, code: str, words: str
) -> None:
    (apples.parent / "old.ckpt").write_bytes(b"\x80")

    [problem] = bench.problems(load(name), "load")

    assert (problem.code, problem.node, problem.port) == (code, "load", "model")
    assert words in str(problem)


def test_a_schedule_of_another_kind_is_told_before_running(bench: Bench, apples: Path) -> None:
    path = apples / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace("PNDMScheduler", "FlowMatchEulerDiscreteScheduler"))

    [problem] = bench.problems(load("apples"), "load")

    assert (problem.node, problem.port) == ("load", "model")
    assert str(path) in problem.message
    assert problem.given == "FlowMatchEulerDiscreteScheduler"
    assert "DDIMScheduler" in (problem.expected or "")


def test_what_the_model_predicts_can_be_said(bench: Bench, apples: Path) -> None:
    said = {"prediction_type": "v_prediction", "zero_terminal_snr": "on"}
    assert bench.problems(load("apples", **said), "load") == []
    config = scheduler_config(bench.value(load("apples", **said), "load.model"))
    assert (config["prediction_type"], config["rescale_betas_zero_snr"]) == ("v_prediction", True)
    [problem] = bench.problems(load("apples", zero_terminal_snr="on"), "load")
    assert problem.port == "zero_terminal_snr"


def test_pickles_can_be_allowed(tmp_path: Path, sd1_folder: Path) -> None:
    bench = Bench(tmp_path, allow_pickle=True)
    folder = Path(shutil.copytree(sd1_folder, tmp_path / "models" / "apples"))
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))

    assert bench.problems(load("apples"), "load") == []
    bench.session.close()


def test_a_model_of_another_family_is_refused_with_what_it_is(bench: Bench, apples: Path) -> None:
    index = apples / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "KandinskyPipeline"))

    [problem] = bench.problems(load("apples"), "load")

    assert "a KandinskyPipeline" in str(problem)


@pytest.mark.slow
def test_checking_a_workflow_imports_no_torch(apples: Path, bench: Bench) -> None:
    code = f"""if True:
        import sys
        from pathlib import Path
        from nodegraph import Session, Settings, Workflow
        settings = Settings(home=Path({str(bench.folder / "home")!r}), device="cpu",
                            models=(Path({str(apples.parent)!r}),))
        link = {{"from": "load.text_encoder"}}
        workflow = Workflow.from_dict({{"format": "nodegraph/1", "nodes": {{
            "load": {{"type": "LoadModel", "inputs": {{"model": "apples"}}}},
            "text": {{"type": "EncodePrompt", "inputs": {{"encoder": link}}}},
        }}}})
        assert Session(settings).check(workflow, targets=["text"]) == []
        sys.exit(bool({{"torch", "numpy", "PIL"}} & set(sys.modules)))
    """
    # The first session in a home reads the packs, which may import more.
    assert bench.problems(load("apples"), "load") == []

    subprocess.run([sys.executable, "-c", code], check=True)


def test_links_carry_the_family(bench: Bench, apples: Path) -> None:
    graph = load("apples") | {
        "text": {"type": "EncodePrompt", "inputs": {"encoder": link("load.text_encoder")}}
    }

    assert bench.value(graph, "text.conditioning").family == "sd1"


def test_a_vae_by_itself_decodes_what_another_model_made(bench: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "vae": {"type": "LoadVae", "inputs": {"vae": "tiny"}},
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "an apple"},
        },
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "load.model"},
                "positive": {"from": "text.conditioning"},
                "latent": {"from": "size.latent"},
                "steps": 2,
            },
        },
        "own": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample.latent"}},
        },
        "other": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "vae.vae"}, "latent": {"from": "sample.latent"}},
        },
    }
    result = bench.run(nodes, "own", "other")
    assert not result.errors, result.errors
    assert torch.equal(result["own.image"], result["other.image"])


def test_weights_in_few_bits_go_the_whole_way(bench: Bench) -> None:
    """Told before a run, part of the key, computed with, and the VAE's left as they are."""
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny", "storage": "int8"}},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "an apple"},
        },
        "empty": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("text.conditioning"),
                "latent": link("empty.latent"),
                "steps": 1,
            },
        },
    }
    narrow = bench.value(nodes, "sample.latent").samples
    recipe = bench.value(nodes, "load.model")
    assert recipe.option("storage") == "int8"
    assert bench.value(nodes, "load.vae").options == ()

    nodes["load"]["inputs"]["storage"] = "full"
    wide = bench.value(nodes, "sample.latent").samples
    assert 0 < (narrow - wide).norm() < 0.1 * wide.norm()


@pytest.mark.parametrize(
    ("inputs", "port", "words"),
    [
        ({"vae": "."}, "vae", "models is not the folder of a VAE: it has no config.json"),
        ({"vae": "cut", "latents": "sd"}, "vae", "damaged: it has no encoder.conv_in.weight"),
        ({"vae": "tiny", "latents": "flux"}, "latents", "does not read latents of format flux"),
    ],
)
def test_what_is_no_vae_is_told_before_running(
    bench: Bench, inputs: dict[str, Any], port: str, words: str
) -> None:
    tensors = _vae_tensors(vae())
    del tensors["encoder.conv_in.weight"]
    folder = bench.folder / "models"
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "cut.safetensors")
    [problem] = bench.problems({"load": {"type": "LoadVae", "inputs": inputs}}, "load")
    assert (problem.port, words in problem.message) == (port, True), problem.message
