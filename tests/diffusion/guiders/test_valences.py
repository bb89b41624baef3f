"""Guidance of molecules by their valences."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodegraph.core.values import DiffusionModel, Latent, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.media.molecules.tables import tables_to_items
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.added_guidance import Valences
from nodegraph.sampling.guiders.terms import bond_deficit, bond_excess, descent
from nodegraph.sampling.sampling_parts import GuiderChoice, SamplingParts, build_sampling_parts
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture
from tests.diffusion.items.making import asked, molecule_model
from tests.messages import raises


def chain(*kinds: int, order: int) -> Tensor:
    """Atoms in a row, bound alike."""
    atoms = torch.zeros(1, 9, dtype=torch.long)
    atoms[0, : len(kinds)] = torch.tensor(kinds)
    bonds = torch.zeros(1, 9, 9, dtype=torch.long)
    for first in range(len(kinds) - 1):
        bonds[0, first, first + 1] = bonds[0, first + 1, first] = order
    return tables_to_items(atoms, bonds)


def test_what_is_within_its_valences_stays_as_it_is() -> None:
    assert not bond_excess(chain(1, 1, 3, order=1)).any()
    assert not descent(chain(1, 1, 3, order=1), 1.0).any()


def test_too_many_bonds_are_led_back() -> None:
    wrong = 0.5 * chain(1, 3, 1, order=2)  # oxygen with two double bonds, not quite surely
    assert bond_excess(wrong)[0, 1] > 1.5
    mended = wrong - descent(wrong, 1.0)
    assert bond_excess(mended).square().sum() < 0.5 * bond_excess(wrong).square().sum()


def test_an_atom_without_bonds_is_led_to_have_some() -> None:
    chained = chain(1, 1, 3, order=1)
    assert not bond_deficit(chained).any()
    assert not bond_deficit(chain(1, order=1)).any()  # methane
    alone = chained.clone()
    # The oxygen's only bond is surely none, and next to no class of it has any slope.
    alone[0, 2, 5:] = chain(1, 1, order=1)[0, 2, 5:]
    assert bond_deficit(alone)[0].tolist() == pytest.approx([0, 0, 0.8, 0, 0, 0, 0, 0, 0], abs=0.1)
    mended = alone - descent(alone, 1.0)
    assert bond_deficit(mended).sum() < 0.5 * bond_deficit(alone).sum()


def test_what_is_surely_too_much_is_led_back_too() -> None:
    wrong = chain(1, 3, 1, order=2)
    mended = wrong - descent(wrong, 1.0)
    assert bond_excess(mended).sum() < 0.1 * bond_excess(wrong).sum()


def test_numbers_far_apart_and_a_great_strength_give_no_nan() -> None:
    wrong = 100 * chain(1, 3, 1, order=2)
    assert descent(wrong, 30.0).isfinite().all()


def parts(*added: Valences) -> SamplingParts:
    given = build_sampling_parts(
        asked(), None, seed=1, steps=6, cfg=1.0, sampler="euler", schedule="normal"
    )
    return SamplingParts(
        given.noise, GuiderChoice(asked(), added=added), given.sampler, given.schedule
    )


def test_a_sampling_ends_with_less_excess(tmp_path: Path) -> None:
    model = molecule_model(tmp_path / "random")

    def walked(*added: Valences) -> Tensor:
        sampling = Denoising(model, Latent(None, 37, 9, 8), parts(*added))
        for _ in sampling:
            pass
        samples = sampling.result().samples
        assert samples is not None
        return samples[:, 0]

    plain, led = walked(), walked(Valences(1.0, 0.0, 1.0))
    assert torch.equal(walked(Valences(0.0, 0.0, 1.0)), plain)
    assert bond_excess(led).sum() < bond_excess(plain).sum()


def test_it_is_for_molecules_alone() -> None:
    model = DiffusionModel("sd1", (RecipeFile("unet", "nowhere", "0" * 64),))
    with raises(InvalidValue, port="guider", given="Stable Diffusion 1.x"):
        Valences(1.0, 0.0, 1.0).check(model)
