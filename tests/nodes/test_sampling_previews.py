"""Images of a sampling while it goes on: told to who watches, and of no effect on results."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nodegraph import Session, Settings, Workflow
from nodegraph.core.events import Event
from nodegraph.engine import node_context
from tests.nodes.conftest import Bench, link
from tests.nodes.test_sampling_resume import Attempts

STEPS = 4


@pytest.fixture
def at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a preview costs."""
    monkeypatch.setattr(node_context, "LEAST", 0.0)
    monkeypatch.setattr(node_context, "SHARE", 1.0)


def graph(kind: str, batch: int = 1, seed: int = 5) -> dict[str, Any]:
    size = {"width": 64, "height": 64, "batch_size": batch}
    inputs = {"steps": STEPS, "seed": seed, "sampler": "euler_ancestral"}
    links = {"model": link("load.model"), "positive": link("prompt"), "latent": link("size")}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a fox"},
        },
        "size": {"type": "EmptyLatent", "inputs": size},
        "sample": {"type": kind, "inputs": inputs | links},
    }


@pytest.mark.parametrize("kind", ["KSampler", "DenoisingSteps"])
@pytest.mark.usefixtures("at_each_step")
def test_each_node_that_samples_shows_pictures(bench: Bench, kind: str) -> None:
    assert bench.run(graph(kind, batch=2), "sample").is_ok
    told = bench.told("node.preview")
    assert len(told) == STEPS
    assert {event.data["mime"] for event in told} == {"image/jpeg"}
    sizes = {Image.open(BytesIO(event.data["image"])).size for event in told}
    assert sizes == {(128, 64)}
    assert bench.told("log") == []


@pytest.mark.parametrize(
    "kind", ["KSampler", pytest.param("DenoisingSteps", marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("at_each_step")
def test_results_are_the_same_with_and_without(tmp_path: Path, kind: str) -> None:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": graph(kind)})
    found: dict[bool, list[Any]] = {}
    with Session(Settings(home=tmp_path, device="cpu"), use_cache=False) as session:
        for previews in (False, True):
            events: list[Event] = []
            result = session.run(
                workflow,
                targets=["sample"],
                listener=events.append,
                previews=previews,
            )
            assert any(event.kind == "node.preview" for event in events) is previews
            value = result["sample.latent" if kind == "KSampler" else "sample.latents"]
            found[previews] = value if isinstance(value, list) else [value]
    assert all(
        torch.equal(one.samples, other.samples)
        for one, other in zip(found[False], found[True], strict=True)
    )


@pytest.mark.usefixtures("at_each_step")
def test_checkpoints_are_the_same_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Attempts()
    watched.stopped_at(3)
    assert len(watched.told("node.preview")) == 3
    resumed = watched.run()
    assert [event["step"] for event in watched.told("node.restored")] == [3]
    monkeypatch.setattr(node_context, "LEAST", 1e9)
    alone = Attempts()
    alone.stopped_at(3)
    assert alone.told("node.preview") == []
    assert torch.equal(alone.run().samples, resumed.samples)
    for attempts in (watched, alone):
        attempts.saver.close()
