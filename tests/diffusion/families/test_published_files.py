"""Files as wide as published diffusion models, and diffusers' reading of the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import diffusers.loaders.single_file_utils as converters
import pytest
import torch

from nodegraph.families.checkpoint_parts import checkpoint_part
from nodegraph.families.registry import get_family
from tests.diffusion.single_files import double_stream as original

from .denoiser_writing import Write, WrittenOf, flux_net, plain, sd3, sd35

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


_FLUX_WIDE = {
    "num_layers": 19,
    "num_single_layers": 38,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
}
_FLUX_DEV = {**_FLUX_WIDE, "guidance_embeds": True}
_SD3_MEDIUM = {
    "num_layers": 24,
    "num_attention_heads": 24,
    "caption_projection_dim": 1536,
    "pos_embed_max_size": 192,
}
_SD35_MEDIUM = {
    **_SD3_MEDIUM,
    "pos_embed_max_size": 384,
    "dual_attention_layers": tuple(range(13)),
    "qk_norm": "rms_norm",
}
_SD35_LARGE = {
    **_SD3_MEDIUM,
    "num_layers": 38,
    "num_attention_heads": 38,
    "caption_projection_dim": 2432,
    "qk_norm": "rms_norm",
}
PUBLISHED: dict[str, tuple[str, str, Write, dict[str, Any]]] = {
    "flux-dev": (
        "flux",
        "FluxTransformer2DModel",
        original.flux,
        {**_FLUX_WIDE, "guidance_embeds": True},
    ),
    "flux-schnell": ("flux", "FluxTransformer2DModel", original.flux, _FLUX_WIDE),
    "chroma": ("chroma", "ChromaTransformer2DModel", original.flux, _FLUX_WIDE),
    "sd3-medium": ("sd3", "SD3Transformer2DModel", original.sd3, _SD3_MEDIUM),
    "sd3.5-medium": ("sd3", "SD3Transformer2DModel", original.sd3, _SD35_MEDIUM),
    "sd3.5-large": ("sd3", "SD3Transformer2DModel", original.sd3, _SD35_LARGE),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name.startswith("sd3.5") else ())
        for name in PUBLISHED
    ],
)
def test_published_models_would_fit(name: str) -> None:
    """At their true widths, some of which diffusers' converters have written in, as far as names
    and shapes go."""
    family, kind, write, config = PUBLISHED[name]
    with torch.device("meta"):
        net = getattr(d, kind)(**config)
    own = net.state_dict()
    tensors = write(own)
    part = get_family(family).denoisers[0]
    made = checkpoint_part(part, {name: tuple(item.shape) for name, item in tensors.items()}, "")
    found = made.convert(tensors)
    shapes = {name: item.shape for name, item in own.items()}
    assert {name: item.shape for name, item in found.items()} == shapes
    convert = getattr(converters, f"convert_{family}_transformer_checkpoint_to_diffusers")
    assert {name: item.shape for name, item in convert(dict(tensors)).items()} == shapes
    for name, value in net.config.items():
        if not name.startswith("_") and value is not None:
            assert plain(made.config[name]) == plain(value), name


@pytest.mark.parametrize("build", [sd3, sd35])
def test_diffusers_reads_the_file_alike(written: WrittenOf, build: Callable[[], Any]) -> None:
    made = written(build)
    found = converters.convert_sd3_transformer_checkpoint_to_diffusers(dict(made.tensors))
    assert found.keys() == made.expected.keys()
    assert all(torch.equal(found[name], item) for name, item in made.expected.items())


def test_diffusers_reads_a_fluxs_last_modulation_alike() -> None:
    """Which has scale and shift the other way round; the rest has no numbers, for its size."""
    with torch.device("meta"):
        net = flux_net(num_attention_heads=24)
    tensors = original.flux(net.state_dict())
    last = {name: item for name, item in tensors.items() if "final_layer.adaLN" in name}
    tensors |= {name: torch.rand(item.shape) for name, item in last.items()}
    part = get_family("flux").denoisers[0]
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    found = checkpoint_part(part, shapes, "").convert(tensors)
    expected = converters.convert_flux_transformer_checkpoint_to_diffusers(dict(tensors))
    for end in ("weight", "bias"):
        name = f"norm_out.linear.{end}"
        assert torch.equal(found[name], expected[name])
