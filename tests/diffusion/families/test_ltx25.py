"""LTX-2.5 gives what diffusers' pipelines give, to the last bit: the video and its sound.

`LTX2DFRPipeline` marks the tokens of the first latent frame, as ComfyUI and the published code do.
The other pipelines of diffusers do not; here their transformer gets the same mark. That pipeline
has no guidance and adds up a step in another order, so it is equal but for the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.ltx2 import pipeline_ltx2_condition as condition
from diffusers.pipelines.ltx2 import pipeline_ltx2_dfr as dfr
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import decode_video, encode_prompt, load_component, sample
from nodegraph.errors import InvalidFile
from nodegraph.families import ltx2
from nodegraph.families.file_tokenizers import gemma_tokenizer
from nodegraph.families.ltx2 import LTX2, LTX25
from nodegraph.families.ltx2_files import LATER_TRANSFORMER
from nodegraph.families.model_step import SoundLayout
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame, with_frame_guide
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae import decode_sound
from nodegraph.models.vae_files import open_vae
from nodegraph.sampling.composed_schedules import listed_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.latent_noise import draw_sampling_noise
from nodegraph.sampling.sampling_parts import SamplingNoise, build_sampling_parts
from nodegraph.weights.single_files.gemma4 import GEMMA4_12B
from tests.messages import raises

from . import test_ltx2_files as files
from .equality import NEGATIVE, PROMPT, SEED, Model, picture
from .image_to_image import as_tensor
from .parts import dynamic_flow
from .test_ltx2 import (
    ModelOf,
    assert_equal,
    connectors,
    sampled,
    sound_vae,
    stock,
    transformer,
    unscaled,
    video_vae,
    vocoder,
)
from .test_ltx2_guides import SIZE
from .test_ltx2_guides import stock as guided_stock
from .words import gemma_words

LAYERS = 6
"""Of Gemma 4: five of a window, and one of the whole prompt."""
LAST = 9
"""The frame at which the last latent frame of a video of `SIZE` begins."""
_STREAMS = ("", "audio_")


def gemma4_12b(words: Any, layers: int = LAYERS, width: int = 16) -> Any:
    text = tf.Gemma4UnifiedTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        global_head_dim=16,
        num_global_key_value_heads=1,
        attention_k_eq_v=True,
        final_logit_softcapping=30.0,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
    )
    eyes = {"patch_size": 2, "pooling_kernel_size": 2, "mm_embed_dim": 8, "mm_posemb_size": 4}
    config = tf.Gemma4UnifiedConfig(
        text_config=text,
        vision_config={**eyes, "output_proj_dims": 8},
        audio_config={"audio_embed_dim": 8},
    )
    return tf.Gemma4UnifiedForConditionalGeneration(config)


def later_transformer(heads: int = 2, **more: Any) -> Any:
    newer = {f"{stream}{name}": True for stream in _STREAMS for name in _NEWER}
    return transformer(
        heads,
        use_prompt_embeddings=False,
        ff_bias=False,
        use_keyframes_abs_pos_embedding=True,
        **newer,
        **more,
    )


_NEWER = ("gated_attn", "cross_attn_mod")


def later_connectors() -> Any:
    return connectors(
        LAYERS,
        per_modality_projections=True,
        proj_bias=True,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=16,
        video_hidden_dim=32,
        video_gated_attn=True,
        audio_hidden_dim=16,
        audio_gated_attn=True,
    )


def _pipeline(kind: Any) -> Any:
    words = gemma_words()
    return kind(
        scheduler=dynamic_flow(
            shift=1.0, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
        ),
        vae=video_vae(),
        audio_vae=sound_vae(),
        text_encoder=gemma4_12b(words),
        tokenizer=words,
        connectors=later_connectors(),
        transformer=later_transformer(),
        vocoder=vocoder(),
    )


def ltx25() -> Any:
    return _pipeline(d.LTX2Pipeline)


def ltx25_i2v() -> Any:
    return _pipeline(d.LTX2ImageToVideoPipeline)


def ltx25_static() -> Any:
    """Without what changes prompts by the time, which the architecture may lack, too."""
    pipeline = _pipeline(d.LTX2Pipeline)
    network = later_transformer(audio_ff_bias=False, use_prompt_adaln_single=False)
    pipeline.register_modules(transformer=network)
    return pipeline


@contextmanager
def marking(network: Any) -> Iterator[None]:
    """Have a transformer mark the tokens of the first latent frame."""
    forward = network.forward

    def marked(*args: Any, **options: Any) -> Any:
        tokens = options["hidden_states"].shape[1]
        mask = torch.zeros(1, tokens, 1)
        mask[:, : options["height"] * options["width"]] = 1
        return forward(*args, video_keyframes_mask=mask, **options)

    network.forward = marked
    try:
        yield
    finally:
        del network.forward


def marked_stock(pipeline: Any, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    with marking(pipeline.transformer):
        return stock(pipeline, *args, **options)


@pytest.mark.parametrize(
    ("build", "size", "options"),
    [
        (ltx25, (64, 64, 9), {"cfg": 3.0}),
        pytest.param(
            ltx25,
            (96, 64, 17),
            {"cfg": 7.3, "negative": NEGATIVE, "batch": 3},
            marks=pytest.mark.slow,
        ),
        pytest.param(ltx25, (64, 96, 1), {"cfg": 0.0}, marks=pytest.mark.slow),
        pytest.param(ltx25, (64, 64, 9), {"cfg": 1.0, "rate": 12}, marks=pytest.mark.slow),
        pytest.param(ltx25_static, (64, 64, 9), {"cfg": 3.0}, marks=pytest.mark.slow),
    ],
)
def test_videos_with_sound_are_those_of_diffusers(
    build: Callable[[], Any],
    size: tuple[int, int, int],
    options: dict[str, Any],
    model_of: ModelOf,
) -> None:
    pipeline, model = model_of(build)
    latent = sampled(model, *size, **options)
    assert_equal(unscaled(pipeline, latent), marked_stock(pipeline, *size, **options))


def test_the_first_latent_frame_is_marked(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx25)
    latent = sampled(model, 64, 64, 9, cfg=1.0)
    with pytest.raises(AssertionError):
        assert_equal(unscaled(pipeline, latent), stock(pipeline, 64, 64, 9, cfg=1.0))


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(ltx25)
    pipeline = d.LTX2Pipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    latent = sampled(Model(model.folder, "bfloat16"), 64, 64, 9, cfg=3.0)
    assert_equal(unscaled(pipeline, latent), marked_stock(pipeline, 64, 64, 9, cfg=3.0))


@pytest.mark.slow
def test_sound_and_video_are_decoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx25)
    latent = sampled(model, 64, 64, 9, cfg=3.0)
    vae = model.part("vae")
    ours = decode_video(vae, latent).movedim(-1, 1)[None], decode_sound(vae, latent).waveform[None]
    assert_equal(ours, marked_stock(pipeline, 64, 64, 9, cfg=3.0, kind="pt"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "frames", "options"),
    [(96, 17, {"cfg": 4.0, "negative": NEGATIVE}), (64, 9, {"cfg": 1.0})],
)
def test_videos_of_a_first_image_are_those_of_diffusers(
    width: int, frames: int, options: dict[str, Any], model_of: ModelOf
) -> None:
    pipeline, model = model_of(ltx25_i2v)
    image = picture(width, 64)

    def shown(prompt: Any) -> Any:
        first = encode_first_frame(model.part("vae"), prompt, as_tensor(image), frames)
        return with_tensors(prompt, first)

    latent = sampled(model, width, 64, frames, change=shown, **options)
    expected = marked_stock(pipeline, width, 64, frames, image=image, image_crf=0, **options)
    assert_equal(unscaled(pipeline, latent), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("strengths", "cfg"), [((0.7, 0.7), 1.0), ((1.0, 0.4), 3.0)])
def test_videos_between_two_images_are_those_of_diffusers(
    strengths: tuple[float, float],
    cfg: float,
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline, model = model_of(ltx25)
    latent, conditions = Latent(None, SIZE[0], SIZE[1], frames=SIZE[2]), []
    for turn, (strength, frame) in enumerate(zip(strengths, (0, LAST), strict=True)):
        shown = picture(*SIZE[:2]).rotate(90 * turn)
        latent = with_frame_guide(model.part("vae"), latent, as_tensor(shown), frame, strength)
        conditions.append(condition.LTX2VideoCondition(shown, -turn, strength, crf=0))
    with marking(pipeline.transformer):
        expected = guided_stock(
            condition,
            d.LTX2ConditionPipeline,
            pipeline.components,
            latent,
            monkeypatch,
            conditions=conditions,
            guidance_scale=cfg,
        )
    made = sampled(model, *SIZE, cfg=cfg, latent=latent)
    assert_equal(unscaled(pipeline, made), expected)


@pytest.mark.slow
@pytest.mark.parametrize("guided", [False, True])
def test_videos_are_those_of_the_pipeline_for_it(
    guided: bool, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its canvas has 24n + 1 frames. It draws the noise of all tokens at once, and so gets ours.

    Guides are of full strength: it reads the output at weaker ones by their own noise level, and
    `LTX2ConditionPipeline` by that of the video.
    """
    pipeline, model = model_of(ltx25)
    parts = {role: part for role, part in pipeline.components.items() if part is not None}
    parts["scheduler"] = d.FlowMatchEulerDiscreteScheduler()
    latent, conditions = Latent(None, 64, 64, frames=25), []
    if guided:
        for turn, frame in enumerate((0, 17)):
            shown = picture(64, 64).rotate(90 * turn)
            latent = with_frame_guide(model.part("vae"), latent, as_tensor(shown), frame, 1.0)
            conditions.append(condition.LTX2VideoCondition(shown, -turn, 1.0, crf=0))
    frames = 4 + int(guided)
    layout = SoundLayout(frames, 26, 8, 16)
    shape = layout.joined_shape((1, 128, frames, 2, 2))
    drawn = draw_sampling_noise(SamplingNoise(SEED), latent, shape, layout).first
    video, sound = layout.split(drawn)
    noise = iter([video.flatten(2).transpose(1, 2), sound.transpose(1, 2).flatten(2)])
    monkeypatch.setattr(dfr, "randn_tensor", lambda *args, **options: next(noise))
    sigmas = [1.0, 0.725]
    other = d.LTX2DFRPipeline(**parts)
    other.set_progress_bar_config(disable=True)
    with torch.no_grad():
        expected = other(
            prompt=PROMPT,
            width=64,
            height=64,
            num_frames=25,
            frame_rate=24.0,
            sigmas=sigmas,
            conditions=conditions or None,
            generate_slots=False,
            output_type="latent",
        )
    positive = model.encode(PROMPT)
    assert positive is not None
    parts_of = build_sampling_parts(
        positive, None, seed=SEED, steps=2, cfg=1.0, sampler="euler", schedule="normal"
    )
    sampling = Denoising(
        model.part("model"), latent, replace(parts_of, schedule=listed_schedule([*sigmas, 0.0]))
    )
    assert len(list(sampling)) == len(sigmas)
    made = sampling.result()
    for ours, theirs in zip(
        unscaled(pipeline, made), (expected.frames, expected.audio), strict=True
    ):
        assert theirs.std() > 1e-4
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_versions_are_told_apart() -> None:
    for config in ({"ff_bias": False}, {"use_keyframes_abs_pos_embedding": True}):
        assert LTX2.mismatch({"transformer": config}) == "LTX-2.5"
        assert LTX25.mismatch({"transformer": config}) is None
    newer = {"gated_attn": True}
    assert LTX2.mismatch({"transformer": newer}) is None
    assert LTX25.mismatch({"transformer": newer}) == "LTX-2"


