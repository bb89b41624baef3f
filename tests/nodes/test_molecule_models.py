"""Nodes that ask for molecules and read what was sampled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Latent, Plot, node
from nodegraph.media.molecules.chemistry import to_smiles
from tests.diffusion.items.making import molecule_folder
from tests.molecules.test_tables import items_of
from tests.nodes.conftest import Bench, link


@node
def SampledTables(smiles: str) -> Latent:
    """Latents as a model would have sampled them; what is named ? is no molecule."""
    items = items_of(*("C" if each == "?" else each for each in smiles.split()))
    for place, each in enumerate(smiles.split()):
        if each == "?":
            items[place] = 0.1
    return Latent(items[:, None], 37, 9, len(items), format="molecules")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, [SampledTables])
    (tmp_path / "models").mkdir()
    yield made
    made.session.close()


def decoded(smiles: str, **inputs: Any) -> dict[str, Any]:
    return {
        "tables": {"type": "SampledTables", "inputs": {"smiles": smiles}},
        "decode": {"type": "DecodeMolecules", "inputs": {"latent": link("tables"), **inputs}},
    }


def then(type: str, smiles: str, port: str = "molecules", **inputs: Any) -> dict[str, Any]:
    given = {port: link("decode.molecules"), **inputs}
    return {**decoded(smiles), "next": {"type": type, "inputs": given}}


def sampling(folder: Path, **empty: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadDiffusionModel", "inputs": {"model": str(folder)}},
        "empty": {"type": "EmptyItems", "inputs": {"model": link("load"), **empty}},
        "asked": {"type": "MoleculeConditioning", "inputs": {"logp": 1.5, "rings": 1}},
        "cfg": {"type": "CFGGuider", "inputs": {"positive": link("asked"), "cfg": 2.0}},
        "guider": {"type": "ValenceGuidance", "inputs": {"guider": link("cfg")}},
        "schedule": {"type": "BasicSchedule", "inputs": {"schedule": "simple", "steps": 3}},
        "sampler": {"type": "SelectSampler", "inputs": {"sampler": "dpmpp_2m"}},
        "noise": {"type": "RandomNoise", "inputs": {"seed": 3}},
    }


@pytest.mark.slow
def test_molecules_are_sampled_by_the_usual_nodes(bench: Bench, tmp_path: Path) -> None:
    graph = sampling(molecule_folder(tmp_path / "models" / "random"), batch_size=3)
    given = {"model": link("load"), "latent": link("empty")}
    parts = {name: link(name) for name in ("guider", "schedule", "sampler", "noise")}
    graph["sample"] = {"type": "SampleCustom", "inputs": {**given, **parts}}
    graph["decode"] = {"type": "DecodeMolecules", "inputs": {"latent": link("sample.latent")}}

    assert dict(bench.facts(graph, "empty")["latent"]) == {"width": 37, "height": 9, "batch": 3}
    assert bench.value(graph, "decode.sampled") == 3


def test_the_model_that_comes_along_makes_molecules(bench: Bench) -> None:
    graph = sampling(Path("tiny/molecules"), batch_size=8)
    given = {"model": link("load"), "positive": link("asked"), "latent": link("empty")}
    graph["sample"] = {"type": "KSampler", "inputs": {**given, "steps": 20, "cfg": 2.0}}
    graph["decode"] = {"type": "DecodeMolecules", "inputs": {"latent": link("sample")}}
    found = bench.value(graph, "decode.molecules")
    assert len(found) >= 2


def test_models_of_pictures_make_no_items(bench: Bench) -> None:
    graph = {
        "load": {"type": "LoadModel"},
        "empty": {"type": "EmptyItems", "inputs": {"model": link("load.model")}},
    }
    problem = next(each for each in bench.problems(graph) if each.port == "model")
    assert "makes images" in problem.message
    assert "EmptyLatent" in str(problem.hint)


def test_pictures_latents_are_refused_before_anything_runs(bench: Bench, tmp_path: Path) -> None:
    graph = sampling(molecule_folder(tmp_path / "models" / "random"))
    given = {"model": link("load"), "positive": link("asked"), "latent": link("size")}
    graph = {name: graph[name] for name in ("load", "asked")} | {
        "size": {"type": "EmptyLatent"},
        "sample": {"type": "KSampler", "inputs": given},
    }
    found = [problem for problem in bench.problems(graph) if "one fixed size" in problem.message]
    assert [problem.hint for problem in found] == ["Link an EmptyItems."]


def test_what_is_no_molecule_is_left_out_or_refused(bench: Bench) -> None:
    graph = decoded("CCO ? C CCO")
    assert [to_smiles(each) for each in bench.value(graph, "decode.molecules")] == [
        *("CCO", "C", "CCO")
    ]
    assert (bench.value(graph, "decode.valid"), bench.value(graph, "decode.sampled")) == (3, 4)
    assert len(bench.value(decoded("CCO C CCO", distinct=True), "decode.molecules")) == 2
    failure = bench.failure(decoded("CCO ?", invalid="refuse"), "decode")
    assert "item 1 is not a molecule" in str(failure)


def several(first: str, second: str, **inputs: Any) -> dict[str, Any]:
    graph = decoded(first, **inputs)
    graph["others"] = {"type": "SampledTables", "inputs": {"smiles": second}}
    both = {"item_1": link("tables"), "item_2": link("others")}
    graph["list"] = {"type": "List", "inputs": both}
    graph["decode"]["inputs"]["latent"] = link("list")
    return graph


def test_several_latents_are_read_as_one(bench: Bench) -> None:
    graph = several("CCO ? C", "CCO c1ccccc1", distinct=True)
    found = [to_smiles(each) for each in bench.value(graph, "decode.molecules")]
    assert found == ["CCO", "C", "c1ccccc1"]
    assert (bench.value(graph, "decode.valid"), bench.value(graph, "decode.sampled")) == (4, 5)
    failure = bench.failure(several("CCO C", "C ?", invalid="refuse"), "decode")
    assert "item 3 is not a molecule" in str(failure)


def test_molecules_are_laid_in_space(bench: Bench) -> None:
    [found] = bench.value(decoded("CCO", conformers=2), "decode.molecules")
    assert found.coordinates.shape == (2, 9, 3)


def test_statistics_tell_what_is_distinct_and_new(bench: Bench) -> None:
    graph = then("MoleculeStatistics", "CCO C CCO c1ccccc1", plotted="rings")
    graph["known"] = {"type": "MoleculeFromSmiles", "inputs": {"smiles": "C", "conformers": 0}}
    graph["list"] = {"type": "List", "inputs": {"item_1": link("known")}}
    graph["next"]["inputs"]["known"] = link("list")
    assert bench.value(graph, "next.distinct") == 0.75
    assert bench.value(graph, "next.novel") == pytest.approx(2 / 3)
    text = bench.value(graph, "next.text")
    assert text.startswith("4 molecules, 3 of 4 distinct, of these 2 of 3 not known before\n")
    plot = bench.value(graph, "next.plot")
    assert isinstance(plot, Plot)
    assert plot.series[0].x == (0.0, 1.0)
    assert plot.series[0].y == (0.75, 0.25)


def test_there_must_be_some_to_count(bench: Bench) -> None:
    failure = bench.failure(then("MoleculeStatistics", "?"), "next")
    assert "no molecules" in str(failure)


def test_properties_are_those_of_rdkit(bench: Bench) -> None:
    graph = then("MoleculeProperties", "c1ccccc1", port="molecule")
    assert bench.value(graph, "next.rings") == [1]
    assert bench.value(graph, "next.logp") == [pytest.approx(1.6866)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"contains": "[OH]"}, ["CCO"]),
        ({"without": "[OH]"}, ["C", "c1ccccc1"]),
        ({"property": "rings", "low": 1.0}, ["c1ccccc1"]),
        ({"property": "logp", "high": 0.5}, ["CCO"]),
        ({}, ["CCO", "C", "c1ccccc1"]),
    ],
)
def test_molecules_are_chosen(bench: Bench, wanted: dict[str, Any], expected: list[str]) -> None:
    found = bench.value(then("FilterMolecules", "CCO C c1ccccc1", **wanted), "next.molecules")
    assert [to_smiles(each) for each in found] == expected


def test_what_is_no_pattern_is_refused(bench: Bench) -> None:
    failure = bench.failure(then("FilterMolecules", "C", contains="C(("), "next")
    assert "not a SMARTS pattern" in str(failure)
