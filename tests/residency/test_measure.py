"""Component sizes are those of the distinct tensors in their modules."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from torch import nn

from nodegraph.residency import component_bytes


@dataclass(frozen=True)
class Pair:
    first: nn.Module
    second: nn.Module
    note: str = "not a module"


def test_a_component_counts_the_parameters_and_buffers_of_its_modules() -> None:
    linear, norm = nn.Linear(3, 4), nn.BatchNorm1d(5)

    assert component_bytes(linear) == 4 * (3 * 4 + 4)
    assert component_bytes(norm) == 4 * 5 * 4 + 8
    assert component_bytes(Pair(linear, norm)) == component_bytes(linear) + component_bytes(norm)


def test_tied_weights_count_once() -> None:
    linear = nn.Linear(3, 4)

    assert component_bytes(Pair(linear, nn.Sequential(linear))) == component_bytes(linear)


def test_half_precision_takes_half() -> None:
    assert component_bytes(nn.Linear(3, 4).half()) * 2 == component_bytes(nn.Linear(3, 4))


def test_something_without_modules_takes_nothing() -> None:
    assert component_bytes("text") == 0


def test_importing_residency_imports_no_torch() -> None:
    code = "import sys, nodegraph.residency; sys.exit('torch' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True)
