"""Classifier guidance, by the classifier that comes along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import Moment
from nodegraph.families.noise import OutputArithmetic, draw_noise
from nodegraph.models.helper_files import (
    BUNDLED_CLASSIFIER,
    locate_classifier,
    open_classifier,
    read_classifier,
)
from nodegraph.models.noisy_classifier import LatentClassifierComponent, log_prob_gradient
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.added_guidance import Classified, WeakerModel
from nodegraph.sampling.guiders.base import AddedGuidance
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.messages import raises

CLASSIFIER = open_classifier(locate_classifier(BUNDLED_CLASSIFIER, []))
TINY = open_model("tiny", []).model
LATENTS = draw_noise((8, 16, 16), 5, [0, 1, 2])


@pytest.fixture(scope="module")
def classifying() -> LatentClassifierComponent:
    found = load_component(CLASSIFIER, "cpu")
    assert isinstance(found, LatentClassifierComponent)
    return found


@pytest.fixture(scope="module")
def model() -> Denoiser:
    found = load_component(TINY, "cpu")
    assert isinstance(found, Denoiser)
    return found


def walked(
    model: Denoiser, classifying: LatentClassifierComponent, *added: AddedGuidance, batch: int = 1
) -> torch.Tensor:
    width = model.config["cross_attention_dim"]
    entry = ConditioningEntry({"embeddings": draw_noise((5, width), 1, [0])})
    parts = SamplingParts(
        SamplingNoise(3),
        GuiderChoice(Conditioning((entry,), "sd1"), added=added),
        SamplerChoice("ddim"),
        named_schedule("normal", 4),
    )
    beside = {CLASSIFIER: classifying, TINY: model}
    denoising = Denoising(model, Latent(None, 128, 128, batch), parts, beside)
    list(denoising)
    found = denoising.result().samples
    assert found is not None
    return found


def chance(classifying: LatentClassifierComponent, latents: torch.Tensor, label: str) -> float:
    place = classifying.network.labels.index(label)
    with torch.no_grad():
        logits, _ = classifying.network(latents, torch.zeros(len(latents)))
    return float(functional.log_softmax(logits, 1)[:, place].mean())


def test_the_gradient_is_that_of_the_log_of_the_chance(
    classifying: LatentClassifierComponent,
) -> None:
    with torch.inference_mode():
        found = log_prob_gradient(classifying.network, LATENTS, 400, 3, None)
    step = 1e-2 * functional.normalize(found.flatten(1)).view_as(found)

    def log_chance(latents: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits, _ = classifying.network(latents, torch.full((3,), 400))
        return functional.log_softmax(logits.double(), 1)[:, 3]

    rise = (log_chance(LATENTS + step) - log_chance(LATENTS - step)) / 2e-2
    lengths = found.double().flatten(1).norm(dim=1)
    torch.testing.assert_close(rise, lengths, rtol=2e-2, atol=1e-6)


def test_a_batch_is_led_as_its_items_are(classifying: LatentClassifierComponent) -> None:
    whole = log_prob_gradient(classifying.network, LATENTS, 100, 3, 4)
    one = log_prob_gradient(classifying.network, LATENTS[1:2], 100, 3, 4)
    torch.testing.assert_close(whole[1:2], one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_noise_of_an_output_changes_as_it_is_to(kind: str) -> None:
    arithmetic = OutputArithmetic.of({"prediction_type": kind, "beta_schedule": "scaled_linear"})
    at = Moment(torch.tensor(500), torch.tensor(0), 1000, 0.5, timestep_value=500.0)
    output, change = draw_noise((8, 16, 16), 6, [0]), draw_noise((8, 16, 16), 7, [0])
    x = LATENTS[:1]
    alpha, deviation = arithmetic.scales(at)
    noise = arithmetic.to_noise(x, output, at)
    again = alpha * arithmetic.to_clean(x, output, at) + deviation * noise
    torch.testing.assert_close(again, x, rtol=1e-4, atol=1e-4)
    found = arithmetic.to_noise(x, output + arithmetic.from_noise_change(change, at), at)
    torch.testing.assert_close(found, noise + change, rtol=1e-4, atol=1e-4)


def test_what_is_wished_for_becomes_likelier(
    classifying: LatentClassifierComponent, model: Denoiser
) -> None:
    added = Classified(10.0, 0.0, 1.0, classifier=CLASSIFIER, label="lemon")
    plain, found = walked(model, classifying), walked(model, classifying, added)
    assert chance(classifying, found, "lemon") > chance(classifying, plain, "lemon") + 1
    pair = walked(model, classifying, added, batch=2)
    torch.testing.assert_close(pair[:1], found, rtol=1e-3, atol=1e-3)
    assert not any(weight.requires_grad for weight in classifying.network.parameters())


def test_a_weaker_model_that_is_the_same_leads_nowhere(
    classifying: LatentClassifierComponent, model: Denoiser
) -> None:
    plain = walked(model, classifying)
    same = WeakerModel(3.0, 0.0, 1.0, model=TINY)
    torch.testing.assert_close(walked(model, classifying, same), plain, rtol=1e-4, atol=1e-4)
    with raises(InvalidValue, port="guider", given="Stable Diffusion 1.x"):
        WeakerModel(1.0, 0.0, 1.0, model=TINY).check(replace(TINY, family="sdxl"))


def test_names_that_are_unknown_are_told_with_the_nearest() -> None:
    about = read_classifier(Path(CLASSIFIER.files[0].path))
    assert about.class_indices("lemon", "blue") == (about.labels.index("lemon"), 8)
    with raises(InvalidValue, port="label", given="lemmon") as caught:
        about.class_indices("lemmon", "")
    assert "lemon" in (caught.value.problem.hint or "")


def test_other_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with raises(InvalidFile):
        open_classifier(locate_classifier("other", [tmp_path]))
