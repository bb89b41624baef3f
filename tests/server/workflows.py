"""Workflows that tests of the server submit and plan."""

from __future__ import annotations

from typing import Any


def sampling(side: int, steps: int) -> dict[str, Any]:
    """A workflow that samples an image of the embedded model in its node `sample`.

    Args:
        side: Of the image, in pixels.
    """
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny", "dtype": "float32"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": side, "height": side}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "load.model"},
                "positive": {"from": "prompt"},
                "latent": {"from": "size"},
                "steps": steps,
            },
        },
    }
    return {"format": "nodegraph/1", "nodes": nodes}
