"""Nodes of molecules in a graph: files and texts in, files out with a drawing beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Molecule
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.images.images import picture_size
from nodegraph.media.molecules import chemistry
from nodegraph.media.molecules import chemistry as drawing
from nodegraph.media.molecules.chemistry import molecule_from_smiles, to_smiles
from nodegraph.media.molecules.molecule_files import encode_molecule, molecule_texts, read_molecule
from nodegraph.session.results.files import result_texts
from tests.molecules.making import ASPIRIN, CAFFEINE
from tests.nodes.conftest import Bench, link


def then(type: str, smiles: str = ASPIRIN, conformers: int = 1, **inputs: Any) -> dict[str, Any]:
    """What a text names, and one node behind it."""
    return {
        "made": {
            "type": "MoleculeFromSmiles",
            "inputs": {"smiles": smiles, "conformers": conformers},
        },
        "next": {"type": type, "inputs": {"molecule": link("made"), **inputs}},
    }


@pytest.fixture
def inputs(bench: Bench) -> Path:
    folder = bench.folder / "inputs"
    both = b"".join(encode_molecule(molecule_from_smiles(each)) for each in (ASPIRIN, CAFFEINE))
    (folder / "both.sdf").write_bytes(both)
    return folder


def load(path: str = "both.sdf", **given: Any) -> dict[str, Any]:
    return {"load": {"type": "LoadMolecule", "inputs": {"path": path, **given}}}


def test_a_molecule_is_loaded_until_its_file_changes(bench: Bench, inputs: Path) -> None:
    found = bench.value(load(number=1), "load.molecule")
    assert isinstance(found, Molecule)
    assert to_smiles(found) == CAFFEINE
    bench.run(load(), "load")
    assert bench.run(load(), "load").nodes["load"].status == "cached"

    (inputs / "both.sdf").write_bytes(encode_molecule(molecule_from_smiles("CCO")))

    assert to_smiles(bench.value(load(), "load.molecule")) == "CCO"


@pytest.mark.parametrize(
    ("name", "message"),
    [("boht.sdf", "Did you mean `both.sdf`?"), ("words.sdf", "it looks like plain text")],
)
def test_what_is_wrong_with_a_file_is_told_before_running(
    bench: Bench, inputs: Path, name: str, message: str
) -> None:
    (inputs / "words.sdf").write_text("just words")
    [problem] = bench.problems(load(name), "load")
    assert (problem.node, problem.port) == ("load", "path")
    assert message in str(problem)


def test_a_text_that_names_no_molecule_is_told_before_running(bench: Bench) -> None:
    [problem] = bench.problems(then("DrawMolecule", "hello"), "next")
    assert (problem.node, problem.port) == ("made", "smiles")
    assert problem.message == "this is not SMILES text"


def test_that_the_package_is_missing_is_told_before_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chemistry, "find_spec", lambda name: None)
    found = bench.problems(then("SaveMolecule"), "next")
    assert {problem.hint for problem in found} == {"Run `pip install 'nodegraph[molecules]'`."}


def test_a_text_becomes_a_molecule_in_space_and_a_text_again(bench: Bench) -> None:
    nodes = then("SmilesFromMolecule", "OCC", conformers=3)
    assert bench.value(nodes, "made.molecule").coordinates.shape == (3, 9, 3)
    assert bench.value(nodes, "next.text") == "CCO"


@pytest.mark.parametrize("format", ["sdf", "pdb", "smi"])
def test_results_are_numbered_carry_their_workflow_and_lie_beside_their_picture(
    bench: Bench, format: str
) -> None:
    nodes = then("SaveMolecule", name="drugs/aspirin", format=format)

    file, *sidecar, picture = bench.run(nodes).files

    assert file.path == bench.folder / "outputs" / "drugs" / f"aspirin_00001.{format}"
    assert (file.kind, picture.kind) == ("molecule", "image")
    assert to_smiles(read_molecule(file.path)) == ASPIRIN
    carried = read_metadata(picture.path)
    assert json.loads(carried["workflow"])["nodes"].keys() == nodes.keys()
    texts = result_texts(sidecar[0].path) if format == "smi" else molecule_texts(file.path)
    assert texts is not None
    assert json.loads(texts["workflow"]) == json.loads(carried["workflow"])
    assert picture.path.name == "aspirin_00001.png"
    assert picture_size(picture.path) == (512, 512)


def test_a_molecule_is_drawn_and_a_large_one_as_a_cloud(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = then("DrawMolecule", width=96, height=64)
    assert bench.value(nodes, "next.image").shape == (1, 64, 96, 3)
    monkeypatch.setattr(drawing, "MOST_DRAWN", 10)
    nodes["next"]["inputs"]["height"] = 80
    assert bench.value(nodes, "next.image").shape == (1, 80, 80, 3)