# The published files


def published() -> Any:
    """The published architecture, but for its widths."""
    pipeline, words = ltx25(), gemma_words(add_bos_token=True)
    pipeline.register_modules(
        tokenizer=words,
        vae=files.video_vae(newer=True),
        text_encoder=gemma4_12b(words, files.STATES - 1, files.WIDTH),
        connectors=files.connectors(newer=True),
        transformer=files.transformer(newer=True, ff_bias=False, **_MARKS),
        vocoder=files.vocoder(newer=True),
    )
    return pipeline


_MARKS = {"use_keyframes_abs_pos_embedding": True}


def published_files(pipeline: Any) -> dict[str, dict[str, Tensor]]:
    """Tensors by the names of the files that they are published in."""
    whole = files.checkpoint(pipeline.components)
    model, projection = "model.diffusion_model.", "text_embedding_projection."
    words = pipeline.tokenizer.backend_tokenizer.to_str().encode()
    text = {
        **_gemma_file(pipeline.text_encoder),
        "tokenizer_json": torch.tensor(list(words), dtype=torch.uint8),
        "hf_asset__tokenizer_config.json": torch.zeros(2, dtype=torch.uint8),
    }
    return {
        "transformer": _beginning(whole, model),
        "text_encoder": text | _beginning(whole, projection),
        "video_vae": _beginning(whole, "vae."),
        "audio_vae": _beginning(whole, "audio_vae.", "vocoder."),
    }


