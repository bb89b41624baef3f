"""Pictures that are led on an accelerator equal the CPU's, also where memory is short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.accelerator.fixtures import MIB
from tests.accelerator.pictures import Painter, Pixels, workflow
from tests.accelerator.pretend import PretendAccelerator

OnCpu = Callable[..., Pixels]


def led() -> dict[str, Any]:
    """A picture of the embedded model, led by edges of what it makes without."""
    document = workflow(steps=2)
    nodes = document["nodes"]
    given = nodes["sample"]["inputs"]
    nodes |= {
        "first": {"type": "KSampler", "inputs": {**given, "seed": 2}},
        "shown": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "first"}},
        },
        "net": {"type": "LoadControlNet", "inputs": {"dtype": "float32"}},
        "lead": {
            "type": "ApplyControlNet",
            "inputs": {
                "positive": {"from": "prompt"},
                "control_net": {"from": "net"},
                "image": {"from": "shown"},
            },
        },
    }
    given["positive"] = {"from": "lead.positive"}
    return document


@pytest.mark.parametrize("room", [64, 12])
def test_a_led_picture_has_the_pixels_of_the_cpu(
    painter: Painter, pretend: PretendAccelerator, on_cpu: OnCpu, room: int
) -> None:
    """With room for all weights, and with less than the model's own."""
    pretend.resize(room * MIB)
    document = led()
    assert np.array_equal(painter.paint(document), on_cpu(document))
    assert painter.retries() == []
    painter.session._weights.release_all()
    assert pretend.used() == 0
