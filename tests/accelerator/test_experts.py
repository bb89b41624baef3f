"""Of two experts, the one whose turn it is lies on a device that has no room for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodegraph.diffusion import open_model
from nodegraph.session.settings import Settings
from nodegraph.session.weights import residency_manager
from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import Model
from tests.diffusion.families.video_models import wan22

ROOM = {"both": 400 * 1024, "one": 250 * 1024, "neither": 100 * 1024}
"""Bytes of weights that there is room for beside the work: an expert takes 168 KiB."""
WAYS = {"both": [], "one": ["one by one"], "neither": ["layer by layer"]}


@pytest.mark.gpu
@pytest.mark.parametrize("room", [pytest.param("both", marks=pytest.mark.slow), "one", "neither"])
def test_experts_come_as_there_is_room(
    model_of: Callable[[Callable[[], Any]], Pair],  # noqa: F811 - the fixture
    card: Card,
    room: str,
) -> None:
    _, model = model_of(wan22)
    options = {"frames": 5, "cfg": 1.0, "steps": 3, "sampler": "uni_pc"}
    expected = model.make(64, 64, **options)
    if card.pretend is not None:
        card.pretend.resize(2 * MIB)
        manager, work = residency_manager(Settings(), "cuda:0"), 2 * MIB - ROOM[room]
    else:
        manager, work = residency_manager(Settings(weights_budget=ROOM[room]), "cuda:0"), 0
    recipe = open_model(str(model.folder), [], dtype="float32").model
    said, before = list[str](), len(card.pretend.log) if card.pretend is not None else 0
    with manager.use(recipe, "cuda:0", calls_only=True, work=work, tell=said.append) as there:
        held = sum(item.bytes for item in manager.resident() if item.device == "cuda:0")
        assert held <= ROOM[room]
        found = Model(model.folder, loaded={**model.loaded, "model": there}).make(64, 64, **options)
    card.assert_as_on_cpu(found.latents, expected.latents)
    assert [way for way in WAYS[room] if f"is loaded on cuda:0 {way}" in said[0]] == WAYS[room]
    if room == "one" and card.pretend is not None:
        moved = card.pretend.log[before:]
        brought = [item.bytes for item in moved if "models/offloading.py" in item.place]
        assert sum(brought) == 2 * held, "each of them once"
    del there, found
    manager.release_all()
    assert card.is_empty()
