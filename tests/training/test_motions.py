"""Clips of motions, the pool of them, what judges say of them, a step of training, and the card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nodegraph.families.items.motions import FEATURES, MOTIONS, TOKENS, Motion
from training.config import ROOT
from training.items.fitting import Batch, averaged, fit
from training.items.motions.asking import by_formula, prompt_for
from training.items.motions.card import card
from training.items.motions.clips import Clip
from training.items.motions.judge import Seen, seen_motion
from training.items.motions.measuring import confusion, judging, likeness, taken_for
from training.items.motions.pool import drawing, load_pool, make_pool, seen_and_held, things
from training.items.motions.train import OBJECTIVE, build_model, settings


def clip(motion: Motion, amount: float = 1.0) -> Clip:
    return Clip(0, MOTIONS.index(motion), amount, (255, 255, 255), 0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("motion", "what", "change"),
    [
        *(("left", "x", -0.22), ("right", "x", 0.22), ("up", "y", -0.22), ("down", "y", 0.22)),
        *(("turn", "turned", 90.0), ("grow", "side", 0.225), ("shrink", "side", -0.275)),
    ],
)
def test_a_motion_changes_one_thing_evenly_and_as_far_as_its_amount(
    motion: Motion, what: str, change: float
) -> None:
    for amount, share in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.25)):
        start = clip(motion, amount)
        moved = start.at(share)
        assert getattr(moved, what) == pytest.approx(getattr(start, what) + change * amount * share)
        assert replace(moved, **{what: getattr(start, what)}) == start


def test_what_bounces_comes_back_twice_and_what_is_still_stays() -> None:
    heights = [clip("bounce").at(share).y for share in (0, 0.25, 0.5, 0.75, 1)]
    assert heights == pytest.approx([0.5, 0.28, 0.5, 0.28, 0.5])
    assert clip("still").at(0.7) == clip("still")


def test_held_out_things_are_none_of_those_that_are_seen() -> None:
    seen, held = seen_and_held()
    assert sorted(seen + held) == list(range(len(things())))
    assert 0.08 < len(held) / len(seen) < 0.12


def test_judges_know_renders_for_what_they_are(font: Path) -> None:
    asked = by_formula(seen_and_held()[1], 9, seed=4)
    assert asked.renders is not None
    shown = taken_for(asked, asked.renders)
    assert confusion(asked, shown) == np.eye(9, dtype=int).tolist()
    figures = judging().figures(asked, asked.renders, shown)
    assert {figures[f"identity_{when}"] for when in ("middle", "late", "last")} == {1}
    assert figures["amount_error"] < 0.04


def test_judges_know_motions_that_go_the_wrong_way(font: Path) -> None:
    asked = by_formula([1], 2, seed=4)
    assert asked.renders is not None
    mirrored = np.ascontiguousarray(asked.renders[:, :, :, ::-1])
    found = [seen_motion(frames[0], frames) for frames in mirrored]
    assert [MOTIONS[each.motion] for each in found] == ["right", "left"]
    still = np.repeat(asked.pictures[:1], 16, 0)
    assert seen_motion(asked.pictures[0], still) == Seen(MOTIONS.index("still"), 1.0)


def test_likeness_tells_the_thing_from_what_is_beside_it(font: Path) -> None:
    asked = by_formula([1], 1, seed=4)
    assert asked.renders is not None
    changed = asked.renders.copy()
    changed[:, :, :4, :4] ^= 16
    told = likeness(asked.renders, changed)
    assert told["psnr_beside_db"] < told["psnr_db"] < 60


def test_a_pool_is_made_once_and_drawn_from(
    font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.items.motions.pool._TOGETHER", 9)
    make_pool(tmp_path, 9, 5, 1)
    before = [path.stat().st_mtime_ns for path in tmp_path.iterdir()]
    make_pool(tmp_path, 9, 5, 1)
    assert [path.stat().st_mtime_ns for path in tmp_path.iterdir()] == before
    pool = load_pool(tmp_path)
    batch = drawing(pool)(6, np.random.default_rng(0))
    assert batch.items.shape == (6, TOKENS, FEATURES)
    assert torch.equal(batch.others[0], batch.items[:, :16])
    assert sorted(pool.motions.tolist()) == list(range(9))
    many = drawing(pool)(2200, np.random.default_rng(0)).classes[:, 0]
    turns, moves = ((many == MOTIONS.index(motion)).sum() for motion in ("turn", "left"))
    assert 2.2 < turns / moves < 4
    assert 0.4 < float(pool.tokens.float().std()) < 2


def test_a_training_ends_with_the_weights_that_its_checkpoint_holds(tmp_path: Path) -> None:
    def draw(count: int, rng: np.random.Generator) -> Batch:
        items = torch.from_numpy(rng.standard_normal((count, TOKENS, FEATURES), np.float32))
        kinds = torch.from_numpy(rng.integers(0, 9, (count, 1)))
        return Batch(items, kinds, torch.full((count, 1), 0.7), (items[:, :16],))

    few = replace(settings(3, 1), batch=2, samples=6)
    first, again = build_model(), build_model()
    before = first.picture_embedding.weight.clone()
    trainer = fit(first, draw, OBJECTIVE, few, seed=1, folder=tmp_path)
    assert fit(again, draw, OBJECTIVE, few, seed=1, folder=tmp_path).progress == trainer.progress
    stored = averaged(build_model(), tmp_path)
    for name, weight in first.state_dict().items():
        assert torch.equal(stored.state_dict()[name], weight)
        assert torch.equal(again.state_dict()[name], weight)
    assert not torch.equal(first.picture_embedding.weight, before)


def test_prompts_are_such_as_the_embedded_model_knows() -> None:
    known = {thing.name: thing for thing in things()}
    assert prompt_for(known["hot dog"]) == "a medium hot dog on a white background"


def test_the_card_is_that_of_the_shipped_model() -> None:
    folder = ROOT / "nodegraph/families/embedded/items/motions"
    told = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs/model-cards/motions.md").read_text(encoding="utf-8") == card(told)
    told["figures"]["held"]["1"]["motion_right"] = told["figures"]["held"]["2"]["motion_right"] = (
        0.5
    )
    assert "It doesn't meet its aim" in card(told)
    assert told["run"]["bytes"] < 4e6
