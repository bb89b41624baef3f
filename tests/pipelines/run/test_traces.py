"""What a call leaves behind: nothing in the process, and its steps in the events."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodegraph import InvalidFile
from nodegraph.core.events import Event
from nodegraph.engine import node_context
from nodegraph.engine.options import CancelToken
from nodegraph.interop.pipelines.assembly import class_of
from nodegraph.interop.pipelines.pipeline_call import run_pipeline
from nodegraph.models.model_sources import list_models, locate_model
from tests.messages import raises
from tests.pipelines.run.conftest import SEED, Shelf, Watched, class_named, workflow

PIPELINES = ("StableDiffusionPipeline", "KandinskyV22CombinedPipeline")
SD = "StableDiffusionPipeline"


def call(shelf: Shelf, name: str, **inputs: Any) -> Watched:
    ctx = Watched(shelf)
    given = {"generator": SEED, **shelf.given(name), **inputs}
    run_pipeline(ctx, class_named(name), shelf.pipeline(name), given)
    return ctx


@pytest.mark.parametrize("name", [SD, "DDPMPipeline", "LLaDA2Pipeline"])
def test_random_numbers_of_the_process_go_on_as_before(shelf: Shelf, name: str) -> None:
    shelf.call(name)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    call(shelf, name)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]


@pytest.mark.parametrize("name", [SD, "MarigoldDepthPipeline", "LLaDA2Pipeline", "DDPMPipeline"])
def test_no_bar_is_drawn(shelf: Shelf, capfd: pytest.CaptureFixture[str], name: str) -> None:
    shelf.call(name)
    capfd.readouterr()
    call(shelf, name)
    said = capfd.readouterr()
    assert "it/s" not in said.err + said.out
    assert "%|" not in said.err + said.out


def test_a_class_is_imported_without_advice_of_the_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "advising.py").write_text(
        "from transformers.utils import logging\n"
        "logging.get_logger('transformers.advising').warning('Install more')\n"
        "class AdvisingPipeline: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    said: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.getLogger("transformers"), "handle", said.append)
    monkeypatch.setattr(logging.getLogger("transformers.advising"), "handle", said.append)
    class_of(replace(class_named(SD), module="advising", name="AdvisingPipeline"))
    assert not said


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (SD, [(1, 2), (2, 2)]),
        ("DDPMPipeline", [(1, 3), (2, 3), (3, 3)]),
        ("KandinskyV22CombinedPipeline", [(1, 2), (2, 2)] * 2),
        ("LLaDA2Pipeline", [(1, 3), (2, 3), (3, 3), (3, 3)]),
    ],
)
def test_steps_are_told(shelf: Shelf, name: str, steps: list[tuple[int, int]]) -> None:
    told = call(shelf, name).steps
    if name == "LLaDA2Pipeline":
        # It has no bar that can be followed, and calls back for each block.
        assert set(told) == set(steps)
    else:
        assert told == steps


def test_latents_of_a_native_family_are_shown_on_the_way(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few tiny steps may be over before a preview would be due.
    monkeypatch.setattr(node_context, "LEAST", 0.0)
    result = shelf.run(SD, seed=8)  # the cache answers seeds of other tests
    assert not result.errors, result.errors
    kinds = [event.kind for event in shelf.events]
    assert kinds.count("node.progress") == 2
    assert "node.preview" in kinds


def test_equal_calls_are_answered_from_the_cache(shelf: Shelf) -> None:
    assert not shelf.run(SD).errors
    assert shelf.run(SD).nodes["run"].status == "cached"
    assert shelf.run(SD, seed=SEED + 1).nodes["run"].status != "cached"


def test_results_and_recipes_are_known_to_later_processes(shelf: Shelf) -> None:
    name = "KandinskyV22CombinedPipeline"
    before = shelf.run(name)
    assert not before.errors, before.errors
    shelf.session.store.flush()
    with shelf.another_session() as later:
        result = later.run(workflow(shelf.nodes(name)), targets=["load", "run"])
        assert {node: result.nodes[node].status for node in ("load", "run")} == {
            "load": "cached",
            "run": "cached",
        }
        assert result["load.pipeline"] == shelf.pipeline(name)
        assert torch.equal(result["run.image"], before["run.image"])


def test_a_run_is_cancelled_between_modules(shelf: Shelf) -> None:
    cancel = CancelToken()

    def listen(event: Event) -> None:
        if event.kind == "node.progress":
            cancel.cancel()

    result = shelf.session.run(
        workflow(shelf.nodes(SD, seed=7)), targets=["run"], listener=listen, cancel=cancel
    )
    assert result.status == "cancelled"
    assert not shelf.run(SD, seed=7).errors


def test_a_folder_that_only_this_loads_is_listed_so(shelf: Shelf) -> None:
    shelf.call("AmusedPipeline")
    [found] = [item for item in list_models([shelf.models]) if item.name == "AmusedPipeline"]
    assert (found.problem, found.node) == (None, "LoadPipeline")
    with raises(InvalidFile):
        locate_model("AmusedPipeline", [shelf.models])
