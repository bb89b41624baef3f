"""KSampler and DenoisingSteps in a graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph import Latent
from nodegraph.core.events import Event
from nodegraph.families.noise import draw_noise
from nodegraph.media.images import memory_checks as room
from nodegraph.sampling.denoise import sample
from tests.nodes import sampling_graphs
from tests.nodes.conftest import Bench
from tests.nodes.sampling_graphs import Prompt, denoiser, link, problems, sampler, value


def test_ksampler_gives_what_sample_gives() -> None:
    options: dict[str, Any] = {
        "seed": 5,
        "steps": 3,
        "cfg": 4.0,
        "sampler": "euler",
        "schedule": "karras",
    }
    found = value({"sample": sampler(**options)}, "sample.latent")
    expected = sample(denoiser(), Prompt(), None, Latent(None, 64, 64), **options)
    assert torch.equal(found.samples, expected.samples)
    assert found.format == "sd"


def test_the_negative_prompt_leads_away() -> None:
    nodes = {"against": {"type": "Prompt", "inputs": {"said": 2}}}
    without = value({"sample": sampler()}, "sample.latent")
    found = value(nodes | {"sample": sampler(negative=link("against"))}, "sample.latent")
    assert not torch.equal(found.samples, without.samples)


def test_progress_is_reported_step_by_step() -> None:
    events: list[Event] = []
    value({"sample": sampler(steps=4)}, "sample.latent", events.append)
    steps = [event.data["step"] for event in events if event.kind == "node.progress"]
    assert steps == [1, 2, 3, 4]


def test_a_list_of_seeds_gives_a_latent_each() -> None:
    nodes = {
        "seeds": {"type": "SeedRange", "inputs": {"start": 7, "count": 2}},
        "sample": sampler(seed=link("seeds")),
    }
    found = value(nodes, "sample.latent")
    alone = value({"sample": sampler(seed=8)}, "sample.latent")
    assert len(found) == 2
    assert torch.equal(found[1].samples, alone.samples)


def test_denoising_steps_end_in_what_ksampler_gives() -> None:
    found = value({"steps": sampler("DenoisingSteps", steps=4)}, "steps.latents")
    final = value({"sample": sampler(steps=4)}, "sample.latent")
    assert len(found) == 4
    torch.testing.assert_close(found[-1].samples, final.samples)


def test_denoise_zero_hands_a_picture_on() -> None:
    """As in ComfyUI and A1111; also where it is linked, and however few the steps are."""
    nodes = {"sample": sampler(latent=link("picture"), denoise=0, steps=1)}
    assert problems(nodes, "sample") == []
    found = value(nodes, "sample.latent")
    assert torch.equal(found.samples, draw_noise((4, 8, 8), 3, [0]))


def test_denoise_zero_of_an_empty_latent_is_refused() -> None:
    with pytest.raises(AssertionError, match="no content to return at denoise 0"):
        value({"sample": sampler(denoise=0)}, "sample.latent")


def test_denoise_zero_of_an_empty_latent_is_zeros_by_comfyuis_convention() -> None:
    found = value({"sample": sampler(denoise=0, convention="comfyui")}, "sample.latent")
    assert torch.equal(found.samples, torch.zeros(1, 4, 8, 8))
    assert (found.format, found.width, found.height) == ("sd", 64, 64)


def test_a_masked_part_is_kept() -> None:
    nodes = {
        "masked": {
            "type": "SetNoiseMask",
            "inputs": {"latent": link("picture"), "mask": link("mask")},
        },
        "sample": sampler(latent=link("masked"), denoise=0.7),
    }
    found = value(nodes, "sample.latent")
    original = draw_noise((4, 8, 8), 3, [0])
    assert torch.equal(found.samples[..., :4], original[..., :4])


@pytest.mark.parametrize(
    ("port", "change"),
    [
        ("schedule", {"sampler": "ddim", "schedule": "karras"}),
        ("denoise", {"steps": 20, "denoise": 0.01}),
        ("sampler", {"sampler": "eular"}),
        ("steps", {"steps": 0}),
        ("cfg", {"cfg": -1}),
    ],
)
@pytest.mark.parametrize("kind", ["KSampler", "DenoisingSteps"])
def test_what_cannot_work_is_found_before_running(
    kind: str, port: str, change: dict[str, Any]
) -> None:
    (problem,) = problems({"sample": sampler(kind, **change)}, "sample")
    assert (problem.node, problem.port) == ("sample", port)


def test_aligned_steps_of_another_family_are_found_before_running() -> None:
    nodes = {
        "second": {"type": "Model", "inputs": {"family": "sd2"}},
        "sample": sampler(model=link("second"), schedule="align_your_steps"),
    }
    found = problems(nodes, "sample")
    told = [problem for problem in found if problem.port == "schedule"]
    assert [problem.given for problem in told] == ["align_your_steps"]
    assert problems({"sample": sampler(schedule="align_your_steps")}, "sample") == []


def test_a_latent_of_another_format_is_found_before_running() -> None:
    nodes = {
        "other": {"type": "Model", "inputs": {"format": "sdxl"}},
        "first": sampler(),
        "second": sampler(model=link("other"), latent=link("first")),
    }
    assert [problem.code for problem in problems(nodes, "second")] == ["family-conflict"]


def test_a_missing_empty_prompt_is_told_at_the_node() -> None:
    nodes = {
        "plain": {"type": "Prompt", "inputs": {"empty": False}},
        "sample": sampler(positive=link("plain")),
    }
    with pytest.raises(AssertionError, match=r"node `sample` \(KSampler\).*negative.*EncodePrompt"):
        value(nodes, "sample.latent")


@pytest.mark.parametrize("part", [{"mask": link("mask")}, {"end": 0.5}])
@pytest.mark.parametrize("kind", ["KSampler", "DenoisingSteps"])
def test_a_prompt_for_a_part_alone_is_refused_before_weights_load(
    kind: str, part: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {
        "part": {"type": "Prompt", "inputs": {"empty": False, **part}},
        "sample": sampler(kind, positive=link("part"), steps=4),
    }
    monkeypatch.setattr(sampling_graphs, "denoiser", None)
    with pytest.raises(AssertionError, match=r"`sample`.*positive.*to the whole image"):
        value(nodes, "sample.latent" if kind == "KSampler" else "sample.latents")


@pytest.mark.parametrize(
    ("port", "change"),
    [
        ("end_step", {"steps": 6, "end_step": 7}),
        ("end_step", {"steps": 6, "end_step": 0}),
        ("end_step", {"steps": 6, "denoise": 0.5, "end_step": 4}),
        ("denoise", {"steps": 6, "denoise": 0.1, "end_step": 4}),
        ("end_step", {"end_step": "last"}),
    ],
)
def test_an_end_that_is_not_reached_is_found_before_running(
    port: str, change: dict[str, Any]
) -> None:
    (problem,) = problems({"sample": sampler(**change)}, "sample")
    assert (problem.node, problem.port) == ("sample", port)


def test_an_end_within_the_steps_is_fine() -> None:
    assert problems({"sample": sampler(steps=6, end_step=6)}, "sample") == []
    assert problems({"sample": sampler(steps=6, end_step=None)}, "sample") == []


@pytest.mark.parametrize(("batch", "is_refused"), [(1, False), (4096, True)])
@pytest.mark.parametrize("kind", ["KSampler", "DenoisingSteps"])
def test_a_latent_beyond_the_memory_is_found_before_running(
    kind: str, batch: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 8 << 30)
    size = {"type": "EmptyLatent", "inputs": {"width": 512, "height": 512, "batch_size": batch}}
    found = problems({"size": size, "sample": sampler(kind, latent=link("size"))}, "sample")
    told = [(problem.code, problem.node, problem.port) for problem in found]
    assert told == ([("too-large", "sample", "latent")] if is_refused else [])
    assert not found or "512 x 512 pixels, 4096 of them" in str(found[0])


@pytest.mark.parametrize("kind", ["KSampler", "DenoisingSteps"])
def test_a_size_that_comes_through_a_link_is_refused_before_weights_load(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 64 * 64 * 64)
    nodes = {
        "sides": {"type": "SeedRange", "inputs": {"start": 64, "count": 1}},
        "size": {"type": "EmptyLatent", "inputs": {"width": link("sides"), "height": 64}},
        "sample": sampler(kind, latent=link("size")),
    }
    assert problems(nodes, "sample") == []
    monkeypatch.setattr(sampling_graphs, "denoiser", None)
    with pytest.raises(AssertionError, match=r"`sample\[0\]`.*latent.*64 x 64 pixels"):
        value(nodes, "sample.latent")


@pytest.mark.parametrize(
    ("side", "denoise", "expected"),
    [(512, 1.0, "about 128 x 128"), (64, 1.0, "about 128 x 128"), (128, 1.0, ""), (256, 0.5, "")],
)
def test_a_size_far_from_what_the_model_was_trained_with_is_warned_of(
    bench: Bench, side: int, denoise: float, expected: str
) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "prompt": {"type": "EncodePrompt", "inputs": {"encoder": link("load.text_encoder")}},
        "size": {"type": "EmptyLatent", "inputs": {"width": side, "height": side}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("prompt"),
                "latent": link("size"),
                "denoise": denoise,
            },
        },
    }
    warnings = bench.warnings(nodes)
    assert [warning.expected for warning in warnings] == ([expected] if expected else [])
    assert all((each.node, each.port) == ("sample", "latent") for each in warnings)
