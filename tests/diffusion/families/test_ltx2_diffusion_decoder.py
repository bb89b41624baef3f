"""The diffusion decoder of LTX-2.5 gives what diffusers' pipeline gives, up to rounding.

The pipeline computes the attention of all pairs of tokens and drops most of them; nodegraph
computes windows, whose sums have other last bits. With the same attention, all bits are equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.core.values import Latent
from nodegraph.diffusion import decode_video, encode_image, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.ltx2_diffusion_decoder import WindowAttention
from nodegraph.models.vae_files import open_vae
from tests.messages import raises

CELLS = 128


def decoder(**options: Any) -> Any:
    torch.manual_seed(0)
    made = d.LTX2VideoDiffusionDecoderModel(
        decoder_head_dim=8,
        decoder_stage_channels=(32, 16, 8, 8, 8),
        decoder_stage_depths=(1, 1, 1, 1, 2),
        decoder_stage_kernels=((3, 1, 2), (3, 2, 3), (3, 2, 3), (3, 3, 3)),
        decoder_upsample_channel_reductions=(2, 2, 1, 1),
        decoder_stage5_kernel=(3, 5, 5),
        decoder_t_emb_dim=16,
        **options,
    )
    made.latents_mean.normal_()
    made.latents_std.uniform_(0.5, 1.5)
    with torch.no_grad():
        for weight in made.parameters():
            if not bool(weight.any()):
                weight.normal_(0, 0.02)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, Path]]:
    def save(**options: Any) -> tuple[Any, Path]:
        made = decoder(**options)
        folder = tmp_path_factory.mktemp("models") / "diffusion_decoder"
        made.save_pretrained(folder)
        return made, folder

    return save


def latent(frames: int = 2, height: int = 1, width: int = 2) -> Latent:
    cells = torch.randn(1, CELLS, frames, height, width, generator=torch.Generator().manual_seed(1))
    sizes = (width * 32, height * 32)
    return Latent(cells, *sizes, format="ltx2", frames=(frames - 1) * 8 + 1)


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({}, torch.float32),
        ({"decoder_num_inference_steps": 3, "scaling_factor": 0.5}, torch.float32),
        pytest.param({"decoder_model_output_type": "v"}, torch.float32, marks=pytest.mark.slow),
        pytest.param({}, torch.bfloat16, marks=pytest.mark.slow),
    ],
)
def test_a_decoded_video_is_diffusers(
    saved: Callable[..., tuple[Any, Path]], options: dict[str, Any], dtype: torch.dtype
) -> None:
    """Its noise is that of the seed 0."""
    made, folder = saved(**options)
    name = str(dtype).removeprefix("torch.")
    loaded = load_component(open_vae(str(folder), [], dtype=name), "cpu")
    sampled = latent()
    assert sampled.samples is not None
    pipeline = d.LTX2VideoDiffusionDecodePipeline(
        made.to(dtype), d.FlowMatchEulerDiscreteScheduler()
    )

    def decoded() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        cells = sampled.samples.to(dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = pipeline(cells, generator=generator, output_type="pt")
        return made.frames[0].float()

    found = decode_video(loaded, sampled)
    assert found.shape == (9, 32, 64, 3)
    assert found.std() > 1e-3
    rounding = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(found.movedim(-1, 1), decoded(), rtol=0, atol=rounding)
    made.set_attn_processor(WindowAttention())
    assert torch.equal(found.movedim(-1, 1), decoded())


def test_the_same_latent_becomes_the_same_video(saved: Callable[..., tuple[Any, Path]]) -> None:
    """Whatever the global generator was used for, which is left alone."""
    _, folder = saved()
    loaded = load_component(open_vae(str(folder), []), "cpu")
    first = decode_video(loaded, latent())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert torch.equal(decode_video(loaded, latent()), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_encodes_nothing_and_needs_enough_cells(saved: Callable[..., tuple[Any, Path]]) -> None:
    _, folder = saved()
    loaded = load_component(open_vae(str(folder), []), "cpu")
    with raises(InvalidValue, port="vae"):
        encode_image(loaded, torch.zeros(1, 96, 96, 3))
    with raises(InvalidValue, port="latent", given="1 columns in a layer that needs 2"):
        decode_video(loaded, latent(width=1))
