import multiprocessing
from dataclasses import replace
from threading import BrokenBarrierError

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from training import models
from training.config import FitConfig
from training.flat import FlatWeights
from training.optimiser import Optimiser, orthogonal
from training.team import Team
from training.trainer import Trainer, load_average

FIT = FitConfig(samples=640, batch=16, lr=0.05, warmup=1, workers=1, bf16=False, weight_decay=0.0)


def line(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


def fit_line(model, count, rng):
    points = torch.from_numpy(rng.normal(size=(count, 2))).float()
    return (model(points).squeeze(1) - points.sum(1)).square().mean()


def trained(folder, fit, interrupt_at=None, same=False):
    """Fit a line's net; `same` gives every worker the same samples in every step."""
    model = line()

    def loss(count, rng):
        rng = np.random.default_rng(trainer.progress.step) if same else rng
        count = 16 if same else count
        if interrupt_at is not None and trainer.progress.step == interrupt_at:
            raise KeyboardInterrupt
        return fit_line(model, count, rng)

    trainer = Trainer(model, loss, fit, seed=5, folder=folder)
    trainer.run()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def trained_apart(folder, fit, same=False):
    """As `trained`, where nothing has run autograd yet: its threads, which a test on several
    devices may have begun here, forbid forks.
    """
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=trained, args=(folder, fit), kwargs={"same": same})
    process.start()
    process.join()
    assert process.exitcode == 0


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


@pytest.mark.parametrize("shape", [(2, 6, 40), (3, 32, 8)])
def test_an_orthogonalised_matrix_has_singular_values_of_about_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_orthogonalised_updates_train_too(tmp_path):
    before = fit_line(line(), 200, np.random.default_rng(1))
    trained(tmp_path, replace(FIT, muon=True, lr=0.2))
    better = line()
    load_average(better, tmp_path)
    assert fit_line(better, 200, np.random.default_rng(1)) < 0.3 * before


def test_workers_share_the_orthogonalising(tmp_path):
    for size in (1, 2):
        trained_apart(tmp_path / str(size), replace(FIT, muon=True, workers=size), same=True)
    one, two = line(), line()
    load_average(one, tmp_path / "1")
    load_average(two, tmp_path / "2")
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-5)


def test_without_orthogonalised_updates_a_step_is_adamws():
    fit = replace(FIT, weight_decay=0.1)
    mine, theirs = line(), line()
    flat = FlatWeights(mine)
    optimiser = Optimiser(flat, fit)
    reference = torch.optim.AdamW(
        theirs.parameters(), lr=0.05, betas=(0.9, fit.beta2), weight_decay=0.1
    )
    for step in range(5):
        flat.zero()
        reference.zero_grad()
        for model in (mine, theirs):
            fit_line(model, 16, np.random.default_rng(step)).backward()
        optimiser.advance(0.05, Team(1, flat.count))
        reference.step()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_loss_is_drawn(tmp_path):
    trained(tmp_path, replace(FIT, samples=16 * 150))
    with Image.open(tmp_path / "loss.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 2


@pytest.mark.parametrize("capable", [True, False])
def test_a_cpu_computes_in_half_where_it_can(monkeypatch, capable):
    monkeypatch.setattr(models, "cpu_has_bfloat16", lambda: capable)
    layer, data = nn.Linear(2, 2), torch.ones(1, 2)
    for wanted in (True, False):
        with models.in_half(torch.device("cpu"), wanted=wanted):
            half = layer(data).dtype == torch.bfloat16
        assert half == (capable and wanted)
