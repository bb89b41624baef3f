"""Images that are led on an accelerator equal the CPU's, also where memory is short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file

from nodegraph.diffusion import load_component, open_model
from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.accelerator.pictures import Painter, Pixels, workflow

pytestmark = pytest.mark.gpu
OnCpu = Callable[..., Pixels]
PainterIn = Callable[[int], Painter]


def led() -> dict[str, Any]:
    """An image of the embedded model, led by edges of what it makes without."""
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


@pytest.mark.parametrize("room", [pytest.param(64, marks=pytest.mark.slow), 12])
def test_a_led_picture_has_the_pixels_of_the_cpu(
    painter_in: PainterIn, card: Card, on_cpu: OnCpu, room: int
) -> None:
    """With room for all weights, and with less than the model's own."""
    painter, document = painter_in(room * MIB), led()
    card.assert_pixels_of_cpu(painter.paint(document), on_cpu(document))
    assert painter.retries() == []
    painter.session._weights.release_all()
    assert card.used() == 0


def adapter_for_tiny(folder: Path) -> Path:
    """An IP-Adapter of random weights for the embedded model, with its eyes beside it."""
    torch.manual_seed(0)
    eyes = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        projection_dim=24,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=16,
        patch_size=8,
    )
    transformers.CLIPVisionModelWithProjection(eyes).save_pretrained(folder / "image_encoder")
    unet = load_component(open_model("tiny", []).model, "cpu").module
    reads, weights = unet.config.cross_attention_dim, unet.state_dict()
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * reads, 24),
        "image_proj.proj.bias": torch.zeros(4 * reads),
        "image_proj.norm.weight": torch.ones(reads),
        "image_proj.norm.bias": torch.zeros(reads),
    }
    places = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, place in enumerate(places):
        shape = weights[place.replace("processor", "to_k.weight")].shape
        for part in ("k", "v"):
            tensors[f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"] = torch.randn(shape) / 8
    save_file(tensors, folder / "ip.safetensors")
    return folder / "ip.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize("room", [64, 12])
def test_what_a_picture_shows_leads_to_the_pixels_of_the_cpu(
    painter_in: PainterIn, card: Card, on_cpu: OnCpu, tmp_path: Path, room: int
) -> None:
    document = led()
    nodes, file = document["nodes"], adapter_for_tiny(tmp_path)
    nodes["net"] = {
        "type": "LoadIPAdapter",
        "inputs": {"ip_adapter": str(file), "dtype": "float32"},
    }
    nodes["lead"] = {
        "type": "ApplyIPAdapter",
        "inputs": {
            "model": {"from": "load.model"},
            "positive": {"from": "prompt"},
            "ip_adapter": {"from": "net"},
            "image": {"from": "shown"},
        },
    }
    nodes["sample"]["inputs"]["model"] = {"from": "lead.model"}
    painter = painter_in(room * MIB)
    card.assert_pixels_of_cpu(painter.paint(document), on_cpu(document))
    painter.session._weights.release_all()
    assert card.used() == 0
