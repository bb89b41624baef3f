"""What may change last bits is part of the keys of nodes that depend on it, and `why` names it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nodegraph.api import node
from nodegraph.core.workflow import Workflow
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from nodegraph.weights.numerics import LibraryNumerics

ran: list[str] = []
sets_threads: list[int] = []


@node(lane="gpu", numerics=True)
def Compute(value: float) -> float:
    """Something whose last bits depend on how it is computed."""
    ran.append("Compute")
    for number in sets_threads:
        torch.set_num_threads(number)
    return value * 2


@node
def Plain(value: float) -> float:
    """Something whose last bits don't."""
    ran.append("Plain")
    return value + 1


WORKFLOW = Workflow.from_dict(
    {
        "format": "nodegraph/1",
        "nodes": {
            "compute": {"type": "Compute", "inputs": {"value": 1.0}},
            "plain": {"type": "Plain", "inputs": {"value": 1.0}},
        },
    }
)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    ran.clear()
    sets_threads.clear()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def run(folder: Path) -> tuple[list[str], str]:
    """What runs on a store, by name, and what `why` says of `compute` before.

    The two nodes have lanes of their own: either may be first.
    """
    ran.clear()
    with Session(Settings(home=folder), nodes=[Compute, Plain]) as session:
        (why,) = session.why(WORKFLOW, node="compute")
        session.run(WORKFLOW, targets=["compute", "plain"])
    return sorted(ran), " ".join(why.reasons)


def test_results_of_other_threads_are_not_served_and_why_says_so(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == ["Compute", "Plain"]
    assert run(tmp_path)[0] == []
    torch.set_num_threads(1)
    assert run(tmp_path) == (
        ["Compute"],
        "numerical settings that affect its last bits: 2 threads → 1 thread",
    )
    torch.set_num_threads(2)
    assert run(tmp_path)[0] == []


def test_what_was_computed_otherwise_than_its_key_says_is_not_kept(tmp_path: Path) -> None:
    sets_threads.append(1)
    assert run(tmp_path)[0] == ["Compute", "Plain"]
    torch.set_num_threads(2)
    sets_threads.clear()
    assert run(tmp_path)[0] == ["Compute"]
    assert run(tmp_path)[0] == []


def test_what_is_set_of_torch_counts() -> None:
    numerics = LibraryNumerics()
    plain = numerics.profile("cpu")
    assert "not " not in plain
    found = {plain, numerics.profile("cuda:0")}
    torch.set_num_threads(1)
    found.add(numerics.profile("cpu"))
    assert numerics.profile("cuda:0") in found, "a GPU's results don't depend on them"
    torch.use_deterministic_algorithms(True)
    found.add(numerics.profile("cpu"))
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float64)
    found.add(numerics.profile("cpu"))
    torch.set_default_dtype(torch.float32)
    torch.backends.mkldnn.set_flags(False)
    found.add(numerics.profile("cpu"))
    torch.backends.mkldnn.set_flags(True)
    torch.set_num_threads(2)
    assert len(found) == 6
    assert numerics.profile("cpu") == plain


@pytest.mark.parametrize(
    "variables",
    [
        {},
        pytest.param({"OMP_NUM_THREADS": "1"}, marks=pytest.mark.slow),
        pytest.param({"MKL_NUM_THREADS": "1"}, marks=pytest.mark.slow),
    ],
)
def test_it_is_known_before_torch_is_there(variables: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "from nodegraph.session.devices import share_cores\n"
        "from nodegraph.weights.numerics import LibraryNumerics\n"
        "share_cores()\n"
        "before = LibraryNumerics().profile('cpu')\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "assert LibraryNumerics().profile('cpu') == before, before\n"
    )
    around = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    subprocess.run([sys.executable, "-c", program], check=True, env={**around, **variables})
