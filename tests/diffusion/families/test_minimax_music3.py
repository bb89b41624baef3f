"""MiniMax Music 3 gives what diffusers' modular pipeline gives, to the last bit.

Compared are the song of the language model, the sound of one window, and whole sounds of up to
eight seconds. Longer songs differ: the pipeline denoises window after window, and here all windows
are denoised at once; see `nodegraph.families.minimax_music3`. A test shows where they differ.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.modular_pipelines import MiniMaxMusic3Blocks
from diffusers.modular_pipelines.minimax_music3 import denoise as stock_denoise
from diffusers.modular_pipelines.minimax_music3.encoders import _clean_caption, _normalize_lyrics
from diffusers.modular_pipelines.modular_pipeline import PipelineState
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import encode_prompt, sample
from nodegraph.errors import InvalidValue
from nodegraph.families.base import SECONDS
from nodegraph.families.conditionings import zero_out
from nodegraph.families.minimax_music3 import latent_frames, song_latent_frames
from nodegraph.families.minimax_music3_song import plain_caption, plain_lyrics
from nodegraph.families.prompts import MusicPrompt
from nodegraph.models.conditioning import encode_music
from nodegraph.models.vae import decode_sound, encode_sound
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model
from .modular_pipelines import ModularPipeline
from .parts import flow
from .words import byte_characters

ModelOf = Callable[[Callable[[], Any]], Pair]

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"seed": SEED, "steps": 3, "cfg": 1.7, "sampler": "euler", "schedule": "normal"}
)
SONG = MusicPrompt("a calm cat song, piano", "[verse]\nA red cat\n[chorus]\nOh", 0.4, seed=3)
WIDTH, CODEBOOKS = 16, 8


def music_words() -> Any:
    """A tokenizer of bytes whose marks have the published numbers."""
    words = {word: at for at, word in enumerate(byte_characters())}
    marks = {
        "<|endoftext|>": 151_643,
        "<|im_start|>": 151_644,
        "<|im_end|>": 151_645,
        "<|audio_cfg|>": 151_654,
        "<|audio_start|>": 151_669,
        "<|audio_end|>": 151_670,
        "<|caption_start|>": 151_671,
        "<|caption_end|>": 151_672,
        "<|lyrics_start|>": 151_673,
        "<|lyrics_end|>": 151_674,
    }
    made = tf.Qwen2Tokenizer(
        vocab={**words, **marks},
        merges=[],
        unk_token=None,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=8192,
    )
    made.add_special_tokens({"additional_special_tokens": [*marks]})
    return made


def language_model() -> Any:
    return tf.Qwen3ForCausalLM(
        tf.Qwen3Config(
            vocab_size=151_675 + 16_384,
            hidden_size=WIDTH,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=10_240,
            tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    )


def depth_decoder() -> Any:
    return d.MiniMaxMusic3RVQDepthDecoder(
        hidden_size=WIDTH,
        num_layers=2,
        num_attention_heads=1,
        intermediate_size=24,
        audio_vocab_size=60,
    )


def condition_encoder() -> Any:
    made = d.MiniMaxMusic3ConditionEncoder(condition_hidden_dim=WIDTH, out_dim=12)
    torch.nn.init.normal_(made.layer_weight_logits)
    return made


def transformer() -> Any:
    return d.MiniMaxMusic3Transformer1DModel(
        condition_dim=12,
        num_layers=2,
        num_attention_heads=1,
        attention_head_dim=64,
        ff_inner_dim=48,
        fourier_embedding_dim=16,
    )


def vocoder() -> Any:
    with warnings.catch_warnings():
        # of a function of torch that diffusers uses
        warnings.simplefilter("ignore", FutureWarning)
        return d.MiniMaxMusic3Vocoder(decoder_input_dim=16, decoder_hidden_dim=32)


def minimax_music3() -> ModularPipeline:
    return ModularPipeline(
        MiniMaxMusic3Blocks(),
        tokenizer=music_words(),
        language_model=language_model(),
        rvq_depth_decoder=depth_decoder(),
        condition_encoder=condition_encoder(),
        transformer=transformer(),
        vocoder=vocoder(),
        scheduler=flow(num_train_timesteps=1, shift=1.0, invert_sigmas=True),
    )


def run(pipeline: Any, block: str, seed: int, cfg: float = 1.7, **values: Any) -> Any:
    """What a block of the pipeline adds to a state, with a generator of its own."""
    pipeline.inner.update_components(guider=d.ClassifierFreeGuidance(guidance_scale=cfg))
    state = PipelineState()
    values["generator"] = torch.Generator().manual_seed(seed)
    for name, value in values.items():
        state.set(name, value)
    with torch.no_grad(), warnings.catch_warnings():
        # of a name of transformers that diffusers uses
        warnings.simplefilter("ignore", FutureWarning)
        _, state = pipeline.inner.blocks.sub_blocks[block](pipeline.inner, state)
    return state


def stock_song(pipeline: Any, prompt: MusicPrompt) -> Tensor:
    state = run(
        pipeline,
        "semantic_generator",
        prompt.seed,
        prompt=prompt.tags,
        lyrics=prompt.lyrics,
        audio_duration=prompt.seconds,
    )
    return torch.as_tensor(state.get("frame_hiddens"))


def stock_sound(
    pipeline: Any, states: Tensor, *, cfg: float = 1.7, steps: int = 3, item: int = 0
) -> list[Tensor]:
    """Latents of each window."""
    options = {"frame_hiddens": states, "num_inference_steps": steps}
    state = run(pipeline, "denoise", SEED + item, cfg, **options)
    return list(state.get("latent_chunks"))


def song(model: Model, prompt: MusicPrompt = SONG) -> Conditioning:
    return encode_music(model.part("text_encoder"), prompt)


def sampled(
    model: Model, positive: Conditioning, negative: Conditioning | None = None, **options: Any
) -> Tensor:
    """Latents of the pipeline's shape, as long as the song unless another latent is given."""
    batch = options.pop("batch", 1)
    frames = latent_frames(positive.entries[0].embeddings.shape[1])
    latent = options.pop("latent", None) or Latent(None, frames, 128, batch)
    found = sample(model.part("model"), positive, negative, latent, **{**OPTIONS, **options})
    assert found.samples is not None
    return found.samples[:, 0]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-4
    assert torch.equal(found, expected), (found - expected).abs().max()


