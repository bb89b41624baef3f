"""`nodegraph doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.cli.doctor import TorchBuild, find_cards, torch_advice
from nodegraph.isolation.sandbox import enforcement, sandbox_modes
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


def test_it_lists_what_the_sandbox_of_untrusted_packs_enforces(cli: Cli) -> None:
    rules = cli("doctor", "--json").json["sandbox"]
    assert rules == {
        rule.what: rule.how or "not enforced" for rule in enforcement() if sandbox_modes()
    }
    assert "Sandbox of untrusted packs" in cli("doctor").out


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


def nvidia(root: Path) -> None:
    (root / "proc" / "driver" / "nvidia" / "gpus" / "0000:01:00.0").mkdir(parents=True)


def amd(root: Path) -> None:
    for number, name in enumerate(("0", "5432")):
        node = root / "sys" / "class" / "kfd" / "kfd" / "topology" / "nodes" / str(number)
        node.mkdir(parents=True)
        (node / "gpu_id").write_text(f"{name}\n")


CPU, CUDA = TorchBuild("2.13.0+cpu"), TorchBuild("2.13.0", cuda="12.8")
ROCM = TorchBuild("2.9.1+rocm6.4", hip="6.4.43482")


@pytest.mark.parametrize(
    ("card", "torch", "part"),
    [
        (nvidia, CPU, "--index-url https://download.pytorch.org/whl/cu128"),
        (nvidia, CUDA, "update the driver"),
        (amd, CPU, "--index-url https://download.pytorch.org/whl/rocm6.4"),
        (amd, CUDA, "--index-url https://download.pytorch.org/whl/rocm6.4"),
        (amd, ROCM, "`render`"),
    ],
)
def test_a_card_that_torch_cannot_use_has_advice(
    tmp_path: Path, card: Callable[[Path], None], torch: TorchBuild, part: str
) -> None:
    card(tmp_path)
    cards = find_cards(tmp_path, "Linux")
    assert part in torch_advice(cards, torch, ["cpu"])
    assert not torch_advice(cards, torch, ["cpu", "cuda:0"])


def test_without_a_card_any_torch_will_do(tmp_path: Path) -> None:
    assert find_cards(tmp_path, "Linux") == set()
    assert find_cards(tmp_path, "Darwin") == set()
    assert find_cards(tmp_path, "Windows") == set()
    assert not torch_advice(set(), CPU, ["cpu"])


def test_windows_and_its_linux_have_cards(tmp_path: Path) -> None:
    tool = tmp_path / "Windows" / "System32" / "nvidia-smi"
    tool.parent.mkdir(parents=True)
    tool.touch(0o755)
    assert find_cards(tmp_path, "Windows") == {"NVIDIA"}
    inner = tmp_path / "usr" / "lib" / "wsl" / "lib" / "nvidia-smi"
    inner.parent.mkdir(parents=True)
    inner.touch(0o755)
    assert find_cards(tmp_path, "Linux") == {"NVIDIA"}