def _beginning(tensors: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: item for name, item in tensors.items() if name.startswith(names)}


_COMFYUI_NAMES = (
    ("model.language_model.", "model."),
    ("model.embed_vision.multimodal_embedder.", "multi_modal_projector."),
    ("model.embed_vision.", "vision_model."),
    ("model.embed_audio.", "audio_projector."),
)


def _gemma_file(encoder: Any) -> dict[str, Tensor]:
    renamed = {}
    for name, item in encoder.state_dict().items():
        for ours, theirs in _COMFYUI_NAMES:
            if name.startswith(ours):
                renamed[theirs + name.removeprefix(ours)] = item.contiguous()
                break
    return renamed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_of: ModelOf) -> Path:
    """The published files."""
    made = tmp_path_factory.mktemp("ltx25")
    for name, tensors in published_files(model_of(published)[0]).items():
        save_file(tensors, made / f"{name}.safetensors")
    return made


def opened(folder: Path) -> dict[str, Any]:
    """The parts that the published files hold, loaded."""
    text, model, video, sound = (
        str(folder / f"{name}.safetensors")
        for name in ("text_encoder", "transformer", "video_vae", "audio_vae")
    )
    recipes = {
        "model": open_denoiser(DenoiserRequest(model), []),
        "text_encoder": open_text_encoder("ltx25", {"file": text, "file_2": model}, []),
        "video": open_vae(video, []),
        "sound": open_vae(sound, []),
    }
    return {name: load_component(recipe, "cpu") for name, recipe in recipes.items()}


