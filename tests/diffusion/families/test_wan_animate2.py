"""Wan Animate 2 gives what diffusers' modular pipeline gives.

The pipeline's attention is one mask for a compiled kernel, here it is one call per frame: results
differ by rounding. So equality to the last bit is tested with this attention in the pipeline, too.
Later segments differ by rounding: the frames before are images in 0..1 here, and in -1..1 there.
"""

from __future__ import annotations

import gc
import importlib
import json
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.models.transformers.transformer_wan_animate_2 import rope_apply, rope_params
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import wan_animate2_attention as attention
from nodegraph.families.image_conditioning import POSE_LATENTS
from nodegraph.families.wan_animate2_attention import (
    FrameAlignedAttention,
    LayerKeys,
    ReferenceKeys,
    ScaledKeys,
    set_attention,
)
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.driving_video import (
    DrivenSegment,
    embed_character,
    encode_driving_video,
    motion_embeddings,
)
from nodegraph.sampling.inpainting import with_tensors
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model
from .modular_pipelines import ModularPipeline
from .parts import flow
from .video_models import umt5_text, wan_i2v, wan_vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT, FRAMES = 64, 48, 9
NAMED = {"config": json.dumps({"transformer": {"model_type": "animate2"}})}
LONG = "a red cat on a mat, \n " * 60


def wan_animate_2() -> ModularPipeline:
    """With more blocks than nine, one of which negative prompts leave out."""
    eye = tf.CLIPVisionModel(
        tf.CLIPVisionConfig(
            hidden_size=1280,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=224,
            patch_size=28,
        )
    )
    return ModularPipeline(
        d.WanAnimate2Blocks(),
        text_encoder=umt5_text(words := t5_words()),
        tokenizer=words,
        image_encoder=eye,
        transformer=network(),
        vae=wan_vae(),
        scheduler=flow(shift=5.0),
    )


def network(**changed: Any) -> Any:
    usual = {
        "dim": 32,
        "ffn_dim": 48,
        "freq_dim": 32,
        "text_dim": 32,
        "num_heads": 2,
        "num_layers": 11,
    }
    return d.WanAnimate2Transformer3DModel(**{**usual, **changed})


def bytes_like(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3)) / 255


IMAGE = bytes_like(1, HEIGHT, WIDTH, 3)
VIDEO = bytes_like(FRAMES, HEIGHT, WIDTH, 3).flip(1)
SEGMENT = DrivenSegment(IMAGE, VIDEO, FRAMES)


def shown(
    model: Model, segment: DrivenSegment, motion: str | None = None
) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        encoder = model.part("text_encoder")
        tensors = {
            **encode_driving_video(model.part("vae"), prompt, segment),
            **embed_character(encoder, segment),
            **motion_embeddings(prompt, model.encode(motion), encoder),
        }
        return with_tensors(prompt, tensors)

    return change


class Adapted:
    """The attention here, with keys and values as the pipeline stores them."""

    def __init__(self, attention: Callable[..., Tensor]) -> None:
        self._attention = attention

    def __call__(self, attn: Any, states: Tensor, *, kv_cache: Any, **call: Any) -> Tensor:
        if call["kv_cache_mode"] == "cached":
            keys = LayerKeys(on_host=False)
            keys.store(*kv_cache.get())
            kv_cache = ScaledKeys(keys, None, None)
        return self._attention(attn, states, kv_cache=kv_cache, **call)


@contextmanager
def same_attention(pipeline: ModularPipeline) -> Iterator[None]:
    """Inside, a pipeline's attention is the one here."""
    network = pipeline.inner.transformer
    masks, own = network.block_masks, [block.self_attn.processor for block in network.blocks]
    set_attention(network)
    for block in network.blocks:
        block.self_attn.set_processor(Adapted(block.self_attn.processor))
    try:
        yield
    finally:
        network.block_masks = masks
        for block, processor in zip(network.blocks, own, strict=True):
            block.self_attn.set_processor(processor)


