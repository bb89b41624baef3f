"""Every node type of the table becomes native nodes with inputs that they have."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from nodegraph import Session
from nodegraph.interop.comfyui.table import (
    conditioning,
    control,
    easy_use,
    efficiency,
    hooks,
    loaders,
    model_merging,
    patches,
    pipes,
    sampling,
)
from nodegraph.interop.comfyui.table import edit_prompts as editing
from nodegraph.interop.comfyui.table import samplers_schedules as methods
from nodegraph.interop.comfyui.table import samplers_schedules as schedules
from tests.cases import case
from tests.compat.comfyui.supplied import imported, problems, supplied, with_sampler

MODULES = (
    loaders,
    model_merging,
    conditioning,
    hooks,
    editing,
    control,
    patches,
    methods,
    schedules,
    sampling,
    pipes,
    efficiency,
    easy_use,
)
NONE_HERE = {"HiDreamO1ReferenceImages", "XY Plot", "ImageOnlyCheckpointSave", "LoraSave"}
NONE_HERE |= {"CreateHookKeyframesFromFloats", "PatchModelAddDownscale"}
"""Types that are known, and told to have no counterpart; or none for plain models."""

FINE = {"model-not-found", "no-output", "wrong-family", "invalid-value", "wrong-size"}
"""What it is told that has a model of another kind, or files that aren't there."""


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


@pytest.mark.parametrize("module", MODULES, ids=lambda one: one.__name__.rpartition(".")[2])
def test_they_become_native_nodes_that_are_valid(
    module: ModuleType, session: Session, tmp_path: Path
) -> None:
    for one in module.ENTRIES:
        if one.type.startswith("@"):
            continue
        with case(one.type):
            found = imported(with_sampler(supplied(one)))
            assert {fate.type for fate in found.placeholders} <= NONE_HERE & {one.type}
            wrong = [
                problem
                for problem in problems(session, found.workflow, tmp_path)
                if problem.code not in FINE and "flow matching" not in problem.message
            ]
            assert one.type in NONE_HERE or wrong == []
