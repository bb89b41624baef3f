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
from nodegraph.diffusion.models import locate_model, open_model, weight_bytes
from nodes._facts import model_weights
from nodes._memory import decoding, encoding, sampling

HERE = Path()
PLACE = Environment((), HERE, HERE, HERE)


def given(port: str, size: dict[str, Any], device: str = "cpu", **literals: Any) -> HookInputs:
    return HookInputs(literals, {port: size}, replace(PLACE, device=device))


SIZE = {"width": 64, "height": 32}


@pytest.mark.parametrize(
    ("hook", "port"), [(sampling, "latent"), (decoding, "latent"), (encoding, "image")]
)
def test_memory_grows_with_the_picture_and_the_batch(hook: Any, port: str) -> None:
    one = hook(given(port, SIZE)).memory
    assert hook(given(port, {**SIZE, "batch": 3})).memory == 3 * one
    assert hook(given(port, {**SIZE, "width": 128})).memory == 2 * one
    assert hook(given(port, SIZE, "cuda:0")).memory == one // 2
    assert hook(given(port, {"width": 64})).memory is None


def test_without_guidance_sampling_takes_half() -> None:
    assert (
        2 * sampling(given("latent", SIZE, cfg=1.0)).memory  # type: ignore[operator]
        == sampling(given("latent", SIZE, cfg=7.0)).memory
    )


def test_weights_are_as_large_as_their_components() -> None:
    from nodegraph.diffusion.loading import estimate_bytes

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
