"""Pipelines whose denoiser is written to a file of its own, under its original names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import DiffusionModel
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.diffusion.single_files import double_stream as original

from .equality import random_pipeline
from .parts import clip_text, dynamic_flow, flow, flux_vae, sd3_around, t5_text
from .words import clip_words, t5_words

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "model.", "")
HEAD = 128
"""Width of an attention head of Flux.1: no tensor says how it is split among the axes."""


def flux_net(channels: int = 64, *, guidance: bool = True, **more: Any) -> Any:
    given = {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": 64,
        "num_layers": 2,
        "num_single_layers": 1,
        "attention_head_dim": HEAD,
        "num_attention_heads": 1,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 32,
        "guidance_embeds": guidance,
    }
    return d.FluxTransformer2DModel(**{**given, **more})


def flux_of(net: Any, schedule: Any) -> Any:
    one, two = clip_words(), t5_words()
    return d.FluxPipeline(schedule, flux_vae(), clip_text(one), one, t5_text(two), two, net)


def flux() -> Any:
    return flux_of(flux_net(), dynamic_flow())


def flux_schnell() -> Any:
    return flux_of(flux_net(guidance=False), flow(shift=1.0))


def flux_fill() -> Any:
    one, two = clip_words(), t5_words()
    parts = (dynamic_flow(), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxFillPipeline(*parts, flux_net(384))


def chroma() -> Any:
    words = t5_words()
    net = d.ChromaTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=HEAD,
        num_attention_heads=1,
        joint_attention_dim=32,
        approximator_num_channels=8,
        approximator_hidden_dim=32,
        approximator_layers=2,
    )
    return d.ChromaPipeline(dynamic_flow(), flux_vae(), t5_text(words), words, net)


def sd3(dual: tuple[int, ...] = ()) -> Any:
    net = d.SD3Transformer2DModel(
        sample_size=128,
        in_channels=16,
        num_layers=3,
        attention_head_dim=64,
        num_attention_heads=1,
        joint_attention_dim=80,
        caption_projection_dim=64,
        pooled_projection_dim=64,
        pos_embed_max_size=24,
        dual_attention_layers=dual,
        qk_norm="rms_norm" if dual else None,
    )
    return sd3_around(net)


def sd35() -> Any:
    return sd3((0, 1))


Write = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
BUILDS: dict[Callable[[], Any], tuple[str, Write]] = {
    flux: ("flux", original.flux),
    flux_schnell: ("flux", original.flux),
    flux_fill: ("flux", original.flux),
    chroma: ("chroma", original.flux),
    sd3: ("sd3", original.sd3),
    sd35: ("sd3", original.sd3),
}


@dataclass
class Written:
    """A pipeline's folder, and its denoiser's tensors under their original names."""

    pipeline: Any
    folder: Path
    family: str
    tensors: dict[str, Tensor]
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def expected(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.pipeline.transformer.state_dict()
        return found

    def file(self, prefix: str = PREFIXES[0]) -> Path:
        """The denoiser in a file of its own."""
        if prefix not in self.files:
            path = self.folder.parent / f"{self.folder.name}-{len(self.files)}.safetensors"
            save_file({f"{prefix}{name}": item for name, item in self.tensors.items()}, path)
            self.files[prefix] = path
        return self.files[prefix]


WrittenOf = Callable[[Callable[[], Any]], Written]


def written_denoisers(tmp_path_factory: pytest.TempPathFactory) -> WrittenOf:
    """What writes each once."""
    known: dict[Callable[[], Any], Written] = {}

    def made(build: Callable[[], Any]) -> Written:
        if build not in known:
            pipeline = random_pipeline(build)
            folder = tmp_path_factory.mktemp("models") / build.__name__
            pipeline.save_pretrained(folder)
            family, write = BUILDS[build]
            tensors = write(pipeline.transformer.state_dict())
            known[build] = Written(pipeline, folder, family, tensors)
        return known[build]

    return made


def opened(path: Path, **wanted: Any) -> DiffusionModel:
    """The recipe of a denoiser that lies there."""
    return open_denoiser(DenoiserRequest(str(path), **wanted), [])


def plain(value: Any) -> Any:
    """A value of a configuration, whichever way it was written."""
    return tuple(value) if isinstance(value, list) else value
