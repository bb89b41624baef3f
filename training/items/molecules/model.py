"""The model of molecules: its loss, and its training."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nodegraph.families.item_family import MOLECULE_PROPERTIES
from nodegraph.families.items.transformer import MoleculeTransformer
from nodegraph.media.molecules.tables import FEATURES, MOST_ATOMS, items_to_tables
from training.config import FitConfig
from training.items.fitting import DrawBatch, Objective, left_out
from training.items.molecules.data import Tables
from training.trainer import LossFunction, Trainer


@dataclass(frozen=True)
class MoleculeConfig:
    """The model and its training.

    Attributes:
        fit: The training.
        seed: Of the maker, and of the training.
        count: Molecules that are made.
        held: Of these, the first that aren't trained on.
        width, condition_width: Of the network; 192 takes no more time than 180.
        objective: How items are made noisy, and what is left out of what is asked. Below three
            tenths of noise no class is in doubt, so few times are drawn there.
    """

    fit: FitConfig
    seed: int = 20
    count: int = 160_000
    held: int = 5_000
    width: int = 192
    condition_width: int = 96
    objective: Objective = field(
        default_factory=lambda: Objective(shift=0.4, drop=0.3, drop_all=0.15)
    )


def build_model(config: MoleculeConfig, tables: Tables) -> MoleculeTransformer:
    """The untrained network; its numbers are standardised by those of the molecules."""
    model: MoleculeTransformer = MoleculeTransformer(
        MOST_ATOMS,
        FEATURES,
        config.width,
        condition_width=config.condition_width,
        numbers=len(MOLECULE_PROPERTIES),
        gives_clean=True,
    )
    mean, spread = tables.figures()
    model.number_mean.copy_(mean)
    model.number_spread.copy_(spread)
    return model


def class_loss(model: MoleculeTransformer, draw: DrawBatch, objective: Objective) -> LossFunction:
    """Mean cross entropy, in nats, of the kinds of atoms and the orders of bonds of noisy items."""
    rows, columns = torch.tril_indices(MOST_ATOMS, MOST_ATOMS, -1)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        batch = left_out(draw(count, rng), objective, rng)
        kinds, orders = items_to_tables(batch.items)
        times = rng.standard_normal(count).astype(np.float32) + objective.shift
        t = torch.sigmoid(torch.from_numpy(times))
        noise = torch.from_numpy(rng.standard_normal(batch.items.shape, dtype=np.float32))
        noisy = batch.items + t[:, None, None] * (noise - batch.items)
        answers = model.logits(model.answer(noisy, t, batch.classes, batch.numbers))
        atoms = cross_entropy(answers[0].flatten(0, 1), kinds.flatten(), reduction="sum")
        pairs = answers[1][:, rows, columns].flatten(0, 1)
        bonds = cross_entropy(pairs, orders[:, rows, columns].flatten(), reduction="sum")
        return (atoms + bonds) / (count * (MOST_ATOMS + len(rows)))

    return loss


def train(config: MoleculeConfig, tables: Tables, folder: Path) -> MoleculeTransformer:
    """Fit the model, going on from the folder's checkpoint; gives the averaged one."""
    torch.manual_seed(config.seed)
    known = tables.part(config.held)
    model = build_model(config, known)
    loss = class_loss(model, known.batch, config.objective)
    Trainer(model, loss, config.fit, seed=config.seed, folder=folder).run()
    model.eval().requires_grad_(False)
    return model
