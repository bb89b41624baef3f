"""Molecules that are made to train on, and that training on some of them gives these."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from safetensors import safe_open

from nodegraph.media.molecules.tables import VALENCES
from training.config import FitConfig
from training.items.fitting import Objective, sampled
from training.items.molecules.card import card
from training.items.molecules.data import Tables, load_tables
from training.items.molecules.filtering import is_wanted
from training.items.molecules.growing import distinct_molecules, grown
from training.items.molecules.measuring import molecules_of, quality
from training.items.molecules.model import MoleculeConfig, build_model, class_loss, train
from training.items.shipping import go_on_from, ship
from training.trainer import Trainer


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return load_tables(tmp_path_factory.mktemp("molecules"), 40, seed=1)


def test_a_seed_grows_the_same_molecules_each_once() -> None:
    first, again = (list(islice(distinct_molecules(3), 60)) for _ in range(2))
    assert first == again
    assert len(set(first)) == 60


def test_what_is_grown_keeps_to_valences() -> None:
    rng = random.Random(5)
    found = [each for each in (grown(rng) for _ in range(200)) if each is not None]
    assert len(found) > 150
    for mol in found:
        for atom in mol.GetAtoms():
            assert atom.GetTotalValence() == VALENCES[atom.GetAtomicNum()]
            assert not atom.GetNumRadicalElectrons()


@pytest.mark.parametrize(
    ("smiles", "wanted"),
    [
        ("CC(=O)N", True),
        ("c1ccncc1", True),
        ("COOC", False),
        ("C=C=C", False),
        ("C1#CCCC1", False),
        ("OC(O)C", False),
        ("C1CC2CC1C2", True),
        ("C1=C2CC(C1)C2", False),  # a double bond at a bridgehead
    ],
)
def test_strained_and_unstable_ones_are_not_wanted(smiles: str, wanted: bool) -> None:
    assert is_wanted(Chem.MolFromSmiles(smiles)) is wanted


def test_tables_are_made_once(tmp_path: Path) -> None:
    first = load_tables(tmp_path, 20, seed=1)
    (tmp_path / "molecules.txt").chmod(0o400)
    again = load_tables(tmp_path, 20, seed=1)
    assert first.smiles == again.smiles
    assert torch.equal(first.kinds, again.kinds)


@pytest.mark.slow
def test_training_gives_the_molecules_it_was_shown(tables: Tables, tmp_path: Path) -> None:
    torch.manual_seed(0)
    few = tables.part(0, 8)
    fit = FitConfig(
        samples=32 * 420, batch=32, lr=4e-3, muon=True, ema=0.98, workers=1, channels_last=False
    )
    model = build_model(MoleculeConfig(fit, width=48), few)
    loss = class_loss(model, few.batch, Objective())
    Trainer(model, loss, fit, seed=0, folder=tmp_path).run()
    model.eval()
    nothing = torch.full((64, 4), float("nan"))
    items = sampled(model, torch.zeros(64, 0, dtype=torch.long), nothing, steps=20)
    names = [Chem.MolToSmiles(each) for each in molecules_of(items) if each is not None]
    assert len([name for name in names if name in few.smiles]) > 48
    assert len(set(names) & set(few.smiles)) > 4


def test_shares_are_of_what_they_say(tables: Tables) -> None:
    items = tables.part(0, 3).batch(3, np.random.default_rng(0)).items
    whole = torch.cat([items, torch.zeros(1, 9, 37)])
    found = quality(whole, set(tables.smiles))
    assert found["valid"] == 75.0
    assert found["novel"] == 0.0
    assert found["as_the_data"] == 100.0


def test_the_card_tells_all_that_was_measured() -> None:
    names = ("valid", "distinct", "novel", "as_the_data")
    figures = dict.fromkeys((*names, *(f"led_{name}" for name in names)), 1.0)
    figures |= dict.fromkeys(("led_valid_of_20_steps", "laid_in_space", "milliseconds"), 2.0)
    figures |= {"megabytes": 3.5, "rings_right": 91.0, "atoms_right": 92.0}
    for name in ("logp", "qed", "rings", "atoms"):
        for what in ("error", "error_by_chance", "valid", "distance", "distance_of_data"):
            figures[f"{name}_{what}"] = 0.25
    settings = {"count": 160_000, "held": 5000, "fit": {"batch": 256}}
    progress = {"step": 24_000}
    page = card(
        {
            "figures": figures,
            "settings": settings,
            "progress": progress,
            "missed": ["valid"],
            "count": 2000,
            "parameters": 1_800_000,
        }
    )
    assert "misses of its aims: `valid`" in page
    assert "| rings | 0.25 | 0.25 | 91.0 % | 0.25 % |" in page
    assert "{" not in page


def test_training_goes_on_from_what_was_shipped(tables: Tables, tmp_path: Path) -> None:
    fit = FitConfig(samples=64, batch=16, lr=1e-3, muon=True, workers=1, channels_last=False)
    config = MoleculeConfig(fit, held=8, width=48, condition_width=16)
    train(config, tables, tmp_path / "first")
    told = ship(build_model(config, tables), tmp_path / "first", tmp_path / "shipped")

    go_on_from(tmp_path / "shipped", told["progress"], tmp_path / "second")
    weights = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)["values"]
    longer = MoleculeConfig(replace(fit, samples=96), held=8, width=48, condition_width=16)
    train(longer, tables, tmp_path / "second")

    with safe_open(next((tmp_path / "shipped").glob("*.safetensors")), "pt") as shipped:
        assert all(
            torch.equal(shipped.get_tensor(name).float(), weight)
            for name, weight in weights.items()
        )
    ended = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    assert (told["progress"]["step"], ended["progress"]["step"]) == (4, 6)
    assert any(not torch.equal(ended["values"][name], weights[name]) for name in weights)
