"""SkyReels V2 gives what diffusers' pipelines give, to the last bit.

With one reason: the pipelines of diffusion forcing hand their scheduler a view of the latents, then
write the step's result into it. So the scheduler's first correction starts from the result of the
first step in place of its start. With 50 steps that is hardly to be seen, with 3 it is. Here it
starts where the method of Zhao et al. 2023 does, and so does diffusers' scheduler once it gets a
copy, as it does in these tests.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import RATE
from nodegraph.families.identification import identify_tensors
from nodegraph.families.image_conditioning import IMAGE_EMBEDS
from nodegraph.families.skyreels import SKYREELS_V2_DF
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import embed_first_frame, encode_first_frame
from nodegraph.models.loading import load_component
from nodegraph.sampling.diffusion_forcing import KNOWN_NOISE_SEED, ForcedSampling
from nodegraph.sampling.forcing_plan import ForcingOptions
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.sampling_parts import build_sampling_parts
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, assert_same, stock
from .test_image_to_video import picture, shown
from .video_models import umt5_text, uni_pc_flow, wan_i2v, wan_vae
from .words import clip_words, t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def sky_net(taken: int = 16, **more: Any) -> Any:
    usual = {"num_attention_heads": 2, "attention_head_dim": 16}
    return d.SkyReelsV2Transformer3DModel(
        in_channels=taken,
        out_channels=16,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        rope_max_seq_len=64,
        **{**usual, **more},
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
        assert_like_diffusers(pipeline, model, width, frames, batch, negative, cfg)


@pytest.mark.slow
@pytest.mark.parametrize("build", [skyreels_v2, skyreels_v2_df])
@pytest.mark.parametrize(
    ("cfg", "batch", "negative"),
    [(7.3, 3, NEGATIVE), (7.3, 1, None), (0.0, 1, NEGATIVE), (1.0, 3, NEGATIVE)],
)
def test_any_guidance_is_that_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any], cfg: float, batch: int, negative: str | None
) -> None:
    assert_like_diffusers(*model_of(build), 80, 9, batch, negative, cfg)


def assert_like_diffusers(
    pipeline: Any, model: Model, width: int, frames: int, batch: int, negative: Any, cfg: float
) -> None:
    options = {"batch": batch, "negative": negative, "steps": 3}
    size = {"width": width, "height": 64}
    found = model.make(**size, frames=frames, cfg=cfg, sampler="uni_pc", **options)
    options |= {**size, "num_frames": frames, "guidance_scale": cfg}
    assert_same(found, stock(pipeline, out="frames", **options), pixels=frames == 5)


def forced(
    model: Model,
    frames: int,
    *,
    width: int = 64,
    batch: int = 1,
    negative: str | None = None,
    steps: int = 3,
    cfg: float = 5.0,
    change: Callable[[Conditioning], Conditioning] = lambda given: given,
    sampler: str = "uni_pc",
    **options: Any,
) -> Tensor:
    """The latent of a video by diffusion forcing."""
    positive = model.encode(PROMPT)
    assert positive is not None
    parts = build_sampling_parts(
        change(positive),
        model.encode(negative),
        seed=SEED,
        steps=steps,
        cfg=cfg,
        sampler=sampler,
        schedule="normal",
    )
    latent = Latent(None, width, 64, batch, frames=frames)
    sampling = ForcedSampling(model.part("model"), latent, parts, ForcingOptions(**options))
    steps_done = [info.step for info in sampling.steps()]
    assert steps_done == [*range(1, sampling.total + 1)]
    samples = sampling.result().samples
    assert samples is not None
    return samples


def by_stock(
    pipeline: Any, frames: int, *, width: int = 64, cfg: float = 5.0, **options: Any
) -> Tensor:
    """The same by the stock pipeline, which keeps the block size of the call before."""
    usual = {
        "base_num_frames": 97,
        "causal_block_size": 1,
        "steps": 3,
        "width": width,
        "height": 64,
    }
    # It draws the noise of known frames from torch's own generator.
    torch.manual_seed(SEED + KNOWN_NOISE_SEED)
    options = {**usual, "num_frames": frames, "guidance_scale": cfg, **options}
    latents = stock(pipeline, out="frames", **options).latents
    # It drops the last image behind the video where it decodes.
    return latents[:, :, : (frames - 1) // 4 + 1]


def kind_of(pipeline: Any, kind: Any) -> Any:
    """Another pipeline of the same parts."""
    other = kind(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    return other


@pytest.mark.parametrize(
    "cases",
    [
        ((6, 9, NEGATIVE, 5.0), (4, 5, None, 1.0)),
        pytest.param(((5, 9, NEGATIVE, 7.3), (7, 5, NEGATIVE, 0.0)), marks=pytest.mark.slow),
    ],
)
def test_videos_of_a_first_image(model_of: ModelOf, cases: Any) -> None:
    pipeline, model = model_of(skyreels_v2_i2v)
    for columns, frames, negative, cfg in cases:
        image = picture(columns * 16, 64)
        change = shown(model, image, frames, eye=True)
        options = {"negative": negative, "steps": 3}
        size = {"width": columns * 16, "height": 64}
        found = model.make(
            **size, frames=frames, cfg=cfg, sampler="uni_pc", change=change, **options
        )
        options |= {**size, "num_frames": frames, "guidance_scale": cfg, "image": to_pil(image)}
        assert_same(found, stock(pipeline, out="frames", **options))


@pytest.mark.parametrize("batch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_blocks_lag_behind_each_other(model_of: ModelOf, batch: int) -> None:
    pipeline, model = model_of(skyreels_v2_df)
    for frames, steps, options in (
        (9, 3, {"ar_step": 1}),
        (13, 4, {"ar_step": 2, "causal_block_size": 2}),
        # each begins once the one before it is done
        (13, 3, {"ar_step": 7, "causal_block_size": 2}),
        (13, 2, {"causal_block_size": 4}),
    ):
        found = forced(model, frames, batch=batch, steps=steps, negative=NEGATIVE, **options)
        more = {"batch": batch, "negative": NEGATIVE, "steps": steps}
        assert torch.equal(found, by_stock(pipeline, frames, **more, **options))


@pytest.mark.slow
@pytest.mark.parametrize("cfg", [7.3, 0.0, 1.0])
def test_blocks_lag_with_any_guidance(model_of: ModelOf, cfg: float) -> None:
    pipeline, model = model_of(skyreels_v2_df)
    options = {"cfg": cfg, "negative": NEGATIVE, "steps": 4, "ar_step": 2, "causal_block_size": 2}
    assert torch.equal(forced(model, 13, **options), by_stock(pipeline, 13, **options))


def test_without_a_lag_it_is_as_a_usual_sampler(model_of: ModelOf) -> None:
    _, model = model_of(skyreels_v2_df)
    usual = model.make(64, 64, frames=9, cfg=5.0, steps=3, sampler="euler")
    assert torch.equal(forced(model, 9, sampler="euler"), usual.latents)


@pytest.mark.parametrize(
    "options",
    [
        {"base_num_frames": 9, "overlap_history": 5, "addnoise_condition": 20},
        pytest.param(
            {"base_num_frames": 21, "overlap_history": 9, "ar_step": 2, "causal_block_size": 2},
            marks=pytest.mark.slow,
        ),
        # of the overlap of 3 latent frames, 2 are a block
        pytest.param(
            {"base_num_frames": 13, "overlap_history": 9, "ar_step": 2, "causal_block_size": 2}
            | {"addnoise_condition": 20},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_long_videos_continue_windows(model_of: ModelOf, options: dict[str, Any]) -> None:
    pipeline, model = model_of(skyreels_v2_df)
    frames = 37 if options["base_num_frames"] > 9 else 21
    assert torch.equal(forced(model, frames, **options), by_stock(pipeline, frames, **options))


@pytest.mark.parametrize("has_last", [False, True])
def test_first_and_last_images(model_of: ModelOf, has_last: bool) -> None:
    """Close where there is a last image: the pipeline encodes both in a batch, which rounds
    otherwise."""
    pipeline, model = model_of(skyreels_v2_df)
    pipeline = kind_of(pipeline, d.SkyReelsV2DiffusionForcingImageToVideoPipeline)
    image, last = picture(96, 64), picture(96, 64).flip(1) if has_last else None
    images = {"image": to_pil(image)} | ({} if last is None else {"last_image": to_pil(last)})
    change = shown(model, image, 9, last=last)
    usual = model.make(96, 64, frames=9, cfg=5.0, steps=3, sampler="uni_pc", change=change)
    for options in ({}, {"ar_step": 1}, {"addnoise_condition": 20}):
        found = forced(model, 9, width=96, change=change, **options)
        expected = by_stock(pipeline, 9, width=96, **images, **options)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 if has_last else 0)
        if not options:
            assert torch.equal(usual.latents, found)


@pytest.mark.slow
def test_long_videos_of_an_image(model_of: ModelOf) -> None:
    pipeline, model = model_of(skyreels_v2_df)
    pipeline = kind_of(pipeline, d.SkyReelsV2DiffusionForcingImageToVideoPipeline)
    image = picture(64, 64)
    change = shown(model, image, 13)
    # whole windows: a shorter last one ends the stock pipeline with an IndexError
    options = {"base_num_frames": 9, "overlap_history": 5, "addnoise_condition": 20}
    found = forced(model, 13, change=change, **options)
    assert torch.equal(found, by_stock(pipeline, 13, image=to_pil(image), **options))


@pytest.mark.slow
def test_a_last_image_is_shown_to_the_last_window_alone(model_of: ModelOf) -> None:
    """The stock pipeline fails here: it counts the overlap as the frames of the last image."""
    _, model = model_of(skyreels_v2_df)
    options = {"base_num_frames": 9, "overlap_history": 5}
    image, last = picture(64, 64), picture(64, 64).flip(1)
    plain = forced(model, 13, change=shown(model, image, 13), **options)
    found = forced(model, 13, change=shown(model, image, 13, last=last), **options)
    assert torch.equal(found[:, :, :3], plain[:, :, :3])
    assert not torch.equal(found[:, :, 3:], plain[:, :, 3:])


@pytest.mark.slow
def test_videos_that_are_continued(model_of: ModelOf) -> None:
    pipeline, model = model_of(skyreels_v2_df)
    pipeline = kind_of(pipeline, d.SkyReelsV2DiffusionForcingVideoToVideoPipeline)
    clip = torch.cat([picture(64, 64).roll(8 * at, 1) for at in range(11)])

    def change(given: Conditioning) -> Conditioning:
        return with_tensors(
            given, encode_first_frame(model.part("vae"), given, clip[-9:], frames=21)
        )

    for frames, options in (
        (21, {"overlap_history": 9}),
        (21, {"overlap_history": 9, "base_num_frames": 17, "addnoise_condition": 20}),
        (25, {"overlap_history": 9, "base_num_frames": 25, "ar_step": 1}),
    ):
        found = forced(model, frames, change=change, **options)
        expected = by_stock(
            pipeline, frames, video=[to_pil(item) for item in clip.split(1)], **options
        )
        assert torch.equal(found, expected)


def test_the_frame_rate_is_read_of_the_prompt(model_of: ModelOf) -> None:
    pipeline, model = model_of(skyreels_v2_df_rate)
    for rate in (16, 24):
        change = partial(with_tensors, tensors={RATE: torch.tensor([[rate, 1]])})
        assert torch.equal(forced(model, 9, change=change), by_stock(pipeline, 9, fps=rate))
    # without a rate it is that of 24 frames per second; items of a batch one by one
    batch = forced(model, 9, batch=2)
    assert torch.equal(batch[:1], by_stock(pipeline, 9))
    torch.testing.assert_close(batch[1:], _of_seed(pipeline, SEED + 1), rtol=0, atol=1e-5)


def _of_seed(pipeline: Any, seed: int) -> Tensor:
    result = pipeline(
        PROMPT,
        height=64,
        width=64,
        num_frames=9,
        num_inference_steps=3,
        guidance_scale=5.0,
        causal_block_size=1,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
    )
    return torch.as_tensor(result.frames)


def test_a_sampling_resumes_to_the_same_bits(model_of: ModelOf) -> None:
    _, model = model_of(skyreels_v2_df)
    options = ForcingOptions(1, base_num_frames=9, overlap_history=5, addnoise_condition=20)

    def begin() -> ForcedSampling:
        positive = model.encode(PROMPT)
        assert positive is not None
        parts = build_sampling_parts(
            positive, None, seed=SEED, steps=3, cfg=1.0, sampler="uni_pc", schedule="normal"
        )
        latent = Latent(None, 64, 64, frames=13)
        return ForcedSampling(model.part("model"), latent, parts, options)

    whole = begin()
    states = [whole.state() for _ in whole.steps()]
    # in the first window, where it ends, and in the second
    for done in (2, 5, 7):
        resumed = begin()
        resumed.restore(states[done - 1])
        assert [info.step for info in resumed.steps()] == [*range(done + 1, whole.total + 1)]
        assert torch.equal(_samples(resumed), _samples(whole))
    with pytest.raises(ValueError, match="another"):
        begin().restore({"step": torch.tensor([1, 0, 1])})


def _samples(sampling: ForcedSampling) -> Tensor:
    samples = sampling.result().samples
    assert samples is not None
    return samples


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(skyreels_v2_df)
    image = shown(model, picture(64, 64), 17)
    images = shown(model, picture(64, 64), 17, last=picture(64, 64))
    for port, given, options in (
        ("latent", "3 latent frames, blocks of 2", {"causal_block_size": 2}),
        ("latent", "3 latent frames, blocks of 5", {"causal_block_size": 5}),
        ("overlap_history", "5 frames", {"overlap_history": 5, "base_num_frames": 5}),
        (
            "base_num_frames",
            "1 frames, blocks of 1 latent frames",
            {"overlap_history": 1, "base_num_frames": 1},
        ),
        (
            "causal_block_size",
            "1 known latent frames, blocks of 3",
            {"causal_block_size": 3, "change": image},
        ),
        ("causal_block_size", "3", {"causal_block_size": 3, "change": images}),
        ("sampler", "heun", {"sampler": "heun"}),
        ("ar_step", "-1", {"ar_step": -1}),
        ("addnoise_condition", "101", {"addnoise_condition": 101}),
    ):
        with raises(InvalidValue, port=port, given=given):
            forced(model, 9, **options)
    _, usual = model_of(skyreels_v2)
    with raises(InvalidValue, port="model", given="skyreels-v2"):
        forced(usual, 9)


def original_names(layout: Any, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their published names."""
    named = {}
    for name, tensor in tensors.items():
        block = re.match(r"blocks\.(\d+)\.", name)
        number = block[1] if block else ""
        stem, _, end = name.rpartition(".")
        for own, theirs in layout.names.table:
            whole = own.replace("*", number)
            if whole in (stem, name) and (number or "*" not in own):
                there = theirs.replace("*", number)
                named[there if whole == name else f"{there}.{end}"] = tensor
                break
        else:
            named[name] = tensor
    return named


