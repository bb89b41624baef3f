"""LTX-2 gives what diffusers' pipelines give, to the last bit: the video and its sound."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Audio, Latent
from nodegraph.diffusion import decode_video, load_component, sample
from nodegraph.errors import InvalidValue
from nodegraph.families.base import RATE
from nodegraph.families.identification import identify_tensors
from nodegraph.families.ltx2 import LTX2, empty_sound, log_mel
from nodegraph.families.model_step import SoundLayout
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.models.vae import decode_sound, encode_sound
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.latent_noise import draw_sampling_noise
from nodegraph.sampling.latents.combination import (
    join_latents,
    split_sound,
    take_items,
    with_noise_mask,
    with_sound,
)
from nodegraph.sampling.sampling_parts import SamplingNoise, build_sampling_parts
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, picture
from .image_to_image import as_tensor
from .parts import dynamic_flow
from .video_models import ltx
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]
Pictured = tuple[Tensor, Tensor]
"""A video and its sound."""

LAYOUT = SoundLayout(2, 9, 8, 16)

PLAIN = {
    f"{modality}{name}": value
    for modality in ("", "audio_")
    for name, value in (("stg_scale", 0.0), ("modality_scale", 1.0), ("guidance_rescale", 0.0))
}
"""Options of the pipelines: classifier-free guidance alone."""

_WIDTH = 16


def gemma3_text(words: Any, layers: int = 2) -> Any:
    eyes = tf.SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
    )
    text = tf.Gemma3TextConfig(
        vocab_size=len(words),
        hidden_size=_WIDTH,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=4096,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
    )
    config = tf.Gemma3Config(text_config=text, vision_config=eyes, mm_tokens_per_image=4)
    return tf.Gemma3ForConditionalGeneration(config)


def transformer(heads: int = 2, **more: Any) -> Any:
    return d.LTX2VideoTransformer3DModel(
        num_attention_heads=heads,
        attention_head_dim=16,
        cross_attention_dim=heads * 16,
        audio_num_attention_heads=heads,
        audio_attention_head_dim=8,
        audio_cross_attention_dim=heads * 8,
        num_layers=2,
        caption_channels=_WIDTH,
        rope_type="split",
        **more,
    )


def connectors(layers: int = 2, **more: Any) -> Any:
    usual = {
        "video_connector_num_attention_heads": 2,
        "video_connector_attention_head_dim": 8,
        "video_connector_num_layers": 1,
        "audio_connector_num_attention_heads": 2,
        "audio_connector_attention_head_dim": 8,
        "audio_connector_num_layers": 1,
    }
    return LTX2TextConnectors(
        caption_channels=_WIDTH,
        text_proj_in_factor=layers + 1,
        rope_double_precision=False,
        rope_type="split",
        **{**usual, **more},
    )


def video_vae() -> Any:
    vae = d.AutoencoderKLLTX2Video(
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 4,
        upsample_factor=(1, 1, 1),
        upsample_residual=(False,) * 3,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    vae.latents_mean.normal_(0, 0.1)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def sound_vae() -> Any:
    # its statistics have as many entries as the network has base channels
    vae = d.AutoencoderKLLTX2Audio(base_channels=128, ch_mult=(1, 1, 1), num_res_blocks=1)
    vae.latents_mean.normal_(0, 0.1)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def vocoder() -> Any:
    return LTX2Vocoder(
        hidden_channels=32,
        upsample_kernel_sizes=[32, 32],
        upsample_factors=[16, 16],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1]],
    )


def _pipeline(kind: Any) -> Any:
    words = gemma_words()
    scheduler = dynamic_flow(
        shift=1.0, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
    )
    return kind(
        scheduler=scheduler,
        vae=video_vae(),
        audio_vae=sound_vae(),
        text_encoder=gemma3_text(words),
        tokenizer=words,
        connectors=connectors(),
        transformer=transformer(),
        vocoder=vocoder(),
    )


def ltx2() -> Any:
    return _pipeline(d.LTX2Pipeline)


def ltx2_i2v() -> Any:
    return _pipeline(d.LTX2ImageToVideoPipeline)


def sampled(model: Model, width: int, height: int, frames: int, **options: Any) -> Latent:
    """A video with sound by nodegraph."""
    batch, rate = options.pop("batch", 1), options.pop("rate", None)
    negative = model.encode(options.pop("negative", None))
    positive = model.encode(PROMPT)
    assert positive is not None
    positive = options.pop("change", lambda given: given)(positive)
    if rate is not None:
        positive = with_tensors(positive, {RATE: torch.tensor([[rate, 1]])})
    start = options.pop("latent", None) or Latent(None, width, height, batch, frames=frames)
    usual = {"seed": SEED, "steps": 2, "sampler": "euler", "schedule": "normal"}
    return sample(model.part("model"), positive, negative, start, **{**usual, **options})


def stock(
    pipeline: Any,
    width: int,
    height: int,
    frames: int,
    *,
    cfg: float,
    kind: str = "latent",
    batch: int = 1,
    negative: str | None = None,
    rate: float = 24,
    **options: Any,
) -> Pictured:
    """The same by the stock pipeline, with a generator for each video."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pipeline(
            prompt=PROMPT,
            negative_prompt=negative,
            width=width,
            height=height,
            num_frames=frames,
            frame_rate=rate,
            num_inference_steps=2,
            guidance_scale=cfg,
            audio_guidance_scale=cfg,
            num_videos_per_prompt=batch,
            generator=generators,
            output_type=kind,
            **PLAIN,
            **options,
        )
    return torch.as_tensor(made.frames), made.audio


