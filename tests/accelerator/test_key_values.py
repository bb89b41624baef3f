"""Kept keys and values on an accelerator, and beside weights that come in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nodegraph.diffusion import estimate_bytes, open_model
from nodegraph.families.speed_options import DEVICE, HOST, KeyValues, with_caching
from nodegraph.session.settings import Settings
from nodegraph.session.weights import residency_manager
from tests.accelerator.card import Card
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.test_qwen_image_21 import qwen_image_21
from tests.diffusion.speed.speedy import walked
from tests.diffusion.speed.test_key_values import begun, klein_kv, prompts_of

from .test_families import card  # noqa: F401 - a fixture

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("memory", [DEVICE, pytest.param(HOST, marks=pytest.mark.slow)])
@pytest.mark.parametrize("build", [qwen_image_21, pytest.param(klein_kv, marks=pytest.mark.slow)])
@pytest.mark.parametrize("is_whole", [True, False])
def test_latents_are_those_of_the_cpu(
    model_of: ModelOf,  # noqa: F811 - the fixture
    card: Card,  # noqa: F811
    build: Callable[[], Any],
    memory: str,
    is_whole: bool,
) -> None:
    """Also if half of the model has room, and nothing is left there afterwards."""
    pipeline, model = model_of(build)
    prompts = prompts_of(pipeline, model)
    expected = walked(begun(model.part("model"), prompts))
    recipe = with_caching(
        open_model(str(model.folder), [], dtype="float32").model, KeyValues(memory)
    )
    budget = estimate_bytes(recipe) * 2 if is_whole else estimate_bytes(recipe) // 2
    manager = residency_manager(Settings(weights_budget=budget), "cuda:0")
    with manager.use(recipe, "cuda:0", calls_only=True) as loaded:
        denoising = begun(loaded, prompts)
        found = walked(denoising)
        assert denoising.reuse.startswith("8 of 10")
    card.assert_as_on_cpu(found, expected, rounding=3e-4)
    del denoising, loaded
    manager.release_all()
    assert card.is_empty()


def test_the_host_holds_them_where_it_is_to(
    model_of: ModelOf,  # noqa: F811
    card: Card,  # noqa: F811
) -> None:
    """One layer at a time comes to the device."""
    pipeline, model = model_of(qwen_image_21)
    prompts = prompts_of(pipeline, model)
    held = {}
    for memory in (DEVICE, HOST):
        recipe = with_caching(open_model(str(model.folder), []).model, KeyValues(memory))
        manager = residency_manager(Settings(), "cuda:0")
        with manager.use(recipe, "cuda:0", calls_only=True) as loaded:
            before = torch.cuda.memory_allocated("cuda:0")
            denoising = begun(loaded, prompts)
            denoising.advance()
            held[memory] = torch.cuda.memory_allocated("cuda:0") - before
        del denoising, loaded
        manager.release_all()
    layers, width, numbers = 2, 64, 2
    tokens = sum(prompt.entries[0].embeddings.shape[1] for prompt in prompts)
    assert held[DEVICE] - held[HOST] == 4 * numbers * layers * width * tokens