@pytest.mark.parametrize(
    ("more", "title"),
    [
        (
            {"inject_sample_info": True},
            "a transformer of SkyReels V2 with diffusion forcing",
        ),
        ({}, "a transformer of Wan"),
        ({"taken": 36, "image_dim": 16, "added_kv_proj_dim": 128}, "a transformer of Wan"),
    ],
)
def test_files_of_published_names(more: dict[str, Any], title: str, tmp_path: Path) -> None:
    """Each tensor comes back. Without the embedding of the frame rate a file is one of Wan."""
    network = sky_net(num_attention_heads=1, attention_head_dim=128, **more)
    expected = network.state_dict()
    tensors = original_names(SKYREELS_V2_DF.denoisers[0].files[0], expected)
    assert {"head.head.weight", "blocks.1.norm3.weight"} <= tensors.keys()
    file = tmp_path / "skyreels.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == title
    for family in ("skyreels-v2-df", "skyreels-v2"):
        if family == "skyreels-v2" and network.config.inject_sample_info:
            continue
        recipe = open_denoiser(DenoiserRequest(str(file), family=family), [])
        loaded = load_component(recipe, "cpu").module
        stated = {name: item for name, item in network.config.items() if name[0] != "_"}
        found = {**loaded.config, "rope_max_seq_len": 64}
        assert {name: found[name] for name in stated} == stated
        assert loaded.state_dict().keys() == expected.keys()
        for name, tensor in loaded.state_dict().items():
            assert torch.equal(tensor, expected[name]), name
    if not network.config.inject_sample_info:
        loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
        assert type(loaded) is d.WanTransformer3DModel


