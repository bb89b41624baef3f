"""LoadLora and LoadTextualInversion: they tell before running what
can't be put on, and while running what took effect."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nodegraph import Workflow
from nodegraph.core.file_access import path_problems
from tests.diffusion.adapters import files
from tests.diffusion.conftest import tiny_text_model, tiny_unet
from tests.nodes.conftest import Bench, link

LOAD = {"load": {"type": "LoadModel", "inputs": {"model": "apples"}}}


@pytest.fixture
def models(bench: Bench, sd1_folder: Path) -> Path:
    """The bench's models folder, with a model called `apples`, and LoRAs."""
    folder = bench.folder / "models"
    shutil.copytree(sd1_folder, folder / "apples")
    torch.manual_seed(0)
    unet = files.own_pairs(tiny_unet())
    words = {f"token{at}": at for at in range(9)} | {"<|startoftext|>": 9, "<|endoftext|>": 10}
    text = {
        f"text_model.{name.removeprefix('text_model.')}": pair
        for name, pair in files.own_pairs(tiny_text_model(words)).items()
        if "layers" in name
    }
    kohya = files.flat_file(unet, "lora_unet_") | files.flat_file(text, "lora_te_")
    files.saved(kohya, folder / "both.safetensors")
    files.saved(files.peft_file(unet, "unet."), folder / "unet.safetensors")
    wider = {"down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k": 2048}
    other = {name: (torch.zeros(2, width), torch.zeros(32, 2)) for name, width in wider.items()}
    files.saved(files.flat_file(other, "lora_unet_"), folder / "xl.safetensors")
    return folder


def lora(name: str, model: str = "load.model", **inputs: Any) -> dict[str, Any]:
    return {"type": "LoadLora", "inputs": {"model": link(model), "lora": name, **inputs}}


def said(bench: Bench) -> list[str]:
    return [event.data["message"] for event in bench.told("log")]


def test_it_names_the_file_in_both_recipes_and_says_what_took_effect(
    bench: Bench, models: Path
) -> None:
    inputs = {"text_encoder": link("load.text_encoder"), "strength_encoder": 0.5}
    result = bench.run({**LOAD, "lora": lora("both", **inputs)}, "lora")
    assert not result.errors
    model, encoder = result["lora.model"], result["lora.text_encoder"]
    assert [item.strength for item in model.adapters] == [1.0]
    assert [item.strength for item in encoder.adapters] == [0.5]
    assert {item.source for item in (*model.adapters, *encoder.adapters)} == {
        str(models / "both.safetensors")
    }
    count = len(files.own_pairs(tiny_unet()))
    assert said(bench) == [
        f"both: applied to {count} of {count} layers of the model",
        "both: applied to 12 of 12 layers of the text encoder",
    ]


def test_several_are_put_on_one_after_the_other(bench: Bench, models: Path) -> None:
    nodes = {**LOAD, "one": lora("both"), "two": lora("unet", "one.model", strength_model=-0.5)}
    adapters = bench.value(nodes, "two.model").adapters
    assert [(Path(item.source).stem, item.strength) for item in adapters] == [
        ("both", 1.0),
        ("unet", -0.5),
    ]


def test_without_a_text_encoder_there_is_none_to_go_on_with(bench: Bench, models: Path) -> None:
    text = {"type": "EncodePrompt", "inputs": {"encoder": link("lora.text_encoder"), "text": "x"}}
    result = bench.run({**LOAD, "lora": lora("unet"), "text": text}, "text")
    assert not result.errors
    assert "text" in {event.node for event in bench.told("node.skipped")}