def by_stock(
    pipeline: ModularPipeline,
    segment: DrivenSegment,
    *,
    cfg: float,
    steps: int = 2,
    seed: int = SEED,
    prompt: str = PROMPT,
    **options: Any,
) -> Made:
    """Latents as the VAE decodes them, one segment after the other, and the video."""
    parts, decoded = pipeline.inner, []
    parts.update_components(guider=d.ClassifierFreeGuidance(guidance_scale=cfg))
    decode = parts.vae.decode

    def recorded(latents: Tensor, **call: Any) -> Any:
        decoded.append(latents.clone())
        return decode(latents, **call)

    parts.vae.decode = recorded
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = parts(
                image=to_pil(segment.image),
                driving_video=[to_pil(frame[None]) for frame in segment.video],
                prompt=prompt,
                height=segment.image.shape[1],
                width=segment.image.shape[2],
                segment_frame_length=segment.frames,
                prev_segment_conditioning_frames=segment.overlap,
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(seed),
                output_type="pt",
                **options,
            )
    finally:
        parts.vae.decode = decode
    video: Tensor = state.get("videos")
    return Made(torch.cat(decoded, 2), lambda: video)


def raw(pipeline: ModularPipeline, latents: Tensor) -> Tensor:
    """Latents as the VAE takes them."""
    config = pipeline.inner.vae.config
    mean, std = (
        torch.tensor(item).view(1, -1, 1, 1, 1)
        for item in (config.latents_mean, config.latents_std)
    )
    return latents / (1.0 / std) + mean


def make(model: Model, segment: DrivenSegment, motion: str | None = None, **options: Any) -> Made:
    _, height, width, _ = segment.image.shape
    change = shown(model, segment, motion)
    return model.make(width, height, frames=segment.frames, change=change, **options)


@pytest.mark.parametrize(
    ("cfg", "negative", "prompt"),
    [
        pytest.param(3.0, NEGATIVE, PROMPT, id="cfg"),
        pytest.param(1.0, None, PROMPT, id="distilled", marks=pytest.mark.slow),
        pytest.param(7.3, None, LONG, id="long", marks=pytest.mark.slow),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf, cfg: float, negative: str | None, prompt: str
) -> None:
    pipeline, model = model_of(wan_animate_2)
    found = make(model, SEGMENT, cfg=cfg, negative=negative, prompt=prompt)
    with same_attention(pipeline):
        expected = by_stock(pipeline, SEGMENT, cfg=cfg, negative_prompt=negative, prompt=prompt)
    assert expected.latents.std() > 1e-4
    assert torch.equal(raw(pipeline, found.latents), expected.latents)
    assert torch.equal(found.pixels, expected.pixels)


@pytest.mark.slow
def test_a_guidance_of_zero_is_none(model_of: ModelOf) -> None:
    """At 1 or below the negative prompt is not evaluated; the pipeline's guider takes it at 0."""
    _, model = model_of(wan_animate_2)
    found, expected = (make(model, SEGMENT, cfg=cfg, negative=NEGATIVE) for cfg in (0.0, 1.0))
    assert torch.equal(found.latents, expected.latents)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "frames"), [(80, 48, 5), (48, 112, 13)])
def test_other_sizes_and_batches_are_diffusers(
    model_of: ModelOf, width: int, height: int, frames: int
) -> None:
    """The pipeline makes one video at a time."""
    pipeline, model = model_of(wan_animate_2)
    video = bytes_like(frames, height, width, 3)
    segment = DrivenSegment(video[-1:], video, frames)
    found = make(model, segment, cfg=3.0, negative=NEGATIVE, batch=3)
    for item in range(3):
        with same_attention(pipeline):
            expected = by_stock(
                pipeline, segment, cfg=3.0, negative_prompt=NEGATIVE, seed=SEED + item
            )
        own = raw(pipeline, found.latents[item : item + 1])
        assert torch.equal(own, expected.latents), item


@pytest.mark.slow
def test_a_prompt_about_the_motion_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(wan_animate_2)
    found = make(model, SEGMENT, motion="a dance", cfg=1.0)
    with same_attention(pipeline):
        expected = by_stock(pipeline, SEGMENT, cfg=1.0, prompt_ref="a dance")
    assert torch.equal(raw(pipeline, found.latents), expected.latents)
    usual = make(model, SEGMENT, cfg=1.0)
    assert not torch.equal(found.latents, usual.latents)


