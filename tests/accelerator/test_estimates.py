"""What models are said to hold beside the bytes of the tensors that they really held at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion import Denoiser, sample
from nodegraph.families.registry import get_family, get_latent_format
from tests.accelerator.card import Card
from tests.accelerator.fixtures import MIB
from tests.diffusion.families.parts import unet
from tests.diffusion.families.video_models import wan_vae

LEAST, MOST = 0.75, 1.4
"""What is estimated, by what was held: 0.99 (Stable Diffusion) to 1.28 (a frame decoded by Wan)."""
REAL_LEAST, REAL_MOST = 0.4, 2.5
"""The same on a real card, whose kernels take room of their own, or do without some."""
WIDE = (320, 640, 1280, 1280)
HEADS = 12
FLOW = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0,
}  # fmt: skip
TABLE = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "prediction_type": "epsilon",
}  # fmt: skip


def sd1() -> Any:
    return unet(32, 8, block_out_channels=(64, 128, 256, 256), layers_per_block=2)


def sdxl() -> Any:
    return unet(
        32, (4, 8, 16), block_out_channels=(64, 128, 256), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 3), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=48 + 32,
    )  # fmt: skip


def published_sdxl() -> Any:
    return unet(
        2048, (5, 10, 20), block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )  # fmt: skip


def flux() -> Any:
    return d.FluxTransformer2DModel(
        patch_size=1, in_channels=64, num_layers=2, num_single_layers=2, attention_head_dim=16,
        num_attention_heads=HEADS, joint_attention_dim=32, pooled_projection_dim=32,
        axes_dims_rope=(4, 6, 6),
    )  # fmt: skip


def sd3() -> Any:
    return d.SD3Transformer2DModel(
        sample_size=32, patch_size=2, in_channels=16, num_layers=3, attention_head_dim=16,
        num_attention_heads=HEADS, joint_attention_dim=32, caption_projection_dim=16 * HEADS,
        pooled_projection_dim=64, out_channels=16, pos_embed_max_size=32,
    )  # fmt: skip


def wan() -> Any:
    return d.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=HEADS, attention_head_dim=16, text_dim=32,
        freq_dim=32, ffn_dim=44 * HEADS, num_layers=3, rope_max_seq_len=64,
    )  # fmt: skip


def prompt(**shapes: tuple[int, ...]) -> Conditioning:
    tensors = {name: torch.zeros(1, *shape) for name, shape in shapes.items()}
    return Conditioning((ConditioningEntry(tensors),))


STEPS: list[tuple[str, Callable[[], Any], Conditioning, dict[str, Any], Mapping[str, Any]]] = [
    ("sd1", sd1, prompt(embeddings=(77, 32)), {}, TABLE),
    ("sdxl", sdxl, prompt(embeddings=(77, 32), pooled=(32,)), {}, TABLE),
    ("flux", flux, prompt(embeddings=(512, 32), pooled=(32,)), {}, FLOW),
    ("sd3", sd3, prompt(embeddings=(333, 32), pooled=(64,)), {"batch_size": 2}, FLOW),
    ("wan", wan, prompt(embeddings=(512, 32)), {"frames": 9}, FLOW),
]
QUICK = ("sdxl", "flux", "wan")


def assert_estimated(numbers: float, held: float, card: Card) -> None:
    least, most = (LEAST, MOST) if card.pretend is not None else (REAL_LEAST, REAL_MOST)
    assert least < numbers / held < most


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "build", "positive", "more", "schedule"),
    [
        pytest.param(*row, id=row[0], marks=() if row[0] in QUICK else pytest.mark.slow)
        for row in STEPS
    ],
)
def test_a_step_holds_about_what_its_family_says(
    name: str,
    build: Callable[[], Any],
    positive: Conditioning,
    more: dict[str, Any],
    schedule: Mapping[str, Any],
    cuda: Card,
) -> None:
    torch.manual_seed(0)
    net, side = build().eval().requires_grad_(False), 256
    model = Denoiser({"transformer": net.to("cuda:0")}, name, schedule)
    positive = replace(positive, family=name)
    latent = Latent(None, side, side, **more)
    sampler = "euler" if schedule is FLOW else "ddim"

    def step() -> None:
        sample(
            model, positive, None, latent,
            seed=1, steps=1, cfg=1.0, sampler=sampler, schedule="normal",
        )  # fmt: skip

    held = cuda.held_by(step)
    family = get_family(name)
    memory = family.step_memory(net.config)
    cells = (side // 8) ** 2 * family.latent.latent_frames(latent.frames)
    estimated = 4 * (memory.cell * cells + memory.fixed) * latent.batch_size
    assert_estimated(estimated, held, cuda)


H100: list[tuple[str, Callable[[], Any], int, int, float]] = [
    ("sd1", partial(unet, 768, 8, block_out_channels=WIDE, layers_per_block=2), 512, 2, 130.9),
    ("sdxl", published_sdxl, 1024, 2, 328.9),
    ("flux", partial(d.FluxTransformer2DModel, guidance_embeds=True), 1024, 1, 480.7),
]
"""What steps of networks as large as the published ones held beside the weights on an H100 with
torch 2.11, workspaces of libraries included: family, network, side in pixels, batch, MiB in
bfloat16."""


@pytest.mark.parametrize(
    ("name", "build", "side", "batch", "held"), H100, ids=[row[0] for row in H100]
)
def test_a_step_of_a_published_network_holds_what_an_h100_held(
    name: str, build: Callable[[], Any], side: int, batch: int, held: float
) -> None:
    with torch.device("meta"):
        memory = get_family(name).step_memory(build().config)
    estimated = 2 * batch * (memory.cell * (side // 8) ** 2 + memory.fixed) / MIB
    assert 0.85 < estimated / held < 1.2


def kl() -> Any:
    return d.AutoencoderKL(
        block_out_channels=(32, 64, 64, 64), norm_num_groups=8, layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip


VAES: list[tuple[str, Callable[[], Any], int]] = [
    ("sd", kl, 1),
    ("wan", wan_vae, 1),
    ("wan", wan_vae, 9),
]


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "build", "frames"), VAES)
def test_coding_holds_about_what_the_format_says(
    name: str, build: Callable[[], Any], frames: int, cuda: Card
) -> None:
    latents, side = get_latent_format(name), 96
    vae = build().eval().requires_grad_(False)
    shape = (1, 3, frames, side, side) if latents.temporal else (1, 3, side, side)
    picture = torch.zeros(shape)
    code = latents.encode(vae, picture)
    vae.to("cuda:0")
    ways = {
        "encoding": lambda: latents.encode(vae, picture.to("cuda:0")),
        "decoding": lambda: latents.decode(vae, code.to("cuda:0")),
    }
    for way, work in ways.items():
        coding = getattr(latents, way)(vae.config)
        numbers = coding.image if frames == 1 else coding.video + coding.frame * frames
        with torch.no_grad():
            held = cuda.held_by(work)
        assert_estimated(numbers, held / 4 / side**2, cuda)
