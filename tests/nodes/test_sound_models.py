"""Nodes of sounds by diffusion: what is wrong is told before running, and words are understood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Conditioning, Latent, node
from nodegraph.families.item_family import CLASSES, NUMBERS
from nodegraph.families.sounds import FEATURES, TOKENS
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_ace_step import ace_step
from tests.nodes.conftest import Bench, link


@node
def SampledSounds(count: int, format: str = "sounds") -> Latent:
    """Latents as a sampler gives them."""
    samples = torch.randn(count, 1, TOKENS, FEATURES)
    return Latent(samples, FEATURES, TOKENS, count, format=format)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, [SampledSounds])
    yield made
    made.session.close()


def asking(**inputs: Any) -> dict[str, Any]:
    return {"ask": {"type": "SoundConditioning", "inputs": inputs}}


def asked(bench: Bench, **inputs: Any) -> list[Any]:
    found = bench.value(asking(**inputs), "ask.conditioning")
    assert isinstance(found, Conditioning)
    (entry,) = found.entries
    return [*entry.tensors[CLASSES][0].tolist(), *entry.tensors[NUMBERS][0].tolist()]


def test_inputs_count_for_more_than_words(bench: Bench) -> None:
    words = {"text": "a drum at 128 Hz, 0.5 s"}
    assert asked(bench, **words) == [1, 7, 0.5]
    assert asked(bench, **words, kind="bell", pitch="512 Hz", seconds=0.75) == [0, 9, 0.75]


def test_nothing_is_asked_by_default(bench: Bench) -> None:
    kind, *numbers = asked(bench)
    assert kind == -1
    assert torch.tensor(numbers).isnan().all()


@pytest.mark.parametrize(
    ("given", "port", "message"),
    [
        ({"text": "a tromboon"}, "text", "names no sound"),
        ({"pitch": "H7"}, "pitch", "not a pitch"),
        ({"kind": "gong"}, "kind", "bell"),
    ],
)
def test_what_is_wrong_is_told_before_running(
    bench: Bench, given: dict[str, Any], port: str, message: str
) -> None:
    (problem,) = bench.problems(asking(**given), "ask")
    assert problem.port == port
    assert message in str(problem)


def decoding(*counts: int, **latent: Any) -> dict[str, Any]:
    """Several batches of latents, decoded together."""
    nodes: dict[str, Any] = {
        f"latent_{place}": {"type": "SampledSounds", "inputs": {"count": count, **latent}}
        for place, count in enumerate(counts, 1)
    }
    items = {f"item_{place}": link(f"latent_{place}") for place in range(1, len(counts) + 1)}
    nodes["all"] = {"type": "List", "inputs": items}
    inputs = {"latent": link("all"), "rounds": 1}
    return nodes | {"decode": {"type": "DecodeSound", "inputs": inputs}}


def test_all_batches_become_one_list_of_audio(bench: Bench) -> None:
    sounds = bench.value(decoding(1, 3), "decode.audios")
    assert [each.waveform.shape for each in sounds] == [(1, 16_000)] * 4
    assert bench.facts(decoding(1), "decode")["audios"]["rate"] == 16_000


def test_latents_of_pictures_are_refused(bench: Bench) -> None:
    error = bench.failure(decoding(1, format="sd"), "decode")
    assert "does not belong to Sounds" in str(error)


@pytest.mark.slow
def test_tags_and_lyrics_become_music(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("models") / "ace"
    random_pipeline(ace_step).save_pretrained(folder)
    music = {"encoder": link("load.text_encoder"), "tags": "a cat song", "lyrics": "[verse]\ncat"}
    options = {"steps": 2, "cfg": 7.0, "sampler": "euler", "schedule": "normal"}
    nodes: dict[str, Any] = {
        "load": {"type": "LoadModel", "inputs": {"model": str(folder)}},
        "prompt": {"type": "EncodeMusicPrompt", "inputs": {**music, "seconds": 0.3, "bpm": 90}},
        "length": {"type": "EmptyMusicLatent", "inputs": {"seconds": 0.3}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("prompt"),
                "latent": link("length"),
                **options,
            },
        },
        "decode": {
            "type": "VAEDecodeAudio",
            "inputs": {"vae": link("load.vae"), "latent": link("sample")},
        },
        "again": {
            "type": "VAEEncodeAudio",
            "inputs": {"vae": link("load.vae"), "audio": link("decode")},
        },
    }
    assert not bench.problems(nodes, "decode")
    result = bench.run(nodes, "decode", "again")
    assert not result.errors
    sound = result["decode.audio"]
    assert (sound.rate, sound.waveform.shape) == (1000, (2, 8 * 40))
    assert float(sound.waveform.std()) > 0
    assert result["again.latent"].samples.shape == (1, 1, 8, 64)
    edit = {"task": "repaint", "start": 0.1, "source": link("decode"), "reference": link("decode")}
    nodes["edit"] = {
        "type": "EncodeMusicPrompt",
        "inputs": {**music, **edit, "vae": link("load.vae")},
    }
    second = nodes["sample"]["inputs"] | {"positive": link("edit"), "latent": link("again")}
    nodes["second"] = {"type": "KSampler", "inputs": second}
    changed = bench.run(nodes, "second")
    assert not changed.errors
    assert changed["second.latent"].samples.shape == (1, 1, 8, 64)
    del nodes["edit"]["inputs"]["vae"]
    assert bench.failure(nodes, "second").problem.port == "vae"
    nodes["length"] = {"type": "EmptyLatent", "inputs": {"width": 512, "height": 512}}
    assert [problem.port for problem in bench.problems(nodes, "decode")] == ["latent"]


@pytest.mark.parametrize(
    ("family", "size"),
    [
        ("ace-step", (64, 250)),
        ("stable-audio", (216, 64)),
        ("stable-audio-3", (108, 256)),
        ("minimax-music3", (861, 128)),
        ("longcat-audio", (64, 117)),
    ],
)
def test_a_length_is_that_of_the_model(bench: Bench, family: str, size: tuple[int, int]) -> None:
    nodes = {"empty": {"type": "EmptyMusicLatent", "inputs": {"seconds": 10.0, "family": family}}}
    latent = bench.value(nodes, "empty.latent")
    assert isinstance(latent, Latent)
    assert (latent.width, latent.height) == size
