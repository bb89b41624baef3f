"""A budget that holds half of a model: its weights come in parts, to the numbers of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nodegraph_nodes._sound_facts import music_size

from nodegraph.core.values import Latent
from nodegraph.diffusion import FAMILIES, estimate_bytes, open_model
from nodegraph.session.settings import Settings
from nodegraph.session.weights import residency_manager
from tests.accelerator.card import Card
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import Model
from tests.diffusion.families.test_shap_e import shap_e
from tests.diffusion.families.test_stable_cascade import (
    SHOWN,
    following,
    stable_cascade,
    stable_cascade_decoder,
)
from tests.diffusion.families.tiny_models import TINY, TINY_SOUND

from .test_families import SIDE, as_it_is, card, conditioned, quick  # noqa: F401 - a fixture

ModelOf = Callable[[Callable[[], Any]], Pair]

ALL = {**TINY, **TINY_SOUND}

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),
]


def assert_half_is_enough(
    model: Model, accelerator: Card, width: int, height: int, **options: Any
) -> None:
    expected = model.make(width, height, **options).latents
    recipe = open_model(str(model.folder), [], dtype="float32").model
    half = estimate_bytes(recipe) // 2
    manager = residency_manager(Settings(weights_budget=half), "cuda:0")
    told: list[str] = []
    with manager.use(recipe, "cuda:0", calls_only=True, tell=told.append) as loaded:
        found = Model(model.folder, loaded=model.loaded | {"model": loaded})
        latents = found.make(width, height, **options).latents
    assert len(told) == 1
    assert "cuda:0" in told[0]
    # prompts are evaluated one by one, which moves last bits
    accelerator.assert_as_on_cpu(latents, expected, rounding=3e-4)
    del loaded, found
    manager.release_all()
    assert accelerator.is_empty()


@pytest.mark.parametrize("family", quick("sd1", "wan", of=ALL))
def test_half_of_a_model_has_room(
    model_of: ModelOf,  # noqa: F811
    card: Card,  # noqa: F811
    family: str,
) -> None:
    tiny = ALL[family]
    _, model = model_of(tiny.build)
    options: dict[str, Any] = {"sampler": tiny.sampler, "cfg": 3.0, "steps": 1}
    width = height = SIDE
    if FAMILIES[family].latent.is_sound:
        width, height = music_size(family, 1.0)
        options["latent"] = Latent(None, width, height)
    else:
        options |= {"frames": tiny.frames, "change": conditioned(model)}
    assert_half_is_enough(model, card, width, height, **options)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["c", "b"])
def test_half_of_a_stage_of_stable_cascade_has_room(
    model_of: ModelOf,  # noqa: F811
    card: Card,  # noqa: F811
    stage: str,
) -> None:
    build, change = (
        (stable_cascade, as_it_is)
        if stage == "c"
        else (stable_cascade_decoder, following(SHOWN[:1]))
    )
    _, model = model_of(build)
    options = {"sampler": "ddpm", "cfg": 3.0, "steps": 2, "change": change}
    assert_half_is_enough(model, card, 168, 128, **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_half_of_the_network_of_solids_has_room(
    model_of: ModelOf,  # noqa: F811
    card: Card,  # noqa: F811
) -> None:
    _, model = model_of(shap_e)
    options = {"sampler": "heun", "schedule": "karras", "cfg": 4.0}
    assert_half_is_enough(model, card, 1024, 1024, **options)
