"""Pruned files of MiniMax H3 compute what the whole transformer does.

They are written from their description: points of the activated embedding of timesteps, in a basis
of few dimensions, and modulations of that basis. With all dimensions nothing is lost at the points,
so the results are those of diffusers' transformer up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import encode_prompt, load_component, sample
from nodegraph.errors import InvalidFile
from nodegraph.families.identification import identify_tensors
from nodegraph.families.minimax_h3_files import PRUNED_TRANSFORMER
from nodegraph.families.minimax_h3_pruned import MiniMaxH3PrunedTransformer3DModel
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.loading import estimate_bytes
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.quantized_weights import quantized_shape
from tests.diffusion.precision.packed_files import FORMS, pack_matrices

from .conftest import Pair
from .equality import PROMPT, SEED, random_pipeline
from .h3_models import minimax_h3, transformer
from .test_minimax_h3 import FRAMES, written

ModelOf = Callable[[Callable[[], Any]], Pair]


@torch.no_grad()
def pruned(network: Any, points: int, dimensions: int) -> dict[str, Tensor]:
    """A transformer's tensors in the names of ComfyUI's pruned file."""
    times = torch.linspace(0, 1, points)
    curve = torch.nn.functional.silu(network.time_embedder(network.time_proj(times))).double()
    basis = torch.linalg.svd(curve, full_matrices=False).Vh[:dimensions].T
    tensors = {}
    for name, item in written(network).items():
        if name.startswith("time_embedder."):
            continue
        is_modulation = name.endswith("adaln_proj.linear.weight")
        tensors[name] = (item.double() @ basis).float() if is_modulation else item
    return {**tensors, "adaln_t_table": (curve @ basis).float()}


def opened(folder: Path, tensors: dict[str, Tensor], dtype: str = "float32") -> Any:
    file = folder / "pruned.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    return open_denoiser(DenoiserRequest(str(file)), [], dtype=dtype)


def stock_network() -> Any:
    return random_pipeline(minimax_h3).components["transformer"]


@torch.no_grad()
def velocities(network: Any, times: list[float]) -> tuple[Tensor, ...]:
    """Of a text of two tokens, two rows of video and one of sound, at two times."""
    drawing = torch.Generator().manual_seed(SEED)
    config = network.config
    found: tuple[Tensor, ...] = network(
        hidden_states=torch.randn(1, 2, config.in_channels * 4, generator=drawing),
        audio_hidden_states=torch.randn(1, 1, config.audio_in_channels, generator=drawing),
        encoder_hidden_states=torch.randn(1, 2, config.text_dim, generator=drawing),
        timestep=torch.tensor(times),
        timestep_indices=torch.tensor([0, 0, 0, 1, 0]),
        token_tags=torch.tensor([1, 1, 0, 0, 2]),
        position_ids=torch.arange(15.0).view(5, 3),
        video_indices=torch.tensor([2, 3]),
        audio_indices=torch.tensor([4]),
        text_indices=torch.tensor([0, 1]),
        return_dict=False,
    )
    return found


@pytest.mark.parametrize("times", [[0.0, 1.0], [0.25, 0.999], [0.5, 0.75]])
def test_velocities_are_those_of_the_whole_network(times: list[float], tmp_path: Path) -> None:
    network = stock_network()
    # all 24 dimensions; 1001 points hit each of these times
    found = load_component(opened(tmp_path, pruned(network, 1001, 24)), "cpu").module
    for ours, theirs in zip(velocities(found, times), velocities(network, times), strict=True):
        assert theirs.std() > 1e-2
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_between_two_points_the_curve_is_straight(tmp_path: Path) -> None:
    network = stock_network()
    tensors = pruned(network, 5, 3)
    embedder = load_component(opened(tmp_path, tensors), "cpu").module.time_embedder
    table = tensors["adaln_t_table"].double()
    times = torch.tensor([0.0, 0.1, 0.25, 0.6, 0.999, 1.0, 1.2, -0.1])
    expected = []
    for time in times.double().clamp(0, 1).tolist():
        lower = min(int(time * 4), 3)
        share = time * 4 - lower
        expected.append(table[lower] * (1 - share) + table[lower + 1] * share)
    torch.testing.assert_close(embedder(times).double(), torch.stack(expected))


def test_few_dimensions_make_nearly_the_same_video(model_of: ModelOf, tmp_path: Path) -> None:
    """Published files have 8 of 2,688 dimensions, and 1,025 points."""
    pipeline, model = model_of(minimax_h3)
    recipe = opened(tmp_path, pruned(pipeline.components["transformer"], 1025, 8))
    prompt = encode_prompt(model.part("text_encoder"), PROMPT)
    videos = []
    for loaded in (load_component(recipe, "cpu"), model.part("model")):
        start = Latent(None, 64, 64, 1, frames=FRAMES)
        options = {"seed": SEED, "steps": 3, "sampler": "euler", "schedule": "normal", "cfg": 1.0}
        latent = sample(loaded, prompt, None, start, **options)
        assert latent.sound is not None
        videos.append((latent.samples, latent.sound))
    for ours, theirs in zip(*videos, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def test_a_pruned_file_is_read_whole_and_stays_packed(tmp_path: Path) -> None:
    tensors = pruned(stock_network(), 17, 8)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the pruned transformer of MiniMax H3"
    narrow, wide = pack_matrices(tensors, FORMS["int8 with convrot"])
    # The published table is in float32.
    narrow["adaln_t_table"] = wide["adaln_t_table"] = tensors["adaln_t_table"]
    loaded = []
    for name, items in (("narrow", narrow), ("wide", wide)):
        (tmp_path / name).mkdir()
        recipe = opened(tmp_path / name, items)
        component = load_component(recipe, "cpu")
        assert component_bytes(component) == pytest.approx(estimate_bytes(recipe), rel=0.05)
        loaded.append(component.module)
    found, expected = loaded
    assert quantized_shape(found.transformer_blocks[0].attn.to_q)
    assert torch.equal(found.time_embedder.table, tensors["adaln_t_table"])
    for path, layer in expected.named_modules():
        if isinstance(getattr(layer, "weight", None), Tensor):
            assert torch.equal(found.get_submodule(path).weight, layer.weight), path


def test_the_table_stays_in_float32(tmp_path: Path) -> None:
    recipe = opened(tmp_path, pruned(stock_network(), 17, 8), "bfloat16")
    network = load_component(recipe, "cpu").module
    assert network.time_embedder.table.dtype == torch.float32
    assert network.transformer_blocks[0].adaln_proj.linear.weight.dtype == torch.bfloat16
    assert all(torch.isfinite(part).all() for part in velocities(network, [0.3, 0.999]))


@pytest.mark.parametrize("points", [0, 1])
def test_a_table_without_a_curve_is_refused(points: int, tmp_path: Path) -> None:
    tensors = pruned(stock_network(), 17, 8)
    with pytest.raises(InvalidFile, match="damaged"):
        opened(tmp_path, {**tensors, "adaln_t_table": tensors["adaln_t_table"][:points]})


def test_the_published_widths_are_read_from_shapes() -> None:
    with torch.device("meta"):
        network = transformer(
            num_attention_heads=56,
            attention_head_dim=128,
            hidden_size=5376,
            num_layers=50,
            num_refiner_layers=2,
            ffn_dim=14336,
            text_dim=5120,
            time_embed_dim=8,
            rope_freq_dim=16,
        )
        shapes = {
            name: tuple(item.shape)
            for name, item in written(network).items()
            if not name.startswith("time_embedder.")
        }
        shapes |= {"adaln_t_table": (1025, 8)}
        config = PRUNED_TRANSFORMER.config(shapes)
        published = MiniMaxH3PrunedTransformer3DModel()
    assert identify_tensors(shapes).title == "the pruned transformer of MiniMax H3"
    assert config == {name: published.config[name] for name in config}
    assert set(PRUNED_TRANSFORMER.convert(meta_tensors(shapes), config)) == set(
        published.state_dict()
    )


def meta_tensors(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
