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


@pytest.fixture
def parts_by_name() -> dict[str, Any]:
    """The specs, by kind; of volumes, of which there are several, by name."""
    yaml = pytest.importorskip("yaml")
    return {
        part["metadata"]["name"] if "Claim" in part["kind"] else part["kind"]: part["spec"]
        for part in yaml.safe_load_all(MANIFEST.read_text("utf-8"))
    }


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


def test_no_database_lies_on_a_volume_that_several_have(parts_by_name: dict[str, Any]) -> None:
    """SQLite's files, which a network file system may not hold, are on disks of one pod."""
    manifests = parts_by_name
    for pod in (manifests["Deployment"], manifests["RayCluster"]["workerGroupSpecs"][0]):
        spec = pod["template"]["spec"]
        claims = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in spec["volumes"]
            if "persistentVolumeClaim" in volume
        }
        mounts = {
            mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]
        }
        home = Path("/data")
        files = [home / "queue.sqlite", home / "artifacts.sqlite", home / "uploads/uploads.sqlite"]
        files += [home / "cache/store/index.sqlite", home / "cache/temporary/outputs.sqlite"]
        for file in files:
            nearest = next(mounts[str(each)] for each in file.parents if str(each) in mounts)
            modes = manifests.get(claims.get(nearest, ""), {}).get("accessModes", [])
            assert "ReadWriteMany" not in modes, file


def test_nodes_see_what_the_server_writes_for_them(parts_by_name: dict[str, Any]) -> None:
    server, nodes = (
        {
            (mount["mountPath"], mount["subPath"])
            for mount in pod["template"]["spec"]["containers"][0]["volumeMounts"]
            if "subPath" in mount
        }
        for pod in (
            parts_by_name["Deployment"],
            parts_by_name["RayCluster"]["workerGroupSpecs"][0],
        )
    )
    assert server == nodes
    names = {path.removeprefix("/data/") for path, _ in server}
    assert names >= {"inputs", "outputs", "uploads/files", "models", "taught"}


def test_what_is_probed_answers_without_a_token(parts: dict[str, Any]) -> None:
    (server,) = pods(parts)[0]["containers"]
    probes = (server["readinessProbe"], server["livenessProbe"])
    assert {probe["httpGet"]["path"].encode() for probe in probes} == HEALTH
