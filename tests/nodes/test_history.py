"""Networks that make a latent in one go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nodegraph.families.vector_decoders import decoder_samples

from .conftest import Bench, link


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.session.close()


@pytest.mark.parametrize("model", ["gan", "vae"])
def test_each_latent_is_of_its_own_seed(model: str) -> None:
    three = decoder_samples(model, 3, 5)
    assert (three.width, three.height, three.batch_size, three.format) == (128, 128, 3, "sd")
    assert three.samples is not None
    assert three.samples.shape == (3, 8, 16, 16)
    for at in range(3):
        one = decoder_samples(model, 1, 5 + at).samples
        torch.testing.assert_close(one, three.samples[at : at + 1], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(three.samples[0], three.samples[1], atol=0.1)


def test_without_spread_all_are_the_same() -> None:
    samples = decoder_samples("vae", 2, 0, 0.0).samples
    assert samples is not None
    torch.testing.assert_close(samples[0], samples[1])


def test_the_vae_of_the_embedded_model_shows_them(desk: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "make": {"type": "SampleDecoder", "inputs": {"model": "gan", "count": 2}},
        "show": {"type": "VAEDecode", "inputs": {"vae": link("load.vae"), "latent": link("make")}},
    }
    assert tuple(desk.value(nodes, "show.image").shape) == (2, 128, 128, 3)


def test_sets_of_few_pictures_are_told_in_numbers_of_them(desk: Bench) -> None:
    drawn = {"model": "gan", "count": 5}
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "judge": {"type": "LoadClassifier", "inputs": {}},
        "make": {"type": "SampleDecoder", "inputs": drawn},
        "show": {"type": "VAEDecode", "inputs": {"vae": link("load.vae"), "latent": link("make")}},
        "list": {"type": "List", "inputs": {"item_1": link("show")}},
        "compare": {
            "type": "CompareSets",
            "inputs": {
                "reference": link("list"),
                "made": link("list"),
                "classifier": link("judge"),
                "vae": link("load.vae"),
            },
        },
    }
    report = desk.value(nodes, "compare.report")
    assert report.startswith("Made: 5 images compared with 5: Fréchet distance")
    assert report.endswith(", precision 5 of 5, recall 5 of 5, coverage 5 of 5")