def unscaled(pipeline: Any, latent: Latent) -> Pictured:
    """A latent as the pipelines return it: as the autoencoders take it."""
    assert latent.samples is not None
    assert latent.sound is not None
    mean, deviation = (
        item.view(1, -1, 1, 1, 1) for item in (pipeline.vae.latents_mean, pipeline.vae.latents_std)
    )
    heard = [
        item.view(1, 8, 1, 16)
        for item in (pipeline.audio_vae.latents_mean, pipeline.audio_vae.latents_std)
    ]
    return latent.samples * deviation + mean, latent.sound * heard[1] + heard[0]


def assert_equal(found: Pictured, expected: Pictured) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.std() > 1e-4
        assert torch.equal(ours, theirs), (ours - theirs).abs().max()


def test_videos_with_sound_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2)
    for width, frames, options in (
        (64, 9, {"cfg": 3.0}),
        (96, 17, {"cfg": 4.0, "negative": NEGATIVE, "batch": 2}),
        (64, 9, {"cfg": 1.0}),
    ):
        latent = sampled(model, width, 64, frames, **options)
        assert_equal(unscaled(pipeline, latent), stock(pipeline, width, 64, frames, **options))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cfg", "batch", "negative"),
    [(7.3, 3, NEGATIVE), (7.3, 1, None), (0.0, 1, NEGATIVE), (1.0, 3, NEGATIVE)],
)
@pytest.mark.parametrize("width", [96, 160])
def test_any_guidance_is_that_of_diffusers(
    model_of: ModelOf, width: int, cfg: float, batch: int, negative: str | None
) -> None:
    pipeline, model = model_of(ltx2)
    options: dict[str, Any] = {"cfg": cfg, "batch": batch, "negative": negative}
    latent = sampled(model, width, 96, 17, **options)
    assert_equal(unscaled(pipeline, latent), stock(pipeline, width, 96, 17, **options))


def test_the_rate_sets_the_length_of_the_sound(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2)
    latent = sampled(model, 64, 64, 9, cfg=1.0, rate=12)
    assert latent.sound is not None
    assert latent.sound.shape == (1, 8, 19, 16)
    assert_equal(unscaled(pipeline, latent), stock(pipeline, 64, 64, 9, cfg=1.0, rate=12))


def test_sound_and_video_are_decoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2)
    latent = sampled(model, 64, 64, 9, cfg=3.0)
    video, sound = stock(pipeline, 64, 64, 9, cfg=3.0, kind="pt")
    vae = model.part("vae")
    audio = decode_sound(vae, latent)
    assert audio.rate == 24_000
    assert_equal(
        (decode_video(vae, latent).movedim(-1, 1)[None], audio.waveform[None]), (video, sound)
    )