@pytest.mark.parametrize(
    "prompt",
    [
        SONG,
        pytest.param(replace(SONG, lyrics="[inst]", seconds=0.04, seed=0), marks=pytest.mark.slow),
        pytest.param(
            replace(SONG, tags="# Piano\n- **calm** " * 40, seconds=2.3), marks=pytest.mark.slow
        ),
    ],
)
def test_a_song_is_composed_as_by_diffusers(model_of: ModelOf, prompt: MusicPrompt) -> None:
    pipeline, model = model_of(minimax_music3)
    (entry,) = song(model, prompt).entries
    expected = stock_song(pipeline, prompt)
    assert expected.shape[1] == max(1, int(prompt.seconds * 25))
    assert_equal(entry.embeddings, expected)
    assert entry.tensors[SECONDS].tolist() == [[0.0, pytest.approx(expected.shape[1] / 25)]]


def test_guidance_and_choice_of_codes_change_a_song(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    plain, guided, likeliest, other = (
        song(model, replace(SONG, seconds=0.12, **changed)).entries[0].embeddings
        for changed in ({}, {"cfg": 6.0}, {"top_k": 1}, {"seed": 4})
    )
    for changed in (guided, likeliest, other):
        assert not torch.equal(plain, changed)
    again = song(model, replace(SONG, seconds=0.12, top_k=1, seed=9)).entries[0].embeddings
    assert torch.equal(again, likeliest)


@pytest.mark.parametrize(
    "caption",
    [
        "# Lo-fi\n\n\n* soft **warm** *piano*  \n---\n• 78 BPM    x",
        "<|tempo 90 BPM|> and <| mood |>\n- **a** b **c",
        "plain",
    ],
)
def test_captions_are_read_as_by_diffusers(caption: str) -> None:
    assert plain_caption(caption) == _clean_caption(caption)


@pytest.mark.parametrize(
    "lyrics",
    ["[Verse] [Soft] dropped\nla ^ lo [Chorus] oh", "  [INTRO]\nno tag", "a\n\n[b]c] d [e"],
)
def test_lyrics_are_read_as_by_diffusers(lyrics: str) -> None:
    assert plain_lyrics(lyrics) == _normalize_lyrics(lyrics)


@pytest.mark.parametrize(
    ("cfg", "steps"),
    [
        (1.7, 3),
        pytest.param(7.3, 4, marks=pytest.mark.slow),
        pytest.param(1.0, 30, marks=pytest.mark.slow),
        pytest.param(1.7, 1, marks=pytest.mark.slow),
    ],
)
def test_sound_is_that_of_diffusers(model_of: ModelOf, cfg: float, steps: int) -> None:
    """Guidance of 0 gives the sound without a prompt in diffusers, and that with it here."""
    pipeline, model = model_of(minimax_music3)
    positive = song(model)
    states = positive.entries[0].embeddings
    (expected,) = stock_sound(pipeline, states, cfg=cfg, steps=steps)
    assert_equal(sampled(model, positive, cfg=cfg, steps=steps), expected)


@pytest.mark.slow
def test_each_sound_of_a_batch_is_that_of_diffusers(model_of: ModelOf) -> None:
    """The pipeline makes one at once, and matrices of a batch have other last bits."""
    pipeline, model = model_of(minimax_music3)
    positive = song(model)
    found = sampled(model, positive, batch=3)
    for item in range(3):
        (expected,) = stock_sound(pipeline, positive.entries[0].embeddings, item=item)
        assert torch.allclose(found[item : item + 1], expected, atol=1e-5)


@pytest.mark.slow
def test_sound_of_a_whole_window_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(minimax_music3)
    positive = song(model, replace(SONG, seconds=8.0))
    (expected,) = stock_sound(pipeline, positive.entries[0].embeddings)
    assert expected.shape[-1] == 689
    assert_equal(sampled(model, positive), expected)


def test_sound_is_decoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(minimax_music3)
    latents = torch.randn(1, 128, 9, generator=torch.Generator().manual_seed(3)) * 4
    audio = decode_sound(
        model.part("vae"), Latent(latents[:, None], 9, 128, 1, format="minimax-music3")
    )
    state = run(pipeline, "decode", 0, latent_chunks=[latents], output_type="pt")
    assert audio.rate == 44_100
    assert_equal(audio.waveform[None], torch.as_tensor(state.get("audios")))


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        pipeline = ModularPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    narrow = Model(model.folder, "bfloat16")
    positive, states = song(narrow), stock_song(pipeline, SONG)
    assert_equal(positive.entries[0].embeddings, states.float())
    (expected,) = stock_sound(pipeline, states)
    assert_equal(sampled(narrow, positive), expected.float())


def test_long_songs_are_sampled_in_windows_at_once(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    width = WIDTH * CODEBOOKS
    states = torch.randn(1, 320, width, generator=torch.Generator().manual_seed(1))
    positive = song(model, replace(SONG, seconds=0.04))
    (entry,) = positive.entries
    tensors = {**entry.tensors, "embeddings": states}
    long = replace(positive, entries=(replace(entry, tensors=tensors),))
    called: list[int] = []
    network = model.part("model").module
    hook = network.register_forward_pre_hook(
        lambda _, args, more: called.append(more["hidden_states"].shape[-1]), with_kwargs=True
    )
    found = sampled(model, long, cfg=1.0, steps=1)
    hook.remove()
    assert found.shape[-1] == 1102
    assert called == [689, 689, 1102 - 2 * 344]
    first = sampled(model, long, cfg=1.0, steps=1, latent=Latent(None, 689, 128))
    assert first.shape[-1] == 689


@pytest.mark.slow
def test_long_songs_differ_from_diffusers_where_windows_overlap(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipeline has the same windows, and denoises each from its own noise to the end.

    It sets the beginning of a window to the latent of the one before. Here it gets the noise that
    is sampled, and a song of equal frames, whose condition is the same in all windows but at their
    ends. So after one step, what a single window covers is equal up to those ends. What several
    windows cover is their mean here, and the later window's output there.
    """
    pipeline, model = model_of(minimax_music3)
    frame = torch.randn(1, 1, WIDTH * CODEBOOKS, generator=torch.Generator().manual_seed(1))
    states = frame.expand(1, 320, -1).contiguous()
    positive = song(model, replace(SONG, seconds=0.04))
    (entry,) = positive.entries
    tensors = {**entry.tensors, "embeddings": states}
    long = replace(positive, entries=(replace(entry, tensors=tensors),))
    found = sampled(model, long, steps=1)
    noise = torch.randn(1, 128, 1102, generator=torch.Generator().manual_seed(SEED))
    starts = iter((0, 344, 688))

    def drawn(shape: tuple[int, ...], **_: Any) -> Tensor:
        start = next(starts)
        return noise[..., start : start + shape[-1]].clone()

    # The last window is as long as its frames, one latent frame less than is left of the song.
    monkeypatch.setattr(stock_denoise, "randn_tensor", drawn)
    chunks = stock_sound(pipeline, states, steps=1)
    assert [chunk.shape[-1] for chunk in chunks] == [689, 689, 413]
    change = (found[..., :689] - chunks[0]).abs().amax((0, 1))
    assert float(change[:344].max()) < 1e-3
    assert float(change[344:].max()) > 1e-2
    # The second window there begins with 172 frames of the first one, from its 345th on.
    assert torch.equal(chunks[1][..., :172], chunks[0][..., 345:517])


def test_zeros_stand_for_no_prompt(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    positive = song(model)
    assert_equal(sampled(model, positive, zero_out(positive)), sampled(model, positive))


def test_a_latent_may_be_longer_than_its_song(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    found = sampled(model, song(model), latent=Latent(None, 60, 128))
    assert found.shape == (1, 128, 60)
    assert found.isfinite().all()


@pytest.mark.slow
def test_a_plain_prompt_is_eight_seconds_without_words(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    (entry,) = encode_prompt(model.part("text_encoder"), "piano").entries
    assert entry.embeddings.shape == (1, 200, WIDTH * CODEBOOKS)


def test_progress_is_told_and_may_end_a_song(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    steps: list[tuple[int, int]] = []
    song(model, replace(SONG, seconds=0.12, on_step=lambda *done: steps.append(done)))
    assert steps == [(0, 3), (0, 3), (1, 3), (2, 3)]

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        song(model, replace(SONG, on_step=stop))


def test_what_does_not_fit_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(minimax_music3)
    with raises(InvalidValue, port="lyrics"):
        song(model, replace(SONG, lyrics=" "))
    with raises(InvalidValue, port="tags"):
        song(model, replace(SONG, tags=""))
    with raises(InvalidValue, port="lyrics", given="6037 tokens"):
        song(model, replace(SONG, lyrics="la " * 2000))
    with raises(InvalidValue, port="latent", given="8 x 64"):
        sampled(model, song(model), latent=Latent(None, 8, 64))
    with raises(InvalidValue, port="vae"):
        encode_sound(model.part("vae"), Audio(torch.zeros(2, 2048), 44_100))


def test_lengths_are_whole_frames_of_the_language_model() -> None:
    assert [song_latent_frames(seconds) for seconds in (0.01, 0.04, 8.0, 60.0, 999.0)] == [
        3,
        3,
        689,
        5167,
        31_007,
    ]
