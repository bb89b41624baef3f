"""A package brings a sampler, which is chosen by name, and one that is broken breaks no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodegraph.families.sampler_names import SAMPLER_NAMES
from tests.diffusion.families.test_registry import listed

_PAGE = Path(__file__).parents[2] / "docs" / "samplers.md"
_HEAD = """
from __future__ import annotations
import torch
from torch import Tensor
from nodegraph.sampling.samplers.base import STRAIGHT, Done, Evaluate, Steps, Walk, method
from nodegraph.sampling.samplers.spaces import StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS
"""
_POINTS = """[nodegraph.samplers]
broken = no_such_package:SAMPLER
mine = my_samplers:ab2
taken = my_samplers:euler
wrong = my_samplers:torch
"""
_RUN = """
import sys
from pathlib import Path
from nodegraph import Session, Workflow
from nodegraph.session.settings import Settings
with Session(Settings(home=Path(sys.argv[1]), device="cpu")) as session:
    result = session.run(Workflow.from_json(sys.argv[2]), targets=["sample"])
report = result.nodes["sample"]
print(report.status, next(iter(report.outputs.values())))
"""


def workflow(sampler: str) -> str:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "words": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a lemon"},
        },
        "latent": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "guider": {
            "type": "BasicGuider",
            "inputs": {"conditioning": {"from": "words"}},
        },
        "levels": {"type": "BasicSchedule", "inputs": {"steps": 3}},
        "noise": {"type": "RandomNoise", "inputs": {"seed": 1}},
        "method": {"type": "SelectSampler", "inputs": {"sampler": sampler}},
        "sample": {
            "type": "SampleCustom",
            "inputs": {
                "model": {"from": "load.model"},
                "latent": {"from": "latent"},
                "guider": {"from": "guider"},
                "schedule": {"from": "levels"},
                "noise": {"from": "noise"},
                "sampler": {"from": "method"},
            },
        },
    }
    return json.dumps({"format": "nodegraph/1", "nodes": nodes})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shown = _PAGE.read_text("utf-8").split("## Adding one")[1].split("```python\n")[1]
    own = shown.split("```")[0]
    taken = own.replace("ab2", "euler")
    (tmp_path / "my_samplers.py").write_text(_HEAD + own + taken)
    metadata = tmp_path / "my_samplers-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-samplers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_POINTS)
    return tmp_path


def test_a_package_brings_a_sampler(site: Path) -> None:
    code = (
        "from nodegraph.families.sampler_names import *\n"
        "from nodegraph.sampling.samplers import SAMPLERS\n"
        "print(SAMPLERS['ab2'].order, *SAMPLERS)\n"
        "check_combination('ab2', 'karras', 'flow')\n"
        "print(evaluations('ab2', 5), sampler_release('ab2'))\n"
    )
    found = listed(site, code)
    names, known = found.stdout.splitlines()
    assert names.split() == ["2", *SAMPLER_NAMES, "ab2"]
    assert known.startswith("5 my-samplers 1.0 #")
    assert "the sampler broken" in found.stderr
    assert "give it another name" in found.stderr
    assert "the sampler wrong" in found.stderr


def test_it_is_chosen_by_name_and_results_count_by_the_package(site: Path, tmp_path: Path) -> None:
    def sampled(name: str) -> list[str]:
        return listed(site, _RUN, str(tmp_path / "home"), workflow(name)).stdout.split()

    status, first = sampled("ab2")
    assert status == "ran"
    assert sampled("ab2") == ["cached", first]
    assert sampled("euler")[1] != first
    module = site / "my_samplers.py"
    module.write_text(module.read_text().replace("1.5 * slope - 0.5 * before", "1.0 * slope"))
    status, edited = sampled("ab2")
    assert (status, edited != first) == ("ran", True)


def test_one_that_is_not_there_is_refused_with_all_that_are(site: Path) -> None:
    code = (
        "from nodegraph.errors import InvalidValue\n"
        "from nodegraph.families.sampler_names import check_sampler\n"
        "try: check_sampler('ab3', 'flow')\n"
        "except InvalidValue as error: print(error.problem.expected, error.problem.hint)"
    )
    told = listed(site, code).stdout
    assert "ab2" in told.partition("Did you mean")[2]
    assert "tcd, ab2" in told
