"""What kept keys and values save: samplings with `KeyValueCache` beside the same without.

    python benchmarks/key_values.py [--json] [--quick] [--device cuda] [--size 128] [--steps 8]
                                    [--times 3]

Networks of random weights with 0, 1 and 3 reference images as large as the image, and one prompt.
On a CPU they are small, in float32; on CUDA as large as the published ones, in bfloat16. The ways
are measured by turns, and each figure is their ratio, of times and of operations.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import diffusers
import torch
from common import Figure, by_turns, options, show
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nodegraph import Conditioning, ConditioningEntry, DiffusionModel, Latent, RecipeFile
from nodegraph.families.components import Denoiser
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import HOST, KeyValues, with_caching
from nodegraph.models.derived_components import derive
from nodegraph.sampling.denoise import Denoising

TOKENS = 64
"""Of the prompt's text."""
REFERENCES = (0, 1, 3)
KV_PIPELINE = {"_class_name": "Flux2KleinKVPipeline", "is_distilled": True}
SMALL = {"num_attention_heads": 4, "attention_head_dim": 64}
NETWORKS: Mapping[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "qwen-image-21": (
        diffusers.QwenImage21Transformer2DModel,
        {},
        {**SMALL, "num_layers": 4, "context_in_dim": 256, "axes_dims_rope": (8, 28, 28)},
    ),
    "flux2-klein": (
        diffusers.Flux2Transformer2DModel,
        {"num_attention_heads": 32, "joint_attention_dim": 12288, "num_single_layers": 24},
        {
            **SMALL,
            "num_layers": 1,
            "num_single_layers": 3,
            "joint_attention_dim": 256,
            "axes_dims_rope": (16, 16, 16, 16),
        },
    ),
}
"""By family: class, and what differs of its defaults for a large and a small network."""


def denoiser(family: str, device: str) -> Denoiser:
    """A network of random weights."""
    kind, large, small = NETWORKS[family]
    config = small if device == "cpu" else large
    if family == "flux2-klein":
        config = {**config, "guidance_embeds": False}
    torch.manual_seed(0)
    with torch.device(device):
        network = kind(**config).eval().requires_grad_(False)
    if device != "cpu":
        network.to(torch.bfloat16)
    schedule = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    return Denoiser(
        {"transformer": network},
        family,
        dict(schedule.config) | {"_class_name": type(schedule).__name__},
        settings=KV_PIPELINE if family == "flux2-klein" else {"sample_sigmas": None},
    )


def prompt(model: Denoiser, size: int, references: int) -> Conditioning:
    """A prompt of random numbers with reference images."""
    family, generator = FAMILIES[model.family], torch.Generator().manual_seed(1)
    cells, channels = size // family.latent.spatial, family.channels(model.config)
    slots = (cells // 2) ** 2 * references if model.family == "qwen-image-21" else 0
    width = family.context_width(model.config)
    assert width is not None
    tensors = {"embeddings": torch.randn(1, TOKENS + slots, width, generator=generator)}
    if model.family == "qwen-image-21":
        is_slot = torch.arange(TOKENS + slots) < slots
        tensors["slots"] = is_slot[None]
    latents = [
        torch.randn(1, channels, cells, cells, generator=generator) for _ in range(references)
    ]
    return Conditioning((ConditioningEntry(tensors, references=tuple(latents)),), model.family)


def sampled(model: Denoiser, positive: Conditioning, size: int, steps: int) -> Tensor:
    """The latent of one sampling."""
    options: dict[str, Any] = {"seed": 7, "steps": steps, "cfg": 1.0}
    options |= {"sampler": "euler", "schedule": "simple"}
    denoising = Denoising.named(model, positive, None, Latent(None, size, size), **options)
    for _ in denoising:
        pass
    found = denoising.result().samples
    assert found is not None
    if model.device.type != "cpu":
        torch.cuda.synchronize()
    return found


def figures(given: argparse.Namespace) -> Iterator[Figure]:
    """Ratios of times, and differences of latents."""
    steps, times = (2, 1) if given.quick else (given.steps, given.times)
    size = 64 if given.quick else given.size
    for family in NETWORKS:
        plain = denoiser(family, given.device)
        title = FAMILIES[family].title
        for references in REFERENCES:
            positive = prompt(plain, size, references)
            ways = {"in each step": plain, **_kept(plain, given.device)}
            actions: dict[str, Callable[[], Tensor]] = {
                name: partial(sampled, way, positive, size, steps) for name, way in ways.items()
            }
            exact, *latents = (action() for action in actions.values())
            counts = [_operations(action) for action in actions.values()]
            seconds = by_turns(actions, times)
            base = statistics.median(seconds["in each step"])
            kept = list(seconds.items())[1:]
            for (name, taken), found, count in zip(kept, latents, counts[1:], strict=True):
                what = f"{title}, {references} references, {name}"
                ratio = base / statistics.median(taken)
                yield Figure(f"{what}: speed", ratio, "×", more_is_better=True)
                fewer = counts[0] / count
                yield Figure(f"{what}: fewer operations", fewer, "×", more_is_better=True)
                apart = float((found - exact).abs().max())
                yield Figure(f"{what}: largest difference of latents", apart, "")


def _operations(action: Callable[[], object]) -> int:
    """Multiplications and additions, as far as torch counts them; no other work disturbs them."""
    with FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())


def _kept(plain: Denoiser, device: str) -> dict[str, Denoiser]:
    recipe = DiffusionModel(plain.family, (RecipeFile("model", "random", "0" * 64),))
    memories = {"kept": KeyValues()} | ({} if device == "cpu" else {"on the host": KeyValues(HOST)})
    kept = {}
    for name, caching in memories.items():
        found = derive(plain, with_caching(recipe, caching))
        assert isinstance(found, Denoiser)
        kept[name] = found
    return kept


def _more(parser: argparse.ArgumentParser) -> None:
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--times", type=int, default=3)


if __name__ == "__main__":
    with torch.no_grad():
        given = options(__doc__, _more)
        show(figures(given), as_json=given.json)