@pytest.mark.slow
def test_dpm_solver_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(wan_animate_2)
    own = pipeline.scheduler
    pipeline.inner.update_components(
        scheduler=d.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        )
    )
    loaded = model.part("model")
    config = {"_class_name": "DPMSolverMultistepScheduler", **pipeline.scheduler.config}
    scheduled = replace(loaded, scheduler_config=config)
    other = Model(model.folder, loaded={**model.loaded, "model": scheduled})
    try:
        options = {"cfg": 3.0, "negative": NEGATIVE, "steps": 4, "sampler": "dpmpp_2m"}
        found = make(other, SEGMENT, **options)
        with same_attention(pipeline):
            expected = by_stock(pipeline, SEGMENT, cfg=3.0, negative_prompt=NEGATIVE, steps=4)
    finally:
        pipeline.inner.update_components(scheduler=own)
    assert torch.equal(raw(pipeline, found.latents), expected.latents)


@pytest.mark.slow
def test_the_attention_of_diffusers_differs_by_rounding(model_of: ModelOf) -> None:
    """That of its own class, which compiles a mask."""
    pipeline, model = model_of(wan_animate_2)
    found = make(model, SEGMENT, cfg=3.0, negative=NEGATIVE)
    expected = by_stock(pipeline, SEGMENT, cfg=3.0, negative_prompt=NEGATIVE)
    assert torch.allclose(raw(pipeline, found.latents), expected.latents, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    """With a VAE in float32, as published."""
    stock_pipeline, model = model_of(wan_animate_2)
    pipeline = ModularPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.inner.update_components(vae=stock_pipeline.inner.vae)
    half = Model(model.folder, "bfloat16")
    coarse = Model(model.folder, "bfloat16", {**half.loaded, "vae": model.part("vae")})
    found = make(coarse, SEGMENT, cfg=3.0, negative=NEGATIVE)
    with same_attention(pipeline):
        expected = by_stock(pipeline, SEGMENT, cfg=3.0, negative_prompt=NEGATIVE)
    assert torch.equal(raw(pipeline, found.latents), expected.latents)


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [1, 5])
def test_segments_are_those_of_diffusers(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, overlap: int
) -> None:
    """A video of two segments, the second of which is cut short."""
    pipeline, model = model_of(wan_animate_2)
    home = importlib.import_module("diffusers.modular_pipelines.wan_animate_2.denoise")

    def drawn(shape: Any, **_: Any) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))

    monkeypatch.setattr(home, "randn_tensor", drawn)
    frames = 9
    count = 2 * frames - overlap - 2
    whole = DrivenSegment(IMAGE, bytes_like(count, HEIGHT, WIDTH, 3), frames, overlap=overlap)
    first = make(model, whole, cfg=1.0)
    previous = first.pixels[0].movedim(1, -1)
    later = replace(whole, previous=previous, start=frames - overlap)
    second = make(model, later, cfg=1.0)
    found = torch.cat([first.pixels, second.pixels[:, overlap:]], 1)[:, :count]
    with same_attention(pipeline):
        expected = by_stock(pipeline, whole, cfg=1.0).pixels
    assert found.shape == expected.shape
    assert torch.equal(found[:, :frames], expected[:, :frames])
    assert torch.allclose(found, expected, atol=1e-3)


def test_a_short_video_runs_backwards_from_its_last_frame(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate_2)
    prompt, coder = model.encode(PROMPT), model.part("vae")
    assert prompt is not None
    short = replace(SEGMENT, video=VIDEO[:4])
    whole = replace(SEGMENT, video=VIDEO[[0, 1, 2, 3, 3, 2, 1, 0, 0]])
    found, expected = (encode_driving_video(coder, prompt, each) for each in (short, whole))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], item) for name, item in expected.items())


