"""Plans tell before a run what fits; that runs do as they said shows in `test_short_memory`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph import Workflow
from nodegraph.cli.plan import show_plan
from nodegraph.engine.options import RunOptions
from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.accelerator.pictures import Painter, workflow
from tests.accelerator.pretend import PretendAccelerator


def planned(painter: Painter, document: dict[str, Any]) -> Any:
    return painter.session.plan(Workflow.from_dict(document))


def test_a_plan_tells_how_nodes_have_room(painter: Painter, pretend: PretendAccelerator) -> None:
    """Also text encoders, which take the least. One session plans by what there is each time."""
    for total, size, *fits in (
        (64, 64, "whole", "whole", "whole"),
        (14, 64, "whole", "parts", "whole"),
        (60, 512, "whole", "whole", "small"),
        (2, 256, "parts", "none", "none"),
    ):
        pretend.resize(total * MIB)
        found = planned(painter, workflow(size=size))
        prompt, sample, decode = (found.nodes[name] for name in ("prompt", "sample", "decode"))
        assert [prompt.fit, sample.fit, decode.fit] == fits, total
        assert found.totals.room["cuda:0"] == total * MIB
        assert found.totals.memory["cuda:0"] <= max(total * MIB, sample.memory, decode.memory)
        assert (sample.transfer_seconds > 0) == (sample.fit == "parts"), total
        assert pretend.used() == 0, "nothing is loaded"


def test_the_plan_is_told_in_words(
    painter: Painter, pretend: PretendAccelerator, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend.resize(14 * MIB)
    document = Workflow.from_dict(workflow(size=256))
    assert show_plan(painter.session, document, RunOptions(), json=False) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "sample: 27.1 MB of weights and 8.4 MB for the computation do not fit into the 14.7 MB of "
        "cuda:0" in said
    )
    assert "of cuda:0: the weights are loaded in parts, which takes at least" in said
    assert "decode: 6.9 MB of weights" in said
    assert "it will probably run out of memory. A smaller image" in said
    assert "of 14.7 MB that is free for it" in said


@pytest.mark.gpu
def test_what_lies_there_idle_counts_as_free(painter: Painter, card: Card) -> None:
    painter.paint(workflow(steps=1))
    found = planned(painter, workflow(steps=2))
    assert found.nodes["sample"].fit == "whole"
    if card.pretend is not None:
        assert found.totals.room["cuda:0"] > 63 * MIB


@pytest.mark.gpu
def test_a_worker_tells_what_its_device_has(painter: Painter, card: Card) -> None:
    room = painter.session.room()
    assert room is not None
    assert room.total == torch.cuda.mem_get_info()[1]
    assert room.free == room.total if card.pretend is not None else 0 < room.free <= room.total
    assert room.rate is not None
