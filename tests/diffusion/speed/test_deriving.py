"""What is sped up shares its weights, and goes with LoRAs, few bits and little room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidValue
from nodegraph.families.speed_options import (
    Broadcast,
    FirstBlock,
    SpeedOptions,
    Taylor,
    with_caching,
    with_speed,
)
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.derived_components import derive
from nodegraph.models.loading import estimate_bytes
from nodegraph.models.offloading import offload_component
from nodegraph.residency import ResidencyManager
from tests.accelerator.card import Card
from tests.diffusion.adapters import files
from tests.diffusion.conftest import sd1_folder, tiny_unet  # noqa: F401 - a fixture
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import Model
from tests.diffusion.families.test_flux import flux
from tests.diffusion.families.test_stable_diffusion import sd1
from tests.messages import raises

from .speedy import EAGER, sampling, sped_up, walked

ModelOf = Callable[[Callable[[], Any]], Pair]
pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


@pytest.fixture
def weights() -> ResidencyManager:
    return ResidencyManager(
        load_component, derive=derive, lean=offload_component, estimate=estimate_bytes
    )


def held(weights: ResidencyManager, recipe: DiffusionModel) -> int:
    return next(item.bytes for item in weights.resident() if item.recipe == recipe)


def test_weights_are_loaded_once(weights: ResidencyManager, sd1_folder: Path) -> None:  # noqa: F811
    plain = open_model(str(sd1_folder), []).model
    cached = with_caching(plain, Taylor())
    fused = with_speed(plain, SpeedOptions(fused=True))
    lasting = with_speed(plain, SpeedOptions(channels_last=True))
    with weights.use(plain, "cpu") as given:
        own = {id(item) for item in given.module.parameters()}
        for recipe in (cached, fused, lasting):
            with weights.use(recipe, "cpu") as found:
                mine = {id(item) for item in chain(found.module.parameters())}
                assert own & mine
        assert held(weights, cached) == 0
        assert 0 < held(weights, fused) < held(weights, plain)
        assert 0 < held(weights, lasting) < held(weights, plain)
        assert {id(item) for item in given.module.parameters()} == own


def test_convolutions_lie_with_the_channels_last(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(sd1)
    first = sped_up(model, SpeedOptions(channels_last=True)).module.conv_in.weight
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert model.part("model").module.conv_in.weight.is_contiguous()


def test_projections_are_fused_in_the_copy_alone(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(flux)
    fused = sped_up(model, SpeedOptions(fused=True)).module.transformer_blocks[0].attn
    assert fused.fused_projections
    assert not getattr(model.part("model").module.transformer_blocks[0].attn, "to_qkv", None)


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    pairs = files.own_pairs(tiny_unet())
    files.saved(files.flat_file(pairs, "lora_unet_"), tmp_path / "style.safetensors")
    return tmp_path / "style.safetensors"


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_lora_works_under_a_step_cache(
    weights: ResidencyManager,
    sd1_folder: Path,  # noqa: F811
    lora: Path,
    fused: bool,
) -> None:
    model = Model(sd1_folder)
    plain = open_model(str(sd1_folder), []).model
    adapted = OpenedAdapter(lora, fused=fused).apply_to(plain, 1.0).recipe
    speed = SpeedOptions(fused=fused)

    def made(recipe: DiffusionModel) -> torch.Tensor:
        with weights.use(recipe, "cpu") as denoiser:
            return walked(sampling(model, denoiser))

    exact = made(adapted)
    assert not torch.equal(exact, made(plain))
    # With nothing to use again, it is the LoRA's image.
    idle = made(with_caching(with_speed(adapted, speed), Broadcast(1, 1)))
    torch.testing.assert_close(idle, exact, rtol=1e-4, atol=1e-5)
    assert not torch.equal(made(with_caching(adapted, EAGER["taylorseer"])), exact)


def test_a_lora_is_not_put_beside_fused_projections(sd1_folder: Path, lora: Path) -> None:  # noqa: F811
    fused = with_speed(open_model(str(sd1_folder), []).model, SpeedOptions(fused=True))
    with raises(InvalidValue, port="model"):
        OpenedAdapter(lora).apply_to(fused, 1.0)
    assert OpenedAdapter(lora, fused=True).apply_to(fused, 1.0).recipe.adapters


@pytest.mark.parametrize(
    "storage",
    ["int8", *(pytest.param(name, marks=pytest.mark.slow) for name in ("float8", "int4"))],
)
def test_weights_in_few_bits_go_with_a_step_cache(model_of: ModelOf, storage: str) -> None:  # noqa: F811
    _, model = model_of(flux)
    recipe = open_model(str(model.folder), [], storage=storage).model
    base = load_component(recipe, "cpu")
    exact = walked(sampling(model, base))  # type: ignore[arg-type]
    idle, eager = (
        walked(sampling(model, derive(base, with_caching(recipe, FirstBlock(at)))))  # type: ignore[arg-type]
        for at in (0, 10)
    )
    assert torch.equal(idle, exact)
    assert not torch.equal(eager, exact)


def test_half_precision_is_not_held_compactly_below_a_step_cache(sd1_folder: Path) -> None:  # noqa: F811
    """What is derived needs the usual form of what is below."""
    recipe = with_caching(open_model(str(sd1_folder), []).model, Taylor())
    weights = ResidencyManager(load_component, {"host": 1}, derive=derive)
    with weights.use(recipe, "cpu", calls_only=True) as found:
        assert found.module.dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("build", "footprint", "names"),
    [
        (flux, "offloaded", ("first_block",)),
        *(
            pytest.param(build, footprint, names, marks=pytest.mark.slow)
            for build, footprint, names in (
                (flux, "offloaded", ("taylorseer", "mag")),
                (flux, "full", ("first_block", "taylorseer", "mag")),
                (sd1, "offloaded", ("taylorseer", "broadcast")),
                (sd1, "full", ("taylorseer", "broadcast")),
            )
        ),
    ],
)
def test_an_accelerator_gives_the_cpu_s_bits(
    model_of: ModelOf,  # noqa: F811
    cuda: Card,
    build: Callable[[], Any],
    footprint: Any,
    names: tuple[str, ...],
) -> None:
    """Also where weights come in parts, of which a step cache leaves some out."""
    _, model = model_of(build)
    recipe = open_model(str(model.folder), []).model
    weights = ResidencyManager(load_component, derive=derive, lean=offload_component)
    for name in names:
        expected = walked(sampling(model, sped_up(model, EAGER[name])))
        with weights.use(with_caching(recipe, EAGER[name]), "cuda:0", footprint) as denoiser:
            assert denoiser.device.type == "cuda"
            # Twice, as modules that are one use's own keep their hooks.
            for _ in range(2):
                cuda.assert_as_on_cpu(walked(sampling(model, denoiser)), expected)
    weights.release_all()


def test_a_small_footprint_keeps_each_item_s_own(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(sd1)
    small = replace(sped_up(model, EAGER["broadcast"]), one_by_one=True)
    whole = walked(sampling(model, sped_up(model, EAGER["broadcast"])))
    torch.testing.assert_close(walked(sampling(model, small)), whole, rtol=1e-3, atol=1e-4)


def test_a_compiled_model_does_not_come_in_parts(
    model_of: ModelOf,  # noqa: F811
    cuda: Card,
) -> None:
    _, model = model_of(flux)
    compiled = replace(model.part("model"), compiled=True)
    with (
        raises(InvalidValue, port="model"),
        offload_component(compiled, "cuda:0", "offloaded"),
    ):
        pass
