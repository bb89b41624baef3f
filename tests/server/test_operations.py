"""What is written for operators agrees with the code: tables of docs, container files, the unit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodegraph.jobs.queue.job_queries import Counts
from nodegraph.jobs.supervisor.worker_status import WorkerStatus
from nodegraph.server.operations.backup.archive import PARTS
from nodegraph.server.operations.metrics import Metrics, ServerState
from nodegraph.server.settings import DEFAULT_PORT, ServerSettings
from nodegraph.session.settings_kinds import iter_setting_paths

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """Cells of the table in a section of the page, without its head."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [row for row in found if not set(row[0]) <= set("-|")][1:]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_figure_is_in_the_table_with_its_kind_and_labels() -> None:
    workers = [WorkerStatus("worker-1", "worker", "idle", "cpu", memory=1, device_memory=1)]
    state = ServerState(Counts(), False, True, 0, workers, 0, 1, 1)
    metrics = Metrics()
    told: dict[str, tuple[str, frozenset[str]]] = {}
    for metric in metrics._figures.registry._collector_to_names:
        names = frozenset(getattr(metric, "_labelnames", ()))
        for family in metric.collect():
            if family.name.startswith("nodegraph"):
                suffix = "_total" if family.type == "counter" else ""
                told[family.name + suffix] = (family.type, names)
    for family in text_string_to_metric_families(metrics.text(state).decode()):
        if family.samples and family.name.startswith("nodegraph") and family.type != "histogram":
            suffix = "_total" if family.type == "counter" else ""
            labels = frozenset(family.samples[0].labels)
            told.setdefault(family.name + suffix, (family.type, labels))
    written = {
        name: (row[1], frozenset(named(row[2])))
        for row in rows("Metrics")
        for name in named(row[0])
    }
    assert written == told


def test_every_setting_is_in_the_table_with_its_default() -> None:
    written = {name: row[1] for row in rows("Settings") for name in named(row[0])}
    left_to_security = {"limits.…", "rates.…"}
    there = {".".join(place) for place in iter_setting_paths(ServerSettings)}
    assert {name for name in there if not name.startswith(("limits.", "rates."))} == set(
        written
    ) - left_to_security
    for name, default in written.items():
        found = named(default)
        if len(found) == 1 and name in there:
            value: Any = ServerSettings()
            for part in name.split("."):
                value = getattr(value, part)
            assert tomllib.loads(f"it = {found[0]}")["it"] == value, name


def test_the_example_of_settings_is_one() -> None:
    text = PAGE.partition("```toml\n")[2].partition("```")[0]
    assert ServerSettings.model_validate(tomllib.loads(text)["server"])


def test_every_part_of_a_backup_is_in_the_table() -> None:
    written = {
        name.rstrip("/"): row[2]
        for row in rows("Processes, ports, folders")
        for name in named(row[0])
    }
    assert set(PARTS) <= set(written)
    assert {name for name in written if written[name] != "no"} == set(PARTS)


def test_the_container_has_the_torch_the_folders_and_the_port_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (torch,) = [each for each in project["project"]["dependencies"] if each.startswith("torch")]
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r'"(torch[^"]*)"', docker) == [torch, torch]
    assert f"EXPOSE {DEFAULT_PORT}" in docker
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", docker, re.MULTILINE)
    assert set(project["tool"]["setuptools"]["package-dir"].values()) <= set(copied)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    settings = re.findall(r"NODEGRAPH_SERVER_([A-Z_]+)=", docker)
    assert {name.lower() for name in settings} <= set(ServerSettings.model_fields)


def test_compose_has_both_kinds_and_neither_holds_a_secret() -> None:
    yaml = pytest.importorskip("yaml", reason="comes with schemathesis")
    found = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert set(found["services"]) == {"cpu", "cuda"}
    for kind, service in found["services"].items():
        assert service["profiles"] == [kind]
        assert service["build"]["args"] == {"ACCELERATOR": kind}
        assert service["ports"] == [f"127.0.0.1:${{NODEGRAPH_PORT:-{DEFAULT_PORT}}}:{DEFAULT_PORT}"]
        assert service["secrets"] == list(found["secrets"])
        assert service["healthcheck"]["test"][0] == "CMD"
        compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
        assert service["command"][0].endswith("&& exec nodegraph serve")
    assert "environment" not in str(found)


def test_the_probe_of_the_container_tells_a_good_server_from_none(server: Any) -> None:
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    probe = re.search(r'CMD \["python", "-c", "(.*)"\]', docker)
    assert probe is not None
    for port, code in ((server.port, 0), (1, 1)):
        done = subprocess.run(
            [sys.executable, "-c", probe[1]],
            env={"NODEGRAPH_SERVER_PORT": str(port)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code


def test_the_unit_is_one(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "nodegraph.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/nodegraph/bin/nodegraph serve\n" in text
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / "nodegraph.service"
    # As it would be with the program installed, and the lines for a token in use.
    text = re.sub(r"^#(LoadCredential|ExecStartPre)", r"\1", text, flags=re.MULTILINE)
    unit.write_text(text.replace("/opt/nodegraph/bin/nodegraph", sys.executable))
    done = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
