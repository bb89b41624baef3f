"""Every file of the gallery's workflows is made again, bit for bit, without the store."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, rmtree

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.core.manifest import MANIFEST
from nodegraph.session.replay.replay import open_replay, read_result
from nodegraph.session.replay.verification import Verification, carried_texts
from tests.test_gallery import FILES, GALLERY, PACKS, shortened

VARYING = {"distill": "compares models by the seconds that they take, which its manifest names"}
"""Workflows whose manifests differ each time, with the reason. Their pictures are the same."""


def verified(file: Path, settings: Settings) -> Verification:
    """The comparison of a file with one that was made again from it alone."""
    result_file = read_result(file)
    with open_replay(result_file, settings, packs=PACKS, inputs=GALLERY, verify=True) as replay:
        result = replay.session.run(result_file.workflow, targets=replay.targets, values=False)
        assert not result.errors, result.errors
        return replay.verify(result_file.workflow, result)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_workflow_is_replayed(file: Path, tmp_path: Path, known_specs: Path) -> None:
    home = tmp_path / "home"
    copytree(known_specs, home / "cache" / "specs")
    settings = Settings(
        home=home,
        outputs=tmp_path / "output",
        store=tmp_path / "store",
        device="cpu",
        leave_out=(),
        sidecar=True,  # trained weights have no other manifest
    )
    with Session(settings, packs=PACKS, inputs=GALLERY) as session:
        result = session.run(Workflow.from_dict(shortened(file)))
    assert not result.errors, result.errors
    rmtree(tmp_path / "store")
    written = [
        each
        for each in result.files
        if settings.outputs in each.path.parents
        and each.kind != "manifest"
        and MANIFEST in (carried_texts(each.path) or {})  # one file of a dataset has it
    ]
    first_of_nodes = {each.node.partition("[")[0]: each.path for each in reversed(written)}
    assert first_of_nodes
    for path in first_of_nodes.values():
        verification = verified(path, settings)
        expected = "same-content" if file.stem in VARYING else "identical"
        assert verification.verdict == expected, f"{path.name}: {verification}"
