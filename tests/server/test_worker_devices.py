"""Which device each worker of a server computes on, and what it loads ahead."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.server import rules, serve
from nodegraph.server.rules import worker_specs
from nodegraph.server.serve import check_devices
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings
from tests.messages import raises


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
    monkeypatch.setattr(rules, "visible_gpu_count", lambda: cards)
    specs = worker_specs(Settings(), ServerSettings.model_validate(given), [])
    assert [spec.device for spec in specs if spec.role == "worker"] == devices


@pytest.mark.parametrize(
    ("devices", "spared"),
    [
        ("cuda:0,cuda:1,cpu", [False, False, True]),
        ("auto,cpu", [False, True]),
        ("cpu,cpu", [False, False]),
        ("cuda", [False]),
    ],
)
def test_a_worker_on_the_cpu_leaves_to_others_what_needs_a_gpu(
    devices: str, spared: list[bool]
) -> None:
    server = ServerSettings.model_validate({"devices": devices})
    specs = worker_specs(Settings(), server, [])
    assert [spec.without_gpu for spec in specs if spec.role == "worker"] == spared


@pytest.mark.parametrize("warm", [True, False])
def test_workers_load_libraries_ahead_unless_told_otherwise(warm: bool) -> None:
    specs = worker_specs(Settings(), ServerSettings(warm=warm, workers=2), [])
    assert [(spec.role, spec.warm) for spec in specs] == [
        ("worker", warm),
        ("worker", warm),
        ("planner", False),
    ]


@pytest.mark.parametrize(
    "given",
    [
        "gpu",
        "cuda1",
        # A process asks torch, which it loads.
        pytest.param("cuda:99", marks=pytest.mark.slow),
    ],
)
def test_a_device_that_isnt_there_is_refused_with_those_that_are(given: str) -> None:
    with raises(InvalidValue):
        check_devices(ServerSettings(devices=("cpu", given)))


def test_nobody_asks_torch_for_devices_that_the_system_tells_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "visible_gpu_count", lambda: 2)
    monkeypatch.setattr(serve.sys, "executable", "/nowhere")
    check_devices(ServerSettings.model_validate({"devices": "cuda:0, cuda:1,cpu,auto"}))


def test_a_clusters_devices_are_its_nodes_to_have() -> None:
    check_devices(ServerSettings(devices=("cuda:99",), cluster="auto"))
    with pytest.raises(InvalidValue):
        check_devices(ServerSettings(devices=("gpu",), cluster="auto"))
