"""`nodegraph doctor`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_a_working_installation_is_well(cli: Cli, pack: Path) -> None:
    shown = cli("doctor", "--json", "--pack", pack)
    found = shown.json
    assert (shown.code, found["ok"], found["problems"]) == (0, True, [])
    assert {"torch", "pydantic", "typer"} <= {item["name"] for item in found["libraries"]}
    assert found["devices"][0]["name"] == "cpu"
    assert {"data", "cache", "outputs", "models", "packs"} == {
        item["role"] for item in found["folders"]
    }
    assert found["packs"]["toys"] == str(pack)
    assert found["threads"] >= 1


def test_it_is_readable(cli: Cli) -> None:
    shown = cli("doctor")
    for title in ("Libraries", "Devices", "Folders", "Packs"):
        assert f"\n{title}\n" in shown.out
    assert shown.out.endswith("All required parts work.\n")


def test_what_goes_beside_models_is_none_that_cannot_be_used(cli: Cli) -> None:
    # LoRAs, a control network and an upscaler come along: no models of their own.
    models = {"tiny", "molecules", "motions", "shapes", "sounds"}
    assert cli("doctor", "--json").json["models"] == len(models)
    assert "cannot be used" not in cli("doctor").out


def test_a_device_that_is_not_there_is_a_problem(cli: Cli) -> None:
    shown = cli("doctor", "--device", "cuda:99")
    assert shown.code == 1
    assert "problem: the device `cuda:99` is set but does not exist; available: cpu" in shown.out


def test_a_pack_that_fails_is_a_warning(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text("import nothing_of_that_name\n")
    found = cli("doctor", "--json", "--pack", "faulty.py").json
    assert found["ok"]
    assert any("`faulty`" in text for text in found["warnings"])
    last = "All required parts work; 1 fault in packs or model families: see above.\n"
    assert cli("doctor", "--pack", "faulty.py").out.endswith(last)


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="the administrator may write everywhere",
)
def test_a_folder_that_cannot_be_written_is_a_problem(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    shown = cli("doctor", "--home", tmp_path / "locked" / "home")
    assert shown.code == 1
    assert "not writable" in shown.out


def test_a_home_that_is_a_file_is_a_problem(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    shown = cli("doctor", "--home", tmp_path / "home", "--json")
    assert shown.code == 1
    assert any("data folder" in text for text in shown.json["problems"])
