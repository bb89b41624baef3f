"""How good the molecules of a model are, measured of its folder as users get it."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rdkit import Chem
from scipy.stats import wasserstein_distance
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.families.components import Denoiser
from nodegraph.families.item_family import MOLECULE_PROPERTIES, item_conditioning
from nodegraph.families.items.latents import items_of
from nodegraph.media.molecules.chemistry import properties_of
from nodegraph.media.molecules.tables import items_to_tables, rows_to_molecule
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.loading import load_component
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.added_guidance import Valences
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from training.items.molecules.data import Tables
from training.items.molecules.filtering import is_wanted

STEPS = 50
_BATCH = 250
_ASKED_CFG = 6.0
_QED = MOLECULE_PROPERTIES.index("qed")


@dataclass(frozen=True)
class Sampling:
    """How molecules are sampled.

    Attributes:
        steps: Of Euler's method.
        cfg: Guidance scale.
        valences: Strength of the guidance by valences; 0 is none.
    """

    steps: int = STEPS
    cfg: float = 1.0
    valences: float = 0.0


def open_folder(folder: Path) -> Denoiser:
    """The model of a folder."""
    return cast("Denoiser", load_component(open_denoiser(DenoiserRequest(str(folder)), []), "cpu"))


def sample(
    model: Denoiser, asked: Sequence[Conditioning], how: Sampling, *, each: int = 1, seed: int = 0
) -> Tensor:
    """Items by the sampler's own loop, (conditionings · each, 9, 37)."""
    return torch.cat(
        [_sampled(model, item, how, each, seed + place * each) for place, item in enumerate(asked)]
    )


def _sampled(model: Denoiser, asked: Conditioning, how: Sampling, count: int, seed: int) -> Tensor:
    added = (Valences(how.valences, 0.0, 1.0),) if how.valences else ()
    guider = GuiderChoice(asked, None, how.cfg, added=added)
    parts = SamplingParts(
        SamplingNoise(seed), guider, SamplerChoice("euler"), named_schedule("normal", how.steps)
    )
    sampling = Denoising(model, Latent(None, 37, 9, count), parts)
    for _ in sampling:
        pass
    return items_of(sampling.result(), "molecules")