@pytest.mark.parametrize("fused", [pytest.param(False, marks=pytest.mark.slow), True])
def test_it_changes_what_is_sampled(bench: Bench, models: Path, fused: bool) -> None:
    text = {"type": "EncodePrompt", "inputs": {"encoder": link("load.text_encoder"), "text": "x"}}
    size = {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}}

    def latent(strength: float) -> Any:
        given = {"positive": link("text"), "latent": link("size"), "steps": 2, "cfg": 1.0}
        sampler = {"type": "KSampler", "inputs": {"model": link("lora.model"), **given}}
        put_on = lora("unet", strength_model=strength, fused=fused)
        nodes = {**LOAD, "text": text, "size": size, "lora": put_on, "sample": sampler}
        return bench.value(nodes, "sample.latent").samples

    none, half, full = latent(0.0), latent(0.5), latent(1.0)
    assert (half - none).abs().max() > 1e-3
    assert (full - half).abs().max() > 1e-3


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_file_with_numbers_that_are_none_is_named_at_its_own_node(
    bench: Bench, models: Path, number: float
) -> None:
    """Not at the sampler, which would blame the model."""
    tensors = load_file(models / "unet.safetensors")
    broken = sorted(tensors)[1]
    tensors[broken].view(-1)[0] = number
    files.saved(tensors, models / "broken.safetensors")
    words = {"emb_params": torch.full((2, 32), number)}
    files.saved(words, models / "words.safetensors")
    word = {"text_encoder": link("load.text_encoder"), "embedding": "words"}
    nodes = {
        **LOAD,
        "lora": lora("broken"),
        "word": {"type": "LoadTextualInversion", "inputs": word},
    }
    for node, port, tensor in (("lora", "lora", broken), ("word", "embedding", "emb_params")):
        [failed] = bench.run(nodes, node).errors
        [problem] = failed.problems
        assert (problem.node, problem.port, problem.code) == (node, port, "invalid-file")
        assert tensor in problem.message


def test_a_lora_for_another_family_is_found_before_running(bench: Bench, models: Path) -> None:
    [problem] = bench.problems({**LOAD, "lora": lora("xl")}, "lora")
    assert (problem.port, problem.code) == ("lora", "wrong-family")
    assert "Stable Diffusion XL" in problem.message
    shapes = {"load": {"type": "LoadDiffusionModel", "inputs": {"model": "tiny/shapes"}}}
    name = {"model": link("load"), "lora": "tiny/style_lora"}
    [problem] = bench.problems({**shapes, "lora": {"type": "LoadLora", "inputs": name}}, "lora")
    assert (problem.port, problem.code) == ("lora", "wrong-family")


@pytest.mark.parametrize(
    ("name", "message"), [("inc", "there is no LoRA `inc`"), ("apples.safetensors", "no LoRA")]
)
def test_what_is_no_lora_is_found_before_running(
    bench: Bench, models: Path, name: str, message: str
) -> None:
    files.saved({"model.diffusion_model.x": torch.zeros(1)}, models / "apples.safetensors")
    [problem] = bench.problems({**LOAD, "lora": lora(name)}, "lora")
    assert problem.port == "lora"
    assert message in problem.message


def test_layers_that_have_no_place_are_told(bench: Bench, models: Path) -> None:
    pairs = files.own_pairs(tiny_unet())
    more = {"down_blocks.7.resnets.0.conv1": (torch.zeros(2, 8, 3, 3), torch.zeros(8, 2, 1, 1))}
    files.saved(files.peft_file(pairs | more, "unet."), models / "partly.safetensors")
    bench.value({**LOAD, "lora": lora("partly")}, "lora.model")
    assert said(bench) == [
        f"partly: applied to {len(pairs)} of {len(pairs) + 1} layers of the model",
        "partly: no matching layer in the model for 1 entries, such as "
        "unet.down_blocks.7.resnets.0.conv1",
    ]


def test_what_is_left_out_of_a_file_is_told(bench: Bench, models: Path) -> None:
    bench.value({**LOAD, "lora": lora("both")}, "lora.model")
    assert said(bench)[1:] == ["both: 12 layers are for the text encoder, which is not linked"]
    pairs = files.peft_file(files.own_pairs(tiny_unet()), "unet.")
    files.saved(pairs | {"unet.x.oft_blocks": torch.zeros(1)}, models / "more.safetensors")
    bench.value({**LOAD, "lora": lora("more")}, "lora.model")
    assert said(bench)[1:] == ["more: 1 tensors have an unknown format, such as unet.x.oft_blocks"]


def test_a_file_that_was_replaced_is_another_lora(bench: Bench, models: Path) -> None:
    nodes = {**LOAD, "lora": lora("unet")}
    before = bench.value(nodes, "lora.model")
    shutil.copyfile(models / "both.safetensors", models / "unet.safetensors")
    assert bench.value(nodes, "lora.model").adapters != before.adapters


@pytest.fixture
def planner(tmp_path: Path, models: Path) -> Iterator[Bench]:
    """What is in memory already is in no plan: it has loaded nothing."""
    (tmp_path / "cold").mkdir()
    made = Bench(tmp_path / "cold", is_cold=True, models=(models,))
    yield made
    made.session.close()


