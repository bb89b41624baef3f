"""SpeedUp and step caches: told before running what can't be, and what they were, in results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.test_qwen_image_21 import qwen_image_21
from tests.nodes.conftest import Bench, link

ModelOf = Callable[[Callable[[], Any]], Pair]
LOAD = {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}}


def fast(node: str, model: str = "load.model", **inputs: Any) -> dict[str, Any]:
    return {"type": node, "inputs": {"model": link(model), **inputs}}


def sampled(model: str, **inputs: Any) -> dict[str, Any]:
    return {
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "an apple"},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 32, "height": 32}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link(model),
                "positive": link("prompt"),
                "latent": link("size"),
                "steps": 4,
                **inputs,
            },
        },
    }


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (fast("SpeedUp", attention="flash"), "on CUDA only"),
        (
            fast("SpeedUp", compiled=True, attention="math"),
            "choose their attention kernels themselves",
        ),
        (fast("FirstBlockCache"), "Stable Diffusion 1.x does not support first-block caching"),
        (fast("MagCache"), "does not support MagCache"),
        (fast("KeyValueCache"), "only Flux.2 Klein and Qwen-Image 2.1 do"),
        (fast("MagCache", ratios="one, two"), "are not numbers"),
        (fast("TaylorSeerCache", lite=True), "TaylorSeer's lite mode"),
        (fast("AttentionBroadcast", noisiest=0.2, cleanest=0.4), "cleanest must be below"),
    ],
)
def test_what_can_not_be_is_told_before_anything_runs(
    bench: Bench, node: dict[str, Any], said: str
) -> None:
    nodes = {**LOAD, "fast": node}
    assert [said in problem.message for problem in bench.problems(nodes, "fast")] == [True]


def test_a_kernel_for_another_device_is_replaced_and_told(bench: Bench) -> None:
    nodes = {**LOAD, "fast": fast("SpeedUp", attention="sage")}
    [problem] = bench.warnings(nodes)
    assert "torch chooses the kernel, as the kernel is for CUDA" in problem.message


def test_a_second_step_cache_is_told_before_anything_runs(bench: Bench) -> None:
    lora = {"type": "LoadLora", "inputs": {"model": link("fast.model"), "lora": "tiny/lcm_lora"}}
    nodes = {
        **LOAD,
        "fast": fast("TaylorSeerCache"),
        "lora": lora,
        "more": fast("AttentionBroadcast", "lora.model"),
    }
    [problem] = bench.problems(nodes, "more")
    assert "already has a step cache: TaylorSeer" in problem.message


def test_a_lora_beside_fused_projections_fails_before_the_weights_load(cold_bench: Bench) -> None:
    lora = {"type": "LoadLora", "inputs": {"model": link("fast.model"), "lora": "tiny/lcm_lora"}}
    nodes = {**LOAD, "fast": fast("SpeedUp", fused_projections=True), "lora": lora}
    failure = cold_bench.failure({**nodes, **sampled("lora.model")}, "sample")
    assert "LoRA is not fused" in str(failure)
    kinds = {type(item.recipe).__name__ for item in cold_bench.session._weights.resident()}
    assert "DiffusionModel" not in kinds


@pytest.mark.slow
def test_a_sampling_says_how_it_was_sped_up(bench: Bench) -> None:
    nodes = {
        **LOAD,
        "fast": fast("SpeedUp", attention="math"),
        "more": fast("AttentionBroadcast", "fast", own=2),
    }
    result = bench.run({**nodes, **sampled("more")}, "sample")
    assert not result.errors
    told = [event.data["message"] for event in bench.told("log") if event.node == "sample"]
    assert any(
        line.startswith("sampled with attention math, cache broadcast, cache.cleanest 0.1")
        for line in told
    )


@pytest.mark.slow
def test_one_loading_serves_all_ways(cold_bench: Bench) -> None:
    ways = {"one": fast("TaylorSeerCache", warm_up=2), "other": fast("AttentionBroadcast")}
    found = [
        cold_bench.value({**LOAD, **ways, **sampled(way, steps=6)}, "sample.latent").samples
        for way in ("load.model", "one", "other")
    ]
    assert not (found[0] == found[1]).all()
    assert not (found[0] == found[2]).all()
    loads = [item for item in cold_bench.session._weights.resident() if item.bytes]
    kinds = [type(item.recipe).__name__ for item in loads]
    assert kinds.count("DiffusionModel") == 1


@pytest.mark.slow
def test_a_sampling_with_a_step_cache_goes_on_from_where_it_stopped(bench: Bench) -> None:
    nodes = {**LOAD, "fast": fast("TaylorSeerCache", warm_up=2)}
    options = {"steps": 6, "sampler": "euler"}
    plain = bench.run({**nodes, **sampled("fast", **options, end_step=6)}, "sample")
    assert not plain.errors
    (bench.folder / "other").mkdir()
    other = Bench(bench.folder / "other")
    try:
        other.value({**nodes, **sampled("fast", **options, end_step=4)}, "sample.latent")
        later = other.value({**nodes, **sampled("fast", **options)}, "sample.latent")
        assert [event.data["step"] for event in other.told("node.restored")] == [4]
    finally:
        other.session.close()
    assert (later.samples == plain["sample.latent"].samples).all()


@pytest.mark.slow
def test_a_sampling_with_kept_keys_and_values_goes_on_from_where_it_stopped(
    bench: Bench,
    model_of: ModelOf,  # noqa: F811 - the fixture
) -> None:
    """Also after another image of the same model."""
    folder = str(model_of(qwen_image_21)[1].folder)
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": folder}},
        "fast": fast("KeyValueCache", memory="host"),
    }
    options = {"steps": 6, "sampler": "euler", "schedule": "simple", "cfg": 3.0}
    exact = bench.value({**nodes, **sampled("load.model", **options)}, "sample.latent")
    bench.value({**nodes, **sampled("fast", **options, seed=3)}, "sample.latent")
    (bench.folder / "other").mkdir()
    other = Bench(bench.folder / "other")
    try:
        other.value({**nodes, **sampled("fast", **options, end_step=4)}, "sample.latent")
        later = other.value({**nodes, **sampled("fast", **options)}, "sample.latent")
        assert [event.data["step"] for event in other.told("node.restored")] == [4]
    finally:
        other.session.close()
    # Attention over kept keys adds up in another order on some processors: equal to rounding.
    torch.testing.assert_close(later.samples, exact.samples, rtol=1e-4, atol=1e-4)
    whole = bench.value({**nodes, **sampled("fast", **options)}, "sample.latent")
    assert (later.samples == whole.samples).all()
    lines = [event.data["message"] for event in bench.told("log") if event.node == "sample"]
    assert any("5 of 6 calls of the network reused keys and values" in line for line in lines)


def test_freeu_is_part_of_the_model(bench: Bench) -> None:
    nodes = {**LOAD, "freed": fast("FreeU", b2=1.8)}
    plain = bench.value({**LOAD, **sampled("load.model")}, "sample.latent").samples
    found = bench.value({**nodes, **sampled("freed")}, "sample.latent").samples
    assert not (found == plain).all()
    assert bench.facts({**nodes, **sampled("freed")}, "sample")["latent"]["speed"] == "FreeU"