def test_a_folder_may_have_a_processor_for_its_images(model_of: ModelOf, tmp_path: Path) -> None:
    """The published folders have CLIP's whole processor."""
    pipeline, model = model_of(skyreels_v2_i2v)
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder)
    shutil.rmtree(folder / "image_processor")
    both = tf.CLIPProcessor(pipeline.image_processor, clip_words())
    both.save_pretrained(folder / "image_processor")
    index = json.loads((folder / "model_index.json").read_text())
    index["image_processor"] = ["transformers", "CLIPProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    image = picture(64, 64)
    seen = [
        embed_first_frame(each.part("text_encoder"), image)[IMAGE_EMBEDS]
        for each in (model, Model(folder))
    ]
    assert torch.equal(*seen)


def test_wan_gives_the_same_up_to_rounding(model_of: ModelOf, tmp_path: Path) -> None:
    """Its embedding of timesteps is computed in another precision."""
    pipeline, model = model_of(skyreels_v2)
    net = d.WanTransformer3DModel(
        **{
            name: item
            for name, item in pipeline.transformer.config.items()
            if name in inspect.signature(d.WanTransformer3DModel.__init__).parameters
        }
    )
    net.load_state_dict(pipeline.transformer.state_dict())
    parts = {**pipeline.components, "transformer": net}
    d.WanPipeline(**parts).save_pretrained(tmp_path)
    options = {"frames": 5, "cfg": 5.0, "steps": 3, "sampler": "uni_pc"}
    found = Model(tmp_path).make(64, 64, **options).latents
    expected = model.make(64, 64, **options).latents
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("build", [skyreels_v2, skyreels_v2_df])
def test_in_bfloat16_as_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    stock_pipeline, model = model_of(build)
    pipeline = type(stock_pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    found = half.make(64, 64, frames=5, cfg=5.0, steps=3, sampler="uni_pc").latents
    size = {"width": 64, "height": 64, "num_frames": 5, "guidance_scale": 5.0}
    expected = stock(pipeline, out="frames", steps=3, **size).latents
    assert torch.equal(found, expected.float())
