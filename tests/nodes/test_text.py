"""Prompts are encoded as the pipelines do, also beside images, and faults in them are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from nodegraph import Workflow
from tests.diffusion.conftest import sd1_pipeline  # noqa: F401 - a fixture
from tests.diffusion.families.equality import picture, random_pipeline
from tests.diffusion.families.test_qwen_image_edit import edit_plus
from tests.nodes.conftest import Bench, link


def encode(model: Path, text: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": text},
        },
    }


def test_it_gives_the_pipelines_embeddings(
    bench: Bench,
    sd1_folder: Path,
    sd1_pipeline: StableDiffusionPipeline,  # noqa: F811
) -> None:
    expected, empty = sd1_pipeline.encode_prompt("a red apple", "cpu", 1, True)

    found = bench.value(encode(sd1_folder, "a red apple"), "text.conditioning")

    assert torch.equal(found.entries[0].embeddings, expected)
    assert torch.equal(found.unconditional.embeddings, empty)
    assert bench.told("log") == []


def test_a_long_prompt_is_logged(bench: Bench, sd1_folder: Path) -> None:
    found = bench.value(encode(sd1_folder, "red " * 100), "text.conditioning")

    assert found.entries[0].embeddings.shape == (1, 2 * 77, 32)
    [event] = bench.told("log")
    assert event.data["level"] == "warning"
    assert "2 parts" in event.data["message"]


def test_absurd_weights_are_told_before_running(bench: Bench, sd1_folder: Path) -> None:
    [problem] = bench.problems(encode(sd1_folder, "(red:1e) (apple:5000)"), "text")

    assert (problem.node, problem.port) == ("text", "text")
    assert "too large" in str(problem)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a [b:c:1.5]", "at character 3"), ("[(a:5000)|b]", "too large"), ("a AND b:-1", "below 0")],
)
def test_times_that_are_none_are_told_before_running(
    bench: Bench, sd1_folder: Path, text: str, message: str
) -> None:
    [problem] = bench.problems(encode(sd1_folder, text), "text")

    assert (problem.node, problem.port) == ("text", "text")
    assert message in str(problem)
    graph = encode(sd1_folder, text)
    graph["text"]["inputs"]["syntax"] = "off"
    assert bench.problems(graph, "text") == []


def sampled(model: Path, text: str, steps: int) -> dict[str, Any]:
    given = {"model": link("load.model"), "positive": link("text"), "latent": link("size")}
    few = {"steps": steps, "sampler": "euler", "schedule": "normal", "cfg": 2.0}
    return {
        **encode(model, text),
        "size": {"type": "EmptyLatent", "inputs": {"width": 32, "height": 32}},
        "sample": {"type": "KSampler", "inputs": {**given, **few}},
    }


@pytest.mark.slow
def test_each_step_is_led_by_its_words(bench: Bench, sd1_folder: Path) -> None:
    def latent(text: str, steps: int = 3) -> Any:
        return bench.value(sampled(sd1_folder, text, steps), "sample.latent").samples

    red, fox, turns = latent("red"), latent("fox"), latent("[red|fox]")
    assert torch.equal(latent("[red:fox:1.0]"), red)
    assert torch.equal(latent("[red:fox:0]"), fox)
    assert torch.equal(latent("[red|fox|red]"), latent("[red:[fox:red:2]:1]"))
    assert torch.equal(turns, latent("[red|fox|red]"))
    assert not torch.equal(turns, red)
    torch.testing.assert_close(latent("red AND red:3"), red)


def test_earlier_layers_of_clip_are_asked_for(bench: Bench, sd1_folder: Path) -> None:
    graph = encode(sd1_folder, "fox")
    graph["skip"] = {"type": "ClipSkip", "inputs": {"encoder": link("load.text_encoder")}}
    plain = bench.value(graph, "text.conditioning").entries[0].embeddings
    graph["text"]["inputs"]["encoder"] = link("skip.text_encoder")
    other = bench.value(graph, "text.conditioning").entries[0].embeddings
    assert not torch.equal(plain, other)

    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": graph})
    assert not bench.session.plan(workflow, targets=["text"]).totals.unknown_load
    graph["skip"]["inputs"]["skip"] = 1
    assert torch.equal(bench.value(graph, "text.conditioning").entries[0].embeddings, plain)


def test_what_a_family_has_not_is_told_before_running(
    bench: Bench, sd1_folder: Path, edit_folder: Path
) -> None:
    graph = encode(edit_folder, "fox")
    given = {"encoder": link("load.text_encoder")}
    graph["skip"] = {"type": "ClipSkip", "inputs": given}
    graph["apart"] = {"type": "EncodePromptApart", "inputs": given}
    graph["sizes"] = {"type": "SizeConditioning", "inputs": {"conditioning": link("text")}}
    for node, message in {"skip": "CLIP layer", "apart": "one text", "sizes": "XL"}.items():
        [problem] = bench.problems(graph, node)
        assert message in str(problem)


def test_the_same_text_is_not_encoded_twice(bench: Bench, sd1_folder: Path) -> None:
    bench.run(encode(sd1_folder, "fox"), "text")

    assert bench.run(encode(sd1_folder, "fox"), "text").nodes["text"].status == "cached"
    assert bench.run(encode(sd1_folder, "a fox"), "text").nodes["text"].status == "ran"


@pytest.fixture(scope="module")
def edit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "edit"
    random_pipeline(edit_plus).save_pretrained(folder)
    picture(64, 48).save(folder / "seen.png")
    return folder


def test_where_brackets_are_text_no_weight_is_absurd(bench: Bench, edit_folder: Path) -> None:
    assert bench.problems(encode(edit_folder, "(apple:5000)"), "text") == []


def edited(folder: Path) -> dict[str, Any]:
    size = {"width": 64, "height": 64}
    few = {"steps": 2, "sampler": "euler", "schedule": "normal", "cfg": 1.0}
    given = {
        "load": ("LoadModel", {"model": str(folder)}),
        "seen": ("LoadImage", {"path": str(folder / "seen.png")}),
        "latent": ("VAEEncode", {"vae": link("load.vae"), "image": link("seen.image")}),
        "text": (
            "EncodeEditPrompt",
            {"encoder": link("load.text_encoder"), "images": link("seen.image"), "text": "red"},
        ),
        "shown": (
            "ReferenceLatents",
            {"conditioning": link("text.conditioning"), "latent": link("latent.latent")},
        ),
        "empty": ("EmptyLatent", size),
        "sample": (
            "KSampler",
            {
                "model": link("load.model"),
                "positive": link("shown.conditioning"),
                "latent": link("empty.latent"),
                **few,
            },
        ),
    }
    return {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in given.items()}


def test_prompts_of_one_that_does_not_edit_lead_one_that_does(
    bench: Bench, edit_folder: Path
) -> None:
    graph = edited(edit_folder)
    loaded = {"family": "qwen-image", "file": str(edit_folder)}
    graph["plain"] = {"type": "LoadTextEncoder", "inputs": loaded}
    said = {"encoder": link("plain.text_encoder"), "text": "red"}
    graph["say"] = {"type": "EncodePrompt", "inputs": said}
    graph["sample"]["inputs"]["positive"] = link("say.conditioning")
    assert not bench.problems(graph, "sample")
    found = bench.value(graph, "say.conditioning")
    assert found.family == "qwen-image"
    assert torch.isfinite(bench.value(graph, "sample.latent").samples).all()


@pytest.mark.slow
def test_without_a_picture_nothing_is_shown_but_it_may_be_said_how(
    bench: Bench, edit_folder: Path
) -> None:
    graph = edited(edit_folder)
    shown = link("shown.conditioning")
    graph["how"] = {"type": "ReferenceLatents", "inputs": {"conditioning": shown}}
    [problem] = bench.problems(graph, "how")
    assert (problem.port, problem.code) == ("latent", "missing-input")
    graph["how"]["inputs"]["places"] = "index"
    [before] = bench.value(graph, "shown.conditioning").entries
    [entry] = bench.value(graph, "how.conditioning").entries
    assert len(entry.references) == len(before.references) == 1
    assert entry.tensors.keys() - before.tensors.keys() == {"numbered"}


def test_pictures_are_edited(bench: Bench, edit_folder: Path) -> None:
    graph = edited(edit_folder)
    found = bench.value(graph, "shown.conditioning")
    latent = bench.value(graph, "latent.latent")

    [entry] = found.entries
    assert found.family == "qwen-image-edit-plus"
    assert torch.equal(entry.references[0], latent.samples)
    made = bench.value(graph, "sample.latent").samples
    graph["sample"]["inputs"]["positive"] = link("text.conditioning")
    assert not torch.equal(made, bench.value(graph, "sample.latent").samples)


def test_the_encoder_sees_pictures(bench: Bench, edit_folder: Path) -> None:
    graph = edited(edit_folder)
    beside = bench.value(graph, "text.conditioning").entries[0].embeddings
    plain = {"encoder": link("load.text_encoder"), "text": "red"}
    graph["text"] = {"type": "EncodePrompt", "inputs": plain}
    alone = bench.value(graph, "text.conditioning").entries[0].embeddings

    # a token for each 28 x 28 pixels of about 384 x 384, and words around them
    assert beside.shape[1] > alone.shape[1] + 150