class Layer(torch.nn.Module):
    """Self-attention of the network, of random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = network(num_layers=1).blocks[0].self_attn.requires_grad_(False)


@pytest.mark.parametrize(("motion", "image"), [(None, None), (2.0, None), (0.5, 3.0)])
def test_a_frame_attends_to_its_frame_of_the_video(
    motion: float | None, image: float | None
) -> None:
    """By one mask over all tokens, as the model is described."""
    attn, generator = Layer().inner, torch.Generator().manual_seed(1)
    frames, rows, columns, width = 4, 2, 3, 32
    tokens = rows * columns
    states = torch.randn(1, frames * tokens, width, generator=generator)
    stored = torch.randn(2, 1, (frames - 1) * tokens, 2, 16, generator=generator)
    table = rope_params(64, 8), rope_params(64, 4), rope_params(64, 4)
    turned = torch.cat(table, 1)
    grids = [torch.tensor([[count, rows, columns]]) for count in (frames, frames - 1)]
    keys = LayerKeys(on_host=False)
    keys.store(*stored)
    strengths = [None if each is None else torch.tensor([each]) for each in (motion, image)]
    found = FrameAlignedAttention(attn.processor)(
        attn,
        states,
        rotary_emb=turned,
        grid_sizes=grids[0],
        kv_cache=ScaledKeys(keys, *strengths),
        kv_cache_mode="cached",
        rope_stride=1,
        reference_rotary_emb=turned,
        reference_grid_sizes=grids[1],
        reference_rope_stride=1,
    )
    query, key, value = (
        layer(states).unflatten(2, (2, -1))
        for layer in (
            lambda each: attn.norm_q(attn.to_q(each)),
            lambda each: attn.norm_k(attn.to_k(each)),
            attn.to_v,
        )
    )
    query, key = (rope_apply(each, grids[0], turned) for each in (query, key))
    value[:, :tokens] *= 1.0 if image is None else image
    key = torch.cat([key, rope_apply(stored[0], grids[1], turned)], 1)
    value = torch.cat([value, stored[1] * (1.0 if motion is None else motion)], 1)
    asked = torch.arange(frames * tokens) // tokens
    seen = torch.arange((frames - 1) * tokens) // tokens + 1
    mask = torch.cat(
        [torch.ones(len(asked), len(asked), dtype=torch.bool), asked[:, None] == seen[None]], 1
    )
    heads = [each.transpose(1, 2) for each in (query, key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask)
    expected = attn.to_out[0](expected.transpose(1, 2).flatten(2, 3))
    torch.testing.assert_close(found, expected)


def test_the_driving_video_is_read_once_in_a_sampling(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all steps and both sides. Nothing of it stays after the sampling."""
    _, model = model_of(wan_animate_2)
    reads: list[ReferenceKeys] = []
    read = attention.reference_keys

    def counted(*call: Any) -> ReferenceKeys:
        reads.append(read(*call))
        return reads[-1]

    monkeypatch.setattr(attention, "reference_keys", counted)
    found = make(model, SEGMENT, cfg=3.0, negative=NEGATIVE, steps=2)
    (keys,) = reads
    held = weakref.ref(keys)
    reads.clear()
    del keys
    gc.collect()
    assert held() is None
    # Kept in the host's memory, as where an accelerator has too little, they are the same.
    monkeypatch.setattr(attention, "_fits", lambda *_: False)
    again = make(model, SEGMENT, cfg=3.0, negative=NEGATIVE, steps=2)
    assert torch.equal(found.latents, again.latents)


@pytest.mark.slow
def test_strengths_change_the_video(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate_2)
    usual = make(model, SEGMENT, cfg=1.0).latents
    for name in ("motion_strength", "character_strength"):
        assert torch.equal(make(model, replace(SEGMENT, **{name: 1.0}), cfg=1.0).latents, usual)
        changed = make(model, replace(SEGMENT, **{name: 0.0}), cfg=1.0).latents
        assert torch.isfinite(changed).all()
        assert not torch.allclose(changed, usual, atol=1e-3)


@pytest.mark.slow
def test_the_prompt_itself_stands_for_one_about_the_motion(model_of: ModelOf) -> None:
    """As in ComfyUI, where no encoder is at hand."""
    _, model = model_of(wan_animate_2)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    (found,) = motion_embeddings(prompt, None, None).values()
    assert torch.equal(found, prompt.entries[0].embeddings)
    (own,) = motion_embeddings(prompt, None, model.part("text_encoder")).values()
    assert not torch.equal(found, own)


