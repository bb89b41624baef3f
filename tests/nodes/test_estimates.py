"""What nodes say of the memory and the weights that they will take."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.context import Environment
from nodegraph.core.hooks import HookInputs
from nodegraph.families.registry import FAMILIES
from nodegraph.models.facts import family_facts, weight_bytes
from nodegraph.models.model_recipes import open_model
from nodegraph.models.model_sources import locate_model
from nodes._facts import model_weights
from nodes._memory import (
    decode_estimate,
    encode_estimate,
    sampling_estimate,
    sampling_parts_estimate,
)
from nodes._speed_facts import key_value_outputs

HERE = Path()
PLACE = Environment((), HERE, HERE, HERE)


def given(port: str, size: dict[str, Any], device: str = "cpu", **literals: Any) -> HookInputs:
    return HookInputs(literals, {port: size}, replace(PLACE, device=device))


SIZE = {"width": 64, "height": 32}


@pytest.mark.parametrize(
    ("hook", "port"),
    [(sampling_estimate, "latent"), (decode_estimate, "latent"), (encode_estimate, "image")],
)
def test_memory_grows_with_the_picture_and_the_batch(hook: Any, port: str) -> None:
    """Images are sampled together, and decoded and encoded one after the other."""
    one, few = (hook(given(port, {**SIZE, "batch": batch})).memory for batch in (1, 3))
    assert few == 3 * one if hook is sampling_estimate else one < few < 1.1 * one
    assert hook(given(port, {**SIZE, "width": 128})).memory == 2 * one
    assert hook(given(port, SIZE, "cuda:0")).memory == pytest.approx(one / 2, rel=0.02)
    assert hook(given(port, {"width": 64})).memory is None


@pytest.mark.parametrize(("cfg", "sides"), [(7.0, 2), (1.0, 1)])
@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_a_sampling_by_parts_takes_what_ksampler_takes(
    cfg: float, sides: int, sampler: str
) -> None:
    options = {"steps": 10, "denoise": 1.0, "cfg": cfg, "sampler": sampler}
    facts = {
        "latent": SIZE,
        "schedule": {"steps": 10},
        "sampler": {"sampler": sampler},
        "guider": {"sides": sides},
    }
    assert sampling_parts_estimate(HookInputs({}, facts, PLACE)) == sampling_estimate(
        given("latent", SIZE, **options)
    )


@pytest.mark.parametrize(("memory", "kept"), [("device", 50), ("host", 0), (None, 50)])
def test_a_key_value_cache_counts_for_each_prompt_and_item(memory: Any, kept: int) -> None:
    model = {"family": "qwen-image-21", "held_step": (1.0, 1.0, 1.0), "key_value_numbers": 50}
    literals = {} if memory is None else {"memory": memory}
    fast = key_value_outputs(HookInputs(literals, {"model": model}, PLACE))["model"]
    latent = {**SIZE, "batch": 3}
    plain, cached = (
        sampling_estimate(
            HookInputs({"cfg": 4.0}, {"latent": latent, "model": each, "negative": {}}, PLACE)
        )
        for each in (model, fast)
    )
    assert plain.memory is not None
    assert plain.least is not None
    assert cached.memory == plain.memory + 4 * kept * 3 * 2
    # Items that are evaluated one by one share it.
    assert cached.least == plain.least + 4 * kept * 2


def test_models_with_kept_keys_and_values_say_how_many() -> None:
    config = {"num_layers": 32, "num_attention_heads": 32, "attention_head_dim": 128}
    config |= {"context_in_dim": 4096}
    known = family_facts(FAMILIES["qwen-image-21"], config, {}, ())
    # In half precision an image of a megapixel takes 2 GiB, and the text beside it an eighth.
    assert 2 * known["key_value_numbers"] == 2.25 * 2**30
    assert "key_value_numbers" not in family_facts(
        FAMILIES["sd1"],
        {"in_channels": 4, "out_channels": 4, "cross_attention_dim": 768},
        {},
        (),
    )


@pytest.mark.parametrize(("family", "shares"), [("sd1", True), ("flux", False), ("wan", False)])
def test_only_what_can_share_batches_is_alike(family: str, shares: bool) -> None:
    facts = {"latent": SIZE, "model": {"family": family, "held_step": (1.0, 1.0, 1.0)}}
    assert bool(sampling_estimate(HookInputs({}, facts, PLACE)).alike) == shares


def test_without_guidance_sampling_takes_half() -> None:
    assert (
        2 * sampling_estimate(given("latent", SIZE, cfg=1.0)).memory  # type: ignore[operator]
        == sampling_estimate(given("latent", SIZE, cfg=7.0)).memory
    )


@pytest.mark.parametrize(
    ("hook", "port"),
    [(decode_estimate, "latent"), (encode_estimate, "image"), (sampling_estimate, "latent")],
)
def test_work_grows_with_the_picture_and_the_batch(hook: Any, port: str) -> None:
    steps = {"steps": 10, "denoise": 1.0}
    one = hook(given(port, SIZE, **steps)).work
    assert hook(given(port, {**SIZE, "batch": 3}, **steps)).work == pytest.approx(3 * one)
    assert hook(given(port, {**SIZE, "width": 128}, **steps)).work == pytest.approx(2 * one)
    assert hook(given(port, {"width": 64}, **steps)).work is None


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        ({}, 1),
        ({"steps": 400}, 40),
        ({"denoise": 0.5}, 0.5),
        ({"end_step": 2}, 0.2),
        ({"cfg": 1.0}, 0.5),
        ({"sampler": "heun"}, 1.9),
        ({"sampler": "seeds_3"}, 2.8),
        ({"sampler": "euler_cfg_pp", "cfg": 0.6}, 1),
    ],
)
def test_sampling_grows_with_how_often_the_model_is_asked(
    change: dict[str, Any], factor: float
) -> None:
    usual = {"steps": 10, "denoise": 1.0, "cfg": 7.0, "sampler": "euler"}
    one = sampling_estimate(given("latent", SIZE, **usual)).work
    assert one is not None
    assert sampling_estimate(given("latent", SIZE, **usual | change)).work == pytest.approx(
        factor * one
    )


def test_steps_that_come_through_a_link_leave_the_work_open() -> None:
    assert sampling_estimate(given("latent", SIZE, denoise=1.0)).work is None


def test_weights_are_as_large_as_their_components() -> None:
    from nodegraph.models.loading import estimate_bytes

    recipes = open_model("tiny", ())
    found = model_weights(HookInputs({"model": "tiny", "dtype": "auto"}, {}, PLACE)).weights
    assert found == {
        "model": estimate_bytes(recipes.model),
        "text_encoder": estimate_bytes(recipes.text_encoder),
        "vae": estimate_bytes(recipes.vae),
    }


def test_half_precision_takes_half_the_bytes() -> None:
    source = locate_model("tiny", ())
    whole = weight_bytes(source, dtype="float32")
    half = weight_bytes(source, dtype="bfloat16")
    assert {name: 2 * size for name, size in half.items()} == whole


def test_estimates_import_no_torch() -> None:
    code = "import sys, nodes._memory, nodes._facts; print('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "False"
