"""SkyReels V2 gives what diffusers' pipelines give, to the last bit.

With one reason: the pipelines of diffusion forcing hand their scheduler a view of the latents, then
write the step's result into it. So the scheduler's first correction starts from the result of the
first step in place of its start. With 50 steps that is hardly to be seen, with 3 it is. Here it
starts where the method of Zhao et al. 2023 does, and so does diffusers' scheduler once it gets a
copy, as it does in these tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest

from .conftest import Pair
from .equality import NEGATIVE, assert_same, stock
from .video_models import umt5_text, uni_pc_flow, wan_i2v, wan_vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def sky_net(taken: int = 16, **more: Any) -> Any:
    return d.SkyReelsV2Transformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=taken,
        out_channels=16,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        rope_max_seq_len=64,
        **more,
    )


def skyreels_v2() -> Any:
    words = t5_words()
    return d.SkyReelsV2Pipeline(words, umt5_text(words), sky_net(), wan_vae(), uni_pc_flow(8.0))


def skyreels_v2_i2v(**more: Any) -> Any:
    like = wan_i2v()
    return d.SkyReelsV2ImageToVideoPipeline(
        like.tokenizer,
        like.text_encoder,
        like.image_encoder,
        like.image_processor,
        sky_net(36, image_dim=16, added_kv_proj_dim=32, **more),
        like.vae,
        uni_pc_flow(5.0),
    )


def skyreels_v2_df(kind: Any = d.SkyReelsV2DiffusionForcingPipeline, **more: Any) -> Any:
    """The models of 14B, which have no embedding of the frame rate."""
    words = t5_words()
    return kind(words, umt5_text(words), sky_net(**more), wan_vae(), uni_pc_flow(8.0))


def skyreels_v2_df_rate() -> Any:
    """The model of 1.3B."""
    return skyreels_v2_df(inject_sample_info=True)


@pytest.fixture(autouse=True)
def _copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scheduler of diffusers keep what it is given."""
    step = d.UniPCMultistepScheduler.step

    def copying(self: Any, output: Any, timestep: Any, sample: Any, **options: Any) -> Any:
        return step(self, output, timestep, sample.clone(), **options)

    monkeypatch.setattr(d.UniPCMultistepScheduler, "step", copying)


@pytest.mark.parametrize("build", [skyreels_v2, skyreels_v2_df])
def test_videos_are_those_of_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    for width, frames, batch, negative, cfg in (
        (64, 5, 1, None, 5.0),
        (96, 9, 2, NEGATIVE, 5.0),
        (64, 1, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative, "steps": 3}
        size = {"width": width, "height": 64}
        found = model.make(**size, frames=frames, cfg=cfg, sampler="uni_pc", **options)
        options |= {**size, "num_frames": frames, "guidance_scale": cfg}
        assert_same(found, stock(pipeline, out="frames", **options), pixels=frames == 5)