@pytest.mark.slow
def test_every_tensor_of_the_published_files_comes_back(folder: Path, model_of: ModelOf) -> None:
    pipeline, parts = model_of(published)[0], opened(folder)
    for name, role in (
        ("model", "transformer"),
        ("text_encoder", "connectors"),
        ("video", "vae"),
        ("sound", "audio_vae"),
        ("sound", "vocoder"),
    ):
        files.assert_holds(parts[name], role, getattr(pipeline, role))
    text = parts["text_encoder"]
    files.assert_holds(text, "text_encoder", pipeline.text_encoder, "model.language_model.")


@pytest.mark.slow
def test_a_sampling_from_the_files_is_that_from_the_folder(
    folder: Path, model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As few tokens as the connectors take: 48 layers over 1024 take seconds.
    monkeypatch.setattr(ltx2, "_TOKENS", 128)
    parts, model = opened(folder), model_of(published)[1]
    latents = []
    for network, encoder in (
        (parts["model"], parts["text_encoder"]),
        (model.part("model"), model.part("text_encoder")),
    ):
        prompt, start = encode_prompt(encoder, PROMPT), Latent(None, 64, 64, 1, frames=9)
        options: Any = {"seed": SEED, "steps": 2, "sampler": "euler", "schedule": "normal"}
        latents.append(sample(network, prompt, None, start, cfg=1.0, **options))
    assert all(each.samples is not None and each.sound is not None for each in latents)
    results: list[Any] = [(each.samples, each.sound) for each in latents]
    assert_equal(*results)
    videos = [decode_video(vae, latents[1]) for vae in (parts["video"], model.part("vae"))]
    assert torch.equal(*videos)


def test_the_connectors_need_the_file_of_the_transformer(tmp_path: Path) -> None:
    tensors = published_files(published())["text_encoder"]
    save_file(tensors, tmp_path / "gemma4.safetensors")
    with raises(InvalidFile, port="file_2"):
        open_text_encoder("ltx25", {"file": str(tmp_path / "gemma4.safetensors")}, [])


def test_a_file_with_the_diffusion_decoder_is_named(tmp_path: Path) -> None:
    """It denoises pixels, which takes a seed; the file of the other decoder is read."""
    tensors = files._named("", files.video_vae(newer=True), files._original_vae)
    encoder = _beginning(tensors, "encoder.", "per_channel_statistics.")
    decoder = {
        "decoder.conv_in.weight": torch.zeros(32, 128),
        "decoder.conv_in_x_t.weight": torch.zeros(32, 48),
    }
    path = tmp_path / "vae.safetensors"
    save_file(encoder | decoder, path)
    with raises(InvalidFile):
        open_vae(str(path), [])
    with_prefix = {f"vae.{name}": item for name, item in (encoder | decoder).items()}
    save_file(with_prefix, path)
    with raises(InvalidFile):
        open_vae(str(path), [])


def test_the_tokenizer_in_a_file_begins_prompts(tmp_path: Path) -> None:
    words = gemma_words()
    held = torch.tensor(list(words.backend_tokenizer.to_str().encode()), dtype=torch.uint8)
    save_file({"tokenizer_json": held}, tmp_path / "words.safetensors")
    made = gemma_tokenizer(tmp_path / "words.safetensors")
    assert made("cat dog")["input_ids"] == [words.bos_token_id, *words("cat dog")["input_ids"]]


@pytest.mark.slow
def test_published_sizes_are_read_from_shapes() -> None:
    """Of the transformer and Gemma 4; the other parts are those of LTX-2.3."""
    with torch.device("meta"):
        network = d.LTX2VideoTransformer3DModel(
            rope_type="split",
            use_prompt_embeddings=False,
            ff_bias=False,
            use_keyframes_abs_pos_embedding=True,
            **{f"{stream}{name}": True for stream in _STREAMS for name in _NEWER},
        )
        text = tf.Gemma4UnifiedTextModel(
            tf.Gemma4UnifiedTextConfig(
                hidden_size=3840,
                intermediate_size=15360,
                num_hidden_layers=48,
                num_attention_heads=16,
                num_key_value_heads=8,
                num_global_key_value_heads=1,
                attention_k_eq_v=True,
                final_logit_softcapping=30.0,
            )
        )
    shapes = {name: tuple(item.shape) for name, item in network.state_dict().items()}
    config = LATER_TRANSFORMER.config(shapes)
    assert config == {name: network.config[name] for name in config}
    shapes = {f"model.{name}": tuple(item.shape) for name, item in text.state_dict().items()}
    found = tf.Gemma4UnifiedTextConfig(**GEMMA4_12B.config(shapes)).to_dict()
    assert found == text.config.to_dict()
