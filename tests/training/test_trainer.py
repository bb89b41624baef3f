from threading import BrokenBarrierError

import numpy as np
import pytest
import torch
from torch import nn

from training.config import FitConfig
from training.flat import FlatWeights
from training.team import Team
from training.trainer import Trainer, load_average

FIT = FitConfig(samples=640, batch=16, lr=0.05, warmup=1, workers=1, bf16=False, weight_decay=0.0)


def line(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


def fit_line(model, count, rng):
    points = torch.from_numpy(rng.normal(size=(count, 2))).float()
    return (model(points).squeeze(1) - points.sum(1)).square().mean()


def trained(folder, fit, interrupt_at=None):
    model = line()

    def loss(count, rng):
        if interrupt_at is not None and trainer.progress.step == interrupt_at:
            raise KeyboardInterrupt
        return fit_line(model, count, rng)

    trainer = Trainer(model, loss, fit, seed=5, folder=folder)
    trainer.run()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_lowers_the_loss(tmp_path):
    trained(tmp_path, FIT)
    better = line()
    load_average(better, tmp_path)
    before, after = (fit_line(m, 200, np.random.default_rng(1)) for m in (line(), better))
    assert after < 0.3 * before


def test_an_interrupted_run_ends_as_an_unbroken_one(tmp_path):
    fit = FitConfig(**{**vars(FIT), "checkpoint_seconds": 0.0})
    whole = trained(tmp_path / "whole", fit)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "broken", fit, interrupt_at=17)
    assert torch.equal(trained(tmp_path / "broken", fit), whole)


def test_two_workers_share_a_batch(tmp_path):
    torch.manual_seed(0)
    rows = torch.zeros(2, 3)
    rows.share_memory_()
    team = Team(2, 3)

    def work():
        vector = torch.full((3,), float(team.rank))
        told = team.average(vector, 7.0 if team.rank == 0 else -1.0)
        rows[team.rank] = vector + told

    team.run(work)
    assert torch.equal(rows, torch.full((2, 3), 7.5))


def test_a_worker_that_fails_stops_the_others():
    team = Team(2, 1)

    def work():
        if team.rank == 1:
            raise SystemExit(3)
        team.average(torch.zeros(1), 0.0)

    with pytest.raises(BrokenBarrierError):
        team.run(work)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    model = line()
    trainer = Trainer(
        model,
        lambda count, rng: fit_line(model, count, rng) * torch.nan,
        FIT,
        seed=1,
        folder=tmp_path,
    )
    with pytest.raises(FloatingPointError, match="step 0"):
        trainer.run()


def test_weights_survive_a_change_of_memory_format():
    first = nn.Conv2d(3, 8, 3)
    wanted = first.weight.detach().clone()
    flat = FlatWeights(first.to(memory_format=torch.channels_last))
    parts = flat.split(flat.values.detach())
    assert torch.equal(parts["weight"], wanted)
    assert torch.equal(flat.join(parts), flat.values.detach())
