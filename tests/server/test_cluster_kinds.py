"""What workers of a cluster are to be like, by the server's settings and the machines there are."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.jobs.cluster.connection import Node
from nodegraph.server.rules import cluster_kinds, supervision_rules, worker_specs
from nodegraph.server.settings import ServerSettings, load_server_settings
from nodegraph.session.settings import Settings
from tests.messages import raises


def node(gpus: float = 0, *, alive: bool = True, **more: Any) -> Node:
    resources = {"CPU": 8.0, "memory": 64e9, **({"GPU": gpus} if gpus else {})}
    return Node(
        "n", "10.0.0.1", alive, resources | more.get("resources", {}), more.get("labels", {})
    )


def kinds(nodes: list[Node], **given: Any) -> list[tuple[str, str | None, float, int, int]]:
    server = ServerSettings.model_validate({"cluster": "auto", **given})
    found = cluster_kinds(Settings(), server, [], nodes)
    return [(k.spec.name, k.spec.device, k.spec.needs.gpus, k.least, k.most) for k in found]


def test_there_is_a_worker_for_each_card_of_those_nodes_that_live() -> None:
    assert kinds([node(), node(2), node(4, alive=False)]) == [("worker", "cuda", 1.0, 1, 2)]


def test_workers_without_cards_leave_to_others_what_needs_a_gpu() -> None:
    server = ServerSettings.model_validate({"cluster": "auto", "devices": "cuda,cpu"})
    found = cluster_kinds(Settings(), server, [], [node(2)])
    assert [kind.spec.without_gpu for kind in found] == [False, True]


def test_without_cards_there_is_a_worker_for_each_machine() -> None:
    assert kinds([node(), node()]) == [("worker", "cpu", 0.0, 1, 2)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"workers": 3}, [("worker", "cuda", 1.0, 3, 3)]),
        (
            {"cluster_min_workers": 0, "cluster_max_workers": 8},
            [("worker", "cuda", 1.0, 0, 8)],
        ),
        ({"devices": ["cuda", "cpu"]}, [("cuda", "cuda", 1.0, 1, 2), ("cpu", "cpu", 0.0, 1, 2)]),
    ],
)
def test_settings_say_how_many_and_on_what(
    given: dict[str, Any], found: list[tuple[str, str, float, int, int]]
) -> None:
    assert kinds([node(), node(2)], **given) == found


def test_a_kind_goes_where_resources_and_labels_are_as_it_says() -> None:
    large = {
        "resources": {"vram": 24},
        "labels": {"ray.io/accelerator-type": "H100"},
        "min_workers": 0,
    }
    machines = [
        node(1, resources={"vram": 24.0}),
        node(1, labels={"ray.io/accelerator-type": "H100"}),
        node(2, resources={"vram": 80.0}, labels={"ray.io/accelerator-type": "H100"}),
    ]
    half = {"device": "cuda", "gpus": 0.5, "max_workers": 6}
    found = kinds(machines, cluster_kinds={"large": large, "half": half})
    assert found == [("large", "cuda", 1.0, 0, 2), ("half", "cuda", 0.5, 1, 6)]


def test_a_server_with_a_cluster_starts_its_planner_alone_and_limits_no_memory() -> None:
    server = ServerSettings(cluster="auto")
    assert [spec.role for spec in worker_specs(Settings(), server, [])] == ["planner"]
    assert supervision_rules(server).memory_limit is None
    assert supervision_rules(ServerSettings(cluster="auto", worker_memory=7)).memory_limit == 7


def test_variables_say_it_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_CLUSTER", "10.0.0.1:6379")
    monkeypatch.setenv("NODEGRAPH_SERVER_CLUSTER_IDLE_SECONDS", "60")
    monkeypatch.setenv("NODEGRAPH_SERVER_CLUSTER_KINDS", '{"a": {"device": "cpu"}}')
    found = load_server_settings(Settings(home=tmp_path))
    assert (found.cluster, found.cluster_idle_seconds) == ("10.0.0.1:6379", 60.0)
    assert found.cluster_kinds["a"].device == "cpu"
    monkeypatch.setenv("NODEGRAPH_SERVER_CLUSTER_KINDS", '{"a": {"gpu": 1}}')
    with raises(InvalidFile):
        load_server_settings(Settings(home=tmp_path))
