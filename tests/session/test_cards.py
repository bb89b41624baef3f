"""Cards are counted as torch will count them, from the files and variables that it goes by."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from nodegraph.session.devices import visible_gpu_count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere none are counted")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with three cards of NVIDIA's, two of AMD's, and one that another container has."""
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm", "kfd"):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).touch()
    for at, gpu in enumerate(("0", "4711", "4712", "")):
        node = tmp_path / "sys/class/kfd/kfd/topology/nodes" / str(at)
        node.mkdir(parents=True)
        (node / "gpu_id").write_text(f"{gpu}\n")
    return tmp_path


def built_for(folder: Path, **kinds: str) -> Path:
    """torch's `version.py` for such a kind of card."""
    kinds = {"cuda": "None", "hip": "None", "xpu": "None"} | kinds
    lines = [f"{kind}: Optional[str] = {value}" for kind, value in kinds.items()]
    file = folder / "version.py"
    file.write_text("\n".join(["debug = False", *lines, ""]))
    return file


@pytest.mark.parametrize(
    ("visible", "count"),
    [
        (None, 3),
        ("", 0),
        ("0", 1),
        ("2, 0", 2),
        ("1,7,0", 1),
        ("-1", 0),
        ("0,-1,1", 1),
        ("1,1", 0),
        ("NoDevFiles", 0),
        ("GPU-8932f937-d72c,GPU-4e20", 2),
        ("GPU-1,GPU-2,GPU-3,GPU-4", 3),
    ],
)
def test_nvidias_cards_count_as_far_as_they_are_visible(
    root: Path, visible: str | None, count: int
) -> None:
    variables = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_gpu_count(root, variables, built_for(root, cuda="'12.8'")) == count


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, 2),
        ({"HIP_VISIBLE_DEVICES": "1"}, 1),
        ({"CUDA_VISIBLE_DEVICES": "1"}, 1),
        ({"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "0,1"}, 2),
        ({"ROCR_VISIBLE_DEVICES": "1"}, 1),
        ({"ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "1"}, 0),
    ],
)
def test_amds_cards_count_where_torch_is_for_them(
    root: Path, variables: dict[str, str], count: int
) -> None:
    assert visible_gpu_count(root, variables, built_for(root, hip="'6.4'")) == count


def test_cards_that_torch_is_not_for_count_for_nothing(root: Path, tmp_path: Path) -> None:
    assert visible_gpu_count(root, {}, built_for(root)) == 0
    assert visible_gpu_count(root, {}, tmp_path / "missing.py") == 0


def test_a_machine_without_cards_has_none(tmp_path: Path) -> None:
    for kind in ("cuda", "hip"):
        assert visible_gpu_count(tmp_path, {}, built_for(tmp_path, **{kind: "'1'"})) == 0


def test_the_installed_torch_says_what_it_is_for(root: Path) -> None:
    expected = 3 if torch.version.cuda else 2 if torch.version.hip else 0
    assert visible_gpu_count(root, {}) == expected
