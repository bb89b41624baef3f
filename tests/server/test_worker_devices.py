"""Which device each worker of a server computes on, and what it loads ahead."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.server import rules
from nodegraph.server.rules import worker_specs
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings


@pytest.mark.parametrize(
    ("cards", "given", "devices"),
    [
        (0, {}, [None]),
        (1, {}, [None]),  # the installation's setting decides, and finds it where it is `auto`
        (3, {}, ["cuda:0", "cuda:1", "cuda:2"]),
        (2, {"workers": 3}, ["cuda:0", "cuda:1", "cuda:0"]),
        (1, {"workers": 2}, [None, None]),
        (3, {"devices": ["cuda:2"]}, ["cuda:2"]),
        (3, {"devices": ["cuda:2"], "workers": 2}, ["cuda:2", "cuda:2"]),
        (0, {"workers": 0}, []),
    ],
)
def test_workers_share_the_cards_that_torch_will_find(
    monkeypatch: pytest.MonkeyPatch, cards: int, given: dict[str, Any], devices: list[str | None]
) -> None:
    monkeypatch.setattr(rules, "visible_cards", lambda: cards)
    specs = worker_specs(Settings(), ServerSettings.model_validate(given), [])
    assert [spec.device for spec in specs if spec.role == "worker"] == devices


@pytest.mark.parametrize("warm", [True, False])
def test_workers_load_libraries_ahead_unless_told_otherwise(warm: bool) -> None:
    specs = worker_specs(Settings(), ServerSettings(warm=warm, workers=2), [])
    assert [(spec.role, spec.warm) for spec in specs] == [
        ("worker", warm),
        ("worker", warm),
        ("planner", False),
    ]