@pytest.mark.parametrize(
    "cases",
    [
        ((96, 17, {"cfg": 4.0, "negative": NEGATIVE}), (64, 9, {"cfg": 1.0})),
        pytest.param(
            (
                (160, 17, {"cfg": 7.3, "negative": NEGATIVE}),
                (96, 9, {"cfg": 0.0, "negative": NEGATIVE}),
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_videos_of_a_first_image_are_those_of_diffusers(model_of: ModelOf, cases: Any) -> None:
    pipeline, model = model_of(ltx2_i2v)
    for width, frames, options in cases:
        image = picture(width, 64)
        seen = as_tensor(image)
        shown = lambda given: with_tensors(  # noqa: E731
            given,
            encode_first_frame(model.part("vae"), given, seen, frames),  # noqa: B023
        )
        latent = sampled(model, width, 64, frames, change=shown, **options)
        # By default, the pipeline compresses the image as a frame of a video first.
        expected = stock(pipeline, width, 64, frames, image=image, image_crf=0, **options)
        assert_equal(unscaled(pipeline, latent), expected)


def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    pipeline = d.LTX2Pipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    latent = sampled(Model(model.folder, "bfloat16"), 64, 64, 9, cfg=3.0)
    assert_equal(unscaled(pipeline, latent), stock(pipeline, 64, 64, 9, cfg=3.0))


def test_other_samplers_walk_video_and_sound(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    for sampler in ("dpmpp_2m", "euler_ancestral", "heun", "uni_pc"):
        latent = sampled(model, 64, 64, 9, cfg=3.0, steps=3, sampler=sampler)
        assert latent.samples is not None
        assert latent.sound is not None
        assert latent.samples.std() > 0.1
        assert latent.sound.std() > 0.1


def test_a_sampling_in_two_parts_is_the_whole(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    positive = model.encode(PROMPT)
    assert positive is not None
    latent, halves = Latent(None, 64, 64, frames=9), (0, 2, 4)
    expected = sampled(model, 64, 64, 9, cfg=1.0, steps=4)
    parts = build_sampling_parts(
        positive, None, seed=SEED, steps=4, cfg=1.0, sampler="euler", schedule="normal"
    )
    for start, end in pairwise(halves):
        schedule = parts.schedule.part(start, end)
        noise = replace(parts.noise, added=start == 0)
        part = Denoising(
            model.part("model"), latent, replace(parts, schedule=schedule, noise=noise)
        )
        shown = [part.denoised(info) for info in part]
        latent = part.result()
        assert shown[-1].sound is not None
    assert latent.samples is not None
    assert torch.equal(latent.samples, expected.samples)
    assert torch.equal(latent.sound, expected.sound)


def test_a_latent_keeps_the_length_of_its_sound(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    start = with_sound(Latent(None, 64, 64, 1, frames=9), empty_sound(33, 24.0, 1))
    latent = sampled(model, 64, 64, 9, cfg=1.0, latent=start)
    assert latent.sound is not None
    assert latent.sound.shape == (1, 8, 34, 16)


def test_sound_starts_from_the_sound_of_the_latent(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    start = sampled(model, 64, 64, 9, cfg=1.0)
    assert start.sound is not None
    near, far = (
        sampled(model, 64, 64, 9, cfg=1.0, latent=start, denoise=share, seed=1, steps=8).sound
        for share in (0.25, 1.0)
    )
    assert near is not None
    assert far is not None
    assert (near - start.sound).abs().mean() < (far - start.sound).abs().mean()


def test_a_mask_keeps_the_picture_and_not_the_sound(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    start = sampled(model, 64, 64, 9, cfg=1.0)
    mask = torch.zeros(1, 64, 64)
    mask[..., 32:] = 1
    latent = sampled(model, 64, 64, 9, cfg=1.0, latent=replace(start, noise_mask=mask), seed=1)
    assert latent.samples is not None
    assert start.samples is not None
    assert torch.equal(latent.samples[..., :1], start.samples[..., :1])
    assert not torch.equal(latent.samples[..., 1:], start.samples[..., 1:])
    assert latent.sound is not None
    assert start.sound is not None
    assert not torch.isclose(latent.sound, start.sound).any(dim=(1, 3)).all()


def masked_sound(sound: Tensor, mask: Tensor, width: int = 64) -> Latent:
    """An empty video with a sound of which a mask keeps a part, as the nodes make it."""
    alone = Latent(None, 0, 0, len(sound), format="ltx2", sound=sound)
    return with_sound(Latent(None, width, 64, len(sound), frames=9), with_noise_mask(alone, mask))


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_a_video_of_sound_is_that_of_diffusers_network(model_of: ModelOf, cfg: float) -> None:
    """No pipeline keeps the sound: here, its network sees the sound without noise in each step,
    with a timestep of 0 for its tokens."""
    pipeline, model = model_of(ltx2)
    sound = sampled(model, 64, 64, 9, cfg=1.0, seed=3).sound
    assert sound is not None
    latent = sampled(
        model, 96, 64, 9, cfg=cfg, latent=masked_sound(sound, torch.zeros(1, 64, 96), 96)
    )
    tokens, network = sound.transpose(1, 2).flatten(2), pipeline.transformer
    evaluate = network.forward

    def heard(**inputs: Any) -> Any:
        timestep = torch.zeros(len(inputs["audio_hidden_states"]), tokens.shape[1])
        inputs["audio_hidden_states"] = tokens.expand(len(timestep), -1, -1)
        return evaluate(**{**inputs, "audio_timestep": timestep})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "forward", heard)
        video, _ = stock(pipeline, 96, 64, 9, cfg=cfg)
    found, _ = unscaled(pipeline, latent)
    assert torch.equal(found, video), (found - video).abs().max()
    assert torch.equal(latent.sound, sound)
    assert not torch.equal(video, stock(pipeline, 96, 64, 9, cfg=cfg)[0])


@pytest.mark.parametrize("convention", ["diffusers", "comfyui"])
def test_a_mask_keeps_a_part_of_the_sound_in_time(model_of: ModelOf, convention: str) -> None:
    _, model = model_of(ltx2)
    sound = torch.cat([sampled(model, 64, 64, 9, cfg=1.0, seed=seed).sound for seed in (3, 4)])
    mask = torch.ones(1, 64, 64)
    mask[:, :32] = 0
    latent = sampled(
        model, 64, 64, 9, cfg=1.0, latent=masked_sound(sound, mask), convention=convention
    )
    half = sound.shape[2] // 2
    assert latent.sound is not None
    assert torch.equal(latent.sound[:, :, :half], sound[:, :, :half])
    assert not torch.isclose(latent.sound[:, :, half + 1 :], sound[:, :, half + 1 :]).all()
    video, alone = split_sound(latent)
    assert video.sound_mask is None
    assert torch.equal(with_sound(video, alone).sound_mask, latent.sound_mask)
    assert torch.equal(take_items(latent, 1, 1).sound, latent.sound[1:])


def test_a_sampling_that_keeps_sound_goes_on_to_the_same_bits(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    sound = sampled(model, 64, 64, 9, cfg=1.0, seed=3).sound
    assert sound is not None
    positive, start = model.encode(PROMPT), masked_sound(sound, torch.zeros(1, 64, 64))
    assert positive is not None

    def sampling() -> Denoising:
        options = {"seed": SEED, "steps": 3, "cfg": 1.0, "sampler": "euler", "schedule": "normal"}
        return Denoising.named(model.part("model"), positive, None, start, **options)

    first, second, whole = sampling(), sampling(), sampling()
    first.advance()
    second.restore(first.state())
    for each in (second, whole):
        list(each)
    assert torch.equal(second.result().samples, whole.result().samples)
    assert torch.equal(second.result().sound, sound)


def test_noise_per_batch_is_drawn_for_the_video_and_then_the_sound() -> None:
    noise = draw_sampling_noise(
        SamplingNoise(SEED, draw="per batch"),
        Latent(None, 64, 64, 2, frames=9),
        LAYOUT.joined_shape((2, 128, 2, 2, 2)),
        LAYOUT,
    )
    generator = torch.Generator().manual_seed(SEED)
    expected = [torch.randn(2, 128, 2, 2, 2, generator=generator)]
    expected.append(torch.randn(2, 8, 9, 16, generator=generator))
    for part, wanted in zip(LAYOUT.split(noise.first), expected, strict=True):
        assert torch.equal(part, wanted)


def test_sound_is_encoded_as_mel_bands_of_a_tone(model_of: ModelOf) -> None:
    """The bands' frequencies are Slaney's: linear below 1 kHz, logarithmic above."""
    pipeline, model = model_of(ltx2)
    time = torch.arange(16_000) / 16_000
    tone = 0.5 * torch.sin(2 * math.pi * 1000 * time)
    latent = encode_sound(model.part("vae"), Audio(tone[None], 16_000))
    mel = log_mel(pipeline.audio_vae.config, tone.expand(1, 2, -1))
    assert mel.shape == (1, 2, 101, 64)
    # 0 to 8 kHz are 45.2 mels of 200 / 3 Hz; 1 kHz is the 15th, between bands 20 and 22 of 64.
    assert int(mel[0, 0, 50].argmax()) in (20, 21)
    with torch.no_grad():
        mode = pipeline.audio_vae.encode(mel).latent_dist.mode()
    assert latent.sound is not None
    wanted = replace(latent, samples=torch.zeros(1, 128, 1, 1, 1))
    torch.testing.assert_close(unscaled(pipeline, wanted)[1], mode, rtol=1e-4, atol=1e-5)


def test_sound_that_is_too_short_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    with raises(InvalidValue, port="audio", given="512 samples"):
        encode_sound(model.part("vae"), Audio(torch.zeros(1, 512), 16_000))


def test_items_of_a_batch_keep_their_sound() -> None:
    sound = torch.randn(2, 8, 9, 16, generator=torch.Generator().manual_seed(1))
    whole = Latent(torch.zeros(2, 128, 2, 2, 2), 64, 64, 2, frames=9, sound=sound)
    items = [take_items(whole, index, 1) for index in range(2)]
    assert items[1].sound is not None
    assert torch.equal(items[1].sound, sound[1:])
    joined = join_latents(items).sound
    assert joined is not None
    assert torch.equal(joined, sound)
    video, alone = split_sound(whole)
    assert video.sound is None
    assert with_sound(video, alone) == whole


def test_other_models_refuse_sound(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    start = with_sound(Latent(None, 64, 64, 1, frames=9), empty_sound(9, 24.0, 1))
    with raises(InvalidValue, port="latent"):
        model.make(64, 64, latent=start, cfg=1.0)


def test_a_vae_of_pictures_has_no_sound(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    silence = replace(empty_sound(9, 24.0, 1), format=None)
    with raises(InvalidValue, port="vae"):
        decode_sound(model.part("vae"), silence)


def original(name: str) -> str:
    """The original name of a transformer's tensor."""
    block = next((part for part in name.split(".") if part.isdecimal()), "")
    for here, theirs in LTX2.denoisers[0].files[0].names.table:
        layer = here.replace("*", block)
        if name == layer or name.startswith(f"{layer}."):
            return theirs.replace("*", block) + name.removeprefix(layer)
    return name


_NEWER = {
    name: value
    for prefix in ("", "audio_")
    for name, value in ((f"{prefix}gated_attn", True), (f"{prefix}cross_attn_mod", True))
}


@pytest.mark.parametrize("options", [{}, {**_NEWER, "use_prompt_embeddings": False}])
def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    network = transformer(32, **options).eval()
    named = {original(name): item for name, item in network.state_dict().items()}
    unused = {"video_embeddings_connector.learnable_registers": torch.zeros(2, 2)}
    expected = converters.convert_ltx2_transformer_to_diffusers({**named, **unused})
    if not options:
        assert expected.keys() == network.state_dict().keys()
    prefixed = {f"model.diffusion_model.{name}": item for name, item in (named | unused).items()}
    save_file(
        {name: item.contiguous() for name, item in prefixed.items()}, tmp_path / "ltx2.safetensors"
    )
    shapes = {name: tuple(item.shape) for name, item in prefixed.items()}
    assert identify_tensors(shapes).title == "the transformer of LTX-2"
    request = DenoiserRequest(str(tmp_path / "ltx2.safetensors"))
    loaded = load_component(open_denoiser(request, []), "cpu").module
    for name, item in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], item), name
    for name in network.config.keys() - {"_use_default_values", "caption_channels"}:
        assert loaded.config[name] == network.config[name], name
