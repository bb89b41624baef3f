"""Flow matching of small models: their loss, and a loop of Euler steps to look at what they give.

Source: Lipman et al. 2022, arXiv:2210.02747; times as in Esser et al. 2024, arXiv:2403.03206.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nodegraph.families.items.transformer import ItemTransformer
from training.config import FitConfig
from training.trainer import LossFunction, Trainer


@dataclass(frozen=True)
class Batch:
    """Clean items and what is asked for.

    Attributes:
        items: Shape (batch, tokens, features).
        classes: int64, shape (batch, classes); -1 where nothing is asked.
        numbers: float32, shape (batch, numbers); NaN where nothing is asked.
        others: What else the network is given, item by item; never left out.
    """

    items: Tensor
    classes: Tensor
    numbers: Tensor
    others: tuple[Tensor, ...] = ()


DrawBatch = Callable[[int, np.random.Generator], Batch]
"""Given a number of items and the source of randomness, a batch in which nothing is left out."""


@dataclass(frozen=True)
class Objective:
    """How items are made noisy, and what is left out of what is asked.

    Attributes:
        shift: Added before the sigmoid of normal numbers that draws times: above 0 more noise.
        spread: Of these normal numbers: above 1 more of nearly pure noise and of nearly none.
        drop: Share of classes and numbers that are left out, each by itself.
        drop_all: Share of items of which all is left out, which guidance needs.
    """

    shift: float = 0.0
    spread: float = 1.0
    drop: float = 0.3
    drop_all: float = 0.12


def flow_loss(model: ItemTransformer, draw: DrawBatch, objective: Objective) -> LossFunction:
    """The mean square error of the flow."""

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        batch = left_out(draw(count, rng), objective, rng)
        normal = rng.standard_normal(len(batch.items)).astype(np.float32)
        t = torch.sigmoid(torch.from_numpy(normal * objective.spread + objective.shift))
        noise = torch.from_numpy(rng.standard_normal(batch.items.shape, dtype=np.float32))
        share = t[:, None, None]
        noisy = (1 - share) * batch.items + share * noise
        flow: Tensor = model(noisy, t, batch.classes, batch.numbers, *batch.others)
        return (flow.float() - (noise - batch.items)).square().mean()

    return loss


def left_out(batch: Batch, objective: Objective, rng: np.random.Generator) -> Batch:
    """A batch in which some of what is asked is left out."""
    count = len(batch.items)
    everything = rng.random((count, 1)) < objective.drop_all

    def dropped(width: int) -> Tensor:
        return torch.from_numpy((rng.random((count, width)) < objective.drop) | everything)

    classes = batch.classes.masked_fill(dropped(batch.classes.shape[1]), -1)
    numbers = batch.numbers.masked_fill(dropped(batch.numbers.shape[1]), float("nan"))
    return replace(batch, classes=classes, numbers=numbers)


def fit(
    model: ItemTransformer,
    draw: DrawBatch,
    objective: Objective,
    settings: FitConfig,
    *,
    seed: int,
    folder: Path,
) -> Trainer:
    """Train to the end, going on from the folder's checkpoint; the model then has the averaged
    weights."""
    trainer = Trainer(model, flow_loss(model, draw, objective), settings, seed=seed, folder=folder)
    trainer.run()
    return trainer


def averaged(model: ItemTransformer, folder: Path) -> ItemTransformer:
    """The model with the averaged weights of a checkpoint: of a run that still goes on, too."""
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    model.load_state_dict({**model.state_dict(), **state["average"]})
    model.eval().requires_grad_(False)
    return model


@torch.inference_mode()
def sampled(
    model: ItemTransformer,
    classes: Tensor,
    numbers: Tensor,
    *others: Tensor,
    steps: int = 20,
    cfg: float = 1.0,
    shift: float = 2.0,
    seed: int = 0,
) -> Tensor:
    """Items by Euler's method, from pure noise: (batch, tokens, features), float32.

    Args:
        classes, numbers, others: What is asked; as for the model.
        cfg: Guidance scale; 1 is none.
        shift: How far the times lean to high noise.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (len(classes), model.config["tokens"], model.config["features"])
    x = torch.randn(shape, generator=generator)
    even = torch.linspace(1, 0, steps + 1)
    times = shift * even / (1 + (shift - 1) * even)
    nothing = torch.full_like(classes, -1), torch.full_like(numbers, float("nan"))
    for now, following in pairwise(times):
        t = now.expand(len(x))
        flow = model(x, t, classes, numbers, *others)
        if cfg != 1:
            away = model(x, t, *nothing, *others)
            flow = away + cfg * (flow - away)
        x = x + (following - now) * flow
    return x
