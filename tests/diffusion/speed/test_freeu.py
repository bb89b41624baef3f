"""FreeU is that of diffusers, and in its other versions that of its authors, as written plainly."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.unets import unet_2d_blocks
from diffusers.utils.torch_utils import fourier_filter
from torch import Tensor

from nodegraph.core.values import DiffusionModel, RecipeFile
from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidValue
from nodegraph.models.derived_components import apply_freeu, derive
from nodegraph.models.speed.speed_support import FreeUFactors, check_freeu, freeu_of, with_freeu
from tests.diffusion.families.conftest import model_of  # noqa: F401 - a fixture
from tests.diffusion.families.test_stable_diffusion import sd1

NUMBERS = {"b1": 1.3, "b2": 1.6, "s1": 0.9, "s2": 0.2}
RECIPE = DiffusionModel("sd1", (RecipeFile("unet", "unet.safetensors", "0"),))


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    """Of three levels, the deepest four times as wide as the first."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32, 64),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=8,
        norm_num_groups=4,
    ).eval()


@torch.inference_mode()
def answer(unet: Any) -> Tensor:
    torch.manual_seed(1)
    noisy, words = torch.randn(3, 4, 16, 12), torch.randn(3, 5, 8)
    found: Tensor = unet(noisy, 500, words).sample
    return found


def freed(unet: Any, **factors: Any) -> Any:
    twin = deepcopy(unet)
    apply_freeu(twin, FreeUFactors(**factors))
    return twin


def test_it_is_that_of_diffusers(unet: Any) -> None:
    stock = deepcopy(unet)
    stock.enable_freeu(**NUMBERS)
    found = answer(freed(unet, **NUMBERS, version="diffusers"))
    assert torch.equal(found, answer(stock))
    assert not torch.equal(found, answer(unet))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_it_is_that_of_its_authors(
    unet: Any, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plainly(_: Any, below: Tensor, across: Tensor, **by: float) -> tuple[Tensor, Tensor]:
        wide = below.shape[1]
        factors = {64: (by["b1"], by["s1"]), 32: (by["b2"], by["s2"])}.get(wide)
        if factors is None:
            return below, across
        changed = below.clone()
        for at, item in enumerate(below):
            mean = item.mean(0)
            strength = (mean - mean.min()) / (mean.max() - mean.min())
            factor = factors[0] if version == "v1" else (factors[0] - 1) * strength + 1
            changed[at, : wide // 2] = item[: wide // 2] * factor
        return changed, fourier_filter(across, threshold=1, scale=factors[1])

    found = answer(freed(unet, **NUMBERS, version=version))
    stock = deepcopy(unet)
    stock.enable_freeu(**NUMBERS)
    monkeypatch.setattr(unet_2d_blocks, "apply_freeu", plainly)
    torch.testing.assert_close(found, answer(stock), atol=1e-6, rtol=1e-6)
    assert (found - answer(unet)).abs().max() > 1e-3


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_factors_of_one_change_nothing(unet: Any, version: str) -> None:
    found = answer(freed(unet, b1=1.0, b2=1.0, s1=1.0, s2=1.0, version=version))
    torch.testing.assert_close(found, answer(unet), atol=1e-5, rtol=1e-5)


def test_each_of_a_batch_is_changed_alone(unet: Any) -> None:
    twin = freed(unet, **NUMBERS)
    torch.manual_seed(1)
    noisy, words = torch.randn(3, 4, 16, 12), torch.randn(3, 5, 8)
    with torch.inference_mode():
        alone = twin(noisy[1:2], 500, words[1:2]).sample
    torch.testing.assert_close(alone, answer(twin)[1:2], atol=1e-5, rtol=1e-5)


def test_a_recipe_has_it_and_its_component_shares_the_weights(model_of: Any) -> None:  # noqa: F811
    _, model = model_of(sd1)
    factors = FreeUFactors(1.1, 1.2, 0.6, 0.4, "diffusers")
    recipe = with_freeu(open_model(str(model.folder), []).model, factors)
    assert freeu_of(recipe) == factors
    assert recipe.is_derived
    plain = model.part("model")
    found = derive(plain, recipe).module
    assert found.up_blocks[0].b1 == 1.1
    assert getattr(plain.module.up_blocks[0], "b1", None) is None
    assert found.conv_in.weight is plain.module.conv_in.weight


def test_the_last_of_several_counts() -> None:
    twice = with_freeu(with_freeu(RECIPE, FreeUFactors()), FreeUFactors(b1=2))
    assert freeu_of(twice) == FreeUFactors(b1=2)
    assert freeu_of(RECIPE) is None


@pytest.mark.parametrize(
    ("family", "factors", "port"),
    [
        ("sd1", FreeUFactors(b1=11), "b1"),
        ("sd1", FreeUFactors(version="v3"), "version"),
        ("sd1", FreeUFactors(s2=0, version="diffusers"), "version"),
        ("flux", FreeUFactors(), "model"),
    ],
)
def test_what_can_not_be_is_refused(family: str, factors: FreeUFactors, port: str) -> None:
    with pytest.raises(InvalidValue) as error:
        check_freeu(family, factors)
    assert error.value.problem.port == port