def test_what_it_takes_in_memory_is_planned(planner: Bench) -> None:
    text = {"type": "EncodePrompt", "inputs": {"encoder": link("load.text_encoder"), "text": "x"}}
    size = {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}}
    loads = []
    for model in ("load.model", "one.model", "two.model"):
        given = {"model": link(model), "positive": link("text"), "latent": link("size")}
        nodes = {**LOAD, "text": text, "size": size, "one": lora("both")}
        nodes |= {"two": lora("unet", "one.model"), "sample": {"type": "KSampler", "inputs": given}}
        workflow = {"format": "nodegraph/1", "nodes": nodes}
        plan = planner.session.plan(Workflow.from_dict(workflow), targets=["sample"]).totals
        assert not plan.unknown_load
        loads.append(plan.load["cpu"])
    plain, one, two = loads
    added = 4 * sum(
        down.numel() + up.numel() + 1 for down, up in files.own_pairs(tiny_unet()).values()
    )
    assert one - plain == added
    assert two > one


@pytest.mark.slow
def test_two_loras_on_one_model_share_its_weights_in_plans(planner: Bench) -> None:
    """Before anything ran, when no recipe is known, and after the loaders did."""
    text = {"type": "EncodePrompt", "inputs": {"encoder": link("load.text_encoder"), "text": "x"}}
    size = {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}}

    def loaded(*models: str) -> int:
        nodes = {**LOAD, "text": text, "size": size, "one": lora("both"), "two": lora("unet")}
        for model in models:
            given = {"model": link(f"{model}.model"), "positive": link("text")}
            nodes[model[::-1]] = {"type": "KSampler", "inputs": given | {"latent": link("size")}}
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        plan = planner.session.plan(workflow, targets=[model[::-1] for model in models])
        return plan.totals.load["cpu"]
        return plan.totals.load["cpu"]

    for _ in range(2):
        plain, one, two = (loaded(model) for model in ("load", "one", "two"))
        assert loaded("one", "two") == plain + (one - plain) + (two - plain)
        assert loaded("load", "one") == one
        planner.value({**LOAD, "one": lora("both")}, "one.model")
        planner.value({**LOAD, "two": lora("unet")}, "two.model")


def test_a_textual_inversion_is_a_word_in_prompts(bench: Bench, models: Path) -> None:
    files.saved({"emb_params": torch.randn(2, 32)}, models / "cat.safetensors")
    inputs = {"text_encoder": link("load.text_encoder"), "embedding": "cat"}
    word = {"type": "LoadTextualInversion", "inputs": inputs}

    def encoded(encoder: str) -> Any:
        given = {"encoder": link(encoder), "text": "a cat"}
        nodes = {**LOAD, "word": word, "text": {"type": "EncodePrompt", "inputs": given}}
        return bench.value(nodes, "text.conditioning").entries[0].embeddings

    taught = encoded("word.text_encoder")
    assert said(bench) == ["cat: use `cat` in prompts"]
    assert not torch.equal(taught, encoded("load.text_encoder"))
    given = {"encoder": link("word.text_encoder"), "text": "[a cat BREAK fox:fox:0.5]"}
    nodes = {**LOAD, "word": word, "text": {"type": "EncodePrompt", "inputs": given}}
    [first, _] = bench.value(nodes, "text.conditioning").entries
    assert torch.equal(first.embeddings[:, :77], taught)


@pytest.mark.parametrize(
    ("name", "message"), [("dog", "no textual inversion `dog`"), ("unet", "holds no textual")]
)
def test_what_is_no_textual_inversion_is_found_before_running(
    bench: Bench, models: Path, name: str, message: str
) -> None:
    inputs = {"text_encoder": link("load.text_encoder"), "embedding": name}
    nodes = {**LOAD, "word": {"type": "LoadTextualInversion", "inputs": inputs}}
    [problem] = bench.problems(nodes, "word")
    assert problem.port == "embedding"
    assert message in problem.message


@pytest.mark.parametrize("port", ["lora", "embedding"])
def test_for_others_it_is_looked_for_below_the_models_alone(bench: Bench, port: str) -> None:
    kind = {"lora": "LoadLora", "embedding": "LoadTextualInversion"}[port]
    spec = bench.session.registry.definition(kind).spec
    environment = replace(bench.session.environment, readable=(bench.folder / "inputs",))
    for name, is_fine in (("styles/ink", True), ("../secret", False), ("/etc/passwd", False)):
        assert (not list(path_problems("n", spec, {port: name}, environment))) == is_fine