def free(model: Denoiser, count: int, how: Sampling) -> Tensor:
    """Items of which nothing is asked."""
    nothing = item_conditioning("molecules", numbers=[None] * len(MOLECULE_PROPERTIES))
    batches = [nothing] * (count // _BATCH)
    return sample(model, batches, how, each=_BATCH)


def molecules_of(items: Tensor) -> list[Any | None]:
    """RDKit's molecules; None where an item is none."""
    kinds, orders = items_to_tables(items)
    return [rows_to_molecule(*rows) for rows in zip(kinds.tolist(), orders.tolist(), strict=True)]


def quality(items: Tensor, known: set[str]) -> dict[str, float]:
    """Shares in percent: valid of all; distinct and wanted of the valid; novel of the distinct."""
    found = [each for each in molecules_of(items) if each is not None]
    names = {Chem.MolToSmiles(each) for each in found}
    good = sum(is_wanted(each) for each in found)
    return {
        "valid": _percent(len(found), len(items)),
        "distinct": _percent(len(names), len(found)),
        "novel": _percent(len(names - known), len(names)),
        "as_the_data": _percent(good, len(found)),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(1, whole), 2)


def following(model: Denoiser, tables: Tables, count: int) -> dict[str, float]:
    """How far the properties of molecules are from what was asked, one property at a time; of
    values that molecules have which weren't trained on, and beside the same in another order."""
    figures = {}
    how = Sampling(cfg=_ASKED_CFG, valences=1.0)
    for place, name in enumerate(MOLECULE_PROPERTIES):
        wanted = tables.numbers[:count, place].double()
        got = _properties(_asked(model, wanted.float(), place, how), place)
        errors = (got - wanted.numpy())[~np.isnan(got)]
        figures[f"{name}_valid"] = _percent(len(errors), len(got))
        others = (np.roll(got, 1) - wanted.numpy())[~np.isnan(np.roll(got, 1))]
        figures[f"{name}_error"] = round(float(np.abs(errors).mean()), 4)
        figures[f"{name}_error_by_chance"] = round(float(np.abs(others).mean()), 4)
        if name in ("rings", "atoms"):
            figures[f"{name}_right"] = round(100 * float((errors == 0).mean()), 2)
    return figures


def _asked(model: Denoiser, wanted: Tensor, place: int, how: Sampling) -> Tensor:
    """One item for each value of a property, all in few batches."""
    shape = len(wanted), len(MOLECULE_PROPERTIES)
    numbers = torch.full(shape, float("nan"))
    numbers[:, place] = wanted
    return walked(model, numbers, how)


def walked(model: Denoiser, numbers: Tensor, how: Sampling) -> Tensor:
    """Items of which each is asked for by numbers of its own, as a sampling has one prompt for all:
    the same steps in a plain loop."""
    from nodegraph.sampling.guiders.terms import descent

    shift, network = 2.0, model.module
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(len(numbers), 9, 37, generator=generator)
    even = torch.linspace(1, 0, how.steps + 1)
    levels = shift * even / (1 + (shift - 1) * even)
    nothing = torch.full_like(numbers, float("nan"))
    none = torch.zeros(len(numbers), 0, dtype=torch.int64)
    with torch.inference_mode():
        for now, after in itertools.pairwise(levels):
            share = now.expand(len(x))
            towards, away = (network(x, share, none, asked) for asked in (numbers, nothing))
            flow = away + how.cfg * (towards - away)
            if how.valences and now < 0.9:
                clean = x - now * flow
                clean = clean - descent(clean, how.valences)
                flow = (x - clean) / now
            x = x + (after - now) * flow
    return x


def _properties(items: Tensor, place: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    name = MOLECULE_PROPERTIES[place]
    found = molecules_of(items)
    values = [
        float("nan") if each is None else properties_of(each, qed=place == _QED)[name]
        for each in found
    ]
    return np.asarray(values)


def distances(items: Tensor, tables: Tables) -> dict[str, float]:
    """How far the histograms of properties are from those of molecules that weren't trained on, in
    their spreads (the earth mover's distance), and how far those of the trained ones are."""
    figures = {}
    held, trained = tables.part(0, 2000), tables.part(5000, 7000)
    for place, name in enumerate(MOLECULE_PROPERTIES):
        values = _properties(items, place)
        values = values[~np.isnan(values)]
        real = held.numbers[:, place].double().numpy()
        spread = real.std()
        for title, others in (("", values), ("_of_data", trained.numbers[:, place].numpy())):
            distance = wasserstein_distance(real / spread, others / spread)
            figures[f"{name}_distance{title}"] = round(float(distance), 4)
    return figures


def laid_share(items: Tensor) -> float:
    """Percent of valid molecules for which a place in space was found; as users get them."""
    from nodegraph.media.molecules.molecule_sets import decode_molecules, with_conformers

    found = decode_molecules(items)
    return _percent(len(with_conformers(found, 1, 0)), len(found))


def measure(folder: Path, tables: Tables, held: int, count: int) -> dict[str, float]:
    """All figures of a model.

    Args:
        held: The first molecules of the tables, that it wasn't trained on.
        count: How many are sampled for shares; a quarter of it for each property that is asked.
    """
    model, known = open_folder(folder), set(tables.smiles[held:])
    figures: dict[str, float] = {}
    start = time.process_time()
    plain = free(model, count, Sampling())
    figures["milliseconds"] = round(1000 * (time.process_time() - start) / len(plain), 2)
    figures |= quality(plain, known)
    led = free(model, count, Sampling(valences=1.0))
    figures |= {f"led_{name}": value for name, value in quality(led, known).items()}
    few = free(model, count // 2, Sampling(steps=20, valences=1.0))
    figures["led_valid_of_20_steps"] = quality(few, known)["valid"]
    figures |= following(model, tables, count // 4)
    figures |= distances(led, tables)
    figures["laid_in_space"] = laid_share(led[:200])
    return figures
