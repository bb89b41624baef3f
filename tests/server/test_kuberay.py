"""The example for Kubernetes speaks of settings, tokens and probes that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodegraph.server.access.head import HEALTH
from nodegraph.server.settings import load_server_settings
from nodegraph.session.settings import load_settings

MANIFEST = Path(__file__).parents[2] / "deploy" / "kuberay.yaml"


@pytest.fixture
def parts() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return {part["kind"]: part for part in yaml.safe_load_all(MANIFEST.read_text("utf-8"))}


def pods(parts: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = parts["RayCluster"]["spec"]
    owners = (parts["Deployment"]["spec"], cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    return [owner["template"]["spec"] for owner in owners]


def test_no_variable_of_a_service_is_taken_for_a_setting(parts: dict[str, Any]) -> None:
    """Kubernetes makes NODEGRAPH_PORT of a service's name, which is no setting."""
    assert [pod.get("enableServiceLinks") for pod in pods(parts)] == [False] * 3


def test_the_image_s_user_may_read_the_token_and_write_the_volume(parts: dict[str, Any]) -> None:
    image = (MANIFEST.parents[1] / "Dockerfile").read_text("utf-8")
    for pod in pods(parts):
        user = pod["securityContext"]
        assert f"USER {user['runAsUser']}:{user['fsGroup']}" in image


def test_the_server_s_variables_are_settings_that_hold(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server,) = pods(parts)[0]["containers"]
    for each in server["env"]:
        monkeypatch.setenv(each["name"], each["value"])
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path))
    found = load_server_settings(load_settings(), {})
    assert parts["Service"]["metadata"]["name"] in found.allowed_hosts
    assert found.cluster_kinds["gpu"].gpus == 1
    assert server["ports"][0]["containerPort"] == found.port


def test_what_is_probed_answers_without_a_token(parts: dict[str, Any]) -> None:
    (server,) = pods(parts)[0]["containers"]
    probes = (server["readinessProbe"], server["livenessProbe"])
    assert {probe["httpGet"]["path"].encode() for probe in probes} == HEALTH