def test_prompts_are_read_as_they_are_written(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate_2)
    text = "a &amp; b"
    (entry,) = model.encode(text).entries  # type: ignore[union-attr]
    (plain,) = model.encode("a & b").entries  # type: ignore[union-attr]
    assert not torch.equal(entry.embeddings, plain.embeddings)


def test_a_model_without_its_video_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate_2)
    _, other = model_of(wan_i2v)
    options: dict[str, Any] = {"frames": FRAMES, "cfg": 1.0}
    with pytest.raises(InvalidValue, match="Wan Animate 2, and the conditioning has no driving"):
        model.make(WIDTH, HEIGHT, **options)
    with pytest.raises(InvalidValue, match=r"not Wan Animate 2, and .*family wan-animate-2"):
        other.make(WIDTH, HEIGHT, change=shown(other, SEGMENT), **options)
    with pytest.raises(InvalidValue, match=r"driving video was encoded for .* another size"):
        model.make(WIDTH, HEIGHT, change=shown(model, SEGMENT), frames=13, cfg=1.0)

    def without_eye(prompt: Conditioning) -> Conditioning:
        tensors = encode_driving_video(model.part("vae"), prompt, SEGMENT)
        return with_tensors(prompt, tensors | motion_embeddings(prompt, None, None))

    with pytest.raises(InvalidValue, match="what an image encoder sees"):
        model.make(WIDTH, HEIGHT, change=without_eye, **options)

    def with_pose(prompt: Conditioning) -> Conditioning:
        return with_tensors(shown(model, SEGMENT)(prompt), {POSE_LATENTS: torch.zeros(1)})

    with pytest.raises(InvalidValue, match="one DrivingVideoConditioning"):
        model.make(WIDTH, HEIGHT, change=with_pose, **options)


@pytest.mark.parametrize(
    ("changes", "port"),
    [
        ({"image": bytes_like(2, HEIGHT, WIDTH, 3)}, "image"),
        ({"video": bytes_like(FRAMES, 64, WIDTH, 3)}, "video"),
        ({"previous": VIDEO[:, :32]}, "previous"),
        ({"previous": VIDEO[:3], "overlap": 5}, "overlap"),
        ({"frames": 8}, "frames"),
    ],
    ids=lambda item: "" if isinstance(item, dict) else item,
)
def test_videos_that_do_not_fit_are_refused(
    model_of: ModelOf, changes: dict[str, Any], port: str
) -> None:
    _, model = model_of(wan_animate_2)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port=port):
        encode_driving_video(model.part("vae"), prompt, replace(SEGMENT, **changes))


def test_a_motion_prompt_of_another_family_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate_2)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port="motion", given="flux"):
        motion_embeddings(prompt, replace(prompt, family="flux"), None)


@pytest.mark.parametrize(
    ("writer", "metadata", "family", "found"),
    [
        ("wan-animate-2", {}, "auto", "wan-animate-2"),
        ("wan-animate-2-comfyui", NAMED, "auto", "wan-animate-2"),
        ("wan-animate-2-comfyui", {}, "wan-animate-2", "wan-animate-2"),
        # The tensors are those of Wan's image-to-video model.
        ("wan-animate-2-comfyui", {}, "auto", "wan"),
        ("wan-animate-2-comfyui", {"config": "[1"}, "auto", "wan"),
        ("wan-animate-2-comfyui", NAMED, "wan", "wan"),
    ],
)
def test_published_files_are_told_apart(
    tmp_path: Path, writer: str, metadata: dict[str, str], family: str, found: str
) -> None:
    own = SMALL[writer].build()
    path = tmp_path / "model.safetensors"
    save_file(WRITERS[writer](own.state_dict()), path, metadata=metadata)
    recipe = open_denoiser(DenoiserRequest(str(path), family=family), [])
    assert recipe.family == found
    if found == "wan":
        return
    loaded = load_component(recipe, "cpu")
    tensors = loaded.modules["transformer"].state_dict()
    assert tensors.keys() == own.state_dict().keys()
    assert all(torch.equal(tensors[name], item) for name, item in own.state_dict().items())
    assert loaded.scheduler_config["shift"] == 5.0
