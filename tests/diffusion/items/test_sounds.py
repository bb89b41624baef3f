"""The model of sounds: what it is asked by, previews of it, and the audio that is made of it."""

from __future__ import annotations

import math

import pytest
import torch

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.item_family import CLASSES, NUMBERS
from nodegraph.families.items.transformer import ItemTransformer
from nodegraph.families.registry import get_family
from nodegraph.families.sounds import (
    FEATURES,
    TOKENS,
    decode_sounds,
    mels_to_tokens,
    sound_conditioning,
    tokens_to_mels,
)
from nodegraph.media.audio.mel import log_mel_spectrogram
from nodegraph.media.audio.metrics import median_pitch
from nodegraph.media.audio.sound_kinds import SOUND_KINDS, SoundRequest, parse_sound_prompt
from nodegraph.models.denoiser_files import DenoiserRequest, denoiser_facts, open_denoiser
from nodegraph.models.loading import load_component
from tests.audio.making import tone
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture
from tests.messages import raises

from .making import sampled


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Denoiser:
    """A network that knows nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sounds") / "random"
    network = ItemTransformer(
        TOKENS, FEATURES, 24, 1, classes=(20,), numbers=2, octaves=6, gives_clean=True
    )
    torch.nn.init.normal_(network.output_embedding.weight)
    network.half().save_pretrained(folder)
    assert denoiser_facts(DenoiserRequest(str(folder)), [])["family"] == "sounds"
    loaded = load_component(open_denoiser(DenoiserRequest(str(folder)), []), "cpu")
    assert isinstance(loaded, Denoiser)
    return loaded


def test_a_model_is_led_by_kind_pitch_and_length(model: Denoiser) -> None:
    def made(asked: SoundRequest) -> torch.Tensor:
        empty = Latent(None, FEATURES, TOKENS)
        return sampled(model, sound_conditioning(asked), empty, steps=2)

    free = made(SoundRequest())
    assert free.shape == (1, 1, TOKENS, FEATURES)
    for asked in (SoundRequest("harp"), SoundRequest(pitch=440), SoundRequest(seconds=0.5)):
        assert not torch.equal(made(asked), free)


def test_what_is_asked_becomes_a_class_and_numbers() -> None:
    (entry,) = sound_conditioning(SoundRequest("drum", 128)).entries
    assert entry.tensors[CLASSES].tolist() == [[1]]
    assert entry.tensors[NUMBERS][0, 0] == 7
    assert entry.tensors[NUMBERS][0, 1].isnan()


def test_tokens_are_the_frames_in_their_order() -> None:
    mels = torch.randn(3, 64, 128)
    tokens = mels_to_tokens(mels)
    assert tokens.shape == (3, TOKENS, FEATURES)
    assert torch.equal(tokens_to_mels(tokens), mels)
    assert torch.equal(tokens[:, 0, :128], mels[:, 0])


def test_a_sound_is_heard_as_it_was_put_in() -> None:
    mels = log_mel_spectrogram(tone(0.6, 16_000, pitch=523).waveform / 4)
    (audio,) = decode_sounds(mels_to_tokens(mels))
    assert (audio.rate, audio.waveform.shape) == (16_000, (1, 16_000))
    assert float(audio.waveform.abs().max()) == pytest.approx(0.9)
    assert 1200 * abs(math.log2((median_pitch(audio) or 1) / 523)) < 20
    assert float(audio.waveform[:, 11_000:].abs().max()) < 0.05


def test_sounds_of_a_batch_are_those_made_alone() -> None:
    items = torch.randn(3, TOKENS, FEATURES)
    both, alone = decode_sounds(items, rounds=2), decode_sounds(items[2:], rounds=2)
    assert torch.equal(both[2].waveform, alone[0].waveform)


def test_previews_are_spectrograms() -> None:
    pictures = get_family("sounds").latent.pictures(torch.randn(2, 1, TOKENS, FEATURES))
    assert pictures is not None
    assert pictures.shape == (2, 3, 256, 128)
    assert pictures.min() >= -1
    assert pictures.max() <= 1


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("a violin at A4, 0.5 s", SoundRequest("violin", 440, 0.5)),
        ("Bells!", SoundRequest("bell")),
        ("beeps of an alarm", SoundRequest("alarm")),
        ("guitar string, 220 Hz", SoundRequest("plucked string", 220)),
        ("a car for 800 ms", SoundRequest("engine", None, 0.8)),
        ("1.5 kHz", SoundRequest(None, 1500)),
        ("", SoundRequest()),
    ],
)
def test_words_ask_for_kind_pitch_and_length(text: str, asked: SoundRequest) -> None:
    assert parse_sound_prompt(text) == asked


def test_words_without_a_sound_are_refused_with_the_nearest_one() -> None:
    with raises(InvalidValue, port="text", given="a trumpt"):
        parse_sound_prompt("a trumpt")


def test_what_no_sound_was_taught_at_is_told() -> None:
    assert SoundRequest("drum", 100, 0.5).out_of_range_note is None
    assert "drum was trained from 60 to 240 Hz" in (
        SoundRequest("drum", 1000).out_of_range_note or ""
    )
    assert "seconds" in (SoundRequest("drum", 100, 0.1).out_of_range_note or "")
    assert all(low < high for low, high in SOUND_KINDS.values())
